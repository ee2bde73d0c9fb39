/*
 * The template root: what every sandbox sees as /, built once. It is a tmpfs that holds the
 * host's /usr read-only, a synthetic /etc, its own /dev and empty mount points; nothing else of
 * the host. The node then makes a tiny tree of its own its root,
 *
 *     /t     the template        /proc   the host's proc (a new proc may only be mounted in a
 *     /d     mount point                 user namespace that sees a whole one already)
 *
 * and drops the host's tree, so that a sandbox, which starts with a copy of this mount
 * namespace, never had a path to the host. Everything below /t is read-only, and because the
 * copy belongs to a less privileged user namespace its flags are locked (mount_namespaces(7)).
 */
#include "base/cleanup.h"
#include "base/fdio.h"
#include "native/embedded.h"
#include "native/host.h"
#include "native/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { COPY_MAX = 8 << 20 };

static int failed(struct sa_error *err, const char *what, const char *path)
{
    return sa_error_sys(err, SA_ECONTROL, errno, "template root: cannot %s %s", what, path);
}

static int folder(const char *path, struct sa_error *err)
{
    return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : failed(err, "make", path);
}

static int text_file(const char *path, const void *text, size_t length, struct sa_error *err)
{
    sa_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || sa_write_all(fd, text, length) < 0)
        return failed(err, "write", path);
    return 0;
}

