/*
 * What a policy-worker is sent, to the code that takes it: packets of any bytes, behind a SETUP, a
 * rule and COMPILE that are good, or first of all. What it answers is made of whole messages. Rules
 * that loop are refused here, as nothing stops them without the worker's clock.
 *
 * The first byte says whether there is a good start; then come packets, each behind its length in
 * two bytes.
 */
#include "lua/wire.h"
#include "serve.h"
#include "vm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STARTED = 1, HEAP_BYTES = 8 * 1024 * 1024 };

static void require(bool ok)
{
    if (!ok)
        abort();
}

static bool may_loop(const void *data, size_t size)
{
    static const char *const words[] = {"while", "for", "repeat", "goto", "function"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (memmem(data, size, words[i], strlen(words[i])))
            return true;
    return false;
}

static void add(struct sa_buf *packet, enum sa_wire_type type, const char *json)
{
    sa_autobuf body = SA_BUF_INIT;
    require(sa_value_from_json(json, strlen(json), &body, NULL) == 0);
    sa_wire_add(packet, &(struct sa_wire_message){
                            .type = type, .call = 1, .body = body.data, .length = body.length});
}

static void start(int fd)
{
    sa_autobuf packet = SA_BUF_INIT;
    add(&packet, SA_WIRE_SETUP,
        "{\"limits\":{},\"points\":[{\"name\":\"execute\",\"verdicts\":[\"allow\",\"deny\"],"
        "\"final\":[\"deny\"],\"combine\":\"firstFinal\",\"target\":\"run\",\"input\":{\"program\":"
        "{\"type\":\"string\"},\"run\":{\"type\":\"object\",\"fields\":{\"n\":{\"type\":"
        "\"integer\"}"
        "}}},\"changes\":{\"n\":{\"type\":\"integer\"}},\"returns\":{}}]}");
    add(&packet, SA_WIRE_FILE,
        "{\"name\":\"policies/x.lua\",\"text\":\"return { name = 'x', version = 1, point = "
        "'execute', decide = function(i) if i.program == 'x' then return deny('x', 'no') end "
        "return { verdict = 'allow', changes = { n = 1 } } end }\"}");
    add(&packet, SA_WIRE_COMPILE, "{}");
    require(send(fd, packet.data, packet.length, 0) == (ssize_t)packet.length);
}

static void send_packets(int fd, const uint8_t *data, size_t size)
{
    while (size >= 2) {
        size_t length = (size_t)data[0] | (size_t)data[1] << 8;
        data += 2;
        size -= 2;
        if (length > size)
            length = size;
        if (length && send(fd, data, length, MSG_DONTWAIT) < 0)
            return; /* it is full */
        data += length;
        size -= length;
    }
}

static void read_answers(int fd)
{
    static uint8_t packet[SA_WIRE_PACKET_MAX];
    struct sa_wire_message message;
    ssize_t n;
    while ((n = recv(fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC)) > 0) {
        const uint8_t *next = packet;
        size_t left = (size_t)n;
        int more;
        require(left <= sizeof packet);
        while ((more = sa_wire_next(&next, &left, &message, NULL)) > 0)
            require(message.type >= SA_WIRE_DONE);
        require(more == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    if (!size || may_loop(data, size))
        return 0;
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    struct sa_vm *vm = sa_vm_new(HEAP_BYTES);
    require(vm != NULL);
    if (data[0] & STARTED)
        start(pair[0]);
    send_packets(pair[0], data + 1, size - 1);
    shutdown(pair[0], SHUT_WR);
    sa_serve(vm, pair[1]);
    read_answers(pair[0]);
    sa_vm_free(vm);
    close(pair[0]);
    close(pair[1]);
    return 0;
}
