/*
 * The garbage collector (Kubernetes' "owners and dependents", background): when an owner is gone
 * for good, what it owned follows, unless another owner lives; then only the reference goes. An
 * object made for an owner that is not there is collected, too.
 */
#include "objects/embedded_private.h"

#include <string.h>
#include <uthash.h>

enum { STEP = 64 /* objects looked at in a turn of the loop */ };

struct dependent {
    struct sa_table_of_kind *table;
    char *key;
};
struct sa_owned { /* of a uid: is it alive, and what does it own? */
    UT_hash_handle hh;
    char uid[SA_UID_BYTES];
    bool alive;
    struct dependent *items;
    size_t count, capacity;
};
struct sa_collect {
    struct sa_collect *next;
    char uid[SA_UID_BYTES];
    size_t stay; /* dependents at the end of the list that were looked at and are still there */
};

static struct sa_owned *entry_of(struct sa_embedded *store, const char *uid, bool make)
{
    struct sa_owned *entry;
    HASH_FIND_STR(store->owned, uid, entry);
    if (!entry && make) {
        entry = sa_alloc(sizeof *entry);
        strncpy(entry->uid, uid, sizeof entry->uid - 1);
        HASH_ADD_STR(store->owned, uid, entry);
    }
    return entry;
}

static void drop_if_idle(struct sa_embedded *store, struct sa_owned *entry)
{
    if (entry->alive || entry->count)
        return;
    HASH_DEL(store->owned, entry); // NOLINT(clang-analyzer-*)
    free(entry->items);
    free(entry);
}

static void add_dependent(struct sa_embedded *store, const char *uid,
                          struct sa_table_of_kind *table, const char *key)
{
    struct sa_owned *entry = entry_of(store, uid, true);
    if (entry->count == entry->capacity) {
        entry->capacity = entry->capacity ? 2 * entry->capacity : 4;
        entry->items = sa_realloc(entry->items, entry->capacity * sizeof *entry->items);
    }
    entry->items[entry->count++] = (struct dependent){table, sa_strdup(key)};
    if (!entry->alive && !store->loading)
        sa_collect_after(store, uid);
}

static void remove_dependent(struct sa_embedded *store, const char *uid,
                             const struct sa_table_of_kind *table, const char *key)
{
    struct sa_owned *entry = entry_of(store, uid, false);
    for (size_t i = 0; entry && i < entry->count; i++) {
        if (entry->items[i].table != table || strcmp(entry->items[i].key, key) != 0)
            continue;
        free(entry->items[i].key);
        entry->items[i] = entry->items[--entry->count];
        drop_if_idle(store, entry);
        return;
    }
}

static bool same_owners(const struct sa_object_meta *a, const struct sa_object_meta *b)
{
    if (a->owner_count != b->owner_count)
        return false;
    for (size_t i = 0; i < a->owner_count; i++)
        if (strcmp(a->owners[i].uid, b->owners[i].uid) != 0)
            return false;
    return true;
}

void sa_owned_changed(struct sa_embedded *store, struct sa_table_of_kind *table,
                      const struct sa_object *before, const struct sa_object *after)
{
    const struct sa_object_meta *was = before ? sa_object_meta(before) : NULL;
    const struct sa_object_meta *is = after ? sa_object_meta(after) : NULL;
    if (is && !was)
        entry_of(store, is->uid, true)->alive = true;
    if (was && !is) {
        struct sa_owned *entry = entry_of(store, was->uid, true);
        entry->alive = false;
        drop_if_idle(store, entry);
    }
    if (was && is && same_owners(was, is))
        return;
    for (size_t i = 0; was && i < was->owner_count; i++)
        remove_dependent(store, was->owners[i].uid, table, sa_object_key(before));
    for (size_t i = 0; is && i < is->owner_count; i++)
        add_dependent(store, is->owners[i].uid, table, sa_object_key(after));
}

void sa_collect_after(struct sa_embedded *store, const char *owner_uid)
{
    const struct sa_owned *entry = entry_of(store, owner_uid, false);
    if (!entry || !entry->count)
        return;
    struct sa_collect *item = sa_alloc(sizeof *item);
    strncpy(item->uid, owner_uid, sizeof item->uid - 1);
    if (store->collect_last)
        store->collect_last->next = item;
    else
        store->collect_first = item;
    store->collect_last = item;
    sa_embedded_wake(store);
}

static bool is_alive(struct sa_embedded *store, const char *uid)
{
    const struct sa_owned *entry = entry_of(store, uid, false);
    return entry && entry->alive;
}

