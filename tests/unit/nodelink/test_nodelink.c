/* What a sandbox may be called at the node. */
#include "nodelink/nodelink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_ids(void **state)
{
    static const char *const good[] = {
        "sb-aaaaaaaaaaaaaaaaaaaa",
        "wp-aaaaaaaaaaaaaaaaaaaa",
        "a",
        "my-box",
        "a.b-c.d",
        "0",
        "spare",
        "abcdefghijabcdefghijabcdefghija",
    };
    static const char *const bad[] = {
        "",    ".",    "..",   "-",   "a/b",     "../x",
        "a.",  ".a",   "a..b", "-a",  "a-",      "A",
        "a.-", "a-.b", "a b",  "a\n", "spare-0", "abcdefghijabcdefghijabcdefghijab",
        "ä",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!sa_node_id_valid(good[i]))
            fail_msg("%s was refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (sa_node_id_valid(bad[i]))
            fail_msg("%s was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
