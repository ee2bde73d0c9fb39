/* Writes of the embedded store, but patches: what Kubernetes' API server does with them. */
#include "objects/embedded_private.h"

#include "base/id.h"

#include <stdio.h>
#include <string.h>

uint64_t sa_embedded_next_version(struct sa_embedded *store, char text[SA_RESOURCE_VERSION_BYTES])
{
    store->version++;
    snprintf(text, SA_RESOURCE_VERSION_BYTES, "%llu", (unsigned long long)store->version);
    return store->version;
}

static struct sa_disk_write *disk_write(const struct sa_embedded *store,
                                        const struct sa_table_of_kind *table, const char *key,
                                        const struct sa_object *now)
{
    struct sa_disk_write *write = sa_alloc(sizeof *write);
    write->version = store->version;
    write->kind = table->kind->name;
    write->key = sa_strdup(key);
    if (now) {
        struct sa_buf text = SA_BUF_INIT;
        struct sa_json_w w = sa_json_w_start(&text);
        sa_object_print(now, &w);
        write->length = text.length;
        write->json = sa_buf_steal(&text);
    }
    return write;
}

void sa_embedded_apply(struct sa_objects_call *call, struct sa_table_of_kind *table,
                       const struct sa_object *before, struct sa_object *now)
{
    struct sa_embedded *store = call->store;
    call->barrier = call->change.version = store->version;
    call->change.table = table;
    call->change.before = before ? sa_object_ref(before) : NULL;
    call->change.after = now;
    call->object = sa_object_ref(now ? now : before);
    const char *key = sa_object_key(call->object);
    sa_shelf_set(table, key, now);
    sa_owned_changed(store, table, call->change.before, now);
    sa_history_add(store, call);
    if (now && !before)
        store->object_count++;
    else if (before && !now)
        store->object_count--;
    store->uncommitted++;
    if (store->disk)
        sa_disk_put(store->disk, disk_write(store, table, key, now));
    else
        store->committed = store->version;
}

static int check_size(const struct sa_object_draft *draft, struct sa_error *err)
{
    size_t bytes = sa_object_part_bytes(draft->spec) + sa_object_part_bytes(draft->status);
    if (bytes > SA_OBJECT_MAX)
        return sa_error_set(err, SA_ETOOLARGE,
                            "spec and status are %zu bytes with defaults; at "
                            "most %d are stored",
                            bytes, SA_OBJECT_MAX);
    return 0;
}

static int check_room(const struct sa_embedded *store, struct sa_error *err)
{
    if (store->closing)
        return sa_error_set(err, SA_EUNAVAILABLE, "the object store is closing");
    if (store->uncommitted >= SA_UNCOMMITTED_MAX)
        return sa_error_set(err, SA_EUNAVAILABLE,
                            "%zu writes wait for the disk; try again in a moment",
                            store->uncommitted);
    return 0;
}

/* ---- create ---- */

static void random_uid(char out[SA_UID_BYTES])
{
    uint8_t b[16];
    sa_random(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0F) | 0x40); /* version 4 (RFC 9562) */
    b[8] = (uint8_t)((b[8] & 0x3F) | 0x80);
    snprintf(out, SA_UID_BYTES,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
}

static int choose_name(struct sa_object_meta *meta, const struct sa_kind *kind,
                       struct sa_arena *arena, struct sa_error *err)
{
    char random[SA_ID_BYTES];
    if (meta->resource_version[0])
        return sa_error_at(err, SA_EINVALID, "metadata.resourceVersion",
                           "metadata.resourceVersion: expected none: it is not made yet");
    if (!meta->name[0] && !meta->generate_name[0])
        return sa_error_at(err, SA_EINVALID, "metadata.name",
                           "metadata.name: expected a name (or metadata.generateName)");
    if (!meta->name[0]) {
        sa_id_new("", random);
        random[8] = '\0'; /* 40 bits among those of one prefix */
        meta->name = sa_arena_printf(arena, "%s%s", meta->generate_name, random);
    }
    if (kind->namespaced && !meta->namespace_[0])
        meta->namespace_ = SA_NAMESPACE_DEFAULT;
    if (!kind->namespaced && meta->namespace_[0])
        return sa_error_at(err, SA_EINVALID, "metadata.namespace",
                           "metadata.namespace: %s is in no namespace", kind->name);
    return 0;
}

