#include "box.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- starting --- */

/* Who root's box runs as: its files in /proc/1 belong to the real root, so it must be another. */
enum { OUTSIDE_ID = 231000, INSIDE_ID = 1000 };

static void must(bool ok, const char *what)
{
    if (!ok)
        fail_msg("%s: %s", what, strerror(errno));
}

static void add_filter(struct sa_buf *boot, const char *name, const struct sock_filter *program,
                       size_t bytes)
{
    sa_autobuf filter = SA_BUF_INIT;
    sa_fields_add_text(&filter, SA_FILTER_NAME, name);
    sa_fields_add_bytes(&filter, SA_FILTER_PROGRAM, program, bytes);
    sa_fields_add_bytes(boot, SA_BOOT_FILTER, filter.data, filter.length);
}

static int make_boot(const struct box *box, const struct box_options *o)
{
    static const struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    sa_autobuf boot = SA_BUF_INIT;
    sa_fields_add_text(&boot, SA_BOOT_ENV, "PATH=/usr/bin:/bin");
    sa_fields_add_text(&boot, SA_BOOT_ENV, "FROM_BOOT=yes");
    sa_fields_add_text(&boot, SA_BOOT_ROOT, box->ws);
    sa_fields_add_text(&boot, SA_BOOT_ROOT, box->tmp);
    sa_fields_add_text(&boot, SA_BOOT_READ_ROOT, "/usr");
    sa_fields_add_int(&boot, SA_BOOT_ORPHAN_MS, o->orphan_ms ? o->orphan_ms : 1);
    if (!o->no_filter)
        add_filter(&boot, "default", allow, sizeof allow);
    if (o->max_pids) {
        char text[40];
        snprintf(text, sizeof text, "nproc=%d", o->max_pids);
        sa_fields_add_text(&boot, SA_BOOT_RLIMIT, text);
    }
    if (o->add_boot)
        o->add_boot(&boot);
    int fd = memfd_create("boot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    must(fd >= 0 && sa_write_all(fd, boot.data, boot.length) == 0, "boot block");
    must(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) == 0, "seal");
    return fd;
}

static void child_must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "box: %s: %s\n", what, strerror(errno));
    _exit(99);
}

static void add_kernel(const struct box *box, const char *name)
{
    char path[200], source[1024];
    static char text[256 * 1024];
    snprintf(source, sizeof source, "%s/%s", KERNELS_PATH, name);
    snprintf(path, sizeof path, "%s/secureagent/kernels/%s", box->tmp, name);
    sa_autoclose int from = open(source, O_RDONLY | O_CLOEXEC);
    ssize_t n = from < 0 ? -1 : read(from, text, sizeof text);
    sa_autoclose int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    child_must(n > 0 && to >= 0 && sa_write_all(to, text, (size_t)n) == 0, name);
}

/* Laid over /etc, in the box only. */
static void add_kernels(const struct box *box)
{
    char path[200], data[200];
    snprintf(path, sizeof path, "%s/secureagent", box->tmp);
    child_must(mkdir(path, 0755) == 0, "secureagent");
    snprintf(path, sizeof path, "%s/secureagent/kernels", box->tmp);
    child_must(mkdir(path, 0755) == 0, "kernels");
    add_kernel(box, "template.py");
    add_kernel(box, "python.py");
    snprintf(data, sizeof data, "lowerdir=%s:/etc", box->tmp);
    child_must(mount("overlay", "/etc", "overlay", 0, data) == 0, "overlay");
    child_must(mount("tmpfs", box->tmp, "tmpfs", MS_NOSUID | MS_NODEV, "mode=777") == 0, "tmpfs");
}

/* Loopback is up, nothing but the box's own is writable, and the folder of message queues is there.
 */
static int become_sealable(void)
{
    struct {
        uint64_t attr_set, attr_clr, propagation, userns_fd;
    } attr = {.attr_set = 1 /* MOUNT_ATTR_RDONLY */};
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    sa_autoclose int net = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    child_must(ioctl(net, SIOCSIFFLAGS, &lo) == 0, "loopback");
    child_must(syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof attr) == 0,
               "read-only");
    sa_autoclose int context = fsopen("mqueue", FSOPEN_CLOEXEC);
    child_must(context >= 0 && fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0,
               "fsopen");
    int queues = fsmount(context, FSMOUNT_CLOEXEC, 0);
    child_must(queues >= 0, "fsmount");
    return queues;
}

