/*
 * From the first message to a worker that is READY: SETUP, the files and COMPILE are sent one
 * behind the other, about a packet at a time; TEST once COMPILE's answer is good.
 */
#include "base/arena.h"
#include "lua/worker_internal.h"

#include <string.h>

enum { PARTS_MAX = 8 * 1024 * 1024 /* of all tests' results */ };

static uint32_t add(struct sa_worker *worker, enum sa_wire_type type, const struct sa_buf *body)
{
    uint32_t id = sa_worker_next_id(worker);
    sa_wire_add(&worker->out,
                &(struct sa_wire_message){
                    .type = type, .call = id, .body = body->data, .length = body->length});
    return id;
}

static uint32_t add_empty(struct sa_worker *worker, enum sa_wire_type type)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_value_map(&body);
    sa_value_end(&body);
    return add(worker, type, &body);
}

/* ---- what is sent ---- */

static int check_files(const struct sa_bundle *bundle, struct sa_error *err)
{
    for (size_t i = 0; i < sa_bundle_count(bundle); i++) {
        const struct sa_bundle_file *file = sa_bundle_file(bundle, i);
        if (file->length > SA_WIRE_FILE_MAX)
            return sa_error_at(err, SA_ETOOLARGE, file->name,
                               "%s has %zu bytes: a rule may have %d", file->origin, file->length,
                               SA_WIRE_FILE_MAX);
    }
    return 0;
}

static void print_setup(const struct sa_worker_options *options, struct sa_buf *body)
{
    const struct sa_worker_limits *limits = &options->limits;
    sa_value_map(body);
    sa_value_key(body, "limits");
    sa_value_map(body);
    sa_value_put_int(body, "cpuMs", limits->cpu_ms);
    sa_value_put_int(body, "memoryBytes", limits->memory_bytes);
    sa_value_put_int(body, "testCpuMs", limits->test_cpu_ms);
    sa_value_end(body);
    sa_value_key(body, "points");
    sa_buf_add(body, options->points->data, options->points->length);
    sa_value_end(body);
}

int sa_startup_begin(struct sa_worker *worker, struct sa_error *err)
{
    struct sa_worker_startup *s = &worker->startup;
    sa_autobuf setup = SA_BUF_INIT;
    print_setup(&worker->options, &setup);
    if (sa_value_check(setup.data, setup.length, err) < 0)
        return sa_error_wrap(err, "the decision points");
    if (check_files(worker->options.bundle, err) < 0)
        return -1;
    s->setup = add(worker, SA_WIRE_SETUP, &setup);
    s->until_ms = uv_now(worker->options.loop) + (uint64_t)worker->options.limits.start_ms;
    worker->bundle = sa_bundle_ref(worker->options.bundle);
    worker->options.points = NULL; /* the caller's */
    return 0;
}

void sa_startup_end(struct sa_worker *worker)
{
    sa_buf_deinit(&worker->startup.compiled);
    sa_buf_deinit(&worker->startup.parts);
    sa_buf_deinit(&worker->startup.tested);
    sa_bundle_unref(worker->bundle);
    worker->bundle = NULL;
}

static void add_file(struct sa_worker *worker, const struct sa_bundle_file *file)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_value_map(&body);
    sa_value_put_text(&body, "name", file->name);
    sa_value_key(&body, "text");
    sa_value_string(&body, file->text, file->length);
    sa_value_end(&body);
    add(worker, SA_WIRE_FILE, &body);
}

void sa_startup_fill(struct sa_worker *worker)
{
    struct sa_worker_startup *s = &worker->startup;
    if (s->compile)
        return;
    while (s->file < sa_bundle_count(worker->bundle) && worker->out.length < SA_WIRE_PACKET_MAX)
        add_file(worker, sa_bundle_file(worker->bundle, s->file++));
    if (s->file == sa_bundle_count(worker->bundle))
        s->compile = add_empty(worker, SA_WIRE_COMPILE);
}

/* ---- what comes back ---- */

static void broke(struct sa_worker *worker, const char *what)
{
    struct sa_error err;
    sa_error_set(&err, SA_EPROTOCOL, "%s", what);
    sa_worker_broke(worker, &err);
}

void sa_startup_tell(struct sa_worker *worker, const struct sa_error *err)
{
    struct sa_worker_startup *s = &worker->startup;
    struct sa_value compiled = sa_value_of(s->compiled.data, s->compiled.length);
    struct sa_value tested = sa_value_of(s->tested.data, s->tested.length);
    struct sa_buf kept[] = {s->compiled, s->tested}; /* whatever the owner does meanwhile */
    s->compiled = s->tested = (struct sa_buf)SA_BUF_INIT;
    worker->options.started(worker->options.owner, err, &compiled, &tested);
    sa_buf_deinit(&kept[0]);
    sa_buf_deinit(&kept[1]);
}

