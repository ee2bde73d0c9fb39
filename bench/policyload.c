/*
 * What policy decisions cost, asked by the code that agent-api asks with. Prints JSON; times in
 * microseconds unless their names say otherwise. DIR holds policies/ and scaling/.
 *
 * One policy-worker, its parent on the same processor; INPUT is JSON:
 *     sa-policyload latency POINT ROUNDS INPUT DIR...    one question in flight
 *     sa-policyload rate POINT SECONDS INPUT DIR...      many in flight
 * The typed questions with all that belongs to them: encoding, record, metrics
 * (policyload_typed.c): sa-policyload typed ROUNDS DIR                     one question in flight,
 * then many sa-policyload reload ROUNDS DIR                    questions while rules are read anew
 */
#include "policyload.h"
#include "figures.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "loop/loop.h"
#include "lua/worker.h"
#include "policy/schema.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct load {
    uv_loop_t *loop;
    struct sa_worker *worker;
    struct sa_buf input;
    unsigned point;
    bool ready, done;
    char verdict[32];

    double *us; /* of each round */
    long round, rounds;
    int64_t asked_ns;

    long answered;
    int64_t until_us;
} load;

_Noreturn void die(const char *what)
{
    fprintf(stderr, "sa-policyload: %s\n", what);
    exit(1);
}

/* ---- one processor, one worker ---- */

void stay_on_one_processor(void)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) < 0)
        die("no processor");
    size_t last = CPU_SETSIZE - 1;
    while (last && !CPU_ISSET(last, &all))
        last--;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    sched_setaffinity(0, sizeof one, &one); /* the worker inherits it */
}

static void on_started(void *owner, const struct sa_error *err, const struct sa_value *compiled,
                       const struct sa_value *tested)
{
    (void)owner, (void)compiled, (void)tested;
    if (err)
        die(err->message);
    load.ready = true;
}

static void on_died(void *owner, const struct sa_error *why)
{
    (void)owner;
    die(why->message);
}

static void start(char **dirs, int count)
{
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 16);
    char *name = memrchr(program, '/', n > 0 ? (size_t)n : 0);
    struct sa_error err;
    sa_autobuf points = SA_BUF_INIT;
    if (!name)
        die("where is policy-worker?");
    snprintf(name, 16, "/policy-worker");
    sa_policy_points_print(&points);
    load.loop = sa_loop_new(&err);
    struct sa_bundle *bundle =
        sa_bundle_read((const char *const *)(const void *)dirs, (size_t)count, &err);
    if (!load.loop || !bundle)
        die(err.message);
    load.worker = sa_worker_start(&(struct sa_worker_options){.loop = load.loop,
                                                              .program = program,
                                                              .points = &points,
                                                              .bundle = bundle,
                                                              .started = on_started,
                                                              .died = on_died},
                                  &err);
    if (!load.worker)
        die(err.message);
    sa_bundle_unref(bundle);
    while (!load.ready)
        uv_run(load.loop, UV_RUN_ONCE);
}

static long resident_kb(pid_t pid)
{
    char path[64];
    sa_autobuf text = SA_BUF_INIT;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    if (sa_read_file(AT_FDCWD, path, 1 << 16, &text, NULL) < 0)
        return -1;
    const char *line = strstr(text.data, "VmRSS:");
    return line ? strtol(line + 6, NULL, 10) : -1;
}

/* ---- questions ---- */

int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void ask(sa_worker_cb done)
{
    struct sa_error err;
    if (!sa_worker_ask(load.worker, load.point, 0, &load.input, done, NULL, &err))
        die(err.message);
}

static void check(const struct sa_error *err, const struct sa_value *verdict)
{
    if (err)
        die(err->message);
    if (load.verdict[0])
        return;
    struct sa_value name = sa_value_get(verdict, "verdict");
    snprintf(load.verdict, sizeof load.verdict, "%.*s", (int)name.length,
             name.data ? name.data : "");
}

static void on_round(void *user, const struct sa_error *err, const struct sa_value *verdict)
{
    (void)user;
    int64_t now = now_ns();
    check(err, verdict);
    if (load.round >= 0)
        load.us[load.round] = (double)(now - load.asked_ns) / 1000;
    if (++load.round == load.rounds) {
        load.done = true;
        return;
    }
    load.asked_ns = now_ns();
    ask(on_round);
}

static void on_answer(void *user, const struct sa_error *err, const struct sa_value *verdict)
{
    (void)user;
    check(err, verdict);
    load.answered++;
    if (!load.done)
        ask(on_answer);
}

static void run(void)
{
    while (!load.done)
        uv_run(load.loop, UV_RUN_ONCE);
}

static double rank(const double *sorted, long n, double q)
{
    return sorted[(long)(q * (double)(n - 1) + 0.5)];
}

void print_times(const char *name, double *us, long n)
{
    sort_figures(us, (size_t)n);
    printf("\"%s\":{\"n\":%ld,\"p50\":%.2f,\"p95\":%.2f,\"p99\":%.2f,\"max\":%.2f}", name, n,
           rank(us, n, .5), rank(us, n, .95), rank(us, n, .99), rank(us, n, 1));
}

static void latency(long rounds)
{
    load.rounds = rounds;
    load.round = -WARM_UP;
    load.us = calloc((size_t)rounds, sizeof *load.us);
    load.asked_ns = now_ns();
    ask(on_round);
    run();
    print_times("decision", load.us, rounds);
    free(load.us);
}

static long positive(const char *text)
{
    long n = strtol(text, NULL, 10);
    if (n < 1)
        die("a number of rounds or seconds is missing");
    return n;
}

static void on_end(uv_timer_t *timer)
{
    load.done = true;
    uv_close((uv_handle_t *)timer, NULL);
}

static void rate(long seconds)
{
    uv_timer_t end;
    uv_timer_init(load.loop, &end);
    uv_timer_start(&end, on_end, (uint64_t)seconds * 1000, 0);
    int64_t start_us = sa_monotonic_us();
    for (int i = 0; i < IN_FLIGHT; i++)
        ask(on_answer);
    run();
    double took = (double)(sa_monotonic_us() - start_us) / 1e6;
    printf("\"inFlight\":%d,\"perSecond\":%.0f", IN_FLIGHT, (double)load.answered / took);
}

static void worker_alone(int argc, char **argv)
{
    struct sa_error err;
    if (argc < 6)
        die("usage: sa-policyload latency|rate POINT ROUNDS|SECONDS INPUT DIR...");
    int point = sa_policy_point_find(argv[2]);
    if (point < 0)
        die("no such point");
    load.point = (unsigned)point;
    if (sa_value_from_json(argv[4], strlen(argv[4]), &load.input, &err) < 0)
        die(err.message);
    stay_on_one_processor();
    start(argv + 5, argc - 5);
    putchar('{');
    if (strcmp(argv[1], "rate") == 0)
        rate(positive(argv[3]));
    else
        latency(positive(argv[3]));
    printf(",\"verdict\":\"%s\",\"residentKB\":%ld}\n", load.verdict,
           resident_kb(sa_worker_pid(load.worker)));
    sa_worker_kill(load.worker);
    sa_loop_free(load.loop);
    sa_buf_deinit(&load.input);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "typed") == 0)
        typed(positive(argv[2]), argv[3]);
    else
        worker_alone(argc, argv);
    return 0;
}
