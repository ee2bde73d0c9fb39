/* The spool against a model that keeps everything: whatever was appended, however readers come and
 * go, each of them sees the same sequence, and what is missing is what it is told. */
#include "api/spool.h"

#include "base/arena.h"
#include "base/utf8.h"
#include "loop/loop.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { RING = SA_SPOOL_RING_MIN, MODEL_MAX = 64 << 20 };

struct fixture {
    uv_loop_t *loop;
    char dir[64], folder[80];
    struct sa_spools *spools;
    struct sa_spool *spool;
    int writable;
    uint64_t seed;
    /* the model: of each offset its kind and byte; of an item the first byte, all are alike */
    uint8_t *kinds, *bytes;
    uint32_t *lengths;
    int64_t to;
};

static void on_writable(void *user)
{
    ((struct fixture *)user)->writable++;
}

static const struct sa_spool_events events = {.writable = on_writable};

static bool refuse(void *owner, bool file)
{
    (void)owner;
    (void)file;
    return false;
}

static void open_spools(struct fixture *f, struct sa_spools_options o)
{
    struct sa_error err;
    o.loop = f->loop;
    o.folder = f->folder;
    o.owner = f;
    if (!o.ring_bytes)
        o.ring_bytes = RING;
    f->spools = sa_spools_new(&o, &err);
    assert_non_null(f->spools);
    f->spool = sa_spool_new(f->spools, &events, f);
}

static int setup(void **state)
{
    struct fixture *f = sa_alloc(sizeof *f);
    *state = f;
    f->loop = sa_loop_new(NULL);
    f->seed = 12345;
    snprintf(f->dir, sizeof f->dir, "/tmp/sa-spool-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->folder, sizeof f->folder, "%s/spool", f->dir);
    f->kinds = sa_alloc(MODEL_MAX);
    f->bytes = sa_alloc(MODEL_MAX);
    f->lengths = sa_alloc((size_t)MODEL_MAX * sizeof *f->lengths);
    return 0;
}

static size_t descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct sa_spools_figures figures;
    sa_spool_free(f->spool);
    uv_run(f->loop, UV_RUN_DEFAULT);
    sa_spools_figures(f->spools, &figures);
    assert_int_equal(figures.file_bytes, 0);
    assert_int_equal(figures.memory_bytes, 0);
    assert_int_equal(figures.files, 0);
    sa_spools_free(f->spools);
    sa_loop_free(f->loop);
    rmdir(f->folder); /* empty: its files have no names */
    assert_int_equal(rmdir(f->dir), 0);
    free(f->kinds);
    free(f->bytes);
    free(f->lengths);
    free(f);
    return 0;
}

static uint32_t draw(struct fixture *f, uint32_t below)
{
    f->seed = f->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(f->seed >> 33) % below;
}

/* ---- the model ---- */

static void append(struct fixture *f, enum sa_item_kind kind, size_t length)
{
    static char data[SA_SPOOL_ITEM_MAX];
    bool bytes = kind <= SA_ITEM_STDERR;
    uint8_t item = (uint8_t)('A' + draw(f, 26));
    for (size_t i = 0; i < length; i++)
        data[i] = (char)(bytes ? 'a' + (f->to + (int64_t)i * 7) % 23 : item);
    if (bytes) {
        memcpy(f->bytes + f->to, data, length);
        memset(f->kinds + f->to, (int)kind, length);
        f->to += (int64_t)length;
    } else {
        f->bytes[f->to] = item;
        f->kinds[f->to] = (uint8_t)kind;
        f->lengths[f->to++] = (uint32_t)length;
    }
    sa_spool_append(f->spool, kind, data, length);
    assert_true(sa_spool_to(f->spool) == f->to);
    assert_true(sa_spool_from(f->spool) <= f->to);
}

