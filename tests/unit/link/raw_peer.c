#include "raw_peer.h"

static void on_ready(void *owner, const char *name)
{
    struct raw_peer *p = owner;
    sa_buf_printf(&p->log, "ready %s\n", name);
}

static void on_opened(void *owner, struct sa_stream *s, uint16_t method, const void *body,
                      size_t length)
{
    struct raw_peer *p = owner;
    (void)body;
    p->last = s;
    sa_buf_printf(&p->log, "opened %u %u %zu\n", sa_stream_id(s), method, length);
}

static void on_data(void *owner, struct sa_stream *s, enum sa_link_channel channel,
                    const void *data, size_t length)
{
    struct raw_peer *p = owner;
    p->last = s;
    sa_buf_printf(&p->log, "data %u %d ", sa_stream_id(s), (int)channel);
    if (length <= 16)
        sa_buf_add(&p->log, data, length);
    else
        sa_buf_printf(&p->log, "%zu bytes", length);
    sa_buf_addc(&p->log, '\n');
    if (p->auto_consume)
        sa_stream_consume(s, length);
    if (p->end_in_data)
        sa_stream_end(s, NULL, 0);
}

static void on_eof(void *owner, struct sa_stream *s, enum sa_link_channel channel)
{
    struct raw_peer *p = owner;
    sa_buf_printf(&p->log, "eof %u %d\n", sa_stream_id(s), (int)channel);
}

static void on_note(void *owner, struct sa_stream *s, const void *body, size_t length)
{
    struct raw_peer *p = owner;
    (void)body;
    sa_buf_printf(&p->log, "note %u %zu\n", sa_stream_id(s), length);
}

static void on_writable(void *owner, struct sa_stream *s)
{
    struct raw_peer *p = owner;
    sa_buf_printf(&p->log, "writable %u\n", sa_stream_id(s));
}

static void on_canceled(void *owner, struct sa_stream *s)
{
    struct raw_peer *p = owner;
    sa_buf_printf(&p->log, "canceled %u\n", sa_stream_id(s));
}

static void on_ended(void *owner, struct sa_stream *s, const void *body, size_t length)
{
    struct raw_peer *p = owner;
    (void)body;
    sa_buf_printf(&p->log, "ended %u %zu\n", sa_stream_id(s), length);
}

static void on_wants_output(void *owner)
{
    struct raw_peer *p = owner;
    sa_buf_adds(&p->log, "output\n");
}

static const struct sa_link_events events = {
    .ready = on_ready,
    .opened = on_opened,
    .data = on_data,
    .eof = on_eof,
    .note = on_note,
    .writable = on_writable,
    .canceled = on_canceled,
    .ended = on_ended,
    .wants_output = on_wants_output,
};

void raw_hello_body(struct sa_buf *body, const char *magic, int lowest, int highest, int64_t window,
                    int64_t streams)
{
    sa_fields_add_text(body, 1, magic);
    sa_fields_add_int(body, 2, lowest);
    sa_fields_add_int(body, 3, highest);
    sa_fields_add_int(body, 4, window);
    sa_fields_add_int(body, 5, streams);
    sa_fields_add_text(body, 6, "raw");
}

void raw_init(struct raw_peer *p, enum sa_link_role role, int greet)
{
    *p = (struct raw_peer){.auto_consume = 1};
    struct sa_link_options options = {
        .role = role, .name = "engine", .events = &events, .owner = p, .output_high_bytes = 400000};
    p->link = sa_link_new(&options);
    if (!greet)
        return;
    sa_autobuf body = SA_BUF_INIT;
    raw_hello_body(&body, SA_LINK_MAGIC, 1, 1, SA_LINK_WINDOW_MIN, 256);
    assert_int_equal(raw_feed(p, SA_LINK_HELLO, 0, 0, body.data, body.length), 0);
    struct raw_frame f = {0};
    assert_true(raw_next(p, &f));
    assert_int_equal(f.type, SA_LINK_HELLO);
    expect_log(p, "ready raw\n");
}

