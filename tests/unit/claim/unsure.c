#include "unsure.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "json/write.h"

#include <stdlib.h>
#include <string.h>

struct passed { /* a call that is passed on */
    struct unsure *unsure;
    enum fate fate;
    bool read;
    sa_objects_cb done;
    void *user;
};

static struct unsure *of(struct sa_objects *objects)
{
    return (struct unsure *)objects;
}

/* ---- late writes ---- */

static void do_late(struct unsure *unsure)
{
    struct late_write *late = unsure->late;
    unsure->late = NULL;
    if (!late)
        return;
    if (late->name)
        sa_objects_patch(unsure->inner, late->kind,
                         &(struct sa_objects_patch){.namespace_ = late->namespace_,
                                                    .name = late->name,
                                                    .resource_version = late->version,
                                                    .json = late->json,
                                                    .length = strlen(late->json)},
                         NULL, NULL);
    else
        sa_objects_create(unsure->inner, late->kind, late->json, strlen(late->json), false, NULL,
                          NULL);
    free(late->namespace_);
    free(late->name);
    free(late->version);
    free(late->json);
    free(late);
}

/* ---- answers ---- */

static void on_done(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct passed *p = user;
    struct sa_error unknown;
    if (p->read)
        do_late(p->unsure); /* behind the read, before what follows from it */
    if (p->fate != FATE_TOLD) {
        sa_error_set(&unknown, p->fate == FATE_REFUSED ? SA_EQUOTA : SA_EUNAVAILABLE,
                     "said by the test");
        err = &unknown;
        object = NULL;
    }
    if (p->done)
        p->done(p->user, err, object);
    free(p);
}

static struct passed *pass(struct sa_objects *objects, enum fate fate, sa_objects_cb done,
                           void *user)
{
    struct passed *p = sa_alloc(sizeof *p);
    *p = (struct passed){.unsure = of(objects), .fate = fate, .done = done, .user = user};
    return p;
}

/* An answer without a write: any read will do. */
static struct sa_objects_call *nothing(struct unsure *unsure, const struct sa_kind *kind,
                                       struct passed *p)
{
    return sa_objects_get(unsure->inner, kind, NULL, "none", on_done, p);
}

static struct late_write *keep(struct unsure *unsure, const struct sa_kind *kind, const char *json,
                               size_t length)
{
    struct late_write *late = sa_alloc(sizeof *late);
    late->kind = kind;
    late->json = sa_strndup(json, length);
    unsure->late = late;
    return late;
}

static bool happens(enum fate fate)
{
    return fate == FATE_TOLD || fate == FATE_DONE;
}

static struct sa_objects_call *unsure_patch(struct sa_objects *objects, const struct sa_kind *kind,
                                            const struct sa_objects_patch *patch,
                                            sa_objects_cb done, void *user)
{
    struct unsure *unsure = of(objects);
    struct passed *p = pass(objects, unsure->patch, done, user);
    unsure->patch = FATE_TOLD;
    unsure->writes++;
    do_late(unsure);
    if (p->fate == FATE_LATE) {
        sa_autobuf json = SA_BUF_INIT;
        struct sa_json_w w = sa_json_w_start(&json);
        sa_json_w_begin_object(&w);
        sa_json_put_object(&w, "spec");
        kind->print_spec(patch->value, &w);
        sa_json_w_end_object(&w);
        sa_json_w_end_object(&w);
        struct late_write *late = keep(unsure, kind, json.data, json.length);
        late->namespace_ = sa_strdup(patch->namespace_);
        late->name = sa_strdup(patch->name);
        late->version = sa_strdup(patch->resource_version);
    }
    return happens(p->fate) ? sa_objects_patch(unsure->inner, kind, patch, on_done, p)
                            : nothing(unsure, kind, p);
}

static struct sa_objects_call *unsure_create(struct sa_objects *objects, const struct sa_kind *kind,
                                             const char *json, size_t length, bool lenient,
                                             sa_objects_cb done, void *user)
{
    struct unsure *unsure = of(objects);
    struct passed *p = pass(objects, unsure->create, done, user);
    unsure->create = FATE_TOLD;
    unsure->writes++;
    do_late(unsure);
    if (p->fate == FATE_LATE)
        keep(unsure, kind, json, length);
    return happens(p->fate)
               ? sa_objects_create(unsure->inner, kind, json, length, lenient, on_done, p)
               : nothing(unsure, kind, p);
}

static struct sa_objects_call *unsure_get(struct sa_objects *objects, const struct sa_kind *kind,
                                          const char *namespace_, const char *name,
                                          sa_objects_cb done, void *user)
{
    struct unsure *unsure = of(objects);
    struct passed *p = pass(objects, unsure->blind ? FATE_NOT : FATE_TOLD, done, user);
    if (unsure->blind)
        unsure->blind--;
    else
        p->read = true;
    return sa_objects_get(unsure->inner, kind, namespace_, name, on_done, p);
}

static struct sa_objects_call *unsure_delete(struct sa_objects *objects, const struct sa_kind *kind,
                                             const struct sa_objects_delete *what,
                                             sa_objects_cb done, void *user)
{
    return sa_objects_delete(of(objects)->inner, kind, what, done, user);
}

void unsure_init(struct unsure *unsure, struct sa_objects *inner)
{
    static struct sa_objects_ops ops;
    ops = *inner->ops; /* forget needs no store */
    ops.get = unsure_get;
    ops.patch = unsure_patch;
    ops.create = unsure_create;
    ops.make = NULL; /* by way of it */
    ops.delete = unsure_delete;
    *unsure = (struct unsure){.base = {.ops = &ops}, .inner = inner};
}
