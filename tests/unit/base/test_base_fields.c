/* core/link/fields and core/nodelink: what is encoded comes back, what is broken is refused. */
#include "link/fields.h"
#include "nodelink/nodelink.h"
#include "nodelink/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void fields_round_trip(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    struct sa_fields reader;
    struct sa_field f;
    struct sa_error err = {0};
    int64_t number;
    char text[8], *copy;
    sa_fields_add_int(&body, 1, INT64_MIN);
    sa_fields_add_text(&body, 2, "h\xC3\xA9");
    sa_fields_add_bytes(&body, 0xFFFF, NULL, 0);
    assert_memory_equal(body.data, "\1\0\10\0\0\0\0\0\0\0\0\0\0\x80\2\0\3\0\0\0h\xC3\xA9", 23);
    sa_fields_init(&reader, body.data, body.length);
    assert_int_equal(sa_fields_next(&reader, &f, &err), 1);
    assert_int_equal(sa_field_int(&f, &number, &err), 0);
    assert_true(number == INT64_MIN);
    assert_int_equal(sa_fields_next(&reader, &f, &err), 1);
    assert_int_equal(sa_field_int(&f, &number, &err), -1);
    assert_int_equal(sa_field_text_into(&f, text, 4, &err), 0);
    assert_string_equal(text, "h\xC3\xA9");
    assert_int_equal(sa_field_text_into(&f, text, 3, &err), -1);
    assert_int_equal(sa_field_text(&f, 3, &copy, &err), 0);
    assert_string_equal(copy, text);
    free(copy);
    assert_int_equal(sa_fields_next(&reader, &f, &err), 1);
    assert_int_equal(f.tag, 0xFFFF);
    assert_int_equal(sa_field_text_into(&f, text, 1, &err), 0);
    assert_string_equal(text, "");
    assert_int_equal(sa_fields_next(&reader, &f, &err), 0);
}

/* Every prefix that does not end between fields is refused, and no read leaves the body. */
static void cut_bodies_are_refused(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, 1, 7);
    sa_fields_add_text(&body, 2, "abc");
    for (size_t n = 0; n <= body.length; n++) {
        char *copy = malloc(n + 1); /* its end is watched by the address sanitizer */
        char *tight = copy + 1;
        struct sa_fields reader;
        struct sa_field f;
        struct sa_error err = {0};
        int more;
        memcpy(tight, body.data, n);
        sa_fields_init(&reader, tight, n);
        while ((more = sa_fields_next(&reader, &f, &err)) > 0)
            ;
        assert_int_equal(more, n == 0 || n == 14 || n == body.length ? 0 : -1);
        if (more < 0)
            assert_int_equal(err.code, SA_EPROTOCOL);
        free(copy);
    }
    struct sa_fields reader;
    struct sa_field f;
    sa_fields_init(&reader, "\1\0\xFF\xFF\xFF\xFFx", 7);
    assert_int_equal(sa_fields_next(&reader, &f, NULL), -1);
}

static void text_must_be_text(void **state)
{
    (void)state;
    struct sa_error err = {0};
    char out[16];
    struct sa_field nul = {1, (const uint8_t *)"a\0b", 3}, bad = {2, (const uint8_t *)"\xFF", 1};
    assert_int_equal(sa_field_text_into(&nul, out, sizeof out, &err), -1);
    assert_int_equal(sa_field_text_into(&bad, out, sizeof out, &err), -1);
    assert_non_null(strstr(err.message, "field 2"));
}

static void travel(const struct sa_error *sent, struct sa_error *got)
{
    sa_autobuf body = SA_BUF_INIT;
    struct sa_fields reader;
    struct sa_field f;
    struct sa_error err = {0};
    sa_fields_add_error(&body, 9, sent);
    sa_fields_init(&reader, body.data, body.length);
    assert_int_equal(sa_fields_next(&reader, &f, &err), 1);
    if (sa_field_error(&f, got, &err) < 0)
        fail_msg("%s", err.message);
}

static void errors_travel(void **state)
{
    (void)state;
    struct sa_error sent = {0}, got;
    sa_error_sys(&sent, SA_ECONTROL, 28, "no room");
    strcpy(sent.path, "cgroup.memory");
    travel(&sent, &got);
    assert_int_equal(got.code, SA_ECONTROL);
    assert_int_equal(got.sys_errno, 28);
    assert_string_equal(got.path, "cgroup.memory");
    assert_string_equal(got.message, sent.message);
    sa_error_at(&sent, SA_ENOTFOUND, "x\xFFy", "open a\xC3: no"); /* a name of odd bytes */
    travel(&sent, &got);
    assert_string_equal(got.message, "open a?: no");
    assert_string_equal(got.path, "x?y");
    sent.code = (enum sa_code)77; /* of a newer peer */
    travel(&sent, &got);
    assert_int_equal(got.code, SA_EINTERNAL);
}

static void unknown_critical_tags_are_refused(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    struct sa_error got, err = {0};
    sa_fields_add_int(&body, 0x77, 1);
    struct sa_field f = {9, (const uint8_t *)body.data, body.length};
    assert_int_equal(sa_field_error(&f, &got, &err), 0);
    sa_fields_add_int(&body, 0x8077, 1);
    f = (struct sa_field){9, (const uint8_t *)body.data, body.length};
    assert_int_equal(sa_field_error(&f, &got, &err), -1);
    assert_int_equal(err.code, SA_EPROTOCOL);
}

