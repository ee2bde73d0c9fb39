/* The metadata of an object: reading, checking, copying, printing. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/names.h"
#include "objects/object_private.h"
#include "json/notes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LABELS_MAX = 64, ANNOTATIONS_MAX = 64, ANNOTATION_BYTES_MAX = 64 * 1024 };

/* What generateName may end in: a dash, before the random part. */
static bool is_name_prefix(const char *prefix)
{
    char name[SA_OBJECT_NAME_MAX + 2];
    if (strlen(prefix) > SA_OBJECT_NAME_MAX - 8)
        return false;
    snprintf(name, sizeof name, "%sx", prefix);
    return sa_is_subdomain(name);
}

static int check_label(const struct sa_json_obj *meta, const struct sa_json_pair *label,
                       struct sa_error *err)
{
    if (!sa_is_qualified_name(label->key))
        return sa_json_fail(meta, "labels", err,
                            "\"%.80s\" is no label name: expected [prefix/]name of at most 63 "
                            "letters, digits, - _ .",
                            label->key);
    if (!sa_is_label_value(label->value))
        return sa_json_fail(meta, "labels", err,
                            "the value of \"%.80s\" is none: expected at most 63 letters, "
                            "digits, - _ . with a letter or digit at both ends",
                            label->key);
    return 0;
}

static int check_labels(const struct sa_json_obj *meta, const struct sa_json_map *labels,
                        struct sa_error *err)
{
    bool failed = false;
    for (size_t i = 0; i < labels->count; i++)
        if (!sa_json_go_on(meta->notes, check_label(meta, &labels->items[i], err), err, &failed))
            return -1;
    return failed ? -1 : 0;
}

static int check_annotations(const struct sa_json_obj *meta, const struct sa_json_map *annotations,
                             struct sa_error *err)
{
    bool failed = false;
    size_t bytes = 0;
    for (size_t i = 0; i < annotations->count; i++) {
        const struct sa_json_pair *a = &annotations->items[i];
        bytes += strlen(a->key) + strlen(a->value);
        if (!sa_is_qualified_name(a->key) &&
            !sa_json_go_on(meta->notes,
                           sa_json_fail(meta, "annotations", err,
                                        "\"%.80s\" is no annotation name: expected [prefix/]name",
                                        a->key),
                           err, &failed))
            return -1;
    }
    if (bytes > ANNOTATION_BYTES_MAX)
        return sa_json_fail(meta, "annotations", err, "expected at most %d bytes in all, got %zu",
                            ANNOTATION_BYTES_MAX, bytes);
    return failed ? -1 : 0;
}

static int check_name(const struct sa_json_obj *meta, const struct sa_object_meta *m,
                      struct sa_error *err)
{
    if (m->name[0] && !sa_is_subdomain(m->name))
        return sa_json_fail(meta, "name", err,
                            "expected a DNS name: at most 253 of a-z 0-9 - . beginning and ending "
                            "with a letter or digit");
    if (m->generate_name[0] && !is_name_prefix(m->generate_name))
        return sa_json_fail(meta, "generateName", err, "expected the beginning of a DNS name");
    return 0;
}

static int check_namespace(const struct sa_json_obj *meta, const struct sa_object_meta *m,
                           struct sa_error *err)
{
    if (m->namespace_[0] && (!sa_is_subdomain(m->namespace_) || strchr(m->namespace_, '.') ||
                             strlen(m->namespace_) > SA_LABEL_WORD_MAX))
        return sa_json_fail(meta, "namespace", err,
                            "expected a DNS label: at most 63 of a-z 0-9 -");
    return 0;
}

static int check_finalizers(const struct sa_json_obj *meta, const struct sa_object_meta *m,
                            struct sa_error *err)
{
    for (size_t i = 0; i < m->finalizers.count; i++)
        if (!sa_is_qualified_name(m->finalizers.items[i]))
            return sa_json_fail(meta, "finalizers", err, "\"%.80s\" is no qualified name",
                                m->finalizers.items[i]);
    return 0;
}

