/* Frames of kernels. The reader first, as it is what outsiders reach. */
#include "api/context_protocol.h"

#include "base/id.h"
#include "json/base64.h"
#include "json/write.h"

#include <stdio.h>
#include <string.h>

enum { HEAD_BYTES = 4, NAME_MAX_BYTES = 1024, PROMPT_MAX_BYTES = 16384 };

/* ---- one frame ---- */

struct scratch {
    struct sa_arena *arena;
    struct sa_buf text; /* what `data` of the frame points to */
};

static int decode_output(struct sa_json_obj *root, struct scratch *s, struct sa_kernel_frame *f,
                         struct sa_error *err)
{
    const char *encoding = NULL;
    if (sa_json_get_string(root, "data", SA_KERNEL_FRAME_MAX, &f->data, err) < 0 ||
        sa_json_opt_string(root, "encoding", 16, &encoding, NULL, err) < 0)
        return -1;
    f->length = strlen(f->data);
    if (!encoding)
        return 0;
    if (strcmp(encoding, "base64") != 0)
        return sa_json_fail(root, "encoding", err, "is none that is known");
    if (sa_base64_decode(f->data, f->length, &s->text, err) < 0)
        return -1;
    f->data = s->text.data ? s->text.data : "";
    f->length = s->text.length;
    return 0;
}

/* type "/" subtype of RFC 6838, in lower case. */
static bool is_mime(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789!#$&^_.+-";
    size_t type = strspn(text, allowed);
    if (type == 0 || text[type] != '/' || strlen(text) > SA_KERNEL_MIME_BYTES)
        return false;
    size_t sub = strspn(text + type + 1, allowed);
    return sub > 0 && text[type + 1 + sub] == '\0';
}

static bool is_json_mime(const char *mime)
{
    size_t n = strlen(mime);
    return strcmp(mime, "application/json") == 0 || (n > 5 && strcmp(mime + n - 5, "+json") == 0);
}

static bool is_base64(const char *text)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strspn(text, allowed), pad = strspn(text + n, "=");
    return text[n + pad] == '\0' && pad <= 2 && (n + pad) % 4 == 0;
}

/* Images but SVG travel as base64. */
static bool is_value_of(const char *mime, const char *text)
{
    bool binary = strncmp(mime, "image/", 6) == 0 && strncmp(mime + 6, "svg", 3) != 0;
    return !binary || is_base64(text);
}

static int put_json_values(struct sa_json_arr *list, const struct sa_json_map *texts,
                           struct sa_json_w *w, struct sa_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        struct sa_json_obj one;
        const char *mime, *raw;
        size_t length;
        if (sa_json_arr_obj(list, i, &one, err) < 0 ||
            sa_json_get_string(&one, "mime", SA_KERNEL_MIME_BYTES, &mime, err) < 0 ||
            sa_json_get_raw(&one, "value", &raw, &length, err) < 0 || sa_json_finish(&one, err) < 0)
            return -1;
        bool twice = i > 0; /* one is all that has a use; two of a name would be no JSON */
        for (size_t t = 0; t < texts->count; t++)
            twice = twice || strcmp(texts->items[t].key, mime) == 0;
        if (!is_mime(mime) || !is_json_mime(mime))
            return sa_json_fail(&one, "mime", err, "is no type of JSON");
        if (!twice)
            sa_json_put_raw(w, mime, raw, length);
    }
    return 0;
}

static int decode_result(struct sa_json_obj *root, struct scratch *s, struct sa_kernel_frame *f,
                         struct sa_error *err)
{
    struct sa_json_map texts = {0};
    struct sa_json_arr list = {0};
    bool given, main_one = false;
    struct sa_json_w w = sa_json_w_start(&s->text);
    if (sa_json_opt_map(root, "data", SA_KERNEL_MIMES_MAX, SA_KERNEL_FRAME_MAX, &texts, NULL, err) <
            0 ||
        sa_json_opt_arr(root, "json", SA_KERNEL_MIMES_MAX, &list, &given, err) < 0 ||
        sa_json_opt_bool(root, "main", &main_one, NULL, err) < 0)
        return -1;
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "data");
    for (size_t i = 0; i < texts.count; i++) {
        const struct sa_json_pair *p = &texts.items[i];
        if (!is_mime(p->key) || is_json_mime(p->key) || !is_value_of(p->key, p->value))
            return sa_json_fail(root, "data", err, "is no mime bundle");
        sa_json_put_string(&w, p->key, p->value);
    }
    if (given && put_json_values(&list, &texts, &w, err) < 0)
        return -1;
    sa_json_w_end_object(&w);
    sa_json_put_bool(&w, "main", main_one);
    sa_json_w_end_object(&w);
    f->data = s->text.data;
    f->length = s->text.length;
    return 0;
}