/* Write the object with fewer owners, on nobody's behalf. */
static void keep_owners(struct sa_embedded *store, struct sa_table_of_kind *table,
                        const struct sa_object *object, const struct sa_owner_reference *owners,
                        size_t count)
{
    char version[SA_RESOURCE_VERSION_BYTES];
    struct sa_objects_call *call = sa_call_new(store, SA_CALL_WRITE, NULL);
    struct sa_object_draft next = {.kind = table->kind,
                                   .meta = *sa_object_meta(object),
                                   .spec = sa_object_spec_part(object),
                                   .status = sa_object_status_part(object)};
    next.meta.owners = (struct sa_owner_reference *)(uintptr_t)owners;
    next.meta.owner_count = count;
    sa_embedded_next_version(store, version);
    next.meta.resource_version = version;
    sa_embedded_apply(call, table, object, sa_object_make(&next));
    sa_call_queue(call);
}

static void collect(struct sa_embedded *store, struct sa_table_of_kind *table,
                    const struct sa_object *object)
{
    const struct sa_object_meta *meta = sa_object_meta(object);
    struct sa_owner_reference alive[SA_OBJECT_OWNERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < meta->owner_count; i++)
        if (is_alive(store, meta->owners[i].uid))
            alive[count++] = meta->owners[i];
    if (count == meta->owner_count)
        return;
    if (count > 0)
        keep_owners(store, table, object, alive, count);
    else
        sa_embedded_delete(&store->base, table->kind,
                           &(struct sa_objects_delete){.namespace_ = meta->namespace_,
                                                       .name = meta->name,
                                                       .uid = meta->uid},
                           NULL, NULL);
}

/* The next dependent of this owner; false: there is none left. What goes away makes room for the
 * last of the list, which was looked at already, so that those who stay remain at the end. */
static bool collect_one(struct sa_embedded *store, struct sa_collect *item)
{
    struct sa_owned *entry = entry_of(store, item->uid, false);
    if (!entry || entry->alive || entry->count <= item->stay)
        return false;
    size_t count = entry->count;
    struct dependent d = entry->items[count - 1 - item->stay];
    const struct sa_object *object = sa_shelf_get(d.table, d.key);
    if (object && !sa_object_meta(object)->deleted_ms)
        collect(store, d.table, object);
    entry = entry_of(store, item->uid, false);
    if (entry && entry->count == count)
        item->stay++;
    return true;
}

bool sa_collect_step(struct sa_embedded *store)
{
    /* A commit, or the timer, wakes the store again. */
    if (uv_is_active((uv_handle_t *)&store->heal) || store->uncommitted >= SA_UNCOMMITTED_MAX / 2)
        return false;
    for (size_t left = STEP; store->collect_first && left > 0; left--) {
        struct sa_collect *item = store->collect_first;
        if (collect_one(store, item))
            continue;
        store->collect_first = item->next;
        if (!store->collect_first)
            store->collect_last = NULL;
        free(item);
    }
    return store->collect_first != NULL;
}

void sa_collect_all(struct sa_embedded *store)
{
    struct sa_owned *entry, *next;
    HASH_ITER (hh, store->owned, entry, next)
        if (!entry->alive)
            sa_collect_after(store, entry->uid);
}

void sa_orphan(struct sa_embedded *store, const char *owner_uid)
{
    struct sa_owned *entry = entry_of(store, owner_uid, false);
    while (entry && entry->count) {
        struct dependent d = entry->items[entry->count - 1];
        const struct sa_object *object = sa_shelf_get(d.table, d.key);
        const struct sa_object_meta *meta = sa_object_meta(object);
        struct sa_owner_reference others[SA_OBJECT_OWNERS_MAX];
        size_t count = 0;
        for (size_t i = 0; i < meta->owner_count; i++)
            if (strcmp(meta->owners[i].uid, owner_uid) != 0)
                others[count++] = meta->owners[i];
        keep_owners(store, d.table, object, others, count);
        entry = entry_of(store, owner_uid, false);
    }
}

void sa_collect_deinit(struct sa_embedded *store)
{
    struct sa_owned *entry, *next;
    HASH_ITER (hh, store->owned, entry, next) {
        for (size_t i = 0; i < entry->count; i++)
            free(entry->items[i].key);
        entry->count = 0;
        entry->alive = false;
        drop_if_idle(store, entry);
    }
    while (store->collect_first) {
        struct sa_collect *item = store->collect_first;
        store->collect_first = item->next;
        free(item);
    }
}

void sa_sweep(struct sa_embedded *store)
{
    int64_t now = store->wall_ms();
    for (size_t t = 0; t < store->table_count; t++) {
        struct sa_table_of_kind *table = &store->tables[t];
        for (size_t i = table->kind->ttl_ms ? table->count : 0; i-- > 0;) {
            const struct sa_object_meta *meta = sa_object_meta(table->items[i]);
            if (meta->created_ms + table->kind->ttl_ms > now)
                continue;
            sa_embedded_delete(&store->base, table->kind,
                               &(struct sa_objects_delete){.namespace_ = meta->namespace_,
                                                           .name = meta->name,
                                                           .uid = meta->uid},
                               NULL, NULL);
        }
    }
}
