/*
 * Feeds arbitrary bytes to the reader of a kernel's frames, in pieces whose size the first byte
 * chooses. The token is known, so that frames get through to the decoder. What a frame gives must
 * be readable, and a result or an error a JSON object.
 */
#include "api/context_protocol.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned sum;

static void touch(const void *data, size_t length)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < length; i++)
        sum += p[i]; /* let the sanitizer see every byte */
}

static bool on_frame(void *user, const struct sa_kernel_frame *f)
{
    int *left = user;
    if (f->kind == SA_KERNEL_RESULT || f->kind == SA_KERNEL_ERROR) {
        struct sa_json_doc *doc =
            sa_json_parse(f->data, f->length,
                          &(struct sa_json_limits){
                              .max_bytes = SIZE_MAX, .max_values = SIZE_MAX, .max_depth = 100},
                          NULL);
        if (!doc)
            abort();
        sa_json_free(doc);
    }
    touch(f->data, f->length);
    if (f->kind == SA_KERNEL_INPUT)
        touch(f->prompt, strlen(f->prompt));
    if (f->kind == SA_KERNEL_FAILED)
        touch(f->value, strlen(f->value));
    return --*left > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sa_kernel_reader reader = {0};
    int left = 64;
    if (size < 1)
        return 0;
    size_t piece = (size_t)data[0] + 1;
    memset(reader.token, 't', SA_KERNEL_TOKEN_CHARS);
    data++;
    size--;
    while (size && left > 0) {
        size_t n = size < piece ? size : piece;
        if (sa_kernel_reader_feed(&reader, data, n, on_frame, &left, NULL) < 0)
            break;
        data += n;
        size -= n;
    }
    sa_kernel_reader_deinit(&reader);
    return 0;
}
