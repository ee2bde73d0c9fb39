#include "cp_archive.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 256 * 1024 };

/* One end of a pipe is libarchive's, in a thread; the other is the request's. */
struct worker {
    int fd;
    const char *folder;
    struct sa_error error;
    bool failed;
};

/* Names in archives are UTF-8, whatever the locale here; what is none passes as it is. */
static locale_t speak_utf8(void)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8)
        uselocale(utf8); /* of this thread */
    return utf8;
}

static void unspeak(locale_t utf8)
{
    uselocale(LC_GLOBAL_LOCALE);
    if (utf8)
        freelocale(utf8);
}

static int archive_failed(struct worker *w, struct archive *a, const char *what)
{
    const char *text = archive_error_string(a);
    w->failed = true;
    return sa_error_set(&w->error, SA_EINVALID, "%s: %s", what, text ? text : "failed");
}

/* ---- packing ---- */

static int pack_data(struct worker *w, struct archive *out, struct archive_entry *entry)
{
    static _Thread_local char piece[PIECE];
    const char *path = archive_entry_sourcepath(entry);
    int64_t left = archive_entry_size(entry);
    if (archive_entry_filetype(entry) != AE_IFREG || left <= 0)
        return 0;
    sa_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        w->failed = true;
        return sa_error_sys(&w->error, SA_EINVALID, errno, "%s", path);
    }
    while (left > 0) { /* a file that shrinks meanwhile is filled up by libarchive */
        ssize_t n = read(fd, piece, left < PIECE ? (size_t)left : PIECE);
        if (n <= 0)
            break;
        if (archive_write_data(out, piece, (size_t)n) < 0)
            return archive_failed(w, out, path);
        left -= n;
    }
    return 0;
}

/* The name inside the archive: without the folder's own path. */
static bool rename_entry(struct worker *w, struct archive_entry *entry)
{
    const char *path = archive_entry_sourcepath(entry);
    size_t length = strlen(w->folder);
    while (length > 1 && w->folder[length - 1] == '/')
        length--;
    const char *rest = path + (strlen(path) >= length ? length : strlen(path));
    rest += strspn(rest, "/");
    if (!*rest)
        return false; /* the folder itself */
    sa_autofree char *name = sa_strdup(rest);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_uid(entry, 1000);
    archive_entry_set_gid(entry, 1000);
    archive_entry_set_uname(entry, NULL);
    archive_entry_set_gname(entry, NULL);
    return true;
}

static int pack_each(struct worker *w, struct archive *disk, struct archive *out)
{
    for (;;) {
        struct archive_entry *entry = archive_entry_new();
        int rc = archive_read_next_header2(disk, entry);
        if (rc == ARCHIVE_EOF) {
            archive_entry_free(entry);
            return 0;
        }
        if (rc < ARCHIVE_WARN) {
            archive_entry_free(entry);
            return archive_failed(w, disk, w->folder);
        }
        archive_read_disk_descend(disk);
        rc = 0;
        if (rename_entry(w, entry))
            rc = archive_write_header(out, entry) < ARCHIVE_WARN
                     ? archive_failed(w, out, archive_entry_pathname(entry))
                     : pack_data(w, out, entry);
        archive_entry_free(entry);
        if (rc < 0)
            return -1;
    }
}

static void *pack(void *user)
{
    struct worker *w = user;
    locale_t utf8 = speak_utf8();
    struct archive *disk = archive_read_disk_new(), *out = archive_write_new();
    archive_read_disk_set_symlink_physical(disk);
    archive_write_set_format_pax_restricted(out);
    if (archive_write_open_fd(out, w->fd) != ARCHIVE_OK ||
        archive_read_disk_open(disk, w->folder) != ARCHIVE_OK)
        archive_failed(w, disk, w->folder);
    else if (pack_each(w, disk, out) == 0 && archive_write_close(out) != ARCHIVE_OK)
        archive_failed(w, out, w->folder);
    if (w->failed)
        archive_write_fail(out); /* no end of the archive: it must not look whole */
    archive_write_free(out);
    archive_read_free(disk);
    close(w->fd);
    unspeak(utf8);
    return NULL;
}

int sa_cp_send_folder(struct sa_client *client, const char *url, const char *folder,
                      struct sa_progress *progress, struct sa_error *err)
{
    struct worker w = {.folder = folder};
    pthread_t thread;
    int fds[2];
    signal(SIGPIPE, SIG_IGN); /* either side may give up first */
    if (pipe2(fds, O_CLOEXEC) < 0)
        return sa_error_sys(err, SA_EINTERNAL, errno, "pipe");
    w.fd = fds[1];
    if (pthread_create(&thread, NULL, pack, &w) != 0) {
        close(fds[0]);
        close(fds[1]);
        return sa_error_set(err, SA_EINTERNAL, "no thread");
    }
    sa_progress_start(progress, folder, -1);
    struct sa_client_request request = {.method = "POST",
                                        .path = url,
                                        .uploads = true,
                                        .upload = fds[0],
                                        .type = "application/x-tar",
                                        .upload_failed = &w.failed,
                                        .progress = progress};
    int rc = sa_client_send(client, &request, err);
    close(fds[0]); /* the thread, should it still write, sees it */
    pthread_join(thread, NULL);
    sa_progress_end(progress, rc == 0);
    if (w.failed && (rc == 0 || err->code == SA_ECANCELED || err->code == SA_EUNAVAILABLE)) {
        *err = w.error;
        rc = -1;
    }
    return rc;
}