static int create(struct sa_objects_call *call, struct sa_table_of_kind *table,
                  struct sa_object_draft *draft, struct sa_arena *arena, struct sa_error *err)
{
    struct sa_embedded *store = call->store;
    char *uid = sa_arena_alloc(arena, SA_UID_BYTES);
    char *version = sa_arena_alloc(arena, SA_RESOURCE_VERSION_BYTES);
    if (choose_name(&draft->meta, table->kind, arena, err) < 0 || check_room(store, err) < 0)
        return -1;
    const char *key =
        sa_object_key_of(table->kind, draft->meta.namespace_, draft->meta.name, arena);
    if (sa_shelf_get(table, key))
        return sa_error_at(err, SA_EEXISTS, "metadata.name", "there is a %s \"%s\" already",
                           table->kind->name, key);
    if (store->object_count >= store->objects_max)
        return sa_error_set(err, SA_EQUOTA, "%zu objects are stored, which is the limit",
                            store->object_count);
    random_uid(uid);
    draft->meta.uid = uid;
    draft->meta.generation = 1;
    draft->meta.created_ms = store->wall_ms();
    draft->meta.deleted_ms = 0;
    draft->status = sa_object_part_ref(table->empty_status);
    if (check_size(draft, err) < 0)
        return -1;
    sa_embedded_next_version(store, version);
    draft->meta.resource_version = version;
    sa_embedded_apply(call, table, NULL, sa_object_make(draft));
    return 0;
}

struct sa_objects_call *sa_embedded_create(struct sa_objects *objects, const struct sa_kind *kind,
                                           const char *json, size_t length, bool lenient,
                                           sa_objects_cb done, void *user)
{
    struct sa_embedded *store = sa_embedded_of(objects);
    struct sa_objects_call *call = sa_call_new(store, SA_CALL_WRITE, user);
    struct sa_arena *arena = sa_arena_new_sized(1024);
    struct sa_object_draft draft;
    struct sa_error err;
    call->done = done;
    struct sa_table_of_kind *table = sa_embedded_table(store, kind, &err);
    int rc = table ? sa_object_draft_decode(kind, json, length, SA_WANT_SPEC, lenient, arena,
                                            &draft, &err)
                   : -1;
    if (rc == 0) {
        rc = create(call, table, &draft, arena, &err);
        sa_object_draft_deinit(&draft);
    }
    sa_arena_free(arena);
    return rc < 0 ? sa_call_fail(call, &err) : sa_call_queue(call);
}

struct sa_objects_call *sa_embedded_make(struct sa_objects *objects,
                                         const struct sa_objects_make *what, sa_objects_cb done,
                                         void *user)
{
    struct sa_embedded *store = sa_embedded_of(objects);
    const struct sa_kind *kind = sa_object_kind(what->like);
    struct sa_objects_call *call = sa_call_new(store, SA_CALL_WRITE, user);
    struct sa_arena *arena = sa_arena_new_sized(256);
    struct sa_object_draft draft = {.kind = kind, .meta = sa_objects_made_meta(what)};
    struct sa_error err;
    call->done = done;
    struct sa_table_of_kind *table = sa_embedded_table(store, kind, &err);
    int rc = table ? sa_object_meta_verify(&draft.meta, &err) : -1;
    if (rc == 0) {
        draft.spec = sa_object_part_ref(sa_object_spec_part(what->like));
        rc = create(call, table, &draft, arena, &err);
        sa_object_draft_deinit(&draft);
    }
    sa_arena_free(arena);
    return rc < 0 ? sa_call_fail(call, &err) : sa_call_queue(call);
}

/* ---- update ---- */

/* Finalizers may only go once an object is marked for deletion. */
static int check_finalizers(const struct sa_object *now, const struct sa_object_meta *next,
                            struct sa_error *err)
{
    if (!sa_object_meta(now)->deleted_ms)
        return 0;
    for (size_t i = 0; i < next->finalizers.count; i++)
        if (!sa_object_has_finalizer(now, next->finalizers.items[i]))
            return sa_error_at(err, SA_EINVALID, "metadata.finalizers",
                               "metadata.finalizers: \"%.80s\" cannot be added to what is being "
                               "deleted",
                               next->finalizers.items[i]);
    return 0;
}

