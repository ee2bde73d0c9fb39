#include "life.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 60 * 1000 };

void life_start(struct life *life, struct world *w)
{
    life_start_on(life, w, w->objects);
}

void life_start_on(struct life *life, struct world *w, struct sa_objects *watched)
{
    *life = (struct life){.w = w};
    sa_caches_start(&life->caches, w->loop, watched);
    wait_synced(w, &life->caches);
    life->options = options_for(w, &life->caches, "test");
    life->options.process = PROCESS;
    life->options.started_ms = sa_wall_ms();
    life->controller = sa_sandbox_controller_start(&life->options);
}

void life_restart(struct life *life)
{
    sa_sandbox_controller_stop(life->controller);
    life->controller = sa_sandbox_controller_start(&life->options);
}

void life_stop(struct life *life)
{
    sa_sandbox_controller_stop(life->controller);
    sa_caches_stop(&life->caches);
}

/* ---- objects ---- */

const struct sa_object *make_sandbox(struct life *life, const char *name, const char *metadata,
                                     const char *spec)
{
    return ok(create_(life->w, &sa_kind_sandbox, false,
                      "{'metadata':{%s'name':'%s'},'spec':{%s'runtime':'python'}}", metadata, name,
                      spec));
}

void make_claimed(struct life *life, const char *name, const char *sandbox)
{
    const struct sa_object *warm =
        ok(create_(life->w, &sa_kind_warm_pod, false,
                   "{'metadata':{'name':'%s'},'spec':{'pool':'p','key':'k','runtime':'python',"
                   "'claim':{'sandbox':'%s','tenant':'t'}}}",
                   name, sandbox));
    ok(create_(life->w, &sa_kind_pod, false,
               "{'metadata':{'name':'%s','ownerReferences':[{'apiVersion':'secureagent.dev/v1',"
               "'kind':'WarmPod','name':'%s','uid':'%s','controller':true}]},"
               "'spec':{'nodeName':'local','containers':[{'name':'sandbox'}]}}",
               name, name, sa_object_meta(warm)->uid));
    pod_ready(life, name);
}

static void pod_status(struct life *life, const char *name, const char *status)
{
    ok(patch_(life->w, &sa_kind_pod, name, SA_SUBRESOURCE_STATUS, NULL, "{'status':%s}", status));
}

void pod_ready(struct life *life, const char *name)
{
    ok(patch_(life->w, &sa_kind_pod, name, SA_SUBRESOURCE_NONE, NULL,
              "{'metadata':{'annotations':{'" SA_POD_CONTROLS "':'seccomp,landlock'}}}"));
    pod_status(life, name,
               "{'phase':'Running','conditions':[{'type':'Ready','status':'True',"
               "'reason':'Hello','lastTransitionTime':'2026-01-01T00:00:00Z'}]}");
}

void pod_failed(struct life *life, const char *name, const char *reason)
{
    char status[256];
    snprintf(status, sizeof status, "{'phase':'Failed','reason':'%s','message':'why'}", reason);
    pod_status(life, name, status);
}

void pod_removed(struct life *life, const char *name)
{
    wait_pod_deleting(life, name);
    ok(patch_(life->w, &sa_kind_pod, name, SA_SUBRESOURCE_NONE, NULL,
              "{'metadata':{'finalizers':[]}}"));
}

/* ---- waiting ---- */

bool is_there(struct life *life, const struct sa_kind *kind, const char *name)
{
    struct result result = get_(life->w, kind, name);
    if (!result.object)
        assert_int_equal(result.err.code, SA_ENOTFOUND);
    return result.object;
}

static void patience(int64_t until_ms, const char *what)
{
    if (sa_monotonic_ms() > until_ms)
        fail_msg("waited too long for %s", what);
}

const struct sa_object *wait_pod(struct life *life, const char *name)
{
    const int64_t until_ms = sa_monotonic_ms() + PATIENCE_MS;
    while (!is_there(life, &sa_kind_pod, name))
        patience(until_ms, name);
    return ok(get_(life->w, &sa_kind_pod, name));
}

void wait_pod_deleting(struct life *life, const char *name)
{
    const int64_t until_ms = sa_monotonic_ms() + PATIENCE_MS;
    while (!sa_object_meta(ok(get_(life->w, &sa_kind_pod, name)))->deleted_ms)
        patience(until_ms, "a pod to be deleted");
}

const struct sa_sandbox_status *wait_phase(struct life *life, const char *name, enum sa_phase phase,
                                           const char *reason)
{
    const int64_t until_ms = sa_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        const struct sa_sandbox_status *status =
            sa_object_status(ok(get_(life->w, &sa_kind_sandbox, name)));
        if (status->phase == phase && (!reason || strcmp(status->reason, reason) == 0))
            return status;
        if (sa_monotonic_ms() > until_ms)
            fail_msg("%s is %s (%s), not %s (%s)", name, sa_phase_name(status->phase),
                     status->reason, sa_phase_name(phase), reason ? reason : "any");
    }
}

const struct sa_condition *condition(const struct sa_sandbox_status *status, const char *type)
{
    const struct sa_condition *found = sa_conditions_get(&status->conditions, type);
    assert_non_null(found);
    return found;
}
