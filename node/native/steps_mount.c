/*
 * Steps that make the sandbox's root out of the node's tree (template.c): overlays, a /dev, a proc
 * of its own, what must not be seen covered, one tmpfs bound to each writable folder. Paths without
 * a leading slash are below the new root, which is the working folder until pivot_root.
 */
#include "base/cleanup.h"
#include "native/steps.h"
#include "native/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Times of access would tell the next user of a recycled sandbox what the one before has read. */
enum { DATA_FLAGS = MS_NOSUID | MS_NODEV | MS_NOATIME, GO_INODES = 3 };

static int layer(const struct sa_host *host, const char *path, const char *target)
{
    if (host->own_layers)
        return sa_mount_layer(path, target);
    return mount(path, target, NULL, MS_BIND | MS_REC, NULL);
}

/* What came with the namespace is locked in its place; what is put together in /r is not. */
int sa_step_root(struct sa_child *child)
{
    const struct sa_host *host = child->host;
    char text[48];
    if (layer(host, "/t", "/r") < 0)
        return -1;
    for (size_t i = 0; i < host->layer_count; i++) {
        snprintf(text, sizeof text, "/r/%s", host->layers[i].name);
        if (layer(host, host->layers[i].path, text) < 0)
            return -1;
    }
    snprintf(text, sizeof text, "/v/%d", host->own_devices ? child->slot : 0);
    if (mount(text, "/r/dev", NULL, MS_BIND | MS_REC, NULL) < 0)
        return -1;
    return chdir("/r");
}

int sa_step_proc(struct sa_child *child)
{
    (void)child;
    return mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static int write_number(const char *path, const char *text)
{
    sa_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    return write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

/* No further namespaces in this user namespace, whoever asks and whatever a filter says
 * (user_namespaces(7)); the control group's own comes later, hence the 1. And a share only of
 * what the kernel counts for the node's user over all sandboxes. No watches at all where files are
 * shared with the host and other sandboxes: they would tell of each program that any of these
 * runs. Programs that can fall back to looking do so (ENOSPC). */
int sa_step_namespace_limits(struct sa_child *child)
{
    char instances[24], watches[24];
    const struct {
        const char *path, *most;
    } limits[] = {{"proc/sys/user/max_user_namespaces", "0"},
                  {"proc/sys/user/max_mnt_namespaces", "0"},
                  {"proc/sys/user/max_pid_namespaces", "0"},
                  {"proc/sys/user/max_net_namespaces", "0"},
                  {"proc/sys/user/max_ipc_namespaces", "0"},
                  {"proc/sys/user/max_uts_namespaces", "0"},
                  {"proc/sys/user/max_time_namespaces", "0"},
                  {"proc/sys/user/max_cgroup_namespaces", "1"},
                  {"proc/sys/user/max_fanotify_groups", "0"},
                  {"proc/sys/user/max_inotify_instances", instances},
                  {"proc/sys/user/max_inotify_watches", watches}};
    snprintf(instances, sizeof instances, "%ld", child->host->instances);
    snprintf(watches, sizeof watches, "%ld", child->host->watches);
    for (size_t i = 0; i < SA_COUNT(limits); i++)
        if (write_number(limits[i].path, limits[i].most) < 0)
            return -1;
    return 0;
}

int sa_step_mask(struct sa_child *child)
{
    const struct sa_host *host = child->host;
    for (size_t i = 0; i < host->mask_count; i++) {
        const struct sa_mask *mask = &host->masks[i];
        if (mount(mask->directory ? "run" : "dev/null", mask->path, NULL, MS_BIND, NULL) < 0 &&
            errno != ENOENT)
            return -1;
    }
    if (mount("proc/sys", "proc/sys", NULL, MS_BIND, NULL) < 0)
        return -1;
    return mount(NULL, "proc/sys", NULL,
                 MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

int sa_step_terminals(struct sa_child *child)
{
    (void)child;
    return mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                 "newinstance,ptmxmode=0666,mode=0620,max=256");
}

/* Message queues have names in a file system of their own. Nobody needs to see it but the runtime,
 * which removes what is left behind: it gets the descriptor of a mount that is mounted nowhere. */
int sa_step_queues(struct sa_child *child)
{
    sa_autoclose int context = fsopen("mqueue", FSOPEN_CLOEXEC);
    if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -1;
    child->queues =
        fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    return child->queues < 0 ? -1 : 0;
}

/* One tmpfs, so that one size caps all that can be written. It is mounted on /d, which goes
 * away with the old root; only the binds stay. */
int sa_step_data(struct sa_child *child)
{
    static const struct {
        const char *folder, *target;
        mode_t mode;
    } binds[] = {{"/d/workspace", "workspace", 0755},
                 {"/d/tmp", "tmp", 01777},
                 {"/d/home", "home/user", 0755},
                 {"/d/shm", "dev/shm", 01777}};
    (void)child;
    if (mount("tmpfs", "/d", "tmpfs", DATA_FLAGS,
              "mode=0755,uid=1000,gid=1000,size=1m,nr_inodes=16") < 0)
        return -1;
    for (size_t i = 0; i < SA_COUNT(binds); i++)
        if (mkdir(binds[i].folder, 0700) < 0 || chmod(binds[i].folder, binds[i].mode) < 0 ||
            mount(binds[i].folder, binds[i].target, NULL, MS_BIND, NULL) < 0)
            return -1;
    return 0;
}

/* pivot_root(2), NOTES: with both arguments "." the old root is stacked on the new one. */
int sa_step_pivot(struct sa_child *child)
{
    (void)child;
    if (sa_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return -1;
    return 0;
}

/* With the order come the sizes. Four inodes are the folders themselves, and those of Go's cache
 * are not taken from what the sandbox was promised. */
int sa_step_sizes(struct sa_child *child)
{
    char options[96];
    snprintf(options, sizeof options, "size=%" PRIu64 ",nr_inodes=%" PRIu64,
             child->order.storage_bytes,
             child->order.inodes + (child->host->go.root[0] ? GO_INODES : 0));
    if (mount(NULL, "/workspace", NULL, MS_REMOUNT | DATA_FLAGS, options) < 0)
        return -1;
    return chdir("/workspace");
}
