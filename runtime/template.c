#include "template.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "poller.h"
#include "proc.h"
#include "setup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEMPLATE_FILE "/etc/secureagent/kernels/template.py"

enum {
    REQUEST_MAX = 128 * 1024, /* larger ones are for the ordinary way */
    FAILURES_MAX = 3,         /* in a row: there is no use */
    ASKED_MAX_US = 60 * 1000 * 1000,
    COMING_US = 100 * 1000, /* one that takes longer is not waited for */
};

/* What was wanted: interpreter, program and modules, each ended by a NUL, and the filter. */
struct wish {
    struct sa_buf texts;
    const struct sa_filter *filter;
};

static struct {
    struct sa_watch control; /* to the template */
    struct sa_watch spare;   /* to the spare; from when it is asked for */
    pid_t pid, spare_pid;    /* spare_pid: once it is ready */
    int64_t asked_us;
    unsigned failures;
    bool has_kernel; /* its last spare said so */
    struct wish wanted, is;
    void (*ready)(void);
} template = {.control.fd = -1, .spare.fd = -1};

static bool same_wish(void)
{
    const struct wish *a = &template.wanted, *b = &template.is;
    return a->filter == b->filter && a->texts.length == b->texts.length &&
           !memcmp(a->texts.data, b->texts.data, a->texts.length);
}

static void add_text(struct sa_buf *out, const char *text)
{
    sa_buf_add(out, text, strlen(text) + 1);
}

/* The same interpreter, program and filter as were wanted last, whatever the modules. */
static bool is_wanted(char **argv, const struct sa_filter *filter)
{
    const struct sa_buf *texts = &template.wanted.texts;
    const size_t first = strlen(argv[0]) + 1, second = strlen(argv[2]) + 1;
    return template.wanted.filter == filter && texts->length >= first + second &&
           memcmp(texts->data, argv[0], first) == 0 &&
           memcmp(texts->data + first, argv[2], second) == 0;
}

void sa_template_want(char **argv, char **imports, const struct sa_filter *filter)
{
    struct wish *w = &template.wanted;
    if ((!imports || !*imports) && is_wanted(argv, filter))
        return; /* it may have imported more than is asked for */
    sa_buf_deinit(&w->texts);
    add_text(&w->texts, argv[0]);
    add_text(&w->texts, argv[2]);
    for (; imports && *imports; imports++)
        add_text(&w->texts, *imports);
    w->filter = filter;
}

static void drop_spare(void)
{
    sa_watch_close(&template.spare);
    template.spare_pid = 0;
}

/* It ended, or is to: without its socket it cannot serve. */
static void drop_template(void)
{
    if (template.pid)
        kill(template.pid, SIGKILL);
    template.pid = 0;
    template.has_kernel = false;
    sa_watch_close(&template.control);
    drop_spare();
}

void sa_template_renew(void)
{
    if (template.pid)
        drop_template();
    template.failures = 0;
    sa_template_prepare();
}

void sa_template_drop(void)
{
    drop_template();
    sa_buf_deinit(&template.wanted.texts);
    sa_buf_deinit(&template.is.texts);
    template.failures = 0;
}

bool sa_template_is_there(void)
{
    return template.pid != 0;
}

void sa_template_reaped(pid_t pid)
{
    if (pid != template.pid)
        return;
    template.pid = 0;
    template.failures++;
    drop_template();
}

/* It never says anything. */
static void control_ready(struct sa_watch *watch, uint32_t events)
{
    (void)watch, (void)events;
    drop_template();
    template.failures++;
}

/* Who sent it is told by the kernel. Its end, or anything unexpected, ends the spare. */
static void spare_ready(struct sa_watch *watch, uint32_t events)
{
    char text[4];
    struct iovec part = {text, sizeof text};
    _Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(struct ucred))];
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct ucred from;
    (void)events;
    ssize_t n = recvmsg(watch->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    const struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    if (!c || c->cmsg_type != SCM_CREDENTIALS || template.spare_pid) {
        drop_spare();
        return;
    }
    memcpy(&from, CMSG_DATA(c), sizeof from);
    template.spare_pid = from.pid > 1 ? from.pid : 0;
    template.has_kernel = text[0] == 'k';
    template.failures = 0;
    if (template.spare_pid && template.ready)
        template.ready();
}

bool sa_template_has_kernel(const char *interpreter, const struct sa_filter *filter)
{
    return template.has_kernel && template.is.filter == filter &&
           strcmp(template.is.texts.data, interpreter) == 0;
}

void sa_template_on_ready(void (*ready)(void))
{
    template.ready = ready;
}

bool sa_template_is_coming(void)
{
    return template.pid && template.spare.fd >= 0 && !template.spare_pid && same_wish() &&
           sa_poller_now_us() - template.asked_us < COMING_US;
}

/* Sends with descriptors; -1 when that cannot be done at once. */
static int send_with(int socket, const void *data, size_t length, const int *fds, size_t count)
{
    struct iovec part = {(void *)(uintptr_t)data, length};
    _Alignas(struct cmsghdr) char space[CMSG_SPACE(4 * sizeof(int))] = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count) {
        message.msg_control = space;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    }
    return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)length ? 0 : -1;
}

static void ask_for_spare(void)
{
    int fds[2], on = 1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return;
    template.spare = (struct sa_watch){.fd = fds[0], .ready = spare_ready};
    template.asked_us = sa_poller_now_us();
    if (setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 ||
        send_with(template.control.fd, "p", 1, &fds[1], 1) < 0 ||
        sa_watch_set(&template.spare, EPOLLIN) < 0)
        drop_spare();
    close(fds[1]);
}

