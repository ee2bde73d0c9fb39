/*
 * Whatever happens to sandboxes, their pods and the controller, and however badly it is told of
 * it: when nothing happens any more, everything is as it should be, and stays so.
 */
#include "life.h"

#include "../objects/faulty.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "objects/embedded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

enum { NAMES = 12, DEEDS = 3000, PATIENCE_MS = 60 * 1000, QUIET_TURNS = 60 };

struct born { /* which pod an owner has had */
    UT_hash_handle hh;
    char owner[SA_UID_BYTES], pod[SA_UID_BYTES];
};
struct chaos {
    struct life life;
    struct faulty faulty;
    struct sa_caches truth; /* over the store itself */
    struct sa_informer_handler pods;
    struct born *born;
    uint64_t random;
    int warm_pods;
};

static unsigned any(struct chaos *c, unsigned n)
{
    c->random ^= c->random << 13; /* xorshift64: neighbours must not depend on each other */
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return (unsigned)(c->random >> 32) % n;
}

/* Never a second pod for the same sandbox: nothing is restarted. */
static void on_pod(struct sa_informer_handler *handler, const struct sa_object *before,
                   const struct sa_object *now)
{
    struct chaos *c = sa_container_of(handler, struct chaos, pods);
    const struct sa_owner_reference *owner = now ? sa_object_controller(now) : NULL;
    struct born *born;
    (void)before;
    if (!owner || strcmp(owner->kind, "Sandbox") != 0)
        return;
    HASH_FIND_STR(c->born, owner->uid, born);
    if (!born) {
        born = sa_arena_alloc(c->life.w->arena, sizeof *born);
        snprintf(born->owner, sizeof born->owner, "%s", owner->uid);
        snprintf(born->pod, sizeof born->pod, "%s", sa_object_meta(now)->uid);
        HASH_ADD_STR(c->born, owner, born);
    }
    assert_string_equal(born->pod, sa_object_meta(now)->uid);
}

/* ---- what people do; it may be refused ---- */

static void create(struct chaos *c, const char *name)
{
    struct world *w = c->life.w;
    if (any(c, 2)) {
        create_(w, &sa_kind_sandbox, false,
                "{'metadata':{'name':'%s'},'spec':{'runtime':'python'%s}}", name,
                any(c, 10) ? "" : ",'profileRef':'none'");
        return;
    }
    char warm[32];
    snprintf(warm, sizeof warm, "wp-%d", c->warm_pods++);
    if (get_(w, &sa_kind_sandbox, name).object)
        return;
    if (any(c, 10))
        make_claimed(&c->life, warm, name);
    create_(w, &sa_kind_sandbox, false,
            "{'metadata':{'name':'%s','finalizers':['" SA_FINALIZER_SANDBOX
            "'],'annotations':{'" SA_SANDBOX_WARM_POD "':'%s'}},'spec':{'runtime':'python'}}",
            name, warm);
}

static void happen(struct chaos *c)
{
    struct world *w = c->life.w;
    char name[16], warm[16];
    snprintf(name, sizeof name, "sb-%u", any(c, NAMES));
    snprintf(warm, sizeof warm, "wp-%u", any(c, (unsigned)c->warm_pods + 1));
    switch (any(c, 12)) {
    case 0:
    case 1:
    case 2:
        create(c, name);
        break;
    case 10:
    case 11:
    case 3:
        delete_(w, &sa_kind_sandbox, name, NULL);
        break;
    case 4:
        delete_(w, &sa_kind_pod, any(c, 2) ? name : warm, NULL);
        break;
    case 5:
        if (!any(c, 4))
            delete_(w, &sa_kind_warm_pod, warm, NULL);
        break;
    case 6:
        patch_(w, &sa_kind_sandbox, name, SA_SUBRESOURCE_STATUS, NULL, "{'status':{'pausedAt':%s}}",
               any(c, 2) ? "null" : "'2026-01-01T00:00:00Z'");
        break;
    case 7:
        patch_(w, &sa_kind_sandbox, name, SA_SUBRESOURCE_NONE, NULL, "{'spec':{'timeout':%u}}",
               300 + any(c, 100));
        break;
    case 8:
        patch_(w, &sa_kind_pod, any(c, 2) ? name : warm, SA_SUBRESOURCE_STATUS, NULL,
               "{'status':{'phase':'Failed','reason':'Exited'}}");
        break;
    default:
        if (!any(c, 8))
            life_restart(&c->life);
    }
}

