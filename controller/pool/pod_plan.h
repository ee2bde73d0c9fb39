/*
 * The next step of one WarmPod, of what was observed: pure.
 *
 *   Pending      its Pod is made; once that is Ready it is prepared (preloads, then the seal); one
 *                that was used, and is clean, has its template started again, where it has one
 *   Ready        anybody may claim it, unless somebody has
 *   Assigned     somebody has, for more than a moment
 *   Recycling    its sandbox has ended, and cleaning it takes more than a moment
 *   Terminating  it failed, says why, and is deleted after the pool's pause
 *
 * A claim that is given is only ever taken back by RELEASE, after everything of its sandbox has
 * been removed; a WarmPod whose claim went otherwise is not used again. Every write names the
 * version that was observed, so that whoever was faster wins.
 *
 * Writes are what a pod costs. Phases that are over within SA_POOL_TELL_MS are not written: the
 * claim says as much, and no decision depends on them.
 */
#ifndef SA_CONTROLLER_POOL_POD_PLAN_H
#define SA_CONTROLLER_POOL_POD_PLAN_H

#include "kinds/warm_pod.h"

enum sa_pool_box { /* its Pod */
                   SA_POOL_BOX_NONE,
                   SA_POOL_BOX_ORDERED, /* the cache does not show it yet */
                   SA_POOL_BOX_STARTING,
                   SA_POOL_BOX_READY,
                   SA_POOL_BOX_FAILED,
                   SA_POOL_BOX_ENDING, /* is being deleted */
};
enum sa_pool_tenant {                        /* the Sandbox that has it */
                      SA_POOL_TENANT_UNSEEN, /* of that name and that claim there is none in the
                                                cache */
                      SA_POOL_TENANT_GONE,   /* nor in the store */
                      SA_POOL_TENANT_LIVES,
                      SA_POOL_TENANT_ENDED, /* it is being deleted, or is over */
};
enum sa_pool_work { /* what this process does, or has done, with it */
                    SA_POOL_WORK_NONE,
                    SA_POOL_WORK_PREPARING,
                    SA_POOL_WORK_PREPARED,
                    SA_POOL_WORK_CLEANING,
                    SA_POOL_WORK_CLEANED, /* it may be used again */
                    SA_POOL_WORK_FAILED,  /* the preparation or the cleaning: it must go */
};
struct sa_pool_pod_observed {
    enum sa_warm_pod_phase phase;
    bool claimed, deleting, held; /* held: by our finalizer */
    bool had_box;                 /* there was a Pod: it is not made anew */
    enum sa_pool_box box;
    enum sa_pool_tenant tenant;
    enum sa_pool_work work;
    const char *refused; /* why it is not cleaned for another use, a word; NULL: it is */
    bool uid_known;      /* of the claim's Sandbox: it was there */
    bool quiet;          /* the Pod is there and is not ready, for too long */
    bool reused;         /* what it will be for its next user is written */
    int64_t claim_ms;    /* when it was claimed */
    int64_t clean_ms;    /* when its cleaning began */
    int64_t now_ms;
};

enum {
    SA_POOL_CLAIM_MS = 30 * 1000, /* after which a claim without a Sandbox is looked into */
    SA_POOL_TELL_MS = 50          /* after which people are told of a phase that will pass */
};
enum sa_pool_step {
    SA_POOL_STEP_NONE,
    SA_POOL_STEP_MAKE, /* the Pod */
    SA_POOL_STEP_PREPARE,
    SA_POOL_STEP_READY,   /* write it */
    SA_POOL_STEP_ASSIGN,  /* write it */
    SA_POOL_STEP_LOOK,    /* for its Sandbox, in the store */
    SA_POOL_STEP_RECYCLE, /* write it */
    SA_POOL_STEP_CLEAN,
    SA_POOL_STEP_REUSE,   /* write what it will be, the claim still given */
    SA_POOL_STEP_RELEASE, /* take the claim back */
    SA_POOL_STEP_FAIL,    /* write why; the pool deletes it */
    SA_POOL_STEP_DELETE,
    SA_POOL_STEP_END,    /* delete its Pod */
    SA_POOL_STEP_LET_GO, /* take the finalizer off */
};
struct sa_pool_pod_plan {
    enum sa_pool_step step;
    const char *reason; /* of FAIL and DELETE: why, a word; NULL: what the work or the Pod says */
    int64_t again_ms;   /* look again then, whatever happens; 0: no need */
};
struct sa_pool_pod_plan sa_pool_pod_plan(const struct sa_pool_pod_observed *observed);
const char *sa_pool_step_name(enum sa_pool_step step);

#endif
