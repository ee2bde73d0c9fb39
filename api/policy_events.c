/*
 * Denials as events of their sandboxes. Whoever is denied may try again, a thousand times a second:
 * of one rule in one sandbox the first is told at once, and those of the next seconds with one
 * more event, as their count.
 */
#include "api/policies.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { FLUSH_MS = 5000, ENTRIES_MAX = 4096, KEY_BYTES = 256 };

struct entry { /* of a sandbox, point and rule, that has denied within FLUSH_MS */
    UT_hash_handle hh;
    char key[KEY_BYTES];
    char sandbox_id[SA_ID_BYTES];
    char message[400];
    int64_t count; /* not told yet */
};

struct sa_policy_events {
    struct sa_app *app;
    struct entry *entries;
    uv_timer_t timer;
};

/* ---- what a decision says ---- */

static struct sa_http_text text_of(const struct sa_value *map, const char *member)
{
    const struct sa_value v = sa_value_get(map, member);
    if (v.type != SA_VALUE_STRING)
        return (struct sa_http_text){"", 0};
    return (struct sa_http_text){v.data, v.length};
}

struct sa_http_text sa_decision_rule(const struct sa_decision *d)
{
    return d->error ? (struct sa_http_text){"default", 7} : text_of(&d->verdict, "rule");
}

struct sa_http_text sa_decision_reason(const struct sa_decision *d)
{
    return d->error ? (struct sa_http_text){d->error, strlen(d->error)}
                    : text_of(&d->verdict, "reason");
}

struct sa_http_text sa_decision_sandbox(const struct sa_decision *d)
{
    const struct sa_value sandbox = sa_value_get(&d->input, "sandbox");
    struct sa_http_text id = text_of(&sandbox, "id");
    if (id.length)
        return id;
    const struct sa_value object = sa_value_get(&d->input, "object");
    const struct sa_value metadata = sa_value_get(&object, "metadata");
    return text_of(&metadata, "uid");
}

/* ---- events ---- */

static void tell(struct sa_policy_events *events, struct entry *e)
{
    struct sa_sandbox *sandbox = sa_sandbox_find(events->app->sandboxes, e->sandbox_id);
    if (sandbox)
        sa_sandbox_event(sandbox, "Warning", "PolicyDenied", e->message, e->count);
    e->count = 0;
}

static void on_flush(uv_timer_t *timer)
{
    struct sa_policy_events *events = timer->data;
    struct entry *e, *tmp;
    HASH_ITER (hh, events->entries, e, tmp) {
        if (e->count) {
            tell(events, e);
            continue;
        }
        HASH_DEL(events->entries, e); /* NOLINT: uthash */
        free(e);
    }
    if (!events->entries)
        uv_timer_stop(timer);
}

struct sa_policy_events *sa_policy_events_new(struct sa_app *app)
{
    struct sa_policy_events *events = sa_alloc(sizeof *events);
    events->app = app;
    events->timer.data = events;
    uv_timer_init(app->loop, &events->timer);
    uv_unref((uv_handle_t *)&events->timer);
    return events;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sa_policy_events_free(struct sa_policy_events *events)
{
    struct entry *e, *tmp;
    if (!events)
        return;
    HASH_ITER (hh, events->entries, e, tmp) {
        HASH_DEL(events->entries, e); /* NOLINT: uthash */
        free(e);
    }
    uv_close((uv_handle_t *)&events->timer, on_closed);
}

void sa_policy_events_add(struct sa_policy_events *events, const struct sa_decision *d)
{
    const char *point = sa_policy_points[d->point].name;
    struct sa_http_text id = sa_decision_sandbox(d), rule = sa_decision_rule(d);
    struct sa_http_text reason = sa_decision_reason(d);
    struct entry *e;
    char key[KEY_BYTES];
    snprintf(key, sizeof key, "%.*s %s %.*s", (int)(id.length < 64 ? id.length : 64), id.data,
             point, (int)(rule.length < 160 ? rule.length : 160), rule.data);
    if (!id.length || id.length >= SA_ID_BYTES)
        return; /* there is no sandbox yet */
    HASH_FIND_STR(events->entries, key, e);
    if (e) {
        e->count++;
        return;
    }
    if (HASH_COUNT(events->entries) >= ENTRIES_MAX)
        return; /* metrics and the record of decisions have it */
    e = sa_alloc(sizeof *e);
    memcpy(e->key, key, sizeof key);
    snprintf(e->sandbox_id, sizeof e->sandbox_id, "%.*s", (int)id.length, id.data);
    snprintf(e->message, sizeof e->message, "%s: denied by %.*s: %.*s", point,
             (int)(rule.length < 160 ? rule.length : 160), rule.data,
             (int)(reason.length < 200 ? reason.length : 200), reason.data);
    e->count = 1;
    HASH_ADD_STR(events->entries, key, e);
    tell(events, e);
    if (!uv_is_active((uv_handle_t *)&events->timer))
        uv_timer_start(&events->timer, on_flush, FLUSH_MS, FLUSH_MS);
}
