/* Ports that the rules have allowed: to whom, and under which rules. */
#include "api/port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void only_what_was_allowed(void **state)
{
    (void)state;
    struct sa_port_passes *passes = sa_port_passes_new();
    const struct sa_port_pass given = {"sb-one", "key-one", 8000, 3};
    assert_false(sa_port_passes_has(passes, &given));
    sa_port_passes_add(passes, &given);
    assert_true(sa_port_passes_has(passes, &given));
    const struct sa_port_pass others[] = {{"sb-two", "key-one", 8000, 3},
                                          {"sb-one", "key-two", 8000, 3},
                                          {"sb-one", "key-one", 8001, 3},
                                          {"sb-one", "key-one", 8000, 4},
                                          {"sb-one", "key-one", 8000, 2}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(sa_port_passes_has(passes, &others[i]));
    sa_port_passes_free(passes);
}

static void many_push_out_and_never_mix(void **state)
{
    (void)state;
    struct sa_port_passes *passes = sa_port_passes_new();
    for (int port = 1; port < 5000; port++) {
        const struct sa_port_pass pass = {"sb-one", "key-one", port, 1};
        const struct sa_port_pass other = {"sb-two", "key-one", port, 1};
        sa_port_passes_add(passes, &pass);
        assert_false(sa_port_passes_has(passes, &other));
        assert_true(sa_port_passes_has(passes, &pass));
    }
    sa_port_passes_free(passes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_what_was_allowed),
                                       cmocka_unit_test(many_push_out_and_never_mix)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
