/*
 * One reconcile of one sandbox: observe, then plan and do a step, until there is none left. Each
 * step is at most one call of the store; its answer becomes part of the world. After each write
 * lies a fail point ("sandbox.pod-created" ...): whoever comes next finishes from there.
 */
#ifndef SA_CONTROLLER_SANDBOX_APPLY_H
#define SA_CONTROLLER_SANDBOX_APPLY_H

#include "controller/controllers.h"
#include "controller/sandbox/plan.h"
#include "log/log.h"
#include "objects/recorder.h"

enum sa_reconciled {
    SA_RECONCILED,     /* again after `again_ms`, 0: when told */
    SA_RECONCILE_AGAIN /* something could not be done now */
};
struct sa_sandbox_job;
struct sa_sandbox_jobs { /* of a controller; zeroed, then `options`, `recorder` and `done` */
    const struct sa_controllers_options *options;
    struct sa_recorder *recorder;
    struct sa_log_limit events; /* what all sandboxes together may say */
    /* The key is valid during the call. At once, or later from the loop. */
    void (*done)(void *owner, const char *key, enum sa_reconciled result, int64_t again_ms);
    void *owner;
    struct sa_sandbox_job *first;
};
void sa_sandbox_reconcile(struct sa_sandbox_jobs *jobs, const char *key);
/* Those under way are forgotten; `done` is not called. */
void sa_sandbox_jobs_drop(struct sa_sandbox_jobs *jobs);

#endif
