#include "base/buf.h"

#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 128 };

void sa_buf_deinit(struct sa_buf *buf)
{
    free(buf->data);
    *buf = (struct sa_buf)SA_BUF_INIT;
}

char *sa_buf_reserve(struct sa_buf *buf, size_t more)
{
    if (buf->capacity - buf->length < more + 1 || !buf->data) {
        size_t want = buf->capacity ? buf->capacity * 2 : FIRST_BYTES;
        if (want < buf->length + more + 1)
            want = buf->length + more + 1;
        buf->data = sa_realloc(buf->data, want);
        buf->capacity = want;
        buf->data[buf->length] = '\0';
    }
    return buf->data + buf->length;
}

void sa_buf_add(struct sa_buf *buf, const void *data, size_t length)
{
    char *to = sa_buf_reserve(buf, length);
    if (length)
        memcpy(to, data, length);
    buf->length += length;
    buf->data[buf->length] = '\0';
}

void sa_buf_adds(struct sa_buf *buf, const char *text)
{
    sa_buf_add(buf, text, strlen(text));
}

void sa_buf_addc(struct sa_buf *buf, char c)
{
    char *to = sa_buf_reserve(buf, 1);
    to[0] = c;
    to[1] = '\0';
    buf->length++;
}

/* Into the room that there is; again where it was too little. */
void sa_buf_printf(struct sa_buf *buf, const char *fmt, ...)
{
    va_list ap, again;
    const size_t room = buf->capacity - buf->length;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(room ? buf->data + buf->length : NULL, room, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n >= room)
        vsnprintf(sa_buf_reserve(buf, (size_t)n), (size_t)n + 1, fmt, again);
    if (n > 0)
        buf->length += (size_t)n;
    va_end(again);
}

void sa_buf_consume(struct sa_buf *buf, size_t length)
{
    if (!length)
        return;
    memmove(buf->data, buf->data + length, buf->length - length);
    buf->length -= length;
    buf->data[buf->length] = '\0';
}

char *sa_buf_steal(struct sa_buf *buf)
{
    sa_buf_reserve(buf, 0);
    char *data = buf->data;
    *buf = (struct sa_buf)SA_BUF_INIT;
    return data;
}