static int check_name(const struct sa_object *now, const struct sa_object_meta *next,
                      struct sa_error *err)
{
    const struct sa_object_meta *meta = sa_object_meta(now);
    if (strcmp(meta->name, next->name) != 0)
        return sa_error_at(err, SA_EINVALID, "metadata.name",
                           "metadata.name: expected \"%s\": a name cannot be changed", meta->name);
    if (strcmp(meta->namespace_, next->namespace_) != 0)
        return sa_error_at(err, SA_EINVALID, "metadata.namespace",
                           "metadata.namespace: expected \"%s\": it cannot be changed",
                           meta->namespace_);
    return 0;
}

static int check_identity(const struct sa_object *now, const struct sa_object_meta *next,
                          struct sa_error *err)
{
    const struct sa_object_meta *meta = sa_object_meta(now);
    if (next->resource_version[0] && strcmp(next->resource_version, meta->resource_version) != 0)
        return sa_error_at(err, SA_ECONFLICT, "metadata.resourceVersion",
                           "%s \"%s\" is at version %s, not %.24s; read it again",
                           sa_object_kind(now)->name, sa_object_key(now), meta->resource_version,
                           next->resource_version);
    if (next->uid[0] && strcmp(next->uid, meta->uid) != 0)
        return sa_error_at(err, SA_ECONFLICT, "metadata.uid",
                           "%s \"%s\" is another one than %s: it was made anew",
                           sa_object_kind(now)->name, sa_object_key(now), next->uid);
    return 0;
}

/* What the server keeps of an object whose spec or metadata is written. */
static void keep_of(const struct sa_object *now, struct sa_object_draft *next)
{
    const struct sa_object_meta *meta = sa_object_meta(now);
    next->meta.namespace_ = meta->namespace_;
    next->meta.name = meta->name;
    next->meta.generate_name = meta->generate_name;
    next->meta.uid = meta->uid;
    next->meta.created_ms = meta->created_ms;
    next->meta.deleted_ms = meta->deleted_ms;
    next->meta.generation =
        meta->generation + !sa_object_part_equal(sa_object_spec_part(now), next->spec);
}

static void commit_update(struct sa_objects_call *call, struct sa_table_of_kind *table,
                          const struct sa_object *now, struct sa_object_draft *next)
{
    char version[SA_RESOURCE_VERSION_BYTES];
    if (sa_object_meta_equal(sa_object_meta(now), &next->meta) &&
        sa_object_part_equal(sa_object_spec_part(now), next->spec) &&
        sa_object_part_equal(sa_object_status_part(now), next->status)) {
        call->object = sa_object_ref(now); /* nothing changes: no new version */
        return;
    }
    next->before = now;
    bool gone = next->meta.deleted_ms && next->meta.finalizers.count == 0;
    sa_embedded_next_version(call->store, version);
    next->meta.resource_version = version;
    sa_embedded_apply(call, table, now, gone ? NULL : sa_object_make(next));
    next->meta.resource_version = ""; /* the object has a copy */
}

int sa_write_object(struct sa_objects_call *call, struct sa_table_of_kind *table,
                    const struct sa_object *now, struct sa_object_draft *next, struct sa_error *err)
{
    const struct sa_kind *kind = table->kind;
    if (check_name(now, &next->meta, err) < 0 || check_identity(now, &next->meta, err) < 0 ||
        check_finalizers(now, &next->meta, err) < 0 || check_room(call->store, err) < 0)
        return -1;
    keep_of(now, next);
    next->status = sa_object_part_ref(sa_object_status_part(now));
    if (check_size(next, err) < 0 ||
        (kind->check_update && next->meta.generation != sa_object_meta(now)->generation &&
         kind->check_update(now, sa_object_part_value(next->spec), err) < 0))
        return -1;
    commit_update(call, table, now, next);
    return 0;
}

const struct sa_object *sa_write_find(const struct sa_table_of_kind *table, const char *namespace_,
                                      const char *name, struct sa_arena *arena,
                                      struct sa_error *err)
{
    const char *key = sa_object_key_of(table->kind, namespace_, name, arena);
    const struct sa_object *now = sa_shelf_get(table, key);
    if (!now)
        sa_error_set(err, SA_ENOTFOUND, "there is no %s \"%s\"", table->kind->name, key);
    return now;
}

