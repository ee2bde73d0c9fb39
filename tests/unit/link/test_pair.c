/*
 * Two engines joined by random chunks, doing random things with random windows: every byte
 * arrives once, in order, on its channel; credit is never exceeded (the engines would say so);
 * nothing deadlocks; both end with no stream open. Bytes are a function of stream, channel and
 * offset, so the receiver can check them without a copy of what was sent.
 */
#include "base/arena.h"
#include "link/fields.h"
#include "link/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static uint64_t seed;

static uint32_t next_random(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % below);
}

/* What one side knows of a stream. */
struct talk {
    struct side *side;
    struct sa_stream *stream;
    uint64_t to_send[SA_CHANNELS], sent[SA_CHANNELS], got[SA_CHANNELS];
    uint64_t expected[SA_CHANNELS]; /* what the peer will send, if nobody cancels */
    uint32_t notes_left, notes_got, notes_expected;
    size_t held; /* received, not consumed yet */
    bool eof_got[SA_CHANNELS], canceled;
    struct talk *next;
};

struct side {
    struct sa_link *link;
    const char *name;
    struct talk *talks;
    unsigned opened, ended, canceled;
    bool hold; /* consume late */
};

static uint8_t byte_at(uint32_t id, int channel, uint64_t offset)
{
    return (uint8_t)(id * 7 + (uint32_t)channel * 13 + offset + (offset >> 8));
}

static struct talk *talk_new(struct side *side, struct sa_stream *stream)
{
    struct talk *t = sa_alloc(sizeof *t);
    t->side = side;
    t->stream = stream;
    t->next = side->talks;
    side->talks = t;
    return t;
}

static void talk_free(struct talk *t)
{
    struct talk **at = &t->side->talks;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    free(t);
}

/* The plan of a stream travels in its OPEN: sizes per channel for both directions. */
static void read_plan(struct talk *t, const void *body, size_t length)
{
    struct sa_fields reader;
    struct sa_field f;
    int64_t v;
    sa_fields_init(&reader, body, length);
    while (sa_fields_next(&reader, &f, NULL) > 0) {
        assert_int_equal(sa_field_int(&f, &v, NULL), 0);
        if (f.tag >= 10 && f.tag < 10 + SA_CHANNELS)
            t->expected[f.tag - 10] = (uint64_t)v;
        else if (f.tag >= 20 && f.tag < 20 + SA_CHANNELS)
            t->to_send[f.tag - 20] = (uint64_t)v;
        else if (f.tag == 30)
            t->notes_expected = (uint32_t)v;
        else if (f.tag == 31)
            t->notes_left = (uint32_t)v;
    }
}

static void push(struct talk *t)
{
    static uint8_t scratch[300000];
    for (int c = 0; c < SA_CHANNELS; c++) {
        while (t->sent[c] < t->to_send[c]) {
            uint64_t left = t->to_send[c] - t->sent[c];
            size_t n = next_random(3) ? next_random(1000) + 1 : next_random(sizeof scratch) + 1;
            if (n > left)
                n = (size_t)left;
            size_t took;
            if (next_random(2)) {
                for (size_t i = 0; i < n; i++)
                    scratch[i] = byte_at(sa_stream_id(t->stream), c, t->sent[c] + i);
                size_t promised = sa_stream_writable_bytes(t->stream);
                took = sa_stream_write(t->stream, (enum sa_link_channel)c, scratch, n);
                assert_int_equal(took, promised < n ? promised : n);
            } else {
                took = n;
                uint8_t *room = sa_stream_reserve(t->stream, (enum sa_link_channel)c, &took);
                if (room) {
                    took = next_random((uint32_t)took + 1);
                    for (size_t i = 0; i < took; i++)
                        room[i] = byte_at(sa_stream_id(t->stream), c, t->sent[c] + i);
                    sa_stream_commit(t->stream, took);
                    if (!took)
                        continue;
                }
            }
            t->sent[c] += took;
            if (!took)
                return;
        }
        sa_stream_eof(t->stream, (enum sa_link_channel)c);
    }
    while (t->notes_left) {
        if (sa_stream_note(t->stream, scratch, next_random(SA_LINK_PAYLOAD_MAX) + 1) < 0)
            return;
        t->notes_left--;
    }
}

static bool sent_all(const struct talk *t)
{
    for (int c = 0; c < SA_CHANNELS; c++)
        if (t->sent[c] < t->to_send[c])
            return false;
    return t->notes_left == 0;
}

static bool got_all(const struct talk *t)
{
    for (int c = 0; c < SA_CHANNELS; c++)
        if (t->got[c] < t->expected[c] || !t->eof_got[c])
            return false;
    return t->notes_got == t->notes_expected;
}

static void on_opened(void *owner, struct sa_stream *stream, uint16_t method, const void *body,
                      size_t length)
{
    assert_int_equal(method, 7);
    struct talk *t = talk_new(owner, stream);
    sa_stream_set_user(stream, t);
    read_plan(t, body, length);
    t->side->opened++;
    push(t);
}

