/*
 * The life of a sandbox: phases, and a pure table of phase x event -> next phase.
 *
 *   Pending      accepted, not yet asked of a node
 *   Creating     the node is making it, or its link is not up yet
 *   Running      usable
 *   Paused       frozen: nothing in it runs, its memory stays, its timeouts do not count
 *   Terminating  being destroyed
 *   Terminated   ended as it should: deleted, or its time was up
 *   Failed       could not be made, or died
 */
#ifndef SA_MODEL_LIFECYCLE_H
#define SA_MODEL_LIFECYCLE_H

#include <stdbool.h>

enum sa_phase {
    SA_PHASE_PENDING,
    SA_PHASE_CREATING,
    SA_PHASE_RUNNING,
    SA_PHASE_PAUSED,
    SA_PHASE_TERMINATING,
    SA_PHASE_TERMINATED,
    SA_PHASE_FAILED,
    SA_PHASE_COUNT
};

enum sa_lifecycle_event {
    SA_EVENT_SUBMITTED, /* handed to the node */
    SA_EVENT_READY,     /* the link's handshake is done */
    SA_EVENT_REFUSED,   /* the node could not make it */
    SA_EVENT_LOST,      /* it died, or its link or node did */
    SA_EVENT_DELETE,    /* somebody asked, or its time is up */
    SA_EVENT_DESTROYED, /* nothing of it is left */
    SA_EVENT_PAUSED,    /* the node has frozen it */
    SA_EVENT_RESUMED,   /* the node has thawed it */
    SA_EVENT_COUNT
};

#define SA_PHASE_NAMES "Pending, Creating, Running, Paused, Terminating, Terminated or Failed"
const char *sa_phase_name(enum sa_phase phase); /* "Running" */
/* -1 when the text is no phase. */
int sa_phase_parse(const char *text);
bool sa_phase_ended(enum sa_phase phase);
/* The phase after `event`; the same phase when the event changes nothing there. */
enum sa_phase sa_lifecycle_next(enum sa_phase phase, enum sa_lifecycle_event event);
/* Can some sequence of events lead from `phase` to `wanted`? A phase reaches itself. */
bool sa_lifecycle_reaches(enum sa_phase phase, enum sa_phase wanted);

#endif