static int decode_error(struct sa_json_obj *root, struct scratch *s, struct sa_kernel_frame *f,
                        struct sa_error *err)
{
    const char *name, *value, *traceback;
    struct sa_json_w w = sa_json_w_start(&s->text);
    if (sa_json_get_string(root, "name", NAME_MAX_BYTES, &name, err) < 0 ||
        sa_json_get_string(root, "value", SA_KERNEL_FRAME_MAX, &value, err) < 0 ||
        sa_json_get_string(root, "traceback", SA_KERNEL_FRAME_MAX, &traceback, err) < 0)
        return -1;
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "name", name);
    sa_json_put_string(&w, "value", value);
    sa_json_put_string(&w, "traceback", traceback);
    sa_json_w_end_object(&w);
    f->data = s->text.data;
    f->length = s->text.length;
    return 0;
}

static int decode_done(struct sa_json_obj *root, struct sa_kernel_frame *f, struct sa_error *err)
{
    const int64_t most = INT64_C(1) << 50;
    if (sa_json_get_int(root, "id", 0, most, &f->id, err) < 0 ||
        sa_json_get_int(root, "exitCode", 0, 255, &f->exit_code, err) < 0 ||
        sa_json_opt_int(root, "cpuUs", 0, most, &f->cpu_us, NULL, err) < 0 ||
        sa_json_opt_int(root, "memoryBytes", 0, most, &f->memory_bytes, NULL, err) < 0)
        return -1;
    return 0;
}

static int decode_start(struct sa_json_obj *root, struct sa_kernel_frame *f, struct sa_error *err)
{
    int64_t pid;
    if (f->kind == SA_KERNEL_READY) /* the pid that counts is the one the runtime tells */
        return sa_json_opt_int(root, "pid", 0, INT32_MAX, &pid, NULL, err) < 0 ||
                       sa_json_opt_string(root, "version", NAME_MAX_BYTES, &f->version, NULL, err) <
                           0
                   ? -1
                   : 0;
    return sa_json_get_string(root, "import", NAME_MAX_BYTES, &f->import, err) < 0 ||
                   sa_json_get_string(root, "name", NAME_MAX_BYTES, &f->name, err) < 0 ||
                   sa_json_get_string(root, "value", PROMPT_MAX_BYTES, &f->value, err) < 0
               ? -1
               : 0;
}

static int decode_kind(struct sa_json_obj *root, struct scratch *s, struct sa_kernel_frame *f,
                       struct sa_error *err)
{
    switch (f->kind) {
    case SA_KERNEL_STDOUT:
    case SA_KERNEL_STDERR:
        return decode_output(root, s, f, err);
    case SA_KERNEL_RESULT:
        return decode_result(root, s, f, err);
    case SA_KERNEL_ERROR:
        return decode_error(root, s, f, err);
    case SA_KERNEL_DONE:
        return decode_done(root, f, err);
    case SA_KERNEL_READY:
    case SA_KERNEL_FAILED:
        return decode_start(root, f, err);
    case SA_KERNEL_INPUT:
        break;
    }
    f->prompt = "";
    return sa_json_opt_string(root, "prompt", PROMPT_MAX_BYTES, &f->prompt, NULL, err) < 0 ||
                   sa_json_opt_bool(root, "password", &f->password, NULL, err) < 0
               ? -1
               : 0;
}

