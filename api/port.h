/*
 * Ports: HTTP servers inside sandboxes, reached through this server.
 *
 *   handle_ports.c   the routes; which sandbox, port and target; cookies and signed URLs
 *   port_conn.c      connections to servers inside, over the link, and those kept for reuse
 *   port_headers.c   what of a request goes in, and of an answer comes out
 *   port_proxy.c     one exchange: a request in, its answer out
 *   port_tunnel.c    bytes both ways, once both sides have left HTTP
 *
 * What comes from inside is hostile: answers are read strictly (http/answer.h) and written anew.
 * One loop thread.
 */
#ifndef SA_API_PORT_H
#define SA_API_PORT_H

#include "api/app.h"
#include "http/answer.h"

/* ---- connections ---- */

struct sa_ports; /* all of a server: app->ports */
struct sa_port_conn;

struct sa_port_conn_events {
    void (*data)(void *user, const char *data, size_t length); /* credit: sa_port_conn_consume() */
    void (*writable)(void *user);                              /* after a partial write */
    void (*eof)(void *user);                                   /* the server sends no more */
    /* It is over, and gone: `error` is NULL when both sides had ended. `connected`: somebody had
     * listened. Not after drop or put. */
    void (*closed)(void *user, bool connected, const struct sa_error *error);
};

struct sa_ports *sa_ports_new(uv_loop_t *loop);
void sa_ports_free(struct sa_ports *ports); /* after the sandboxes have ended; NULL is allowed */

/* Whom the rules have allowed which port, remembered for a second (port_pass.c). */
struct sa_port_passes;
struct sa_port_pass {
    const char *sandbox, *key; /* ids */
    int port;
    uint64_t generation; /* of the rules, when it was asked about */
};
struct sa_port_passes *sa_port_passes_new(void);
void sa_port_passes_free(struct sa_port_passes *passes); /* NULL is allowed */
bool sa_port_passes_has(struct sa_port_passes *passes, const struct sa_port_pass *pass);
void sa_port_passes_add(struct sa_port_passes *passes, const struct sa_port_pass *pass);

/* A connection to the port: with `reuse` perhaps one that was kept. Written to at once; whether
 * anybody listens is learnt by `closed`. */
struct sa_port_conn *sa_port_conn_open(struct sa_ports *ports, struct sa_sandbox *sandbox, int port,
                                       bool reuse, const struct sa_port_conn_events *events,
                                       void *user, struct sa_error *err);
bool sa_port_conn_is_reused(const struct sa_port_conn *conn);
void sa_port_conn_hand_over(struct sa_port_conn *conn, const struct sa_port_conn_events *events,
                            void *user);
size_t sa_port_conn_write(struct sa_port_conn *conn, const void *data, size_t length);
void sa_port_conn_consume(struct sa_port_conn *conn, size_t length);
void sa_port_conn_eof(struct sa_port_conn *conn);
/* Cut it. */
void sa_port_conn_drop(struct sa_port_conn *conn);
/* Keep it for the next request to this port. */
void sa_port_conn_put(struct sa_port_conn *conn);
/* A server that serves one connection at a time waits on one that is kept: close those. */
void sa_ports_drop_kept(struct sa_ports *ports, const char *sandbox_id, int port);

/* ---- exchanges ---- */

struct sa_port_target {
    struct sa_sandbox *sandbox;
    int port;
    const char *target;     /* path and query, as sent on */
    const char *prefix;     /* of the path form; NULL: the host form */
    bool authorization;     /* is the server's inside, not ours */
    const char *new_cookie; /* Set-Cookie of ours, or NULL */
};

/* Answer the request with what the server inside answers. `target` is of the request's arena. */
void sa_port_proxy(struct sa_app *app, struct sa_http_request *request,
                   const struct sa_port_target *target);

/* ---- headers ---- */

#define SA_PORT_COOKIE "secureagent_port"

/* Append the head of the request as the server inside gets it. `upgrade`: it asks to leave HTTP. */
void sa_port_request_head(const struct sa_http_request *request,
                          const struct sa_port_target *target, bool upgrade, struct sa_buf *out);
/* Give the answer's headers to the response. Returns its Content-Type, or NULL. */
const char *sa_port_answer_headers(struct sa_http_request *request,
                                   const struct sa_http_answer_head *head,
                                   const struct sa_port_target *target);
/* Is it 101 as the request asked for? Then append the head that the client gets. */
bool sa_port_switched(const struct sa_http_request *request, const struct sa_http_answer_head *head,
                      struct sa_buf *out);

/* ---- tunnels ---- */

/* Carry bytes between the client's socket (taken) and `conn` (taken) until both sides have ended.
 * `to_client` and `to_server` are sent first (taken). The sandbox is in use until then. */
void sa_port_tunnel(struct sa_app *app, struct sa_sandbox *sandbox, int fd,
                    struct sa_port_conn *conn, struct sa_buf *to_client, struct sa_buf *to_server);

/* The host form: `<port>-<id>.<domain>`. False: the request is not of that form; go on. */
bool sa_port_dispatch_host(struct sa_app *app, struct sa_http_request *request);

/* What must be signed for the request: "ports:3000" of its sandbox, for every method. */
bool sa_grant_port(struct sa_http_request *request, struct sa_grant *grant);

#endif
