/* Each attempt returns what the system call did: -1 with errno is the wish. */
#include "attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long mount_(void)
{
    return syscall(SYS_mount, "x", "/tmp", "tmpfs", 0, NULL);
}
static long umount_(void)
{
    return syscall(SYS_umount2, "/proc/sys", 2);
}
static long remount(void)
{
    return syscall(SYS_mount, NULL, "/usr", NULL, 32, NULL);
}
static long fsopen_(void)
{
    return syscall(430, "tmpfs", 0);
}
static long open_tree_(void)
{
    return syscall(428, AT_FDCWD, "/", 1);
}
static long move_mount_(void)
{
    return syscall(429, 0, "", AT_FDCWD, "/tmp", 4);
}
static long mount_setattr_(void)
{
    return syscall(442, AT_FDCWD, "/", 0, NULL, 0);
}
static long pivot_root_(void)
{
    return syscall(SYS_pivot_root, ".", ".");
}
static long chroot_(void)
{
    return syscall(SYS_chroot, "/tmp");
}
static long unshare_user(void)
{
    return syscall(SYS_unshare, CLONE_NEWUSER);
}
static long unshare_net(void)
{
    return syscall(SYS_unshare, CLONE_NEWNET);
}
static long setns_(void)
{
    int fd = open("/proc/1/ns/net", O_RDONLY);
    return syscall(SYS_setns, fd, 0);
}
static long clone_user(void)
{
    long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(0);
    return pid;
}
static long clone3_(void)
{
    struct clone_args args = {.exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        _exit(0);
    return pid;
}
static long ptrace_(void)
{
    return syscall(SYS_ptrace, PTRACE_TRACEME, 0, NULL, NULL);
}
static long ptrace_init(void)
{
    return syscall(SYS_ptrace, PTRACE_SEIZE, 1, NULL, NULL);
}
static long vm_readv(void)
{
    return syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0);
}
static long bpf_(void)
{
    return syscall(SYS_bpf, 0, NULL, 0);
}
static long keyctl_(void)
{
    return syscall(SYS_keyctl, 0, -3, 0, 0, 0);
}
static long add_key_(void)
{
    return syscall(SYS_add_key, "user", "a", "b", 1, -3);
}
static long perf(void)
{
    return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}
static long uffd(void)
{
    return syscall(SYS_userfaultfd, 0);
}
static long io_uring(void)
{
    return syscall(425, 4, NULL);
}
static long handle(void)
{
    return syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0);
}
static long pidfd_getfd_(void)
{
    return syscall(438, 0, 0, 0);
}
static long kcmp_(void)
{
    return syscall(SYS_kcmp, 1, 1, 0, 0, 0);
}
static long kexec(void)
{
    return syscall(SYS_kexec_load, 0, 0, NULL, 0);
}
static long module(void)
{
    return syscall(SYS_finit_module, -1, "", 0);
}
static long clock_(void)
{
    struct timespec t = {0};
    return syscall(SYS_clock_settime, CLOCK_REALTIME, &t);
}
static long hostname_(void)
{
    return syscall(SYS_sethostname, "x", 1);
}
static long future(void)
{
    return syscall(900);
}
static long listmount_(void)
{
    return syscall(458, NULL, NULL, 0, 0);
}
static long memfd_secret_(void)
{
    return syscall(447, 0);
}

static long tiocsti(void)
{
    char c = 'x';
    return syscall(SYS_ioctl, 0, 0x5412, &c);
}
static long tiocsti_high(void)
{
    char c = 'x';
    return syscall(SYS_ioctl, 0, 0x5412 | 1ul << 32, &c);
}
static long tioclinux(void)
{
    char c = 2;
    return syscall(SYS_ioctl, 0, 0x541C | 1ul << 63, &c);
}