static int decode(struct sa_json_doc *doc, struct scratch *s, struct sa_kernel_frame *f,
                  struct sa_error *err)
{
    static const char *const kinds[] = {"ready", "failed", "stdout", "stderr", "result",
                                        "error", "input",  "done",   NULL};
    struct sa_json_obj root;
    int kind;
    if (sa_json_root(doc, s->arena, &root, err) < 0 ||
        sa_json_get_enum(&root, "type", kinds, &kind, err) < 0)
        return -1;
    f->kind = (enum sa_kernel_frame_kind)kind;
    return decode_kind(&root, s, f, err) < 0 ? -1 : sa_json_finish(&root, err);
}

/* 1: go on, 0: nobody wants more, -1: no frame. */
static int take_frame(const char *json, size_t length, sa_kernel_frame_cb frame, void *user,
                      struct sa_error *err)
{
    static const struct sa_json_limits limits = {.max_bytes = SA_KERNEL_FRAME_MAX,
                                                 .max_depth = SA_KERNEL_DEPTH_MAX,
                                                 .max_values = SA_KERNEL_VALUES_MAX};
    struct sa_kernel_frame f = {0};
    struct sa_json_doc *doc = sa_json_parse(json, length, &limits, err);
    if (!doc)
        return -1;
    struct scratch s = {.arena = sa_arena_new()};
    int rc = decode(doc, &s, &f, err);
    sa_json_free(doc);
    if (rc == 0)
        rc = frame(user, &f);
    sa_buf_deinit(&s.text);
    sa_arena_free(s.arena);
    return rc;
}

/* ---- the stream of frames ---- */

void sa_kernel_reader_reset(struct sa_kernel_reader *reader)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char random[SA_KERNEL_TOKEN_CHARS / 2];
    sa_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        reader->token[2 * i] = digits[random[i] >> 4];
        reader->token[2 * i + 1] = digits[random[i] & 15];
    }
    reader->token[SA_KERNEL_TOKEN_CHARS] = '\0';
    sa_buf_deinit(&reader->buffer);
}

void sa_kernel_reader_deinit(struct sa_kernel_reader *reader)
{
    sa_buf_deinit(&reader->buffer);
}

static size_t get_u32(const char *at)
{
    const unsigned char *p = (const unsigned char *)at;
    return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

/* Bytes of the frame at `data`, 0 when its length is not there yet; -1: it can be none. What is
 * wrong shows early, so that a wrong length does not make us wait for bytes that never come. */
static ssize_t frame_bytes(const struct sa_kernel_reader *r, const char *data, size_t length,
                           struct sa_error *err)
{
    if (length < HEAD_BYTES)
        return 0;
    size_t body = get_u32(data), there = length - HEAD_BYTES;
    if (there > SA_KERNEL_TOKEN_CHARS)
        there = SA_KERNEL_TOKEN_CHARS;
    if (body <= SA_KERNEL_TOKEN_CHARS || body > SA_KERNEL_FRAME_MAX ||
        memcmp(data + HEAD_BYTES, r->token, there) != 0)
        return sa_error_set(err, SA_EPROTOCOL,
                            "something was written to the kernel's control socket");
    return (ssize_t)(HEAD_BYTES + body);
}

/* Whole frames at `data`: how many bytes they take; -1 and `*over` when it is the end. */
static ssize_t take_frames(struct sa_kernel_reader *r, const char *data, size_t length,
                           sa_kernel_frame_cb frame, void *user, bool *over, struct sa_error *err)
{
    size_t at = 0;
    while (!*over) {
        ssize_t n = frame_bytes(r, data + at, length - at, err);
        if (n < 0)
            return -1;
        if (n == 0 || (size_t)n > length - at)
            break;
        const size_t skip = HEAD_BYTES + SA_KERNEL_TOKEN_CHARS;
        int rc = take_frame(data + at + skip, (size_t)n - skip, frame, user, err);
        if (rc < 0)
            return -1;
        *over = rc == 0;
        at += (size_t)n;
    }
    return (ssize_t)at;
}

int sa_kernel_reader_feed(struct sa_kernel_reader *reader, const void *data, size_t length,
                          sa_kernel_frame_cb frame, void *user, struct sa_error *err)
{
    bool over = false, buffered = reader->buffer.length > 0;
    if (buffered)
        sa_buf_add(&reader->buffer, data, length);
    const char *from = buffered ? reader->buffer.data : data;
    size_t there = buffered ? reader->buffer.length : length;
    ssize_t used = take_frames(reader, from, there, frame, user, &over, err);
    if (used < 0)
        return -1;
    if (over)
        return 0;
    if (buffered)
        sa_buf_consume(&reader->buffer, (size_t)used);
    else if ((size_t)used < length)
        sa_buf_add(&reader->buffer, from + used, length - (size_t)used);
    if (reader->buffer.length == 0)
        sa_buf_deinit(&reader->buffer);
    return 0;
}

/* ---- to the kernel ---- */

/* A frame's length stands in front of its JSON. */
static size_t begin_frame(struct sa_buf *out)
{
    size_t at = out->length;
    sa_buf_add(out, "\0\0\0", HEAD_BYTES);
    return at;
}

static void end_frame(struct sa_buf *out, size_t at)
{
    size_t length = out->length - at - HEAD_BYTES;
    for (size_t i = 0; i < HEAD_BYTES; i++)
        out->data[at + i] = (char)(length >> (8 * i));
}

static void put_field(struct sa_buf *out, const char *text)
{
    sa_buf_add(out, text, strlen(text) + 1);
}

static void put_number(struct sa_buf *out, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    put_field(out, text);
}

void sa_kernel_put_init(enum sa_kernel_codec codec, const char *token,
                        const struct sa_json_strings *imports, struct sa_buf *out)
{
    if (codec == SA_KERNEL_FIELDS) {
        put_field(out, "init");
        put_field(out, token);
        return;
    }
    size_t at = begin_frame(out);
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "type", "init");
    sa_json_put_string(&w, "token", token);
    sa_json_put_strings(&w, "imports", imports->items, imports->count);
    sa_json_w_end_object(&w);
    end_frame(out, at);
}

