/* The runtime's end of the link: moves bytes between descriptor 3 and the engine, and hands each
 * stream to its method. */
#ifndef SA_RUNTIME_CONN_H
#define SA_RUNTIME_CONN_H

#include <stdbool.h>

struct sa_call;

/* Take over the descriptor; HELLO is on its way with the next sa_conn_flush(). */
void sa_conn_init(int fd);
/* Write what is queued, as far as the socket takes it. */
void sa_conn_flush(void);
/* Try for at most so long to get everything out. */
void sa_conn_flush_for(int ms);
/* Every call but this one lets go; false: some need a moment (ask again). */
bool sa_conn_drop_calls(const struct sa_call *but);
/* The calls leave nothing behind in the file system. */
void sa_conn_abandon(void);

#endif
