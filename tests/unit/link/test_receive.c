/* Every rule about what may come in, and every violation of it. */
#include "raw_peer.h"

static struct raw_peer peer;

static int greeted(void **state)
{
    (void)state;
    raw_init(&peer, SA_LINK_RUNTIME, 1);
    return 0;
}

static int greeted_control(void **state)
{
    (void)state;
    raw_init(&peer, SA_LINK_CONTROL, 1);
    return 0;
}

static int silent(void **state)
{
    (void)state;
    raw_init(&peer, SA_LINK_RUNTIME, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    raw_deinit(&peer);
    return 0;
}

static uint8_t bulk[SA_LINK_PAYLOAD_MAX + 1];

/* --- HELLO --- */

static int hello(const char *magic, int lowest, int highest, int64_t window, int64_t streams)
{
    sa_autobuf body = SA_BUF_INIT;
    raw_hello_body(&body, magic, lowest, highest, window, streams);
    return raw_feed(&peer, SA_LINK_HELLO, 0, 0, body.data, body.length);
}

static void test_own_hello(void **state)
{
    (void)state;
    struct raw_frame f;
    struct sa_fields reader;
    struct sa_field field;
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.type, SA_LINK_HELLO);
    sa_fields_init(&reader, f.payload, f.length);
    for (int tag = 1; tag <= 6; tag++) {
        assert_int_equal(sa_fields_next(&reader, &field, NULL), 1);
        assert_int_equal(field.tag, tag);
    }
    assert_int_equal(sa_fields_next(&reader, &field, NULL), 0);
    assert_false(raw_next(&peer, &f));
}

static void test_hello_of_newer_peer(void **state)
{
    (void)state;
    assert_int_equal(hello(SA_LINK_MAGIC, 1, 9, SA_LINK_WINDOW_MAX, 100000), 0);
    expect_log(&peer, "ready raw\n");
    assert_true(sa_link_is_ready(peer.link));
}

static void test_hello_wrong_magic(void **state)
{
    (void)state;
    expect_violation(&peer, hello("http", 1, 1, SA_LINK_WINDOW_MIN, 1), "not a link peer");
}

static void test_hello_wrong_version(void **state)
{
    (void)state;
    expect_violation(&peer, hello(SA_LINK_MAGIC, 2, 3, SA_LINK_WINDOW_MIN, 1), "versions 2 to 3");
}

static void test_hello_versions_reversed(void **state)
{
    (void)state;
    expect_violation(&peer, hello(SA_LINK_MAGIC, 1, 0, SA_LINK_WINDOW_MIN, 1), "versions 1 to 0");
}

static void test_hello_window_small(void **state)
{
    (void)state;
    expect_violation(&peer, hello(SA_LINK_MAGIC, 1, 1, SA_LINK_WINDOW_MIN - 1, 1), "window");
}

static void test_hello_window_large(void **state)
{
    (void)state;
    expect_violation(&peer, hello(SA_LINK_MAGIC, 1, 1, SA_LINK_WINDOW_MAX + 1, 1), "window");
}

static void test_hello_no_streams(void **state)
{
    (void)state;
    expect_violation(&peer, hello(SA_LINK_MAGIC, 1, 1, SA_LINK_WINDOW_MIN, 0), "no stream");
}

static void test_hello_critical_field(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    raw_hello_body(&body, SA_LINK_MAGIC, 1, 1, SA_LINK_WINDOW_MIN, 1);
    sa_fields_add_int(&body, SA_FIELD_CRITICAL | 77, 1);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_HELLO, 0, 0, body.data, body.length),
                     "critical");
}

static void test_hello_unknown_field_is_skipped(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    raw_hello_body(&body, SA_LINK_MAGIC, 1, 1, SA_LINK_WINDOW_MIN, 1);
    sa_fields_add_int(&body, 77, 1);
    assert_int_equal(raw_feed(&peer, SA_LINK_HELLO, 0, 0, body.data, body.length), 0);
}