/* ---- the node and the pools, as far as sandboxes need them ---- */

static bool is_ready(const struct sa_object *pod)
{
    const struct sa_pod_status *status = sa_object_status(pod);
    return status->phase == SA_POD_RUNNING;
}

static bool serve_pod(struct chaos *c, const struct sa_object *pod)
{
    const struct sa_object_meta *meta = sa_object_meta(pod);
    const struct sa_pod_status *status = sa_object_status(pod);
    if (meta->deleted_ms && meta->finalizers.count)
        patch_(c->life.w, &sa_kind_pod, meta->name, SA_SUBRESOURCE_NONE, NULL,
               "{'metadata':{'finalizers':[]}}");
    else if (status->phase == SA_POD_PENDING && !meta->deleted_ms)
        pod_ready(&c->life, meta->name);
    else
        return false;
    return true;
}

/* A pod of which nobody is, is cleaned or goes. */
static bool serve_warm_pod(struct chaos *c, const struct sa_object *warm_pod)
{
    const struct sa_object_meta *meta = sa_object_meta(warm_pod);
    const struct sa_claim *claim =
        &((const struct sa_warm_pod_spec *)sa_object_spec(warm_pod))->claim;
    if (!claim->given)
        return false;
    const struct sa_object *sandbox = get_(c->life.w, &sa_kind_sandbox, claim->sandbox).object;
    if (sandbox && !sa_object_meta(sandbox)->deleted_ms)
        return false;
    if (any(c, 2))
        patch_(c->life.w, &sa_kind_warm_pod, meta->name, SA_SUBRESOURCE_NONE, NULL,
               "{'spec':{'claim':null}}");
    else
        delete_(c->life.w, &sa_kind_warm_pod, meta->name, NULL);
    return true;
}

/* True: there was something to do. */
static bool serve(struct chaos *c)
{
    bool busy = false;
    struct listing pods = list_(c->life.w, &sa_kind_pod, NULL, 0, NULL);
    for (size_t i = 0; i < pods.count; i++)
        busy |= serve_pod(c, pods.items[i]);
    struct listing warm_pods = list_(c->life.w, &sa_kind_warm_pod, NULL, 0, NULL);
    for (size_t i = 0; i < warm_pods.count; i++)
        busy |= serve_warm_pod(c, warm_pods.items[i]);
    return busy;
}

/* ---- how it should be in the end ---- */

static const struct sa_object *owned_pod(struct chaos *c, const struct sa_object *owner)
{
    const struct sa_object *pod = get_(c->life.w, &sa_kind_pod, sa_object_meta(owner)->name).object;
    return pod && sa_object_is_owned_by(pod, sa_object_meta(owner)->uid) ? pod : NULL;
}

static bool pod_is_well(const struct sa_object *pod)
{
    return pod && is_ready(pod) && !sa_object_meta(pod)->deleted_ms;
}

static const char *wrong_with(struct chaos *c, const struct sa_object *sandbox)
{
    const struct sa_sandbox_status *status = sa_object_status(sandbox);
    const char *claimed = sa_sandbox_claimed(sandbox);
    const struct sa_object *owner = sandbox;
    if (sa_object_meta(sandbox)->deleted_ms)
        return "it is still being deleted";
    if (status->phase == SA_PHASE_FAILED)
        return !status->reason[0]                  ? "it failed without a reason"
               : !claimed && owned_pod(c, sandbox) ? "it failed and has a pod"
                                                   : NULL;
    if (status->phase != (status->paused_ms ? SA_PHASE_PAUSED : SA_PHASE_RUNNING))
        return "it does not run";
    if (claimed && !(owner = get_(c->life.w, &sa_kind_warm_pod, claimed).object))
        return "its warm pod is not there";
    if (claimed && !sa_sandbox_has_claim(sandbox, owner))
        return "somebody else has its warm pod";
    if (!pod_is_well(owned_pod(c, owner)))
        return "its pod is not well";
    return status->observed_generation == sa_object_meta(sandbox)->generation
               ? NULL
               : "its status is of the past";
}

