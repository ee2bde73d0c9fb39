/*
 * The measuring half of `make bench`: drives a running agent-api over HTTP, or starts a command as
 * a process, and prints one JSON object. bench.py runs it and writes the table.
 *
 *   sa-loadgen cold HOST KEY RUNTIME ROUNDS BODY   create -> first result, then delete
 *   sa-loadgen spawn ROUNDS COMMAND...             start a process, wait for its end
 *   sa-loadgen rate HOST KEY RUNTIME CLIENTS SECONDS  create + execute true + delete, repeated
 *   sa-loadgen exec HOST KEY ROUNDS BODY           execute in one sandbox, repeated
 *   sa-loadgen context HOST KEY LANGUAGE ROUNDS CODE   execute in one warm context, repeated
 *   sa-loadgen transfer HOST KEY MIB               upload, download, and stdout as NDJSON
 *   sa-loadgen floor CLIENTS SECONDS               run true for requests over loopback, nothing
 * else sa-loadgen fill HOST KEY COUNT                 make COUNT sandboxes and leave them
 */
#include "client.h"
#include "figures.h"
#include "floor.h"

#include "base/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static const char run_true[] = "{\"command\":[\"true\"]}";

static _Noreturn void bad(const char *what, int status, const struct sa_buf *answer)
{
    fprintf(stderr, "sa-loadgen: %s answered %d: %.300s\n", what, status,
            answer->length ? answer->data : "");
    exit(1);
}

static double rank(const double *sorted, int n, double q)
{
    int i = (int)(q * (n - 1) + 0.5);
    return sorted[i];
}

static void print_times(const char *name, double *ms, int n)
{
    sort_figures(ms, (size_t)n);
    printf("\"%s\":{\"n\":%d,\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f,\"min\":%.3f,\"max\":%.3f}",
           name, n, rank(ms, n, .5), rank(ms, n, .95), rank(ms, n, .99), ms[0], ms[n - 1]);
}

static double since_ms(int64_t start_us)
{
    return (double)(sa_monotonic_us() - start_us) / 1000.0;
}

static void create(struct client *c, const char *body, char id[64])
{
    sa_autobuf answer = SA_BUF_INIT;
    int status = client_request(c, "POST", "/api/v1/sandboxes", body, NULL, &answer);
    if (status != 201)
        bad("create", status, &answer);
    json_member(&answer, "id", id, 64);
}

static void execute(struct client *c, const char *id, const char *body)
{
    char path[128];
    sa_autobuf answer = SA_BUF_INIT;
    snprintf(path, sizeof path, "/api/v1/sandboxes/%s/execute", id);
    int status = client_request(c, "POST", path, body, NULL, &answer);
    if (status != 200 || !strstr(answer.data, "\"exitCode\":0"))
        bad("execute", status, &answer);
}

static void destroy(struct client *c, const char *id)
{
    char path[128];
    sa_autobuf answer = SA_BUF_INIT;
    snprintf(path, sizeof path, "/api/v1/sandboxes/%s", id);
    int status = client_request(c, "DELETE", path, NULL, NULL, &answer);
    if (status != 204)
        bad("delete", status, &answer);
}

static void cold(const char *host, const char *key, const char *runtime, int rounds,
                 const char *body)
{
    struct client *c = malloc(sizeof *c);
    double *whole = calloc((size_t)rounds, sizeof *whole);
    double *created = calloc((size_t)rounds, sizeof *created);
    double *ran = calloc((size_t)rounds, sizeof *ran);
    double *deleted = calloc((size_t)rounds, sizeof *deleted);
    char spec[128], id[64];
    snprintf(spec, sizeof spec, "{\"runtime\":\"%s\"}", runtime);
    client_open(c, host, key);
    for (int i = -3; i < rounds; i++) { /* three to warm up */
        int64_t start = sa_monotonic_us();
        create(c, spec, id);
        double at_created = since_ms(start);
        execute(c, id, body);
        double at_result = since_ms(start);
        destroy(c, id);
        if (i < 0)
            continue;
        created[i] = at_created;
        ran[i] = at_result - at_created;
        whole[i] = at_result;
        deleted[i] = since_ms(start) - at_result;
    }
    putchar('{');
    print_times("firstResult", whole, rounds);
    putchar(',');
    print_times("create", created, rounds);
    putchar(',');
    print_times("execute", ran, rounds);
    putchar(',');
    print_times("delete", deleted, rounds);
    puts("}");
}

