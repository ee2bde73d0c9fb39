/* Glob patterns, against what they mean and against a plain recursive matcher. */
#include "../../../runtime/glob.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_meaning(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool matches;
    } cases[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"a", "a/b", false},
        {"*", "abc", true},
        {"*", "a/b", false},
        {"*", ".a", true},
        {"a*c", "abbc", true},
        {"a*c", "abcd", false},
        {"*a*b*", "xxaxbx", true},
        {"?", "\xc3\xbc", true},
        {"??", "\xc3\xbc", false},
        {"?", "\xff", true},
        {"[a-c]", "b", true},
        {"[a-c]", "d", false},
        {"[!a-c]", "d", true},
        {"[^a-c]", "a", false},
        {"[]]", "]", true},
        {"[a", "[a", true},
        {"[\xc3\xa0-\xc3\xbf]", "\xc3\xbc", true},
        {"[a-]", "-", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"**", "a/b/c", true},
        {"**/c", "a/b/c", true},
        {"**/c", "c", true},
        {"a/**", "a", false},
        {"a/**", "a/b", true},
        {"a/**/c", "a/c", true},
        {"a/**/c", "a/x/y/c", true},
        {"a/**/c", "a/x/y/d", false},
        {"**/b/**", "a/b", false},
        {"**/b/**", "a/b/c", true},
        {"a**", "abc", true},
        {"a**", "a/b", false},
        {"", "a", false},
        {"a/", "a", true},
        {"*.py", "a.py", true},
        {"**/*.py/x*", "d/a.py/xy", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (sa_glob_match(cases[i].pattern, cases[i].path) != cases[i].matches)
            fail_msg("%s %s", cases[i].pattern, cases[i].path);
}

/* The same without any cleverness; letters, '*' and "**" only. */
static bool plain_name(const char *p, const char *p_end, const char *n, const char *n_end)
{
    if (p == p_end)
        return n == n_end;
    if (*p == '*')
        return plain_name(p + 1, p_end, n, n_end) ||
               (n < n_end && plain_name(p, p_end, n + 1, n_end));
    return n < n_end && *p == *n && plain_name(p + 1, p_end, n + 1, n_end);
}

static const char *rest(const char *text)
{
    const char *slash = strchr(text, '/');
    return slash ? slash + 1 : "";
}

static bool plain(const char *p, const char *n)
{
    size_t length = strcspn(p, "/");
    if (!*p || !*n)
        return !*p && !*n;
    if (length == 2 && !strncmp(p, "**", 2))
        return !*rest(p) || plain(rest(p), n) || plain(p, rest(n));
    return plain_name(p, p + length, n, n + strcspn(n, "/")) && plain(rest(p), rest(n));
}

/* All patterns and paths of a few pieces. */
static void test_against_plain(void **state)
{
    static const char *const pieces[] = {"a", "b", "*a", "a*b", "**"}, *const names[] = {
                                                                           "a", "b", "ab", "aab"};
    (void)state;
    for (unsigned code = 0; code < 5 * 5 * 5 * 5; code++) {
        char pattern[64] = "";
        for (unsigned i = 0, c = code; i < 1 + code % 4; i++, c /= 5) {
            strcat(pattern, i ? "/" : "");
            strcat(pattern, pieces[c % 5]);
        }
        for (unsigned path_code = 0; path_code < 4 * 4 * 4 * 4; path_code++) {
            char path[64] = "";
            for (unsigned i = 0, c = path_code; i < 1 + path_code % 4; i++, c /= 4) {
                strcat(path, i ? "/" : "");
                strcat(path, names[c % 4]);
            }
            if (sa_glob_match(pattern, path) != plain(pattern, path))
                fail_msg("%s %s: %d", pattern, path, sa_glob_match(pattern, path));
        }
    }
}

/* What makes a naive matcher take forever. */
static void test_takes_no_time(void **state)
{
    char pattern[1024] = "", path[4096] = "";
    (void)state;
    for (int i = 0; i < 100; i++)
        strcat(pattern, i % 2 ? "*a" : "**/*a*/");
    for (int i = 0; i < 400; i++)
        strcat(path, i % 5 ? "aaaaaa" : "b/");
    assert_false(sa_glob_match(pattern, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_meaning),
                                       cmocka_unit_test(test_against_plain),
                                       cmocka_unit_test(test_takes_no_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
