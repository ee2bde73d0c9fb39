/*
 * TLS (OpenSSL) over memory: cipher text in and out, plain text in and out, no sockets. TLS 1.2
 * and 1.3 with forward secrecy and authenticated encryption only, ALPN http/1.1.
 *
 * Internal to core/http.
 */
#ifndef SA_HTTP_TLS_H
#define SA_HTTP_TLS_H

#include "base/error.h"
#include "http/output.h"

#include <stdbool.h>
#include <sys/types.h>

struct sa_tls_context; /* certificate and settings, shared */
struct sa_tls;         /* one connection */

/* NULL: SA_EINVALID with the file as path: unreadable, not PEM, key and certificate differ. */
struct sa_tls_context *sa_tls_context_new(const char *cert_file, const char *key_file,
                                          struct sa_error *err);
void sa_tls_context_free(struct sa_tls_context *context);

struct sa_tls *sa_tls_new(struct sa_tls_context *context);
void sa_tls_free(struct sa_tls *tls);

/* Cipher text arrived. */
void sa_tls_feed(struct sa_tls *tls, const void *data, size_t length);
/* Plain text: bytes; 0: more cipher text is needed; -1: broken; -2: the peer closed. Goes on with
 * the handshake too. May leave output. */
ssize_t sa_tls_read(struct sa_tls *tls, void *data, size_t capacity);
/* Cipher text that was fed and not yet decrypted. */
size_t sa_tls_unread_bytes(const struct sa_tls *tls);
bool sa_tls_established(const struct sa_tls *tls);
/* Encrypt. 0, or -1 when the connection is broken. */
int sa_tls_write(struct sa_tls *tls, const void *data, size_t length);
void sa_tls_close_notify(struct sa_tls *tls);
/* Move cipher text that is to be sent into `out`. */
void sa_tls_output(struct sa_tls *tls, struct sa_out *out);

#endif
