/* How outcomes and pieces of output are printed. */
#include "api/exec_output.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void put(const struct sa_exec_result *result, const char *expected)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&out);
    sa_json_w_begin_object(&w);
    sa_exec_result_print(result, &w);
    sa_json_w_end_object(&w);
    assert_string_equal(out.data, expected);
}

static void test_result(void **state)
{
    struct sa_error error;
    (void)state;
    put(&(struct sa_exec_result){.status = "exited",
                                 .exit_code = 3,
                                 .duration_us = 1500,
                                 .cpu_us = 2999,
                                 .memory_peak_bytes = 4096,
                                 .truncated = {[SA_CHANNEL_OUT] = true}},
        "{\"status\":\"exited\",\"exitCode\":3,\"truncated\":{\"stdout\":true,\"stderr\":false},"
        "\"durationMs\":1.5,\"usage\":{\"cpuMs\":2,\"memoryPeakBytes\":4096}}");
    put(&(struct sa_exec_result){.status = "signaled", .exit_code = -1, .signal = SIGSEGV},
        "{\"status\":\"signaled\",\"exitCode\":null,\"signal\":\"SIGSEGV\","
        "\"truncated\":{\"stdout\":false,\"stderr\":false},\"durationMs\":0,"
        "\"usage\":{\"cpuMs\":0,\"memoryPeakBytes\":0}}");
    sa_error_set(&error, SA_EUNAVAILABLE, "gone");
    put(&(struct sa_exec_result){.status = "failed", .exit_code = -1, .error = &error},
        "{\"status\":\"failed\",\"exitCode\":null,\"truncated\":{\"stdout\":false,\"stderr\":false}"
        ","
        "\"error\":{\"name\":\"unavailable\",\"value\":\"gone\",\"traceback\":\"\"},"
        "\"durationMs\":0,\"usage\":{\"cpuMs\":0,\"memoryPeakBytes\":0}}");
}

static void put_piece(enum sa_item_kind kind, const char *data, const char *expected)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&out);
    struct sa_piece piece = {.kind = kind, .offset = 7, .data = data, .length = strlen(data)};
    sa_json_w_begin_object(&w);
    sa_piece_print(&piece, &w);
    sa_json_w_end_object(&w);
    assert_string_equal(out.data, expected);
}

static void test_pieces(void **state)
{
    (void)state;
    put_piece(SA_ITEM_STDOUT, "a\n", "{\"type\":\"stdout\",\"offset\":7,\"data\":\"a\\n\"}");
    put_piece(SA_ITEM_STDERR, "\xff",
              "{\"type\":\"stderr\",\"offset\":7,\"data\":\"/w==\",\"encoding\":\"base64\"}");
    put_piece(SA_ITEM_RESULT, "{\"data\":{\"text/plain\":\"1\"},\"main\":true}",
              "{\"type\":\"result\",\"offset\":7,\"data\":{\"text/plain\":\"1\"},\"main\":true}");
    put_piece(SA_ITEM_ERROR, "{\"name\":\"E\"}",
              "{\"type\":\"error\",\"offset\":7,\"name\":\"E\"}");
    put_piece(SA_ITEM_INPUT, "{}", "{\"type\":\"input\",\"offset\":7}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
