/* Shared inside core/metrics. */
#ifndef SA_METRICS_INTERNAL_H
#define SA_METRICS_INTERNAL_H

#include "metrics/metrics.h"

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

enum kind { COUNTER, GAUGE, HISTOGRAM };

struct sa_series {
    UT_hash_handle hh; /* by `labels` */
    struct sa_metric *metric;
    char *labels;      /* rendered: `a="x",b="y"` */
    double value;      /* of a histogram: the sum */
    uint64_t count;    /* of a histogram */
    uint64_t *buckets; /* of a histogram, not cumulative, +Inf last */
};

struct sa_metric {
    struct sa_metric *next;
    enum kind kind;
    char *name, *help;
    char *labels[SA_LABELS_MAX];
    size_t label_count, max_series;
    double *bounds;
    size_t bound_count;
    struct sa_series *series; /* uthash: in the order they were made */
    struct sa_series *overflow;
    sa_metrics_read read;
    void *context;
};

struct hook {
    struct hook *next;
    void (*call)(void *context);
    void *context;
};

struct sa_metrics {
    struct sa_metric *first; /* in the order they were made */
    struct hook *hooks;
};

#endif
