/* The settings of a sandbox that may change while it lives: in a create, and in a merge patch. */
#include "model/settings.h"

#include "base/names.h"
#include "model/reserved.h"
#include "json/notes.h"

#include <string.h>

static const char *const ends[] = {"delete", "pause", NULL};
const struct sa_lifecycle sa_lifecycle_defaults = {.on_timeout = SA_END_DELETE,
                                                   .on_idle = SA_END_PAUSE};

const char *sa_end_name(enum sa_end end)
{
    return ends[end];
}

static int check_reserved(const struct sa_json_obj *root, const char *member, const char *key,
                          struct sa_error *err)
{
    if (strncmp(key, SA_RESERVED_PREFIX, sizeof SA_RESERVED_PREFIX - 1) == 0)
        return sa_json_fail(
            root, member, err,
            "\"%.80s\": names that begin with " SA_RESERVED_PREFIX " are the server's", key);
    return 0;
}

static int check_label(const struct sa_json_obj *root, const struct sa_json_pair *l,
                       struct sa_error *err)
{
    if (strpbrk(l->key, "=,!() \t"))
        return sa_json_fail(root, "labels", err,
                            "the key \"%s\" holds a character that selectors need", l->key);
    if (!sa_is_qualified_name(l->key))
        return sa_json_fail(root, "labels", err,
                            "\"%.80s\" is no label name: expected [prefix/]name of at most 63 "
                            "letters, digits, - _ .",
                            l->key);
    if (l->value && !sa_is_label_value(l->value))
        return sa_json_fail(root, "labels", err,
                            "the value of \"%.80s\" is none: expected at most 63 letters, "
                            "digits, - _ . with a letter or digit at both ends",
                            l->key);
    return check_reserved(root, "labels", l->key, err);
}

/* As the object store wants them: what a sandbox's session takes, its object takes. */
int sa_labels_check(const struct sa_json_obj *root, const struct sa_json_map *labels,
                    struct sa_error *err)
{
    bool failed = false;
    for (size_t i = 0; i < labels->count; i++)
        if (!sa_json_go_on(root->notes, check_label(root, &labels->items[i], err), err, &failed))
            return -1;
    return failed ? -1 : 0;
}

static int check_annotation(const struct sa_json_obj *root, const char *key, struct sa_error *err)
{
    if (strlen(key) > SA_ANNOTATION_KEY_MAX_BYTES)
        return sa_json_fail(root, "annotations", err, "a key of %zu bytes, at most %d fit",
                            strlen(key), SA_ANNOTATION_KEY_MAX_BYTES);
    if (!sa_is_qualified_name(key))
        return sa_json_fail(root, "annotations", err,
                            "\"%.80s\" is no annotation name: expected [prefix/]name", key);
    return check_reserved(root, "annotations", key, err);
}

static int annotations_check(const struct sa_json_obj *root, const struct sa_json_map *map,
                             struct sa_error *err)
{
    bool failed = false;
    size_t bytes = 0;
    for (size_t i = 0; i < map->count; i++) {
        const struct sa_json_pair *a = &map->items[i];
        if (!sa_json_go_on(root->notes, check_annotation(root, a->key, err), err, &failed))
            return -1;
        bytes += strlen(a->key) + (a->value ? strlen(a->value) : 0);
    }
    if (bytes > SA_ANNOTATIONS_MAX_BYTES)
        return sa_json_fail(root, "annotations", err, "%zu bytes in all, at most %d fit", bytes,
                            SA_ANNOTATIONS_MAX_BYTES);
    return failed ? -1 : 0;
}

int sa_annotations_decode(struct sa_json_obj *root, struct sa_json_map *annotations,
                          struct sa_error *err)
{
    if (sa_json_opt_map(root, "annotations", SA_ANNOTATIONS_MAX_COUNT, SA_ANNOTATION_MAX_BYTES,
                        annotations, NULL, err) < 0)
        return -1;
    return annotations_check(root, annotations, err);
}

static int decode_end(struct sa_json_obj *obj, const char *key, enum sa_end fallback,
                      enum sa_end *end, struct sa_error *err)
{
    int value = sa_json_type(obj, key) == SA_JSON_NULL ? (int)fallback : (int)*end;
    if (sa_json_opt_enum(obj, key, ends, &value, NULL, err) < 0)
        return -1;
    *end = (enum sa_end)value;
    return 0;
}

