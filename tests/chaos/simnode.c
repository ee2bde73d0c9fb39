/*
 * A simulated node: speaks nodelink/nodelink.h as sandbox-node does, but its sandboxes are in this
 * process. Like the real ones they live on without a control plane; with this process they are all
 * gone, as by a power cut.
 *
 *     simnode NODE-SOCKET CONTROL-SOCKET SEED [DIRTY-ONE-IN [across-tenants]]
 *
 * Whoever connects to the control socket sends lines and gets a line of JSON for each:
 *
 *     state       what runs, whose it is, and what must not have happened
 *     kill ID     that runtime dies
 *     killany     one of them dies
 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/unix.h"
#include "loop/loop.h"
#include "nodelink/nodelink.h"
#include "peer.h"
#include "sim_runtime.h"
#include "json/write.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>

enum { ALONE_MS = 60 * 1000, LATE_MS_MAX = 4, LINE_MAX_BYTES = 512 };

struct sandbox {
    UT_hash_handle hh;
    struct sim_runtime *runtime;
    char id[SA_ID_BYTES];
};
static struct node {
    struct sim_world world;
    struct sa_peer *peer;
    struct sandbox *sandboxes;
    uint64_t connection; /* the number of this one */
    unsigned creates, destroys, deaths;
    uv_pipe_t control;
} node;

/* ---- answers, some of them late ---- */

struct late {
    uv_timer_t timer;
    uint64_t connection;
    int fd;
    struct sa_buf packet;
};

static void on_late_closed(uv_handle_t *handle)
{
    struct late *late = handle->data;
    sa_buf_deinit(&late->packet);
    free(late);
}

static void on_late(uv_timer_t *timer)
{
    struct late *late = timer->data;
    if (late->connection == node.connection)
        sa_peer_send(node.peer, &late->packet, late->fd);
    if (late->fd >= 0)
        close(late->fd);
    uv_close((uv_handle_t *)timer, on_late_closed);
}

/* Takes the packet's memory and the descriptor. */
static void answer(struct sa_buf *packet, int fd)
{
    if (sim_random(&node.world) % 4) {
        sa_peer_send(node.peer, packet, fd);
        if (fd >= 0)
            close(fd);
        sa_buf_deinit(packet);
        return;
    }
    struct late *late = sa_alloc(sizeof *late);
    late->packet = *packet;
    late->connection = node.connection;
    late->fd = fd;
    uv_timer_init(node.world.loop, &late->timer);
    late->timer.data = late;
    uv_timer_start(&late->timer, on_late, sim_random(&node.world) % LATE_MS_MAX, 0);
}

static void answer_plain(enum sa_node_type type, uint32_t call)
{
    struct sa_buf packet = SA_BUF_INIT;
    sa_node_message(&packet, type, call);
    answer(&packet, -1);
}

static void answer_failed(uint32_t call, enum sa_code code, const char *path, const char *why)
{
    struct sa_buf packet = SA_BUF_INIT;
    struct sa_error err;
    sa_error_at(&err, code, path, "%s", why);
    sa_node_message(&packet, SA_NODE_FAILED, call);
    sa_fields_add_error(&packet, SA_NODE_ERROR, &err);
    answer(&packet, -1);
}

static void answer_facts(enum sa_node_type type, uint32_t call, int fd)
{
    struct sa_buf packet = SA_BUF_INIT;
    sa_node_message(&packet, type, call);
    sa_fields_add_text(&packet, SA_NODE_CONTROL, "simulated");
    sa_fields_add_text(&packet, SA_NODE_WEAKER, "seccomp: nothing is real here");
    answer(&packet, fd);
}

static void answer_link(struct sandbox *sandbox, uint32_t call)
{
    int fd = sim_runtime_attach(sandbox->runtime);
    if (fd < 0)
        return answer_failed(call, SA_EINTERNAL, "", "no socket");
    answer_facts(SA_NODE_CREATED, call, fd);
}

/* ---- sandboxes ---- */

static struct sandbox *find(const char *id)
{
    struct sandbox *sandbox;
    HASH_FIND_STR(node.sandboxes, id, sandbox);
    return sandbox;
}

static void end_sandbox(struct sandbox *sandbox)
{
    HASH_DEL(node.sandboxes, sandbox);
    sim_runtime_free(sandbox->runtime);
    free(sandbox);
}

static void die(struct sandbox *sandbox)
{
    sa_autobuf packet = SA_BUF_INIT;
    node.deaths++;
    sa_node_message(&packet, SA_NODE_EXITED, 0);
    sa_fields_add_text(&packet, SA_NODE_ID, sandbox->id);
    sa_fields_add_text(&packet, SA_NODE_REASON, "killed by the test");
    end_sandbox(sandbox);
    sa_peer_send(node.peer, &packet, -1);
}

static void on_died(const char *id)
{
    die(find(id));
}

