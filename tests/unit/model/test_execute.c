/* Decoding the body of an execute, and how each language is started. */
#include "../kinds/decoding.h"

#include "model/execute.h"

#include <stdio.h>
#include <string.h>

static struct sa_execute good(const char *body)
{
    struct sa_execute e;
    struct sa_error err = {0};
    if (sa_execute_decode(body, strlen(body), arena, &e, &err) < 0)
        fail_msg("%.200s: refused: %s (%s)", body, err.message, err.path);
    return e;
}

static void bad(const char *body, enum sa_code code, const char *path, const char *words)
{
    struct sa_execute e;
    struct sa_error err = {0};
    const int rc = sa_execute_decode(body, strlen(body), arena, &e, &err);
    check_refusal(body, rc, &err, code, path, words);
}

static void test_languages(void **state)
{
    static const char *const programs[][2] = {
        {"python", "python3"}, {"node", "node"}, {"bash", "bash"}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"language\":\"%s\",\"code\":\"a\\nb\"}", programs[i][0]);
        struct sa_execute e = good(body);
        assert_string_equal(e.kind, programs[i][0]);
        assert_string_equal(e.filter, programs[i][0]);
        assert_string_equal(e.argv[0], programs[i][1]);
        assert_true(e.argc >= 2);
        assert_string_equal(e.code, "a\nb");
        assert_int_equal(e.code_length, 3);
        assert_string_equal(e.summary, "a\nb");
        assert_int_equal(e.timeout_ms, 60000);
        assert_null(e.cwd);
        assert_null(e.stdin_text);
        /* The code goes by descriptor, never by argument: it would show, and has a limit there. */
        for (size_t a = 0; a < e.argc; a++)
            assert_null(strstr(e.argv[a], "a\nb"));
    }
}

static void test_commands(void **state)
{
    (void)state;
    struct sa_execute e = good("{\"command\":\"ls | wc -l\"}");
    assert_string_equal(e.kind, "command");
    assert_string_equal(e.filter, "default");
    assert_int_equal(e.argc, 3);
    assert_string_equal(e.argv[0], "/bin/sh");
    assert_string_equal(e.argv[1], "-c");
    assert_string_equal(e.argv[2], "ls | wc -l");
    assert_string_equal(e.summary, "ls | wc -l");
    assert_null(e.code);
    e = good("{\"command\":[\"ls\",\"-la\",\"\",\"a b\"]}");
    assert_int_equal(e.argc, 4);
    assert_string_equal(e.argv[0], "ls");
    assert_string_equal(e.argv[2], "");
    assert_string_equal(e.argv[3], "a b");
    assert_string_equal(e.summary, "ls -la  a b");
    /* Arguments are data: nothing is split, expanded or read as an option of ours. */
    e = good("{\"command\":[\"echo\",\"$(id); -rf *\",\"--\",\"-n\"]}");
    assert_string_equal(e.argv[1], "$(id); -rf *");
}

static void test_options(void **state)
{
    (void)state;
    struct sa_execute e = good("{\"command\":\"a\",\"env\":{\"A\":\"1=2\"},\"cwd\":\"/tmp\","
                               "\"stdin\":\"in\",\"timeoutMs\":1}");
    assert_int_equal(e.env.count, 1);
    assert_string_equal(e.env.items[0].value, "1=2");
    assert_string_equal(e.cwd, "/tmp");
    assert_string_equal(e.stdin_text, "in");
    assert_int_equal(e.timeout_ms, 1);
    e = good("{\"language\":\"bash\",\"code\":\"\",\"stdin\":\"\",\"timeoutMs\":86400000}");
    assert_string_equal(e.code, "\n"); /* an empty program is one, too */
    assert_non_null(e.stdin_text);     /* an empty stdin is one: it ends at once */
    assert_int_equal(e.timeout_ms, 86400000);
    /* null means: not given. */
    e = good("{\"language\":\"bash\",\"code\":\"\",\"command\":null,\"stdin\":null,"
             "\"timeoutMs\":null}");
    assert_string_equal(e.kind, "bash");
    assert_null(e.stdin_text);
    assert_int_equal(e.timeout_ms, 60000);
}

