/* Objects: decoded once, shared by reference, never changed. */
#include "objects/object_private.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

enum { RESTORE_BYTES_MAX = 4 * 1024 * 1024 };

struct texts { /* of metadata, and the key: of all versions that have the same */
    unsigned references;
    struct sa_arena *arena; /* this struct is in it, too */
    const char *key;
};

struct sa_object {
    unsigned references;
    const struct sa_kind *kind;
    struct sa_object_meta meta;
    struct texts *texts;
    struct sa_object_part *spec, *status;
    char version[SA_RESOURCE_VERSION_BYTES];
};

/* ---- drafts ---- */

void sa_object_draft_deinit(struct sa_object_draft *draft)
{
    sa_object_part_unref(draft->spec);
    sa_object_part_unref(draft->status);
    *draft = (struct sa_object_draft){.kind = NULL};
}

static int check_type(const struct sa_kind *kind, struct sa_json_obj *root, struct sa_error *err)
{
    const char *api_version = kind->api_version, *name = kind->name;
    if (sa_json_opt_string(root, "apiVersion", 128, &api_version, NULL, err) < 0 ||
        sa_json_opt_string(root, "kind", 64, &name, NULL, err) < 0)
        return -1;
    if (strcmp(api_version, kind->api_version) != 0)
        return sa_json_fail(root, "apiVersion", err, "expected \"%s\", got \"%.80s\"",
                            kind->api_version, api_version);
    if (strcmp(name, kind->name) != 0)
        return sa_json_fail(root, "kind", err, "expected \"%s\", got \"%.60s\"", kind->name, name);
    return 0;
}

/* The member as an object; an empty one where there is none. */
static int member(struct sa_json_obj *root, const char *key, struct sa_json_obj *out,
                  struct sa_error *err)
{
    sa_json_none(root, key, out);
    return sa_json_opt_obj(root, key, out, NULL, err);
}

static int decode_status(const struct sa_kind *kind, struct sa_json_obj *json, bool lenient,
                         struct sa_object_part **out, struct sa_error *err)
{
    if (kind->decode_status)
        return sa_object_part_decode(kind, SA_WANT_STATUS, json, lenient, out, err);
    *out = sa_object_empty_status(kind);
    return 0;
}

static int finish(struct sa_json_obj *root, bool lenient, struct sa_error *err)
{
    if (!lenient)
        return sa_json_finish(root, err);
    sa_json_drop_unknown(root);
    return 0;
}

static int decode_parts(const struct sa_kind *kind, struct sa_json_obj *root, unsigned wanted,
                        bool lenient, struct sa_object_draft *draft, struct sa_error *err)
{
    struct sa_json_obj spec, status;
    bool failed = false;
    if ((!kind->flat && member(root, "spec", &spec, err) < 0) ||
        (kind->decode_status && member(root, "status", &status, err) < 0))
        return -1;
    if (!kind->flat && !sa_json_go_on(root->notes, finish(root, lenient, err), err, &failed))
        return -1;
    if ((wanted & SA_WANT_SPEC) &&
        !sa_json_go_on(root->notes,
                       sa_object_part_decode(kind, SA_WANT_SPEC, kind->flat ? root : &spec, lenient,
                                             &draft->spec, err),
                       err, &failed))
        return -1;
    if ((wanted & SA_WANT_STATUS) &&
        !sa_json_go_on(root->notes, decode_status(kind, &status, lenient, &draft->status, err), err,
                       &failed))
        return -1;
    return failed ? -1 : 0;
}

static int decode_meta(struct sa_json_obj *root, bool lenient, struct sa_object_meta *out,
                       struct sa_error *err)
{
    struct sa_json_obj meta;
    if (member(root, "metadata", &meta, err) < 0)
        return -1;
    return sa_object_meta_decode(&meta, lenient, root->arena, out, err);
}

static int decode_root(const struct sa_kind *kind, struct sa_json_obj *root, unsigned wanted,
                       bool lenient, struct sa_object_draft *draft, struct sa_error *err)
{
    bool failed = false;
    if (check_type(kind, root, err) < 0)
        return -1;
    return sa_json_go_on(root->notes, decode_meta(root, lenient, &draft->meta, err), err,
                         &failed) &&
                   decode_parts(kind, root, wanted, lenient, draft, err) == 0 && !failed
               ? 0
               : -1;
}

