#include "store/journal.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/id.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <zlib.h>

enum { STEP_BYTES = 64 * 1024, HALVES = 2, ALIGN = 8 };
#define FILE_BYTES ((off_t)HALVES * SA_JOURNAL_HALF_BYTES)

static const char folder[] = "/dev/shm", prefix[] = "sa-";

struct entry {
    _Atomic uint32_t length; /* 0: the end */
    uint32_t crc;
    uint64_t seq;
    uint32_t tag, zero;
    unsigned char bytes[];
};
_Static_assert(sizeof(struct entry) % ALIGN == 0, "entries are aligned");

struct half {
    char *base;
    size_t used, allocated;
    uint64_t last; /* seq of its last entry */
};

struct sa_journal {
    char *path;
    int fd;
    char *map; /* NULL: not started */
    struct half halves[HALVES];
    struct half *active;
};

/* ---- the file ---- */

bool sa_journal_name_valid(const char *name)
{
    return sa_id_valid(prefix, name);
}

void sa_journal_name_new(char name[32])
{
    sa_id_new(prefix, name);
}

/* In a folder where everybody may make files. */
static int check_file(int fd, const char *path, struct sa_error *err)
{
    struct stat st;
    struct statfs fs;
    if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "cannot look at %s", path);
    if (fs.f_type != TMPFS_MAGIC)
        return sa_error_set(err, SA_EUNAVAILABLE, "%s is not in memory (tmpfs)", path);
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) || st.st_nlink != 1)
        return sa_error_set(err, SA_EUNAVAILABLE, "%s is not a file of this user alone", path);
    return 0;
}

struct sa_journal *sa_journal_open(const char *name, struct sa_error *err)
{
    sa_autofree char *path = sa_printf("%s/secureagent-%s", folder, name);
    sa_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0) {
        sa_error_sys(err, SA_EUNAVAILABLE, errno, "cannot open %s", path);
        return NULL;
    }
    if (check_file(fd, path, err) < 0)
        return NULL;
    struct sa_journal *journal = sa_alloc(sizeof *journal);
    journal->path = sa_steal(&path);
    journal->fd = sa_steal_fd(&fd);
    return journal;
}

void sa_journal_close(struct sa_journal *journal, bool remove)
{
    if (!journal)
        return;
    if (remove)
        unlink(journal->path);
    if (journal->map)
        munmap(journal->map, (size_t)FILE_BYTES);
    close(journal->fd);
    free(journal->path);
    free(journal);
}

/* ---- reading ---- */

static size_t entry_bytes(size_t length)
{
    return sizeof(struct entry) + ((length + ALIGN - 1) & ~(size_t)(ALIGN - 1));
}

/* Of the length and of all that follows the checksum. */
static uint32_t checksum(const struct entry *entry, uint32_t length)
{
    const void *from = &entry->seq;
    return (uint32_t)crc32(length, from, (uInt)(entry_bytes(length) - offsetof(struct entry, seq)));
}

static int damaged(size_t at, const char *what, struct sa_error *err)
{
    return sa_error_set(err, SA_EINVALID, "at byte %zu: %s", at, what);
}

int sa_journal_read_half(const void *bytes, size_t length, uint64_t *last, sa_journal_visit visit,
                         void *user, struct sa_error *err)
{
    size_t at = 0;
    while (length - at >= sizeof(struct entry)) {
        const struct entry *entry = (const void *)((const char *)bytes + at);
        const uint32_t size = entry->length;
        if (size == 0)
            break;
        if (size > length || entry_bytes(size) > length - at)
            return damaged(at, "an entry is longer than what there is", err);
        if (entry->crc != checksum(entry, size))
            return damaged(at, "the checksum of an entry is wrong", err);
        if (entry->seq <= *last)
            return damaged(at, "an entry is older than the one before", err);
        if (visit(user,
                  &(struct sa_journal_entry){
                      .seq = entry->seq, .tag = entry->tag, .bytes = entry->bytes, .length = size},
                  err) < 0)
            return sa_error_wrap(err, "at byte %zu", at);
        *last = entry->seq;
        at += entry_bytes(size);
    }
    return 0;
}

/* What was allocated of a half; behind that are zeroes. */
static char *load(const struct sa_journal *journal, int number, size_t *length)
{
    const off_t from = (off_t)number * SA_JOURNAL_HALF_BYTES;
    off_t end = lseek(journal->fd, from, SEEK_HOLE); /* -1: behind the end */
    *length = end > from ? (size_t)(end - from) : 0;
    if (*length > SA_JOURNAL_HALF_BYTES)
        *length = SA_JOURNAL_HALF_BYTES;
    char *bytes = sa_alloc(*length + 1);
    size_t got = 0;
    for (ssize_t n; got < *length; got += (size_t)n)
        if ((n = pread(journal->fd, bytes + got, *length - got, from + (off_t)got)) <= 0)
            break;
    *length = got;
    return bytes;
}

