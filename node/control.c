/* Requests of the control plane, answers and events to it. */
#include "control.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "nodelink/nodelink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

enum {
    REQUESTS_A_TURN = 32,
    EVENTS_DROPPED_ABOVE = 1 << 20, /* queued bytes: security events are not worth more */
    READING_STOPS_ABOVE = 4 << 20   /* who asks must also take the answers */
};

/* A message that the socket had no room for. */
struct waiting {
    struct waiting *next;
    int fd; /* passed along, or -1 */
    size_t length;
    char data[];
};

struct sa_node {
    uv_poll_t poll;
    int fd;
    struct sa_native *native;
    struct sa_buf out; /* the message being made */
    struct waiting *first, **last;
    size_t queued_bytes;
    bool closed;
    char packet[SA_NODE_MESSAGE_MAX];
};

static void on_socket(uv_poll_t *poll, int status, int events);

/* ---- sending ---- */

static void watch(struct sa_node *node)
{
    int events = (node->queued_bytes < READING_STOPS_ABOVE ? UV_READABLE : 0) |
                 (node->first ? UV_WRITABLE : 0);
    if (!node->closed)
        uv_poll_start(&node->poll, events | UV_DISCONNECT, on_socket);
}

static void enqueue(struct sa_node *node, int fd)
{
    struct waiting *w = sa_alloc(sizeof *w + node->out.length);
    w->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    w->length = node->out.length;
    memcpy(w->data, node->out.data, w->length);
    *node->last = w;
    node->last = &w->next;
    node->queued_bytes += w->length;
}

static void pop(struct sa_node *node)
{
    struct waiting *w = node->first;
    node->first = w->next;
    if (!node->first)
        node->last = &node->first;
    node->queued_bytes -= w->length;
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}

