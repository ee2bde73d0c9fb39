/*
 * An execution-runtime that is no process: it speaks the link and knows whose it is, which is all
 * that a control plane under test needs of one. What a real one would refuse it refuses, too, and
 * what must never be asked of it is counted as a violation.
 *
 * Its programs print the value of OWNER in the environment of SETUP, and end.
 */
#ifndef CHAOS_SIM_RUNTIME_H
#define CHAOS_SIM_RUNTIME_H

#include "base/id.h"
#include "json/write.h"

#include <stdbool.h>
#include <uv.h>

enum { SIM_OWNER_BYTES = 256, SIM_VIOLATIONS_MAX = 100 };

struct sim_world { /* what all runtimes share */
    uv_loop_t *loop;
    unsigned seed;
    unsigned
        dirty_one_in;    /* of so many resets one finds something that it cannot remove; 0: none */
    bool across_tenants; /* that a pod is used by one after the other is allowed */
    unsigned setups, reused, seals, resets, dirty, programs;
    char *violations[SIM_VIOLATIONS_MAX];
    size_t violation_count;
    void (*died)(const char *id); /* at a fail point; it frees that runtime */
};
unsigned sim_random(struct sim_world *world); /* of the seed */
void sim_violation(struct sim_world *world, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

struct sim_runtime;
struct sim_runtime *sim_runtime_new(struct sim_world *world, const char *id);
/* It dies: its link ends. */
void sim_runtime_free(struct sim_runtime *runtime);
/* Another link, which replaces the one before: the control plane's end, or -1. */
int sim_runtime_attach(struct sim_runtime *runtime);
/* {"id", "owner", "tenant", "uses", "sealed"} */
void sim_runtime_print(const struct sim_runtime *runtime, struct sa_json_w *w);

#endif
