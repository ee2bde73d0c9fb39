/* The registry: metrics in the order they were made, each with its series in a hash table. */
#include "metrics/internal.h"

#include "base/arena.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SERIES = 256, VALUE_MAX = 256 /* bytes of one label value */ };

static void check(bool ok)
{
    if (!ok)
        abort(); /* a bug of the caller's: see the header */
}

struct sa_metrics *sa_metrics_new(void)
{
    return sa_alloc(sizeof(struct sa_metrics));
}

static void free_series(struct sa_series *series)
{
    free(series->labels);
    free(series->buckets);
    free(series);
}

static void free_metric(struct sa_metric *metric)
{
    struct sa_series *s, *next;
    HASH_ITER (hh, metric->series, s, next) {
        HASH_DEL(metric->series, s); /* NOLINT: uthash */
        free_series(s);
    }
    if (metric->overflow)
        free_series(metric->overflow);
    for (size_t i = 0; i < metric->label_count; i++)
        free(metric->labels[i]);
    free(metric->bounds);
    free(metric->name);
    free(metric->help);
    free(metric);
}

void sa_metrics_free(struct sa_metrics *metrics)
{
    if (!metrics)
        return;
    for (struct sa_metric *m = metrics->first, *next; m; m = next) {
        next = m->next;
        free_metric(m);
    }
    for (struct hook *h = metrics->hooks, *next; h; h = next) {
        next = h->next;
        free(h);
    }
    free(metrics);
}

/* [a-zA-Z_:][a-zA-Z0-9_:]*; label names have no colon and do not begin with "__". */
static bool name_ok(const char *name, bool label)
{
    if (!*name || (*name >= '0' && *name <= '9') || (label && strncmp(name, "__", 2) == 0))
        return false;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:")] ==
               '\0' &&
           !(label && strchr(name, ':'));
}

static struct sa_metric *add(struct sa_metrics *metrics, enum kind kind, const char *name,
                             const char *help, const char *const labels[])
{
    struct sa_metric **end = &metrics->first;
    check(name_ok(name, false));
    for (; *end; end = &(*end)->next)
        check(strcmp((*end)->name, name) != 0);
    struct sa_metric *m = *end = sa_alloc(sizeof *m);
    m->kind = kind;
    m->name = sa_strdup(name);
    m->help = sa_strdup(help);
    m->max_series = DEFAULT_SERIES;
    for (; labels && labels[m->label_count]; m->label_count++) {
        check(m->label_count < SA_LABELS_MAX && name_ok(labels[m->label_count], true));
        m->labels[m->label_count] = sa_strdup(labels[m->label_count]);
    }
    return m;
}

/* Without labels there is one series, shown from the start. */
static struct sa_metric *add_shown(struct sa_metrics *metrics, enum kind kind, const char *name,
                                   const char *help, const char *const labels[])
{
    struct sa_metric *m = add(metrics, kind, name, help, labels);
    if (m->label_count == 0)
        sa_metric_series(m, NULL);
    return m;
}

struct sa_metric *sa_metrics_find(const struct sa_metrics *metrics, const char *name)
{
    struct sa_metric *metric = metrics->first;
    while (metric && strcmp(metric->name, name) != 0)
        metric = metric->next;
    return metric;
}

struct sa_metric *sa_metrics_counter(struct sa_metrics *metrics, const char *name, const char *help,
                                     const char *const labels[])
{
    return add_shown(metrics, COUNTER, name, help, labels);
}

struct sa_metric *sa_metrics_gauge(struct sa_metrics *metrics, const char *name, const char *help,
                                   const char *const labels[])
{
    return add_shown(metrics, GAUGE, name, help, labels);
}

struct sa_metric *sa_metrics_histogram(struct sa_metrics *metrics, const char *name,
                                       const char *help, const char *const labels[],
                                       const double *bounds, size_t count)
{
    static const double seconds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                     0.25,   0.5,   1,      2.5,   5,    10,    30,   60};
    if (!bounds) {
        bounds = seconds;
        count = sizeof seconds / sizeof seconds[0];
    }
    struct sa_metric *m = add(metrics, HISTOGRAM, name, help, labels);
    m->bounds = sa_alloc(count * sizeof *bounds);
    m->bound_count = count;
    for (size_t i = 0; i < count; i++) {
        check(i == 0 || bounds[i] > bounds[i - 1]);
        m->bounds[i] = bounds[i];
    }
    if (m->label_count == 0)
        sa_metric_series(m, NULL);
    return m;
}

void sa_metric_limit(struct sa_metric *metric, size_t max_series)
{
    metric->max_series = max_series;
}

/* --- series -------------------------------------------------------------------------------- */

