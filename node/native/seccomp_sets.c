/* Which system calls there are for whom. Kept by hand: read syscalls(2) beside it. */
#include "native/seccomp_sets.h"

#include "base/cleanup.h"

#include <string.h>

static const char *const io[] = {
    "close",     "close_range", "copy_file_range", "dup",       "dup2",       "dup3",
    "fallocate", "fadvise64",   "fcntl",           "fdatasync", "flock",      "fstat",
    "fstatfs",   "fsync",       "ftruncate",       "getdents",  "getdents64", "ioctl",
    "lseek",     "pipe",        "pipe2",           "pread64",   "preadv",     "preadv2",
    "pwrite64",  "pwritev",     "pwritev2",        "read",      "readahead",  "readv",
    "sendfile",  "splice",      "sync_file_range", "syncfs",    "sync",       "tee",
    "write",     "writev"};

static const char *const files[] = {
    "access",    "chdir",      "chmod",     "chown",  "creat",    "faccessat", "faccessat2",
    "fchdir",    "fchmod",     "fchmodat",  "fchown", "fchownat", "futimesat", "getcwd",
    "lchown",    "link",       "linkat",    "lstat",  "mkdir",    "mkdirat",   "mknod",
    "mknodat",   "newfstatat", "open",      "openat", "openat2",  "readlink",  "readlinkat",
    "rename",    "renameat",   "renameat2", "rmdir",  "stat",     "statfs",    "statx",
    "symlink",   "symlinkat",  "truncate",  "umask",  "unlink",   "unlinkat",  "utime",
    "utimensat", "utimes"};

static const char *const xattr[] = {"fgetxattr",    "flistxattr", "fremovexattr", "fsetxattr",
                                    "getxattr",     "lgetxattr",  "listxattr",    "llistxattr",
                                    "lremovexattr", "lsetxattr",  "removexattr",  "setxattr"};

static const char *const memory[] = {"brk",    "madvise", "membarrier", "memfd_create", "mincore",
                                     "mlock",  "mlock2",  "mlockall",   "mmap",         "mprotect",
                                     "mremap", "msync",   "munlock",    "munlockall",   "munmap"};

static const char *const numa[] = {"get_mempolicy", "mbind", "set_mempolicy"};

static const char *const pkeys[] = {"pkey_alloc", "pkey_free", "pkey_mprotect"};

/* clone, personality, prlimit64 and setrlimit are allowed by their arguments (seccomp.c). */
static const char *const process[] = {
    "arch_prctl", "capget",     "capset",    "clone",           "execve",     "execveat",
    "exit",       "exit_group", "fork",      "getegid",         "geteuid",    "getgid",
    "getgroups",  "getpgid",    "getpgrp",   "getpid",          "getppid",    "getpriority",
    "getresgid",  "getresuid",  "getrlimit", "getrusage",       "getsid",     "gettid",
    "getuid",     "getcpu",     "getrandom", "ioprio_get",      "ioprio_set", "personality",
    "pidfd_open", "prctl",      "prlimit64", "set_tid_address", "setpgid",    "setpriority",
    "setrlimit",  "setsid",     "sysinfo",   "times",           "uname",      "vfork",
    "wait4",      "waitid"};

static const char *const ids[] = {"setfsgid",  "setfsuid",  "setgid",   "setgroups", "setregid",
                                  "setresgid", "setresuid", "setreuid", "setuid"};

static const char *const signals[] = {"alarm",
                                      "kill",
                                      "pause",
                                      "pidfd_send_signal",
                                      "restart_syscall",
                                      "rt_sigaction",
                                      "rt_sigpending",
                                      "rt_sigprocmask",
                                      "rt_sigqueueinfo",
                                      "rt_sigreturn",
                                      "rt_sigsuspend",
                                      "rt_sigtimedwait",
                                      "rt_tgsigqueueinfo",
                                      "sigaltstack",
                                      "signalfd",
                                      "signalfd4",
                                      "tgkill",
                                      "tkill"};

static const char *const time_[] = {"clock_getres",    "clock_gettime",  "clock_nanosleep",
                                    "getitimer",       "gettimeofday",   "nanosleep",
                                    "setitimer",       "time",           "timerfd_create",
                                    "timerfd_gettime", "timerfd_settime"};

static const char *const timers[] = {"timer_create", "timer_delete", "timer_getoverrun",
                                     "timer_gettime", "timer_settime"};

static const char *const sync_[] = {"futex", "futex_waitv", "get_robust_list", "rseq",
                                    "set_robust_list"};

static const char *const sched[] = {
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity",
    "sched_getattr",          "sched_getparam",         "sched_getscheduler",
    "sched_rr_get_interval",  "sched_setaffinity",      "sched_setattr",
    "sched_setparam",         "sched_setscheduler",     "sched_yield"};

static const char *const poll_[] = {"epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait",
                                    "epoll_pwait2", "epoll_wait",    "eventfd",   "eventfd2",
                                    "poll",         "ppoll",         "pselect6",  "select"};

/* socket is allowed by its arguments (seccomp.c). */
static const char *const net[] = {
    "accept",     "accept4", "bind",       "connect",  "getpeername", "getsockname",
    "getsockopt", "listen",  "recvfrom",   "recvmmsg", "recvmsg",     "sendmmsg",
    "sendmsg",    "sendto",  "setsockopt", "shutdown", "socket",      "socketpair"};

