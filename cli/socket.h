/*
 * A WebSocket to the server (libwebsockets on a libuv loop): for commands that need both
 * directions at once. One thread.
 */
#ifndef SA_CLI_SOCKET_H
#define SA_CLI_SOCKET_H

#include "base/error.h"
#include "client.h"

#include <stdbool.h>
#include <uv.h>

struct sa_sockets; /* what the sockets of a loop share */
struct sa_socket;

struct sa_socket_events {
    void (*opened)(void *user);
    /* A whole message; NUL-terminated beyond `length`. */
    void (*message)(void *user, bool binary, const char *data, size_t length);
    /* What was queued has gone out. May be NULL. */
    void (*drained)(void *user);
    /* Once, last. NULL: closed as it should be (1000, or 1001); else why it could not be opened or
     * broke. */
    void (*closed)(void *user, const struct sa_error *error);
};

/* For a client's server. NULL: SA_EINTERNAL. */
struct sa_sockets *sa_sockets_new(uv_loop_t *loop, const struct sa_client *client,
                                  struct sa_error *err);
/* When each socket is freed. Runs the loop until all of it is gone. NULL is allowed. */
void sa_sockets_free(struct sa_sockets *all);

/* Connect to `path` ("/api/v1/..."), with the client's key. `opened` or `closed` comes from the
 * loop. NULL: SA_EUNAVAILABLE. */
struct sa_socket *sa_socket_open(struct sa_sockets *all, const char *path,
                                 const struct sa_socket_events *events, void *user,
                                 struct sa_error *err);
/* Would the server open it? -1 with its reason (no such sandbox, no permission), or
 * SA_EUNAVAILABLE. Blocks. */
int sa_socket_check(struct sa_client *client, const char *path, struct sa_error *err);
/* Queue a message (copied). False: more than 256 KiB wait; better stop until `drained`. */
bool sa_socket_send(struct sa_socket *socket, bool binary, const void *data, size_t length);
/* Stop reading from the server, and go on. */
void sa_socket_pause(struct sa_socket *socket, bool paused);
/* Say goodbye after what is queued; `closed` comes. */
void sa_socket_close(struct sa_socket *socket);
/* After `closed` (from within it, too). NULL is allowed. */
void sa_socket_free(struct sa_socket *socket);

#endif
