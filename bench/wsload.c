/*
 * What it costs over WebSockets, from a client that costs little itself. Prints JSON.
 *
 *     sa-wsload context HOST KEY SANDBOX CONTEXT ROUNDS CODE   execute → first output, execute →
 * end sa-wsload echo HOST KEY SANDBOX ROUNDS                   a key press through a terminal
 *     sa-wsload stdout HOST KEY SANDBOX MIB                    four executions over one stream
 *     sa-wsload idle HOST KEY SANDBOX COUNT                    open, until standard input ends
 */
#include "client.h"
#include "figures.h"

#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_MAX = 2 << 20 };

struct socket {
    struct client c;
    char *message; /* the last one; NUL-terminated */
    size_t length;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "sa-wsload: %s\n", what);
    exit(1);
}

static void send_all(struct socket *s, const void *data, size_t length)
{
    for (const char *at = data; length;) {
        ssize_t n = write(s->c.fd, at, length);
        if (n <= 0)
            die("the server closed the connection");
        at += n;
        length -= (size_t)n;
    }
}

static void take(struct socket *s, char *to, size_t length)
{
    while (length) {
        if (s->c.at == s->c.have) {
            ssize_t n = read(s->c.fd, s->c.in, sizeof s->c.in);
            if (n <= 0)
                die("the server closed the connection");
            s->c.at = 0;
            s->c.have = (size_t)n;
        }
        size_t n = s->c.have - s->c.at < length ? s->c.have - s->c.at : length;
        memcpy(to, s->c.in + s->c.at, n);
        s->c.at += n;
        to += n;
        length -= n;
    }
}

static void open_socket(struct socket *s, char **argv, const char *what)
{
    char head[1024], last[4] = "";
    client_open(&s->c, argv[2], argv[3]);
    int n = snprintf(head, sizeof head,
                     "GET /api/v1/sandboxes/%s/%s HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\n"
                     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     argv[4], what, argv[2], argv[3]);
    send_all(s, head, (size_t)n);
    take(s, head, 12);
    if (memcmp(head, "HTTP/1.1 101", 12) != 0)
        die("the WebSocket was refused");
    while (memcmp(last, "\r\n\r\n", 4) != 0) {
        memmove(last, last + 1, 3);
        take(s, last + 3, 1);
    }
    s->message = malloc(MESSAGE_MAX + 1);
}

/* Masked with zeroes: what is measured is the server. */
static void send_frame(struct socket *s, int opcode, const char *data, size_t length)
{
    char frame[65536] = {(char)(0x80 | opcode)};
    size_t head = length < 126 ? 6 : 8;
    if (head + length > sizeof frame)
        die("the message is too long");
    frame[1] = (char)(0x80 | (length < 126 ? length : 126));
    if (length >= 126) {
        frame[2] = (char)(length >> 8);
        frame[3] = (char)length;
    }
    memcpy(frame + head, data, length);
    send_all(s, frame, head + length);
}

/* The next data message. */
static void receive(struct socket *s)
{
    unsigned char head[10];
    do {
        take(s, (char *)head, 2);
        size_t more = (head[1] & 0x7f) == 126 ? 2 : (head[1] & 0x7f) == 127 ? 8 : 0;
        take(s, (char *)head + 2, more);
        s->length = more ? 0 : head[1] & 0x7f;
        for (size_t i = 0; i < more; i++)
            s->length = s->length << 8 | head[2 + i];
        if (s->length > MESSAGE_MAX)
            die("a message is too long");
        take(s, s->message, s->length);
        s->message[s->length] = '\0';
    } while ((head[0] & 0x0f) > 2);
}

static bool is_type(const struct socket *s, const char *type)
{
    char text[32];
    snprintf(text, sizeof text, "\"type\":\"%s\"", type);
    const char *found = strstr(s->message, "\"type\":");
    return found && !strncmp(found, text, strlen(text));
}

static void print_times(const char *name, double *ms, int count)
{
    sort_figures(ms, (size_t)count);
    printf("\"%s\":{\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f}", name, ms[count / 2],
           ms[count * 95 / 100], ms[count * 99 / 100]);
}

