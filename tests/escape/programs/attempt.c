/*
 * attempt NAME...: makes one system call each that a sandbox must refuse, straight, without the
 * C library between, and prints "NAME RESULT ERRNO" (errno by name, OK when it worked).
 * attempt --list: the names.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALL(name, ...)                                                                            \
    static long name(void)                                                                         \
    {                                                                                              \
        return syscall(__VA_ARGS__);                                                               \
    }

static char zeros[4096];

/* A child that waits; killed by done(). */
static pid_t child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

static long done(pid_t pid, long result)
{
    int error = errno;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    errno = error;
    return result;
}

/* ---- mounts and roots ---- */
CALL(mount_tmpfs, SYS_mount, "none", "/tmp", "tmpfs", 0, NULL)
CALL(mount_bind, SYS_mount, "/usr", "/tmp", NULL, MS_BIND, NULL)
CALL(mount_proc, SYS_mount, "proc", "/tmp", "proc", 0, NULL)
CALL(mount_cgroup, SYS_mount, "cgroup", "/tmp", "cgroup", 0, "memory")
CALL(mount_debugfs, SYS_mount, "none", "/tmp", "debugfs", 0, NULL)
CALL(remount_usr, SYS_mount, NULL, "/usr", NULL, MS_REMOUNT | MS_BIND, NULL)
CALL(remount_root, SYS_mount, NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL)
CALL(umount_proc_mask, SYS_umount2, "/proc/kallsyms", MNT_DETACH)
CALL(umount_usr, SYS_umount2, "/usr", MNT_DETACH)
CALL(pivot_root_, SYS_pivot_root, ".", ".")
CALL(chroot_, SYS_chroot, "/tmp")
CALL(fsopen_, SYS_fsopen, "tmpfs", 0)
CALL(fsconfig_, SYS_fsconfig, 0, 6, NULL, NULL, 0)
CALL(fsmount_, SYS_fsmount, 0, 0, 0)
CALL(fspick_, SYS_fspick, AT_FDCWD, "/", 0)
CALL(move_mount_, SYS_move_mount, AT_FDCWD, "/usr", AT_FDCWD, "/tmp", 0)
CALL(open_tree_, SYS_open_tree, AT_FDCWD, "/usr", 1 /* OPEN_TREE_CLONE */)
CALL(mount_setattr_, SYS_mount_setattr, AT_FDCWD, "/usr", 0, zeros, 32)
CALL(swapon_, SYS_swapon, "/tmp/x", 0)
CALL(swapoff_, SYS_swapoff, "/tmp/x")
CALL(quotactl_, SYS_quotactl, 0x80000700, "/dev/vda", 0, zeros)

static long open_handle(void)
{
    struct {
        struct file_handle h;
        char space[128];
    } f = {.h = {.handle_bytes = 8, .handle_type = 1}};
    return syscall(SYS_open_by_handle_at, open("/", O_RDONLY), &f, O_RDONLY);
}
static long name_handle(void)
{
    struct {
        struct file_handle h;
        char space[128];
    } f = {.h = {.handle_bytes = 128}};
    int id;
    return syscall(SYS_name_to_handle_at, AT_FDCWD, "/usr", &f, &id, 0);
}
static long mknod_block(void)
{
    return syscall(SYS_mknod, "/workspace/disk", S_IFBLK | 0666, makedev(254, 0));
}
static long mknod_memory(void)
{
    return syscall(SYS_mknodat, AT_FDCWD, "/tmp/mem", S_IFCHR | 0666, makedev(1, 1));
}

/* ---- namespaces ---- */
CALL(unshare_user, SYS_unshare, CLONE_NEWUSER)
CALL(unshare_mount, SYS_unshare, CLONE_NEWNS)
CALL(unshare_net, SYS_unshare, CLONE_NEWNET)
CALL(unshare_pid, SYS_unshare, CLONE_NEWPID)
CALL(unshare_high, SYS_unshare, (1ul << 40) | CLONE_NEWUSER)
CALL(clone3_, SYS_clone3, zeros, 88)

static long clone_with(unsigned long flags)
{
    long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(0);
    return pid;
}
static long clone_user(void)
{
    return clone_with(CLONE_NEWUSER);
}
static long clone_mount(void)
{
    return clone_with(CLONE_NEWNS);
}
static long clone_net(void)
{
    return clone_with(CLONE_NEWNET);
}
static long clone_all(void)
{
    return clone_with(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                      CLONE_NEWCGROUP);
}
static long setns_(void)
{
    return syscall(SYS_setns, open("/proc/self/ns/user", O_RDONLY), 0);
}
static long setns_pidfd(void)
{
    return syscall(SYS_setns, syscall(SYS_pidfd_open, 1, 0), CLONE_NEWNS);
}

