/* One typed function for each decision point: what is asked, and what comes back of it. */
#include "policy/internal.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <string.h>

enum { CODE_BYTES = 48 * 1024, ARGV_BYTES = 32 * 1024, NAMES_BYTES = 8 * 1024 };

#define ASK(POINT, MEMBER, DONE)                                                                   \
    __extension__({                                                                                \
        const union policy_input asked_ = {.MEMBER = *input};                                      \
        const union policy_done told_ = {.DONE = done};                                            \
        policy_ask(policy, SA_POINT_##POINT, &asked_, told_, user);                                \
    })

struct sa_policy_call *sa_policy_profile(struct sa_policy *policy,
                                         const struct sa_policy_profile_input *input,
                                         sa_policy_profile_cb done, void *user)
{
    return ASK(PROFILE, profile, profile);
}

struct sa_policy_call *sa_policy_seccomp(struct sa_policy *policy,
                                         const struct sa_policy_seccomp_input *input,
                                         sa_policy_seccomp_cb done, void *user)
{
    return ASK(SECCOMP, seccomp, seccomp);
}

struct sa_policy_call *sa_policy_admission(struct sa_policy *policy,
                                           const struct sa_policy_admission_input *input,
                                           sa_policy_admission_cb done, void *user)
{
    struct sa_policy_call *call = ASK(ADMISSION, admission, admission);
    call->came.object = input->object ? sa_strdup(input->object) : NULL;
    return call;
}

struct sa_policy_call *sa_policy_files(struct sa_policy *policy,
                                       const struct sa_policy_files_input *input, sa_policy_cb done,
                                       void *user)
{
    return ASK(FILES, files, plain);
}

struct sa_policy_call *sa_policy_packages(struct sa_policy *policy,
                                          const struct sa_policy_packages_input *input,
                                          sa_policy_cb done, void *user)
{
    return ASK(PACKAGES, packages, plain);
}

struct sa_policy_call *sa_policy_egress(struct sa_policy *policy,
                                        const struct sa_policy_egress_input *input,
                                        sa_policy_grant_cb done, void *user)
{
    struct sa_policy_call *call = ASK(EGRESS, egress, grant);
    call->came.grant = input->grant;
    return call;
}

struct sa_policy_call *sa_policy_recycle(struct sa_policy *policy,
                                         const struct sa_policy_recycle_input *input,
                                         sa_policy_cb done, void *user)
{
    return ASK(RECYCLE, recycle, plain);
}

struct sa_policy_call *sa_policy_scaling(struct sa_policy *policy,
                                         const struct sa_policy_scaling_input *input,
                                         sa_policy_scaling_cb done, void *user)
{
    struct sa_policy_call *call = ASK(SCALING, scaling, scaling);
    call->came.pool = (struct sa_policy_pool){
        .min = input->pool.min, .max = input->pool.max, .size = input->pool.size};
    return call;
}

struct sa_policy_call *sa_policy_anomaly(struct sa_policy *policy,
                                         const struct sa_policy_anomaly_input *input,
                                         sa_policy_anomaly_cb done, void *user)
{
    return ASK(ANOMALY, anomaly, anomaly);
}

/* The table's own text for it. */
static const char *end_action(const char *action)
{
    const char *const *known = sa_fields_end[0].values;
    while (action && *known && strcmp(*known, action) != 0)
        known++;
    return action && *known ? *known : sa_fields_end[0].values[0];
}

struct sa_policy_call *sa_policy_lifecycle(struct sa_policy *policy,
                                           const struct sa_policy_lifecycle_input *input,
                                           sa_policy_end_cb done, void *user)
{
    struct sa_policy_call *call = ASK(LIFECYCLE, lifecycle, end);
    call->came.end = input->end;
    call->came.end.action = end_action(input->end.action);
    return call;
}

/* ---- execute: what is too long to be asked about whole ---- */

static const char *cut(struct sa_arena *arena, const char *text, size_t most)
{
    return sa_arena_strndup(arena, text, most - sa_utf8_partial_tail(text, most));
}

/* As many elements as fit, the last one cut. True: something was left out. */
static bool cut_texts(struct sa_arena *arena, struct sa_json_strings *texts, size_t most)
{
    size_t used = 0;
    for (size_t i = 0; i < texts->count; i++) {
        const size_t length = strlen(texts->items[i]), each = length + 4;
        if (used + each <= most) {
            used += each;
            continue;
        }
        const char **items = sa_arena_alloc(arena, (i + 1) * sizeof *items);
        memcpy(items, texts->items, i * sizeof *items);
        items[i] = cut(arena, texts->items[i], most - used < length ? most - used : length);
        *texts = (struct sa_json_strings){.items = items, .count = i + 1};
        return true;
    }
    return false;
}

struct sa_policy_call *sa_policy_execute(struct sa_policy *policy,
                                         const struct sa_policy_execute_input *input,
                                         sa_policy_run_cb done, void *user)
{
    union policy_input asked = {.execute = *input};
    struct sa_policy_execute_input *e = &asked.execute;
    struct sa_arena *arena = sa_arena_new();
    const size_t code = e->code ? strlen(e->code) : 0;
    if (code > CODE_BYTES)
        e->code = cut(arena, e->code, CODE_BYTES);
    const bool argv = cut_texts(arena, &e->argv, ARGV_BYTES);
    const bool names = cut_texts(arena, &e->env_names, NAMES_BYTES);
    e->truncated = e->truncated || argv || names || code > CODE_BYTES;
    struct sa_policy_call *call =
        policy_ask(policy, SA_POINT_EXECUTE, &asked, (union policy_done){.run = done}, user);
    call->came.run = input->run;
    sa_arena_free(arena);
    return call;
}

/* ---- what comes back ---- */

static void deliver_admission(struct sa_policy_call *call, const struct sa_policy_verdict *verdict,
                              const struct policy_answer *answer)
{
    sa_autobuf json = SA_BUF_INIT;
    const char *object = call->came.object;
    if (!verdict->allowed) {
        call->done.admission(call->user, verdict, NULL, 0);
        return;
    }
    if (answer && answer->changed) {
        sa_value_to_json(&answer->result.object, &json);
        object = json.data;
    }
    call->done.admission(call->user, verdict, object, object ? strlen(object) : 0);
}

static int64_t within(int64_t size, const struct sa_policy_pool *pool)
{
    if (size > pool->max)
        size = pool->max;
    return size < pool->min ? pool->min : size;
}

static void deliver_scaling(struct sa_policy_call *call, const struct sa_policy_verdict *verdict,
                            const struct policy_answer *answer)
{
    const struct sa_policy_pool *pool = &call->came.pool;
    const struct sa_policy_scaling_output output = {
        .size = answer ? within(answer->result.scaling.size, pool) : pool->size,
        .reason = verdict->reason};
    call->done.scaling(call->user, verdict, &output);
}

static void deliver_anomaly(struct sa_policy_call *call, struct sa_policy_verdict *verdict,
                            const struct policy_answer *answer)
{
    struct sa_policy_anomaly_output output = {.action = SA_ANOMALY_ALERT};
    if (answer) {
        const char *const *actions = sa_fields_anomaly_returns[1].values;
        output = (struct sa_policy_anomaly_output){.score = answer->result.anomaly.score};
        while (strcmp(actions[output.action], answer->result.anomaly.action) != 0)
            output.action++;
    }
    call->done.anomaly(call->user, verdict, &output);
}

void policy_deliver(struct sa_policy_call *call, struct sa_policy_verdict *verdict,
                    const struct policy_answer *answer)
{
    const bool go_on = verdict->allowed, changed = answer && answer->changed;
    switch (call->point) {
    case SA_POINT_PROFILE:
        call->done.profile(call->user, verdict, go_on ? &answer->result.context : NULL);
        break;
    case SA_POINT_SECCOMP:
        call->done.seccomp(call->user, verdict, go_on ? &answer->result.filter : NULL);
        break;
    case SA_POINT_ADMISSION:
        deliver_admission(call, verdict, answer);
        break;
    case SA_POINT_EXECUTE:
        call->done.run(call->user, verdict,
                       !go_on    ? NULL
                       : changed ? &answer->result.run
                                 : &call->came.run);
        break;
    case SA_POINT_EGRESS:
        call->done.grant(call->user, verdict,
                         !go_on    ? NULL
                         : changed ? &answer->result.grant
                                   : &call->came.grant);
        break;
    case SA_POINT_FILES:
    case SA_POINT_PACKAGES:
    case SA_POINT_RECYCLE:
        call->done.plain(call->user, verdict);
        break;
    case SA_POINT_SCALING:
        deliver_scaling(call, verdict, answer);
        break;
    case SA_POINT_ANOMALY:
        deliver_anomaly(call, verdict, answer);
        break;
    case SA_POINT_LIFECYCLE:
        call->done.end(call->user, verdict, changed ? &answer->result.end : &call->came.end);
        break;
    case SA_POINT_COUNT:
        break;
    }
}
