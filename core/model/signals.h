/* Names of signals, as the API shows them. */
#ifndef SA_MODEL_SIGNALS_H
#define SA_MODEL_SIGNALS_H

#include <stddef.h>

/* "SIGKILL"; real-time and unknown ones as "SIG<number>". `out` holds the text. */
const char *sa_signal_name(int number, char *out, size_t size);
/* "SIGINT", "INT", or "SIG<number>" to its number; 0 when it is none. */
int sa_signal_number(const char *name);

#endif