static void append_some(struct fixture *f)
{
    static const uint32_t sizes[] = {10, 300, 5000, 100000, 300000};
    uint32_t what = draw(f, 40);
    if (what == 0)
        append(f, SA_ITEM_RESULT, 1 + draw(f, draw(f, 4) ? 2000 : SA_SPOOL_ITEM_MAX));
    else if (what == 1)
        append(f, SA_ITEM_ERROR, draw(f, 200));
    else
        append(f, what % 3 ? SA_ITEM_STDOUT : SA_ITEM_STDERR, 1 + draw(f, sizes[draw(f, 5)]));
}

struct walker {
    struct fixture *f;
    struct sa_spool_reader *reader;
    int64_t at, dropped;
    bool loading;
};

static void on_loaded(void *user)
{
    ((struct walker *)user)->loading = false;
}

static void start(struct fixture *f, struct walker *w, int64_t offset)
{
    *w = (struct walker){.f = f, .at = offset};
    w->reader = sa_spool_reader_new(f->spool, offset, on_loaded, w);
}

static void stop(struct walker *w)
{
    sa_spool_reader_free(w->reader);
    w->reader = NULL;
}

static void check(struct walker *w, const struct sa_piece *p)
{
    struct fixture *f = w->f;
    assert_true(p->offset == w->at + p->dropped);
    assert_true(p->dropped == 0 || sa_spool_from(f->spool) >= 0);
    w->dropped += p->dropped;
    w->at = p->next;
    assert_true(p->next <= f->to);
    if (p->kind > SA_ITEM_STDERR) {
        assert_true(p->next == p->offset + 1);
        assert_int_equal(p->length, f->lengths[p->offset]);
        for (size_t i = 0; i < p->length; i++)
            if (((const uint8_t *)p->data)[i] != f->bytes[p->offset])
                fail_msg("item at %lld, byte %zu", (long long)p->offset, i);
        assert_int_equal(p->kind, f->kinds[p->offset]);
        return;
    }
    assert_true(p->next == p->offset + (int64_t)p->length && p->length > 0);
    if (memcmp(p->data, f->bytes + p->offset, p->length) != 0)
        fail_msg("other bytes at %lld", (long long)p->offset);
    for (size_t i = 0; i < p->length; i++)
        if (f->kinds[p->offset + (int64_t)i] != p->kind)
            fail_msg("other kind at %lld", (long long)p->offset + (long long)i);
}

/* At most `pieces`; false when there is nothing more for now. */
static bool walk(struct walker *w, size_t most, int pieces)
{
    struct sa_piece piece;
    while (!w->loading && pieces-- > 0) {
        enum sa_spool_state state = sa_spool_read(w->reader, most, &piece);
        if (state == SA_SPOOL_LOAD) {
            w->loading = true;
            return true;
        }
        if (state == SA_SPOOL_WAIT)
            return false;
        assert_true(piece.length <= most || piece.kind > SA_ITEM_STDERR);
        check(w, &piece);
    }
    return true;
}