static void on_data(void *owner, struct sa_stream *stream, enum sa_link_channel channel,
                    const void *data, size_t length)
{
    struct side *side = owner;
    struct talk *t = sa_stream_user(stream);
    const uint8_t *bytes = data;
    assert_false(t->canceled && (sa_stream_id(stream) & 1) == (side->name[0] == 'c'));
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != byte_at(sa_stream_id(stream), (int)channel, t->got[channel] + i))
            fail_msg("%s: wrong byte on stream %u channel %d at %llu", side->name,
                     sa_stream_id(stream), (int)channel, (unsigned long long)t->got[channel] + i);
    t->got[channel] += length;
    assert_true(t->got[channel] <= t->expected[channel]);
    if (side->hold)
        t->held += length;
    else
        sa_stream_consume(stream, length);
}

static void on_eof(void *owner, struct sa_stream *stream, enum sa_link_channel channel)
{
    (void)owner;
    struct talk *t = sa_stream_user(stream);
    assert_int_equal(t->got[channel], t->expected[channel]);
    t->eof_got[channel] = true;
}

static void on_note(void *owner, struct sa_stream *stream, const void *body, size_t length)
{
    (void)owner;
    (void)body;
    (void)length;
    struct talk *t = sa_stream_user(stream);
    t->notes_got++;
}

static void on_writable(void *owner, struct sa_stream *stream)
{
    (void)owner;
    push(sa_stream_user(stream));
}

static void on_canceled(void *owner, struct sa_stream *stream)
{
    struct side *side = owner;
    struct talk *t = sa_stream_user(stream);
    t->canceled = true;
    side->canceled++;
}

static void on_ended(void *owner, struct sa_stream *stream, const void *body, size_t length)
{
    struct side *side = owner;
    struct talk *t = sa_stream_user(stream);
    assert_int_equal(length, 4);
    assert_memory_equal(body, "done", 4);
    side->ended++;
    if (!t->canceled) {
        assert_true(got_all(t));
        assert_true(sent_all(t));
    }
    talk_free(t);
}

static const struct sa_link_events events = {.opened = on_opened,
                                             .data = on_data,
                                             .eof = on_eof,
                                             .note = on_note,
                                             .writable = on_writable,
                                             .canceled = on_canceled,
                                             .ended = on_ended};

static uint64_t random_size(void)
{
    switch (next_random(4)) {
    case 0:
        return 0;
    case 1:
        return next_random(100);
    case 2:
        return next_random(20000);
    default:
        return next_random(400000);
    }
}

static void open_one(struct side *side)
{
    sa_autobuf body = SA_BUF_INIT;
    struct talk *t = talk_new(side, NULL);
    for (int c = 0; c < SA_CHANNELS; c++) {
        t->to_send[c] = random_size();
        t->expected[c] = random_size();
        sa_fields_add_int(&body, (uint16_t)(10 + c), (int64_t)t->to_send[c]);
        sa_fields_add_int(&body, (uint16_t)(20 + c), (int64_t)t->expected[c]);
    }
    t->notes_left = next_random(4);
    t->notes_expected = next_random(4);
    sa_fields_add_int(&body, 30, t->notes_left);
    sa_fields_add_int(&body, 31, t->notes_expected);
    t->stream = sa_link_open(side->link, 7, body.data, body.length, t, NULL);
    if (!t->stream) {
        talk_free(t);
        return;
    }
    side->opened++;
    push(t);
}

/* Move some of what `from` has queued to `to`, cut anywhere. */
static bool carry(struct side *from, struct side *to)
{
    struct iovec v[8];
    size_t n = sa_link_output(from->link, v, 1 + next_random(8)), moved = 0;
    size_t budget = next_random(4) ? next_random(600000) + 1 : next_random(30) + 1;
    for (size_t i = 0; i < n && moved < budget; i++) {
        const uint8_t *at = v[i].iov_base;
        size_t left = v[i].iov_len < budget - moved ? v[i].iov_len : budget - moved;
        while (left) {
            size_t part = next_random(3) ? left : next_random((uint32_t)left) + 1;
            struct sa_error err;
            if (sa_link_feed(to->link, at, part, &err) < 0)
                fail_msg("%s refused what %s sent: %s", to->name, from->name, err.message);
            at += part;
            left -= part;
            moved += part;
        }
    }
    sa_link_consumed_output(from->link, moved);
    return moved > 0;
}