/* ---- unpacking ---- */

static int unpack_entry(struct worker *w, struct archive *in, struct archive *disk,
                        struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    const void *piece;
    size_t length;
    la_int64_t offset;
    int rc;
    if (!name)
        return sa_error_set(&w->error, SA_EPROTOCOL, "an entry without a name"), -1;
    sa_autofree char *path = sa_printf("%s/%s", w->folder, name);
    archive_entry_set_pathname(entry, path);
    if (archive_write_header(disk, entry) < ARCHIVE_WARN)
        return archive_failed(w, disk, path);
    while ((rc = archive_read_data_block(in, &piece, &length, &offset)) == ARCHIVE_OK)
        if (archive_write_data_block(disk, piece, length, offset) < ARCHIVE_WARN)
            return archive_failed(w, disk, path);
    if (rc != ARCHIVE_EOF)
        return archive_failed(w, in, path);
    return archive_write_finish_entry(disk) < ARCHIVE_WARN ? archive_failed(w, disk, path) : 0;
}

/* Entries are files, folders and symbolic links; ".." and absolute names are refused before the
 * folder's own path comes in front of them. */
static int unpack_each(struct worker *w, struct archive *in, struct archive *disk)
{
    struct archive_entry *entry;
    int rc;
    while ((rc = archive_read_next_header(in, &entry)) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(entry);
        unsigned type = archive_entry_filetype(entry);
        if (!name || name[0] == '/' || strstr(name, "..") == name || strstr(name, "/../") ||
            archive_entry_hardlink(entry) ||
            (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)) {
            w->failed = true;
            return sa_error_set(&w->error, SA_EPROTOCOL, "refused \"%.200s\": not a plain entry",
                                name ? name : "");
        }
        if (unpack_entry(w, in, disk, entry) < 0) {
            w->failed = true;
            return -1;
        }
    }
    return rc == ARCHIVE_EOF ? 0 : archive_failed(w, in, "the archive");
}

static void *unpack(void *user)
{
    struct worker *w = user;
    locale_t utf8 = speak_utf8();
    struct archive *in = archive_read_new(), *disk = archive_write_disk_new();
    archive_read_support_format_tar(in);
    archive_write_disk_set_options(disk, ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_UNLINK |
                                             ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                                             ARCHIVE_EXTRACT_SECURE_NODOTDOT);
    if (archive_read_open_fd(in, w->fd, PIECE) != ARCHIVE_OK)
        archive_failed(w, in, "the archive");
    else
        unpack_each(w, in, disk);
    if (archive_write_close(disk) != ARCHIVE_OK && !w->failed)
        archive_failed(w, disk, w->folder);
    archive_write_free(disk);
    archive_read_free(in);
    close(w->fd);
    unspeak(utf8);
    return NULL;
}

struct receiver {
    int fd;
    struct sa_progress *progress;
};

static int on_bytes(void *user, const char *data, size_t length)
{
    const struct receiver *r = user;
    sa_progress_add(r->progress, (int64_t)length);
    return sa_write_all(r->fd, data, length);
}

int sa_cp_receive_folder(struct sa_client *client, const char *url, const char *folder,
                         struct sa_progress *progress, struct sa_error *err)
{
    pthread_t thread;
    int fds[2];
    signal(SIGPIPE, SIG_IGN); /* either side may give up first */
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        return sa_error_sys(err, SA_EINVALID, errno, "%s", folder);
    /* Links that the user has on the way there are meant; only those that come are not followed. */
    sa_autofree char *real = realpath(folder, NULL);
    struct worker w = {.folder = real};
    if (!real)
        return sa_error_sys(err, SA_EINVALID, errno, "%s", folder);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return sa_error_sys(err, SA_EINTERNAL, errno, "pipe");
    w.fd = fds[0];
    if (pthread_create(&thread, NULL, unpack, &w) != 0) {
        close(fds[0]);
        close(fds[1]);
        return sa_error_set(err, SA_EINTERNAL, "no thread");
    }
    struct receiver receiver = {fds[1], progress};
    struct sa_client_request request = {.method = "GET",
                                        .path = url,
                                        .accept = "application/x-tar",
                                        .sink = on_bytes,
                                        .user = &receiver,
                                        .progress = progress};
    sa_progress_start(progress, folder, -1);
    int rc = sa_client_send(client, &request, err);
    close(fds[1]);
    pthread_join(thread, NULL);
    sa_progress_end(progress, rc == 0);
    if (w.failed && (rc == 0 || err->code == SA_ECANCELED)) {
        *err = w.error;
        rc = -1;
    }
    return rc;
}
