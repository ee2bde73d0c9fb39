/* Opening a WebSocket on a route: what must hold before a request leaves HTTP. */
#ifndef SA_API_WS_OPEN_H
#define SA_API_WS_OPEN_H

#include "api/gate.h"
#include "ws/ws.h"

#define SA_WS_SUBPROTOCOL "secureagent.v1"
#define SA_WS_BEARER "bearer."

/* The key of `Sec-WebSocket-Protocol: secureagent.v1, bearer.KEY` (a browser can set no other
 * header). No data when there is none, or it is no WebSocket. */
struct sa_http_text sa_ws_bearer(const struct sa_http_request *request);

/* -1: answered: 426 without an upgrade, 403 for a page of another origin than the server's own and
 * those that --allow-origin lists. */
int sa_ws_check(struct sa_app *app, struct sa_http_request *request);
/* Check, and hand it over: events for `user` follow. -1: it was answered instead, and `user` is
 * still the caller's. */
int sa_ws_open(struct sa_app *app, struct sa_http_request *request,
               const struct sa_ws_events *events, void *user);

/* Open it only to say why not: an error message, and 1008 with the reason. A browser learns nothing
 * of an answer that is no WebSocket. */
void sa_ws_refuse(struct sa_app *app, struct sa_http_request *request,
                  const struct sa_denial *denial);

/* `allowed(user)` once the gate lets it; refused as above when it does not, and forgotten when the
 * client goes meanwhile. */
void sa_ws_ask(struct sa_app *app, struct sa_http_request *request, struct sa_gate *gate,
               void (*allowed)(void *user), void *user);

/* May who opened it go on? Checked with each message: a key that was revoked, or has expired,
 * ends what was opened with it. False: the connection is being closed, with 1008. */
bool sa_ws_still_may(struct sa_app *app, const char *key_id, struct sa_ws_conn *conn);

#endif
