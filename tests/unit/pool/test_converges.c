/*
 * Both plans in random worlds. There is the truth, and a cache of it that is late: each change is
 * shown after a while, or not before the next relist, or told twice. Claims come, sandboxes end,
 * pods fail to start or die, the pool's size, key and template change. Then nothing comes any more,
 * and the pool must be as it is wanted within a bounded number of steps, and stay so.
 *
 * At any time: never more free pods than max (but for those that are there when it becomes
 * smaller), never a pod with two owners, never one deleted under a sandbox that lives.
 *
 * SA_SEED=N runs that world alone.
 */
#include "controller/pool/plan.h"
#include "controller/pool/pod_plan.h"

#include "base/arena.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    WORLDS = 400,
    STEPS = 600,   /* of trouble */
    SETTLE = 3000, /* steps in which it must come to rest */
    REST = 300,    /* steps in which nothing may happen then */
    STEP_MS = 20,
    LATE_MOST = 12, /* steps until a change is shown */
    RELIST = 40,    /* steps between two */
    EXPECT = 60,    /* steps after which an order lapses: more than both */
    BACK = 5,       /* steps in which it is expected back after a claim */
    TOLERATED = 50, /* steps */
    PODS = 4096
};

struct pod { /* as it is, and in the cache as it was */
    bool exists, deleting, claimed, lives, ended, reserved;
    enum sa_warm_pod_phase phase;
    enum sa_pool_box box;
    int key, template_, made_step, claim, claim_step;
    unsigned version;
};
struct place {
    struct pod now, shown;
    int show_step; /* when the cache catches up; 0: only at the next relist */
    bool pending_show;
    /* What the controller remembers. */
    unsigned acted;
    int acted_step, released_step, work_claim, ordered_step, removed_step, clean_step;
    bool box_ordered, had_box, recycling, reused;
    enum sa_pool_work work;
    int work_step; /* when it is done */
    bool work_fails;
};
struct world {
    uint64_t random;
    int step, claims, quiet_since;
    struct place places[PODS];
    size_t count;
    int64_t wanted, max;
    int key, template_;
    bool able, trouble, recycles;
    unsigned failures;
    int64_t retry_ms, free_total;
    int most_free_allowed; /* free ones, when max became smaller */
};
static struct world *w;
static uint64_t seed;

static unsigned draw(unsigned below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (unsigned)(w->random >> 33) % below;
}
static bool chance(unsigned percent)
{
    return draw(100) < percent;
}

