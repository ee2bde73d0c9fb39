/*
 * Answers by what they depend on. An entry is on its way through ASKING the rules, in the queue for
 * SENDING to the node (one at a time), and KNOWN; who asks for the same meanwhile waits in it.
 */
#include "security/security.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "security/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

enum { ENTRIES_MOST = 256, MINUTES_KEPT = 2 };

enum state { ASKING, QUEUED, SENDING, KNOWN };

struct sa_security_call {
    struct sa_security_call *prev, *next;
    struct entry *entry;
    sa_security_cb done;
    void *user;
};

struct entry {
    UT_hash_handle hh;
    struct sa_security *security;
    char *key, *level;
    enum state state;
    uint64_t used;
    int64_t minute;
    bool telling; /* who waits is being told */
    struct sa_rules_call *rules;
    struct sa_security_call *calls;
    struct sa_security_answer answer;
    struct sa_buf profile; /* fields of the message */
};

struct sa_security {
    uv_loop_t *loop;
    struct sa_policy *policy;
    struct sa_node_client *node;
    struct entry *by_key;
    struct entry *sending;
    uint64_t uses;
    uv_timer_t later; /* answers and sends what is ready, from the loop */
};

static void go_on(struct sa_security *s);

/* ---- entries ---- */

static void free_required(struct sa_security_answer *answer)
{
    for (size_t i = 0; i < answer->required.count; i++)
        free((char *)(size_t)answer->required.items[i]);
    free(answer->required.items);
}

static void entry_free(struct entry *e)
{
    struct sa_security_call *call;
    HASH_DEL(e->security->by_key, e);
    while ((call = e->calls)) {
        DL_DELETE(e->calls, call);
        free(call);
    }
    if (e->security->sending == e) {
        sa_node_forget(e->security->node, e);
        e->security->sending = NULL;
    }
    sa_rules_forget(e->rules);
    free_required(&e->answer);
    sa_buf_deinit(&e->profile);
    free(e->key);
    free(e->level);
    free(e);
}

/* Texts with their lengths, so that no two questions look alike. */
static char *key_of(const struct sa_security *s, const struct sa_security_ask *ask, int64_t minute)
{
    struct sa_buf key = SA_BUF_INIT;
    const char *const texts[] = {ask->level,     ask->runtime,    ask->profile,
                                 ask->overrides, ask->namespace_, ask->tenant,
                                 ask->pool,      ask->user,       ask->role};
    sa_buf_printf(&key, "%llu %lld", (unsigned long long)sa_rules_generation(s->policy),
                  (long long)minute);
    for (size_t i = 0; i < SA_COUNT(texts); i++)
        sa_buf_printf(&key, " %zd:%s", texts[i] ? (ssize_t)strlen(texts[i]) : -1,
                      texts[i] ? texts[i] : "");
    return sa_buf_steal(&key);
}

static int64_t this_minute(void)
{
    return sa_wall_ms() / 60000;
}

static struct entry *find(struct sa_security *s, const char *key)
{
    struct entry *e;
    HASH_FIND_STR(s->by_key, key, e);
    if (e)
        e->used = ++s->uses;
    return e;
}

static bool unused(const struct entry *e)
{
    return e->state == KNOWN && !e->calls && !e->telling;
}

static void make_room(struct sa_security *s, int64_t minute)
{
    struct entry *e, *tmp, *oldest = NULL;
    HASH_ITER (hh, s->by_key, e, tmp)
        if (unused(e) && e->minute <= minute - MINUTES_KEPT)
            entry_free(e);
    if (HASH_COUNT(s->by_key) < ENTRIES_MOST)
        return;
    HASH_ITER (hh, s->by_key, e, tmp)
        if (unused(e) && (!oldest || e->used < oldest->used))
            oldest = e;
    if (oldest)
        entry_free(oldest);
}

static void later(struct sa_security *s);

/* Tell who waits; they may ask anew. The entry stays. */
static void answer_calls(struct entry *e, const struct sa_denial *denial)
{
    struct sa_security_call *call;
    e->telling = true;
    while ((call = e->calls)) {
        sa_security_cb done = call->done;
        void *user = call->user;
        DL_DELETE(e->calls, call);
        free(call);
        done(user, denial, denial ? NULL : &e->answer);
    }
    e->telling = false;
}

/* Refusals are not kept. */
static void fail(struct entry *e, const struct sa_denial *denial)
{
    struct sa_security *s = e->security;
    e->state = ASKING; /* nobody finds an answer in it */
    HASH_DEL(s->by_key, e);
    char *key = e->key;
    e->key = sa_printf("failed %llu", (unsigned long long)++s->uses);
    free(key);
    HASH_ADD_KEYPTR(hh, s->by_key, e->key, strlen(e->key), e);
    answer_calls(e, denial);
    entry_free(e);
}

/* ---- the node ---- */

static void on_profile(void *user, struct sa_node_reply *reply)
{
    struct entry *e = user;
    struct sa_security *s = e->security;
    s->sending = NULL;
    if (reply->error) {
        const struct sa_denial denial = {.error = *reply->error};
        fail(e, &denial);
    } else {
        e->state = KNOWN;
    }
    later(s);
}

static void send_profile(struct entry *e)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_PROFILE_ID, e->answer.profile);
    sa_buf_add(&body, e->profile.data, e->profile.length);
    e->state = SENDING;
    e->security->sending = e;
    sa_node_call(e->security->node, SA_NODE_PROFILE, &body, on_profile, e);
}

