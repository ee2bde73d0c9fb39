/* Records of the state folder as bytes: what is whole is taken, and nothing else. */
#include "native/record.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* As record.c numbers them. */
enum { VERSION = SA_FIELD_CRITICAL | 1, ID = 2, BOOT, PID, START, UID_BASE, SLOT, GROUP, PROFILE };

static const struct sa_record whole = {
    .id = "sb-aaaaaaaaaaaaaaaaaaaa",
    .boot = "0f4ad7b3-3a5c-4e07-b4a7-0123456789ab",
    .pid = 4711,
    .start = 123456,
    .uid_base = 0x60000000,
    .slot = 7,
    .group = "spare-3",
    .profile = "0123456789abcdef",
    .limits = {.memory_bytes = 128 << 20, .pids = 48, .cpu_millicores = 1000},
    .before = {.cpu_us = 1, .throttled_us = 2, .memory_peak = 3, .oom_kills = 4},
    .in_force = 1 << SA_C_PIDNS | 1 << SA_C_SECCOMP};

static int decode(const struct sa_buf *body, struct sa_record *record)
{
    struct sa_error err = {0};
    const int rc = sa_record_decode(body->data, body->length, record, &err);
    assert_int_equal(err.code, rc < 0 ? SA_EPROTOCOL : SA_OK);
    return rc;
}

static void test_there_and_back(void **state)
{
    sa_autobuf body = SA_BUF_INIT;
    struct sa_record now;
    (void)state;
    sa_record_encode(&whole, &body);
    assert_int_equal(decode(&body, &now), 0);
    assert_string_equal(now.id, whole.id);
    assert_string_equal(now.boot, whole.boot);
    assert_string_equal(now.group, whole.group);
    assert_string_equal(now.profile, whole.profile);
    assert_int_equal(now.pid, whole.pid);
    assert_int_equal(now.start, whole.start);
    assert_int_equal(now.uid_base, whole.uid_base);
    assert_int_equal(now.slot, whole.slot);
    assert_memory_equal(&now.limits, &whole.limits, sizeof now.limits);
    assert_memory_equal(&now.before, &whole.before, sizeof now.before);
    assert_int_equal(now.in_force, whole.in_force);
}

/* A control is a field of its own, and what stands before it is whole. */
static void test_cut_short(void **state)
{
    sa_autobuf body = SA_BUF_INIT, least = SA_BUF_INIT;
    struct sa_record now, without = whole;
    (void)state;
    without.in_force = 0;
    sa_record_encode(&whole, &body);
    sa_record_encode(&without, &least);
    for (size_t n = 0; n < least.length; n++)
        assert_int_equal(sa_record_decode(body.data, n, &now, NULL), -1);
    assert_int_equal(sa_record_decode(body.data, least.length, &now, NULL), 0);
    assert_int_equal(sa_record_decode(body.data, body.length - 1, &now, NULL), -1);
}

/* Any bit that turns over: it is refused, or what comes out is in range. */
static void test_turned_over(void **state)
{
    sa_autobuf body = SA_BUF_INIT;
    struct sa_record now;
    (void)state;
    sa_record_encode(&whole, &body);
    for (size_t i = 0; i < body.length * 8; i++) {
        body.data[i / 8] = (char)(body.data[i / 8] ^ 1 << i % 8);
        if (sa_record_decode(body.data, body.length, &now, NULL) == 0) {
            assert_true(sa_node_id_valid(now.id) && sa_profile_id_valid(now.profile));
            assert_true(now.pid > 1 && now.pid <= INT32_MAX && now.start >= 0);
            assert_in_range(now.slot, 0, SA_NATIVE_SANDBOXES_MAX - 1);
            assert_in_range(now.uid_base, 0, UINT32_MAX);
            assert_null(strchr(now.group, '/'));
        }
        body.data[i / 8] = (char)(body.data[i / 8] ^ 1 << i % 8);
    }
}

