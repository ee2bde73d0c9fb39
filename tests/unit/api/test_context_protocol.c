/* Frames of kernels: what is taken, what is refused, and what is said to them. */
#include "api/context_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TOKEN "tttttttttttttttttttttttttttttttt"

struct seen {
    int count, stop_after;
    enum sa_kernel_frame_kind kind;
    char data[1024];
    size_t length;
    int64_t id, exit_code;
};

static bool on_frame(void *user, const struct sa_kernel_frame *f)
{
    struct seen *s = user;
    s->count++;
    s->kind = f->kind;
    s->length = f->length;
    snprintf(s->data, sizeof s->data, "%s", f->data ? f->data : f->prompt ? f->prompt : "");
    s->id = f->id;
    s->exit_code = f->exit_code;
    return s->count != s->stop_after;
}

static void add_frame(struct sa_buf *out, const char *json)
{
    size_t length = strlen(TOKEN) + strlen(json);
    for (int i = 0; i < 4; i++)
        sa_buf_addc(out, (char)(length >> (8 * i)));
    sa_buf_adds(out, TOKEN);
    sa_buf_adds(out, json);
}

static struct sa_kernel_reader *new_reader(void)
{
    static struct sa_kernel_reader reader;
    sa_kernel_reader_deinit(&reader);
    memset(&reader, 0, sizeof reader);
    memcpy(reader.token, TOKEN, sizeof TOKEN);
    return &reader;
}

static int feed(const char *json, struct seen *seen)
{
    sa_autobuf bytes = SA_BUF_INIT;
    struct sa_kernel_reader *r = new_reader();
    add_frame(&bytes, json);
    memset(seen, 0, sizeof *seen);
    int rc = sa_kernel_reader_feed(r, bytes.data, bytes.length, on_frame, seen, NULL);
    sa_kernel_reader_deinit(r);
    return rc;
}

static void test_takes_each_kind(void **state)
{
    struct seen s;
    (void)state;
    assert_int_equal(feed("{\"type\":\"stdout\",\"data\":\"h\\u00e9\"}", &s), 0);
    assert_int_equal(s.kind, SA_KERNEL_STDOUT);
    assert_string_equal(s.data, "h\xc3\xa9");
    assert_int_equal(feed("{\"type\":\"stderr\",\"data\":\"/wA=\",\"encoding\":\"base64\"}", &s),
                     0);
    assert_int_equal(s.kind, SA_KERNEL_STDERR);
    assert_int_equal(s.length, 2);
    assert_int_equal(feed("{\"type\":\"done\",\"id\":7,\"exitCode\":3,\"cpuUs\":1}", &s), 0);
    assert_int_equal(s.id, 7);
    assert_int_equal(s.exit_code, 3);
    assert_int_equal(feed("{\"type\":\"input\",\"prompt\":\"? \"}", &s), 0);
    assert_string_equal(s.data, "? ");
    assert_int_equal(
        feed("{\"type\":\"error\",\"name\":\"E\",\"value\":\"\",\"traceback\":\"t\"}", &s), 0);
    assert_string_equal(s.data, "{\"name\":\"E\",\"value\":\"\",\"traceback\":\"t\"}");
    assert_int_equal(feed("{\"type\":\"ready\",\"pid\":1,\"version\":\"1\"}", &s), 0);
    assert_int_equal(
        feed("{\"type\":\"failed\",\"import\":\"a\",\"name\":\"E\",\"value\":\"v\"}", &s), 0);
}

static void test_results_become_bundles(void **state)
{
    struct seen s;
    (void)state;
    assert_int_equal(
        feed("{\"type\":\"result\",\"data\":{\"text/plain\":\"1\"},\"json\":[{\"mime\":"
             "\"application/json\",\"value\":{\"a\":[1]}}],\"main\":true}",
             &s),
        0);
    assert_string_equal(s.data, "{\"data\":{\"text/plain\":\"1\",\"application/json\":{\"a\":[1]}},"
                                "\"main\":true}");
    assert_int_equal(feed("{\"type\":\"result\",\"data\":{\"image/png\":\"iVBORw==\"}}", &s), 0);
}

