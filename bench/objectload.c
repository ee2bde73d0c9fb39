/*
 * The object store under load, with COUNT objects in it. Prints JSON.
 *
 *     sa-objectload FOLDER|- COUNT ROUNDS      "-": in memory only
 *
 * Objects are of about 700 bytes. A status patch goes to one object after the other; "32" are that
 * many writers, each of which waits for its answer before the next.
 */
#include "figures.h"

#include "base/arena.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "objects/embedded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRITERS = 32, LISTS = 50, NAME_BYTES = 32, FILLING = 256 };

/* ---- a kind of the size of ours ---- */

struct spec {
    const char *runtime, *filling;
};
struct status {
    const char *phase, *message;
    int64_t seen;
};

static int decode_spec(struct sa_json_obj *json, bool lenient, struct sa_arena *arena,
                       const void **out, struct sa_error *err)
{
    struct spec *s = sa_arena_alloc(arena, sizeof *s);
    (void)lenient;
    *s = (struct spec){"", ""};
    *out = s;
    if (sa_json_opt_string(json, "runtime", 64, &s->runtime, NULL, err) < 0 ||
        sa_json_opt_string(json, "filling", 4096, &s->filling, NULL, err) < 0)
        return -1;
    return sa_json_finish(json, err);
}

static int decode_status(struct sa_json_obj *json, bool lenient, struct sa_arena *arena,
                         const void **out, struct sa_error *err)
{
    struct status *s = sa_arena_alloc(arena, sizeof *s);
    (void)lenient;
    *s = (struct status){"", "", 0};
    *out = s;
    if (sa_json_opt_string(json, "phase", 64, &s->phase, NULL, err) < 0 ||
        sa_json_opt_string(json, "message", 256, &s->message, NULL, err) < 0 ||
        sa_json_opt_int(json, "seen", 0, INT64_MAX / 2, &s->seen, NULL, err) < 0)
        return -1;
    return sa_json_finish(json, err);
}

static void print_spec(const void *spec, struct sa_json_w *w)
{
    const struct spec *s = spec;
    sa_json_put_string(w, "runtime", s->runtime);
    sa_json_put_string(w, "filling", s->filling);
}

static void print_status(const void *status, struct sa_json_w *w)
{
    const struct status *s = status;
    sa_json_put_string(w, "phase", s->phase);
    sa_json_put_string(w, "message", s->message);
    sa_json_put_int(w, "seen", s->seen);
}

static const struct sa_kind kind = {.name = "Load",
                                    .plural = "loads",
                                    .api_version = "bench.secureagent.dev/v1",
                                    .namespaced = true,
                                    .decode_spec = decode_spec,
                                    .decode_status = decode_status,
                                    .print_spec = print_spec,
                                    .print_status = print_status,
                                    .empty_status = &(const struct status){"", "", 0}};
static const struct sa_kind *const kinds[] = {&kind, NULL};

/* ---- running ---- */

static struct bench {
    uv_loop_t *loop;
    struct sa_objects *objects;
    int count, rounds;
    double *samples; /* microseconds, of the step under way */
    int begun, ended, target;
    void (*step)(int64_t *began_us);
} bench;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "sa-objectload: %s\n", what);
    exit(1);
}

static void open_store(const char *folder)
{
    struct sa_error err;
    bench.objects = sa_embedded_open(
        &(struct sa_embedded_options){.loop = bench.loop, .data_dir = folder, .kinds = kinds},
        &err);
    if (!bench.objects)
        die(err.message);
}

static void on_closed(void *user)
{
    *(bool *)user = true;
}

static void close_store(void)
{
    bool closed = false;
    sa_embedded_close(bench.objects, on_closed, &closed);
    while (!closed)
        uv_run(bench.loop, UV_RUN_ONCE);
}

/* One call ended; the writer goes on with the next. */
static void next(int64_t *began_us)
{
    bench.samples[bench.ended++] = (double)(sa_monotonic_us() - *began_us);
    if (bench.begun == bench.target) {
        free(began_us);
        return;
    }
    *began_us = sa_monotonic_us();
    bench.step(began_us);
}

static void on_object(void *user, const struct sa_error *err, const struct sa_object *object)
{
    (void)object;
    if (err)
        die(err->message);
    next(user);
}