static void refuse(struct sa_worker *worker, const struct sa_error *err)
{
    sa_worker_lost(worker, err, err);
}

static void ready(struct sa_worker *worker)
{
    worker->state = SA_WORKER_READY;
    sa_bundle_unref(worker->bundle);
    worker->bundle = NULL;
    sa_startup_tell(worker, NULL);
}

static size_t count_of(const struct sa_value *list)
{
    struct sa_value_reader reader = sa_value_enter(list);
    struct sa_value item;
    size_t n = 0;
    while (sa_value_next(&reader, &item))
        n++;
    return n;
}

static void on_compiled(struct sa_worker *worker, const struct sa_value *body)
{
    struct sa_value rules = sa_value_get(body, "rules"), errors = sa_value_get(body, "errors");
    struct sa_value first;
    if (rules.type != SA_VALUE_LIST || errors.type != SA_VALUE_LIST) {
        broke(worker, "COMPILE's answer without rules and errors");
        return;
    }
    sa_value_copy(&worker->startup.compiled, body);
    struct sa_value_reader reader = sa_value_enter(&errors);
    if (sa_value_next(&reader, &first)) {
        struct sa_error err;
        size_t more = count_of(&errors) - 1;
        sa_worker_failure(&first, &err);
        err.code = SA_EINVALID;
        if (more)
            sa_error_wrap(&err, "%zu errors, the first", more + 1);
        refuse(worker, &err);
    } else if (worker->options.test) {
        worker->startup.test = add_empty(worker, SA_WIRE_TEST);
        sa_worker_flush(worker);
    } else {
        ready(worker);
    }
}

static void on_part(struct sa_worker *worker, const struct sa_value *body)
{
    struct sa_value tests = sa_value_get(body, "tests");
    if (tests.type != SA_VALUE_LIST || worker->startup.parts.length + tests.length > PARTS_MAX)
        broke(worker, "results of tests that are none, or too many");
    else
        sa_buf_add(&worker->startup.parts, tests.data, tests.length);
}

/* DONE's members, and the tests of all parts. */
static void join_tests(struct sa_worker_startup *s, const struct sa_value *body)
{
    struct sa_value_reader reader = sa_value_enter(body);
    struct sa_value key, value;
    sa_value_map(&s->tested);
    while (sa_value_next_member(&reader, &key, &value)) {
        if (sa_value_is(&key, "tests"))
            continue;
        sa_value_keyn(&s->tested, key.data, key.length);
        sa_value_copy(&s->tested, &value);
    }
    sa_value_key(&s->tested, "tests");
    sa_value_list(&s->tested);
    sa_buf_add(&s->tested, s->parts.data, s->parts.length);
    sa_value_end(&s->tested);
    sa_value_end(&s->tested);
    sa_buf_deinit(&s->parts);
}

static void on_tested(struct sa_worker *worker, const struct sa_value *body)
{
    struct sa_value passed = sa_value_get(body, "passed"), failed = sa_value_get(body, "failed");
    if (passed.type != SA_VALUE_INT || failed.type != SA_VALUE_INT || passed.integer < 0 ||
        failed.integer < 0) {
        broke(worker, "TEST's answer without numbers");
        return;
    }
    join_tests(&worker->startup, body);
    if (failed.integer) {
        struct sa_error err;
        sa_error_set(&err, SA_EINVALID, "%lld of the tests beside the rules failed",
                     (long long)failed.integer);
        refuse(worker, &err);
    } else {
        ready(worker);
    }
}

void sa_startup_message(struct sa_worker *worker, const struct sa_wire_message *message)
{
    struct sa_worker_startup *s = &worker->startup;
    struct sa_value body = sa_value_of(message->body, message->length);
    bool compiled = s->compiled.length > 0, done = message->type == SA_WIRE_DONE;
    if (body.type != SA_VALUE_MAP) {
        broke(worker, "an answer that is no map");
    } else if (message->type == SA_WIRE_FAIL) {
        struct sa_error err;
        sa_worker_failure(&body, &err);
        refuse(worker, &err);
    } else if (done && !s->set_up && message->call == s->setup) {
        s->set_up = true;
    } else if (done && s->set_up && s->compile && !compiled && message->call == s->compile) {
        on_compiled(worker, &body);
    } else if (s->test && message->call == s->test && message->type == SA_WIRE_PART) {
        on_part(worker, &body);
    } else if (done && s->test && message->call == s->test) {
        on_tested(worker, &body);
    } else {
        broke(worker, "an answer that is not the next one");
    }
}
