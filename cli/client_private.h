/* What the WebSocket (socket.c) needs to know of the client. */
#ifndef SA_CLI_CLIENT_PRIVATE_H
#define SA_CLI_CLIENT_PRIVATE_H

#include "client.h"

const char *sa_client_key(const struct sa_client *client);
const char *sa_client_cacert(const struct sa_client *client); /* NULL: the system's */
bool sa_client_is_own_server(const struct sa_client *client);

#endif
