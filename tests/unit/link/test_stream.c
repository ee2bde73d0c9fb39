/* What the application may ask of a stream: opening, writing, credit, turns, ending. */
#include "raw_peer.h"

static struct raw_peer peer;
static uint8_t bulk[1024 * 1024];

static int control(void **state)
{
    (void)state;
    raw_init(&peer, SA_LINK_CONTROL, 1);
    return 0;
}

static int runtime(void **state)
{
    (void)state;
    raw_init(&peer, SA_LINK_RUNTIME, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    raw_deinit(&peer);
    return 0;
}

static struct sa_stream *open_stream(void)
{
    struct sa_stream *s = sa_link_open(peer.link, 5, NULL, 0, NULL, &peer.err);
    struct raw_frame f;
    assert_non_null(s);
    while (raw_next(&peer, &f))
        ;
    sa_buf_deinit(&peer.log);
    return s;
}

static void test_open_numbers(void **state)
{
    (void)state;
    struct raw_frame f;
    int user;
    struct sa_stream *a = sa_link_open(peer.link, 5, "body", 4, &user, NULL);
    struct sa_stream *b = sa_link_open(peer.link, 6, NULL, 0, NULL, NULL);
    assert_int_equal(sa_stream_id(a), 1);
    assert_int_equal(sa_stream_id(b), 3);
    assert_ptr_equal(sa_stream_user(a), &user);
    assert_ptr_equal(sa_stream_link(a), peer.link);
    expect_log(&peer, "output\n"); /* once */
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.type, SA_LINK_OPEN);
    assert_int_equal(f.length, 18);
    assert_memory_equal(f.payload + 14, "body", 4);
}

static void test_open_before_ready(void **state)
{
    (void)state;
    raw_deinit(&peer);
    raw_init(&peer, SA_LINK_CONTROL, 0);
    assert_null(sa_link_open(peer.link, 1, NULL, 0, NULL, &peer.err));
    assert_int_equal(peer.err.code, SA_EUNAVAILABLE);
}

static void test_open_too_many(void **state)
{
    (void)state;
    for (int i = 0; i < SA_LINK_STREAMS_MAX; i++)
        assert_non_null(sa_link_open(peer.link, 1, NULL, 0, NULL, NULL));
    assert_null(sa_link_open(peer.link, 1, NULL, 0, NULL, &peer.err));
    assert_int_equal(peer.err.code, SA_EUNAVAILABLE);
    assert_int_equal(raw_feed(&peer, SA_LINK_END, 1, 0, "", 0), 0);
    assert_non_null(sa_link_open(peer.link, 1, NULL, 0, NULL, NULL));
}

static void test_open_too_large(void **state)
{
    (void)state;
    assert_null(sa_link_open(peer.link, 1, bulk, SA_LINK_PAYLOAD_MAX - 13, NULL, &peer.err));
    assert_int_equal(peer.err.code, SA_ETOOLARGE);
    assert_non_null(sa_link_open(peer.link, 1, bulk, SA_LINK_PAYLOAD_MAX - 14, NULL, &peer.err));
}

static void test_write_stops_at_credit(void **state)
{
    (void)state;
    struct raw_frame f;
    size_t got = 0;
    struct sa_stream *s = open_stream();
    assert_int_equal(sa_stream_writable_bytes(s), SA_LINK_WINDOW_MIN);
    assert_int_equal(sa_stream_write(s, SA_CHANNEL_IN, bulk, sizeof bulk), SA_LINK_WINDOW_MIN);
    while (raw_next(&peer, &f)) {
        assert_int_equal(f.type, SA_LINK_DATA);
        got += f.length;
    }
    assert_int_equal(got, SA_LINK_WINDOW_MIN);
    assert_int_equal(sa_stream_write(s, SA_CHANNEL_IN, "x", 1), 0);
    expect_log(&peer, "output\n");
    assert_int_equal(raw_credit(&peer, 1, 10), 0);
    expect_log(&peer, "writable 1\n");
    assert_int_equal(sa_stream_writable_bytes(s), 10);
    assert_int_equal(sa_stream_write(s, SA_CHANNEL_IN, bulk, 10), 10);
    assert_int_equal(raw_credit(&peer, 1, 10), 0);
    expect_log(&peer, "output\n"); /* nothing was refused, so nobody is told */
}

/* Two streams fill the queue (400000 bytes); a third finds no room and is told when there is. */
static void test_write_stops_at_room(void **state)
{
    (void)state;
    struct sa_stream *a = open_stream(), *b = open_stream(), *c = open_stream();
    struct raw_frame f;
    assert_int_equal(sa_stream_write(a, SA_CHANNEL_IN, bulk, 262144), 262144);
    size_t second = sa_stream_write(b, SA_CHANNEL_IN, bulk, 262144);
    assert_in_range(second, 130000, 140000);
    assert_int_equal(sa_stream_write(c, SA_CHANNEL_IN, "abc", 3), 0);
    expect_log(&peer, "output\n");
    assert_true(sa_link_output_bytes(peer.link) < 400000 + 100);
    while (raw_next(&peer, &f))
        ;
    expect_log(&peer, "writable 3\nwritable 5\n");
}

