#include "spawn.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/unix.h"

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
#include <sys/stat.h>
#include <sys/wait.h>

enum { ARGS_MAX = 64, NUMBER_BYTES = 24, SWEEP_MS = 5000, SWEEP_LOOK_MS = 10, NODE_BACKLOG = 8 };

/* Where the API finds the data directory when the way to it is closed to its user. */
static const char private_mount[] = "/mnt";
static const char node_socket[] = "node.sock"; /* in the data directory */

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
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        child_failed("setting the parent death signal");
    if (getppid() != supervisor)
        _exit(sa_code_exit_status(SA_EUNAVAILABLE)); /* it died before it could be noticed */
    if (sigprocmask(SIG_SETMASK, spawn->signals, NULL) < 0)
        child_failed("setting the signal mask");
}

/* A mount namespace of its own in which the data directory can be reached. */
static void mount_data(const char *folder)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount(folder, private_mount, NULL, MS_BIND, NULL) < 0)
        child_failed("making the data directory reachable for the API's user (or use a "
                     "--data-dir whose parent folders others may enter)");
}

static pid_t start_node(const struct sa_spawn *spawn, int listener, bool sweep,
                        struct sa_error *err)
{
    char fd[NUMBER_BYTES], user[NUMBER_BYTES];
    pid_t supervisor = getpid();
    snprintf(fd, sizeof fd, "%d", listener);
    snprintf(user, sizeof user, "%lld",
             spawn->run_as < 0 ? (long long)geteuid() : (long long)spawn->run_as);
    sa_autofree char *state_dir = sa_printf("%s/node", spawn->data->path);
    const char *argv[24] = {"sandbox-node", "--listen-fd", fd,
                            "--peer-uid",   user,          "--runtime",
                            spawn->runtime, "--state",     spawn->data->state,
                            "--state-dir",  state_dir};
    size_t argc = 11;
    if (sweep)
        argv[argc++] = "--sweep";
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
        become_child(spawn, supervisor, (const int[]){listener, spawn->data->family}, 2);
        execv(spawn->node, (char *const *)argv);
        child_failed(spawn->node);
    }
    if (pid < 0)
        sa_error_sys(err, SA_EUNAVAILABLE, errno, "starting %s", spawn->node);
    return pid;
}

/* `fds`: where it tells that it is ready, where its key comes from, and where it listens, or -1. */
static pid_t start_api(const struct sa_spawn *spawn, const char *listen, const int fds[3],
                       struct sa_error *err)
{
    char numbers[4][NUMBER_BYTES];
    const char *argv[ARGS_MAX] = {"agent-api"};
    const char *data = spawn->data->reachable ? spawn->data->path : private_mount;
    sa_autofree char *folder = sa_printf("%s/api", data);
    sa_autofree char *socket = sa_printf("%s/%s", data, node_socket);
    pid_t supervisor = getpid();
    for (size_t i = 0; i < 3; i++)
        snprintf(numbers[i], NUMBER_BYTES, "%d", fds[i]);
    snprintf(numbers[3], NUMBER_BYTES, "%lld", (long long)spawn->run_as);
    const char *const fixed[] = {"--data-dir",    folder,     "--listen",    listen,
                                 "--node-socket", socket,     "--ready-fd",  numbers[0],
                                 "--key-fd",      numbers[1], "--listen-fd", numbers[2],
                                 "--run-as",      numbers[3]};
    size_t argc = 1;
    for (size_t i = 0; i < SA_COUNT(fixed); i++)
        argv[argc++] = fixed[i];
    for (char **option = spawn->api_options; *option && argc < ARGS_MAX - 1; option++)
        argv[argc++] = *option;
    pid_t pid = fork();
    if (pid == 0) {
        const int keep[] = {fds[0], fds[1], spawn->data->family, fds[2]};
        become_child(spawn, supervisor, keep, fds[2] >= 0 ? 4 : 3);
        if (!spawn->data->reachable)
            mount_data(spawn->data->path);
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

/* Only the API's user may connect. */
int sa_spawn_listener(const struct sa_spawn *spawn, struct sa_error *err)
{
    sa_autoclose int folder =
        open(spawn->data->path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    const mode_t before = umask(0177);
    if (folder >= 0)
        unlinkat(folder, node_socket, 0);
    sa_autoclose int fd = folder < 0 ? -1 : sa_unix_bind(folder, node_socket, SOCK_SEQPACKET);
    umask(before);
    if (fd < 0 ||
        (spawn->run_as >= 0 &&
         fchownat(folder, node_socket, (uid_t)spawn->run_as, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0) ||
        listen(fd, NODE_BACKLOG) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "making the socket %s/%s",
                            spawn->data->path, node_socket);
    return sa_steal_fd(&fd);
}

pid_t sa_spawn_node(const struct sa_spawn *spawn, int listener, struct sa_error *err)
{
    return start_node(spawn, listener, false, err);
}

pid_t sa_spawn_api(const struct sa_spawn *spawn, const char *listen, int listener, int *ready,
                   struct sa_error *err)
{
    int ends[2];
    sa_autoclose int key = key_pipe(spawn->key, err);
    if (key < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "making a pair of sockets");
    sa_autoclose int ready_read = ends[0];
    sa_autoclose int ready_write = ends[1];
    pid_t pid = start_api(spawn, listen, (const int[]){ready_write, key, listener}, err);
    if (pid > 0)
        *ready = sa_steal_fd(&ready_read);
    return pid;
}

void sa_spawn_sweeper(const struct sa_spawn *spawn, int listener)
{
    pid_t pid = start_node(spawn, listener, true, NULL);
    for (int waited = 0; pid > 0 && waited < SWEEP_MS; waited += SWEEP_LOOK_MS) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return;
        usleep(SWEEP_LOOK_MS * 1000);
    }
    if (pid > 0)
        kill_child(pid);
}
