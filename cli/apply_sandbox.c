/*
 * Manifests of sandboxes. The API takes and shows them flat: the members of `spec`, with name,
 * labels and annotations beside them. The one that lives and has the name is the one that is meant.
 */
#include "apply.h"
#include "resource.h"
#include "rows.h"
#include "sandboxes.h"

#include "base/cleanup.h"
#include "kinds/sandbox.h"
#include "model/settings.h"
#include "json/merge.h"
#include "json/notes.h"
#include "json/tree.h"

#include <stdio.h>
#include <string.h>

/* ---- create ---- */

static bool is_known(const char *name)
{
    const struct sa_member *m = sa_resource_sandbox.spec->members;
    while (m->name && strcmp(m->name, name) != 0)
        m++;
    return m->name != NULL;
}

/* The members of `spec` as they were written: what is left out is the server's to say. */
static void put_spec(const struct sa_json_value *spec, struct sa_json_w *w)
{
    for (const struct sa_json_value *m = spec ? sa_json_first(spec) : NULL; m;
         m = sa_json_next(m)) {
        sa_autobuf text = SA_BUF_INIT;
        if (!is_known(sa_json_value_key(m)))
            continue;
        sa_json_value_print(m, &text);
        sa_json_put_raw(w, sa_json_value_key(m), text.data, text.length);
    }
}

/* The flat path of a field as it stands in the manifest, also where the message begins with it. */
static int place(struct sa_error *err)
{
    bool meta = strncmp(err->path, "labels", 6) == 0 ||
                strncmp(err->path, "annotations", 11) == 0 || strncmp(err->path, "name", 4) == 0;
    const char *parent = meta ? "metadata" : "spec";
    size_t length = strlen(err->path);
    sa_autofree char *path = sa_printf("%s.%s", parent, err->path);
    sa_autofree char *message = sa_printf("%s.%s", parent, err->message);
    if (!length)
        return -1;
    if (strncmp(err->message, err->path, length) == 0)
        snprintf(err->message, sizeof err->message, "%s", message);
    snprintf(err->path, sizeof err->path, "%s", path);
    return -1;
}

static int create(const struct sa_apply *apply, const struct sa_wanted_item *item,
                  struct sa_error *err)
{
    sa_autobuf body = SA_BUF_INIT;
    const struct sa_object_meta *meta = sa_object_meta(item->object);
    struct sa_json_doc *doc = sa_json_parse(item->json, item->length, NULL, err);
    struct sa_json_w w = sa_json_w_start(&body);
    if (!doc)
        return -1;
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "name", meta->name);
    sa_apply_put_map(&w, "labels", &meta->labels);
    sa_apply_put_map(&w, "annotations", &meta->annotations);
    put_spec(sa_object_at(sa_json_top(doc), ".spec"), &w);
    sa_json_w_end_object(&w);
    sa_json_free(doc);
    if (apply->dry_run)
        return 0;
    if (sa_resource_send(apply->client, "POST", "/api/v1/sandboxes", &body, NULL, err) == 0)
        return 0;
    struct sa_json_notes *mistakes = sa_client_mistakes(apply->client);
    for (size_t i = 0; i < mistakes->mistake_count; i++)
        place(&mistakes->mistakes[i]);
    return place(err);
}

/* ---- change ---- */

struct search {
    const char *name;
    char id[SA_ID_BYTES]; /* "": there is none */
    struct sa_buf shown;  /* {"metadata", "spec"} of it, as far as the API shows them */
};

static int put_shown(struct sa_json_obj *flat, const char *const *names, struct sa_json_w *w,
                     struct sa_error *err)
{
    for (size_t i = 0; names[i]; i++) {
        const char *text;
        size_t length;
        bool given = false;
        if (sa_json_opt_raw(flat, names[i], &text, &length, &given, err) < 0)
            return -1;
        if (given)
            sa_json_put_raw(w, names[i], text, length);
    }
    return 0;
}