static int decode_text(const struct sa_kind *kind, const char *json, size_t length,
                       size_t max_bytes, unsigned wanted, bool lenient, struct sa_json_notes *notes,
                       struct sa_arena *arena, struct sa_object_draft *draft, struct sa_error *err)
{
    const struct sa_json_limits limits = {.max_bytes = max_bytes};
    struct sa_json_obj root;
    *draft = (struct sa_object_draft){.kind = kind};
    struct sa_json_doc *doc = sa_json_parse(json, length, &limits, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, arena, &root, err);
    root.notes = notes;
    if (rc == 0)
        rc = decode_root(kind, &root, wanted, lenient, draft, err);
    if (rc < 0 && notes && notes->mistake_count)
        *err = notes->mistakes[0];
    sa_json_free(doc);
    if (rc < 0)
        sa_object_draft_deinit(draft);
    return rc;
}

int sa_object_draft_decode(const struct sa_kind *kind, const char *json, size_t length,
                           unsigned wanted, bool lenient, struct sa_arena *arena,
                           struct sa_object_draft *draft, struct sa_error *err)
{
    return decode_text(kind, json, length, SA_OBJECT_MAX, wanted, lenient, NULL, arena, draft, err);
}

/* ---- objects ---- */

const char *sa_object_key_of(const struct sa_kind *kind, const char *namespace_, const char *name,
                             struct sa_arena *arena)
{
    if (!kind->namespaced)
        return name;
    if (!namespace_ || !namespace_[0])
        namespace_ = SA_NAMESPACE_DEFAULT;
    size_t first = strlen(namespace_), second = strlen(name);
    char *key = sa_arena_alloc(arena, first + 1 + second + 1);
    memcpy(key, namespace_, first);
    key[first] = '/';
    memcpy(key + first + 1, name, second);
    return key;
}

/* In a block that just holds them: copied twice, first to see how much that is. */
static struct texts *texts_new(const struct sa_kind *kind, const struct sa_object_meta *from,
                               struct sa_object_meta *to)
{
    struct sa_arena *arena = sa_arena_new();
    struct texts *texts;
    for (int round = 0; round < 2; round++) {
        texts = sa_arena_alloc(arena, sizeof *texts);
        sa_object_meta_copy(from, arena, to);
        texts->key = sa_object_key_of(kind, to->namespace_, to->name, arena);
        const size_t bytes = sa_arena_used(arena);
        if (round == 0) {
            sa_arena_free(arena);
            arena = sa_arena_new_sized(bytes);
        }
    }
    texts->references = 1;
    texts->arena = arena;
    return texts;
}

static void texts_unref(struct texts *texts)
{
    if (--texts->references == 0)
        sa_arena_free(texts->arena);
}

struct sa_object *sa_object_make(const struct sa_object_draft *draft)
{
    const struct sa_object *before = draft->before;
    struct sa_object *object = sa_alloc(sizeof *object);
    struct sa_object_meta meta = draft->meta;
    object->references = 1;
    object->kind = draft->kind;
    memcpy(object->version, meta.resource_version,
           strnlen(meta.resource_version, sizeof object->version - 1));
    meta.resource_version = "";
    if (before && sa_object_meta_same_texts(&before->meta, &meta)) {
        object->texts = before->texts;
        object->texts->references++;
        object->meta = before->meta;
        object->meta.generation = meta.generation;
        object->meta.created_ms = meta.created_ms;
        object->meta.deleted_ms = meta.deleted_ms;
    } else {
        object->texts = texts_new(draft->kind, &meta, &object->meta);
    }
    object->meta.resource_version = object->version;
    object->spec = sa_object_part_ref(draft->spec);
    object->status = sa_object_part_ref(draft->status);
    return object;
}

size_t sa_object_memory(const struct sa_object *object, const struct sa_object *other)
{
    size_t bytes = sizeof *object;
    if (!other || other->texts != object->texts)
        bytes += sa_arena_used(object->texts->arena);
    if (!other || other->spec != object->spec)
        bytes += sa_object_part_memory(object->spec);
    if (!other || other->status != object->status)
        bytes += sa_object_part_memory(object->status);
    return bytes;
}

static struct sa_object *decode(const struct sa_kind *kind, const char *json, size_t length,
                                size_t max_bytes, bool lenient, struct sa_json_notes *notes,
                                struct sa_error *err)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_object_draft draft;
    struct sa_object *object = NULL;
    if (decode_text(kind, json, length, max_bytes, SA_WANT_SPEC | SA_WANT_STATUS, lenient, notes,
                    arena, &draft, err) == 0) {
        if (kind->namespaced && !draft.meta.namespace_[0])
            draft.meta.namespace_ = SA_NAMESPACE_DEFAULT;
        object = sa_object_make(&draft);
        sa_object_draft_deinit(&draft);
    }
    sa_arena_free(arena);
    return object;
}

