#include "link/fields.h"

#include "base/arena.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

static void add_header(struct sa_buf *out, uint16_t tag, size_t length)
{
    if (length > UINT32_MAX)
        abort(); /* every caller has a far lower cap */
    uint8_t header[SA_FIELD_HEADER_BYTES] = {
        (uint8_t)tag,           (uint8_t)(tag >> 8),     (uint8_t)length,
        (uint8_t)(length >> 8), (uint8_t)(length >> 16), (uint8_t)(length >> 24)};
    sa_buf_add(out, header, sizeof header);
}

void sa_fields_add_bytes(struct sa_buf *out, uint16_t tag, const void *data, size_t length)
{
    add_header(out, tag, length);
    sa_buf_add(out, data, length);
}

void sa_fields_add_text(struct sa_buf *out, uint16_t tag, const char *text)
{
    sa_fields_add_bytes(out, tag, text, strlen(text));
}

void sa_fields_add_int(struct sa_buf *out, uint16_t tag, int64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)value >> (8 * i));
    sa_fields_add_bytes(out, tag, bytes, sizeof bytes);
}

void sa_fields_init(struct sa_fields *reader, const void *body, size_t length)
{
    reader->next = body;
    reader->left = length;
}

int sa_fields_next(struct sa_fields *reader, struct sa_field *field, struct sa_error *err)
{
    if (reader->left == 0)
        return 0;
    if (reader->left < SA_FIELD_HEADER_BYTES)
        return sa_error_set(err, SA_EPROTOCOL, "field header is cut short");
    const uint8_t *h = reader->next;
    size_t length = (size_t)h[2] | (size_t)h[3] << 8 | (size_t)h[4] << 16 | (size_t)h[5] << 24;
    field->tag = (uint16_t)(h[0] | h[1] << 8);
    if (length > reader->left - SA_FIELD_HEADER_BYTES)
        return sa_error_set(err, SA_EPROTOCOL, "field %u is cut short", field->tag);
    field->data = h + SA_FIELD_HEADER_BYTES;
    field->length = length;
    reader->next += SA_FIELD_HEADER_BYTES + length;
    reader->left -= SA_FIELD_HEADER_BYTES + length;
    return 1;
}

int sa_field_int(const struct sa_field *field, int64_t *value, struct sa_error *err)
{
    if (field->length != 8)
        return sa_error_set(err, SA_EPROTOCOL, "field %u: expected an integer of 8 bytes",
                            field->tag);
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)field->data[i] << (8 * i);
    *value = (int64_t)v;
    return 0;
}

static int check_text(const struct sa_field *field, size_t cap, struct sa_error *err)
{
    if (field->length > cap)
        return sa_error_set(err, SA_EPROTOCOL, "field %u: text of %zu bytes, at most %zu fit",
                            field->tag, field->length, cap);
    if (field->length == 0)
        return 0;
    if (memchr(field->data, 0, field->length) ||
        !sa_utf8_valid((const char *)field->data, field->length))
        return sa_error_set(err, SA_EPROTOCOL, "field %u: expected UTF-8 text without NUL",
                            field->tag);
    return 0;
}

int sa_field_text(const struct sa_field *field, size_t cap, char **text, struct sa_error *err)
{
    if (check_text(field, cap, err) < 0)
        return -1;
    *text = sa_strndup((const char *)field->data, field->length);
    return 0;
}

int sa_field_text_into(const struct sa_field *field, char *out, size_t size, struct sa_error *err)
{
    if (check_text(field, size - 1, err) < 0)
        return -1;
    if (field->length)
        memcpy(out, field->data, field->length);
    out[field->length] = '\0';
    return 0;
}

/* Add text that may hold a file name of any bytes, or was cut within a character: what is not
 * UTF-8 as '?', or the other side would refuse the whole error. */
static void add_cleaned(struct sa_buf *out, uint16_t tag, const char *text)
{
    size_t length = strlen(text);
    sa_fields_add_bytes(out, tag, text, length);
    char *copy = out->data + out->length - length;
    for (size_t i = 0; (i += sa_utf8_prefix(copy + i, length - i)) < length;)
        copy[i] = '?';
}

void sa_fields_add_error(struct sa_buf *out, uint16_t tag, const struct sa_error *error)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, SA_ERRTAG_CODE, error->code);
    add_cleaned(&body, SA_ERRTAG_MESSAGE, error->message);
    if (error->path[0])
        add_cleaned(&body, SA_ERRTAG_PATH, error->path);
    if (error->sys_errno)
        sa_fields_add_int(&body, SA_ERRTAG_ERRNO, error->sys_errno);
    sa_fields_add_bytes(out, tag, body.data, body.length);
}

int sa_field_error(const struct sa_field *field, struct sa_error *value, struct sa_error *err)
{
    struct sa_fields reader;
    struct sa_field f = {0};
    int64_t number = 0;
    int more;
    *value = (struct sa_error){.code = SA_EINTERNAL};
    sa_fields_init(&reader, field->data, field->length);
    while ((more = sa_fields_next(&reader, &f, err)) > 0) {
        if (f.tag == SA_ERRTAG_CODE || f.tag == SA_ERRTAG_ERRNO) {
            if (sa_field_int(&f, &number, err) < 0)
                return -1;
            if (f.tag == SA_ERRTAG_ERRNO)
                value->sys_errno = (int)number;
            else if (number > SA_OK && number < SA_CODE_COUNT)
                value->code = (enum sa_code)number;
        } else if (f.tag == SA_ERRTAG_MESSAGE) {
            if (sa_field_text_into(&f, value->message, sizeof value->message, err) < 0)
                return -1;
        } else if (f.tag == SA_ERRTAG_PATH) {
            if (sa_field_text_into(&f, value->path, sizeof value->path, err) < 0)
                return -1;
        } else if (f.tag & SA_FIELD_CRITICAL) {
            return sa_error_set(err, SA_EPROTOCOL, "field %u is unknown and critical", f.tag);
        }
    }
    return more;
}
