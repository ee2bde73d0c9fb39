/*
 * The build cache of Go in a sandbox: an overlay of the shared, read-only cache of the standard
 * library and a folder in the sandbox's own memory, so that what one sandbox builds is never seen
 * by another.
 */
#include "native/go.h"
#include "native/steps.h"
#include "native/sys.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* cmd/go keeps its entries in folders 00 to ff. They are made here, although the lower layer has
 * them: a folder that is written into would be copied up with its owner, an id that this user
 * namespace does not have. */
static int own_folders(void)
{
    char path[32];
    if (mkdir("/d/go", 0755) < 0 || mkdir("/d/go/work", 0755) < 0 || mkdir("/d/go/own", 0755) < 0)
        return -1;
    for (int i = 0; i < 256; i++) {
        snprintf(path, sizeof path, "/d/go/own/%02x", (unsigned)i);
        if (mkdir(path, 0755) < 0)
            return -1;
    }
    return 0;
}

int sa_step_go(struct sa_child *child)
{
    const struct sa_go *go = &child->host->go;
    char options[128], lower[64];
    if (!go->root[0])
        return 0;
    if (own_folders() < 0)
        return -1;
    snprintf(lower, sizeof lower, "/g/%s", go->version);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=/d/go/own,workdir=/d/go/work,userxattr",
             lower);
    /* Not made yet, or no overlays here: Go works all the same, only the first time is slow. */
    if (access(lower, X_OK) == 0 &&
        mount("overlay", &SA_GO_CACHE[1], "overlay", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME,
              options) == 0)
        return 0;
    return mount("/d/go/own", &SA_GO_CACHE[1], NULL, MS_BIND, NULL);
}