static void test_twice(void **state)
{
    (void)state;
    for (uint16_t tag = ID; tag <= PROFILE; tag++) {
        sa_autobuf body = SA_BUF_INIT;
        struct sa_record now;
        sa_record_encode(&whole, &body);
        if (tag >= PID && tag <= SLOT)
            sa_fields_add_int(&body, tag, 5);
        else
            sa_fields_add_text(&body, tag, "0123456789abcdef");
        if (decode(&body, &now) == 0)
            fail_msg("field %u was taken twice", tag);
    }
}

static void refuse(const struct sa_record *record, const char *what)
{
    sa_autobuf body = SA_BUF_INIT;
    struct sa_record now;
    sa_record_encode(record, &body);
    if (decode(&body, &now) == 0)
        fail_msg("%s was taken", what);
}

static void test_out_of_range(void **state)
{
    static const struct {
        int64_t value;
        size_t offset;
    } numbers[] = {
        {-1, offsetof(struct sa_record, pid)},
        {0, offsetof(struct sa_record, pid)},
        {1, offsetof(struct sa_record, pid)},
        {INT64_C(1) << 31, offsetof(struct sa_record, pid)},
        {-1, offsetof(struct sa_record, start)},
        {-1, offsetof(struct sa_record, uid_base)},
        {INT64_C(1) << 32, offsetof(struct sa_record, uid_base)},
        {-1, offsetof(struct sa_record, slot)},
        {SA_NATIVE_SANDBOXES_MAX, offsetof(struct sa_record, slot)},
        {-1, offsetof(struct sa_record, limits.memory_bytes)},
        {-1, offsetof(struct sa_record, before.cpu_us)},
    };
    (void)state;
    for (size_t i = 0; i < SA_COUNT(numbers); i++) {
        struct sa_record bad = whole;
        char what[64];
        memcpy((char *)&bad + numbers[i].offset, &numbers[i].value, sizeof numbers[i].value);
        snprintf(what, sizeof what, "number %zu", i);
        refuse(&bad, what);
    }
}

static void test_names_that_lead_away(void **state)
{
    static const char *const names[] = {"", ".", "..", "../x", "a/b", "spare-", "spare-x", "A"};
    (void)state;
    for (size_t i = 0; i < SA_COUNT(names); i++) {
        struct sa_record bad = whole;
        snprintf(bad.id, sizeof bad.id, "%s", names[i]);
        refuse(&bad, names[i]);
        bad = whole;
        snprintf(bad.group, sizeof bad.group, "%s", names[i]);
        refuse(&bad, names[i]);
    }
    struct sa_record bad = whole;
    snprintf(bad.id, sizeof bad.id, "spare-3"); /* only a group may be called so */
    refuse(&bad, bad.id);
    bad = whole;
    bad.boot[0] = '\0';
    refuse(&bad, "no boot");
    snprintf(bad.profile, sizeof bad.profile, "../../etc/passwd");
    refuse(&bad, bad.profile);
}

static void test_of_another_version(void **state)
{
    sa_autobuf body = SA_BUF_INIT, more = SA_BUF_INIT;
    struct sa_record now;
    const size_t version_bytes = SA_FIELD_HEADER_BYTES + 8;
    (void)state;
    sa_record_encode(&whole, &body);
    assert_int_equal(
        sa_record_decode(body.data + version_bytes, body.length - version_bytes, &now, NULL), -1);
    body.data[SA_FIELD_HEADER_BYTES] = 2;
    assert_int_equal(decode(&body, &now), -1);
    body.data[SA_FIELD_HEADER_BYTES] = 1;
    sa_buf_add(&more, body.data, body.length);
    sa_fields_add_text(&more, 1000, "what is not known, and may be left out");
    assert_int_equal(decode(&more, &now), 0);
    sa_fields_add_text(&more, SA_FIELD_CRITICAL | 1000, "and what may not");
    assert_int_equal(decode(&more, &now), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),     cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_turned_over),        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_out_of_range),       cmocka_unit_test(test_names_that_lead_away),
        cmocka_unit_test(test_of_another_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