static void test_refuses_what_is_no_frame(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "null",
        "[]",
        "{\"type\":\"other\"}",
        "{\"type\":\"stdout\"}",
        "{\"type\":\"stdout\",\"data\":1}",
        "{\"type\":\"stdout\",\"data\":\"\\u0000\"}",
        "{\"type\":\"stdout\",\"data\":\"\\ud800\"}",
        "{\"type\":\"stdout\",\"data\":\"\xff\"}",
        "{\"type\":\"stdout\",\"data\":\"a\",\"more\":1}",
        "{\"type\":\"stdout\",\"data\":\"a\",\"encoding\":\"rot13\"}",
        "{\"type\":\"stdout\",\"data\":\"*\",\"encoding\":\"base64\"}",
        "{\"type\":\"done\",\"id\":-1,\"exitCode\":0}",
        "{\"type\":\"done\",\"id\":1,\"exitCode\":256}",
        "{\"type\":\"done\",\"id\":1,\"exitCode\":0,\"cpuUs\":-1}",
        "{\"type\":\"result\",\"data\":{\"TEXT\":\"1\"}}",
        "{\"type\":\"result\",\"data\":{\"a/b/c\":\"1\"}}",
        "{\"type\":\"result\",\"data\":{\"/b\":\"1\"}}",
        "{\"type\":\"result\",\"data\":{\"a/\":\"1\"}}",
        "{\"type\":\"result\",\"data\":{\"application/json\":\"1\"}}",
        "{\"type\":\"result\",\"data\":{\"image/png\":\"<b>\"}}",
        "{\"type\":\"result\",\"json\":[{\"mime\":\"text/html\",\"value\":1}]}",
        "{\"type\":\"result\",\"json\":[1]}",
        "{\"type\":\"error\",\"name\":\"E\"}",
        "{\"type\":\"done\",\"id\":1,\"exitCode\":0} {}"};
    struct seen s;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (feed(bad[i], &s) == 0)
            fail_msg("was taken: %s", bad[i]);
        assert_int_equal(s.count, 0);
    }
}

static void test_refuses_depth_and_count(void **state)
{
    sa_autobuf deep = SA_BUF_INIT, many = SA_BUF_INIT;
    struct seen s;
    (void)state;
    sa_buf_adds(&deep, "{\"type\":\"result\",\"json\":[{\"mime\":\"application/json\",\"value\":");
    for (int i = 0; i < 100; i++)
        sa_buf_addc(&deep, '[');
    for (int i = 0; i < 100; i++)
        sa_buf_addc(&deep, ']');
    sa_buf_adds(&deep, "}]}");
    assert_int_equal(feed(deep.data, &s), -1);
    sa_buf_adds(&many, "{\"type\":\"result\",\"data\":{");
    for (int i = 0; i < 40; i++)
        sa_buf_printf(&many, "%s\"text/x%d\":\"\"", i ? "," : "", i);
    sa_buf_adds(&many, "}}");
    assert_int_equal(feed(many.data, &s), -1);
}

static void test_any_cut_is_the_same(void **state)
{
    sa_autobuf bytes = SA_BUF_INIT;
    (void)state;
    for (int i = 0; i < 3; i++)
        add_frame(&bytes, "{\"type\":\"stdout\",\"data\":\"abc\"}");
    for (size_t piece = 1; piece <= bytes.length; piece++) {
        struct sa_kernel_reader *r = new_reader();
        struct seen s = {0};
        for (size_t at = 0; at < bytes.length; at += piece) {
            size_t n = bytes.length - at < piece ? bytes.length - at : piece;
            assert_int_equal(sa_kernel_reader_feed(r, bytes.data + at, n, on_frame, &s, NULL), 0);
        }
        assert_int_equal(s.count, 3);
        sa_kernel_reader_deinit(r);
    }
}

