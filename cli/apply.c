/* `secureagent apply`: make the server have what manifests say. */
#include "apply.h"
#include "resource.h"

#include "base/cleanup.h"
#include "json/merge.h"
#include "json/notes.h"

#include <stdio.h>
#include <string.h>

enum { TRIES = 8 /* when somebody else changes it at the same time */ };

/* clang-format off */
static const struct sa_option options[] = {
    {.name = "file", .letter = 'f', .kind = SA_OPTION_LIST, .value = "FILE",
     .help = "file or folder of manifests, or - for standard input; may be repeated"},
    {.name = "dry-run", .kind = SA_OPTION_BOOL, .help = "only say what would be done"},
    {.name = "lenient", .kind = SA_OPTION_BOOL,
     .help = "leave out fields that are unknown, rather than refuse them"},
    SA_CLIENT_OPTIONS,
};
/* clang-format on */

static const struct sa_usage usage = {
    .command = "apply",
    .usage = "secureagent apply -f FILE|DIR|- [options]",
    .about =
        "Makes the server have what manifests say, in YAML or JSON, any number in a file: what is "
        "not\nthere is created, what differs is changed. All of them are checked before any is "
        "written. What a\nmanifest leaves out of `spec` has its default; labels and annotations "
        "that it does not name stay.",
    .examples = "  secureagent apply -f examples/pool.yaml\n"
                "  secureagent apply -f manifests/ --dry-run\n"
                "  secureagent get pool python -o yaml | sed 's/maxSize: .*/maxSize: 50/' | "
                "secureagent apply -f -\n",
};

/* ---- what differs ---- */

/* Has `now` all of `wanted`, with these values? */
static bool has_all(const struct sa_json_map *now, const struct sa_json_map *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        size_t k = 0;
        while (k < now->count && strcmp(now->items[k].key, wanted->items[i].key) != 0)
            k++;
        if (k == now->count || strcmp(now->items[k].value, wanted->items[i].value) != 0)
            return false;
    }
    return true;
}

bool sa_apply_same(const struct sa_object *now, const struct sa_object *wanted)
{
    size_t a, b;
    const char *now_spec = sa_object_spec_json(now, &a);
    const char *wanted_spec = sa_object_spec_json(wanted, &b);
    return a == b && memcmp(now_spec, wanted_spec, a) == 0 &&
           has_all(&sa_object_meta(now)->labels, &sa_object_meta(wanted)->labels) &&
           has_all(&sa_object_meta(now)->annotations, &sa_object_meta(wanted)->annotations);
}

void sa_apply_put_map(struct sa_json_w *w, const char *name, const struct sa_json_map *map)
{
    if (!map->count)
        return;
    sa_json_put_object(w, name);
    for (size_t i = 0; i < map->count; i++)
        sa_json_put_string(w, map->items[i].key, map->items[i].value);
    sa_json_w_end_object(w);
}

/* ---- objects ---- */

/* Only what a manifest has a say in: name, labels, annotations and spec, with all defaults. */
static void write_object(const struct sa_wanted_item *item, struct sa_buf *out)
{
    size_t length;
    const struct sa_kind *kind = item->resource->kind;
    const struct sa_object_meta *meta = sa_object_meta(item->object);
    const char *spec = sa_object_spec_json(item->object, &length);
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "apiVersion", kind->api_version);
    sa_json_put_string(&w, "kind", kind->name);
    sa_json_put_object(&w, "metadata");
    sa_json_put_string(&w, "name", meta->name);
    if (kind->namespaced)
        sa_json_put_string(&w, "namespace", meta->namespace_);
    sa_apply_put_map(&w, "labels", &meta->labels);
    sa_apply_put_map(&w, "annotations", &meta->annotations);
    sa_json_w_end_object(&w);
    sa_json_put_raw(&w, "spec", spec, length);
    sa_json_w_end_object(&w);
}

/* What is there, with its spec replaced, and labels and annotations added. The version that was
 * read goes along, so that nobody's change is lost. */
static int write_change(const struct sa_buf *now, const struct sa_buf *wanted, struct sa_buf *out,
                        struct sa_error *err)
{
    static const char bare[] = "{\"spec\":null,\"status\":null}";
    sa_autobuf rest = SA_BUF_INIT;
    if (sa_json_merge_patch(now->data, now->length, bare, sizeof bare - 1, NULL, &rest, err) < 0)
        return -1;
    return sa_json_merge_patch(rest.data, rest.length, wanted->data, wanted->length, NULL, out,
                               err);
}

