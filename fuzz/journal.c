/* Bytes as half of a journal, and what they hold as records: read within their bounds, in order,
 * each record the same when it is written again. The first entries get the checksums that they
 * ought to have, or none would be looked into. */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER_BYTES = 24, CHECKED_FROM = 8, SEALED_MAX = 8 };

static void seal(unsigned char *bytes, size_t size)
{
    size_t at = 0;
    for (int i = 0; i < SEALED_MAX && size - at >= HEADER_BYTES; i++) {
        uint32_t length, crc;
        memcpy(&length, bytes + at, sizeof length);
        const size_t whole = HEADER_BYTES + (((size_t)length + 7) & ~(size_t)7);
        if (length == 0 || whole > size - at)
            return;
        crc = (uint32_t)crc32(length, bytes + at + CHECKED_FROM, (uInt)(whole - CHECKED_FROM));
        memcpy(bytes + at + sizeof length, &crc, sizeof crc);
        at += whole;
    }
}

static int visit(void *user, const struct sa_journal_entry *entry, struct sa_error *err)
{
    uint64_t *before = user;
    const unsigned statement = entry->tag & 0xffff;
    if (entry->seq <= *before || entry->length == 0)
        abort();
    *before = entry->seq;
    const struct sa_table *table =
        statement < SA_STATEMENT_COUNT ? sa_write_table((enum sa_statement)statement) : NULL;
    if (!table)
        return sa_error_set(err, SA_EINVALID, "no records");
    struct sa_arena *arena = sa_arena_new();
    void *record = sa_arena_alloc(arena, table->record_bytes);
    int result = sa_table_decode(table, entry->bytes, entry->length, arena, record, err);
    if (result == 0) {
        char *again = sa_arena_alloc(arena, entry->length);
        void *second = sa_arena_alloc(arena, table->record_bytes);
        if (sa_table_encoded(table, record) != entry->length)
            abort();
        sa_table_encode(table, record, again);
        if (sa_table_decode(table, again, entry->length, arena, second, err) < 0)
            abort();
        free(sa_write_record((enum sa_statement)statement, record, err));
    }
    sa_arena_free(arena);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *bytes = malloc(size ? size : 1); /* of its size, and aligned */
    uint64_t last = 0, before = 0;
    struct sa_error err;
    memcpy(bytes, data, size);
    sa_journal_read_half(bytes, size, &last, visit, &before, &err);
    seal(bytes, size);
    last = before = 0;
    sa_journal_read_half(bytes, size, &last, visit, &before, &err);
    if (last > before)
        abort();
    free(bytes);
    return 0;
}
