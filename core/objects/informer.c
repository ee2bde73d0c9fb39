/*
 * The informer:
 *
 *     LISTING --list--> WATCHING --ended: expired--> LISTING
 *        ^ |                |
 *        | failed           ended: unavailable
 *        | v                v
 *        PAUSING <-----------        (then a list, or a watch from where it was)
 */
#include "objects/informer.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

enum { PAUSE_FIRST_MS = 100, PAUSE_MAX_MS = 30 * 1000, INDEX_VALUES = 8, INDEXES_MAX = 8 };

struct entry {
    UT_hash_handle hh;
    const struct sa_object *object; /* a reference; its key is the entry's */
    bool listed;                    /* seen in the listing under way */
};
struct bucket {
    UT_hash_handle hh;
    const struct sa_object **items; /* those of the entries */
    size_t count, capacity;
    char value[];
};
struct sa_informer {
    struct sa_informer_options options;
    char *namespace_, *labels, *fields;
    struct entry *entries;
    size_t count;
    struct bucket *indexes[INDEXES_MAX];
    size_t index_count;
    struct sa_informer_handler *handlers, *fresh; /* fresh: the first that has heard of nothing */
    struct sa_informer_handler *greeted;          /* hears of what is there at this moment */
    struct sa_objects_call *list;
    struct sa_objects_watch *watch;
    char version[SA_RESOURCE_VERSION_BYTES]; /* "": a list is needed */
    int64_t pause_ms;
    bool synced, stopping;
    bool heard; /* of anything since the last list */
    uv_timer_t pause, resync;
    uv_idle_t greet; /* active while there are fresh handlers */
    unsigned handles;
};

/* ---- indexes ---- */

static void index_add(struct sa_informer *informer, size_t i, const char *value,
                      const struct sa_object *object)
{
    struct bucket *b;
    size_t length = strlen(value);
    HASH_FIND(hh, informer->indexes[i], value, length, b);
    if (!b) {
        b = sa_alloc(sizeof *b + length + 1);
        memcpy(b->value, value, length);
        HASH_ADD_KEYPTR(hh, informer->indexes[i], b->value, length, b);
    }
    if (b->count == b->capacity) {
        b->capacity = b->capacity ? 2 * b->capacity : 4;
        b->items = sa_realloc((void *)b->items, b->capacity * sizeof *b->items);
    }
    b->items[b->count++] = object;
}

static void index_remove(struct sa_informer *informer, size_t i, const char *value,
                         const struct sa_object *object)
{
    struct bucket *b;
    HASH_FIND_STR(informer->indexes[i], value, b);
    for (size_t at = b ? b->count : 0;
         at-- > 0;) { /* what is new changes most, and is at the end */
        if (b->items[at] != object)
            continue;
        b->items[at] = b->items[--b->count];
        break;
    }
    if (b && b->count == 0) {
        HASH_DEL(informer->indexes[i], b);
        free((void *)b->items);
        free(b);
    }
}

typedef void index_fn(struct sa_informer *, size_t, const char *, const struct sa_object *);

static void index_each(struct sa_informer *informer, const struct sa_object *object, index_fn *act)
{
    struct sa_arena *arena = sa_arena_new_sized(256);
    for (size_t i = 0; i < informer->index_count; i++) {
        const char *values[INDEX_VALUES];
        size_t count = informer->options.indexes[i].of(object, arena, values);
        for (size_t v = 0; v < count && v < INDEX_VALUES; v++)
            act(informer, i, values[v], object);
    }
    sa_arena_free(arena);
}

/* ---- the cache ---- */

static void tell(struct sa_informer *informer, const struct sa_object *before,
                 const struct sa_object *now)
{
    struct sa_informer_handler *handler, *next;
    DL_FOREACH_SAFE (informer->handlers, handler, next) {
        if (informer->stopping)
            return;
        if (handler == informer->fresh) /* from here on: they will hear of everything */
            break;
        handler->changed(handler, before, now);
    }
}

static struct entry *find(const struct sa_informer *informer, const char *key)
{
    struct entry *entry;
    HASH_FIND_STR(informer->entries, key, entry);
    return entry;
}

enum same { SAME_OBJECT, SAME_VERSION };
static bool is_same(const struct sa_object *a, const struct sa_object *b, enum same what)
{
    const struct sa_object_meta *m = sa_object_meta(a), *n = sa_object_meta(b);
    return strcmp(m->uid, n->uid) == 0 &&
           (what == SAME_OBJECT || strcmp(m->resource_version, n->resource_version) == 0);
}

