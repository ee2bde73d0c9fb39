/* The small file methods (STAT, MKDIR, CHMOD) and what all of them share. */
#include "file.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/utf8.h"
#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* --- the request --- */

static int get_text(const struct sa_field *f, char **text, struct sa_error *err)
{
    free(*text);
    *text = NULL;
    if (memchr(f->data, 0, f->length))
        return sa_error_at(err, SA_EINVALID, "path", "the path holds a NUL byte");
    if (f->length >= PATH_MAX)
        return sa_error_at(err, SA_EINVALID, "path", "the path is too long");
    if (!sa_utf8_valid((const char *)f->data, f->length))
        return sa_error_at(err, SA_EINVALID, "path", "the path is not UTF-8");
    *text = sa_strndup((const char *)f->data, f->length);
    return 0;
}

static int get_number(const struct sa_field *f, int64_t max, int64_t *value, struct sa_error *err)
{
    if (sa_field_int(f, value, err) < 0)
        return -1;
    if (*value < 0 || *value > max)
        return sa_error_set(err, SA_EINVALID, "field %u: %lld is out of range", f->tag,
                            (long long)*value);
    return 0;
}

static int add_version(struct sa_buf *list, const struct sa_field *f, struct sa_error *err)
{
    sa_autofree char *text = NULL;
    if (sa_field_text(f, SA_FILE_VERSION_BYTES, &text, err) < 0)
        return -1;
    sa_buf_add(list, text, strlen(text) + 1);
    return 0;
}

static int get_field(struct sa_file_request *r, const struct sa_field *f, struct sa_error *err)
{
    int64_t flag = 0;
    int result = 0;
    switch (f->tag) {
    case SA_FILE_PATH:
        return get_text(f, &r->path, err);
    case SA_FILE_TO:
        return get_text(f, &r->to, err);
    case SA_FILE_RECURSIVE:
        result = get_number(f, 1, &flag, err);
        r->recursive = flag;
        return result;
    case SA_FILE_PARENTS:
        result = get_number(f, 1, &flag, err);
        r->parents = flag;
        return result;
    case SA_FILE_KEEP:
        result = get_number(f, 1, &flag, err);
        r->keep = flag;
        return result;
    case SA_FILE_GLOB:
        return get_text(f, &r->glob, err);
    case SA_FILE_LIMIT:
        return get_number(f, INT64_MAX, &r->limit, err);
    case SA_FILE_CURSOR:
        r->cursor.length = 0;
        sa_buf_add(&r->cursor, f->data, f->length);
        return 0;
    case SA_FILE_SUFFIX:
        return get_number(f, INT64_MAX, &r->suffix, err);
    case SA_FILE_IF_MATCH:
        r->conditions.match_given = true;
        return add_version(&r->conditions.match, f, err);
    case SA_FILE_IF_NONE_MATCH:
        r->conditions.none_match_given = true;
        return add_version(&r->conditions.none_match, f, err);
    case SA_FILE_IF_UNMODIFIED_S:
        return sa_field_int(f, &r->conditions.unmodified_s, err);
    case SA_FILE_MODE:
        return get_number(f, 0777, &r->mode, err);
    case SA_FILE_OFFSET:
        return get_number(f, INT64_MAX, &r->offset, err);
    case SA_FILE_LENGTH:
        return get_number(f, INT64_MAX, &r->length, err);
    default:
        if (f->tag & SA_FIELD_CRITICAL)
            return sa_error_set(err, SA_EINVALID, "unknown critical field %u", f->tag);
        return 0;
    }
}

int sa_file_request_decode(struct sa_file_request *r, const void *body, size_t length,
                           struct sa_error *err)
{
    struct sa_fields reader;
    struct sa_field f;
    int more;
    *r = (struct sa_file_request){
        .mode = -1, .length = -1, .suffix = -1, .conditions.unmodified_s = INT64_MAX};
    sa_fields_init(&reader, body, length);
    while ((more = sa_fields_next(&reader, &f, err)) > 0)
        if (get_field(r, &f, err) < 0)
            return -1;
    return more;
}

void sa_file_request_deinit(struct sa_file_request *r)
{
    free(r->path);
    free(r->to);
    free(r->glob);
    sa_buf_deinit(&r->cursor);
    sa_buf_deinit(&r->conditions.match);
    sa_buf_deinit(&r->conditions.none_match);
}

/* --- entries --- */

const char *sa_file_kind(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "symlink";
    case S_IFIFO:
        return "fifo";
    case S_IFSOCK:
        return "socket";
    default:
        return "device";
    }
}

int sa_file_check_regular(mode_t mode, const char *path, struct sa_error *err)
{
    if (S_ISREG(mode))
        return 0;
    sa_error_at(err, SA_EINVALID, "path", "%.300s: is a %s, not a file", path, sa_file_kind(mode));
    if (err && S_ISDIR(mode))
        err->sys_errno = EISDIR;
    return -1;
}

void sa_file_add_clean_text(struct sa_buf *out, uint16_t tag, const char *text)
{
    size_t length = strlen(text), good = sa_utf8_prefix(text, length);
    if (good == length) {
        sa_fields_add_bytes(out, tag, text, length);
        return;
    }
    sa_autobuf clean = SA_BUF_INIT;
    while (length) {
        sa_buf_add(&clean, text, good);
        if (good < length) {
            sa_buf_adds(&clean, "\xef\xbf\xbd"); /* U+FFFD */
            good++;
        }
        text += good;
        length -= good;
        good = sa_utf8_prefix(text, length);
    }
    sa_fields_add_bytes(out, tag, clean.data, clean.length);
}

