/* A small blocking HTTP/1.1 client for measuring: one connection, keep-alive, one thread each. */
#ifndef SA_BENCH_CLIENT_H
#define SA_BENCH_CLIENT_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

struct client {
    int fd;
    const char *host, *key; /* "127.0.0.1:8080" */
    char in[256 * 1024];    /* read, not used yet: in[at..have) */
    size_t at, have;
};

/* Connects; exits the program with a message when it cannot. */
void client_open(struct client *c, const char *host, const char *key);
void client_close(struct client *c);

/* One request with a small body. Returns the status; the answer's body goes to `answer`. */
int client_request(struct client *c, const char *method, const char *path, const char *body,
                   const char *accept, struct sa_buf *answer);
/* As above, but the body is `length` zero bytes, or the answer is only counted (*received). */
int client_upload(struct client *c, const char *path, uint64_t length);
int client_download(struct client *c, const char *method, const char *path, const char *body,
                    const char *accept, uint64_t *received);

/* The string member `name` of a flat JSON text, copied to `out`. Exits when it is not there. */
void json_member(const struct sa_buf *text, const char *name, char *out, size_t size);

#endif
