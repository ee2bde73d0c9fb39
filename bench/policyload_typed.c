/* The typed questions of core/policy, as agent-api asks them. */
#include "policyload.h"

#include "loop/loop.h"
#include "policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECONDS = 3 };

static struct {
    uv_loop_t *loop;
    struct sa_policy *policy;
    struct sa_policy_execute_input input;
    bool ready, stop;

    double *us; /* of each answer, `count` of them; fewer than none: not counted yet */
    long count, most;
    int64_t asked_ns;
    long answered;
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
    t.stop = ++t.count == t.most;
    if (t.stop)
        return;
    t.asked_ns = now_ns();
    sa_policy_execute(t.policy, &t.input, on_round, NULL);
}

static void ask_rounds(long most)
{
    t.count = -WARM_UP;
    t.most = most;
    t.asked_ns = now_ns();
    sa_policy_execute(t.policy, &t.input, on_round, NULL);
    while (!t.stop)
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

void typed(long rounds, const char *dir)
{
    uv_timer_t end;
    stay_on_one_processor();
    start(dir);
    t.us = calloc((size_t)rounds, sizeof *t.us);
    ask_rounds(rounds);
    putchar('{');
    print_times("decision", t.us, rounds);
    t.stop = false;
    int64_t start_ns = now_ns();
    uv_update_time(t.loop);
    uv_timer_init(t.loop, &end);
    uv_timer_start(&end, on_end, SECONDS * 1000, 0);
    for (int i = 0; i < IN_FLIGHT; i++)
        sa_policy_execute(t.policy, &t.input, on_answer, NULL);
    while (!t.stop)
        uv_run(t.loop, UV_RUN_ONCE);
    printf(",\"inFlight\":%d,\"perSecond\":%.0f}\n", IN_FLIGHT,
           (double)t.answered / ((double)(now_ns() - start_ns) / 1e9));
    stop();
}
