/* The guard: what passes unchanged, what ends a connection with which code, however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ws/guard.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

static struct {
    int code;
    unsigned closes, pings;
    uint64_t messages;
    unsigned char payload[SA_WS_CONTROL_MAX];
    size_t length;
} seen;

static void on_ping(void *user, const void *payload, size_t length)
{
    (void)user;
    seen.pings++;
    memcpy(seen.payload, payload, length);
    seen.length = length;
}

static void on_closed(void *user, int code, const char *reason)
{
    (void)user;
    assert_non_null(reason);
    seen.code = code;
    seen.closes++;
}

static const struct sa_ws_guard_events events = {on_ping, on_closed};

enum { MESSAGE_MAX = 1000 };

/* A masked frame. `first` is its first byte. */
static void add_frame(struct sa_buf *to, int first, const void *payload, size_t length)
{
    static const unsigned char mask[4] = {0x12, 0xf4, 0x56, 0x88};
    const unsigned char *p = payload;
    sa_buf_addc(to, (char)first);
    if (length < 126) {
        sa_buf_addc(to, (char)(0x80 | length));
    } else {
        sa_buf_addc(to, (char)(0x80 | 126));
        sa_buf_addc(to, (char)(length >> 8));
        sa_buf_addc(to, (char)length);
    }
    sa_buf_add(to, mask, 4);
    for (size_t i = 0; i < length; i++)
        sa_buf_addc(to, (char)(p[i] ^ mask[i & 3]));
}

static void feed(const struct sa_buf *in, size_t piece, struct sa_buf *out)
{
    struct sa_ws_guard g = {.message_max = MESSAGE_MAX, .events = &events};
    memset(&seen, 0, sizeof seen);
    for (size_t at = 0; at < in->length; at += piece)
        sa_ws_guard_feed(&g, in->data + at, in->length - at < piece ? in->length - at : piece, out);
    seen.messages = g.messages;
}

/* In pieces of all sizes: the same outcome. `out` is what must have come out, NULL: unchecked. */
static void expect(const struct sa_buf *in, int code, const struct sa_buf *out)
{
    const size_t pieces[] = {1, 2, 3, 7, 8, 13, 4096};
    for (size_t i = 0; i < SA_COUNT(pieces); i++) {
        sa_autobuf got = SA_BUF_INIT;
        feed(in, pieces[i], &got);
        assert_int_equal(seen.code, code);
        assert_int_equal(seen.closes, code != 0);
        if (!out)
            continue;
        assert_int_equal(got.length, out->length);
        if (out->length)
            assert_memory_equal(got.data, out->data, out->length);
    }
}

static void expect_frame(int first, const void *payload, size_t length, int code)
{
    sa_autobuf in = SA_BUF_INIT;
    add_frame(&in, first, payload, length);
    expect(&in, code, code ? NULL : &in);
}

static void test_data_passes(void **state)
{
    (void)state;
    char long_text[600];
    memset(long_text, 'x', sizeof long_text);
    expect_frame(0x81, "", 0, 0);
    expect_frame(0x82, "\xff\x00\xfe", 3, 0);
    expect_frame(0x81, "k\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf", 15, 0);
    expect_frame(0x81, long_text, sizeof long_text, 0);
    sa_autobuf in = SA_BUF_INIT;
    add_frame(&in, 0x01, "a\xe2", 2); /* a character over three fragments, one of them empty */
    add_frame(&in, 0x00, "\x82", 1);
    add_frame(&in, 0x00, "", 0);
    add_frame(&in, 0x80, "\xac", 1);
    add_frame(&in, 0x82, long_text, sizeof long_text);
    expect(&in, 0, &in);
    assert_int_equal(seen.messages, 2);
}

static void test_controls(void **state)
{
    (void)state;
    sa_autobuf in = SA_BUF_INIT, out = SA_BUF_INIT;
    add_frame(&in, 0x01, "a", 1);
    add_frame(&in, 0x89, "ping", 4);
    add_frame(&in, 0x8a, "unasked", 7);
    add_frame(&in, 0x80, "b", 1);
    add_frame(&out, 0x01, "a", 1);
    add_frame(&out, 0x80, "b", 1);
    expect(&in, 0, &out);
    assert_int_equal(seen.pings, 1);
    assert_int_equal(seen.length, 4);
    assert_memory_equal(seen.payload, "ping", 4);
    char longest[126];
    memset(longest, 'p', sizeof longest);
    sa_autobuf ping = SA_BUF_INIT, nothing = SA_BUF_INIT;
    add_frame(&ping, 0x89, longest, 125);
    expect(&ping, 0, &nothing);
    assert_int_equal(seen.length, 125);
    expect_frame(0x89, longest, 126, 1002);
    expect_frame(0x8a, longest, 126, 1002);
    expect_frame(0x88, longest, 126, 1002);
    expect_frame(0x09, "", 0, 1002);
    expect_frame(0x08, "", 0, 1002);
}

