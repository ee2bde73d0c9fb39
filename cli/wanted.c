#include "wanted.h"

#include "manifest/manifest.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/suggest.h"
#include "json/notes.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX_BYTES = 16 * 1024 * 1024 };

struct sa_wanted_file {
    struct sa_wanted_file *next;
    char *path;
    struct sa_manifests *manifests;
};

/* In the order in which they are applied: a pool may name a profile and a runtime, a sandbox all of
 * them. */
static const struct sa_resource *const order[] = {&sa_resource_runtime_environment,
                                                  &sa_resource_sandbox_profile,
                                                  &sa_resource_warm_pool, &sa_resource_sandbox};

static size_t rank(const struct sa_resource *resource)
{
    size_t i = 0;
    while (i < SA_COUNT(order) && order[i] != resource)
        i++;
    return i;
}

int sa_wanted_fail(const struct sa_wanted_item *item, struct sa_error *err)
{
    const struct sa_manifests *m = item->file->manifests;
    unsigned line = sa_manifest_line(m, item->index, err->path);
    return sa_error_wrap(err, "%s:%u, document %u", item->file->path, line,
                         sa_manifest_document(m, item->index));
}

/* ---- one document ---- */

static int wrong_version(const char *api_version, struct sa_error *err)
{
    if (!*api_version)
        return sa_error_at(err, SA_EINVALID, "apiVersion",
                           "apiVersion: missing, expected \"" SA_GROUP_VERSION "\"");
    return sa_error_at(err, SA_EINVALID, "apiVersion",
                       "apiVersion: expected \"" SA_GROUP_VERSION "\", got \"%.64s\"", api_version);
}

static int find_resource(const char *api_version, const char *kind,
                         const struct sa_resource **resource, struct sa_error *err)
{
    const char *names[SA_COUNT(order)];
    if (!*kind)
        return sa_error_at(err, SA_EINVALID, "kind", "kind: missing");
    for (size_t i = 0; i < SA_COUNT(order); i++)
        names[i] = order[i]->kind->name;
    *resource = sa_resource_of(api_version, kind);
    if (*resource && rank(*resource) < SA_COUNT(order))
        return 0;
    if (*resource)
        return sa_error_at(err, SA_EINVALID, "kind", "kind: a %s is made by the server only", kind);
    const char *near = sa_suggest(kind, names, SA_COUNT(order));
    for (size_t i = 0; i < SA_COUNT(order); i++)
        if (strcmp(kind, names[i]) == 0)
            return wrong_version(api_version, err);
    if (near)
        return sa_error_at(err, SA_EINVALID, "kind",
                           "kind: unknown \"%.64s\", did you mean \"%s\"?", kind, near);
    return sa_error_at(err, SA_EINVALID, "kind",
                       "kind: expected Sandbox, WarmPool, RuntimeEnvironment or SandboxProfile, "
                       "got \"%.64s\"",
                       kind);
}

static int read_name(struct sa_json_obj *root, struct sa_wanted_item *item, struct sa_error *err)
{
    struct sa_json_obj meta;
    const char *name = "";
    sa_json_none(root, "metadata", &meta);
    if (sa_json_opt_obj(root, "metadata", &meta, NULL, err) < 0 ||
        sa_json_opt_string(&meta, "name", SA_OBJECT_NAME_MAX, &name, NULL, err) < 0)
        return -1;
    if (!name[0])
        return sa_error_at(err, SA_EINVALID, "metadata.name", "metadata.name: missing");
    item->name = sa_strdup(name);
    return 0;
}

static int decode_root(struct sa_json_doc *doc, struct sa_arena *arena, enum sa_wanted_how how,
                       struct sa_wanted_item *item, struct sa_json_notes *notes,
                       struct sa_error *err)
{
    struct sa_json_obj root;
    const char *api_version = "", *kind = "";
    if (sa_json_root(doc, arena, &root, err) < 0 ||
        sa_json_opt_string(&root, "apiVersion", 128, &api_version, NULL, err) < 0 ||
        sa_json_opt_string(&root, "kind", 64, &kind, NULL, err) < 0 ||
        find_resource(api_version, kind, &item->resource, err) < 0)
        return -1;
    if (how != SA_WANTED_NAMES) {
        item->object = sa_object_decode_noted(item->resource->kind, item->json, item->length,
                                              how == SA_WANTED_LENIENT, notes, err);
        if (!item->object)
            return -1;
    }
    return read_name(&root, item, err);
}

/* ---- files ---- */

struct reading {
    enum sa_wanted_how how;
    const struct sa_usage *usage;
    struct sa_wanted *wanted;
    bool mistaken;
};

static void tell(struct reading *r, const struct sa_error *err)
{
    sa_command_fail(r->usage, err);
    r->mistaken = true;
}

static int decode(struct sa_wanted_item *item, enum sa_wanted_how how, struct sa_json_notes *notes,
                  struct sa_error *err)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *doc = sa_json_parse(item->json, item->length, NULL, err);
    int rc = doc ? decode_root(doc, arena, how, item, notes, err) : -1;
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

static void tell_of(struct reading *r, const struct sa_wanted_item *item,
                    const struct sa_error *err)
{
    struct sa_error error = *err;
    sa_wanted_fail(item, &error);
    tell(r, &error);
}