static void put(struct sa_informer *informer, const struct sa_object *object)
{
    struct entry *entry = find(informer, sa_object_key(object));
    const struct sa_object *before = entry ? entry->object : NULL;
    if (entry) { /* the key belongs to the object, which is replaced */
        index_each(informer, before, index_remove);
        HASH_DEL(informer->entries, entry);
    } else {
        entry = sa_alloc(sizeof *entry);
        informer->count++;
    }
    entry->object = sa_object_ref(object);
    entry->listed = true;
    const char *key = sa_object_key(object);
    HASH_ADD_KEYPTR(hh, informer->entries, key, strlen(key), entry);
    index_each(informer, object, index_add);
    if (before && !is_same(before, object, SAME_OBJECT)) { /* its deletion was missed */
        tell(informer, before, NULL);
        tell(informer, NULL, object);
    } else if (!before || !is_same(before, object, SAME_VERSION)) {
        tell(informer, before, object);
    }
    sa_object_unref(before);
}

static void drop(struct sa_informer *informer, struct entry *entry)
{
    const struct sa_object *before = entry->object;
    index_each(informer, before, index_remove);
    HASH_DEL(informer->entries, entry);
    free(entry);
    informer->count--;
    tell(informer, before, NULL);
    sa_object_unref(before);
}

/* ---- list and watch ---- */

static void go_on(struct sa_informer *informer);

static void on_pause_over(uv_timer_t *timer)
{
    go_on(timer->data);
}

static void pause_then_go_on(struct sa_informer *informer)
{
    uv_timer_start(&informer->pause, on_pause_over, (uint64_t)informer->pause_ms, 0);
    informer->pause_ms *= 2;
    if (informer->pause_ms > PAUSE_MAX_MS)
        informer->pause_ms = PAUSE_MAX_MS;
}

static void keep_version(struct sa_informer *informer, const char *version)
{
    strncpy(informer->version, version, sizeof informer->version - 1);
}

static void on_event(void *user, const struct sa_watch_event *event)
{
    struct sa_informer *informer = user;
    informer->pause_ms = PAUSE_FIRST_MS;
    informer->heard = true;
    keep_version(informer, event->resource_version);
    if (event->type == SA_WATCH_BOOKMARK)
        return;
    struct entry *entry = find(informer, sa_object_key(event->object));
    if (event->type != SA_WATCH_DELETED)
        put(informer, event->object);
    else if (entry)
        drop(informer, entry);
}

static void on_watch_ended(void *user, const struct sa_error *err)
{
    struct sa_informer *informer = user;
    informer->watch = NULL;
    if (err->code != SA_EUNAVAILABLE)
        informer->version[0] = '\0';
    if (err->code == SA_EEXPIRED && informer->heard)
        go_on(informer);
    else
        pause_then_go_on(informer);
}

/* What was not listed is gone: its deletion was missed. */
static void take_listing(struct sa_informer *informer, const struct sa_objects_page *page)
{
    struct entry *entry, *next;
    HASH_ITER (hh, informer->entries, entry, next)
        entry->listed = false;
    for (size_t i = 0; i < page->count; i++)
        put(informer, page->items[i]);
    HASH_ITER (hh, informer->entries, entry, next)
        if (!entry->listed)
            drop(informer, entry);
    keep_version(informer, page->resource_version);
    informer->synced = true;
}

static void on_list(void *user, const struct sa_error *err, const struct sa_objects_page *page)
{
    struct sa_informer *informer = user;
    informer->list = NULL;
    if (err) {
        pause_then_go_on(informer);
        return;
    }
    informer->pause_ms = PAUSE_FIRST_MS;
    informer->heard = false;
    take_listing(informer, page);
    if (!informer->stopping)
        go_on(informer);
}

static void go_on(struct sa_informer *informer)
{
    const struct sa_informer_options *o = &informer->options;
    if (informer->stopping)
        return;
    if (informer->version[0])
        informer->watch = sa_objects_watch(o->objects, o->kind, &o->select, informer->version,
                                           on_event, on_watch_ended, informer);
    else
        informer->list =
            sa_objects_list(o->objects, o->kind, &o->select, 0, NULL, on_list, informer);
}

/* ---- handlers ---- */

static void on_greet(uv_idle_t *idle)
{
    struct sa_informer *informer = idle->data;
    struct sa_informer_handler *handler = informer->fresh;
    uv_idle_stop(idle);
    if (!handler)
        return;
    informer->fresh = handler->next;
    if (informer->fresh)
        uv_idle_start(idle, on_greet);
    informer->greeted = handler;
    for (struct entry *entry = informer->entries; entry && informer->greeted && !informer->stopping;
         entry = entry->hh.next)
        handler->changed(handler, NULL, entry->object);
    informer->greeted = NULL;
}

