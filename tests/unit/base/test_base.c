/* core/base: errors, arena, buffers, identifiers, time, suggestions. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/suggest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void error_codes_have_all_columns(void **state)
{
    (void)state;
    for (int c = SA_OK; c < SA_CODE_COUNT; c++) {
        enum sa_code code = (enum sa_code)c;
        assert_non_null(sa_code_name(code));
        assert_non_null(sa_code_condition(code));
        assert_in_range(sa_code_http_status(code), 200, 599);
        assert_in_range(sa_code_exit_status(code), 0, 78);
        if (code != SA_OK)
            assert_true(sa_code_http_status(code) >= 400 && sa_code_exit_status(code) > 0);
    }
    assert_string_equal(sa_code_name((enum sa_code)99), "internal");
    assert_string_equal(sa_code_name((enum sa_code) - 1), "internal");
}

static void error_fills_and_wraps(void **state)
{
    (void)state;
    struct sa_error err = {0};
    assert_int_equal(sa_error_at(&err, SA_EINVALID, "spec.timeout", "expected %d", 7), -1);
    assert_int_equal(err.code, SA_EINVALID);
    assert_string_equal(err.path, "spec.timeout");
    assert_string_equal(err.message, "expected 7");
    sa_error_wrap(&err, "create %s", "sb-1");
    assert_string_equal(err.message, "create sb-1: expected 7");
    assert_string_equal(err.path, "spec.timeout");
    sa_error_sys(&err, SA_EINTERNAL, ENOENT, "open x");
    assert_string_equal(err.message, "open x: No such file or directory");
    assert_int_equal(err.sys_errno, ENOENT);
    assert_string_equal(err.path, "");
    assert_int_equal(sa_error_set(NULL, SA_EINVALID, "nobody cares"), -1);
    assert_int_equal(sa_error_wrap(NULL, "nobody"), -1);
}

static void error_is_cut_not_overrun(void **state)
{
    (void)state;
    struct sa_error err = {0};
    char longer[2000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    sa_error_at(&err, SA_EINVALID, longer, "%s", longer);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(strlen(err.path), sizeof err.path - 1);
    sa_error_wrap(&err, "%s", longer);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    sa_error_sys(&err, SA_EINVALID, EPERM, "%s", longer);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

static void arena_memory_is_zeroed_and_apart(void **state)
{
    (void)state;
    struct sa_arena *arena = sa_arena_new();
    char *parts[300];
    size_t sizes[300];
    for (size_t i = 0; i < 300; i++) {
        sizes[i] = i % 17 == 0 ? 5000 + i : i % 61;
        parts[i] = sa_arena_alloc(arena, sizes[i]);
        assert_int_equal((uintptr_t)parts[i] % 16, 0);
        for (size_t b = 0; b < sizes[i]; b++)
            assert_int_equal(parts[i][b], 0);
        memset(parts[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t b = 0; b < sizes[i]; b++)
            assert_int_equal((unsigned char)parts[i][b], i & 255);
    assert_string_equal(sa_arena_printf(arena, "%s-%d", "a", 5), "a-5");
    assert_string_equal(sa_arena_strndup(arena, "abcdef", 3), "abc");
    sa_arena_free(arena);
    sa_arena_free(NULL);
}

/* A block of as many bytes as were used holds the same again. */
static void arena_says_what_it_takes(void **state)
{
    (void)state;
    struct sa_arena *arena = sa_arena_new_sized(64);
    assert_int_equal(sa_arena_used(arena), 0);
    sa_arena_strdup(arena, "abc");
    sa_arena_strdup(arena, "d"); /* texts lie side by side */
    assert_int_equal(sa_arena_used(arena), 6);
    sa_arena_alloc(arena, 24);
    sa_arena_alloc(arena, 1000); /* in a block of its own */
    assert_int_equal(sa_arena_used(arena), 48 + 1000);
    sa_arena_free(arena);
}

static void arena_keeps_filling_behind_large_pieces(void **state)
{
    (void)state;
    struct sa_arena *arena = sa_arena_new();
    char *first = sa_arena_alloc(arena, 16);
    sa_arena_alloc(arena, 100000);
    char *second = sa_arena_alloc(arena, 16);
    assert_ptr_equal(second, first + 16); /* not a fresh block for every small piece */
    sa_arena_free(arena);
}

static void buf_grows_and_ends_with_nul(void **state)
{
    (void)state;
    sa_autobuf buf = SA_BUF_INIT;
    assert_null(buf.data);
    for (int i = 0; i < 1000; i++) {
        sa_buf_printf(&buf, "%d,", i);
        assert_int_equal(buf.data[buf.length], '\0');
        assert_true(buf.capacity > buf.length);
    }
    assert_int_equal(buf.length, 3890);
    sa_buf_consume(&buf, 2);
    assert_memory_equal(buf.data, "1,2,3,", 6);
    sa_buf_consume(&buf, buf.length);
    assert_string_equal(buf.data, "");
    sa_buf_add(&buf, "a\0b", 3);
    sa_buf_addc(&buf, 'c');
    sa_buf_adds(&buf, "");
    assert_memory_equal(buf.data, "a\0bc", 5);
    assert_int_equal(buf.length, 4);
}

