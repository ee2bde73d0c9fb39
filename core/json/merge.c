/* JSON merge patch on texts: both are walked, the result is written; no tree is changed. */
#include "json/merge.h"

#include "json/tree.h"
#include "json/write.h"

#include <stdlib.h>
#include <string.h>

/* The members of a patch, sorted by key: large ones on large objects stay cheap. */
struct change {
    const struct sa_json_value *value;
    bool met; /* the target has a member of that key */
};
struct changes {
    struct change *items;
    size_t count;
};

static int by_key(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    return strcmp(sa_json_value_key(x->value), sa_json_value_key(y->value));
}

static struct changes sorted(const struct sa_json_value *patch)
{
    struct changes changes = {.count = 0};
    for (const struct sa_json_value *p = sa_json_first(patch); p; p = sa_json_next(p))
        changes.count++;
    changes.items = sa_alloc((changes.count + 1) * sizeof *changes.items);
    size_t n = 0;
    for (const struct sa_json_value *p = sa_json_first(patch); p; p = sa_json_next(p))
        changes.items[n++].value = p;
    qsort(changes.items, n, sizeof *changes.items, by_key);
    return changes;
}

static struct change *change_of(const struct changes *changes, const struct sa_json_value *member)
{
    const struct change wanted = {.value = member};
    return bsearch(&wanted, changes->items, changes->count, sizeof wanted, by_key);
}

static void merge(struct sa_json_w *w, const struct sa_json_value *target,
                  const struct sa_json_value *patch);

static void keep_or_change(struct sa_json_w *w, const struct sa_json_value *member,
                           const struct changes *changes)
{
    struct change *change = change_of(changes, member);
    if (change)
        change->met = true;
    if (change && sa_json_value_type(change->value) == SA_JSON_NULL)
        return;
    sa_json_w_key(w, sa_json_value_key(member));
    change ? merge(w, member, change->value) : sa_json_w_value(w, member, NULL);
}

/* RFC 7396, section 2: `target` NULL or no object counts as an empty one. */
static void merge(struct sa_json_w *w, const struct sa_json_value *target,
                  const struct sa_json_value *patch)
{
    if (sa_json_value_type(patch) != SA_JSON_OBJECT) {
        sa_json_w_value(w, patch, NULL);
        return;
    }
    struct changes changes = sorted(patch);
    if (target && sa_json_value_type(target) != SA_JSON_OBJECT)
        target = NULL;
    sa_json_w_begin_object(w);
    for (const struct sa_json_value *t = target ? sa_json_first(target) : NULL; t;
         t = sa_json_next(t))
        keep_or_change(w, t, &changes);
    for (const struct sa_json_value *p = sa_json_first(patch); p; p = sa_json_next(p)) {
        if (sa_json_value_type(p) == SA_JSON_NULL || change_of(&changes, p)->met)
            continue;
        sa_json_w_key(w, sa_json_value_key(p));
        merge(w, NULL, p);
    }
    sa_json_w_end_object(w);
    free(changes.items);
}

int sa_json_merge_patch(const char *target, size_t target_length, const char *patch,
                        size_t patch_length, const struct sa_json_limits *limits,
                        struct sa_buf *out, struct sa_error *err)
{
    struct sa_json_doc *change = sa_json_parse(patch, patch_length, limits, err);
    struct sa_json_doc *base = change ? sa_json_parse(target, target_length, NULL, err) : NULL;
    size_t begin = out->length;
    int rc = -1;
    if (change && base && sa_json_value_type(sa_json_top(change)) != SA_JSON_OBJECT) {
        sa_error_set(err, SA_EINVALID, "a merge patch is a JSON object");
    } else if (change && base) {
        struct sa_json_w w = sa_json_w_start(out);
        merge(&w, sa_json_top(base), sa_json_top(change));
        rc = 0;
        if (limits && limits->max_bytes && out->length - begin > limits->max_bytes)
            rc = sa_error_set(err, SA_ETOOLARGE, "%zu bytes after the patch; at most %zu",
                              out->length - begin, limits->max_bytes);
    }
    sa_json_free(base);
    sa_json_free(change);
    return rc;
}
