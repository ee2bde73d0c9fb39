/* An archive in: from bytes to entries. */
#include "api/archive.h"

#include "base/arena.h"
#include "base/id.h"
#include "link/methods.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Names that were seen, as 64 bits of a keyed hash: nobody outside can make two collide. */
struct seen {
    uint64_t *slots;
    size_t used, size; /* size: a power of two */
    uint8_t key[16];
};

struct reader {
    struct sa_thread *worker;
    struct archive *archive;
    struct sa_message *message; /* what libarchive looks at */
    bool ended, stopped;
    bool whole; /* the last entry is: only its end is to be told */
    struct seen seen;
    int64_t entries, bytes;
    char name[SA_ARCHIVE_PATH_MAX]; /* of the entry */
};

/* ---- names seen ---- */

static uint64_t hash(const struct seen *s, const char *name)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    sa_autobuf text = SA_BUF_INIT;
    uint64_t value;
    sa_buf_add(&text, s->key, sizeof s->key);
    sa_buf_adds(&text, name);
    if (!EVP_Digest(text.data, text.length, digest, NULL, EVP_sha256(), NULL))
        abort();
    memcpy(&value, digest, sizeof value);
    return value | 1; /* 0 is a free slot */
}

static uint64_t *slot_of(uint64_t *slots, size_t size, uint64_t value)
{
    size_t i = value >> 16 & (size - 1);
    while (slots[i] && slots[i] != value)
        i = (i + 1) & (size - 1);
    return &slots[i];
}

/* True when it is new. */
static bool see(struct seen *s, const char *name)
{
    if (2 * (s->used + 1) > s->size) {
        size_t size = s->size ? 2 * s->size : 1024;
        uint64_t *slots = sa_alloc(size * sizeof *slots);
        for (size_t i = 0; i < s->size; i++)
            if (s->slots[i])
                *slot_of(slots, size, s->slots[i]) = s->slots[i];
        free(s->slots);
        s->slots = slots;
        s->size = size;
    }
    uint64_t value = hash(s, name), *slot = slot_of(s->slots, s->size, value);
    if (*slot)
        return false;
    *slot = value;
    s->used++;
    return true;
}

/* ---- input ---- */

static la_ssize_t read_bytes(struct archive *archive, void *user, const void **data)
{
    struct reader *r = user;
    (void)archive;
    free(r->message);
    r->message = r->ended ? NULL : sa_thread_get(r->worker);
    r->stopped |= !r->message && !r->ended;
    if (!r->message || r->message->kind == SA_MESSAGE_END) {
        r->ended = true;
        *data = NULL;
        return 0;
    }
    *data = r->message->data;
    return (la_ssize_t)r->message->length;
}

/* ---- entries ---- */

static int refuse(const struct reader *r, struct sa_error *err, enum sa_code code, const char *why)
{
    return sa_error_at(err, code, r->name, "%.200s: %s", r->name, why);
}

static int damaged(struct reader *r, struct sa_error *err)
{
    const char *why = archive_error_string(r->archive);
    return sa_error_at(err, SA_EINVALID, r->name[0] ? r->name : "body",
                       "the archive is damaged or not of this format%s%.80s: %.200s",
                       r->name[0] ? " behind " : "", r->name, why ? why : "no reason given");
}

static int check_size(struct reader *r, size_t more, struct sa_error *err)
{
    r->bytes += (int64_t)more;
    int64_t packed = archive_filter_bytes(r->archive, -1);
    if (r->bytes > SA_ARCHIVE_BYTES_MAX)
        return refuse(r, err, SA_ETOOLARGE, "the archive unpacks to more than 64 GiB");
    if (r->bytes > SA_ARCHIVE_RATIO_FROM_BYTES && r->bytes / SA_ARCHIVE_RATIO_MAX > packed)
        return refuse(r, err, SA_ETOOLARGE, "the archive unpacks to more than 200 times its size");
    return 0;
}

/* The type for the link, or NULL and what is wrong. */
static const char *type_of(const struct reader *r, struct archive_entry *entry,
                           struct sa_error *err)
{
    if (archive_entry_hardlink(entry)) {
        refuse(r, err, SA_EINVALID, "hard links are refused");
        return NULL;
    }
    if (archive_entry_is_encrypted(entry)) {
        refuse(r, err, SA_EINVALID, "is encrypted");
        return NULL;
    }
    if (archive_entry_sparse_count(entry) > 0) {
        refuse(r, err, SA_EINVALID, "sparse files are refused");
        return NULL;
    }
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        return "file";
    case AE_IFDIR:
        return "directory";
    case AE_IFLNK:
        if (sa_archive_link_stays(r->name,
                                  archive_entry_symlink(entry) ? archive_entry_symlink(entry) : ""))
            return "symlink";
        refuse(r, err, SA_EFORBIDDEN, "is a link that leads out of the archive");
        return NULL;
    default:
        refuse(r, err, SA_EINVALID, "is neither a file, a folder nor a link");
        return NULL;
    }
}

