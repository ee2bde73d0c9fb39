/*
 * execution-runtime: process 1 of every sandbox. It starts programs, moves files and reports usage
 * for the control plane, over the links that come through the door on descriptor 3; descriptor 4
 * holds the boot block (link/methods.h). It runs as the sandbox's own unprivileged user inside all
 * its namespaces, on one thread (poller.h), and when nobody is connected for too long it exits and
 * takes the sandbox with it.
 *
 *     door.c conn.c         connections, dispatch of calls (call.h)
 *     exec*.c spawn.c       programs; proc.c which processes belong to them
 *     file*.c path.c        files beneath the roots
 *     template.c            programs forked from a process that waits
 *     setup.c               the environment of whom the sandbox belongs to
 *     port*.c               servers inside
 *     usage.c               usage, shutdown
 *     reset.c               SEAL and RESET: sealer.c makes the manifest (manifest.c, look.c),
 *                           sweeper.c goes by it, ipc.c and world.c look at all that is no file
 */
#include "base/cleanup.h"
#include "base/failpoint.h"
#include "call.h"
#include "conn.h"
#include "door.h"
#include "ipc.h"
#include "poller.h"
#include "proc.h"
#include "reset.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sa_boot sa_boot;

static struct sa_watch child_watch = {.fd = -1};

static _Noreturn void refuse(const char *what, const char *why)
{
    char text[700];
    int n = snprintf(text, sizeof text, "execution-runtime: %s: %s\n", what, why);
    if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
        _exit(2);
    _exit(1);
}

/* What the launcher left to us in signals must not reach the programs. SIGCHLD comes through a
 * descriptor, SIGPIPE is an error of write(2). All others keep their default, which the kernel
 * does not apply to process 1 of a namespace unless it is sent from outside. */
static void set_signals(void)
{
    sigset_t set;
    /* The kernel's own struct sigaction: handler, flags, restorer, mask. The C library refuses to
     * touch the two signals that it keeps for itself, which posix_spawn(3) leaves ignored. */
    const struct {
        unsigned long handler, flags, restorer, mask;
    } action = {0};
    for (int i = 1; i < NSIG; i++)
        syscall(SYS_rt_sigaction, i, &action, NULL, sizeof action.mask);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

static void on_children(struct sa_watch *watch, uint32_t events)
{
    struct signalfd_siginfo info;
    (void)events;
    while (read(watch->fd, &info, sizeof info) > 0)
        ;
    sa_exec_reap();
    sa_reset_child_ended();
}

static void watch_children(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    child_watch = (struct sa_watch){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
                                    .ready = on_children};
    if (child_watch.fd < 0 || sa_watch_set(&child_watch, EPOLLIN) < 0)
        refuse("signalfd", strerror(errno));
}

/* Standard descriptors must exist, or a pipe could become one. */
static void fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            refuse("descriptors", "no /dev/null for a closed standard descriptor");
}

static void harden(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        refuse("prctl", strerror(errno));
}

/* Before anything is opened, which could take their numbers. */
static void check_descriptors(void)
{
    if (fcntl(SA_BOOT_LINK_FD, F_SETFD, FD_CLOEXEC) < 0)
        refuse("door", "descriptor 3 is not open");
    if (fcntl(SA_BOOT_BLOCK_FD, F_GETFD) < 0)
        refuse("boot block", "descriptor 4 is not open");
    fill_standard_descriptors();
    sa_failpoint_take_over();
    sa_ipc_init();
    syscall(SYS_close_range, SA_BOOT_QUEUES_FD + 1u, ~0u, 0);
}

static void read_boot_block(void)
{
    struct sa_error error;
    if (sa_boot_read(&sa_boot, SA_BOOT_BLOCK_FD, &error) < 0)
        refuse("boot block", error.message);
    close(SA_BOOT_BLOCK_FD);
}

int main(void)
{
    check_descriptors();
    set_signals();
    umask(0); /* modes are given explicitly; programs start with 022 */
    sa_spawn_open();
    harden();
    read_boot_block();
    sa_spawn_init(sa_boot.oom_score);
    sa_proc_init();
    if (getpid() != 1) /* it signals "everybody", and its end must be everybody's */
        refuse("start", "this must be process 1 of a pid namespace");
    if (chdir("/") < 0 || sa_poller_init() < 0)
        refuse("start", strerror(errno));
    watch_children();
    sa_door_open(SA_BOOT_LINK_FD);
    sa_poller_run(sa_conn_flush);
    return 0;
}
