/* The next step of a WarmPod: its whole life, and what may go otherwise. */
#include "controller/pool/pod_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NEXT(STEP, ...) next(SA_POOL_STEP_##STEP, (struct sa_pool_pod_observed){__VA_ARGS__})
#define PENDING .phase = SA_WARM_POD_PENDING
#define READY .phase = SA_WARM_POD_READY
#define ASSIGNED .phase = SA_WARM_POD_ASSIGNED
#define RECYCLING .phase = SA_WARM_POD_RECYCLING
#define BOX(STATE) .box = SA_POOL_BOX_##STATE
#define CLAIM(STATE) .claimed = true, .tenant = SA_POOL_TENANT_##STATE
#define WORK(STATE) .work = SA_POOL_WORK_##STATE

static struct sa_pool_pod_plan next(enum sa_pool_step step, struct sa_pool_pod_observed observed)
{
    const struct sa_pool_pod_plan plan = sa_pool_pod_plan(&observed);
    assert_string_equal(sa_pool_step_name(step), sa_pool_step_name(plan.step));
    return plan;
}

static void a_life(void **state)
{
    (void)state;
    NEXT(MAKE, PENDING, BOX(NONE));
    NEXT(NONE, PENDING, BOX(ORDERED));
    NEXT(NONE, PENDING, BOX(STARTING), .had_box = true);
    NEXT(PREPARE, PENDING, BOX(READY));
    NEXT(NONE, PENDING, BOX(READY), WORK(PREPARING));
    NEXT(READY, PENDING, BOX(READY), WORK(PREPARED));
    NEXT(NONE, READY, BOX(READY), WORK(PREPARED));
    NEXT(ASSIGN, READY, BOX(READY), CLAIM(LIVES), .now_ms = SA_POOL_TELL_MS);
    NEXT(NONE, ASSIGNED, BOX(READY), CLAIM(LIVES));
    NEXT(CLEAN, ASSIGNED, BOX(READY), CLAIM(ENDED));
    NEXT(RECYCLE, ASSIGNED, BOX(READY), CLAIM(ENDED), WORK(CLEANING), .now_ms = SA_POOL_TELL_MS);
    NEXT(NONE, RECYCLING, BOX(READY), CLAIM(ENDED), WORK(CLEANING));
    NEXT(REUSE, RECYCLING, BOX(READY), CLAIM(ENDED), WORK(CLEANED));
    NEXT(RELEASE, PENDING, BOX(READY), CLAIM(ENDED), WORK(CLEANED), .reused = true);
    NEXT(PREPARE, PENDING, BOX(READY), .had_box = true);
    NEXT(READY, PENDING, BOX(READY), WORK(PREPARED), .had_box = true);
    NEXT(NONE, READY, BOX(READY));
}

/* Nothing is written but the claim, what the pod is afterwards, and that the claim is over. */
static void a_short_use(void **state)
{
    (void)state;
    struct sa_pool_pod_plan plan =
        NEXT(NONE, READY, BOX(READY), CLAIM(LIVES), .claim_ms = 1000, .now_ms = 1001);
    assert_int_equal(1000 + SA_POOL_TELL_MS, plan.again_ms);
    NEXT(ASSIGN, READY, BOX(READY), CLAIM(LIVES), .claim_ms = 1000, .now_ms = 999); /* set back */
    NEXT(CLEAN, READY, BOX(READY), CLAIM(ENDED), .claim_ms = 1000, .now_ms = 1001);
    plan = NEXT(NONE, READY, BOX(READY), CLAIM(ENDED), WORK(CLEANING), .clean_ms = 1000,
                .now_ms = 1001);
    assert_int_equal(1000 + SA_POOL_TELL_MS, plan.again_ms);
    NEXT(REUSE, READY, BOX(READY), CLAIM(ENDED), WORK(CLEANED));
    NEXT(RELEASE, READY, BOX(READY), CLAIM(ENDED), WORK(CLEANED), .reused = true);
    NEXT(NONE, READY, BOX(READY));
}

static void an_end(void **state)
{
    (void)state;
    NEXT(END, READY, BOX(READY), .deleting = true, .held = true);
    NEXT(END, ASSIGNED, BOX(FAILED), .deleting = true, .held = true, CLAIM(LIVES));
    NEXT(NONE, READY, BOX(ENDING), .deleting = true, .held = true);
    NEXT(NONE, PENDING, BOX(ORDERED), .deleting = true, .held = true);
    NEXT(LET_GO, READY, BOX(NONE), .deleting = true, .held = true);
    NEXT(NONE, READY, BOX(NONE), .deleting = true);
}

static void pods_that_are_not_made(void **state)
{
    (void)state;
    NEXT(FAIL, PENDING, BOX(FAILED));
    NEXT(FAIL, PENDING, BOX(READY), WORK(FAILED));
    NEXT(FAIL, PENDING, BOX(STARTING), .quiet = true);
    assert_string_equal("PodLost", NEXT(FAIL, PENDING, BOX(NONE), .had_box = true).reason);
    NEXT(NONE, .phase = SA_WARM_POD_TERMINATING, BOX(FAILED));
}

