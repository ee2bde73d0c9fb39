#include "sim_runtime.h"

#include "base/arena.h"
#include "base/failpoint.h"
#include "link/link.h"
#include "link/methods.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, VECTORS = 16, PID_OF_PROGRAMS = 2 };

struct sim_conn { /* one link; lives until its handle is closed */
    uv_poll_t poll;
    int fd;
    struct sa_link *link;
    struct sim_runtime *runtime;
    bool over;
};
struct sim_runtime {
    struct sim_world *world;
    char id[SA_ID_BYTES];
    char owner[SIM_OWNER_BYTES], tenant[SIM_OWNER_BYTES];
    char first_tenant[SIM_OWNER_BYTES];
    char fingerprint[65];
    unsigned uses;
    bool sealed;
    bool doomed; /* it dies before it answers */
    struct sim_conn *conn;
};

unsigned sim_random(struct sim_world *world)
{
    return (unsigned)rand_r(&world->seed);
}

void sim_violation(struct sim_world *world, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "simnode: VIOLATION: %s\n", text);
    if (world->violation_count < SIM_VIOLATIONS_MAX)
        world->violations[world->violation_count++] = sa_strdup(text);
}

/* ---- what it is asked ---- */

static void refuse(struct sa_stream *stream, enum sa_code code, const char *path, const char *why)
{
    struct sa_error err;
    sa_error_at(&err, code, path, "%s", why);
    sa_stream_end_error(stream, &err);
}

static void take_env(struct sim_runtime *r, const char *text, char owner[], char tenant[])
{
    (void)r;
    if (strncmp(text, "OWNER=", 6) == 0)
        snprintf(owner, SIM_OWNER_BYTES, "%s", text + 6);
    else if (strncmp(text, "TENANT=", 7) == 0)
        snprintf(tenant, SIM_OWNER_BYTES, "%s", text + 7);
}

static void setup(struct sim_runtime *r, struct sa_stream *stream, const void *body, size_t length)
{
    char owner[SIM_OWNER_BYTES] = "", tenant[SIM_OWNER_BYTES] = "", *text;
    struct sa_fields fields;
    struct sa_field field;
    sa_fields_init(&fields, body, length);
    while (sa_fields_next(&fields, &field, NULL) > 0) {
        if (field.tag != SA_SETUP_ENV || sa_field_text(&field, 65536, &text, NULL) < 0)
            continue;
        take_env(r, text, owner, tenant);
        free(text);
    }
    if (r->owner[0] && strcmp(r->owner, owner) != 0)
        sim_violation(r->world, "%s: is %s's, and set up for %s", r->id, r->owner, owner);
    if (r->owner[0]) {
        refuse(stream, SA_ECONFLICT, "", "it was set up before");
        return;
    }
    if (!r->world->across_tenants && r->first_tenant[0] && strcmp(r->first_tenant, tenant) != 0)
        sim_violation(r->world, "%s: was used by tenant %s, and is by %s now", r->id,
                      r->first_tenant, tenant);
    r->doomed |= sa_failpoint_reached("sim.runtime.setup.asked");
    if (r->doomed)
        return;
    r->world->setups++;
    r->world->reused += r->uses > 0;
    snprintf(r->owner, sizeof r->owner, "%s", owner[0] ? owner : "nobody");
    snprintf(r->tenant, sizeof r->tenant, "%s", tenant);
    snprintf(r->first_tenant, sizeof r->first_tenant, "%s", tenant);
    r->doomed |= sa_failpoint_reached("sim.runtime.setup.done");
    sa_stream_end(stream, "", 0);
}

static void end_with_fingerprint(struct sim_runtime *r, struct sa_stream *stream)
{
    struct sa_buf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_RESET_FINGERPRINT, r->fingerprint);
    sa_fields_add_int(&body, SA_RESET_KILLED, 0);
    sa_fields_add_int(&body, SA_RESET_REMOVED, 0);
    sa_stream_end(stream, body.data, body.length);
    sa_buf_deinit(&body);
}

static void seal(struct sim_runtime *r, struct sa_stream *stream)
{
    if (r->owner[0])
        sim_violation(r->world, "%s: sealed while it is %s's", r->id, r->owner);
    r->world->seals++;
    r->sealed = true;
    r->doomed |= sa_failpoint_reached("sim.runtime.seal.done");
    end_with_fingerprint(r, stream);
}

static void reset(struct sim_runtime *r, struct sa_stream *stream)
{
    struct sim_world *world = r->world;
    world->resets++;
    if (!r->sealed) {
        refuse(stream, SA_ECONFLICT, "", "it was never sealed");
    } else if (world->dirty_one_in && sim_random(world) % world->dirty_one_in == 0) {
        world->dirty++;
        refuse(stream, SA_ECONFLICT, "/workspace/x", "/workspace/x: cannot be removed");
    } else {
        r->doomed |= sa_failpoint_reached("sim.runtime.reset.asked");
        r->uses += r->owner[0] != '\0';
        r->owner[0] = r->tenant[0] = '\0';
        r->doomed |= sa_failpoint_reached("sim.runtime.reset.done");
        end_with_fingerprint(r, stream);
    }
}

