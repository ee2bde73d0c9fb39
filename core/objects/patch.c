/* Patches of the embedded store: as text, which is merged with what there is and read again, and as
 * structs, which take its place. */
#include "objects/embedded_private.h"

#include "json/merge.h"

enum patched { PATCHED_METADATA, PATCHED_SPEC, PATCHED_STATUS };

/* Most patches without a subresource are of annotations, finalizers or labels: the spec need be
 * neither printed nor read for that. */
static enum patched what_is_patched(const struct sa_objects_patch *patch, struct sa_arena *arena)
{
    struct sa_json_doc *doc;
    struct sa_json_obj root, metadata;
    enum patched what = PATCHED_SPEC;
    if (patch->subresource == SA_SUBRESOURCE_STATUS)
        return PATCHED_STATUS;
    doc = sa_json_parse(patch->json, patch->length, NULL, NULL);
    if (doc && sa_json_root(doc, arena, &root, NULL) == 0 &&
        sa_json_opt_obj(&root, "metadata", &metadata, NULL, NULL) == 0 &&
        sa_json_finish(&root, NULL) == 0)
        what = PATCHED_METADATA;
    sa_json_free(doc);
    return what;
}

/* What of the object the patch may change, and what tells one object from another. */
static void print_patched(const struct sa_object *now, enum patched what, struct sa_buf *out)
{
    const bool status = what == PATCHED_STATUS;
    const struct sa_object_meta *meta = sa_object_meta(now);
    const struct sa_object_meta identity = {.namespace_ = meta->namespace_,
                                            .name = meta->name,
                                            .generate_name = "",
                                            .uid = meta->uid,
                                            .resource_version = meta->resource_version};
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "metadata");
    sa_object_meta_print(status ? &identity : meta, &w);
    sa_json_w_end_object(&w);
    if (status) {
        sa_json_w_key(&w, "status");
        sa_object_print_status(now, &w);
    } else if (what == PATCHED_SPEC) {
        sa_object_put_spec(now, &w);
    }
    sa_json_w_end_object(&w);
}

/* As JSON, patched, and read again: so a patch can do what an update can. */
static int patch(struct sa_objects_call *call, struct sa_table_of_kind *table,
                 const struct sa_object *now, const struct sa_objects_patch *patch,
                 struct sa_arena *arena, struct sa_error *err)
{
    const struct sa_json_limits limits = {.max_bytes = SA_OBJECT_MAX};
    sa_autobuf before = SA_BUF_INIT;
    sa_autobuf after = SA_BUF_INIT;
    struct sa_object_draft next;
    const enum patched what = what_is_patched(patch, arena);
    static const unsigned wanted[] = {
        [PATCHED_METADATA] = 0, [PATCHED_SPEC] = SA_WANT_SPEC, [PATCHED_STATUS] = SA_WANT_STATUS};
    if (what == PATCHED_STATUS && !table->kind->decode_status)
        return sa_error_set(err, SA_ENOTFOUND, "%s has no status", table->kind->name);
    print_patched(now, what, &before);
    if (sa_json_merge_patch(before.data, before.length, patch->json, patch->length, &limits, &after,
                            err) < 0 ||
        sa_object_draft_decode(table->kind, after.data, after.length, wanted[what], patch->lenient,
                               arena, &next, err) < 0)
        return -1;
    if (what == PATCHED_METADATA)
        next.spec = sa_object_part_ref(sa_object_spec_part(now));
    if (patch->resource_version)
        next.meta.resource_version = patch->resource_version;
    int rc = what == PATCHED_STATUS ? sa_write_status(call, table, now, &next, err)
                                    : sa_write_object(call, table, now, &next, err);
    sa_object_draft_deinit(&next);
    return rc;
}

/* The same without text. */
static int replace(struct sa_objects_call *call, struct sa_table_of_kind *table,
                   const struct sa_object *now, const struct sa_objects_patch *patch,
                   struct sa_error *err)
{
    const bool status = patch->subresource == SA_SUBRESOURCE_STATUS;
    struct sa_object_draft next = {.kind = table->kind, .meta = *sa_object_meta(now)};
    struct sa_object_part **part = status ? &next.status : &next.spec;
    if (status && !table->kind->decode_status)
        return sa_error_set(err, SA_ENOTFOUND, "%s has no status", table->kind->name);
    if (patch->resource_version)
        next.meta.resource_version = patch->resource_version;
    if (patch->finalizers && !status)
        next.meta.finalizers = *patch->finalizers;
    if (!patch->value)
        *part = sa_object_part_ref(status ? sa_object_status_part(now) : sa_object_spec_part(now));
    else if (sa_object_part_of(table->kind, status ? SA_WANT_STATUS : SA_WANT_SPEC, patch->value,
                               part, err) < 0)
        return -1;
    int rc = status ? sa_write_status(call, table, now, &next, err)
                    : sa_write_object(call, table, now, &next, err);
    sa_object_draft_deinit(&next);
    return rc;
}

static int apply_patch(struct sa_objects_call *call, struct sa_table_of_kind *table,
                       const struct sa_objects_patch *what, struct sa_arena *arena,
                       struct sa_error *err)
{
    const struct sa_object *now = sa_write_find(table, what->namespace_, what->name, arena, err);
    if (!now)
        return -1;
    return what->json ? patch(call, table, now, what, arena, err)
                      : replace(call, table, now, what, err);
}

struct sa_objects_call *sa_embedded_patch(struct sa_objects *objects, const struct sa_kind *kind,
                                          const struct sa_objects_patch *what, sa_objects_cb done,
                                          void *user)
{
    struct sa_embedded *store = sa_embedded_of(objects);
    struct sa_objects_call *call = sa_call_new(store, SA_CALL_WRITE, user);
    struct sa_arena *arena = sa_arena_new_sized(1024);
    struct sa_error err;
    call->done = done;
    struct sa_table_of_kind *table = sa_embedded_table(store, kind, &err);
    int rc = table ? apply_patch(call, table, what, arena, &err) : -1;
    sa_arena_free(arena);
    return rc < 0 ? sa_call_fail(call, &err) : sa_call_queue(call);
}
