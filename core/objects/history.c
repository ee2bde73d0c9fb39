/* What has changed of late, in a ring, and the watches that read from it at their own pace. */
#include "objects/embedded_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* A watch hears of the version it is at after so many changes of other objects. */
enum { BOOKMARK_EVERY = 512 };

static struct sa_change *at(const struct sa_history *h, size_t i)
{
    return &h->ring[(h->first + i) % h->size];
}

static void drop_oldest(struct sa_history *h)
{
    struct sa_change *oldest = at(h, 0);
    h->forgotten = oldest->version;
    sa_object_unref(oldest->before);
    sa_object_unref(oldest->after);
    h->first = (h->first + 1) % h->size;
    h->count--;
}

void sa_history_add(struct sa_embedded *store, const struct sa_objects_call *call)
{
    struct sa_history *h = &store->history;
    if (h->count == h->size)
        drop_oldest(h);
    h->count++;
    *at(h, h->count - 1) = (struct sa_change){
        .version = call->change.version,
        .kind = call->change.table->kind,
        .before = call->change.before ? sa_object_ref(call->change.before) : NULL,
        .after = call->change.after ? sa_object_ref(call->change.after) : NULL};
}

void sa_history_deinit(struct sa_embedded *store)
{
    while (store->history.count)
        drop_oldest(&store->history);
    free(store->history.ring);
}

/* The first change after `version`: they are numbered upwards, with gaps. */
static size_t first_after(const struct sa_history *h, uint64_t version)
{
    size_t low = 0, high = h->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (at(h, middle)->version <= version)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

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

/* What is new to it, as long as it wants to hear. */
static void read_on(struct sa_embedded *store, struct sa_objects_watch *watch)
{
    const struct sa_history *h = &store->history;
    while (!watch->over && watch->seen < store->committed && watch->seen >= h->forgotten) {
        size_t i = first_after(h, watch->seen);
        if (i == h->count) {
            watch->seen = store->committed;
            break;
        }
        struct sa_change change = *at(h, i);
        watch->seen = change.version;
        if (change.kind == watch->kind)
            tell(watch, &change);
    }
    if (!watch->over && watch->seen - watch->bookmarked >= BOOKMARK_EVERY)
        call_event(watch, SA_WATCH_BOOKMARK, NULL, watch->seen);
}

/* Only here, and at the end of the store, watches are freed: callbacks may take off any. */
static void deliver(struct sa_embedded *store, struct sa_objects_watch *watch)
{
    struct sa_error err = watch->refused;
    if (!watch->over && !err.code)
        read_on(store, watch);
    if (watch->over) {
        free_watch(watch);
        return;
    }
    if (!err.code && watch->seen < store->history.forgotten) {
        store->stats.expired_watches++;
        sa_error_set(&err, SA_EEXPIRED,
                     "changes since version %llu are not kept any more; list anew",
                     (unsigned long long)watch->seen);
    }
    if (err.code)
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
    while (store->watches)
        end(store->watches, err);
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
    *watch = (struct sa_objects_watch){
        .store = store, .kind = kind, .event = event, .ended = ended, .user = user};
    watch->seen = strtoull(resource_version, &rest, 10);
    if (*rest || watch->seen > store->version)
        sa_error_set(&watch->refused, SA_EEXPIRED,
                     "\"%.40s\" is no version of this store; list anew", resource_version);
    else
        sa_selection_init(&watch->selection, kind, select, &watch->refused);
    watch->bookmarked = watch->seen;
    DL_APPEND(store->watches, watch);
    store->stats.watches++;
    sa_embedded_wake(store);
    return watch;
}

void sa_embedded_unwatch(struct sa_objects_watch *watch)
{
    watch->over = true;
    sa_embedded_wake(watch->store);
}
