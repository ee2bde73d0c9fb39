/*
 * Outside bytes as an archive, as a worker reads it. The first byte says of which format and into
 * what pieces the rest is cut. Whatever comes out has a name within the archive, links stay within,
 * bytes belong to a file, and nothing comes behind an end or an error. The bytes also go through
 * the names alone.
 */
#include "api/archive.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/utf8.h"
#include "link/methods.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sa_thread { /* instead of a thread with its queues */
    const uint8_t *input;
    size_t left, piece;
    size_t puts;
    bool input_ended, in_file, ended;
};

enum { PUTS_MAX = 2000 };

static void require(bool ok)
{
    if (!ok)
        abort();
}

struct sa_message *sa_thread_get(struct sa_thread *w)
{
    size_t length = w->left < w->piece ? w->left : w->piece;
    require(!w->input_ended);
    struct sa_message *message = malloc(sizeof *message + length);
    *message =
        (struct sa_message){.kind = length ? SA_MESSAGE_BYTES : SA_MESSAGE_END, .length = length};
    memcpy(message->data, w->input, length);
    w->input += length;
    w->left -= length;
    w->input_ended = !length;
    return message;
}

/* A relative name without "." and ".." and empty parts. */
static void check_name(const char *name)
{
    require(name[0] && strlen(name) < SA_ARCHIVE_PATH_MAX && sa_utf8_valid(name, strlen(name)));
    for (const char *p = name;; p++) {
        size_t n = strcspn(p, "/");
        require(n && !(n == 1 && p[0] == '.') && !(n == 2 && p[0] == '.' && p[1] == '.'));
        p += n;
        if (!*p)
            return;
    }
}

static void check_entry(struct sa_thread *w, const void *data, size_t length)
{
    char name[SA_ARCHIVE_PATH_MAX] = "", type[16] = "";
    sa_autobuf target = SA_BUF_INIT;
    struct sa_fields fields;
    struct sa_field f;
    sa_fields_init(&fields, data, length);
    while (sa_fields_next(&fields, &f, NULL) > 0) {
        if (f.tag == SA_FILE_NAME)
            require(sa_field_text_into(&f, name, sizeof name, NULL) == 0);
        else if (f.tag == SA_FILE_TYPE)
            require(sa_field_text_into(&f, type, sizeof type, NULL) == 0);
        else if (f.tag == SA_FILE_TARGET)
            sa_buf_add(&target, f.data, f.length);
    }
    sa_buf_addc(&target, '\0');
    check_name(name);
    require(strcmp(type, "symlink") != 0 || sa_archive_link_stays(name, target.data));
    w->in_file = !strcmp(type, "file");
}

bool sa_thread_put(struct sa_thread *w, enum sa_message_kind kind, const void *data, size_t length)
{
    require(!w->ended);
    w->ended = kind == SA_MESSAGE_END || kind == SA_MESSAGE_ERROR;
    if (kind == SA_MESSAGE_ENTRY && length)
        check_entry(w, data, length);
    else if (kind == SA_MESSAGE_BYTES)
        require(w->in_file && length > 0);
    else if (kind == SA_MESSAGE_ERROR)
        require(length == sizeof(struct sa_error) &&
                ((const struct sa_error *)data)->message[0] != '\0');
    return ++w->puts < PUTS_MAX; /* a bomb is stopped as one that nobody wants any more */
}

static void try_names(const uint8_t *data, size_t size)
{
    char out[SA_ARCHIVE_PATH_MAX], again[SA_ARCHIVE_PATH_MAX];
    sa_autofree char *name = sa_strndup((const char *)data, size);
    if (sa_archive_name(name, out, NULL) < 0)
        return;
    if (out[0])
        check_name(out);
    require(sa_archive_name(out, again, NULL) == 0 && !strcmp(out, again));
    /* From a folder that deep, a way down leads nowhere else, and one step too many up does. */
    require(sa_archive_link_stays("link", name) == (name[0] != '\0'));
    sa_autofree char *up = sa_printf("../%s", name);
    require(!sa_archive_link_stays("link", up) && sa_archive_link_stays("folder/link", up));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct sa_thread worker = {.input = data + 1, .left = size - 1, .piece = 1 + data[0] / 3u * 16};
    sa_archive_read(&worker, data[0] % 3u);
    require(worker.ended || worker.puts >= PUTS_MAX);
    try_names(data + 1, size - 1);
    return 0;
}
