/* What the files of the client know of it, and the WebSocket (socket.c). */
#ifndef SA_CLI_CLIENT_PRIVATE_H
#define SA_CLI_CLIENT_PRIVATE_H

#include "client.h"

const char *sa_client_key(const struct sa_client *client);
const char *sa_client_cacert(const struct sa_client *client); /* NULL: the system's */
bool sa_client_is_own_server(const struct sa_client *client);

/* The error that an answer from `url` tells of itself, and all mistakes where it tells of several
 * (refusal.c). Returns -1. */
int sa_refusal_read(const char *url, long status, const struct sa_buf *body,
                    struct sa_json_notes *mistakes, struct sa_error *err);

#endif
