/*
 * What a scaling rule is told of the past: claims and misses second by second for a minute, samples
 * of ten seconds for ten minutes, and how long making a pod took of late. Bounded, without a clock
 * of its own; plain data, zeroed at first.
 */
#ifndef SA_CONTROLLER_POOL_DEMAND_H
#define SA_CONTROLLER_POOL_DEMAND_H

#include "policy/points.h"

enum {
    SA_DEMAND_SECONDS = 60,
    SA_DEMAND_SAMPLES = 60,
    SA_DEMAND_INTERVAL_S = 10,
    SA_DEMAND_REFILLS = 64
};
struct sa_demand {
    struct {
        int64_t second; /* whose counts they are; others are of the past */
        int64_t claims, misses;
    } seconds[SA_DEMAND_SECONDS];
    struct sa_policy_sample samples[SA_DEMAND_SAMPLES]; /* a ring */
    size_t sample_first, sample_count;
    int64_t sampled_s; /* when the last one was taken; 0: none yet */
    int64_t refills[SA_DEMAND_REFILLS];
    size_t refill_next, refill_count;
};
/* A claim, in that second (any clock that does not stand still). */
void sa_demand_claim(struct sa_demand *demand, int64_t second, bool hit);
void sa_demand_refill(struct sa_demand *demand, int64_t ms);
/* Of the last minute; the second that has only begun counts for its claims. */
void sa_demand_rates(const struct sa_demand *demand, int64_t second, struct sa_policy_demand *out);
/* Take a sample if one is due: `at` is the wall clock's second, which the rules see. */
void sa_demand_sample(struct sa_demand *demand, int64_t second, double at, int64_t available,
                      int64_t assigned, int64_t size);
/* Oldest first, into room for SA_DEMAND_SAMPLES. */
size_t sa_demand_history(const struct sa_demand *demand, struct sa_policy_sample *out);
/* Of a hundred refills so many were faster; 0: none was measured. */
int64_t sa_demand_refill_ms(const struct sa_demand *demand, int percent);

#endif
