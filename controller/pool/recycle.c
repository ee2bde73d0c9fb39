/*
 * A pod that was used, and may be again: everything of its sandbox is removed and the result
 * compared with what was sealed (RESET); whatever differs ends it. Then the rule `recycle` is asked
 * whether anybody may have it next, and if not, whether the same tenant may; it waits for that one
 * alone then.
 */
#include "controller/pool/job.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "kinds/names.h"

#include <stdio.h>
#include <string.h>

enum { CLEAN_MOST_MS = 60 * 1000 };

/* ---- the rule ---- */

static void allowed(struct sa_pool_job *job, bool kept)
{
    struct sa_pool *pool = sa_pool_get(job->controller, job->record->pool, false);
    if (pool)
        pool->keeps = kept;
    job->record->kept = kept;
    sa_failpoint("pool.cleaned");
    sa_pool_job_end(job, SA_POOL_WORK_CLEANED, "", "");
}

static void refused(struct sa_pool_job *job, const struct sa_policy_verdict *verdict)
{
    sa_pool_job_end(job, SA_POOL_WORK_FAILED, verdict->rule[0] ? verdict->rule : "Refused",
                    verdict->reason);
}

static void on_same_verdict(void *user, const struct sa_policy_verdict *verdict)
{
    struct sa_pool_job *job = user;
    job->policy_same = NULL;
    if (!job->refused)
        return; /* too early: it is asked again if it matters */
    if (verdict->allowed)
        allowed(job, true);
    else
        refused(job, verdict);
}

static void ask_same(struct sa_pool_job *job)
{
    struct sa_policy_recycle_input question = job->question;
    question.same_tenant = true;
    job->policy_same =
        sa_policy_recycle(job->controller->options.policy, &question, on_same_verdict, job);
}

static void on_verdict(void *user, const struct sa_policy_verdict *verdict)
{
    struct sa_pool_job *job = user;
    job->policy = NULL;
    job->refused = !verdict->allowed;
    if (verdict->allowed)
        allowed(job, false);
    else if (!job->question.who.scope.tenant[0])
        refused(job, verdict);
    else if (!job->policy_same)
        ask_same(job);
}

/* Where the last pod was kept for its tenant both questions go together: that is one message, and
 * one turn of the loop. */
static void ask(struct sa_pool_job *job)
{
    const struct sa_pool *pool = sa_pool_get(job->controller, job->record->pool, false);
    job->policy =
        sa_policy_recycle(job->controller->options.policy, &job->question, on_verdict, job);
    if (pool && pool->keeps && job->question.who.scope.tenant[0])
        ask_same(job);
}

/* ---- what it is asked ---- */

static const char *end_reason(const struct sa_object *sandbox)
{
    const struct sa_sandbox_status *status = sandbox ? sa_object_status(sandbox) : NULL;
    if (!status)
        return "deleted";
    if (strcmp(status->reason, "TimedOut") == 0 || strcmp(status->reason, "Idle") == 0)
        return "timeout";
    if (strcmp(status->reason, "OOMKilled") == 0)
        return "oom";
    return status->phase == SA_PHASE_FAILED ? "failed" : "deleted";
}

/* A claim names its tenant by the key's id, which no other key ever has; rules know names. NULL:
 * its Sandbox is gone. */
static const char *tenant_name(const struct sa_pool_record *record, const struct sa_object *pod)
{
    const struct sa_object *sandbox = sa_pool_tenant(record, pod);
    return sandbox ? sa_map_get(&sa_object_meta(sandbox)->annotations, SA_SANDBOX_TENANT) : NULL;
}

static void fill_question(struct sa_pool_job *job, const struct sa_object *pod, const char *tenant)
{
    const struct sa_object *object = sa_pool_of_pod(job->controller, pod);
    const struct sa_warm_pool_spec *spec = sa_object_spec(object);
    const struct sa_warm_pod_spec *own = sa_object_spec(pod);
    const struct sa_warm_pod_status *status = sa_object_status(pod);
    struct sa_arena *arena = job->arena;
    job->question = (struct sa_policy_recycle_input){
        .who.scope = {.namespace_ = sa_arena_strdup(arena, sa_object_meta(pod)->namespace_),
                      .tenant = sa_arena_strdup(arena, tenant),
                      .pool = sa_arena_strdup(arena, own->pool)},
        .runtime = sa_arena_strdup(arena, own->runtime),
        .security_level = sa_security_level_name(own->level),
        .enabled = spec->recycle.enabled,
        .uses = status->uses + 1,
        .max_uses = spec->recycle.max_uses,
        .age_s = (sa_wall_ms() - sa_object_meta(pod)->created_ms) / 1000,
        .clean = true,
        .end_reason = end_reason(sa_pool_tenant(job->record, pod)),
        .oom_kills = job->record->oom_kills,
        .denials = job->record->denials,
        .memory_limit_bytes = own->resources.memory_bytes,
        .criteria =
            spec->recycle.criteria[0] ? sa_arena_strdup(arena, spec->recycle.criteria) : NULL};
}