static void test_hello_cut_short(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    raw_hello_body(&body, SA_LINK_MAGIC, 1, 1, SA_LINK_WINDOW_MIN, 1);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_HELLO, 0, 0, body.data, body.length - 1),
                     "cut short");
}

static void test_hello_empty(void **state)
{
    (void)state;
    expect_violation(&peer, raw_feed(&peer, SA_LINK_HELLO, 0, 0, "", 0), "not a link peer");
}

static void test_hello_long(void **state)
{
    (void)state;
    expect_violation(&peer, raw_feed(&peer, SA_LINK_HELLO, 0, 0, bulk, 1025), "payload of 1025");
}

static void test_hello_long_name(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    char name[65] = {0};
    memset(name, 'n', 64);
    sa_fields_add_text(&body, 6, name);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_HELLO, 0, 0, body.data, body.length),
                     "text of 64 bytes");
}

static void test_second_hello(void **state)
{
    (void)state;
    expect_violation(&peer, hello(SA_LINK_MAGIC, 1, 1, SA_LINK_WINDOW_MIN, 1), "second HELLO");
}

static void test_before_hello(void **state)
{
    (void)state;
    expect_violation(&peer, raw_open(&peer, 1, 1), "OPEN before HELLO");
}

static void test_garbage(void **state)
{
    (void)state;
    expect_violation(&peer, sa_link_feed(peer.link, "GET / HTTP/1.1\r\n", 16, &peer.err), "type");
}

/* --- headers --- */

static void test_unknown_type(void **state)
{
    (void)state;
    expect_violation(&peer, raw_feed(&peer, 12, 0, 0, "", 0), "unknown type 12");
}

static void test_type_zero(void **state)
{
    (void)state;
    expect_violation(&peer, raw_feed(&peer, 0, 0, 0, "", 0), "unknown type 0");
}

static void test_reserved_bytes(void **state)
{
    (void)state;
    for (size_t i = 10; i < 12; i++) {
        uint8_t frame[12] = {0, 0, 0, 0, 1, 0, 0, 0, SA_LINK_EOF};
        frame[i] = 1;
        raw_deinit(&peer);
        raw_init(&peer, SA_LINK_RUNTIME, 1);
        expect_violation(&peer, sa_link_feed(peer.link, frame, 12, &peer.err), "reserved");
    }
}

static void test_payload_too_long(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_DATA, 1, 0, bulk, sizeof bulk),
                     "payload of 131073");
}

static void test_too_long_is_judged_by_the_header(void **state)
{
    (void)state;
    static const uint8_t frame[12] = {255, 255, 255, 255, 1, 0, 0, 0, SA_LINK_OPEN};
    expect_violation(&peer, sa_link_feed(peer.link, frame, 12, &peer.err), "payload of 4294967295");
}

static void test_empty_data(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_DATA, 1, 0, "", 0), "payload of 0");
}

static void test_wrong_sizes(void **state)
{
    (void)state;
    static const struct {
        int type;
        uint32_t stream;
        size_t length;
    } cases[] = {{SA_LINK_CREDIT, 1, 3}, {SA_LINK_CREDIT, 1, 5}, {SA_LINK_EOF, 1, 1},
                 {SA_LINK_CANCEL, 1, 1}, {SA_LINK_PING, 0, 7},   {SA_LINK_PONG, 0, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        raw_deinit(&peer);
        raw_init(&peer, SA_LINK_RUNTIME, 1);
        raw_open(&peer, 1, 1);
        expect_violation(&peer,
                         raw_feed(&peer, cases[i].type, cases[i].stream, 0, bulk, cases[i].length),
                         "payload of");
    }
}

static void test_wrong_place(void **state)
{
    (void)state;
    static const struct {
        int type;
        uint32_t stream;
        size_t length;
    } cases[] = {{SA_LINK_OPEN, 0, 14},  {SA_LINK_DATA, 0, 1},  {SA_LINK_CREDIT, 0, 4},
                 {SA_LINK_EOF, 0, 0},    {SA_LINK_NOTE, 0, 0},  {SA_LINK_END, 0, 0},
                 {SA_LINK_CANCEL, 0, 0}, {SA_LINK_PING, 1, 8},  {SA_LINK_PONG, 1, 8},
                 {SA_LINK_GOAWAY, 1, 0}, {SA_LINK_HELLO, 1, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        raw_deinit(&peer);
        raw_init(&peer, SA_LINK_RUNTIME, 1);
        raw_open(&peer, 1, 1);
        int result = raw_feed(&peer, cases[i].type, cases[i].stream, 0, bulk, cases[i].length);
        assert_int_equal(result, -1);
        assert_non_null(strstr(peer.err.message, "on stream"));
    }
}

static void test_channel_out_of_range(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_DATA, 1, 4, "x", 1), "channel 4");
}

