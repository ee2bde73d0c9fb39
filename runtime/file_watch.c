/*
 * FILE_WATCH: inotify(7) as events of paths. A folder that appears is watched first and scanned
 * then, so that nothing made in it goes unseen; the two halves of a rename are put together by
 * their cookie; what happens to the same file again and again within a moment is one event. Whoever
 * reads slower than things happen gets "overflow", and should look for himself. So does he when
 * programs make more work than is done for them: a rename costs them nothing, however much is below
 * the folder, and this process has others to serve.
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
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
    FOLDERS_MAX = 4096, /* of one call */
    PENDING_MAX = 512,
    WORK_MAX = 32768, /* folders and entries looked at for events, in each second */
    WORK_US = 1000 * 1000,
    GATHER_US = 10000,
    NOTE_BYTES = 64 * 1024,
};
static const uint32_t mask = IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM |
                             IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR |
                             IN_EXCL_UNLINK;

struct folder {
    int wd;
    char *path;
};

struct event {
    const char *type, *kind; /* constants */
    char *path, *from;       /* from: NULL but for a rename */
};

struct file_watch {
    struct sa_call call;
    struct sa_watch watch;
    struct sa_timer timer;
    bool recursive;
    struct folder *folders; /* [0] is what was asked for */
    size_t count;
    struct event pending[PENDING_MAX];
    size_t pending_count;
    int work; /* what is left of WORK_MAX since work_us */
    int64_t work_us;
    bool overflow, blocked, ready_due;
    char *moved; /* the first half of a rename, whose second has not come */
    const char *moved_kind;
    uint32_t moved_cookie;
};

/* ---- events ---- */

static void free_event(struct event *e)
{
    free(e->path);
    free(e->from);
}

static void drop_pending(struct file_watch *w)
{
    for (size_t i = 0; i < w->pending_count; i++)
        free_event(&w->pending[i]);
    w->pending_count = 0;
}

/* The same again, with nothing else about that path in between? */
static bool is_repeated(const struct file_watch *w, const char *type, const char *path)
{
    for (size_t i = w->pending_count; i-- > 0;)
        if (!strcmp(w->pending[i].path, path))
            return !strcmp(w->pending[i].type, type) ||
                   (!strcmp(type, "write") && !strcmp(w->pending[i].type, "create"));
    return false;
}

/* Takes over `from`. */
static void add_event(struct file_watch *w, const char *type, const char *kind, const char *path,
                      char *from)
{
    if (!from && !w->overflow && is_repeated(w, type, path))
        return;
    if (w->overflow || w->pending_count == PENDING_MAX || strlen(path) >= PATH_MAX) {
        w->overflow = true;
        free(from);
        return;
    }
    w->pending[w->pending_count++] = (struct event){type, kind, sa_strdup(path), from};
    if (!w->timer.armed && !w->blocked)
        sa_timer_set(&w->timer, GATHER_US);
}

static void encode(const struct event *e, struct sa_buf *out)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_EVENT_TYPE, e->type);
    sa_file_add_clean_text(&body, SA_FILE_FULL_PATH, e->path);
    sa_fields_add_text(&body, SA_FILE_TYPE, e->kind);
    if (e->from)
        sa_file_add_clean_text(&body, SA_FILE_EVENT_FROM, e->from);
    sa_fields_add_bytes(out, SA_FILE_EVENT, body.data, body.length);
}