static void test_no_turn_before_half_empty(void **state)
{
    (void)state;
    struct sa_stream *a = open_stream(), *b = open_stream();
    sa_stream_write(a, SA_CHANNEL_IN, bulk, 262144);
    sa_stream_write(b, SA_CHANNEL_IN, bulk, 262144);
    sa_buf_deinit(&peer.log);
    sa_link_consumed_output(peer.link, 199000);
    expect_log(&peer, "");
    sa_link_consumed_output(peer.link, 2000);
    expect_log(&peer, "writable 3\n");
}

static void test_waiter_may_end_meanwhile(void **state)
{
    (void)state;
    struct sa_stream *a = open_stream(), *b = open_stream(), *c = open_stream();
    struct raw_frame f;
    sa_stream_write(a, SA_CHANNEL_IN, bulk, 262144);
    sa_stream_write(b, SA_CHANNEL_IN, bulk, 262144);
    sa_stream_write(c, SA_CHANNEL_IN, bulk, 262144);
    assert_int_equal(raw_feed(&peer, SA_LINK_END, 3, 0, "", 0), 0);
    sa_buf_deinit(&peer.log);
    while (raw_next(&peer, &f))
        ;
    expect_log(&peer, "writable 5\n");
}

static void test_reserve(void **state)
{
    (void)state;
    struct sa_stream *s = open_stream();
    struct raw_frame f;
    size_t n = 1000000;
    uint8_t *room = sa_stream_reserve(s, SA_CHANNEL_OUT, &n);
    assert_non_null(room);
    assert_int_equal(n, SA_LINK_PAYLOAD_MAX);
    memcpy(room, "short", 5);
    sa_stream_commit(s, 5);
    n = 100;
    assert_non_null(sa_stream_reserve(s, SA_CHANNEL_ERR, &n));
    assert_int_equal(n, 100);
    sa_stream_commit(s, 0); /* dropped */
    memcpy(sa_stream_reserve(s, SA_CHANNEL_ERR, &n), "more", 4);
    sa_stream_commit(s, 4);
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.type, SA_LINK_DATA);
    assert_int_equal(f.channel, 1);
    assert_int_equal(f.length, 5);
    assert_memory_equal(f.payload, "short", 5);
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.channel, 2);
    assert_memory_equal(f.payload, "more", 4);
    assert_false(raw_next(&peer, &f));
}

static void test_reserve_without_credit(void **state)
{
    (void)state;
    struct sa_stream *s = open_stream();
    struct raw_frame f;
    size_t n = 5;
    sa_stream_write(s, SA_CHANNEL_IN, bulk, SA_LINK_WINDOW_MIN);
    while (raw_next(&peer, &f))
        ;
    sa_buf_deinit(&peer.log);
    assert_null(sa_stream_reserve(s, SA_CHANNEL_IN, &n));
    assert_int_equal(n, 0);
    raw_credit(&peer, 1, 3);
    expect_log(&peer, "writable 1\n");
    n = 5;
    assert_non_null(sa_stream_reserve(s, SA_CHANNEL_IN, &n));
    assert_int_equal(n, 3);
    sa_stream_commit(s, 3);
}

static void test_note_needs_credit(void **state)
{
    (void)state;
    struct sa_stream *s = open_stream();
    struct raw_frame f;
    sa_stream_write(s, SA_CHANNEL_IN, bulk, SA_LINK_WINDOW_MIN - 10);
    while (raw_next(&peer, &f))
        ;
    sa_buf_deinit(&peer.log);
    assert_int_equal(sa_stream_note(s, bulk, 11), -1);
    raw_credit(&peer, 1, 1);
    expect_log(&peer, "writable 1\n");
    assert_int_equal(sa_stream_note(s, bulk, 11), 0);
    assert_int_equal(sa_stream_writable_bytes(s), 0);
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.type, SA_LINK_NOTE);
    assert_int_equal(f.length, 11);
}

static void test_eof_once(void **state)
{
    (void)state;
    struct sa_stream *s = open_stream();
    struct raw_frame f;
    sa_stream_eof(s, SA_CHANNEL_IN);
    sa_stream_eof(s, SA_CHANNEL_IN);
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.type, SA_LINK_EOF);
    assert_false(raw_next(&peer, &f));
}