static void on_resync(uv_timer_t *timer)
{
    struct sa_informer *informer = timer->data;
    for (struct entry *entry = informer->entries; entry; entry = entry->hh.next)
        tell(informer, entry->object, entry->object);
}

void sa_informer_add_handler(struct sa_informer *informer, struct sa_informer_handler *handler)
{
    DL_APPEND(informer->handlers, handler);
    if (!informer->fresh)
        informer->fresh = handler;
    uv_idle_start(&informer->greet, on_greet);
}

void sa_informer_remove_handler(struct sa_informer *informer, struct sa_informer_handler *handler)
{
    if (informer->fresh == handler)
        informer->fresh = handler->next;
    if (informer->greeted == handler)
        informer->greeted = NULL;
    DL_DELETE(informer->handlers, handler);
}

/* ---- its life ---- */

static char *copy(const char *text)
{
    return text ? sa_strdup(text) : NULL;
}

static void start_handles(struct sa_informer *informer)
{
    uv_loop_t *loop = informer->options.loop;
    uv_timer_init(loop, &informer->pause);
    uv_timer_init(loop, &informer->resync);
    uv_idle_init(loop, &informer->greet);
    informer->pause.data = informer->resync.data = informer->greet.data = informer;
    informer->handles = 3;
    uint64_t every = (uint64_t)informer->options.resync_ms;
    if (every)
        uv_timer_start(&informer->resync, on_resync, every, every);
}

struct sa_informer *sa_informer_start(const struct sa_informer_options *options)
{
    struct sa_informer *informer = sa_alloc(sizeof *informer);
    informer->options = *options;
    informer->options.select.namespace_ = informer->namespace_ = copy(options->select.namespace_);
    informer->options.select.label_selector = informer->labels =
        copy(options->select.label_selector);
    informer->options.select.field_selector = informer->fields =
        copy(options->select.field_selector);
    while (options->indexes && options->indexes[informer->index_count].name &&
           informer->index_count < INDEXES_MAX)
        informer->index_count++;
    informer->pause_ms = PAUSE_FIRST_MS;
    start_handles(informer);
    go_on(informer);
    return informer;
}

static void free_entries(struct sa_informer *informer)
{
    struct entry *entry, *next;
    informer->handlers = NULL;
    HASH_ITER (hh, informer->entries, entry, next)
        drop(informer, entry);
}

static void on_closed(uv_handle_t *handle)
{
    struct sa_informer *informer = handle->data;
    if (--informer->handles)
        return;
    free_entries(informer);
    free(informer->namespace_);
    free(informer->labels);
    free(informer->fields);
    free(informer);
}

void sa_informer_stop(struct sa_informer *informer)
{
    informer->stopping = true;
    if (informer->list)
        sa_objects_forget(informer->options.objects, informer->list);
    if (informer->watch)
        sa_objects_unwatch(informer->options.objects, informer->watch);
    uv_close((uv_handle_t *)&informer->pause, on_closed);
    uv_close((uv_handle_t *)&informer->resync, on_closed);
    uv_close((uv_handle_t *)&informer->greet, on_closed);
}

/* ---- reading ---- */

bool sa_informer_synced(const struct sa_informer *informer)
{
    return informer->synced;
}

const struct sa_object *sa_informer_get(const struct sa_informer *informer, const char *key)
{
    const struct entry *entry = find(informer, key);
    return entry ? entry->object : NULL;
}

size_t sa_informer_count(const struct sa_informer *informer)
{
    return informer->count;
}

const struct sa_object *sa_informer_next(const struct sa_informer *informer,
                                         const struct sa_object *after)
{
    const struct entry *entry = after ? find(informer, sa_object_key(after)) : NULL;
    const struct entry *next = after ? (entry ? entry->hh.next : NULL) : informer->entries;
    return next ? next->object : NULL;
}

struct sa_informer_found sa_informer_find(const struct sa_informer *informer, const char *index,
                                          const char *value)
{
    struct bucket *b = NULL;
    for (size_t i = 0; i < informer->index_count; i++)
        if (strcmp(informer->options.indexes[i].name, index) == 0)
            HASH_FIND_STR(informer->indexes[i], value, b);
    if (!b)
        return (struct sa_informer_found){NULL, 0};
    return (struct sa_informer_found){b->items, b->count};
}
