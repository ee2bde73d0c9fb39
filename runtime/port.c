/*
 * The PORT_CONNECT method: a connection to a server inside, carried over the link. It is half
 * closed in either direction as its ends are. Servers are programs of the sandbox: they may be
 * slow, silent, or not there, and cost nobody but their own stream anything.
 */
#include "base/cleanup.h"
#include "call.h"
#include "feed.h"
#include "poller.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_US = 5 * 1000 * 1000 /* until a server takes the connection */ };

struct port {
    struct sa_call call;
    struct sa_watch in;    /* connecting, then what the server sends */
    struct sa_feed out;    /* a duplicate, for what it gets */
    struct sa_timer timer; /* until it is connected; then to look whether it is over */
    uint16_t number;
    bool v6, connected, note_due, paused, out_closed;
};

static void port_free(struct port *p)
{
    sa_watch_close(&p->in);
    sa_feed_deinit(&p->out);
    sa_timer_clear(&p->timer);
}

static void port_fail(struct port *p, enum sa_code code, const char *what, int error)
{
    struct sa_error e;
    if (error)
        sa_error_sys(&e, code, error, "port %u: %s", p->number, what);
    else
        sa_error_set(&e, code, "port %u: %s", p->number, what);
    port_free(p);
    sa_call_fail(&p->call, &e);
}

static void port_check(struct port *p)
{
    static const struct sa_buf nothing;
    if (!p->connected || p->in.fd >= 0 || !p->out_closed)
        return;
    port_free(p);
    sa_call_end(&p->call, &nothing);
}

/* --- what the server sends --- */

static void pause_reading(struct port *p)
{
    p->paused = true;
    sa_watch_set(&p->in, 0);
}

static void read_once(struct port *p)
{
    size_t room = SA_LINK_PAYLOAD_MAX;
    void *to = sa_stream_reserve(p->call.stream, SA_CHANNEL_OUT, &room);
    if (!to) {
        pause_reading(p);
        return;
    }
    ssize_t n = read(p->in.fd, to, room);
    int error = errno;
    sa_stream_commit(p->call.stream, n > 0 ? (size_t)n : 0);
    if (n > 0 || (n < 0 && (error == EAGAIN || error == EINTR)))
        return;
    if (n < 0) {
        port_fail(p, SA_EUNAVAILABLE, "the server broke the connection", error);
        return;
    }
    sa_watch_close(&p->in);
    sa_stream_eof(p->call.stream, SA_CHANNEL_OUT);
    port_check(p);
}

/* --- connecting --- */

static void send_note(struct port *p)
{
    sa_autobuf note = SA_BUF_INIT;
    sa_fields_add_int(&note, SA_PORT_NUMBER, p->number);
    p->note_due = sa_stream_note(p->call.stream, note.data, note.length) < 0;
    sa_watch_set(&p->in, p->note_due ? 0 : EPOLLIN);
}

static void is_connected(struct port *p)
{
    int on = 1;
    setsockopt(p->in.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    p->connected = true;
    sa_timer_clear(&p->timer);
    p->out.watch.fd = fcntl(p->in.fd, F_DUPFD_CLOEXEC, 3);
    if (p->out.watch.fd < 0) {
        port_fail(p, SA_EUNAVAILABLE, "no descriptor", errno);
        return;
    }
    send_note(p);
    sa_feed_release(&p->out);
}

static int start_connecting(struct port *p)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_port = htons(p->number),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(p->number), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    p->in.fd = socket(p->v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->in.fd < 0)
        return -1;
    return p->v6 ? connect(p->in.fd, (struct sockaddr *)&v6, sizeof v6)
                 : connect(p->in.fd, (struct sockaddr *)&v4, sizeof v4);
}

/* The result of a connect(2): 0, or an errno. The call may be gone afterwards. */
static void connect_known(struct port *p, int error)
{
    while (error && error != EINPROGRESS && !p->v6) {
        sa_watch_close(&p->in);
        p->v6 = true;
        error = start_connecting(p) == 0 ? 0 : errno;
    }
    if (error == EINPROGRESS)
        sa_watch_set(&p->in, EPOLLOUT);
    else if (error)
        port_fail(p, SA_EUNAVAILABLE, "nobody listens there", error);
    else
        is_connected(p);
}

static void port_ready(struct sa_watch *watch, uint32_t events)
{
    struct port *p = sa_container_of(watch, struct port, in);
    int error = 0;
    socklen_t size = sizeof error;
    (void)events;
    if (p->connected) {
        read_once(p);
        return;
    }
    if (getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    connect_known(p, error);
}

static void timer_fire(struct sa_timer *timer)
{
    struct port *p = sa_container_of(timer, struct port, timer);
    if (p->connected)
        port_check(p);
    else
        port_fail(p, SA_EUNAVAILABLE, "the server does not take the connection", ETIMEDOUT);
}

/* --- what arrives on the stream --- */

static void on_closing(struct sa_feed *feed, bool at_end)
{
    struct port *p = sa_container_of(feed, struct port, out);
    (void)at_end;
    shutdown(feed->watch.fd, SHUT_WR);
    p->out_closed = true;
    sa_timer_set(&p->timer, 0); /* to look whether that was all; not in here, where it is used */
}

static void on_data(struct sa_call *call, enum sa_link_channel channel, const void *data,
                    size_t length)
{
    struct port *p = (struct port *)call;
    if (channel == SA_CHANNEL_IN)
        sa_feed_data(&p->out, data, length);
    else
        sa_stream_consume(call->stream, length);
}

static void on_eof(struct sa_call *call, enum sa_link_channel channel)
{
    struct port *p = (struct port *)call;
    if (channel != SA_CHANNEL_IN)
        return;
    sa_feed_eof(&p->out);
}

static void on_writable(struct sa_call *call)
{
    struct port *p = (struct port *)call;
    if (p->note_due) {
        send_note(p);
    } else if (p->paused) {
        p->paused = false;
        sa_watch_set(&p->in, EPOLLIN);
    }
}

static void on_canceled(struct sa_call *call)
{
    struct port *p = (struct port *)call;
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    int fd = p->in.fd >= 0 ? p->in.fd : p->out.watch.fd;
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    port_fail(p, SA_ECANCELED, "canceled", 0);
}

static const struct sa_method method = {
    .data = on_data, .eof = on_eof, .writable = on_writable, .canceled = on_canceled};

static int decode(const void *body, size_t length, int64_t *number, struct sa_error *err)
{
    struct sa_fields reader;
    struct sa_field f;
    int more;
    *number = 0;
    sa_fields_init(&reader, body, length);
    while ((more = sa_fields_next(&reader, &f, err)) > 0)
        if (f.tag == SA_PORT_NUMBER && sa_field_int(&f, number, err) < 0)
            return -1;
    if (more < 0)
        return -1;
    if (*number < 1 || *number > UINT16_MAX)
        return sa_error_at(err, SA_EINVALID, "port", "%lld is not from 1 to 65535",
                           (long long)*number);
    return 0;
}

void sa_port_connect_open(struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_error error;
    int64_t number;
    if (decode(body, length, &number, &error) < 0) {
        sa_stream_end_error(stream, &error);
        return;
    }
    struct port *p = sa_call_new(sizeof *p, &method, stream);
    p->number = (uint16_t)number;
    p->in = (struct sa_watch){.fd = -1, .ready = port_ready};
    p->timer.fire = timer_fire;
    sa_feed_init(&p->out, stream, on_closing);
    p->out.held = true;
    sa_timer_set(&p->timer, PATIENCE_US);
    connect_known(p, start_connecting(p) == 0 ? 0 : errno);
}