static void spawn(int rounds, char **command)
{
    double *ms = calloc((size_t)rounds, sizeof *ms);
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    for (int i = -3; i < rounds; i++) {
        pid_t pid;
        int status;
        int64_t start = sa_monotonic_us();
        if (posix_spawnp(&pid, command[0], &quiet, NULL, command, environ) != 0 ||
            waitpid(pid, &status, 0) < 0 || status != 0) {
            fprintf(stderr, "sa-loadgen: %s failed\n", command[0]);
            exit(1);
        }
        if (i >= 0)
            ms[i] = since_ms(start);
    }
    putchar('{');
    print_times("run", ms, rounds);
    puts("}");
}

static void exec_many(const char *host, const char *key, int rounds, const char *body)
{
    struct client *c = malloc(sizeof *c);
    double *ms = calloc((size_t)rounds, sizeof *ms);
    char id[64];
    client_open(c, host, key);
    create(c, "{\"runtime\":\"python\"}", id);
    for (int i = -3; i < rounds; i++) {
        int64_t start = sa_monotonic_us();
        execute(c, id, body);
        if (i >= 0)
            ms[i] = since_ms(start);
    }
    destroy(c, id);
    putchar('{');
    print_times("execute", ms, rounds);
    puts("}");
}

/* `code` must need no escapes in JSON. */
static void context_many(const char *host, const char *key, const char *language, int rounds,
                         const char *code)
{
    struct client *c = malloc(sizeof *c);
    double *ms = calloc((size_t)rounds, sizeof *ms);
    char id[64], context[64], path[128], body[1024];
    sa_autobuf answer = SA_BUF_INIT;
    client_open(c, host, key);
    create(c, "{\"runtime\":\"python\"}", id);
    snprintf(path, sizeof path, "/api/v1/sandboxes/%s/contexts", id);
    snprintf(body, sizeof body, "{\"language\":\"%s\"}", language);
    int status = client_request(c, "POST", path, body, NULL, &answer);
    if (status != 201)
        bad("context", status, &answer);
    json_member(&answer, "id", context, sizeof context);
    snprintf(body, sizeof body, "{\"context\":\"%s\",\"code\":\"%s\"}", context, code);
    for (int i = -20; i < rounds; i++) {
        int64_t start = sa_monotonic_us();
        execute(c, id, body);
        if (i >= 0)
            ms[i] = since_ms(start);
    }
    destroy(c, id);
    putchar('{');
    print_times("execute", ms, rounds);
    puts("}");
}

struct worker {
    const char *host, *key, *runtime;
    int64_t until_us;
    atomic_long *done;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct client *c = malloc(sizeof *c);
    char id[64], body[128];
    snprintf(body, sizeof body, "{\"runtime\":\"%s\"}", w->runtime);
    client_open(c, w->host, w->key);
    while (sa_monotonic_us() < w->until_us) {
        create(c, body, id);
        execute(c, id, run_true);
        destroy(c, id);
        atomic_fetch_add(w->done, 1);
    }
    client_close(c);
    free(c);
    return NULL;
}

static void rate(const char *host, const char *key, const char *runtime, int clients, int seconds)
{
    atomic_long done = 0;
    int64_t start = sa_monotonic_us();
    struct worker w = {host, key, runtime, start + (int64_t)seconds * 1000000, &done};
    pthread_t *threads = calloc((size_t)clients, sizeof *threads);
    for (int i = 0; i < clients; i++)
        if (pthread_create(&threads[i], NULL, work, &w) != 0)
            exit(1);
    for (int i = 0; i < clients; i++)
        pthread_join(threads[i], NULL);
    double elapsed = since_ms(start) / 1000.0;
    printf("{\"clients\":%d,\"seconds\":%.2f,\"cycles\":%ld,\"perSecond\":%.1f}\n", clients,
           elapsed, atomic_load(&done), (double)atomic_load(&done) / elapsed);
}

