/*
 * FILE_LIST: the entries of a folder, sorted by name, as NOTEs; with SA_FILE_RECURSIVE each folder
 * is followed by what is in it. A folder is read whole (its names must be sorted), up to a cap;
 * everything else is done in slices. Links are reported, never followed.
 *
 * A cursor is the path, below the folder, of the last entry that was looked at: the listing goes on
 * behind it, whether or not it is still there.
 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "call.h"
#include "file.h"
#include "glob.h"
#include "poller.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 64,
    NAMES_BYTES_MAX = 16 * 1024 * 1024, /* of one folder */
    NOTE_BYTES = 32 * 1024,
    SLICE_ENTRIES = 128,
};

struct level {
    int fd;
    size_t path_length; /* of list->path, for this folder */
    char *names;        /* "name\0name\0..." */
    char **sorted;
    size_t count, next;
    bool listed; /* the next one was listed already, before the cursor */
};

struct file_list {
    struct sa_call call;
    struct sa_task task;
    struct sa_file_request request;
    const char *after;  /* what is left of the cursor for the innermost folder; NULL: nothing */
    size_t base_length; /* of `path`: the folder that is listed, with its slash */
    size_t depth;       /* levels in use */
    struct level levels[DEPTH_MAX];
    char path[PATH_MAX], last[PATH_MAX]; /* last: with which the limit was reached */
    struct sa_buf note;
    int64_t count;
};

static void pop(struct file_list *l)
{
    struct level *level = &l->levels[--l->depth];
    close(level->fd);
    free(level->names);
    free(level->sorted);
    if (l->depth)
        l->path[l->levels[l->depth - 1].path_length] = '\0';
}

static void release(struct file_list *l)
{
    sa_task_stop(&l->task);
    while (l->depth)
        pop(l);
    sa_buf_deinit(&l->note);
    sa_file_request_deinit(&l->request);
}