#define CHECK(CONDITION)                                                                           \
    do {                                                                                           \
        if (!(CONDITION))                                                                          \
            fail_msg("SA_SEED=%llu step %d: %s", (unsigned long long)seed, w->step, #CONDITION);   \
    } while (0)

/* ---- truth and cache ---- */

static bool is_free(const struct place *place)
{
    const struct pod *p = &place->now;
    if (!p->exists || p->deleting)
        return false;
    if (p->claimed)
        return p->phase == SA_WARM_POD_RECYCLING ||
               (place->recycling && place->work_claim == p->claim);
    return p->phase != SA_WARM_POD_TERMINATING;
}

static int count_free(void)
{
    int count = 0;
    for (size_t i = 0; i < w->count; i++)
        count += is_free(&w->places[i]);
    return count;
}

static void changed(struct place *place)
{
    place->now.version++;
    if (place->pending_show)
        return; /* it is shown with what comes before */
    place->pending_show = true;
    place->show_step = w->trouble && chance(5) ? 0 : w->step + 1 + (int)draw(LATE_MOST);
}

static void show(void)
{
    bool relist = w->step % RELIST == 0;
    for (size_t i = 0; i < w->count; i++) {
        struct place *place = &w->places[i];
        if (place->pending_show && (relist || (place->show_step && w->step >= place->show_step))) {
            place->shown = place->now;
            place->pending_show = false;
        }
    }
}

/* ---- what others do ---- */

static void node(void)
{
    for (size_t i = 0; i < w->count; i++) {
        struct place *place = &w->places[i];
        struct pod *p = &place->now;
        enum sa_pool_box before = p->box;
        if (p->box == SA_POOL_BOX_STARTING && chance(30))
            p->box = w->trouble && chance(10) ? SA_POOL_BOX_FAILED : SA_POOL_BOX_READY;
        else if (p->box == SA_POOL_BOX_ENDING && chance(40))
            p->box = SA_POOL_BOX_NONE;
        else if (p->box == SA_POOL_BOX_READY && w->trouble && draw(1000) == 0)
            p->box = SA_POOL_BOX_FAILED;
        if (p->box != before)
            changed(place);
    }
}

static void claimer(void)
{
    for (size_t i = 0; i < w->count; i++) {
        struct place *place = &w->places[(i + (size_t)w->step) % w->count];
        const struct pod *shown = &place->shown;
        if (!shown->exists || shown->deleting || shown->claimed ||
            shown->phase != SA_WARM_POD_READY || shown->key != w->key)
            continue;
        if (place->now.version != shown->version)
            return; /* somebody was faster */
        CHECK(!place->now.claimed && place->now.phase == SA_WARM_POD_READY);
        place->now.claimed = place->now.lives = true;
        place->now.ended = false;
        place->now.claim = ++w->claims;
        place->now.claim_step = w->step;
        changed(place);
        return;
    }
}

static void sandboxes(unsigned percent)
{
    for (size_t i = 0; i < w->count; i++) {
        struct place *place = &w->places[i];
        if (place->now.exists && place->now.claimed && place->now.lives &&
            (chance(percent) || place->now.box == SA_POOL_BOX_FAILED)) {
            place->now.lives = false;
            place->now.ended = true;
            changed(place);
        }
    }
}

static void operator_(void)
{
    switch (draw(6)) {
    case 0:
        w->max = (int64_t)draw(30);
        w->wanted = w->max ? (int64_t)draw((unsigned)w->max + 1) : 0;
        break;
    case 1:
        w->key++;
        break;
    case 2:
        w->template_++;
        break;
    case 3:
        w->able = !w->able;
        break;
    case 4:
        w->recycles = !w->recycles;
        break;
    default:
        w->wanted = w->max ? (int64_t)draw((unsigned)w->max + 1) : 0;
    }
    w->most_free_allowed = count_free();
}

/* ---- the controller ---- */

static void failed(void)
{
    int64_t now_ms = (int64_t)w->step * STEP_MS;
    if (now_ms < w->retry_ms)
        return;
    w->failures += w->failures < 16;
    w->retry_ms = now_ms + sa_pool_pause_ms(w->failures);
}

static enum sa_pool_pod_state state_of(const struct place *place)
{
    const struct pod *p = &place->shown;
    if (p->deleting)
        return SA_POOL_POD_TERMINATING;
    if (p->claimed)
        return p->phase == SA_WARM_POD_RECYCLING || place->recycling ? SA_POOL_POD_RECYCLING
                                                                     : SA_POOL_POD_ASSIGNED;
    return p->phase == SA_WARM_POD_PENDING       ? SA_POOL_POD_PENDING
           : p->phase == SA_WARM_POD_READY       ? SA_POOL_POD_READY
           : p->phase == SA_WARM_POD_TERMINATING ? SA_POOL_POD_FAILED
                                                 : SA_POOL_POD_TERMINATING;
}

static bool recent(int step, int most)
{
    return step && w->step - step < most;
}

/* More are there only since max became smaller. */
static void check_max(void)
{
    int64_t most = w->most_free_allowed > w->max ? w->most_free_allowed : w->max;
    CHECK(count_free() <= most);
}

static void make(void)
{
    struct place *place = &w->places[w->count++];
    CHECK(w->count < PODS);
    place->now = (struct pod){.exists = true,
                              .key = w->key,
                              .template_ = w->template_,
                              .made_step = w->step,
                              .version = 1};
    place->ordered_step = w->step;
    changed(place);
    check_max();
}

static bool reconcile_pool(void)
{
    static struct sa_pool_pod pods[PODS];
    static size_t at[PODS];
    static struct sa_pool_plan plan;
    struct sa_pool_observed o = {.exists = true,
                                 .able = w->able,
                                 .wanted = w->wanted,
                                 .max = w->max,
                                 .pods = pods,
                                 .failures = w->failures,
                                 .retry_ms = w->retry_ms,
                                 .now_ms = (int64_t)w->step * STEP_MS};
    w->free_total = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct place *place = &w->places[i];
        const struct pod *p = &place->shown;
        if (!p->version && recent(place->ordered_step, EXPECT)) {
            o.creates_due++;
            w->free_total++;
        }
        if (!p->exists)
            continue;
        if (!p->deleting && recent(place->removed_step, EXPECT))
            o.deletes_due++;
        pods[o.count] = (struct sa_pool_pod){
            .state = state_of(place),
            .useless = p->key != w->key,
            .old = p->key == w->key && p->template_ != w->template_,
            .reserved = p->reserved,
            .tolerated = w->recycles && recent(place->released_step, TOLERATED),
            .returning = w->recycles && p->claimed && !p->deleting && p->key == w->key &&
                         p->template_ == w->template_ && recent(p->claim_step, BACK),
            .created_ms = p->made_step};
        w->free_total += pods[o.count].state <= SA_POOL_POD_READY ||
                         pods[o.count].state == SA_POOL_POD_RECYCLING;
        at[o.count++] = i;
    }
    sa_pool_plan(&o, &plan);
    for (size_t i = 0; i < plan.delete_count; i++) {
        struct place *place = &w->places[at[plan.deletes[i].pod]];
        if (place->now.version != place->shown.version)
            continue; /* refused: it has changed */
        CHECK(!place->now.claimed);
        place->removed_step = w->step;
        place->now.deleting = true;
        changed(place);
    }
    for (size_t i = 0; i < plan.creates; i++) {
        make();
        w->free_total++;
    }
    return plan.creates || plan.delete_count;
}

