/* The typed questions of core/policy, as agent-api asks them. */
#include "policyload.h"

#include "loop/loop.h"
#include "policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECONDS = 3, BETWEEN_MS = 200, TIMES_MAX = 4 * 1000 * 1000 };

static struct {
    uv_loop_t *loop;
    struct sa_policy *policy;
    struct sa_policy_execute_input input;
    bool ready, stop, done; /* stop: ask no more; done: the last one has stopped */

    double *us; /* of each answer, `count` of them; fewer than none: not counted yet */
    long count, most;
    int64_t asked_ns;
    long answered;

    bool reloaded;
} t;

/* ---- start ---- */

static void on_ready(void *owner, const struct sa_error *err)
{
    (void)owner;
    if (err)
        die(err->message);
    t.ready = true;
}

static void start(const char *dir)
{
    static const char *argv[] = {"python3", "-c", "import sys; print(sys.version)"};
    static const char *names[] = {"HOME", "LANG", "PATH"};
    struct sa_error err;
    t.input = (struct sa_policy_execute_input){
        .who = {.scope = {.tenant = "acme", .pool = "python"},
                .user = {.name = "ci", .role = "developer"}},
        .sandbox = {.id = "sb-0123456789abcdef",
                    .name = "build-17",
                    .runtime = "python",
                    .security_level = "standard",
                    .age_s = 42},
        .kind = "command",
        .program = "python3",
        .argv = {argv, 3},
        .cwd = "/workspace",
        .env_names = {names, 3},
    };
    t.loop = sa_loop_new(&err);
    t.policy = !t.loop ? NULL
                       : sa_policy_start(&(struct sa_policy_options){.loop = t.loop,
                                                                     .metrics = sa_metrics_new(),
                                                                     .shipped = dir},
                                         on_ready, &err);
    if (!t.policy)
        die(err.message);
    while (!t.ready)
        uv_run(t.loop, UV_RUN_ONCE);
}

static void stop(void)
{
    sa_policy_stop(t.policy);
    sa_loop_free(t.loop);
    free(t.us);
}

static void check(const struct sa_policy_verdict *verdict)
{
    if (!verdict->allowed)
        die(verdict->reason);
}

/* ---- one in flight ---- */

static void on_round(void *user, const struct sa_policy_verdict *verdict,
                     const struct sa_policy_run *run)
{
    (void)user, (void)run;
    int64_t now = now_ns();
    check(verdict);
    if (t.count >= 0)
        t.us[t.count] = (double)(now - t.asked_ns) / 1000;
    t.done = ++t.count == t.most || t.stop;
    if (t.done)
        return;
    t.asked_ns = now_ns();
    sa_policy_execute(t.policy, &t.input, on_round, NULL);
}

/* Ask one behind the other, `first` uncounted, until there are `most` or t.stop is set. */
static void ask_rounds(long first, long most)
{
    t.count = -first;
    t.most = most;
    t.done = t.stop = false;
    t.asked_ns = now_ns();
    sa_policy_execute(t.policy, &t.input, on_round, NULL);
    while (!t.done)
        uv_run(t.loop, UV_RUN_ONCE);
}

/* ---- many in flight ---- */

static void on_answer(void *user, const struct sa_policy_verdict *verdict,
                      const struct sa_policy_run *run)
{
    (void)user, (void)run;
    check(verdict);
    t.answered++;
    if (!t.stop)
        sa_policy_execute(t.policy, &t.input, on_answer, NULL);
}

static void on_end(uv_timer_t *timer)
{
    t.stop = true;
    uv_close((uv_handle_t *)timer, NULL);
}

static void end_after(uv_timer_t *timer, uint64_t ms)
{
    uv_update_time(t.loop);
    uv_timer_init(t.loop, timer);
    uv_timer_start(timer, on_end, ms, 0);
}

void typed(long rounds, const char *dir)
{
    uv_timer_t end;
    stay_on_one_processor();
    start(dir);
    t.us = calloc((size_t)rounds, sizeof *t.us);
    ask_rounds(WARM_UP, rounds);
    putchar('{');
    print_times("decision", t.us, rounds);
    t.stop = false;
    int64_t start_ns = now_ns();
    end_after(&end, SECONDS * 1000);
    for (int i = 0; i < IN_FLIGHT; i++)
        sa_policy_execute(t.policy, &t.input, on_answer, NULL);
    while (!t.stop)
        uv_run(t.loop, UV_RUN_ONCE);
    printf(",\"inFlight\":%d,\"perSecond\":%.0f}\n", IN_FLIGHT,
           (double)t.answered / ((double)(now_ns() - start_ns) / 1e9));
    stop();
}

/* ---- reloads ---- */

static void on_reloaded(void *user, const struct sa_error *err)
{
    (void)user;
    if (err)
        die(err->message);
    t.stop = t.reloaded = true;
}

/* The slowest of all questions asked until `t.stop`, in ms. */
static double slowest(void)
{
    double most = 0;
    ask_rounds(0, TIMES_MAX);
    for (long i = 0; i < t.count; i++)
        most = t.us[i] > most ? t.us[i] : most;
    return most / 1000;
}

static void print_list(const char *name, const double *list, long n)
{
    printf("\"%s\":[", name);
    for (long i = 0; i < n; i++)
        printf("%s%.2f", i ? "," : "", list[i]);
    putchar(']');
}

/* In turns: a while without a reload, a reload. Both processors: the machine is as it is. */
void reload(long rounds, const char *dir)
{
    double *took = calloc((size_t)rounds, sizeof *took);
    double *before = calloc((size_t)rounds, sizeof *before);
    double *during = calloc((size_t)rounds, sizeof *during);
    start(dir);
    t.us = calloc(TIMES_MAX, sizeof *t.us);
    ask_rounds(0, WARM_UP);
    for (long i = 0; i < rounds; i++) {
        uv_timer_t end;
        end_after(&end, BETWEEN_MS);
        before[i] = slowest();
        int64_t start_ns = now_ns();
        t.reloaded = false;
        sa_engine_reload(sa_policy_engine(t.policy), on_reloaded, NULL);
        during[i] = slowest();
        if (!t.reloaded)
            die("a reload takes longer than all questions there was room for");
        took[i] = (double)(now_ns() - start_ns) / 1e6;
    }
    putchar('{');
    print_list("reloadMs", took, rounds);
    putchar(',');
    print_list("slowestMs", before, rounds);
    putchar(',');
    print_list("slowestDuringReloadMs", during, rounds);
    puts("}");
    free(took);
    free(before);
    free(during);
    stop();
}