/* Append a label value as the format escapes it, made valid UTF-8, cut at VALUE_MAX. */
static void add_escaped(struct sa_buf *out, const char *text)
{
    size_t length = strnlen(text, VALUE_MAX + 1);
    if (length > VALUE_MAX)
        length = VALUE_MAX - sa_utf8_partial_tail(text, VALUE_MAX);
    for (size_t i = 0; i < length;) {
        size_t valid = sa_utf8_prefix(text + i, length - i);
        for (size_t end = i + valid; i < end; i++) {
            if (text[i] == '\n')
                sa_buf_add(out, "\\n", 2);
            else if (text[i] == '"' || text[i] == '\\')
                sa_buf_add(out, text[i] == '"' ? "\\\"" : "\\\\", 2);
            else
                sa_buf_addc(out, text[i]);
        }
        if (i < length) {
            sa_buf_add(out, "\xEF\xBF\xBD", 3);
            i++;
        }
    }
}

/* `route="/healthz",status="200"`: the text of the labels is also the key of the series. */
static void render_labels(const struct sa_metric *metric, const char *const values[],
                          struct sa_buf *out)
{
    for (size_t i = 0; i < metric->label_count; i++) {
        if (i)
            sa_buf_addc(out, ',');
        sa_buf_adds(out, metric->labels[i]);
        sa_buf_add(out, "=\"", 2);
        add_escaped(out, values[i]);
        sa_buf_addc(out, '"');
    }
}

static struct sa_series *new_series(struct sa_metric *metric, const char *labels)
{
    struct sa_series *s = sa_alloc(sizeof *s);
    s->metric = metric;
    s->labels = sa_strdup(labels);
    if (metric->kind == HISTOGRAM)
        s->buckets = sa_alloc((metric->bound_count + 1) * sizeof *s->buckets);
    return s;
}

static struct sa_series *overflow(struct sa_metric *metric)
{
    if (!metric->overflow) {
        const char *values[SA_LABELS_MAX];
        sa_autobuf labels = SA_BUF_INIT;
        for (size_t i = 0; i < metric->label_count; i++)
            values[i] = "overflow";
        render_labels(metric, values, &labels);
        metric->overflow = new_series(metric, labels.data ? labels.data : "");
    }
    return metric->overflow;
}

struct sa_series *sa_metric_series(struct sa_metric *metric, const char *const values[])
{
    sa_autobuf labels = SA_BUF_INIT;
    struct sa_series *s;
    size_t given = 0;
    while (values && given <= metric->label_count && values[given])
        given++;
    check(given == metric->label_count);
    sa_buf_reserve(&labels, 0);
    render_labels(metric, values, &labels);
    HASH_FIND(hh, metric->series, labels.data, labels.length, s);
    if (s)
        return s;
    if (HASH_COUNT(metric->series) >= metric->max_series)
        return overflow(metric);
    s = new_series(metric, labels.data);
    HASH_ADD_KEYPTR(hh, metric->series, s->labels, labels.length, s);
    return s;
}

void sa_series_remove(struct sa_series *series)
{
    struct sa_metric *metric = series->metric;
    check(metric->kind == GAUGE && metric->label_count > 0);
    if (series == metric->overflow)
        return; /* others share it */
    HASH_DEL(metric->series, series);
    free_series(series);
}

void sa_counter_add(struct sa_series *series, double amount)
{
    check(series->metric->kind == COUNTER && amount >= 0);
    series->value += amount;
}

void sa_gauge_set(struct sa_series *series, double value)
{
    check(series->metric->kind == GAUGE);
    series->value = value;
}

void sa_gauge_add(struct sa_series *series, double amount)
{
    check(series->metric->kind == GAUGE);
    series->value += amount;
}

void sa_histogram_observe(struct sa_series *series, double value)
{
    const struct sa_metric *m = series->metric;
    check(m->kind == HISTOGRAM);
    size_t i = 0; /* few buckets: a straight walk beats a search */
    while (i < m->bound_count && !(value <= m->bounds[i]))
        i++;
    series->buckets[i]++;
    series->count++;
    series->value += value;
}

double sa_series_value(const struct sa_series *series)
{
    return series->metric->kind == HISTOGRAM ? (double)series->count : series->value;
}

/* --- values that are asked for ------------------------------------------------------------- */

void sa_metrics_gauge_fn(struct sa_metrics *metrics, const char *name, const char *help,
                         sa_metrics_read read, void *context)
{
    struct sa_metric *m = add(metrics, GAUGE, name, help, NULL);
    m->read = read;
    m->context = context;
}

void sa_metrics_counter_fn(struct sa_metrics *metrics, const char *name, const char *help,
                           sa_metrics_read read, void *context)
{
    struct sa_metric *m = add(metrics, COUNTER, name, help, NULL);
    m->read = read;
    m->context = context;
}

void sa_metrics_on_write(struct sa_metrics *metrics, void (*call)(void *context), void *context)
{
    struct hook *h = sa_alloc(sizeof *h);
    h->call = call;
    h->context = context;
    h->next = metrics->hooks;
    metrics->hooks = h;
}
