/*
 * Leader election by a Lease (coordination.k8s.io/v1; client-go's leaderelection): of many
 * processes on one store, at most one believes that it leads. A holder that cannot renew stops
 * leading before anybody else may begin: renew_ms + retry_ms < duration_ms, by its own monotonic
 * clock; others count a lease as expired only when they have seen it unchanged for duration_ms.
 */
#ifndef SA_OBJECTS_LEASE_H
#define SA_OBJECTS_LEASE_H

#include "objects/objects.h"

#include <uv.h>

struct sa_election;
struct sa_election_options {
    uv_loop_t *loop;
    struct sa_objects *objects;
    const char *namespace_, *name;           /* of the Lease */
    const char *identity;                    /* unique among the candidates */
    int64_t duration_ms, renew_ms, retry_ms; /* 0: 15000, 10000, 2000 */
    void (*leading)(void *owner);            /* begin */
    void (*lost)(void *owner);               /* stop at once */
    void *owner;
};
struct sa_election *sa_election_start(const struct sa_election_options *options);
/* Gives the lease up if held, so that the next one need not wait; `done` may be NULL. `lost` is not
 * called any more: whoever stops an election has stopped leading. */
void sa_election_stop(struct sa_election *election, void (*done)(void *user), void *user);
/* By the clock: false at once when time is over, also where the loop was held up. */
bool sa_election_leads(const struct sa_election *election);
extern const struct sa_kind sa_kind_lease;

#endif
