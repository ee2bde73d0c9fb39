#include "conformance/conformance.h"

#include "fixture.h"

#include "base/arena.h"

#include <stdlib.h>

int sa_conformance_run(const struct sa_conformance_target *target)
{
    static const struct CMUnitTest *const files[] = {create_tests, write_tests, list_tests,
                                                     delete_tests, owner_tests, watch_tests};
    struct CMUnitTest tests[128];
    size_t count = 0;
    for (size_t f = 0; f < sizeof files / sizeof *files; f++)
        for (const struct CMUnitTest *test = files[f]; test->name; test++) {
            if (count == sizeof tests / sizeof *tests)
                abort();
            tests[count] = *test;
            tests[count].setup_func = world_setup;
            tests[count].teardown_func = world_teardown;
            tests[count++].initial_state = (void *)(uintptr_t)target;
        }
    return _cmocka_run_group_tests(target->name, tests, count, NULL, NULL);
}