/* ---- other processes ---- */
CALL(kill_init, SYS_kill, 1, SIGKILL)
CALL(term_init, SYS_kill, 1, SIGTERM)
CALL(kill_init_high, SYS_kill, (1ul << 32) | 1, SIGKILL)
CALL(tkill_init, SYS_tkill, 1, SIGKILL)
CALL(tgkill_init, SYS_tgkill, 1, 1, SIGKILL)
CALL(ptrace_init, SYS_ptrace, PTRACE_ATTACH, 1, NULL, NULL)
CALL(ptrace_seize_init, SYS_ptrace, PTRACE_SEIZE, 1, NULL, NULL)
CALL(ptrace_me, SYS_ptrace, PTRACE_TRACEME, 0, NULL, NULL)

static long queue_init(void)
{
    siginfo_t info = {.si_signo = SIGKILL, .si_code = SI_QUEUE};
    return syscall(SYS_rt_sigqueueinfo, 1, SIGKILL, &info);
}
static long ptrace_child(void)
{
    pid_t pid = child();
    return done(pid, syscall(SYS_ptrace, PTRACE_ATTACH, pid, NULL, NULL));
}
static long vm_transfer(long call, pid_t pid)
{
    char buffer[8];
    struct iovec here = {buffer, sizeof buffer}, there = {zeros, sizeof buffer};
    return syscall(call, pid, &here, 1, &there, 1, 0);
}
static long vm_read_init(void)
{
    return vm_transfer(SYS_process_vm_readv, 1);
}
static long vm_read_child(void)
{
    pid_t pid = child();
    return done(pid, vm_transfer(SYS_process_vm_readv, pid));
}
static long vm_write_child(void)
{
    pid_t pid = child();
    return done(pid, vm_transfer(SYS_process_vm_writev, pid));
}
static long pidfd_getfd_(void)
{
    pid_t pid = child();
    return done(pid, syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, pid, 0), 1, 0));
}
static long pidfd_getfd_init(void)
{
    return syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 3, 0);
}
static long kcmp_(void)
{
    pid_t pid = child();
    return done(pid, syscall(SYS_kcmp, getpid(), pid, 0, 0, 0));
}
static long madvise_init(void)
{
    struct iovec there = {zeros, sizeof zeros};
    return syscall(SYS_process_madvise, syscall(SYS_pidfd_open, 1, 0), &there, 1, MADV_COLD, 0);
}

/* ---- the kernel ---- */
CALL(io_uring_setup_, SYS_io_uring_setup, 8, zeros)
CALL(io_uring_enter_, SYS_io_uring_enter, 0, 1, 0, 0, NULL)
CALL(io_uring_register_, SYS_io_uring_register, 0, 0, NULL, 0)
CALL(keyctl_, SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1)
CALL(keyctl_join, SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL)
CALL(add_key_, SYS_add_key, "user", "name", "data", 4, KEY_SPEC_PROCESS_KEYRING)
CALL(request_key_, SYS_request_key, "user", "name", NULL, KEY_SPEC_PROCESS_KEYRING)
CALL(bpf_map, SYS_bpf, 0, zeros, 64)
CALL(bpf_program, SYS_bpf, 5, zeros, 64)
CALL(userfaultfd_, SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)
CALL(kexec, SYS_kexec_load, 0, 0, NULL, 0)
CALL(kexec_file, SYS_kexec_file_load, 0, 0, 0, "", 0)
CALL(module_init, SYS_init_module, zeros, 16, "")
CALL(module_finit, SYS_finit_module, 0, "", 0)
CALL(module_delete, SYS_delete_module, "loop", O_NONBLOCK)
CALL(reboot_, SYS_reboot, 0xfee1dead, 672274793, 0, NULL)
CALL(syslog_, SYS_syslog, 3, zeros, sizeof zeros)
CALL(acct_, SYS_acct, "/tmp/acct")
CALL(iopl_, SYS_iopl, 3)
CALL(ioperm_, SYS_ioperm, 0x80, 1, 1)
CALL(fanotify_, SYS_fanotify_init, 0, O_RDONLY)
CALL(vhangup_, SYS_vhangup)
CALL(hostname_, SYS_sethostname, "evil", 4)
CALL(domainname_, SYS_setdomainname, "evil", 4)
CALL(modify_ldt_, SYS_modify_ldt, 1, zeros, 16)
CALL(unknown_call, 4000)