static void end_all(void)
{
    struct sandbox *sandbox, *next;
    HASH_ITER (hh, node.sandboxes, sandbox, next)
        end_sandbox(sandbox);
}

/* ---- requests ---- */

static void create(uint32_t call, const struct sa_fields *fields)
{
    struct sa_node_spec spec;
    struct sa_error err;
    if (sa_node_spec_decode(fields->next, fields->left, &spec, &err) < 0)
        return answer_failed(call, err.code, err.path, err.message);
    sa_failpoint("sim.node.create.asked");
    if (find(spec.id)) {
        answer_failed(call, SA_ECONFLICT, "", "there is a sandbox of that id");
    } else {
        struct sandbox *sandbox = sa_alloc(sizeof *sandbox);
        memcpy(sandbox->id, spec.id, sizeof sandbox->id);
        sandbox->runtime = sim_runtime_new(&node.world, spec.id);
        HASH_ADD_STR(node.sandboxes, id, sandbox);
        node.creates++;
        sa_failpoint("sim.node.create.done");
        answer_link(sandbox, call);
    }
    sa_node_spec_deinit(&spec);
}

static void id_of(struct sa_fields fields, char id[SA_ID_BYTES])
{
    struct sa_field field;
    id[0] = '\0';
    while (sa_fields_next(&fields, &field, NULL) > 0)
        if (field.tag == SA_NODE_ID)
            sa_field_text_into(&field, id, SA_ID_BYTES, NULL);
}

static void list(uint32_t call)
{
    struct sa_buf packet = SA_BUF_INIT;
    sa_node_message(&packet, SA_NODE_LIST_REPLY, call);
    for (const struct sandbox *s = node.sandboxes; s; s = s->hh.next)
        sa_fields_add_text(&packet, SA_NODE_ID, s->id);
    answer(&packet, -1);
}

/* Of one sandbox. */
static void do_to(enum sa_node_type type, uint32_t call, const char *id)
{
    struct sandbox *sandbox = find(id);
    if (type == SA_NODE_DESTROY) {
        sa_failpoint("sim.node.destroy.asked");
        if (sandbox)
            end_sandbox(sandbox);
        node.destroys += sandbox != NULL;
        sa_failpoint("sim.node.destroy.done");
        answer_plain(SA_NODE_DESTROYED, call);
    } else if (!sandbox) {
        answer_failed(call, SA_ENOTFOUND, "", "there is no such sandbox");
    } else if (type == SA_NODE_ATTACH) {
        sa_failpoint("sim.node.attach");
        answer_link(sandbox, call);
    } else if (type == SA_NODE_FACTS) {
        answer_facts(SA_NODE_FACTS_REPLY, call, -1);
    } else {
        answer_plain(type == SA_NODE_STATS || type == SA_NODE_RECOUNT ? SA_NODE_STATS_REPLY
                                                                      : SA_NODE_DONE,
                     call);
    }
}

static void on_packet(void *owner, const char *data, size_t length)
{
    enum sa_node_type type;
    uint32_t call;
    struct sa_fields fields;
    char id[SA_ID_BYTES];
    (void)owner;
    if (sa_node_parse(data, length, &type, &call, &fields, NULL) < 0)
        return;
    id_of(fields, id);
    switch (type) {
    case SA_NODE_CREATE:
        return create(call, &fields);
    case SA_NODE_LIST:
        return list(call);
    case SA_NODE_PROFILE:
        return answer_plain(SA_NODE_DONE, call);
    case SA_NODE_INFO:
        return answer_plain(SA_NODE_INFO_REPLY, call);
    case SA_NODE_DESTROY:
    case SA_NODE_ATTACH:
    case SA_NODE_FACTS:
    case SA_NODE_RECOUNT:
    case SA_NODE_STATS:
    case SA_NODE_FREEZE:
    case SA_NODE_THAW:
        return do_to(type, call, id);
    default:
        return answer_failed(call, SA_EPROTOCOL, "", "unknown request");
    }
}

static void on_connected(void *owner)
{
    sa_autobuf packet = SA_BUF_INIT;
    (void)owner;
    node.connection++;
    sa_node_message(&packet, SA_NODE_READY, 0);
    sa_peer_send(node.peer, &packet, -1);
}

static void on_lost(void *owner)
{
    (void)owner;
    node.connection++;
}

static void on_alone(void *owner)
{
    (void)owner;
    end_all();
}

static const struct sa_peer_events peer_events = {
    .connected = on_connected, .packet = on_packet, .lost = on_lost, .alone = on_alone};

/* ---- the control socket ---- */

struct visitor {
    uv_pipe_t pipe;
    char line[LINE_MAX_BYTES];
    size_t length;
    struct sa_buf reply;
    uv_write_t write;
    bool writing;
};