static void test_channel_where_none_belongs(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_NOTE, 1, 1, "", 0), "channel 1");
}

/* --- streams --- */

static void test_open(void **state)
{
    (void)state;
    assert_int_equal(raw_open(&peer, 1, 7), 0);
    assert_int_equal(raw_open(&peer, 9, 65535), 0);
    expect_log(&peer, "opened 1 7 14\nopened 9 65535 14\n");
    assert_int_equal(sa_link_stream_count(peer.link), 2);
}

static void test_open_wrong_parity(void **state)
{
    (void)state;
    expect_violation(&peer, raw_open(&peer, 2, 1), "OPEN of stream 2");
}

static void test_open_twice(void **state)
{
    (void)state;
    raw_open(&peer, 3, 1);
    expect_violation(&peer, raw_open(&peer, 3, 1), "OPEN of stream 3, last was 3");
}

static void test_open_descending(void **state)
{
    (void)state;
    raw_open(&peer, 3, 1);
    expect_violation(&peer, raw_open(&peer, 1, 1), "OPEN of stream 1, last was 3");
}

static void test_open_without_method(void **state)
{
    (void)state;
    expect_violation(&peer, raw_feed(&peer, SA_LINK_OPEN, 1, 0, "", 0), "without a method");
}

static void test_open_method_not_first(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, 2, 1);
    sa_fields_add_int(&body, 1, 1);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_OPEN, 1, 0, body.data, body.length),
                     "without a method");
}

static void test_open_method_range(void **state)
{
    (void)state;
    expect_violation(&peer, raw_open(&peer, 1, 65536), "method 65536");
}

static void test_open_method_type(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, 1, "exec");
    expect_violation(&peer, raw_feed(&peer, SA_LINK_OPEN, 1, 0, body.data, body.length),
                     "integer of 8 bytes");
}

static void test_too_many_streams(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SA_LINK_STREAMS_MAX; i++)
        assert_int_equal(raw_open(&peer, 1 + 2 * i, 1), 0);
    expect_violation(&peer, raw_open(&peer, 1001, 1), "more than 256");
}

static void test_ended_streams_make_room(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3 * SA_LINK_STREAMS_MAX; i++) {
        assert_int_equal(raw_open(&peer, 1 + 2 * i, 1), 0);
        sa_stream_end(peer.last, NULL, 0);
        assert_int_equal(sa_link_stream_count(peer.link), 0);
    }
}

static void test_never_opened(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_DATA, 3, 0, "x", 1), "never opened");
}

static void test_never_opened_by_us(void **state)
{
    (void)state;
    expect_violation(&peer, raw_feed(&peer, SA_LINK_END, 2, 0, "", 0), "never opened");
}

static void test_frames_for_ended_streams_are_ignored(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    sa_stream_end(peer.last, NULL, 0);
    sa_buf_deinit(&peer.log);
    assert_int_equal(raw_feed(&peer, SA_LINK_DATA, 1, 0, bulk, SA_LINK_PAYLOAD_MAX), 0);
    assert_int_equal(raw_feed(&peer, SA_LINK_EOF, 1, 0, "", 0), 0);
    assert_int_equal(raw_feed(&peer, SA_LINK_NOTE, 1, 0, "x", 1), 0);
    assert_int_equal(raw_credit(&peer, 1, 5), 0);
    assert_int_equal(raw_feed(&peer, SA_LINK_CANCEL, 1, 0, "", 0), 0);
    expect_log(&peer, "");
}

