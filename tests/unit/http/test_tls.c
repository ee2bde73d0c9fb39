/* TLS: round trips with an OpenSSL client, what is refused, files that are bad. */
#include "fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char dir[] = "/tmp/sa-test-tls-XXXXXX";
static char cert_file[64], key_file[64], other_key_file[64], text_file[64];

static void write_key(const char *file, EVP_PKEY *key)
{
    FILE *out = fopen(file, "w");
    assert_int_equal(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(out);
}

static int make_files(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(cert_file, sizeof cert_file, "%s/cert.pem", dir);
    snprintf(key_file, sizeof key_file, "%s/key.pem", dir);
    snprintf(other_key_file, sizeof other_key_file, "%s/other.pem", dir);
    snprintf(text_file, sizeof text_file, "%s/text.pem", dir);
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, key);
    X509_sign(cert, key, EVP_sha256());
    FILE *out = fopen(cert_file, "w");
    PEM_write_X509(out, cert);
    fclose(out);
    write_key(key_file, key);
    write_key(other_key_file, other);
    out = fopen(text_file, "w");
    fputs("this is not PEM\n", out);
    fclose(out);
    X509_free(cert);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(cert_file);
    unlink(key_file);
    unlink(other_key_file);
    unlink(text_file);
    return rmdir(dir);
}

static struct fixture *start(struct sa_http_options o)
{
    o.tls_cert_file = cert_file;
    o.tls_key_file = key_file;
    return fixture_start(&o, NULL);
}

struct secure {
    struct client plain;
    SSL_CTX *ctx;
    SSL *ssl;
};

