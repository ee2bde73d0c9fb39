/* Cutting output into whole characters: whatever the boundaries, the pieces add up, byte for byte,
 * and text that is UTF-8 as a whole is UTF-8 in every piece. */
#include "api/utf8_cut.h"

#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    char bytes[512];
    size_t length, pieces;
    bool all_utf8;
};

static void on_piece(void *user, const void *data, size_t length)
{
    struct seen *seen = user;
    assert_true(length > 0);
    assert_true(seen->length + length <= sizeof seen->bytes);
    memcpy(seen->bytes + seen->length, data, length);
    seen->length += length;
    seen->pieces++;
    seen->all_utf8 &= sa_utf8_valid(data, length);
}

/* Feed text[0..length) in the pieces whose ends are the set bits of `cuts`; then the end. */
static struct seen feed(const char *text, size_t length, uint64_t cuts)
{
    struct seen seen = {.all_utf8 = true};
    struct sa_utf8_cut cut = {0};
    size_t from = 0;
    for (size_t i = 1; i <= length; i++) {
        if (i < length && !(cuts >> i & 1))
            continue;
        sa_utf8_cut_feed(&cut, text + from, i - from, false, on_piece, &seen);
        /* Never more is kept back than the beginning of a character. */
        assert_true(cut.kept_length <= 3);
        assert_int_equal(seen.length + cut.kept_length, i);
        from = i;
    }
    sa_utf8_cut_feed(&cut, "", 0, true, on_piece, &seen);
    assert_int_equal(cut.kept_length, 0);
    return seen;
}

static void check(const char *text, size_t length, uint64_t cuts)
{
    struct seen seen = feed(text, length, cuts);
    assert_int_equal(seen.length, length);
    assert_memory_equal(seen.bytes, text, length);
    if (sa_utf8_valid(text, length) && !seen.all_utf8)
        fail_msg("valid text was split inside a character, cuts %#llx", (unsigned long long)cuts);
}

static void test_every_position(void **state)
{
    /* 1, 2, 3 and 4 bytes, mixed. */
    static const char *const texts[] = {"a",
                                        "\xc3\xa9",
                                        "\xe2\x82\xac",
                                        "\xf0\x9f\x98\x80",
                                        "a\xc3\xa9z\xe2\x82\xac\xf0\x9f\x98\x80!",
                                        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80",
                                        ""};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t length = strlen(texts[i]);
        for (uint64_t cuts = 0; cuts < UINT64_C(2) << length; cuts++)
            check(texts[i], length, cuts);
    }
}

/* Nothing that is not UTF-8 may hang, be lost, or be kept for ever. */
static void test_invalid(void **state)
{
    static const char *const texts[] = {
        "\x80",         /* a continuation alone */
        "\xff\xfe",     /* never in UTF-8 */
        "\xc3",         /* cut off at the end */
        "\xe2\x82",     /* the same, longer */
        "\xf0\x9f\x98", /* the same, longest */
        "\xc3"
        "a", /* a start without its rest */
        "\xe2\x82"
        "a\xe2\x82\xac",            /* then a good one */
        "\xc0\xaf",                 /* overlong */
        "\xed\xa0\x80",             /* surrogate */
        "\xf4\x90\x80\x80",         /* beyond U+10FFFF */
        "\xf8\x88\x80\x80\x80",     /* five bytes */
        "\xe2\xe2\xe2\x82\xac",     /* starts upon starts */
        "\xf0\x9f\xf0\x9f\x98\x80", /* a start inside a character */
        "ok\x80\x80\x80\x80\x80\x80ok",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t length = strlen(texts[i]);
        for (uint64_t cuts = 0; cuts < UINT64_C(2) << length; cuts++)
            check(texts[i], length, cuts);
    }
}

/* All strings of up to six bytes over an alphabet of every kind of byte, with every cut. */
static void test_exhaustive(void **state)
{
    static const unsigned char alphabet[] = {'a', 0x80, 0xbf, 0xc3, 0xe2, 0xf0, 0xff};
    (void)state;
    for (size_t length = 1; length <= 5; length++) {
        size_t total = 1;
        for (size_t i = 0; i < length; i++)
            total *= sizeof alphabet;
        for (size_t n = 0; n < total; n++) {
            char text[8];
            size_t rest = n;
            for (size_t i = 0; i < length; i++, rest /= sizeof alphabet)
                text[i] = (char)alphabet[rest % sizeof alphabet];
            for (uint64_t cuts = 0; cuts < UINT64_C(1) << length; cuts++)
                check(text, length, cuts);
        }
    }
}

static void test_pieces_are_not_fragmented(void **state)
{
    (void)state;
    assert_int_equal(feed("plain text", 10, 0).pieces, 1);
    /* One piece a feed, and one for the character that was split. */
    assert_int_equal(feed("ab\xe2\x82\xac"
                          "cd",
                          7, 1 << 3)
                         .pieces,
                     3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_position),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_exhaustive),
        cmocka_unit_test(test_pieces_are_not_fragmented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
