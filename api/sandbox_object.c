/* A session and its Sandbox object: what is written there, and what is heard from there. */
#include "api/sandbox_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "kinds/names.h"
#include "log/log.h"
#include "model/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMPLIED_MS = 1000 }; /* a timeout that is off by less need not be written */

/* ---- deleting ---- */

static void on_written(void *user, const struct sa_error *err, const struct sa_object *object)
{
    (void)user; /* gone already, or the informer tells when it is */
    (void)object;
    if (err && err->code != SA_ENOTFOUND)
        sa_log_warn("sandbox object not written", SA_LOG_ERR(err));
}

void sa_sandbox_delete_object(struct sa_sandbox *s)
{
    sa_failpoint("api.delete");
    sa_objects_delete(
        s->all->objects, &sa_kind_sandbox,
        &(struct sa_objects_delete){.namespace_ = SA_NAMESPACE_DEFAULT, .name = s->id}, on_written,
        s->all);
}

/* ---- writing ---- */

static void patch(struct sa_sandbox *s, enum sa_subresource subresource, const struct sa_buf *json,
                  sa_objects_cb done, void *user, struct sa_objects_call **call)
{
    *call = sa_objects_patch(s->all->objects, &sa_kind_sandbox,
                             &(struct sa_objects_patch){.namespace_ = SA_NAMESPACE_DEFAULT,
                                                        .name = s->id,
                                                        .subresource = subresource,
                                                        .json = json->data,
                                                        .length = json->length},
                             done, user);
}

static void put_time_or_null(struct sa_json_w *w, const char *key, int64_t ms)
{
    char text[SA_RFC3339_BYTES];
    if (!ms) {
        sa_json_put_null(w, key);
        return;
    }
    sa_rfc3339(ms, text);
    sa_json_put_string(w, key, text);
}

/* Something was written, or could not be. */
static void settle(struct sa_sandbox *s, const struct sa_error *err)
{
    if (err)
        sa_log_warn("sandbox object not updated", SA_LOG_S("sandbox", s->id), SA_LOG_ERR(err));
    if (err || (!s->publishing && !s->settings_writes))
        sa_sandbox_call_waiters(s, &s->writers, err);
}

int sa_sandbox_await_written(struct sa_sandbox *s, sa_sandbox_done done, void *user)
{
    if (!s->publishing && !s->settings_writes)
        return 1;
    sa_sandbox_add_waiter(&s->writers, done, user);
    return 0;
}

static void on_published(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_sandbox *s = user;
    (void)object;
    s->publishing = NULL;
    sa_failpoint("api.published");
    if (!err)
        sa_sandbox_publish(s); /* what changed meanwhile */
    settle(s, err);
}

static void publish_times(struct sa_sandbox *s)
{
    sa_autobuf json = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&json);
    s->published.expires_ms = s->expires_ms;
    s->published.paused_ms = s->paused_ms;
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "status");
    put_time_or_null(&w, "expiresAt", s->expires_ms);
    put_time_or_null(&w, "pausedAt", s->paused_ms);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    patch(s, SA_SUBRESOURCE_STATUS, &json, on_published, s, &s->publishing);
}

static void on_delivery_published(void *user, const struct sa_error *err,
                                  const struct sa_object *object)
{
    struct sa_sandbox *s = user;
    on_published(s, err, object);
    sa_sandbox_set_up(s, err);
}

void sa_sandbox_publish_delivery(struct sa_sandbox *s)
{
    static const char text[] = "{\"metadata\":{\"annotations\":{\"" SA_SANDBOX_PERSONAL
                               "\":\"" SA_PERSONAL_DELIVERED "\"}}}";
    struct sa_buf json = {.data = (char *)(size_t)text, .length = sizeof text - 1};
    patch(s, SA_SUBRESOURCE_NONE, &json, on_delivery_published, s, &s->publishing);
}

/* Nothing is written as long as the object says about the same: readyAt and the timeout. */
static bool times_are_told(const struct sa_sandbox *s)
{
    const struct published *p = &s->published;
    const int64_t off_ms = s->expires_ms - (s->ready_ms + s->spec.timeout_s * 1000);
    const bool implied = !p->expires_ms && llabs(off_ms) < IMPLIED_MS;
    return (implied || s->expires_ms == p->expires_ms) && s->paused_ms == p->paused_ms;
}

void sa_sandbox_publish(struct sa_sandbox *s)
{
    if (!s->object || s->publishing ||
        (s->phase != SA_PHASE_RUNNING && s->phase != SA_PHASE_PAUSED))
        return;
    if (!times_are_told(s))
        publish_times(s);
}

static void settings_write_free(struct settings_write *write)
{
    DL_DELETE(write->sandbox->settings_writes, write);
    free(write);
}

void sa_sandbox_publish_forget(struct sa_sandbox *s)
{
    if (s->publishing)
        sa_objects_forget(s->all->objects, s->publishing);
    s->publishing = NULL;
    while (s->settings_writes) {
        sa_objects_forget(s->all->objects, s->settings_writes->call); /* NOLINT: utlist */
        settings_write_free(s->settings_writes);
    }
}

