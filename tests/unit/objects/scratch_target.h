/* The embedded store in a folder that outlives it, for tests that open it again. */
#ifndef SCRATCH_TARGET_H
#define SCRATCH_TARGET_H

#include "conformance/fixture.h"

extern char scratch_folder[64];
int scratch_setup(void **state);   /* *state: a world */
void scratch_reopen(void **state); /* a new world on the same folder */
int scratch_teardown(void **state);

#endif