static void print_state(struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_array(&w, "sandboxes");
    for (const struct sandbox *s = node.sandboxes; s; s = s->hh.next)
        sim_runtime_print(s->runtime, &w);
    sa_json_w_end_array(&w);
    sa_json_put_array(&w, "violations");
    for (size_t i = 0; i < node.world.violation_count; i++)
        sa_json_w_string(&w, node.world.violations[i]);
    sa_json_w_end_array(&w);
    sa_json_put_int(&w, "creates", node.creates);
    sa_json_put_int(&w, "destroys", node.destroys);
    sa_json_put_int(&w, "deaths", node.deaths);
    sa_json_put_int(&w, "setups", node.world.setups);
    sa_json_put_int(&w, "reused", node.world.reused);
    sa_json_put_int(&w, "seals", node.world.seals);
    sa_json_put_int(&w, "resets", node.world.resets);
    sa_json_put_int(&w, "dirty", node.world.dirty);
    sa_json_put_int(&w, "programs", node.world.programs);
    sa_json_w_end_object(&w);
    sa_buf_addc(out, '\n');
}

static struct sandbox *any_sandbox(void)
{
    unsigned count = HASH_COUNT(node.sandboxes);
    struct sandbox *sandbox = node.sandboxes;
    for (unsigned i = count ? sim_random(&node.world) % count : 0; i > 0; i--)
        sandbox = sandbox->hh.next;
    return sandbox;
}

static void obey(const char *line, struct sa_buf *reply)
{
    struct sandbox *victim = NULL;
    if (strcmp(line, "state") == 0)
        return print_state(reply);
    if (strcmp(line, "killany") == 0)
        victim = any_sandbox();
    else if (strncmp(line, "kill ", 5) == 0)
        victim = find(line + 5);
    sa_buf_printf(reply, "{\"killed\":\"%s\"}\n", victim ? victim->id : "");
    if (victim)
        die(victim);
}

static void on_visitor_closed(uv_handle_t *handle)
{
    struct visitor *v = handle->data;
    sa_buf_deinit(&v->reply);
    free(v);
}

static void on_written(uv_write_t *write, int status)
{
    struct visitor *v = write->data;
    (void)status;
    v->writing = false;
    v->reply.length = 0;
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct visitor *v = handle->data;
    (void)size;
    *buf = uv_buf_init(v->line + v->length, (unsigned)(sizeof v->line - 1 - v->length));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct visitor *v = stream->data;
    (void)buf;
    if (n < 0) {
        uv_close((uv_handle_t *)stream, on_visitor_closed);
        return;
    }
    v->length += (size_t)n;
    char *end = memchr(v->line, '\n', v->length);
    if (!end || v->writing) /* one question at a time */
        return;
    *end = '\0';
    obey(v->line, &v->reply);
    v->length = 0;
    v->writing = true;
    v->write.data = v;
    uv_buf_t out = uv_buf_init(v->reply.data, (unsigned)v->reply.length);
    uv_write(&v->write, stream, &out, 1, on_written);
}

static void on_visitor(uv_stream_t *server, int status)
{
    struct visitor *v = sa_alloc(sizeof *v);
    (void)status;
    uv_pipe_init(server->loop, &v->pipe, 0);
    v->pipe.data = v;
    if (uv_accept(server, (uv_stream_t *)&v->pipe) == 0)
        uv_read_start((uv_stream_t *)&v->pipe, on_alloc, on_read);
    else
        uv_close((uv_handle_t *)&v->pipe, on_visitor_closed);
}

/* ---- the program ---- */

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "simnode: %s\n", what);
    exit(1);
}

static int listen_at(const char *path)
{
    const char *name;
    sa_autoclose int folder = sa_unix_folder(path, &name);
    unlink(path);
    int fd = folder < 0 ? -1 : sa_unix_bind(folder, name, SOCK_SEQPACKET);
    if (fd < 0 || listen(fd, 16) < 0)
        fail("cannot listen on the node's socket");
    return fd;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        fail("usage: simnode NODE-SOCKET CONTROL-SOCKET SEED [DIRTY-ONE-IN [across-tenants]]");
    uv_loop_t *loop = sa_loop_new(NULL);
    node.world.loop = loop;
    node.world.died = on_died;
    node.world.seed = (unsigned)strtoul(argv[3], NULL, 10);
    node.world.dirty_one_in = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
    node.world.across_tenants = argc > 5;
    node.peer = sa_peer_new(loop, &(struct sa_peer_options){.listener = listen_at(argv[1]),
                                                            .user = getuid(),
                                                            .alone_ms = ALONE_MS,
                                                            .events = &peer_events});
    unlink(argv[2]);
    uv_pipe_init(loop, &node.control, 0);
    if (uv_pipe_bind(&node.control, argv[2]) < 0 ||
        uv_listen((uv_stream_t *)&node.control, 16, on_visitor) < 0)
        fail("cannot listen on the control socket");
    puts("ready");
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT); /* until it is killed */
    return 0;
}
