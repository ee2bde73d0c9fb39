/* What the files of spool*.c share: spool.c fills blocks, spool_file.c moves them to the file and
 * back, spool_read.c takes them apart. */
#ifndef SA_API_SPOOL_PRIVATE_H
#define SA_API_SPOOL_PRIVATE_H

#include "api/spool.h"
#include "api/utf8_cut.h"

#include "base/buf.h"

enum {
    BLOCKS_CACHED = 4, /* full blocks that stay in memory while somebody reads, or without a file */
    RING_LEAST = 16,   /* blocks that a file may hold, whatever the others take */
};

/* In front of the bytes of each record; blocks are private to the process. */
struct record {
    uint32_t length;
    uint8_t kind, flags;
    uint16_t zero;
};
enum {
    RECORD_CONTINUES = 1, /* an item that began in the block before */
    RECORD_MORE = 2,      /* it goes on in the next one */
};

struct block {
    int64_t offset, end; /* of its first byte; after its last. An item counts where it ends. */
    size_t length;       /* with the records' heads */
    size_t room;         /* of `data` */
    char *data;          /* NULL: only in the file */
};

enum file_state { FILE_NONE, FILE_OPENING, FILE_OPEN, FILE_FAILED };

/*
 * Blocks have sequence numbers: [first, next) are full, `next` is the one being filled.
 * [first, written) are in the file, at slot (number % ring); [cached, next) are in memory.
 */
struct sa_spool {
    struct sa_spools *spools;
    const struct sa_spool_events *events;
    void *user;
    struct block *blocks; /* the full ones: number % capacity, a power of two */
    size_t capacity;
    uint64_t first, written, cached, next;
    struct block now;
    size_t last_record; /* where the last record of `now` begins; SIZE_MAX: there is none */
    struct sa_utf8_cut cuts[2];
    enum file_state file;
    int fd;
    size_t ring;        /* blocks that the file may hold */
    size_t ring_blocks; /* that it holds; accounted for */
    bool writing;       /* block number `written` */
    bool full_said, ended, freed;
    int busy; /* requests under way */
    uv_fs_t write;
    struct sa_spool_reader *readers;
};

struct load { /* a block on its way from the file */
    uv_fs_t fs;
    struct sa_spool *spool;
    struct sa_spool_reader *reader; /* NULL: it has gone */
    uint64_t number;
    size_t length;
    char *data;
};

struct sa_spool_reader {
    struct sa_spool_reader *prev, *next;
    struct sa_spool *spool;
    void (*loaded)(void *user);
    void *user;
    uint64_t number; /* of the block */
    size_t at, done; /* the record in it, and how much of that was read */
    int64_t offset;  /* of what is read next */
    int64_t target;  /* what lies before it is passed over */
    int64_t dropped; /* to be told with the next piece */
    struct load *load;
    char *block;           /* loaded; */
    uint64_t block_number; /* it is this one */
    bool block_bad;        /* or could not be read */
    struct sa_buf item;    /* the parts of an item so far */
    bool in_item;
};

struct sa_spools {
    struct sa_spools_options options; /* with the defaults filled in */
    char *folder;
    struct sa_spools_figures figures;
    bool complained;
    size_t references; /* the owner's, and one of each spool: a thread may still be at work */
};

/* spool.c */
struct block *spool_block(struct sa_spool *spool, uint64_t number); /* also that of `next` */
void spool_forget_data(struct sa_spool *spool, struct block *block);
void spool_trim(struct sa_spool *spool);
/* Was freed, and nothing is under way any more. */
void spool_release(struct sa_spool *spool);

/* spool_file.c */
/* Blocks wait to be written: see to it. */
void spool_write_out(struct sa_spool *spool);
void spool_load(struct sa_spool_reader *reader);
void spool_close_file(struct sa_spool *spool);

#endif
