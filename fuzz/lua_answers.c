/*
 * What a policy-worker sends, to the code that takes it: packets of any bytes, at the start or with
 * calls in flight. Each call is answered at most once and in order, with a verdict only while the
 * worker has kept to the protocol; after a breach nothing is in flight any more.
 *
 * The first byte says what is in flight; then come packets, each behind its length in two bytes.
 */
#include "loop/loop.h"
#include "lua/worker_internal.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS_MAX = 15, TESTED = 0x10, READY = 0x20 };

static uv_loop_t *loop;
static struct sa_bundle *bundle;
static struct sa_buf points;

static struct state {
    unsigned started, died, answered, asked;
    bool gone;
} state;

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void read_all(const struct sa_value *value)
{
    sa_autobuf json = SA_BUF_INIT;
    sa_value_to_json(value, &json);
}

static void on_started(void *owner, const struct sa_error *err, const struct sa_value *compiled,
                       const struct sa_value *tested)
{
    (void)owner;
    require(++state.started == 1);
    state.gone = err != NULL;
    read_all(compiled);
    read_all(tested);
}

static void on_died(void *owner, const struct sa_error *why)
{
    (void)owner;
    require(why->code == SA_EPROTOCOL && ++state.died == 1 && state.answered == state.asked);
    state.gone = true;
}

static void on_answer(void *user, const struct sa_error *err, const struct sa_value *verdict)
{
    require((uintptr_t)user == state.answered && !err == !!verdict && !state.gone);
    state.answered++;
    if (verdict) {
        require(verdict->type == SA_VALUE_MAP);
        read_all(verdict);
    }
}

static void set_up(void)
{
    if (loop)
        return;
    loop = sa_loop_new(NULL);
    bundle = sa_bundle_read(NULL, 0, NULL);
    sa_value_list(&points);
    sa_value_end(&points);
    require(loop && bundle);
}

static struct sa_worker *worker_of(bool test)
{
    int pair[2];
    struct sa_process none = {-1, -1};
    struct sa_worker_options options = {.loop = loop,
                                        .points = &points,
                                        .bundle = bundle,
                                        .test = test,
                                        .started = on_started,
                                        .died = on_died};
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    struct sa_worker *worker = sa_worker_on(&options, pair[0], &none, NULL);
    require(worker != NULL);
    sa_worker_flush(worker);
    close(pair[1]); /* what is sent from now on is lost */
    return worker;
}

static void answer(struct sa_worker *worker, uint32_t call, const char *json)
{
    sa_autobuf body = SA_BUF_INIT, packet = SA_BUF_INIT;
    require(sa_value_from_json(json, __builtin_strlen(json), &body, NULL) == 0);
    sa_wire_add(&packet,
                &(struct sa_wire_message){
                    .type = SA_WIRE_DONE, .call = call, .body = body.data, .length = body.length});
    sa_worker_packet(worker, (const uint8_t *)packet.data, packet.length);
}

static void make_ready(struct sa_worker *worker, unsigned calls)
{
    sa_autobuf input = SA_BUF_INIT;
    sa_value_map(&input);
    sa_value_end(&input);
    answer(worker, 1, "{}");
    answer(worker, 2, "{\"rules\":[],\"errors\":[]}");
    require(state.started && !state.gone);
    for (; state.asked < calls; state.asked++)
        require(sa_worker_ask(worker, 0, 0, &input, on_answer, (void *)(uintptr_t)state.asked,
                              NULL) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    set_up();
    state = (struct state){0};
    unsigned mode = *data++;
    size--;
    struct sa_worker *worker = worker_of(!(mode & READY) && (mode & TESTED));
    if (mode & READY)
        make_ready(worker, mode & CALLS_MAX);
    while (size >= 2) {
        size_t length = (size_t)data[0] | (size_t)data[1] << 8;
        data += 2;
        size -= 2;
        if (length > size)
            length = size;
        uint8_t *packet = malloc(length ? length : 1); /* so that a read too far is seen */
        __builtin_memcpy(packet, data, length);
        sa_worker_packet(worker, packet, length);
        free(packet);
        data += length;
        size -= length;
    }
    require(sa_worker_in_flight(worker) == (state.gone ? 0 : state.asked - state.answered));
    sa_worker_kill(worker);
    while (uv_run(loop, UV_RUN_NOWAIT))
        ;
    return 0;
}