/* Send node->out, now or later, in order. */
static void send_out(struct sa_node *node, int fd)
{
    if (node->closed)
        return;
    if (!node->first && sa_send_fds(node->fd, node->out.data, node->out.length, &fd, fd >= 0,
                                    MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return;
    enqueue(node, fd);
    watch(node);
}

static void flush(struct sa_node *node)
{
    while (node->first) {
        struct waiting *w = node->first;
        if (sa_send_fds(node->fd, w->data, w->length, &w->fd, w->fd >= 0,
                        MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            break; /* a broken socket shows as its end when it is read */
        pop(node);
    }
    watch(node);
}

static struct sa_buf *message(struct sa_node *node, enum sa_node_type type, uint32_t call)
{
    sa_node_message(&node->out, type, call);
    return &node->out;
}

static void send_failed(struct sa_node *node, uint32_t call, const struct sa_error *why)
{
    sa_fields_add_error(message(node, SA_NODE_FAILED, call), SA_NODE_ERROR, why);
    send_out(node, -1);
}

static void add_controls(struct sa_node *node, sa_controls in_force)
{
    for (int i = 0; i < SA_CONTROL_COUNT; i++) {
        enum sa_control control = (enum sa_control)i;
        const char *weaker = sa_native_weaker(node->native, control);
        if (sa_controls_has(in_force, control))
            sa_fields_add_text(&node->out, SA_NODE_CONTROL, sa_control_name(control));
        if (!weaker)
            continue;
        sa_autofree char *text = sa_printf("%s: %s", sa_control_name(control), weaker);
        sa_fields_add_text(&node->out, SA_NODE_WEAKER, text);
    }
}

/* ---- events of the driver ---- */

static void on_created(void *owner, const char *id, uint32_t call, int link, sa_controls in_force)
{
    struct sa_node *node = owner;
    sa_fields_add_text(message(node, SA_NODE_CREATED, call), SA_NODE_ID, id);
    add_controls(node, in_force);
    send_out(node, link);
}

static void on_failed(void *owner, const char *id, uint32_t call, const struct sa_error *why)
{
    (void)id;
    send_failed(owner, call, why);
}

static void send_id(struct sa_node *node, enum sa_node_type type, uint32_t call, const char *id)
{
    sa_fields_add_text(message(node, type, call), SA_NODE_ID, id);
    send_out(node, -1);
}

static void on_destroyed(void *owner, const char *id, uint32_t call)
{
    send_id(owner, SA_NODE_DESTROYED, call, id);
}

static void on_exited(void *owner, const char *id, const char *reason)
{
    struct sa_node *node = owner;
    struct sa_buf *out = message(node, SA_NODE_EXITED, 0);
    sa_fields_add_text(out, SA_NODE_ID, id);
    sa_fields_add_text(out, SA_NODE_REASON, reason);
    send_out(node, -1);
}

static void on_oom(void *owner, const char *id, int64_t kills)
{
    struct sa_node *node = owner;
    struct sa_buf *out = message(node, SA_NODE_OOM, 0);
    sa_fields_add_text(out, SA_NODE_ID, id);
    sa_fields_add_int(out, SA_NODE_OOM_KILLS, kills);
    send_out(node, -1);
}

static void on_denied(void *owner, const char *id, const struct sa_native_denial *denial)
{
    struct sa_node *node = owner;
    if (node->queued_bytes > EVENTS_DROPPED_ABOVE)
        return;
    struct sa_buf *out = message(node, SA_NODE_SECURITY, 0);
    sa_fields_add_text(out, SA_NODE_ID, id);
    sa_fields_add_text(out, SA_NODE_SYSCALL, denial->syscall);
    sa_fields_add_int(out, SA_NODE_PID, denial->pid);
    sa_fields_add_text(out, SA_NODE_COMM, denial->comm);
    sa_fields_add_int(out, SA_NODE_COUNT, denial->count);
    send_out(node, -1);
}

static void on_frozen(void *owner, const char *id, uint32_t call, const struct sa_error *why)
{
    if (why)
        send_failed(owner, call, why);
    else
        send_id(owner, SA_NODE_DONE, call, id);
}

static void on_profiled(void *owner, uint32_t call, const struct sa_error *why)
{
    struct sa_node *node = owner;
    if (why) {
        send_failed(node, call, why);
        return;
    }
    message(node, SA_NODE_DONE, call);
    send_out(node, -1);
}

static void on_stopped(void *owner)
{
    struct sa_node *node = owner;
    if (!node->closed)
        uv_close((uv_handle_t *)&node->poll, NULL);
    node->closed = true;
}

static const struct sa_native_events native_events = {on_created, on_failed,   on_destroyed,
                                                      on_exited,  on_oom,      on_denied,
                                                      on_frozen,  on_profiled, on_stopped};

/* ---- requests ---- */

static void do_create(struct sa_node *node, uint32_t call, const struct sa_fields *fields)
{
    struct sa_node_spec spec;
    struct sa_error why = {0};
    if (sa_node_spec_decode(fields->next, fields->left, &spec, &why) < 0) {
        send_failed(node, call, &why);
        return;
    }
    if (sa_native_create(node->native, &spec, call, &why) < 0)
        send_failed(node, call, &why);
    sa_node_spec_deinit(&spec);
}

static void do_profile(struct sa_node *node, uint32_t call, const struct sa_fields *fields)
{
    struct sa_profile profile;
    struct sa_error why = {0};
    if (sa_profile_decode(fields->next, fields->left, &profile, &why) < 0) {
        send_failed(node, call, &why);
        return;
    }
    if (sa_native_profile(node->native, &profile, call, &why) < 0)
        send_failed(node, call, &why);
    sa_profile_deinit(&profile);
}

static void do_stats(struct sa_node *node, uint32_t call, const char *id)
{
    struct sa_native_stats stats;
    struct sa_error why = {0};
    if (sa_native_stats(node->native, id, &stats, &why) < 0) {
        send_failed(node, call, &why);
        return;
    }
    const struct {
        uint16_t tag;
        int64_t value;
    } fields[] = {{SA_NODE_CPU_US, stats.cpu_us},
                  {SA_NODE_MEMORY_USED, stats.memory_used},
                  {SA_NODE_MEMORY_PEAK, stats.memory_peak},
                  {SA_NODE_MEMORY_LIMIT, stats.memory_limit},
                  {SA_NODE_PROCESSES, stats.processes},
                  {SA_NODE_PIDS_LIMIT, stats.pids_limit},
                  {SA_NODE_THROTTLED_US, stats.throttled_us},
                  {SA_NODE_OOM_KILLS, stats.oom_kills}};
    struct sa_buf *out = message(node, SA_NODE_STATS_REPLY, call);
    for (size_t i = 0; i < SA_COUNT(fields); i++)
        if (fields[i].value >= 0)
            sa_fields_add_int(out, fields[i].tag, fields[i].value);
    send_out(node, -1);
}

static void do_freeze(struct sa_node *node, uint32_t call, const char *id)
{
    struct sa_error why = {0};
    if (sa_native_freeze(node->native, id, call, &why) < 0)
        send_failed(node, call, &why);
}

static void do_thaw(struct sa_node *node, uint32_t call, const char *id)
{
    struct sa_error why = {0};
    if (sa_native_thaw(node->native, id, &why) < 0)
        send_failed(node, call, &why);
    else
        send_id(node, SA_NODE_DONE, call, id);
}

static int read_id(struct sa_fields *fields, char id[SA_ID_BYTES], struct sa_error *err)
{
    struct sa_field field;
    int more;
    while ((more = sa_fields_next(fields, &field, err)) > 0)
        if (field.tag == SA_NODE_ID)
            return sa_field_text_into(&field, id, SA_ID_BYTES, err);
    return more < 0 ? -1 : sa_error_set(err, SA_EPROTOCOL, "the request names no sandbox");
}

static void do_info(struct sa_node *node, uint32_t call)
{
    message(node, SA_NODE_INFO_REPLY, call);
    add_controls(node, sa_native_controls(node->native));
    send_out(node, -1);
}

static void request(struct sa_node *node, size_t length)
{
    struct sa_fields fields;
    struct sa_error why = {0};
    enum sa_node_type type;
    uint32_t call = 0;
    char id[SA_ID_BYTES] = "";
    if (sa_node_parse(node->packet, length, &type, &call, &fields, &why) < 0) {
        send_failed(node, call, &why);
        return;
    }
    if (type == SA_NODE_CREATE) {
        do_create(node, call, &fields);
        return;
    }
    if (type == SA_NODE_PROFILE) {
        do_profile(node, call, &fields);
        return;
    }
    if (type == SA_NODE_INFO) {
        do_info(node, call);
        return;
    }
    if (read_id(&fields, id, &why) < 0) {
        send_failed(node, call, &why);
    } else if (type == SA_NODE_DESTROY) {
        if (!sa_native_destroy(node->native, id, call))
            send_id(node, SA_NODE_DESTROYED, call, id);
    } else if (type == SA_NODE_STATS) {
        do_stats(node, call, id);
    } else if (type == SA_NODE_FREEZE) {
        do_freeze(node, call, id);
    } else if (type == SA_NODE_THAW) {
        do_thaw(node, call, id);
    } else {
        sa_error_set(&why, SA_EPROTOCOL, "request type %d is unknown", (int)type);
        send_failed(node, call, &why);
    }
}

static void receive(struct sa_node *node)
{
    for (int turn = 0; turn < REQUESTS_A_TURN && !node->closed; turn++) {
        int fds[SA_FDS_MAX];
        size_t count = 0;
        ssize_t n =
            sa_recv_fds(node->fd, node->packet, sizeof node->packet, fds, &count, MSG_DONTWAIT);
        for (size_t i = 0; i < count; i++)
            close(fds[i]); /* no request brings one */
        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == EMSGSIZE))
            return;
        if (n <= 0) {
            sa_node_stop(node);
            return;
        }
        request(node, (size_t)n);
    }
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct sa_node *node = poll->data;
    if (status < 0) {
        sa_node_stop(node);
        return;
    }
    if (events & UV_WRITABLE)
        flush(node);
    if (events & (UV_READABLE | UV_DISCONNECT))
        receive(node);
}

struct sa_node *sa_node_start(uv_loop_t *loop, int fd, const struct sa_native_options *options,
                              struct sa_error *err)
{
    struct sa_node *node = sa_alloc(sizeof *node);
    node->fd = fd;
    node->last = &node->first;
    node->native = sa_native_start(loop, options, &native_events, node, err);
    if (!node->native || uv_poll_init(loop, &node->poll, fd) < 0) {
        close(fd);
        free(node);
        return NULL;
    }
    node->poll.data = node;
    watch(node);
    return node;
}

void sa_node_stop(struct sa_node *node)
{
    if (!node->closed)
        uv_poll_stop(&node->poll);
    sa_native_stop(node->native);
}

void sa_node_free(struct sa_node *node)
{
    while (node->first)
        pop(node);
    close(node->fd);
    sa_native_free(node->native);
    sa_buf_deinit(&node->out);
    free(node);
}