static double since_ms(int64_t start_us)
{
    return (double)(sa_monotonic_us() - start_us) / 1000.0;
}

enum { WARM_UP = 20 };

static void context(char **argv)
{
    struct socket *s = calloc(1, sizeof *s);
    int rounds = atoi(argv[6]);
    double *first = calloc((size_t)rounds, sizeof *first),
           *end = calloc((size_t)rounds, sizeof *end);
    char text[4096];
    open_socket(s, argv, "stream");
    int n = snprintf(text, sizeof text,
                     "{\"type\":\"execute\",\"id\":\"a\",\"context\":\"%s\",\"code\":\"%s\"}",
                     argv[5], argv[7]);
    for (int i = -WARM_UP; i < rounds; i++) {
        double first_ms = 0;
        int64_t start = sa_monotonic_us();
        send_frame(s, 1, text, (size_t)n);
        do {
            receive(s);
            if (first_ms <= 0 && (is_type(s, "stdout") || is_type(s, "result")))
                first_ms = since_ms(start);
            if (is_type(s, "error"))
                die(s->message);
        } while (!is_type(s, "exited"));
        if (i >= 0) {
            first[i] = first_ms;
            end[i] = since_ms(start);
        }
    }
    printf("{");
    print_times("first", first, rounds);
    printf(",");
    print_times("end", end, rounds);
    printf("}\n");
}

static void echo(char **argv)
{
    struct socket *s = calloc(1, sizeof *s);
    int rounds = atoi(argv[5]);
    double *ms = calloc((size_t)rounds, sizeof *ms);
    open_socket(s, argv, "terminal?command=cat");
    receive(s); /* started */
    for (int i = -WARM_UP; i < rounds; i++) {
        int64_t start = sa_monotonic_us();
        send_frame(s, 2, i % 64 == 63 ? "\n" : "x", 1);
        receive(s);
        if (i >= 0)
            ms[i] = since_ms(start);
        if (i % 64 == 63) { /* the line comes back, too */
            while (!memchr(s->message, '\n', s->length) || s->length < 3)
                receive(s);
        }
    }
    printf("{");
    print_times("echo", ms, rounds);
    printf("}\n");
}

static void standard_output(char **argv)
{
    enum { EXECUTIONS = 4 };
    struct socket *s = calloc(1, sizeof *s);
    unsigned long long bytes = (unsigned long long)atoi(argv[5]) << 20, wire = 0;
    char text[512];
    open_socket(s, argv, "stream");
    int64_t start = sa_monotonic_us();
    for (int i = 0; i < EXECUTIONS; i++) {
        int n =
            snprintf(text, sizeof text,
                     "{\"type\":\"execute\",\"id\":\"%d\",\"command\":\"yes 'a line of sixty-four "
                     "characters, as a log or a table would print it' | head -c %llu\"}",
                     i, bytes / EXECUTIONS);
        send_frame(s, 1, text, (size_t)n);
    }
    for (int ended = 0; ended < EXECUTIONS;) {
        receive(s);
        wire += s->length;
        ended += is_type(s, "exited");
    }
    double seconds = since_ms(start) / 1000.0;
    printf("{\"mib\":%llu,\"MBps\":%.0f,\"wireMBps\":%.0f}\n", bytes >> 20,
           (double)bytes / 1e6 / seconds, (double)wire / 1e6 / seconds);
}

static void idle(char **argv)
{
    int count = atoi(argv[5]);
    char end;
    for (int i = 0; i < count; i++) {
        struct socket *s = calloc(1, sizeof *s);
        open_socket(s, argv, "stream");
        free(s->message);
    }
    printf("{\"open\":%d}\n", count);
    fflush(stdout);
    while (read(0, &end, 1) > 0)
        ;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (!strcmp(mode, "context") && argc == 8)
        context(argv);
    else if (!strcmp(mode, "echo") && argc == 6)
        echo(argv);
    else if (!strcmp(mode, "stdout") && argc == 6)
        standard_output(argv);
    else if (!strcmp(mode, "idle") && argc == 6)
        idle(argv);
    else {
        fputs("usage: see the top of bench/wsload.c\n", stderr);
        return 64;
    }
    return 0;
}
