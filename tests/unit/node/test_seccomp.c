/* The filters for languages: installed on a child, as the runtime does it. */
#include "native/seccomp.h"

#include "base/cleanup.h"
#include "native/seccomp_sets.h"
#include "nodelink/controls.h"

#include <errno.h>
#include <mqueue.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct sa_filters filters;

static const struct sa_program *language(const char *name)
{
    for (size_t i = 0; i < SA_LANGUAGES; i++)
        if (strcmp(sa_language(i)->name, name) == 0)
            return &filters.language[i];
    return NULL;
}

/* errno of a system call under a filter; 0 when it succeeded. */
static int under(const struct sa_program *program, long number, long a, long b, long c)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sa_filter_install(program) < 0)
            _exit(255);
        errno = 0;
        long result = syscall(number, a, b, c, 0, 0, 0);
        syscall(SYS_exit_group, result < 0 ? errno : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), 255);
    return WEXITSTATUS(status);
}

static void test_every_language_compiles(void **state)
{
    static const char *const names[] = {"default", "python", "node", "bash", "go"};
    (void)state;
    for (size_t i = 0; i < SA_COUNT(names); i++) {
        const struct sa_program *program = language(names[i]);
        assert_non_null(program);
        assert_in_range(program->count, 100, BPF_MAXINSNS);
        assert_int_equal(under(program, SYS_getpid, 0, 0, 0), 0);
        assert_int_equal(under(program, SYS_clone3, 0, 0, 0), ENOSYS);
        assert_int_equal(under(program, 5000, 0, 0, 0), ENOSYS);
        assert_int_equal(under(program, SYS_memfd_secret, 0, 0, 0), EPERM);
        assert_int_equal(under(program, SYS_personality, 0x0400000, 0, 0), EPERM);
        assert_int_equal(under(program, SYS_socket, 17, 3, 0), EPERM);
        assert_int_equal(under(program, SYS_socket, 2, 1, 0), 0);
    }
}

/* They let the telling calls pass, to the listener below: what answers here is the kernel. */
static void test_telling_calls_pass(void **state)
{
    (void)state;
    assert_int_equal(under(language("python"), SYS_umount2, (long)"/nowhere", 0, 0),
                     geteuid() == 0 ? ENOENT : EPERM);
    assert_int_equal(under(language("go"), SYS_setns, -1, 0, 0), EBADF);
    assert_int_equal(under(language("node"), SYS_bpf, -1, 0, 0), geteuid() == 0 ? EINVAL : EPERM);
}

static void test_languages_differ(void **state)
{
    (void)state;
    assert_int_equal(under(language("default"), SYS_mq_unlink, (long)"nothing", 0, 0), ENOENT);
    assert_int_equal(under(language("python"), SYS_mq_unlink, (long)"nothing", 0, 0), EPERM);
    assert_int_equal(under(language("go"), SYS_semget, 0, 1, 0), EPERM);
    assert_int_equal(under(language("bash"), SYS_semctl, -1, 0, 0), EINVAL);
    assert_int_equal(under(language("node"), SYS_pkey_free, -1, 0, 0), EINVAL);
    assert_int_equal(under(language("go"), SYS_pkey_free, -1, 0, 0), EPERM);
    assert_int_equal(under(language("python"), SYS_landlock_restrict_self, -1, 0, 0), EPERM);
}

static void test_guard_compares_low_bits(void **state)
{
    const long high = (long)(1ul << 40);
    (void)state;
    assert_int_equal(under(&filters.guard, SYS_ioctl, 0, 0x5412, 0), EPERM);
    assert_int_equal(under(&filters.guard, SYS_ioctl, 0, 0x5412 | high, 0), EPERM);
    assert_int_not_equal(under(&filters.guard, SYS_ioctl, -1, 0x5413, 0), EPERM);
    assert_int_equal(under(&filters.guard, SYS_kill, 1 | high, 0, 0), EPERM);
    assert_int_equal(under(&filters.guard, SYS_kill, 0, 0, 0), 0);
}

