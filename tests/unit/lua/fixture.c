#include "fixture.h"

#include "base/arena.h"
#include "base/clock.h"
#include "loop/loop.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 60000 };

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

int fixture_setup(void **state)
{
    struct fixture *f = sa_alloc(sizeof *f);
    sa_loop_free(sa_loop_new(NULL)); /* the first one leaves a pipe for signals */
    descriptors_before = count_descriptors();
    f->loop = sa_loop_new(NULL);
    sa_value_list(&f->points);
    sa_value_end(&f->points);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    if (f->worker)
        sa_worker_kill(f->worker);
    sa_loop_free(f->loop); /* aborts when a handle is open */
    sa_buf_deinit(&f->points);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left, nor its zombie */
    assert_int_equal(errno, ECHILD);
    assert_int_equal(count_descriptors(), descriptors_before);
    free(f);
    return 0;
}

static struct sa_bundle *bundle_of(const char *mode)
{
    char folder[] = "/tmp/sa-test-lua-XXXXXX", path[64], file[96];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/policies", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(file, sizeof file, "%s/mode.lua", path);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fputs(mode, out);
    fclose(out);
    const char *const dirs[] = {folder};
    struct sa_error err;
    struct sa_bundle *bundle = sa_bundle_read(dirs, 1, &err);
    if (!bundle)
        fail_msg("%s", err.message);
    unlink(file);
    rmdir(path);
    rmdir(folder);
    return bundle;
}

static void print(const struct sa_value *value, char *text, size_t size)
{
    sa_autobuf json = SA_BUF_INIT;
    sa_value_to_json(value, &json);
    snprintf(text, size, "%s", json.data);
}

static void on_started(void *owner, const struct sa_error *err, const struct sa_value *compiled,
                       const struct sa_value *tested)
{
    struct fixture *f = owner;
    f->started++;
    if (err)
        f->start_error = *err;
    print(compiled, f->compiled, sizeof f->compiled);
    print(tested, f->tested, sizeof f->tested);
}

static void on_died(void *owner, const struct sa_error *why)
{
    struct fixture *f = owner;
    f->died++;
    f->death = *why;
}

void begin(struct fixture *f, const char *mode, bool test, const struct sa_worker_limits *limits)
{
    struct sa_error err;
    struct sa_worker_options options = {.loop = f->loop,
                                        .program = SA_TEST_FAKE_WORKER,
                                        .points = &f->points,
                                        .bundle = bundle_of(mode),
                                        .test = test,
                                        .started = on_started,
                                        .died = on_died,
                                        .owner = f};
    if (limits)
        options.limits = *limits;
    f->worker = sa_worker_start(&options, &err);
    if (!f->worker)
        fail_msg("%s", err.message);
    sa_bundle_unref(options.bundle);
    assert_int_equal(f->started, 0); /* not from within */
}

void begin_ready(struct fixture *f, const struct sa_worker_limits *limits)
{
    begin(f, "good", false, limits);
    until(f, &f->started, 1);
    assert_int_equal(f->start_error.code, SA_OK);
}

static void on_done(void *user, const struct sa_error *err, const struct sa_value *verdict)
{
    struct asked asked = *(struct asked *)user;
    struct fixture *f = asked.fixture;
    struct answer *answer = &f->answers[asked.index];
    assert_true(!err == !!verdict);
    answer->times++;
    answer->order = ++f->answered;
    answer->verdict = verdict != NULL;
    if (err)
        answer->err = *err;
    else
        print(verdict, answer->text, sizeof answer->text);
    if (f->on_answer)
        f->on_answer(f, asked.index);
}

struct sa_worker_call *ask_json(struct fixture *f, int index, const char *json)
{
    sa_autobuf input = SA_BUF_INIT;
    int before = f->answered;
    f->asked[index] = (struct asked){f, index};
    assert_int_equal(sa_value_from_json(json, strlen(json), &input, NULL), 0);
    struct sa_worker_call *call =
        sa_worker_ask(f->worker, 0, 0, &input, on_done, &f->asked[index], &f->answers[index].err);
    assert_int_equal(f->answered, before); /* not from within */
    return call;
}

struct sa_worker_call *ask(struct fixture *f, int index, const char *act)
{
    char json[64];
    snprintf(json, sizeof json, "{\"act\":\"%s\"}", act);
    return ask_json(f, index, json);
}

static void on_patience(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened within a minute");
}

static void run_until(struct fixture *f, bool (*there)(struct fixture *, const void *, long),
                      const void *what, long value)
{
    uv_timer_t timer;
    uv_timer_init(f->loop, &timer);
    uv_timer_start(&timer, on_patience, PATIENCE_MS, 0);
    while (!there(f, what, value))
        uv_run(f->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(f->loop, UV_RUN_NOWAIT);
}

static bool counter_there(struct fixture *f, const void *counter, long value)
{
    (void)f;
    return *(const unsigned *)counter >= (unsigned)value;
}

void until(struct fixture *f, const unsigned *counter, unsigned value)
{
    run_until(f, counter_there, counter, (long)value);
}

static bool answers_there(struct fixture *f, const void *none, long count)
{
    (void)none;
    return f->answered >= count;
}

void until_answered(struct fixture *f, int count)
{
    run_until(f, answers_there, NULL, count);
}

static bool process_gone(struct fixture *f, const void *none, long pid)
{
    (void)f, (void)none;
    return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void until_gone(struct fixture *f, pid_t pid)
{
    run_until(f, process_gone, NULL, pid);
}
