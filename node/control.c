/* Requests of the control plane, answers and events to it. */
#include "control.h"
#include "peer.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "nodelink/nodelink.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>

enum {
    EVENTS_DROPPED_ABOVE = 1 << 20, /* queued bytes: security events are not worth more */
    ALONE_MS = 60 * 1000,           /* without a control plane, before everything is destroyed */
};

/* A call that is not answered yet: its number to the driver, which outlives connections, and to
 * the control plane that made it. */
struct call {
    UT_hash_handle hh;
    uint32_t number, wire;
};

struct sa_node {
    struct sa_peer *peer;
    struct sa_native *native;
    struct sa_buf out; /* the message being made */
    struct call *calls;
    uint32_t last_call;
};

/* ---- sending ---- */

static void send_out(struct sa_node *node, int fd)
{
    sa_peer_send(node->peer, &node->out, fd);
}

static uint32_t open_call(struct sa_node *node, uint32_t wire)
{
    struct call *call = sa_alloc(sizeof *call);
    if (++node->last_call == 0)
        ++node->last_call;
    call->number = node->last_call;
    call->wire = wire;
    HASH_ADD_INT(node->calls, number, call);
    return call->number;
}

/* False: who asked is gone, and the one that is there now may use the same number. */
static bool close_call(struct sa_node *node, uint32_t number, uint32_t *wire)
{
    struct call *call;
    HASH_FIND_INT(node->calls, &number, call);
    if (!call)
        return false;
    *wire = call->wire;
    HASH_DEL(node->calls, call);
    free(call);
    return true;
}

