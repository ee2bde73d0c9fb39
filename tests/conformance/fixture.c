#include "fixture.h"

#include "base/cleanup.h"
#include "loop/loop.h"
#include "objects/lease.h"
#include "objects/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 10, PATIENCE_MS = 60 * 1000 };

const struct sa_kind *const world_kinds[] = {
    &thing_kind, &other_kind, &cluster_kind, &fleeting_kind, &sa_kind_lease, &sa_kind_event, NULL};

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

int world_setup(void **state)
{
    struct world *w = sa_alloc(sizeof *w);
    w->target = *state;
    w->loop = sa_loop_new(NULL);
    w->arena = sa_arena_new();
    w->objects = w->target->open(w->target->user, w->loop, world_kinds);
    uv_timer_init(w->loop, &w->tick);
    uv_timer_start(&w->tick, on_tick, TICK_MS, TICK_MS);
    *state = w;
    return 0;
}

static void on_closed(void *user)
{
    *(bool *)user = true;
}

static void close_store(struct world *w)
{
    bool closed = false;
    for (struct watcher *watcher = w->watchers; watcher; watcher = watcher->next)
        if (!watcher->ended)
            unwatch_(watcher);
    w->target->close(w->target->user, w->objects, on_closed, &closed);
    wait_for(w, &closed, "the store to close");
}

void world_reopen(struct world *w)
{
    close_store(w);
    w->objects = w->target->open(w->target->user, w->loop, world_kinds);
}

int world_teardown(void **state)
{
    struct world *w = *state;
    close_store(w);
    uv_close((uv_handle_t *)&w->tick, NULL);
    for (size_t i = 0; i < w->kept_count; i++)
        sa_object_unref(w->kept[i]);
    free((void *)w->kept);
    for (struct watcher *watcher = w->watchers, *next; watcher; watcher = next) {
        next = watcher->next;
        free(watcher->events);
        free(watcher);
    }
    sa_loop_free(w->loop);
    sa_arena_free(w->arena);
    *state = (void *)(uintptr_t)w->target;
    free(w);
    return 0;
}

void wait_for(struct world *w, const bool *flag, const char *what)
{
    uint64_t until = uv_now(w->loop) + PATIENCE_MS;
    while (!*flag) {
        uv_run(w->loop, UV_RUN_ONCE);
        if (uv_now(w->loop) > until)
            fail_msg("waited too long for %s", what);
    }
}

void turns(struct world *w, int count)
{
    while (count-- > 0)
        uv_run(w->loop, UV_RUN_ONCE);
}

void keep(struct world *w, const struct sa_object *object)
{
    if ((w->kept_count & (w->kept_count - 1)) == 0)
        w->kept = sa_realloc((void *)w->kept, (2 * w->kept_count + 1) * sizeof *w->kept);
    w->kept[w->kept_count++] = sa_object_ref(object);
}

char *json_of(struct world *w, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int length = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *text = sa_arena_alloc(w->arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, fmt, ap);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    return text;
}

/* ---- calls ---- */

void on_result(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct result *result = user;
    assert_false(result->done);
    assert_true(!err != !object);
    result->done = true;
    if (err)
        result->err = *err;
    else
        result->object = sa_object_ref(object);
}

static void answered(struct world *w, struct result *result)
{
    assert_false(result->done); /* never from within the call */
    settle(w, result);
}

void settle(struct world *w, struct result *result)
{
    wait_for(w, &result->done, "an answer");
    if (result->object) {
        keep(w, result->object);
        sa_object_unref(result->object);
    }
}

struct result create_(struct world *w, const struct sa_kind *kind, bool lenient, const char *fmt,
                      ...)
{
    struct result result = {.object = NULL};
    va_list ap;
    va_start(ap, fmt);
    const char *json = json_of(w, fmt, ap);
    va_end(ap);
    sa_objects_create(w->objects, kind, json, strlen(json), lenient, on_result, &result);
    answered(w, &result);
    return result;
}

void start_create(struct world *w, const struct sa_kind *kind, struct result *result,
                  const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *json = json_of(w, fmt, ap);
    va_end(ap);
    *result = (struct result){.object = NULL};
    sa_objects_create(w->objects, kind, json, strlen(json), false, on_result, result);
}

