/* core/base/utf8 against a second, slow opinion: every sequence of up to four bytes that matters.
 */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Encode a code point; what no code point encodes to is not UTF-8. */
static size_t encode(uint32_t c, unsigned char out[4])
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (unsigned char)(0x80 | (c & 0x3F));
    out[0] = (unsigned char)((0xF00 >> n & 0xFF) | c);
    return n;
}

static void every_code_point_is_valid(void **state)
{
    (void)state;
    unsigned char bytes[4];
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        size_t n = encode(c, bytes);
        bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        if (sa_utf8_valid((char *)bytes, n) == surrogate)
            fail_msg("U+%04X", c);
        for (size_t cut = 1; cut < n && !surrogate; cut++)
            if (sa_utf8_prefix((char *)bytes, cut) != 0 ||
                sa_utf8_partial_tail((char *)bytes, cut) != cut)
                fail_msg("U+%04X cut to %zu", c, cut);
    }
}

/* As many sequences of two and three bytes are valid as there are code points for them. */
static void nothing_else_is_valid(void **state)
{
    (void)state;
    unsigned char b[4];
    size_t two = 0, three = 0;
    for (unsigned v = 0; v < 0x10000; v++) {
        b[0] = (unsigned char)(v >> 8);
        b[1] = (unsigned char)v;
        two += b[0] >= 0x80 && sa_utf8_valid((char *)b, 2);
    }
    for (unsigned v = 0x800000; v < 0x1000000; v++) {
        b[0] = (unsigned char)(v >> 16);
        b[1] = (unsigned char)(v >> 8);
        b[2] = (unsigned char)v;
        three += sa_utf8_prefix((char *)b, 3) == 3 && !sa_utf8_valid((char *)b, 2);
    }
    assert_int_equal(two, 0x800 - 0x80);
    assert_int_equal(three, 0x10000 - 0x800 - 0x800);
}

static void bad_sequences(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\xC0\x80",         "\xC1\xBF",         "\xE0\x80\x80",     "\xE0\x9F\xBF", "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF",         "\x80",
        "\xE2\x28\xA1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(sa_utf8_valid(bad[i], strlen(bad[i])));
        assert_int_equal(sa_utf8_prefix(bad[i], strlen(bad[i])), 0);
    }
    assert_int_equal(sa_utf8_prefix("0123456789abcde\xFFxyz", 19), 15);
    assert_true(sa_utf8_valid("", 0));
    assert_true(sa_utf8_valid("a\0b", 3));
}

/* What cannot become a character is not kept back. */
static void partial_tails(void **state)
{
    (void)state;
    assert_int_equal(sa_utf8_partial_tail("abc", 3), 0);
    assert_int_equal(sa_utf8_partial_tail("", 0), 0);
    assert_int_equal(sa_utf8_partial_tail("ab\xE2\x82", 4), 2);
    assert_int_equal(sa_utf8_partial_tail("ab\xE2\x82\xAC", 5), 0);
    assert_int_equal(sa_utf8_partial_tail("\xF0\x9F\x98", 3), 3);
    assert_int_equal(sa_utf8_partial_tail("\xE0\x80", 2), 0);
    assert_int_equal(sa_utf8_partial_tail("\xED\xA0", 2), 0);
    assert_int_equal(sa_utf8_partial_tail("\xF4\x90\x80", 3), 0);
    assert_int_equal(sa_utf8_partial_tail("\x80\x80\x80\x80", 4), 0);
    assert_int_equal(sa_utf8_partial_tail("\xC1", 1), 0);
    assert_int_equal(sa_utf8_partial_tail("\xF5", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_valid),
        cmocka_unit_test(nothing_else_is_valid),
        cmocka_unit_test(bad_sequences),
        cmocka_unit_test(partial_tails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
