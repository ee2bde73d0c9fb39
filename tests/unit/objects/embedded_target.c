#include "embedded_target.h"

#include "conformance/fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static char folder[64]; /* of the one store that is open */

void scratch_make(char out[64])
{
    snprintf(out, 64, "/tmp/secureagent-objects-XXXXXX");
    assert_non_null(mkdtemp(out));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void scratch_remove(const char *path)
{
    assert_int_equal(0, nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS));
}

struct sa_objects *embedded_target_open(void *user, uv_loop_t *loop,
                                        const struct sa_kind *const *kinds)
{
    const bool *on_disk = user;
    struct sa_error err;
    if (on_disk)
        scratch_make(folder);
    struct sa_objects *objects =
        sa_embedded_open(&(struct sa_embedded_options){.loop = loop,
                                                       .data_dir = on_disk ? folder : NULL,
                                                       .kinds = kinds,
                                                       .history = EMBEDDED_TARGET_HISTORY},
                         &err);
    if (!objects)
        fail_msg("%s", err.message);
    return objects;
}

struct closing {
    void *user;
    void (*closed)(void *);
    void *closed_user;
};
static struct closing closing;

static void on_closed(void *user)
{
    (void)user;
    if (closing.user)
        scratch_remove(folder);
    closing.closed(closing.closed_user);
}

void embedded_target_close(void *user, struct sa_objects *objects, void (*closed)(void *),
                           void *closed_user)
{
    closing = (struct closing){user, closed, closed_user};
    sa_embedded_close(objects, on_closed, NULL);
}

int memory_setup(void **state)
{
    static const struct sa_conformance_target target = {
        .name = "memory", .open = embedded_target_open, .close = embedded_target_close};
    *state = (void *)(uintptr_t)&target;
    return world_setup(state);
}
