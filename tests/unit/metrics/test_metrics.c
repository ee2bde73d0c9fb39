/* core/metrics: what is written is read by the real parser of the Python client. */
#include "metrics/metrics.h"

#include "base/fdio.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Run the parser (see parse_metrics.py) on the text; its report goes to `out`. */
static void parse(struct sa_metrics *metrics, struct sa_buf *out)
{
    sa_autobuf text = SA_BUF_INIT;
    int in[2], back[2], status;
    sa_metrics_write(metrics, &text);
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(back), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(back[1], 1);
        close(in[1]);
        close(back[0]);
        execl("/usr/bin/python3", "python3", SA_PARSER, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(back[1]);
    assert_int_equal(sa_write_all(in[1], text.data, text.length), 0);
    close(in[1]);
    for (ssize_t n; (n = read(back[0], sa_buf_reserve(out, 4096), 4096)) > 0;)
        out->length += (size_t)n;
    out->data[out->length] = '\0';
    close(back[0]);
    waitpid(pid, &status, 0);
    if (status != 0)
        fail_msg("the parser refused:\n%s", text.data);
}

static void expect(const struct sa_buf *report, const char *line)
{
    sa_autobuf whole = SA_BUF_INIT;
    sa_buf_printf(&whole, "%s\n", line);
    const char *at = strstr(report->data, whole.data);
    if (!at || (at != report->data && at[-1] != '\n'))
        fail_msg("no line %s in\n%s", line, report->data);
}

static void counters_and_gauges(void **state)
{
    (void)state;
    struct sa_metrics *m = sa_metrics_new();
    sa_autobuf out = SA_BUF_INIT;
    struct sa_metric *requests =
        sa_metrics_counter(m, "sa_http_requests_total", "Answered.", SA_LABELS("route", "status"));
    struct sa_series *ok = sa_metric_series(requests, SA_VALUES("/healthz", "200"));
    sa_counter_add(ok, 1);
    sa_counter_add(ok, 2.5);
    assert_ptr_equal(ok, sa_metric_series(requests, SA_VALUES("/healthz", "200")));
    assert_ptr_not_equal(ok, sa_metric_series(requests, SA_VALUES("/healthz", "404")));
    struct sa_metric *plain = sa_metrics_gauge(m, "sa_sandboxes", "Alive.", NULL);
    sa_gauge_set(sa_metric_series(plain, NULL), 10);
    sa_gauge_add(sa_metric_series(plain, NULL), -12.25);
    sa_gauge_set(sa_metric_series(sa_metrics_gauge(m, "sa_nan", "n", NULL), NULL), NAN);
    sa_gauge_set(sa_metric_series(sa_metrics_gauge(m, "sa_inf", "n", NULL), NULL), INFINITY);
    sa_metrics_counter(m, "sa_untouched_total", "Shown as 0 from the start.", NULL);
    parse(m, &out);
    expect(&out, "TYPE sa_http_requests counter | Answered.");
    expect(&out, "sa_http_requests_total{route='/healthz',status='200'} 3.5");
    expect(&out, "sa_http_requests_total{route='/healthz',status='404'} 0.0");
    expect(&out, "TYPE sa_sandboxes gauge | Alive.");
    expect(&out, "sa_sandboxes{} -2.25");
    expect(&out, "sa_nan{} nan");
    expect(&out, "sa_inf{} inf");
    expect(&out, "sa_untouched_total{} 0.0");
    assert_true(sa_series_value(ok) == 3.5);
    sa_metrics_free(m);
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    struct sa_metrics *m = sa_metrics_new();
    sa_autobuf out = SA_BUF_INIT;
    struct sa_metric *h =
        sa_metrics_histogram(m, "sa_seconds", "Time.", SA_LABELS("op"), (double[]){0.1, 1, 10}, 3);
    struct sa_series *s = sa_metric_series(h, SA_VALUES("create"));
    const double values[] = {0.05, 0.1, 0.5, 1, 9.5, 10.5};
    for (size_t i = 0; i < 6; i++)
        sa_histogram_observe(s, values[i]);
    assert_true(sa_series_value(s) == 6);
    sa_metrics_histogram(m, "sa_default_seconds", "Time.", NULL, NULL, 0);
    parse(m, &out);
    expect(&out, "TYPE sa_seconds histogram | Time.");
    expect(&out, "sa_seconds_bucket{le='0.1',op='create'} 2.0");
    expect(&out, "sa_seconds_bucket{le='1',op='create'} 4.0");
    expect(&out, "sa_seconds_bucket{le='10',op='create'} 5.0");
    expect(&out, "sa_seconds_bucket{le='+Inf',op='create'} 6.0");
    expect(&out, "sa_seconds_sum{op='create'} 21.65");
    expect(&out, "sa_seconds_count{op='create'} 6.0");
    expect(&out, "sa_default_seconds_bucket{le='0.0005'} 0.0");
    sa_metrics_free(m);
}

static void labels_and_help_are_escaped(void **state)
{
    (void)state;
    struct sa_metrics *m = sa_metrics_new();
    sa_autobuf out = SA_BUF_INIT;
    struct sa_metric *g = sa_metrics_gauge(m, "sa_g", "Two\nlines \\ \"q\"", SA_LABELS("v"));
    sa_gauge_set(sa_metric_series(g, SA_VALUES("a\"b\\c\nd")), 1);
    sa_gauge_set(sa_metric_series(g, SA_VALUES("\",x=\"} 5\n")), 2);
    sa_gauge_set(sa_metric_series(g, SA_VALUES("\xC3\xA9\xFF")), 3);
    sa_gauge_set(sa_metric_series(g, SA_VALUES("")), 4);
    parse(m, &out);
    expect(&out, "TYPE sa_g gauge | Two\nlines \\ \"q\"");
    expect(&out, "sa_g{v='a\"b\\\\c\\nd'} 1.0");
    expect(&out, "sa_g{v='\",x=\"} 5\\n'} 2.0");
    expect(&out, "sa_g{v='\xC3\xA9\xEF\xBF\xBD'} 3.0");
    expect(&out, "sa_g{v=''} 4.0");
    sa_metrics_free(m);
}

static void series_are_bounded(void **state)
{
    (void)state;
    struct sa_metrics *m = sa_metrics_new();
    sa_autobuf out = SA_BUF_INIT;
    char value[600];
    struct sa_metric *c = sa_metrics_counter(m, "sa_c_total", "c", SA_LABELS("a", "b"));
    sa_metric_limit(c, 5);
    for (int i = 0; i < 1000; i++) {
        snprintf(value, sizeof value, "v%d", i);
        sa_counter_add(sa_metric_series(c, SA_VALUES(value, "x")), 1);
    }
    sa_counter_add(sa_metric_series(c, SA_VALUES("v2", "x")), 1); /* the early ones stay */
    parse(m, &out);
    expect(&out, "sa_c_total{a='v2',b='x'} 2.0");
    expect(&out, "sa_c_total{a='overflow',b='overflow'} 995.0");
    assert_null(strstr(out.data, "'v5'"));
    struct sa_metric *g = sa_metrics_gauge(m, "sa_long", "l", SA_LABELS("a"));
    memset(value, 'y', sizeof value);
    value[sizeof value - 1] = '\0';
    struct sa_series *cut = sa_metric_series(g, SA_VALUES(value));
    value[300] = '\0';
    assert_ptr_equal(cut, sa_metric_series(g, SA_VALUES(value))); /* the same once cut */
    sa_metrics_free(m);
}

static void gauges_can_be_removed(void **state)
{
    (void)state;
    struct sa_metrics *m = sa_metrics_new();
    sa_autobuf out = SA_BUF_INIT;
    struct sa_metric *g = sa_metrics_gauge(m, "sa_memory_bytes", "m", SA_LABELS("sandbox"));
    sa_metric_limit(g, 2);
    for (int i = 0; i < 100; i++) {
        char id[16];
        snprintf(id, sizeof id, "sb-%d", i);
        struct sa_series *s = sa_metric_series(g, SA_VALUES(id));
        sa_gauge_set(s, i);
        if (i > 0 && i < 99)
            sa_series_remove(s);
    }
    parse(m, &out);
    expect(&out, "sa_memory_bytes{sandbox='sb-0'} 0.0");
    expect(&out, "sa_memory_bytes{sandbox='sb-99'} 99.0");
    assert_null(strstr(out.data, "overflow"));
    assert_null(strstr(out.data, "sb-50"));
    sa_metrics_free(m);
}

static double answer(void *context)
{
    return *(double *)context;
}

static void set_it(void *context)
{
    sa_gauge_set(context, 17);
}

static void values_are_asked_for(void **state)
{
    (void)state;
    struct sa_metrics *m = sa_metrics_new();
    sa_autobuf out = SA_BUF_INIT;
    double value = 42;
    sa_metrics_gauge_fn(m, "sa_answer", "a", answer, &value);
    sa_metrics_counter_fn(m, "sa_answers_total", "a", answer, &value);
    struct sa_metric *g = sa_metrics_gauge(m, "sa_hooked", "h", NULL);
    sa_metrics_on_write(m, set_it, sa_metric_series(g, NULL));
    value = 43;
    parse(m, &out);
    expect(&out, "sa_answer{} 43.0");
    expect(&out, "TYPE sa_answers counter | a");
    expect(&out, "sa_answers_total{} 43.0");
    expect(&out, "sa_hooked{} 17.0");
    sa_metrics_free(m);
}

static double value_of(const struct sa_buf *report, const char *name)
{
    const char *at = strstr(report->data, name);
    assert_non_null(at);
    return strtod(at + strlen(name), NULL);
}

static void the_process_is_described(void **state)
{
    (void)state;
    struct sa_metrics *m = sa_metrics_new();
    sa_autobuf out = SA_BUF_INIT, more = SA_BUF_INIT;
    sa_metrics_add_process(m);
    parse(m, &out);
    double start = value_of(&out, "process_start_time_seconds{} ");
    assert_true(fabs((double)time(NULL) - start) < 100);
    double resident = value_of(&out, "process_resident_memory_bytes{} ");
    assert_true(resident > 100e3 && resident < 10e9);
    assert_true(value_of(&out, "process_virtual_memory_bytes{} ") >= resident);
    assert_true(value_of(&out, "process_max_fds{} ") >= 64);
    double fds = value_of(&out, "process_open_fds{} ");
    int extra[2];
    assert_int_equal(pipe(extra), 0);
    parse(m, &more);
    assert_true(value_of(&more, "process_open_fds{} ") == fds + 2);
    assert_true(value_of(&more, "process_cpu_seconds_total{} ") > 0);
    close(extra[0]);
    close(extra[1]);
    sa_metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges),         cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(labels_and_help_are_escaped), cmocka_unit_test(series_are_bounded),
        cmocka_unit_test(gauges_can_be_removed),       cmocka_unit_test(values_are_asked_for),
        cmocka_unit_test(the_process_is_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
