/*
 * Work of several calls with the runtime of a pod: one after the other, each with a time limit, all
 * together with a deadline. Whatever comes back from a pod is hostile: it is cut, and made
 * printable.
 */
#ifndef SA_CONTROLLER_POOL_JOB_H
#define SA_CONTROLLER_POOL_JOB_H

#include "controller/pool/private.h"

struct sa_pool_job;
/* `err` NULL: it went well (a program: it exited with 0). */
typedef void sa_pool_next(struct sa_pool_job *job, const struct sa_error *err);

struct sa_pool_job {
    struct sa_pool_job *prev, *next;
    struct sa_pool_controller *controller;
    struct sa_pool_record *record;
    struct sa_arena *arena;
    int64_t deadline_ms;
    /* The call that is under way. */
    struct sa_call *call;
    struct sa_policy_call *policy, *policy_same; /* may anybody have it, or who had it? */
    bool refused;                                /* not anybody */
    sa_pool_next *then;
    const char *input; /* what is left to be sent */
    size_t input_length;
    struct sa_buf tail; /* of what a program said on stderr */
    char status[16];
    int64_t exit_code;
    char fingerprint[129];
    /* What the work is about, of the arena. */
    const char *language; /* "python" ...; "base" */
    struct sa_json_strings packages, scripts, imports;
    const char *manager; /* "pip", "npm", NULL */
    bool seals;
    size_t package, script; /* the one that is next */
    const char *level;
    struct sa_policy_scope scope; /* without a tenant */
    struct sa_policy_recycle_input question;
};
/* The record's; NULL when its pool is gone. */
struct sa_pool_job *sa_pool_job_new(struct sa_pool_record *record, const struct sa_object *pod,
                                    int64_t limit_ms);
/* It is over: the record's work is that, the pod is looked at again, the job is freed. */
void sa_pool_job_end(struct sa_pool_job *job, enum sa_pool_work work, const char *reason,
                     const char *message);

struct sa_pool_program {
    const char *const *argv;
    size_t argc;
    const char *filter, *code; /* code NULL: none */
    size_t code_length;
    bool template_; /* fork it from the template, with the job's imports */
    bool warm;      /* and wait until that can be */
    int64_t timeout_ms;
};
void sa_pool_job_run(struct sa_pool_job *job, const struct sa_pool_program *program,
                     sa_pool_next *then);
/* Code in the job's language; `warm`: forked from the template, where the language has one. */
void sa_pool_job_code(struct sa_pool_job *job, const char *code, bool warm, int64_t timeout_ms,
                      sa_pool_next *then);
/* SEAL and RESET: job->fingerprint. */
void sa_pool_job_ask(struct sa_pool_job *job, enum sa_link_method method, sa_pool_next *then);

bool sa_pool_job_has_template(const struct sa_pool_job *job);
/* Until the template waits, where the language has one. True: `then` will be called; else there is
 * none, and nothing to wait for. */
bool sa_pool_job_warm(struct sa_pool_job *job, sa_pool_next *then);

#endif
