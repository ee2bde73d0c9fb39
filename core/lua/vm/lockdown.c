/* What a policy-worker gives up: a table of steps, in order. */
#include "lockdown.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sanitizers map terabytes and make calls of their own: then the rest is tested. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif

static bool stderr_is_kept;

static int close_descriptors(void)
{
    int last = stderr_is_kept ? 1 : 2;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -1;
    for (int fd = 0; fd <= last; fd++)
        if (null != fd && dup2(null, fd) < 0)
            return -1;
    return close_range(SA_LOCKDOWN_SOCKET + 1, ~0U, 0);
}

/* The parent's end gone, the process goes, too: also while a rule runs. */
static int die_with_parent(void)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static int forbid_dumps(void)
{
    return prctl(PR_SET_DUMPABLE, 0);
}

static int forbid_privileges(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int limit(int what, rlim_t value)
{
    struct rlimit limit = {value, value};
    return setrlimit((__rlimit_resource_t)what, &limit);
}

static int limit_resources(void)
{
    enum { MIB = 1024 * 1024 };
    if (limit(RLIMIT_CORE, 0) < 0 || limit(RLIMIT_FSIZE, 0) < 0 ||
        limit(RLIMIT_NOFILE, SA_LOCKDOWN_SOCKET + 1) < 0 || limit(RLIMIT_NPROC, 0) < 0 ||
        limit(RLIMIT_STACK, 8 * MIB) < 0 || limit(RLIMIT_MEMLOCK, 0) < 0)
        return -1;
#ifndef INSTRUMENTED
    /* Behind the allocator's own cap, which is at most 64 MiB. */
    if (limit(RLIMIT_AS, 192 * MIB) < 0)
        return -1;
#endif
    return 0;
}

#ifndef INSTRUMENTED
static int allow_calls(scmp_filter_ctx filter)
{
    static const int free_calls[] = {
        SCMP_SYS(munmap),     SCMP_SYS(brk),  SCMP_SYS(mremap),        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(exit_group), SCMP_SYS(exit), SCMP_SYS(clock_gettime), SCMP_SYS(restart_syscall)};
    static const int socket_calls[] = {SCMP_SYS(recvfrom), SCMP_SYS(sendto)};
    for (size_t i = 0; i < sizeof free_calls / sizeof free_calls[0]; i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, free_calls[i], 0) < 0)
            return -1;
    for (size_t i = 0; i < sizeof socket_calls / sizeof socket_calls[0]; i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, socket_calls[i], 1,
                             SCMP_A0(SCMP_CMP_EQ, SA_LOCKDOWN_SOCKET, 0)) < 0)
            return -1;
    if (stderr_is_kept && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
                                           SCMP_A0(SCMP_CMP_EQ, 2, 0)) < 0)
        return -1;
    /* Of the unwinder, when the first Lua error is raised; there is no other thread to wake. */
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(futex), 1,
                         SCMP_A1(SCMP_CMP_EQ, FUTEX_WAKE_PRIVATE, 0)) < 0)
        return -1;
    /* Memory of its own that is never code. */
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(madvise), 1,
                         SCMP_A2(SCMP_CMP_EQ, MADV_DONTNEED, 0)) < 0)
        return -1;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                            SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
}
#endif

static int filter_calls(void)
{
#ifndef INSTRUMENTED
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter)
        return -1;
    int status = allow_calls(filter) < 0 ? -1 : seccomp_load(filter);
    seccomp_release(filter);
    return status < 0 ? -1 : 0;
#else
    return 0;
#endif
}

int sa_lockdown(bool keep_stderr, const char **step)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } steps[] = {
        {"descriptors", close_descriptors}, {"parent", die_with_parent}, {"dumps", forbid_dumps},
        {"privileges", forbid_privileges},  {"limits", limit_resources}, {"seccomp", filter_calls}};
    stderr_is_kept = keep_stderr;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        *step = steps[i].name;
        if (steps[i].run() < 0)
            return -1;
    }
    return 0;
}
