#include "controller/pool/job.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "model/execute.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { TAIL_MOST = 400, OUTPUT_MOST = 1 << 20, WARM_MOST_MS = 60 * 1000 };

static struct sa_json_strings copy(struct sa_arena *arena, const struct sa_json_strings *from)
{
    struct sa_json_strings to = {sa_arena_alloc(arena, (from->count + 1) * sizeof *to.items), 0};
    for (; to.count < from->count; to.count++)
        to.items[to.count] = sa_arena_strdup(arena, from->items[to.count]);
    return to;
}

struct sa_pool_job *sa_pool_job_new(struct sa_pool_record *record, const struct sa_object *pod,
                                    int64_t limit_ms)
{
    struct sa_pool_controller *controller = record->controller;
    const struct sa_object *object = sa_pool_of_pod(controller, pod);
    if (!object)
        return NULL;
    const struct sa_warm_pool_spec *spec = sa_object_spec(object);
    const struct sa_object *runtime =
        sa_informer_get(controller->options.caches->runtimes, spec->runtime);
    const struct sa_runtime_spec *runtime_spec = runtime ? sa_object_spec(runtime) : NULL;
    static const char *const managers[] = {NULL, "pip", "npm"};
    struct sa_pool_job *job = sa_alloc(sizeof *job);
    struct sa_arena *arena = sa_arena_new();
    *job = (struct sa_pool_job){
        .controller = controller,
        .record = record,
        .arena = arena,
        .deadline_ms = sa_monotonic_ms() + limit_ms,
        .language = sa_language_runtime(runtime_spec ? runtime_spec->language : SA_LANGUAGE_OTHER),
        .manager = runtime_spec ? managers[runtime_spec->manager] : NULL,
        .packages = copy(arena, &spec->preload_packages),
        .scripts = copy(arena, &spec->preload_scripts),
        .imports = copy(arena, &spec->imports),
        .seals = spec->recycle.enabled,
        .level = sa_security_level_name(spec->level),
        .scope = {.namespace_ = sa_arena_strdup(arena, sa_object_meta(object)->namespace_),
                  .pool = sa_arena_strdup(arena, sa_object_meta(object)->name)}};
    DL_APPEND(controller->jobs, job);
    sa_pool_job_free(record->job);
    record->job = job;
    return job;
}

void sa_pool_job_free(struct sa_pool_job *job)
{
    if (!job)
        return;
    DL_DELETE(job->controller->jobs, job);
    job->record->job = NULL;
    if (job->call)
        sa_call_abandon(job->call);
    sa_policy_forget(job->policy);
    sa_policy_forget(job->policy_same);
    if (job->controller->options.agent)
        sa_agent_recount_forget(job->controller->options.agent, job);
    sa_buf_deinit(&job->tail);
    sa_arena_free(job->arena);
    free(job);
}

void sa_pool_job_end(struct sa_pool_job *job, enum sa_pool_work work, const char *reason,
                     const char *message)
{
    struct sa_pool_record *record = job->record;
    record->work = work;
    snprintf(record->reason, sizeof record->reason, "%s", reason);
    snprintf(record->message, sizeof record->message, "%.*s",
             (int)sa_utf8_prefix(message, strnlen(message, sizeof record->message - 1)), message);
    sa_pool_job_free(job);
    sa_pool_wake_pod(record);
}

void sa_pool_jobs_check(struct sa_pool_controller *controller, int64_t now_ms)
{
    struct sa_pool_job *job, *next;
    DL_FOREACH_SAFE (controller->jobs, job, next)
        if (now_ms >= job->deadline_ms)
            sa_pool_job_end(job, SA_POOL_WORK_FAILED, "Timeout", "the pod did not answer in time");
}

/* ---- what comes back ---- */

static void keep_tail(struct sa_buf *tail, const char *data, size_t length)
{
    if (length > TAIL_MOST) {
        data += length - TAIL_MOST;
        length = TAIL_MOST;
    }
    if (tail->length + length > TAIL_MOST)
        sa_buf_consume(tail, tail->length + length - TAIL_MOST);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)data[i];
        sa_buf_addc(tail, c == '\n' ? ' ' : c < 0x20 || c > 0x7e ? '?' : (char)c);
    }
}

static void on_data(void *user, enum sa_link_channel channel, const void *data, size_t length)
{
    struct sa_pool_job *job = user;
    if (channel == SA_CHANNEL_ERR)
        keep_tail(&job->tail, data, length);
    sa_call_consume(job->call, length);
}

static void send_input(void *user)
{
    struct sa_pool_job *job = user;
    if (!job->input_length)
        return;
    size_t sent = sa_call_write(job->call, job->input, job->input_length);
    job->input += sent;
    job->input_length -= sent;
}

/* What is not as it has to be is left out, and then it did not go well. */
static void read_result(struct sa_pool_job *job, struct sa_fields *fields)
{
    struct sa_field field;
    while (fields && sa_fields_next(fields, &field, NULL) == 1) {
        if (field.tag == SA_EXEC_STATUS)
            sa_field_text_into(&field, job->status, sizeof job->status, NULL);
        else if (field.tag == SA_EXEC_EXIT_CODE)
            sa_field_int(&field, &job->exit_code, NULL);
    }
}