static long perf(void)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .exclude_kernel = 1, .exclude_hv = 1};
    return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

/* ---- clocks ---- */
static long clock_set(void)
{
    struct timespec t = {.tv_sec = 1};
    return syscall(SYS_clock_settime, CLOCK_REALTIME, &t);
}
static long day_set(void)
{
    struct timeval t = {.tv_sec = 1};
    return syscall(SYS_settimeofday, &t, NULL);
}
static long adjust(void)
{
    struct timex t = {.modes = ADJ_OFFSET, .offset = 1};
    return syscall(SYS_adjtimex, &t);
}
static long clock_adjust(void)
{
    struct timex t = {.modes = ADJ_FREQUENCY};
    return syscall(SYS_clock_adjtime, CLOCK_REALTIME, &t);
}

/* ---- terminals: a terminal of our own, so that only the filter can say no ---- */
static int terminal(void)
{
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), unlock = 0, number = 0;
    char path[32];
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0 ||
        ioctl(master, TIOCGPTN, &number) < 0)
        return -1;
    snprintf(path, sizeof path, "/dev/pts/%d", number);
    setsid();
    return open(path, O_RDWR);
}
static long tiocsti(void)
{
    return syscall(SYS_ioctl, terminal(), (unsigned long)TIOCSTI, "x");
}
static long tiocsti_high(void)
{
    return syscall(SYS_ioctl, terminal(), 0x100000000ul | TIOCSTI, "x");
}
static long tioclinux(void)
{
    return syscall(SYS_ioctl, terminal(), (unsigned long)TIOCLINUX, "\3");
}
static long tioclinux_high(void)
{
    return syscall(SYS_ioctl, terminal(), 0xdeadbeef00000000ul | TIOCLINUX, "\3");
}

/* ---- other ways in ---- */
static long i386(long number)
{
    long result = number;
    __asm__ volatile("int $0x80"
                     : "+a"(result)
                     : "b"(0), "c"(0), "d"(0)
                     : "memory", "r8", "r9", "r10", "r11");
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}
static long i386_getpid(void)
{
    return i386(20);
}
static long i386_mount(void)
{
    return i386(21);
}
CALL(x32_getpid, 0x40000000 | SYS_getpid)
CALL(x32_ptrace, 0x40000000 | 521, PTRACE_TRACEME, 0, 0, 0)

/* ---- sockets ---- */
CALL(af_packet, SYS_socket, AF_PACKET, SOCK_RAW, 0)
CALL(af_packet_dgram, SYS_socket, AF_PACKET, SOCK_DGRAM, 0)
CALL(af_vsock, SYS_socket, AF_VSOCK, SOCK_STREAM, 0)
CALL(af_alg, SYS_socket, AF_ALG, SOCK_SEQPACKET, 0)
CALL(af_alg_high, SYS_socket, 0x100000000ul | AF_ALG, SOCK_SEQPACKET, 0)
CALL(af_inet_raw, SYS_socket, AF_INET, SOCK_RAW, 1)
CALL(af_inet6_raw, SYS_socket, AF_INET6, SOCK_RAW, 58)
CALL(af_inet_sctp, SYS_socket, AF_INET, SOCK_STREAM, 132)
CALL(af_xdp, SYS_socket, 44, SOCK_RAW, 0)
CALL(af_can, SYS_socket, 29, SOCK_RAW, 1)
CALL(af_bluetooth, SYS_socket, 31, SOCK_RAW, 0)
CALL(af_rds, SYS_socket, 21, SOCK_SEQPACKET, 0)
CALL(af_tipc, SYS_socket, 30, SOCK_SEQPACKET, 0)
CALL(af_key, SYS_socket, 15, SOCK_RAW, 2)
CALL(netlink_netfilter, SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)
CALL(netlink_audit, SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_AUDIT)
CALL(netlink_xfrm, SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_XFRM)
CALL(netlink_generic, SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_GENERIC)
CALL(netlink_uevent, SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT)

/* ---- oneself ---- */
CALL(personality_exec, SYS_personality, READ_IMPLIES_EXEC)
CALL(personality_aslr, SYS_personality, ADDR_NO_RANDOMIZE)
CALL(personality_zero, SYS_personality, MMAP_PAGE_ZERO)
CALL(personality_bsd, SYS_personality, PER_BSD)
CALL(personality_high, SYS_personality, 0x100000000ul | ADDR_NO_RANDOMIZE)
CALL(seccomp_off, SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_DISABLED, 0, 0, 0)
CALL(nnp_off, SYS_prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)
CALL(setuid_root, SYS_setresuid, 0, 0, 0)
CALL(setgid_root, SYS_setresgid, 0, 0, 0)
CALL(setgroups_, SYS_setgroups, 1, zeros)