/* All that can be wrong with what could be read. */
static int check(const struct sa_json_obj *meta, const struct sa_object_meta *m,
                 struct sa_error *err)
{
    struct sa_json_notes *notes = meta->notes;
    bool failed = false;
    return sa_json_go_on(notes, check_name(meta, m, err), err, &failed) &&
                   sa_json_go_on(notes, check_namespace(meta, m, err), err, &failed) &&
                   sa_json_go_on(notes, check_finalizers(meta, m, err), err, &failed) &&
                   sa_json_go_on(notes, check_labels(meta, &m->labels, err), err, &failed) &&
                   sa_json_go_on(notes, check_annotations(meta, &m->annotations, err), err,
                                 &failed) &&
                   !failed
               ? 0
               : -1;
}

static int finish(struct sa_json_obj *json, bool lenient, struct sa_error *err)
{
    if (!lenient)
        return sa_json_finish(json, err);
    sa_json_drop_unknown(json);
    return 0;
}

static int decode_owner(struct sa_json_obj *o, bool lenient, struct sa_owner_reference *owner,
                        struct sa_error *err)
{
    if (sa_json_get_string(o, "apiVersion", 128, &owner->api_version, err) < 0 ||
        sa_json_get_string(o, "kind", 64, &owner->kind, err) < 0 ||
        sa_json_get_string(o, "name", SA_OBJECT_NAME_MAX, &owner->name, err) < 0 ||
        sa_json_get_string(o, "uid", SA_UID_BYTES - 1, &owner->uid, err) < 0 ||
        sa_json_opt_bool(o, "controller", &owner->controller, NULL, err) < 0 ||
        sa_json_opt_bool(o, "blockOwnerDeletion", &owner->block_owner_deletion, NULL, err) < 0)
        return -1;
    return finish(o, lenient, err);
}

static int decode_owners(struct sa_json_obj *meta, bool lenient, struct sa_arena *arena,
                         struct sa_object_meta *out, struct sa_error *err)
{
    struct sa_json_arr list = {.count = 0};
    struct sa_json_obj item;
    bool given = false;
    if (sa_json_opt_arr(meta, "ownerReferences", SA_OBJECT_OWNERS_MAX, &list, &given, err) < 0)
        return -1;
    if (!given || list.count == 0)
        return 0;
    out->owners = sa_arena_alloc(arena, list.count * sizeof *out->owners);
    unsigned controllers = 0;
    for (size_t i = 0; i < list.count; i++) {
        if (sa_json_arr_obj(&list, i, &item, err) < 0 ||
            decode_owner(&item, lenient, &out->owners[i], err) < 0)
            return -1;
        controllers += out->owners[i].controller;
    }
    out->owner_count = list.count;
    if (controllers > 1)
        return sa_json_fail(meta, "ownerReferences", err, "expected at most one controller");
    return 0;
}

/* What the server sets; read back from what it has written, ignored from others. */
static int decode_server_set(struct sa_json_obj *meta, struct sa_object_meta *out,
                             struct sa_error *err)
{
    const char *created = "", *deleted = "";
    int64_t grace;
    const char *managed, *self;
    size_t length;
    if (sa_json_opt_string(meta, "uid", SA_UID_BYTES - 1, &out->uid, NULL, err) < 0 ||
        sa_json_opt_string(meta, "resourceVersion", SA_RESOURCE_VERSION_BYTES - 1,
                           &out->resource_version, NULL, err) < 0 ||
        sa_json_opt_int(meta, "generation", 0, INT64_MAX / 2, &out->generation, NULL, err) < 0 ||
        sa_json_opt_string(meta, "creationTimestamp", 40, &created, NULL, err) < 0 ||
        sa_json_opt_string(meta, "deletionTimestamp", 40, &deleted, NULL, err) < 0 ||
        sa_json_opt_int(meta, "deletionGracePeriodSeconds", 0, INT32_MAX, &grace, NULL, err) < 0 ||
        sa_json_opt_string(meta, "selfLink", 1024, &self, NULL, err) < 0 ||
        sa_json_opt_raw(meta, "managedFields", &managed, &length, NULL, err) < 0)
        return -1;
    if (sa_rfc3339_parse(created, &out->created_ms) < 0 && created[0])
        return sa_json_fail(meta, "creationTimestamp", err, "expected a time (RFC 3339)");
    if (sa_rfc3339_parse(deleted, &out->deleted_ms) < 0 && deleted[0])
        return sa_json_fail(meta, "deletionTimestamp", err, "expected a time (RFC 3339)");
    return 0;
}

