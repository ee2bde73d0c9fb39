/*
 * An object store that is hard on its watches: events come twice or late, watches end at random,
 * and now and then events are lost, after which the watch ends as expired. All that a client has to
 * bear.
 */
#ifndef FAULTY_H
#define FAULTY_H

#include "objects/objects.h"

#include <uv.h>

struct faulty {
    struct sa_objects base;
    struct sa_objects *inner;
    uv_loop_t *loop;
    unsigned seed;
    bool kind; /* no more faults from here on */
    unsigned doubled, late, lost, ended;
};
void faulty_init(struct faulty *faulty, struct sa_objects *inner, uv_loop_t *loop, unsigned seed);

#endif
