/* The filters for languages: installed on a child, as the runtime does it. */
#include "native/seccomp.h"

#include "base/cleanup.h"
#include "native/seccomp_sets.h"
#include "nodelink/controls.h"
#include "profiles.h"

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

static struct sa_program guard, programs[SA_PROFILE_FILTERS_MAX];
static struct sa_profile profile;

static const struct sa_program *language(const char *name)
{
    return &programs[filter_of(&profile, name) - profile.filters];
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
    assert_int_equal(under(&guard, SYS_ioctl, 0, 0x5412, 0), EPERM);
    assert_int_equal(under(&guard, SYS_ioctl, 0, 0x5412 | high, 0), EPERM);
    assert_int_not_equal(under(&guard, SYS_ioctl, -1, 0x5413, 0), EPERM);
    assert_int_equal(under(&guard, SYS_kill, 1 | high, 0, 0), EPERM);
    assert_int_equal(under(&guard, SYS_kill, 0, 0, 0), 0);
}

/* PID 1 keeps its share of the processor, whoever asks to slow it down. */
static void test_guard_keeps_pid_1_running(void **state)
{
    const long high = (long)(1ul << 32);
    (void)state;
    assert_int_equal(under(&guard, SYS_sched_setaffinity, 1, 0, 0), EPERM);
    assert_int_equal(under(&guard, SYS_sched_setscheduler, 1 | high, 5, 0), EPERM);
    assert_int_equal(under(&guard, SYS_sched_setattr, 1, 0, 0), EPERM);
    assert_int_equal(under(&guard, SYS_sched_setparam, 1, 0, 0), EPERM);
    assert_int_equal(under(&guard, SYS_sched_setaffinity, 0, 0, 0), EINVAL);
    for (long kind = 0; kind < 2; kind++) {
        assert_int_equal(under(&guard, SYS_setpriority, kind, 1 | high, 19), EPERM);
        assert_int_equal(under(&guard, SYS_ioprio_set, kind + 1, 1, 0), EPERM);
    }
    assert_int_equal(under(&guard, SYS_setpriority, 2, 0, 19), EPERM);
    assert_int_equal(under(&guard, SYS_ioprio_set, 3, 0, 0), EPERM);
    assert_int_equal(under(&guard, SYS_setpriority, 0, 0, 0), 0);
}

static void test_guard_keeps_shared_files_alone(void **state)
{
    (void)state;
    assert_int_equal(under(&guard, SYS_fcntl, -1, 1026 /* F_NOTIFY */, 1), EPERM);
    assert_int_equal(under(&guard, SYS_fcntl, -1, 1 /* F_GETFD */, 0), EBADF);
    assert_int_equal(under(&guard, SYS_sync, 0, 0, 0), 0);
    assert_int_equal(under(&guard, SYS_syncfs, -1, 0, 0), 0); /* it was not made */
}

/* What the kernel would keep for whoever uses the sandbox next. */
static void test_guard_leaves_no_traces(void **state)
{
    const long high = (long)(1ul << 32);
    (void)state;
    assert_int_equal(under(&guard, SYS_fcntl, -1, 1036 /* F_SET_RW_HINT */, 0), EPERM);
    assert_int_equal(under(&guard, SYS_fcntl, -1, 1035 /* F_GET_RW_HINT */, 0), EBADF);
    assert_int_equal(under(&guard, SYS_mbind, 1, 1, 77), 0); /* it was not made */
    assert_int_equal(under(&guard, SYS_setsockopt, -1, 41 | high, 32 | high), EPERM);
    assert_int_equal(under(&guard, SYS_setsockopt, -1, 41, 26 /* IPV6_V6ONLY */), EBADF);
    assert_int_equal(under(&guard, SYS_setsockopt, -1, 6, 32), EBADF);
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
    char name[32];
    (void)state;
    assert_true(telling.count + 1 < SA_TELLING_MAX);
    for (unsigned set = 0; set < SA_SET_COUNT; set++) {
        struct sa_name_list list = sa_set_names((enum sa_set)set);
        assert_true(list.count > 0);
        assert_int_equal(sa_set_find(sa_set_name((enum sa_set)set)), set);
        for (size_t i = 0; i < list.count; i++)
            for (size_t j = 0; j < telling.count; j++)
                assert_string_not_equal(list.names[i], telling.names[j]);
    }
    assert_int_equal(sa_set_find("nothing"), -1);
    sa_call_name(SYS_mount, name, sizeof name);
    assert_string_equal(name, "mount");
    sa_call_name(1023, name, sizeof name);
    assert_string_equal(name, "?");
}

