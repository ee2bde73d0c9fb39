/*
 * Metrics in the text format of Prometheus, version 0.0.4.
 *
 *     struct sa_metric *requests = sa_metrics_counter(metrics, "sa_http_requests_total",
 *         "Requests answered.", SA_LABELS("route", "status"));
 *     struct sa_series *ok = sa_metric_series(requests, SA_VALUES("/healthz", "200"));
 *     sa_counter_add(ok, 1);
 *
 * A series is looked up once (a hash of its label values) and kept; increments through the
 * handle are a single addition. A metric holds at most `max_series` label sets (256, see
 * sa_metric_limit): what comes after shares one series whose label values are all "overflow", so
 * that an outsider cannot grow memory by inventing label values. Handles live as long as the
 * registry.
 *
 * One thread (the loop's). Names and label names that Prometheus would not take, a name that
 * is registered twice, and the wrong operation for a metric's type are bugs and abort.
 */
#ifndef SA_METRICS_METRICS_H
#define SA_METRICS_METRICS_H

#include "base/buf.h"

#include <stddef.h>

struct sa_metrics;
struct sa_metric;
struct sa_series;

struct sa_metrics *sa_metrics_new(void);
void sa_metrics_free(struct sa_metrics *metrics); /* NULL is allowed */

enum { SA_LABELS_MAX = 8 };
/* Label names, or label values in the order of the names. Both end with NULL; NULL: no labels. */
#define SA_LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SA_VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})

struct sa_metric *sa_metrics_counter(struct sa_metrics *metrics, const char *name, const char *help,
                                     const char *const labels[]);
struct sa_metric *sa_metrics_gauge(struct sa_metrics *metrics, const char *name, const char *help,
                                   const char *const labels[]);
/* `bounds`: upper bounds of the buckets, rising, without +Inf. NULL and 0: seconds from 0.0005 to
 * 60, which suits latencies. */
struct sa_metric *sa_metrics_histogram(struct sa_metrics *metrics, const char *name,
                                       const char *help, const char *const labels[],
                                       const double *bounds, size_t count);
/* The metric of that name, of whatever type; NULL: there is none. */
struct sa_metric *sa_metrics_find(const struct sa_metrics *metrics, const char *name);
void sa_metric_limit(struct sa_metric *metric, size_t max_series);

/* The series of these label values, made if it is new; never NULL. Values that are not UTF-8 are
 * made so. */
struct sa_series *sa_metric_series(struct sa_metric *metric, const char *const values[]);

void sa_counter_add(struct sa_series *series, double amount); /* not negative */
void sa_gauge_set(struct sa_series *series, double value);
void sa_gauge_add(struct sa_series *series, double amount);
void sa_histogram_observe(struct sa_series *series, double value);
/* Value of a counter or gauge, number of observations of a histogram: for tests and status. */
double sa_series_value(const struct sa_series *series);
/* Forget a gauge's series (a sandbox that is gone); the handle is dead after this. */
void sa_series_remove(struct sa_series *series);

/* A gauge or counter without labels whose value is asked for when it is written. */
typedef double (*sa_metrics_read)(void *context);
void sa_metrics_gauge_fn(struct sa_metrics *metrics, const char *name, const char *help,
                         sa_metrics_read read, void *context);
void sa_metrics_counter_fn(struct sa_metrics *metrics, const char *name, const char *help,
                           sa_metrics_read read, void *context);
/* Called before each writing, to set many gauges at once. */
void sa_metrics_on_write(struct sa_metrics *metrics, void (*hook)(void *context), void *context);

/* process_cpu_seconds_total, process_resident_memory_bytes, process_virtual_memory_bytes,
 * process_open_fds, process_max_fds, process_start_time_seconds, by their usual names. */
void sa_metrics_add_process(struct sa_metrics *metrics);

/* Append all of it. Content type: SA_METRICS_CONTENT_TYPE. */
#define SA_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
void sa_metrics_write(struct sa_metrics *metrics, struct sa_buf *out);

#endif
