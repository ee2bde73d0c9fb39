#include "conn.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/failpoint.h"
#include "call.h"
#include "door.h"
#include "poller.h"
#include "reset.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum {
    RECEIVE_BYTES = 128 * 1024,
    OUTPUT_HIGH_BYTES = 512 * 1024,
    VECTORS = 16,
    REST_US = 1000 * 1000,
};

/* A connection that is gone, while calls of it are still on their way out. */
struct lost {
    struct sa_link *link;
    struct lost *next;
};

static struct sa_link *the_link; /* NULL: no connection */
static struct lost *lost_links;
static struct sa_watch watch = {.fd = -1};
static struct sa_call *calls;
static _Alignas(4096) char received[RECEIVE_BYTES];
static struct sa_timer rest_timer;

/* --- calls --- */

/* Nothing has been asked for a while: be small again. */
static void rest(struct sa_timer *timer)
{
    (void)timer;
    if (calls)
        return;
    madvise(received, sizeof received, MADV_DONTNEED);
    malloc_trim(0);
}

void *sa_call_new(size_t bytes, const struct sa_method *method, struct sa_stream *stream)
{
    struct sa_call *call = sa_alloc(bytes);
    call->method = method;
    call->stream = stream;
    sa_stream_set_user(stream, call);
    DL_APPEND(calls, call);
    return call;
}

static void free_lost(void)
{
    for (struct lost **at = &lost_links, *l; (l = *at);) {
        if (sa_link_stream_count(l->link)) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        sa_link_free(l->link);
        free(l);
    }
}

void sa_call_done(struct sa_call *call)
{
    DL_DELETE(calls, call);
    free(call);
    free_lost();
    if (!calls && !rest_timer.armed)
        sa_timer_set(&rest_timer, REST_US);
}

void sa_call_end(struct sa_call *call, const struct sa_buf *result)
{
    sa_stream_end(call->stream, result->data, result->length);
    sa_call_done(call);
}

void sa_call_fail(struct sa_call *call, const struct sa_error *error)
{
    sa_stream_end_error(call->stream, error);
    sa_call_done(call);
}

static void on_data(void *owner, struct sa_stream *stream, enum sa_link_channel channel,
                    const void *data, size_t length)
{
    struct sa_call *call = sa_stream_user(stream);
    (void)owner;
    if (call->method->data)
        call->method->data(call, channel, data, length);
    else
        sa_stream_consume(stream, length);
}

static void on_eof(void *owner, struct sa_stream *stream, enum sa_link_channel channel)
{
    struct sa_call *call = sa_stream_user(stream);
    (void)owner;
    if (call->method->eof)
        call->method->eof(call, channel);
}

static void on_note(void *owner, struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_call *call = sa_stream_user(stream);
    (void)owner;
    if (call->method->note)
        call->method->note(call, body, length);
}

static void on_writable(void *owner, struct sa_stream *stream)
{
    struct sa_call *call = sa_stream_user(stream);
    (void)owner;
    if (call->method->writable)
        call->method->writable(call);
}

static void on_canceled(void *owner, struct sa_stream *stream)
{
    struct sa_call *call = sa_stream_user(stream);
    (void)owner;
    if (call->method->canceled)
        call->method->canceled(call);
}

bool sa_conn_drop_calls(const struct sa_call *but)
{
    struct sa_call *call, *next;
    DL_FOREACH_SAFE (calls, call, next) {
        if (call == but)
            continue;
        if (call->method->dropped)
            call->method->dropped(call);
        else if (call->method->canceled)
            call->method->canceled(call);
    }
    return calls == but && (!calls || !calls->next);
}

static const struct {
    enum sa_link_method number;
    sa_method_open *open;
} methods[] = {
    {SA_METHOD_EXEC, sa_exec_open},
    {SA_METHOD_FILE_READ, sa_file_read_open},
    {SA_METHOD_FILE_WRITE, sa_file_write_open},
    {SA_METHOD_FILE_STAT, sa_file_stat_open},
    {SA_METHOD_FILE_LIST, sa_file_list_open},
    {SA_METHOD_FILE_MKDIR, sa_file_mkdir_open},
    {SA_METHOD_FILE_MOVE, sa_file_move_open},
    {SA_METHOD_FILE_REMOVE, sa_file_remove_open},
    {SA_METHOD_FILE_COPY, sa_file_copy_open},
    {SA_METHOD_FILE_CHMOD, sa_file_chmod_open},
    {SA_METHOD_FILE_WATCH, sa_file_watch_open},
    {SA_METHOD_FILE_EXPORT, sa_file_export_open},
    {SA_METHOD_FILE_IMPORT, sa_file_import_open},
    {SA_METHOD_USAGE, sa_usage_open},
    {SA_METHOD_PORT_CONNECT, sa_port_connect_open},
    {SA_METHOD_PORT_LIST, sa_port_list_open},
    {SA_METHOD_SHUTDOWN, sa_shutdown_open},
    {SA_METHOD_CLOCK, sa_clock_open},
    {SA_METHOD_SETUP, sa_setup_open},
    {SA_METHOD_SEAL, sa_seal_open},
    {SA_METHOD_RESET, sa_reset_open},
};

