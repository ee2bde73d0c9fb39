/* The interface: each call goes to the implementation. */
#include "objects/objects.h"
#include "objects/object_private.h"

#include "base/cleanup.h"

struct sa_objects_call *sa_objects_get(struct sa_objects *objects, const struct sa_kind *kind,
                                       const char *namespace_, const char *name, sa_objects_cb done,
                                       void *user)
{
    return objects->ops->get(objects, kind, namespace_, name, done, user);
}

struct sa_objects_call *sa_objects_list(struct sa_objects *objects, const struct sa_kind *kind,
                                        const struct sa_objects_select *select, size_t limit,
                                        const char *continue_, sa_objects_list_cb done, void *user)
{
    return objects->ops->list(objects, kind, select, limit, continue_, done, user);
}

struct sa_objects_call *sa_objects_create(struct sa_objects *objects, const struct sa_kind *kind,
                                          const char *json, size_t length, bool lenient,
                                          sa_objects_cb done, void *user)
{
    return objects->ops->create(objects, kind, json, length, lenient, done, user);
}

static void print_made(const struct sa_objects_make *what, struct sa_buf *out)
{
    const struct sa_kind *kind = sa_object_kind(what->like);
    const struct sa_object_meta meta = sa_objects_made_meta(what);
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "apiVersion", kind->api_version);
    sa_json_put_string(&w, "kind", kind->name);
    sa_json_put_object(&w, "metadata");
    sa_object_meta_print(&meta, &w);
    sa_json_w_end_object(&w);
    sa_object_put_spec(what->like, &w);
    sa_json_w_end_object(&w);
}

struct sa_object_meta sa_objects_made_meta(const struct sa_objects_make *what)
{
    const struct sa_object_meta *like = sa_object_meta(what->like);
    return (struct sa_object_meta){.namespace_ = what->namespace_,
                                   .name = what->name,
                                   .generate_name = "",
                                   .uid = "",
                                   .resource_version = "",
                                   .labels = like->labels,
                                   .annotations = what->annotations,
                                   .finalizers = what->finalizers,
                                   .owners = like->owners,
                                   .owner_count = like->owner_count};
}

struct sa_objects_call *sa_objects_make(struct sa_objects *objects,
                                        const struct sa_objects_make *what, sa_objects_cb done,
                                        void *user)
{
    sa_autobuf json = SA_BUF_INIT;
    if (objects->ops->make)
        return objects->ops->make(objects, what, done, user);
    print_made(what, &json);
    return sa_objects_create(objects, sa_object_kind(what->like), json.data, json.length, false,
                             done, user);
}

struct sa_objects_call *sa_objects_update(struct sa_objects *objects, const struct sa_kind *kind,
                                          const char *json, size_t length, bool lenient,
                                          sa_objects_cb done, void *user)
{
    return objects->ops->update(objects, kind, json, length, lenient, done, user);
}

struct sa_objects_call *sa_objects_patch(struct sa_objects *objects, const struct sa_kind *kind,
                                         const struct sa_objects_patch *patch, sa_objects_cb done,
                                         void *user)
{
    return objects->ops->patch(objects, kind, patch, done, user);
}

struct sa_objects_call *sa_objects_delete(struct sa_objects *objects, const struct sa_kind *kind,
                                          const struct sa_objects_delete *what, sa_objects_cb done,
                                          void *user)
{
    return objects->ops->delete (objects, kind, what, done, user);
}

struct sa_objects_watch *sa_objects_watch(struct sa_objects *objects, const struct sa_kind *kind,
                                          const struct sa_objects_select *select,
                                          const char *resource_version,
                                          void (*event)(void *, const struct sa_watch_event *),
                                          void (*ended)(void *, const struct sa_error *),
                                          void *user)
{
    return objects->ops->watch(objects, kind, select, resource_version, event, ended, user);
}

void sa_objects_forget(struct sa_objects *objects, struct sa_objects_call *call)
{
    objects->ops->forget(call);
}

void sa_objects_unwatch(struct sa_objects *objects, struct sa_objects_watch *watch)
{
    objects->ops->unwatch(watch);
}
