/* The runtime's end of the link: moves bytes between a connection and the engine, and hands each
 * stream to its method. One connection at a time (door.h); when it is lost, or another one comes,
 * its calls end as canceled, and nothing of it is left. */
#ifndef SA_RUNTIME_CONN_H
#define SA_RUNTIME_CONN_H

#include <stdbool.h>

struct sa_call;

/* Take over the descriptor of a new connection; HELLO is on its way with the next sa_conn_flush().
 */
void sa_conn_take(int fd);
/* Write what is queued, as far as the socket takes it; nothing without a connection. */
void sa_conn_flush(void);
/* Try for at most so long to get everything out. */
void sa_conn_flush_for(int ms);
/* Every call but this one lets go; false: some need a moment (ask again). */
bool sa_conn_drop_calls(const struct sa_call *but);
/* The calls leave nothing behind in the file system. */
void sa_conn_abandon(void);
/* Abandon them, and end this process: with the first of its pid namespace everything here ends
 * (pid_namespaces(7)). */
_Noreturn void sa_conn_exit(int status);

#endif
