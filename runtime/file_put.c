#include "file_put.h"

#include "base/failpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_TRIES = 8 };

int sa_put_open(struct sa_put *put, int folder, const char *name)
{
    put->folder = folder;
    put->temp[0] = '\0';
    snprintf(put->name, sizeof put->name, "%s", name);
    put->fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    for (int i = 0; put->fd < 0 && i < NAME_TRIES; i++) {
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != EEXIST)
            break;
        sa_id_new(".sa-", put->temp);
        put->fd = openat(folder, put->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (put->fd < 0)
            put->temp[0] = '\0';
    }
    return put->fd < 0 ? -1 : 0;
}

/* Give the nameless file a name. As linkat(2) tells, that needs a detour for who has no privilege
 * (before Linux 6.10). */
static int link_as(const struct sa_put *put, const char *name)
{
    char path[32];
    if (linkat(put->fd, "", put->folder, name, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno == EEXIST)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", put->fd);
    return linkat(AT_FDCWD, path, put->folder, name, AT_SYMLINK_FOLLOW);
}

static int rename_to_name(struct sa_put *put, unsigned flags)
{
    sa_failpoint("runtime.file.written");
    if (renameat2(put->folder, put->temp, put->folder, put->name, flags) < 0)
        return -1;
    put->temp[0] = '\0';
    return 0;
}

int sa_put_commit(struct sa_put *put, bool keep)
{
    struct stat old;
    int created = fstatat(put->folder, put->name, &old, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
    if (!created && (keep || S_ISDIR(old.st_mode))) {
        errno = keep ? EEXIST : EISDIR;
        return -1;
    }
    if (!put->temp[0]) {
        if (created) { /* a name that is taken meanwhile stays taken when `keep` */
            if (link_as(put, put->name) == 0)
                return 1;
            if (keep)
                return -1;
        }
        sa_id_new(".sa-", put->temp);
        if (link_as(put, put->temp) < 0) {
            put->temp[0] = '\0';
            return -1;
        }
    }
    return rename_to_name(put, keep ? RENAME_NOREPLACE : 0) < 0 ? -1 : created;
}

void sa_put_close(struct sa_put *put)
{
    sa_put_abandon(put);
    if (put->fd >= 0)
        close(put->fd);
    if (put->folder >= 0)
        close(put->folder);
    put->fd = put->folder = -1;
}

void sa_put_abandon(struct sa_put *put)
{
    if (put->temp[0])
        unlinkat(put->folder, put->temp, 0);
    put->temp[0] = '\0';
}
