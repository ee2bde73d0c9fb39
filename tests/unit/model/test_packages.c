/* Names of packages, and everything else that somebody may give for one. */
#include "model/packages.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_pip(void **state)
{
    static const char *const good[] = {
        "requests",    "numpy==1.26.4",  "numpy>=1.20,<3",   "a",
        "zope.x_y-z",  "x[security]",    "x[a, b] >= 1.0",   "x ~= 1.4.2",
        "x !=1.*,==2", "Django<5,>=4.2", "x===1.0+local.7-a"};
    static const char *const bad[] = {"",
                                      "-r",
                                      "--index-url=http://evil",
                                      "-e.",
                                      ".",
                                      "./x",
                                      "/x",
                                      "x/y",
                                      "x;rm",
                                      "x; python_version<'3'",
                                      "x @ http://evil/x.whl",
                                      "git+https://evil/x",
                                      "http://evil",
                                      "x==",
                                      "x==1,",
                                      "x=1",
                                      "x 1",
                                      "x[",
                                      "x[]",
                                      "x[a",
                                      "x[a]]",
                                      "x-1.0-py3-none-any.whl",
                                      "x-1.0.tar.gz",
                                      "x.zip",
                                      "x-",
                                      "_x",
                                      "x\n",
                                      "x --pre",
                                      "x>=1 --pre",
                                      "x$(id)",
                                      "x`id`",
                                      "\xc3\xa9"};
    (void)state;
    for (size_t i = 0; i < SA_COUNT(good); i++)
        if (!sa_package_is_pip(good[i]))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < SA_COUNT(bad); i++)
        if (sa_package_is_pip(bad[i]))
            fail_msg("taken: %s", bad[i]);
}

static void test_npm(void **state)
{
    static const char *const good[] = {"lodash",     "lodash@4",          "lodash@^4.17.0",
                                       "@a/b",       "@a/b@1.x || >=2.5", "x@latest",
                                       "x@~1.2.3-b", "x@>=1 <2",          "socket.io@*"};
    static const char *const bad[] = {"",
                                      "-g",
                                      "--registry=http://evil",
                                      ".",
                                      "..",
                                      "./x",
                                      "../x",
                                      "/x",
                                      "~/x",
                                      "a/b",
                                      "@a",
                                      "@a/",
                                      "@/b",
                                      "@a/b/c",
                                      "x@",
                                      "x@-g",
                                      "x@file:../y",
                                      "x@npm:y@1",
                                      "x@http://evil",
                                      "x@./y",
                                      "x@git+ssh://evil",
                                      "github:a/b",
                                      "x.tgz",
                                      "x@1.tgz",
                                      "x;id",
                                      "x id",
                                      "x@1;id",
                                      "x\n",
                                      "x@1\n"};
    (void)state;
    for (size_t i = 0; i < SA_COUNT(good); i++)
        if (!sa_package_is_npm(good[i]))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < SA_COUNT(bad); i++)
        if (sa_package_is_npm(bad[i]))
            fail_msg("taken: %s", bad[i]);
}

static int decode(const char *body, struct sa_packages *packages, struct sa_error *err)
{
    struct sa_arena *arena = sa_arena_new();
    int rc = sa_packages_decode(body, strlen(body), arena, packages, err);
    if (rc == 0)
        assert_string_equal(packages->names.items[0], "x>=1");
    sa_arena_free(arena);
    return rc;
}

static void test_body(void **state)
{
    static const char *const bad[] = {"{\"manager\":\"apt\",\"packages\":[\"x\"]}",
                                      "{\"manager\":\"pip\",\"packages\":[]}",
                                      "{\"manager\":\"pip\",\"packages\":\"x\"}",
                                      "{\"manager\":\"pip\"}",
                                      "{\"manager\":\"pip\",\"packages\":[\"x\",\"-r y\"]}",
                                      "{\"manager\":\"npm\",\"packages\":[\"x>=1\"]}",
                                      "{\"manager\":\"pip\",\"packages\":[\"x\"],\"options\":1}"};
    struct sa_packages packages;
    struct sa_error err;
    (void)state;
    assert_int_equal(
        decode("{\"manager\":\"pip\",\"packages\":[\"x>=1\"],\"timeoutMs\":7}", &packages, &err),
        0);
    assert_string_equal(packages.manager, "pip");
    assert_int_equal(packages.timeout_ms, 7);
    for (size_t i = 0; i < SA_COUNT(bad); i++) {
        assert_int_equal(decode(bad[i], &packages, &err), -1);
        assert_int_equal(err.code, SA_EINVALID);
    }
}

static void test_split(void **state)
{
    static const struct {
        const char *manager, *text, *name, *version;
    } cases[] = {{"pip", "Requests", "requests", NULL},
                 {"pip", "Zope.X__y-z[a, b] >= 1.0, <2", "zope-x-y-z", ">= 1.0, <2"},
                 {"pip", "a==1", "a", "==1"},
                 {"npm", "Lodash", "lodash", NULL},
                 {"npm", "@Scope/na_me.x@^1.2", "@scope/na_me.x", "^1.2"},
                 {"npm", "left-pad@latest", "left-pad", "latest"}};
    struct sa_arena *arena = sa_arena_new();
    (void)state;
    for (size_t i = 0; i < SA_COUNT(cases); i++) {
        const char *name, *version;
        sa_package_split(cases[i].manager, cases[i].text, arena, &name, &version);
        assert_string_equal(name, cases[i].name);
        assert_int_equal(version == NULL, cases[i].version == NULL);
        if (version)
            assert_string_equal(version, cases[i].version);
    }
    sa_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_split), cmocka_unit_test(test_pip),
                                       cmocka_unit_test(test_npm), cmocka_unit_test(test_body)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