static int update_named(struct sa_objects_call *call, struct sa_table_of_kind *table,
                        struct sa_object_draft *next, struct sa_arena *arena, struct sa_error *err)
{
    struct sa_object_meta *meta = &next->meta;
    if (!meta->name[0])
        return sa_error_at(err, SA_EINVALID, "metadata.name", "metadata.name: expected a name");
    if (table->kind->namespaced && !meta->namespace_[0])
        meta->namespace_ = SA_NAMESPACE_DEFAULT;
    const struct sa_object *now = sa_write_find(table, meta->namespace_, meta->name, arena, err);
    return now ? sa_write_object(call, table, now, next, err) : -1;
}

struct sa_objects_call *sa_embedded_update(struct sa_objects *objects, const struct sa_kind *kind,
                                           const char *json, size_t length, bool lenient,
                                           sa_objects_cb done, void *user)
{
    struct sa_embedded *store = sa_embedded_of(objects);
    struct sa_objects_call *call = sa_call_new(store, SA_CALL_WRITE, user);
    struct sa_arena *arena = sa_arena_new_sized(1024);
    struct sa_object_draft next;
    struct sa_error err;
    call->done = done;
    struct sa_table_of_kind *table = sa_embedded_table(store, kind, &err);
    int rc = table ? sa_object_draft_decode(kind, json, length, SA_WANT_SPEC, lenient, arena, &next,
                                            &err)
                   : -1;
    if (rc == 0) {
        rc = update_named(call, table, &next, arena, &err);
        sa_object_draft_deinit(&next);
    }
    sa_arena_free(arena);
    return rc < 0 ? sa_call_fail(call, &err) : sa_call_queue(call);
}

int sa_write_status(struct sa_objects_call *call, struct sa_table_of_kind *table,
                    const struct sa_object *now, struct sa_object_draft *next, struct sa_error *err)
{
    if (check_name(now, &next->meta, err) < 0 || check_identity(now, &next->meta, err) < 0 ||
        check_room(call->store, err) < 0)
        return -1;
    next->meta = *sa_object_meta(now);
    next->spec = sa_object_part_ref(sa_object_spec_part(now));
    if (check_size(next, err) < 0)
        return -1;
    commit_update(call, table, now, next);
    return 0;
}

/* ---- delete ---- */

static int delete (struct sa_objects_call *call, struct sa_table_of_kind *table,
                   const struct sa_object *now, const struct sa_objects_delete *what,
                   struct sa_error *err)
{
    struct sa_embedded *store = call->store;
    const struct sa_object_meta wanted = {.uid = what->uid ? what->uid : "",
                                          .resource_version =
                                              what->resource_version ? what->resource_version : ""};
    char version[SA_RESOURCE_VERSION_BYTES];
    if (check_identity(now, &wanted, err) < 0 || check_room(store, err) < 0)
        return -1;
    if (what->orphan) { /* it may be one of its own */
        sa_orphan(store, sa_object_meta(now)->uid);
        now = sa_shelf_get(table, sa_object_key(now));
    }
    bool held = sa_object_meta(now)->finalizers.count > 0;
    if (held && sa_object_meta(now)->deleted_ms) {
        call->object = sa_object_ref(now);
        call->barrier = store->version;
        return 0;
    }
    struct sa_object_draft next = {.kind = table->kind,
                                   .before = now,
                                   .meta = *sa_object_meta(now),
                                   .spec = sa_object_spec_part(now),
                                   .status = sa_object_status_part(now)};
    sa_embedded_next_version(store, version);
    next.meta.resource_version = version;
    next.meta.deleted_ms = store->wall_ms();
    next.meta.generation++; /* what is wanted of it has changed */
    sa_embedded_apply(call, table, now, held ? sa_object_make(&next) : NULL);
    return 0;
}

struct sa_objects_call *sa_embedded_delete(struct sa_objects *objects, const struct sa_kind *kind,
                                           const struct sa_objects_delete *what, sa_objects_cb done,
                                           void *user)
{
    struct sa_embedded *store = sa_embedded_of(objects);
    struct sa_objects_call *call = sa_call_new(store, SA_CALL_WRITE, user);
    struct sa_arena *arena = sa_arena_new_sized(256);
    struct sa_error err;
    call->done = done;
    struct sa_table_of_kind *table = sa_embedded_table(store, kind, &err);
    const struct sa_object *now =
        table ? sa_write_find(table, what->namespace_, what->name, arena, &err) : NULL;
    int rc = now ? delete (call, table, now, what, &err) : -1;
    sa_arena_free(arena);
    return rc < 0 ? sa_call_fail(call, &err) : sa_call_queue(call);
}
