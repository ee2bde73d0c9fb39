/* What clients send about resources: read, checked, shown to rules and taken back from them. Texts
 * throughout: what an object means is its kind's to know, and the store's decoding has the last
 * word. */
#include "api/resources.h"

#include "base/cleanup.h"
#include "kinds/names.h"
#include "json/drop.h"
#include "json/merge.h"

#include <string.h>

static const struct sa_json_limits limits = {.max_bytes = SA_OBJECT_MAX};

/* ---- before decoding ---- */

static int check_place(const struct sa_json_obj *meta, const char *name, const char *namespace_,
                       const struct sa_resource_body *body, struct sa_error *err)
{
    if (namespace_[0] && strcmp(namespace_, SA_NAMESPACE_DEFAULT) != 0)
        return sa_json_fail(meta, "namespace", err, "expected \"%s\", or none: no other is served",
                            SA_NAMESPACE_DEFAULT);
    if (body->name && name[0] && strcmp(name, body->name) != 0)
        return sa_json_fail(meta, "name", err,
                            "expected \"%.64s\", as in the path; a name cannot "
                            "be changed",
                            body->name);
    return 0;
}

static int read_root(struct sa_json_obj *root, struct sa_resource_body *body, struct sa_error *err)
{
    struct sa_json_obj meta, status;
    const char *name = "", *namespace_ = "", *version = "";
    bool given = false;
    if (sa_json_opt_obj(root, "status", &status, NULL, err) < 0 ||
        sa_json_opt_obj(root, "metadata", &meta, &given, err) < 0)
        return -1;
    if (body->whole && sa_json_type(root, "spec") == SA_JSON_MISSING)
        return sa_json_fail(root, "spec", err, "expected an object");
    if (!given)
        return 0;
    if (sa_json_opt_string(&meta, "name", SA_OBJECT_NAME_MAX, &name, NULL, err) < 0 ||
        sa_json_opt_string(&meta, "namespace", SA_OBJECT_NAME_MAX, &namespace_, NULL, err) < 0 ||
        sa_json_opt_string(&meta, "resourceVersion", SA_RESOURCE_VERSION_BYTES - 1, &version, NULL,
                           err) < 0)
        return -1;
    body->version = version[0] ? version : NULL;
    return check_place(&meta, name, namespace_, body, err);
}

