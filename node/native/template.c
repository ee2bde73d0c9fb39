/*
 * The template root: what every sandbox sees as /, made once. The node makes a tiny tree of its
 * own its root,
 *
 *     /t     the template: a tmpfs with a synthetic /etc and empty mount points
 *     /l/N   the host's /usr, read-only (and /bin, /lib ... where they are no links into it)
 *     /v/N   a /dev for each slot        /e    an empty folder
 *     /r     where a sandbox puts its root together; /d  the same for its data
 *     /g     build caches of Go, read-only; /s  the folders of their entries, as layers below
 *     /proc  the host's proc (a new proc may only be mounted in a user namespace that sees a
 *            whole one already)
 *
 * and drops the host's tree, so that a sandbox, which starts with a copy of this mount
 * namespace, never had a path to the host. All of it is read-only, and because the copy belongs to
 * a less privileged user namespace its flags are locked (mount_namespaces(7)).
 *
 * A sandbox sees /t and /l/N through overlays of its own, not the files themselves: watches
 * (inotify) and locks (flock) belong to an inode, and so nobody's reach anybody else, while the
 * page cache is shared. Where the host has no overlays for user namespaces (before 5.11, or a
 * root that is a stack of two already), they are bound, and nothing may be watched.
 */
#include "native/template.h"
#include "native/native.h"
#include "native/sys.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
    WATCHES_MOST = 8192,
    INSTANCES_MOST = 128,
    WATCH_SHARES = 16, /* all are counted for one user of the host: at most this part of his */
    INSTANCE_SHARES = 8
};

int sa_template_bind(const char *from, const char *to, uint64_t attributes, struct sa_error *err)
{
    if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
        return sa_template_failed(err, "bind", from);
    if (sa_mount_restrict(to, attributes, 1) < 0)
        return sa_template_failed(err, "restrict the mount of", from);
    return 0;
}

/* A folder of the host's system to be seen under the same name. */
static int add_layer(struct sa_host *host, const char *name, struct sa_error *err)
{
    struct sa_layer *layer = &host->layers[host->layer_count];
    char from[32], inside[32];
    snprintf(layer->path, sizeof layer->path, "/l/%zu", host->layer_count);
    snprintf(layer->name, sizeof layer->name, "%s", name);
    snprintf(from, sizeof from, "/%s", name);
    snprintf(inside, sizeof inside, "t/%s", name);
    if (sa_template_folder(layer->path + 1, err) < 0 || sa_template_folder(inside, err) < 0 ||
        sa_template_bind(from, layer->path + 1,
                         MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err) < 0)
        return -1;
    host->layer_count++;
    return 0;
}

