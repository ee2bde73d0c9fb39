/* What the template root holds as files: a synthetic /etc, copies of what programs look for there,
 * and files of ours. All of it lies in one tmpfs, so that one overlay gives a sandbox its own. */
#include "native/context.h"
#include "native/embedded.h"
#include "native/template.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_MAX = 8 << 20, COPY_DEPTH = 4 };

int sa_template_failed(struct sa_error *err, const char *what, const char *path)
{
    return sa_error_sys(err, SA_ECONTROL, errno, "template root: cannot %s %s", what, path);
}

int sa_template_folder(const char *path, struct sa_error *err)
{
    return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : sa_template_failed(err, "make", path);
}

int sa_template_file(const char *path, const void *text, size_t length, struct sa_error *err)
{
    sa_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || sa_write_all(fd, text, length) < 0)
        return sa_template_failed(err, "write", path);
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
    return sa_template_file(to, contents.data, contents.length, err);
}

/* A folder of the host with all that lies in it, links as they are; nothing when it is missing. */
static int copied_folder(const char *from, const char *to, int depth, struct sa_error *err)
{
    DIR *dir = depth ? opendir(from) : NULL;
    int rc = 0;
    if (!dir)
        return 0;
    rc = sa_template_folder(to, err);
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir));) {
        char source[512], target[512], link[512];
        struct stat st;
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(source, sizeof source, "%s/%s", from, entry->d_name) >= (int)sizeof source ||
            snprintf(target, sizeof target, "%s/%s", to, entry->d_name) >= (int)sizeof target ||
            lstat(source, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode))
            rc = copied_folder(source, target, depth - 1, err);
        else if (S_ISREG(st.st_mode) && (st.st_mode & S_IROTH))
            rc = copied_file(source, target, err);
        if (!S_ISLNK(st.st_mode))
            continue;
        ssize_t n = readlink(source, link, sizeof link - 1);
        link[n > 0 ? n : 0] = '\0';
        if (n > 0 && symlink(link, target) < 0)
            rc = sa_template_failed(err, "link", target);
    }
    closedir(dir);
    return rc;
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
    if (sa_template_folder("t/etc", err) < 0)
        return -1;
    for (size_t i = 0; i < SA_COUNT(made); i++)
        if (sa_template_file(made[i].path, made[i].text, strlen(made[i].text), err) < 0)
            return -1;
    for (size_t i = 0; i < SA_COUNT(copied); i++) {
        char from[64], to[64];
        snprintf(from, sizeof from, "/etc/%s", copied[i]);
        snprintf(to, sizeof to, "t/etc/%s", copied[i]);
        if (copied_file(from, to, err) < 0)
            return -1;
    }
    static const char *const folders[] = {"ssl/certs", "fonts", "alternatives"};
    if (sa_template_folder("t/etc/ssl", err) < 0)
        return -1;
    for (size_t i = 0; i < SA_COUNT(folders); i++) {
        char from[64], to[64];
        snprintf(from, sizeof from, "/etc/%s", folders[i]);
        snprintf(to, sizeof to, "t/etc/%s", folders[i]);
        if (copied_folder(from, to, COPY_DEPTH, err) < 0)
            return -1;
    }
    return 0;
}

/* Names that people and models type and Debian does not have, in a folder that is last in PATH. */
static int short_names(const struct sa_go *go, struct sa_error *err)
{
    static const char *const tools[] = {"go", "gofmt"};
    if (sa_template_folder("t/etc/secureagent", err) < 0 ||
        sa_template_folder("t/etc/secureagent/bin", err) < 0)
        return -1;
    if (access("/usr/bin/python3", X_OK) == 0 &&
        symlink("/usr/bin/python3", "t/etc/secureagent/bin/python") < 0)
        return sa_template_failed(err, "link", "python");
    for (size_t i = 0; go->root[0] && i < SA_COUNT(tools); i++) {
        char program[128], inside[64];
        snprintf(program, sizeof program, "%s/bin/%s", go->root, tools[i]);
        snprintf(inside, sizeof inside, "t/etc/secureagent/bin/%s", tools[i]);
        if (symlink(program, inside) < 0)
            return sa_template_failed(err, "link", inside);
    }
    return 0;
}

/* Programs of ours for inside, below /etc/secureagent. */
static int own_files(struct sa_error *err)
{
    /* What covers a device that is not to be there (steps_context.c). */
    if (sa_template_file("t" SA_COVER, "", 0, err) < 0 || chmod("t" SA_COVER, 0) < 0)
        return sa_template_failed(err, "make", SA_COVER);
    if (sa_template_folder("t/etc/secureagent/kernels", err) < 0 ||
        sa_template_folder("t/etc/secureagent/packages", err) < 0)
        return -1;
    for (const struct sa_embedded *file = sa_embedded; file->name; file++) {
        char path[128];
        snprintf(path, sizeof path, "t/etc/secureagent/%s", file->name);
        if (sa_template_file(path, file->data, file->length, err) < 0)
            return -1;
    }
    return 0;
}

int sa_template_files(const struct sa_go *go, struct sa_error *err)
{
    return etc_folder(err) < 0 || short_names(go, err) < 0 || own_files(err) < 0 ? -1 : 0;
}
