#include "faulty.h"

#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LATE_MS = 3 };

struct delayed {
    struct delayed *next;
    enum sa_watch_type type;
    const struct sa_object *object;
    char version[SA_RESOURCE_VERSION_BYTES];
};
struct faulty_watch {
    struct faulty *faulty;
    struct sa_objects_watch *inner;
    struct delayed *first, *last;
    uv_timer_t timer;
    bool lossy, over;
    void (*event)(void *user, const struct sa_watch_event *event);
    void (*ended)(void *user, const struct sa_error *err);
    void *user;
};

static struct faulty *of(struct sa_objects *objects)
{
    return (struct faulty *)objects;
}

static bool one_in(struct faulty *faulty, int n)
{
    return !faulty->kind && rand_r(&faulty->seed) % n == 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct faulty_watch *watch = handle->data;
    for (struct delayed *d = watch->first, *next; d; d = next) {
        next = d->next;
        sa_object_unref(d->object);
        free(d);
    }
    free(watch);
}

static void over(struct faulty_watch *watch)
{
    if (watch->over)
        return;
    watch->over = true;
    if (watch->inner)
        sa_objects_unwatch(watch->faulty->inner, watch->inner);
    uv_close((uv_handle_t *)&watch->timer, on_closed);
}

static void end(struct faulty_watch *watch, enum sa_code code)
{
    struct sa_error err;
    sa_error_set(&err, code, "ended by the test");
    watch->faulty->ended++;
    over(watch);
    watch->ended(watch->user, &err);
}

static void pass_on(struct faulty_watch *watch, enum sa_watch_type type,
                    const struct sa_object *object, const char *version)
{
    struct faulty *faulty = watch->faulty;
    const struct sa_watch_event event = {type, object, version};
    if (type != SA_WATCH_BOOKMARK && one_in(faulty, 15)) {
        watch->lossy = true;
        faulty->lost++;
    } else {
        watch->event(watch->user, &event);
        if (!watch->over && one_in(faulty, 8)) {
            faulty->doubled++;
            watch->event(watch->user, &event);
        }
    }
    if (!watch->over && one_in(faulty, watch->lossy ? 2 : 100))
        end(watch, watch->lossy || one_in(faulty, 2) ? SA_EEXPIRED : SA_EUNAVAILABLE);
}

static void on_timer(uv_timer_t *timer)
{
    struct faulty_watch *watch = timer->data;
    while (watch->first && !watch->over) {
        struct delayed *d = watch->first;
        watch->first = d->next;
        pass_on(watch, d->type, d->object, d->version);
        sa_object_unref(d->object);
        free(d);
    }
    if (watch->lossy && !watch->over)
        end(watch, SA_EEXPIRED);
}

static void delay(struct faulty_watch *watch, const struct sa_watch_event *event)
{
    struct delayed *d = sa_alloc(sizeof *d);
    d->type = event->type;
    d->object = event->object ? sa_object_ref(event->object) : NULL;
    snprintf(d->version, sizeof d->version, "%s", event->resource_version);
    if (watch->first)
        watch->last->next = d;
    else
        watch->first = d;
    watch->last = d;
}

static void on_event(void *user, const struct sa_watch_event *event)
{
    struct faulty_watch *watch = user;
    if (watch->first || one_in(watch->faulty, 10)) { /* what is behind it stays behind it */
        watch->faulty->late++;
        delay(watch, event);
    } else {
        pass_on(watch, event->type, event->object, event->resource_version);
    }
    if (!watch->over && (watch->first || watch->lossy))
        uv_timer_start(&watch->timer, on_timer, LATE_MS, 0);
}

static void on_ended(void *user, const struct sa_error *err)
{
    struct faulty_watch *watch = user;
    watch->inner = NULL;
    over(watch);
    watch->ended(watch->user, err);
}

static struct sa_objects_watch *faulty_watch(struct sa_objects *objects, const struct sa_kind *kind,
                                             const struct sa_objects_select *select,
                                             const char *version,
                                             void (*event)(void *, const struct sa_watch_event *),
                                             void (*ended)(void *, const struct sa_error *),
                                             void *user)
{
    struct faulty_watch *watch = sa_alloc(sizeof *watch);
    *watch =
        (struct faulty_watch){.faulty = of(objects), .event = event, .ended = ended, .user = user};
    uv_timer_init(of(objects)->loop, &watch->timer);
    watch->timer.data = watch;
    watch->inner =
        sa_objects_watch(of(objects)->inner, kind, select, version, on_event, on_ended, watch);
    return (struct sa_objects_watch *)(void *)watch;
}

static void faulty_unwatch(struct sa_objects_watch *watch)
{
    over((struct faulty_watch *)(void *)watch);
}

/* ---- what passes as it is ---- */

static struct sa_objects_call *faulty_get(struct sa_objects *objects, const struct sa_kind *kind,
                                          const char *namespace_, const char *name,
                                          sa_objects_cb done, void *user)
{
    return sa_objects_get(of(objects)->inner, kind, namespace_, name, done, user);
}

static struct sa_objects_call *faulty_list(struct sa_objects *objects, const struct sa_kind *kind,
                                           const struct sa_objects_select *select, size_t limit,
                                           const char *continue_, sa_objects_list_cb done,
                                           void *user)
{
    return sa_objects_list(of(objects)->inner, kind, select, limit, continue_, done, user);
}

static struct sa_objects_call *faulty_create(struct sa_objects *objects, const struct sa_kind *kind,
                                             const char *json, size_t length, bool lenient,
                                             sa_objects_cb done, void *user)
{
    return sa_objects_create(of(objects)->inner, kind, json, length, lenient, done, user);
}

static struct sa_objects_call *faulty_update(struct sa_objects *objects, const struct sa_kind *kind,
                                             const char *json, size_t length, bool lenient,
                                             sa_objects_cb done, void *user)
{
    return sa_objects_update(of(objects)->inner, kind, json, length, lenient, done, user);
}

static struct sa_objects_call *faulty_patch(struct sa_objects *objects, const struct sa_kind *kind,
                                            const struct sa_objects_patch *patch,
                                            sa_objects_cb done, void *user)
{
    return sa_objects_patch(of(objects)->inner, kind, patch, done, user);
}

static struct sa_objects_call *faulty_delete(struct sa_objects *objects, const struct sa_kind *kind,
                                             const struct sa_objects_delete *what,
                                             sa_objects_cb done, void *user)
{
    return sa_objects_delete(of(objects)->inner, kind, what, done, user);
}

void faulty_init(struct faulty *faulty, struct sa_objects *inner, uv_loop_t *loop, unsigned seed)
{
    static struct sa_objects_ops ops;
    ops = (struct sa_objects_ops){.get = faulty_get,
                                  .list = faulty_list,
                                  .create = faulty_create,
                                  .update = faulty_update,
                                  .patch = faulty_patch,
                                  .delete = faulty_delete,
                                  .forget = inner->ops->forget, /* needs no store */
                                  .watch = faulty_watch,
                                  .unwatch = faulty_unwatch};
    *faulty = (struct faulty){.base = {.ops = &ops}, .inner = inner, .loop = loop, .seed = seed};
}
