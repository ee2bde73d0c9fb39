/* Readers: each walks the records at its own pace. */
#include "api/spool_private.h"

#include "base/arena.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static void to_block(struct sa_spool_reader *r, uint64_t number)
{
    free(r->block);
    r->block = NULL;
    r->block_bad = false;
    r->number = number;
    r->at = r->done = 0;
}

/* What should come next is not there any more: go on with the beginning of a block. */
static void skip_to(struct sa_spool_reader *r, uint64_t number)
{
    const struct block *block = spool_block(r->spool, number);
    int64_t wanted = r->target > r->offset ? r->target : r->offset;
    to_block(r, number);
    sa_buf_deinit(&r->item);
    r->in_item = false;
    r->offset = block->offset;
    if (block->offset > wanted)
        r->dropped += block->offset - wanted;
}

struct sa_spool_reader *sa_spool_reader_new(struct sa_spool *s, int64_t offset,
                                            void (*loaded)(void *user), void *user)
{
    struct sa_spool_reader *r = sa_alloc(sizeof *r);
    uint64_t low = s->first, high = s->next;
    r->spool = s;
    r->loaded = loaded;
    r->user = user;
    r->offset = r->target = offset;
    /* The last block that begins before it; of those that begin right there, the first. */
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (spool_block(s, middle)->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > s->first && spool_block(s, low)->offset != offset)
        low--;
    skip_to(r, low);
    DL_APPEND(s->readers, r);
    return r;
}

void sa_spool_reader_free(struct sa_spool_reader *r)
{
    if (!r)
        return;
    struct sa_spool *s = r->spool;
    DL_DELETE(s->readers, r);
    if (r->load)
        r->load->reader = NULL;
    free(r->block);
    sa_buf_deinit(&r->item);
    free(r);
    if (!s->readers)
        spool_trim(s);
}

int64_t sa_spool_reader_offset(const struct sa_spool_reader *r)
{
    return r->target > r->offset ? r->target : r->offset;
}

/* The bytes of the reader's block; NULL while they are not here. */
static const char *block_data(const struct sa_spool_reader *r, const struct block *block)
{
    if (block->data)
        return block->data;
    return r->block && r->block_number == r->number ? r->block : NULL;
}

static void next_record(struct sa_spool_reader *r, const struct record *head)
{
    r->at += sizeof *head + head->length;
    r->done = 0;
}

static enum sa_spool_state give(struct sa_spool_reader *r, struct sa_piece *piece,
                                enum sa_item_kind kind, const void *data, size_t length,
                                int64_t counts)
{
    *piece = (struct sa_piece){.kind = kind,
                               .offset = r->offset,
                               .next = r->offset + counts,
                               .data = data,
                               .length = length,
                               .dropped = r->dropped};
    r->offset = piece->next;
    r->dropped = 0;
    return SA_SPOOL_PIECE;
}

/* A record of stdout or stderr. False: nothing of it is to be given, go on. */
static bool read_bytes(struct sa_spool_reader *r, const struct record *head, const char *data,
                       size_t most, struct sa_piece *piece)
{
    size_t left = head->length - r->done;
    if (r->offset < r->target) {
        int64_t before = r->target - r->offset;
        size_t skip = before < (int64_t)left ? (size_t)before : left;
        r->done += skip;
        r->offset += (int64_t)skip;
        return false;
    }
    size_t n = left < most ? left : most;
    const char *from = data + r->done;
    if (n < left) {
        size_t tail = sa_utf8_partial_tail(from, n);
        n -= tail < n ? tail : 0;
    }
    r->done += n;
    give(r, piece, (enum sa_item_kind)head->kind, from, n, (int64_t)n);
    return true;
}

static bool read_item(struct sa_spool_reader *r, const struct record *head, const char *data,
                      struct sa_piece *piece)
{
    bool more = head->flags & RECORD_MORE, continues = head->flags & RECORD_CONTINUES;
    next_record(r, head);
    if (continues && !r->in_item) { /* its beginning was dropped */
        if (!more && r->offset++ >= r->target)
            r->dropped++;
        return false;
    }
    if (r->offset < r->target) {
        r->in_item = more;
        r->offset += !more;
        return false;
    }
    if (continues || more) {
        sa_buf_add(&r->item, data, head->length);
        r->in_item = more;
        if (more)
            return false;
        give(r, piece, (enum sa_item_kind)head->kind, r->item.data, r->item.length, 1);
        return true;
    }
    give(r, piece, (enum sa_item_kind)head->kind, data, head->length, 1);
    return true;
}

enum sa_spool_state sa_spool_read(struct sa_spool_reader *r, size_t most, struct sa_piece *piece)
{
    struct sa_spool *s = r->spool;
    if (r->item.data && !r->in_item)
        sa_buf_deinit(&r->item);
    for (;;) {
        if (r->number < s->first)
            skip_to(r, s->first);
        const struct block *block = spool_block(s, r->number);
        if (r->at >= block->length) {
            if (r->number == s->next)
                break;
            to_block(r, r->number + 1);
            continue;
        }
        if (r->block_bad && r->block_number == r->number) {
            skip_to(r, r->number + 1);
            continue;
        }
        const char *data = block_data(r, block);
        if (!data) {
            spool_load(r);
            return SA_SPOOL_LOAD;
        }
        struct record head;
        memcpy(&head, data + r->at, sizeof head);
        data += r->at + sizeof head;
        if (head.kind != SA_ITEM_STDOUT && head.kind != SA_ITEM_STDERR) {
            if (read_item(r, &head, data, piece))
                return SA_SPOOL_PIECE;
        } else if (r->done < head.length) {
            if (read_bytes(r, &head, data, most, piece))
                return SA_SPOOL_PIECE;
        } else if (r->at + sizeof head + head.length >= block->length && r->number == s->next) {
            break; /* it may still grow */
        } else {
            next_record(r, &head);
        }
    }
    *piece = (struct sa_piece){.offset = r->offset, .next = r->offset, .dropped = r->dropped};
    return SA_SPOOL_WAIT;
}