static long cap_raise(void)
{
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522, 0};
    uint32_t all[6] = {~0u, ~0u, 0, ~0u, ~0u, 0};
    return syscall(SYS_capset, &header, all);
}
static long nice_up(void)
{
    return syscall(SYS_setpriority, 0, 0, -10);
}
static long realtime(void)
{
    int priority = 10;
    return syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &priority);
}

/* Lay a filter that allows everything on top, then try again. */
static long filter_on_top(void)
{
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, allow};
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    return mount_tmpfs();
}
/* A tracing filter of one's own must not win over the listener's answer. */
static long filter_trace(void)
{
    struct sock_filter trace[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE)};
    struct sock_fprog program = {1, trace};
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
        _exit(mount_tmpfs() == 0);
    }
    waitpid(pid, &status, 0);
    errno = EPERM;
    return WIFEXITED(status) && WEXITSTATUS(status) ? 0 : -1;
}
/* A listener of one's own could say "continue". */
static long filter_listen(void)
{
    struct sock_filter notify[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)};
    struct sock_fprog program = {1, notify};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                   &program);
}

/* Runs, as it may, a copy of this program out of memory: under the same filter. */
static long memfd_exec(void)
{
    char path[] = "/proc/self/exe", buffer[65536];
    char *const argv[] = {(char[]){"attempt"}, (char[]){"mount-tmpfs"}, NULL};
    int from = open(path, O_RDONLY), to = memfd_create("copy", 0);
    for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;)
        if (write(to, buffer, (size_t)n) != n)
            return -2;
    printf("memfd ");
    fflush(stdout);
    syscall(SYS_execveat, to, "", argv, NULL, AT_EMPTY_PATH);
    return -3;
}

