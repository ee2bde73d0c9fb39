/* What a reload found. Lists are kept as JSON text, as nobody but their readers looks at them; each
 * is bounded, and what is beyond is counted. */
#include "lua/engine_internal.h"

#include "base/clock.h"
#include "lua/bundle_build.h"

#include <stdio.h>
#include <string.h>

enum { LISTED_MAX = 64 };

void engine_report_deinit(struct engine_report *report)
{
    sa_buf_deinit(&report->errors);
    sa_buf_deinit(&report->failures);
    sa_buf_deinit(&report->diff);
}

static struct sa_json_w element(struct sa_buf *list)
{
    if (list->length)
        sa_buf_addc(list, ',');
    struct sa_json_w w = sa_json_w_start(list);
    sa_json_w_begin_object(&w);
    return w;
}

static void put_value(struct sa_json_w *w, const char *key, const struct sa_value *value)
{
    if (value->type == SA_VALUE_STRING)
        sa_json_put_stringn(w, key, value->data, value->length);
    else if (value->type == SA_VALUE_INT)
        sa_json_put_int(w, key, value->integer);
}

/* Where the operator finds the file that the worker knows as "policies/x.lua". */
static void put_origin(struct sa_json_w *w, const struct sa_value *file,
                       const struct sa_bundle *bundle)
{
    for (size_t i = 0; bundle && i < sa_bundle_count(bundle); i++)
        if (sa_value_is(file, sa_bundle_file(bundle, i)->name))
            sa_json_put_string(w, "path", sa_bundle_file(bundle, i)->origin);
}

/* What callers get who do not look at the list. */
static void note_first(struct engine_report *report, const struct sa_value *file,
                       const struct sa_value *line, const char *text, size_t length)
{
    char where[SA_BUNDLE_NAME_MAX + 32];
    int file_length =
        file->type == SA_VALUE_STRING && file->length <= SA_BUNDLE_NAME_MAX ? (int)file->length : 0;
    snprintf(where, sizeof where, line->integer > 0 ? "%.*s:%lld" : "%.*s", file_length,
             file_length ? file->data : "", (long long)line->integer);
    sa_error_at(&report->first, SA_EINVALID, where, "%s: %.*s", where,
                length < 256 ? (int)length : 256, text);
}

static void add_error(struct engine_report *report, const struct sa_value *error, bool is_test,
                      const struct sa_bundle *bundle)
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_value file = sa_value_get(error, "file"), line = sa_value_get(error, "line"),
                    message = sa_value_get(error, "message"), name = sa_value_get(error, "name");
    if (is_test)
        sa_buf_printf(&text,
                      "test \"%.*s\" failed: ", name.type == SA_VALUE_STRING ? (int)name.length : 0,
                      name.data ? name.data : "");
    if (message.type == SA_VALUE_STRING)
        sa_buf_add(&text, message.data, message.length);
    if (report->error_count++ == 0)
        note_first(report, &file, &line, text.data ? text.data : "", text.length);
    if (report->error_count > LISTED_MAX)
        return;
    struct sa_json_w w = element(&report->errors);
    put_value(&w, "file", &file);
    put_origin(&w, &file, bundle);
    put_value(&w, "line", &line);
    if (is_test)
        put_value(&w, "test", &name);
    sa_json_put_stringn(&w, "message", text.data ? text.data : "", text.length);
    sa_json_w_end_object(&w);
}

void engine_report_compiled(struct engine_report *report, const struct sa_value *compiled,
                            const struct sa_bundle *bundle)
{
    struct sa_value errors = sa_value_get(compiled, "errors"), error;
    struct sa_value_reader reader = sa_value_enter(&errors);
    while (sa_value_next(&reader, &error))
        add_error(report, &error, false, bundle);
}

void engine_report_tested(struct engine_report *report, const struct sa_value *tested,
                          const struct sa_bundle *bundle)
{
    struct sa_value tests = sa_value_get(tested, "tests"), test;
    struct sa_value_reader reader = sa_value_enter(&tests);
    size_t listed = 0;
    report->tests_passed = sa_value_get(tested, "passed").integer;
    report->tests_failed = sa_value_get(tested, "failed").integer;
    while (sa_value_next(&reader, &test)) {
        if (sa_value_get(&test, "ok").type == SA_VALUE_TRUE)
            continue;
        add_error(report, &test, true, bundle);
        if (++listed > LISTED_MAX)
            continue;
        static const char *const keys[] = {"file", "name", "message"};
        struct sa_json_w w = element(&report->failures);
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            struct sa_value member = sa_value_get(&test, keys[i]);
            put_value(&w, keys[i], &member);
        }
        sa_json_w_end_object(&w);
    }
}

void engine_report_error(struct engine_report *report, const struct sa_error *err)
{
    report->error_count++;
    struct sa_json_w w = element(&report->errors);
    if (err->path[0])
        sa_json_put_string(&w, "file", err->path);
    sa_json_put_string(&w, "message", err->message);
    sa_json_w_end_object(&w);
}

static void put_list(struct sa_json_w *w, const char *key, const struct sa_buf *elements)
{
    sa_autobuf list = SA_BUF_INIT;
    sa_buf_addc(&list, '[');
    if (elements->length)
        sa_buf_add(&list, elements->data, elements->length);
    sa_buf_addc(&list, ']');
    sa_json_put_raw(w, key, list.data, list.length);
}

void engine_report_print(const struct engine_report *report, struct sa_json_w *w)
{
    char at[SA_RFC3339_BYTES];
    sa_rfc3339(report->at_ms, at);
    sa_json_put_string(w, "at", at);
    sa_json_put_bool(w, "ok", report->ok);
    sa_json_put_bool(w, "changed", report->ok && !report->unchanged);
    if (report->generation)
        sa_json_put_int(w, "generation", (int64_t)report->generation);
    sa_json_put_int(w, "durationMs", report->duration_ms);
    put_list(w, "errors", &report->errors);
    sa_json_put_object(w, "tests");
    sa_json_put_int(w, "passed", report->tests_passed);
    sa_json_put_int(w, "failed", report->tests_failed);
    put_list(w, "failures", &report->failures);
    sa_json_w_end_object(w);
    sa_json_put_object(w, "canary");
    sa_json_put_int(w, "inputs", (int64_t)report->canary_inputs);
    sa_json_put_int(w, "changed", (int64_t)report->canary_changed);
    sa_json_put_int(w, "errors", (int64_t)report->canary_errors);
    put_list(w, "diff", &report->diff);
    sa_json_w_end_object(w);
}
