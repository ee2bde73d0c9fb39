/*
 * FILE_IMPORT: a tree as one stream of NOTEs and DATA, put below a folder. Each entry is opened
 * beneath that folder with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, so that no link, whoever made it
 * and when, is gone through; a file takes its place in one step (file_put.h).
 */
#include "base/cleanup.h"
#include "base/utf8.h"
#include "call.h"
#include "file.h"
#include "file_put.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MODE_UNKNOWN = -1 };

struct entry {
    char name[PATH_MAX], target[PATH_MAX], type[16];
    int64_t mode, modified_ms;
};

struct file_import {
    struct sa_call call;
    int top;
    char full[PATH_MAX];
    bool writing; /* `put` is the file of `entry` */
    struct sa_put put;
    struct entry entry;
    int64_t count;
    int above; /* the folder of the last entry, and its path: mostly the next one's, too */
    char above_path[PATH_MAX];
};

static void release(struct file_import *i)
{
    if (i->writing)
        sa_put_close(&i->put);
    if (i->top >= 0)
        close(i->top);
    if (i->above >= 0)
        close(i->above);
}

/* The error names the entry, and what is in place already. */
static void fail(struct file_import *i, const struct sa_error *error)
{
    struct sa_error named;
    sa_error_at(&named, error->code, i->entry.name[0] ? i->entry.name : error->path,
                "%.300s (%lld entries were put in place before)", error->message,
                (long long)i->count);
    named.sys_errno = error->sys_errno;
    release(i);
    sa_call_fail(&i->call, &named);
}

static int entry_error(const struct file_import *i, struct sa_error *err)
{
    if (errno == ELOOP)
        return sa_error_at(err, SA_EFORBIDDEN, "path", "%.300s: a link is in the way",
                           i->entry.name);
    return sa_path_error(err, errno, i->entry.name);
}