static bool put_entry(struct reader *r, struct archive_entry *entry, const char *type)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_NAME, r->name);
    sa_fields_add_text(&body, SA_FILE_TYPE, type);
    sa_fields_add_int(&body, SA_FILE_MODE, archive_entry_perm(entry) & 0777);
    if (archive_entry_mtime_is_set(entry))
        sa_fields_add_int(&body, SA_FILE_MODIFIED_MS, (int64_t)archive_entry_mtime(entry) * 1000);
    if (!strcmp(type, "symlink"))
        sa_fields_add_text(&body, SA_FILE_TARGET, archive_entry_symlink(entry));
    return sa_thread_put(r->worker, SA_MESSAGE_ENTRY, body.data, body.length);
}

static int read_content(struct reader *r, struct sa_error *err)
{
    const void *data;
    size_t size;
    la_int64_t offset, at = 0;
    int rc;
    while ((rc = archive_read_data_block(r->archive, &data, &size, &offset)) == ARCHIVE_OK) {
        if (offset != at)
            return refuse(r, err, SA_EINVALID, "sparse files are refused");
        at += (la_int64_t)size;
        if (check_size(r, size, err) < 0)
            return -1;
        if (size && !sa_thread_put(r->worker, SA_MESSAGE_BYTES, data, size)) {
            r->stopped = true;
            return -1;
        }
    }
    return rc == ARCHIVE_EOF ? 0 : damaged(r, err);
}

static int read_entry(struct reader *r, struct archive_entry *entry, struct sa_error *err)
{
    const char *name = archive_entry_pathname(entry);
    if (!name)
        return sa_error_at(err, SA_EINVALID, "path", "the name of an entry is not UTF-8");
    if (sa_archive_name(name, r->name, err) < 0)
        return -1;
    if (++r->entries > SA_ARCHIVE_ENTRIES_MAX)
        return refuse(r, err, SA_ETOOLARGE, "the archive has more than 200000 entries");
    if (check_size(r, 512, err) < 0) /* many empty entries pack well, too */
        return -1;
    const char *type = type_of(r, entry, err);
    if (!type)
        return -1;
    bool folder = !strcmp(type, "directory");
    if (!r->name[0])
        return folder ? 0 : refuse(r, err, SA_EINVALID, "an entry has no name");
    if (!see(&r->seen, r->name) && !folder)
        return refuse(r, err, SA_EINVALID, "is in the archive twice");
    r->whole = false;
    if (!put_entry(r, entry, type)) {
        r->stopped = true;
        return -1;
    }
    r->whole = strcmp(type, "file") != 0 || read_content(r, err) == 0;
    return r->whole ? 0 : -1;
}

static int read_all(struct reader *r, enum sa_archive_format format, struct sa_error *err)
{
    struct archive_entry *entry;
    int rc;
    if (format == SA_ARCHIVE_ZIP) {
        archive_read_support_format_zip_streamable(r->archive);
    } else {
        archive_read_support_format_tar(r->archive);
        archive_read_support_filter_gzip(r->archive);
    }
    if (archive_read_open(r->archive, r, NULL, read_bytes, NULL) != ARCHIVE_OK)
        return damaged(r, err);
    /* A warning is about what could not be understood of a name: it is looked at as it is. */
    while ((rc = archive_read_next_header(r->archive, &entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN)
        if (read_entry(r, entry, err) < 0)
            return -1;
    return rc == ARCHIVE_EOF ? 0 : damaged(r, err);
}

/* What is behind the end of the archive is read and dropped, so that the client can finish. */
static void drain(struct reader *r)
{
    const void *data;
    while (!r->ended)
        read_bytes(r->archive, r, &data);
}

void sa_archive_read(struct sa_thread *worker, enum sa_archive_format format)
{
    struct reader r = {.worker = worker, .archive = archive_read_new()};
    struct sa_error error;
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
    sa_random(r.seen.key, sizeof r.seen.key);
    int rc = read_all(&r, format, &error);
    if (rc == 0)
        drain(&r);
    else if (r.whole && !r.stopped)
        sa_thread_put(worker, SA_MESSAGE_ENTRY, NULL, 0);
    if (!r.stopped)
        sa_thread_put(worker, rc < 0 ? SA_MESSAGE_ERROR : SA_MESSAGE_END, &error,
                      rc < 0 ? sizeof error : 0);
    archive_read_free(r.archive);
    free(r.message);
    free(r.seen.slots);
    if (utf8) {
        uselocale(before);
        freelocale(utf8);
    }
}