static void write(struct place *place, enum sa_warm_pod_phase phase)
{
    place->acted = place->shown.version;
    place->acted_step = w->step;
    place->now.phase = phase;
    changed(place);
}

static void work(struct place *place, enum sa_pool_work kind)
{
    place->work = kind;
    place->work_step = w->step + 1 + (int)draw(10);
    place->work_fails = w->trouble && chance(10);
}

static void finish_work(struct place *place)
{
    if (w->step < place->work_step)
        return;
    if (place->work == SA_POOL_WORK_PREPARING)
        place->work = place->work_fails ? SA_POOL_WORK_FAILED : SA_POOL_WORK_PREPARED;
    else if (place->work == SA_POOL_WORK_CLEANING)
        place->work = place->work_fails ? SA_POOL_WORK_FAILED : SA_POOL_WORK_CLEANED;
}

/* False: nothing to do. Writes are refused where the truth has moved on. */
static bool step(struct place *place, enum sa_pool_step what)
{
    struct pod *p = &place->now;
    const bool stale = p->version != place->shown.version;
    if (what == SA_POOL_STEP_NONE)
        return false;
    if (what == SA_POOL_STEP_PREPARE || what == SA_POOL_STEP_CLEAN) {
        CHECK(what == SA_POOL_STEP_PREPARE || !p->lives);
        work(place, what == SA_POOL_STEP_CLEAN ? SA_POOL_WORK_CLEANING : SA_POOL_WORK_PREPARING);
        if (what == SA_POOL_STEP_CLEAN && !stale) {
            w->free_total += !place->recycling;
            place->recycling = true;
            place->clean_step = w->step;
            check_max();
        }
        return true;
    }
    if (what == SA_POOL_STEP_LOOK || stale)
        return true;
    switch (what) {
    case SA_POOL_STEP_MAKE:
        CHECK(p->box == SA_POOL_BOX_NONE);
        p->box = SA_POOL_BOX_STARTING;
        place->box_ordered = true;
        changed(place);
        break;
    case SA_POOL_STEP_READY:
        w->failures -= w->failures > 0;
        write(place, SA_WARM_POD_READY);
        break;
    case SA_POOL_STEP_ASSIGN:
        write(place, SA_WARM_POD_ASSIGNED);
        break;
    case SA_POOL_STEP_RECYCLE:
        write(place, SA_WARM_POD_RECYCLING);
        break;
    case SA_POOL_STEP_REUSE:
        p->reserved = chance(50);
        place->reused = true;
        write(place, chance(50) ? SA_WARM_POD_PENDING : SA_WARM_POD_READY);
        break;
    case SA_POOL_STEP_RELEASE:
        CHECK(!p->lives && place->work == SA_POOL_WORK_CLEANED);
        p->claimed = false;
        place->released_step = w->step;
        write(place, p->phase);
        break;
    case SA_POOL_STEP_FAIL:
        CHECK(!p->claimed);
        failed();
        write(place, SA_WARM_POD_TERMINATING);
        break;
    case SA_POOL_STEP_DELETE:
        CHECK(!(p->claimed && p->lives));
        p->deleting = true;
        changed(place);
        break;
    case SA_POOL_STEP_END:
        p->box = SA_POOL_BOX_ENDING;
        changed(place);
        break;
    case SA_POOL_STEP_LET_GO:
        CHECK(p->box == SA_POOL_BOX_NONE);
        p->exists = false;
        changed(place);
        break;
    default:
        break;
    }
    return true;
}