/* INTERPRETER TEMPLATE_FILE PROGRAM MODULE... from the texts of the wish. */
static void make_argv(const struct wish *w, char **argv, size_t most)
{
    size_t n = 0;
    for (char *t = w->texts.data; t < w->texts.data + w->texts.length && n + 1 < most;
         t += strlen(t) + 1) {
        argv[n++] = t;
        if (n == 1)
            argv[n++] = TEMPLATE_FILE;
    }
    argv[n] = NULL;
}

/* Its standard descriptors are pipes, as those of programs will be, with nobody behind them. It has
 * the filter of the programs from the start: modules, and what the interpreter runs before them
 * (*.pth of the user's folder), are files that programs may have written. */
static pid_t spawn_template(int socket)
{
    static const struct sa_rlimits none;
    char *argv[SA_TEMPLATE_IMPORTS_MAX + 4];
    int in[2] = {-1, -1}, out[2] = {-1, -1}, result = -1;
    pid_t pid = -1;
    make_argv(&template.is, argv, SA_COUNT(argv));
    if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0) {
        struct sa_spawn spawn = {.argv = argv,
                                 .env = sa_setup_env(),
                                 .cwd = "/",
                                 .filter = template.is.filter,
                                 .boot_limits = &sa_boot.rlimits,
                                 .limits = &none,
                                 .stdin_fd = in[0],
                                 .stdout_fd = out[1],
                                 .stderr_fd = out[1],
                                 .extra_fd = socket};
        pid = sa_spawn_start(&spawn, &result, NULL);
    }
    const int all[] = {in[0], in[1], out[0], out[1], result};
    for (size_t i = 0; i < SA_COUNT(all); i++)
        if (all[i] >= 0)
            close(all[i]);
    return pid;
}

static void start_template(void)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return;
    sa_buf_deinit(&template.is.texts);
    sa_buf_add(&template.is.texts, template.wanted.texts.data, template.wanted.texts.length);
    template.is.filter = template.wanted.filter;
    template.control = (struct sa_watch){.fd = fds[0], .ready = control_ready};
    pid_t pid = spawn_template(fds[1]);
    close(fds[1]);
    template.pid = pid > 0 ? pid : 0;
    if (pid < 0 || sa_watch_set(&template.control, EPOLLIN) < 0) {
        template.failures++;
        drop_template();
    }
}

void sa_template_prepare(void)
{
    bool stuck = template.spare.fd >= 0 && !template.spare_pid &&
                 sa_poller_now_us() - template.asked_us > ASKED_MAX_US;
    if (!template.wanted.texts.length)
        return;
    template.failures += stuck;
    if (!same_wish())
        template.failures = 0;
    if (stuck || !same_wish())
        drop_template();
    if (!template.pid && template.failures < FAILURES_MAX)
        start_template();
    if (template.pid && template.spare.fd < 0)
        ask_for_spare();
}

/* --- a request --- */

static uint32_t count_texts(char **list)
{
    uint32_t n = 0;
    while (list[n])
        n++;
    return n;
}

static void add_limits(struct sa_buf *out, const struct sa_rlimits *limits)
{
    for (size_t i = 0; i < limits->count; i++) {
        int32_t what = limits->items[i].resource;
        uint64_t values[2] = {limits->items[i].limit.rlim_cur, limits->items[i].limit.rlim_max};
        sa_buf_add(out, &what, sizeof what);
        sa_buf_add(out, values, sizeof values);
    }
}

static void add_request(struct sa_buf *out, const struct sa_spawn *s)
{
    uint32_t counts[3] = {(uint32_t)s->limits->count, count_texts(s->argv), count_texts(s->env)};
    sa_buf_add(out, counts, sizeof counts);
    add_limits(out, s->limits);
    add_text(out, s->cwd);
    for (char **t = s->argv; *t; t++)
        add_text(out, *t);
    for (char **t = s->env; *t; t++)
        add_text(out, *t);
}

pid_t sa_template_take(const struct sa_spawn *s, int *result_fd)
{
    sa_autobuf request = SA_BUF_INIT;
    const int fds[] = {s->stdin_fd, s->stdout_fd, s->stderr_fd, s->extra_fd};
    pid_t pid = template.spare_pid;
    if (!pid || !same_wish())
        return 0;
    add_request(&request, s);
    if (request.length > REQUEST_MAX)
        return 0;
    if (sa_proc_mark(pid, s->mark) < 0 || send_with(template.spare.fd, request.data, request.length,
                                                    fds, s->extra_fd < 0 ? 3 : 4) < 0) {
        drop_spare();
        return 0;
    }
    sa_watch_set(&template.spare, 0);
    *result_fd = sa_steal_fd(&template.spare.fd);
    template.spare_pid = 0;
    return pid;
}

enum sa_template_answer sa_template_result(const struct sa_spawn *s, int result_fd,
                                           struct sa_error *err)
{
    struct sa_spawn_failure answer;
    ssize_t n = recv(result_fd, &answer, sizeof answer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return SA_TEMPLATE_UNKNOWN;
    if (n != sizeof answer)
        return SA_TEMPLATE_LOST;
    if (answer.step == SA_STEP_RUNS)
        return SA_TEMPLATE_RUNS;
    sa_spawn_describe(s, &answer, err);
    return SA_TEMPLATE_FAILED;
}