static int look(void *user, struct sa_json_obj *flat, struct sa_error *err)
{
    static const char *const meta[] = {"labels", "annotations", NULL};
    static const char *const spec[] = {"runtime",   "securityLevel", "profileRef", "timeout",
                                       "resources", "lifecycle",     "imports",    NULL};
    struct search *s = user;
    const char *id, *name;
    if (sa_json_get_string(flat, "id", SA_ID_BYTES - 1, &id, err) < 0 ||
        sa_json_get_string(flat, "name", 256, &name, err) < 0)
        return -1;
    if (strcmp(name, s->name) != 0)
        return 0;
    if (s->id[0])
        return sa_error_set(err, SA_ECONFLICT,
                            "two sandboxes have the name \"%.64s\": %s and %s; delete one", s->name,
                            s->id, id);
    snprintf(s->id, sizeof s->id, "%s", id);
    struct sa_json_w w = sa_json_w_start(&s->shown);
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "metadata");
    if (put_shown(flat, meta, &w, err) < 0)
        return -1;
    sa_json_w_end_object(&w);
    sa_json_put_object(&w, "spec");
    if (put_shown(flat, spec, &w, err) < 0)
        return -1;
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    return 0;
}

/* The sandbox as a manifest would be that changes nothing. What the API does not show of one, such
 * as its environment, is taken to be as the manifest says: it cannot be changed anyway. */
static const struct sa_object *as_it_is(const struct sa_wanted_item *item,
                                        const struct sa_buf *shown, struct sa_error *err)
{
    static const char bare[] = "{\"metadata\":{\"labels\":null,\"annotations\":null},"
                               "\"spec\":{\"lifecycle\":null,\"imports\":null,"
                               "\"profileRef\":null}}";
    sa_autobuf rest = SA_BUF_INIT;
    sa_autobuf now = SA_BUF_INIT;
    if (sa_json_merge_patch(item->json, item->length, bare, sizeof bare - 1, NULL, &rest, err) <
            0 ||
        sa_json_merge_patch(rest.data, rest.length, shown->data, shown->length, NULL, &now, err) <
            0)
        return NULL;
    return sa_object_decode(item->resource->kind, now.data, now.length, true, err);
}

static void write_patch(const struct sa_object *now, const struct sa_object *wanted,
                        struct sa_buf *body)
{
    const struct sa_sandbox_wanted *before = sa_object_spec(now), *next = sa_object_spec(wanted);
    struct sa_json_w w = sa_json_w_start(body);
    sa_json_w_begin_object(&w);
    sa_apply_put_map(&w, "labels", &sa_object_meta(wanted)->labels);
    sa_apply_put_map(&w, "annotations", &sa_object_meta(wanted)->annotations);
    if (before->timeout_s != next->timeout_s) /* it begins anew */
        sa_json_put_int(&w, "timeout", next->timeout_s);
    sa_json_put_object(&w, "lifecycle");
    sa_json_put_string(&w, "onTimeout", sa_end_name(next->lifecycle.on_timeout));
    sa_json_put_string(&w, "onIdle", sa_end_name(next->lifecycle.on_idle));
    sa_json_put_bool(&w, "resumeOnUse", next->lifecycle.resume_on_use);
    if (next->lifecycle.idle_timeout_s)
        sa_json_put_int(&w, "idleTimeout", next->lifecycle.idle_timeout_s);
    else
        sa_json_put_null(&w, "idleTimeout");
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
}

static int change(const struct sa_apply *apply, const struct sa_wanted_item *item,
                  const struct search *found, enum sa_applied *done, struct sa_error *err)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_autounref const struct sa_object *now = as_it_is(item, &found->shown, err);
    if (!now)
        return -1;
    *done = SA_APPLIED_UNCHANGED;
    if (sa_apply_same(now, item->object))
        return 0;
    *done = SA_APPLIED_CONFIGURED;
    if (item->resource->kind->check_update(now, sa_object_spec(item->object), err) < 0)
        return -1;
    write_patch(now, item->object, &body);
    sa_autofree char *url = sa_printf("/api/v1/sandboxes/%s", found->id);
    if (!apply->dry_run && sa_resource_send(apply->client, "PATCH", url, &body, NULL, err) < 0)
        return place(err);
    return 0;
}

int sa_apply_sandbox(const struct sa_apply *apply, const struct sa_wanted_item *item,
                     enum sa_applied *done, struct sa_error *err)
{
    const struct sa_sandbox_query query = {.ended = false};
    struct search s = {.name = sa_object_meta(item->object)->name};
    int rc = sa_each_sandbox(apply->client, &query, look, &s, NULL, err);
    *done = SA_APPLIED_CREATED;
    if (rc == 0)
        rc = s.id[0] ? change(apply, item, &s, done, err) : create(apply, item, err);
    sa_buf_deinit(&s.shown);
    return rc;
}
