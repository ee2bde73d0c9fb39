/* An archive out: from entries to bytes. */
#include "api/archive.h"

#include "link/methods.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

enum { ZEROES_MAX = 256 * 1024 * 1024 /* when compressed, still more than a block */ };

struct writer {
    struct sa_thread *worker;
    struct archive *archive;
    bool stopped;    /* what is written goes nowhere */
    bool fails_once; /* the next write does */
    bool left_out;   /* the entry is not in the archive */
    int64_t left;    /* of the entry's bytes */
};

static la_ssize_t write_bytes(struct archive *archive, void *user, const void *data, size_t length)
{
    struct writer *w = user;
    bool fails = w->fails_once;
    (void)archive;
    w->fails_once = false;
    w->stopped = w->stopped || !sa_thread_put(w->worker, SA_MESSAGE_BYTES, data, length);
    return fails ? -1 : (la_ssize_t)length;
}

struct entry {
    char name[4096], target[4096], type[16];
    int64_t size, mode, modified_ms;
};

static void take_text(const struct sa_field *f, char *out, size_t size)
{
    if (f->length < size && !memchr(f->data, 0, f->length)) {
        memcpy(out, f->data, f->length);
        out[f->length] = '\0';
    }
}

static void read_entry(const struct sa_message *m, struct entry *e)
{
    struct sa_fields fields;
    struct sa_field f;
    memset(e, 0, sizeof *e);
    sa_fields_init(&fields, m->data, m->length);
    while (sa_fields_next(&fields, &f, NULL) > 0) {
        if (f.tag == SA_FILE_NAME)
            take_text(&f, e->name, sizeof e->name);
        else if (f.tag == SA_FILE_TARGET)
            take_text(&f, e->target, sizeof e->target);
        else if (f.tag == SA_FILE_TYPE)
            take_text(&f, e->type, sizeof e->type);
        else if (f.tag == SA_FILE_SIZE)
            sa_field_int(&f, &e->size, NULL);
        else if (f.tag == SA_FILE_MODE)
            sa_field_int(&f, &e->mode, NULL);
        else if (f.tag == SA_FILE_MODIFIED_MS)
            sa_field_int(&f, &e->modified_ms, NULL);
    }
}

static int failed(struct writer *w, struct sa_error *err)
{
    return sa_error_set(err, SA_EINTERNAL, "the archive cannot be written: %s",
                        archive_error_string(w->archive));
}

/* Whoever unpacks it must be as safe as this server is when it unpacks one: what would be refused
 * is left out (and cannot come from a runtime that is as it should be, but for links). */
static int write_header(struct writer *w, const struct sa_message *m, struct sa_error *err)
{
    char name[SA_ARCHIVE_PATH_MAX];
    struct entry e;
    read_entry(m, &e);
    bool file = !strcmp(e.type, "file"), link = !strcmp(e.type, "symlink");
    w->left = file && e.size > 0 ? e.size : 0;
    w->left_out = sa_archive_name(e.name, name, NULL) < 0 || !name[0] ||
                  (link && !sa_archive_link_stays(name, e.target));
    if (w->left_out)
        return 0;
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, file ? AE_IFREG : link ? AE_IFLNK : AE_IFDIR);
    archive_entry_set_perm(entry, link ? 0777 : (__LA_MODE_T)(e.mode & 0777));
    archive_entry_set_size(entry, w->left);
    archive_entry_set_mtime(entry, (time_t)(e.modified_ms / 1000), 0);
    if (link)
        archive_entry_set_symlink(entry, e.target);
    int rc = archive_write_header(w->archive, entry);
    archive_entry_free(entry);
    return rc == ARCHIVE_OK || rc == ARCHIVE_WARN ? 0 : failed(w, err);
}

static int write_message(struct writer *w, const struct sa_message *m, struct sa_error *err)
{
    if (m->kind == SA_MESSAGE_ENTRY)
        return w->left ? sa_error_set(err, SA_EUNAVAILABLE, "the sandbox sent too little of a file")
                       : write_header(w, m, err);
    if ((int64_t)m->length > w->left)
        return sa_error_set(err, SA_EUNAVAILABLE, "the sandbox sent too much of a file");
    w->left -= (int64_t)m->length;
    if (w->left_out)
        return 0;
    return archive_write_data(w->archive, m->data, m->length) < 0 ? failed(w, err) : 0;
}

static int set_up(struct writer *w, enum sa_archive_format format, struct sa_error *err)
{
    struct archive *a = w->archive;
    if (format == SA_ARCHIVE_ZIP)
        archive_write_set_format_zip(a);
    else
        archive_write_set_format_pax_restricted(a);
    if (format == SA_ARCHIVE_TAR_GZ) {
        archive_write_add_filter_gzip(a);
        archive_write_set_filter_option(a, "gzip", "compression-level", "3");
    }
    archive_write_set_bytes_per_block(a, 65536);
    archive_write_set_bytes_in_last_block(a, 1);
    return archive_write_open(a, w, NULL, write_bytes, NULL) == ARCHIVE_OK ? 0 : failed(w, err);
}

static int write_all(struct writer *w, enum sa_archive_format format, struct sa_error *err)
{
    if (set_up(w, format, err) < 0)
        return -1;
    for (;;) {
        struct sa_message *m = sa_thread_get(w->worker);
        w->stopped |= !m;
        if (!m || m->kind == SA_MESSAGE_END) {
            free(m);
            break;
        }
        int rc = write_message(w, m, err);
        free(m);
        if (rc < 0 || w->stopped)
            return -1;
    }
    if (w->stopped)
        return -1;
    if (w->left)
        return sa_error_set(err, SA_EUNAVAILABLE, "the sandbox sent too little of a file");
    return archive_write_close(w->archive) == ARCHIVE_OK ? 0 : failed(w, err);
}

/* Nothing more of it. After archive_write_fail(), or an error of its output while it ends,
 * libarchive 3.6 frees neither its block nor zlib's state: so it ends in peace, to nowhere. But not
 * with very many zeroes for what is missing of a tar's entry: an error there only stops those. */
static void abandon(struct writer *w, enum sa_archive_format format)
{
    w->stopped = true;
    w->fails_once = format != SA_ARCHIVE_ZIP && w->left > ZEROES_MAX && !w->left_out;
}

void sa_archive_write(struct sa_thread *worker, enum sa_archive_format format)
{
    struct writer w = {.worker = worker, .archive = archive_write_new()};
    struct sa_error error;
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
    int rc = write_all(&w, format, &error);
    if (!w.stopped)
        sa_thread_put(worker, rc < 0 ? SA_MESSAGE_ERROR : SA_MESSAGE_END, &error,
                      rc < 0 ? sizeof error : 0);
    if (rc < 0)
        abandon(&w, format);
    archive_write_free(w.archive);
    if (utf8) {
        uselocale(before);
        freelocale(utf8);
    }
}
