/* Profiles at a real node: known, unknown, forgotten, refused, and in force. */
#include "harness.h"

#include "profiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct node node;
static struct sa_profile profile;

static int setup(void **state)
{
    (void)state;
    node_start(&node, 0, SA_TEST_RUNTIME);
    profile_default(&profile);
    snprintf(profile.id, sizeof profile.id, "%s", "fedcba9876543210");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    node_finish(&node);
    sa_profile_deinit(&profile);
    return 0;
}

static void refused(const char *path)
{
    struct reply r;
    node_profile(&node, &profile, &r);
    assert_int_equal(r.type, SA_NODE_FAILED);
    assert_int_equal(r.error.code, SA_ECONTROL);
    assert_string_equal(r.error.path, path);
}

static int make(struct sa_node_spec *spec, struct reply *created)
{
    struct reply r;
    node_profile(&node, &profile, &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    spec_default(spec);
    snprintf(spec->profile, sizeof spec->profile, "%s", profile.id);
    return node_create(&node, spec, created);
}

static void test_unknown(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    spec_default(&spec);
    snprintf(spec.profile, sizeof spec.profile, "%s", profile.id);
    node_answer(&node, node_send_create(&node, &spec), &r);
    assert_int_equal(r.type, SA_NODE_FAILED);
    assert_int_equal(r.error.code, SA_ENOTFOUND);
    assert_string_equal(r.error.path, "profile");
}

/* A second time it is known at once. */
static void test_known(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    int link = make(&spec, &r);
    expect(link, "echo $(id -u)", "1000\n");
    node_profile(&node, &profile, &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    close(link);
    node_destroy(&node, spec.id);
}

static void test_oldest_is_forgotten(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    while (profile.filter_count > 2) {
        list_clear(&profile.filters[--profile.filter_count].allow);
        free(profile.filters[profile.filter_count].allow.items);
    }
    for (int i = 0; i < 17; i++) {
        snprintf(profile.id, sizeof profile.id, "aaaaaaaaaaaaaa%02d", i);
        node_profile(&node, &profile, &r);
        assert_int_equal(r.type, SA_NODE_DONE);
    }
    spec_default(&spec);
    snprintf(spec.profile, sizeof spec.profile, "aaaaaaaaaaaaaa00");
    node_answer(&node, node_send_create(&node, &spec), &r);
    assert_string_equal(r.error.path, "profile");
}

static void test_refused(void **state)
{
    (void)state;
    list_add(&filter_of(&profile, "python")->allow, "mount");
    refused("seccomp");
    list_add(&profile.capabilities, "CAP_SYS_ADMIN");
    refused("capabilities");
    list_clear(&profile.capabilities);
    snprintf(filter_of(&profile, "base")->language, 32, "basic");
    refused("seccomp");
}

static void test_garbage(void **state)
{
    struct sa_buf body = SA_BUF_INIT;
    struct reply r;
    (void)state;
    sa_fields_add_text(&body, SA_PROFILE_ID, profile.id);
    node_answer(&node, node_send(&node, SA_NODE_PROFILE, &body), &r);
    assert_int_equal(r.error.code, SA_EPROTOCOL);
    sa_buf_deinit(&body);
}

static void test_in_force(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    if (geteuid() == 0)
        profile.uid = profile.gid = 4242;
    list_clear(&profile.writable);
    list_add(&profile.writable, "/workspace");
    list_add(&profile.writable, "/tmp");
    list_clear(&profile.landlock);
    list_add(&profile.landlock, "/workspace");
    list_clear(&profile.devices);
    list_add(&profile.devices, "null");
    list_add(&profile.devices, "zero");
    profile.open_files = 99;
    profile.file_bytes = 4096;
    profile.pids = 20;
    list_add(&filter_of(&profile, "base")->telling, "modify_ldt");
    int link = make(&spec, &r);
    expect(link, "id -u", geteuid() == 0 ? "4242\n" : "1000\n");
    expect(link, "id -g", geteuid() == 0 ? "4242\n" : "1000\n");
    expect(link, "ulimit -Hn", "99\n");
    expect(link, "touch /workspace/a && stat -c %u /workspace/a",
           geteuid() == 0 ? "4242\n" : "1000\n");
    expect(
        link,
        "trap '' XFSZ; head -c 5000 /dev/zero 2>/dev/null > /workspace/b; stat -c %s /workspace/b",
        "4096\n");
    expect(link, "touch /home/user/a /dev/shm/a 2>/dev/null; ls /home/user /dev/shm",
           "/dev/shm:\n\n/home/user:\n");
    expect(link, "cat /dev/urandom 2>/dev/null | head -c 1 | wc -c", "0\n");
    expect(link, "ls /dev/pts", "");
    if (strstr(r.controls, " landlock "))
        expect(link, "touch /tmp/a 2>/dev/null; ls /tmp", "");
    close(link);
    node_destroy(&node, spec.id);
}

static void test_without_landlock(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    profile.flags &= ~(unsigned)SA_PROFILE_USE_LANDLOCK;
    int link = make(&spec, &r);
    assert_null(strstr(r.controls, " landlock "));
    expect(link, "touch /tmp/a; ls /tmp", "a\n");
    close(link);
    node_destroy(&node, spec.id);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_unknown), CASE(test_known),    CASE(test_oldest_is_forgotten), CASE(test_refused),
        CASE(test_garbage), CASE(test_in_force), CASE(test_without_landlock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
