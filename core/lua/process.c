/* Starting a policy-worker, see process.h. */
#include "lua/process.h"

#include "base/cleanup.h"
#include "lua/wire.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { CHILD_SOCKET = 3 };

/* A packet of the largest size must fit as often as the system allows. */
static void make_room(int fd)
{
    const int bytes = 2 * SA_WIRE_PACKET_MAX;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes, int child)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int r = 0;
    for (int fd = 0; fd < CHILD_SOCKET && !r; fd++)
        r = posix_spawn_file_actions_addopen(files, fd, "/dev/null", O_RDWR, 0);
    if (!r)
        r = posix_spawn_file_actions_adddup2(files, child, CHILD_SOCKET);
    if (!r)
        r = posix_spawn_file_actions_addclosefrom_np(files, CHILD_SOCKET + 1);
    if (!r)
        r = posix_spawnattr_setsigmask(attributes, &none);
    if (!r)
        r = posix_spawnattr_setsigdefault(attributes, &all);
    if (!r)
        r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                     POSIX_SPAWN_SETSID);
    return r;
}

static int spawn(const char *program, int child, pid_t *pid)
{
    static char name[] = "policy-worker";
    char *argv[] = {name, NULL}, *environment[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int r = posix_spawn_file_actions_init(&files);
    if (r)
        return r;
    r = posix_spawnattr_init(&attributes);
    if (!r) {
        r = prepare(&files, &attributes, child);
        if (!r)
            r = posix_spawn(pid, program, &files, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return r;
}

int sa_process_start(const char *program, struct sa_process *process, int *socket,
                     struct sa_error *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no socket for a policy-worker");
    sa_autoclose int parent = pair[0], low = pair[1];
    /* Not one of the numbers that are opened over in the child. */
    sa_autoclose int child = fcntl(low, F_DUPFD_CLOEXEC, CHILD_SOCKET + 1);
    if (child < 0 || fcntl(parent, F_SETFL, O_NONBLOCK) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no socket for a policy-worker");
    make_room(parent);
    make_room(child);
    int r = spawn(program, child, &process->pid);
    if (r)
        return sa_error_sys(err, SA_EUNAVAILABLE, r, "cannot start %s", program);
    process->pidfd = pidfd_open(process->pid, 0); /* close-on-exec */
    if (process->pidfd < 0) {
        int saved = errno;
        kill(process->pid, SIGKILL);
        waitpid(process->pid, NULL, 0);
        return sa_error_sys(err, SA_EUNAVAILABLE, saved, "cannot watch %s", program);
    }
    *socket = sa_steal_fd(&parent);
    return 0;
}

void sa_process_kill(const struct sa_process *process)
{
    if (process->pidfd >= 0)
        pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
}

void sa_process_reap(const struct sa_process *process, struct sa_error *why)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG) < 0 || !info.si_pid)
        sa_error_set(why, SA_EUNAVAILABLE, "the policy-worker is gone");
    else if (info.si_code == CLD_EXITED)
        sa_error_set(why, SA_EUNAVAILABLE, "the policy-worker ended with status %d",
                     info.si_status);
    else
        sa_error_set(why, SA_EUNAVAILABLE, "the policy-worker was ended by signal %d (%s)",
                     info.si_status, sigdescr_np(info.si_status));
}
