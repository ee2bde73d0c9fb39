/* Watches read from the history, each at its own pace. */
#include "objects/embedded_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* A watch hears of the version it is at after so many changes of other objects. */
enum { BOOKMARK_EVERY = 512 };

static void call_event(struct sa_objects_watch *watch, enum sa_watch_type type,
                       const struct sa_object *object, uint64_t version)
{
    char text[SA_RESOURCE_VERSION_BYTES];
    snprintf(text, sizeof text, "%llu", (unsigned long long)version);
    watch->bookmarked = version;
    watch->event(watch->user, &(struct sa_watch_event){
                                  .type = type, .object = object, .resource_version = text});
}

/* An object that begins or ceases to match appears or disappears. */
static void tell(struct sa_objects_watch *watch, const struct sa_change *change)
{
    bool was = change->before && sa_selection_matches(&watch->selection, change->before);
    bool is = change->after && sa_selection_matches(&watch->selection, change->after);
    if (is)
        call_event(watch, was ? SA_WATCH_MODIFIED : SA_WATCH_ADDED, change->after, change->version);
    else if (was)
        call_event(watch, SA_WATCH_DELETED, change->before, change->version);
}

static void free_watch(struct sa_objects_watch *watch)
{
    DL_DELETE(watch->store->watches, watch);
    watch->store->watch_count--;
    sa_selection_deinit(&watch->selection);
    free(watch);
}

static void end(struct sa_objects_watch *watch, const struct sa_error *err)
{
    void (*ended)(void *, const struct sa_error *) = watch->ended;
    void *user = watch->user;
    free_watch(watch);
    ended(user, err);
}

/* What is new to it, as long as it wants to hear. Callbacks may write: the history grows, and
 * nothing is dropped from it before all watches were told. */
static void read_on(struct sa_embedded *store, struct sa_objects_watch *watch)
{
    const struct sa_history *h = &store->history;
    uint64_t until = store->committed;
    for (size_t i = sa_history_after(h, watch->seen); i < h->count && !watch->over; i++) {
        const struct sa_change change = *sa_history_at(h, i);
        if (change.version > until)
            break;
        watch->seen = change.version;
        if (change.kind == watch->kind)
            tell(watch, &change);
    }
    if (watch->over)
        return;
    watch->seen = until;
    if (watch->seen - watch->bookmarked >= BOOKMARK_EVERY)
        call_event(watch, SA_WATCH_BOOKMARK, NULL, watch->seen);
}

/* Only here, and at the end of the store, watches are freed: callbacks may take off any. */
static void deliver(struct sa_embedded *store, struct sa_objects_watch *watch)
{
    struct sa_error err = watch->refused;
    if (!err.code && watch->seen < store->history.forgotten) {
        store->stats.expired_watches++;
        sa_error_set(&err, SA_EEXPIRED,
                     "changes since version %llu are not kept any more; list anew",
                     (unsigned long long)watch->seen);
    }
    if (!watch->over && !err.code)
        read_on(store, watch);
    if (watch->over)
        free_watch(watch);
    else if (err.code)
        end(watch, &err);
}

void sa_watches_deliver(struct sa_embedded *store)
{
    struct sa_objects_watch *watch = store->watches, *last = watch ? watch->prev : NULL, *next;
    for (; watch; watch = next) { /* those that begin meanwhile come at the next turn */
        next = watch == last ? NULL : watch->next;
        deliver(store, watch);
    }
}

void sa_watches_end(struct sa_embedded *store, const struct sa_error *err)
{
    struct sa_objects_watch *watch, *next;
    DL_FOREACH_SAFE (store->watches, watch, next)
        watch->over ? free_watch(watch) : end(watch, err);
}

struct sa_objects_watch *sa_embedded_watch(struct sa_objects *objects, const struct sa_kind *kind,
                                           const struct sa_objects_select *select,
                                           const char *resource_version,
                                           void (*event)(void *, const struct sa_watch_event *),
                                           void (*ended)(void *, const struct sa_error *),
                                           void *user)
{
    struct sa_embedded *store = sa_embedded_of(objects);
    struct sa_objects_watch *watch = sa_alloc(sizeof *watch);
    char *rest;
    struct sa_error err;
    *watch = (struct sa_objects_watch){
        .store = store, .kind = kind, .event = event, .ended = ended, .user = user};
    watch->seen = strtoull(resource_version, &rest, 10);
    if (!sa_embedded_table(store, kind, &err))
        watch->refused = err;
    else if (*rest || rest == resource_version || watch->seen > store->committed)
        sa_error_set(&watch->refused, SA_EEXPIRED,
                     "\"%.40s\" is no version of this store; list anew", resource_version);
    else
        sa_selection_init(&watch->selection, kind, select, &watch->refused);
    watch->bookmarked = watch->seen;
    DL_APPEND(store->watches, watch);
    store->watch_count++;
    sa_embedded_wake(store);
    return watch;
}

void sa_embedded_unwatch(struct sa_objects_watch *watch)
{
    watch->over = true;
    sa_embedded_wake(watch->store);
}