int sa_resource_body_read(const char *json, size_t length, struct sa_arena *arena,
                          struct sa_resource_body *body, struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_doc *doc = sa_json_parse(json, length, &limits, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = read_root(&root, body, err);
    sa_json_free(doc);
    return rc;
}

/* ---- what is the server's ---- */

static bool is_reserved(const char *name)
{
    return strncmp(name, SA_RESERVED_PREFIX, sizeof SA_RESERVED_PREFIX - 1) == 0;
}

static int refuse_reserved(const char *path, const char *name, struct sa_error *err)
{
    return sa_error_at(
        err, SA_EINVALID, path,
        "%s: \"%.80s\": names that begin with " SA_RESERVED_PREFIX " are the server's", path, name);
}

static const char *value_of(const struct sa_json_map *map, const char *key)
{
    for (size_t i = 0; map && i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return map->items[i].value;
    return NULL;
}

/* The map as sent has of the reserved names what is there, and nothing else. */
static int check_map(const char *path, const struct sa_json_map *sent,
                     const struct sa_json_map *there, bool whole, struct sa_error *err)
{
    for (size_t i = 0; i < sent->count; i++) {
        const char *key = sent->items[i].key, *value = value_of(there, key);
        if (is_reserved(key) && (!value || strcmp(value, sent->items[i].value) != 0))
            return refuse_reserved(path, key, err);
    }
    for (size_t i = 0; !whole && there && i < there->count; i++)
        if (is_reserved(there->items[i].key) && !value_of(sent, there->items[i].key))
            return refuse_reserved(path, there->items[i].key, err);
    return 0;
}

static bool has_text(const struct sa_json_strings *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

static int check_finalizers(const struct sa_object_meta *sent, const struct sa_object_meta *there,
                            bool whole, struct sa_error *err)
{
    static const char path[] = "metadata.finalizers";
    for (size_t i = 0; i < sent->finalizers.count; i++) {
        const char *name = sent->finalizers.items[i];
        if (is_reserved(name) && !(there && has_text(&there->finalizers, name)))
            return refuse_reserved(path, name, err);
    }
    for (size_t i = 0; !whole && there && i < there->finalizers.count; i++)
        if (is_reserved(there->finalizers.items[i]) &&
            !has_text(&sent->finalizers, there->finalizers.items[i]))
            return refuse_reserved(path, there->finalizers.items[i], err);
    return 0;
}

static int check_reserved(const struct sa_object_meta *sent, const struct sa_object_meta *there,
                          bool whole, struct sa_error *err)
{
    if (check_map("metadata.labels", &sent->labels, there ? &there->labels : NULL, whole, err) <
            0 ||
        check_map("metadata.annotations", &sent->annotations, there ? &there->annotations : NULL,
                  whole, err) < 0)
        return -1;
    return check_finalizers(sent, there, whole, err);
}

/* ---- put right ---- */

static void put_reserved(struct sa_json_w *w, const char *key, const struct sa_json_map *there)
{
    sa_json_put_object(w, key);
    for (size_t i = 0; i < there->count; i++)
        if (is_reserved(there->items[i].key))
            sa_json_put_string(w, there->items[i].key, there->items[i].value);
    sa_json_w_end_object(w);
}

static void put_finalizers(struct sa_json_w *w, const struct sa_object_meta *sent,
                           const struct sa_object_meta *there)
{
    sa_json_put_array(w, "finalizers");
    for (size_t i = 0; i < sent->finalizers.count; i++)
        sa_json_w_string(w, sent->finalizers.items[i]);
    for (size_t i = 0; i < there->finalizers.count; i++)
        if (is_reserved(there->finalizers.items[i]) &&
            !has_text(&sent->finalizers, there->finalizers.items[i]))
            sa_json_w_string(w, there->finalizers.items[i]);
    sa_json_w_end_array(w);
}

/* A merge patch: no status; of what is there its name, its version, and what is the server's. */
static void put_corrections(struct sa_json_w *w, const struct sa_object_meta *sent,
                            const struct sa_object *old)
{
    sa_json_w_begin_object(w);
    sa_json_put_null(w, "status");
    if (old) {
        const struct sa_object_meta *there = sa_object_meta(old);
        sa_json_put_object(w, "metadata");
        sa_json_put_string(w, "name", there->name);
        sa_json_put_string(w, "resourceVersion", there->resource_version);
        put_reserved(w, "labels", &there->labels);
        put_reserved(w, "annotations", &there->annotations);
        put_finalizers(w, sent, there);
        sa_json_w_end_object(w);
    }
    sa_json_w_end_object(w);
}

static int without_status(const char *json, size_t length, struct sa_buf *out, struct sa_error *err)
{
    static const char patch[] = "{\"status\":null}";
    return sa_json_merge_patch(json, length, patch, sizeof patch - 1, NULL, out, err);
}

int sa_resource_body_check(const struct sa_resource_ask *ask, const char *json, size_t length,
                           const struct sa_object *old, bool whole, bool lenient,
                           struct sa_json_notes *notes, struct sa_buf *out, struct sa_error *err)
{
    sa_autobuf plain = SA_BUF_INIT, patch = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&patch);
    if (without_status(json, length, &plain, err) < 0)
        return -1;
    struct sa_object *sent =
        sa_object_decode_noted(ask->kind, plain.data, plain.length, lenient, notes, err);
    if (!sent)
        return -1;
    const struct sa_object_meta *meta = sa_object_meta(sent);
    int rc = check_reserved(meta, old ? sa_object_meta(old) : NULL, whole, err);
    if (rc == 0) {
        put_corrections(&w, meta, old);
        rc =
            sa_json_merge_patch(plain.data, plain.length, patch.data, patch.length, NULL, out, err);
    }
    sa_object_unref(sent);
    return rc;
}

/* ---- as rules see it ---- */

static const char *const shown[] = {"name", "generateName", "namespace",
                                    "uid",  "labels",       "annotations"};

static int print_review(struct sa_json_obj *root, struct sa_json_w *w, struct sa_error *err)
{
    struct sa_json_obj meta;
    const char *json;
    size_t length;
    bool given;
    sa_json_none(root, "metadata", &meta);
    if (sa_json_opt_obj(root, "metadata", &meta, NULL, err) < 0)
        return -1;
    sa_json_w_begin_object(w);
    sa_json_put_object(w, "metadata");
    for (size_t i = 0; i < SA_COUNT(shown); i++) {
        if (sa_json_opt_raw(&meta, shown[i], &json, &length, &given, err) < 0)
            return -1;
        if (given)
            sa_json_put_raw(w, shown[i], json, length);
    }
    sa_json_w_end_object(w);
    sa_json_put_object(w, "spec"); /* a rule finds one, whatever the kind requires */
    if (sa_json_opt_raw(root, "spec", &json, &length, &given, err) < 0)
        return -1;
    if (given && json[0] == '{')
        sa_json_w_raw_members(w, json, length);
    sa_json_w_end_object(w);
    sa_json_w_end_object(w);
    return 0;
}

static int review_parts(const char *json, size_t length, struct sa_buf *out, struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_w w = sa_json_w_start(out);
    struct sa_json_doc *doc = sa_json_parse(json, length, NULL, err);
    if (!doc)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = print_review(&root, &w, err);
    sa_arena_free(arena);
    sa_json_free(doc);
    return rc;
}

int sa_resource_review(const char *json, size_t length, struct sa_buf *out, struct sa_error *err)
{
    sa_autobuf plain = SA_BUF_INIT;
    if (sa_json_drop_empty(json, length, &plain, err) < 0)
        return -1;
    return review_parts(plain.data, plain.length, out, err);
}

/* ---- and back ---- */

static int put_member(struct sa_json_obj *from, const char *name, struct sa_json_w *w,
                      struct sa_error *err)
{
    const char *json;
    size_t length;
    bool given;
    if (sa_json_opt_raw(from, name, &json, &length, &given, err) < 0)
        return -1;
    if (given)
        sa_json_put_raw(w, name, json, length);
    return 0;
}

static int put_reviewed(struct sa_json_obj *root, struct sa_json_w *w, struct sa_error *err)
{
    struct sa_json_obj meta;
    sa_json_none(root, "metadata", &meta);
    sa_json_w_begin_object(w);
    sa_json_put_object(w, "metadata");
    if (sa_json_opt_obj(root, "metadata", &meta, NULL, err) < 0 ||
        put_member(&meta, "labels", w, err) < 0 || put_member(&meta, "annotations", w, err) < 0)
        return -1;
    sa_json_w_end_object(w);
    if (put_member(root, "spec", w, err) < 0)
        return -1;
    sa_json_w_end_object(w);
    return 0;
}

int sa_resource_reviewed(const char *json, size_t length, const struct sa_buf *review,
                         struct sa_buf *out, struct sa_error *err)
{
    static const char clear[] =
        "{\"metadata\":{\"labels\":null,\"annotations\":null},\"spec\":null}";
    sa_autobuf bare = SA_BUF_INIT, parts = SA_BUF_INIT;
    struct sa_json_obj root;
    struct sa_json_w w = sa_json_w_start(&parts);
    struct sa_json_doc *doc = sa_json_parse(review->data, review->length, NULL, err);
    if (!doc)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = put_reviewed(&root, &w, err);
    sa_arena_free(arena);
    sa_json_free(doc);
    if (rc < 0 || sa_json_merge_patch(json, length, clear, sizeof clear - 1, NULL, &bare, err) < 0)
        return -1;
    return sa_json_merge_patch(bare.data, bare.length, parts.data, parts.length, NULL, out, err);
}