/* PID 1 keeps its share of the processor, whoever asks to slow it down. */
static void test_guard_keeps_pid_1_running(void **state)
{
    const long high = (long)(1ul << 32);
    (void)state;
    assert_int_equal(under(&filters.guard, SYS_sched_setaffinity, 1, 0, 0), EPERM);
    assert_int_equal(under(&filters.guard, SYS_sched_setscheduler, 1 | high, 5, 0), EPERM);
    assert_int_equal(under(&filters.guard, SYS_sched_setattr, 1, 0, 0), EPERM);
    assert_int_equal(under(&filters.guard, SYS_sched_setparam, 1, 0, 0), EPERM);
    assert_int_equal(under(&filters.guard, SYS_sched_setaffinity, 0, 0, 0), EINVAL);
    for (long kind = 0; kind < 2; kind++) {
        assert_int_equal(under(&filters.guard, SYS_setpriority, kind, 1 | high, 19), EPERM);
        assert_int_equal(under(&filters.guard, SYS_ioprio_set, kind + 1, 1, 0), EPERM);
    }
    assert_int_equal(under(&filters.guard, SYS_setpriority, 2, 0, 19), EPERM);
    assert_int_equal(under(&filters.guard, SYS_ioprio_set, 3, 0, 0), EPERM);
    assert_int_equal(under(&filters.guard, SYS_setpriority, 0, 0, 0), 0);
}

static void test_guard_keeps_shared_files_alone(void **state)
{
    (void)state;
    assert_int_equal(under(&filters.guard, SYS_fcntl, -1, 1026 /* F_NOTIFY */, 1), EPERM);
    assert_int_equal(under(&filters.guard, SYS_fcntl, -1, 1 /* F_GETFD */, 0), EBADF);
    assert_int_equal(under(&filters.guard, SYS_sync, 0, 0, 0), 0);
    assert_int_equal(under(&filters.guard, SYS_syncfs, -1, 0, 0), 0); /* it was not made */
}

/* The mark of an execution is in RLIMIT_RTTIME: only the runtime, under `base`, may set it. */
static void test_programs_keep_their_mark(void **state)
{
    const long limit[] = {1000, 1000};
    const struct sa_program *program = language("python");
    (void)state;
    assert_int_equal(under(program, SYS_setrlimit, 15, (long)limit, 0), EPERM);
    assert_int_equal(under(program, SYS_setrlimit, 15 | (long)(1ul << 32), (long)limit, 0), EPERM);
    assert_int_equal(under(program, SYS_prlimit64, 0, 15, (long)limit), EPERM);
    assert_int_equal(under(program, SYS_prlimit64, 0, 15, 0), 0);
    assert_int_equal(under(program, SYS_prlimit64, 0, 7, 0), 0);
    assert_int_equal(under(program, SYS_prlimit64, 1, 7, 0), EPERM);
    assert_int_equal(under(program, SYS_setrlimit, 7, (long)limit, 0), 0);
}

/* Every name is one that libseccomp knows, and none is in two lists that contradict. */
static void test_sets_are_sound(void **state)
{
    struct sa_name_list telling = sa_set_telling();
    (void)state;
    assert_true(telling.count + 1 < SA_TELLING_MAX);
    for (unsigned set = 0; set < SA_SET_COUNT; set++) {
        struct sa_name_list list = sa_set_names((enum sa_set)set);
        assert_true(list.count > 0);
        for (size_t i = 0; i < list.count; i++)
            for (size_t j = 0; j < telling.count; j++)
                assert_string_not_equal(list.names[i], telling.names[j]);
    }
    assert_string_equal(sa_telling_name(sa_telling_index(SYS_mount)), "mount");
    assert_string_equal(sa_telling_name(sa_telling_index(SYS_clone)), "clone");
    assert_int_equal(sa_telling_index(SYS_read), -1);
}

static void test_control_names(void **state)
{
    (void)state;
    for (int i = 0; i < SA_CONTROL_COUNT; i++)
        assert_int_equal(sa_control_find(sa_control_name((enum sa_control)i)), i);
    assert_int_equal(sa_control_find("nothing"), -1);
}

static int compile(void **state)
{
    (void)state;
    return sa_filters_compile(&filters, NULL);
}

static int release(void **state)
{
    (void)state;
    free(filters.guard.code);
    free(filters.base.code);
    for (int i = 0; i < SA_LANGUAGES; i++)
        free(filters.language[i].code);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_language_compiles),
        cmocka_unit_test(test_telling_calls_pass),
        cmocka_unit_test(test_languages_differ),
        cmocka_unit_test(test_guard_compares_low_bits),
        cmocka_unit_test(test_guard_keeps_pid_1_running),
        cmocka_unit_test(test_guard_keeps_shared_files_alone),
        cmocka_unit_test(test_programs_keep_their_mark),
        cmocka_unit_test(test_sets_are_sound),
        cmocka_unit_test(test_control_names),
    };
    return cmocka_run_group_tests(tests, compile, release);
}
