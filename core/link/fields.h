/*
 * Fields: the one encoding of structured values in link frames, node messages and the boot
 * block. A body is a sequence of fields:
 *
 *     u16 tag   little-endian. Bit 15 set (SA_FIELD_CRITICAL): a receiver that does not know the
 *               tag must refuse the whole body; other unknown tags are skipped.
 *     u32 len   little-endian, bytes of the value
 *     len bytes of value: bytes, UTF-8 text without NUL, or an 8-byte little-endian integer
 *
 * A tag may repeat: that is a list, in order. Nothing is nested deeper than a field whose value
 * is itself a body.
 */
#ifndef SA_LINK_FIELDS_H
#define SA_LINK_FIELDS_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SA_FIELD_CRITICAL 0x8000u
enum { SA_FIELD_HEADER_BYTES = 6 };

void sa_fields_add_bytes(struct sa_buf *out, uint16_t tag, const void *data, size_t length);
void sa_fields_add_text(struct sa_buf *out, uint16_t tag, const char *text);
void sa_fields_add_int(struct sa_buf *out, uint16_t tag, int64_t value);

/* One decoded field; `data` points into the body. */
struct sa_field {
    uint16_t tag;
    const uint8_t *data;
    size_t length;
};

struct sa_fields {
    const uint8_t *next;
    size_t left;
};

void sa_fields_init(struct sa_fields *reader, const void *body, size_t length);
/* 1 and the next field, 0 at the end, -1 and SA_EPROTOCOL when the body is cut short. */
int sa_fields_next(struct sa_fields *reader, struct sa_field *field, struct sa_error *err);

/* Typed views of a value; -1 and SA_EPROTOCOL (naming the tag) when it is not of that type. */
int sa_field_int(const struct sa_field *field, int64_t *value, struct sa_error *err);
/* Valid UTF-8 without NUL, at most `cap` bytes; *text is malloc'd, free() it. */
int sa_field_text(const struct sa_field *field, size_t cap, char **text, struct sa_error *err);
/* Text into a fixed array of `size` bytes. */
int sa_field_text_into(const struct sa_field *field, char *out, size_t size, struct sa_error *err);

/* Errors travel as a body of these tags (code is the API code's number in enum sa_code). */
enum sa_error_tag {
    SA_ERRTAG_CODE = 1,
    SA_ERRTAG_MESSAGE = 2,
    SA_ERRTAG_PATH = 3,
    SA_ERRTAG_ERRNO = 4
};
void sa_fields_add_error(struct sa_buf *out, uint16_t tag, const struct sa_error *error);
int sa_field_error(const struct sa_field *field, struct sa_error *value, struct sa_error *err);

#endif