/* Version 0: any. Returns what SSL_connect() does. */
static int secure_open(struct secure *s, const struct fixture *f, int version)
{
    s->plain = client_open(f);
    s->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(s->ctx, 0); /* the client would offer anything */
    SSL_CTX_set_cipher_list(s->ctx, "ALL");
    if (version) {
        SSL_CTX_set_min_proto_version(s->ctx, version);
        SSL_CTX_set_max_proto_version(s->ctx, version);
    }
    s->ssl = SSL_new(s->ctx);
    SSL_set_alpn_protos(s->ssl, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    SSL_set_fd(s->ssl, s->plain.fd);
    return SSL_connect(s->ssl);
}

static void secure_close(struct secure *s)
{
    SSL_free(s->ssl);
    SSL_CTX_free(s->ctx);
    client_close(&s->plain);
}

/* Send, read to the end of the connection. */
static void secure_exchange(struct secure *s, const void *data, size_t length, struct sa_buf *in)
{
    char block[20000];
    size_t n;
    assert_int_equal(SSL_write_ex(s->ssl, data, length, &n), 1);
    while (SSL_read_ex(s->ssl, block, sizeof block, &n) == 1)
        sa_buf_add(in, block, n);
    assert_int_equal(SSL_get_error(s->ssl, 0), SSL_ERROR_ZERO_RETURN); /* close_notify came */
}

static void expect_round_trip(int version)
{
    struct fixture *f = start((struct sa_http_options){0});
    struct secure s;
    sa_autobuf in = SA_BUF_INIT;
    assert_int_equal(secure_open(&s, f, version), 1);
    const unsigned char *alpn;
    unsigned alpn_length;
    SSL_get0_alpn_selected(s.ssl, &alpn, &alpn_length);
    assert_int_equal(alpn_length, 8);
    assert_memory_equal(alpn, "http/1.1", 8);
    const char *text = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
                       "POST /collect HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                       "GET /down?n=5000000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    secure_exchange(&s, text, strlen(text), &in);
    assert_int_equal(strncmp(in.data, "HTTP/1.1 200 OK\r\n", 17), 0);
    const char *second = strstr(in.data, "\r\n\r\nhelloHTTP/1.1 200 OK\r\n");
    assert_non_null(second);
    const char *third = strstr(second, "\r\n\r\nabcHTTP/1.1 200 OK\r\n");
    assert_non_null(third);
    const char *body = strstr(third + 8, "\r\n\r\n") + 4;
    assert_int_equal(in.data + in.length - body, 5000000);
    assert_int_equal(body[4999999], 'a' + 9999 % 26);
    secure_close(&s);
    fixture_stop(f);
}

static void test_round_trips(void **state)
{
    (void)state;
    expect_round_trip(TLS1_2_VERSION);
    expect_round_trip(TLS1_3_VERSION);
}

static void test_upload(void **state)
{
    (void)state;
    enum { BYTES = 5000000 };
    struct fixture *f = start((struct sa_http_options){0});
    const char *const targets[] = {"/sink", "/slow"};
    for (size_t i = 0; i < 2; i++) {
        struct secure s;
        sa_autobuf out = SA_BUF_INIT, in = SA_BUF_INIT;
        char expected[64];
        assert_int_equal(secure_open(&s, f, 0), 1);
        sa_buf_printf(&out,
                      "PUT %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                      "Content-Length: %d\r\n\r\n",
                      targets[i], BYTES);
        size_t head = out.length;
        for (int k = 0; k < BYTES; k++)
            sa_buf_addc(&out, (char)(k * 7));
        snprintf(expected, sizeof expected, "\r\n\r\n%d %u", BYTES,
                 pattern_sum(0, out.data + head, BYTES));
        secure_exchange(&s, out.data, out.length, &in);
        assert_non_null(strstr(in.data, expected));
        secure_close(&s);
    }
    fixture_stop(f);
}

static void test_refused(void **state)
{
    (void)state;
    struct fixture *f = start((struct sa_http_options){0});
    struct secure s;
    assert_int_not_equal(secure_open(&s, f, TLS1_1_VERSION), 1);
    secure_close(&s);
    struct client c = client_open(f);
    client_send(&c, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    char answer[100];
    ssize_t n = recv(c.fd, answer, sizeof answer, 0); /* an alert or nothing, never an answer */
    assert_true(n < 5 || memcmp(answer, "HTTP/", 5) != 0);
    client_close(&c);
    assert_int_equal(fixture_counters(f)->handled, 0);
    fixture_stop(f);
}

static void test_handshake_timeout(void **state)
{
    (void)state;
    struct fixture *f = start((struct sa_http_options){.handshake_timeout_ms = 100});
    struct client c = client_open(f);
    client_send_bytes(&c, "\x16\x03\x01", 3);
    client_assert_closed(&c);
    client_close(&c);
    fixture_stop(f);
}

/* No handshake waits for a timer. */
static void test_handshakes_are_prompt(void **state)
{
    (void)state;
    struct fixture *f = start((struct sa_http_options){0});
    bool prompt = false;
    for (int tries = 0; tries < 10 && !prompt; tries++) { /* nothing is on a busy machine */
        int64_t begin = sa_monotonic_ms();
        for (int i = 0; i < 40; i++) {
            struct secure s;
            assert_int_equal(secure_open(&s, f, 0), 1);
            secure_close(&s);
        }
        prompt = sa_monotonic_ms() - begin < 8000; /* the server looks at timeouts each 250 ms */
    }
    assert_true(prompt);
    fixture_stop(f);
}

static void test_vanish(void **state)
{
    (void)state;
    struct fixture *f = start((struct sa_http_options){0});
    int before = open_descriptors();
    const char *const requests[] = {"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n",
                                    "GET /down?n=100000000 HTTP/1.1\r\nHost: h\r\n\r\n",
                                    "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx"};
    for (int i = 0; i < 60; i++) {
        struct secure s;
        size_t n;
        assert_int_equal(secure_open(&s, f, 0), 1);
        SSL_write_ex(s.ssl, requests[i % 3], strlen(requests[i % 3]), &n);
        wait_for(&fixture_counters(f)->handled, i + 1);
        secure_close(&s);
    }
    wait_for(&fixture_counters(f)->closed, 60);
    for (int i = 0; i < 60000 && open_descriptors() != before; i++)
        usleep(1000);
    assert_int_equal(open_descriptors(), before);
    fixture_stop(f);
}

/* The taken socket is plain at its other end, and each direction ends on its own. */
static void test_take_socket(void **state)
{
    (void)state;
    struct fixture *f = start((struct sa_http_options){0});
    struct secure s;
    size_t n;
    char text[16] = "";
    assert_int_equal(secure_open(&s, f, 0), 1);
    const char *upgrade =
        "GET /take HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly";
    assert_int_equal(SSL_write_ex(s.ssl, upgrade, strlen(upgrade), &n), 1);
    int fd = fixture_wait_taken(f);
    assert_int_equal(recv(fd, text, 5, MSG_WAITALL), 5);
    assert_string_equal(text, "early");
    assert_int_equal(send(fd, "answer", 6, 0), 6);
    assert_int_equal(SSL_read_ex(s.ssl, text, sizeof text, &n), 1);
    assert_memory_equal(text, "answer", 6);
    shutdown(fd, SHUT_WR);
    assert_int_equal(SSL_read_ex(s.ssl, text, sizeof text, &n), 0);
    assert_int_equal(SSL_get_error(s.ssl, 0), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(SSL_write_ex(s.ssl, "late", 4, &n), 1);
    assert_int_equal(recv(fd, text, 4, MSG_WAITALL), 4);
    assert_memory_equal(text, "late", 4);
    SSL_shutdown(s.ssl);
    assert_int_equal(recv(fd, text, 1, 0), 0);
    close(fd);
    secure_close(&s);
    fixture_stop(f);
}

static void expect_bad_files(const char *cert, const char *key, const char *path)
{
    struct sa_error err = {0};
    uv_loop_t loop;
    uv_loop_init(&loop);
    assert_null(sa_http_server_new(&loop,
                                   &(struct sa_http_options){.handler = sa_router_dispatch,
                                                             .tls_cert_file = cert,
                                                             .tls_key_file = key},
                                   &err));
    assert_int_equal(err.code, SA_EINVALID);
    assert_string_equal(err.path, path);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_bad_files(void **state)
{
    (void)state;
    expect_bad_files("/nonexistent.pem", key_file, "/nonexistent.pem");
    expect_bad_files(cert_file, "/nonexistent.pem", "/nonexistent.pem");
    expect_bad_files(text_file, key_file, text_file);
    expect_bad_files(cert_file, text_file, text_file);
    expect_bad_files(cert_file, other_key_file, other_key_file);
    expect_bad_files(cert_file, NULL, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_upload),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_handshake_timeout),
        cmocka_unit_test(test_handshakes_are_prompt),
        cmocka_unit_test(test_vanish),
        cmocka_unit_test(test_take_socket),
        cmocka_unit_test(test_bad_files),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