/* /usr and what leads into it. On hosts without merged /usr the folders are layers themselves. */
static int system_folders(struct sa_host *host, struct sa_error *err)
{
    static const char *const tops[] = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"};
    if (sa_template_folder("l", err) < 0)
        return -1;
    for (size_t i = 0; i < SA_COUNT(tops); i++) {
        char top[16], inside[16], target[64];
        struct stat st;
        snprintf(top, sizeof top, "/%s", tops[i]);
        snprintf(inside, sizeof inside, "t/%s", tops[i]);
        if (lstat(top, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            if (add_layer(host, tops[i], err) < 0)
                return -1;
            continue;
        }
        ssize_t n = readlink(top, target, sizeof target - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        /* Only links into /usr: another target would point at nothing, or at a surprise. */
        if (strncmp(target, "usr/", 4) != 0 && strncmp(target, "/usr/", 5) != 0)
            continue;
        if (symlink(target, inside) < 0)
            return sa_template_failed(err, "link", inside);
    }
    return 0;
}

/* ---- folders of the operator ---- */

/* Opened before anything is mounted: the way to it may lead through what is covered then. */
static int open_offer(const char *path, int *fd, struct sa_error *err)
{
    *fd = path[0] ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    return path[0] && *fd < 0 ? sa_template_failed(err, "open", path) : 0;
}

static int bind_offer(int *fd, const char *target, struct sa_error *err)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", *fd);
    int rc = sa_template_bind(
        path, target, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
        err);
    close(*fd);
    *fd = -1;
    return rc;
}

/* cmd/go keeps its entries in folders 00 to ff. One that is written into is copied to the layer
 * above with its owner, which must be an id of the sandbox's user namespace: that of the shared
 * caches is none. */
static int entry_folders(const struct sa_host *host, struct sa_error *err)
{
    char path[16];
    if (sa_template_folder("s", err) < 0)
        return -1;
    if (mount("tmpfs", "s", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=4k,nr_inodes=257") < 0)
        return sa_template_failed(err, "mount a tmpfs for", SA_GO_CACHE);
    for (unsigned i = 0; i < 256; i++) {
        snprintf(path, sizeof path, "s/%02x", i);
        const uint32_t owner = host->uid_base + SA_NATIVE_SHARED_ID;
        if (sa_template_folder(path, err) < 0)
            return -1;
        if ((host->ranges && lchown(path, owner, owner) < 0) || chmod(path, 0777) < 0)
            return sa_template_failed(err, "give away", path);
    }
    if (sa_mount_restrict("s", MOUNT_ATTR_RDONLY, 0) < 0)
        return sa_template_failed(err, "seal", "the folders of " SA_GO_CACHE);
    return 0;
}

/* Where the build cache goes, and the folder that holds the shared ones. */
static int go_folders(struct sa_host *host, struct sa_error *err)
{
    const struct sa_go *go = &host->go;
    if (!go->root[0])
        return 0;
    if (sa_template_folder("t/var/cache", err) < 0 ||
        sa_template_folder("t" SA_GO_CACHE, err) < 0 || sa_template_folder("g", err) < 0 ||
        entry_folders(host, err) < 0)
        return -1;
    return go->caches[0] ? bind_offer(&host->go_caches, "g", err) : 0;
}

/* A layer as those of the system, so that nobody can watch what others install. */
static int packages_folder(struct sa_host *host, struct sa_error *err)
{
    struct sa_layer *layer = &host->layers[host->layer_count];
    if (host->packages < 0)
        return 0;
    snprintf(layer->path, sizeof layer->path, "/l/%zu", host->layer_count);
    snprintf(layer->name, sizeof layer->name, "opt/secureagent/packages");
    if (sa_template_folder("t/opt", err) < 0 || sa_template_folder("t/opt/secureagent", err) < 0 ||
        sa_template_folder("t/opt/secureagent/packages", err) < 0 ||
        sa_template_folder(layer->path + 1, err) < 0 ||
        bind_offer(&host->packages, layer->path + 1, err) < 0)
        return -1;
    host->layer_count++;
    return 0;
}

static int build(struct sa_host *host, struct sa_error *err)
{
    static const char *const tree[] = {"t", "d", "e", "r", "proc"};
    static const char *const empty[] = {"t/proc",      "t/dev", "t/tmp", "t/workspace", "t/home",
                                        "t/home/user", "t/run", "t/var", "t/root"};
    for (size_t i = 0; i < SA_COUNT(tree); i++)
        if (sa_template_folder(tree[i], err) < 0)
            return -1;
    if (mount("tmpfs", "t", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64m,nr_inodes=16k") < 0)
        return sa_template_failed(err, "mount a tmpfs for", "/");
    for (size_t i = 0; i < SA_COUNT(empty); i++)
        if (sa_template_folder(empty[i], err) < 0)
            return -1;
    if (symlink("/run", "t/var/run") < 0 || symlink("/tmp", "t/var/tmp") < 0)
        return sa_template_failed(err, "link", "/var");
    if (go_folders(host, err) < 0 || system_folders(host, err) < 0 ||
        packages_folder(host, err) < 0 || sa_template_files(&host->go, err) < 0 ||
        sa_template_devices(host, err) < 0)
        return -1;
    if (sa_mount_restrict("t", MOUNT_ATTR_RDONLY, 0) < 0)
        return sa_template_failed(err, "seal", "/");
    if (mount("/proc", "proc", NULL, MS_BIND | MS_REC, NULL) < 0)
        return sa_template_failed(err, "bind", "/proc");
    return 0;
}

/* ---- overlays ---- */

int sa_mount_layer(const char *lower, const char *target)
{
    char options[96];
    /* Without an upper layer two lower ones are the least; the second is empty. Inodes keep the
     * numbers that they have below (overlayfs.rst, "Inode properties"): otherwise folders get
     * theirs when they are first looked at, which would tell the next user of a recycled sandbox
     * into which ones the one before has looked. */
    snprintf(options, sizeof options, "lowerdir=%s:/e,xino=on,userxattr", lower);
    return mount("overlay", target, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, options);
}

/* As a sandbox would: in a user namespace of its own. */
static int try_overlays(const struct sa_host *host)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || sa_mount_layer("/t", "/r") < 0)
        return -1;
    for (size_t i = 0; i < host->layer_count; i++) {
        char target[48];
        snprintf(target, sizeof target, "/r/%s", host->layers[i].name);
        if (sa_mount_layer(host->layers[i].path, target) < 0)
            return -1;
    }
    return 0;
}

/* 0, or the errno with which it failed. */
static int overlays_fail(const struct sa_host *host)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_overlays(host) == 0 ? 0 : errno & 0xff);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
        return EIO;
    return WEXITSTATUS(status);
}

static long share(const char *path, long most, long shares)
{
    sa_autobuf text = SA_BUF_INIT;
    if (sa_read_file(AT_FDCWD, path, 64, &text, NULL) < 0 || !text.data)
        return 0;
    const long part = strtol(text.data, NULL, 10) / shares;
    return part < most ? part : most;
}

/* What may be watched, and what to say when nothing may be. */
static void settle_watches(struct sa_host *host)
{
    const int failed = overlays_fail(host);
    host->own_layers = failed == 0;
    host->instances =
        share("/proc/sys/fs/inotify/max_user_instances", INSTANCES_MOST, INSTANCE_SHARES);
    if (host->own_layers && host->own_devices) {
        host->watches = share("/proc/sys/fs/inotify/max_user_watches", WATCHES_MOST, WATCH_SHARES);
        host->can |= sa_control_bit(SA_C_ROOTFS_PRIVATE);
        return;
    }
    if (failed)
        sa_host_missing(host, SA_C_ROOTFS_PRIVATE,
                        sa_printf("no overlay of its own of /usr for each sandbox (%s): flock(2) "
                                  "on its files is shared, and inotify watches are refused",
                                  strerror(failed)));
    else
        sa_host_missing(host, SA_C_ROOTFS_PRIVATE,
                        sa_strdup("an unprivileged node cannot make device nodes, so the host's "
                                  "are shared and inotify watches are refused; start the node as "
                                  "root"));
}

int sa_template_enter(struct sa_host *host, const char *packages, struct sa_error *err)
{
    static const char *const places[] = {"/tmp", "/mnt", "/run", "/srv"};
    size_t i = 0;
    if (open_offer(host->go.caches, &host->go_caches, err) < 0 ||
        open_offer(packages ? packages : "", &host->packages, err) < 0)
        return -1;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return sa_template_failed(err, "make private", "/");
    while (i < SA_COUNT(places) && mount("tmpfs", places[i], "tmpfs", MS_NOSUID | MS_NODEV,
                                         "mode=0755,size=64k,nr_inodes=32") < 0)
        i++;
    if (i == SA_COUNT(places) || chdir(places[i]) < 0)
        return sa_template_failed(err, "mount a tmpfs on", "/tmp");
    umask(022);
    if (build(host, err) < 0)
        return -1;
    if (sa_mount_restrict(".", MOUNT_ATTR_RDONLY, 0) < 0)
        return sa_template_failed(err, "seal", places[i]);
    /* pivot_root(2), NOTES: both arguments "." stack the old root on the new one. */
    if (sa_pivot_root(".", ".") < 0)
        return sa_template_failed(err, "pivot to", places[i]);
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return sa_template_failed(err, "leave", "the host's root");
    settle_watches(host);
    return 0;
}
