/* TLS over memory BIOs, see tls.h. */
#include "http/tls.h"

#include "base/arena.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

struct sa_tls_context {
    SSL_CTX *ssl_ctx;
};

struct sa_tls {
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    bool broken;
};

static int openssl_error(struct sa_error *err, const char *file, const char *what)
{
    unsigned long code = ERR_peek_error(); /* the first is the cause */
    const char *reason = !code                    ? NULL
                         : ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
                                                  : ERR_reason_error_string(code);
    sa_error_at(err, SA_EINVALID, file, "%s %s: %s", what, file,
                reason ? reason : "it cannot be used");
    ERR_clear_error();
    return -1;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                       const unsigned char *in, unsigned in_length, void *unused)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl, (void)unused;
    if (SSL_select_next_proto(&chosen, out_length, ours, sizeof ours - 1, in, in_length) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int set_up(SSL_CTX *ctx, const char *cert_file, const char *key_file, struct sa_error *err)
{
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL") != 1)
        return sa_error_set(err, SA_EINTERNAL, "OpenSSL offers none of the TLS 1.2 ciphers");
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
        return openssl_error(err, cert_file, "the TLS certificate");
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        return openssl_error(err, key_file, "the TLS key");
    if (SSL_CTX_check_private_key(ctx) != 1)
        return openssl_error(err, key_file, "the TLS key does not belong to the certificate:");
    return 0;
}

/* A key under a passphrase is refused rather than asked about on the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *unused)
{
    (void)buffer, (void)size, (void)writing, (void)unused;
    return -1;
}

struct sa_tls_context *sa_tls_context_new(const char *cert_file, const char *key_file,
                                          struct sa_error *err)
{
    struct sa_tls_context *context = sa_alloc(sizeof *context);
    context->ssl_ctx = SSL_CTX_new(TLS_server_method());
    if (!context->ssl_ctx) {
        sa_error_set(err, SA_EINTERNAL, "OpenSSL cannot be initialised");
        sa_tls_context_free(context);
        return NULL;
    }
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(context->ssl_ctx, no_passphrase);
    if (set_up(context->ssl_ctx, cert_file, key_file, err) < 0) {
        sa_tls_context_free(context);
        return NULL;
    }
    return context;
}

void sa_tls_context_free(struct sa_tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl_ctx);
    free(context);
}

struct sa_tls *sa_tls_new(struct sa_tls_context *context)
{
    struct sa_tls *tls = sa_alloc(sizeof *tls);
    tls->ssl = SSL_new(context->ssl_ctx);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    if (!tls->ssl || !tls->in || !tls->out)
        abort(); /* out of memory */
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

void sa_tls_free(struct sa_tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

void sa_tls_feed(struct sa_tls *tls, const void *data, size_t length)
{
    size_t written;
    if (BIO_write_ex(tls->in, data, length, &written) != 1 || written != length)
        abort(); /* out of memory */
}

ssize_t sa_tls_read(struct sa_tls *tls, void *data, size_t capacity)
{
    size_t total = 0, n;
    if (tls->broken)
        return -1;
    ERR_clear_error();
    while (total < capacity && SSL_read_ex(tls->ssl, (char *)data + total, capacity - total, &n))
        total += n;
    if (total)
        return (ssize_t)total; /* an error shows again next time */
    switch (SSL_get_error(tls->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return -2;
    default:
        tls->broken = true;
        ERR_clear_error();
        return -1;
    }
}

size_t sa_tls_unread_bytes(const struct sa_tls *tls)
{
    return BIO_ctrl_pending(tls->in) + (size_t)SSL_pending(tls->ssl);
}

bool sa_tls_established(const struct sa_tls *tls)
{
    return SSL_is_init_finished(tls->ssl);
}

int sa_tls_write(struct sa_tls *tls, const void *data, size_t length)
{
    size_t written;
    if (tls->broken)
        return -1;
    ERR_clear_error();
    if (length && (SSL_write_ex(tls->ssl, data, length, &written) != 1 || written != length)) {
        tls->broken = true;
        ERR_clear_error();
        return -1;
    }
    return 0;
}

void sa_tls_close_notify(struct sa_tls *tls)
{
    if (!tls->broken && SSL_is_init_finished(tls->ssl))
        SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

void sa_tls_output(struct sa_tls *tls, struct sa_out *out)
{
    size_t n;
    while ((n = BIO_ctrl_pending(tls->out)) > 0) {
        if (n > 16 * 1024)
            n = 16 * 1024;
        if (BIO_read_ex(tls->out, sa_out_reserve(out, n), n, &n) != 1)
            return;
        sa_out_commit(out, n);
    }
}