void raw_deinit(struct raw_peer *p)
{
    sa_link_free(p->link);
    sa_buf_deinit(&p->log);
    sa_buf_deinit(&p->out);
}

void raw_frame(struct sa_buf *to, int type, uint32_t stream, int channel, const void *payload,
               size_t length)
{
    uint8_t h[12] = {(uint8_t)length,         (uint8_t)(length >> 8),  (uint8_t)(length >> 16),
                     (uint8_t)(length >> 24), (uint8_t)stream,         (uint8_t)(stream >> 8),
                     (uint8_t)(stream >> 16), (uint8_t)(stream >> 24), (uint8_t)type,
                     (uint8_t)channel};
    sa_buf_add(to, h, sizeof h);
    sa_buf_add(to, payload, length);
}

int raw_feed(struct raw_peer *p, int type, uint32_t stream, int channel, const void *payload,
             size_t length)
{
    sa_autobuf bytes = SA_BUF_INIT;
    raw_frame(&bytes, type, stream, channel, payload, length);
    return sa_link_feed(p->link, bytes.data, bytes.length, &p->err);
}

int raw_open(struct raw_peer *p, uint32_t stream, int method)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, 1, method);
    return raw_feed(p, SA_LINK_OPEN, stream, 0, body.data, body.length);
}

int raw_credit(struct raw_peer *p, uint32_t stream, uint32_t more)
{
    uint8_t payload[4] = {(uint8_t)more, (uint8_t)(more >> 8), (uint8_t)(more >> 16),
                          (uint8_t)(more >> 24)};
    return raw_feed(p, SA_LINK_CREDIT, stream, 0, payload, 4);
}

static void drain(struct raw_peer *p)
{
    struct iovec v[4];
    size_t n;
    while ((n = sa_link_output(p->link, v, 4)) > 0) {
        size_t total = 0;
        for (size_t i = 0; i < n; i++) {
            sa_buf_add(&p->out, v[i].iov_base, v[i].iov_len);
            total += v[i].iov_len;
        }
        sa_link_consumed_output(p->link, total);
    }
}

int raw_next(struct raw_peer *p, struct raw_frame *f)
{
    if (p->taken == p->out.length) {
        p->taken = p->out.length = 0;
        drain(p);
    }
    if (p->taken == p->out.length)
        return 0;
    const uint8_t *h = (const uint8_t *)p->out.data + p->taken;
    assert_true(p->out.length - p->taken >= 12);
    f->length = h[0] | (uint32_t)h[1] << 8 | (uint32_t)h[2] << 16 | (uint32_t)h[3] << 24;
    f->stream = h[4] | (uint32_t)h[5] << 8 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 24;
    f->type = h[8];
    f->channel = h[9];
    f->payload = h + 12;
    assert_true(f->length <= SA_LINK_PAYLOAD_MAX);
    p->taken += 12 + f->length;
    assert_true(p->taken <= p->out.length);
    return 1;
}

void expect_violation(struct raw_peer *p, int result, const char *text)
{
    struct raw_frame f = {0};
    struct sa_error reason;
    assert_int_equal(result, -1);
    assert_int_equal(p->err.code, SA_EPROTOCOL);
    if (!strstr(p->err.message, text))
        fail_msg("expected \"%s\" in: %s", text, p->err.message);
    assert_string_equal(sa_link_failure(p->link)->message, p->err.message);
    while (raw_next(p, &f))
        ;
    assert_int_equal(f.type, SA_LINK_GOAWAY);
    assert_int_equal(f.stream, 0);
    struct sa_field whole = {0, f.payload, f.length};
    assert_int_equal(sa_field_error(&whole, &reason, NULL), 0);
    assert_string_equal(reason.message, p->err.message);
    /* And it stays over. */
    assert_int_equal(sa_link_feed(p->link, "x", 1, NULL), -1);
    assert_false(sa_link_is_ready(p->link));
    assert_int_equal(sa_link_output_bytes(p->link), 0);
}
