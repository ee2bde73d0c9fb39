/*
 * A bundle as one file, for the last good generation:
 *
 *     "sarules1", u32 files, then for each in the order of names
 *         u32 length of name, of origin, of text; name, origin, text
 *     64 hexadecimal digits: the bundle's digest
 *
 * Integers are little-endian. It is written beside its place and renamed over it, so that a crash
 * leaves the old one or the new one; and it is checked when it is read as if somebody else had
 * written it.
 */
#include "lua/bundle_build.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "lua/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char magic[] = "sarules1";
enum {
    MAGIC_BYTES = sizeof magic - 1,
    DIGEST_BYTES = 64,
    HEADER_BYTES = 12, /* of a file */
    SAVED_MAX = SA_BUNDLE_BYTES_MAX + SA_BUNDLE_FILES_MAX * (HEADER_BYTES + PATH_MAX + 512),
};

/* ---- writing ---- */

static void put_u32(struct sa_buf *out, size_t value)
{
    const char bytes[4] = {(char)value, (char)(value >> 8), (char)(value >> 16),
                           (char)(value >> 24)};
    sa_buf_add(out, bytes, sizeof bytes);
}

static void put_bundle(const struct sa_bundle *bundle, struct sa_buf *out)
{
    sa_buf_add(out, magic, MAGIC_BYTES);
    put_u32(out, sa_bundle_count(bundle));
    for (size_t i = 0; i < sa_bundle_count(bundle); i++) {
        const struct sa_bundle_file *file = sa_bundle_file(bundle, i);
        put_u32(out, strlen(file->name));
        put_u32(out, strlen(file->origin));
        put_u32(out, file->length);
        sa_buf_adds(out, file->name);
        sa_buf_adds(out, file->origin);
        sa_buf_add(out, file->text, file->length);
    }
    sa_buf_add(out, sa_bundle_digest(bundle), DIGEST_BYTES);
}

/* The rename itself is on disk only once its folder is. */
static int sync_folder(const char *path, struct sa_error *err)
{
    sa_autofree char *copy = sa_strdup(path);
    sa_autoclose int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return sa_error_sys(err, SA_EINTERNAL, errno, "cannot keep the rules in %s", path);
    return 0;
}

int sa_bundle_save(const struct sa_bundle *bundle, const char *path, struct sa_error *err)
{
    sa_autobuf out = SA_BUF_INIT;
    sa_autofree char *temporary = sa_printf("%s.XXXXXX", path);
    put_bundle(bundle, &out);
    sa_autoclose int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return sa_error_sys(err, SA_EINTERNAL, errno, "cannot keep the rules in %s", path);
    if (sa_write_all(fd, out.data, out.length) < 0 || fsync(fd) < 0 ||
        rename(temporary, path) < 0) {
        int saved = errno;
        unlink(temporary);
        return sa_error_sys(err, SA_EINTERNAL, saved, "cannot keep the rules in %s", path);
    }
    return sync_folder(path, err);
}

/* ---- reading ---- */

struct cursor {
    const char *next;
    size_t left;
};

static bool take(struct cursor *c, size_t length, const char **data)
{
    if (length > c->left)
        return false;
    *data = c->next;
    c->next += length;
    c->left -= length;
    return true;
}

static bool take_u32(struct cursor *c, size_t *value)
{
    const char *data;
    if (!take(c, 4, &data))
        return false;
    const uint8_t *b = (const uint8_t *)data;
    *value = (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
    return true;
}

static int broken(const char *path, const char *what, struct sa_error *err)
{
    return sa_error_at(err, SA_EINVALID, path, "%s holds no kept rules: %s", path, what);
}

static bool has_nul(const char *data, size_t length)
{
    return memchr(data, 0, length) != NULL;
}

static int load_file(struct cursor *c, struct sa_bundle *bundle, const char *path,
                     struct sa_error *err)
{
    size_t name_length, origin_length, length;
    const char *name, *origin, *text;
    if (!take_u32(c, &name_length) || !take_u32(c, &origin_length) || !take_u32(c, &length) ||
        name_length > SA_BUNDLE_NAME_MAX || origin_length >= PATH_MAX + 512 ||
        !take(c, name_length, &name) || !take(c, origin_length, &origin) || !take(c, length, &text))
        return broken(path, "a file is cut off or too long", err);
    sa_autofree char *name_text = sa_strndup(name, name_length);
    sa_autofree char *origin_text = sa_strndup(origin, origin_length);
    if (has_nul(name, name_length) || has_nul(origin, origin_length) ||
        !sa_bundle_name_valid(name_text))
        return broken(path, "a file's name is bad", err);
    size_t before = sa_bundle_count(bundle);
    if (before && strcmp(sa_bundle_file(bundle, before - 1)->name, name_text) >= 0)
        return broken(path, "the files are out of order", err);
    return sa_bundle_add(bundle, name_text, origin_text, text, length, err);
}

static int load_all(struct cursor *c, struct sa_bundle *bundle, const char *path,
                    struct sa_error *err)
{
    const char *start, *digest;
    size_t count;
    if (!take(c, MAGIC_BYTES, &start) || memcmp(start, magic, MAGIC_BYTES) != 0)
        return broken(path, "it does not begin as such a file does", err);
    if (!take_u32(c, &count) || count > SA_BUNDLE_FILES_MAX)
        return broken(path, "the number of files is bad", err);
    for (size_t i = 0; i < count; i++)
        if (load_file(c, bundle, path, err) < 0)
            return -1;
    if (!take(c, DIGEST_BYTES, &digest) || c->left)
        return broken(path, "its length is bad", err);
    if (sa_bundle_seal(bundle, err) < 0)
        return -1;
    if (memcmp(digest, sa_bundle_digest(bundle), DIGEST_BYTES) != 0)
        return broken(path, "its digest does not match", err);
    return 0;
}

struct sa_bundle *sa_bundle_load(const char *path, struct sa_error *err)
{
    sa_autobuf data = SA_BUF_INIT;
    if (sa_read_file(AT_FDCWD, path, SAVED_MAX, &data, err) < 0)
        return NULL;
    struct cursor c = {data.data ? data.data : "", data.length};
    struct sa_bundle *bundle = sa_bundle_new();
    if (load_all(&c, bundle, path, err) == 0)
        return bundle;
    sa_bundle_unref(bundle);
    return NULL;
}