static void test_breaches(void **state)
{
    (void)state;
    for (int bits = 0x10; bits <= 0x70; bits += 0x10)
        expect_frame(0x81 | bits, "x", 1, 1002);
    const int unknown[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};
    for (size_t i = 0; i < SA_COUNT(unknown); i++)
        expect_frame(0x80 | unknown[i], "", 0, 1002);
    expect_frame(0x80, "x", 1, 1002); /* nothing to continue */
    expect_frame(0x00, "x", 1, 1002);
    sa_autobuf twice = SA_BUF_INIT, unmasked = SA_BUF_INIT, negative = SA_BUF_INIT;
    add_frame(&twice, 0x01, "a", 1);
    add_frame(&twice, 0x81, "b", 1);
    expect(&twice, 1002, NULL);
    sa_buf_add(&unmasked, "\x81\x01x", 3);
    expect(&unmasked, 1002, NULL);
    sa_buf_add(&negative, "\x82\xff\x80\0\0\0\0\0\0\0mask", 14);
    expect(&negative, 1002, NULL);
}

static void test_sizes(void **state)
{
    (void)state;
    char data[MESSAGE_MAX + 1];
    memset(data, 'x', sizeof data);
    expect_frame(0x82, data, MESSAGE_MAX, 0);
    expect_frame(0x82, data, MESSAGE_MAX + 1, 1009);
    sa_autobuf parts = SA_BUF_INIT, huge = SA_BUF_INIT, crumbs = SA_BUF_INIT;
    add_frame(&parts, 0x02, data, 600);
    add_frame(&parts, 0x80, data, 401);
    expect(&parts, 1009, NULL);
    sa_buf_add(&huge, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask", 14);
    expect(&huge, 1009, NULL);
    add_frame(&crumbs, 0x02, "", 0);
    for (int i = 0; i < SA_WS_FRAGMENTS_MAX; i++)
        add_frame(&crumbs, 0x00, "", 0);
    expect(&crumbs, 1009, NULL);
}

static void test_text(void **state)
{
    (void)state;
    const char *const bad[] = {
        "\x80", "\xc0\x80",         "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf5", "\xf4\x90\x80\x80", "\xff",     "\xc3(",        "\xe2\x82",     "\xf0\x9f\x98"};
    for (size_t i = 0; i < SA_COUNT(bad); i++) {
        char text[32] = "12345678";
        for (size_t before = 0; before <= 9; before++) { /* wherever the fast path puts it */
            memset(text, 'x', before);
            strcpy(text + before, bad[i]);
            expect_frame(0x81, text, before + strlen(bad[i]), 1007);
        }
    }
    sa_autobuf split = SA_BUF_INIT, early = SA_BUF_INIT;
    add_frame(&split, 0x01, "\xe2\x82", 2);
    add_frame(&split, 0x80, "", 0); /* never completed */
    expect(&split, 1007, NULL);
    add_frame(&early, 0x01, "ok \xf4\x90 and so on and on", 20);
    early.length -= 12; /* not at the end of the frame: at once */
    expect(&early, 1007, NULL);
}

/* After bad text, what came out is still whole frames. */
static void test_frame_completed(void **state)
{
    (void)state;
    sa_autobuf in = SA_BUF_INIT, out = SA_BUF_INIT;
    add_frame(&in, 0x81, "good then \xff and more", 20);
    size_t whole = in.length;
    in.length -= 5;
    feed(&in, 3, &out);
    assert_int_equal(seen.code, 1007);
    assert_int_equal(out.length, whole);
    assert_int_equal(seen.messages, 0);
}

static void expect_close(const void *payload, size_t length, int code)
{
    sa_autobuf in = SA_BUF_INIT, nothing = SA_BUF_INIT;
    add_frame(&in, 0x88, payload, length);
    add_frame(&in, 0x81, "after", 5);
    expect(&in, code, &nothing);
}

static void test_closes(void **state)
{
    (void)state;
    const int good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009,
                        1010, 1011, 3000, 3999, 4000, 4999};
    const int bad[] = {0, 999, 1004, 1005, 1006, 1012, 1015, 1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < SA_COUNT(good); i++)
        expect_close((unsigned char[]){(unsigned char)(good[i] >> 8), (unsigned char)good[i], 'x'},
                     3, good[i]);
    for (size_t i = 0; i < SA_COUNT(bad); i++)
        expect_close((unsigned char[]){(unsigned char)(bad[i] >> 8), (unsigned char)bad[i]}, 2,
                     1002);
    expect_close("", 0, 1005);
    expect_close("\x03", 1, 1002);
    expect_close("\x03\xe8\xe2\x82", 4, 1007);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_passes), cmocka_unit_test(test_controls),
        cmocka_unit_test(test_breaches),    cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_text),        cmocka_unit_test(test_frame_completed),
        cmocka_unit_test(test_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
