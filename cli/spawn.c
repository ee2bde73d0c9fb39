#include "spawn.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdio.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { ARGS_MAX = 64, NUMBER_BYTES = 24, SWEEP_MS = 5000, SWEEP_LOOK_MS = 10 };

/* Where the API finds its folder when the way to it is closed to its user. */
static const char private_mount[] = "/mnt";

noreturn static void child_failed(const char *what)
{
    fprintf(stderr, "secureagent up: %s: %s\n", what, strerror(errno));
    _exit(sa_code_exit_status(SA_EINTERNAL));
}

/* In the child: everything but exec. Only plain system calls (there are no threads). */
static void become_child(const struct sa_spawn *spawn, pid_t supervisor, const int *keep,
                         size_t keep_count)
{
    struct rlimit files;
    int null = open("/dev/null", O_RDONLY);
    signal(SIGPIPE, SIG_DFL);
    if (null < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0)
        child_failed("redirecting");
    if (null > 2)
        close(null);
    /* Whoever started us may have left descriptors open: they are none of the children's. */
    if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        child_failed("closing descriptors");
    for (size_t i = 0; i < keep_count; i++)
        if (fcntl(keep[i], F_SETFD, 0) < 0)
            child_failed("passing a descriptor");
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* each sandbox costs descriptors */
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    setsid();
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
        child_failed("setting the parent death signal");
    if (getppid() != supervisor)
        _exit(sa_code_exit_status(SA_EUNAVAILABLE)); /* it died before it could be noticed */
    if (sigprocmask(SIG_SETMASK, spawn->signals, NULL) < 0)
        child_failed("setting the signal mask");
}

/* A mount namespace of its own in which the API's folder can be reached. */
static void mount_api_folder(const char *folder)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount(folder, private_mount, NULL, MS_BIND, NULL) < 0)
        child_failed("making the database's folder reachable for the API's user (or use a "
                     "--data-dir whose parent folders others may enter)");
}

static pid_t start_node(const struct sa_spawn *spawn, int control, struct sa_error *err)
{
    char fd[NUMBER_BYTES];
    pid_t supervisor = getpid();
    snprintf(fd, sizeof fd, "%d", control);
    const char *argv[16] = {"sandbox-node", "--control-fd",    fd, "--runtime", spawn->runtime,
                            "--state",      spawn->data->state};
    size_t argc = 7;
    if (spawn->cache) {
        argv[argc++] = "--cache";
        argv[argc++] = spawn->cache;
    }
    if (spawn->packages) {
        argv[argc++] = "--packages";
        argv[argc++] = spawn->packages;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become_child(spawn, supervisor, (const int[]){control, spawn->data->family}, 2);
        execv(spawn->node, (char *const *)argv);
        child_failed(spawn->node);
    }
    if (pid < 0)
        sa_error_sys(err, SA_EUNAVAILABLE, errno, "starting %s", spawn->node);
    return pid;
}

static pid_t start_api(const struct sa_spawn *spawn, const char *listen, const int fds[3],
                       struct sa_error *err)
{
    char numbers[4][NUMBER_BYTES];
    const char *argv[ARGS_MAX] = {"agent-api"};
    const char *folder = spawn->data->reachable ? spawn->data->api : private_mount;
    pid_t supervisor = getpid();
    for (size_t i = 0; i < 3; i++)
        snprintf(numbers[i], NUMBER_BYTES, "%d", fds[i]);
    snprintf(numbers[3], NUMBER_BYTES, "%lld", (long long)spawn->run_as);
    const char *const fixed[] = {"--data-dir", folder,     "--listen",   listen,
                                 "--node-fd",  numbers[0], "--ready-fd", numbers[1],
                                 "--key-fd",   numbers[2], "--run-as",   numbers[3]};
    size_t argc = 1;
    for (size_t i = 0; i < SA_COUNT(fixed); i++)
        argv[argc++] = fixed[i];
    for (char **option = spawn->api_options; *option && argc < ARGS_MAX - 1; option++)
        argv[argc++] = *option;
    pid_t pid = fork();
    if (pid == 0) {
        become_child(spawn, supervisor, (const int[]){fds[0], fds[1], fds[2], spawn->data->family},
                     4);
        if (!spawn->data->reachable)
            mount_api_folder(spawn->data->api);
        execv(spawn->api, (char *const *)argv);
        child_failed(spawn->api);
    }
    if (pid < 0)
        sa_error_sys(err, SA_EUNAVAILABLE, errno, "starting %s", spawn->api);
    return pid;
}

/* A pipe that already holds the key: it is far smaller than a pipe's buffer. */
static int key_pipe(const char *key, struct sa_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "making a pipe");
    bool written =
        sa_write_all(ends[1], key, strlen(key)) == 0 && sa_write_all(ends[1], "\n", 1) == 0;
    close(ends[1]);
    if (written)
        return ends[0];
    close(ends[0]);
    return sa_error_sys(err, SA_EUNAVAILABLE, errno, "writing a pipe");
}

static void kill_child(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

int sa_spawn(const struct sa_spawn *spawn, const char *listen, struct sa_spawned *out,
             struct sa_error *err)
{
    int pair[2], ready[2];
    sa_autoclose int key = key_pipe(spawn->key, err);
    if (key < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "making a socket pair");
    sa_autoclose int node_end = pair[0];
    sa_autoclose int api_end = pair[1];
    if (pipe2(ready, O_CLOEXEC) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "making a pipe");
    sa_autoclose int ready_read = ready[0];
    sa_autoclose int ready_write = ready[1];
    if ((out->node = start_node(spawn, node_end, err)) < 0)
        return -1;
    out->api = start_api(spawn, listen, (const int[]){api_end, ready_write, key}, err);
    if (out->api < 0) {
        kill_child(out->node);
        return -1;
    }
    out->ready = sa_steal_fd(&ready_read);
    return 0;
}

void sa_spawn_sweeper(const struct sa_spawn *spawn)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    close(pair[1]);
    pid_t pid = start_node(spawn, pair[0], NULL);
    close(pair[0]);
    for (int waited = 0; pid > 0 && waited < SWEEP_MS; waited += SWEEP_LOOK_MS) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return;
        usleep(SWEEP_LOOK_MS * 1000);
    }
    if (pid > 0)
        kill_child(pid);
}