static long sock(int family, int type, int protocol)
{
    return syscall(SYS_socket, family, type, protocol);
}
static long packet(void)
{
    return sock(17, SOCK_RAW, 0);
}
static long vsock(void)
{
    return sock(40, SOCK_STREAM, 0);
}
static long alg(void)
{
    return sock(38, SOCK_SEQPACKET, 0);
}
static long raw(void)
{
    return sock(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
}
static long sctp(void)
{
    return sock(AF_INET, SOCK_STREAM, 132);
}
static long netfilter(void)
{
    return sock(AF_NETLINK, SOCK_RAW, 12);
}
static long route(void)
{
    return sock(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}
static long tcp(void)
{
    return sock(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
}

static long kill_init(void)
{
    return syscall(SYS_kill, 1, SIGKILL);
}
static long kill_init_high(void)
{
    return syscall(SYS_kill, 1 | 1ul << 32, SIGKILL);
}
static long tgkill_init(void)
{
    return syscall(SYS_tgkill, 1, 1, SIGTERM);
}
static long queue_init(void)
{
    siginfo_t info = {.si_code = SI_QUEUE};
    return syscall(SYS_rt_sigqueueinfo, 1, SIGTERM, &info);
}
static long prlimit_other(void)
{
    struct rlimit limit;
    return syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, NULL, &limit);
}
static long core_limit(void)
{
    struct rlimit limit = {0, 0};
    return setrlimit(RLIMIT_CORE, &limit);
}
static long personality_odd(void)
{
    return syscall(SYS_personality, 0x0400000);
}
static long personality_query(void)
{
    return syscall(SYS_personality, 0xffffffff);
}
static long mem_of_init(void)
{
    return open("/proc/1/mem", O_RDWR);
}
static long sysctl_(void)
{
    return open("/proc/sys/kernel/core_pattern", O_WRONLY);
}
static long etc(void)
{
    return open("/etc/passwd", O_WRONLY);
}
static long device(void)
{
    return mknod("/tmp/kmsg", S_IFCHR | 0600, 0x10b);
}
static long fifo(void)
{
    return mkfifo("/tmp/fifo", 0600);
}
static long caps_back(void)
{
    return prctl(PR_SET_SECUREBITS, 0);
}

/* The other ways into the kernel of x86-64: a shared library call cannot make them. */
#ifdef __x86_64__
static long i386(void)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid */) : "memory");
    errno = (int)-result;
    return result < 0 ? -1 : result;
}
static long x32(void)
{
    return syscall(0x40000000 + SYS_getpid);
}
#else
static long i386(void)
{
    errno = ENOSYS;
    return -1;
}
static long x32(void)
{
    errno = ENOSYS;
    return -1;
}
#endif

/* memfd and execveat are allowed: the same filters hold in the new program. */
static long memfd_exec(void)
{
    char copy[65536];
    ssize_t n;
    int status = 0, from = open("/usr/bin/true", O_RDONLY), fd = (int)syscall(319, "x", 0);
    while ((n = read(from, copy, sizeof copy)) > 0)
        if (write(fd, copy, (size_t)n) != n)
            return -1;
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {"true", NULL}, *envp[] = {NULL};
        syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
        _exit(1);
    }
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static const struct {
    const char *name;
    long (*make)(void);
} attempts[] = {
    {"mount", mount_},
    {"umount", umount_},
    {"remount", remount},
    {"fsopen", fsopen_},
    {"open_tree", open_tree_},
    {"move_mount", move_mount_},
    {"mount_setattr", mount_setattr_},
    {"pivot_root", pivot_root_},
    {"chroot", chroot_},
    {"unshare_user", unshare_user},
    {"unshare_net", unshare_net},
    {"setns", setns_},
    {"clone_user", clone_user},
    {"clone3", clone3_},
    {"ptrace", ptrace_},
    {"ptrace_init", ptrace_init},
    {"vm_readv", vm_readv},
    {"bpf", bpf_},
    {"keyctl", keyctl_},
    {"add_key", add_key_},
    {"perf", perf},
    {"uffd", uffd},
    {"io_uring", io_uring},
    {"handle", handle},
    {"pidfd_getfd", pidfd_getfd_},
    {"kcmp", kcmp_},
    {"kexec", kexec},
    {"module", module},
    {"clock", clock_},
    {"hostname", hostname_},
    {"future", future},
    {"listmount", listmount_},
    {"memfd_secret", memfd_secret_},
    {"tiocsti", tiocsti},
    {"tiocsti_high", tiocsti_high},
    {"tioclinux", tioclinux},
    {"packet", packet},
    {"vsock", vsock},
    {"alg", alg},
    {"raw", raw},
    {"sctp", sctp},
    {"netfilter", netfilter},
    {"route", route},
    {"tcp", tcp},
    {"kill_init", kill_init},
    {"kill_init_high", kill_init_high},
    {"tgkill_init", tgkill_init},
    {"queue_init", queue_init},
    {"prlimit_other", prlimit_other},
    {"core_limit", core_limit},
    {"personality_odd", personality_odd},
    {"personality_query", personality_query},
    {"mem_of_init", mem_of_init},
    {"sysctl", sysctl_},
    {"etc", etc},
    {"device", device},
    {"fifo", fifo},
    {"caps_back", caps_back},
    {"i386", i386},
    {"x32", x32},
    {"memfd_exec", memfd_exec},
};

int attempt(const char *name)
{
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        if (strcmp(attempts[i].name, name) != 0)
            continue;
        long result = attempts[i].make();
        printf("%s\n", result < 0 ? strerrorname_np(errno) : "ok");
        fflush(stdout);
        return 0;
    }
    return 1;
}
