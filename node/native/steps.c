/* The table of steps, and those that are neither about mounts nor about ids. */
#include "native/steps.h"

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/fdio.h"
#include "link/methods.h"
#include "native/landlock.h"
#include "native/seccomp.h"
#include "native/sys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

static sa_step_fn descriptors, session, wait_ids, loopback, landlock_rules, landlock_profile,
    wait_order, join, hostname, cgroup_namespace, recorded, handover, landlock, seccomp_,
    report_ready, run;

#define BIT(control) ((sa_controls)1 << (control))

static const struct sa_step steps[] = {
    {"descriptors", descriptors, 0},
    {"parent-death", sa_step_parent_death, 0},
    {"session", session, 0},
    {"wait-ids", wait_ids, BIT(SA_C_USERNS)},
    {"cgroups", join, 0},
    {"ids", sa_step_ids, BIT(SA_C_USERNS_RANGE)},
    {"root", sa_step_root, BIT(SA_C_MOUNTNS) | BIT(SA_C_ROOTFS_PRIVATE)},
    {"proc", sa_step_proc, BIT(SA_C_PIDNS)},
    {"queues", sa_step_queues, 0}, /* such a mount counts as a namespace: before their limits */
    {"namespace-limits", sa_step_namespace_limits, BIT(SA_C_USERNS_LIMITS)},
    {"mask", sa_step_mask, BIT(SA_C_PROC_MASKED)},
    {"terminals", sa_step_terminals, 0},
    {"data", sa_step_data, 0},
    {"go", sa_step_go, 0},
    {"pivot", sa_step_pivot, BIT(SA_C_ROOTFS_READONLY)},
    {"loopback", loopback, BIT(SA_C_NETNS) | BIT(SA_C_IPCNS)},
    {"landlock-rules", landlock_rules, 0},
    {"parent-death", sa_step_parent_death, 0},
    {"wait-order", wait_order, 0},
    {"cgroups", join, 0},
    {"sizes", sa_step_sizes, BIT(SA_C_TMPFS_SIZE) | BIT(SA_C_TMPFS_INODES)},
    {"folders", sa_step_folders, 0},
    {"devices", sa_step_devices, 0},
    {"owner", sa_step_owner, 0},
    {"landlock-profile", landlock_profile, 0},
    {"hostname", hostname, BIT(SA_C_UTSNS)},
    {"cgroup-namespace", cgroup_namespace, BIT(SA_C_CGROUPNS)},
    {"rlimits", sa_step_rlimits, 0},
    {"recorded", recorded, 0},
    {"handover", handover, 0},
    {"capabilities", sa_step_capabilities, BIT(SA_C_CAPABILITIES)},
    {"no-new-privs", sa_step_no_new_privs, BIT(SA_C_NO_NEW_PRIVS)},
    {"landlock", landlock, BIT(SA_C_LANDLOCK) | BIT(SA_C_LANDLOCK_SCOPE)},
    {"seccomp", seccomp_, BIT(SA_C_SECCOMP) | BIT(SA_C_SECCOMP_NOTIFY)},
    {"report", report_ready, 0},
    {"exec", run, 0},
};

size_t sa_step_count(void)
{
    return SA_COUNT(steps);
}

const char *sa_step_name(uint32_t index)
{
    return index < SA_COUNT(steps) ? steps[index].name : "?";
}

/* From 3 on. */
static int close_all_but(const int *kept, size_t count)
{
    for (unsigned from = 3;;) {
        unsigned next = ~0u;
        for (size_t i = 0; i < count; i++)
            if (kept[i] >= 0 && (unsigned)kept[i] >= from && (unsigned)kept[i] < next)
                next = (unsigned)kept[i];
        if (next == ~0u)
            return close_range(from, ~0u, 0);
        if (next > from && close_range(from, next - 1, 0) < 0)
            return -1;
        from = next + 1;
    }
}

/* Keep only the setup socket and the runtime: a spare lives long, and must hold nothing of its
 * neighbours. Low numbers are left to what is handed over. */
