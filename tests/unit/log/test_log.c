/* core/log: what reaches the descriptor, line by line. */
#include "log/log.h"

#include "base/buf.h"
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int fd = -1;
static struct sa_buf text;

static void begin(enum sa_log_level level, enum sa_log_format format)
{
    if (fd >= 0)
        close(fd);
    fd = memfd_create("log", MFD_CLOEXEC);
    sa_log_init(level, format, fd, NULL);
}

/* Everything written so far. */
static const char *written(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    text.length = 0;
    assert_int_equal(sa_read_file(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
    text.data[text.length] = '\0';
    return text.data;
}

/* Without the time, which must look like one. */
static const char *after_time(const char *prefix)
{
    const char *line = written();
    size_t n = strlen(prefix);
    assert_memory_equal(line, prefix, n);
    assert_int_equal(line[n + 10], 'T');
    assert_int_equal(line[n + 23], 'Z');
    return line + n + 24;
}

static int teardown(void **state)
{
    (void)state;
    close(fd);
    fd = -1;
    sa_buf_deinit(&text);
    return 0;
}

static void text_lines(void **state)
{
    (void)state;
    begin(SA_LOG_INFO, SA_LOG_TEXT);
    sa_log_info("sandbox created", SA_LOG_S("sandbox", "sb-1"), SA_LOG_I("ms", -3),
                SA_LOG_U("bytes", UINT64_MAX), SA_LOG_B("warm", true), SA_LOG_D("load", 0.5),
                SA_LOG_S("name", "a b"), SA_LOG_S("none", NULL), SA_LOG_S("empty", ""),
                SA_LOG_N("cut", "abcdef", 3), SA_LOG_SECRET("token", "hunter2"));
    assert_string_equal(after_time("ts="),
                        " level=info msg=\"sandbox created\" sandbox=sb-1 ms=-3"
                        " bytes=18446744073709551615 warm=true load=0.5 name=\"a b\" none=-"
                        " empty=\"\" cut=abc token=***\n");
    assert_null(strstr(written(), "hunter2"));
}

static void json_lines(void **state)
{
    (void)state;
    begin(SA_LOG_INFO, SA_LOG_JSON);
    sa_log_init(SA_LOG_INFO, SA_LOG_JSON, fd, "node");
    struct sa_error err = {0};
    sa_error_at(&err, SA_EINVALID, "spec.x", "bad \"thing\"");
    sa_log_warn("no", SA_LOG_ERR(&err), SA_LOG_S("none", NULL), SA_LOG_D("nan", 0.0 / 0.0),
                SA_LOG_SECRET("token", "hunter2"));
    assert_string_equal(after_time("{\"ts\":\""),
                        "\",\"level\":\"warn\",\"msg\":\"no\",\"component\":\"node\","
                        "\"error\":\"bad \\\"thing\\\"\",\"code\":\"invalid_request\","
                        "\"path\":\"spec.x\",\"none\":null,\"nan\":null,\"token\":\"***\"}\n");
}

static int evaluated;

static int64_t costly(void)
{
    return ++evaluated;
}

static void levels_filter_before_fields_are_evaluated(void **state)
{
    (void)state;
    begin(SA_LOG_WARN, SA_LOG_TEXT);
    sa_log_info("hidden", SA_LOG_I("n", costly()));
    sa_log_debug("hidden");
    assert_int_equal(evaluated, 0);
    sa_log_error("shown", SA_LOG_I("n", costly()));
    assert_int_equal(evaluated, 1);
    assert_string_equal(after_time("ts="), " level=error msg=shown n=1\n");
    begin(SA_LOG_OFF, SA_LOG_TEXT);
    sa_log_error("hidden");
    assert_string_equal(written(), "");
}

/* Nothing that is said about a value may end the line, the quotes, or steer a terminal. */
static void values_cannot_forge(void **state)
{
    (void)state;
    static const char *const evil[] = {"a\nts=2026 level=info msg=fake",
                                       "a\" user=\"root",
                                       "a user=root",
                                       "a\\",
                                       "\x1B[2J\x07\x7F",
                                       "\r\n",
                                       "\xC2\x9Bm31",
                                       "\xE2\x80\xA8x\xE2\x80\xAEy\xE2\x81\xA6z",
                                       "\xFF\xC3",
                                       "k=v",
                                       "'"};
    for (int json = 0; json < 2; json++)
        for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
            begin(SA_LOG_INFO, json ? SA_LOG_JSON : SA_LOG_TEXT);
            sa_log_info(evil[i], SA_LOG_S("v", evil[i]), SA_LOG_I("last", 1));
            const char *line = written();
            assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
            for (const char *c = line; c[1]; c++)
                if ((unsigned char)*c < 0x20 || *c == 0x7F)
                    fail_msg("control character in %s", line);
            assert_null(strstr(line, "\xC2\x9B"));
            assert_null(strstr(line, "\xE2\x80\xAE"));
            assert_null(strstr(line, "\xFF"));
            int quotes = 0;
            for (const char *c = line; *c; c++) {
                if (*c == '\\')
                    c++;
                else
                    quotes += *c == '"';
            }
            assert_int_equal(quotes % 2, 0);
            assert_null(strstr(line, " user=root\n"));
        }
    begin(SA_LOG_INFO, SA_LOG_TEXT);
    sa_log_info("m", SA_LOG_S("v", "\x1B\xFF\xC3\xA9\""));
    assert_string_equal(after_time("ts="), " level=info msg=m v=\"\\x1b\\xff\xC3\xA9\\\"\"\n");
}

static void lines_are_bounded_and_still_whole(void **state)
{
    (void)state;
    char longer[5000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    for (size_t first = 900; first < 1100; first++)
        for (int json = 0; json < 2; json++) {
            begin(SA_LOG_INFO, json ? SA_LOG_JSON : SA_LOG_TEXT);
            sa_log_info("m", SA_LOG_N("a", longer, first), SA_LOG_S("b", longer),
                        SA_LOG_S("c", longer), SA_LOG_S("d", "\"\"\"\"\"\""), SA_LOG_S("e", longer),
                        SA_LOG_S("f", longer), SA_LOG_I("g", 1));
            const char *line = written();
            size_t n = strlen(line);
            assert_in_range(n, SA_LOG_LINE_MAX - 48, SA_LOG_LINE_MAX);
            assert_string_equal(line + n - 2, json ? "}\n" : ".\n");
            assert_non_null(strstr(line, "x...\""));
        }
}

static void what_cannot_be_written_is_counted(void **state)
{
    (void)state;
    int pipes[2];
    uint64_t before = sa_log_dropped();
    assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
    sa_log_init(SA_LOG_INFO, SA_LOG_TEXT, pipes[1], NULL);
    errno = EXDEV;
    for (int i = 0; i < 5000; i++)
        sa_log_info("filling the pipe until it is full");
    assert_int_equal(errno, EXDEV);
    assert_true(sa_log_dropped() > before);
    close(pipes[0]);
    close(pipes[1]);
}

/* Processes that share a pipe do not mix their lines. */
static void lines_do_not_mix(void **state)
{
    (void)state;
    int pipes[2];
    char value[700];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    for (int p = 0; p < 4; p++)
        if (fork() == 0) {
            sa_log_init(SA_LOG_INFO, SA_LOG_TEXT, pipes[1], NULL);
            memset(value, 'a' + p, sizeof value);
            for (int i = 0; i < 200; i++)
                sa_log_info("m", SA_LOG_N("v", value, sizeof value));
            _exit(0);
        }
    close(pipes[1]);
    FILE *in = fdopen(pipes[0], "r");
    char line[SA_LOG_LINE_MAX + 1];
    int lines = 0;
    for (; fgets(line, sizeof line, in); lines++) {
        const char *v = strstr(line, " v=");
        assert_non_null(v);
        assert_int_equal(strlen(v), 3 + sizeof value + 1);
        for (size_t i = 0; i < sizeof value; i++)
            assert_int_equal(v[3 + i], v[3]);
    }
    fclose(in);
    while (wait(NULL) > 0)
        ;
    assert_int_equal(lines, 800);
}

static void limits_let_a_burst_through(void **state)
{
    (void)state;
    struct sa_log_limit limit = {.every_ms = 1000, .burst = 3};
    uint64_t skipped = 99;
    int allowed = 0;
    for (int i = 0; i < 10; i++)
        allowed += sa_log_allow(&limit, 5000, &skipped);
    assert_int_equal(allowed, 3);
    assert_int_equal(skipped, 0);
    assert_false(sa_log_allow(&limit, 5999, &skipped));
    assert_true(sa_log_allow(&limit, 6000, &skipped));
    assert_int_equal(skipped, 8);
    assert_false(sa_log_allow(&limit, 6000, &skipped));
    for (allowed = 0; sa_log_allow(&limit, 1000000, &skipped); allowed++)
        ;
    assert_int_equal(allowed, 3);
}

static void names_are_parsed(void **state)
{
    (void)state;
    enum sa_log_level level;
    enum sa_log_format format;
    struct sa_error err = {0};
    assert_int_equal(sa_log_parse_level("warn", &level, &err), 0);
    assert_int_equal(level, SA_LOG_WARN);
    assert_int_equal(sa_log_parse_level("loud", &level, &err), -1);
    assert_int_equal(err.code, SA_EINVALID);
    assert_int_equal(sa_log_parse_format("json", &format, &err), 0);
    assert_int_equal(format, SA_LOG_JSON);
    assert_int_equal(sa_log_parse_format("", &format, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(levels_filter_before_fields_are_evaluated),
        cmocka_unit_test(values_cannot_forge),
        cmocka_unit_test(lines_are_bounded_and_still_whole),
        cmocka_unit_test(what_cannot_be_written_is_counted),
        cmocka_unit_test(lines_do_not_mix),
        cmocka_unit_test(limits_let_a_burst_through),
        cmocka_unit_test(names_are_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
