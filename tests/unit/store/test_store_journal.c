/* The journal as bytes: what was put comes back, whatever is done to the file. */
#include "fixture.h"

#include "base/fdio.h"
#include "base/id.h"
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NO_MOUNTS = 77 }; /* how a child says that it can have none of its own */

struct seen { /* all that was read */
    int count;
    uint64_t seqs[4096];
    size_t lengths[4096];
    bool wrong; /* not what put_text() puts under that number */
};

struct journal {
    char name[SA_ID_BYTES], path[96];
    struct sa_journal *one;
};

static int setup(void **state)
{
    struct journal *j = calloc(1, sizeof *j);
    sa_journal_name_new(j->name);
    assert_true(sa_journal_name_valid(j->name));
    snprintf(j->path, sizeof j->path, "/dev/shm/secureagent-%s", j->name);
    j->one = sa_journal_open(j->name, NULL);
    assert_non_null(j->one);
    *state = j;
    return 0;
}

static int setup_started(void **state)
{
    setup(state);
    assert_int_equal(sa_journal_start(((struct journal *)*state)->one, NULL), 0);
    return 0;
}

static int teardown(void **state)
{
    struct journal *j = *state;
    sa_journal_close(j->one, true);
    assert_int_equal(access(j->path, F_OK), -1);
    free(j);
    return 0;
}

/* Bytes that depend on number and place. */
static bool put_text(struct sa_journal *journal, uint64_t seq, size_t length, uint64_t settled)
{
    unsigned char *bytes = sa_journal_reserve(journal, length, settled);
    if (!bytes)
        return false;
    assert_int_equal((uintptr_t)bytes % 8, 0);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(seq + i);
    sa_journal_put(journal, seq, (uint32_t)seq + 7, length);
    assert_int_equal(sa_journal_last(journal), seq);
    return true;
}

static int see(void *user, const struct sa_journal_entry *entry, struct sa_error *err)
{
    struct seen *seen = user;
    (void)err;
    for (size_t i = 0; i < entry->length; i++)
        seen->wrong |= ((const unsigned char *)entry->bytes)[i] != (unsigned char)(entry->seq + i);
    seen->wrong |= entry->tag != (uint32_t)entry->seq + 7;
    assert_true((size_t)seen->count < sizeof seen->seqs / sizeof *seen->seqs);
    seen->lengths[seen->count] = entry->length;
    seen->seqs[seen->count++] = entry->seq;
    return 0;
}

/* What another process finds. */
static void read_again(const struct journal *j, struct seen *seen)
{
    struct sa_error err = {.code = SA_OK};
    memset(seen, 0, sizeof *seen);
    struct sa_journal *again = sa_journal_open(j->name, &err);
    assert_non_null(again);
    if (sa_journal_read(again, see, seen, &err) < 0)
        fail_msg("%s", err.message);
    sa_journal_close(again, false);
    assert_false(seen->wrong);
}