/* The names of one filter are as given, and nothing else. */
static void test_names_are_exact(void **state)
{
    struct sa_program made[SA_PROFILE_FILTERS_MAX] = {{0}};
    struct sa_profile p;
    (void)state;
    profile_default(&p);
    struct sa_profile_filter *go = filter_of(&p, "go");
    list_clear(&go->allow);
    list_add(&go->allow, "exit_group");
    list_add(&go->allow, "getppid");
    list_add(&go->telling, "memfd_secret");
    assert_int_equal(sa_filters_compile(&p, made, NULL), 0);
    const struct sa_program *filter = &made[go - p.filters];
    assert_int_equal(under(filter, SYS_getppid, 0, 0, 0), 0);
    assert_int_equal(under(filter, SYS_getpid, 0, 0, 0), EPERM);
    assert_int_equal(under(filter, SYS_socket, 2, 1, 0), EPERM);
    assert_int_equal(under(filter, SYS_prlimit64, 0, 7, 0), EPERM);
    assert_int_equal(under(filter, SYS_personality, 0xffffffff, 0, 0), EPERM);
    /* To the listener, which is not here: the kernel answers. */
    assert_int_not_equal(under(filter, SYS_memfd_secret, -1, 0, 0), EPERM);
    for (int i = 0; i < SA_PROFILE_FILTERS_MAX; i++)
        free(made[i].code);
    sa_profile_deinit(&p);
}

static void refused(struct sa_profile *p, const char *word)
{
    struct sa_program made[SA_PROFILE_FILTERS_MAX] = {{0}};
    struct sa_error err = {0};
    assert_int_equal(sa_filters_compile(p, made, &err), -1);
    assert_int_equal(err.code, SA_ECONTROL);
    assert_string_equal(err.path, "seccomp");
    assert_non_null(strstr(err.message, word));
    for (int i = 0; i < SA_PROFILE_FILTERS_MAX; i++)
        free(made[i].code);
    sa_profile_deinit(p);
}

static void test_the_floor_holds(void **state)
{
    static const char *const never[] = {
        "mount",  "ptrace",     "bpf",          "io_uring_setup", "unshare", "setns",     "clone3",
        "reboot", "modify_ldt", "memfd_secret", "@all",           "@",       "frobnicate"};
    struct sa_profile p;
    (void)state;
    for (size_t i = 0; i < SA_COUNT(never); i++) {
        profile_default(&p);
        list_add(&filter_of(&p, i % 2 ? "python" : "base")->allow, never[i]);
        refused(&p, never[i]);
    }
    profile_default(&p);
    list_add(&filter_of(&p, "node")->telling, "frobnicate");
    refused(&p, "frobnicate");
    profile_default(&p);
    list_add(&filter_of(&p, "node")->telling, "semget"); /* python may */
    refused(&p, "semget");
    profile_default(&p);
    list_add(&filter_of(&p, "node")->telling, "clone");
    refused(&p, "clone");
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
    profile_default(&profile);
    if (sa_guard_compile(&guard, NULL) < 0)
        return -1;
    return sa_filters_compile(&profile, programs, NULL);
}

static int release(void **state)
{
    (void)state;
    free(guard.code);
    for (int i = 0; i < SA_PROFILE_FILTERS_MAX; i++)
        free(programs[i].code);
    sa_profile_deinit(&profile);
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
        cmocka_unit_test(test_guard_leaves_no_traces),
        cmocka_unit_test(test_programs_keep_their_mark),
        cmocka_unit_test(test_sets_are_sound),
        cmocka_unit_test(test_names_are_exact),
        cmocka_unit_test(test_the_floor_holds),
        cmocka_unit_test(test_control_names),
    };
    return cmocka_run_group_tests(tests, compile, release);
}
