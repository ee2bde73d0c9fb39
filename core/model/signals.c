#include "model/signals.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *sa_signal_name(int number, char *out, size_t size)
{
    const char *abbreviation = sigabbrev_np(number);
    if (abbreviation)
        snprintf(out, size, "SIG%s", abbreviation);
    else
        snprintf(out, size, "SIG%d", number);
    return out;
}

int sa_signal_number(const char *name)
{
    char *end;
    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    long value = strtol(name, &end, 10);
    if (end != name)
        return !*end && value > 0 && value <= SIGRTMAX ? (int)value : 0;
    for (int number = 1; number <= SIGRTMAX; number++) {
        const char *abbreviation = sigabbrev_np(number);
        if (abbreviation && strcmp(abbreviation, name) == 0)
            return number;
    }
    return 0;
}
