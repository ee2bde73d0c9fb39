/* Label selectors: what each form matches, and what is refused, and where. */
#include "objects/selector.h"

#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sa_json_pair pairs[] = {{"a", "1"}, {"b", ""}, {"team/x", "blue"}, {"in", "notin"}};
static const struct sa_json_map labels = {pairs, 4};

static void test_matches(void **state)
{
    static const struct {
        const char *text;
        bool matches;
    } cases[] = {
        {"", true},
        {"  ", true},
        {"a=1", true},
        {"a==1", true},
        {"a = 1", true},
        {"a=2", false},
        {"a!=2", true},
        {"a!=1", false},
        {"z!=1", true},
        {"a", true},
        {"z", false},
        {"!a", false},
        {"! z", true},
        {"b=", true},
        {"b", true},
        {"b!=", false},
        {"a in (1)", true},
        {"a in (0, 1 ,2)", true},
        {"a in (0,2)", false},
        {"z in (0)", false},
        {"b in (,x)", true},
        {"a notin (1,2)", false},
        {"a notin (2)", true},
        {"z notin (2)", true},
        {"in in (notin)", true},
        {"in", true},
        {"notin", false},
        {"team/x=blue,a", true},
        {"team/x=blue,a,z", false},
        {"a=1,a!=2,a in (1,2),!z , b", true},
        {"a=1,a=2", false},
    };
    (void)state;
    struct sa_arena *arena = sa_arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sa_selector s;
        struct sa_error err = {0};
        if (sa_selector_parse(cases[i].text, arena, &s, &err) < 0)
            fail_msg("%s: %s", cases[i].text, err.message);
        if (sa_selector_matches(&s, &labels) != cases[i].matches)
            fail_msg("%s: should%s match", cases[i].text, cases[i].matches ? "" : " not");
    }
    sa_arena_free(arena);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {",", "character 1: expected a key"},
        {"a,", "character 3: expected a key"},
        {"=1", "character 1: expected a key"},
        {"!", "character 2: expected a key"},
        {"!!a", "expected a key"},
        {"a=1=2", "character 4: expected a comma"},
        {"a b", "character 3: expected =, =="},
        {"a in", "expected ( and values"},
        {"a in 1", "character 6: expected ("},
        {"a in (1", "expected , or )"},
        {"a in (1))", "expected a comma"},
        {"a in ((1)", "expected , or )"},
        {"a IN (1)", "expected =, =="},
        {"a>1", "expected =, =="},
        {"!a=1", "expected a comma"},
        {"a===1", "expected a comma"},
        {"a=!b", "expected a comma"},
    };
    (void)state;
    struct sa_arena *arena = sa_arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sa_selector s;
        struct sa_error err = {0};
        if (sa_selector_parse(cases[i].text, arena, &s, &err) == 0)
            fail_msg("%s: accepted", cases[i].text);
        assert_int_equal(err.code, SA_EINVALID);
        assert_string_equal(err.path, "labelSelector");
        if (!strstr(err.message, cases[i].words))
            fail_msg("%s: %s", cases[i].text, err.message);
    }
    sa_arena_free(arena);
}

static void test_limits(void **state)
{
    char text[1024] = "a in (";
    struct sa_selector s;
    struct sa_error err = {0};
    (void)state;
    struct sa_arena *arena = sa_arena_new();
    for (int i = 1; i < SA_SELECTOR_VALUES_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s", ",");
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s", ")");
    assert_int_equal(sa_selector_parse(text, arena, &s, &err), 0);
    assert_int_equal(s.items[0].count, SA_SELECTOR_VALUES_MAX);
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s", ",b=1");
    assert_int_equal(sa_selector_parse(text, arena, &s, &err), -1);
    text[0] = '\0';
    for (int i = 0; i < SA_SELECTOR_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s", i ? ",a" : "a");
    assert_int_equal(sa_selector_parse(text, arena, &s, &err), 0);
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s", ",a");
    assert_int_equal(sa_selector_parse(text, arena, &s, &err), -1);
    memset(text, 'k', 254);
    text[254] = '\0';
    assert_int_equal(sa_selector_parse(text, arena, &s, &err), -1);
    assert_int_equal(sa_selector_parse(text + 1, arena, &s, &err), 0);
    sa_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matches),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
