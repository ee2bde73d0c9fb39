/* Profiles: what is written is read again, and nothing else is read. */
#include "nodelink/profile.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char *names[] = {"@io", "read", "mount_setattr"};
static char *folders[] = {"/workspace", "/tmp"};

static struct sa_profile good(void)
{
    struct sa_profile p = {.id = "0123456789abcdef",
                           .uid = 1000,
                           .gid = 1001,
                           .pids = 7,
                           .open_files = 64,
                           .file_bytes = 1 << 20,
                           .flags = SA_PROFILE_FLAGS_ALL & ~SA_PROFILE_USE_LANDLOCK,
                           .writable = {folders, 2},
                           .filter_count = 2};
    snprintf(p.filters[0].language, sizeof p.filters[0].language, "base");
    p.filters[0].allow = (struct sa_text_list){names, 2};
    p.filters[0].telling = (struct sa_text_list){names + 2, 1};
    snprintf(p.filters[1].language, sizeof p.filters[1].language, "python");
    return p;
}

static void encode(const struct sa_profile *p, struct sa_buf *out)
{
    out->length = 0;
    sa_fields_add_text(out, SA_PROFILE_ID, p->id);
    sa_profile_encode(p, out);
}

static void test_there_and_back(void **state)
{
    struct sa_profile in = good(), out;
    struct sa_error err;
    sa_autobuf body = SA_BUF_INIT, again = SA_BUF_INIT;
    (void)state;
    encode(&in, &body);
    assert_int_equal(sa_profile_decode(body.data, body.length, &out, &err), 0);
    assert_string_equal(out.id, in.id);
    assert_int_equal(out.uid, 1000);
    assert_int_equal(out.gid, 1001);
    assert_int_equal(out.flags, in.flags);
    assert_int_equal(out.writable.count, 2);
    assert_true(sa_text_list_has(&out.writable, "/tmp"));
    assert_false(sa_text_list_has(&out.writable, "/home"));
    assert_string_equal(out.filters[0].telling.items[0], "mount_setattr");
    assert_int_equal(out.filters[1].allow.count, 0);
    encode(&out, &again);
    assert_int_equal(body.length, again.length);
    assert_memory_equal(body.data, again.data, body.length);
    sa_profile_deinit(&out);
}

static void refused(const struct sa_buf *body)
{
    struct sa_profile out;
    struct sa_error err = {0};
    assert_int_equal(sa_profile_decode(body->data, body->length, &out, &err), -1);
    assert_int_equal(err.code, SA_EPROTOCOL);
}

static void test_cut_anywhere(void **state)
{
    struct sa_profile p = good(), out;
    sa_autobuf body = SA_BUF_INIT;
    (void)state;
    p.filter_count = 0;
    encode(&p, &body);
    const size_t lists = 2 * 6 + strlen(folders[0]) + strlen(folders[1]);
    for (size_t n = 0; n < body.length - lists; n++) {
        struct sa_error err = {0};
        assert_int_equal(sa_profile_decode(body.data, n, &out, &err), -1);
    }
}

static void test_out_of_range(void **state)
{
    struct sa_profile p;
    sa_autobuf body = SA_BUF_INIT;
    (void)state;
#define REFUSED(change)                                                                            \
    p = good();                                                                                    \
    change;                                                                                        \
    encode(&p, &body);                                                                             \
    refused(&body)
    REFUSED(p.uid = 65535);
    REFUSED(p.gid = 65535);
    REFUSED(p.gid = -1);
    REFUSED(p.open_files = 3);
    REFUSED(p.flags = SA_PROFILE_FLAGS_ALL + 1);
    REFUSED(snprintf(p.id, sizeof p.id, "short"));
    REFUSED(snprintf(p.id, sizeof p.id, "0123456789ABCDEF"));
    REFUSED(snprintf(p.filters[1].language, sizeof p.filters[1].language, "base"));
    REFUSED(p.filters[1].language[0] = '\0');
#undef REFUSED
}

static void test_names(void **state)
{
    static char *bad[] = {"", "@", "Read", "a b", "../x", "mount\n"};
    sa_autobuf body = SA_BUF_INIT;
    (void)state;
    for (size_t i = 0; i < SA_COUNT(bad); i++) {
        struct sa_profile p = good();
        p.filters[0].allow = (struct sa_text_list){&bad[i], 1};
        encode(&p, &body);
        refused(&body);
    }
}

/* Nothing may be there twice, be unknown, or be without bounds. */
static void test_too_much(void **state)
{
    struct sa_profile p = good();
    sa_autobuf body = SA_BUF_INIT;
    (void)state;
    encode(&p, &body);
    sa_fields_add_int(&body, SA_PROFILE_UID, 0);
    refused(&body);
    encode(&p, &body);
    sa_fields_add_text(&body, 63, "?");
    refused(&body);
    encode(&p, &body);
    sa_fields_add_text(&body, 0x8100, "?");
    refused(&body);
    encode(&p, &body);
    for (int i = 0; i <= SA_PROFILE_LIST_MAX; i++)
        sa_fields_add_text(&body, SA_PROFILE_DEVICE, "null");
    refused(&body);
    sa_autobuf filter = SA_BUF_INIT;
    sa_fields_add_text(&filter, SA_FILTER_LANGUAGE, "go");
    for (int i = 0; i <= SA_FILTER_NAMES_MAX; i++)
        sa_fields_add_text(&filter, SA_FILTER_ALLOW, "read");
    encode(&p, &body);
    sa_fields_add_bytes(&body, SA_PROFILE_FILTER, filter.data, filter.length);
    refused(&body);
    encode(&p, &body);
    for (int i = 0; i < SA_PROFILE_FILTERS_MAX; i++) {
        sa_autobuf one = SA_BUF_INIT;
        char name[8];
        snprintf(name, sizeof name, "l%d", i);
        sa_fields_add_text(&one, SA_FILTER_LANGUAGE, name);
        sa_fields_add_bytes(&body, SA_PROFILE_FILTER, one.data, one.length);
    }
    refused(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_out_of_range),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