static const char *const inotify[] = {"inotify_add_watch", "inotify_init", "inotify_init1",
                                      "inotify_rm_watch"};

static const char *const aio[] = {"io_cancel",     "io_destroy", "io_getevents",
                                  "io_pgetevents", "io_setup",   "io_submit"};

static const char *const sysv[] = {"msgctl", "msgget", "msgrcv",     "msgsnd", "semctl", "semget",
                                   "semop",  "shmat",  "semtimedop", "shmctl", "shmdt",  "shmget"};

static const char *const mqueue[] = {"mq_getsetattr",   "mq_notify",    "mq_open",
                                     "mq_timedreceive", "mq_timedsend", "mq_unlink"};

static const char *const self[] = {"landlock_add_rule", "landlock_create_ruleset",
                                   "landlock_restrict_self", "seccomp"};

static const char *const telling[] = {
    /* mounts and roots */
    "chroot", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount",
    "open_tree", "pivot_root", "quotactl", "quotactl_fd", "swapoff", "swapon", "umount2",
    /* namespaces */
    "setns", "unshare",
    /* other processes */
    "kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace",
    /* the kernel */
    "acct", "bpf", "delete_module", "finit_module", "init_module", "io_uring_enter",
    "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kexec_file_load", "kexec_load",
    "perf_event_open", "reboot", "syslog", "userfaultfd", "vhangup", "fanotify_init",
    "lookup_dcookie", "open_by_handle_at", "name_to_handle_at",
    /* keys */
    "add_key", "keyctl", "request_key",
    /* names and clocks */
    "adjtimex", "clock_adjtime", "clock_settime", "setdomainname", "sethostname", "settimeofday"};

#define LIST(array)                                                                                \
    {                                                                                              \
        array, SA_COUNT(array)                                                                     \
    }
static const struct sa_name_list sets[SA_SET_COUNT] = {
    [SA_SET_IO] = LIST(io),           [SA_SET_FILES] = LIST(files),
    [SA_SET_XATTR] = LIST(xattr),     [SA_SET_MEMORY] = LIST(memory),
    [SA_SET_NUMA] = LIST(numa),       [SA_SET_PKEYS] = LIST(pkeys),
    [SA_SET_PROCESS] = LIST(process), [SA_SET_IDS] = LIST(ids),
    [SA_SET_SIGNALS] = LIST(signals), [SA_SET_TIME] = LIST(time_),
    [SA_SET_TIMERS] = LIST(timers),   [SA_SET_SYNC] = LIST(sync_),
    [SA_SET_SCHED] = LIST(sched),     [SA_SET_POLL] = LIST(poll_),
    [SA_SET_NET] = LIST(net),         [SA_SET_INOTIFY] = LIST(inotify),
    [SA_SET_AIO] = LIST(aio),         [SA_SET_SYSV] = LIST(sysv),
    [SA_SET_MQUEUE] = LIST(mqueue),   [SA_SET_SELF] = LIST(self),
};

struct sa_name_list sa_set_names(enum sa_set set)
{
    return sets[set];
}

struct sa_name_list sa_set_telling(void)
{
    return (struct sa_name_list)LIST(telling);
}

static const char *const set_names[SA_SET_COUNT] = {
    [SA_SET_IO] = "io",           [SA_SET_FILES] = "files",   [SA_SET_XATTR] = "xattr",
    [SA_SET_MEMORY] = "memory",   [SA_SET_NUMA] = "numa",     [SA_SET_PKEYS] = "pkeys",
    [SA_SET_PROCESS] = "process", [SA_SET_IDS] = "ids",       [SA_SET_SIGNALS] = "signals",
    [SA_SET_TIME] = "time",       [SA_SET_TIMERS] = "timers", [SA_SET_SYNC] = "sync",
    [SA_SET_SCHED] = "sched",     [SA_SET_POLL] = "poll",     [SA_SET_NET] = "net",
    [SA_SET_INOTIFY] = "inotify", [SA_SET_AIO] = "aio",       [SA_SET_SYSV] = "sysv",
    [SA_SET_MQUEUE] = "mqueue",   [SA_SET_SELF] = "self",
};

const char *sa_set_name(enum sa_set set)
{
    return set_names[set];
}

int sa_set_find(const char *name)
{
    for (int i = 0; i < SA_SET_COUNT; i++)
        if (strcmp(set_names[i], name) == 0)
            return i;
    return -1;
}

#define BIT(set) (1u << (set))

unsigned sa_set_runtime(void)
{
    return BIT(SA_SET_IO) | BIT(SA_SET_FILES) | BIT(SA_SET_MEMORY) | BIT(SA_SET_PROCESS) |
           BIT(SA_SET_SIGNALS) | BIT(SA_SET_TIME) | BIT(SA_SET_SYNC) | BIT(SA_SET_POLL) |
           BIT(SA_SET_NET) | BIT(SA_SET_INOTIFY) | BIT(SA_SET_XATTR) | BIT(SA_SET_SYSV);
}

struct sa_name_list sa_set_runtime_calls(void)
{
    static const char *const calls[] = {"seccomp", "sched_yield"};
    return (struct sa_name_list)LIST(calls);
}
