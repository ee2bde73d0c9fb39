#include "native/folder.h"

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/fdio.h"
#include "base/unix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { LINK_BUFFER_BYTES = 2 << 20, NAME_BYTES = SA_ID_BYTES + 8, PAGE_BYTES = 4096 };

/* No id has a colon. */
static const char door_mark[] = ":door", new_mark[] = ":new";

int sa_folder_open(const char *path, struct sa_error *err)
{
    struct stat st;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return sa_error_sys(err, SA_EINVALID, errno, "cannot make the state folder %s", path);
    sa_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return sa_error_sys(err, SA_EINVALID, errno, "cannot open the state folder %s", path);
    if (st.st_uid != geteuid())
        return sa_error_at(err, SA_EINVALID, "state-dir", "%s belongs to user %u", path,
                           (unsigned)st.st_uid);
    if (fchmod(fd, 0700) < 0)
        return sa_error_sys(err, SA_EINVALID, errno, "cannot shut the state folder %s", path);
    return sa_steal_fd(&fd);
}

static void name_of(const char *id, const char *mark, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%s%s", id, mark);
}

/* Only numbers of fixed width change in a record, so that it most often has its length already:
 * then one write within a page replaces it whole, whoever is killed meanwhile. A file that is
 * renamed over another one is first written to the disk (ext4(5), auto_da_alloc), which takes
 * milliseconds. */
static bool overwrite(int folder, const char *id, const struct sa_buf *body)
{
    struct stat st;
    sa_autoclose int fd = openat(folder, id, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
           st.st_size == (off_t)body->length && body->length <= PAGE_BYTES &&
           pwrite(fd, body->data, body->length, 0) == (ssize_t)body->length;
}

/* Not synced to the disk: it means nothing once the host has gone down. */
int sa_folder_save(int folder, const struct sa_record *record, struct sa_error *err)
{
    char name[NAME_BYTES];
    sa_autobuf body = SA_BUF_INIT;
    sa_record_encode(record, &body);
    if (overwrite(folder, record->id, &body))
        return 0;
    name_of(record->id, new_mark, name);
    sa_autoclose int fd =
        openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || sa_write_all(fd, body.data, body.length) < 0 ||
        renameat(folder, name, folder, record->id) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno,
                            "cannot write the record of a sandbox in the state folder");
    return 0;
}

static bool load(int folder, const char *name, struct sa_record *record)
{
    struct stat st;
    char body[SA_RECORD_BYTES_MAX];
    sa_autoclose int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)sizeof body)
        return false;
    ssize_t n = read(fd, body, sizeof body);
    return n > 0 && sa_record_decode(body, (size_t)n, record, NULL) == 0 &&
           strcmp(record->id, name) == 0;
}

static bool is_door(const char *name)
{
    const char *colon = strchr(name, ':');
    return colon && strcmp(colon, door_mark) == 0;
}

/* Doors to which there is no record lead nowhere. */
static void remove_stray_doors(int folder, DIR *list)
{
    rewinddir(list);
    for (struct dirent *entry; (entry = readdir(list));) {
        char id[sizeof entry->d_name];
        snprintf(id, sizeof id, "%.*s", (int)strcspn(entry->d_name, ":"), entry->d_name);
        if (is_door(entry->d_name) && faccessat(folder, id, F_OK, 0) < 0)
            unlinkat(folder, entry->d_name, 0);
    }
}

size_t sa_folder_load(int folder, struct sa_record *records, size_t most)
{
    size_t count = 0;
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (!list) {
        sa_cleanup_close(&copy);
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(list));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            is_door(entry->d_name))
            continue;
        if (count < most && load(folder, entry->d_name, &records[count]))
            count++;
        else
            unlinkat(folder, entry->d_name, 0);
    }
    remove_stray_doors(folder, list);
    closedir(list);
    return count;
}

void sa_folder_remove(int folder, const char *id)
{
    char door[NAME_BYTES];
    name_of(id, door_mark, door);
    unlinkat(folder, id, 0);
    sa_failpoint("node.destroy.record");
    unlinkat(folder, door, 0);
}

int sa_door_make(int folder, const char *id)
{
    char door[NAME_BYTES];
    name_of(id, door_mark, door);
    int fd = sa_unix_bind(folder, door, SOCK_DGRAM);
    if (fd >= 0 || errno != EADDRINUSE)
        return fd;
    unlinkat(folder, door, 0); /* of one that nobody knows any more */
    return sa_unix_bind(folder, door, SOCK_DGRAM);
}

/* Large buffers keep streams flowing: with privilege beyond the host's cap, else up to it. */
static void enlarge(int fd)
{
    const int bytes = LINK_BUFFER_BYTES;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

int sa_door_hand_in(int folder, const char *id, struct sa_error *err)
{
    char door[NAME_BYTES];
    int pair[2];
    name_of(id, door_mark, door);
    sa_autoclose int at = sa_unix_connect(folder, door, SOCK_DGRAM);
    if (at < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "cannot reach the sandbox");
    sa_autoclose int ours = pair[0], theirs = pair[1];
    enlarge(ours);
    enlarge(theirs);
    if (sa_send_fds(at, "", 1, &theirs, 1, MSG_DONTWAIT) != 1)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "the sandbox takes no connection");
    return sa_steal_fd(&ours);
}