static void fail(struct file_list *l, const struct sa_error *error)
{
    release(l);
    sa_call_fail(&l->call, error);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names but "." and ".." into `out`; returns how many, or -1 with errno. */
static ssize_t read_names(int fd, struct sa_buf *out)
{
    char buffer[16384] __attribute__((aligned(8)));
    ssize_t count = 0;
    long n;
    while ((n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
        for (char *p = buffer; p < buffer + n;) {
            const struct dirent64 *entry = (const struct dirent64 *)(void *)p;
            p += entry->d_reclen;
            if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
                continue;
            sa_buf_add(out, entry->d_name, strlen(entry->d_name) + 1);
            count++;
        }
        if (out->length > NAMES_BYTES_MAX) {
            errno = EOVERFLOW;
            return -1;
        }
    }
    return n < 0 ? -1 : count;
}

/* Skip what sorts before the cursor's name for this folder. If the name itself is there, it was
 * listed: only what is in it comes, behind what is left of the cursor. */
static void skip_to_cursor(struct file_list *l, struct level *level)
{
    if (!l->after)
        return;
    size_t n = strcspn(l->after, "/");
    char name[NAME_MAX + 1];
    snprintf(name, sizeof name, "%.*s", (int)n, l->after);
    while (level->next < level->count && strcmp(level->sorted[level->next], name) < 0)
        level->next++;
    level->listed = level->next < level->count && !strcmp(level->sorted[level->next], name);
    l->after = level->listed && l->after[n] ? l->after + n + 1 : NULL;
}

/* Takes over `fd`, a folder whose path is l->path. 0, or -1 with errno. */
static int push(struct file_list *l, int fd)
{
    sa_autobuf names = SA_BUF_INIT;
    ssize_t count = l->depth == DEPTH_MAX ? -1 : read_names(fd, &names);
    if (count < 0) {
        int error = l->depth == DEPTH_MAX ? EOVERFLOW : errno;
        close(fd);
        errno = error;
        return -1;
    }
    struct level *level = &l->levels[l->depth++];
    *level = (struct level){.fd = fd, .path_length = strlen(l->path), .count = (size_t)count};
    level->names = sa_buf_steal(&names);
    level->sorted = sa_alloc((size_t)count * sizeof *level->sorted);
    char *name = level->names;
    for (size_t i = 0; i < level->count; i++, name += strlen(name) + 1)
        level->sorted[i] = name;
    qsort(level->sorted, level->count, sizeof *level->sorted, by_name);
    skip_to_cursor(l, level);
    return 0;
}

static void too_much(struct file_list *l)
{
    struct sa_error error;
    sa_error_at(&error, SA_ETOOLARGE, "path", "%.300s: has too many entries or is too deep (%d)",
                l->path, DEPTH_MAX);
    fail(l, &error);
}

/* Enter a folder that was just listed. One that is gone or closed to us is left out. False: the
 * call has failed. */
static bool enter(struct file_list *l, int above, const char *name)
{
    int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || push(l, fd) == 0 || errno != EOVERFLOW)
        return true;
    too_much(l);
    return false;
}

static bool matches(const struct file_list *l)
{
    return !l->request.glob || sa_glob_match(l->request.glob, l->path + l->base_length);
}

/* The next entry of the innermost folder; false: the call has failed. */
static bool list_next(struct file_list *l)
{
    struct level *level = &l->levels[l->depth - 1];
    const char *name = level->sorted[level->next++];
    sa_autobuf entry = SA_BUF_INIT;
    int n = snprintf(l->path + level->path_length, sizeof l->path - level->path_length, "%s%s",
                     level->path_length == 1 ? "" : "/", name);
    if (n < 0 || (size_t)n >= sizeof l->path - level->path_length) {
        too_much(l);
        return false;
    }
    bool listed = level->listed;
    level->listed = false;
    if (!listed)
        l->after = NULL; /* behind the cursor */
    bool wanted = !listed && matches(l);
    if (wanted && sa_file_add_entry_at(&entry, level->fd, name, l->path) == 0) {
        sa_fields_add_bytes(&l->note, SA_FILE_ENTRY, entry.data, entry.length);
        if (++l->count == l->request.limit)
            snprintf(l->last, sizeof l->last, "%s", l->path + l->base_length);
    }
    if (l->request.recursive)
        return enter(l, level->fd, name);
    return true;
}

/* Send what is collected; false: no room yet. */
static bool send_note(struct file_list *l)
{
    if (l->note.length && sa_stream_note(l->call.stream, l->note.data, l->note.length) < 0) {
        sa_task_stop(&l->task);
        return false;
    }
    l->note.length = 0;
    return true;
}

static void finish(struct file_list *l)
{
    sa_autobuf out = SA_BUF_INIT;
    sa_fields_add_int(&out, SA_FILE_COUNT, l->count);
    if (l->depth) /* the limit ended it */
        sa_fields_add_bytes(&out, SA_FILE_CURSOR, l->last, strlen(l->last));
    release(l);
    sa_call_end(&l->call, &out);
}

static void step(struct sa_task *task)
{
    struct file_list *l = sa_container_of(task, struct file_list, task);
    for (int i = 0; i < SLICE_ENTRIES; i++) {
        if (l->note.length >= NOTE_BYTES && !send_note(l))
            return;
        while (l->depth && l->levels[l->depth - 1].next == l->levels[l->depth - 1].count)
            pop(l);
        bool full = l->request.limit && l->count == l->request.limit;
        if (!l->depth || full) {
            if (send_note(l))
                finish(l);
            return;
        }
        if (!list_next(l))
            return;
    }
}

static void on_writable(struct sa_call *call)
{
    sa_task_start(&((struct file_list *)call)->task);
}

static void on_canceled(struct sa_call *call)
{
    struct sa_error error;
    sa_error_set(&error, SA_ECANCELED, "canceled");
    fail((struct file_list *)call, &error);
}

static const struct sa_method method = {.writable = on_writable, .canceled = on_canceled};

static int check_cursor(struct file_list *l, struct sa_error *err)
{
    const struct sa_buf *cursor = &l->request.cursor;
    if (!cursor->length)
        return 0;
    if (cursor->length >= PATH_MAX || memchr(cursor->data, 0, cursor->length))
        return sa_error_at(err, SA_EINVALID, "cursor", "cursor: is none of this listing");
    l->after = cursor->data;
    return 0;
}

static int start(struct file_list *l, const void *body, size_t length, struct sa_error *err)
{
    struct sa_place place;
    if (sa_file_request_decode(&l->request, body, length, err) < 0 ||
        sa_place_parse(&place, l->request.path, err) < 0 || check_cursor(l, err) < 0)
        return -1;
    int fd = sa_place_open(&place, O_RDONLY | O_DIRECTORY, false, err);
    if (fd < 0)
        return -1;
    snprintf(l->path, sizeof l->path, "%s", place.full);
    l->base_length = strlen(l->path) + (l->path[1] ? 1 : 0);
    if (push(l, fd) == 0)
        return 0;
    if (errno == EOVERFLOW)
        return sa_error_at(err, SA_ETOOLARGE, "path", "%.300s: has too many entries", l->path);
    return sa_path_error(err, errno, l->path);
}

void sa_file_list_open(struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_error error;
    struct file_list *l = sa_call_new(sizeof *l, &method, stream);
    l->task.step = step;
    if (start(l, body, length, &error) < 0)
        fail(l, &error);
    else
        sa_task_start(&l->task);
}