static double mb_per_s(uint64_t bytes, int64_t start_us)
{
    return (double)bytes / 1e6 / (since_ms(start_us) / 1000.0);
}

static void transfer(const char *host, const char *key, int mib)
{
    struct client *c = malloc(sizeof *c);
    char id[64], path[128], body[256], spec[128];
    uint64_t bytes = (uint64_t)mib << 20, got;
    double up[3], down[3], out[3], payload[3];
    snprintf(spec, sizeof spec,
             "{\"runtime\":\"python\",\"resources\":{\"memory\":\"%dMi\",\"cpu\":\"2\"}}", mib * 6);
    client_open(c, host, key);
    create(c, spec, id);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "/api/v1/sandboxes/%s/files/workspace/blob", id);
        int64_t start = sa_monotonic_us();
        if (client_upload(c, path, bytes) >= 300)
            exit(1);
        up[i] = mb_per_s(bytes, start);
        start = sa_monotonic_us();
        if (client_download(c, "GET", path, NULL, NULL, &got) != 200 || got != bytes)
            exit(1);
        down[i] = mb_per_s(got, start);
        snprintf(path, sizeof path, "/api/v1/sandboxes/%s/execute", id);
        /* Lines of text, as a program would print them. */
        snprintf(body, sizeof body,
                 "{\"command\":\"yes 'a line of sixty-four characters, as a log or a table would "
                 "print it' | head -c %llu\"}",
                 (unsigned long long)bytes);
        start = sa_monotonic_us();
        if (client_download(c, "POST", path, body, "application/x-ndjson", &got) != 200)
            exit(1);
        out[i] = mb_per_s(got, start);
        payload[i] = mb_per_s(bytes, start);
    }
    destroy(c, id);
    sort_figures(up, 3);
    sort_figures(down, 3);
    sort_figures(out, 3);
    sort_figures(payload, 3);
    printf("{\"mib\":%d,\"uploadMBps\":%.0f,\"downloadMBps\":%.0f,\"stdoutMBps\":%.0f,"
           "\"stdoutWireMBps\":%.0f}\n",
           mib, up[1], down[1], payload[1], out[1]);
}

static void fill(const char *host, const char *key, int count)
{
    struct client *c = malloc(sizeof *c);
    char id[64];
    client_open(c, host, key);
    for (int i = 0; i < count; i++)
        create(c, "{\"runtime\":\"python\",\"timeout\":600}", id);
    printf("{\"sandboxes\":%d,\"last\":\"%s\"}\n", count, id);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "cold") == 0 && argc == 7)
        cold(argv[2], argv[3], argv[4], atoi(argv[5]), argv[6]);
    else if (strcmp(mode, "spawn") == 0 && argc > 3)
        spawn(atoi(argv[2]), argv + 3);
    else if (strcmp(mode, "exec") == 0 && argc == 6)
        exec_many(argv[2], argv[3], atoi(argv[4]), argv[5]);
    else if (strcmp(mode, "context") == 0 && argc == 7)
        context_many(argv[2], argv[3], argv[4], atoi(argv[5]), argv[6]);
    else if (strcmp(mode, "rate") == 0 && argc == 7)
        rate(argv[2], argv[3], argv[4], atoi(argv[5]), atoi(argv[6]));
    else if (strcmp(mode, "transfer") == 0 && argc == 5)
        transfer(argv[2], argv[3], atoi(argv[4]));
    else if (strcmp(mode, "floor") == 0 && argc == 4)
        floor_measure(atoi(argv[2]), atoi(argv[3]));
    else if (strcmp(mode, "fill") == 0 && argc == 5)
        fill(argv[2], argv[3], atoi(argv[4]));
    else {
        fputs("usage: see the top of bench/loadgen.c\n", stderr);
        return 64;
    }
    return 0;
}