/* Anybody may give a file any time (utimensat(2)): one that does not fit becomes the nearest. */
static int64_t modified_ms(const struct stat *st)
{
    int64_t ms;
    if (__builtin_mul_overflow((int64_t)st->st_mtim.tv_sec, 1000, &ms) ||
        __builtin_add_overflow(ms, st->st_mtim.tv_nsec / 1000000, &ms))
        return st->st_mtim.tv_sec < 0 ? INT64_MIN : INT64_MAX;
    return ms;
}

/* The time of the last change, which no program can set back, besides what a program sees. */
void sa_file_version(const struct stat *st, char out[SA_FILE_VERSION_BYTES])
{
    snprintf(out, SA_FILE_VERSION_BYTES, "%jx-%jx-%jx%08lx", (uintmax_t)st->st_ino,
             (uintmax_t)st->st_size, (uintmax_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

void sa_file_add_entry(struct sa_buf *out, const char *full, const struct stat *st,
                       const char *target)
{
    const char *slash = strrchr(full, '/');
    char version[SA_FILE_VERSION_BYTES];
    sa_file_add_clean_text(out, SA_FILE_NAME, slash && slash[1] ? slash + 1 : full);
    sa_fields_add_text(out, SA_FILE_TYPE, sa_file_kind(st->st_mode));
    sa_fields_add_int(out, SA_FILE_SIZE, st->st_size);
    sa_fields_add_int(out, SA_FILE_MODIFIED_MS, modified_ms(st));
    sa_file_version(st, version);
    sa_fields_add_text(out, SA_FILE_VERSION, version);
    sa_fields_add_int(out, SA_FILE_PERMISSIONS, st->st_mode & 07777);
    if (target)
        sa_file_add_clean_text(out, SA_FILE_TARGET, target);
    sa_file_add_clean_text(out, SA_FILE_FULL_PATH, full);
}

int sa_file_add_entry_at(struct sa_buf *out, int folder, const char *name, const char *full)
{
    struct stat st;
    char target[PATH_MAX];
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return -1;
    ssize_t n = S_ISLNK(st.st_mode) ? readlinkat(folder, name, target, sizeof target - 1) : -1;
    if (n >= 0)
        target[n] = '\0';
    sa_file_add_entry(out, full, &st, n >= 0 ? target : NULL);
    return 0;
}

/* --- STAT, MKDIR, CHMOD: done at once --- */

static int stat_it(struct sa_file_request *r, struct sa_buf *out, struct sa_error *err)
{
    struct sa_place place;
    if (sa_place_parse(&place, r->path, err) < 0)
        return -1;
    sa_autoclose int fd = sa_place_open(&place, O_PATH | O_NOFOLLOW, false, err);
    if (fd < 0)
        return -1;
    if (sa_file_add_entry_at(out, fd, "", place.full) < 0)
        return sa_path_error(err, errno, place.full);
    return 0;
}

static int make_folder(struct sa_file_request *r, struct sa_buf *out, struct sa_error *err)
{
    struct sa_place place;
    int created;
    if (sa_place_parse(&place, r->path, err) < 0)
        return -1;
    created = sa_place_mkdir(&place, r->mode < 0 ? 0755 : (unsigned)r->mode, true, err);
    if (created < 0 || stat_it(r, out, err) < 0)
        return -1;
    sa_fields_add_int(out, SA_FILE_CREATED, created);
    return 0;
}

static int change_mode(struct sa_file_request *r, struct sa_buf *out, struct sa_error *err)
{
    struct sa_place place;
    char link[32];
    if (r->mode < 0)
        return sa_error_at(err, SA_EINVALID, "mode", "the mode is missing");
    if (sa_place_parse(&place, r->path, err) < 0)
        return -1;
    sa_autoclose int fd = sa_place_open(&place, O_PATH, true, err);
    if (fd < 0)
        return -1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd); /* fchmod(2) takes no O_PATH */
    if (chmod(link, (mode_t)r->mode) < 0 || sa_file_add_entry_at(out, fd, "", place.full) < 0)
        return sa_path_error(err, errno, place.full);
    return 0;
}

static void answer(struct sa_stream *stream, const void *body, size_t length,
                   int (*work)(struct sa_file_request *, struct sa_buf *, struct sa_error *))
{
    sa_auto_file_request request;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_error error;
    if (sa_file_request_decode(&request, body, length, &error) < 0 ||
        work(&request, &out, &error) < 0)
        sa_stream_end_error(stream, &error);
    else
        sa_stream_end(stream, out.data, out.length);
}

void sa_file_stat_open(struct sa_stream *stream, const void *body, size_t length)
{
    answer(stream, body, length, stat_it);
}

void sa_file_mkdir_open(struct sa_stream *stream, const void *body, size_t length)
{
    answer(stream, body, length, make_folder);
}

void sa_file_chmod_open(struct sa_stream *stream, const void *body, size_t length)
{
    answer(stream, body, length, change_mode);
}