static _Noreturn void become_runtime(const struct box *box, const struct box_options *o,
                                     int door_fd, int boot_fd, int binary, int go)
{
    char byte, data[64];
    child_must(read(go, &byte, 1) == 1, "go"); /* the maps are written */
    child_must(setgid(INSIDE_ID) == 0 && setuid(INSIDE_ID) == 0, "setuid");
    child_must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
    int queues = o->sealable ? become_sealable() : -1;
    snprintf(data, sizeof data, "mode=755,size=%s", o->ws_size ? o->ws_size : "256m");
    child_must(mount("tmpfs", box->ws, "tmpfs", MS_NOSUID | MS_NODEV, data) == 0, "tmpfs");
    child_must(mount("tmpfs", box->tmp, "tmpfs", MS_NOSUID | MS_NODEV, "mode=777") == 0, "tmpfs");
    if (o->kernels)
        add_kernels(box);
    child_must(mount("proc", "/proc", "proc", 0, NULL) == 0, "proc");
    door_fd = fcntl(door_fd, F_DUPFD_CLOEXEC, 10);
    boot_fd = fcntl(boot_fd, F_DUPFD_CLOEXEC, 10);
    binary = fcntl(binary, F_DUPFD_CLOEXEC, 10);
    queues = queues < 0 ? -1 : fcntl(queues, F_DUPFD_CLOEXEC, 10);
    child_must(queues < 0 || dup2(queues, 5) == 5, "queues");
    child_must(dup2(boot_fd, 4) == 4 && dup2(door_fd, 3) == 3, "descriptors");
    char *argv[] = {"execution-runtime", NULL}, *env[] = {"ASAN_OPTIONS=detect_leaks=0", NULL};
    fexecve(binary, argv, env); /* its folder may be closed to that user */
    child_must(false, RUNTIME_PATH);
    _exit(99);
}

static void write_map(pid_t pid, const char *file, unsigned outside)
{
    char path[64], text[64];
    struct sa_error err;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    snprintf(text, sizeof text, "%d %u 1", INSIDE_ID, outside);
    if (sa_write_file(AT_FDCWD, path, text, &err) < 0)
        fail_msg("%s", err.message);
}

static void make_folders(struct box *box)
{
    snprintf(box->dir, sizeof box->dir, "/tmp/sa-box-XXXXXX");
    must(mkdtemp(box->dir) != NULL && chmod(box->dir, 0755) == 0, "mkdtemp");
    snprintf(box->ws, sizeof box->ws, "%s/ws", box->dir);
    snprintf(box->tmp, sizeof box->tmp, "%s/tmp", box->dir);
    must(mkdir(box->ws, 0755) == 0 && mkdir(box->tmp, 0755) == 0, "mkdir");
}

static void on_data(void *owner, struct sa_stream *stream, enum sa_link_channel channel,
                    const void *data, size_t length)
{
    struct reply *r = sa_stream_user(stream);
    (void)owner;
    r->got[channel] += length;
    if (r->tap)
        r->tap(r, (int)channel, data, length);
    if (!r->discard)
        sa_buf_add(&r->out[channel], data, length);
    if (r->hold)
        r->held += length;
    else
        sa_stream_consume(stream, length);
}

static void on_eof(void *owner, struct sa_stream *stream, enum sa_link_channel channel)
{
    struct reply *r = sa_stream_user(stream);
    (void)owner;
    r->eof[channel] = true;
}

static void on_note(void *owner, struct sa_stream *stream, const void *body, size_t length)
{
    struct reply *r = sa_stream_user(stream);
    (void)owner;
    sa_buf_add(&r->notes, body, length);
    r->note_count++;
    if (r->hold)
        r->held += sa_stream_keep_note(stream);
}

static void push(struct reply *r)
{
    size_t n = sa_stream_write(r->stream, r->send_channel, r->send, r->send_left);
    r->send += n;
    r->send_left -= n;
    if (!r->send_left && r->send_eof)
        sa_stream_eof(r->stream, r->send_channel);
}

static void on_writable(void *owner, struct sa_stream *stream)
{
    (void)owner;
    push(sa_stream_user(stream));
}

static void on_ended(void *owner, struct sa_stream *stream, const void *body, size_t length)
{
    struct reply *r = sa_stream_user(stream);
    struct sa_fields reader;
    struct sa_field f;
    (void)owner;
    r->ended = true;
    r->stream = NULL;
    sa_buf_add(&r->result, body, length);
    sa_fields_init(&reader, body, length);
    if (sa_fields_next(&reader, &f, NULL) == 1 && f.tag == SA_LINK_END_ERROR) {
        r->failed = true;
        assert_int_equal(sa_field_error(&f, &r->error, NULL), 0);
    }
}

