/* core/lua/wire.c: messages in packets. */
#include "lua/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void messages_come_back_in_order(void **state)
{
    (void)state;
    sa_autobuf packet = SA_BUF_INIT, body = SA_BUF_INIT;
    sa_value_text(&body, "hello");
    struct sa_wire_message call = {.type = SA_WIRE_CALL,
                                   .flags = SA_WIRE_TRACE,
                                   .point = 0x1234,
                                   .call = 0xfedcba98,
                                   .body = body.data,
                                   .length = body.length};
    sa_wire_add(&packet, &call);
    call.type = SA_WIRE_DONE;
    call.flags = 0;
    sa_wire_add(&packet, &call);
    static const uint8_t header[] = {7, 0, 0, 0, 5, 1, 0x34, 0x12, 0x98, 0xba, 0xdc, 0xfe};
    assert_memory_equal(packet.data, header, sizeof header);
    assert_int_equal(packet.length, (size_t)2 * (SA_WIRE_HEADER_BYTES + 7));

    const uint8_t *next = (const uint8_t *)packet.data;
    size_t left = packet.length;
    struct sa_wire_message got;
    assert_int_equal(sa_wire_next(&next, &left, &got, NULL), 1);
    assert_int_equal(got.type, SA_WIRE_CALL);
    assert_int_equal(got.flags, SA_WIRE_TRACE);
    assert_int_equal(got.point, 0x1234);
    assert_true(got.call == 0xfedcba98);
    struct sa_value value = sa_value_of(got.body, got.length);
    assert_true(sa_value_is(&value, "hello"));
    assert_int_equal(sa_wire_next(&next, &left, &got, NULL), 1);
    assert_int_equal(got.type, SA_WIRE_DONE);
    assert_int_equal(sa_wire_next(&next, &left, &got, NULL), 0);
}

static void refused(const void *bytes, size_t length, const char *why)
{
    uint8_t *copy = malloc(length), *end = copy + length;
    memcpy(copy, bytes, length);
    const uint8_t *next = copy;
    size_t left = length;
    struct sa_wire_message got;
    struct sa_error err = {0};
    int result;
    while ((result = sa_wire_next(&next, &left, &got, &err)) > 0)
        assert_true(next + left == end);
    assert_int_equal(result, -1);
    assert_int_equal(err.code, SA_EPROTOCOL);
    if (!strstr(err.message, why))
        fail_msg("expected \"%s\", got \"%s\"", why, err.message);
    free(copy);
}

static void broken_packets_are_refused(void **state)
{
    (void)state;
    refused("\1\0\0\0\5\0\0\0\0\0\0", 11, "header that is cut off");
    refused("\2\0\0\0\5\0\0\0\0\0\0\0\1", 13, "2 bytes in a packet with 1 left");
    refused("\xff\xff\xff\xff\5\0\0\0\0\0\0\0\1", 13, "4294967295 bytes");
    refused("\0\0\0\0\5\0\0\0\0\0\0\0", 12, "no value");
    refused("\1\0\0\0\0\0\0\0\0\0\0\0\1", 13, "unknown type 0");
    refused("\1\0\0\0\6\0\0\0\0\0\0\0\1", 13, "unknown type 6");
    refused("\1\0\0\0\xff\0\0\0\0\0\0\0\1", 13, "unknown type 255");
    refused("\1\0\0\0\5\0\0\0\0\0\0\0\7", 13, "no value");
    refused("\1\0\0\0\5\0\0\0\0\0\0\0\1\2", 14, "cut off");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_back_in_order),
        cmocka_unit_test(broken_packets_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
