/* Pool keys: the same for the same parts, different for any part that differs. */
#include "claim/claim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct sa_resources some = {
    .cpu_millicores = 500, .memory_bytes = 512, .storage_bytes = 256, .inodes = 128, .pids = 64};

static void test_same(void **state)
{
    char a[SA_POOL_KEY_BYTES], b[SA_POOL_KEY_BYTES];
    const struct sa_resources again = some;
    (void)state;
    sa_pool_key(&(struct sa_pool_key){"python", "", "d", SA_LEVEL_HIGH, &some}, a);
    sa_pool_key(&(struct sa_pool_key){"python", "", "d", SA_LEVEL_HIGH, &again}, b);
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), SA_POOL_KEY_BYTES - 1);
    assert_int_equal(strspn(a, "0123456789abcdef"), SA_POOL_KEY_BYTES - 1);
}

static void test_different(void **state)
{
    struct sa_resources r[] = {some, some, some, some, some, some, some};
    r[1].cpu_millicores++;
    r[2].memory_bytes++;
    r[3].storage_bytes++;
    r[4].inodes++;
    r[5].pids++;
    r[6].cpu_pinning = true;
    const struct sa_pool_key all[] = {
        {"python", "", "d", SA_LEVEL_STANDARD, &r[0]},
        {"python", "", "d", SA_LEVEL_STANDARD, &r[1]},
        {"python", "", "d", SA_LEVEL_STANDARD, &r[2]},
        {"python", "", "d", SA_LEVEL_STANDARD, &r[3]},
        {"python", "", "d", SA_LEVEL_STANDARD, &r[4]},
        {"python", "", "d", SA_LEVEL_STANDARD, &r[5]},
        {"python", "", "d", SA_LEVEL_STANDARD, &r[6]},
        {"python", "", "d", SA_LEVEL_HIGH, &r[0]},
        {"python", "", "d", SA_LEVEL_CUSTOM, &r[0]},
        {"python", "", "e", SA_LEVEL_STANDARD, &r[0]},
        {"python", "d", "", SA_LEVEL_STANDARD, &r[0]},
        {"python", "p", "d", SA_LEVEL_STANDARD, &r[0]},
        {"node", "", "d", SA_LEVEL_STANDARD, &r[0]},
        {"python\",\"x\":\"", "", "d", SA_LEVEL_STANDARD, &r[0]},
    };
    enum { COUNT = sizeof all / sizeof *all };
    char keys[COUNT][SA_POOL_KEY_BYTES];
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        sa_pool_key(&all[i], keys[i]);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(keys[i], keys[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same),
                                       cmocka_unit_test(test_different)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
