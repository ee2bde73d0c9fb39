#include "agent/state.h"

static const char *const names[SA_AGENT_STATE_COUNT] = {
    "Absent",  "New",       "Queued",     "Creating", "Connecting", "Ready",
    "Severed", "Attaching", "Destroying", "Failed",   "Removing",   "Gone"};

#define TO(STATE) (SA_AGENT_##STATE + 1) /* 0: it stays as it is */

static const unsigned char table[SA_AGENT_STATE_COUNT][SA_AGENT_EVENT_COUNT] = {
    [SA_AGENT_ABSENT] = {[SA_AGENT_WANTED] = TO(NEW),
                         [SA_AGENT_ENDED] = TO(FAILED),
                         [SA_AGENT_UNWANTED] = TO(REMOVING)},
    [SA_AGENT_NEW] = {[SA_AGENT_ENDED] = TO(DESTROYING),
                      [SA_AGENT_LATE] = TO(DESTROYING),
                      [SA_AGENT_UNWANTED] = TO(REMOVING),
                      [SA_AGENT_LISTED] = TO(ATTACHING),
                      [SA_AGENT_UNLISTED] = TO(QUEUED),
                      [SA_AGENT_VANISHED] = TO(FAILED),
                      [SA_AGENT_EXITED] = TO(FAILED)},
    /* A node that comes back with it has made it for an agent that did not live to hear of it. */
    [SA_AGENT_QUEUED] = {[SA_AGENT_ENDED] = TO(FAILED),
                         [SA_AGENT_UNWANTED] = TO(GONE),
                         [SA_AGENT_LISTED] = TO(ATTACHING),
                         [SA_AGENT_TURN] = TO(CREATING),
                         [SA_AGENT_REFUSED] = TO(FAILED),
                         [SA_AGENT_LATE] = TO(FAILED)},
    [SA_AGENT_CREATING] = {[SA_AGENT_ENDED] = TO(DESTROYING),
                           [SA_AGENT_UNWANTED] = TO(REMOVING),
                           [SA_AGENT_NODE_AWAY] = TO(NEW),
                           [SA_AGENT_LINKED] = TO(CONNECTING),
                           [SA_AGENT_REFUSED] = TO(FAILED),
                           [SA_AGENT_LATE] = TO(DESTROYING)},
    [SA_AGENT_CONNECTING] = {[SA_AGENT_ENDED] = TO(DESTROYING),
                             [SA_AGENT_UNWANTED] = TO(REMOVING),
                             [SA_AGENT_UNLISTED] = TO(FAILED),
                             [SA_AGENT_VANISHED] = TO(FAILED),
                             [SA_AGENT_EXITED] = TO(FAILED),
                             [SA_AGENT_HELLO] = TO(READY),
                             [SA_AGENT_LINK_LOST] = TO(SEVERED),
                             [SA_AGENT_LATE] = TO(DESTROYING)},
    /* Without its node it lives on: the link does not go through the node. */
    [SA_AGENT_READY] = {[SA_AGENT_ENDED] = TO(DESTROYING),
                        [SA_AGENT_UNWANTED] = TO(REMOVING),
                        [SA_AGENT_UNLISTED] = TO(FAILED),
                        [SA_AGENT_VANISHED] = TO(FAILED),
                        [SA_AGENT_EXITED] = TO(FAILED),
                        [SA_AGENT_LINK_LOST] = TO(SEVERED)},
    [SA_AGENT_SEVERED] = {[SA_AGENT_ENDED] = TO(DESTROYING),
                          [SA_AGENT_UNWANTED] = TO(REMOVING),
                          [SA_AGENT_LISTED] = TO(ATTACHING),
                          [SA_AGENT_UNLISTED] = TO(FAILED),
                          [SA_AGENT_VANISHED] = TO(FAILED),
                          [SA_AGENT_NODE_AWAY] = TO(NEW),
                          [SA_AGENT_EXITED] = TO(FAILED),
                          [SA_AGENT_RETRY] = TO(ATTACHING),
                          [SA_AGENT_LATE] = TO(DESTROYING)},
    [SA_AGENT_ATTACHING] = {[SA_AGENT_ENDED] = TO(DESTROYING),
                            [SA_AGENT_UNWANTED] = TO(REMOVING),
                            [SA_AGENT_UNLISTED] = TO(FAILED),
                            [SA_AGENT_VANISHED] = TO(FAILED),
                            [SA_AGENT_NODE_AWAY] = TO(NEW),
                            [SA_AGENT_LINKED] = TO(CONNECTING),
                            [SA_AGENT_REFUSED] = TO(SEVERED),
                            [SA_AGENT_EXITED] = TO(FAILED),
                            [SA_AGENT_LATE] = TO(DESTROYING)},
    [SA_AGENT_DESTROYING] = {[SA_AGENT_UNWANTED] = TO(REMOVING),
                             [SA_AGENT_UNLISTED] = TO(FAILED),
                             [SA_AGENT_VANISHED] = TO(FAILED),
                             [SA_AGENT_DESTROYED] = TO(FAILED)},
    [SA_AGENT_FAILED] = {[SA_AGENT_UNWANTED] = TO(GONE), [SA_AGENT_LISTED] = TO(DESTROYING)},
    [SA_AGENT_REMOVING] = {[SA_AGENT_UNLISTED] = TO(GONE),
                           [SA_AGENT_VANISHED] = TO(GONE),
                           [SA_AGENT_DESTROYED] = TO(GONE)},
    [SA_AGENT_GONE] = {[SA_AGENT_LISTED] = TO(REMOVING)},
};

enum sa_agent_state sa_agent_next(enum sa_agent_state state, enum sa_agent_event event)
{
    const unsigned char to = table[state][event];
    return to ? (enum sa_agent_state)(to - 1) : state;
}

const char *sa_agent_state_name(enum sa_agent_state state)
{
    return names[state];
}

bool sa_agent_is_over(enum sa_agent_state state)
{
    return state >= SA_AGENT_DESTROYING;
}