static void test_end_within_split_data(void **state)
{
    (void)state;
    sa_autobuf bytes = SA_BUF_INIT;
    raw_open(&peer, 1, 1);
    raw_frame(&bytes, SA_LINK_DATA, 1, 0, "hello world", 11);
    raw_frame(&bytes, SA_LINK_PING, 0, 0, "12345678", 8);
    sa_buf_deinit(&peer.log);
    peer.end_in_data = 1;
    assert_int_equal(sa_link_feed(peer.link, bytes.data, 17, NULL), 0);
    expect_log(&peer, "data 1 0 hello\noutput\n");
    assert_int_equal(sa_link_feed(peer.link, bytes.data + 17, bytes.length - 17, NULL), 0);
    expect_log(&peer, ""); /* the rest was dropped, and the PING understood: */
    struct raw_frame f;
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.type, SA_LINK_END);
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.type, SA_LINK_PONG);
    assert_memory_equal(f.payload, "12345678", 8);
}

static void test_data_in_pieces(void **state)
{
    (void)state;
    sa_autobuf bytes = SA_BUF_INIT;
    raw_open(&peer, 1, 1);
    raw_frame(&bytes, SA_LINK_DATA, 1, 2, "abc", 3);
    raw_frame(&bytes, SA_LINK_NOTE, 1, 0, "noted", 5);
    sa_buf_deinit(&peer.log);
    for (size_t i = 0; i < bytes.length; i++)
        assert_int_equal(sa_link_feed(peer.link, bytes.data + i, 1, NULL), 0);
    expect_log(&peer, "data 1 2 a\ndata 1 2 b\ndata 1 2 c\nnote 1 5\n");
}

static void test_eof(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    sa_buf_deinit(&peer.log);
    assert_int_equal(raw_feed(&peer, SA_LINK_EOF, 1, 1, "", 0), 0);
    assert_int_equal(raw_feed(&peer, SA_LINK_DATA, 1, 0, "x", 1), 0);
    expect_log(&peer, "eof 1 1\ndata 1 0 x\n");
    expect_violation(&peer, raw_feed(&peer, SA_LINK_DATA, 1, 1, "x", 1), "DATA after EOF");
}

static void test_eof_twice(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    raw_feed(&peer, SA_LINK_EOF, 1, 0, "", 0);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_EOF, 1, 0, "", 0), "EOF after EOF");
}

static void test_end_from_opener(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_END, 1, 0, "", 0), "END from the opener");
}

static void test_cancel(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    sa_buf_deinit(&peer.log);
    assert_int_equal(raw_feed(&peer, SA_LINK_CANCEL, 1, 0, "", 0), 0);
    expect_log(&peer, "canceled 1\n");
    /* The answering side may go on until it ends the stream. */
    assert_int_equal(sa_stream_write(peer.last, SA_CHANNEL_OUT, "late", 4), 4);
    assert_int_equal(raw_credit(&peer, 1, 4), 0);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_CANCEL, 1, 0, "", 0), "CANCEL after CANCEL");
}

static void test_data_after_cancel(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    raw_feed(&peer, SA_LINK_CANCEL, 1, 0, "", 0);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_DATA, 1, 0, "x", 1), "DATA after CANCEL");
}

static void test_cancel_by_answerer(void **state)
{
    (void)state;
    struct sa_stream *s = sa_link_open(peer.link, 1, NULL, 0, NULL, NULL);
    assert_non_null(s);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_CANCEL, 1, 0, "", 0), "did not open it");
}

/* --- credit --- */

static void test_data_beyond_credit(void **state)
{
    (void)state;
    peer.auto_consume = 0;
    raw_open(&peer, 1, 1);
    for (int i = 0; i < SA_LINK_WINDOW_BYTES / SA_LINK_PAYLOAD_MAX; i++)
        assert_int_equal(raw_feed(&peer, SA_LINK_DATA, 1, 0, bulk, SA_LINK_PAYLOAD_MAX), 0);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_DATA, 1, 0, "x", 1), "credit for 0");
}

