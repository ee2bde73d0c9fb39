#include "sweeper.h"

#include "base/cleanup.h"
#include "restore.h"
#include "sealer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCANS_MAX = 16 };

/* --- what is wrong --- */

static int conflict(const struct sa_sweeper *s, uint32_t folder, const char *name, const char *what,
                    int error, struct sa_error *err)
{
    char path[sizeof err->path];
    sa_manifest_show(s->manifest, folder, name, path, sizeof path);
    if (error)
        sa_error_sys(err, SA_ECONFLICT, error, "%s: %s", path, what);
    else
        sa_error_set(err, SA_ECONFLICT, "%s: %s", path, what);
    if (err)
        memcpy(err->path, path, sizeof path);
    return -1;
}

static int wrong(const struct sa_sweeper *s, uint32_t index, const char *what, int error,
                 struct sa_error *err)
{
    return conflict(s, index, NULL, what, error, err);
}

static int differs(const struct sa_sweeper *s, uint32_t index, const char *what,
                   struct sa_error *err)
{
    char path[sizeof err->path];
    sa_manifest_show(s->manifest, index, NULL, path, sizeof path);
    return sa_error_at(err, SA_ECONFLICT, path, "%s: %s changed since it was sealed", path, what);
}

/* --- comparing --- */

static bool is_unchanged(const struct sa_entry *e, const struct sa_facts *now)
{
    const struct sa_facts *f = &e->facts;
    return e->settled && f->ctime_ns == now->ctime_ns && f->ino == now->ino && f->dev == now->dev &&
           f->blocks == now->blocks;
}

/* All of it was looked at and is as it was; only ctime may be another. */
static int accept(struct sa_sweeper *s, uint32_t index, const struct sa_facts *now,
                  struct sa_error *err)
{
    struct sa_entry *e = &s->manifest->entries[index];
    const char *what = sa_look_difference(&e->facts, now);
    if (what)
        return differs(s, index, what, err);
    e->facts.ctime_ns = now->ctime_ns;
    e->settled = sa_sealer_is_settled(now);
    return 0;
}

/* --- children --- */

/* So that it can be entered and emptied; it gets its own mode back when it is left. */
static mode_t opened_up(const struct sa_entry *e)
{
    return (e->facts.mode & 07777) | 0700;
}

/* A folder is looked at when it is visited; here it is only made possible to enter it. */
static int check_folder(struct sa_sweeper *s, uint32_t index, const struct sa_facts *now,
                        struct sa_error *err)
{
    struct sa_entry *e = &s->manifest->entries[index];
    e->touched = !is_unchanged(e, now);
    if (e->touched && !e->fixed && (now->mode & 07777) != opened_up(e) &&
        fchmodat(s->folder, sa_manifest_name(s->manifest, index), opened_up(e), 0) < 0)
        return wrong(s, index, "cannot be made accessible again", errno, err);
    return 0;
}

static int check_bytes(struct sa_sweeper *s, uint32_t index, int fd, const struct sa_facts *now)
{
    s->reading = index;
    s->seen = *now;
    sa_reader_begin(&s->reader, fd, (int64_t)now->size);
    return 0;
}

/* Anything but a folder that may have changed. */
static int check_touched(struct sa_sweeper *s, uint32_t index, struct sa_facts *now,
                         struct sa_error *err)
{
    const struct sa_facts *sealed = &s->manifest->entries[index].facts;
    const char *name = sa_manifest_name(s->manifest, index);
    if (now->size != sealed->size)
        return differs(s, index, "its size", err); /* before all of it is read */
    sa_autoclose int fd = sa_look_open(s->folder, name, now);
    if (fd < 0 && errno)
        return wrong(s, index, "cannot be opened", errno, err);
    if (sa_restore(fd, s->folder, name, sealed, now) < 0)
        return wrong(s, index, "cannot be restored", errno, err);
    if (sa_look_stat(s->folder, name, now) < 0 || sa_look_closer(fd, s->folder, name, now) < 0)
        return wrong(s, index, "cannot be looked at", errno, err);
    if (S_ISREG(now->mode) && now->size)
        return check_bytes(s, index, sa_steal_fd(&fd), now);
    return accept(s, index, now, err);
}