/* Copy a file of the host when it is there; a link is followed. */
static int copied_file(const char *from, const char *to, struct sa_error *err)
{
    sa_autobuf contents = SA_BUF_INIT;
    struct stat st;
    if (stat(from, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    if (sa_read_file(AT_FDCWD, from, COPY_MAX, &contents, err) < 0)
        return sa_error_wrap(err, "template root");
    return text_file(to, contents.data, contents.length, err);
}

static int bound(const char *from, const char *to, uint64_t attributes, struct sa_error *err)
{
    if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
        return failed(err, "bind", from);
    if (sa_mount_restrict(to, attributes, 1) < 0)
        return failed(err, "restrict the mount of", from);
    return 0;
}

static int bound_folder(const char *from, const char *to, uint64_t attributes, struct sa_error *err)
{
    struct stat st;
    if (stat(from, &st) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    if (folder(to, err) < 0)
        return -1;
    return bound(from, to, attributes, err);
}

/* /usr and what leads into it. On hosts without merged /usr the folders are bound themselves. */
static int system_folders(struct sa_error *err)
{
    static const char *const tops[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};
    const uint64_t flags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    if (bound_folder("/usr", "t/usr", flags, err) < 0)
        return -1;
    for (size_t i = 0; i < SA_COUNT(tops); i++) {
        char host[16], inside[16], target[64];
        struct stat st;
        snprintf(host, sizeof host, "/%s", tops[i]);
        snprintf(inside, sizeof inside, "t/%s", tops[i]);
        if (lstat(host, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            if (bound_folder(host, inside, flags, err) < 0)
                return -1;
            continue;
        }
        ssize_t n = readlink(host, target, sizeof target - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        /* Only links into /usr: another target would point at nothing, or at a surprise. */
        if (strncmp(target, "usr/", 4) != 0 && strncmp(target, "/usr/", 5) != 0)
            continue;
        if (symlink(target, inside) < 0)
            return failed(err, "link", inside);
    }
    return 0;
}

static int etc_folder(struct sa_error *err)
{
    static const struct {
        const char *path, *text;
    } made[] = {
        {"t/etc/passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\n"
                         "user:x:1000:1000:user:/home/user:/bin/bash\n"
                         "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
        {"t/etc/group", "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n"},
        {"t/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"},
        {"t/etc/hostname", "sandbox\n"},
        {"t/etc/resolv.conf", ""},
        {"t/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n"
                                "services: files\nprotocols: files\n"},
        {"t/etc/shells", "/bin/sh\n/bin/bash\n"},
    };
    /* What programs of /usr look for, public on every host. matplotlib, for one, does not start
     * without its file. */
    static const char *const copied[] = {
        "ld.so.cache",  "ld.so.conf", "mime.types",    "localtime", "timezone",
        "services",     "protocols",  "os-release",    "magic",     "magic.mime",
        "matplotlibrc", "inputrc",    "debian_version"};
    const uint64_t flags =
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    if (folder("t/etc", err) < 0)
        return -1;
    for (size_t i = 0; i < SA_COUNT(made); i++)
        if (text_file(made[i].path, made[i].text, strlen(made[i].text), err) < 0)
            return -1;
    for (size_t i = 0; i < SA_COUNT(copied); i++) {
        char from[64], to[64];
        snprintf(from, sizeof from, "/etc/%s", copied[i]);
        snprintf(to, sizeof to, "t/etc/%s", copied[i]);
        if (copied_file(from, to, err) < 0)
            return -1;
    }
    if (folder("t/etc/ssl", err) < 0 || bound_folder("/etc/fonts", "t/etc/fonts", flags, err) < 0 ||
        bound_folder("/etc/ssl/certs", "t/etc/ssl/certs", flags, err) < 0)
        return -1;
    return bound_folder("/etc/alternatives", "t/etc/alternatives", flags, err);
}

/* One device: a node of its own where the kernel lets us, the host's bound otherwise. */
static int device(const char *name, unsigned minor_number, unsigned major_number,
                  struct sa_error *err)
{
    char inside[32], host[32];
    snprintf(inside, sizeof inside, "t/dev/%s", name);
    snprintf(host, sizeof host, "/dev/%s", name);
    if (mknod(inside, S_IFCHR | 0666, makedev(major_number, minor_number)) == 0 &&
        chmod(inside, 0666) == 0) {
        /* In a user namespace mknod of some kernels succeeds and open does not. */
        sa_autoclose int fd = open(inside, O_RDONLY | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0 || errno == ENXIO)
            return 0;
        unlink(inside);
    }
    if (text_file(inside, "", 0, err) < 0)
        return -1;
    return bound(host, inside, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
}

/* Names that people and models type and Debian does not have, in a folder that is last in PATH. */
static int short_names(struct sa_error *err)
{
    if (folder("t/etc/secureagent", err) < 0 || folder("t/etc/secureagent/bin", err) < 0)
        return -1;
    if (access("/usr/bin/python3", X_OK) == 0 &&
        symlink("/usr/bin/python3", "t/etc/secureagent/bin/python") < 0)
        return failed(err, "link", "python");
    return 0;
}

/* Programs of ours for inside, below /etc/secureagent. */
static int own_files(struct sa_error *err)
{
    if (folder("t/etc/secureagent/kernels", err) < 0)
        return -1;
    for (const struct sa_embedded *file = sa_embedded; file->name; file++) {
        char path[128];
        snprintf(path, sizeof path, "t/etc/secureagent/%s", file->name);
        if (text_file(path, file->data, file->length, err) < 0)
            return -1;
    }
    return 0;
}

static int dev_folder(struct sa_error *err)
{
    static const struct {
        const char *name;
        unsigned minor, major;
    } devices[] = {{"null", 3, 1},   {"zero", 5, 1},    {"full", 7, 1},
                   {"random", 8, 1}, {"urandom", 9, 1}, {"tty", 0, 5}};
    static const struct {
        const char *path, *target;
    } links[] = {{"t/dev/fd", "/proc/self/fd"},
                 {"t/dev/stdin", "/proc/self/fd/0"},
                 {"t/dev/stdout", "/proc/self/fd/1"},
                 {"t/dev/stderr", "/proc/self/fd/2"},
                 {"t/dev/ptmx", "pts/ptmx"}};
    if (folder("t/dev", err) < 0)
        return -1;
    if (mount("tmpfs", "t/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k,nr_inodes=64") <
        0)
        return failed(err, "mount a tmpfs on", "/dev");
    for (size_t i = 0; i < SA_COUNT(devices); i++)
        if (device(devices[i].name, devices[i].minor, devices[i].major, err) < 0)
            return -1;
    for (size_t i = 0; i < SA_COUNT(links); i++)
        if (symlink(links[i].target, links[i].path) < 0)
            return failed(err, "link", links[i].path);
    if (folder("t/dev/shm", err) < 0 || folder("t/dev/pts", err) < 0)
        return -1;
    return sa_mount_restrict("t/dev", MOUNT_ATTR_RDONLY, 0) < 0 ? failed(err, "seal", "/dev") : 0;
}

static int build(struct sa_error *err)
{
    static const char *const empty[] = {"t/proc",      "t/tmp", "t/workspace", "t/home",
                                        "t/home/user", "t/run", "t/var",       "t/root"};
    if (folder("t", err) < 0 || folder("d", err) < 0 || folder("proc", err) < 0)
        return -1;
    if (mount("tmpfs", "t", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=16m,nr_inodes=2048") < 0)
        return failed(err, "mount a tmpfs for", "/");
    for (size_t i = 0; i < SA_COUNT(empty); i++)
        if (folder(empty[i], err) < 0)
            return -1;
    if (symlink("/run", "t/var/run") < 0 || symlink("/tmp", "t/var/tmp") < 0)
        return failed(err, "link", "/var");
    if (system_folders(err) < 0 || etc_folder(err) < 0 || short_names(err) < 0 ||
        own_files(err) < 0 || dev_folder(err) < 0)
        return -1;
    if (sa_mount_restrict("t", MOUNT_ATTR_RDONLY, 0) < 0)
        return failed(err, "seal", "/");
    if (mount("/proc", "proc", NULL, MS_BIND | MS_REC, NULL) < 0)
        return failed(err, "bind", "/proc");
    return 0;
}

int sa_template_enter(struct sa_error *err)
{
    static const char *const places[] = {"/tmp", "/mnt", "/run", "/srv"};
    size_t i = 0;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return failed(err, "make private", "/");
    while (i < SA_COUNT(places) && mount("tmpfs", places[i], "tmpfs", MS_NOSUID | MS_NODEV,
                                         "mode=0755,size=64k,nr_inodes=16") < 0)
        i++;
    if (i == SA_COUNT(places) || chdir(places[i]) < 0)
        return failed(err, "mount a tmpfs on", "/tmp");
    umask(022);
    if (build(err) < 0)
        return -1;
    if (sa_mount_restrict(".", MOUNT_ATTR_RDONLY, 0) < 0)
        return failed(err, "seal", places[i]);
    /* pivot_root(2), NOTES: both arguments "." stack the old root on the new one. */
    if (sa_pivot_root(".", ".") < 0)
        return failed(err, "pivot to", places[i]);
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return failed(err, "leave", "the host's root");
    return 0;
}