/* As many as fit in a note and in the credit. */
static bool send_some(struct file_watch *w)
{
    sa_autobuf note = SA_BUF_INIT;
    size_t n = 0;
    while (n < w->pending_count && note.length < NOTE_BYTES)
        encode(&w->pending[n++], &note);
    bool lost = w->overflow && n == w->pending_count; /* behind what was before it */
    if (lost)
        encode(&(struct event){"overflow", "directory", w->folders[0].path, NULL}, &note);
    if (note.length && sa_stream_note(w->call.stream, note.data, note.length) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        free_event(&w->pending[i]);
    memmove(w->pending, w->pending + n, (w->pending_count - n) * sizeof *w->pending);
    w->pending_count -= n;
    w->overflow &= !lost;
    return true;
}

static void flush(struct file_watch *w)
{
    w->blocked = false;
    if (w->ready_due) {
        w->ready_due = sa_stream_note(w->call.stream, "", 0) < 0;
        w->blocked = w->ready_due;
    }
    while (!w->blocked && (w->pending_count || w->overflow))
        w->blocked = !send_some(w);
}

/* ---- folders ---- */

/* May one more thing be looked at? Who says no tells of it by "overflow". */
static bool may_work(struct file_watch *w)
{
    if (sa_poller_now_us() - w->work_us >= WORK_US) {
        w->work_us = sa_poller_now_us();
        w->work = WORK_MAX;
    }
    w->overflow |= w->work <= 0;
    return w->work-- > 0;
}

static struct folder *find(struct file_watch *w, int wd)
{
    for (size_t low = 0, high = w->count; low < high;) { /* wd are given out in ascending order */
        size_t middle = low + (high - low) / 2;
        if (w->folders[middle].wd == wd)
            return &w->folders[middle];
        if (w->folders[middle].wd < wd)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void forget(struct file_watch *w, struct folder *folder)
{
    free(folder->path);
    memmove(folder, folder + 1, (size_t)(w->folders + --w->count - folder) * sizeof *w->folders);
}

static bool is_below(const char *path, const char *folder, size_t length)
{
    return !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

/* It was renamed (to) or has left (NULL). Renames nest deeper than a path can be long: what is
 * there is not watched any more. */
static void rename_folders(struct file_watch *w, const char *from, const char *to)
{
    size_t length = strlen(from);
    for (size_t i = w->count; i-- > 1;) {
        struct folder *f = &w->folders[i];
        if (!is_below(f->path, from, length))
            continue;
        bool fits = to && strlen(to) + strlen(f->path + length) < PATH_MAX;
        if (fits && may_work(w)) {
            char *path = sa_printf("%s%s", to, f->path + length);
            free(f->path);
            f->path = path;
        } else {
            w->overflow |= to != NULL;
            inotify_rm_watch(w->watch.fd, f->wd);
            forget(w, f);
        }
    }
}

static const char *kind_of(const char *path, bool folder)
{
    struct stat st;
    if (folder)
        return "directory";
    return lstat(path, &st) == 0 ? sa_file_kind(st.st_mode) : "file";
}

/* The kind by an entry of a folder, NULL when it does not tell. */
static const char *kind_of_entry(const struct dirent *d)
{
    return d->d_type == DT_UNKNOWN ? NULL : sa_file_kind((mode_t)DTTOIF(d->d_type));
}

/* Watch the folder `fd` and what is below it. Takes over `fd`. `report`: what is found is new.
 * -1: SA_EQUOTA. */
static int add_folder(struct file_watch *w, int fd, const char *path, bool report,
                      struct sa_error *err)
{
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int wd = w->count < FOLDERS_MAX ? inotify_add_watch(w->watch.fd, self, mask) : -1;
    if (wd < 0) {
        close(fd);
        return sa_error_at(err, SA_EQUOTA, "path",
                           "%.300s: no more folders can be watched (%zu are)", path, w->count);
    }
    if (find(w, wd)) { /* seen twice: by its event and by the scan */
        close(fd);
        return 0;
    }
    w->folders = sa_realloc(w->folders, (w->count + 1) * sizeof *w->folders);
    w->folders[w->count++] = (struct folder){wd, sa_strdup(path)};
    DIR *folder = w->recursive ? fdopendir(fd) : NULL;
    if (!folder) {
        close(fd);
        return 0;
    }
    const struct dirent *d;
    int rc = 0;
    while (rc == 0 && (d = readdir(folder))) {
        sa_autofree char *below = sa_printf("%s/%s", path[1] ? path : "", d->d_name);
        if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") || strlen(below) >= PATH_MAX)
            continue;
        if (report && !may_work(w))
            break;
        const char *kind = kind_of_entry(d);
        int sub =
            kind && strcmp(kind, "directory") != 0
                ? -1
                : openat(dirfd(folder), d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (report)
            add_event(w, "create", kind ? kind : kind_of(below, sub >= 0), below, NULL);
        if (sub >= 0)
            rc = add_folder(w, sub, below, report, err);
    }
    closedir(folder);
    return rc;
}

/* A folder appeared at `path`, in the watched folder whose path is its beginning. */
static void folder_appeared(struct file_watch *w, const char *path)
{
    if (!w->recursive)
        return;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && add_folder(w, fd, path, true, NULL) < 0)
        w->overflow = true; /* what is in it will not be seen */
}

/* ---- from the kernel ---- */

/* No second half has come: it left for where nobody watches. */
static void finish_move(struct file_watch *w)
{
    if (!w->moved)
        return;
    if (!sa_id_valid(".sa-", strrchr(w->moved, '/') + 1))
        add_event(w, "remove", w->moved_kind, w->moved, NULL);
    if (!strcmp(w->moved_kind, "directory"))
        rename_folders(w, w->moved, NULL);
    free(w->moved);
    w->moved = NULL;
}

static void moved_to(struct file_watch *w, const struct inotify_event *e, const char *path)
{
    bool folder = e->mask & IN_ISDIR;
    const char *kind = kind_of(path, folder);
    if (!w->moved) {
        add_event(w, "create", kind, path, NULL);
        if (folder)
            folder_appeared(w, path);
        return;
    }
    if (folder)
        rename_folders(w, w->moved, path);
    if (sa_id_valid(".sa-", strrchr(w->moved, '/') + 1)) { /* took its place in one step */
        free(w->moved);
        add_event(w, folder ? "create" : "write", kind, path, NULL);
    } else {
        add_event(w, "rename", kind, path, w->moved);
    }
    w->moved = NULL;
}

static void on_event(struct file_watch *w, const struct inotify_event *e)
{
    struct folder *folder = find(w, e->wd);
    if (e->mask & IN_Q_OVERFLOW)
        w->overflow = true;
    if (!folder || !e->len) {
        if (folder && e->mask & IN_IGNORED && folder != w->folders)
            forget(w, folder);
        return;
    }
    if (w->moved && !(e->mask & IN_MOVED_TO && e->cookie == w->moved_cookie)) {
        finish_move(w);
        folder = find(w, e->wd);
        if (!folder) /* it has left with what was moved */
            return;
    }
    sa_autofree char *path = sa_printf("%s/%s", folder->path[1] ? folder->path : "", e->name);
    bool is_folder = e->mask & IN_ISDIR, hidden = sa_id_valid(".sa-", e->name);
    if (e->mask & IN_MOVED_TO) {
        if (!hidden)
            moved_to(w, e, path);
        return;
    }
    if (e->mask & IN_MOVED_FROM) {
        w->moved = sa_steal(&path);
        w->moved_kind = is_folder ? "directory" : "file";
        w->moved_cookie = e->cookie;
        sa_timer_set(&w->timer, GATHER_US);
    } else if (!hidden) {
        const char *type = e->mask & IN_CREATE   ? "create"
                           : e->mask & IN_DELETE ? "remove"
                           : e->mask & IN_ATTRIB ? "chmod"
                                                 : "write";
        struct stat st; /* files without a name have events, too, and a remove tells enough */
        if (e->mask & (IN_MODIFY | IN_ATTRIB) && lstat(path, &st) < 0)
            return;
        add_event(w, type,
                  e->mask & IN_DELETE ? (is_folder ? "directory" : "file")
                                      : kind_of(path, is_folder),
                  path, NULL);
        if (is_folder && e->mask & IN_CREATE)
            folder_appeared(w, path);
    }
}

static void release(struct file_watch *w)
{
    sa_timer_clear(&w->timer);
    sa_watch_close(&w->watch);
    drop_pending(w);
    for (size_t i = 0; i < w->count; i++)
        free(w->folders[i].path);
    free(w->folders);
    free(w->moved);
}

static void fail(struct file_watch *w, const struct sa_error *error)
{
    release(w);
    sa_call_fail(&w->call, error);
}

static void on_readable(struct sa_watch *watch, uint32_t events)
{
    struct file_watch *w = sa_container_of(watch, struct file_watch, watch);
    char buffer[16384] __attribute__((aligned(8)));
    bool gone = false;
    (void)events;
    ssize_t n = read(watch->fd, buffer, sizeof buffer);
    for (const char *p = buffer; n > 0 && p < buffer + n;) {
        const struct inotify_event *e = (const struct inotify_event *)(const void *)p;
        gone |= w->count && e->wd == w->folders[0].wd &&
                e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT);
        on_event(w, e);
        p += sizeof *e + e->len;
    }
    if (w->overflow && !w->timer.armed && !w->blocked)
        sa_timer_set(&w->timer, GATHER_US);
    if (gone) {
        struct sa_error error;
        finish_move(w);
        flush(w);
        sa_error_at(&error, SA_ENOTFOUND, "path", "%.300s: was removed or moved away",
                    w->folders[0].path);
        fail(w, &error);
    }
}

static void on_timer(struct sa_timer *timer)
{
    struct file_watch *w = sa_container_of(timer, struct file_watch, timer);
    finish_move(w);
    sa_timer_clear(&w->timer);
    flush(w);
}

static void on_writable(struct sa_call *call)
{
    flush((struct file_watch *)call);
}

static void on_canceled(struct sa_call *call)
{
    struct sa_error error;
    sa_error_set(&error, SA_ECANCELED, "canceled");
    fail((struct file_watch *)call, &error);
}

static const struct sa_method method = {.writable = on_writable, .canceled = on_canceled};

static int start(struct file_watch *w, const void *body, size_t length, struct sa_error *err)
{
    sa_auto_file_request request;
    struct sa_place place;
    if (sa_file_request_decode(&request, body, length, err) < 0 ||
        sa_place_parse(&place, request.path, err) < 0)
        return -1;
    w->recursive = request.recursive;
    /* Only what is the sandbox's own: what it shares with the host tells of the host. */
    sa_autoclose int fd = sa_place_open(&place, O_RDONLY | O_DIRECTORY, true, err);
    if (fd < 0)
        return -1;
    if (w->watch.fd < 0)
        return sa_error_at(err, SA_EQUOTA, "path", "too many watches are open");
    if (sa_watch_set(&w->watch, EPOLLIN) < 0)
        return sa_path_error(err, errno, place.full);
    return add_folder(w, sa_steal_fd(&fd), place.full, false, err);
}

void sa_file_watch_open(struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_error error;
    struct file_watch *w = sa_call_new(sizeof *w, &method, stream);
    w->watch =
        (struct sa_watch){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .ready = on_readable};
    w->timer.fire = on_timer;
    if (start(w, body, length, &error) < 0) {
        fail(w, &error);
        return;
    }
    w->ready_due = true;
    flush(w);
}
