/* See watch.h. A round: look (thread), compare, watch anew what is another folder than before; and
 * again, if anything had to be watched anew, as it may have changed in between. */
#include "lua/watch_internal.h"

#include "base/arena.h"
#include "log/log.h"
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>

enum {
    SETTLE_MS = 50,      /* after the last event ... */
    SETTLE_MAX_MS = 500, /* ... but not for longer than this */
    SLOW_MS = 5000,
    BLIND_MS = 1000, /* where inotify cannot be had */
};

struct eye { /* one watched folder */
    uv_fs_event_t event;
    struct sa_watch *watch;
    struct sa_watch_place *place; /* NULL: closing */
};

struct sa_watch {
    uv_loop_t *loop;
    void (*changed)(void *owner);
    void *owner;
    struct sa_watch_places places;
    struct eye **eyes; /* for each place; NULL: it is not watched */
    struct sa_watch_view seen;
    uv_timer_t settle, slow;
    uint64_t restless_since; /* of uv_now; 0: at rest */
    bool looking, look_again, blind, stopping;
    unsigned holds;
};

struct look {
    uv_work_t work;
    struct sa_watch *watch;
    struct sa_watch_view view;
};

static void look(struct sa_watch *watch);
static void on_settled(uv_timer_t *timer);

static void release(struct sa_watch *watch)
{
    if (--watch->holds)
        return;
    sa_watch_places_deinit(&watch->places);
    sa_watch_view_deinit(&watch->seen);
    free(watch->eyes);
    free(watch);
}

/* ---- events ---- */

static void stir(struct sa_watch *watch)
{
    uint64_t now = uv_now(watch->loop);
    if (!watch->restless_since)
        watch->restless_since = now ? now : 1;
    if (now - watch->restless_since < SETTLE_MAX_MS)
        uv_timer_start(&watch->settle, on_settled, SETTLE_MS, 0);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct eye *eye = event->data;
    /* The folder above may be a busy one: only what is named like ours matters. */
    if (eye->place &&
        (status < 0 || !name || !eye->place->only || strcmp(name, eye->place->only) == 0)) {
        eye->place->stale = eye->place->stale || status < 0 || (events & UV_RENAME);
        stir(eye->watch);
    }
}

static void on_settled(uv_timer_t *timer)
{
    struct sa_watch *watch = timer->data;
    watch->restless_since = 0;
    look(watch);
}

static void on_slow(uv_timer_t *timer)
{
    look(timer->data);
}

/* ---- watching ---- */

static void on_eye_closed(uv_handle_t *handle)
{
    struct eye *eye = handle->data;
    struct sa_watch *watch = eye->watch;
    free(eye);
    release(watch);
}

static void close_eye(struct sa_watch *watch, size_t index)
{
    struct eye *eye = watch->eyes[index];
    if (!eye)
        return;
    watch->eyes[index] = NULL;
    eye->place = NULL;
    uv_close((uv_handle_t *)&eye->event, on_eye_closed);
}

static int open_eye(struct sa_watch *watch, size_t index)
{
    struct eye *eye = sa_alloc(sizeof *eye);
    eye->watch = watch;
    eye->place = &watch->places.items[index];
    eye->event.data = eye;
    uv_fs_event_init(watch->loop, &eye->event);
    uv_unref((uv_handle_t *)&eye->event);
    watch->holds++;
    watch->eyes[index] = eye;
    int rc = uv_fs_event_start(&eye->event, on_event, eye->place->path, 0);
    if (rc < 0)
        close_eye(watch, index);
    return rc;
}

static void set_blind(struct sa_watch *watch, const char *path, int rc)
{
    if (!watch->blind)
        sa_log_warn("folders of policies are looked at every second: there is no inotify for them",
                    SA_LOG_S("path", path), SA_LOG_S("error", uv_strerror(rc)));
    watch->blind = true;
    uv_timer_start(&watch->slow, on_slow, BLIND_MS, BLIND_MS);
}

/* True: something is watched that was not, or was another. */
static bool watch_anew(struct sa_watch *watch, const struct sa_watch_view *view)
{
    bool anew = false;
    for (size_t i = 0; i < watch->places.count; i++) {
        struct sa_watch_place *place = &watch->places.items[i];
        const struct sa_watch_id *is = &view->ids[i], *was = &watch->seen.ids[i];
        bool same = is->exists && was->exists && is->dev == was->dev && is->ino == was->ino;
        if (watch->eyes[i] && same && !place->stale)
            continue;
        close_eye(watch, i);
        place->stale = false;
        if (!is->exists)
            continue;
        int rc = open_eye(watch, i);
        if (rc < 0 && rc != UV_ENOENT && rc != UV_ENOTDIR)
            set_blind(watch, place->path, rc);
        anew = anew || rc == 0;
    }
    return anew;
}

/* ---- looking ---- */

static void take(struct sa_watch *watch, struct sa_watch_view *view)
{
    bool other = view->fingerprint != watch->seen.fingerprint;
    bool again = watch_anew(watch, view) || watch->look_again;
    sa_watch_view_deinit(&watch->seen);
    watch->seen = *view;
    *view = (struct sa_watch_view){0};
    watch->look_again = false;
    if (again)
        look(watch);
    if (other)
        watch->changed(watch->owner);
}

static void look_work(uv_work_t *work)
{
    struct look *l = work->data;
    sa_watch_look(&l->watch->places, &l->view);
}

static void look_done(uv_work_t *work, int status)
{
    struct look *l = work->data;
    struct sa_watch *watch = l->watch;
    (void)status;
    watch->looking = false;
    sa_loop_release(watch->loop);
    if (!watch->stopping)
        take(watch, &l->view);
    sa_watch_view_deinit(&l->view);
    free(l);
    release(watch);
}

static void look(struct sa_watch *watch)
{
    if (watch->looking) {
        watch->look_again = true;
        return;
    }
    struct look *l = sa_alloc(sizeof *l);
    l->watch = watch;
    l->work.data = l;
    watch->looking = true;
    watch->holds++;
    sa_loop_hold(watch->loop);
    uv_queue_work(watch->loop, &l->work, look_work, look_done);
}

/* ---- life ---- */

struct sa_watch *sa_watch_start(uv_loop_t *loop, const char *const *dirs, size_t count,
                                void (*changed)(void *owner), void *owner)
{
    struct sa_watch *watch = sa_alloc(sizeof *watch);
    watch->loop = loop;
    watch->changed = changed;
    watch->owner = owner;
    sa_watch_places_init(&watch->places, dirs, count);
    watch->eyes = sa_alloc((watch->places.count + 1) * sizeof(struct eye *));
    uv_timer_init(loop, &watch->settle);
    uv_timer_init(loop, &watch->slow);
    watch->settle.data = watch->slow.data = watch;
    uv_unref((uv_handle_t *)&watch->settle);
    uv_unref((uv_handle_t *)&watch->slow);
    watch->holds = 2;
    uv_timer_start(&watch->slow, on_slow, SLOW_MS, SLOW_MS);
    sa_watch_look(&watch->places, &watch->seen);
    struct sa_watch_view now = watch->seen;
    watch_anew(watch, &now);
    look(watch); /* what has changed until it was watched */
    return watch;
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void sa_watch_stop(struct sa_watch *watch)
{
    if (!watch)
        return;
    watch->stopping = true;
    for (size_t i = 0; i < watch->places.count; i++)
        close_eye(watch, i);
    uv_close((uv_handle_t *)&watch->settle, on_timer_closed);
    uv_close((uv_handle_t *)&watch->slow, on_timer_closed);
}
