#include "fixture.h"

#include "kinds/names.h"
#include "kinds/resources.h"
#include "loop/loop.h"
#include "objects/embedded.h"
#include "objects/lease.h"
#include "objects/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 5, PATIENCE_MS = 60 * 1000 };

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static bool is_synced(void *user)
{
    return sa_caches_synced(user);
}

void wait_until(struct world *w, bool (*true_)(void *user), void *user, const char *what)
{
    uint64_t until = uv_now(w->loop) + PATIENCE_MS;
    while (!true_(user)) {
        uv_run(w->loop, UV_RUN_ONCE);
        if (uv_now(w->loop) > until)
            fail_msg("waited too long for %s", what);
    }
}

void turns(struct world *w, int count)
{
    while (count-- > 0)
        uv_run(w->loop, UV_RUN_ONCE);
}

void claimer_start(struct world *w, struct claimer *claimer, struct sa_objects *objects,
                   struct sa_objects *watched)
{
    sa_caches_start(&claimer->caches, w->loop, watched);
    claimer->metrics = sa_metrics_new();
    claimer->claims = sa_claims_new(w->loop, objects, &claimer->caches, claimer->metrics);
    wait_until(w, is_synced, &claimer->caches, "the caches");
}

void claimer_stop(struct claimer *claimer)
{
    sa_claims_free(claimer->claims);
    sa_caches_stop(&claimer->caches);
    sa_metrics_free(claimer->metrics);
}

double counted(const struct claimer *claimer, const char *series)
{
    sa_autobuf text = SA_BUF_INIT;
    sa_buf_addc(&text, '\n');
    sa_metrics_write(claimer->metrics, &text);
    sa_autobuf line = SA_BUF_INIT;
    sa_buf_printf(&line, "\n%s ", series);
    const char *found = strstr(text.data, line.data);
    return found ? strtod(found + line.length, NULL) : 0;
}

int world_setup(void **state)
{
    const struct sa_kind *kinds[] = {sa_resource_sandbox.kind,
                                     sa_resource_sandbox_profile.kind,
                                     sa_resource_warm_pool.kind,
                                     sa_resource_warm_pod.kind,
                                     sa_resource_runtime_environment.kind,
                                     sa_resource_pod.kind,
                                     NULL};
    struct world *w = sa_alloc(sizeof *w);
    w->loop = sa_loop_new(NULL);
    uv_timer_init(w->loop, &w->tick);
    uv_timer_start(&w->tick, on_tick, TICK_MS, TICK_MS);
    w->store =
        sa_embedded_open(&(struct sa_embedded_options){.loop = w->loop, .kinds = kinds}, NULL);
    assert_non_null(w->store);
    unsure_init(&w->unsure, w->store);
    claimer_start(w, &w->claimer, &w->unsure.base, w->store);
    *state = w;
    return 0;
}

static void on_closed(void *user)
{
    *(bool *)user = true;
}

static bool is_set(void *user)
{
    return *(bool *)user;
}

int world_teardown(void **state)
{
    struct world *w = *state;
    bool closed = false;
    claimer_stop(&w->claimer);
    sa_embedded_close(w->store, on_closed, &closed);
    wait_until(w, is_set, &closed, "the store to close");
    uv_close((uv_handle_t *)&w->tick, NULL);
    sa_loop_free(w->loop);
    free(w);
    return 0;
}

/* ---- objects ---- */

struct reply {
    struct world *w;
    bool done;
    const struct sa_object *object;
};

/* What is read is freed at the next read: tests look at one thing at a time. */
static const struct sa_object *last_read;

static void on_reply(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct reply *reply = user;
    (void)err;
    reply->done = true;
    reply->object = object ? sa_object_ref(object) : NULL;
}

static const struct sa_object *wait_reply(struct reply *reply)
{
    wait_until(reply->w, is_set, &reply->done, "an answer");
    sa_object_unref(last_read);
    return last_read = reply->object;
}

const struct sa_object *read_object(struct world *w, const struct sa_kind *kind, const char *name)
{
    struct reply reply = {.w = w};
    sa_objects_get(w->store, kind, NULL, name, on_reply, &reply);
    return wait_reply(&reply);
}

const struct sa_claim *claim_of(struct world *w, const char *pod)
{
    const struct sa_object *object = read_object(w, &sa_kind_warm_pod, pod);
    assert_non_null(object);
    return &((const struct sa_warm_pod_spec *)sa_object_spec(object))->claim;
}

static char *json(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *json(const char *fmt, ...)
{
    struct sa_buf text = SA_BUF_INIT;
    va_list ap;
    char line[1024];
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    sa_buf_adds(&text, line);
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] == '\'')
            text.data[i] = '"';
    return sa_buf_steal(&text);
}

