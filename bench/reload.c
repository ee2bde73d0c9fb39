/*
 * What a reload of the rules costs: how long until the new ones are in force, and what it does to
 * the loop and to the questions that are asked meanwhile. Prints JSON.
 *
 *     sa-reload FILES ROUNDS
 *
 * FILES rules with three tests each are made up in a folder; a question is asked each millisecond.
 * First nothing is reloaded for a while, then one file is changed and all are reloaded, ROUNDS
 * times.
 */
#include "figures.h"

#include "base/arena.h"
#include "base/clock.h"
#include "log/log.h"
#include "loop/loop.h"
#include "lua/engine.h"
#include "policy/schema.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES_MAX = 1000 * 1000, QUIET_MS = 2000, PAUSE_MS = 50, ASKED_POINTS = 4 };

static const unsigned asked[ASKED_POINTS] = {SA_POINT_EXECUTE, SA_POINT_FILES, SA_POINT_PACKAGES,
                                             SA_POINT_EGRESS};

struct samples {
    double *values;
    size_t count;
};

static struct bench {
    uv_loop_t *loop;
    struct sa_engine *engine;
    char folder[64];
    int files, rounds, round;
    bool reloading, over;
    struct samples reload_ms, answer_us[2], busy_ms[2], cpu_ms[2]; /* [1]: while reloading */
    uv_timer_t pace, next;
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    int64_t began_us, woke_us, woke_cpu_us;
    unsigned number;
} bench;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "sa-reload: %s\n", what);
    exit(1);
}

/* ---- figures ---- */

static void add(struct samples *samples, double value)
{
    if (!samples->values)
        samples->values = sa_alloc(SAMPLES_MAX * sizeof *samples->values);
    if (samples->count < SAMPLES_MAX)
        samples->values[samples->count++] = value;
}

static void print(const char *name, struct samples *samples)
{
    if (!samples->count)
        die("nothing was measured");
    sort_figures(samples->values, samples->count);
    double last = (double)(samples->count - 1);
    printf("\"%s\":{\"n\":%zu,\"p50\":%.2f,\"p95\":%.2f,\"p99\":%.2f,\"max\":%.2f}", name,
           samples->count, samples->values[(size_t)(last * .5)],
           samples->values[(size_t)(last * .95)], samples->values[(size_t)(last * .99)],
           samples->values[samples->count - 1]);
    free(samples->values);
}

/* ---- rules ---- */

static void write_text(const char *name, const char *suffix, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/policies/%s%s.lua", bench.folder, name, suffix);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        die("cannot write the rules");
}