static void test_notes_cost_credit(void **state)
{
    (void)state;
    peer.auto_consume = 0;
    raw_open(&peer, 1, 1);
    for (int i = 0; i < SA_LINK_WINDOW_BYTES / SA_LINK_PAYLOAD_MAX; i++)
        assert_int_equal(raw_feed(&peer, SA_LINK_DATA, 1, 0, bulk, SA_LINK_PAYLOAD_MAX), 0);
    expect_violation(&peer, raw_feed(&peer, SA_LINK_NOTE, 1, 0, "x", 1), "credit for 0");
}

static void test_credit_comes_back(void **state)
{
    (void)state;
    struct raw_frame f;
    uint32_t back = 0;
    raw_open(&peer, 1, 1);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(raw_feed(&peer, SA_LINK_DATA, 1, 0, bulk, 100000), 0);
        assert_int_equal(raw_feed(&peer, SA_LINK_NOTE, 1, 0, bulk, 50000), 0);
        while (raw_next(&peer, &f)) {
            assert_int_equal(f.type, SA_LINK_CREDIT);
            back += f.payload[0] | (uint32_t)f.payload[1] << 8 | (uint32_t)f.payload[2] << 16;
        }
        assert_true(100000u * ((uint32_t)i + 1) + 50000u * ((uint32_t)i + 1) - back <
                    SA_LINK_WINDOW_BYTES / 2);
    }
}

static void test_credit_zero(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    expect_violation(&peer, raw_credit(&peer, 1, 0), "CREDIT of 0");
}

static void test_credit_that_was_not_spent(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    assert_int_equal(sa_stream_write(peer.last, SA_CHANNEL_OUT, "abc", 3), 3);
    assert_int_equal(raw_credit(&peer, 1, 2), 0);
    expect_violation(&peer, raw_credit(&peer, 1, 2), "more than was sent");
}

static void test_credit_overflow(void **state)
{
    (void)state;
    raw_open(&peer, 1, 1);
    expect_violation(&peer, raw_credit(&peer, 1, UINT32_MAX), "more than was sent");
}

/* --- the connection --- */

static void test_ping(void **state)
{
    (void)state;
    struct raw_frame f;
    assert_int_equal(raw_feed(&peer, SA_LINK_PING, 0, 0, "abcdefgh", 8), 0);
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.type, SA_LINK_PONG);
    assert_memory_equal(f.payload, "abcdefgh", 8);
    sa_link_ping(peer.link, 0x1122334455667788u);
    assert_true(raw_next(&peer, &f));
    assert_int_equal(f.type, SA_LINK_PING);
    assert_int_equal(sa_link_last_pong(peer.link), 0);
    assert_int_equal(raw_feed(&peer, SA_LINK_PONG, 0, 0, "\x88\x77\x66\x55\x44\x33\x22\x11", 8), 0);
    assert_true(sa_link_last_pong(peer.link) == 0x1122334455667788u);
}

static void test_ping_flood(void **state)
{
    (void)state;
    int result = 0, asked = 0;
    while (result == 0 && asked++ < 1000000)
        result = raw_feed(&peer, SA_LINK_PING, 0, 0, "abcdefgh", 8);
    assert_in_range(asked, 10000, 100000);
    assert_true(sa_link_output_bytes(peer.link) < 2 * 1024 * 1024);
    expect_violation(&peer, result, "does not read");
}

static void test_ping_flood_of_a_reader(void **state)
{
    (void)state;
    struct raw_frame f;
    for (int i = 0; i < 200000; i++) {
        assert_int_equal(raw_feed(&peer, SA_LINK_PING, 0, 0, "abcdefgh", 8), 0);
        if (i % 16 == 0)
            while (raw_next(&peer, &f))
                ;
    }
}

static void test_open_flood(void **state)
{
    (void)state;
    int result = 0;
    uint32_t id = 1;
    for (; result == 0 && id < 1000000; id += 2) {
        result = raw_open(&peer, id, 1);
        if (result == 0)
            sa_stream_end(peer.last, bulk, 100);
    }
    expect_violation(&peer, result, "does not read");
}