struct shown {
    const struct sa_informer *cache;
    const char *name;
    char version[SA_RESOURCE_VERSION_BYTES];
};

static bool is_shown(void *user)
{
    const struct shown *shown = user;
    char key[128];
    snprintf(key, sizeof key, "default/%s", shown->name);
    const struct sa_object *object = sa_informer_get(shown->cache, key);
    return object && strcmp(sa_object_meta(object)->resource_version, shown->version) == 0;
}

static void set_status_of(struct world *w, const struct sa_kind *kind,
                          const struct sa_informer *cache, const char *name, const char *status)
{
    struct reply reply = {.w = w};
    char *text = json("{'status':%s}", status);
    sa_objects_patch(w->store, kind,
                     &(struct sa_objects_patch){.name = name,
                                                .subresource = SA_SUBRESOURCE_STATUS,
                                                .json = text,
                                                .length = strlen(text)},
                     on_reply, &reply);
    free(text);
    const struct sa_object *object = wait_reply(&reply);
    assert_non_null(object);
    struct shown shown = {.cache = cache, .name = name};
    snprintf(shown.version, sizeof shown.version, "%s", sa_object_meta(object)->resource_version);
    wait_until(w, is_shown, &shown, "the cache");
}

void set_status(struct world *w, const char *name, const char *status)
{
    set_status_of(w, &sa_kind_warm_pod, w->claimer.caches.warm_pods, name, status);
}

static void make(struct world *w, const struct sa_kind *kind, const char *name, const char *spec)
{
    struct reply reply = {.w = w};
    char *text = json("{'apiVersion':'secureagent.dev/v1','kind':'%s','metadata':{'name':'%s'},"
                      "'spec':%s}",
                      kind->name, name, spec);
    sa_objects_create(w->store, kind, text, strlen(text), false, on_reply, &reply);
    free(text);
    assert_non_null(wait_reply(&reply));
}

void make_pod(struct world *w, const char *name, const char *last_tenant)
{
    char status[256];
    make(w, &sa_kind_warm_pod, name, "{'pool':'p','key':'k','runtime':'python'}");
    snprintf(status, sizeof status, "{'phase':'Ready','lastTenant':'%s'}", last_tenant);
    set_status(w, name, status);
}

void make_pool(struct world *w, const char *name, const char *key, int size)
{
    char status[128];
    make(w, &sa_kind_warm_pool, name, "{'runtime':'python'}");
    snprintf(status, sizeof status, "{'size':%d,'key':'%s'}", size, key);
    set_status_of(w, &sa_kind_warm_pool, w->claimer.caches.warm_pools, name, status);
}

const char *annotation(const struct sa_object *object, const char *key)
{
    const struct sa_json_map *annotations = &sa_object_meta(object)->annotations;
    for (size_t i = 0; i < annotations->count; i++)
        if (strcmp(annotations->items[i].key, key) == 0)
            return annotations->items[i].value;
    return NULL;
}

/* ---- claims ---- */

static void on_claimed(void *user, const struct sa_error *err, const struct sa_claim_result *result)
{
    struct outcome *outcome = user;
    assert_false(outcome->done);
    assert_true(!err != !result);
    outcome->done = true;
    if (err)
        outcome->err = *err;
    if (!result)
        return;
    snprintf(outcome->sandbox, sizeof outcome->sandbox, "%s",
             sa_object_meta(result->sandbox)->name);
    if (result->warm_pod)
        snprintf(outcome->pod, sizeof outcome->pod, "%s", sa_object_meta(result->warm_pod)->name);
}

struct sa_claim_call *start_claim(struct claimer *claimer, const char *name,
                                  const struct sa_claim_ask *how, struct outcome *outcome)
{
    struct sa_claim_ask ask = *how;
    char *text = json("{'apiVersion':'secureagent.dev/v1','kind':'Sandbox','metadata':{'name':'%s',"
                      "'annotations':{'a':'b'},'finalizers':['example.com/f']},"
                      "'spec':{'runtime':'python'}}",
                      name);
    ask.name = name;
    ask.tenant = ask.tenant ? ask.tenant : "t";
    ask.key = ask.key ? ask.key : "k";
    ask.manifest = ask.manifest ? ask.manifest : text;
    ask.length = strlen(ask.manifest);
    *outcome = (struct outcome){.done = false};
    struct sa_claim_call *call = sa_claim_start(claimer->claims, &ask, on_claimed, outcome);
    free(text);
    assert_false(outcome->done);
    return call;
}

void settle(struct world *w, struct outcome *outcome)
{
    wait_until(w, is_set, &outcome->done, "a claim");
}

struct outcome claim(struct world *w, const char *name, const struct sa_claim_ask *how)
{
    struct outcome outcome;
    start_claim(&w->claimer, name, how, &outcome);
    settle(w, &outcome);
    return outcome;
}
