#include "scratch_target.h"

#include "embedded_target.h"

char scratch_folder[64];

static struct sa_objects *open_here(void *user, uv_loop_t *loop, const struct sa_kind *const *kinds)
{
    struct sa_error err;
    (void)user;
    struct sa_objects *objects = sa_embedded_open(
        &(struct sa_embedded_options){.loop = loop, .data_dir = scratch_folder, .kinds = kinds},
        &err);
    if (!objects)
        fail_msg("%s", err.message);
    return objects;
}

static void close_here(void *user, struct sa_objects *objects, void (*closed)(void *),
                       void *closed_user)
{
    (void)user;
    sa_embedded_close(objects, closed, closed_user);
}

static const struct sa_conformance_target target = {
    .name = "embedded", .open = open_here, .close = close_here};

int scratch_setup(void **state)
{
    scratch_make(scratch_folder);
    scratch_reopen(state);
    return 0;
}

void scratch_reopen(void **state)
{
    *state = (void *)(uintptr_t)&target;
    world_setup(state);
}

int scratch_teardown(void **state)
{
    int rc = world_teardown(state);
    scratch_remove(scratch_folder);
    return rc;
}
