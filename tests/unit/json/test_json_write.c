/* core/json, writing: escaping against a slow second opinion, base64, quantities. */
#include "base/utf8.h"
#include "json/base64.h"
#include "json/json.h"
#include "json/quantity.h"
#include "json/write.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void documents_are_written(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&out);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "id", "sb-\"1\"");
    sa_json_put_int(&w, "n", -42);
    sa_json_put_array(&w, "list");
    sa_json_w_int(&w, 1);
    sa_json_w_begin_object(&w);
    sa_json_w_end_object(&w);
    sa_json_w_begin_array(&w);
    sa_json_w_end_array(&w);
    sa_json_w_null(&w);
    sa_json_w_end_array(&w);
    sa_json_put_object(&w, "o");
    sa_json_put_bool(&w, "t", true);
    sa_json_put_double(&w, "d", 0.1);
    sa_json_put_string(&w, "z", NULL);
    sa_json_w_end_object(&w);
    sa_json_put_raw(&w, "raw", "[1]", 3);
    sa_json_w_end_object(&w);
    assert_string_equal(out.data, "{\"id\":\"sb-\\\"1\\\"\",\"n\":-42,\"list\":[1,{},[],null],"
                                  "\"o\":{\"t\":true,\"d\":0.1,\"z\":null},\"raw\":[1]}");
}

static void check_number(double value, const char *expected)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&out);
    sa_json_w_double(&w, value);
    assert_string_equal(out.data, expected);
}

static void check_int(int64_t value, const char *expected)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&out);
    sa_json_w_int(&w, value);
    assert_string_equal(out.data, expected);
}

static void numbers(void **state)
{
    (void)state;
    check_int(0, "0");
    check_int(INT64_C(9007199254740991), "9007199254740991");
    check_int(INT64_C(9007199254740992), "\"9007199254740992\"");
    check_int(INT64_MIN, "\"-9223372036854775808\"");
    check_int(-INT64_C(9007199254740991), "-9007199254740991");
    check_number(1e15, "1000000000000000");
    check_number(-3, "-3");
    check_number(1.0 / 3, "0.33333333333333331");
    check_number(1e300, "1e+300");
    check_number(NAN, "null");
    check_number(-INFINITY, "null");
}

/* One byte at a time, straight from RFC 8259. */
static void slow_quote(struct sa_buf *out, const char *text, size_t length)
{
    sa_buf_addc(out, '"');
    for (size_t i = 0; i < length;) {
        unsigned char c = (unsigned char)text[i];
        size_t n = 1;
        const char *names = "\bb\tt\nn\ff\rr\"\"\\\\", *found = NULL;
        for (const char *p = names; *p && !found; p += 2)
            if ((unsigned char)*p == c)
                found = p;
        if (c < 0x80) {
            if (found)
                sa_buf_printf(out, "\\%c", found[1]);
            else if (c < 0x20)
                sa_buf_printf(out, "\\u%04x", c);
            else
                sa_buf_addc(out, (char)c);
        } else {
            for (n = 2; n <= 4 && n <= length - i && !sa_utf8_valid(text + i, n); n++)
                ;
            if (n > 4 || n > length - i) {
                sa_buf_adds(out, "\xEF\xBF\xBD");
                n = 1;
            } else {
                sa_buf_add(out, text + i, n);
            }
        }
        i += n;
    }
    sa_buf_addc(out, '"');
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Random texts of several mixtures and every length, each in memory of its own size. */
static void escaping_agrees_with_the_slow_way(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a",
                                         "bcdefghijklmnopqrstu",
                                         "\"",
                                         "\\",
                                         "\n",
                                         "\x01",
                                         "\xC3\xA9",
                                         "\xE2\x82\xAC",
                                         "\xF0\x9F\x98\x80",
                                         "\xFF",
                                         "\xC3",
                                         "\xE2\x82",
                                         "\x7F",
                                         "\x1F",
                                         " "};
    uint32_t seed = 1;
    for (size_t round = 0; round < 20000; round++) {
        sa_autobuf in = SA_BUF_INIT, fast = SA_BUF_INIT, slow = SA_BUF_INIT;
        uint32_t kinds = 1 + next_random(&seed) % 15, from = next_random(&seed) % 15;
        size_t count = next_random(&seed) % (round % 100 ? 12 : 400);
        for (size_t i = 0; i < count; i++)
            sa_buf_adds(&in, pieces[(from + next_random(&seed) % kinds) % 15]);
        char *tight = malloc(in.length + 1);
        memcpy(tight + 1, in.data ? in.data : "", in.length);
        sa_json_quote(&fast, tight + 1, in.length);
        slow_quote(&slow, tight + 1, in.length);
        assert_int_equal(fast.length, slow.length);
        assert_memory_equal(fast.data, slow.data, slow.length + 1);
        assert_true(sa_utf8_valid(fast.data, fast.length));
        free(tight);
    }
}