static int decode_names(struct sa_json_obj *meta, struct sa_object_meta *out, struct sa_error *err)
{
    struct sa_json_notes *notes = meta->notes;
    const struct {
        const char *key;
        const char **text;
    } names[] = {{"name", &out->name},
                 {"namespace", &out->namespace_},
                 {"generateName", &out->generate_name}};
    bool failed = false;
    for (size_t i = 0; i < SA_COUNT(names); i++)
        if (!sa_json_go_on(notes,
                           sa_json_opt_string(meta, names[i].key, SA_OBJECT_NAME_MAX, names[i].text,
                                              NULL, err),
                           err, &failed))
            return -1;
    return failed ? -1 : 0;
}

static int decode_lists(struct sa_json_obj *meta, struct sa_object_meta *out, struct sa_error *err)
{
    struct sa_json_notes *notes = meta->notes;
    bool failed = false;
    return sa_json_go_on(notes,
                         sa_json_opt_map(meta, "labels", LABELS_MAX, SA_OBJECT_NAME_MAX + 64,
                                         &out->labels, NULL, err),
                         err, &failed) &&
                   sa_json_go_on(notes,
                                 sa_json_opt_map(meta, "annotations", ANNOTATIONS_MAX,
                                                 ANNOTATION_BYTES_MAX, &out->annotations, NULL,
                                                 err),
                                 err, &failed) &&
                   sa_json_go_on(notes,
                                 sa_json_opt_strings(meta, "finalizers", SA_OBJECT_FINALIZERS_MAX,
                                                     SA_OBJECT_NAME_MAX + 64, &out->finalizers,
                                                     NULL, err),
                                 err, &failed) &&
                   !failed
               ? 0
               : -1;
}

int sa_object_meta_decode(struct sa_json_obj *meta, bool lenient, struct sa_arena *arena,
                          struct sa_object_meta *out, struct sa_error *err)
{
    struct sa_json_notes *notes = meta->notes;
    bool failed = false;
    *out = (struct sa_object_meta){
        .namespace_ = "", .name = "", .uid = "", .resource_version = "", .generate_name = ""};
    return sa_json_go_on(notes, decode_names(meta, out, err), err, &failed) &&
                   sa_json_go_on(notes, decode_lists(meta, out, err), err, &failed) &&
                   sa_json_go_on(notes, decode_owners(meta, lenient, arena, out, err), err,
                                 &failed) &&
                   sa_json_go_on(notes, decode_server_set(meta, out, err), err, &failed) &&
                   sa_json_go_on(notes, check(meta, out, err), err, &failed) &&
                   sa_json_go_on(notes, finish(meta, lenient, err), err, &failed) && !failed
               ? 0
               : -1;
}

int sa_object_meta_verify(const struct sa_object_meta *meta, struct sa_error *err)
{
    static const struct sa_json_at top;
    const struct sa_json_obj at = {.at = {&top, "metadata", 0}};
    if (meta->labels.count > LABELS_MAX || meta->annotations.count > ANNOTATIONS_MAX ||
        meta->finalizers.count > SA_OBJECT_FINALIZERS_MAX)
        return sa_json_fail(&at, NULL, err,
                            "expected at most %d labels, %d annotations, %d finalizers", LABELS_MAX,
                            ANNOTATIONS_MAX, SA_OBJECT_FINALIZERS_MAX);
    return check(&at, meta, err);
}

/* ---- copying ---- */

static const char *copy_text(const char *text, struct sa_arena *arena)
{
    return text[0] ? sa_arena_strdup(arena, text) : "";
}

static void copy_owner(const struct sa_owner_reference *from, struct sa_arena *arena,
                       struct sa_owner_reference *to)
{
    *to = *from;
    to->api_version = sa_arena_strdup(arena, from->api_version);
    to->kind = sa_arena_strdup(arena, from->kind);
    to->name = sa_arena_strdup(arena, from->name);
    to->uid = sa_arena_strdup(arena, from->uid);
}

