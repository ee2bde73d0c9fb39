/* Files of ours that each sandbox has in /etc/secureagent, built in (tools/embed.py): what lies in
 * runtime/kernels is at /etc/secureagent/kernels. */
#ifndef SA_NATIVE_EMBEDDED_H
#define SA_NATIVE_EMBEDDED_H

#include <stddef.h>

struct sa_embedded {
    const char *name; /* below /etc/secureagent, "kernels/python.py" */
    const unsigned char *data;
    size_t length;
};

extern const struct sa_embedded sa_embedded[]; /* ends with a NULL name */

#endif
