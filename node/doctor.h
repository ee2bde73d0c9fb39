/* What this machine offers for sandboxes, and what to do about what is missing. */
#ifndef SA_NODE_DOCTOR_H
#define SA_NODE_DOCTOR_H

#include <stdio.h>

/* A JSON list of {"name", "ok", "detail", "hint"} (`hint` is "" where nothing is to be done).
 * Returns the exit status: 0, or 1 when sandboxes cannot be had as things are. */
int sa_doctor_print(FILE *out);

#endif
