/*
 * Outside bytes as JSON. What the parser takes must be decodable by every getter without a
 * fault, and once written it must be read again and written the same. The bytes also go through
 * the writer, base64 and the quantities.
 */
#include "base/utf8.h"
#include "json/base64.h"
#include "json/json.h"
#include "json/quantity.h"
#include "json/write.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* Every getter on member "v"; only faults count, not refusals. */
static void get_all(struct sa_json_obj *root)
{
    static const char *const names[] = {"a", "b", NULL};
    struct sa_error err;
    struct sa_json_strings strings;
    struct sa_json_map map;
    struct sa_json_obj obj;
    struct sa_json_arr arr;
    const char *text;
    int64_t number;
    double real;
    bool yes, present;
    int index;
    sa_json_get_string(root, "v", 100, &text, &err);
    sa_json_get_int(root, "v", INT64_MIN, INT64_MAX, &number, &err);
    sa_json_get_double(root, "v", -1e9, 1e9, &real, &err);
    sa_json_get_bool(root, "v", &yes, &err);
    sa_json_get_enum(root, "v", names, &index, &err);
    sa_json_opt_cpu(root, "v", 0, 1000, &number, &present, &err);
    sa_json_opt_bytes(root, "v", 0, 1000, &number, &present, &err);
    sa_json_opt_strings(root, "v", 10, 100, &strings, &present, &err);
    sa_json_opt_map(root, "v", 10, 100, &map, &present, &err);
    if (sa_json_get_obj(root, "v", &obj, &err) == 0) {
        sa_json_opt_int(&obj, "timeout", 0, 9, &number, &present, &err);
        sa_json_finish(&obj, &err);
    }
    if (sa_json_get_arr(root, "v", 100, &arr, &err) == 0)
        for (size_t i = 0; i < arr.count; i++)
            if (sa_json_arr_obj(&arr, i, &obj, &err) == 0)
                sa_json_finish(&obj, &err);
}

/* Put the text under "v", decode it, and return it as the library writes it. */
static void canonical(const char *text, size_t length, struct sa_buf *out)
{
    sa_autobuf wrapped = SA_BUF_INIT;
    struct sa_error err;
    struct sa_json_obj root;
    const char *raw;
    size_t raw_length;
    bool present = false;
    struct sa_json_limits limits = {.max_bytes = SIZE_MAX, .max_depth = 33};
    sa_buf_adds(&wrapped, "{\"v\":");
    sa_buf_add(&wrapped, text, length);
    sa_buf_adds(&wrapped, "}");
    struct sa_json_doc *doc = sa_json_parse(wrapped.data, wrapped.length, &limits, &err);
    require(doc != NULL);
    struct sa_arena *arena = sa_arena_new();
    require(sa_json_root(doc, arena, &root, &err) == 0);
    get_all(&root);
    require(sa_json_opt_raw(&root, "v", &raw, &raw_length, &present, &err) == 0);
    if (present)
        sa_buf_add(out, raw, raw_length);
    else
        sa_buf_adds(out, "null");
    require(sa_json_finish(&root, &err) == 0);
    sa_arena_free(arena);
    sa_json_free(doc);
}

static void decode(const char *text, size_t length)
{
    sa_autobuf once = SA_BUF_INIT, twice = SA_BUF_INIT;
    struct sa_error err;
    struct sa_json_limits limits = {.max_values = 60000};
    struct sa_json_doc *doc = sa_json_parse(text, length, &limits, &err);
    if (!doc)
        return;
    sa_json_free(doc);
    canonical(text, length, &once);
    canonical(once.data, once.length, &twice);
    require(once.length == twice.length && memcmp(once.data, twice.data, once.length) == 0);
}

static void encode(const char *data, size_t size)
{
    sa_autobuf quoted = SA_BUF_INIT, text = SA_BUF_INIT, back = SA_BUF_INIT;
    sa_json_quote(&quoted, data, size);
    require(sa_utf8_valid(quoted.data, quoted.length));
    if (!memchr(data, 0, size)) {
        struct sa_json_doc *doc = sa_json_parse(
            quoted.data, quoted.length, &(struct sa_json_limits){.max_bytes = SIZE_MAX}, NULL);
        require(doc != NULL);
        sa_json_free(doc);
    }
    sa_base64_encode(data, size, &text);
    require(sa_base64_decode(text.data, text.length, &back, NULL) == 0);
    require(back.length == size && memcmp(back.data, data, size) == 0);
    back.length = text.length = 0;
    if (sa_base64_decode(data, size, &back, NULL) == 0) { /* one text to each value */
        sa_base64_encode(back.data ? back.data : "", back.length, &text);
        require(text.length == size && memcmp(text.data, data, size) == 0);
    }
}

static void quantity(const char *data, size_t size)
{
    int64_t value, again;
    char printed[SA_QUANTITY_BYTES], *text = sa_strndup(data, size);
    if (sa_quantity_bytes(text, &value, NULL) == 0) {
        sa_quantity_bytes_print(value, printed);
        require(sa_quantity_bytes(printed, &again, NULL) == 0 && again == value);
    }
    if (sa_quantity_cpu(text, &value, NULL) == 0)
        require(value >= 0);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    decode((const char *)data, size);
    encode((const char *)data, size);
    quantity((const char *)data, size);
    return 0;
}
