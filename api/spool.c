/* Filling blocks, dropping the oldest, and keeping account of it all. */
#include "api/spool_private.h"

#include "base/arena.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    ROOM_FIRST = 1024,
    ROOM_WORTHWHILE = 64, /* a record is not begun for less */
};

/* ---- all of them ---- */

struct sa_spools *sa_spools_new(const struct sa_spools_options *options, struct sa_error *err)
{
    if (mkdir(options->folder, 0700) < 0 && errno != EEXIST) {
        sa_error_sys(err, SA_EUNAVAILABLE, errno, "cannot make %s", options->folder);
        return NULL;
    }
    struct sa_spools *spools = sa_alloc(sizeof *spools);
    struct sa_spools_options *o = &spools->options;
    *o = *options;
    o->folder = spools->folder = sa_strdup(options->folder);
    spools->references = 1;
    if (!o->ring_bytes)
        o->ring_bytes = 16 * 1024 * 1024;
    if (o->ring_bytes < SA_SPOOL_RING_MIN)
        o->ring_bytes = SA_SPOOL_RING_MIN;
    if (!o->total_bytes)
        o->total_bytes = 1024 * 1024 * 1024;
    if (!o->memory_bytes)
        o->memory_bytes = 64 * 1024 * 1024;
    if (!o->files_max)
        o->files_max = 512;
    return spools;
}

static void let_go(struct sa_spools *spools)
{
    if (--spools->references)
        return;
    free(spools->folder);
    free(spools);
}

void sa_spools_free(struct sa_spools *spools)
{
    if (spools)
        let_go(spools);
}

void sa_spools_figures(const struct sa_spools *spools, struct sa_spools_figures *out)
{
    *out = spools->figures;
}

/* ---- blocks ---- */

struct block *spool_block(struct sa_spool *s, uint64_t number)
{
    return number == s->next ? &s->now : &s->blocks[number & (s->capacity - 1)];
}

void spool_forget_data(struct sa_spool *s, struct block *block)
{
    if (!block->data)
        return;
    s->spools->figures.memory_bytes -= block->room;
    free(block->data);
    block->data = NULL;
    block->room = 0;
}

static void resize(struct sa_spool *s, struct block *block, size_t room)
{
    block->data = sa_realloc(block->data, room);
    s->spools->figures.memory_bytes += room - block->room;
    block->room = room;
}

static void drop_oldest(struct sa_spool *s)
{
    spool_forget_data(s, spool_block(s, s->first));
    s->first++;
    if (s->cached < s->first)
        s->cached = s->first;
    if (s->written < s->first)
        s->written = s->first;
}

/* Keep no more than there is room for. The block that is being written stays until it is. */
void spool_trim(struct sa_spool *s)
{
    size_t cached = s->readers || s->file == FILE_FAILED ? BLOCKS_CACHED : 0;
    size_t kept = s->file == FILE_FAILED ? BLOCKS_CACHED : s->ring;
    while (s->next - s->first > kept && !(s->writing && s->first == s->written))
        drop_oldest(s);
    if (s->file == FILE_FAILED)
        return;
    while (s->cached < s->written && s->next - s->cached > cached)
        spool_forget_data(s, spool_block(s, s->cached++));
}

static void grow_table(struct sa_spool *s)
{
    size_t capacity = s->capacity ? s->capacity * 2 : 4;
    struct block *blocks = sa_alloc(capacity * sizeof *blocks);
    for (uint64_t n = s->first; n < s->next; n++)
        blocks[n & (capacity - 1)] = *spool_block(s, n);
    free(s->blocks);
    s->blocks = blocks;
    s->capacity = capacity;
}

static bool make_room(struct sa_spools *all)
{
    while (all->figures.file_bytes + SA_SPOOL_BLOCK_BYTES > all->options.total_bytes)
        if (!all->options.relieve || !all->options.relieve(all->options.owner, true))
            return false;
    return true;
}

/* One more block of file; where there is no room for it the ring stays as small as it is. */
static void take_slot(struct sa_spool *s)
{
    if (s->file == FILE_FAILED || s->ring_blocks == s->ring)
        return;
    if (!make_room(s->spools) && s->ring_blocks >= RING_LEAST) {
        s->ring = s->ring_blocks;
        return;
    }
    s->ring_blocks++;
    s->spools->figures.file_bytes += SA_SPOOL_BLOCK_BYTES;
}

static void seal(struct sa_spool *s)
{
    if (s->next - s->first == s->capacity)
        grow_table(s);
    s->blocks[s->next & (s->capacity - 1)] = s->now;
    s->next++;
    s->now = (struct block){.offset = s->now.end, .end = s->now.end};
    s->last_record = SIZE_MAX;
    take_slot(s);
    spool_trim(s);
    spool_write_out(s);
}

static void relieve_memory(struct sa_spools *all)
{
    while (all->figures.memory_bytes > all->options.memory_bytes && all->options.relieve &&
           all->options.relieve(all->options.owner, false))
        ;
}

/* ---- records ---- */

/* Room for so many bytes in the current block, which is small at first. */
static char *reserve(struct sa_spool *s, size_t more)
{
    size_t room = s->now.room ? s->now.room : ROOM_FIRST;
    while (room < s->now.length + more)
        room *= 2;
    if (room > SA_SPOOL_BLOCK_BYTES)
        room = SA_SPOOL_BLOCK_BYTES;
    if (room != s->now.room)
        resize(s, &s->now, room);
    return s->now.data + s->now.length;
}

