/* The conversation with the parent. All that arrives in one packet is answered in one, as far as
 * it fits; answers keep the order of the questions. */
#include "serve.h"

#include "base/error.h"
#include "cases.h"
#include "rules.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

struct serving {
    struct sa_vm *vm;
    int fd;
    bool set_up;
    uint32_t call; /* of the question at hand */
    struct sa_buf packet, body;
};

/* ---- answers ---- */

static int flush(struct serving *s)
{
    ssize_t sent = 0;
    if (s->packet.length)
        do
            sent = send(s->fd, s->packet.data, s->packet.length, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
    bool whole = sent == (ssize_t)s->packet.length;
    s->packet.length = 0;
    return whole ? 0 : -1;
}

static int answer(struct serving *s, enum sa_wire_type type, const struct sa_buf *body)
{
    struct sa_wire_message message = {
        .type = type, .call = s->call, .body = body->data, .length = body->length};
    if (s->packet.length + SA_WIRE_HEADER_BYTES + body->length > SA_WIRE_PACKET_MAX && flush(s) < 0)
        return -1;
    sa_wire_add(&s->packet, &message);
    return 0;
}

static int fail(struct serving *s, const struct sa_vm_failure *failure)
{
    s->body.length = 0;
    sa_value_map(&s->body);
    sa_value_put_text(&s->body, "kind", sa_vm_kind_name(failure->kind));
    sa_value_put_text(&s->body, "rule", *failure->rule ? failure->rule : NULL);
    sa_value_put_text(&s->body, "file", *failure->file ? failure->file : NULL);
    if (failure->line > 0)
        sa_value_put_int(&s->body, "line", failure->line);
    sa_value_put_text(&s->body, "message", failure->message);
    sa_value_end(&s->body);
    return answer(s, SA_WIRE_FAIL, &s->body);
}

static int fail_protocol(struct serving *s, const char *message)
{
    struct sa_vm_failure failure = {.kind = SA_VM_PROTOCOL};
    snprintf(failure.message, sizeof failure.message, "%s", message);
    return fail(s, &failure);
}

/* ---- questions ---- */

static int64_t limit(const struct sa_value *limits, const char *name, int64_t usual, int64_t most)
{
    struct sa_value value = sa_value_get(limits, name);
    if (value.type != SA_VALUE_INT || value.integer <= 0)
        return usual;
    return value.integer < most ? value.integer : most;
}

static int set_up(struct serving *s, const struct sa_value *body)
{
    enum { MIB = 1024 * 1024 };
    struct sa_value limits = sa_value_get(body, "limits"), points = sa_value_get(body, "points");
    struct sa_vm *vm = s->vm;
    struct sa_error err;
    if (s->set_up)
        return fail_protocol(s, "SETUP comes once");
    vm->limits.cpu_ms = limit(&limits, "cpuMs", 10, 60000);
    vm->limits.test_cpu_ms = limit(&limits, "testCpuMs", 100, 60000);
    vm->heap_max = (size_t)limit(&limits, "memoryBytes", 16 * MIB, 64 * MIB);
    if (sa_points_read(vm, &points, &err) < 0)
        return fail_protocol(s, err.message);
    s->set_up = true;
    sa_value_map(&s->body);
    sa_value_end(&s->body);
    return answer(s, SA_WIRE_DONE, &s->body);
}

static int take_file(struct serving *s, const struct sa_value *body)
{
    struct sa_error err;
    if (!s->set_up)
        return fail_protocol(s, "SETUP comes first");
    return sa_load_file(s->vm, body, &err) < 0 ? fail_protocol(s, err.message) : 0;
}

static int compile(struct serving *s)
{
    if (!s->set_up || s->vm->rules)
        return fail_protocol(s, "COMPILE comes once, after SETUP and FILE");
    sa_load_compile(s->vm, &s->body);
    return answer(s, SA_WIRE_DONE, &s->body);
}

static void send_part(void *user, const struct sa_buf *value)
{
    answer(user, SA_WIRE_PART, value); /* a parent that is gone is seen at the next packet */
}

static int test(struct serving *s)
{
    if (!s->vm->compiled)
        return fail_protocol(s, "there is nothing compiled to test");
    sa_cases_run(s->vm, send_part, s, &s->body);
    return answer(s, SA_WIRE_DONE, &s->body);
}

static int call(struct serving *s, const struct sa_wire_message *message)
{
    struct sa_vm *vm = s->vm;
    if (!vm->compiled || message->point >= vm->point_count)
        return fail_protocol(s, "there is nothing compiled, or no such point");
    if (sa_decide_call(vm, &vm->points[message->point], message->body,
                       message->flags & SA_WIRE_TRACE, &s->body) < 0)
        return fail(s, &vm->failure);
    if (s->body.length > SA_VALUE_MAX) {
        struct sa_vm_failure failure = {.kind = SA_VM_TYPE,
                                        .message = "the verdict is too large to be sent"};
        return fail(s, &failure);
    }
    return answer(s, SA_WIRE_DONE, &s->body);
}

static int handle(struct serving *s, const struct sa_wire_message *message)
{
    struct sa_value body = {.type = SA_VALUE_NIL};
    if (message->type != SA_WIRE_CALL)
        body = sa_value_of(message->body, message->length);
    s->call = message->call;
    s->body.length = 0;
    switch (message->type) {
    case SA_WIRE_SETUP:
        return set_up(s, &body);
    case SA_WIRE_FILE:
        return take_file(s, &body);
    case SA_WIRE_COMPILE:
        return compile(s);
    case SA_WIRE_TEST:
        return test(s);
    case SA_WIRE_CALL:
        return call(s, message);
    default:
        return fail_protocol(s, "that is an answer, no question");
    }
}

int sa_serve(struct sa_vm *vm, int fd)
{
    static uint8_t packet[SA_WIRE_PACKET_MAX];
    struct serving s = {.vm = vm, .fd = fd};
    struct sa_wire_message message;
    int status = 0;
    while (status == 0) {
        ssize_t got = recv(fd, packet, sizeof packet, MSG_TRUNC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || (size_t)got > sizeof packet) {
            status = got == 0 ? 1 : -1;
            break;
        }
        const uint8_t *next = packet;
        size_t left = (size_t)got;
        int more;
        while (status == 0 && (more = sa_wire_next(&next, &left, &message, NULL)) != 0)
            status = more < 0 ? -1 : handle(&s, &message);
        if (status == 0)
            status = flush(&s);
    }
    sa_buf_deinit(&s.packet);
    sa_buf_deinit(&s.body);
    return status < 0 ? 1 : 0;
}