static int open_beneath(int folder, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

/* The folder at the relative `path`; what is missing of it is made. -1 with errno. */
static int make_folders(int top, const char *path)
{
    char part[PATH_MAX];
    sa_autoclose int above = open_beneath(top, ".");
    for (const char *p = path; above >= 0 && *p;) {
        size_t n = strcspn(p, "/");
        snprintf(part, sizeof part, "%.*s", (int)n, p);
        int fd = open_beneath(above, part);
        if (fd < 0 && errno == ENOENT && (mkdirat(above, part, 0755) == 0 || errno == EEXIST))
            fd = open_beneath(above, part);
        if (fd < 0)
            return -1;
        close(above);
        above = fd;
        p += n + (p[n] == '/');
    }
    return sa_steal_fd(&above);
}

/* The folder that holds the entry, and its name there. */
static int open_above(struct file_import *i, const char **name, struct sa_error *err)
{
    char path[PATH_MAX];
    const char *slash = strrchr(i->entry.name, '/');
    *name = slash ? slash + 1 : i->entry.name;
    snprintf(path, sizeof path, "%.*s", slash ? (int)(slash - i->entry.name) : 0, i->entry.name);
    if (i->above >= 0 && !strcmp(path, i->above_path))
        return 0;
    if (i->above >= 0)
        close(i->above);
    i->above = open_beneath(i->top, path[0] ? path : ".");
    if (i->above < 0 && errno == ENOENT)
        i->above = make_folders(i->top, path);
    snprintf(i->above_path, sizeof i->above_path, "%s", path);
    return i->above < 0 ? entry_error(i, err) : 0;
}

/* ---- entries ---- */

static void set_times(const struct file_import *i, struct timespec times[2])
{
    times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
    times[1] = (struct timespec){.tv_sec = i->entry.modified_ms / 1000};
    if (!i->entry.modified_ms)
        times[1].tv_nsec = UTIME_OMIT;
}

static int put_folder(struct file_import *i, const char *name, struct sa_error *err)
{
    struct stat st;
    mode_t mode = i->entry.mode < 0 ? 0755 : (mode_t)i->entry.mode;
    if (mkdirat(i->above, name, mode | 0700) == 0)
        return 0;
    if (errno != EEXIST || fstatat(i->above, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return entry_error(i, err);
    if (S_ISDIR(st.st_mode))
        return 0;
    return sa_error_at(err, SA_ECONFLICT, "path", "%.300s: exists and is not a folder",
                       i->entry.name);
}

/* Made under a hidden name first, so that it replaces in one step. */
static int put_link(struct file_import *i, const char *name, struct sa_error *err)
{
    char temp[SA_ID_BYTES];
    struct timespec times[2];
    if (symlinkat(i->entry.target, i->above, name) == 0)
        return 0;
    if (errno != EEXIST)
        return entry_error(i, err);
    sa_id_new(".sa-", temp);
    set_times(i, times);
    if (symlinkat(i->entry.target, i->above, temp) == 0) {
        if (renameat(i->above, temp, i->above, name) == 0)
            return 0;
        int error = errno;
        unlinkat(i->above, temp, 0);
        errno = error;
    }
    return entry_error(i, err);
}

static int begin_file(struct file_import *i, const char *name, struct sa_error *err)
{
    int folder = fcntl(i->above, F_DUPFD_CLOEXEC, 0);
    if (folder < 0)
        return entry_error(i, err);
    i->writing = true;
    return sa_put_open(&i->put, folder, name) < 0 ? entry_error(i, err) : 0;
}

/* The next NOTE or EOF came: what was being written is whole. */
static int end_file(struct file_import *i, struct sa_error *err)
{
    struct timespec times[2];
    if (!i->writing)
        return 0;
    set_times(i, times);
    mode_t mode = i->entry.mode < 0 ? 0644 : (mode_t)i->entry.mode;
    if (fchmod(i->put.fd, mode) < 0 || futimens(i->put.fd, times) < 0 ||
        sa_put_commit(&i->put, false) < 0)
        return entry_error(i, err);
    sa_put_close(&i->put);
    i->writing = false;
    i->count++;
    return 0;
}

/* ---- the stream ---- */

static int text(const struct sa_field *f, char *out, size_t size)
{
    if (f->length >= size || memchr(f->data, 0, f->length))
        return -1;
    memcpy(out, f->data, f->length);
    out[f->length] = '\0';
    return 0;
}

static int read_entry(struct entry *e, const void *body, size_t length, struct sa_error *err)
{
    struct sa_fields fields;
    struct sa_field f;
    int bad = 0;
    *e = (struct entry){.mode = MODE_UNKNOWN};
    sa_fields_init(&fields, body, length);
    while (sa_fields_next(&fields, &f, NULL) > 0) {
        if (f.tag == SA_FILE_NAME)
            bad |= text(&f, e->name, sizeof e->name);
        else if (f.tag == SA_FILE_TARGET)
            bad |= text(&f, e->target, sizeof e->target);
        else if (f.tag == SA_FILE_TYPE)
            bad |= text(&f, e->type, sizeof e->type);
        else if (f.tag == SA_FILE_MODE)
            bad |= sa_field_int(&f, &e->mode, NULL) < 0 || e->mode > 0777;
        else if (f.tag == SA_FILE_MODIFIED_MS)
            bad |= sa_field_int(&f, &e->modified_ms, NULL) < 0;
    }
    if (bad || !e->name[0] || e->name[0] == '/')
        return sa_error_at(err, SA_EINVALID, "path", "the entry has no good name or attributes");
    return 0;
}

static int take_entry(struct file_import *i, const void *body, size_t length, struct sa_error *err)
{
    const char *name;
    if (end_file(i, err) < 0)
        return -1;
    if (length == 0)
        return 0;
    if (read_entry(&i->entry, body, length, err) < 0 || open_above(i, &name, err) < 0)
        return -1;
    if (!name[0] || !strcmp(name, ".") || !strcmp(name, ".."))
        return sa_error_at(err, SA_EINVALID, "path", "%.300s: is no name", i->entry.name);
    if (!strcmp(i->entry.type, "file"))
        return begin_file(i, name, err);
    if (strcmp(i->entry.type, "directory") != 0 && strcmp(i->entry.type, "symlink") != 0)
        return sa_error_at(err, SA_EINVALID, "path", "%.300s: has no known type", i->entry.name);
    int rc =
        !strcmp(i->entry.type, "directory") ? put_folder(i, name, err) : put_link(i, name, err);
    i->count += rc == 0;
    return rc;
}

static void on_note(struct sa_call *call, const void *body, size_t length)
{
    struct file_import *i = (struct file_import *)call;
    struct sa_error error;
    if (take_entry(i, body, length, &error) < 0)
        fail(i, &error);
}

static void on_data(struct sa_call *call, enum sa_link_channel channel, const void *data,
                    size_t length)
{
    struct file_import *i = (struct file_import *)call;
    const char *from = data;
    struct sa_error error;
    size_t left = channel == SA_CHANNEL_IN && i->writing ? length : 0;
    while (left) {
        ssize_t n = write(i->put.fd, from, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n < 0 ? errno : ENOSPC;
            entry_error(i, &error);
            fail(i, &error);
            return;
        }
        from += n;
        left -= (size_t)n;
    }
    sa_stream_consume(call->stream, length);
}

static void on_eof(struct sa_call *call, enum sa_link_channel channel)
{
    struct file_import *i = (struct file_import *)call;
    struct sa_error error;
    sa_autobuf out = SA_BUF_INIT;
    if (channel != SA_CHANNEL_IN)
        return;
    if (end_file(i, &error) < 0) {
        fail(i, &error);
        return;
    }
    sa_fields_add_int(&out, SA_FILE_COUNT, i->count);
    release(i);
    sa_call_end(call, &out);
}

static void on_canceled(struct sa_call *call)
{
    struct sa_error error;
    sa_error_set(&error, SA_ECANCELED, "canceled");
    fail((struct file_import *)call, &error);
}

static void on_abandon(struct sa_call *call)
{
    struct file_import *i = (struct file_import *)call;
    if (i->writing)
        sa_put_abandon(&i->put);
}

static const struct sa_method method = {.note = on_note,
                                        .data = on_data,
                                        .eof = on_eof,
                                        .canceled = on_canceled,
                                        .abandon = on_abandon};

static int start(struct file_import *i, const void *body, size_t length, struct sa_error *err)
{
    sa_auto_file_request request;
    struct sa_place place;
    if (sa_file_request_decode(&request, body, length, err) < 0 ||
        sa_place_parse(&place, request.path, err) < 0 ||
        sa_place_mkdir(&place, 0755, true, err) < 0)
        return -1;
    snprintf(i->full, sizeof i->full, "%s", place.full);
    i->top = sa_place_open(&place, O_PATH | O_DIRECTORY, true, err);
    return i->top < 0 ? -1 : 0;
}

void sa_file_import_open(struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_error error;
    struct file_import *i = sa_call_new(sizeof *i, &method, stream);
    i->top = i->above = i->put.fd = i->put.folder = -1;
    if (start(i, body, length, &error) < 0)
        fail(i, &error);
}
