/* The interface: each call goes to the implementation. */
#include "objects/objects.h"

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
