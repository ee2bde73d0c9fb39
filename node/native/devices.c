/*
 * The folders that become /dev of sandboxes. Everybody may read a device, so everybody may watch
 * it (inotify) and see it opened; a sandbox therefore has nodes that nobody else opens: one folder
 * for each slot, made while the node still has the right to. Where it has not (an unprivileged
 * node), there is one folder, of the host's devices.
 */
#include "native/context.h"
#include "native/native.h"
#include "native/sys.h"
#include "native/template.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { INODES_EACH = 16 };

static const struct {
    unsigned minor, major;
} devices[SA_DEVICE_COUNT] = {
    [SA_DEVICE_NULL] = {3, 1},   [SA_DEVICE_ZERO] = {5, 1},    [SA_DEVICE_FULL] = {7, 1},
    [SA_DEVICE_RANDOM] = {8, 1}, [SA_DEVICE_URANDOM] = {9, 1}, [SA_DEVICE_TTY] = {0, 5}};

static int make_node(const char *path, size_t i)
{
    return mknod(path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor));
}

/* In a user namespace mknod of some kernels succeeds and open does not. */
static bool can_make_nodes(void)
{
    if (make_node("v/probe", 0) < 0)
        return false;
    sa_autoclose int fd = open("v/probe", O_RDWR | O_CLOEXEC);
    unlink("v/probe");
    return fd >= 0;
}

/* What of a /dev is not a device. */
static int surroundings(const char *path, struct sa_error *err)
{
    static const struct {
        const char *name, *target;
    } links[] = {{"fd", "/proc/self/fd"},
                 {"stdin", "/proc/self/fd/0"},
                 {"stdout", "/proc/self/fd/1"},
                 {"stderr", "/proc/self/fd/2"},
                 {"ptmx", "pts/ptmx"}};
    static const char *const folders[] = {"shm", "pts"};
    char inside[64];
    if (sa_template_folder(path, err) < 0)
        return -1;
    for (size_t i = 0; i < SA_COUNT(links); i++) {
        snprintf(inside, sizeof inside, "%s/%s", path, links[i].name);
        if (symlink(links[i].target, inside) < 0)
            return sa_template_failed(err, "link", inside);
    }
    for (size_t i = 0; i < SA_COUNT(folders); i++) {
        snprintf(inside, sizeof inside, "%s/%s", path, folders[i]);
        if (sa_template_folder(inside, err) < 0)
            return -1;
    }
    return 0;
}

static int own_nodes(const char *path, struct sa_error *err)
{
    for (size_t i = 0; i < SA_COUNT(devices); i++) {
        char inside[64];
        snprintf(inside, sizeof inside, "%s/%s", path, sa_devices[i]);
        if (make_node(inside, i) < 0)
            return sa_template_failed(err, "make", inside);
    }
    return 0;
}

static int host_nodes(const char *path, struct sa_error *err)
{
    for (size_t i = 0; i < SA_COUNT(devices); i++) {
        char inside[64], host[32];
        snprintf(inside, sizeof inside, "%s/%s", path, sa_devices[i]);
        snprintf(host, sizeof host, "/dev/%s", sa_devices[i]);
        if (sa_template_file(inside, "", 0, err) < 0 ||
            sa_template_bind(host, inside, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err) < 0)
            return -1;
    }
    return 0;
}

int sa_template_devices(struct sa_host *host, struct sa_error *err)
{
    char options[64], path[16];
    int rc = 0;
    snprintf(options, sizeof options, "mode=0755,size=64k,nr_inodes=%d",
             SA_NATIVE_SANDBOXES_MAX * INODES_EACH);
    if (sa_template_folder("v", err) < 0)
        return -1;
    if (mount("tmpfs", "v", "tmpfs", MS_NOSUID | MS_NOEXEC, options) < 0)
        return sa_template_failed(err, "mount a tmpfs for", "/dev");
    const mode_t mask = umask(0);
    host->own_devices = can_make_nodes();
    umask(mask);
    const int count = host->own_devices ? SA_NATIVE_SANDBOXES_MAX : 1;
    for (int i = 0; i < count && rc == 0; i++) {
        snprintf(path, sizeof path, "v/%d", i);
        rc = surroundings(path, err);
        umask(0);
        if (rc == 0)
            rc = host->own_devices ? own_nodes(path, err) : host_nodes(path, err);
        umask(mask);
    }
    if (rc < 0)
        return -1;
    return sa_mount_restrict("v", MOUNT_ATTR_RDONLY, 0) < 0 ? sa_template_failed(err, "seal", "/v")
                                                            : 0;
}