static void test_goaway(void **state)
{
    (void)state;
    sa_autobuf field = SA_BUF_INIT;
    struct sa_error reason = {.code = SA_EUNAVAILABLE, .message = "shutting down"};
    sa_fields_add_error(&field, 1, &reason);
    assert_int_equal(raw_feed(&peer, SA_LINK_GOAWAY, 0, 0, field.data + 6, field.length - 6), -1);
    assert_int_equal(peer.err.code, SA_EUNAVAILABLE);
    assert_string_equal(peer.err.message, "the peer closed the link: shutting down");
    assert_int_equal(sa_link_output_bytes(peer.link), 0); /* no answer to a GOAWAY */
}

static void test_goaway_garbled(void **state)
{
    (void)state;
    assert_int_equal(raw_feed(&peer, SA_LINK_GOAWAY, 0, 0, "\1\0\377\377\377\377", 6), -1);
    assert_string_equal(peer.err.message, "the peer closed the link");
}

static void test_goaway_before_hello(void **state)
{
    (void)state;
    assert_int_equal(raw_feed(&peer, SA_LINK_GOAWAY, 0, 0, "", 0), -1);
    assert_int_equal(peer.err.code, SA_EUNAVAILABLE);
}

#define T(f, setup) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_own_hello, silent),
        T(test_hello_of_newer_peer, silent),
        T(test_hello_wrong_magic, silent),
        T(test_hello_wrong_version, silent),
        T(test_hello_versions_reversed, silent),
        T(test_hello_window_small, silent),
        T(test_hello_window_large, silent),
        T(test_hello_no_streams, silent),
        T(test_hello_critical_field, silent),
        T(test_hello_unknown_field_is_skipped, silent),
        T(test_hello_cut_short, silent),
        T(test_hello_empty, silent),
        T(test_hello_long, silent),
        T(test_hello_long_name, silent),
        T(test_second_hello, greeted),
        T(test_before_hello, silent),
        T(test_garbage, silent),
        T(test_unknown_type, greeted),
        T(test_type_zero, greeted),
        T(test_reserved_bytes, greeted),
        T(test_payload_too_long, greeted),
        T(test_too_long_is_judged_by_the_header, greeted),
        T(test_empty_data, greeted),
        T(test_wrong_sizes, greeted),
        T(test_wrong_place, greeted),
        T(test_channel_out_of_range, greeted),
        T(test_channel_where_none_belongs, greeted),
        T(test_open, greeted),
        T(test_open_wrong_parity, greeted),
        T(test_open_twice, greeted),
        T(test_open_descending, greeted),
        T(test_open_without_method, greeted),
        T(test_open_method_not_first, greeted),
        T(test_open_method_range, greeted),
        T(test_open_method_type, greeted),
        T(test_too_many_streams, greeted),
        T(test_ended_streams_make_room, greeted),
        T(test_never_opened, greeted),
        T(test_never_opened_by_us, greeted),
        T(test_frames_for_ended_streams_are_ignored, greeted),
        T(test_end_within_split_data, greeted),
        T(test_data_in_pieces, greeted),
        T(test_eof, greeted),
        T(test_eof_twice, greeted),
        T(test_end_from_opener, greeted),
        T(test_cancel, greeted),
        T(test_data_after_cancel, greeted),
        T(test_cancel_by_answerer, greeted_control),
        T(test_data_beyond_credit, greeted),
        T(test_notes_cost_credit, greeted),
        T(test_credit_comes_back, greeted),
        T(test_credit_zero, greeted),
        T(test_credit_that_was_not_spent, greeted),
        T(test_credit_overflow, greeted),
        T(test_ping, greeted),
        T(test_ping_flood, greeted),
        T(test_ping_flood_of_a_reader, greeted),
        T(test_open_flood, greeted),
        T(test_goaway, greeted),
        T(test_goaway_garbled, greeted),
        T(test_goaway_before_hello, silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