static void run_program(struct sim_runtime *r, struct sa_stream *stream)
{
    struct sa_buf body = SA_BUF_INIT;
    r->world->programs++;
    sa_fields_add_int(&body, SA_EXEC_PID, PID_OF_PROGRAMS);
    sa_stream_note(stream, body.data, body.length);
    body.length = 0;
    r->doomed |= sa_failpoint_reached("sim.runtime.exec.started");
    if (r->owner[0])
        sa_stream_write(stream, SA_CHANNEL_OUT, r->owner, strlen(r->owner));
    sa_stream_eof(stream, SA_CHANNEL_OUT);
    sa_stream_eof(stream, SA_CHANNEL_ERR);
    sa_fields_add_text(&body, SA_EXEC_STATUS, "exited");
    sa_fields_add_int(&body, SA_EXEC_EXIT_CODE, 0);
    sa_fields_add_int(&body, SA_EXEC_DURATION_US, 1);
    sa_fields_add_int(&body, SA_EXEC_LEFT, 0);
    sa_stream_end(stream, body.data, body.length);
    sa_buf_deinit(&body);
    r->doomed |= sa_failpoint_reached("sim.runtime.exec.ended");
}

static void on_opened(void *owner, struct sa_stream *stream, uint16_t method, const void *body,
                      size_t length)
{
    struct sim_runtime *r = ((struct sim_conn *)owner)->runtime;
    switch (method) {
    case SA_METHOD_SETUP:
        return setup(r, stream, body, length);
    case SA_METHOD_SEAL:
        return seal(r, stream);
    case SA_METHOD_RESET:
        return reset(r, stream);
    case SA_METHOD_EXEC:
        return run_program(r, stream);
    case SA_METHOD_CLOCK:
    case SA_METHOD_USAGE:
    case SA_METHOD_FILE_MKDIR:
        return sa_stream_end(stream, "", 0);
    case SA_METHOD_FILE_WRITE: /* ends with its data */
        return;
    default:
        return refuse(stream, SA_EINVALID, "", "no such method here");
    }
}

static void on_data(void *owner, struct sa_stream *stream, enum sa_link_channel channel,
                    const void *data, size_t length)
{
    (void)owner, (void)channel, (void)data;
    sa_stream_consume(stream, length);
}

static void on_eof(void *owner, struct sa_stream *stream, enum sa_link_channel channel)
{
    (void)owner, (void)channel;
    sa_stream_end(stream, "", 0); /* FILE_WRITE: all others have ended */
}

static void on_canceled(void *owner, struct sa_stream *stream)
{
    (void)owner;
    refuse(stream, SA_ECANCELED, "", "canceled");
}

static const struct sa_link_events link_events = {
    .opened = on_opened, .data = on_data, .eof = on_eof, .canceled = on_canceled};

/* ---- the socket ---- */

static void on_closed(uv_handle_t *handle)
{
    struct sim_conn *conn = handle->data;
    sa_link_free(conn->link);
    free(conn);
}

static void hang_up(struct sim_conn *conn)
{
    if (conn->over)
        return;
    conn->over = true;
    if (conn->runtime->conn == conn)
        conn->runtime->conn = NULL;
    uv_poll_stop(&conn->poll);
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    close(conn->fd);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void flush(struct sim_conn *conn)
{
    struct iovec vectors[VECTORS];
    size_t count;
    while (!conn->over && (count = sa_link_output(conn->link, vectors, VECTORS)) > 0) {
        struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
        ssize_t n = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            uv_poll_start(&conn->poll, UV_READABLE | UV_WRITABLE, on_poll);
            return;
        }
        if (n < 0)
            hang_up(conn);
        else
            sa_link_consumed_output(conn->link, (size_t)n);
    }
    if (!conn->over)
        uv_poll_start(&conn->poll, UV_READABLE, on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    static char buffer[READ_BYTES];
    struct sim_conn *conn = poll->data;
    (void)status, (void)events;
    ssize_t n = recv(conn->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN) ||
        (n > 0 && sa_link_feed(conn->link, buffer, (size_t)n, NULL) < 0)) {
        hang_up(conn);
        return;
    }
    if (conn->runtime->doomed)
        conn->runtime->world->died(conn->runtime->id);
    else
        flush(conn);
}

int sim_runtime_attach(struct sim_runtime *runtime)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    if (runtime->conn)
        hang_up(runtime->conn);
    struct sim_conn *conn = sa_alloc(sizeof *conn);
    conn->runtime = runtime;
    conn->fd = pair[0];
    conn->link = sa_link_new(&(struct sa_link_options){
        .role = SA_LINK_RUNTIME, .name = "simulated", .events = &link_events, .owner = conn});
    uv_poll_init(runtime->world->loop, &conn->poll, conn->fd);
    conn->poll.data = conn;
    runtime->conn = conn;
    flush(conn);
    return pair[1];
}

/* ---- its life ---- */

static void make_fingerprint(struct sim_runtime *r)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (const char *c = r->id; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 1099511628211u;
    const unsigned long long a = hash, b = ~hash;
    snprintf(r->fingerprint, sizeof r->fingerprint, "%016llx%016llx%016llx%016llx", a, b, a, b);
}

struct sim_runtime *sim_runtime_new(struct sim_world *world, const char *id)
{
    struct sim_runtime *r = sa_alloc(sizeof *r);
    r->world = world;
    snprintf(r->id, sizeof r->id, "%s", id);
    make_fingerprint(r);
    return r;
}

void sim_runtime_free(struct sim_runtime *runtime)
{
    if (runtime->conn)
        hang_up(runtime->conn);
    free(runtime);
}

void sim_runtime_print(const struct sim_runtime *runtime, struct sa_json_w *w)
{
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "id", runtime->id);
    sa_json_put_string(w, "owner", runtime->owner);
    sa_json_put_string(w, "tenant", runtime->tenant);
    sa_json_put_int(w, "uses", runtime->uses);
    sa_json_put_bool(w, "sealed", runtime->sealed);
    sa_json_w_end_object(w);
}