static void write_rule(int index, int version)
{
    char name[32];
    const char *point = sa_policy_points[asked[index % ASKED_POINTS]].name;
    snprintf(name, sizeof name, "rule-%02d", index);
    char *rule = sa_printf("-- Nobody is called by a name that begins so.\n"
                           "return {\n"
                           "  name = \"%s\", version = %d, point = \"%s\",\n"
                           "  params = {\n"
                           "    prefixes = { type = \"list\", items = \"string\", "
                           "default = { \"x%d-\", \"y%d-\" } },\n"
                           "    limit = { type = \"integer\", default = 100, min = 1 },\n"
                           "  },\n"
                           "  decide = function(input, params)\n"
                           "    local name = input.user and input.user.name or \"\"\n"
                           "    for _, prefix in ipairs(params.prefixes) do\n"
                           "      if starts_with(name, prefix) then\n"
                           "        return deny(\"name\", \"not by that name\")\n"
                           "      end\n"
                           "    end\n"
                           "    return nil\n"
                           "  end,\n"
                           "}\n",
                           name, version, point, index, index);
    char *test = sa_printf("return {\n"
                           "  { name = \"x\", input = { user = { name = \"x%d-a\" } }, "
                           "expect = { verdict = \"deny\", rule = \"%s/name\" } },\n"
                           "  { name = \"y\", input = { user = { name = \"y%d-\" } }, "
                           "expect = { verdict = \"deny\" } },\n"
                           "  { name = \"other\", input = { user = { name = \"z\" } }, "
                           "expect = { verdict = \"allow\" } },\n"
                           "}\n",
                           index, name, index);
    write_text(name, "", rule);
    write_text(name, "_test", test);
    free(rule);
    free(test);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

/* ---- questions, one each millisecond ---- */

static void on_answer(void *user, const struct sa_error *err, const struct sa_value *verdict,
                      const struct sa_verdict_meta *meta)
{
    (void)user, (void)verdict;
    if (err)
        die(err->message);
    add(&bench.answer_us[bench.reloading], (double)meta->micros);
}

static void on_pace(uv_timer_t *timer)
{
    (void)timer;
    static const char json[] = "{\"user\":{\"name\":\"somebody\"},\"scope\":{\"tenant\":\"acme\"},"
                               "\"run\":{},\"grant\":{}}";
    sa_autobuf input = SA_BUF_INIT;
    sa_value_from_json(json, sizeof json - 1, &input, NULL);
    sa_engine_ask(bench.engine, asked[bench.number++ % ASKED_POINTS], 0, &input, on_answer, NULL);
}

/* ---- the loop: from the end of a poll to the beginning of the next ---- */

/* Of this thread alone: what the neighbours of the machine do not blur. */
static int64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void on_before_poll(uv_prepare_t *prepare)
{
    (void)prepare;
    if (!bench.woke_us)
        return;
    add(&bench.busy_ms[bench.reloading], (double)(sa_monotonic_us() - bench.woke_us) / 1000);
    add(&bench.cpu_ms[bench.reloading], (double)(cpu_us() - bench.woke_cpu_us) / 1000);
}

static void on_after_poll(uv_check_t *check)
{
    (void)check;
    bench.woke_us = sa_monotonic_us();
    bench.woke_cpu_us = cpu_us();
}

/* ---- reloads ---- */

static void on_next(uv_timer_t *timer);

static void on_reloaded(void *user, const struct sa_error *err)
{
    (void)user;
    if (err)
        die(err->message);
    add(&bench.reload_ms, (double)(sa_monotonic_us() - bench.began_us) / 1000);
    bench.reloading = false;
    bench.over = ++bench.round == bench.rounds;
    if (!bench.over)
        uv_timer_start(&bench.next, on_next, PAUSE_MS, 0);
}

static void on_next(uv_timer_t *timer)
{
    (void)timer;
    write_rule(bench.round % bench.files, 2 + bench.round);
    bench.reloading = true;
    bench.began_us = sa_monotonic_us();
    sa_engine_reload(bench.engine, on_reloaded, NULL);
}

static void on_ready(void *owner, const struct sa_error *err)
{
    (void)owner;
    if (err)
        die(err->message);
    uv_timer_start(&bench.pace, on_pace, 1, 1);
    uv_prepare_start(&bench.before_poll, on_before_poll);
    uv_check_start(&bench.after_poll, on_after_poll);
    uv_timer_start(&bench.next, on_next, QUIET_MS, 0);
}

/* ---- life ---- */

static void start(void)
{
    char program[4096];
    const char *names[SA_POINT_COUNT + 1] = {NULL}, *dirs[] = {bench.folder};
    sa_autobuf points = SA_BUF_INIT;
    struct sa_error err;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 16);
    char *slash = memrchr(program, '/', n > 0 ? (size_t)n : 0);
    if (!slash)
        die("where is policy-worker?");
    snprintf(slash, 16, "/policy-worker");
    sa_policy_points_print(&points);
    for (int i = 0; i < SA_POINT_COUNT; i++)
        names[i] = sa_policy_points[i].name;
    bench.loop = sa_loop_new(&err);
    bench.engine = bench.loop ? sa_engine_start(&(struct sa_engine_options){.loop = bench.loop,
                                                                            .program = program,
                                                                            .dirs = dirs,
                                                                            .dir_count = 1,
                                                                            .points = &points,
                                                                            .point_names = names},
                                                on_ready, &err)
                              : NULL;
    if (!bench.engine)
        die(err.message);
    uv_timer_init(bench.loop, &bench.pace);
    uv_timer_init(bench.loop, &bench.next);
    uv_prepare_init(bench.loop, &bench.before_poll);
    uv_check_init(bench.loop, &bench.after_poll);
}

static void stop(void)
{
    sa_engine_stop(bench.engine);
    uv_close((uv_handle_t *)&bench.pace, NULL);
    uv_close((uv_handle_t *)&bench.next, NULL);
    uv_close((uv_handle_t *)&bench.before_poll, NULL);
    uv_close((uv_handle_t *)&bench.after_poll, NULL);
    sa_loop_free(bench.loop);
    nftw(bench.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv)
{
    bench.files = argc == 3 ? (int)strtol(argv[1], NULL, 10) : 0;
    bench.rounds = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0;
    if (bench.files < ASKED_POINTS || bench.files > SA_BUNDLE_FILES_MAX / 2 || bench.rounds < 1)
        die("usage: sa-reload FILES ROUNDS");
    snprintf(bench.folder, sizeof bench.folder, "/tmp/secureagent-reload-XXXXXX");
    char path[80];
    if (!mkdtemp(bench.folder))
        die("cannot make a folder");
    snprintf(path, sizeof path, "%s/policies", bench.folder);
    mkdir(path, 0700);
    for (int i = 0; i < bench.files; i++)
        write_rule(i, 1);
    sa_log_init(SA_LOG_WARN, SA_LOG_TEXT, STDERR_FILENO, NULL);
    start();
    while (!bench.over)
        uv_run(bench.loop, UV_RUN_ONCE);
    stop();
    printf("{\"files\":%d,", bench.files);
    print("reloadMs", &bench.reload_ms);
    printf(",");
    print("answerUs", &bench.answer_us[0]);
    printf(",");
    print("answerWhileReloadingUs", &bench.answer_us[1]);
    printf(",");
    print("loopBusyMs", &bench.busy_ms[0]);
    printf(",");
    print("loopBusyWhileReloadingMs", &bench.busy_ms[1]);
    printf(",");
    print("loopCpuMs", &bench.cpu_ms[0]);
    printf(",");
    print("loopCpuWhileReloadingMs", &bench.cpu_ms[1]);
    printf("}\n");
}