static void every_string_is_read_back(void **state)
{
    (void)state;
    char text[300];
    struct sa_arena *arena = sa_arena_new();
    for (int i = 0; i < 127; i++)
        text[i] = (char)(i + 1);
    strcpy(text + 127, "\xC3\xA9\xF0\x9F\x98\x80 end");
    sa_autobuf out = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&out);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "k", text);
    sa_json_w_end_object(&w);
    struct sa_error err = {0};
    struct sa_json_obj root;
    const char *back;
    struct sa_json_doc *doc = sa_json_parse(out.data, out.length, NULL, &err);
    assert_non_null(doc);
    assert_int_equal(sa_json_root(doc, arena, &root, &err), 0);
    assert_int_equal(sa_json_get_string(&root, "k", 300, &back, &err), 0);
    assert_string_equal(back, text);
    sa_json_free(doc);
    sa_arena_free(arena);
}

static void bytes_choose_their_encoding(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&out);
    sa_json_w_begin_object(&w);
    assert_false(sa_json_w_bytes(&w, "data", "a\0b", 3));
    sa_json_w_end_object(&w);
    assert_string_equal(out.data, "{\"data\":\"a\\u0000b\"}");
    out.length = 0;
    w = sa_json_w_start(&out);
    sa_json_w_begin_object(&w);
    assert_true(sa_json_w_bytes(&w, "data", "\xFF\xFE", 2));
    sa_json_w_end_object(&w);
    assert_string_equal(out.data, "{\"data\":\"//4=\",\"encoding\":\"base64\"}");
}

static void base64_round_trips(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        sa_autobuf out = SA_BUF_INIT, back = SA_BUF_INIT;
        sa_base64_encode(pairs[i][0], strlen(pairs[i][0]), &out);
        assert_string_equal(out.data, pairs[i][1]);
        assert_int_equal(sa_base64_decode(out.data, out.length, &back, NULL), 0);
        assert_int_equal(back.length, strlen(pairs[i][0]));
        assert_memory_equal(back.data ? back.data : "", pairs[i][0], back.length);
    }
    unsigned char all[256 * 3];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (unsigned char)(i * 7 + i / 256);
    for (size_t n = 0; n < sizeof all; n++) {
        sa_autobuf out = SA_BUF_INIT, back = SA_BUF_INIT;
        sa_base64_encode(all, n, &out);
        assert_int_equal(sa_base64_decode(out.data, out.length, &back, NULL), 0);
        assert_int_equal(back.length, n);
        assert_memory_equal(n ? back.data : "", all, n);
    }
}

static void bad_base64_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Zg",     "Zg=",  "Z===", "====",     "Zh==",        "Zm9=", "Zg==Zg==", "Zm 8",
        "Zm9v\n", "Zm-_", "=Zg=", "Zm9vYg=A", "Zm9v\xFFYg=", "Z=9v", "Zm9v====", "Zm=vZm9v"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sa_autobuf out = SA_BUF_INIT;
        struct sa_error err = {0};
        sa_buf_adds(&out, "kept");
        if (sa_base64_decode(bad[i], strlen(bad[i]), &out, &err) == 0)
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(err.code, SA_EINVALID);
        assert_string_equal(out.data, "kept");
    }
}

