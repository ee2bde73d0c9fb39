/* The client's frames, checked; see guard.h. */
#include "ws/guard.h"

#include "base/utf8.h"

#include <string.h>

enum { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

static bool is_control(unsigned opcode)
{
    return opcode >= OP_CLOSE;
}

static void end(struct sa_ws_guard *g, int code, const char *reason)
{
    if (g->done)
        return;
    g->done = true;
    g->events->closed(g->user, code, reason);
}

/* ---- UTF-8, as it comes (RFC 3629, 4) ---- */

/* The first byte of a character decides how many follow and what the next one may be. */
static bool utf8_begin(struct sa_ws_guard *g, unsigned char c)
{
    g->utf8_low = 0x80;
    g->utf8_high = 0xbf;
    if (c >= 0xc2 && c <= 0xdf) {
        g->utf8_need = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
        g->utf8_need = 2;
        g->utf8_low = c == 0xe0 ? 0xa0 : 0x80;
        g->utf8_high = c == 0xed ? 0x9f : 0xbf;
    } else if (c >= 0xf0 && c <= 0xf4) {
        g->utf8_need = 3;
        g->utf8_low = c == 0xf0 ? 0x90 : 0x80;
        g->utf8_high = c == 0xf4 ? 0x8f : 0xbf;
    } else {
        return c < 0x80;
    }
    return true;
}

static bool utf8_next(struct sa_ws_guard *g, unsigned char c)
{
    if (!g->utf8_need)
        return utf8_begin(g, c);
    bool sound = c >= g->utf8_low && c <= g->utf8_high;
    g->utf8_need--;
    g->utf8_low = 0x80;
    g->utf8_high = 0xbf;
    return sound;
}

/* Eight bytes of ASCII at a time, where they are. */
static size_t ascii_run(const unsigned char *data, size_t length, const unsigned char mask[4],
                        unsigned at)
{
    unsigned char turned[8];
    uint64_t word, mask64;
    size_t n = 0;
    for (unsigned i = 0; i < 8; i++)
        turned[i] = mask[(at + i) & 3];
    memcpy(&mask64, turned, 8);
    for (; n + 8 <= length; n += 8) {
        memcpy(&word, data + n, 8);
        if ((word ^ mask64) & 0x8080808080808080u)
            break;
    }
    return n;
}

static bool text_sound(struct sa_ws_guard *g, const unsigned char *data, size_t length)
{
    unsigned at = g->mask_at;
    size_t i = 0;
    while (i < length) {
        if (!g->utf8_need) {
            size_t run = ascii_run(data + i, length - i, g->mask, at);
            i += run;
            at += (unsigned)run;
        }
        for (unsigned k = 0; k < 8 && i < length; k++, i++, at++)
            if (!utf8_next(g, data[i] ^ g->mask[at & 3]))
                return false;
    }
    return true;
}

/* ---- control frames ---- */

/* RFC 6455, 7.4, and the registry. 1012-1014 are for servers to send. */
static bool code_sound(unsigned code)
{
    return (code >= 1000 && code <= 1011 && (code < 1004 || code > 1006)) ||
           (code >= 3000 && code <= 4999);
}

static void close_came(struct sa_ws_guard *g)
{
    const char *reason = (const char *)g->control + 2;
    unsigned code = (unsigned)(g->control[0] << 8 | g->control[1]);
    if (!g->control_length)
        end(g, SA_WS_NO_CODE, "");
    else if (g->control_length == 1 || !code_sound(code))
        end(g, SA_WS_PROTOCOL, "bad close code");
    else if (!sa_utf8_valid(reason, g->control_length - 2))
        end(g, SA_WS_BAD_TEXT, "bad close reason");
    else
        end(g, (int)code, "");
}

static void control_came(struct sa_ws_guard *g)
{
    if (g->opcode == OP_PING)
        g->events->ping(g->user, g->control, g->control_length);
    else if (g->opcode == OP_CLOSE)
        close_came(g);
}

/* ---- heads ---- */

/* How long the head will be, as far as can be told from its first two bytes. */
static unsigned head_size(const struct sa_ws_guard *g)
{
    if (g->head_length < 2)
        return 2;
    unsigned length = g->head[1] & 0x7f;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + 4;
}

/* Why the first two bytes of a frame are wrong; NULL: they are not. */
static const char *opening_fault(const struct sa_ws_guard *g)
{
    unsigned opcode = g->head[0] & 0x0f;
    bool fin = g->head[0] & 0x80;
    if (g->head[0] & 0x70)
        return "reserved bits are set";
    if ((opcode > OP_BINARY && opcode < OP_CLOSE) || opcode > OP_PONG)
        return "unknown opcode";
    if (is_control(opcode) && !fin)
        return "fragmented control frame";
    if (opcode == OP_CONTINUATION && !g->in_message)
        return "nothing to continue";
    if ((opcode == OP_TEXT || opcode == OP_BINARY) && g->in_message)
        return "the message before is not complete";
    if (g->head_length < 2)
        return NULL;
    if (!(g->head[1] & 0x80))
        return "the frame is not masked";
    if (is_control(opcode) && (g->head[1] & 0x7f) > SA_WS_CONTROL_MAX)
        return "the control frame is too long";
    return NULL;
}

static uint64_t payload_length(const struct sa_ws_guard *g)
{
    unsigned length = g->head[1] & 0x7f, bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | g->head[2 + i];
    return bytes ? value : length;
}

/* A frame of data begins: does the message stay within its limits? */
static bool data_begins(struct sa_ws_guard *g)
{
    if (g->opcode != OP_CONTINUATION) {
        g->text = g->opcode == OP_TEXT;
        g->message_bytes = 0;
        g->fragments = 0;
        g->utf8_need = 0;
    }
    g->in_message = true;
    if (g->left > g->message_max - g->message_bytes || ++g->fragments > SA_WS_FRAGMENTS_MAX) {
        end(g, SA_WS_TOO_BIG, "the message is too big");
        return false;
    }
    g->message_bytes += g->left;
    return true;
}

/* The whole head is there. */
static void frame_begins(struct sa_ws_guard *g, struct sa_buf *out)
{
    g->opcode = g->head[0] & 0x0f;
    g->fin = g->head[0] & 0x80;
    g->left = payload_length(g);
    memcpy(g->mask, g->head + g->head_length - 4, 4);
    g->mask_at = 0;
    g->in_payload = true;
    g->control_length = 0;
    if (g->left >> 63)
        end(g, SA_WS_PROTOCOL, "the length is negative");
    else if (!is_control(g->opcode) && data_begins(g))
        sa_buf_add(out, g->head, g->head_length);
}

static size_t take_head(struct sa_ws_guard *g, const unsigned char *data, size_t length,
                        struct sa_buf *out)
{
    size_t used = 0;
    while (used < length) {
        g->head[g->head_length++] = data[used++];
        const char *fault = g->head_length <= 2 ? opening_fault(g) : NULL;
        if (fault) {
            end(g, SA_WS_PROTOCOL, fault);
            break;
        }
        if (g->head_length == head_size(g)) {
            frame_begins(g, out);
            break;
        }
    }
    return used;
}

/* ---- payload ---- */

static void frame_ends(struct sa_ws_guard *g)
{
    g->in_payload = false;
    g->head_length = 0;
    if (is_control(g->opcode)) {
        control_came(g);
    } else if (g->fin) {
        g->in_message = false;
        if (g->text && g->utf8_need)
            end(g, SA_WS_BAD_TEXT, "the text ends within a character");
        else
            g->messages++;
    }
}

/* What reads `out` must find the end of a frame that has begun. */
static void complete_frame(struct sa_ws_guard *g, struct sa_buf *out)
{
    memset(sa_buf_reserve(out, (size_t)g->left), 0, (size_t)g->left);
    out->length += (size_t)g->left;
    g->left = 0;
}

static size_t take_payload(struct sa_ws_guard *g, const unsigned char *data, size_t length,
                           struct sa_buf *out)
{
    size_t n = g->left < length ? (size_t)g->left : length;
    if (is_control(g->opcode)) {
        for (size_t i = 0; i < n; i++)
            g->control[g->control_length++] = data[i] ^ g->mask[(g->mask_at + i) & 3];
    } else {
        if (g->text && !text_sound(g, data, n)) {
            complete_frame(g, out);
            end(g, SA_WS_BAD_TEXT, "the text is not UTF-8");
            return n;
        }
        sa_buf_add(out, data, n);
    }
    g->mask_at += (unsigned)n;
    g->left -= n;
    return n;
}

void sa_ws_guard_feed(struct sa_ws_guard *g, const char *text, size_t length, struct sa_buf *out)
{
    const unsigned char *data = (const unsigned char *)text;
    while (!g->done && length) {
        size_t used =
            !g->in_payload ? take_head(g, data, length, out) : take_payload(g, data, length, out);
        data += used;
        length -= used;
        if (!g->done && g->in_payload && !g->left)
            frame_ends(g);
    }
}

void sa_ws_guard_stop(struct sa_ws_guard *g, struct sa_buf *out)
{
    if (!g->done && g->in_payload && !is_control(g->opcode))
        complete_frame(g, out);
    g->done = true;
}