static int change(const struct sa_apply *apply, const struct sa_wanted_item *item, const char *url,
                  const struct sa_buf *wanted, enum sa_applied *done, struct sa_error *err)
{
    sa_autobuf now = SA_BUF_INIT;
    sa_autobuf body = SA_BUF_INIT;
    if (sa_resource_send(apply->client, "GET", url, NULL, &now, err) < 0)
        return -1;
    sa_autounref const struct sa_object *object =
        sa_object_decode(item->resource->kind, now.data, now.length, true, err);
    if (!object)
        return sa_error_wrap(err, "the server's answer");
    *done = SA_APPLIED_UNCHANGED;
    if (sa_apply_same(object, item->object))
        return 0;
    if (sa_object_meta(object)->deleted_ms)
        return sa_error_set(err, SA_EUNAVAILABLE,
                            "the %s \"%s\" is being deleted: apply it again once it is gone",
                            item->resource->singular, sa_object_meta(object)->name);
    *done = SA_APPLIED_CONFIGURED;
    if (write_change(&now, wanted, &body, err) < 0)
        return -1;
    if (apply->dry_run)
        return item->resource->kind->check_update(object, sa_object_spec(item->object), err);
    return sa_resource_send(apply->client, "PUT", url, &body, NULL, err);
}

static int apply_object(const struct sa_apply *apply, const struct sa_wanted_item *item,
                        enum sa_applied *done, struct sa_error *err)
{
    sa_autobuf wanted = SA_BUF_INIT;
    const char *name = sa_object_meta(item->object)->name;
    sa_autofree char *url = sa_resource_url(apply->client, item->resource, name, err);
    sa_autofree char *all = sa_printf("/api/v1/%s", sa_resource_path(item->resource));
    if (!url)
        return -1;
    write_object(item, &wanted);
    for (int i = 0; i < TRIES; i++) {
        if (change(apply, item, url, &wanted, done, err) == 0)
            return 0;
        if (err->code == SA_ENOTFOUND) {
            *done = SA_APPLIED_CREATED;
            if (apply->dry_run ||
                sa_resource_send(apply->client, "POST", all, &wanted, NULL, err) == 0)
                return 0;
        }
        if (err->code != SA_ECONFLICT) /* somebody was faster: look again */
            return -1;
    }
    return -1;
}

/* ---- all ---- */

static int tell(const struct sa_apply *apply, const struct sa_wanted_item *item,
                struct sa_error *error)
{
    const struct sa_json_notes *mistakes = sa_client_mistakes(apply->client);
    for (size_t i = 1; i < mistakes->mistake_count; i++)
        sa_wanted_fail(item, &mistakes->mistakes[i]);
    sa_wanted_fail(item, error);
    return sa_command_refused(apply->usage, apply->client, error);
}

int sa_apply_all(const struct sa_apply *apply, const struct sa_wanted *wanted)
{
    static const char *const words[] = {"unchanged", "created", "configured"};
    int status = 0;
    for (size_t i = 0; i < wanted->count; i++) {
        const struct sa_wanted_item *item = &wanted->items[i];
        struct sa_error error;
        enum sa_applied done = SA_APPLIED_UNCHANGED;
        bool sandbox = item->resource == &sa_resource_sandbox;
        int rc = sandbox ? sa_apply_sandbox(apply, item, &done, &error)
                         : apply_object(apply, item, &done, &error);
        if (rc < 0) {
            status = tell(apply, item, &error);
            continue;
        }
        fprintf(apply->out, "%s/%s %s%s\n", item->resource->singular,
                sa_object_meta(item->object)->name, words[done],
                apply->dry_run ? " (dry run)" : "");
    }
    return status;
}

static int apply_those(struct sa_invocation *in, struct sa_error *err)
{
    struct sa_wanted wanted;
    char *const *paths;
    size_t count = sa_config_list(in->config, "file", &paths);
    const struct sa_apply apply = {.client = in->client,
                                   .usage = &usage,
                                   .dry_run = sa_config_bool(in->config, "dry-run"),
                                   .out = stdout};
    if (!count)
        return sa_command_misused(&usage, "which manifests? (-f FILE)");
    const bool lenient = sa_config_bool(in->config, "lenient");
    int rc = sa_wanted_read(paths, count, lenient ? SA_WANTED_LENIENT : SA_WANTED_STRICT, &usage,
                            &wanted, err);
    if (rc == 0)
        rc = sa_apply_all(&apply, &wanted);
    sa_wanted_deinit(&wanted);
    return rc;
}

const struct sa_command sa_command_apply = {.name = "apply",
                                            .summary = "make the server have what manifests say",
                                            .usage = &usage,
                                            .body = apply_those,
                                            .options = options,
                                            .option_count = SA_COUNT(options)};