struct sa_object *sa_object_decode(const struct sa_kind *kind, const char *json, size_t length,
                                   bool lenient, struct sa_error *err)
{
    return decode(kind, json, length, SA_OBJECT_MAX, lenient, NULL, err);
}

struct sa_object *sa_object_decode_noted(const struct sa_kind *kind, const char *json,
                                         size_t length, bool lenient, struct sa_json_notes *notes,
                                         struct sa_error *err)
{
    return decode(kind, json, length, SA_OBJECT_MAX, lenient, notes, err);
}

struct sa_object *sa_object_restore(const struct sa_kind *kind, const char *json, size_t length,
                                    struct sa_error *err)
{
    return decode(kind, json, length, RESTORE_BYTES_MAX, true, NULL, err);
}

/* The count is no part of what an object says. */
static struct sa_object *counted(const struct sa_object *object)
{
    return (struct sa_object *)(uintptr_t)object;
}

struct sa_object *sa_object_ref(const struct sa_object *object)
{
    counted(object)->references++;
    return counted(object);
}

void sa_object_unref(const struct sa_object *object)
{
    if (!object || --counted(object)->references)
        return;
    sa_object_part_unref(object->spec);
    sa_object_part_unref(object->status);
    texts_unref(object->texts);
    free(counted(object));
}

void sa_object_unref_cleanup(const struct sa_object **object)
{
    sa_object_unref(*object);
}

const struct sa_kind *sa_object_kind(const struct sa_object *object)
{
    return object->kind;
}

const struct sa_object_meta *sa_object_meta(const struct sa_object *object)
{
    return &object->meta;
}

const void *sa_object_spec(const struct sa_object *object)
{
    return sa_object_part_value(object->spec);
}

const void *sa_object_status(const struct sa_object *object)
{
    return sa_object_part_value(object->status);
}

const char *sa_object_spec_json(const struct sa_object *object, size_t *length)
{
    *length = sa_object_part_bytes(object->spec);
    return sa_object_part_json(object->spec);
}

void sa_object_print_status(const struct sa_object *object, struct sa_json_w *w)
{
    sa_object_part_print(object->status, w);
}

size_t sa_object_bytes(const struct sa_object *object)
{
    return sa_object_part_bytes(object->spec) + sa_object_part_bytes(object->status);
}

struct sa_object_part *sa_object_spec_part(const struct sa_object *object)
{
    return object->spec;
}

struct sa_object_part *sa_object_status_part(const struct sa_object *object)
{
    return object->status;
}

const char *sa_object_key(const struct sa_object *object)
{
    return object->texts->key;
}

void sa_object_put_spec(const struct sa_object *object, struct sa_json_w *w)
{
    size_t length;
    const char *spec = sa_object_spec_json(object, &length);
    if (object->kind->flat)
        sa_json_w_raw_members(w, spec, length);
    else
        sa_json_put_raw(w, "spec", spec, length);
}

void sa_object_print(const struct sa_object *object, struct sa_json_w *w)
{
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "apiVersion", object->kind->api_version);
    sa_json_put_string(w, "kind", object->kind->name);
    sa_json_put_object(w, "metadata");
    sa_object_meta_print(&object->meta, w);
    sa_json_w_end_object(w);
    sa_object_put_spec(object, w);
    if (object->kind->decode_status) {
        sa_json_w_key(w, "status");
        sa_object_print_status(object, w);
    }
    sa_json_w_end_object(w);
}

bool sa_object_is_owned_by(const struct sa_object *object, const char *owner_uid)
{
    for (size_t i = 0; i < object->meta.owner_count; i++)
        if (strcmp(object->meta.owners[i].uid, owner_uid) == 0)
            return true;
    return false;
}

const struct sa_owner_reference *sa_object_controller(const struct sa_object *object)
{
    for (size_t i = 0; i < object->meta.owner_count; i++)
        if (object->meta.owners[i].controller)
            return &object->meta.owners[i];
    return NULL;
}

bool sa_object_has_finalizer(const struct sa_object *object, const char *finalizer)
{
    for (size_t i = 0; i < object->meta.finalizers.count; i++)
        if (strcmp(object->meta.finalizers.items[i], finalizer) == 0)
            return true;
    return false;
}
