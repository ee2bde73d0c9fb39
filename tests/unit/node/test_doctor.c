/* `sandbox-node --doctor`: valid JSON that says what is there and what to do, for either user. */
#include "base/buf.h"
#include "base/cleanup.h"

#include <cJSON.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = 65534 };

/* Its output; the exit status in *status. */
static cJSON *doctor(uid_t uid, int *status)
{
    int pipes[2];
    struct sa_buf out = SA_BUF_INIT;
    /* By descriptor: the build folder need not be open to the other user. */
    int program = open(SA_TEST_NODE, O_RDONLY | O_CLOEXEC);
    assert_true(program >= 0);
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {"sandbox-node", "--doctor", NULL}, *envp[] = {NULL};
        dup2(pipes[1], 1);
        if (uid && (setgid(uid) < 0 || setuid(uid) < 0))
            _exit(99);
        fexecve(program, argv, envp);
        _exit(98);
    }
    close(pipes[1]);
    close(program);
    for (ssize_t n = 1; n > 0;) {
        n = read(pipes[0], sa_buf_reserve(&out, 4096), 4096);
        out.length += n > 0 ? (size_t)n : 0;
    }
    close(pipes[0]);
    assert_int_equal(waitpid(pid, status, 0), pid);
    sa_buf_addc(&out, 0);
    cJSON *list = cJSON_Parse(out.data);
    sa_buf_deinit(&out);
    assert_non_null(list);
    return list;
}

static const cJSON *entry(const cJSON *list, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item,
                       list) if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(item, "name")),
                                        name) == 0) return item;
    fail_msg("%s is missing", name);
    return NULL;
}

static void check(uid_t uid)
{
    int status;
    cJSON *list = doctor(uid, &status);
    const cJSON *item;
    assert_true(cJSON_IsArray(list) && cJSON_GetArraySize(list) > 10);
    cJSON_ArrayForEach(item, list)
    {
        assert_int_equal(cJSON_GetArraySize(item), 4);
        assert_true(cJSON_IsBool(cJSON_GetObjectItem(item, "ok")));
        assert_non_null(cJSON_GetStringValue(cJSON_GetObjectItem(item, "detail")));
        const char *hint = cJSON_GetStringValue(cJSON_GetObjectItem(item, "hint"));
        assert_int_equal(*hint == '\0', cJSON_IsTrue(cJSON_GetObjectItem(item, "ok")));
    }
    /* The other tests make sandboxes here, so it must find that they can be had. */
    assert_int_equal(status, 0);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(entry(list, "namespaces"), "ok")));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(entry(list, "seccomp.notify"), "ok")));
    bool root = geteuid() == 0 && uid == 0;
    assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItem(entry(list, "userns.range"), "ok")), root);
    if (root)
        assert_true(cJSON_IsTrue(cJSON_GetObjectItem(entry(list, "cgroup.memory"), "ok")));
    cJSON_Delete(list);
}

static void test_as_we_are(void **state)
{
    (void)state;
    check(0);
}

static void test_unprivileged(void **state)
{
    (void)state;
    check(geteuid() == 0 ? NOBODY : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_we_are),
        cmocka_unit_test(test_unprivileged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
