/*
 * The build cache of Go in a sandbox: an overlay of the shared, read-only cache of the standard
 * library and a folder in the sandbox's own memory, so that what one sandbox builds is never seen
 * by another. Until Go is used the own folder is empty, which is why nothing has to be looked at
 * when the sandbox is cleaned (runtime/scratch.h).
 */
#include "native/go.h"
#include "native/steps.h"
#include "native/sys.h"

#include <stdio.h>
#include <sys/stat.h>

int sa_step_go(struct sa_child *child)
{
    const struct sa_go *go = &child->host->go;
    char options[160], shared[64];
    if (!go->root[0])
        return 0;
    if (mkdir("/d/go", 0755) < 0 || mkdir("/d/go/work", 0755) < 0 || mkdir("/d/go/own", 0755) < 0)
        return -1;
    snprintf(shared, sizeof shared, "/g/%s", go->version);
    /* Not made yet, or no overlays here: Go works all the same, only the first time is slow. */
    const char *below = access(shared, X_OK) == 0 ? shared : "/e";
    /* Numbers of inodes: template.c. */
    snprintf(options, sizeof options,
             "lowerdir=/s:%s,upperdir=/d/go/own,workdir=/d/go/work,xino=on,userxattr", below);
    if (mount("overlay", &SA_GO_CACHE[1], "overlay", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME,
              options) == 0)
        return 0;
    return mount("/d/go/own", &SA_GO_CACHE[1], NULL, MS_BIND, NULL);
}
