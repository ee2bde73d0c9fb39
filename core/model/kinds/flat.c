/* The Sandbox and the body of a create: the same thing in two shapes. */
#include "kinds/sandbox.h"

#include "model/settings.h"
#include "json/notes.h"
#include "json/quantity.h"

void sa_sandbox_of_flat(const struct sa_sandbox_spec *flat, struct sa_sandbox_wanted *spec)
{
    *spec = (struct sa_sandbox_wanted){.runtime = flat->runtime,
                                       .level = flat->level,
                                       .profile = flat->profile,
                                       .security_context =
                                           flat->security_context ? flat->security_context : "",
                                       .timeout_s = flat->timeout_s,
                                       .resources = flat->resources,
                                       .network = flat->network,
                                       .filesystem = flat->filesystem,
                                       .storage = flat->storage,
                                       .env = flat->env,
                                       .secrets = flat->secrets,
                                       .warm = flat->warm,
                                       .warm_pool = flat->warm_pool,
                                       .lifecycle = flat->lifecycle,
                                       .imports = flat->imports,
                                       .required_controls = flat->required_controls};
}

static void flatten(const struct sa_sandbox_wanted *spec, struct sa_sandbox_spec *flat)
{
    *flat = (struct sa_sandbox_spec){.runtime = spec->runtime,
                                     .language = spec->runtime,
                                     .level = spec->level,
                                     .profile = spec->profile,
                                     .warm = spec->warm,
                                     .warm_pool = spec->warm_pool,
                                     .timeout_s = spec->timeout_s,
                                     .resources = spec->resources,
                                     .lifecycle = spec->lifecycle,
                                     .env = spec->env,
                                     .required_controls = spec->required_controls,
                                     .imports = spec->imports,
                                     .secrets = spec->secrets,
                                     .network = spec->network,
                                     .filesystem = spec->filesystem,
                                     .storage = spec->storage,
                                     .security_context =
                                         spec->security_context[0] ? spec->security_context : NULL};
}

/* Files are kept in memory. */
static int check_files(const struct sa_resources *r, const char *path, struct sa_error *err)
{
    char most[SA_QUANTITY_BYTES];
    if (r->storage_bytes <= r->memory_bytes / 2)
        return 0;
    sa_quantity_bytes_print(r->memory_bytes / 2, most);
    return sa_error_at(err, SA_EINVALID, path, "%s: " SA_STORAGE_EXPECTED, path, most);
}

int sa_sandbox_to_flat(const struct sa_object_meta *meta, const struct sa_sandbox_wanted *spec,
                       struct sa_sandbox_spec *flat, struct sa_error *err)
{
    if (check_files(&spec->resources, "spec.resources.ephemeralStorage", err) < 0)
        return -1;
    flatten(spec, flat);
    flat->name = meta->name[0] ? meta->name : NULL;
    flat->labels = meta->labels;
    flat->annotations = meta->annotations;
    return 0;
}

/* ---- the body of a create ---- */

struct metadata {
    const char *name;
    struct sa_json_map labels, annotations;
};

static int decode_name(struct sa_json_obj *root, const char **name, struct sa_error *err)
{
    if (sa_json_opt_string(root, "name", 63, name, NULL, err) < 0)
        return -1;
    if (*name && !sa_name_valid(*name))
        return sa_json_fail(root, "name", err,
                            "expected 1-63 of a-z, 0-9 and '-', beginning and ending with a "
                            "letter or digit");
    return 0;
}

static int decode_labels(struct sa_json_obj *root, struct sa_json_map *labels, struct sa_error *err)
{
    if (sa_json_opt_map(root, "labels", SA_LABELS_MAX_COUNT, SA_LABEL_MAX_BYTES, labels, NULL,
                        err) < 0)
        return -1;
    return sa_labels_check(root, labels, err);
}

static int decode_metadata(struct sa_json_obj *root, struct metadata *meta, struct sa_error *err)
{
    struct sa_json_notes *notes = root->notes;
    bool failed = false;
    return sa_json_go_on(notes, decode_name(root, &meta->name, err), err, &failed) &&
                   sa_json_go_on(notes, decode_labels(root, &meta->labels, err), err, &failed) &&
                   sa_json_go_on(notes, sa_annotations_decode(root, &meta->annotations, err), err,
                                 &failed) &&
                   !failed
               ? 0
               : -1;
}

static int decode_spec(struct sa_json_obj *root, struct sa_arena *arena,
                       struct sa_sandbox_spec *flat, struct sa_error *err)
{
    const void *spec = NULL;
    bool failed = false;
    const int rc = sa_schema_decode(&sa_schema_sandbox, root, false, arena, &spec, err);
    if (spec)
        flatten(spec, flat);
    if (!sa_json_go_on(root->notes, rc, err, &failed) ||
        sa_json_is_mistaken(root, "resources.memory"))
        return -1;
    return check_files(&flat->resources, "resources.ephemeralStorage", err) == 0 && !failed ? 0
                                                                                            : -1;
}

static int decode(struct sa_json_obj *root, struct sa_arena *arena, struct sa_sandbox_spec *flat,
                  struct sa_error *err)
{
    struct metadata meta = {0};
    bool failed = false;
    *flat = (struct sa_sandbox_spec){.name = NULL};
    if (!sa_json_go_on(root->notes, decode_metadata(root, &meta, err), err, &failed) ||
        !sa_json_go_on(root->notes, decode_spec(root, arena, flat, err), err, &failed))
        return -1;
    flat->name = meta.name;
    flat->labels = meta.labels;
    flat->annotations = meta.annotations;
    return failed ? -1 : 0;
}

int sa_sandbox_spec_decode(const char *body, size_t length, struct sa_arena *arena,
                           struct sa_json_notes *notes, struct sa_sandbox_spec *spec,
                           struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_doc *doc = sa_json_parse(body, length, NULL, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, arena, &root, err);
    root.notes = notes;
    if (rc == 0)
        rc = decode(&root, arena, spec, err);
    if (rc < 0 && notes && notes->mistake_count)
        *err = notes->mistakes[0];
    sa_json_free(doc);
    return rc;
}

/* ---- the object ---- */

void sa_sandbox_manifest(const struct sa_sandbox_spec *flat, const char *namespace_,
                         const char *name, struct sa_json_w *w)
{
    struct sa_sandbox_wanted spec;
    sa_sandbox_of_flat(flat, &spec);
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "apiVersion", sa_kind_sandbox.api_version);
    sa_json_put_string(w, "kind", sa_kind_sandbox.name);
    sa_json_put_object(w, "metadata");
    if (namespace_)
        sa_json_put_string(w, "namespace", namespace_);
    sa_json_put_string(w, "name", flat->name ? flat->name : name);
    sa_json_put_map(w, "labels", &flat->labels);
    sa_json_put_map(w, "annotations", &flat->annotations);
    sa_json_w_end_object(w);
    sa_json_put_object(w, "spec");
    sa_schema_print(&sa_schema_sandbox, &spec, w);
    sa_json_w_end_object(w);
    sa_json_w_end_object(w);
}