static void walk_to_end(struct walker *w, size_t most)
{
    while (walk(w, most, 100))
        uv_run(w->f->loop, w->loading ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    assert_true(w->at == w->f->to);
}

/* ---- tests ---- */

static void nothing_costs_nothing(void **state)
{
    struct fixture *f = *state;
    struct sa_spools_figures figures;
    struct walker w;
    open_spools(f, (struct sa_spools_options){0});
    start(f, &w, 0);
    assert_false(walk(&w, 10, 1));
    append(f, SA_ITEM_STDOUT, 1);
    sa_spools_figures(f->spools, &figures);
    assert_int_equal(figures.memory_bytes, 1024);
    assert_int_equal(figures.files, 0);
    walk_to_end(&w, 10);
    sa_spool_end(f->spool);
    sa_spools_figures(f->spools, &figures);
    assert_true(figures.memory_bytes < 16);
    stop(&w);
}

static void random_readers(void **state)
{
    struct fixture *f = *state;
    struct walker w[6];
    struct sa_spools_figures figures;
    open_spools(f, (struct sa_spools_options){0});
    for (int i = 0; i < 6; i++)
        start(f, &w[i], 0);
    while (f->to < MODEL_MAX - (8 << 20)) {
        for (uint32_t n = draw(f, 6); n--;)
            append_some(f);
        for (uint32_t i = 0; i < 6; i++) {
            if (!w[i].reader || draw(f, 300) == 0) {
                int64_t from = draw(f, 3) ? (int64_t)draw(f, (uint32_t)f->to + 1) : w[i].at;
                stop(&w[i]);
                start(f, &w[i], from);
            }
            if (i < 2) /* the others are slower, and one never reads */
                walk(&w[i], 1 + draw(f, 70000), 1000);
            else if (i < 5)
                walk(&w[i], 1 + draw(f, 5000), (int)draw(f, 6));
        }
        sa_spools_figures(f->spools, &figures);
        assert_true(figures.file_bytes <= RING);
        do
            uv_run(f->loop, UV_RUN_NOWAIT);
        while (sa_spool_is_full(f->spool));
        assert_true(f->to - sa_spool_from(f->spool) <= RING + SA_SPOOL_BLOCK_BYTES);
    }
    assert_true(sa_spool_from(f->spool) > 0);
    sa_spool_end(f->spool);
    for (int i = 0; i < 6; i++) {
        walk_to_end(&w[i], 65536);
        stop(&w[i]);
    }
    assert_true(f->writable > 0);
}

/* Each offset can be gone on from. */
static void resume_anywhere(void **state)
{
    struct fixture *f = *state;
    open_spools(f, (struct sa_spools_options){0});
    while (f->to < 3 << 20)
        append_some(f);
    uv_run(f->loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 300; i++) {
        struct walker w;
        int64_t from = i ? (int64_t)draw(f, (uint32_t)f->to + 1) : f->to;
        start(f, &w, from);
        walk_to_end(&w, 65536);
        assert_true(w.dropped == 0);
        stop(&w);
    }
}

static void memory_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct sa_spools_figures figures;
    struct walker slow;
    open_spools(f, (struct sa_spools_options){0});
    start(f, &slow, 0);
    for (int i = 0; i < 200; i++) {
        append(f, SA_ITEM_STDOUT, 50000);
        while (sa_spool_is_full(f->spool))
            uv_run(f->loop, UV_RUN_ONCE);
        sa_spools_figures(f->spools, &figures);
        assert_true(figures.memory_bytes <= SA_SPOOL_UNWRITTEN_MAX + 2 * SA_SPOOL_BLOCK_BYTES);
    }
    walk_to_end(&slow, 4096);
    stop(&slow);
    uv_run(f->loop, UV_RUN_DEFAULT);
    sa_spools_figures(f->spools, &figures);
    assert_true(figures.memory_bytes <= SA_SPOOL_BLOCK_BYTES);
}

/* Large outputs do not stay in memory at all once they have ended. */
static void ended_leaves_memory(void **state)
{
    struct fixture *f = *state;
    struct sa_spools_figures figures;
    struct walker w;
    open_spools(f, (struct sa_spools_options){0});
    append(f, SA_ITEM_STDOUT, 100000);
    uv_run(f->loop, UV_RUN_DEFAULT);
    sa_spool_end(f->spool);
    uv_run(f->loop, UV_RUN_DEFAULT);
    sa_spools_figures(f->spools, &figures);
    assert_int_equal(figures.memory_bytes, 0);
    start(f, &w, 0);
    walk_to_end(&w, 65536);
    stop(&w);
}

/* A spool that is freed while it writes and somebody's block is being loaded. */
static void freed_in_the_middle(void **state)
{
    struct fixture *f = *state;
    size_t before = descriptors();
    open_spools(f, (struct sa_spools_options){0});
    for (int round = 0; round < 50; round++) {
        struct walker w;
        f->to = 0;
        append(f, SA_ITEM_STDOUT, 200000);
        for (uint32_t turns = draw(f, 6); turns--;)
            uv_run(f->loop, UV_RUN_NOWAIT);
        start(f, &w, 0);
        walk(&w, 65536, 1);
        append(f, SA_ITEM_STDOUT, 200000);
        stop(&w);
        sa_spool_free(f->spool);
        f->spool = sa_spool_new(f->spools, &events, f);
    }
    uv_run(f->loop, UV_RUN_DEFAULT);
    assert_true(descriptors() <= before + 1);
}

