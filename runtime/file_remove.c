/*
 * FILE_REMOVE: a file, a link (not what it points to), an empty folder, or with SA_FILE_RECURSIVE
 * a whole tree. Iterative and in slices. A tree may be deeper than there are descriptors: folders
 * below DEPTH_MAX are first moved up to the top of the tree, under names nobody has.
 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/id.h"
#include "call.h"
#include "file.h"
#include "poller.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 16,
    SLICE_ENTRIES = 256,
    RESCANS_MAX = 64, /* of one folder that somebody goes on filling */
};

/* A folder that is being emptied. levels[0] is the top of the tree, not its parent. */
struct level {
    int fd;
    int rescans;
    char name[NAME_MAX + 1];
    char buffer[4096] __attribute__((aligned(8)));
    long have, at; /* getdents64(2) */
};

struct file_remove {
    struct sa_call call;
    struct sa_task task;
    int above; /* holds the top */
    char full[PATH_MAX];
    size_t depth;
    struct level *levels[DEPTH_MAX];
    int64_t count;
};

static void pop(struct file_remove *r)
{
    struct level *level = r->levels[--r->depth];
    close(level->fd);
    free(level);
}

static void release(struct file_remove *r)
{
    sa_task_stop(&r->task);
    while (r->depth)
        pop(r);
    if (r->above >= 0)
        close(r->above);
}

static void fail(struct file_remove *r, const struct sa_error *error)
{
    release(r);
    sa_call_fail(&r->call, error);
}

static void fail_errno(struct file_remove *r, int error_number)
{
    struct sa_error error;
    sa_path_error(&error, error_number, r->full);
    fail(r, &error);
}

static void finish(struct file_remove *r)
{
    sa_autobuf out = SA_BUF_INIT;
    sa_fields_add_int(&out, SA_FILE_COUNT, r->count);
    release(r);
    sa_call_end(&r->call, &out);
}

/* Open a folder in order to empty it. One that is closed to its owner is opened up first. */
static int push(struct file_remove *r, int above, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(above, name, flags);
    struct stat st;
    if (fd < 0 && errno == EACCES && fstatat(above, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(st.st_mode) && fchmodat(above, name, 0700, 0) == 0)
        fd = openat(above, name, flags);
    if (fd < 0)
        return -1;
    struct level *level = sa_alloc(sizeof *level);
    level->fd = fd;
    snprintf(level->name, sizeof level->name, "%s", name);
    r->levels[r->depth++] = level;
    return 0;
}

/* The next name in the innermost folder, NULL at the end of a scan. */
static const char *next_name(struct level *level)
{
    for (;;) {
        if (level->at >= level->have) {
            level->at = 0;
            level->have = syscall(SYS_getdents64, level->fd, level->buffer, sizeof level->buffer);
            if (level->have <= 0)
                return NULL;
        }
        struct dirent64 *entry = (struct dirent64 *)(void *)(level->buffer + level->at);
        level->at += entry->d_reclen;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return entry->d_name;
    }
}

/* Too deep: hang the folder into the top, where it will be met again. */
static int move_up(struct file_remove *r, struct level *level, const char *name)
{
    char moved[SA_ID_BYTES];
    sa_id_new(".sa-rm-", moved);
    if (renameat(level->fd, name, r->levels[0]->fd, moved) < 0)
        return -1;
    r->levels[0]->rescans = 0; /* the top is scanned again until it can be removed */
    return 0;
}

/* Remove one entry, or begin with a folder. 0, or -1 with errno. */
static int remove_entry(struct file_remove *r, struct level *level, const char *name)
{
    if (unlinkat(level->fd, name, 0) == 0 || unlinkat(level->fd, name, AT_REMOVEDIR) == 0) {
        r->count++;
        return 0;
    }
    if (errno == ENOENT)
        return 0;
    if (errno == EACCES && fchmod(level->fd, 0700) == 0 && !level->rescans)
        return 0;           /* opened up: the next scan tries again */
    if (errno == ENOTDIR) { /* a file after all, that unlink refused: say why */
        unlinkat(level->fd, name, 0);
        return -1;
    }
    if (errno != ENOTEMPTY && errno != EEXIST && errno != EACCES)
        return -1;
    return r->depth == DEPTH_MAX ? move_up(r, level, name) : push(r, level->fd, name);
}

/* The innermost folder was scanned to its end. 0, or -1 with errno. */
static int leave(struct file_remove *r)
{
    struct level *level = r->levels[r->depth - 1];
    int above = r->depth > 1 ? r->levels[r->depth - 2]->fd : r->above;
    if (unlinkat(above, level->name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
        r->count += errno != ENOENT;
        pop(r);
        return 0;
    }
    if ((errno != ENOTEMPTY && errno != EEXIST) || ++level->rescans == RESCANS_MAX)
        return -1;
    level->at = level->have = 0;
    return lseek(level->fd, 0, SEEK_SET) < 0 ? -1 : 0;
}

static void step(struct sa_task *task)
{
    struct file_remove *r = sa_container_of(task, struct file_remove, task);
    for (int i = 0; i < SLICE_ENTRIES; i++) {
        if (!r->depth) {
            finish(r);
            return;
        }
        struct level *level = r->levels[r->depth - 1];
        const char *name = next_name(level);
        int result = name ? remove_entry(r, level, name) : leave(r);
        if (result < 0) {
            fail_errno(r, errno);
            return;
        }
    }
}

static void on_canceled(struct sa_call *call)
{
    struct sa_error error;
    sa_error_set(&error, SA_ECANCELED, "canceled");
    fail((struct file_remove *)call, &error);
}

static const struct sa_method method = {.canceled = on_canceled};

/* Everything but a tree is done at once: 1. 0: a tree has been begun. */
static int start(struct file_remove *r, const void *body, size_t length, struct sa_error *err)
{
    sa_auto_file_request request;
    struct sa_place place;
    const char *name;
    if (sa_file_request_decode(&request, body, length, err) < 0 ||
        sa_place_parse(&place, request.path, err) < 0)
        return -1;
    r->above = sa_place_parent(&place, false, &name, err);
    if (r->above < 0)
        return -1;
    snprintf(r->full, sizeof r->full, "%s", place.full);
    if (unlinkat(r->above, name, 0) == 0 ||
        (errno == EISDIR && unlinkat(r->above, name, AT_REMOVEDIR) == 0)) {
        r->count = 1;
        return 1;
    }
    if (!request.recursive || (errno != ENOTEMPTY && errno != EEXIST))
        return sa_path_error(err, errno, place.full);
    if (push(r, r->above, name) < 0)
        return sa_path_error(err, errno, place.full);
    return 0;
}

void sa_file_remove_open(struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_error error;
    struct file_remove *r = sa_call_new(sizeof *r, &method, stream);
    r->above = -1;
    r->task.step = step;
    int result = start(r, body, length, &error);
    if (result < 0)
        fail(r, &error);
    else if (result > 0)
        finish(r);
    else
        sa_task_start(&r->task);
}