/* Consume what is held, cancel, end what is complete. */
static bool act(struct side *side, uint32_t cancel_one_in)
{
    bool acted = false;
    struct talk *next;
    for (struct talk *t = side->talks; t; t = next) {
        next = t->next;
        bool mine = (sa_stream_id(t->stream) & 1) == (side->name[0] == 'c');
        if (t->held) {
            size_t n = next_random(5) ? t->held : next_random((uint32_t)t->held) + 1;
            sa_stream_consume(t->stream, n);
            t->held -= n;
            acted = true;
        }
        if (mine && !t->canceled && cancel_one_in && !next_random(cancel_one_in)) {
            t->canceled = true;
            sa_stream_cancel(t->stream);
            side->canceled++;
            acted = true;
        }
        if (!mine && (t->canceled || (got_all(t) && sent_all(t)))) {
            sa_stream_end(t->stream, "done", 4);
            talk_free(t);
            acted = true;
        }
    }
    return acted;
}

static void run(uint64_t run_seed, unsigned streams, uint32_t cancel_one_in)
{
    seed = run_seed * 0x9e3779b97f4a7c15u + 1;
    struct side a = {.name = "control"}, b = {.name = "runtime"};
    struct sa_link_options oa = {.role = SA_LINK_CONTROL,
                                 .name = "a",
                                 .window_bytes = SA_LINK_WINDOW_MIN + next_random(1000000),
                                 .output_high_bytes = next_random(600000) + 1,
                                 .events = &events,
                                 .owner = &a};
    struct sa_link_options ob = oa;
    ob.role = SA_LINK_RUNTIME;
    ob.owner = &b;
    ob.window_bytes = SA_LINK_WINDOW_MIN + next_random(1000000);
    ob.output_high_bytes = next_random(600000) + 1;
    a.link = sa_link_new(&oa);
    b.link = sa_link_new(&ob);
    a.hold = next_random(2);
    b.hold = next_random(2);
    unsigned left = streams;
    int idle = 0;
    while (left || sa_link_stream_count(a.link) || sa_link_stream_count(b.link)) {
        bool acted = carry(&a, &b);
        acted |= carry(&b, &a);
        acted |= act(&a, cancel_one_in);
        acted |= act(&b, cancel_one_in);
        if (left && sa_link_is_ready(a.link) && sa_link_is_ready(b.link) && !next_random(3)) {
            open_one(next_random(3) ? &a : &b);
            left--;
            acted = true;
        }
        idle = acted ? 0 : idle + 1;
        if (idle > 1000)
            fail_msg("deadlock with seed %llu: %zu and %zu streams open",
                     (unsigned long long)run_seed, sa_link_stream_count(a.link),
                     sa_link_stream_count(b.link));
    }
    while (carry(&a, &b) || carry(&b, &a))
        ;
    assert_int_equal(a.opened, b.opened);
    assert_int_equal(a.ended + b.ended, a.opened);
    assert_null(a.talks);
    assert_null(b.talks);
    sa_link_free(a.link);
    sa_link_free(b.link);
}

static void test_random_runs(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 25; i++)
        run(i, 12, 0);
}

static void test_random_runs_with_cancels(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 25; i++)
        run(1000 + i, 30, 20);
}

static void test_many_streams(void **state)
{
    (void)state;
    run(5, 500, 50);
}

/* Not a timed test: prints what the engine moves when the bytes are already in memory. */
static void test_print_throughput(void **state)
{
    (void)state;
    static uint8_t frame[12 + SA_LINK_PAYLOAD_MAX];
    struct side a = {.name = "control"};
    static const struct sa_link_events none;
    struct sa_link_options o = {.role = SA_LINK_CONTROL, .name = "a", .events = &none, .owner = &a};
    struct sa_link *link = sa_link_new(&o), *other;
    o.role = SA_LINK_RUNTIME;
    other = sa_link_new(&o);
    struct iovec v[4];
    size_t n = sa_link_output(other, v, 4);
    assert_int_equal(n, 1);
    assert_int_equal(sa_link_feed(link, v[0].iov_base, v[0].iov_len, NULL), 0);
    sa_link_consumed_output(link, sa_link_output_bytes(link));
    struct sa_stream *s = sa_link_open(link, 1, NULL, 0, NULL, NULL);
    assert_non_null(s);
    frame[2] = 2; /* 131072 */
    frame[4] = 1;
    frame[8] = SA_LINK_DATA;
    frame[9] = SA_CHANNEL_OUT;
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(sa_link_feed(link, frame, 65536, NULL), 0);
        assert_int_equal(sa_link_feed(link, frame + 65536, sizeof frame - 65536, NULL), 0);
        sa_link_consumed_output(link, sa_link_output_bytes(link));
    }
    clock_gettime(CLOCK_MONOTONIC, &t1);
    double seconds = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
    print_message("feed: %.1f GB/s of DATA, %.0f ns a call\n",
                  20000.0 * SA_LINK_PAYLOAD_MAX / 1e9 / seconds, seconds / 40000 * 1e9);
    sa_link_free(link);
    sa_link_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_runs),
        cmocka_unit_test(test_random_runs_with_cancels),
        cmocka_unit_test(test_many_streams),
        cmocka_unit_test(test_print_throughput),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
