#include "security/rules.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

const char *const sa_languages[SA_LANGUAGE_COUNT] = {"default", "python", "node", "bash", "go"};

struct sa_rules_call {
    struct sa_policy *policy;
    sa_rules_cb done;
    void *user;
    struct sa_policy_who who; /* texts are `texts`' */
    const char *level, *runtime, *profile, *overrides;
    struct sa_arena *texts;
    struct sa_arena *arena; /* of the answers so far */
    struct sa_rules_answer answer;
    struct question {
        struct sa_rules_call *call;
        struct sa_policy_call *asked; /* NULL: answered */
        size_t index;
    } profile_question, filters[SA_LANGUAGE_COUNT];
    size_t left;
    int tries;
};

static void ask_profile(struct sa_rules_call *call);

static void call_free(struct sa_rules_call *call)
{
    sa_policy_forget(call->profile_question.asked);
    for (size_t i = 0; i < SA_LANGUAGE_COUNT; i++)
        sa_policy_forget(call->filters[i].asked);
    sa_arena_free(call->arena);
    sa_arena_free(call->texts);
    free(call);
}

static void finish(struct sa_rules_call *call, const struct sa_denial *denial)
{
    call->done(call->user, denial, denial ? NULL : &call->answer);
    call_free(call);
}

/* ---- keeping what is valid during a call only ---- */

static void copy_context(struct sa_arena *arena, const struct sa_policy_context *from,
                         struct sa_policy_context *to)
{
    *to = *from;
    to->runtime_class = sa_arena_strdup(arena, from->runtime_class);
    to->seccomp = sa_arena_strdup(arena, from->seccomp);
    to->capabilities = sa_json_strings_copy(&from->capabilities, arena);
    to->landlock.writable = sa_json_strings_copy(&from->landlock.writable, arena);
    to->writable_paths = sa_json_strings_copy(&from->writable_paths, arena);
    to->devices = sa_json_strings_copy(&from->devices, arena);
    to->required_controls = sa_json_strings_copy(&from->required_controls, arena);
}

/* ---- answers ---- */

static void ask_anew(struct sa_rules_call *call)
{
    struct sa_denial changing = {.error = {.code = SA_OK}};
    if (++call->tries == SA_POLICY_TRIES) {
        sa_policy_error_changing(&changing.error);
        finish(call, &changing);
        return;
    }
    for (size_t i = 0; i < SA_LANGUAGE_COUNT; i++) {
        sa_policy_forget(call->filters[i].asked);
        call->filters[i].asked = NULL;
    }
    ask_profile(call);
}

/* Of another generation than the first: then everything is asked anew; or denied. True: go on. */
static bool take(struct sa_rules_call *call, const struct sa_policy_verdict *verdict,
                 const void *result)
{
    const uint64_t generation = verdict->meta.generation;
    if (!call->answer.generation)
        call->answer.generation = generation;
    if (generation && generation != call->answer.generation) {
        ask_anew(call);
        return false;
    }
    if (verdict->allowed && result)
        return true;
    const struct sa_denial denial = sa_denial_of(verdict);
    finish(call, &denial);
    return false;
}

static void on_filter(void *user, const struct sa_policy_verdict *verdict,
                      const struct sa_policy_filter *filter)
{
    struct question *q = user;
    struct sa_rules_call *call = q->call;
    q->asked = NULL;
    if (!take(call, verdict, filter))
        return;
    call->answer.filters[q->index].allow = sa_json_strings_copy(&filter->allow, call->arena);
    call->answer.filters[q->index].telling = sa_json_strings_copy(&filter->telling, call->arena);
    if (--call->left == 0)
        finish(call, NULL);
}

static void on_profile(void *user, const struct sa_policy_verdict *verdict,
                       const struct sa_policy_context *context)
{
    struct question *q = user;
    struct sa_rules_call *call = q->call;
    q->asked = NULL;
    if (!take(call, verdict, context))
        return;
    copy_context(call->arena, context, &call->answer.context);
    call->left = SA_LANGUAGE_COUNT;
    for (size_t i = 0; i < SA_LANGUAGE_COUNT; i++) {
        const struct sa_policy_seccomp_input input = {
            .who = call->who, .language = sa_languages[i], .level = call->answer.context.seccomp};
        call->filters[i] = (struct question){.call = call, .index = i};
        call->filters[i].asked =
            sa_policy_seccomp(call->policy, &input, on_filter, &call->filters[i]);
    }
}

static void ask_profile(struct sa_rules_call *call)
{
    const struct sa_policy_profile_input input = {.who = call->who,
                                                  .level = call->level,
                                                  .runtime = call->runtime,
                                                  .profile = call->profile,
                                                  .overrides = call->overrides};
    sa_arena_free(call->arena);
    call->arena = sa_arena_new();
    call->answer = (struct sa_rules_answer){0};
    call->profile_question = (struct question){.call = call};
    call->profile_question.asked =
        sa_policy_profile(call->policy, &input, on_profile, &call->profile_question);
}

static const char *kept(struct sa_rules_call *call, const char *text)
{
    return text ? sa_arena_strdup(call->texts, text) : NULL;
}

struct sa_rules_call *sa_rules_ask(struct sa_policy *policy, const struct sa_security_ask *ask,
                                   int64_t minute, sa_rules_cb done, void *user)
{
    struct sa_rules_call *call = sa_alloc(sizeof *call);
    call->policy = policy;
    call->done = done;
    call->user = user;
    call->texts = sa_arena_new();
    call->level = kept(call, ask->level);
    call->runtime = kept(call, ask->runtime);
    call->profile = kept(call, ask->profile);
    call->overrides = kept(call, ask->overrides);
    call->who = (struct sa_policy_who){
        .now = (double)minute * 60,
        .scope = {kept(call, ask->namespace_), kept(call, ask->tenant), kept(call, ask->pool)},
        .user = {kept(call, ask->user), kept(call, ask->role)}};
    ask_profile(call);
    return call;
}

void sa_rules_forget(struct sa_rules_call *call)
{
    if (call)
        call_free(call);
}

uint64_t sa_rules_generation(struct sa_policy *policy)
{
    return sa_engine_generation(sa_policy_engine(policy));
}
