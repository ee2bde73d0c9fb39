#include "puppet.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/unix.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the socket ---- */

static void send_out(struct puppet *p, const struct sa_buf *packet, int fd)
{
    assert_true(p->socket >= 0);
    assert_true(sa_send_fds(p->socket, packet->data, packet->length, &fd, fd >= 0, MSG_NOSIGNAL) >=
                0);
}

static void keep(struct puppet *p, const char *packet, size_t length)
{
    struct sa_fields fields;
    struct sa_field f;
    assert_true(p->count < REQUESTS_MAX);
    struct request *r = &p->requests[p->count++];
    *r = (struct request){.open = true};
    assert_int_equal(sa_node_parse(packet, length, &r->type, &r->call, &fields, NULL), 0);
    while (sa_fields_next(&fields, &f, NULL) > 0)
        if (f.tag == SA_NODE_ID)
            assert_int_equal(sa_field_text_into(&f, r->id, sizeof r->id, NULL), 0);
        else if (f.tag == SA_NODE_AFTER)
            assert_int_equal(sa_field_int(&f, &r->after, NULL), 0);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

void puppet_drop(struct puppet *p)
{
    if (p->socket < 0)
        return;
    uv_close((uv_handle_t *)p->reading, on_closed);
    close(sa_steal_fd(&p->socket));
    for (size_t i = 0; i < p->count; i++)
        p->requests[i].open = false;
}

static void on_packet(uv_poll_t *poll, int status, int events)
{
    static char packet[SA_NODE_MESSAGE_MAX];
    struct puppet *p = poll->data;
    (void)events;
    ssize_t n = status < 0 ? 0 : recv(p->socket, packet, sizeof packet, MSG_DONTWAIT);
    if (n > 0) {
        keep(p, packet, (size_t)n);
        return;
    }
    puppet_drop(p);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct puppet *p = poll->data;
    sa_autobuf out = SA_BUF_INIT;
    (void)status;
    (void)events;
    puppet_drop(p); /* the newest wins */
    p->socket = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(p->socket >= 0);
    p->reading = sa_alloc(sizeof *p->reading);
    uv_poll_init(p->w->loop, p->reading, p->socket);
    p->reading->data = p;
    uv_poll_start(p->reading, UV_READABLE | UV_DISCONNECT, on_packet);
    sa_node_message(&out, SA_NODE_READY, 0);
    send_out(p, &out, -1);
}

void puppet_deaf(struct puppet *p, bool deaf)
{
    if (deaf)
        uv_poll_stop(&p->accepting);
    else
        uv_poll_start(&p->accepting, UV_READABLE, on_connection);
}

/* ---- its life ---- */

int puppet_setup(void **state)
{
    char folder[96];
    struct puppet *p = sa_alloc(sizeof *p);
    world_setup_store((void **)&p->w);
    p->socket = -1;
    snprintf(folder, sizeof folder, "%s/node", p->w->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    sa_autoclose int at = open(folder, O_PATH | O_CLOEXEC);
    p->listener = sa_unix_bind(at, "node.sock", SOCK_SEQPACKET);
    assert_true(p->listener >= 0);
    assert_int_equal(listen(p->listener, 4), 0);
    uv_poll_init(p->w->loop, &p->accepting, p->listener);
    p->accepting.data = p;
    puppet_deaf(p, false);
    world_connect(p->w);
    *state = p;
    return 0;
}

void puppet_start_agent(struct puppet *p)
{
    world_begin_agent(p->w);
}

int puppet_teardown(void **state)
{
    struct puppet *p = *state;
    char path[96];
    world_stop_agent(p->w);
    uv_close((uv_handle_t *)&p->accepting, NULL);
    puppet_drop(p);
    close(p->listener);
    for (size_t i = 0; i < p->link_count; i++)
        if (p->links[i] >= 0)
            close(p->links[i]);
    snprintf(path, sizeof path, "%s/node/node.sock", p->w->folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/node", p->w->folder);
    rmdir(path);
    void *world = p->w;
    world_teardown(&world);
    free(p);
    return 0;
}

/* ---- requests ---- */

static struct request *find(const struct puppet *p, enum sa_node_type type, const char *id)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct request *r = &p->requests[i];
        if (r->open && r->type == type && (!id || strcmp(r->id, id) == 0))
            return (struct request *)(uintptr_t)r;
    }
    return NULL;
}

struct sought {
    struct puppet *p;
    enum sa_node_type type;
    const char *id;
};

static bool is_there(void *user)
{
    const struct sought *sought = user;
    return find(sought->p, sought->type, sought->id);
}

struct request *puppet_wait(struct puppet *p, enum sa_node_type type, const char *id)
{
    wait_until(p->w, is_there, &(struct sought){p, type, id}, "a request");
    return find(p, type, id);
}

size_t puppet_open(const struct puppet *p, enum sa_node_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++)
        count += p->requests[i].open && p->requests[i].type == type;
    return count;
}

bool puppet_asked(const struct puppet *p, enum sa_node_type type, const char *id)
{
    return find(p, type, id);
}

/* ---- answers ---- */

