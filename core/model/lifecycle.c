#include "model/lifecycle.h"

#include <string.h>

static const char *const names[SA_PHASE_COUNT] = {
    [SA_PHASE_PENDING] = "Pending",         [SA_PHASE_CREATING] = "Creating",
    [SA_PHASE_RUNNING] = "Running",         [SA_PHASE_PAUSED] = "Paused",
    [SA_PHASE_TERMINATING] = "Terminating", [SA_PHASE_TERMINATED] = "Terminated",
    [SA_PHASE_FAILED] = "Failed",
};

/* 0 (Pending, which nothing leads back to) means: stays as it is. */
static const enum sa_phase table[SA_PHASE_COUNT][SA_EVENT_COUNT] = {
    [SA_PHASE_PENDING] = {[SA_EVENT_SUBMITTED] = SA_PHASE_CREATING,
                          [SA_EVENT_REFUSED] = SA_PHASE_FAILED,
                          [SA_EVENT_LOST] = SA_PHASE_FAILED,
                          [SA_EVENT_DELETE] = SA_PHASE_TERMINATING},
    [SA_PHASE_CREATING] = {[SA_EVENT_READY] = SA_PHASE_RUNNING,
                           [SA_EVENT_REFUSED] = SA_PHASE_FAILED,
                           [SA_EVENT_LOST] = SA_PHASE_FAILED,
                           [SA_EVENT_DELETE] = SA_PHASE_TERMINATING},
    [SA_PHASE_RUNNING] = {[SA_EVENT_LOST] = SA_PHASE_FAILED,
                          [SA_EVENT_DELETE] = SA_PHASE_TERMINATING,
                          [SA_EVENT_PAUSED] = SA_PHASE_PAUSED},
    [SA_PHASE_PAUSED] = {[SA_EVENT_LOST] = SA_PHASE_FAILED,
                         [SA_EVENT_DELETE] = SA_PHASE_TERMINATING,
                         [SA_EVENT_RESUMED] = SA_PHASE_RUNNING},
    [SA_PHASE_TERMINATING] = {[SA_EVENT_LOST] = SA_PHASE_TERMINATED,
                              [SA_EVENT_REFUSED] = SA_PHASE_TERMINATED,
                              [SA_EVENT_DESTROYED] = SA_PHASE_TERMINATED},
};

const char *sa_phase_name(enum sa_phase phase)
{
    return names[phase];
}

int sa_phase_parse(const char *text)
{
    for (int i = 0; i < SA_PHASE_COUNT; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return -1;
}

bool sa_phase_ended(enum sa_phase phase)
{
    return phase == SA_PHASE_TERMINATED || phase == SA_PHASE_FAILED;
}

enum sa_phase sa_lifecycle_next(enum sa_phase phase, enum sa_lifecycle_event event)
{
    enum sa_phase next = table[phase][event];
    return next == SA_PHASE_PENDING ? phase : next;
}

bool sa_lifecycle_reaches(enum sa_phase phase, enum sa_phase wanted)
{
    bool seen[SA_PHASE_COUNT] = {0};
    seen[phase] = true;
    for (bool grown = true; grown && !seen[wanted];) {
        grown = false;
        for (int from = 0; from < SA_PHASE_COUNT; from++)
            for (int event = 0; seen[from] && event < SA_EVENT_COUNT; event++) {
                enum sa_phase to =
                    sa_lifecycle_next((enum sa_phase)from, (enum sa_lifecycle_event)event);
                grown |= !seen[to];
                seen[to] = true;
            }
    }
    return seen[wanted];
}