static size_t bytes_used(const struct journal *j)
{
    struct stat st;
    assert_int_equal(stat(j->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    return (size_t)st.st_blocks * 512;
}

static void an_empty_one(void **state)
{
    struct journal *j = *state;
    static struct seen seen;
    read_again(j, &seen); /* not even started */
    assert_int_equal(seen.count, 0);
    assert_int_equal(sa_journal_start(j->one, NULL), 0);
    read_again(j, &seen);
    assert_int_equal(seen.count, 0);
    assert_int_equal(sa_journal_last(j->one), 0);
}

/* At any time all that is not settled is there, in its order, with little memory. */
static void goes_round(void **state)
{
    struct journal *j = *state;
    static struct seen seen;
    uint64_t settled = 0;
    unsigned seed = 1;
    for (uint64_t seq = 1; seq <= 20000; seq++) {
        assert_true(put_text(j->one, seq, 1 + (size_t)rand_r(&seed) % 1500, settled));
        if (seq - settled > (uint64_t)rand_r(&seed) % 40)
            settled = seq - (seq - settled) / 2;
        if (seq % 97 != 0)
            continue;
        read_again(j, &seen);
        assert_int_equal(seen.seqs[seen.count - 1], seq);
        int behind = 0; /* of what is not settled none is missing */
        for (int i = 0; i < seen.count; i++)
            behind += seen.seqs[i] > settled;
        assert_int_equal(behind, seq - settled);
    }
    assert_true(bytes_used(j) <= 2 * SA_JOURNAL_KEPT_BYTES);
}

static void is_emptied_at_the_start(void **state)
{
    struct journal *j = *state;
    static struct seen seen;
    assert_true(put_text(j->one, 5, 100, 0));
    read_again(j, &seen);
    assert_int_equal(seen.count, 1);
    sa_journal_close(j->one, false);
    j->one = sa_journal_open(j->name, NULL);
    assert_int_equal(sa_journal_start(j->one, NULL), 0);
    read_again(j, &seen);
    assert_int_equal(seen.count, 0);
}

/* Bounded; what is left unsettled stays, and what a crowd took is given back. */
static void fills_up(void **state)
{
    struct journal *j = *state;
    static struct seen seen;
    enum { LENGTH = 100 * 1000 };
    uint64_t seq = 0;
    while (put_text(j->one, seq + 1, LENGTH, 0))
        seq++;
    assert_true(seq * LENGTH > SA_JOURNAL_HALF_BYTES - LENGTH);
    assert_false(put_text(j->one, seq + 1, LENGTH, 0));
    assert_true(put_text(j->one, seq + 1, 8, 0)); /* a small one still fits */
    read_again(j, &seen);
    assert_int_equal(seen.count, seq + 1);
    assert_true(bytes_used(j) > SA_JOURNAL_HALF_BYTES);
    for (uint64_t i = 0; i < 2000; i++) {
        assert_true(put_text(j->one, seq + 2 + i, 1000, seq + 1 + i));
        assert_false(put_text(j->one, seq + 2 + i, SA_JOURNAL_HALF_BYTES, seq + 1 + i));
    }
    for (uint64_t i = 2000; i < 4000; i++) /* both halves have their turn */
        assert_true(put_text(j->one, seq + 2 + i, 1000, seq + 1 + i - 100));
    assert_true(bytes_used(j) <= 2 * SA_JOURNAL_KEPT_BYTES);
}

/* Killed between the first byte and the last. */
static void a_piece_is_nothing(void **state)
{
    struct journal *j = *state;
    static struct seen seen;
    for (uint64_t round = 0; round < 3; round++) { /* fresh, and where others were before */
        for (uint64_t n = 1; n <= 3; n++)
            assert_true(put_text(j->one, round * 10 + n, 64, round * 10));
        memset(sa_journal_reserve(j->one, 64, round * 10), 0xa5, 40);
        read_again(j, &seen);
        assert_int_equal(seen.count, 3);
        memset(sa_journal_reserve(j->one, 64, round * 10 + 3), 0xa5,
               40); /* in place of the first */
        read_again(j, &seen);
        assert_int_equal(seen.count, 0);
    }
}

/* ---- damage ---- */

enum { ENTRIES = 3 };

/* A half with entries of 21, 42, 63 bytes, in memory of its own. */
static unsigned char *three(const struct journal *j, size_t *length)
{
    for (uint64_t n = 1; n <= ENTRIES; n++)
        assert_true(put_text(j->one, n, 21 * (size_t)n, 0));
    *length = 3 * 24 + 24 + 48 + 64 + 24; /* and the end */
    unsigned char *bytes = malloc(*length);
    int fd = open(j->path, O_RDONLY);
    assert_int_equal(pread(fd, bytes, *length, 0), *length);
    close(fd);
    return bytes;
}

/* What is told is true, and in its order. Returns how many. */
static int read_half(const unsigned char *bytes, size_t length, int *result)
{
    static struct seen seen;
    struct sa_error err = {.code = SA_OK};
    uint64_t last = 0;
    memset(&seen, 0, sizeof seen);
    unsigned char *copy = malloc(length ? length : 1); /* of its size, for ASan */
    memcpy(copy, bytes, length);
    *result = sa_journal_read_half(copy, length, &last, see, &seen, &err);
    free(copy);
    assert_true(*result == 0 || strstr(err.message, "at byte"));
    assert_false(seen.wrong);
    for (int i = 0; i < seen.count; i++)
        assert_int_equal(seen.seqs[i], i + 1);
    return seen.count;
}

static void every_bit_flipped(void **state)
{
    size_t length, ends[ENTRIES + 1] = {48, 48 + 72, 48 + 72 + 88};
    int result;
    unsigned char *bytes = three(*state, &length);
    assert_int_equal(read_half(bytes, length, &result), ENTRIES);
    assert_int_equal(result, 0);
    for (size_t at = 0; at < length; at++) {
        int before = 0;
        while (before < ENTRIES && at >= ends[before])
            before++;
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (unsigned char)(1 << bit);
            assert_int_equal(read_half(bytes, length, &result), before);
            if (at < ends[ENTRIES - 1] + 4) /* behind the end is nothing to be damaged */
                assert_int_equal(result, -1);
            bytes[at] ^= (unsigned char)(1 << bit);
        }
    }
    free(bytes);
}

static void every_length(void **state)
{
    size_t whole, ends[ENTRIES + 1] = {48, 48 + 72, 48 + 72 + 88, SIZE_MAX};
    int result;
    unsigned char *bytes = three(*state, &whole);
    for (size_t length = 0; length <= whole; length++) {
        int fit = 0;
        while (length >= ends[fit])
            fit++;
        assert_int_equal(read_half(bytes, length, &result), fit);
    }
    free(bytes);
}

static void not_in_order(void **state)
{
    size_t length;
    int result;
    unsigned char *bytes = three(*state, &length);
    unsigned char *mixed = calloc(1, length);
    memcpy(mixed, bytes, 48);
    memcpy(mixed + 48, bytes, 48); /* sound, and once too often */
    assert_int_equal(read_half(mixed, length, &result), 1);
    assert_int_equal(result, -1);
    free(mixed);
    free(bytes);
}

static int refuse(void *user, const struct sa_journal_entry *entry, struct sa_error *err)
{
    ++*(int *)user;
    return entry->seq == 2 ? sa_error_set(err, SA_EINVALID, "no") : 0;
}

static void the_reader_may_refuse(void **state)
{
    struct journal *j = *state;
    struct sa_error err;
    size_t length;
    int count = 0;
    free(three(j, &length));
    assert_int_equal(sa_journal_read(j->one, refuse, &count, &err), -1);
    assert_int_equal(count, 2);
    assert_non_null(strstr(err.message, j->path));
    assert_non_null(strstr(err.message, "half 0: at byte 48: no"));
}

static void a_file_cut_short(void **state)
{
    struct journal *j = *state;
    static struct seen seen;
    size_t length;
    free(three(j, &length));
    sa_journal_close(j->one, false);
    for (off_t size = 300; size >= 0; size -= 4) {
        struct sa_error err;
        memset(&seen, 0, sizeof seen);
        assert_int_equal(truncate(j->path, size), 0);
        j->one = sa_journal_open(j->name, NULL);
        sa_journal_read(j->one, see, &seen, &err); /* on a page, the rest are zeroes */
        assert_true(seen.count <= ENTRIES && !seen.wrong);
        sa_journal_close(j->one, false);
    }
    j->one = sa_journal_open(j->name, NULL);
    assert_int_equal(sa_journal_start(j->one, NULL), 0);
    assert_true(put_text(j->one, 1, 10, 0));
}

/* ---- whose it is, and whether there is room ---- */

static void assert_not_opened(const struct journal *j, const char *why)
{
    struct sa_error err = {.code = SA_OK};
    assert_null(sa_journal_open(j->name, &err));
    assert_int_equal(err.code, SA_EUNAVAILABLE);
    if (!strstr(err.message, why))
        fail_msg("%s", err.message);
}

static void others_files(void **state)
{
    struct journal *j = *state;
    char other[128];
    snprintf(other, sizeof other, "%s-other", j->path);
    assert_int_equal(chmod(j->path, 0640), 0);
    assert_not_opened(j, "not a file of this user alone");
    assert_int_equal(chmod(j->path, 0600), 0);
    assert_int_equal(link(j->path, other), 0);
    assert_not_opened(j, "not a file of this user alone");
    assert_int_equal(unlink(j->path), 0);
    assert_int_equal(symlink(other, j->path), 0);
    assert_not_opened(j, "symbolic link");
    assert_int_equal(unlink(j->path), 0);
    assert_int_equal(mkfifo(j->path, 0600), 0);
    assert_not_opened(j, "");
    assert_int_equal(unlink(j->path), 0);
    assert_int_equal(rename(other, j->path), 0);
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(j->path, 65534, 65534), 0);
    assert_not_opened(j, "");
}

