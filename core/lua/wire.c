/* Messages in packets. */
#include "lua/wire.h"

static void put(uint8_t *to, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t take(const uint8_t *from, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)from[i] << (8 * i);
    return value;
}

void sa_wire_add(struct sa_buf *packet, const struct sa_wire_message *message)
{
    uint8_t header[SA_WIRE_HEADER_BYTES];
    put(header, (uint32_t)message->length, 4);
    header[4] = (uint8_t)message->type;
    header[5] = message->flags;
    put(header + 6, message->point, 2);
    put(header + 8, message->call, 4);
    sa_buf_reserve(packet, sizeof header + message->length); /* grows at most once */
    sa_buf_add(packet, header, sizeof header);
    sa_buf_add(packet, message->body, message->length);
}

size_t sa_wire_length(const uint8_t *header)
{
    return SA_WIRE_HEADER_BYTES + (size_t)take(header, 4);
}

static int known(uint8_t type)
{
    return (type >= SA_WIRE_SETUP && type <= SA_WIRE_CALL) ||
           (type >= SA_WIRE_DONE && type <= SA_WIRE_FAIL);
}

int sa_wire_next(const uint8_t **next, size_t *left, struct sa_wire_message *message,
                 struct sa_error *err)
{
    const uint8_t *header = *next;
    if (!*left)
        return 0;
    if (*left < SA_WIRE_HEADER_BYTES)
        return sa_error_set(err, SA_EPROTOCOL, "a message's header that is cut off");
    uint32_t length = take(header, 4);
    if (length > *left - SA_WIRE_HEADER_BYTES)
        return sa_error_set(err, SA_EPROTOCOL, "a message of %u bytes in a packet with %zu left",
                            length, *left - SA_WIRE_HEADER_BYTES);
    if (!known(header[4]))
        return sa_error_set(err, SA_EPROTOCOL, "a message of the unknown type %u", header[4]);
    *message = (struct sa_wire_message){
        .type = (enum sa_wire_type)header[4],
        .flags = header[5],
        .point = (uint16_t)take(header + 6, 2),
        .call = take(header + 8, 4),
        .body = header + SA_WIRE_HEADER_BYTES,
        .length = length,
    };
    if (sa_value_check(message->body, length, err) < 0)
        return -1;
    *next = header + SA_WIRE_HEADER_BYTES + length;
    *left -= SA_WIRE_HEADER_BYTES + length;
    return 1;
}
