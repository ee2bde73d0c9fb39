/* Rules without a server: folders read, and a policy-worker that lives for one command. */
#include "policy.h"

#include "base/cleanup.h"
#include "lua/wire.h"
#include "lua/worker.h"
#include "policy/policy.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the files ---- */

static bool is_folder(const char *dir, const char *name)
{
    struct stat st;
    sa_autofree char *path = sa_printf("%s/%s", dir, name);
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_file(const char *dir, const char *name)
{
    struct stat st;
    sa_autofree char *path = sa_printf("%s/%s", dir, name);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* A folder that is none, or the wrong one, must not look like rules that are all right. */
static int check_dir(const char *dir, struct sa_error *err)
{
    struct stat st;
    if (stat(dir, &st) < 0)
        return sa_error_sys(err, SA_ENOTFOUND, errno, "%s", dir);
    if (!S_ISDIR(st.st_mode))
        return sa_error_set(err, SA_EINVALID, "%s is a file; give the folder that holds policies/",
                            dir);
    if (!is_folder(dir, "policies") && !is_folder(dir, "scaling") && !is_file(dir, "params.lua"))
        return sa_error_set(err, SA_EINVALID,
                            "%s has neither policies/ nor scaling/ nor params.lua: it holds no "
                            "rules",
                            dir);
    return 0;
}

struct sa_bundle *sa_policy_bundle(char *const *dirs, size_t count, struct sa_error *err)
{
    char shipped[PATH_MAX];
    if (!sa_policy_shipped(shipped, sizeof shipped)) {
        sa_error_set(
            err, SA_ENOTFOUND,
            "the shipped rules are missing (../share/secureagent/lua beside this program): "
            "install SecureAgent again");
        return NULL;
    }
    sa_autofree const char **all = sa_alloc((count + 1) * sizeof *all);
    sa_autofree char *real = realpath(shipped, NULL); /* as it is read in messages */
    all[0] = real ? real : shipped;
    for (size_t i = 0; i < count; i++) {
        if (check_dir(dirs[i], err) < 0)
            return NULL;
        all[i + 1] = dirs[i];
    }
    return sa_bundle_read(all, count + 1, err);
}

const char *sa_policy_origin(const struct sa_bundle *bundle, const struct sa_value *name)
{
    for (size_t i = 0; i < sa_bundle_count(bundle); i++) {
        const struct sa_bundle_file *file = sa_bundle_file(bundle, i);
        if (sa_value_is(name, file->name))
            return file->origin;
    }
    return NULL;
}

bool sa_policy_is_own(const struct sa_bundle_file *file, char *const *dirs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(dirs[i]);
        while (length > 1 && dirs[i][length - 1] == '/')
            length--;
        if (strncmp(file->origin, dirs[i], length) == 0 && file->origin[length] == '/')
            return true;
    }
    return false;
}

/* ---- the worker ---- */

struct sa_offline {
    uv_loop_t loop;
    struct sa_worker *worker;
    bool started, failed;
    struct sa_error problem;
    struct sa_buf compiled, tested;
};

/* Collections point into the worker's answer: copied, they are values of their own. */
static void copy_value(const struct sa_value *value, struct sa_buf *out)
{
    if (value && (value->type == SA_VALUE_LIST || value->type == SA_VALUE_MAP))
        sa_policy_copy(value, out);
}

static void on_started(void *owner, const struct sa_error *err, const struct sa_value *compiled,
                       const struct sa_value *tested)
{
    struct sa_offline *o = owner;
    o->started = true;
    o->failed = err != NULL;
    if (err)
        o->problem = *err;
    copy_value(compiled, &o->compiled);
    copy_value(tested, &o->tested);
    uv_stop(&o->loop);
}

static void on_died(void *owner, const struct sa_error *why)
{
    struct sa_offline *o = owner;
    o->failed = true;
    o->problem = *why;
    o->worker = NULL;
    uv_stop(&o->loop);
}

struct sa_offline *sa_offline_start(struct sa_bundle *bundle, bool test, struct sa_error *err)
{
    sa_autofree char *program = sa_find_program("policy-worker", err);
    sa_autobuf points = SA_BUF_INIT;
    if (!program)
        return NULL;
    struct sa_offline *o = sa_alloc(sizeof *o);
    uv_loop_init(&o->loop);
    sa_policy_points_print(&points);
    struct sa_worker_options options = {.loop = &o->loop,
                                        .program = program,
                                        .points = &points,
                                        .bundle = bundle,
                                        .test = test,
                                        .started = on_started,
                                        .died = on_died,
                                        .owner = o};
    o->worker = sa_worker_start(&options, err);
    if (!o->worker) {
        sa_offline_stop(o);
        return NULL;
    }
    while (!o->started && !o->failed)
        uv_run(&o->loop, UV_RUN_ONCE);
    return o;
}

void sa_offline_stop(struct sa_offline *o)
{
    if (!o)
        return;
    if (o->worker)
        sa_worker_kill(o->worker);
    uv_run(&o->loop, UV_RUN_DEFAULT);
    uv_loop_close(&o->loop);
    sa_buf_deinit(&o->compiled);
    sa_buf_deinit(&o->tested);
    free(o);
}

static struct sa_value value_of(const struct sa_buf *buf)
{
    return buf->length ? sa_value_of(buf->data, buf->length)
                       : (struct sa_value){.type = SA_VALUE_NIL};
}

struct sa_value sa_offline_compiled(const struct sa_offline *o)
{
    return value_of(&o->compiled);
}

struct sa_value sa_offline_tested(const struct sa_offline *o)
{
    return value_of(&o->tested);
}

const struct sa_error *sa_offline_problem(const struct sa_offline *o)
{
    return o->failed ? &o->problem : NULL;
}

size_t sa_offline_print_errors(const struct sa_offline *o, const struct sa_bundle *bundle,
                               FILE *out)
{
    struct sa_value compiled = sa_offline_compiled(o), errors, one;
    size_t count = 0;
    errors = sa_value_get(&compiled, "errors");
    if (errors.type != SA_VALUE_LIST)
        return 0;
    struct sa_value_reader reader = sa_value_enter(&errors);
    while (sa_value_next(&reader, &one)) {
        struct sa_value file = sa_value_get(&one, "file"), line = sa_value_get(&one, "line");
        const char *origin = sa_policy_origin(bundle, &file);
        sa_autofree char *name = sa_policy_text(&one, "file");
        sa_autofree char *message = sa_policy_text(&one, "message");
        fprintf(out, "%s:", origin ? origin : name);
        if (line.type == SA_VALUE_INT)
            fprintf(out, "%lld:", (long long)line.integer);
        fprintf(out, " %s\n", message);
        count++;
    }
    return count;
}

/* ---- questions ---- */

struct question {
    struct sa_offline *offline;
    struct sa_buf *verdict;
    struct sa_error *err;
    bool answered, failed;
};

static void on_answer(void *user, const struct sa_error *err, const struct sa_value *verdict)
{
    struct question *q = user;
    q->answered = true;
    q->failed = err != NULL;
    if (err)
        *q->err = *err;
    copy_value(verdict, q->verdict);
    uv_stop(&q->offline->loop);
}

int sa_offline_ask(struct sa_offline *o, enum sa_point point, const struct sa_buf *input,
                   struct sa_buf *verdict, struct sa_error *err)
{
    struct question q = {.offline = o, .verdict = verdict, .err = err};
    if (!o->worker) {
        *err = o->problem;
        return -1;
    }
    if (!sa_worker_ask(o->worker, point, SA_WIRE_TRACE, input, on_answer, &q, err))
        return -1;
    while (!q.answered)
        uv_run(&o->loop, UV_RUN_ONCE);
    return q.failed ? -1 : 0;
}