/* In a child with something else at /dev/shm. */
static void elsewhere(const struct journal *j, const char *type, const char *data,
                      const char *why_not_opened, const char *why_not_started)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct sa_error err = {.code = SA_OK};
        if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount(type ? "none" : "/tmp", "/dev/shm", type, type ? 0 : MS_BIND, data) < 0)
            _exit(NO_MOUNTS);
        struct sa_journal *journal = sa_journal_open(j->name, &err);
        if (!journal) {
            unlink(j->path);
            _exit(why_not_opened && strstr(err.message, why_not_opened) ? 0 : 1);
        }
        if (why_not_opened || sa_journal_start(journal, &err) == 0)
            _exit(2);
        sa_journal_close(journal, true);
        _exit(strstr(err.message, why_not_started) ? 0 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_MOUNTS) {
        print_message("SKIP: no mount namespace to be had here\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void no_memory(void **state)
{
    elsewhere(*state, "tmpfs", "size=300k", NULL, "No space left");
    elsewhere(*state, "tmpfs", "size=8k,nr_inodes=1", "No space left", NULL);
}

static void not_in_memory(void **state)
{
    elsewhere(*state, "ramfs", NULL, "not in memory (tmpfs)", NULL);
}

/* Memory ends while it is used: an entry finds none, the others are there. */
static void memory_runs_out(void **state)
{
    const struct journal *j = *state;
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        static struct seen seen;
        uint64_t seq = 0;
        if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/dev/shm", "tmpfs", 0, "size=2m") < 0)
            _exit(NO_MOUNTS);
        struct sa_journal *journal = sa_journal_open(j->name, NULL);
        if (!journal || sa_journal_start(journal, NULL) < 0)
            _exit(1);
        while (put_text(journal, seq + 1, 5000, 0))
            seq++;
        if (seq < 100 || sa_journal_read(journal, see, &seen, NULL) < 0 || seen.wrong ||
            (uint64_t)seen.count != seq)
            _exit(2);
        _exit(put_text(journal, seq + 1, 5000, seq) ? 0 : 3); /* all are settled */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_MOUNTS) {
        print_message("SKIP: no mount namespace to be had here\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void a_limit_on_files(void **state)
{
    struct journal *j = *state;
    struct sa_error err = {.code = SA_OK};
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 1024 * 1024;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(sa_journal_start(j->one, &err), -1);
    assert_int_equal(err.sys_errno, EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void names(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "sa-",
                                      "../../etc/passwd",
                                      "sa-aaaaaaaaaaaaaaaaaaa",
                                      "sa-aaaaaaaaaaaaaaaaaaa/",
                                      "sb-aaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(sa_journal_name_valid(bad[i]));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup_started, teardown)
#define CLOSED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOSED(an_empty_one),    CASE(goes_round),         CASE(is_emptied_at_the_start),
        CASE(fills_up),          CASE(a_piece_is_nothing), CASE(every_bit_flipped),
        CASE(every_length),      CASE(not_in_order),       CASE(the_reader_may_refuse),
        CASE(a_file_cut_short),  CASE(others_files),       CLOSED(no_memory),
        CLOSED(not_in_memory),   CLOSED(memory_runs_out),  CLOSED(a_limit_on_files),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