/* ---- settings ---- */

static bool has(const struct sa_json_map *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return true;
    return false;
}

/* What is not there any more is null (RFC 7396). */
static void put_map(struct sa_json_w *w, const char *name, const struct sa_json_map *before,
                    const struct sa_json_map *now)
{
    sa_json_put_object(w, name);
    for (size_t i = 0; i < now->count; i++)
        sa_json_put_string(w, now->items[i].key, now->items[i].value);
    for (size_t i = 0; i < before->count; i++)
        if (!has(now, before->items[i].key))
            sa_json_put_null(w, before->items[i].key);
    sa_json_w_end_object(w);
}

static void on_settings_written(void *user, const struct sa_error *err,
                                const struct sa_object *object)
{
    struct settings_write *write = user;
    struct sa_sandbox *s = write->sandbox;
    (void)object;
    settings_write_free(write);
    settle(s, err);
}

void sa_sandbox_publish_settings(struct sa_sandbox *s, const struct sa_sandbox_spec *before)
{
    sa_autobuf json = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&json);
    const struct sa_lifecycle *l = &s->spec.lifecycle;
    if (!s->object)
        return;
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "metadata");
    put_map(&w, "labels", &before->labels, &s->spec.labels);
    put_map(&w, "annotations", &before->annotations, &s->spec.annotations);
    sa_json_w_end_object(&w);
    sa_json_put_object(&w, "spec");
    sa_json_put_int(&w, "timeout", s->spec.timeout_s);
    sa_json_put_object(&w, "lifecycle");
    sa_json_put_string(&w, "onTimeout", sa_end_name(l->on_timeout));
    sa_json_put_string(&w, "onIdle", sa_end_name(l->on_idle));
    if (l->idle_timeout_s)
        sa_json_put_int(&w, "idleTimeout", l->idle_timeout_s);
    else
        sa_json_put_null(&w, "idleTimeout");
    sa_json_put_bool(&w, "resumeOnUse", l->resume_on_use);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    struct settings_write *write = sa_alloc(sizeof *write);
    write->sandbox = s;
    DL_APPEND(s->settings_writes, write);
    patch(s, SA_SUBRESOURCE_NONE, &json, on_settings_written, write, &write->call);
}

/* ---- hearing ---- */

static void gone(struct sa_sandboxes *all, const char *id)
{
    struct parting *p;
    struct sa_error error;
    HASH_FIND_STR(all->parting, id, p);
    if (p) {
        HASH_DEL(all->parting, p);
        free(p);
    }
    struct sa_sandbox *s = sa_sandbox_find(all, id);
    if (!s || !s->object)
        return;
    sa_failpoint("api.gone");
    s->object = false;
    sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox was removed");
    if (s->phase == SA_PHASE_TERMINATING)
        sa_sandbox_step(s, SA_EVENT_DESTROYED);
    else
        sa_sandbox_fail(s, SA_EVENT_LOST, "Removed", &error);
}

static void heard(struct sa_sandbox *s, const struct sa_object *now)
{
    const struct sa_sandbox_status *status = sa_object_status(now);
    struct sa_error error;
    if (s->phase == SA_PHASE_TERMINATING || !s->object)
        return;
    if (sa_object_meta(now)->deleted_ms) {
        sa_sandbox_delete(s, status->reason[0] ? status->reason : "Deleted",
                          status->message[0] ? status->message : "it was deleted", NULL, NULL);
    } else if (status->phase == SA_PHASE_FAILED) {
        sa_error_set(&error, SA_EUNAVAILABLE, "%s", status->message);
        sa_sandbox_fail(s, SA_EVENT_LOST, status->reason, &error);
    }
}

static void on_changed(struct sa_informer_handler *handler, const struct sa_object *before,
                       const struct sa_object *now)
{
    struct sa_sandboxes *all = sa_container_of(handler, struct sa_sandboxes, handler);
    const struct sa_object *object = now ? now : before;
    const char *id = sa_object_meta(object)->name;
    struct parting *parting;
    if (!now) {
        gone(all, id);
        return;
    }
    struct sa_sandbox *s = sa_sandbox_find(all, id);
    if (s) {
        heard(s, now);
        return;
    }
    HASH_FIND_STR(all->parting, id, parting);
    if (!parting && !all->stopping)
        sa_sandbox_adopt(all, now);
}

void sa_sandboxes_follow(struct sa_sandboxes *all)
{
    all->handler.changed = on_changed;
    sa_informer_add_handler(all->caches->sandboxes, &all->handler);
}

void sa_sandboxes_unfollow(struct sa_sandboxes *all)
{
    struct parting *p, *next;
    if (all->handler.changed)
        sa_informer_remove_handler(all->caches->sandboxes, &all->handler);
    HASH_ITER (hh, all->parting, p, next) {
        HASH_DEL(all->parting, p); /* NOLINT: uthash */
        free(p);
    }
}