static void answer(struct puppet *p, struct request *request, struct sa_buf *out, int fd)
{
    assert_true(request->open);
    request->open = false;
    send_out(p, out, fd);
}

void puppet_hello(int end)
{
    static const struct sa_link_events none;
    struct iovec vectors[4];
    struct sa_link *link = sa_link_new(
        &(struct sa_link_options){.role = SA_LINK_RUNTIME, .name = "puppet", .events = &none});
    size_t count = sa_link_output(link, vectors, 4);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(sa_write_all(end, vectors[i].iov_base, vectors[i].iov_len), 0);
    sa_link_free(link);
}

static int make_link(struct puppet *p, struct request *request, bool hello, bool frozen)
{
    int pair[2];
    sa_autobuf out = SA_BUF_INIT;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(p->link_count < LINKS_MAX);
    p->links[p->link_count++] = pair[0];
    if (hello)
        puppet_hello(pair[0]);
    sa_node_message(&out, SA_NODE_CREATED, request->call);
    sa_fields_add_text(&out, SA_NODE_ID, request->id);
    sa_fields_add_text(&out, SA_NODE_CONTROL, "seccomp");
    sa_fields_add_text(&out, SA_NODE_CONTROL, "landlock");
    sa_fields_add_text(&out, SA_NODE_WEAKER, "cgroup.cpu: a puppet has none");
    if (frozen)
        sa_fields_add_int(&out, SA_NODE_FROZEN, 1);
    answer(p, request, &out, pair[1]);
    close(pair[1]);
    return pair[0];
}

int puppet_link(struct puppet *p, struct request *request, bool hello)
{
    return make_link(p, request, hello, false);
}

int puppet_link_frozen(struct puppet *p, struct request *request)
{
    return make_link(p, request, false, true);
}

void puppet_unlink(struct puppet *p, int link)
{
    for (size_t i = 0; i < p->link_count; i++)
        if (p->links[i] == link)
            close(sa_steal_fd(&p->links[i]));
}

void puppet_refuse(struct puppet *p, struct request *request, enum sa_code code, const char *path)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_error error = {.code = SA_OK};
    sa_error_at(&error, code, path, "the puppet will not");
    sa_node_message(&out, SA_NODE_FAILED, request->call);
    sa_fields_add_error(&out, SA_NODE_ERROR, &error);
    answer(p, request, &out, -1);
}

void puppet_destroyed(struct puppet *p, struct request *request)
{
    sa_autobuf out = SA_BUF_INIT;
    sa_node_message(&out, SA_NODE_DESTROYED, request->call);
    sa_fields_add_text(&out, SA_NODE_ID, request->id);
    answer(p, request, &out, -1);
}

void puppet_facts(struct puppet *p, struct request *request, const char *control,
                  const char *weaker)
{
    sa_autobuf out = SA_BUF_INIT;
    sa_node_message(&out, SA_NODE_FACTS_REPLY, request->call);
    sa_fields_add_text(&out, SA_NODE_ID, request->id);
    sa_fields_add_text(&out, SA_NODE_CONTROL, control);
    sa_fields_add_text(&out, SA_NODE_WEAKER, weaker);
    answer(p, request, &out, -1);
}

void puppet_counts(struct puppet *p, struct request *request, int64_t cpu_us, int64_t peak_bytes)
{
    sa_autobuf out = SA_BUF_INIT;
    sa_node_message(&out, SA_NODE_STATS_REPLY, request->call);
    sa_fields_add_int(&out, SA_NODE_CPU_US, cpu_us);
    sa_fields_add_int(&out, SA_NODE_MEMORY_PEAK, peak_bytes);
    answer(p, request, &out, -1);
}

void puppet_list_part(struct puppet *p, const char *names, int64_t more)
{
    sa_autobuf out = SA_BUF_INIT;
    sa_autofree char *copy = sa_strdup(names);
    struct request *request = puppet_wait(p, SA_NODE_LIST, NULL);
    sa_node_message(&out, SA_NODE_LIST_REPLY, request->call);
    for (char *rest = copy, *name; (name = strtok_r(rest, " ", &rest));)
        sa_fields_add_text(&out, SA_NODE_ID, name);
    if (more)
        sa_fields_add_int(&out, SA_NODE_MORE, more);
    answer(p, request, &out, -1);
}

void puppet_list(struct puppet *p, const char *names)
{
    puppet_list_part(p, names, 0);
    wait_agent(p->w);
}

void puppet_exited(struct puppet *p, const char *id)
{
    sa_autobuf out = SA_BUF_INIT;
    sa_node_message(&out, SA_NODE_EXITED, 0);
    sa_fields_add_text(&out, SA_NODE_ID, id);
    sa_fields_add_text(&out, SA_NODE_REASON, "the strings were cut");
    send_out(p, &out, -1);
}

int puppet_ready(struct puppet *p, const char *name, struct user *user)
{
    use(p->w, name, user);
    pod_create(p->w, name, false, DEFAULT_PROFILE);
    int link = puppet_link(p, puppet_wait(p, SA_NODE_CREATE, name), true);
    wait_flag(p->w, &user->is_ready, "ready");
    wait_ready_condition(p->w, name, SA_TRUE);
    return link;
}
