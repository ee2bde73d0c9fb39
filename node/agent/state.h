/*
 * The life of a pod at its node: a pure table of state x event -> next state.
 *
 *   Absent      nobody has seen such a Pod; somebody waits for it
 *   New         the Pod is there; whether the node runs it already is not known
 *   Queued      the node does not run it; its turn will come
 *   Creating    the node was told to make it
 *   Connecting  it runs, and its runtime has not said HELLO yet
 *   Ready       it can be used
 *   Severed     its link is lost; perhaps it has ended, which the node will say
 *   Attaching   the node was asked for a new link
 *   Destroying  it has failed, and the node was told to remove what is left
 *   Failed      nothing of it is left, the Pod is
 *   Removing    the Pod is being deleted, and the node was told to remove what is left
 *   Gone        nothing of it is left, and nobody wants it
 */
#ifndef SA_AGENT_STATE_H
#define SA_AGENT_STATE_H

#include <stdbool.h>

enum sa_agent_state {
    SA_AGENT_ABSENT,
    SA_AGENT_NEW,
    SA_AGENT_QUEUED,
    SA_AGENT_CREATING,
    SA_AGENT_CONNECTING,
    SA_AGENT_READY,
    SA_AGENT_SEVERED,
    SA_AGENT_ATTACHING,
    SA_AGENT_DESTROYING,
    SA_AGENT_FAILED,
    SA_AGENT_REMOVING,
    SA_AGENT_GONE,
    SA_AGENT_STATE_COUNT
};

enum sa_agent_event {
    /* what the Pod says */
    SA_AGENT_WANTED,   /* it is there, and is to run */
    SA_AGENT_ENDED,    /* its status says that it has failed */
    SA_AGENT_UNWANTED, /* it is being deleted, or is gone */
    /* what the node runs, once it was asked */
    SA_AGENT_LISTED,
    SA_AGENT_UNLISTED,  /* not it, and it never ran */
    SA_AGENT_VANISHED,  /* not it, and it did run */
    SA_AGENT_NODE_AWAY, /* what it does not answer any more is not known */
    /* what the node answers */
    SA_AGENT_TURN,   /* it can be asked to make it */
    SA_AGENT_LINKED, /* a link came */
    SA_AGENT_REFUSED,
    SA_AGENT_DESTROYED,
    SA_AGENT_EXITED, /* it has ended by itself */
    /* what the link says */
    SA_AGENT_HELLO,
    SA_AGENT_LINK_LOST,
    /* time is up */
    SA_AGENT_RETRY, /* to ask for a new link */
    SA_AGENT_LATE,  /* to give up */
    SA_AGENT_EVENT_COUNT
};

/* The same state when the event changes nothing there. */
enum sa_agent_state sa_agent_next(enum sa_agent_state state, enum sa_agent_event event);
const char *sa_agent_state_name(enum sa_agent_state state); /* "Creating" */

/* Nobody can use it any more, whatever comes. */
bool sa_agent_is_over(enum sa_agent_state state);

#endif
