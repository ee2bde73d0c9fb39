#include "manifest.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void sa_manifest_deinit(struct sa_manifest *m)
{
    free(m->entries);
    free(m->names);
    *m = (struct sa_manifest){0};
}

static uint32_t add_name(struct sa_manifest *m, const char *name)
{
    size_t length = strlen(name) + 1, at = m->names_length;
    if (at + length > m->names_capacity) {
        m->names_capacity = 2 * m->names_capacity + length + 4096;
        m->names = sa_realloc(m->names, m->names_capacity);
    }
    memcpy(m->names + at, name, length);
    m->names_length += length;
    return (uint32_t)at;
}

int64_t sa_manifest_add(struct sa_manifest *m, uint32_t parent, const char *name,
                        struct sa_error *err)
{
    if (m->count == SA_MANIFEST_ENTRIES_MAX)
        return sa_error_set(err, SA_EQUOTA, "more than %d files and folders to remember",
                            SA_MANIFEST_ENTRIES_MAX);
    if (m->names_length > SA_MANIFEST_NAMES_MAX)
        return sa_error_set(err, SA_EQUOTA, "more than %d bytes of names to remember",
                            SA_MANIFEST_NAMES_MAX);
    if (m->count == m->capacity) {
        m->capacity = m->capacity ? 2 * m->capacity : 64;
        m->entries = sa_realloc(m->entries, m->capacity * sizeof *m->entries);
    }
    m->entries[m->count] = (struct sa_entry){.parent = parent, .name = add_name(m, name)};
    return (int64_t)m->count++;
}

const char *sa_manifest_name(const struct sa_manifest *m, uint32_t index)
{
    return m->names + m->entries[index].name;
}

bool sa_sealed_root(size_t index, struct sa_sealed_root *root)
{
    for (size_t i = 0; i < sa_boot.root_count; i++) {
        const struct sa_root *r = &sa_boot.roots[i];
        if (r->writable && index-- == 0) {
            *root = (struct sa_sealed_root){r->fd, r->path, -1};
            return true;
        }
    }
    if (index >= sa_boot.scratch_count)
        return false;
    const struct sa_root *r = &sa_boot.scratch[index];
    *root = (struct sa_sealed_root){r->fd, r->path, (int)index};
    return true;
}

/* The path below the root, in the end of `buffer`; NULL when it is too long. */
static char *path_of(const struct sa_manifest *m, uint32_t index, char buffer[PATH_MAX],
                     uint32_t *root)
{
    char *at = buffer + PATH_MAX - 1;
    *at = '\0';
    while (m->entries[index].parent != index) {
        const char *name = sa_manifest_name(m, index);
        size_t length = strlen(name);
        if (length + 1 > (size_t)(at - buffer))
            return NULL;
        if (*at)
            *--at = '/';
        at -= length;
        memcpy(at, name, length);
        index = m->entries[index].parent;
    }
    *root = index;
    return at;
}

int sa_manifest_open(const struct sa_manifest *m, uint32_t index)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    struct sa_sealed_root root;
    char buffer[PATH_MAX];
    uint32_t number;
    const char *path = path_of(m, index, buffer, &number);
    if (!path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (!sa_sealed_root(number, &root)) {
        errno = EBADF;
        return -1;
    }
    return (int)syscall(SYS_openat2, root.fd, path[0] ? path : ".", &how, sizeof how);
}

struct sa_entry *sa_manifest_find(const struct sa_manifest *m, uint32_t folder, const char *name)
{
    uint32_t low = m->entries[folder].first, high = low + m->entries[folder].count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(sa_manifest_name(m, middle), name);
        if (order == 0)
            return &m->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* --- the fingerprint --- */

/* Not the numbers of device and inode and the time of the last change, which nobody inside can set
 * and which undoing a change does not bring back. */
static void add_record(struct sa_digest *digest, const struct sa_manifest *m, uint32_t index)
{
    const struct sa_entry *e = &m->entries[index];
    const struct sa_facts *f = &e->facts;
    const uint64_t numbers[] = {e->parent, f->mode, f->uid,    f->gid,  f->links,
                                f->flags,  f->size, f->blocks, f->rdev, (uint64_t)f->mtime_ns};
    const char *name = sa_manifest_name(m, index);
    sa_digest_add(digest, name, strlen(name) + 1);
    sa_digest_add(digest, numbers, sizeof numbers);
    sa_digest_add(digest, f->attrs, sizeof f->attrs);
    sa_digest_add(digest, f->content, sizeof f->content);
}

void sa_manifest_seal(struct sa_manifest *m)
{
    struct sa_digest digest;
    sa_digest_init(&digest);
    for (uint32_t i = 0; i < m->count; i++)
        add_record(&digest, m, i);
    sa_digest_end(&digest, m->tree);
}

/* --- for messages --- */

/* Plain ASCII, whatever the bytes are; what does not fit is left out in front, where the end tells
 * more. */
static void add_printable(struct sa_buf *out, const char *bytes)
{
    for (const unsigned char *p = (const unsigned char *)bytes; *p; p++) {
        if (*p < ' ' || *p >= 0x7f || *p == '\\')
            sa_buf_printf(out, "\\x%02x", *p);
        else
            sa_buf_addc(out, (char)*p);
    }
}

void sa_manifest_show(const struct sa_manifest *m, uint32_t folder, const char *name, char *out,
                      size_t size)
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_sealed_root root = {-1, "?", -1};
    char buffer[PATH_MAX];
    uint32_t number = 0;
    const char *path = path_of(m, folder, buffer, &number);
    sa_sealed_root(number, &root);
    add_printable(&text, root.path);
    if (!path || path[0])
        sa_buf_addc(&text, '/');
    add_printable(&text, path ? path : "...");
    if (name) {
        sa_buf_addc(&text, '/');
        add_printable(&text, name);
    }
    if (text.length < size)
        snprintf(out, size, "%s", text.data);
    else
        snprintf(out, size, "...%s", text.data + text.length - (size - 4));
}