static bool is_ready(void *arg)
{
    struct box *box = arg;
    return sa_link_is_ready(box->link);
}

static const struct sa_link_events events = {
    .data = on_data, .eof = on_eof, .note = on_note, .writable = on_writable, .ended = on_ended};

void box_connect(struct box *box)
{
    int pair[2];
    struct sa_link_options link_options = {
        .role = SA_LINK_CONTROL, .name = "box", .events = &events, .owner = box};
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
    must(sa_send_fds(box->door, "", 1, &pair[1], 1, 0) == 1, "the door");
    close(pair[1]);
    box->socket = pair[0];
    box->link = sa_link_new(&link_options);
    box->closed = false;
}

void box_await(struct box *box)
{
    if (!box_run(box, 60000, is_ready, box))
        fail_msg("no HELLO from the runtime");
}

void box_disconnect(struct box *box)
{
    close(box->socket);
    sa_link_free(box->link);
}

void box_start(struct box *box, const struct box_options *options)
{
    static const struct box_options none;
    int door[2], go[2];
    *box = (struct box){.pid = -1, .door = -1};
    options = options ? options : &none;
    make_folders(box);
    int boot = make_boot(box, options), binary = open(RUNTIME_PATH, O_RDONLY | O_CLOEXEC);
    must(binary >= 0, RUNTIME_PATH);
    must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, door) == 0, "socketpair");
    must(pipe2(go, O_CLOEXEC) == 0, "pipe");
    long flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | SIGCHLD;
    if (options->sealable)
        flags |= CLONE_NEWNET | CLONE_NEWIPC;
    box->pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
    must(box->pid >= 0, "clone");
    if (box->pid == 0)
        become_runtime(box, options, door[1], boot, binary, go[0]);
    write_map(box->pid, "uid_map", getuid() ? getuid() : OUTSIDE_ID);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/setgroups", box->pid);
    must(sa_write_file(AT_FDCWD, path, "deny", NULL) == 0, "setgroups");
    write_map(box->pid, "gid_map", getuid() ? getgid() : OUTSIDE_ID);
    box->door = door[0];
    box_connect(box); /* before it can miss one */
    must(write(go[1], "x", 1) == 1, "go");
    close(go[0]);
    close(go[1]);
    close(boot);
    close(binary);
    close(door[1]);
    box_await(box);
}

void box_stop(struct box *box, int status)
{
    int got;
    close(box->socket);
    must(waitpid(box->pid, &got, 0) == box->pid, "waitpid");
    close(box->door);
    assert_true(WIFEXITED(got));
    assert_int_equal(WEXITSTATUS(got), status);
    sa_link_free(box->link);
    must(rmdir(box->ws) == 0 && rmdir(box->tmp) == 0 && rmdir(box->dir) == 0, "rmdir");
}

int box_end(void **state)
{
    struct box *box = *state;
    assert_int_equal(sa_link_stream_count(box->link), 0);
    box_stop(box, 0);
    return 0;
}

int box_empty(void **state)
{
    shell_out(*state, "chmod -R u+rwx . 2>/dev/null; find . -mindepth 1 -delete; rm -rf ../tmp/*");
    return 0;
}

/* --- moving bytes --- */