/* Of the first entry, where there is a sound one. */
static uint64_t first_seq(const char *bytes, size_t length)
{
    const struct entry *entry = (const void *)bytes;
    if (length < sizeof *entry || entry->length == 0 || entry->length > length ||
        entry_bytes(entry->length) > length || entry->crc != checksum(entry, entry->length))
        return UINT64_MAX;
    return entry->seq;
}

int sa_journal_read(const struct sa_journal *journal, sa_journal_visit visit, void *user,
                    struct sa_error *err)
{
    size_t lengths[HALVES];
    uint64_t last = 0;
    sa_autofree char *one = load(journal, 0, &lengths[0]);
    sa_autofree char *two = load(journal, 1, &lengths[1]);
    const char *const halves[HALVES] = {one, two};
    const int older = first_seq(two, lengths[1]) < first_seq(one, lengths[0]);
    for (int i = 0; i < HALVES; i++) {
        const int n = i == 0 ? older : !older;
        if (sa_journal_read_half(halves[n], lengths[n], &last, visit, user, err) < 0)
            return sa_error_wrap(err, "%s, half %d", journal->path, n);
    }
    return 0;
}

/* ---- adding ---- */

/* So that no page is missing when it is written to (SIGBUS). */
static int allocate(struct sa_journal *journal, struct half *half, size_t bytes)
{
    int rc;
    if (bytes <= half->allocated)
        return 0;
    bytes = (bytes + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
    do
        rc = fallocate(journal->fd, 0, half->base - journal->map + (off_t)half->allocated,
                       (off_t)(bytes - half->allocated));
    while (rc < 0 && errno == EINTR);
    if (rc == 0)
        half->allocated = bytes;
    return rc;
}

int sa_journal_start(struct sa_journal *journal, struct sa_error *err)
{
    struct rlimit limit; /* beyond it is a signal */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < (rlim_t)FILE_BYTES)
        return sa_error_sys(err, SA_EUNAVAILABLE, EFBIG, "cannot make %s larger", journal->path);
    if (ftruncate(journal->fd, 0) < 0 || ftruncate(journal->fd, FILE_BYTES) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "cannot empty %s", journal->path);
    void *map = mmap(NULL, (size_t)FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, journal->fd, 0);
    if (map == MAP_FAILED)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "cannot map %s", journal->path);
    journal->map = map;
    for (int i = 0; i < HALVES; i++) {
        journal->halves[i].base = journal->map + (ptrdiff_t)i * SA_JOURNAL_HALF_BYTES;
        if (allocate(journal, &journal->halves[i], SA_JOURNAL_KEPT_BYTES) < 0)
            return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no memory for %s", journal->path);
    }
    journal->active = &journal->halves[0];
    return 0;
}

/* All of it is settled: it begins anew, and what a crowd took is given back. */
static void empty(struct sa_journal *journal, struct half *half)
{
    half->used = 0;
    if (half->allocated > SA_JOURNAL_KEPT_BYTES &&
        fallocate(journal->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  half->base - journal->map + SA_JOURNAL_KEPT_BYTES,
                  (off_t)(half->allocated - SA_JOURNAL_KEPT_BYTES)) == 0)
        half->allocated = SA_JOURNAL_KEPT_BYTES;
}

void *sa_journal_reserve(struct sa_journal *journal, size_t length, uint64_t settled)
{
    struct half *half = journal->active;
    struct half *other = &journal->halves[half == &journal->halves[0]];
    const size_t bytes = entry_bytes(length) + sizeof(struct entry); /* the end behind it */
    if (half->last <= settled) {
        empty(journal, half);
    } else if (half->used + bytes > SA_JOURNAL_KEPT_BYTES && other->last <= settled) {
        journal->active = half = other;
        empty(journal, half);
    }
    if (bytes > SA_JOURNAL_HALF_BYTES - half->used ||
        allocate(journal, half, half->used + bytes) < 0)
        return NULL;
    struct entry *entry = (void *)(half->base + half->used);
    entry->length = 0;
    atomic_signal_fence(memory_order_seq_cst); /* killed from here on, there is none */
    return entry->bytes;
}

void sa_journal_put(struct sa_journal *journal, uint64_t seq, uint32_t tag, size_t length)
{
    struct half *half = journal->active;
    struct entry *entry = (void *)(half->base + half->used);
    memset(entry->bytes + length, 0, entry_bytes(length) - sizeof *entry - length);
    half->used += entry_bytes(length);
    half->last = seq;
    struct entry *end = (void *)(half->base + half->used);
    end->length = 0;
    entry->seq = seq;
    entry->tag = tag;
    entry->zero = 0;
    entry->crc = checksum(entry, (uint32_t)length);
    atomic_signal_fence(memory_order_seq_cst);
    entry->length = (uint32_t)length;
}

uint64_t sa_journal_last(const struct sa_journal *journal)
{
    return journal->active->last;
}
