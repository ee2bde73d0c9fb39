/* What of a profile can be had, and the names of what cannot. */
#include "native/context.h"

#include "profiles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct sa_host privileged = {.ranges = true}, plain = {.ranges = false};
static struct sa_profile p;

static int setup(void **state)
{
    (void)state;
    profile_default(&p);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sa_profile_deinit(&p);
    return 0;
}

static void refused(const struct sa_host *host, const char *path)
{
    struct sa_context c;
    struct sa_error err = {0};
    assert_int_equal(sa_context_from(&p, host, &c, &err), -1);
    assert_int_equal(err.code, SA_ECONTROL);
    assert_string_equal(err.path, path);
    assert_true(strlen(err.message) > 20);
}

static void test_default(void **state)
{
    struct sa_context c;
    (void)state;
    assert_int_equal(sa_context_from(&p, &plain, &c, NULL), 0);
    assert_int_equal(c.uid, 1000);
    assert_int_equal(c.writable, 15);
    assert_int_equal(c.landlocked, 15);
    assert_int_equal(c.devices, 63);
    assert_int_equal(c.landlock, 1);
}

static void test_less(void **state)
{
    struct sa_context c;
    (void)state;
    list_clear(&p.writable);
    list_add(&p.writable, "/workspace");
    list_clear(&p.landlock);
    list_clear(&p.devices);
    list_add(&p.devices, "null");
    p.flags &= ~(unsigned)SA_PROFILE_USE_LANDLOCK;
    p.uid = 2000;
    p.gid = 3000;
    assert_int_equal(sa_context_from(&p, &privileged, &c, NULL), 0);
    assert_int_equal(c.writable, 1u << SA_FOLDER_WORKSPACE);
    assert_int_equal(c.landlocked, 0);
    assert_int_equal(c.devices, 1u << SA_DEVICE_NULL);
    assert_int_equal(c.landlock, 0);
    assert_int_equal(c.uid, 2000);
    refused(&plain, "uid");
}

static void test_floor(void **state)
{
    static const struct {
        unsigned flag;
        const char *path;
    } flags[] = {{SA_PROFILE_NO_NEW_PRIVS, "no_new_privs"},
                 {SA_PROFILE_READ_ONLY_ROOT, "rootfs.readonly"},
                 {SA_PROFILE_PRIVATE_NETWORK, "netns"},
                 {SA_PROFILE_MASK_PROC, "proc.masked"}};
    (void)state;
    for (int i = 0; i < 4; i++) {
        p.flags = SA_PROFILE_FLAGS_ALL & ~flags[i].flag;
        refused(&privileged, flags[i].path);
    }
    p.flags = SA_PROFILE_FLAGS_ALL;
    p.core_bytes = 1;
    refused(&privileged, "limits.coreBytes");
    p.core_bytes = 0;
    p.gid = 0;
    refused(&privileged, "uid");
    p.gid = 1000;
    list_add(&p.capabilities, "CAP_NET_RAW");
    refused(&privileged, "capabilities");
}

static void test_unknown_names(void **state)
{
    (void)state;
    list_add(&p.writable, "/etc");
    refused(&privileged, "writablePaths");
    list_clear(&p.writable);
    list_add(&p.writable, "/tmp");
    refused(&privileged, "writablePaths");
    list_add(&p.writable, "/workspace");
    list_add(&p.landlock, "/workspace/out");
    refused(&privileged, "landlock");
    list_clear(&p.landlock);
    list_add(&p.devices, "kvm");
    refused(&privileged, "devices");
    list_clear(&p.devices);
    list_add(&p.devices, "zero");
    refused(&privileged, "devices");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {CASE(test_default), CASE(test_less), CASE(test_floor),
                                       CASE(test_unknown_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