static void on_page(void *user, const struct sa_error *err, const struct sa_objects_page *page)
{
    (void)page;
    if (err)
        die(err->message);
    next(user);
}

static void create(int64_t *began_us)
{
    static char filling[401];
    char json[1024];
    memset(filling, 'x', sizeof filling - 1);
    filling[snprintf(filling, sizeof filling, "%d", bench.begun)] = '-'; /* no two are alike */
    int n = snprintf(json, sizeof json,
                     "{\"metadata\":{\"name\":\"load-%06d\",\"labels\":{\"pool\":\"p%d\"}},"
                     "\"spec\":{\"runtime\":\"python\",\"filling\":\"%s\"}}",
                     bench.begun, bench.begun % 10, filling);
    bench.begun++;
    sa_objects_create(bench.objects, &kind, json, (size_t)n, false, on_object, began_us);
}

static void patch_status(int64_t *began_us)
{
    char json[160], name[NAME_BYTES];
    snprintf(name, sizeof name, "load-%06d", bench.begun % bench.count);
    int n = snprintf(json, sizeof json,
                     "{\"status\":{\"phase\":\"Running\",\"message\":\"it runs\",\"seen\":%lld}}",
                     (long long)sa_monotonic_us());
    bench.begun++;
    sa_objects_patch(bench.objects, &kind,
                     &(struct sa_objects_patch){.namespace_ = "default",
                                                .name = name,
                                                .subresource = SA_SUBRESOURCE_STATUS,
                                                .json = json,
                                                .length = (size_t)n},
                     on_object, began_us);
}

static void get(int64_t *began_us)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "load-%06d", bench.begun++ % bench.count);
    sa_objects_get(bench.objects, &kind, "default", name, on_object, began_us);
}

static void list_all(int64_t *began_us)
{
    bench.begun++;
    sa_objects_list(bench.objects, &kind, NULL, 0, NULL, on_page, began_us);
}

static void list_page(int64_t *began_us)
{
    bench.begun++;
    sa_objects_list(bench.objects, &kind, NULL, 100, NULL, on_page, began_us);
}

static void run(const char *name, void (*step)(int64_t *), int target, int writers)
{
    bench.step = step;
    bench.begun = bench.ended = 0;
    bench.target = target;
    bench.samples = sa_alloc((size_t)(target + writers) * sizeof *bench.samples);
    int64_t began_us = sa_monotonic_us();
    for (int i = 0; i < writers && bench.begun < target; i++) {
        int64_t *at = sa_alloc(sizeof *at);
        *at = sa_monotonic_us();
        step(at);
    }
    while (bench.ended < target)
        uv_run(bench.loop, UV_RUN_ONCE);
    double seconds = (double)(sa_monotonic_us() - began_us) / 1e6;
    sort_figures(bench.samples, (size_t)target);
    printf("\"%s\":{\"perSecond\":%.0f,\"p50\":%.1f,\"p99\":%.1f},", name, target / seconds,
           bench.samples[target / 2], bench.samples[(size_t)target * 99 / 100]);
    free(bench.samples);
}

static int number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

int main(int argc, char **argv)
{
    if (argc != 4 || number(argv[2]) < 1 || number(argv[3]) < 1)
        die("usage: sa-objectload FOLDER|- COUNT ROUNDS");
    const char *folder = strcmp(argv[1], "-") == 0 ? NULL : argv[1];
    bench.loop = sa_loop_new(NULL);
    bench.count = number(argv[2]);
    bench.rounds = number(argv[3]);
    open_store(folder);
    long before_kb = own_memory_kb();
    printf("{");
    run("create", create, bench.count, FILLING);
    long after_kb = own_memory_kb();
    run("patchOne", patch_status, bench.rounds, 1);
    run("patch32", patch_status, bench.rounds * 4, WRITERS);
    run("get", get, bench.rounds, 1);
    run("page", list_page, bench.rounds / 10 + 1, 1);
    run("list", list_all, LISTS, 1);
    int64_t began_us = sa_monotonic_us();
    if (folder) {
        close_store();
        began_us = sa_monotonic_us();
        open_store(folder);
    }
    printf("\"openMs\":%.1f,\"objects\":%d,\"residentKB\":%ld}\n",
           (double)(sa_monotonic_us() - began_us) / 1000, bench.count, after_kb - before_kb);
    close_store();
    sa_loop_free(bench.loop);
    return 0;
}
