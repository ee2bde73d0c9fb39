/* Starting and stopping, and where the shipped rules are. */
#include "policy/internal.h"

#include "base/cleanup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* `below` the folder of this program. */
static int beside(const char *below, char *path, size_t size)
{
    char self[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return -1;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash)
        return -1;
    *slash = '\0';
    const int written = snprintf(path, size, "%s/%s", self, below);
    return written > 0 && (size_t)written < size ? 0 : -1;
}

const char *sa_policy_shipped(char *path, size_t size)
{
    char inside[PATH_MAX];
    if (beside("../share/secureagent/lua", path, size) < 0 ||
        (size_t)snprintf(inside, sizeof inside, "%s/policies", path) >= sizeof inside)
        return NULL;
    return access(inside, R_OK | X_OK) == 0 ? path : NULL;
}

/* ---- what the engine tells ---- */

static void on_ready(void *owner, const struct sa_error *err)
{
    struct sa_policy *policy = owner;
    policy->ready(policy->options.owner, err);
}

static void on_changed(void *owner, const struct sa_error *err)
{
    struct sa_policy *policy = owner;
    if (policy->options.changed)
        policy->options.changed(policy->options.owner, err);
}

static void on_decided(struct sa_engine_listener *listener, const struct sa_decision *decision)
{
    struct sa_policy *policy = sa_container_of(listener, struct sa_policy, listener);
    if (decision->denied && policy->options.denied)
        policy->options.denied(policy->options.owner, decision);
}

/* What is no answer is none to anybody: the record and the metrics say that the default applied. */
static int check(void *owner, unsigned point, const struct sa_value *verdict, struct sa_error *err)
{
    struct policy_answer answer;
    struct sa_arena *arena = sa_arena_new();
    (void)owner;
    int rc = policy_answer_take((enum sa_point)point, verdict, arena, &answer, err);
    sa_arena_free(arena);
    return rc;
}

/* ---- start and stop ---- */

static int start_engine(struct sa_policy *policy, const char *program, const char *shipped,
                        struct sa_error *err)
{
    static const char *names[SA_POINT_COUNT + 1];
    const struct sa_policy_options *options = &policy->options;
    const char **dirs = sa_alloc((options->dir_count + 1) * sizeof *dirs);
    for (size_t i = 0; i < SA_POINT_COUNT; i++)
        names[i] = sa_policy_points[i].name;
    dirs[0] = shipped;
    for (size_t i = 0; i < options->dir_count; i++)
        dirs[i + 1] = options->dirs[i];
    const struct sa_engine_options engine = {.loop = options->loop,
                                             .metrics = options->metrics,
                                             .program = program,
                                             .dirs = dirs,
                                             .dir_count = options->dir_count + 1,
                                             .state_path = options->state_path,
                                             .watch = options->watch,
                                             .points = &policy->points,
                                             .point_names = names,
                                             .limits = options->limits,
                                             .changed = on_changed,
                                             .check = check,
                                             .owner = policy};
    policy->engine = sa_engine_start(&engine, on_ready, err);
    free(dirs);
    return policy->engine ? 0 : -1;
}

static void on_closed(uv_handle_t *handle)
{
    struct sa_policy *policy = sa_container_of(handle, struct sa_policy, later);
    sa_buf_deinit(&policy->points);
    free(policy);
}

struct sa_policy *sa_policy_start(const struct sa_policy_options *options,
                                  void (*ready)(void *owner, const struct sa_error *err),
                                  struct sa_error *err)
{
    char program[PATH_MAX], shipped[PATH_MAX];
    const char *worker = options->program, *rules = options->shipped;
    if (!worker && beside("policy-worker", program, sizeof program) == 0)
        worker = program;
    if (!rules)
        rules = sa_policy_shipped(shipped, sizeof shipped);
    if (!worker || !rules) {
        sa_error_set(
            err, SA_EUNAVAILABLE,
            "the shipped rules are not at ../share/secureagent/lua, seen from the folder of "
            "this program; install them there");
        return NULL;
    }
    struct sa_policy *policy = sa_alloc(sizeof *policy);
    policy->options = *options;
    policy->ready = ready;
    sa_policy_points_print(&policy->points);
    uv_timer_init(options->loop, &policy->later);
    policy->listener.decided = on_decided;
    if (start_engine(policy, worker, rules, err) < 0) {
        uv_close((uv_handle_t *)&policy->later, on_closed);
        return NULL;
    }
    sa_engine_listen(policy->engine, &policy->listener);
    return policy;
}

void sa_policy_stop(struct sa_policy *policy)
{
    if (!policy)
        return;
    policy_calls_drop(policy);
    sa_engine_unlisten(policy->engine, &policy->listener);
    sa_engine_stop(policy->engine);
    uv_close((uv_handle_t *)&policy->later, on_closed);
}

struct sa_engine *sa_policy_engine(struct sa_policy *policy)
{
    return policy->engine;
}

/* ---- explain ---- */

struct sa_policy_call *sa_policy_explain(struct sa_policy *policy, enum sa_point point,
                                         const char *json, size_t length, sa_engine_cb done,
                                         void *user, struct sa_error *err)
{
    sa_autobuf value = SA_BUF_INIT;
    union policy_input input = {0};
    struct sa_policy_call *call = NULL;
    struct sa_arena *arena = sa_arena_new();
    if (sa_value_from_json(json, length, &value, err) == 0) {
        const struct sa_value map = sa_value_of(value.data, value.length);
        if (sa_policy_decode_input(sa_policy_points[point].input, &map, "input", arena, &input,
                                   err) == 0)
            call = policy_ask_explain(policy, point, &input, done, user);
    }
    sa_arena_free(arena);
    return call;
}
