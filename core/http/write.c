/* The connection's way out: encrypt, try to write, leave to libuv what the kernel does not take. */
#include "http/internal.h"

size_t sa_conn_queued(const struct sa_conn *c)
{
    return c->out.bytes + c->cipher.bytes;
}

static void encrypt(struct sa_conn *c)
{
    uv_buf_t vectors[SA_OUT_VECTORS];
    while (c->out.bytes && c->cipher.bytes < FLUSH_BYTES) {
        unsigned n = sa_out_vectors(&c->out, vectors);
        size_t used = 0;
        for (unsigned i = 0; i < n && c->cipher.bytes + used < FLUSH_BYTES; i++) {
            if (sa_tls_write(c->tls, vectors[i].base, vectors[i].len) < 0) {
                sa_conn_fail(c);
                return;
            }
            used += vectors[i].len;
        }
        sa_out_consume(&c->out, used);
        sa_tls_output(c->tls, &c->cipher);
    }
    sa_tls_output(c->tls, &c->cipher);
}

static void on_written(uv_write_t *write, int status)
{
    struct sa_conn *c = write->data;
    size_t length = c->writing;
    c->writing = 0;
    if (c->phase == CONN_CLOSING)
        return;
    if (status < 0)
        c->failed = true;
    else
        sa_out_consume(c->tls ? &c->cipher : &c->out, length);
    c->last_output = uv_now(c->server->loop);
    sa_conn_step(c);
}

/* The kernel took `sent` bytes of these and no more: libuv waits for it to take the rest. */
static void write_rest(struct sa_conn *c, uv_buf_t *vectors, unsigned n, size_t sent)
{
    unsigned first = 0;
    while (sent >= vectors[first].len)
        sent -= vectors[first++].len;
    vectors[first].base += sent;
    vectors[first].len -= sent;
    size_t length = 0;
    for (unsigned i = first; i < n; i++)
        length += vectors[i].len;
    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, vectors + first, n - first, on_written) != 0) {
        sa_conn_fail(c);
        return;
    }
    c->writing = length;
    c->write_mark = length;
}

void sa_conn_flush(struct sa_conn *c)
{
    uv_buf_t vectors[SA_OUT_VECTORS];
    struct sa_out *wire = c->tls ? &c->cipher : &c->out;
    if (c->writing || c->failed || c->phase == CONN_CLOSING)
        return;
    sa_out_chunk_close(&c->out);
    for (;;) {
        if (c->tls)
            encrypt(c);
        if (!wire->bytes || c->failed)
            return;
        unsigned n = sa_out_vectors(wire, vectors);
        size_t length = 0;
        for (unsigned i = 0; i < n; i++)
            length += vectors[i].len;
        int sent = uv_try_write((uv_stream_t *)&c->tcp, vectors, n);
        if (sent == UV_EAGAIN)
            sent = 0;
        if (sent < 0) {
            sa_conn_fail(c);
            return;
        }
        c->last_output = uv_now(c->server->loop);
        if ((size_t)sent < length) {
            /* `vectors` point into the segments: hand them over before those move on. */
            write_rest(c, vectors, n, (size_t)sent);
            sa_out_consume(wire, (size_t)sent);
            return;
        }
        sa_out_consume(wire, length);
    }
}