static int descriptors(struct sa_child *child)
{
    const int least = SA_FAILPOINT_FD + 1;
    child->setup = fcntl(child->setup, F_DUPFD_CLOEXEC, least);
    child->runtime = fcntl(child->runtime, F_DUPFD_CLOEXEC, least);
    if (child->setup < 0 || child->runtime < 0)
        return -1;
    if (child->failpoints >= 0)
        child->failpoints = fcntl(child->failpoints, F_DUPFD_CLOEXEC, least);
    const int kept[] = {child->setup, child->runtime, child->failpoints};
    return close_all_but(kept, SA_COUNT(kept));
}

static int session(struct sa_child *child)
{
    sigset_t none;
    /* The kernel's own struct sigaction: handler, flags, restorer, mask. The C library refuses to
     * touch the two signals that it keeps for itself, which posix_spawn(3) leaves ignored. */
    const struct {
        unsigned long handler, flags, restorer, mask;
    } action = {0};
    (void)child;
    umask(022);
    /* What the node ignores would be ignored in here. */
    for (int number = 1; number < NSIG; number++)
        syscall(SYS_rt_sigaction, number, &action, NULL, sizeof action.mask);
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return -1;
    return setsid() < 0 ? -1 : 0;
}

static int wait_ids(struct sa_child *child)
{
    char go;
    ssize_t n;
    do
        n = sa_recv_fds(child->setup, &go, 1, child->groups, &child->group_count, 0);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        _exit(0); /* the node is gone */
    if (n == 1 && go == SA_GO_IDS)
        return 0;
    errno = n < 0 ? errno : EPROTO;
    return -1;
}

static int loopback(struct sa_child *child)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    sa_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)child;
    return fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);
}

/* What most profiles say, made in time. */
static int landlock_rules(struct sa_child *child)
{
    if (child->host->landlock_abi == 0)
        return 0;
    child->rules = sa_landlock_rules(child->host, SA_FOLDERS_ALL, child->queues);
    return child->rules < 0 ? -1 : 0;
}

static int landlock_profile(struct sa_child *child)
{
    const struct sa_context *context = &child->order.context;
    if (child->rules < 0 || (context->landlock && context->landlocked == SA_FOLDERS_ALL))
        return 0;
    close(child->rules);
    child->rules = -1;
    if (!context->landlock)
        return 0;
    child->rules = sa_landlock_rules(child->host, context->landlocked, child->queues);
    return child->rules < 0 ? -1 : 0;
}

static int wait_order(struct sa_child *child)
{
    int fds[SA_FDS_MAX];
    size_t count = 0;
    ssize_t n;
    do
        n = sa_recv_fds(child->setup, &child->order, sizeof child->order, fds, &count, 0);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        _exit(0); /* the node is gone, or needs this spare no more */
    if (n != sizeof child->order || count < SA_ORDER_FDS) {
        errno = n < 0 ? errno : EPROTO;
        return -1;
    }
    child->door = fds[0];
    child->boot = fds[1];
    child->base = fds[2];
    child->group_count = count - SA_ORDER_FDS;
    memcpy(child->groups, fds + SA_ORDER_FDS, child->group_count * sizeof *fds);
    return 0;
}

/* Version 1: a thread that moves itself; cgroup.h says why. */
static int join(struct sa_child *child)
{
    for (size_t i = 0; i < child->group_count; i++) {
        if (write(child->groups[i], "0", 1) != 1)
            return -1;
        close(child->groups[i]);
    }
    child->group_count = 0;
    return 0;
}

static int hostname(struct sa_child *child)
{
    return sethostname(child->order.hostname, strlen(child->order.hostname));
}

/* Only now, as its root is the group that the process is in. */
static int cgroup_namespace(struct sa_child *child)
{
    (void)child;
    return unshare(CLONE_NEWCGROUP);
}

/* From now on the sandbox outlives the node. Until the first link is at the door there may be no
 * record of it yet: then it must not. */
