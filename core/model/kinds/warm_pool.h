/*
 * WarmPool: pods that are made before anybody asks. What makes them equal to what a sandbox asks
 * for (runtime, security level, profile, resources) is in the pool's key; a sandbox that names
 * nothing fits a pool that names nothing.
 *
 * The scaling rule is target-utilization by default, whose own parameters have the defaults
 * targetUtilization 80 and scaleDownDelay 300s: what is absent in `params` is the rule's to know.
 */
#ifndef SA_KINDS_WARM_POOL_H
#define SA_KINDS_WARM_POOL_H

#include "kinds/common.h"
#include "objects/conditions.h"

enum {
    SA_POOL_SIZE_MAX = 10000,
    SA_POOL_MIN_DEFAULT = 1,
    SA_POOL_MAX_DEFAULT = 10,
    SA_POOL_TTL_DEFAULT_S = 3600,
    SA_POOL_TTL_MAX_S = 7 * 86400,
    SA_POOL_SCRIPTS_MAX = 8,
    SA_POOL_SCRIPT_MAX_BYTES = 16 * 1024,
    SA_POOL_PARAMS_MAX_BYTES = 8 * 1024,
    SA_POOL_USES_DEFAULT = 10
};
#define SA_POOL_RULE_DEFAULT "target-utilization"

struct sa_pool_scaling {
    const char *rule;
    const char *params; /* JSON; "": none */
};
struct sa_pool_recycle {
    bool enabled;
    int64_t max_uses;     /* 0: any */
    const char *criteria; /* JSON; "": none */
};
struct sa_pool_placement {
    struct sa_json_map node_selector;
    const char *runtime_class; /* Kubernetes' RuntimeClass; "": the rules decide */
};
struct sa_warm_pool_spec {
    const char *runtime, *profile; /* profile "": none */
    enum sa_security_level level;
    int64_t min_size, max_size;
    int64_t ttl_s; /* an unused pod is replaced when it is that old */
    struct sa_resources resources;
    struct sa_json_strings preload_packages, preload_scripts, imports;
    struct sa_pool_scaling scaling;
    struct sa_pool_recycle recycle;
    struct sa_pool_placement placement;
};

struct sa_pool_scale { /* the last change of the size */
    int64_t at_ms;     /* 0: never */
    int64_t from, to;
    const char *rule, *reason;
};
struct sa_warm_pool_status {
    int64_t size; /* wanted */
    int64_t available, assigned, pending, recycling, terminating;
    int64_t hits, misses; /* claims that found a warm pod, and that did not */
    double hit_ratio;     /* of all claims so far; 0 before the first */
    int64_t counted_ms;   /* claims up to then are in these */
    int64_t refill_p50_ms, refill_p95_ms;
    struct sa_pool_scale last_scale;
    const char *key; /* of its pods now */
    struct sa_conditions conditions;
    int64_t observed_generation;
};

extern const struct sa_kind sa_kind_warm_pool;

#endif
