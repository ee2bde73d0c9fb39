#include "client.h"

#include "base/fdio.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "sa-loadgen: %s: %s\n", what, strerror(errno));
    exit(1);
}

void client_open(struct client *c, const char *host, const char *key)
{
    char address[64];
    const char *colon = strrchr(host, ':');
    struct sockaddr_in to = {.sin_family = AF_INET};
    if (!colon || (size_t)(colon - host) >= sizeof address)
        die("host is not ADDR:PORT");
    memcpy(address, host, (size_t)(colon - host));
    address[colon - host] = '\0';
    to.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
        die("address");
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    c->host = host;
    c->key = key;
    c->at = c->have = 0;
}

void client_close(struct client *c)
{
    close(c->fd);
}

static void fill(struct client *c)
{
    if (c->at == c->have)
        c->at = c->have = 0;
    if (c->have == sizeof c->in)
        die("line too long");
    ssize_t n = read(c->fd, c->in + c->have, sizeof c->in - c->have);
    if (n <= 0)
        die("the server closed the connection");
    c->have += (size_t)n;
}

/* The next line without its end, in place. */
static char *line(struct client *c)
{
    for (;;) {
        char *end = memchr(c->in + c->at, '\n', c->have - c->at);
        if (end) {
            char *start = c->in + c->at;
            c->at = (size_t)(end - c->in) + 1;
            end[-1] = '\0';
            return start;
        }
        if (c->at) {
            memmove(c->in, c->in + c->at, c->have - c->at);
            c->have -= c->at;
            c->at = 0;
        }
        fill(c);
    }
}

static void take(struct client *c, uint64_t length, struct sa_buf *answer, uint64_t *received)
{
    *received += length;
    while (length) {
        if (c->at == c->have)
            fill(c);
        size_t n = c->have - c->at;
        if (n > length)
            n = (size_t)length;
        if (answer)
            sa_buf_add(answer, c->in + c->at, n);
        c->at += n;
        length -= n;
    }
}

static int answer_read(struct client *c, struct sa_buf *answer, uint64_t *received)
{
    uint64_t length = 0;
    int chunked = 0, status = atoi(line(c) + 9);
    if (answer)
        answer->length = 0;
    *received = 0;
    for (char *l; *(l = line(c));) {
        if (strncasecmp(l, "content-length:", 15) == 0)
            length = strtoull(l + 15, NULL, 10);
        else if (strncasecmp(l, "transfer-encoding: chunked", 26) == 0)
            chunked = 1;
    }
    if (!chunked) {
        take(c, length, answer, received);
        return status;
    }
    while ((length = strtoull(line(c), NULL, 16)) > 0) {
        take(c, length, answer, received);
        line(c);
    }
    line(c);
    return status;
}

static void send_head(struct client *c, const char *method, const char *path, uint64_t length,
                      const char *accept, const char *body)
{
    sa_autobuf head = SA_BUF_INIT;
    sa_buf_printf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\nAccept: %s\r\n", method,
                  path, c->host, c->key, accept ? accept : "*/*");
    sa_buf_printf(&head, "Content-Type: application/json\r\nContent-Length: %llu\r\n\r\n",
                  (unsigned long long)length);
    if (body)
        sa_buf_adds(&head, body);
    if (sa_write_all(c->fd, head.data, head.length) < 0)
        die("write");
}

int client_request(struct client *c, const char *method, const char *path, const char *body,
                   const char *accept, struct sa_buf *answer)
{
    uint64_t received;
    send_head(c, method, path, body ? strlen(body) : 0, accept, body);
    return answer_read(c, answer, &received);
}

int client_upload(struct client *c, const char *path, uint64_t length)
{
    static const char zeros[256 * 1024];
    struct sa_buf answer = SA_BUF_INIT;
    uint64_t received;
    send_head(c, "PUT", path, length, NULL, NULL);
    while (length) {
        size_t n = length < sizeof zeros ? (size_t)length : sizeof zeros;
        if (sa_write_all(c->fd, zeros, n) < 0)
            die("upload");
        length -= n;
    }
    int status = answer_read(c, &answer, &received);
    sa_buf_deinit(&answer);
    return status;
}

int client_download(struct client *c, const char *method, const char *path, const char *body,
                    const char *accept, uint64_t *received)
{
    send_head(c, method, path, body ? strlen(body) : 0, accept, body);
    return answer_read(c, NULL, received);
}

void json_member(const struct sa_buf *text, const char *name, char *out, size_t size)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "\"%s\":\"", name);
    const char *at = text->length ? strstr(text->data, pattern) : NULL;
    if (!at) {
        fprintf(stderr, "sa-loadgen: no \"%s\" in the answer: %.300s\n", name,
                text->length ? text->data : "");
        exit(1);
    }
    at += strlen(pattern);
    size_t n = strcspn(at, "\"");
    snprintf(out, size, "%.*s", (int)n, at);
}