/* Is another one with the same profile in that state? */
static bool twin(const struct entry *e, enum state state)
{
    const struct entry *other;
    for (other = e->security->by_key; other; other = other->hh.next)
        if (other != e && other->state == state &&
            strcmp(other->answer.profile, e->answer.profile) == 0)
            return true;
    return false;
}

static void on_later(uv_timer_t *timer)
{
    go_on(timer->data);
}

static void later(struct sa_security *s)
{
    if (!uv_is_active((uv_handle_t *)&s->later))
        uv_timer_start(&s->later, on_later, 0, 0);
}

static void go_on(struct sa_security *s)
{
    struct entry *e, *tmp;
    HASH_ITER (hh, s->by_key, e, tmp) {
        if (e->state == QUEUED && twin(e, KNOWN))
            e->state = KNOWN;
        if (e->state == QUEUED && !s->sending)
            send_profile(e);
    }
    /* Who is told may change the table: each time from the beginning. */
    for (bool told = true; told;) {
        told = false;
        HASH_ITER (hh, s->by_key, e, tmp)
            if (e->state == KNOWN && e->calls) {
                answer_calls(e, NULL);
                told = true;
                break;
            }
    }
}

/* ---- the rules ---- */

static void take_required(struct entry *e, const struct sa_json_strings *required)
{
    e->answer.required.items = sa_alloc((required->count + 1) * sizeof *e->answer.required.items);
    for (size_t i = 0; i < required->count; i++)
        e->answer.required.items[i] = sa_strdup(required->items[i]);
    e->answer.required.count = required->count;
}

static void on_rules(void *user, const struct sa_denial *denial,
                     const struct sa_rules_answer *rules)
{
    struct entry *e = user;
    struct sa_denial unfit = {.error = {.code = SA_OK}};
    e->rules = NULL;
    if (denial) {
        fail(e, denial);
        return;
    }
    if (sa_security_profile(e->level, rules, e->answer.profile, &e->profile, &unfit.error) < 0) {
        fail(e, &unfit);
        return;
    }
    e->answer.generation = rules->generation;
    take_required(e, &rules->context.required_controls);
    e->state = QUEUED;
    later(e->security);
}

/* ---- asking ---- */

const struct sa_security_answer *sa_security_known(struct sa_security *s,
                                                   const struct sa_security_ask *ask)
{
    sa_autofree char *key = key_of(s, ask, this_minute());
    struct entry *e = find(s, key);
    return e && e->state == KNOWN ? &e->answer : NULL;
}

static struct sa_security_call *wait_for(struct entry *e, sa_security_cb done, void *user)
{
    struct sa_security_call *call = sa_alloc(sizeof *call);
    *call = (struct sa_security_call){.entry = e, .done = done, .user = user};
    DL_APPEND(e->calls, call); /* NOLINT: utlist */
    later(e->security);
    return call;
}

struct sa_security_call *sa_security_ask(struct sa_security *s, const struct sa_security_ask *ask,
                                         sa_security_cb done, void *user)
{
    const int64_t minute = this_minute();
    char *key = key_of(s, ask, minute);
    struct entry *e = find(s, key);
    if (e) {
        free(key);
        return wait_for(e, done, user);
    }
    make_room(s, minute);
    e = sa_alloc(sizeof *e);
    e->security = s;
    e->key = key;
    e->minute = minute;
    e->level = sa_strdup(ask->level);
    e->used = ++s->uses;
    HASH_ADD_KEYPTR(hh, s->by_key, e->key, strlen(e->key), e);
    e->rules = sa_rules_ask(s->policy, ask, minute, on_rules, e);
    return wait_for(e, done, user);
}

static void on_warm(void *user, const struct sa_denial *denial,
                    const struct sa_security_answer *answer)
{
    (void)user;
    (void)denial; /* told to those who create */
    (void)answer;
}

void sa_security_warm(struct sa_security *s)
{
    const struct sa_security_ask ask = {.level = "standard", .runtime = "python"};
    if (sa_rules_generation(s->policy) && !sa_security_known(s, &ask))
        sa_security_ask(s, &ask, on_warm, NULL);
}

struct sa_security_call *sa_security_again(struct sa_security *s, const char *profile,
                                           sa_security_cb done, void *user)
{
    struct entry *e, *tmp, *newest = NULL;
    HASH_ITER (hh, s->by_key, e, tmp) {
        if (strcmp(e->answer.profile, profile) != 0)
            continue;
        if (e->state == KNOWN)
            e->state = QUEUED;
        if (!newest || e->used > newest->used)
            newest = e;
    }
    return newest ? wait_for(newest, done, user) : NULL;
}

void sa_security_forget(struct sa_security_call *call)
{
    if (!call)
        return;
    DL_DELETE(call->entry->calls, call);
    free(call);
}

struct sa_security *sa_security_new(uv_loop_t *loop, struct sa_policy *policy,
                                    struct sa_node_client *node)
{
    struct sa_security *s = sa_alloc(sizeof *s);
    s->loop = loop;
    s->policy = policy;
    s->node = node;
    uv_timer_init(loop, &s->later);
    s->later.data = s;
    return s;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sa_security_free(struct sa_security *s)
{
    struct entry *e, *tmp;
    if (!s)
        return;
    HASH_ITER (hh, s->by_key, e, tmp)
        entry_free(e);
    uv_close((uv_handle_t *)&s->later, on_closed);
}
