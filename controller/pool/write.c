/*
 * Writes and reads that are on their way. Each ends once, and never after who wants it is gone.
 * Without the lease nothing is begun: it ends as unavailable, and the key comes again.
 */
#include "controller/pool/private.h"

#include "kinds/pod.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct sa_pool_order {
    struct sa_pool_order *prev, *next;
    struct sa_pool_controller *controller;
    void *owner;
    sa_pool_done *done;
    struct sa_objects_call *call;
};

struct sa_pool_order *sa_pool_order(struct sa_pool_controller *controller, void *owner,
                                    sa_pool_done *done)
{
    struct sa_pool_order *order = sa_alloc(sizeof *order);
    *order = (struct sa_pool_order){.controller = controller, .owner = owner, .done = done};
    DL_APPEND(controller->orders, order);
    return order;
}

static void end(struct sa_pool_order *order)
{
    DL_DELETE(order->controller->orders, order);
    free(order);
}

static void on_done(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_pool_order *order = user;
    void *owner = order->owner;
    sa_pool_done *done = order->done;
    end(order);
    done(owner, err, object);
}

void sa_pool_forget_orders(struct sa_pool_controller *controller, const void *owner)
{
    struct sa_pool_order *order, *next;
    DL_FOREACH_SAFE (controller->orders, order, next) {
        if (owner && order->owner != owner)
            continue;
        sa_objects_forget(controller->options.objects, order->call);
        end(order);
    }
}

void sa_pool_order_create(struct sa_pool_order *order, const struct sa_kind *kind,
                          const struct sa_buf *json)
{
    order->call = sa_objects_create(order->controller->options.objects, kind, json->data,
                                    json->length, false, on_done, order);
}

static void patch(struct sa_pool_order *order, const struct sa_object *object,
                  struct sa_objects_patch what)
{
    const struct sa_object_meta *meta = sa_object_meta(object);
    what.namespace_ = meta->namespace_;
    what.name = meta->name;
    what.resource_version = meta->resource_version;
    order->call = sa_objects_patch(order->controller->options.objects, sa_object_kind(object),
                                   &what, on_done, order);
}

void sa_pool_order_status(struct sa_pool_order *order, const struct sa_object *object,
                          const void *status)
{
    patch(order, object,
          (struct sa_objects_patch){.subresource = SA_SUBRESOURCE_STATUS, .value = status});
}

void sa_pool_order_spec(struct sa_pool_order *order, const struct sa_object *object,
                        const void *spec)
{
    patch(order, object, (struct sa_objects_patch){.value = spec});
}

void sa_pool_order_finalizers(struct sa_pool_order *order, const struct sa_object *object,
                              const struct sa_json_strings *finalizers)
{
    patch(order, object, (struct sa_objects_patch){.finalizers = finalizers});
}

void sa_pool_order_delete(struct sa_pool_order *order, const struct sa_object *object)
{
    const struct sa_object_meta *meta = sa_object_meta(object);
    /* A Pod's version changes with its status: its uid is what must not. */
    bool box = sa_object_kind(object) == &sa_kind_pod;
    const struct sa_objects_delete what = {.namespace_ = meta->namespace_,
                                           .name = meta->name,
                                           .uid = meta->uid,
                                           .resource_version = box ? NULL : meta->resource_version};
    order->call = sa_objects_delete(order->controller->options.objects, sa_object_kind(object),
                                    &what, on_done, order);
}

void sa_pool_order_get(struct sa_pool_order *order, const struct sa_kind *kind,
                       const char *namespace_, const char *name)
{
    order->call =
        sa_objects_get(order->controller->options.objects, kind, namespace_, name, on_done, order);
}
