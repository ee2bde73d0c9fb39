#include "datadir.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/id.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { LOCK_SUPERVISOR, LOCK_FAMILY }; /* bytes of the file that are locked */

char *sa_datadir_default(void)
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (geteuid() == 0)
        return sa_strdup("/var/lib/secureagent");
    if (xdg && xdg[0] == '/')
        return sa_printf("%s/secureagent", xdg);
    return sa_printf("%s/.local/share/secureagent", home && *home ? home : "");
}

/* ---- folders ---- */

static int make_parents(char *path, struct sa_error *err)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int failed = mkdir(path, 0755) < 0 && errno != EEXIST;
        int saved = errno;
        if (failed)
            sa_error_sys(err, SA_EINVALID, saved, "making the folder %s", path);
        *slash = '/';
        if (failed)
            return -1;
    }
    return 0;
}

/* Ours alone to write in: whoever can rename in it can put another lock or key in place. */
static int check_folder(const char *path, const struct stat *st, struct sa_error *err)
{
    if (st->st_uid != geteuid())
        return sa_error_at(err, SA_EINVALID, "data-dir",
                           "the data directory %s belongs to another user (uid %u); choose another "
                           "with --data-dir",
                           path, st->st_uid);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return sa_error_at(err, SA_EINVALID, "data-dir",
                           "others may write in the data directory %s; choose a folder of its own "
                           "with --data-dir, or chmod go-w it",
                           path);
    return 0;
}

static int make_folder(struct sa_datadir *dir, const char *path, bool shared, struct sa_error *err)
{
    sa_autofree char *copy = sa_strdup(path);
    struct stat st;
    if (make_parents(copy, err) < 0)
        return -1;
    if (mkdir(path, shared ? 0711 : 0700) < 0 && errno != EEXIST)
        return sa_error_sys(err, SA_EINVALID, errno, "making the data directory %s", path);
    dir->path = realpath(path, NULL);
    if (!dir->path || stat(dir->path, &st) < 0 || !S_ISDIR(st.st_mode))
        return sa_error_at(err, SA_EINVALID, "data-dir", "%s is not a folder", path);
    if (check_folder(dir->path, &st, err) < 0)
        return -1;
    if (shared && !(st.st_mode & S_IXOTH) && chmod(dir->path, (st.st_mode & 07777) | 0011) < 0)
        return sa_error_sys(err, SA_EINVALID, errno, "opening %s to the API's user", dir->path);
    return 0;
}

/* Hand the files of an earlier owner over (a server that used to run as another user). */
static void give_files(int folder, uid_t uid)
{
    int copy = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
    struct dirent *entry;
    if (!list) {
        sa_cleanup_close(&copy);
        return;
    }
    while ((entry = readdir(list)))
        if (entry->d_type == DT_REG)
            (void)!fchownat(folder, entry->d_name, uid, uid, AT_SYMLINK_NOFOLLOW);
    closedir(list);
}

static int make_api_folder(struct sa_datadir *dir, int64_t api_uid, struct sa_error *err)
{
    struct stat st;
    dir->api = sa_printf("%s/api", dir->path);
    if (mkdir(dir->api, 0700) < 0 && errno != EEXIST)
        return sa_error_sys(err, SA_EINVALID, errno, "making %s", dir->api);
    sa_autoclose int fd = open(dir->api, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return sa_error_sys(err, SA_EINVALID, errno, "opening %s", dir->api);
    if (api_uid < 0 || st.st_uid == (uid_t)api_uid)
        return 0;
    if (fchown(fd, (uid_t)api_uid, (gid_t)api_uid) < 0)
        return sa_error_sys(err, SA_EINVALID, errno, "giving %s to uid %lld", dir->api,
                            (long long)api_uid);
    give_files(fd, (uid_t)api_uid);
    return 0;
}

/* Is every folder above open to other users? Then the API's user gets to its own. */
static bool others_may_walk(const char *path)
{
    sa_autofree char *part = sa_strdup(path);
    struct stat st;
    for (char *slash = strrchr(part, '/'); slash; slash = strrchr(part, '/')) {
        if (stat(*part ? part : "/", &st) < 0 || !(st.st_mode & S_IXOTH))
            return false;
        *slash = '\0';
    }
    return true;
}

/* 64-bit FNV-1a of the path: a name that stays, not a secret. */
static void name_state(struct sa_datadir *dir)
{
    uint64_t hash = 0xcbf29ce484222325u;
    char text[16];
    for (const unsigned char *c = (const unsigned char *)dir->path; *c; c++)
        hash = (hash ^ *c) * 0x100000001b3u;
    sa_base32((const uint8_t *)&hash, sizeof hash, text);
    snprintf(dir->state, sizeof dir->state, "up-%s", text);
}

/* ---- the locks ---- */

static int open_lock(const char *path, struct sa_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        sa_error_sys(err, SA_EINVALID, errno, "opening %s", path);
    return fd;
}

/* Open file description locks: they end with the last copy of the descriptor (fcntl(2)). */
static bool take_lock(int fd, off_t byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static int wait_for_family(const struct sa_datadir *dir, int wait_ms, struct sa_error *err)
{
    int64_t deadline = sa_monotonic_ms() + wait_ms;
    while (!take_lock(dir->family, LOCK_FAMILY)) {
        if (sa_monotonic_ms() >= deadline)
            return sa_error_set(err, SA_ECONFLICT,
                                "processes of an earlier server in %s are still ending; try again "
                                "in a moment",
                                dir->path);
        usleep(20000);
    }
    return 0;
}

static int take_locks(struct sa_datadir *dir, int wait_ms, struct sa_error *err)
{
    sa_autofree char *path = sa_printf("%s/lock", dir->path);
    char pid[16] = "";
    if ((dir->lock = open_lock(path, err)) < 0 || (dir->family = open_lock(path, err)) < 0)
        return -1;
    if (!take_lock(dir->lock, LOCK_SUPERVISOR)) {
        ssize_t n = pread(dir->lock, pid, sizeof pid - 1, 0);
        pid[n > 0 ? n : 0] = '\0';
        return sa_error_set(err, SA_ECONFLICT,
                            "a server is running already in %s (process %.*s); use it, stop it, or "
                            "choose another --data-dir",
                            dir->path, (int)strcspn(pid, "\n"), pid);
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(dir->lock, 0) < 0 || pwrite(dir->lock, pid, (size_t)n, 0) != n)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "writing %s", path);
    return wait_for_family(dir, wait_ms, err);
}

int sa_datadir_open(struct sa_datadir *dir, const char *path, int64_t api_uid, int wait_ms,
                    struct sa_error *err)
{
    *dir = (struct sa_datadir){.lock = -1, .family = -1};
    if (make_folder(dir, path, api_uid >= 0, err) < 0 || take_locks(dir, wait_ms, err) < 0 ||
        make_api_folder(dir, api_uid, err) < 0)
        return -1;
    dir->reachable = api_uid < 0 || others_may_walk(dir->path);
    name_state(dir);
    return 0;
}

void sa_datadir_close(struct sa_datadir *dir)
{
    if (dir->lock >= 0)
        close(dir->lock);
    if (dir->family >= 0)
        close(dir->family);
    free(dir->path);
    free(dir->api);
    *dir = (struct sa_datadir){.lock = -1, .family = -1};
}