struct result update_(struct world *w, const struct sa_kind *kind, bool lenient, const char *fmt,
                      ...)
{
    struct result result = {.object = NULL};
    va_list ap;
    va_start(ap, fmt);
    const char *json = json_of(w, fmt, ap);
    va_end(ap);
    sa_objects_update(w->objects, kind, json, strlen(json), lenient, on_result, &result);
    answered(w, &result);
    return result;
}

/* "namespace/name" or "name". */
static const char *split(struct world *w, const struct sa_kind *kind, const char *name,
                         const char **namespace_)
{
    const char *slash = strchr(name, '/');
    *namespace_ = kind->namespaced ? "default" : NULL;
    if (!slash)
        return name;
    *namespace_ = sa_arena_strndup(w->arena, name, (size_t)(slash - name));
    return slash + 1;
}

static void patch(struct world *w, const struct sa_kind *kind, const char *name,
                  enum sa_subresource subresource, const char *version, const char *json,
                  struct result *result)
{
    struct sa_objects_patch p = {.subresource = subresource,
                                 .resource_version = version,
                                 .json = json,
                                 .length = strlen(json)};
    p.name = split(w, kind, name, &p.namespace_);
    *result = (struct result){.object = NULL};
    sa_objects_patch(w->objects, kind, &p, on_result, result);
}

void start_patch(struct world *w, const struct sa_kind *kind, const char *name,
                 enum sa_subresource subresource, const char *version, struct result *result,
                 const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    patch(w, kind, name, subresource, version, json_of(w, fmt, ap), result);
    va_end(ap);
}

struct result patch_(struct world *w, const struct sa_kind *kind, const char *name,
                     enum sa_subresource subresource, const char *version, const char *fmt, ...)
{
    struct result result;
    va_list ap;
    va_start(ap, fmt);
    patch(w, kind, name, subresource, version, json_of(w, fmt, ap), &result);
    va_end(ap);
    answered(w, &result);
    return result;
}

struct result delete_(struct world *w, const struct sa_kind *kind, const char *name,
                      const struct sa_objects_delete *how)
{
    struct result result = {.object = NULL};
    struct sa_objects_delete what = how ? *how : (struct sa_objects_delete){.name = NULL};
    what.name = split(w, kind, name, &what.namespace_);
    sa_objects_delete(w->objects, kind, &what, on_result, &result);
    answered(w, &result);
    return result;
}

struct result get_(struct world *w, const struct sa_kind *kind, const char *name)
{
    struct result result = {.object = NULL};
    const char *namespace_;
    name = split(w, kind, name, &namespace_);
    sa_objects_get(w->objects, kind, namespace_, name, on_result, &result);
    answered(w, &result);
    return result;
}

const struct sa_object *ok(struct result result)
{
    if (!result.object)
        fail_msg("%s: %s", sa_code_name(result.err.code), result.err.message);
    return result.object;
}

void refused(struct result result, enum sa_code code, const char *path)
{
    if (result.object)
        fail_msg("expected %s", sa_code_name(code));
    if (result.err.code != code || (path && strcmp(result.err.path, path) != 0))
        fail_msg("expected %s at %s, got %s at %s: %s", sa_code_name(code), path ? path : "?",
                 sa_code_name(result.err.code), result.err.path, result.err.message);
    assert_true(result.err.message[0] != '\0');
}

void wait_gone(struct world *w, const struct sa_kind *kind, const char *name)
{
    uint64_t until = uv_now(w->loop) + PATIENCE_MS;
    while (get_(w, kind, name).err.code != SA_ENOTFOUND)
        if (uv_now(w->loop) > until)
            fail_msg("%s is still there", name);
}

/* ---- lists ---- */

static void on_list(void *user, const struct sa_error *err, const struct sa_objects_page *page)
{
    struct listing *l = user;
    assert_false(l->done);
    assert_true(!err != !page);
    l->done = true;
    if (err)
        l->err = *err;
    if (!page)
        return;
    l->count = page->count;
    l->remaining = page->remaining;
    l->version = sa_arena_strdup(l->w->arena, page->resource_version);
    l->continue_ = page->continue_ ? sa_arena_strdup(l->w->arena, page->continue_) : NULL;
    l->items = sa_arena_alloc(l->w->arena, (page->count + 1) * sizeof *l->items);
    for (size_t i = 0; i < page->count; i++) {
        l->items[i] = page->items[i];
        keep(l->w, page->items[i]);
    }
}

