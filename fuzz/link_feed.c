/*
 * Feeds arbitrary bytes to a link engine whose application reacts to everything. The first byte
 * chooses: role (bit 0), whether a good HELLO is put in front (bit 1), whether output is read
 * (bit 2), how the application behaves (bits 3-5); the second byte how the rest is cut.
 */
#include "link/fields.h"
#include "link/link.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { END_AT_ONCE = 8, HOLD = 16, ECHO = 32 };

struct app {
    struct sa_link *link;
    unsigned flags, sum;
};

static void touch(struct app *app, const void *data, size_t length)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < length; i++)
        app->sum += p[i]; /* let the sanitizer see every byte */
}

static void on_opened(void *owner, struct sa_stream *s, uint16_t method, const void *body,
                      size_t length)
{
    struct app *app = owner;
    struct sa_fields reader;
    struct sa_field f;
    touch(app, body, length);
    sa_fields_init(&reader, body, length);
    while (sa_fields_next(&reader, &f, NULL) > 0)
        touch(app, f.data, f.length);
    if (app->flags & END_AT_ONCE)
        sa_stream_end(s, body, length);
    else if (method & 1)
        sa_stream_note(s, body, length);
}

static void on_data(void *owner, struct sa_stream *s, enum sa_link_channel channel,
                    const void *data, size_t length)
{
    struct app *app = owner;
    touch(app, data, length);
    if (app->flags & ECHO)
        sa_stream_write(s, channel, data, length);
    if (!(app->flags & HOLD))
        sa_stream_consume(s, length);
}

static void on_eof(void *owner, struct sa_stream *s, enum sa_link_channel channel)
{
    struct app *app = owner;
    (void)channel;
    if (app->flags & ECHO && (sa_stream_id(s) & 1) == (app->flags & 1))
        sa_stream_end(s, NULL, 0);
    else if ((sa_stream_id(s) & 1) != (app->flags & 1))
        sa_stream_cancel(s);
}

static void on_bytes(void *owner, struct sa_stream *s, const void *body, size_t length)
{
    (void)s;
    touch(owner, body, length);
}

static void on_writable(void *owner, struct sa_stream *s)
{
    (void)owner;
    size_t n = 100000;
    char *room = sa_stream_reserve(s, (enum sa_link_channel)(sa_stream_id(s) % SA_CHANNELS), &n);
    if (room) {
        memset(room, 1, n / 2);
        sa_stream_commit(s, n / 2);
    }
}

static void on_canceled(void *owner, struct sa_stream *s)
{
    struct app *app = owner;
    if (!(app->flags & HOLD))
        sa_stream_end(s, "x", 1);
}

static const struct sa_link_events events = {.opened = on_opened,
                                             .data = on_data,
                                             .eof = on_eof,
                                             .note = on_bytes,
                                             .writable = on_writable,
                                             .canceled = on_canceled,
                                             .ended = on_bytes};

static void greet(struct sa_link *link)
{
    sa_autobuf frame = SA_BUF_INIT;
    static const char header[SA_LINK_HEADER_BYTES] = {[8] = SA_LINK_HELLO};
    sa_buf_add(&frame, header, sizeof header);
    sa_fields_add_text(&frame, 1, SA_LINK_MAGIC);
    sa_fields_add_int(&frame, 2, 1);
    sa_fields_add_int(&frame, 3, 1);
    sa_fields_add_int(&frame, 4, SA_LINK_WINDOW_MIN);
    sa_fields_add_int(&frame, 5, 8);
    frame.data[0] = (char)(frame.length - SA_LINK_HEADER_BYTES);
    if (sa_link_feed(link, frame.data, frame.length, NULL) < 0)
        abort();
    for (uint16_t i = 0; i < 3; i++)
        if (!sa_link_open(link, i, "\0\0\0\0\0\0", 6, NULL, NULL))
            abort();
}

static void read_output(struct app *app)
{
    struct iovec v[8];
    size_t n = sa_link_output(app->link, v, 8), total = 0;
    for (size_t i = 0; i < n; i++) {
        touch(app, v[i].iov_base, v[i].iov_len);
        total += v[i].iov_len;
    }
    sa_link_consumed_output(app->link, total);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct app app = {.flags = data[0]};
    struct sa_link_options options = {.role = data[0] & 1 ? SA_LINK_RUNTIME : SA_LINK_CONTROL,
                                      .window_bytes = SA_LINK_WINDOW_MIN,
                                      .events = &events,
                                      .owner = &app};
    app.link = sa_link_new(&options);
    if (data[0] & 2)
        greet(app.link);
    size_t step = data[1] ? data[1] : size;
    for (size_t at = 2; at < size; at += step) {
        size_t n = size - at < step ? size - at : step;
        uint8_t *exact = malloc(n); /* so that reading past the end is seen */
        memcpy(exact, data + at, n);
        int result = sa_link_feed(app.link, exact, n, NULL);
        free(exact);
        if ((result < 0) != (sa_link_failure(app.link) != NULL))
            abort();
        if (data[0] & 4)
            read_output(&app);
        if (sa_link_stream_count(app.link) > 8 + SA_LINK_STREAMS_MAX ||
            sa_link_output_bytes(app.link) > 64u * 1024 * 1024)
            abort();
        if (result < 0)
            break;
    }
    read_output(&app);
    sa_link_free(app.link);
    return 0;
}
