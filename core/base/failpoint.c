#include "base/failpoint.h"

#ifdef SA_FAILPOINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void sa_failpoint(const char *name)
{
    static atomic_long reached;
    const char *wanted = getenv("SA_FAILPOINT");
    size_t length = strlen(name);
    if (!wanted || strncmp(wanted, name, length) != 0 || (wanted[length] && wanted[length] != ':'))
        return;
    long which = wanted[length] ? strtol(wanted + length + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&reached, 1) + 1 == which)
        raise(SIGKILL);
}
#else
typedef int sa_failpoint_unused; /* a translation unit is not empty */
#endif