int sa_lifecycle_decode(struct sa_json_obj *root, struct sa_lifecycle *lifecycle,
                        struct sa_error *err)
{
    struct sa_json_obj obj;
    bool given = false;
    if (sa_json_type(root, "lifecycle") == SA_JSON_NULL)
        *lifecycle = sa_lifecycle_defaults;
    if (sa_json_opt_obj(root, "lifecycle", &obj, &given, err) < 0)
        return -1;
    if (!given)
        return 0;
    if (sa_json_type(&obj, "idleTimeout") == SA_JSON_NULL)
        lifecycle->idle_timeout_s = sa_lifecycle_defaults.idle_timeout_s;
    if (sa_json_type(&obj, "resumeOnUse") == SA_JSON_NULL)
        lifecycle->resume_on_use = sa_lifecycle_defaults.resume_on_use;
    if (decode_end(&obj, "onTimeout", sa_lifecycle_defaults.on_timeout, &lifecycle->on_timeout,
                   err) < 0 ||
        decode_end(&obj, "onIdle", sa_lifecycle_defaults.on_idle, &lifecycle->on_idle, err) < 0 ||
        sa_json_opt_int(&obj, "idleTimeout", 1, SA_IDLE_MAX_S, &lifecycle->idle_timeout_s, NULL,
                        err) < 0 ||
        sa_json_opt_bool(&obj, "resumeOnUse", &lifecycle->resume_on_use, NULL, err) < 0)
        return -1;
    return sa_json_finish(&obj, err);
}

/* ---- merge patch ---- */

static struct sa_json_pair *find(struct sa_json_map *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return &map->items[i];
    return NULL;
}

static void apply(struct sa_json_map *map, const struct sa_json_pair *change)
{
    struct sa_json_pair *old = find(map, change->key);
    if (old && change->value)
        old->value = change->value;
    else if (old)
        *old = map->items[--map->count];
    else if (change->value)
        map->items[map->count++] = *change;
}

/* `map` with the changes of the member `key` of a patch. */
static int merge(struct sa_json_obj *root, const char *key, size_t max_count, size_t max_bytes,
                 struct sa_json_map *map, struct sa_error *err)
{
    struct sa_json_map changes = {0};
    if (sa_json_type(root, key) == SA_JSON_NULL)
        map->count = 0;
    /* Keys that go and keys that come may both be as many as there can be. */
    if (sa_json_opt_patch(root, key, 2 * max_count, max_bytes, &changes, NULL, err) < 0)
        return -1;
    struct sa_json_map merged = {.count = map->count};
    merged.items =
        sa_arena_alloc(root->arena, (map->count + changes.count + 1) * sizeof *merged.items);
    if (map->count)
        memcpy(merged.items, map->items, map->count * sizeof *merged.items);
    for (size_t i = 0; i < changes.count; i++)
        apply(&merged, &changes.items[i]);
    if (merged.count > max_count)
        return sa_json_fail(root, key, err, "%zu of them then, at most %zu fit", merged.count,
                            max_count);
    *map = merged;
    return 0;
}

static int refuse_fixed(struct sa_json_obj *root, struct sa_error *err)
{
    static const char *const fixed[] = {"name", "runtime", "resources",     "env",
                                        "warm", "imports", "securityLevel", "requiredControls"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (sa_json_type(root, fixed[i]) != SA_JSON_MISSING)
            return sa_json_fail(root, fixed[i], err,
                                "cannot be changed; a patch takes labels, annotations, timeout and "
                                "lifecycle");
    return 0;
}

static int decode_patch(struct sa_json_obj *root, struct sa_sandbox_spec *next, bool *timeout_given,
                        struct sa_error *err)
{
    if (sa_json_type(root, "timeout") == SA_JSON_NULL) {
        next->timeout_s = SA_TIMEOUT_DEFAULT_S;
        *timeout_given = true;
    }
    bool timeout = false;
    if (refuse_fixed(root, err) < 0 ||
        merge(root, "labels", SA_LABELS_MAX_COUNT, SA_LABEL_MAX_BYTES, &next->labels, err) < 0 ||
        sa_labels_check(root, &next->labels, err) < 0 ||
        merge(root, "annotations", SA_ANNOTATIONS_MAX_COUNT, SA_ANNOTATION_MAX_BYTES,
              &next->annotations, err) < 0 ||
        annotations_check(root, &next->annotations, err) < 0 ||
        sa_json_opt_int(root, "timeout", 1, SA_TIMEOUT_MAX_S, &next->timeout_s, &timeout, err) <
            0 ||
        sa_lifecycle_decode(root, &next->lifecycle, err) < 0 || sa_json_finish(root, err) < 0)
        return -1;
    *timeout_given |= timeout;
    return 0;
}

int sa_sandbox_patch_decode(const char *body, size_t length, const struct sa_sandbox_spec *now,
                            struct sa_arena *arena, struct sa_sandbox_spec *next,
                            bool *timeout_given, struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_doc *doc = sa_json_parse(body, length, NULL, err);
    if (!doc)
        return -1;
    *next = *now;
    *timeout_given = false;
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = decode_patch(&root, next, timeout_given, err);
    sa_json_free(doc);
    return rc;
}

int sa_timeout_decode(const char *body, size_t length, struct sa_arena *arena, int64_t *timeout_s,
                      struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_doc *doc = sa_json_parse(body, length, NULL, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = sa_json_get_int(&root, "timeout", 1, SA_TIMEOUT_MAX_S, timeout_s, err);
    if (rc == 0)
        rc = sa_json_finish(&root, err);
    sa_json_free(doc);
    return rc;
}