static void add_record(struct sa_spool *s, const struct record *head, const void *data)
{
    char *to = reserve(s, sizeof *head + head->length);
    memcpy(to, head, sizeof *head);
    memcpy(to + sizeof *head, data, head->length);
    s->last_record = s->now.length;
    s->now.length += sizeof *head + head->length;
}

/* Append to the last record when it is of the same kind. */
static bool extend(struct sa_spool *s, enum sa_item_kind kind, const void *data, size_t length)
{
    struct record head;
    if (s->last_record == SIZE_MAX)
        return false;
    memcpy(&head, s->now.data + s->last_record, sizeof head);
    if (head.kind != kind)
        return false;
    memcpy(reserve(s, length), data, length);
    head.length += (uint32_t)length;
    memcpy(s->now.data + s->last_record, &head, sizeof head);
    s->now.length += length;
    return true;
}

struct bytes {
    struct sa_spool *spool;
    enum sa_item_kind kind;
};

/* Whole characters. */
static void add_bytes(void *user, const void *data, size_t length)
{
    struct bytes *b = user;
    struct sa_spool *s = b->spool;
    const char *from = data;
    while (length) {
        size_t room = SA_SPOOL_BLOCK_BYTES - s->now.length, n = length;
        if (room < sizeof(struct record) + ROOM_WORTHWHILE) {
            seal(s);
            continue;
        }
        if (n > room - sizeof(struct record)) {
            n = room - sizeof(struct record);
            n -= sa_utf8_partial_tail(from, n);
        }
        struct record head = {.length = (uint32_t)n, .kind = (uint8_t)b->kind};
        if (!extend(s, b->kind, from, n))
            add_record(s, &head, from);
        s->now.end += (int64_t)n;
        from += n;
        length -= n;
    }
}

/* An item that is larger than a block has one or more for itself. */
static void add_item(struct sa_spool *s, enum sa_item_kind kind, const char *data, size_t length)
{
    const size_t most = SA_SPOOL_BLOCK_BYTES - sizeof(struct record);
    uint8_t flags = 0;
    if (s->now.length && s->now.length + sizeof(struct record) + length > SA_SPOOL_BLOCK_BYTES)
        seal(s);
    while (length > most) {
        struct record part = {
            .length = (uint32_t)most, .kind = (uint8_t)kind, .flags = flags | RECORD_MORE};
        add_record(s, &part, data);
        seal(s);
        flags = RECORD_CONTINUES;
        data += most;
        length -= most;
    }
    struct record last = {.length = (uint32_t)length, .kind = (uint8_t)kind, .flags = flags};
    add_record(s, &last, data);
    s->now.end += 1;
}

void sa_spool_append(struct sa_spool *s, enum sa_item_kind kind, const void *data, size_t length)
{
    struct bytes to = {s, kind};
    if (kind == SA_ITEM_STDOUT || kind == SA_ITEM_STDERR)
        sa_utf8_cut_feed(&s->cuts[kind == SA_ITEM_STDERR], data, length, false, add_bytes, &to);
    else
        add_item(s, kind, data, length);
    relieve_memory(s->spools);
    s->full_said |= sa_spool_is_full(s);
}

bool sa_spool_is_full(const struct sa_spool *s)
{
    return s->file != FILE_FAILED &&
           (s->next - s->written) * SA_SPOOL_BLOCK_BYTES > SA_SPOOL_UNWRITTEN_MAX;
}

bool sa_spool_has_file(const struct sa_spool *s)
{
    return s->ring_blocks > 0;
}

void sa_spool_end(struct sa_spool *s)
{
    for (int i = 0; i < 2; i++) {
        struct bytes to = {s, i ? SA_ITEM_STDERR : SA_ITEM_STDOUT};
        sa_utf8_cut_feed(&s->cuts[i], "", 0, true, add_bytes, &to);
    }
    s->ended = true;
    if (s->file == FILE_OPEN && s->now.length)
        seal(s); /* to the others, out of memory */
    else if (s->now.data && s->now.room > s->now.length)
        resize(s, &s->now, s->now.length);
}

int64_t sa_spool_from(const struct sa_spool *s)
{
    return s->first == s->next ? s->now.offset : s->blocks[s->first & (s->capacity - 1)].offset;
}

int64_t sa_spool_to(const struct sa_spool *s)
{
    return s->now.end;
}

/* ---- life ---- */

struct sa_spool *sa_spool_new(struct sa_spools *spools, const struct sa_spool_events *events,
                              void *user)
{
    struct sa_spool *s = sa_alloc(sizeof *s);
    s->spools = spools;
    spools->references++;
    s->events = events;
    s->user = user;
    s->fd = -1;
    s->ring = spools->options.ring_bytes / SA_SPOOL_BLOCK_BYTES;
    s->last_record = SIZE_MAX;
    return s;
}

void spool_release(struct sa_spool *s)
{
    if (!s->freed || s->busy)
        return;
    spool_close_file(s);
    for (uint64_t n = s->first; n <= s->next; n++)
        spool_forget_data(s, spool_block(s, n));
    free(s->blocks);
    let_go(s->spools);
    free(s);
}

void sa_spool_free(struct sa_spool *s)
{
    if (!s)
        return;
    s->freed = true;
    s->spools->figures.file_bytes -= s->ring_blocks * SA_SPOOL_BLOCK_BYTES;
    s->ring_blocks = 0;
    spool_release(s);
}
