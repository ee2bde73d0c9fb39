/* Steps by which a sandbox becomes what its profile says; before its order it has everything. */
#include "base/cleanup.h"
#include "native/go.h"
#include "native/native.h"
#include "native/steps.h"
#include "native/sys.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* Below each folder that was bound is one of the read-only root. */
int sa_step_folders(struct sa_child *child)
{
    for (size_t i = 0; i < SA_FOLDER_COUNT; i++)
        if (!(child->order.context.writable >> i & 1) && umount2(sa_folders[i], 0) < 0)
            return -1;
    return 0;
}

/* The nodes lie in a folder that is read-only: what shall not be there is covered. */
int sa_step_devices(struct sa_child *child)
{
    char path[32];
    for (size_t i = 0; i < SA_DEVICE_COUNT; i++) {
        if (child->order.context.devices >> i & 1)
            continue;
        snprintf(path, sizeof path, "/dev/%s", sa_devices[i]);
        if (mount(SA_COVER, path, NULL, MS_BIND, NULL) < 0 ||
            (i == SA_DEVICE_TTY && umount2("/dev/pts", 0) < 0))
            return -1;
    }
    return 0;
}

static int give(const char *path, const struct sa_context *c)
{
    return lchown(path, c->uid, c->gid);
}

/* Until here it was user 1000, which all that it made belongs to. */
int sa_step_owner(struct sa_child *child)
{
    const struct sa_context *c = &child->order.context;
    if (c->uid == SA_NATIVE_UID && c->gid == SA_NATIVE_UID)
        return 0;
    for (size_t i = 0; i < SA_FOLDER_COUNT; i++)
        if (c->writable >> i & 1 && give(sa_folders[i], c) < 0)
            return -1;
    if (child->host->go.root[0] && give(SA_GO_CACHE, c) < 0)
        return -1;
    if (syscall(SYS_setresgid, c->gid, c->gid, c->gid) < 0 ||
        syscall(SYS_setresuid, c->uid, c->uid, c->uid) < 0)
        return -1;
    return sa_step_parent_death(child); /* another id: it is forgotten */
}