static void forget_calls(void *owner)
{
    struct sa_node *node = owner;
    struct call *call, *next;
    HASH_ITER (hh, node->calls, call, next) {
        HASH_DEL(node->calls, call); /* NOLINT: uthash */
        free(call);
    }
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

/* Of the node, or of one sandbox (`facts`). */
static const char *weaker_of(struct sa_node *node, enum sa_control control,
                             const struct sa_native_facts *facts)
{
    if (facts && facts->adopted && control == SA_C_SECCOMP_NOTIFY)
        return "the node was started anew since: telling calls still fail, but as unknown ones, "
               "and "
               "without a security event";
    return sa_native_weaker(node->native, control);
}

static void add_controls(struct sa_node *node, sa_controls in_force,
                         const struct sa_native_facts *facts)
{
    for (int i = 0; i < SA_CONTROL_COUNT; i++) {
        enum sa_control control = (enum sa_control)i;
        const char *weaker = weaker_of(node, control, facts);
        if (sa_controls_has(in_force, control))
            sa_fields_add_text(&node->out, SA_NODE_CONTROL, sa_control_name(control));
        if (!weaker)
            continue;
        sa_autofree char *text = sa_printf("%s: %s", sa_control_name(control), weaker);
        sa_fields_add_text(&node->out, SA_NODE_WEAKER, text);
    }
}

/* ---- events of the driver ---- */

static void send_facts(struct sa_node *node, enum sa_node_type type, const char *id, uint32_t call,
                       int link, const struct sa_native_facts *facts)
{
    struct sa_buf *out = message(node, type, call);
    sa_fields_add_text(out, SA_NODE_ID, id);
    sa_fields_add_text(out, SA_PROFILE_ID, facts->profile);
    sa_fields_add_int(out, SA_NODE_FROZEN, facts->frozen);
    sa_fields_add_int(out, SA_NODE_OOM_KILLS, facts->oom_kills);
    add_controls(node, facts->in_force, facts);
    send_out(node, link);
}

static void on_created(void *owner, const char *id, uint32_t call, int link,
                       const struct sa_native_facts *facts)
{
    if (close_call(owner, call, &call))
        send_facts(owner, SA_NODE_CREATED, id, call, link, facts);
}

static void answer_failed(struct sa_node *node, uint32_t call, const struct sa_error *why)
{
    if (close_call(node, call, &call))
        send_failed(node, call, why);
}

static void on_failed(void *owner, const char *id, uint32_t call, const struct sa_error *why)
{
    (void)id;
    answer_failed(owner, call, why);
}

static void send_id(struct sa_node *node, enum sa_node_type type, uint32_t call, const char *id)
{
    sa_fields_add_text(message(node, type, call), SA_NODE_ID, id);
    send_out(node, -1);
}

static void answer_id(struct sa_node *node, enum sa_node_type type, uint32_t call, const char *id)
{
    if (close_call(node, call, &call))
        send_id(node, type, call, id);
}

static void on_destroyed(void *owner, const char *id, uint32_t call)
{
    answer_id(owner, SA_NODE_DESTROYED, call, id);
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
    if (sa_peer_queued_bytes(node->peer) > EVENTS_DROPPED_ABOVE)
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
        answer_failed(owner, call, why);
    else
        answer_id(owner, SA_NODE_DONE, call, id);
}

static void on_profiled(void *owner, uint32_t call, const struct sa_error *why)
{
    struct sa_node *node = owner;
    if (!close_call(node, call, &call))
        return;
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
    sa_peer_close(node->peer);
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
    const uint32_t number = open_call(node, call);
    if (sa_native_create(node->native, &spec, number, &why) < 0)
        answer_failed(node, number, &why);
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
    const uint32_t number = open_call(node, call);
    if (sa_native_profile(node->native, &profile, number, &why) < 0)
        answer_failed(node, number, &why);
    sa_profile_deinit(&profile);
}

static void do_stats(struct sa_node *node, uint32_t call, const char *id, bool anew)
{
    struct sa_native_stats stats;
    struct sa_error why = {0};
    const int rc = anew ? sa_native_recount(node->native, id, &stats, &why)
                        : sa_native_stats(node->native, id, &stats, &why);
    if (rc < 0) {
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
    const uint32_t number = open_call(node, call);
    if (sa_native_freeze(node->native, id, number, &why) < 0)
        answer_failed(node, number, &why);
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
    add_controls(node, sa_native_controls(node->native), NULL);
    send_out(node, -1);
}

static void do_destroy(struct sa_node *node, uint32_t call, const char *id)
{
    const uint32_t number = open_call(node, call);
    if (!sa_native_destroy(node->native, id, number))
        answer_id(node, SA_NODE_DESTROYED, number, id);
}

static void do_attach(struct sa_node *node, uint32_t call, const char *id)
{
    struct sa_error why = {0};
    struct sa_native_facts facts;
    int link = -1;
    uint32_t number = open_call(node, call);
    const int rc = sa_native_attach(node->native, id, number, &link, &facts, &why);
    if (rc < 0)
        answer_failed(node, number, &why);
    else if (rc == 0 && close_call(node, number, &number))
        send_facts(node, SA_NODE_CREATED, id, call, link, &facts);
    if (link >= 0)
        close(link);
}

static void do_facts(struct sa_node *node, uint32_t call, const char *id)
{
    struct sa_error why = {0};
    struct sa_native_facts facts;
    if (sa_native_facts(node->native, id, &facts, &why) < 0)
        send_failed(node, call, &why);
    else
        send_facts(node, SA_NODE_FACTS_REPLY, id, call, -1, &facts);
}

static int read_place(struct sa_fields *fields, uint64_t *place, struct sa_error *err)
{
    struct sa_field field;
    int64_t after = 0;
    int more;
    while ((more = sa_fields_next(fields, &field, err)) > 0)
        if (field.tag == SA_NODE_AFTER && sa_field_int(&field, &after, err) < 0)
            return -1;
    *place = after < 0 ? 0 : (uint64_t)after;
    return more;
}

static void do_list(struct sa_node *node, uint32_t call, struct sa_fields *fields)
{
    const char *ids[SA_NODE_LIST_MAX];
    struct sa_error why = {0};
    uint64_t place;
    if (read_place(fields, &place, &why) < 0) {
        send_failed(node, call, &why);
        return;
    }
    const size_t count = sa_native_list(node->native, ids, SA_NODE_LIST_MAX, &place);
    struct sa_buf *out = message(node, SA_NODE_LIST_REPLY, call);
    for (size_t i = 0; i < count; i++)
        sa_fields_add_text(out, SA_NODE_ID, ids[i]);
    if (count == SA_NODE_LIST_MAX)
        sa_fields_add_int(out, SA_NODE_MORE, (int64_t)place);
    send_out(node, -1);
}

/* Requests about one sandbox. */
static void request_for(struct sa_node *node, enum sa_node_type type, uint32_t call,
                        struct sa_fields *fields)
{
    struct sa_error why = {0};
    char id[SA_ID_BYTES] = "";
    if (read_id(fields, id, &why) < 0) {
        send_failed(node, call, &why);
    } else if (type == SA_NODE_DESTROY) {
        do_destroy(node, call, id);
    } else if (type == SA_NODE_STATS) {
        do_stats(node, call, id, false);
    } else if (type == SA_NODE_RECOUNT) {
        do_stats(node, call, id, true);
    } else if (type == SA_NODE_FACTS) {
        do_facts(node, call, id);
    } else if (type == SA_NODE_FREEZE) {
        do_freeze(node, call, id);
    } else if (type == SA_NODE_THAW) {
        do_thaw(node, call, id);
    } else if (type == SA_NODE_ATTACH) {
        do_attach(node, call, id);
    } else {
        sa_error_set(&why, SA_EPROTOCOL, "request type %d is unknown", (int)type);
        send_failed(node, call, &why);
    }
}

static void on_packet(void *owner, const char *data, size_t length)
{
    struct sa_node *node = owner;
    struct sa_fields fields;
    struct sa_error why = {0};
    enum sa_node_type type;
    uint32_t call = 0;
    if (sa_node_parse(data, length, &type, &call, &fields, &why) < 0)
        send_failed(node, call, &why);
    else if (type == SA_NODE_CREATE)
        do_create(node, call, &fields);
    else if (type == SA_NODE_PROFILE)
        do_profile(node, call, &fields);
    else if (type == SA_NODE_INFO)
        do_info(node, call);
    else if (type == SA_NODE_LIST)
        do_list(node, call, &fields);
    else
        request_for(node, type, call, &fields);
}

static void on_connected(void *owner)
{
    struct sa_node *node = owner;
    message(node, SA_NODE_READY, 0);
    send_out(node, -1);
}

static void on_alone(void *owner)
{
    struct sa_node *node = owner;
    sa_native_destroy_all(node->native);
}

static const struct sa_peer_events peer_events = {on_connected, on_packet, forget_calls, on_alone};

struct sa_node *sa_node_start(uv_loop_t *loop, const struct sa_node_options *options,
                              struct sa_error *err)
{
    int listens = 0;
    socklen_t size = sizeof listens;
    if (getsockopt(options->listener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || !listens) {
        sa_error_set(err, SA_EINVALID, "descriptor %d does not listen", options->listener);
        return NULL;
    }
    struct sa_node *node = sa_alloc(sizeof *node);
    node->native = sa_native_start(loop, &options->native, &native_events, node, err);
    if (!node->native) {
        free(node);
        return NULL;
    }
    struct sa_peer_options peer = {.listener = options->listener,
                                   .user = sa_native_user(node->native, options->user),
                                   .alone_ms = ALONE_MS,
                                   .events = &peer_events,
                                   .owner = node};
    node->peer = sa_peer_new(loop, &peer);
    return node;
}

void sa_node_stop(struct sa_node *node)
{
    sa_native_stop(node->native);
}

void sa_node_free(struct sa_node *node)
{
    forget_calls(node);
    sa_peer_free(node->peer);
    sa_native_free(node->native);
    sa_buf_deinit(&node->out);
    free(node);
}
