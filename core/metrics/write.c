/* The text exposition format, version 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats). */
#include "metrics/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 32 };

static const char *number(double value, char out[NUMBER_BYTES])
{
    if (isnan(value))
        return "NaN";
    if (isinf(value))
        return value > 0 ? "+Inf" : "-Inf";
    if (value == trunc(value) && fabs(value) < 1e15) {
        snprintf(out, NUMBER_BYTES, "%.0f", value);
        return out;
    }
    snprintf(out, NUMBER_BYTES, "%.15g", value);
    if (strtod(out, NULL) != value)
        snprintf(out, NUMBER_BYTES, "%.17g", value);
    return out;
}

/* `name suffix {labels, extra} value`, where labels and extra may be empty. */
static void sample(struct sa_buf *out, const char *name, const char *suffix, const char *labels,
                   const char *le, double value)
{
    char text[NUMBER_BYTES];
    sa_buf_adds(out, name);
    sa_buf_adds(out, suffix);
    if (*labels || le) {
        sa_buf_addc(out, '{');
        sa_buf_adds(out, labels);
        if (le) {
            sa_buf_adds(out, *labels ? ",le=\"" : "le=\"");
            sa_buf_adds(out, le);
            sa_buf_addc(out, '"');
        }
        sa_buf_addc(out, '}');
    }
    sa_buf_addc(out, ' ');
    sa_buf_adds(out, number(value, text));
    sa_buf_addc(out, '\n');
}

static void write_histogram(const struct sa_metric *m, const struct sa_series *s,
                            struct sa_buf *out)
{
    char bound[NUMBER_BYTES];
    uint64_t sum = 0;
    for (size_t i = 0; i < m->bound_count; i++) {
        sum += s->buckets[i];
        sample(out, m->name, "_bucket", s->labels, number(m->bounds[i], bound), (double)sum);
    }
    sample(out, m->name, "_bucket", s->labels, "+Inf", (double)s->count);
    sample(out, m->name, "_sum", s->labels, NULL, s->value);
    sample(out, m->name, "_count", s->labels, NULL, (double)s->count);
}

static void write_series(const struct sa_metric *m, const struct sa_series *s, struct sa_buf *out)
{
    if (m->kind == HISTOGRAM)
        write_histogram(m, s, out);
    else
        sample(out, m->name, "", s->labels, NULL, s->value);
}

static void write_header(const struct sa_metric *m, struct sa_buf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    sa_buf_printf(out, "# HELP %s ", m->name);
    for (const char *c = m->help; *c; c++) {
        if (*c == '\n')
            sa_buf_adds(out, "\\n");
        else if (*c == '\\')
            sa_buf_adds(out, "\\\\");
        else
            sa_buf_addc(out, *c);
    }
    sa_buf_printf(out, "\n# TYPE %s %s\n", m->name, types[m->kind]);
}

void sa_metrics_write(struct sa_metrics *metrics, struct sa_buf *out)
{
    for (const struct hook *h = metrics->hooks; h; h = h->next)
        h->call(h->context);
    for (const struct sa_metric *m = metrics->first; m; m = m->next) {
        write_header(m, out);
        if (m->read)
            sample(out, m->name, "", "", NULL, m->read(m->context));
        for (const struct sa_series *s = m->series; s; s = s->hh.next)
            write_series(m, s, out);
        if (m->overflow)
            write_series(m, m->overflow, out);
    }
}
