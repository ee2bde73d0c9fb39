/*
 * Packages: a question for each, and one answer. What some rules said of one and others of the
 * next would be no decision of either: then all are asked about anew.
 */
#include "api/gate_private.h"

#include <stdio.h>
#include <stdlib.h>

struct gate_packages {
    struct sa_app *app;
    struct sa_principal principal;
    char sandbox[SA_ID_BYTES];
    const struct sa_packages *asked;
    uint64_t generation; /* of the answers so far; 0: there is none */
    int tries;
    struct package { /* whose answer it is */
        struct sa_gate *gate;
        size_t index;
    } each[SA_PACKAGES_MAX];
};

static void ask(struct sa_gate *gate, const struct sa_sandbox *sandbox);

static void fail(struct sa_gate *gate, const struct sa_error *err)
{
    const struct sa_policy_verdict nobody = {0};
    gate_fail(gate, &nobody, err);
}

static void ask_anew(struct sa_gate *gate)
{
    struct gate_packages *p = gate->packages;
    struct sa_error error;
    const struct sa_sandbox *sandbox = sa_sandbox_find(p->app->sandboxes, p->sandbox);
    for (size_t i = 0; i < gate->call_count; i++) {
        sa_policy_forget(gate->calls[i]);
        gate->calls[i] = NULL;
    }
    if (++p->tries == SA_POLICY_TRIES) {
        sa_policy_error_changing(&error);
        fail(gate, &error);
    } else if (!sandbox) {
        sa_error_set(&error, SA_ENOTFOUND, "the sandbox has ended");
        fail(gate, &error);
    } else {
        ask(gate, sandbox);
    }
}

/* A denial needs no others to be one. */
static void on_answer(void *user, const struct sa_policy_verdict *verdict)
{
    const struct package *package = user;
    struct sa_gate *gate = package->gate;
    struct gate_packages *p = gate->packages;
    gate->calls[package->index] = NULL;
    if (!p->generation)
        p->generation = verdict->meta.generation;
    if (verdict->allowed && verdict->meta.generation != p->generation)
        ask_anew(gate);
    else
        gate_answered(gate, verdict);
}

static void ask(struct sa_gate *gate, const struct sa_sandbox *sandbox)
{
    struct gate_packages *p = gate->packages;
    const struct sa_packages *asked = p->asked;
    struct sa_arena *scratch = sa_arena_new();
    struct sa_policy_packages_input input = {
        .who = gate_who(&(struct sa_gate_who){p->app, &p->principal, sandbox}),
        .sandbox = gate_sandbox(sandbox),
        .manager = asked->manager};
    p->generation = 0;
    gate->call_count = gate->left = asked->names.count;
    for (size_t i = 0; i < asked->names.count; i++) {
        p->each[i] = (struct package){gate, i};
        sa_package_split(asked->manager, asked->names.items[i], scratch, &input.name,
                         &input.version);
        gate->calls[i] = sa_policy_packages(p->app->policy, &input, on_answer, &p->each[i]);
    }
    sa_arena_free(scratch);
}

struct sa_gate *sa_gate_packages(const struct sa_gate_who *who, const struct sa_packages *packages)
{
    struct sa_gate *gate = gate_new();
    struct gate_packages *p = gate->packages = sa_alloc(sizeof *p);
    p->app = who->app;
    p->principal = *who->principal;
    p->asked = packages;
    snprintf(p->sandbox, sizeof p->sandbox, "%s", sa_sandbox_id(who->sandbox));
    ask(gate, who->sandbox);
    return gate;
}