static void over(struct sa_pool_job *job, const struct sa_error *err)
{
    sa_pool_next *then = job->then;
    job->call = NULL;
    job->then = NULL;
    then(job, err);
}

static void on_program_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_pool_job *job = user;
    struct sa_error err;
    if (!error)
        read_result(job, fields);
    if (error || (strcmp(job->status, "exited") == 0 && job->exit_code == 0)) {
        over(job, error);
        return;
    }
    if (strcmp(job->status, "exited") == 0)
        sa_error_set(&err, SA_ECONFLICT, "it ended with %lld: %s", (long long)job->exit_code,
                     job->tail.data ? job->tail.data : "");
    else
        sa_error_set(&err, SA_ETIMEOUT, "it did not end by itself (%s): %s", job->status,
                     job->tail.data ? job->tail.data : "");
    over(job, &err);
}

static void on_asked(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_pool_job *job = user;
    struct sa_field field;
    struct sa_error err;
    while (fields && sa_fields_next(fields, &field, NULL) == 1)
        if (field.tag == SA_RESET_FINGERPRINT)
            sa_field_text_into(&field, job->fingerprint, sizeof job->fingerprint, NULL);
    if (!error && !job->fingerprint[0]) {
        sa_error_set(&err, SA_EPROTOCOL, "the runtime gave no fingerprint");
        error = &err;
    }
    over(job, error);
}

/* ---- calls ---- */

static void refused(struct sa_pool_job *job, const struct sa_error *err)
{
    sa_pool_job_end(job, SA_POOL_WORK_FAILED, sa_code_condition(err->code), err->message);
}

/* False: it could not be made, and the job is over. */
static bool open_call(struct sa_pool_job *job, enum sa_link_method method,
                      const struct sa_buf *body, const struct sa_call_events *events,
                      sa_pool_next *then)
{
    struct sa_error err;
    struct sa_runtime_conn *conn = sa_agent_conn(job->controller->options.agent, job->record->name);
    job->then = then;
    sa_buf_deinit(&job->tail);
    job->status[0] = job->fingerprint[0] = '\0';
    job->exit_code = -1;
    if (!conn)
        sa_error_set(&err, SA_EUNAVAILABLE, "its runtime cannot be reached");
    else
        job->call = sa_call_open(conn, method, body, events, job, &err);
    if (job->call)
        return true;
    refused(job, &err);
    return false;
}

static const struct sa_call_events program_events = {
    .data = on_data, .writable = send_input, .ended = on_program_ended};
static const struct sa_call_events question_events = {.ended = on_asked};

void sa_pool_job_run(struct sa_pool_job *job, const struct sa_pool_program *program,
                     sa_pool_next *then)
{
    sa_autobuf body = SA_BUF_INIT;
    for (size_t i = 0; i < program->argc; i++)
        sa_fields_add_text(&body, SA_EXEC_ARGV, program->argv[i]);
    if (program->code)
        sa_fields_add_int(&body, SA_EXEC_CODE_BYTES, (int64_t)program->code_length);
    sa_fields_add_int(&body, SA_EXEC_TIMEOUT_MS, program->timeout_ms);
    sa_fields_add_text(&body, SA_EXEC_FILTER, program->filter);
    sa_fields_add_int(&body, SA_EXEC_OUT_MAX, OUTPUT_MOST);
    if (program->template_) {
        sa_fields_add_text(&body, SA_EXEC_TEMPLATE, "python");
        for (size_t i = 0; i < job->imports.count; i++)
            sa_fields_add_text(&body, SA_EXEC_IMPORT, job->imports.items[i]);
        sa_fields_add_int(&body, SA_EXEC_WARM, program->warm);
    }
    job->input = program->code;
    job->input_length = program->code ? program->code_length : 0;
    if (open_call(job, SA_METHOD_EXEC, &body, &program_events, then))
        send_input(job);
}

bool sa_pool_job_has_template(const struct sa_pool_job *job)
{
    return strcmp(job->language, "python") == 0;
}

void sa_pool_job_code(struct sa_pool_job *job, const char *code, bool warm, int64_t timeout_ms,
                      sa_pool_next *then)
{
    warm = warm && sa_pool_job_has_template(job);
    struct sa_execute execute = {.kind = NULL};
    struct sa_error err;
    if (sa_execute_set_language(&execute, job->language, &err) < 0) {
        sa_pool_job_end(job, SA_POOL_WORK_FAILED, "PreloadFailed", err.message);
        return;
    }
    sa_pool_job_run(job,
                    &(struct sa_pool_program){.argv = execute.argv,
                                              .argc = execute.argc,
                                              .filter = execute.filter,
                                              .code = code,
                                              .code_length = strlen(code),
                                              .template_ = warm,
                                              .warm = warm,
                                              .timeout_ms = timeout_ms},
                    then);
}

bool sa_pool_job_warm(struct sa_pool_job *job, sa_pool_next *then)
{
    if (!sa_pool_job_has_template(job))
        return false;
    sa_pool_job_code(job, "\n", true, WARM_MOST_MS, then);
    return true;
}

void sa_pool_job_ask(struct sa_pool_job *job, enum sa_link_method method, sa_pool_next *then)
{
    const struct sa_buf none = SA_BUF_INIT;
    open_call(job, method, &none, &question_events, then);
}