/* With all its mistakes, and what is left out of it. */
static void add_item(struct reading *r, struct sa_wanted_item *item)
{
    struct sa_json_notes notes = {.arena = sa_arena_new()};
    struct sa_error error;
    const int rc = decode(item, r->how, &notes, &error);
    for (size_t i = 0; rc < 0 && i < notes.mistake_count; i++)
        tell_of(r, item, &notes.mistakes[i]);
    if (rc < 0 && !notes.mistake_count)
        tell_of(r, item, &error);
    for (size_t i = 0; rc == 0 && i < notes.dropped_count; i++) {
        sa_wanted_fail(item, &notes.dropped[i]);
        sa_error_wrap(&notes.dropped[i], "left out");
        sa_command_fail(r->usage, &notes.dropped[i]); /* a warning only */
    }
    sa_arena_free(notes.arena);
}

static void add_items(struct reading *r, const struct sa_wanted_file *file)
{
    struct sa_wanted *w = r->wanted;
    size_t count = sa_manifests_count(file->manifests);
    w->items = sa_realloc(w->items, (w->count + count + 1) * sizeof *w->items);
    for (size_t i = 0; i < count; i++) {
        struct sa_wanted_item *item = &w->items[w->count++];
        *item = (struct sa_wanted_item){.file = file, .index = i};
        item->json = sa_manifest_json(file->manifests, i, &item->length);
        add_item(r, item);
    }
}

static int read_text(const char *path, struct sa_buf *text, struct sa_error *err)
{
    if (strcmp(path, "-") != 0)
        return sa_read_file(AT_FDCWD, path, FILE_MAX_BYTES, text, err);
    for (;;) {
        ssize_t n = read(0, sa_buf_reserve(text, 65536), 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sa_error_sys(err, SA_EINVALID, errno, "standard input");
        if (n == 0)
            break;
        text->length += (size_t)n;
        if (text->length > FILE_MAX_BYTES)
            return sa_error_set(err, SA_ETOOLARGE, "standard input is larger than 16 MiB");
    }
    sa_buf_add(text, "", 0);
    return 0;
}

static void read_one(struct reading *r, const char *path)
{
    struct sa_error error;
    sa_autobuf text = SA_BUF_INIT;
    struct sa_wanted_file *file = sa_alloc(sizeof *file);
    file->next = r->wanted->files;
    file->path = sa_strdup(strcmp(path, "-") == 0 ? "standard input" : path);
    r->wanted->files = file;
    if (read_text(path, &text, &error) < 0) {
        tell(r, &error);
        return;
    }
    file->manifests = sa_manifests_read(text.data ? text.data : "", text.length, &error);
    if (!file->manifests) {
        sa_error_wrap(&error, "%s", file->path);
        tell(r, &error);
        return;
    }
    add_items(r, file);
}

static int is_manifest(const struct dirent *entry)
{
    static const char *const ends[] = {".yaml", ".yml", ".json"};
    size_t length = strlen(entry->d_name);
    for (size_t i = 0; i < SA_COUNT(ends); i++)
        if (entry->d_name[0] != '.' && length > strlen(ends[i]) &&
            strcmp(entry->d_name + length - strlen(ends[i]), ends[i]) == 0)
            return 1;
    return 0;
}

static void read_path(struct reading *r, const char *path)
{
    struct stat st;
    struct dirent **entries;
    struct sa_error error;
    if (strcmp(path, "-") == 0 || stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
        read_one(r, path);
        return;
    }
    int n = scandir(path, &entries, is_manifest, alphasort);
    if (n <= 0) {
        if (n < 0)
            sa_error_sys(&error, SA_EINVALID, errno, "%s", path);
        else
            sa_error_set(&error, SA_EINVALID, "%s: no *.yaml, *.yml or *.json in this folder",
                         path);
        tell(r, &error);
    }
    for (int i = 0; i < n; i++) {
        sa_autofree char *one =
            sa_printf("%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", entries[i]->d_name);
        read_one(r, one);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

/* ---- all of them ---- */

/* Those of a kind stay in the order they came in. */
static void sort(struct sa_wanted *wanted)
{
    size_t n = 0;
    struct sa_wanted_item *sorted = sa_alloc((wanted->count + 1) * sizeof *sorted);
    for (size_t k = 0; k < SA_COUNT(order); k++)
        for (size_t i = 0; i < wanted->count; i++)
            if (wanted->items[i].resource == order[k])
                sorted[n++] = wanted->items[i];
    free(wanted->items);
    wanted->items = sorted;
}

int sa_wanted_read(char *const *paths, size_t count, enum sa_wanted_how how,
                   const struct sa_usage *usage, struct sa_wanted *wanted, struct sa_error *err)
{
    struct reading r = {.how = how, .usage = usage, .wanted = wanted};
    *wanted = (struct sa_wanted){.count = 0};
    for (size_t i = 0; i < count; i++)
        read_path(&r, paths[i]);
    if (r.mistaken)
        return sa_error_set(err, SA_EINVALID, "nothing was done, because of these mistakes");
    if (!wanted->count)
        return sa_error_set(err, SA_EINVALID, "there is no manifest in what was given");
    sort(wanted);
    return 0;
}

void sa_wanted_deinit(struct sa_wanted *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        sa_object_unref(wanted->items[i].object);
        free(wanted->items[i].name);
    }
    free(wanted->items);
    for (struct sa_wanted_file *f = wanted->files, *next; f; f = next) {
        next = f->next;
        sa_manifests_free(f->manifests);
        free(f->path);
        free(f);
    }
    *wanted = (struct sa_wanted){.count = 0};
}
