/*
 * Between a Pod that runs and a pod that may be claimed: its pool's packages are installed, its
 * scripts run, its modules imported into the template that waits; then it is sealed, where it may
 * be used again. A first program that finds no template would pay for it, so that Python's is
 * always warmed. (Node.js cannot be forked: there imports are only tried.)
 *
 * A pod that was used, and cleaned, only has its template started again.
 *
 * Scripts run again in a pod whose preparation was interrupted by the end of this process.
 */
#include "controller/pool/job.h"

#include "base/cleanup.h"
#include "model/packages.h"

#include <stdio.h>
#include <string.h>

enum {
    PREPARE_MOST_MS = 900 * 1000,
    PACKAGES_MOST_MS = 300 * 1000,
    SCRIPT_MOST_MS = 60 * 1000,
    IMPORTS_MOST_MS = 120 * 1000
};

static void failed(struct sa_pool_job *job, const char *reason, const char *what,
                   const struct sa_error *err)
{
    sa_autobuf message = SA_BUF_INIT;
    sa_buf_printf(&message, "%s: %s", what, err->message);
    sa_pool_job_end(job, SA_POOL_WORK_FAILED, reason, message.data);
}

/* ---- the seal, and the template ---- */

static void on_warm(struct sa_pool_job *job, const struct sa_error *err)
{
    if (err)
        failed(job, "WarmFailed", "the first program", err);
    else
        sa_pool_job_end(job, SA_POOL_WORK_PREPARED, "", "");
}

/* Last, as sealing ends whatever runs. */
static void warm(struct sa_pool_job *job)
{
    if (!sa_pool_job_warm(job, on_warm))
        sa_pool_job_end(job, SA_POOL_WORK_PREPARED, "", "");
}

/* What preparing it took is not the first user's. */
static void on_counted(void *user, const struct sa_agent_counts *counts)
{
    (void)counts;
    warm(user);
}

static void on_sealed(struct sa_pool_job *job, const struct sa_error *err)
{
    if (err) {
        failed(job, "SealFailed", "its pristine state could not be remembered", err);
        return;
    }
    memcpy(job->record->fingerprint, job->fingerprint, sizeof job->record->fingerprint);
    sa_agent_recount(job->controller->options.agent, job->record->name, on_counted, job);
}

static void seal(struct sa_pool_job *job)
{
    if (job->seals)
        sa_pool_job_ask(job, SA_METHOD_SEAL, on_sealed);
    else
        warm(job);
}

/* ---- imports ---- */

static void on_imported(struct sa_pool_job *job, const struct sa_error *err)
{
    if (err)
        failed(job, "ImportFailed", "imports", err);
    else
        seal(job);
}

/* What the template cannot import it only leaves out, so that a program that is forked from it
 * tries again, and says why. That this is before the seal is also for the sake of files that
 * imports leave: they belong to the pod then, and no cleaning has to remove them. Names of modules
 * have letters, digits, "_", "-", "/", "@" and "." only: nothing to be quoted. */
static void import(struct sa_pool_job *job)
{
    const bool python = strcmp(job->language, "python") == 0;
    sa_autobuf code = SA_BUF_INIT;
    if (!job->imports.count) {
        seal(job);
        return;
    }
    for (size_t i = 0; i < job->imports.count; i++)
        sa_buf_printf(&code, python ? "import %s\n" : "require('%s');\n", job->imports.items[i]);
    sa_pool_job_code(job, sa_arena_strdup(job->arena, code.data), true, IMPORTS_MOST_MS,
                     on_imported);
}

/* ---- scripts ---- */

static void run_scripts(struct sa_pool_job *job);

static void on_script(struct sa_pool_job *job, const struct sa_error *err)
{
    if (err) {
        failed(job, "ScriptFailed", sa_arena_printf(job->arena, "preloadScripts[%zu]", job->script),
               err);
        return;
    }
    job->script++;
    run_scripts(job);
}

static void run_scripts(struct sa_pool_job *job)
{
    if (job->script == job->scripts.count) {
        import(job);
        return;
    }
    const char *script = job->scripts.items[job->script];
    sa_pool_job_code(job, script[0] ? script : "\n", false, SCRIPT_MOST_MS, on_script);
}

/* ---- packages ---- */

static void on_installed(struct sa_pool_job *job, const struct sa_error *err)
{
    if (err)
        failed(job, "InstallFailed", "preloadPackages", err);
    else
        run_scripts(job);
}

static void install(struct sa_pool_job *job)
{
    const bool pip = strcmp(job->manager, "pip") == 0;
    const char **argv = sa_arena_alloc(job->arena, (job->packages.count + 2) * sizeof *argv);
    argv[0] = pip ? "python3" : "node";
    argv[1] = pip ? "/etc/secureagent/packages/pip.py" : "/etc/secureagent/packages/npm.js";
    for (size_t i = 0; i < job->packages.count; i++)
        argv[i + 2] = job->packages.items[i];
    sa_pool_job_run(job,
                    &(struct sa_pool_program){.argv = argv,
                                              .argc = job->packages.count + 2,
                                              .filter = "default",
                                              .timeout_ms = PACKAGES_MOST_MS},
                    on_installed);
}

static void ask(struct sa_pool_job *job);

static void on_verdict(void *user, const struct sa_policy_verdict *verdict)
{
    struct sa_pool_job *job = user;
    struct sa_error err;
    job->policy = NULL;
    if (!verdict->allowed) {
        sa_policy_error(verdict, &err);
        failed(job, "InstallFailed", job->packages.items[job->package], &err);
        return;
    }
    job->package++;
    ask(job);
}

/* The rules are asked of each, as of what a sandbox installs: a pool is no way around them. */
static void ask(struct sa_pool_job *job)
{
    struct sa_policy *policy = job->controller->options.policy;
    if (job->package == job->packages.count || !policy) {
        install(job);
        return;
    }
    struct sa_policy_packages_input input = {.who.scope = job->scope,
                                             .sandbox = {.id = job->record->name,
                                                         .name = job->record->name,
                                                         .runtime = job->language,
                                                         .security_level = job->level},
                                             .manager = job->manager};
    sa_package_split(job->manager, job->packages.items[job->package], job->arena, &input.name,
                     &input.version);
    job->policy = sa_policy_packages(policy, &input, on_verdict, job);
}

static void begin(struct sa_pool_job *job)
{
    struct sa_error err;
    if (!job->packages.count) {
        run_scripts(job);
    } else if (!job->manager) {
        sa_error_set(&err, SA_EINVALID, "the runtime has no package manager");
        failed(job, "InstallFailed", "preloadPackages", &err);
    } else {
        ask(job);
    }
}

void sa_pool_prepare(struct sa_pool_record *record, const struct sa_object *pod)
{
    struct sa_agent *agent = record->controller->options.agent;
    const struct sa_warm_pod_status *status = sa_object_status(pod);
    snprintf(record->fingerprint, sizeof record->fingerprint, "%s", status->fingerprint);
    if (!agent) { /* a node that is not driven from here: nothing can be done inside */
        record->work = SA_POOL_WORK_PREPARED;
        sa_pool_wake_pod(record);
        return;
    }
    if (!sa_agent_conn(agent, record->name))
        return; /* the agent tells when there is one */
    struct sa_pool_job *job = sa_pool_job_new(record, pod, PREPARE_MOST_MS);
    if (!job)
        return; /* its pool is gone, and deletes it */
    record->work = SA_POOL_WORK_PREPARING;
    if (status->ready_ms)
        warm(job);
    else
        begin(job);
}
