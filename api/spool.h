/*
 * The output of one execution, bounded: what comes last is kept, what came first makes room.
 *
 * Records of a kind and bytes fill blocks of 64 KiB. The block that is being filled is in memory
 * (and small while little was put out); full ones are written by libuv's threads to an unlinked
 * file, a ring of at most `ring_bytes`, and leave memory. A reader that is near the end reads
 * from memory, any other loads one block at a time from the file. Nothing here blocks the loop.
 *
 * Each byte of stdout and stderr counts 1 in the offsets, every other record (an item) counts 1
 * as a whole. Text is never cut inside a UTF-8 character: the beginning of one that is not
 * complete is kept back until its rest comes, or the end.
 *
 * Where the file cannot be had or written (disk full), the newest blocks stay in memory and the
 * others are dropped: readers are told how much is missing. One loop thread.
 */
#ifndef SA_API_SPOOL_H
#define SA_API_SPOOL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum sa_item_kind {
    SA_ITEM_STDOUT = 1,
    SA_ITEM_STDERR,
    SA_ITEM_RESULT,
    SA_ITEM_ERROR,
    SA_ITEM_INPUT,
};

enum {
    SA_SPOOL_BLOCK_BYTES = 64 * 1024,
    SA_SPOOL_UNWRITTEN_MAX = 256 * 1024, /* above that the producer should wait */
    SA_SPOOL_ITEM_MAX = 4 * 1024 * 1024,
    SA_SPOOL_RING_MIN = 2 * SA_SPOOL_ITEM_MAX,
};

struct sa_spools; /* all of a server: the folder, and what all may take together */
struct sa_spool;
struct sa_spool_reader;

struct sa_spools_options {
    uv_loop_t *loop;
    const char *folder;  /* made (0700) where it is missing */
    size_t ring_bytes;   /* of each file; 0: 16 MiB; at least SA_SPOOL_RING_MIN */
    size_t total_bytes;  /* of all files; 0: 1 GiB */
    size_t memory_bytes; /* of all blocks in memory, beyond which `relieve` is called; 0: 64 MiB */
    size_t files_max;    /* open at once; 0: 512 */
    /* One of the bounds is reached: free a spool that nobody needs, with a file if `file`. False:
     * there is none, and whoever grows drops output of its own. */
    bool (*relieve)(void *owner, bool file);
    void *owner;
};

struct sa_spools *sa_spools_new(const struct sa_spools_options *options, struct sa_error *err);
/* All spools are freed by then; writes under way finish by themselves (run the loop). */
void sa_spools_free(struct sa_spools *spools);
struct sa_spools_figures {
    size_t file_bytes, memory_bytes, files;
};
void sa_spools_figures(const struct sa_spools *spools, struct sa_spools_figures *out);

struct sa_spool_events {
    /* After sa_spool_is_full() was true: it is not any more. From the loop. */
    void (*writable)(void *user);
};
struct sa_spool *sa_spool_new(struct sa_spools *spools, const struct sa_spool_events *events,
                              void *user);
/* Its readers are freed by then. NULL is allowed. */
void sa_spool_free(struct sa_spool *spool);

/* Always taken. An item is at most SA_SPOOL_ITEM_MAX long. */
void sa_spool_append(struct sa_spool *spool, enum sa_item_kind kind, const void *data,
                     size_t length);
bool sa_spool_has_file(const struct sa_spool *spool);
/* Too much waits for the disk. */
bool sa_spool_is_full(const struct sa_spool *spool);
/* Nothing comes any more: what was kept back is let go, memory that is not needed as well. */
void sa_spool_end(struct sa_spool *spool);
int64_t sa_spool_from(const struct sa_spool *spool); /* first offset that is kept */
int64_t sa_spool_to(const struct sa_spool *spool);   /* the offset after the last */

struct sa_piece {
    enum sa_item_kind kind;
    int64_t offset, next; /* of the first byte; the offset after it */
    const void *data;     /* use it at once: valid until the spool or the reader is used again */
    size_t length;
    int64_t dropped; /* how much of the offsets was no longer there, just before this piece */
};
enum sa_spool_state {
    SA_SPOOL_PIECE, /* there is one */
    SA_SPOOL_WAIT,  /* all was read, for now; `dropped` as in a piece */
    SA_SPOOL_LOAD,  /* a block comes from the file; `loaded` will tell */
};

/* `loaded` comes from the loop. */
struct sa_spool_reader *sa_spool_reader_new(struct sa_spool *spool, int64_t offset,
                                            void (*loaded)(void *user), void *user);
/* The next piece: at most `most` bytes of stdout or stderr, or a whole item. */
enum sa_spool_state sa_spool_read(struct sa_spool_reader *reader, size_t most,
                                  struct sa_piece *piece);
int64_t sa_spool_reader_offset(const struct sa_spool_reader *reader);
void sa_spool_reader_free(struct sa_spool_reader *reader); /* NULL is allowed */

#endif