#define PROFILE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void make_spec(struct sa_node_spec *spec)
{
    static char *env[] = {"A=1", "EMPTY="}, *require[] = {"landlock"};
    *spec = (struct sa_node_spec){.id = "sb-aaaaaaaaaaaaaaaaaaaa",
                                  .profile = PROFILE,
                                  .runtime = "python",
                                  .hostname = "box",
                                  .memory_bytes = 64 << 20,
                                  .cpu_millicores = 500,
                                  .pids = 64,
                                  .storage_bytes = 1 << 30,
                                  .inodes = 1000,
                                  .env = env,
                                  .env_count = 2,
                                  .require = require,
                                  .require_count = 1};
}

static void specs_round_trip(void **state)
{
    (void)state;
    struct sa_node_spec spec, back;
    struct sa_error err = {0};
    sa_autobuf body = SA_BUF_INIT;
    make_spec(&spec);
    sa_node_spec_encode(&spec, &body);
    assert_int_equal(sa_node_spec_decode(body.data, body.length, &back, &err), 0);
    assert_string_equal(back.id, spec.id);
    assert_string_equal(back.profile, PROFILE);
    assert_string_equal(back.runtime, "python");
    assert_string_equal(back.hostname, "box");
    assert_int_equal(back.memory_bytes, 64 << 20);
    assert_int_equal(back.cpu_millicores, 500);
    assert_int_equal(back.pids, 64);
    assert_int_equal(back.storage_bytes, 1 << 30);
    assert_int_equal(back.inodes, 1000);
    assert_int_equal(back.env_count, 2);
    assert_string_equal(back.env[1], "EMPTY=");
    assert_string_equal(back.require[0], "landlock");
    sa_node_spec_deinit(&back);
    assert_null(back.env);
    for (size_t n = 0; n < body.length; n++) /* cut anywhere: refused or harmless, never a leak */
        if (sa_node_spec_decode(body.data, n, &back, &err) == 0)
            sa_node_spec_deinit(&back);
}

static void refused(const struct sa_node_spec *spec, uint16_t tag, const char *text)
{
    struct sa_node_spec back;
    struct sa_error err = {0};
    sa_autobuf body = SA_BUF_INIT;
    sa_node_spec_encode(spec, &body);
    if (tag)
        sa_fields_add_text(&body, tag, text);
    assert_int_equal(sa_node_spec_decode(body.data, body.length, &back, &err), -1);
    assert_int_equal(err.code, SA_EPROTOCOL);
    assert_null(back.env);
}

static void bad_specs_are_refused(void **state)
{
    (void)state;
    struct sa_node_spec spec;
    make_spec(&spec);
    refused(&spec, SA_NODE_ENV, "");
    refused(&spec, SA_NODE_ENV, "NOVALUE");
    refused(&spec, SA_NODE_ENV, "=x");
    refused(&spec, SA_NODE_ID, "sb-../../../../../etc/x");
    refused(&spec, SA_PROFILE_ID, "../" PROFILE);
    refused(&spec, SA_NODE_RUNTIME, "a name of more than thirty-two bytes");
    refused(&spec, SA_NODE_PIDS, "notanint");
    refused(&spec, 0x8123, "critical");
    spec.pids = 1;
    refused(&spec, 0, NULL);
    make_spec(&spec);
    spec.memory_bytes = -1;
    refused(&spec, 0, NULL);
    make_spec(&spec);
    spec.cpu_millicores = INT64_MAX;
    refused(&spec, 0, NULL);
    make_spec(&spec);
    spec.runtime[0] = '\0';
    refused(&spec, 0, NULL);
    make_spec(&spec);
    spec.profile[0] = '\0';
    refused(&spec, 0, NULL);
}

static void messages_have_headers(void **state)
{
    (void)state;
    sa_autobuf packet = SA_BUF_INIT;
    enum sa_node_type type;
    uint32_t call;
    struct sa_fields fields;
    struct sa_field f;
    struct sa_error err = {0};
    sa_buf_adds(&packet, "old");
    sa_node_message(&packet, SA_NODE_OOM, 0xDEADBEEF);
    sa_fields_add_int(&packet, SA_NODE_OOM_KILLS, 3);
    assert_int_equal(sa_node_parse(packet.data, packet.length, &type, &call, &fields, &err), 0);
    assert_int_equal(type, SA_NODE_OOM);
    assert_int_equal(call, 0xDEADBEEF);
    assert_int_equal(sa_fields_next(&fields, &f, &err), 1);
    assert_int_equal(f.tag, SA_NODE_OOM_KILLS);
    assert_int_equal(sa_node_parse(packet.data, 7, &type, &call, &fields, &err), -1);
    packet.data[2] = 1;
    assert_int_equal(sa_node_parse(packet.data, packet.length, &type, &call, &fields, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_round_trip),
        cmocka_unit_test(cut_bodies_are_refused),
        cmocka_unit_test(text_must_be_text),
        cmocka_unit_test(errors_travel),
        cmocka_unit_test(unknown_critical_tags_are_refused),
        cmocka_unit_test(specs_round_trip),
        cmocka_unit_test(bad_specs_are_refused),
        cmocka_unit_test(messages_have_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