static int check_child(struct sa_sweeper *s, uint32_t index, struct sa_error *err)
{
    const struct sa_entry *e = &s->manifest->entries[index];
    const char *name = sa_manifest_name(s->manifest, index);
    struct sa_facts now;
    s->looked++;
    if (sa_look_stat(s->folder, name, &now) < 0)
        return wrong(s, index, errno == ENOENT ? "was removed" : "cannot be looked at",
                     errno == ENOENT ? 0 : errno, err);
    if (now.ino != e->facts.ino || now.dev != e->facts.dev ||
        (now.mode & S_IFMT) != (e->facts.mode & S_IFMT))
        return wrong(s, index, "was replaced", 0, err);
    if (S_ISDIR(now.mode))
        return check_folder(s, index, &now, err);
    if (!is_unchanged(e, &now))
        return e->fixed ? accept(s, index, &now, err) : check_touched(s, index, &now, err);
    if (e->fixed || !S_ISREG(now.mode) || !now.size || sa_look_is_closed(&now))
        return 0;
    int fd = sa_look_open(s->folder, name, &now);
    if (fd < 0)
        return wrong(s, index, "cannot be opened", errno, err);
    memcpy(now.attrs, e->facts.attrs, sizeof now.attrs);
    now.flags = e->facts.flags;
    return check_bytes(s, index, fd, &now);
}

static int read_on(struct sa_sweeper *s, struct sa_error *err)
{
    int result = sa_reader_step(&s->reader, s->seen.content);
    if (result < 0)
        return wrong(s, s->reading, "cannot be read", errno, err);
    return result > 0 ? accept(s, s->reading, &s->seen, err) : 0;
}

/* --- a folder --- */

static void go_on(struct sa_sweeper *s)
{
    if (s->folder >= 0)
        close(sa_steal_fd(&s->folder));
    s->phase = SA_SWEEP_ENTER;
    s->at++;
}

/* No path leads to a root that is closed, but its descriptor does. */
static int check_root(struct sa_sweeper *s, struct sa_error *err)
{
    struct sa_entry *e = &s->manifest->entries[s->at];
    struct sa_sealed_root root = {-1, NULL, -1};
    struct sa_facts now;
    s->looked++;
    sa_sealed_root(s->at, &root);
    if (sa_look_stat(root.fd, "", &now) < 0)
        return wrong(s, s->at, "cannot be looked at", errno, err);
    e->touched = !is_unchanged(e, &now);
    if (e->touched && e->whole)
        return wrong(s, s->at, "was written to, which cannot be undone", 0, err);
    if (e->touched && (now.mode & 07777) != opened_up(e) &&
        sa_restore_mode(root.fd, opened_up(e)) < 0)
        return wrong(s, s->at, "cannot be made accessible again", errno, err);
    return 0;
}

static int enter(struct sa_sweeper *s, struct sa_error *err)
{
    struct sa_manifest *m = s->manifest;
    while (s->at < m->count && !S_ISDIR(m->entries[s->at].facts.mode))
        s->at++;
    if (s->at == m->count)
        return 1;
    const struct sa_entry *e = &m->entries[s->at];
    if (e->parent == s->at && check_root(s, err) < 0)
        return -1;
    if (!e->touched && !e->open_below) {
        go_on(s);
        return 0;
    }
    s->folder = sa_manifest_open(m, s->at);
    if (s->folder < 0)
        return wrong(s, s->at, "cannot be opened", errno, err);
    s->next = e->first;
    s->scans = 0;
    s->phase = e->touched ? SA_SWEEP_SCAN : SA_SWEEP_CHILDREN;
    return 0;
}