static void test_as_resources(void **state)
{
    (void)state;
    struct sa_execute e = good("{\"code\":\"1\"}");
    assert_null(e.kind);
    assert_null(e.argv);
    assert_int_equal(sa_execute_set_language(&e, "node", NULL), 0);
    assert_string_equal(e.kind, "node");
    assert_string_equal(e.argv[0], "node");
    struct sa_error err = {0};
    assert_int_equal(sa_execute_set_language(&e, "cobol", &err), -1);
    assert_string_equal(err.path, "language");
    e = good("{\"code\":\"1\",\"context\":\"ctx-1\",\"background\":true,\"stdin\":true}");
    assert_string_equal(e.context, "ctx-1");
    assert_true(e.background && e.stdin_open && !e.stdin_text);
    e = good("{\"command\":\"vi\",\"tty\":{\"rows\":30,\"cols\":100}}");
    assert_true(e.tty && e.stdin_open && e.rows == 30 && e.cols == 100);
    e = good("{\"command\":\"vi\",\"tty\":{},\"stdin\":\":q\"}");
    assert_true(e.rows == 24 && e.cols == 80 && e.stdin_open);
    assert_string_equal(e.stdin_text, ":q");
    e = good("{\"command\":\"x\",\"limits\":{\"memory\":\"64Mi\",\"cpuSeconds\":2,"
             "\"fileSize\":\"1Ki\",\"openFiles\":16}}");
    assert_int_equal(e.limits.memory_bytes, 67108864);
    assert_int_equal(e.limits.cpu_seconds, 2);
    assert_int_equal(e.limits.file_size_bytes, 1024);
    assert_int_equal(e.limits.open_files, 16);
    e = good("{\"command\":\"x\",\"limits\":{},\"stdin\":false}");
    assert_true(e.limits.memory_bytes == -1 && e.limits.file_size_bytes == -1 && !e.stdin_open &&
                !e.stdin_text);
}