static void on_opened(void *owner, struct sa_stream *stream, uint16_t method, const void *body,
                      size_t length)
{
    struct sa_fields reader;
    struct sa_field first;
    struct sa_error error;
    (void)owner;
    /* The engine has checked that the method comes first: the methods see what follows. */
    sa_fields_init(&reader, body, length);
    sa_fields_next(&reader, &first, NULL);
    if (sa_reset_is_running() && method != SA_METHOD_SHUTDOWN) {
        sa_error_set(&error, SA_ECONFLICT, "the sandbox is being reset");
        sa_stream_end_error(stream, &error);
        return;
    }
    for (size_t i = 0; i < SA_COUNT(methods); i++) {
        if (methods[i].number == method) {
            methods[i].open(stream, reader.next, reader.left);
            return;
        }
    }
    sa_error_set(&error, SA_EINVALID, "unknown method %u", method);
    sa_stream_end_error(stream, &error);
}

/* --- bytes --- */

void sa_conn_abandon(void)
{
    struct sa_call *call;
    DL_FOREACH (calls, call) {
        if (call->method->abandon)
            call->method->abandon(call);
    }
}

void sa_conn_exit(int status)
{
    sa_conn_abandon();
    _exit(status);
}

static struct sa_call *call_of(const struct sa_link *link)
{
    struct sa_call *call;
    DL_FOREACH (calls, call)
        if (!call->lost && sa_stream_link(call->stream) == link)
            return call;
    return NULL;
}

/* Whoever was connected is gone, and with him all that he asked for. */
static void lose(void)
{
    struct sa_link *link = sa_steal(&the_link);
    if (!link)
        return;
    sa_watch_close(&watch);
    sa_link_drop(link);
    sa_timers_hold(false);
    for (struct sa_call *call; (call = call_of(link));) {
        call->lost = true;
        if (call->method->canceled)
            call->method->canceled(call);
    }
    struct lost *l = sa_alloc(sizeof *l);
    *l = (struct lost){link, lost_links};
    lost_links = l;
    free_lost();
    sa_door_await();
}

static void complain(const struct sa_error *error)
{
    char text[sizeof error->message + 32];
    int n = snprintf(text, sizeof text, "execution-runtime: link: %s\n", error->message);
    if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
        return;
}

static void on_readable(void)
{
    struct sa_error error;
    ssize_t n = recv(watch.fd, received, sizeof received, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        lose();
    } else if (sa_link_feed(the_link, received, (size_t)n, &error) < 0) {
        complain(&error);
        sa_conn_flush_for(100);
        lose();
    }
}

static void on_ready(struct sa_watch *w, uint32_t events)
{
    (void)w;
    if (events & EPOLLOUT)
        sa_conn_flush();
    if (the_link && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        on_readable();
}

void sa_conn_flush(void)
{
    struct iovec vectors[VECTORS];
    struct msghdr message = {.msg_iov = vectors};
    if (!the_link)
        return;
    while ((message.msg_iovlen = sa_link_output(the_link, vectors, VECTORS)) > 0) {
        ssize_t n = sendmsg(watch.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            sa_watch_set(&watch, EPOLLIN | EPOLLOUT);
            return;
        }
        if (n < 0) {
            lose();
            return;
        }
        sa_link_consumed_output(the_link, (size_t)n);
    }
    sa_watch_set(&watch, EPOLLIN);
}

void sa_conn_flush_for(int ms)
{
    struct pollfd p = {.fd = watch.fd, .events = POLLOUT};
    for (sa_conn_flush(); the_link && sa_link_output_bytes(the_link) && ms > 0; ms -= 10) {
        poll(&p, 1, 10);
        sa_conn_flush();
    }
}

void sa_conn_take(int fd)
{
    static const struct sa_link_events events = {.opened = on_opened,
                                                 .data = on_data,
                                                 .eof = on_eof,
                                                 .note = on_note,
                                                 .writable = on_writable,
                                                 .canceled = on_canceled};
    struct sa_link_options options = {.role = SA_LINK_RUNTIME,
                                      .name = "execution-runtime/" SA_VERSION,
                                      .output_high_bytes = OUTPUT_HIGH_BYTES,
                                      .events = &events};
    lose();
    the_link = sa_link_new(&options);
    rest_timer.fire = rest;
    watch = (struct sa_watch){.fd = fd, .ready = on_ready};
    if (sa_watch_set(&watch, EPOLLIN) < 0)
        lose(); /* not a socket */
    sa_failpoint("runtime.link");
}
