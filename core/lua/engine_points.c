/* The decision points as the engine needs them: names, and what is answered without asking. */
#include "lua/engine_internal.h"

#include "base/arena.h"

#include <stdio.h>
#include <string.h>

/* {verdict = the first one, ran = {}} */
static void unasked(struct engine_point *point, const struct sa_value *described)
{
    struct sa_value verdicts = sa_value_get(described, "verdicts"), verdict;
    struct sa_value_reader reader = sa_value_enter(&verdicts);
    sa_value_map(&point->unasked);
    for (bool first = true; sa_value_next(&reader, &verdict); first = false) {
        if (verdict.type != SA_VALUE_STRING)
            continue;
        if (first) {
            sa_value_key(&point->unasked, "verdict");
            sa_value_string(&point->unasked, verdict.data, verdict.length);
        }
        point->denies = point->denies || sa_value_is(&verdict, "deny");
    }
    sa_value_key(&point->unasked, "ran");
    sa_value_list(&point->unasked);
    sa_value_end(&point->unasked);
    sa_value_end(&point->unasked);
}

static void init_metrics(struct sa_engine *engine)
{
    static const double seconds[] = {5e-6,   10e-6, 15e-6, 25e-6, 50e-6,  100e-6, 250e-6,
                                     500e-6, 1e-3,  5e-3,  25e-3, 100e-3, 500e-3, 2.5};
    struct engine_metrics *m = &engine->metrics;
    struct sa_metrics *metrics = engine->options.metrics;
    if (!metrics)
        metrics = m->own = sa_metrics_new();
    m->decisions =
        sa_metrics_counter(metrics, "secureagent_policy_decisions_total",
                           "Decisions by point and verdict; \"error\": the default applied.",
                           SA_LABELS("point", "verdict"));
    m->seconds = sa_metrics_histogram(metrics, "secureagent_policy_decision_seconds",
                                      "From asking the rules to their answer.", SA_LABELS("point"),
                                      seconds, sizeof seconds / sizeof seconds[0]);
    m->denials = sa_metrics_counter(metrics, "secureagent_policy_denials_total",
                                    "Denials by point and rule.", SA_LABELS("point", "rule"));
    m->reloads =
        sa_metrics_counter(metrics, "secureagent_policy_reloads_total",
                           "Reloads by outcome: swapped, unchanged, failed, rollback, lastGood.",
                           SA_LABELS("outcome"));
    m->restarts =
        sa_metric_series(sa_metrics_counter(metrics, "secureagent_policy_worker_restarts_total",
                                            "Workers started anew because one had died.", NULL),
                         NULL);
    m->generation = sa_metric_series(sa_metrics_gauge(metrics, "secureagent_policy_generation",
                                                      "Number of the generation in force.", NULL),
                                     NULL);
    m->resident = sa_metric_series(
        sa_metrics_gauge(metrics, "secureagent_policy_worker_resident_bytes",
                         "Resident memory of the worker in force, looked at every few seconds.",
                         NULL),
        NULL);
}

void engine_point_count(struct sa_engine *engine, unsigned point, const char *verdict,
                        size_t length)
{
    struct engine_point *p = &engine->points[point];
    for (size_t i = 0; i < VERDICTS_MAX; i++) {
        struct engine_verdict *known = &p->verdicts[i];
        if (!known->series) {
            snprintf(known->name, sizeof known->name, "%.*s", (int)length, verdict);
            known->series =
                sa_metric_series(engine->metrics.decisions, SA_VALUES(p->name, known->name));
        }
        if (strlen(known->name) == length && memcmp(known->name, verdict, length) == 0) {
            sa_counter_add(known->series, 1);
            return;
        }
    }
    sa_counter_add(sa_metric_series(engine->metrics.decisions, SA_VALUES(p->name, "other")), 1);
}

int engine_points_init(struct sa_engine *engine, struct sa_error *err)
{
    const struct sa_engine_options *o = &engine->options;
    if (sa_value_check(o->points->data, o->points->length, err) < 0)
        return sa_error_wrap(err, "the decision points");
    struct sa_value list = sa_value_of(o->points->data, o->points->length), described;
    struct sa_value_reader reader = sa_value_enter(&list);
    while (o->point_names[engine->point_count])
        engine->point_count++;
    engine->points = sa_alloc((engine->point_count + 1) * sizeof *engine->points);
    init_metrics(engine);
    for (size_t i = 0; i < engine->point_count; i++) {
        struct engine_point *point = &engine->points[i];
        if (!sa_value_next(&reader, &described))
            return sa_error_set(err, SA_EINTERNAL, "decision point %s is not described",
                                o->point_names[i]);
        snprintf(point->name, sizeof point->name, "%s", o->point_names[i]);
        point->seconds = sa_metric_series(engine->metrics.seconds, SA_VALUES(point->name));
        unasked(point, &described);
    }
    return 0;
}

void engine_points_deinit(struct sa_engine *engine)
{
    for (size_t i = 0; engine->points && i < engine->point_count; i++)
        sa_buf_deinit(&engine->points[i].unasked);
    free(engine->points);
    sa_metrics_free(engine->metrics.own);
}