static void put_execute_fields(const struct sa_kernel_request *r, struct sa_buf *out)
{
    put_field(out, "execute");
    put_number(out, r->id);
    put_field(out, r->input ? "1" : "0");
    put_number(out, (int64_t)r->env.count);
    for (size_t i = 0; i < r->env.count; i++) {
        put_field(out, r->env.items[i].key);
        put_field(out, r->env.items[i].value);
    }
    put_number(out, (int64_t)r->code_length);
    sa_buf_add(out, r->code, r->code_length);
}

void sa_kernel_put_execute(enum sa_kernel_codec codec, const struct sa_kernel_request *request,
                           struct sa_buf *out)
{
    if (codec == SA_KERNEL_FIELDS) {
        put_execute_fields(request, out);
        return;
    }
    size_t at = begin_frame(out);
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "type", "execute");
    sa_json_put_int(&w, "id", request->id);
    sa_json_put_bool(&w, "input", request->input);
    sa_json_put_object(&w, "env");
    for (size_t i = 0; i < request->env.count; i++)
        sa_json_put_string(&w, request->env.items[i].key, request->env.items[i].value);
    sa_json_w_end_object(&w);
    sa_json_put_stringn(&w, "code", request->code, request->code_length);
    sa_json_w_end_object(&w);
    end_frame(out, at);
}

/* As printf %b of bash takes it: plain what is harmless, the rest in octal. */
static void put_escaped(struct sa_buf *out, const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c >= ' ' && c < 127 && c != '\\')
            sa_buf_addc(out, (char)c);
        else
            sa_buf_printf(out, "\\0%03o", c);
    }
    sa_buf_addc(out, '\0');
}

void sa_kernel_put_interrupt(int64_t id, struct sa_buf *out)
{
    size_t at = begin_frame(out);
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "type", "interrupt");
    sa_json_put_int(&w, "id", id);
    sa_json_w_end_object(&w);
    end_frame(out, at);
}

void sa_kernel_put_input(enum sa_kernel_codec codec, int64_t id, const void *data, size_t length,
                         bool last, struct sa_buf *out)
{
    if (codec == SA_KERNEL_FIELDS) {
        put_field(out, "input");
        put_field(out, last ? "1" : "0");
        put_escaped(out, data, length);
        return;
    }
    size_t at = begin_frame(out);
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "type", "input");
    sa_json_put_int(&w, "id", id);
    sa_json_put_base64(&w, "data", data, length);
    sa_json_put_bool(&w, "eof", last);
    sa_json_w_end_object(&w);
    end_frame(out, at);
}
