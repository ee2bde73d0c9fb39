/* A client's WebSocket frames, in two pieces: what comes out is whole frames, and ends once. */
#include "ws/guard.h"

#include "base/cleanup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned ends;

static void on_ping(void *user, const void *payload, size_t length)
{
    (void)user, (void)payload;
    if (length > SA_WS_CONTROL_MAX)
        abort();
}

static void on_closed(void *user, int code, const char *reason)
{
    (void)user, (void)reason;
    if (code < 1000 || code > 4999 || code == SA_WS_BROKEN)
        abort();
    ends++;
}

/* What libwebsockets is given: masked data frames, each of them whole. */
static void check(const struct sa_buf *out)
{
    const unsigned char *at = (const unsigned char *)out->data, *end = at + out->length;
    while (at < end) {
        unsigned opcode = at[0] & 0x0f, small = at[1] & 0x7f;
        uint64_t length = small;
        size_t more = small == 126 ? 2 : small == 127 ? 8 : 0;
        if ((at[0] & 0x70) || opcode > 2 || !(at[1] & 0x80))
            abort();
        if (more)
            length = 0;
        for (size_t i = 0; i < more; i++)
            length = length << 8 | at[2 + i];
        if (length > (size_t)(end - at) - 6 - more)
            abort();
        at += 6 + more + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sa_ws_guard_events events = {on_ping, on_closed};
    struct sa_ws_guard guard = {.message_max = 4096, .events = &events};
    sa_autobuf out = SA_BUF_INIT;
    if (!size)
        return 0;
    size_t first = data[0] % size;
    ends = 0;
    sa_ws_guard_feed(&guard, (const char *)data, first, &out);
    sa_ws_guard_feed(&guard, (const char *)data + first, size - first, &out);
    sa_ws_guard_stop(&guard, &out);
    if (ends > 1)
        abort();
    if (out.length)
        check(&out);
    return 0;
}