static const char *wrong_with_all(struct chaos *c)
{
    struct listing sandboxes = list_(c->life.w, &sa_kind_sandbox, NULL, 0, NULL);
    for (size_t i = 0; i < sandboxes.count; i++) {
        const char *wrong = wrong_with(c, sandboxes.items[i]);
        if (wrong)
            return sa_arena_printf(c->life.w->arena, "%s: %s", name_of(sandboxes.items[i]), wrong);
    }
    struct listing pods = list_(c->life.w, &sa_kind_pod, NULL, 0, NULL);
    for (size_t i = 0; i < pods.count; i++) {
        const struct sa_owner_reference *owner = sa_object_controller(pods.items[i]);
        const struct sa_kind *kind =
            strcmp(owner->kind, "Sandbox") == 0 ? &sa_kind_sandbox : &sa_kind_warm_pod;
        const struct sa_object *there = get_(c->life.w, kind, owner->name).object;
        if (!there || strcmp(sa_object_meta(there)->uid, owner->uid) != 0)
            return sa_arena_printf(c->life.w->arena, "%s: nobody's", name_of(pods.items[i]));
    }
    return NULL;
}

static uint64_t writes(struct chaos *c)
{
    struct sa_embedded_stats stats;
    sa_embedded_stats(c->life.w->objects, &stats);
    return stats.writes;
}

static void settle_down(struct chaos *c)
{
    const int64_t until_ms = sa_monotonic_ms() + PATIENCE_MS;
    const char *wrong;
    while (serve(c) || (wrong = wrong_with_all(c))) {
        turns(c->life.w, 2);
        if (sa_monotonic_ms() > until_ms)
            fail_msg("waited too long; %s", wrong_with_all(c));
    }
    turns(c->life.w, QUIET_TURNS);
    const uint64_t before = writes(c);
    turns(c->life.w, QUIET_TURNS);
    assert_int_equal(before, writes(c)); /* nothing goes to and fro */
    assert_null(wrong_with_all(c));
}

static void test_converges(void **state)
{
    struct chaos *c = calloc(1, sizeof *c);
    struct world *w = *state;
    const char *given = getenv("SA_TEST_SEED");
    const unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("SA_TEST_SEED=%u\n", seed);
    c->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    faulty_init(&c->faulty, w->objects, w->loop, seed);
    life_start_on(&c->life, w, &c->faulty.base);
    sa_caches_start(&c->truth, w->loop, w->objects);
    c->pods.changed = on_pod;
    sa_informer_add_handler(c->truth.pods, &c->pods);
    for (int i = 0; i < DEEDS; i++) {
        happen(c);
        for (unsigned turn = any(c, 8); turn; turn--)
            uv_run(w->loop, UV_RUN_NOWAIT);
        if (any(c, 10) == 0)
            turns(w, 1);
        if (any(c, 3) == 0)
            serve(c);
    }
    c->faulty.kind = true;
    print_message("%u pods were made; events: %u lost, %u doubled, %u late\n", HASH_COUNT(c->born),
                  c->faulty.lost, c->faulty.doubled, c->faulty.late);
    assert_true(c->born && c->faulty.lost && c->faulty.doubled && c->faulty.late);
    settle_down(c);
    life_restart(&c->life); /* and who comes next finds nothing to do */
    settle_down(c);
    HASH_CLEAR(hh, c->born);
    sa_caches_stop(&c->truth);
    life_stop(&c->life);
    free(c);
    turns(w, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_converges, controllers_setup, world_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
