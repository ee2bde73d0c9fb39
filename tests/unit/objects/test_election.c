/* Elections: never two leaders, also when one is held up; a new one when the leader is gone. */
#include "objects/lease.h"

#include "conformance/fixture.h"
#include "embedded_target.h"
#include "objects/informer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Short, but for the loaded machine that tests run on. */
enum { DURATION_MS = 600, RENEW_MS = 400, RETRY_MS = 50, CANDIDATES = 4 };

struct candidate {
    struct sa_election *election;
    int leading, lost;
};

static void on_leading(void *owner)
{
    ((struct candidate *)owner)->leading++;
}

static void on_lost(void *owner)
{
    ((struct candidate *)owner)->lost++;
}

static void run(struct world *w, struct sa_objects *objects, struct candidate *c,
                const char *identity)
{
    *c = (struct candidate){.leading = 0};
    c->election = sa_election_start(&(struct sa_election_options){.loop = w->loop,
                                                                  .objects = objects,
                                                                  .namespace_ = "default",
                                                                  .name = "leader",
                                                                  .identity = identity,
                                                                  .duration_ms = DURATION_MS,
                                                                  .renew_ms = RENEW_MS,
                                                                  .retry_ms = RETRY_MS,
                                                                  .leading = on_leading,
                                                                  .lost = on_lost,
                                                                  .owner = c});
}

static int leaders(const struct candidate *c, int count, int *which)
{
    int leading = 0;
    for (int i = 0; i < count; i++)
        if (c[i].election && sa_election_leads(c[i].election)) {
            leading++;
            *which = i;
        }
    assert_true(leading <= 1);
    return leading;
}

static int wait_leader(struct world *w, const struct candidate *c, int count)
{
    int which = -1;
    while (!leaders(c, count, &which))
        turns(w, 1);
    return which;
}

static void on_stopped(void *user)
{
    *(bool *)user = true;
}

static void stop(struct world *w, struct candidate *c)
{
    bool stopped = false;
    sa_election_stop(c->election, on_stopped, &stopped);
    c->election = NULL;
    wait_for(w, &stopped, "the election to stop");
}

static void test_one_of_many(void **state)
{
    static const char *const names[CANDIDATES] = {"a", "b", "c", "d"};
    struct world *w = *state;
    struct candidate c[CANDIDATES];
    for (int i = 0; i < CANDIDATES; i++)
        run(w, w->objects, &c[i], names[i]);
    for (int left = CANDIDATES; left > 0; left--) { /* each that leads goes, and another follows */
        int leader = wait_leader(w, c, CANDIDATES);
        for (int i = 0; i < 20; i++) {
            int again = leader;
            leaders(c, CANDIDATES, &again);
            turns(w, 1);
        }
        stop(w, &c[leader]);
        assert_int_equal(c[leader].leading - c[leader].lost, 1);
    }
    const struct sa_object *lease = ok(get_(w, &sa_kind_lease, "leader"));
    size_t length;
    const char *spec = sa_object_spec_json(lease, &length);
    assert_null(strstr(spec, "holderIdentity")); /* given up */
    const char *renewed = strstr(spec, "renewTime");
    assert_non_null(renewed); /* "2026-01-31T09:05:00.123000Z": as Kubernetes wants it */
    assert_memory_equal(renewed + strlen("renewTime\":\"2026-01-31T09:05:00.123"), "000Z\"", 5);
}

/* A store that does not answer any more. */
struct cut_off {
    struct sa_objects base;
    struct sa_objects *inner;
    bool cut;
};
static char nothing;
static struct sa_objects_call *const unanswered = (struct sa_objects_call *)(void *)&nothing;
static void (*forget_inner)(struct sa_objects_call *);

static void forget(struct sa_objects_call *call)
{
    if (call != unanswered)
        forget_inner(call);
}

static struct sa_objects_call *get(struct sa_objects *objects, const struct sa_kind *kind,
                                   const char *namespace_, const char *name, sa_objects_cb done,
                                   void *user)
{
    const struct cut_off *c = (struct cut_off *)objects;
    return c->cut ? unanswered : sa_objects_get(c->inner, kind, namespace_, name, done, user);
}

static struct sa_objects_call *create(struct sa_objects *objects, const struct sa_kind *kind,
                                      const char *json, size_t length, bool lenient,
                                      sa_objects_cb done, void *user)
{
    const struct cut_off *c = (struct cut_off *)objects;
    return sa_objects_create(c->inner, kind, json, length, lenient, done, user);
}

static struct sa_objects_call *patch(struct sa_objects *objects, const struct sa_kind *kind,
                                     const struct sa_objects_patch *what, sa_objects_cb done,
                                     void *user)
{
    const struct cut_off *c = (struct cut_off *)objects;
    return c->cut ? unanswered : sa_objects_patch(c->inner, kind, what, done, user);
}

/* Who is cut off stops by itself, and only then another begins. */
static void test_cut_off(void **state)
{
    struct world *w = *state;
    struct sa_objects_ops ops = *w->objects->ops;
    struct cut_off cut_off = {.base = {.ops = &ops}, .inner = w->objects};
    struct candidate c[2];
    int leader = -1;
    ops.get = get;
    ops.create = create;
    ops.make = NULL;
    ops.patch = patch;
    forget_inner = ops.forget;
    ops.forget = forget;
    run(w, &cut_off.base, &c[0], "a");
    c[1].election = NULL;
    assert_int_equal(wait_leader(w, c, 1), 0);
    run(w, w->objects, &c[1], "b");
    cut_off.cut = true;
    while (leaders(c, 2, &leader) == 0 || leader == 0)
        turns(w, 1);
    assert_int_equal(c[0].lost, 1);
    assert_int_equal(c[1].leading, 1);
    stop(w, &c[1]);
    stop(w, &c[0]); /* though an answer never comes */
}

/* The loop stands still for longer than the lease: when it goes on, nobody may believe that it
 * leads, before any timer has run. */
static void test_held_up(void **state)
{
    struct world *w = *state;
    struct candidate c[1];
    run(w, w->objects, &c[0], "a");
    wait_leader(w, c, 1);
    nanosleep(&(struct timespec){.tv_nsec = (RENEW_MS + 50) * 1000000L}, NULL);
    assert_false(sa_election_leads(c[0].election));
    wait_leader(w, c, 1); /* and leads again, since nobody else has come */
    stop(w, &c[0]);
}

static void test_taken_away(void **state)
{
    struct world *w = *state;
    struct candidate c[1];
    run(w, w->objects, &c[0], "a");
    wait_leader(w, c, 1);
    ok(patch_(w, &sa_kind_lease, "leader", SA_SUBRESOURCE_NONE, NULL,
              "{'spec':{'holderIdentity':'z'}}"));
    while (!c[0].lost)
        turns(w, 1);
    assert_false(sa_election_leads(c[0].election));
    wait_leader(w, c, 1); /* z never renews */
    assert_int_equal(c[0].leading, 2);
    stop(w, &c[0]);
}

static void test_stopped_at_once(void **state)
{
    struct world *w = *state;
    struct candidate c[2];
    run(w, w->objects, &c[0], "a");
    stop(w, &c[0]);
    run(w, w->objects, &c[1], "b");
    wait_leader(w, &c[1], 1);
    stop(w, &c[1]);
}

#define ELECTION_TEST(f) cmocka_unit_test_setup_teardown(f, memory_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {ELECTION_TEST(test_one_of_many), ELECTION_TEST(test_cut_off),
                                       ELECTION_TEST(test_held_up), ELECTION_TEST(test_taken_away),
                                       ELECTION_TEST(test_stopped_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
