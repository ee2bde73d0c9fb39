/* A sandbox's record in the store, its events, and what is printed of it. */
#include "api/sandbox_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sa_sandbox_set_fixed(struct sa_sandbox *sandbox, const char *const *controls,
                          size_t control_count, const char *const *weaker, size_t weaker_count)
{
    struct sa_buf text = SA_BUF_INIT;
    sa_sandbox_fixed_print(&(struct sa_sandbox_fixed){.id = sandbox->id,
                                                      .spec = &sandbox->spec,
                                                      .warm = sandbox->warm,
                                                      .profile = sandbox->profile,
                                                      .generation = sandbox->generation,
                                                      .node = control_count ? SA_AGENT_NODE : NULL,
                                                      .controls = controls,
                                                      .control_count = control_count,
                                                      .weaker = weaker,
                                                      .weaker_count = weaker_count},
                           &text);
    free(sandbox->fixed_json);
    sandbox->fixed_json = sa_buf_steal(&text);
}

void sa_sandbox_view_fill(const struct sa_sandbox *sandbox, struct sa_sandbox_view *view)
{
    *view = (struct sa_sandbox_view){.id = sandbox->id,
                                     .runtime = sandbox->spec.runtime,
                                     .phase = sa_phase_name(sandbox->phase),
                                     .reason = sandbox->reason,
                                     .message = sandbox->message,
                                     .fixed_json = sandbox->fixed_json,
                                     .settings_json = sandbox->settings_json,
                                     .labels_json = sandbox->labels_json,
                                     .created_ms = sandbox->created_ms,
                                     .expires_ms = sandbox->expires_ms,
                                     .ended_ms = sandbox->ended_ms,
                                     .ready_ms = sandbox->ready_ms,
                                     .idle_ms = sandbox->idle_ms,
                                     .paused_ms = sandbox->paused_ms};
}

static void log_failure(const char *what, const struct sa_sandbox *sandbox,
                        const struct sa_error *error)
{
    static struct sa_log_limit limit = {.every_ms = 1000, .burst = 5};
    uint64_t skipped;
    if (sa_log_allow(&limit, sa_monotonic_ms(), &skipped))
        sa_log_error(what, SA_LOG_S("sandbox", sandbox->id), SA_LOG_ERR(error),
                     SA_LOG_U("skipped", skipped));
}

void sa_sandbox_record(struct sa_sandbox *sandbox)
{
    struct sa_error error;
    sa_autobuf spec = SA_BUF_INIT;
    sa_buf_printf(&spec, "%s,%s", sandbox->fixed_json, sandbox->settings_json);
    struct sa_store_sandbox record = {.id = sandbox->id,
                                      .owner = sandbox->owner.key_id,
                                      .user = sandbox->owner.key_name,
                                      .runtime = sandbox->spec.runtime,
                                      .phase = sa_phase_name(sandbox->phase),
                                      .reason = sandbox->reason,
                                      .message = sandbox->message,
                                      .spec = spec.data,
                                      .labels = sandbox->labels_json,
                                      .created_ms = sandbox->created_ms,
                                      .ended_ms = sandbox->ended_ms,
                                      .expires_ms = sandbox->expires_ms};
    if (sa_store_put_sandbox(sandbox->all->store, &record, NULL, NULL, &error) < 0)
        log_failure("sandbox not recorded", sandbox, &error);
    sa_sandbox_publish(sandbox);
}

static void event_free(struct sa_sandbox *sandbox, struct event *event)
{
    DL_DELETE(sandbox->events, event);
    sandbox->event_count--;
    free(event->message);
    free(event);
}

void sa_sandbox_events_free(struct sa_sandbox *sandbox)
{
    while (sandbox->events)
        event_free(sandbox, sandbox->events);
}

static void store_event(struct sa_sandbox *sandbox, const struct event *event)
{
    struct sa_error error;
    struct sa_store_event record = {.sandbox = sandbox->id,
                                    .seq = event->seq,
                                    .time_ms = event->time_ms,
                                    .type = event->type,
                                    .reason = event->reason,
                                    .message = event->message,
                                    .count = event->count};
    if (sa_store_put_event(sandbox->all->store, &record, NULL, NULL, &error) < 0)
        log_failure("event not recorded", sandbox, &error);
}

static struct event *add_event(struct sa_sandbox *sandbox, const struct sa_store_event *from)
{
    struct event *event = sa_alloc(sizeof *event);
    *event = (struct event){.seq = from->seq,
                            .time_ms = from->time_ms,
                            .count = from->count,
                            .message = sa_strdup(from->message)};
    snprintf(event->type, sizeof event->type, "%s", from->type);
    snprintf(event->reason, sizeof event->reason, "%s", from->reason);
    DL_APPEND(sandbox->events, event); /* NOLINT: utlist */
    sandbox->last_seq = from->seq;
    if (++sandbox->event_count > EVENTS_KEPT)
        event_free(sandbox, sandbox->events);
    return event; /* NOLINT: the oldest was freed, not this one */
}

void sa_sandbox_take_events(struct sa_sandbox *sandbox, const struct sa_store_event_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        add_event(sandbox, &page->items[i]);
}

void sa_sandbox_event(struct sa_sandbox *sandbox, const char *type, const char *reason,
                      const char *message, int64_t count)
{
    /* The same thing again is counted, not repeated. */
    struct event *last = sandbox->events ? sandbox->events->prev : NULL;
    if (last && strcmp(last->reason, reason) == 0 && strcmp(last->message, message) == 0) {
        last->count += count;
        last->time_ms = sa_wall_ms();
        store_event(sandbox, last);
        sa_sandbox_changed(sandbox);
        return;
    }
    store_event(sandbox, add_event(sandbox, &(struct sa_store_event){.seq = sandbox->last_seq + 1,
                                                                     .time_ms = sa_wall_ms(),
                                                                     .type = type,
                                                                     .reason = reason,
                                                                     .message = message,
                                                                     .count = count}));
    sa_sandbox_changed(sandbox);
}

void sa_event_print(const struct sa_store_event *event, struct sa_json_w *w)
{
    char time[SA_RFC3339_BYTES];
    sa_rfc3339(event->time_ms, time);
    sa_json_w_begin_object(w);
    sa_json_put_int(w, "seq", event->seq);
    sa_json_put_string(w, "time", time);
    sa_json_put_string(w, "type", event->type);
    sa_json_put_string(w, "reason", event->reason);
    sa_json_put_string(w, "message", event->message);
    sa_json_put_int(w, "count", event->count);
    sa_json_w_end_object(w);
}

bool sa_sandbox_event_after(const struct sa_sandbox *sandbox, int64_t after,
                            struct sa_store_event *event)
{
    const struct event *e;
    DL_FOREACH (sandbox->events, e) {
        if (e->seq <= after)
            continue;
        *event = (struct sa_store_event){.sandbox = sandbox->id,
                                         .seq = e->seq,
                                         .time_ms = e->time_ms,
                                         .type = e->type,
                                         .reason = e->reason,
                                         .message = e->message,
                                         .count = e->count};
        return true;
    }
    return false;
}
