#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine_fixture.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "log/log.h"
#include "loop/loop.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 60 * 1000 };

static const char *const point_names[] = {"execute", "files", "scaling", NULL};
static int descriptors_before;

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

int engine_fixture_setup(void **state)
{
    static const char points[] = "[{\"name\":\"execute\",\"verdicts\":[\"allow\",\"deny\"]},"
                                 "{\"name\":\"files\",\"verdicts\":[\"allow\",\"deny\"]},"
                                 "{\"name\":\"scaling\",\"verdicts\":[]}]";
    struct engine_fixture *f = sa_alloc(sizeof *f);
    sa_log_init(SA_LOG_OFF, SA_LOG_TEXT, STDERR_FILENO, NULL);
    sa_loop_free(sa_loop_new(NULL)); /* what libuv opens once and for all */
    descriptors_before = count_descriptors();
    f->loop = sa_loop_new(NULL);
    f->metrics = sa_metrics_new();
    folder_make(&f->rules);
    folder_make(&f->state);
    snprintf(f->state_path, sizeof f->state_path, "%s/rules", f->state.path);
    assert_int_equal(sa_value_from_json(points, strlen(points), &f->points, NULL), 0);
    f->program = SA_TEST_FAKE_RULES;
    f->point_names = point_names;
    *state = f;
    return 0;
}

int engine_fixture_teardown(void **state)
{
    struct engine_fixture *f = *state;
    engine_end(f);
    sa_loop_free(f->loop); /* aborts when a handle is open */
    sa_metrics_free(f->metrics);
    sa_buf_deinit(&f->points);
    folder_remove(&f->rules);
    folder_remove(&f->state);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left, nor its zombie */
    assert_int_equal(errno, ECHILD);
    assert_int_equal(count_descriptors(), descriptors_before);
    free(f);
    return 0;
}

void rule(struct engine_fixture *f, const char *name, const char *point, const char *answer)
{
    sa_autofree char *file = sa_printf("policies/%s.lua", name);
    sa_autofree char *text = sa_printf("{\"point\":\"%s\",\"answer\":%s}", point, answer);
    folder_write(&f->rules, file, text);
}

static void on_ready(void *owner, const struct sa_error *err)
{
    struct engine_fixture *f = owner;
    f->ready++;
    if (err)
        f->ready_error = *err;
}

static void on_changed(void *owner, const struct sa_error *err)
{
    struct engine_fixture *f = owner;
    f->changed++;
    if (err)
        f->changed_error = *err;
}

void engine_begin(struct engine_fixture *f)
{
    struct sa_error err;
    const char *dirs[] = {f->rules.path};
    struct sa_engine_options options = {.loop = f->loop,
                                        .metrics = f->metrics,
                                        .program = f->program,
                                        .dirs = dirs,
                                        .dir_count = 1,
                                        .state_path = f->keep ? f->state_path : NULL,
                                        .watch = f->watch,
                                        .points = &f->points,
                                        .point_names = f->point_names,
                                        .limits = f->limits,
                                        .wait_ms = 2000,
                                        .changed = on_changed,
                                        .owner = f};
    f->ready = 0;
    f->engine = sa_engine_start(&options, on_ready, &err);
    assert_non_null(f->engine);
    assert_int_equal(f->ready, 0); /* not from within */
    until(f, &f->ready, 1);
}

void engine_begin_good(struct engine_fixture *f)
{
    engine_begin(f);
    if (f->ready_error.code)
        fail_msg("%s", f->ready_error.message);
}

void engine_end(struct engine_fixture *f)
{
    if (f->engine)
        sa_engine_stop(f->engine);
    f->engine = NULL;
}

/* ---- asking ---- */

static void on_answer(void *user, const struct sa_error *err, const struct sa_value *verdict,
                      const struct sa_verdict_meta *meta)
{
    struct answer *answer = user;
    assert_true(!err == !!verdict);
    answer->times++;
    answer->meta = *meta;
    answer->code = err ? err->code : SA_OK;
    if (err) {
        snprintf(answer->text, sizeof answer->text, "%s", err->message);
    } else {
        sa_autobuf json = SA_BUF_INIT;
        sa_value_to_json(verdict, &json);
        snprintf(answer->text, sizeof answer->text, "%s", json.data);
    }
    answer->fixture->answered++;
}

struct sa_engine_call *ask(struct engine_fixture *f, unsigned point, const char *json,
                           struct answer *answer)
{
    sa_autobuf input = SA_BUF_INIT;
    answer->fixture = f;
    assert_int_equal(sa_value_from_json(json, strlen(json), &input, NULL), 0);
    struct sa_engine_call *call = sa_engine_ask(f->engine, point, 0, &input, on_answer, answer);
    assert_non_null(call);
    assert_int_equal(answer->times, 0); /* not from within */
    return call;
}

void ask_and_wait(struct engine_fixture *f, unsigned point, const char *json, struct answer *answer)
{
    *answer = (struct answer){0};
    ask(f, point, json, answer);
    until(f, &answer->times, 1);
}

static void on_reloaded(void *user, const struct sa_error *err)
{
    struct engine_fixture *f = user;
    f->reload_error = err ? *err : (struct sa_error){.code = SA_OK};
    f->reloaded++;
}

enum sa_code reload(struct engine_fixture *f)
{
    unsigned before = f->reloaded;
    sa_engine_reload(f->engine, on_reloaded, f);
    assert_int_equal(f->reloaded, before);
    until(f, &f->reloaded, before + 1);
    return f->reload_error.code;
}

enum sa_code rollback(struct engine_fixture *f, uint64_t generation)
{
    unsigned before = f->reloaded;
    sa_engine_rollback(f->engine, generation, on_reloaded, f);
    assert_int_equal(f->reloaded, before);
    until(f, &f->reloaded, before + 1);
    return f->reload_error.code;
}

/* ---- waiting ---- */

static void on_patience(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened within a minute");
}

typedef bool (*condition)(struct engine_fixture *f, const void *what, uint64_t value);

static void run_until(struct engine_fixture *f, condition there, const void *what, uint64_t value)
{
    uv_timer_t timer;
    uv_timer_init(f->loop, &timer);
    uv_timer_start(&timer, on_patience, PATIENCE_MS, 0);
    while (!there(f, what, value))
        uv_run(f->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(f->loop, UV_RUN_NOWAIT);
}

static bool counted(struct engine_fixture *f, const void *what, uint64_t value)
{
    (void)f;
    return *(const unsigned *)what >= value;
}

void until(struct engine_fixture *f, const unsigned *counter, unsigned value)
{
    run_until(f, counted, counter, value);
}

static bool is_in_force(struct engine_fixture *f, const void *what, uint64_t value)
{
    (void)what;
    return sa_engine_generation(f->engine) >= value;
}

void until_generation(struct engine_fixture *f, uint64_t generation)
{
    run_until(f, is_in_force, NULL, generation);
}

char *print(struct engine_fixture *f)
{
    struct sa_buf text = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&text);
    sa_json_w_begin_object(&w);
    sa_engine_print(f->engine, &w);
    sa_json_w_end_object(&w);
    return sa_buf_steal(&text);
}

void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in %s", part, text);
}

pid_t worker_pid(struct engine_fixture *f)
{
    sa_autofree char *state = print(f);
    const char *at = strstr(state, "\"pid\":");
    return at ? (pid_t)strtol(at + 6, NULL, 10) : -1;
}