static void flush(struct box *box)
{
    struct iovec v[8];
    struct msghdr m = {.msg_iov = v};
    while ((m.msg_iovlen = sa_link_output(box->link, v, 8)) > 0) {
        ssize_t n = sendmsg(box->socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return; /* full, or closed: reading will tell */
        sa_link_consumed_output(box->link, (size_t)n);
    }
}

bool box_run(struct box *box, int timeout_ms, bool (*done)(void *arg), void *arg)
{
    static char buffer[256 * 1024];
    int64_t until = sa_monotonic_ms() + timeout_ms;
    while (!done(arg)) {
        flush(box);
        int64_t left = until - sa_monotonic_ms();
        if (left <= 0 || box->closed)
            return false;
        struct pollfd p = {.fd = box->socket, .events = POLLIN};
        if (sa_link_output_bytes(box->link))
            p.events |= POLLOUT;
        if (poll(&p, 1, (int)left) <= 0 || !(p.revents & (POLLIN | POLLHUP)))
            continue;
        ssize_t n = recv(box->socket, buffer, sizeof buffer, MSG_DONTWAIT);
        struct sa_error err;
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            box->closed = true;
        else if (n > 0 && sa_link_feed(box->link, buffer, (size_t)n, &err) < 0)
            fail_msg("link: %s", err.message);
    }
    flush(box);
    return true;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

void box_idle(struct box *box, int ms)
{
    box_run(box, ms, never, NULL);
}

struct reply *box_open(struct box *box, int method, const struct sa_buf *body)
{
    struct sa_error err;
    struct reply *r = sa_alloc(sizeof *r);
    r->box = box;
    r->stream = sa_link_open(box->link, (uint16_t)method, body ? body->data : NULL,
                             body ? body->length : 0, r, &err);
    if (!r->stream)
        fail_msg("open: %s", err.message);
    return r;
}

void reply_free(struct reply *r)
{
    for (int i = 0; i < SA_CHANNELS; i++)
        sa_buf_deinit(&r->out[i]);
    sa_buf_deinit(&r->notes);
    sa_buf_deinit(&r->result);
    assert_true(r->ended); /* or callbacks would find freed memory */
    free(r);
}

static bool has_ended(void *arg)
{
    return ((struct reply *)arg)->ended;
}

bool reply_wait_for(struct reply *r, int timeout_ms)
{
    return box_run(r->box, timeout_ms, has_ended, r);
}

void reply_wait(struct reply *r)
{
    if (!reply_wait_for(r, 60000))
        fail_msg("%s", r->box->closed ? "the link was closed" : "no END within 60 s");
}

struct bytes {
    struct reply *reply;
    int channel;
    size_t bytes;
};

static bool has_bytes(void *arg)
{
    struct bytes *b = arg;
    return b->reply->got[b->channel] >= b->bytes;
}

void reply_wait_bytes(struct reply *r, int channel, size_t bytes)
{
    struct bytes b = {r, channel, bytes};
    if (!box_run(r->box, 60000, has_bytes, &b))
        fail_msg("%zu bytes on channel %d, expected %zu", r->got[channel], channel, bytes);
}

void reply_send(struct reply *r, const char *data, size_t length, bool eof)
{
    r->send = data;
    r->send_left = length;
    r->send_eof = eof;
    push(r);
}

/* --- fields --- */

static bool find(const struct sa_buf *body, int tag, struct sa_field *f)
{
    struct sa_fields reader;
    sa_fields_init(&reader, body->data, body->length);
    while (sa_fields_next(&reader, f, NULL) > 0)
        if (f->tag == tag)
            return true;
    return false;
}

int64_t body_int(const struct sa_buf *body, int tag)
{
    struct sa_field f;
    int64_t value;
    return find(body, tag, &f) && sa_field_int(&f, &value, NULL) == 0 ? value : -1;
}

const char *body_text(const struct sa_buf *body, int tag)
{
    static char text[4096];
    struct sa_field f;
    return find(body, tag, &f) && sa_field_text_into(&f, text, sizeof text, NULL) == 0 ? text : "";
}

int64_t reply_int(const struct reply *r, int tag)
{
    return body_int(&r->result, tag);
}

const char *reply_text(const struct reply *r, int tag)
{
    return body_text(&r->result, tag);
}

/* --- programs --- */

static void add_argv_list(struct sa_buf *body, const char *program, va_list ap)
{
    for (const char *arg = program; arg; arg = va_arg(ap, const char *))
        sa_fields_add_text(body, SA_EXEC_ARGV, arg);
}

void add_argv(struct sa_buf *body, const char *program, ...)
{
    va_list ap;
    va_start(ap, program);
    add_argv_list(body, program, ap);
    va_end(ap);
}

struct reply *exec_start(struct box *box, const char *program, ...)
{
    sa_autobuf body = SA_BUF_INIT;
    va_list ap;
    va_start(ap, program);
    add_argv_list(&body, program, ap);
    va_end(ap);
    return box_open(box, SA_METHOD_EXEC, &body);
}

struct reply *exec_body(struct box *box, struct sa_buf *body)
{
    return box_open(box, SA_METHOD_EXEC, body);
}

struct reply *shell(struct box *box, const char *script, const struct sa_buf *extra)
{
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "sh", "-c", script, NULL);
    if (extra)
        sa_buf_add(&body, extra->data, extra->length);
    struct reply *r = exec_body(box, &body);
    reply_wait(r);
    return r;
}

const char *shell_out(struct box *box, const char *script)
{
    static char text[65536];
    struct reply *r = shell(box, script, NULL);
    assert_exit(r, 0);
    snprintf(text, sizeof text, "%s", r->out[1].data ? r->out[1].data : "");
    reply_free(r);
    return text;
}