/* ---- cleaning ---- */

/* What was told of it while it was cleaned counts, too. */
static void on_counted(void *user, const struct sa_agent_counts *counts)
{
    struct sa_pool_job *job = user;
    struct sa_pool_record *record = job->record;
    if (counts->memory_peak_bytes > 0)
        job->question.memory_peak_bytes = counts->memory_peak_bytes;
    job->question.oom_kills =
        counts->oom_kills > record->oom_kills ? counts->oom_kills : record->oom_kills;
    job->question.denials = record->denials;
    record->oom_kills = record->denials = 0; /* the next use has its own */
    ask(job);
}

static void on_reset(struct sa_pool_job *job, const struct sa_error *err)
{
    const struct sa_object *pod =
        sa_informer_get(job->controller->options.caches->warm_pods, job->record->key);
    const struct sa_warm_pod_status *status = pod ? sa_object_status(pod) : NULL;
    sa_failpoint("pool.reset");
    if (err) {
        char message[SA_POOL_MESSAGE_BYTES];
        snprintf(message, sizeof message, "%.100s%s%.300s", err->path, err->path[0] ? ": " : "",
                 err->message);
        sa_pool_job_end(job, SA_POOL_WORK_FAILED,
                        err->code == SA_ECONFLICT ? "Unclean" : "ResetFailed", message);
    } else if (!status || strcmp(status->fingerprint, job->fingerprint) != 0) {
        sa_pool_job_end(job, SA_POOL_WORK_FAILED, "Unclean",
                        "it is not as it was when it was sealed");
    } else if (!job->controller->options.policy) {
        sa_pool_job_end(job, SA_POOL_WORK_FAILED, "NoRules", "there are no rules to be asked");
    } else {
        sa_agent_recount(job->controller->options.agent, job->record->name, on_counted, job);
    }
}

static void give_up(struct sa_pool_record *record, const char *reason, const char *message)
{
    record->work = SA_POOL_WORK_FAILED;
    snprintf(record->reason, sizeof record->reason, "%s", reason);
    snprintf(record->message, sizeof record->message, "%s", message);
    sa_pool_wake_pod(record);
}

void sa_pool_clean(struct sa_pool_record *record, const struct sa_object *pod)
{
    struct sa_agent *agent = record->controller->options.agent;
    const char *tenant = tenant_name(record, pod);
    const struct sa_warm_pod_spec *spec = sa_object_spec(pod);
    record->kept = false;
    if (!agent || !record->watched || !sa_pool_of_pod(record->controller, pod)) {
        give_up(record, "NotWatched", "what happened in it is not known");
        return;
    }
    if (!tenant || !tenant[0] ||
        !spec->claim.tenant[0]) { /* rules may allow one what they deny another */
        give_up(record, "TenantUnknown", "nothing says any more whose it was");
        return;
    }
    if (!sa_agent_conn(agent, record->name))
        return; /* the agent tells when there is one, or that the pod is lost */
    struct sa_pool_job *job = sa_pool_job_new(record, pod, CLEAN_MOST_MS);
    fill_question(job, pod, tenant);
    record->template_ = sa_pool_job_has_template(job);
    record->work = SA_POOL_WORK_CLEANING;
    sa_pool_job_ask(job, SA_METHOD_RESET, on_reset);
}

/* ---- what came of it ---- */

void sa_pool_recycled(struct sa_pool_controller *controller, const struct sa_object *pod,
                      const char *reason, const char *message)
{
    const struct sa_object *pool = sa_pool_of_pod(controller, pod);
    if (controller->metrics.recycled)
        sa_counter_add(
            sa_metric_series(controller->metrics.recycled,
                             SA_VALUES(reason ? "replaced" : "reused", reason ? reason : "")),
            1);
    /* That a pool does not recycle is no news. */
    if (!pool || !reason ||
        !((const struct sa_warm_pool_spec *)sa_object_spec(pool))->recycle.enabled)
        return;
    sa_record(controller->recorder, pool, SA_EVENT_NORMAL, "PodReplaced",
              "A used pod was not used again: %s%s%s", reason, message && message[0] ? ": " : "",
              message ? message : "");
}