static void buf_steal_hands_over(void **state)
{
    (void)state;
    struct sa_buf buf = SA_BUF_INIT;
    char *empty = sa_buf_steal(&buf);
    assert_string_equal(empty, "");
    free(empty);
    sa_buf_adds(&buf, "text");
    char *text = sa_buf_steal(&buf);
    assert_string_equal(text, "text");
    assert_null(buf.data);
    free(text);
    sa_buf_consume(&buf, 0);
    sa_buf_deinit(&buf);
    sa_buf_deinit(&buf);
}

static void base32_as_in_the_rfc(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "my"},
                                           {"fo", "mzxq"},
                                           {"foo", "mzxw6"},
                                           {"foob", "mzxw6yq"},
                                           {"fooba", "mzxw6ytb"},
                                           {"foobar", "mzxw6ytboi"}};
    char out[32];
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        sa_base32((const uint8_t *)pairs[i][0], strlen(pairs[i][0]), out);
        assert_string_equal(out, pairs[i][1]);
    }
}

static void ids_are_valid_and_differ(void **state)
{
    (void)state;
    char one[SA_ID_BYTES], two[SA_ID_BYTES];
    sa_id_new("sb-", one);
    sa_id_new("sb-", two);
    assert_true(sa_id_valid("sb-", one));
    assert_true(sa_id_valid("sb-", two));
    assert_string_not_equal(one, two);
    assert_false(sa_id_valid("ex-", one));
    assert_false(sa_id_valid("sb-", "sb-"));
    assert_false(sa_id_valid("sb-", "sb-aaaaaaaaaaaaaaaaaaa"));
    assert_true(sa_id_valid("sb-", "sb-aaaaaaaaaaaaaaaaaaaa"));
    assert_false(sa_id_valid("sb-", "sb-aaaaaaaaaaaaaaaaaaaaa"));
    assert_false(sa_id_valid("sb-", "sb-aaaaaaaaaaaaaaaaaaa1"));
    assert_false(sa_id_valid("sb-", "sb-aaaaaaaaaaaaaaaaaaaA"));
    assert_false(sa_id_valid("sb-", "sb-../../../../../../etc"));
}

static void time_is_written_as_rfc3339(void **state)
{
    (void)state;
    char out[SA_RFC3339_BYTES];
    sa_rfc3339(0, out);
    assert_string_equal(out, "1970-01-01T00:00:00.000Z");
    sa_rfc3339(INT64_C(1769850300123), out);
    assert_string_equal(out, "2026-01-31T09:05:00.123Z");
    sa_rfc3339(-1, out);
    assert_string_equal(out, "1969-12-31T23:59:59.999Z");
    int64_t before = sa_monotonic_us();
    usleep(2000);
    assert_in_range(sa_monotonic_us() - before, 2000, 60000000);
    assert_true(sa_wall_ms() > INT64_C(1700000000000));
}

static void suggestions_are_near(void **state)
{
    (void)state;
    static const char *const names[] = {"timeout", "runtime", "env", "resources", "id"};
    assert_string_equal(sa_suggest("timout", names, 5), "timeout");
    assert_string_equal(sa_suggest("tiemout", names, 5), "timeout");
    assert_string_equal(sa_suggest("resource", names, 5), "resources");
    assert_string_equal(sa_suggest("evn", names, 5), "env");
    assert_null(sa_suggest("banana", names, 5));
    assert_null(sa_suggest("", names, 5));
    assert_null(sa_suggest("x", names, 5));
    assert_null(sa_suggest("timeout", names, 0));
    char longer[500];
    memset(longer, 'a', sizeof longer);
    longer[499] = '\0';
    assert_null(sa_suggest(longer, names, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_codes_have_all_columns),
        cmocka_unit_test(error_fills_and_wraps),
        cmocka_unit_test(error_is_cut_not_overrun),
        cmocka_unit_test(arena_memory_is_zeroed_and_apart),
        cmocka_unit_test(arena_says_what_it_takes),
        cmocka_unit_test(arena_keeps_filling_behind_large_pieces),
        cmocka_unit_test(buf_grows_and_ends_with_nul),
        cmocka_unit_test(buf_steal_hands_over),
        cmocka_unit_test(base32_as_in_the_rfc),
        cmocka_unit_test(ids_are_valid_and_differ),
        cmocka_unit_test(time_is_written_as_rfc3339),
        cmocka_unit_test(suggestions_are_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