void sa_object_meta_copy(const struct sa_object_meta *from, struct sa_arena *arena,
                         struct sa_object_meta *to)
{
    *to = *from;
    to->namespace_ = copy_text(from->namespace_, arena);
    to->name = copy_text(from->name, arena);
    to->uid = copy_text(from->uid, arena);
    to->resource_version = copy_text(from->resource_version, arena);
    to->generate_name = copy_text(from->generate_name, arena);
    to->labels = sa_json_map_copy(&from->labels, arena);
    to->annotations = sa_json_map_copy(&from->annotations, arena);
    to->finalizers = sa_json_strings_copy(&from->finalizers, arena);
    to->owners =
        from->owner_count ? sa_arena_alloc(arena, from->owner_count * sizeof *to->owners) : NULL;
    for (size_t i = 0; i < from->owner_count; i++)
        copy_owner(&from->owners[i], arena, &to->owners[i]);
}

/* ---- comparing: all but the resourceVersion ---- */

static bool map_equal(const struct sa_json_map *a, const struct sa_json_map *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        size_t j = 0;
        while (j < b->count && strcmp(a->items[i].key, b->items[j].key) != 0)
            j++;
        if (j == b->count || strcmp(a->items[i].value, b->items[j].value) != 0)
            return false;
    }
    return true;
}

static bool owners_equal(const struct sa_object_meta *a, const struct sa_object_meta *b)
{
    if (a->owner_count != b->owner_count)
        return false;
    for (size_t i = 0; i < a->owner_count; i++)
        if (strcmp(a->owners[i].uid, b->owners[i].uid) != 0 ||
            strcmp(a->owners[i].name, b->owners[i].name) != 0 ||
            strcmp(a->owners[i].kind, b->owners[i].kind) != 0 ||
            strcmp(a->owners[i].api_version, b->owners[i].api_version) != 0 ||
            a->owners[i].controller != b->owners[i].controller ||
            a->owners[i].block_owner_deletion != b->owners[i].block_owner_deletion)
            return false;
    return true;
}

bool sa_object_meta_same_texts(const struct sa_object_meta *a, const struct sa_object_meta *b)
{
    if (a->finalizers.count != b->finalizers.count)
        return false;
    for (size_t i = 0; i < a->finalizers.count; i++)
        if (strcmp(a->finalizers.items[i], b->finalizers.items[i]) != 0)
            return false;
    return strcmp(a->uid, b->uid) == 0 && map_equal(&a->labels, &b->labels) &&
           map_equal(&a->annotations, &b->annotations) && owners_equal(a, b);
}

bool sa_object_meta_equal(const struct sa_object_meta *a, const struct sa_object_meta *b)
{
    return a->generation == b->generation && a->deleted_ms == b->deleted_ms &&
           a->created_ms == b->created_ms && sa_object_meta_same_texts(a, b);
}

/* ---- printing ---- */

static void put_owners(struct sa_json_w *w, const struct sa_object_meta *meta)
{
    if (!meta->owner_count)
        return;
    sa_json_put_array(w, "ownerReferences");
    for (size_t i = 0; i < meta->owner_count; i++) {
        const struct sa_owner_reference *o = &meta->owners[i];
        sa_json_w_begin_object(w);
        sa_json_put_string(w, "apiVersion", o->api_version);
        sa_json_put_string(w, "kind", o->kind);
        sa_json_put_string(w, "name", o->name);
        sa_json_put_string(w, "uid", o->uid);
        if (o->controller)
            sa_json_put_bool(w, "controller", true);
        if (o->block_owner_deletion)
            sa_json_put_bool(w, "blockOwnerDeletion", true);
        sa_json_w_end_object(w);
    }
    sa_json_w_end_array(w);
}

void sa_object_meta_print(const struct sa_object_meta *meta, struct sa_json_w *w)
{
    sa_json_put_text(w, "namespace", meta->namespace_);
    sa_json_put_text(w, "name", meta->name);
    sa_json_put_text(w, "generateName", meta->generate_name);
    sa_json_put_text(w, "uid", meta->uid);
    sa_json_put_text(w, "resourceVersion", meta->resource_version);
    if (meta->generation)
        sa_json_put_int(w, "generation", meta->generation);
    sa_json_put_time(w, "creationTimestamp", meta->created_ms);
    sa_json_put_time(w, "deletionTimestamp", meta->deleted_ms);
    sa_json_put_map(w, "labels", &meta->labels);
    sa_json_put_map(w, "annotations", &meta->annotations);
    if (meta->finalizers.count)
        sa_json_put_strings(w, "finalizers", meta->finalizers.items, meta->finalizers.count);
    put_owners(w, meta);
}