static void quantities_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t cpu, bytes; /* -1: refused */
    } cases[] = {
        {"0", 0, 0},
        {"2", 2000, 2},
        {"500m", 500, 1},
        {"1500m", 1500, 2},
        {"0.5", 500, 1},
        {".5", 500, 1},
        {"1.", 1000, 1},
        {"100u", 1, 1},
        {"1n", 1, 1},
        {"512Mi", INT64_C(536870912000), 536870912},
        {"1Gi", INT64_C(1073741824000), 1073741824},
        {"1.5Gi", INT64_C(1610612736000), 1610612736},
        {"1G", INT64_C(1000000000000), 1000000000},
        {"1k", 1000000, 1000},
        {"1e3", 1000000, 1000},
        {"12E2", 1200000, 1200},
        {"1E", -1, INT64_C(1000000000000000000)},
        {"1Ei", -1, INT64_C(1152921504606846976)},
        {"7Ei", -1, INT64_C(8070450532247928832)},
        {"8Ei", -1, -1},
        {"9223372036854775807", -1, INT64_MAX},
        {"9223372036854775808", -1, -1},
        {"0.0000000000000000001", 1, 1},
        {"1e99", -1, -1},
        {"0e99", 0, 0},
        {"", -1, -1},
        {".", -1, -1},
        {"m", -1, -1},
        {"-1", -1, -1},
        {"+1", -1, -1},
        {" 1", -1, -1},
        {"1 ", -1, -1},
        {"1KB", -1, -1},
        {"1K", -1, -1},
        {"1mi", -1, -1},
        {"1..2", -1, -1},
        {"1e", -1, -1},
        {"1e1.5", -1, -1},
        {"1e100", -1, -1},
        {"0x10", -1, -1},
        {"1Mi2", -1, -1},
        {"inf", -1, -1},
        {"99999999999999999999999999", -1, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t cpu = -1, bytes = -1;
        sa_quantity_cpu(cases[i].text, &cpu, NULL);
        sa_quantity_bytes(cases[i].text, &bytes, NULL);
        if (cpu != cases[i].cpu || bytes != cases[i].bytes)
            fail_msg("\"%s\": %lld millicores, %lld bytes", cases[i].text, (long long)cpu,
                     (long long)bytes);
    }
    struct sa_error err = {0};
    int64_t n;
    assert_int_equal(sa_quantity_bytes("1KB", &n, &err), -1);
    assert_int_equal(err.code, SA_EINVALID);
}

static void quantities_are_printed_exactly(void **state)
{
    (void)state;
    char out[SA_QUANTITY_BYTES];
    static const struct {
        int64_t bytes;
        const char *text;
    } sizes[] = {{0, "0"},          {1, "1"},
                 {1023, "1023"},    {1024, "1Ki"},
                 {1536, "1536"},    {1000, "1k"},
                 {1000000, "1M"},   {1 << 29, "512Mi"},
                 {1 << 30, "1Gi"},  {1000001, "1000001"},
                 {1000000000, "1G"}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        sa_quantity_bytes_print(sizes[i].bytes, out);
        assert_string_equal(out, sizes[i].text);
    }
    sa_quantity_cpu_print(500, out);
    assert_string_equal(out, "500m");
    sa_quantity_cpu_print(2000, out);
    assert_string_equal(out, "2");
    uint32_t seed = 5;
    for (int i = 0; i < 10000; i++) { /* what is printed is read back as the same */
        int64_t value = (int64_t)next_random(&seed) << next_random(&seed) % 36, back;
        if (value >= INT64_C(1000000000000000000))
            continue;
        sa_quantity_bytes_print(value, out);
        assert_int_equal(sa_quantity_bytes(out, &back, NULL), 0);
        assert_true(back == value);
        sa_quantity_cpu_print(value % 100000, out);
        assert_int_equal(sa_quantity_cpu(out, &back, NULL), 0);
        assert_true(back == value % 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_written),
        cmocka_unit_test(numbers),
        cmocka_unit_test(escaping_agrees_with_the_slow_way),
        cmocka_unit_test(every_string_is_read_back),
        cmocka_unit_test(bytes_choose_their_encoding),
        cmocka_unit_test(base64_round_trips),
        cmocka_unit_test(bad_base64_is_refused),
        cmocka_unit_test(quantities_are_read),
        cmocka_unit_test(quantities_are_printed_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
