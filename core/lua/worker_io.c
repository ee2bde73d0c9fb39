/* Packets to a policy-worker and from it. */
#include "lua/worker_internal.h"

#include <errno.h>
#include <sys/socket.h>

enum { PACKETS_A_TURN = 16 };

/* Bytes of the whole messages from `sent` on that fit into a packet. */
static size_t packet_length(const struct sa_worker *worker)
{
    const uint8_t *data = (const uint8_t *)worker->out.data + worker->sent;
    size_t left = worker->out.length - worker->sent, length = 0;
    while (length < left) {
        size_t next = sa_wire_length(data + length);
        if (length + next > SA_WIRE_PACKET_MAX)
            break;
        length += next;
    }
    return length;
}

/* Drop what is sent, without moving much more than that. */
static void compact(struct sa_worker *worker)
{
    if (worker->sent == worker->out.length)
        worker->out.length = worker->sent = 0;
    else if (worker->sent > worker->out.length / 2) {
        sa_buf_consume(&worker->out, worker->sent);
        worker->sent = 0;
    }
}

static void watch(struct sa_worker *worker, int events)
{
    if (events == worker->events)
        return;
    worker->events = events;
    uv_poll_start(&worker->socket_poll, events, sa_worker_on_socket);
}

static void refused(struct sa_worker *worker, int sys_errno)
{
    struct sa_error err;
    if (sys_errno == EPIPE || sys_errno == ECONNRESET) { /* it ends: its exit says why */
        sa_process_kill(&worker->process);
        uv_poll_stop(&worker->socket_poll);
        return;
    }
    sa_error_sys(&err, SA_EUNAVAILABLE, sys_errno, "cannot send to the policy-worker");
    sa_worker_lost(worker, &err, &err);
}

void sa_worker_flush(struct sa_worker *worker)
{
    uv_prepare_stop(&worker->flush);
    for (;;) {
        compact(worker);
        if (worker->state == SA_WORKER_STARTING && worker->sent == worker->out.length)
            sa_startup_fill(worker);
        if (worker->sent == worker->out.length) {
            watch(worker, UV_READABLE);
            return;
        }
        ssize_t n = send(worker->socket, worker->out.data + worker->sent, packet_length(worker),
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            worker->sent += (size_t)n;
        } else if (errno == EAGAIN) {
            watch(worker, UV_READABLE | UV_WRITABLE);
            return;
        } else if (errno != EINTR) {
            refused(worker, errno);
            return;
        }
    }
}

void sa_worker_packet(struct sa_worker *worker, const uint8_t *data, size_t length)
{
    struct sa_wire_message message;
    struct sa_error err;
    int r = 1;
    if (length > SA_WIRE_PACKET_MAX)
        r = sa_error_set(&err, SA_EPROTOCOL, "a packet of %zu bytes", length);
    while (r > 0 && worker->state != SA_WORKER_GONE) {
        r = sa_wire_next(&data, &length, &message, &err);
        if (r > 0)
            sa_worker_message(worker, &message);
    }
    if (r < 0)
        sa_worker_broke(worker, &err);
}

/* It has closed its socket, so there is nothing to be had of it. Its exit tells the rest. */
static void on_end(struct sa_worker *worker)
{
    uv_poll_stop(&worker->socket_poll);
    sa_process_kill(&worker->process);
    if (worker->process.pidfd < 0) {
        struct sa_error err;
        sa_error_set(&err, SA_EUNAVAILABLE, "the policy-worker is gone");
        sa_worker_lost(worker, &err, &err);
    }
}

/* All calls up to that one are answered: nothing more can have come that belongs here. */
static bool answered(const struct sa_worker *worker, uint32_t last)
{
    return worker->state != SA_WORKER_STARTING &&
           (!worker->oldest || (int32_t)(worker->oldest->id - last) > 0);
}

bool sa_worker_receive(struct sa_worker *worker)
{
    uint32_t last = worker->last_id;
    for (int i = 0; i < PACKETS_A_TURN && worker->state != SA_WORKER_GONE; i++) {
        ssize_t n = recv(worker->socket, worker->in, SA_WIRE_PACKET_MAX, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            on_end(worker);
            break;
        }
        sa_worker_packet(worker, worker->in, (size_t)n);
        if (answered(worker, last))
            break;
    }
    return worker->state != SA_WORKER_GONE;
}

void sa_worker_on_socket(uv_poll_t *poll, int status, int events)
{
    struct sa_worker *worker = poll->data;
    if (status < 0) {
        on_end(worker);
        return;
    }
    if ((events & (UV_READABLE | UV_DISCONNECT)) && !sa_worker_receive(worker))
        return;
    if (events & UV_WRITABLE)
        sa_worker_flush(worker);
}