static void pods_that_die(void **state)
{
    (void)state;
    NEXT(FAIL, READY, BOX(FAILED));
    NEXT(FAIL, READY, BOX(NONE));
    NEXT(FAIL, READY, BOX(ENDING));
    NEXT(NONE, READY, BOX(STARTING)); /* the node has lost sight of it */
    NEXT(FAIL, READY, BOX(STARTING), .quiet = true);
    /* The sandbox learns it first; then it goes, and is not cleaned. */
    NEXT(NONE, ASSIGNED, BOX(FAILED), CLAIM(LIVES));
    NEXT(DELETE, ASSIGNED, BOX(FAILED), CLAIM(ENDED));
    NEXT(DELETE, RECYCLING, BOX(NONE), CLAIM(ENDED));
}

static void what_is_not_used_again(void **state)
{
    (void)state;
    assert_string_equal(
        "Disabled", NEXT(DELETE, ASSIGNED, BOX(READY), CLAIM(ENDED), .refused = "Disabled").reason);
    assert_null(NEXT(DELETE, RECYCLING, BOX(READY), CLAIM(ENDED), WORK(FAILED)).reason);
    /* Its cleaning was begun: there is no way back to being refused. */
    NEXT(CLEAN, RECYCLING, BOX(READY), CLAIM(ENDED), .refused = "NotNeeded");
    /* Claimed and ended before anybody wrote that it was assigned. */
    NEXT(CLEAN, READY, BOX(READY), CLAIM(ENDED));
    /* Work of another process is not known: it is not given back uncleaned. */
    NEXT(CLEAN, READY, BOX(READY), CLAIM(GONE), WORK(NONE));
}

static void claims_that_were_never_used(void **state)
{
    (void)state;
    const struct sa_pool_pod_plan plan =
        NEXT(NONE, READY, BOX(READY), CLAIM(UNSEEN), .claim_ms = 1000, .now_ms = 2000);
    assert_int_equal(1000 + SA_POOL_CLAIM_MS, plan.again_ms);
    NEXT(LOOK, READY, BOX(READY), CLAIM(UNSEEN), .claim_ms = 1000,
         .now_ms = 1000 + SA_POOL_CLAIM_MS);
    /* It was there, and is not any more. */
    NEXT(LOOK, ASSIGNED, BOX(READY), CLAIM(UNSEEN), .claim_ms = 1000, .now_ms = 2000,
         .uid_known = true);
    NEXT(CLEAN, READY, BOX(READY), CLAIM(GONE));
}

static void claims_that_somebody_took_away(void **state)
{
    (void)state;
    NEXT(DELETE, ASSIGNED, BOX(READY));
    NEXT(DELETE, RECYCLING, BOX(READY), WORK(CLEANED));
}

/* Whatever is observed: nothing of a sandbox that lives is ever touched, a claim is released only
 * after cleaning, and what is being deleted never comes back. */
static void in_every_state(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 5u * 6 * 4 * 6 * 64; bits++) {
        unsigned b = bits;
        struct sa_pool_pod_observed o = {.phase = (enum sa_warm_pod_phase)(b % 5)};
        o.box = (enum sa_pool_box)((b /= 5) % 6);
        o.tenant = (enum sa_pool_tenant)((b /= 6) % 4);
        o.work = (enum sa_pool_work)((b /= 4) % 6);
        b /= 6;
        o.claimed = b & 1, o.deleting = b & 2, o.held = b & 4, o.had_box = b & 8;
        o.refused = b & 16 ? "No" : NULL;
        o.reused = b & 32;
        const enum sa_pool_step step = sa_pool_pod_plan(&o).step;
        if (o.deleting)
            assert_true(step == SA_POOL_STEP_NONE || step == SA_POOL_STEP_END ||
                        step == SA_POOL_STEP_LET_GO);
        else if (o.claimed && o.tenant == SA_POOL_TENANT_LIVES)
            assert_true(step == SA_POOL_STEP_NONE || step == SA_POOL_STEP_ASSIGN);
        if (step == SA_POOL_STEP_RELEASE || step == SA_POOL_STEP_REUSE)
            assert_true(o.work == SA_POOL_WORK_CLEANED && o.box == SA_POOL_BOX_READY && o.claimed);
        if (step == SA_POOL_STEP_READY)
            assert_true(o.work == SA_POOL_WORK_PREPARED && !o.claimed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life),
        cmocka_unit_test(a_short_use),
        cmocka_unit_test(an_end),
        cmocka_unit_test(pods_that_are_not_made),
        cmocka_unit_test(pods_that_die),
        cmocka_unit_test(what_is_not_used_again),
        cmocka_unit_test(claims_that_were_never_used),
        cmocka_unit_test(claims_that_somebody_took_away),
        cmocka_unit_test(in_every_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