static const struct {
    const char *name;
    long (*call)(void);
} attempts[] = {
    {"mount-tmpfs", mount_tmpfs},
    {"mount-bind", mount_bind},
    {"mount-proc", mount_proc},
    {"mount-cgroup", mount_cgroup},
    {"mount-debugfs", mount_debugfs},
    {"remount-usr", remount_usr},
    {"remount-root", remount_root},
    {"umount-mask", umount_proc_mask},
    {"umount-usr", umount_usr},
    {"pivot_root", pivot_root_},
    {"chroot", chroot_},
    {"fsopen", fsopen_},
    {"fsconfig", fsconfig_},
    {"fsmount", fsmount_},
    {"fspick", fspick_},
    {"move_mount", move_mount_},
    {"open_tree", open_tree_},
    {"mount_setattr", mount_setattr_},
    {"swapon", swapon_},
    {"swapoff", swapoff_},
    {"quotactl", quotactl_},
    {"open_by_handle_at", open_handle},
    {"name_to_handle_at", name_handle},
    {"mknod-block", mknod_block},
    {"mknod-memory", mknod_memory},
    {"unshare-user", unshare_user},
    {"unshare-mount", unshare_mount},
    {"unshare-net", unshare_net},
    {"unshare-pid", unshare_pid},
    {"unshare-high", unshare_high},
    {"clone3", clone3_},
    {"clone-user", clone_user},
    {"clone-mount", clone_mount},
    {"clone-net", clone_net},
    {"clone-all", clone_all},
    {"setns", setns_},
    {"setns-pidfd", setns_pidfd},
    {"kill-init", kill_init},
    {"term-init", term_init},
    {"kill-init-high", kill_init_high},
    {"tkill-init", tkill_init},
    {"tgkill-init", tgkill_init},
    {"queue-init", queue_init},
    {"ptrace-init", ptrace_init},
    {"ptrace-seize-init", ptrace_seize_init},
    {"ptrace-me", ptrace_me},
    {"ptrace-child", ptrace_child},
    {"vm-read-init", vm_read_init},
    {"vm-read-child", vm_read_child},
    {"vm-write-child", vm_write_child},
    {"pidfd_getfd", pidfd_getfd_},
    {"pidfd_getfd-init", pidfd_getfd_init},
    {"kcmp", kcmp_},
    {"process_madvise", madvise_init},
    {"io_uring_setup", io_uring_setup_},
    {"io_uring_enter", io_uring_enter_},
    {"io_uring_register", io_uring_register_},
    {"keyctl", keyctl_},
    {"keyctl-join", keyctl_join},
    {"add_key", add_key_},
    {"request_key", request_key_},
    {"bpf-map", bpf_map},
    {"bpf-program", bpf_program},
    {"perf_event_open", perf},
    {"userfaultfd", userfaultfd_},
    {"kexec_load", kexec},
    {"kexec_file_load", kexec_file},
    {"init_module", module_init},
    {"finit_module", module_finit},
    {"delete_module", module_delete},
    {"reboot", reboot_},
    {"syslog", syslog_},
    {"acct", acct_},
    {"iopl", iopl_},
    {"ioperm", ioperm_},
    {"fanotify_init", fanotify_},
    {"vhangup", vhangup_},
    {"sethostname", hostname_},
    {"setdomainname", domainname_},
    {"modify_ldt", modify_ldt_},
    {"unknown-call", unknown_call},
    {"clock_settime", clock_set},
    {"settimeofday", day_set},
    {"adjtimex", adjust},
    {"clock_adjtime", clock_adjust},
    {"tiocsti", tiocsti},
    {"tiocsti-high", tiocsti_high},
    {"tioclinux", tioclinux},
    {"tioclinux-high", tioclinux_high},
    {"i386-getpid", i386_getpid},
    {"i386-mount", i386_mount},
    {"x32-getpid", x32_getpid},
    {"x32-ptrace", x32_ptrace},
    {"af-packet", af_packet},
    {"af-packet-dgram", af_packet_dgram},
    {"af-vsock", af_vsock},
    {"af-alg", af_alg},
    {"af-alg-high", af_alg_high},
    {"af-inet-raw", af_inet_raw},
    {"af-inet6-raw", af_inet6_raw},
    {"af-inet-sctp", af_inet_sctp},
    {"af-xdp", af_xdp},
    {"af-can", af_can},
    {"af-bluetooth", af_bluetooth},
    {"af-rds", af_rds},
    {"af-tipc", af_tipc},
    {"af-key", af_key},
    {"netlink-netfilter", netlink_netfilter},
    {"netlink-audit", netlink_audit},
    {"netlink-xfrm", netlink_xfrm},
    {"netlink-generic", netlink_generic},
    {"netlink-uevent", netlink_uevent},
    {"personality-exec", personality_exec},
    {"personality-aslr", personality_aslr},
    {"personality-zero", personality_zero},
    {"personality-bsd", personality_bsd},
    {"personality-high", personality_high},
    {"seccomp-off", seccomp_off},
    {"nnp-off", nnp_off},
    {"setuid-root", setuid_root},
    {"setgid-root", setgid_root},
    {"setgroups", setgroups_},
    {"cap-raise", cap_raise},
    {"nice-up", nice_up},
    {"realtime", realtime},
    {"filter-on-top", filter_on_top},
    {"filter-trace", filter_trace},
    {"filter-listen", filter_listen},
    {"memfd-exec", memfd_exec},
};

static int run(const char *name)
{
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        if (strcmp(attempts[i].name, name) != 0)
            continue;
        errno = 0;
        long result = attempts[i].call();
        printf("%s %ld %s\n", name, result, result == -1 ? strerrorname_np(errno) : "OK");
        fflush(stdout);
        return 0;
    }
    fprintf(stderr, "no attempt \"%s\"\n", name);
    return 2;
}

/* Some of these, if they worked, would end the machine: a person who types the name of this
 * program on a host must not find out. Only in a sandbox may no user namespace be made. */
static int outside(void)
{
    char text[8] = "";
    int fd = open("/proc/sys/user/max_user_namespaces", O_RDONLY);
    return fd < 0 || read(fd, text, sizeof text - 1) < 1 || strcmp(text, "0\n") != 0 ||
           getuid() == 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
            puts(attempts[i].name);
        return 0;
    }
    if (outside()) {
        fputs("attempt: this is no sandbox, so nothing is tried\n", stderr);
        return 3;
    }
    /* Each in a process of its own: what one changes must not help the next. */
    for (int i = 1; i < argc; i++) {
        if (argc == 2)
            return run(argv[i]);
        pid_t pid = fork();
        int status;
        if (pid == 0)
            _exit(run(argv[i]));
        waitpid(pid, &status, 0);
        if (WIFSIGNALED(status))
            printf("%s -1 SIG%s\n", argv[i], sigabbrev_np(WTERMSIG(status)));
        fflush(stdout);
    }
    return 0;
}