static int recorded(struct sa_child *child)
{
    struct pollfd fds[2] = {{.fd = child->door, .events = POLLIN},
                            {.fd = child->setup, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return -1;
    if (!(fds[0].revents & POLLIN))
        _exit(0); /* the node is gone, or does not want it any more */
    return prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
}

static int above(int *fd)
{
    int copy = fcntl(*fd, F_DUPFD_CLOEXEC, SA_BOOT_QUEUES_FD + 1);
    if (copy < 0)
        return -1;
    close(*fd);
    *fd = copy;
    return 0;
}

/* What the runtime gets: /dev/null three times, the door, the boot block, the message queues. All
 * else has close-on-exec. */
static int handover(struct sa_child *child)
{
    sa_autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || above(&null) < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
        return -1;
    if (above(&child->door) < 0 || above(&child->boot) < 0 || above(&child->base) < 0 ||
        above(&child->queues) < 0 || (child->rules >= 0 && above(&child->rules) < 0))
        return -1;
    if (dup2(child->door, SA_BOOT_LINK_FD) < 0 || dup2(child->boot, SA_BOOT_BLOCK_FD) < 0 ||
        dup2(child->queues, SA_BOOT_QUEUES_FD) < 0)
        return -1;
    return 0;
}

static int landlock(struct sa_child *child)
{
    return child->rules < 0 ? 0 : sa_landlock_restrict(child->rules);
}

static int seccomp_(struct sa_child *child)
{
    struct sock_filter code[BPF_MAXINSNS];
    const uint64_t bytes = child->order.base_bytes;
    const struct sa_program base = {code, (unsigned short)(bytes / sizeof *code)};
    if (bytes > sizeof code || pread(child->base, code, bytes, 0) != (ssize_t)bytes) {
        errno = EPROTO;
        return -1;
    }
    if (sa_filter_install(&child->host->guard) < 0)
        return -1;
    child->listener = sa_filter_install_listening(&base);
    return child->listener < 0 ? -1 : 0;
}

static void report(struct sa_child *child, uint32_t step, int error, sa_controls in_force)
{
    const struct sa_report message = {.step = step, .error = error, .in_force = in_force};
    /* EPIPE: the node is gone, and nobody else would end us. */
    if (sa_send_fds(child->setup, &message, sizeof message, &child->listener, child->listener >= 0,
                    MSG_NOSIGNAL) < 0)
        _exit(0);
}

/* What the steps provide, less what this host cannot. */
sa_controls sa_steps_provide(const struct sa_host *host, const struct sa_context *context)
{
    sa_controls set = 0;
    for (size_t i = 0; i < SA_COUNT(steps); i++)
        set |= steps[i].provides;
    if (!context->landlock)
        set &= ~(BIT(SA_C_LANDLOCK) | BIT(SA_C_LANDLOCK_SCOPE));
    return set & host->can;
}

static int report_ready(struct sa_child *child)
{
    report(child, (uint32_t)SA_COUNT(steps), 0,
           sa_steps_provide(child->host, &child->order.context));
    close(child->listener);
    child->listener = -1;
    return 0;
}

static int run(struct sa_child *child)
{
    static char name[] = "execution-runtime";
    char *const argv[] = {name, NULL};
    char *const envp[] = {NULL};
    if (child->failpoints >= 0 && dup2(child->failpoints, SA_FAILPOINT_FD) < 0)
        return -1;
    return (int)syscall(SYS_execveat, child->runtime, "", argv, envp, AT_EMPTY_PATH);
}

noreturn void sa_child_main(const struct sa_host *host, int setup, int slot)
{
    struct sa_child child = {.host = host,
                             .setup = setup,
                             .slot = slot,
                             .runtime = host->runtime,
                             .door = -1,
                             .boot = -1,
                             .base = -1,
                             .queues = -1,
                             .rules = -1,
                             .listener = -1,
                             .failpoints = sa_failpoint_fd()};
    for (uint32_t i = 0; i < SA_COUNT(steps); i++)
        if (steps[i].run(&child) < 0) {
            report(&child, i, errno, 0);
            break;
        }
    _exit(127);
}