struct listing list_(struct world *w, const struct sa_kind *kind,
                     const struct sa_objects_select *select, size_t limit, const char *continue_)
{
    struct listing l = {.w = w};
    sa_objects_list(w->objects, kind, select, limit, continue_, on_list, &l);
    assert_false(l.done);
    wait_for(w, &l.done, "a list");
    return l;
}

const char *keys_of(const struct listing *l)
{
    struct sa_buf text = SA_BUF_INIT;
    sa_buf_adds(&text, "");
    for (size_t i = 0; i < l->count; i++)
        sa_buf_printf(&text, "%s%s", i ? " " : "", sa_object_key(l->items[i]));
    const char *copy = sa_arena_strdup(l->w->arena, text.data ? text.data : "");
    sa_buf_deinit(&text);
    return copy;
}

/* ---- watches ---- */

static void on_event(void *user, const struct sa_watch_event *event)
{
    struct watcher *watcher = user;
    assert_false(watcher->ended);
    assert_true((event->type == SA_WATCH_BOOKMARK) == (event->object == NULL));
    if (event->type == SA_WATCH_BOOKMARK) {
        watcher->bookmarks++;
        snprintf(watcher->bookmark, sizeof watcher->bookmark, "%s", event->resource_version);
        return;
    }
    if ((watcher->count & (watcher->count - 1)) == 0)
        watcher->events =
            sa_realloc(watcher->events, (2 * watcher->count + 1) * sizeof *watcher->events);
    struct event *e = &watcher->events[watcher->count++];
    e->type = event->type;
    e->object = event->object;
    snprintf(e->version, sizeof e->version, "%s", event->resource_version);
    keep(watcher->w, event->object);
}

static void on_ended(void *user, const struct sa_error *err)
{
    struct watcher *watcher = user;
    assert_false(watcher->ended);
    watcher->ended = true;
    watcher->err = *err;
}

struct watcher *watch_(struct world *w, const struct sa_kind *kind,
                       const struct sa_objects_select *select, const char *version)
{
    struct watcher *watcher = sa_alloc(sizeof *watcher);
    watcher->w = w;
    watcher->next = w->watchers;
    w->watchers = watcher;
    watcher->watch =
        sa_objects_watch(w->objects, kind, select, version, on_event, on_ended, watcher);
    assert_false(watcher->ended);
    return watcher;
}

void unwatch_(struct watcher *watcher)
{
    sa_objects_unwatch(watcher->w->objects, watcher->watch);
    watcher->ended = true;
}

void wait_events(struct watcher *watcher, size_t count)
{
    uint64_t until = uv_now(watcher->w->loop) + PATIENCE_MS;
    while (watcher->count < count && !watcher->ended) {
        uv_run(watcher->w->loop, UV_RUN_ONCE);
        if (uv_now(watcher->w->loop) > until)
            break;
    }
    if (watcher->count < count)
        fail_msg("%zu of %zu events came: %s", watcher->count, count, story(watcher));
}

const char *story(const struct watcher *watcher)
{
    struct sa_buf text = SA_BUF_INIT;
    for (size_t i = 0; i < watcher->count; i++)
        sa_buf_printf(&text, "%s%c%s", i ? " " : "", "+~-"[watcher->events[i].type],
                      name_of(watcher->events[i].object));
    const char *copy = sa_arena_strdup(watcher->w->arena, text.data ? text.data : "");
    sa_buf_deinit(&text);
    return copy;
}

/* ---- looking ---- */

const struct thing_spec *spec_of(const struct sa_object *object)
{
    return sa_object_spec(object);
}

const struct thing_status *status_of(const struct sa_object *object)
{
    return sa_object_status(object);
}

const char *version_of(const struct sa_object *object)
{
    return sa_object_meta(object)->resource_version;
}

const char *name_of(const struct sa_object *object)
{
    return sa_object_meta(object)->name;
}
