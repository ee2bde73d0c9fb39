/* The SEAL and RESET methods. */
#ifndef SA_RUNTIME_RESET_H
#define SA_RUNTIME_RESET_H

#include <stdbool.h>

/* One of them is at work: nothing else may be asked meanwhile. */
bool sa_reset_is_running(void);
/* wait(2) told of one: perhaps nothing is left. */
void sa_reset_child_ended(void);

#endif