static void test_stops_when_told(void **state)
{
    sa_autobuf bytes = SA_BUF_INIT;
    struct seen s = {.stop_after = 2};
    (void)state;
    for (int i = 0; i < 5; i++)
        add_frame(&bytes, "{\"type\":\"stdout\",\"data\":\"abc\"}");
    struct sa_kernel_reader *r = new_reader();
    assert_int_equal(sa_kernel_reader_feed(r, bytes.data, bytes.length, on_frame, &s, NULL), 0);
    assert_int_equal(s.count, 2);
    sa_kernel_reader_deinit(r);
}

/* Bytes without the token are refused with the first that is wrong; lengths before their body. */
static void test_refuses_strangers_at_once(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } bad[] = {{"hello world", 11},      {"\x50\0\0\0x", 5},
               {"\0\0\0\0", 4},          {"\x20\0\0\0", 4},
               {"\xff\xff\xff\xff", 4},  {"\x01\0\0\x01", 4},
               {"\x50\0\0\0tttttu", 10}, {"\x50\0\0\0{\"type\":1}", 14}};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct seen s = {0};
        struct sa_kernel_reader *r = new_reader();
        struct sa_error error;
        assert_int_equal(
            sa_kernel_reader_feed(r, bad[i].bytes, bad[i].length, on_frame, &s, &error), -1);
        assert_int_equal(error.code, SA_EPROTOCOL);
        sa_kernel_reader_deinit(r);
    }
}

static void test_tokens_differ(void **state)
{
    struct sa_kernel_reader a = {0}, b = {0};
    (void)state;
    sa_kernel_reader_reset(&a);
    sa_kernel_reader_reset(&b);
    assert_int_equal(strlen(a.token), SA_KERNEL_TOKEN_CHARS);
    assert_string_not_equal(a.token, b.token);
}

static void test_says_it_in_json(void **state)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_json_pair pair = {"A", "b"};
    struct sa_kernel_request r = {
        .id = 5, .code = "x\n", .code_length = 2, .env = {&pair, 1}, .input = true};
    (void)state;
    sa_kernel_put_execute(SA_KERNEL_JSON, &r, &out);
    assert_int_equal((unsigned char)out.data[0], out.length - 4);
    assert_string_equal(out.data + 4, "{\"type\":\"execute\",\"id\":5,\"input\":true,\"env\":{"
                                      "\"A\":\"b\"},\"code\":\"x\\n\"}");
    out.length = 0;
    sa_kernel_put_input(SA_KERNEL_JSON, 5, "\xff", 1, true, &out);
    assert_string_equal(out.data + 4,
                        "{\"type\":\"input\",\"id\":5,\"data\":\"/w==\",\"eof\":true}");
}

static void test_says_it_in_fields(void **state)
{
    static const char expected[] = "execute\0"
                                   "5\0"
                                   "1\0"
                                   "1\0"
                                   "A\0"
                                   "b c\0"
                                   "2\0"
                                   "x\n";
    static const char input[] = "input\0"
                                "0\0"
                                "a\\0134\\0000\\0377\\0012";
    sa_autobuf out = SA_BUF_INIT;
    struct sa_json_pair pair = {"A", "b c"};
    struct sa_kernel_request r = {
        .id = 5, .code = "x\n", .code_length = 2, .env = {&pair, 1}, .input = true};
    (void)state;
    sa_kernel_put_execute(SA_KERNEL_FIELDS, &r, &out);
    assert_int_equal(out.length, sizeof expected - 1);
    assert_memory_equal(out.data, expected, out.length);
    out.length = 0;
    sa_kernel_put_input(SA_KERNEL_FIELDS, 5, "a\\\0\xff\n", 5, false, &out);
    assert_int_equal(out.length, sizeof input);
    assert_memory_equal(out.data, input, out.length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_each_kind),
        cmocka_unit_test(test_results_become_bundles),
        cmocka_unit_test(test_refuses_what_is_no_frame),
        cmocka_unit_test(test_refuses_depth_and_count),
        cmocka_unit_test(test_any_cut_is_the_same),
        cmocka_unit_test(test_stops_when_told),
        cmocka_unit_test(test_refuses_strangers_at_once),
        cmocka_unit_test(test_tokens_differ),
        cmocka_unit_test(test_says_it_in_json),
        cmocka_unit_test(test_says_it_in_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
