#include "sealer.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Files are stamped with this clock, which moves with the kernel's ticks, or with a finer one that
 * is never behind it. So once it is past a time stamp, no change gets that stamp any more. */
bool sa_sealer_is_settled(const struct sa_facts *f)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return f->ctime_ns < now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int failed(const struct sa_sealer *s, uint32_t index, struct sa_error *err)
{
    char path[sizeof err->path];
    int error = errno;
    sa_manifest_show(s->manifest, index, NULL, path, sizeof path);
    if (error == E2BIG)
        return sa_error_at(err, SA_EQUOTA, path, "%s: too many extended attributes to remember",
                           path);
    sa_error_sys(err, SA_EFORBIDDEN, error, "%s: cannot be looked at", path);
    if (err)
        memcpy(err->path, path, sizeof path);
    return -1;
}

/* --- one entry --- */

static void done(struct sa_sealer *s, uint32_t index)
{
    struct sa_entry *e = &s->manifest->entries[index];
    e->settled = sa_sealer_is_settled(&e->facts);
}

/* 1: all of it is known, 0: its bytes are being read. */
static int look_at(struct sa_sealer *s, uint32_t index, int folder, const char *name)
{
    struct sa_facts *f = &s->manifest->entries[index].facts;
    if (sa_look_stat(folder, name, f) < 0)
        return -1;
    s->manifest->entries[index].fixed = sa_look_is_fixed(f);
    if (s->manifest->entries[index].fixed && !S_ISDIR(f->mode))
        return 1;
    sa_autoclose int fd = sa_look_open(folder, name, f);
    if ((fd < 0 && errno) || sa_look_closer(fd, folder, name, f) < 0)
        return -1;
    if (!S_ISREG(f->mode) || !f->size)
        return 1;
    s->reading = index;
    sa_reader_begin(&s->reader, sa_steal_fd(&fd), (int64_t)f->size);
    return 0;
}

static int read_on(struct sa_sealer *s, struct sa_error *err)
{
    int64_t before = s->reader.bytes;
    int result = sa_reader_step(&s->reader, s->manifest->entries[s->reading].facts.content);
    s->manifest->bytes += s->reader.bytes - before;
    if (result < 0)
        return failed(s, s->reading, err);
    if (s->manifest->bytes > SA_MANIFEST_BYTES_MAX)
        return sa_error_set(err, SA_EQUOTA, "more than %lld bytes of files to remember",
                            (long long)SA_MANIFEST_BYTES_MAX);
    if (result > 0)
        done(s, s->reading);
    return 0;
}

/* --- a folder --- */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
    char **items;
    size_t count, capacity;
};

static void free_names(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->items[i]);
    free(n->items);
}

static void add_name(struct names *n, const char *name)
{
    if (n->count == n->capacity) {
        n->capacity = n->capacity ? 2 * n->capacity : 32;
        n->items = sa_realloc(n->items, n->capacity * sizeof *n->items);
    }
    n->items[n->count++] = sa_strdup(name);
}

/* Without a DIR, which costs five more system calls for each folder. */
static int collect(int folder, struct names *n, uint8_t order[SA_DIGEST_BYTES])
{
    static _Alignas(8) char buffer[16 * 1024];
    struct sa_digest digest;
    long have = 0;
    while (n->count <= SA_MANIFEST_ENTRIES_MAX &&
           (have = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0) {
        const struct dirent64 *d;
        for (long at = 0; at < have; at += d->d_reclen) {
            d = (const struct dirent64 *)(const void *)(buffer + at);
            if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
                add_name(n, d->d_name);
        }
    }
    sa_digest_init(&digest);
    for (size_t i = 0; i < n->count; i++)
        sa_digest_add(&digest, n->items[i], strlen(n->items[i]) + 1);
    sa_digest_end(&digest, order);
    if (n->count)
        qsort(n->items, n->count, sizeof *n->items, by_bytes);
    return have < 0 ? -1 : 0;
}

static int add_children(struct sa_sealer *s, const struct names *names, struct sa_error *err)
{
    struct sa_manifest *m = s->manifest;
    m->entries[s->at].first = (uint32_t)m->count;
    m->entries[s->at].count = (uint32_t)names->count;
    s->next = (uint32_t)m->count;
    s->end = s->next + (uint32_t)names->count;
    for (size_t i = 0; i < names->count; i++)
        if (sa_manifest_add(m, s->at, names->items[i], err) < 0)
            return -1;
    return 0;
}

static int enter(struct sa_sealer *s, struct sa_error *err)
{
    struct names names = {0};
    s->folder = sa_manifest_open(s->manifest, s->at);
    if (s->folder < 0 || collect(s->folder, &names, s->manifest->entries[s->at].order) < 0) {
        free_names(&names);
        return failed(s, s->at, err);
    }
    int result = add_children(s, &names, err);
    free_names(&names);
    return result;
}

static void leave(struct sa_sealer *s)
{
    close(sa_steal_fd(&s->folder));
    s->at++;
}

/* --- the walk --- */

/* Which folders have something below that can change. Children stand behind their parents. */
static void find_open(struct sa_manifest *m)
{
    for (size_t i = m->count; i-- > 0;) {
        const struct sa_entry *e = &m->entries[i];
        if (e->parent != i && (!e->fixed || e->open_below))
            m->entries[e->parent].open_below = true;
    }
}

int sa_sealer_step(struct sa_sealer *s, struct sa_error *err)
{
    struct sa_manifest *m = s->manifest;
    if (s->reader.fd >= 0)
        return read_on(s, err);
    if (s->folder >= 0 && s->next < s->end) {
        uint32_t index = s->next++;
        int result = look_at(s, index, s->folder, sa_manifest_name(m, index));
        if (result < 0)
            return failed(s, index, err);
        if (result > 0)
            done(s, index);
        return 0;
    }
    if (s->folder >= 0)
        leave(s);
    while (s->at < m->count && (m->entries[s->at].whole || !S_ISDIR(m->entries[s->at].facts.mode)))
        s->at++;
    if (s->at < m->count)
        return enter(s, err);
    find_open(m);
    sa_manifest_seal(m);
    return 1;
}

bool sa_sealer_is_old_enough(struct sa_manifest *m)
{
    for (size_t i = 0; i < m->count && m->entries[i].parent == i; i++) {
        struct sa_entry *e = &m->entries[i];
        e->settled = e->settled || sa_sealer_is_settled(&e->facts);
        if (e->whole && !e->settled)
            return false;
    }
    return true;
}

int sa_sealer_begin(struct sa_sealer *s, struct sa_manifest *m, struct sa_error *err)
{
    struct sa_sealed_root root;
    *s = (struct sa_sealer){.manifest = m, .folder = -1, .reader.fd = -1};
    for (size_t i = 0; sa_sealed_root(i, &root); i++) {
        if (sa_manifest_add(m, (uint32_t)i, ".", err) < 0)
            return -1;
        if (look_at(s, (uint32_t)i, root.fd, ".") < 0)
            return failed(s, (uint32_t)i, err);
        m->entries[i].fixed = false;
        m->entries[i].whole = root.scratch >= 0 && sa_scratch_is_new(root.scratch);
        done(s, (uint32_t)i);
    }
    return 0;
}

void sa_sealer_deinit(struct sa_sealer *s)
{
    sa_reader_deinit(&s->reader);
    if (s->folder >= 0)
        close(sa_steal_fd(&s->folder));
}
