/* A growable byte buffer. Always followed by a NUL that `length` does not count. */
#ifndef SA_BASE_BUF_H
#define SA_BASE_BUF_H

#include <stddef.h>

struct sa_buf {
    char *data; /* NULL while nothing was added */
    size_t length, capacity;
};

#define SA_BUF_INIT                                                                                \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void sa_buf_deinit(struct sa_buf *buf); /* frees and zeroes; usable again */
#define sa_autobuf __attribute__((cleanup(sa_buf_deinit))) struct sa_buf

/* Make room for `more` bytes beyond `length` and return where they start. */
char *sa_buf_reserve(struct sa_buf *buf, size_t more);
void sa_buf_add(struct sa_buf *buf, const void *data, size_t length);
void sa_buf_adds(struct sa_buf *buf, const char *text);
void sa_buf_addc(struct sa_buf *buf, char c);
void sa_buf_printf(struct sa_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Drop `length` bytes from the front. */
void sa_buf_consume(struct sa_buf *buf, size_t length);
/* Hand over the memory (free() it); never NULL. */
char *sa_buf_steal(struct sa_buf *buf);

#endif