static void test_refused(void **state)
{
    static const struct {
        const char *body, *path, *words;
    } cases[] = {
        {"{}", "language", "either"},
        {"{\"command\":\"ls\",\"language\":\"bash\"}", "command", "either"},
        {"{\"context\":\"ctx-1\"}", "language", "either"},
        {"{\"command\":\"ls\",\"context\":\"ctx-1\"}", "command", "context"},
        {"{\"code\":\"1\",\"context\":\"ctx-1\",\"cwd\":\"/\"}", "cwd", "context"},
        {"{\"code\":\"1\",\"context\":\"ctx-1\",\"tty\":{}}", "tty", "context"},
        {"{\"code\":\"1\",\"context\":\"ctx-1\",\"limits\":{}}", "limits", "context"},
        {"{\"command\":\"ls\",\"tty\":{\"rows\":0}}", "tty.rows", "1..4096"},
        {"{\"command\":\"ls\",\"tty\":{\"row\":1}}", "tty.row", "rows"},
        {"{\"command\":\"ls\",\"limits\":{\"memory\":\"x\"}}", "limits.memory", ""},
        {"{\"command\":\"ls\",\"limits\":{\"openFiles\":7}}", "limits.openFiles", "8.."},
        {"{\"command\":\"ls\",\"background\":1}", "background", "true or false"},
        {"{\"language\":\"python\"}", "code", "required"},
        {"{\"language\":\"python\",\"code\":1}", "code", "string"},
        {"{\"language\":\"python\",\"code\":null}", "code", ""},
        {"{\"language\":\"ruby\",\"code\":\"1\"}", "language", "python"},
        {"{\"language\":\"python\",\"code\":\"1\",\"command\":\"ls\"}", "command", "either"},
        {"{\"command\":\"ls\",\"code\":\"1\"}", "command", "either"},
        {"{\"command\":\"\"}", "command", "empty"},
        {"{\"command\":[]}", "command", "empty"},
        {"{\"command\":[\"\"]}", "command", "empty"},
        {"{\"command\":[\"ls\",1]}", "command[1]", "string"},
        {"{\"command\":1}", "command", ""},
        {"{\"command\":{}}", "command", ""},
        {"{\"command\":null}", "language", "either"},
        {"{\"command\":\"ls\",\"timeoutMs\":0}", "timeoutMs", "1..86400000"},
        {"{\"command\":\"ls\",\"timeoutMs\":86400001}", "timeoutMs", "1..86400000"},
        {"{\"command\":\"ls\",\"timeoutMs\":1.5}", "timeoutMs", "integer"},
        {"{\"command\":\"ls\",\"timeoutMs\":\"1\"}", "timeoutMs", "integer"},
        {"{\"command\":\"ls\",\"timeout\":5}", "timeout", "did you mean \"timeoutMs\""},
        {"{\"command\":\"ls\",\"env\":{\"A=\":\"1\"}}", "env", "'='"},
        {"{\"command\":\"ls\",\"env\":{\"A\":1}}", "env.A", "string"},
        {"{\"command\":\"ls\",\"env\":{\"\":\"\"}}", "env.", "name"},
        {"{\"command\":\"ls\",\"cwd\":1}", "cwd", "string"},
        {"{\"command\":\"ls\",\"stdin\":[]}", "stdin", "string"},
        {"{\"command\":\"ls\",\"comand\":\"ls\"}", "comand", "did you mean \"command\""},
        {"{\"command\":\"ls\",\"command\":\"rm\"}", "command", "command"},
        {"[]", "", "object"},
        {"{\"command\":\"a\\u0000b\"}", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bad(cases[i].body, SA_EINVALID, cases[i].path, cases[i].words);
}

static void add_filled(struct sa_buf *body, const char *head, size_t count, const char *tail)
{
    sa_buf_adds(body, head);
    memset(sa_buf_reserve(body, count), 'x', count);
    body->length += count;
    sa_buf_adds(body, tail);
}

static void test_sizes(void **state)
{
    static const struct {
        const char *head, *tail, *path;
        size_t most;
    } cases[] = {
        {"{\"command\":\"", "\"}", "command", 131000},
        {"{\"command\":[\"ls\",\"", "\"]}", "command[1]", 131000},
        {"{\"language\":\"python\",\"code\":\"", "\"}", "code", SA_EXECUTE_CODE_MAX},
        {"{\"command\":\"cat\",\"stdin\":\"", "\"}", "stdin", SA_EXECUTE_STDIN_MAX},
        {"{\"command\":\"ls\",\"cwd\":\"", "\"}", "cwd", 4096},
        {"{\"command\":\"ls\",\"env\":{\"A\":\"", "\"}}", "env.A", 131000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sa_autobuf most = SA_BUF_INIT, more = SA_BUF_INIT;
        add_filled(&most, cases[i].head, cases[i].most, cases[i].tail);
        good(most.data);
        add_filled(&more, cases[i].head, cases[i].most + 1, cases[i].tail);
        bad(more.data, SA_EINVALID, cases[i].path, "at most");
    }
    sa_autobuf body = SA_BUF_INIT;
    add_filled(&body, "{\"command\":\"", SA_EXECUTE_BODY_MAX, "\"}");
    bad(body.data, SA_ETOOLARGE, "", "");
}

static void test_many_arguments(void **state)
{
    (void)state;
    for (int extra = 0; extra <= 1; extra++) {
        sa_autobuf body = SA_BUF_INIT;
        sa_buf_adds(&body, "{\"command\":[\"ls\"");
        for (int i = 1; i < 4096 + extra; i++)
            sa_buf_adds(&body, ",\"a\"");
        sa_buf_adds(&body, "]}");
        if (extra)
            bad(body.data, SA_EINVALID, "command", "4096");
        else
            assert_int_equal(good(body.data).argc, 4096);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_languages),      cmocka_unit_test(test_commands),
        cmocka_unit_test(test_options),        cmocka_unit_test(test_as_resources),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_many_arguments),
    };
    return cmocka_run_group_tests(tests, arena_setup, arena_teardown);
}