static void test_cancel_drops_what_comes(void **state)
{
    (void)state;
    struct sa_stream *s = open_stream();
    struct raw_frame f;
    peer.auto_consume = 0;
    raw_feed(&peer, SA_LINK_DATA, 1, 1, bulk, 120000);
    sa_buf_deinit(&peer.log);
    sa_stream_cancel(s);
    sa_stream_cancel(s);
    sa_stream_consume(s, 120000); /* too late, and harmless */
    assert_int_equal(sa_stream_write(s, SA_CHANNEL_IN, "x", 1), 0);
    sa_stream_eof(s, SA_CHANNEL_IN);
    assert_int_equal(sa_stream_note(s, "x", 1), -1);
    for (int i = 0; i < 50; i++) { /* credit still comes back by itself */
        assert_int_equal(raw_feed(&peer, SA_LINK_DATA, 1, 1, bulk, 100000), 0);
        assert_int_equal(raw_feed(&peer, SA_LINK_NOTE, 1, 0, bulk, 1000), 0);
    }
    assert_int_equal(raw_feed(&peer, SA_LINK_EOF, 1, 1, "", 0), 0);
    expect_log(&peer, "output\n");
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.type, SA_LINK_CANCEL);
    uint32_t back = 0;
    while (raw_next(&peer, &f)) {
        assert_int_equal(f.type, SA_LINK_CREDIT);
        back += f.payload[0] | (uint32_t)f.payload[1] << 8 | (uint32_t)f.payload[2] << 16;
    }
    assert_true(120000 + 50 * 101000 - back < SA_LINK_WINDOW_BYTES / 4); /* what was held, too */
    assert_int_equal(raw_feed(&peer, SA_LINK_END, 1, 0, "result", 6), 0);
    expect_log(&peer, "ended 1 6\n");
    assert_int_equal(sa_link_stream_count(peer.link), 0);
}

static void test_end(void **state)
{
    (void)state;
    struct raw_frame f;
    raw_open(&peer, 1, 1);
    sa_stream_end(peer.last, "done", 4);
    assert_int_equal(sa_link_stream_count(peer.link), 0);
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.type, SA_LINK_END);
    assert_memory_equal(f.payload, "done", 4);
}

static void test_end_error(void **state)
{
    (void)state;
    struct raw_frame f;
    struct sa_error out = {.code = SA_ENOTFOUND, .message = "no file", .path = "/x"}, in;
    struct sa_fields reader;
    struct sa_field field;
    raw_open(&peer, 1, 1);
    sa_stream_end_error(peer.last, &out);
    assert_true(raw_next(&peer, &f));
    sa_fields_init(&reader, f.payload, f.length);
    assert_int_equal(sa_fields_next(&reader, &field, NULL), 1);
    assert_int_equal(field.tag, SA_LINK_END_ERROR);
    assert_int_equal(sa_field_error(&field, &in, NULL), 0);
    assert_int_equal(in.code, SA_ENOTFOUND);
    assert_string_equal(in.message, "no file");
    assert_string_equal(in.path, "/x");
}

static void test_end_too_large(void **state)
{
    (void)state;
    struct raw_frame f;
    raw_open(&peer, 1, 1);
    sa_stream_end(peer.last, bulk, SA_LINK_PAYLOAD_MAX + 1);
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.type, SA_LINK_END);
    assert_true(f.length < 1000);
}

static void test_nothing_is_queued_after_failure(void **state)
{
    (void)state;
    struct raw_frame f;
    struct sa_stream *s = open_stream();
    assert_int_equal(raw_feed(&peer, 99, 0, 0, "", 0), -1);
    while (raw_next(&peer, &f))
        ;
    assert_int_equal(sa_stream_write(s, SA_CHANNEL_IN, "x", 1), 0);
    assert_int_equal(sa_stream_note(s, "x", 1), -1);
    sa_stream_eof(s, SA_CHANNEL_IN);
    sa_stream_cancel(s);
    sa_link_ping(peer.link, 1);
    assert_null(sa_link_open(peer.link, 1, NULL, 0, NULL, &peer.err));
    assert_int_equal(sa_link_output_bytes(peer.link), 0);
}

#define T(f, setup) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_open_numbers, control),
        T(test_open_before_ready, control),
        T(test_open_too_many, control),
        T(test_open_too_large, control),
        T(test_write_stops_at_credit, control),
        T(test_write_stops_at_room, control),
        T(test_no_turn_before_half_empty, control),
        T(test_waiter_may_end_meanwhile, control),
        T(test_reserve, control),
        T(test_reserve_without_credit, control),
        T(test_note_needs_credit, control),
        T(test_eof_once, control),
        T(test_cancel_drops_what_comes, control),
        T(test_end, runtime),
        T(test_end_error, runtime),
        T(test_end_too_large, runtime),
        T(test_nothing_is_queued_after_failure, control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
