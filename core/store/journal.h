/*
 * What the store has taken and not committed yet, kept where it outlives the process: a file in
 * memory (tmpfs) of which a part is mapped. A write is copied there before its call returns; after
 * kill -9 the next store reads it, and after an orderly end there is no file. It does not outlive
 * the machine, nor its container.
 *
 * Why not in the data directory. The first store into a page that was written back is a fault, in
 * which file systems wait for their own journal, and some for room (SIGBUS, when there is none);
 * the loop's thread must do neither. Pages of a tmpfs are never written back, and once they are
 * allocated they stay.
 *
 * The file has two halves. Entries are added to one until it holds some, then to the other, once
 * what that holds is settled: nothing is ever moved, and a half begins with its oldest entry.
 *
 *     entry: length(4) crc32(4) seq(8) tag(4) 0(4) bytes, zeroes up to a multiple of 8
 *
 * in the byte order of the machine. The checksum is that of what follows it, begun with the length.
 * A length of 0 is the end; an entry's is written last, so that one cut short by kill -9 is none.
 */
#ifndef SA_STORE_JOURNAL_H
#define SA_STORE_JOURNAL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SA_JOURNAL_HALF_BYTES = 32 * 1024 * 1024, /* at most: as much as the store's queue */
    SA_JOURNAL_KEPT_BYTES = 256 * 1024,       /* of each half, also when little is to be kept */
};

struct sa_journal;

/* The file of that name (sa_journal_name_valid) of this user, or a new one, 0600. NULL where there
 * is no memory for it, or where somebody else has that name. */
struct sa_journal *sa_journal_open(const char *name, struct sa_error *err);
bool sa_journal_name_valid(const char *name);
void sa_journal_name_new(char name[32]);
/* The file goes if `remove`. NULL is allowed. */
void sa_journal_close(struct sa_journal *journal, bool remove);

/* ---- what a killed process left ---- */

struct sa_journal_entry {
    uint64_t seq; /* larger than that of the entry before */
    uint32_t tag;
    const void *bytes;
    size_t length;
};
/* -1: what it says is damaged, too. */
typedef int (*sa_journal_visit)(void *user, const struct sa_journal_entry *entry,
                                struct sa_error *err);
/* All entries, the oldest first, before sa_journal_start(). -1 with what is damaged and where;
 * nothing behind that was visited. */
int sa_journal_read(const struct sa_journal *journal, sa_journal_visit visit, void *user,
                    struct sa_error *err);
/* The entries of one half, those with seq > *last; *last becomes that of the last one. */
int sa_journal_read_half(const void *bytes, size_t length, uint64_t *last, sa_journal_visit visit,
                         void *user, struct sa_error *err);

/* ---- adding (one thread) ---- */

/* Empty it and make it ready. */
int sa_journal_start(struct sa_journal *journal, struct sa_error *err);
/* Room for an entry of `length` bytes (not 0), aligned to 8; it is none before it is put. Entries
 * up to `settled` are not needed any more. NULL: full, or no memory. */
void *sa_journal_reserve(struct sa_journal *journal, size_t length, uint64_t settled);
/* What was written to the room reserved last. */
void sa_journal_put(struct sa_journal *journal, uint64_t seq, uint32_t tag, size_t length);
/* seq of the last entry; 0: none since the start. */
uint64_t sa_journal_last(const struct sa_journal *journal);

#endif