static bool reconcile_pod(struct place *place)
{
    const struct pod *p = &place->shown;
    const int claim = p->claimed ? p->claim : 0;
    finish_work(place);
    if (!p->exists || (place->acted == p->version && recent(place->acted_step, EXPECT)))
        return false;
    if (claim != place->work_claim) {
        place->work_claim = claim;
        place->recycling = place->reused = false;
        place->work = SA_POOL_WORK_NONE;
    }
    place->had_box |= p->box != SA_POOL_BOX_NONE;
    struct sa_pool_pod_observed o = {
        .phase = p->phase,
        .claimed = p->claimed,
        .deleting = p->deleting,
        .held = true,
        .had_box = place->had_box,
        .box = p->box == SA_POOL_BOX_NONE && place->box_ordered && !place->had_box
                   ? SA_POOL_BOX_ORDERED
                   : p->box,
        .tenant = p->ended ? SA_POOL_TENANT_ENDED : SA_POOL_TENANT_LIVES,
        .work = place->work,
        .reused = place->reused,
        .claim_ms = (int64_t)p->claim_step * STEP_MS,
        .clean_ms = (int64_t)place->clean_step * STEP_MS,
        .now_ms = (int64_t)w->step * STEP_MS,
        .refused = !w->recycles || p->key != w->key ? "Disabled"
                   : w->free_total < w->max         ? NULL
                                                    : "NotNeeded"};
    return step(place, sa_pool_pod_plan(&o).step);
}

static bool controller(void)
{
    bool did = false;
    if (!w->trouble || chance(60))
        did = reconcile_pool();
    for (size_t i = 0; i < w->count; i++)
        if (!w->trouble || chance(60))
            did |= reconcile_pod(&w->places[i]);
    return did;
}

/* ---- worlds ---- */

static bool turn(void)
{
    w->step++;
    show();
    node();
    if (w->trouble) {
        for (unsigned n = draw(4); n; n--)
            if (w->count)
                claimer();
        sandboxes(4);
        if (chance(2))
            operator_();
    } else {
        sandboxes(100);
    }
    return controller();
}

static void check_wanted(void)
{
    int64_t good = 0, others = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct pod *p = &w->places[i].now;
        if (!p->exists)
            continue;
        if (!p->deleting && !p->claimed && p->phase == SA_WARM_POD_READY && !p->reserved &&
            p->box == SA_POOL_BOX_READY && p->key == w->key && p->template_ == w->template_)
            good++;
        else
            others++;
    }
    CHECK(good == w->wanted);
    CHECK(others == 0);
}

static void live(uint64_t number)
{
    seed = number;
    w = sa_alloc(sizeof *w);
    w->random = number * 0x9e3779b97f4a7c15u + 1;
    w->wanted = 4;
    w->max = 10;
    w->able = w->trouble = w->recycles = true;
    for (int i = 0; i < STEPS; i++)
        turn();
    w->trouble = false;
    w->able = true;
    /* What was done last is long ago: everything old has had its time. */
    for (int i = 0, last = 0; i < SETTLE && i - last < REST; i++)
        if (turn())
            last = i;
    check_wanted();
    for (int i = 0; i < REST; i++)
        CHECK(!turn());
    check_wanted();
    free(w);
}

static void every_world_comes_to_rest(void **state)
{
    const char *one = getenv("SA_SEED");
    (void)state;
    if (one) {
        live(strtoull(one, NULL, 10));
        return;
    }
    uint64_t first = (uint64_t)sa_wall_ms();
    print_message("seeds from %llu on\n", (unsigned long long)first);
    for (uint64_t i = 0; i < WORLDS; i++)
        live(first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_world_comes_to_rest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
