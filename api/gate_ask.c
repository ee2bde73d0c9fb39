/* One function for each kind of question; see gate.h. */
#include "api/gate_private.h"

#include "base/cleanup.h"
#include "kinds/admission.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static struct sa_gate *begin(void)
{
    struct sa_gate *gate = gate_new();
    gate->call_count = gate->left = 1;
    return gate;
}

/* ---- execute ---- */

/* The process of a context runs already: what cannot be set any more must not be taken for set. */
static int check_context(const struct sa_gate *gate, const struct sa_policy_run *run,
                         struct sa_error *err)
{
    const struct sa_policy_run *before = &gate->run;
    if (!gate->execute->context ||
        (before->memory_bytes == run->memory_bytes && before->cpu_seconds == run->cpu_seconds &&
         before->file_size_bytes == run->file_size_bytes && before->open_files == run->open_files))
        return 0;
    return sa_error_set(err, SA_EUNAVAILABLE,
                        "a rule limits this execution by what cannot be set in a context, whose "
                        "process runs already; only its timeout can. The rule may limit the "
                        "context itself (kind \"context\")");
}

static void on_execute(void *user, const struct sa_policy_verdict *verdict,
                       const struct sa_policy_run *run)
{
    struct sa_gate *gate = user;
    struct sa_error error;
    gate->calls[0] = NULL;
    if (run && verdict->allowed && check_context(gate, run, &error) < 0) {
        gate_fail(gate, verdict, &error);
        return;
    }
    if (run && verdict->allowed) {
        gate->execute->timeout_ms = run->timeout_ms ? run->timeout_ms : gate->execute->timeout_ms;
        gate_apply_limits(&gate->run, run, &gate->execute->limits);
    }
    gate_answered(gate, verdict);
}

struct sa_gate *sa_gate_execute(const struct sa_gate_who *who, const char *kind,
                                struct sa_execute *execute)
{
    struct sa_gate *gate = begin();
    struct sa_arena *scratch = sa_arena_new();
    gate->execute = execute;
    gate->run = gate_run_of(&execute->limits, execute->timeout_ms);
    struct sa_policy_execute_input input = {.who = gate_who(who),
                                            .sandbox = gate_sandbox(who->sandbox),
                                            .kind = kind            ? kind
                                                    : execute->code ? "code"
                                                                    : "command",
                                            .run = gate->run};
    gate_fill_execute(who, execute, scratch, &input);
    gate->calls[0] = sa_policy_execute(who->app->policy, &input, on_execute, gate);
    sa_arena_free(scratch);
    return gate;
}

static void on_context(void *user, const struct sa_policy_verdict *verdict,
                       const struct sa_policy_run *run)
{
    struct sa_gate *gate = user;
    gate->calls[0] = NULL;
    if (run && verdict->allowed)
        gate_apply_limits(&gate->run, run, &gate->context->limits);
    gate_answered(gate, verdict);
}

struct sa_gate *sa_gate_context(const struct sa_gate_who *who, struct sa_context_spec *spec)
{
    struct sa_gate *gate = begin();
    struct sa_arena *scratch = sa_arena_new();
    gate->context = spec;
    gate->run = gate_run_of(&spec->limits, 0);
    struct sa_policy_execute_input input = {.who = gate_who(who),
                                            .sandbox = gate_sandbox(who->sandbox),
                                            .kind = "context",
                                            .language = spec->language,
                                            .cwd = spec->cwd ? spec->cwd : "/workspace",
                                            .run = gate->run};
    gate_fill_env(&spec->env, scratch, &input.env_names);
    gate->calls[0] = sa_policy_execute(who->app->policy, &input, on_context, gate);
    sa_arena_free(scratch);
    return gate;
}

static void on_port(void *user, const struct sa_policy_verdict *verdict,
                    const struct sa_policy_run *run)
{
    struct sa_gate *gate = user;
    (void)run; /* there is no process to limit */
    gate->calls[0] = NULL;
    gate_answered(gate, verdict);
}

struct sa_gate *sa_gate_port(const struct sa_gate_who *who, int port)
{
    struct sa_gate *gate = begin();
    char text[16];
    const char *argv[] = {text};
    snprintf(text, sizeof text, "%d", port);
    const struct sa_policy_execute_input input = {.who = gate_who(who),
                                                  .sandbox = gate_sandbox(who->sandbox),
                                                  .kind = "port",
                                                  .argv = {argv, 1}};
    gate->calls[0] = sa_policy_execute(who->app->policy, &input, on_port, gate);
    return gate;
}

/* ---- files ---- */

static void on_file(void *user, const struct sa_policy_verdict *verdict)
{
    struct sa_gate *gate = user;
    gate->calls[0] = NULL;
    gate_answered(gate, verdict);
}

struct sa_gate *sa_gate_file(const struct sa_gate_who *who, const struct sa_gate_file *file)
{
    struct sa_gate *gate = begin();
    const struct sa_policy_files_input input = {.who = gate_who(who),
                                                .sandbox = gate_sandbox(who->sandbox),
                                                .operation = file->operation,
                                                .path = file->path,
                                                .to = file->to,
                                                .bytes = file->bytes,
                                                .recursive = file->recursive};
    gate->calls[0] = sa_policy_files(who->app->policy, &input, on_file, gate);
    return gate;
}

/* ---- admission ---- */

static void on_admission(void *user, const struct sa_policy_verdict *verdict, const char *object,
                         size_t length)
{
    struct sa_gate *gate = user;
    const struct sa_gate_admission *a = &gate->admission;
    struct sa_error error;
    gate->calls[0] = NULL;
    if (a->generation)
        *a->generation = verdict->meta.generation;
    if (object && verdict->allowed && a->result)
        sa_buf_add(a->result, object, length);
    if (object && verdict->allowed && a->spec &&
        sa_admission_decode(object, length, a->arena, a->spec, &error) < 0) {
        error.code = SA_EUNAVAILABLE; /* nothing that the client can mend */
        sa_error_wrap(&error, "the operator's admission rules made of this what cannot be");
        gate_fail(gate, verdict, &error);
        return;
    }
    gate_answered(gate, verdict);
}

struct sa_gate *sa_gate_admission(const struct sa_gate_who *who,
                                  const struct sa_gate_admission *admission)
{
    struct sa_gate *gate = begin();
    gate->admission = *admission;
    const struct sa_policy_admission_input input = {.who = gate_who(who),
                                                    .operation = admission->operation,
                                                    .kind = admission->kind ? admission->kind
                                                                            : "Sandbox",
                                                    .object = admission->object,
                                                    .old = admission->old};
    gate->calls[0] = sa_policy_admission(who->app->policy, &input, on_admission, gate);
    return gate;
}