static int begin_scan(struct sa_sweeper *s, struct sa_error *err)
{
    int copy = openat(s->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->names = copy < 0 ? NULL : fdopendir(copy);
    s->dirty = false;
    sa_digest_init(&s->listed);
    if (s->names)
        return 0;
    if (copy >= 0)
        close(copy);
    return wrong(s, s->at, "cannot be listed", errno, err);
}

/* Scanned to its end. What was removed while it was listed may have hidden a name, so the last scan
 * is one that found nothing. */
static int end_scan(struct sa_sweeper *s, struct sa_error *err)
{
    closedir(s->names);
    s->names = NULL;
    sa_digest_end(&s->listed, s->order);
    if (!s->dirty)
        s->phase = SA_SWEEP_CHILDREN;
    else if (++s->scans == SCANS_MAX)
        return wrong(s, s->at, "does not become empty", 0, err);
    return 0;
}

static int remove_on(struct sa_sweeper *s, int result, struct sa_error *err)
{
    if (result < 0)
        return conflict(s, s->at, s->what, "cannot be removed", errno, err);
    s->removing = result == 0;
    if (s->removing)
        return 0;
    s->removed += s->remover.count;
    sa_remover_deinit(&s->remover);
    return 0;
}

static int scan(struct sa_sweeper *s, struct sa_error *err)
{
    if (s->removing)
        return remove_on(s, sa_remover_step(&s->remover), err);
    if (!s->names)
        return begin_scan(s, err);
    errno = 0;
    const struct dirent *d = readdir(s->names);
    if (!d && errno)
        return wrong(s, s->at, "cannot be listed", errno, err);
    if (!d)
        return end_scan(s, err);
    s->looked++;
    if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
        return 0;
    if (sa_manifest_find(s->manifest, s->at, d->d_name)) {
        sa_digest_add(&s->listed, d->d_name, strlen(d->d_name) + 1);
        return 0;
    }
    s->dirty = true;
    memcpy(s->what, d->d_name, strlen(d->d_name) + 1);
    return remove_on(s, sa_remover_begin(&s->remover, s->folder, s->what, 1), err);
}

static int children(struct sa_sweeper *s, struct sa_error *err)
{
    const struct sa_entry *e = &s->manifest->entries[s->at];
    if (s->reader.fd >= 0)
        return read_on(s, err);
    if (s->next < e->first + e->count)
        return check_child(s, s->next++, err);
    s->phase = SA_SWEEP_LEAVE;
    return 0;
}

static int leave(struct sa_sweeper *s, struct sa_error *err)
{
    const struct sa_entry *e = &s->manifest->entries[s->at];
    struct sa_facts now;
    if (e->touched) {
        if (memcmp(s->order, e->order, sizeof e->order) != 0)
            return differs(s, s->at, "the order of what is in it", err);
        if (sa_look_stat(s->folder, "", &now) < 0 ||
            sa_restore(s->folder, s->folder, ".", &e->facts, &now) < 0)
            return wrong(s, s->at, "cannot be restored", errno, err);
        if (sa_look_stat(s->folder, "", &now) < 0 ||
            sa_look_closer(s->folder, s->folder, ".", &now) < 0)
            return wrong(s, s->at, "cannot be looked at", errno, err);
        if (accept(s, s->at, &now, err) < 0)
            return -1;
    }
    go_on(s);
    return 0;
}

int sa_sweeper_step(struct sa_sweeper *s, struct sa_error *err)
{
    switch (s->phase) {
    case SA_SWEEP_ENTER:
        return enter(s, err);
    case SA_SWEEP_SCAN:
        return scan(s, err);
    case SA_SWEEP_CHILDREN:
        return children(s, err);
    case SA_SWEEP_LEAVE:
        break;
    }
    return leave(s, err);
}

void sa_sweeper_begin(struct sa_sweeper *s, struct sa_manifest *m, bool trusted)
{
    *s = (struct sa_sweeper){.manifest = m, .folder = -1, .reader.fd = -1};
    for (size_t i = 0; i < m->count && !trusted; i++)
        m->entries[i].settled = false;
}

void sa_sweeper_deinit(struct sa_sweeper *s)
{
    if (s->names)
        closedir(s->names);
    if (s->removing)
        sa_remover_deinit(&s->remover);
    sa_reader_deinit(&s->reader);
    if (s->folder >= 0)
        close(sa_steal_fd(&s->folder));
    s->names = NULL;
    s->removing = false;
}
