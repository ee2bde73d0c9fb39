/* What outlives processes without being a file: System V IPC, and POSIX message queues. */
#ifndef SA_RUNTIME_IPC_H
#define SA_RUNTIME_IPC_H

#include "base/error.h"

#include <stdbool.h>

/* Takes the folder of the message queues, if the launcher gave one (SA_BOOT_QUEUES_FD). */
void sa_ipc_init(void);
/* False: nobody could tell whether there are message queues. */
bool sa_ipc_can_look(void);
/* Remove all there is. -1 and SA_ECONFLICT: something stays. */
int sa_ipc_clear(struct sa_error *err);

#endif