static void without_a_file(void **state)
{
    struct fixture *f = *state;
    struct walker w;
    struct sa_spools_figures figures;
    open_spools(f, (struct sa_spools_options){0});
    assert_int_equal(rmdir(f->folder), 0); /* it cannot be opened any more */
    start(f, &w, 0);
    for (int i = 0; i < 100; i++) {
        append(f, SA_ITEM_STDOUT, 50000);
        uv_run(f->loop, UV_RUN_DEFAULT);
    }
    assert_false(sa_spool_is_full(f->spool));
    sa_spools_figures(f->spools, &figures);
    assert_true(figures.memory_bytes <= 5 * SA_SPOOL_BLOCK_BYTES);
    walk_to_end(&w, 65536);
    assert_true(w.dropped > 4 << 20 && f->to - w.dropped > 3 * SA_SPOOL_BLOCK_BYTES);
    stop(&w);
}

/* All files together are at their most: the ring stays small, what is newest is kept. */
static void total_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct walker w;
    struct sa_spools_figures figures;
    open_spools(f, (struct sa_spools_options){.total_bytes = 2 << 20, .relieve = refuse});
    for (int i = 0; i < 200; i++) {
        append(f, SA_ITEM_STDOUT, 50000);
        while (sa_spool_is_full(f->spool))
            uv_run(f->loop, UV_RUN_ONCE);
    }
    sa_spools_figures(f->spools, &figures);
    assert_true(figures.file_bytes <= 2 << 20);
    start(f, &w, 0);
    walk_to_end(&w, 65536);
    stop(&w);
    assert_true(f->to - w.dropped >= (2 << 20) - 2 * SA_SPOOL_BLOCK_BYTES);
}

struct text {
    char bytes[64];
    size_t length;
};

static void read_text(struct fixture *f, enum sa_item_kind kind, size_t most, struct text *out)
{
    struct walker w;
    struct sa_piece piece;
    start(f, &w, 0);
    out->length = 0;
    while (sa_spool_read(w.reader, most, &piece) == SA_SPOOL_PIECE) {
        assert_true(sa_utf8_valid(piece.data, piece.length));
        if (piece.kind == kind) {
            memcpy(out->bytes + out->length, piece.data, piece.length);
            out->length += piece.length;
        }
    }
    stop(&w);
}

static void characters_stay_whole(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
    struct text seen;
    open_spools(f, (struct sa_spools_options){0});
    /* A byte of each in turn. */
    for (size_t i = 0; i < sizeof text - 1; i++) {
        sa_spool_append(f->spool, SA_ITEM_STDOUT, text + i, 1);
        sa_spool_append(f->spool, SA_ITEM_STDERR, text + i, 1);
    }
    for (size_t most = 4; most < 12; most++)
        for (int kind = SA_ITEM_STDOUT; kind <= SA_ITEM_STDERR; kind++) {
            read_text(f, (enum sa_item_kind)kind, most, &seen);
            assert_int_equal(seen.length, sizeof text - 1);
            assert_memory_equal(seen.bytes, text, sizeof text - 1);
        }
    sa_spool_append(f->spool, SA_ITEM_STDOUT, "\xe2\x82", 2);
    assert_true(sa_spool_to(f->spool) == 2 * (sizeof text - 1)); /* kept back */
    sa_spool_end(f->spool);
    assert_true(sa_spool_to(f->spool) == 2 * (sizeof text - 1) + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_costs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(random_readers, setup, teardown),
        cmocka_unit_test_setup_teardown(resume_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(ended_leaves_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(freed_in_the_middle, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(total_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(characters_stay_whole, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
