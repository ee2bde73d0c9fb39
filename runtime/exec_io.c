/* The descriptors between an execution and its program: pipes, the control socket, a terminal. */
#include "exec.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

/* A pipe whose end `ours` (0 or 1) is ours, non-blocking. */
static int make_pipe(int fds[2], int ours, struct sa_error *err)
{
    if (pipe2(fds, O_CLOEXEC) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no pipe for the program");
    fcntl(fds[ours], F_SETFL, O_NONBLOCK);
    return 0;
}

static int open_input(struct exec *e, bool stdin_pipe, struct sa_error *err)
{
    int fds[2], null = stdin_pipe ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0)
        return null;
    if (make_pipe(fds, 1, err) < 0)
        return -1;
    if (stdin_pipe)
        e->feeds[FEED_STDIN].watch.fd = fds[1];
    else
        close(fds[1]); /* a sandbox without /dev/null: an empty pipe does as well */
    return fds[0];
}

static int open_pipes(struct exec *e, struct exec_child_fds *child, struct sa_error *err)
{
    child->fds[0] = open_input(e, e->request->stdin_pipe, err);
    if (child->fds[0] < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        int fds[2];
        if (make_pipe(fds, 0, err) < 0)
            return -1;
        e->pumps[i].watch.fd = fds[0];
        child->fds[1 + i] = fds[1];
    }
    return 0;
}

/* Read and written through two descriptors, as each is watched for one thing. */
static int duplicate(int fd, struct sa_error *err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no descriptor for the program");
    return copy;
}

static int open_control(struct exec *e, struct exec_child_fds *child, struct sa_error *err)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no control socket for the program");
    e->pumps[PUMP_CONTROL].watch.fd = fds[0];
    child->extra = fds[1];
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    e->feeds[FEED_CONTROL].watch.fd = duplicate(fds[0], err);
    return e->feeds[FEED_CONTROL].watch.fd < 0 ? -1 : 0;
}

static struct winsize size_of(int64_t window)
{
    return (struct winsize){.ws_row = (unsigned short)(window >> 16),
                            .ws_col = (unsigned short)(window & 0xffff)};
}

void exec_io_resize(struct exec *e, int64_t window)
{
    struct winsize size = size_of(window);
    if (e->tty && e->pumps[PUMP_OUT].watch.fd >= 0)
        ioctl(e->pumps[PUMP_OUT].watch.fd, TIOCSWINSZ, &size); /* the kernel sends SIGWINCH */
}

/* The other end is opened through the first: what a program may have put at its name plays no
 * part. */
static int open_terminal(struct exec *e, struct exec_child_fds *child, struct sa_error *err)
{
    struct winsize size = size_of(e->request->window);
    int unlock = 0, master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (master < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no terminal for the program");
    e->pumps[PUMP_OUT].watch.fd = master;
    if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCSWINSZ, &size) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no terminal for the program");
    child->fds[0] = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (child->fds[0] < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no terminal for the program");
    e->feeds[FEED_STDIN].watch.fd = duplicate(master, err);
    return e->feeds[FEED_STDIN].watch.fd < 0 ? -1 : 0;
}

/* The other half of the socket goes on being read. */
static void on_control_closing(struct sa_feed *feed, bool at_end)
{
    (void)at_end;
    shutdown(feed->watch.fd, SHUT_WR);
}

static void on_stdin_closing(struct sa_feed *feed, bool at_end)
{
    struct exec *e = sa_container_of(feed, struct exec, feeds[FEED_STDIN]);
    if (e->tty && at_end)
        exec_io_hang_up(e);
}

void exec_io_init(struct exec *e)
{
    exec_out_init(e);
    sa_feed_init(&e->feeds[FEED_STDIN], e->call.stream, on_stdin_closing);
    sa_feed_init(&e->feeds[FEED_CONTROL], e->call.stream, on_control_closing);
}

int exec_io_open(struct exec *e, struct exec_child_fds *child, struct sa_error *err)
{
    e->tty = e->request->window > 0;
    e->control = e->request->control;
    exec_io_init(e);
    if ((e->tty ? open_terminal : open_pipes)(e, child, err) < 0)
        return -1;
    return e->control ? open_control(e, child, err) : 0;
}

/* With the last descriptor of ours the kernel hangs the terminal up: SIGHUP to its session. */
void exec_io_hang_up(struct exec *e)
{
    e->hang_up = e->request != NULL;
    if (e->hang_up)
        return;
    exec_out_drain(e);
    exec_out_close(e);
}

void exec_io_start(struct exec *e)
{
    exec_out_start(e);
    if (e->hang_up)
        exec_io_hang_up(e);
}

void exec_io_finish(struct exec *e)
{
    exec_out_finish(e);
    exec_io_close(e);
}

void exec_io_close(struct exec *e)
{
    exec_out_close(e);
    for (int i = 0; i < FEEDS; i++)
        sa_feed_deinit(&e->feeds[i]);
}
