/*
 * The sandbox controller with COUNT sandboxes, over the embedded store, with a node that is played:
 * pods are ready, or gone, at once. Prints JSON.
 *
 *     sa-controllerload FOLDER|- COUNT ROUNDS      "-": in memory only
 *
 * "cold": COUNT sandboxes are created, 256 in flight, until all are Running. "life": one more after
 * the other, ROUNDS times, from its creation until it runs, and from its deletion until it is gone,
 * beside all those. "resync": the controller begins anew and looks at everything; no turn of the
 * loop may take long meanwhile.
 *
 * Objects are as agent-api and the agent of a node write them, with all their annotations, controls
 * and conditions, and every third sandbox differs from all others in its spec. "residentKB" is
 * everything: objects with their pods and events, what has changed of late, caches and controller,
 * without the program itself; "allocatedKB" what of it malloc() has given out; "controllerKB" what
 * the controller alone has.
 */
#include "figures.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "claim/caches.h"
#include "controller/sandbox/sandbox.h"
#include "kinds/names.h"
#include "kinds/pod.h"
#include "kinds/resources.h"
#include "kinds/sandbox.h"
#include "loop/loop.h"
#include "objects/embedded.h"
#include "objects/recorder.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_FLIGHT = 256, NAME_BYTES = 32 };
#define NAME "sb-o7lputrkevue%08d"

static struct {
    uv_loop_t *loop;
    struct sa_objects *objects;
    struct sa_caches caches;
    struct sa_controllers_options options;
    struct sa_sandbox_controller *controller;
    struct sa_informer_handler pods, sandboxes;
    int created, running, gone;
} bench;

static void die(const char *what)
{
    fprintf(stderr, "sa-controllerload: %s\n", what);
    exit(1);
}

static size_t allocated(void)
{
    return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static size_t object_count(void)
{
    struct sa_embedded_stats stats;
    sa_embedded_stats(bench.objects, &stats);
    return stats.objects;
}

/* ---- the node ---- */

#define CONTROLS                                                                                   \
    "userns,userns.range,userns.limits,mountns,pidns,netns,ipcns,utsns,cgroupns,rootfs.readonly,"  \
    "rootfs.private,proc.masked,tmpfs.size,tmpfs.inodes,capabilities,no_new_privs,seccomp,"        \
    "seccomp.notify,landlock,landlock.scope,cgroup.memory,cgroup.pids,cgroup.cpu,cgroup.freezer"
#define DIGEST "b223ea566f882e0f4d042e7e2bfc73fe017933d2c0b71fa21c82d7969e643b44"

static void patch_pod(const struct sa_object *pod, enum sa_subresource subresource,
                      const char *json)
{
    const struct sa_object_meta *meta = sa_object_meta(pod);
    sa_objects_patch(bench.objects, &sa_kind_pod,
                     &(struct sa_objects_patch){.namespace_ = meta->namespace_,
                                                .name = meta->name,
                                                .subresource = subresource,
                                                .json = json,
                                                .length = strlen(json)},
                     NULL, NULL);
}

static void run_pod(const struct sa_object *pod)
{
    static const char form[] =
        "{\"status\":{\"phase\":\"Running\",\"startTime\":\"%s\",\"containerStatuses\":[{"
        "\"name\":\"sandbox\",\"ready\":true,\"started\":true,\"containerID\":\"%s\",\"state\":{"
        "\"running\":{\"startedAt\":\"%s\"}}}],\"conditions\":[{\"type\":\"Ready\","
        "\"status\":\"True\",\"observedGeneration\":1,\"reason\":\"RuntimeReady\",\"message\":\"\","
        "\"lastTransitionTime\":\"%s\"}],\"observedGeneration\":1}}";
    char now[SA_RFC3339_BYTES];
    sa_rfc3339(sa_wall_ms(), now);
    sa_autofree char *json = sa_printf(form, now, sa_object_meta(pod)->name, now, now);
    patch_pod(pod, SA_SUBRESOURCE_NONE,
              "{\"metadata\":{\"annotations\":{\"" SA_POD_CONTROLS "\":\"" CONTROLS "\"}}}");
    patch_pod(pod, SA_SUBRESOURCE_STATUS, json);
}

static void on_pod(struct sa_informer_handler *handler, const struct sa_object *before,
                   const struct sa_object *now)
{
    const struct sa_pod_status *status = now ? sa_object_status(now) : NULL;
    (void)handler;
    (void)before;
    if (now && sa_object_meta(now)->deleted_ms)
        patch_pod(now, SA_SUBRESOURCE_NONE, "{\"metadata\":{\"finalizers\":[]}}");
    else if (now && status->phase == SA_POD_PENDING)
        run_pod(now);
}

static bool runs(const struct sa_object *sandbox)
{
    const struct sa_sandbox_status *status = sandbox ? sa_object_status(sandbox) : NULL;
    return status && status->phase == SA_PHASE_RUNNING;
}

static void on_sandbox(struct sa_informer_handler *handler, const struct sa_object *before,
                       const struct sa_object *now)
{
    (void)handler;
    bench.running += runs(now) && !runs(before);
    bench.gone += !now;
}

/* ---- sandboxes ---- */

static void on_created(void *user, const struct sa_error *err, const struct sa_object *object)
{
    (void)user;
    (void)object;
    if (err)
        die(err->message);
}

static void create(int number)
{
    static const char form[] =
        "{\"metadata\":{\"name\":\"" NAME "\",\"labels\":{\"team\":\"t%d\"},\"finalizers\":["
        "\"" SA_FINALIZER_SANDBOX "\"],\"annotations\":{\"" SA_SANDBOX_OWNER
        "\":\"key-gstyknrtkbsemxyb7igl\",\"" SA_SANDBOX_TENANT "\":\"t\",\"" SA_SANDBOX_PROFILE
        "\":\"" DIGEST "\",\"" SA_SANDBOX_GENERATION "\":\"1\",\"" SA_SANDBOX_PERSONAL
        "\":\"" SA_PERSONAL_DELIVERED "\",\"" SA_SANDBOX_CLAIM "\":\"claim-je75mnpk5zp5%08d\"}},"
        "\"spec\":{\"runtime\":\"python\",\"timeout\":%d}}";
    const int timeout_s = number % 3 ? 3600 : 3601 + number;
    sa_autofree char *json = sa_printf(form, number, number % 10, number, timeout_s);
    sa_objects_create(bench.objects, &sa_kind_sandbox, json, strlen(json), false, on_created, NULL);
}

static void delete (int number)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, NAME, number);
    sa_objects_delete(bench.objects, &sa_kind_sandbox, &(struct sa_objects_delete){.name = name},
                      NULL, NULL);
}

static void cold(int count)
{
    const int64_t began_us = sa_monotonic_us();
    while (bench.running < count) {
        while (bench.created < count && bench.created - bench.running < IN_FLIGHT)
            create(bench.created++);
        uv_run(bench.loop, UV_RUN_ONCE);
    }
    const double seconds = (double)(sa_monotonic_us() - began_us) / 1e6;
    printf("\"cold\":{\"perSecond\":%.0f},", count / seconds);
}

static void print_figures(const char *name, double *samples, int count)
{
    sort_figures(samples, (size_t)count);
    printf("\"%s\":{\"p50\":%.0f,\"p99\":%.0f},", name, samples[count / 2],
           samples[(size_t)count * 99 / 100]);
}

static void life(int count, int rounds)
{
    double *start = sa_alloc((size_t)rounds * sizeof *start);
    double *end = sa_alloc((size_t)rounds * sizeof *end);
    for (int i = 0; i < rounds; i++) {
        const int running = bench.running, gone = bench.gone;
        const int64_t began_us = sa_monotonic_us();
        create(count + i);
        while (bench.running == running)
            uv_run(bench.loop, UV_RUN_ONCE);
        const int64_t ran_us = sa_monotonic_us();
        delete (count + i);
        while (bench.gone == gone)
            uv_run(bench.loop, UV_RUN_ONCE);
        start[i] = (double)(ran_us - began_us);
        end[i] = (double)(sa_monotonic_us() - ran_us);
    }
    print_figures("startUs", start, rounds);
    print_figures("endUs", end, rounds);
    free(start);
    free(end);
}

static void resync(void)
{
    int64_t longest_us = 0;
    sa_sandbox_controller_stop(bench.controller);
    uv_run(bench.loop, UV_RUN_NOWAIT);
    malloc_trim(0);
    const size_t before = allocated();
    const int64_t began_us = sa_monotonic_us();
    bench.controller = sa_sandbox_controller_start(&bench.options);
    do {
        const int64_t turn_us = sa_monotonic_us();
        uv_run(bench.loop, UV_RUN_NOWAIT);
        if (sa_monotonic_us() - turn_us > longest_us)
            longest_us = sa_monotonic_us() - turn_us;
    } while (!sa_sandbox_controller_idle(bench.controller));
    printf("\"resyncMs\":%.1f,\"longestTurnMs\":%.2f,\"controllerKB\":%zu,",
           (double)(sa_monotonic_us() - began_us) / 1000, (double)longest_us / 1000,
           (allocated() - before) / 1024);
}

/* ---- beginning and end ---- */

static void begin(const char *folder)
{
    const struct sa_kind *kinds[] = {sa_resource_sandbox.kind,
                                     sa_resource_sandbox_profile.kind,
                                     sa_resource_warm_pool.kind,
                                     sa_resource_warm_pod.kind,
                                     sa_resource_runtime_environment.kind,
                                     sa_resource_pod.kind,
                                     &sa_kind_event,
                                     NULL};
    struct sa_error err;
    bench.loop = sa_loop_new(NULL);
    bench.objects = sa_embedded_open(
        &(struct sa_embedded_options){.loop = bench.loop, .data_dir = folder, .kinds = kinds},
        &err);
    if (!bench.objects)
        die(err.message);
    sa_caches_start(&bench.caches, bench.loop, bench.objects);
    while (!sa_caches_synced(&bench.caches))
        uv_run(bench.loop, UV_RUN_ONCE);
    bench.options = (struct sa_controllers_options){
        .loop = bench.loop, .objects = bench.objects, .caches = &bench.caches, .identity = "bench"};
    bench.controller = sa_sandbox_controller_start(&bench.options);
    bench.pods.changed = on_pod;
    bench.sandboxes.changed = on_sandbox;
    sa_informer_add_handler(bench.caches.pods, &bench.pods);
    sa_informer_add_handler(bench.caches.sandboxes, &bench.sandboxes);
}

static void on_closed(void *user)
{
    *(bool *)user = true;
}

static void end(void)
{
    bool closed = false;
    sa_sandbox_controller_stop(bench.controller);
    sa_caches_stop(&bench.caches);
    sa_embedded_close(bench.objects, on_closed, &closed);
    while (!closed)
        uv_run(bench.loop, UV_RUN_ONCE);
    sa_loop_free(bench.loop);
}

static int number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

int main(int argc, char **argv)
{
    if (argc != 4 || number(argv[2]) < 1 || number(argv[3]) < 1)
        die("usage: sa-controllerload FOLDER|- COUNT ROUNDS");
    const int count = number(argv[2]);
    begin(strcmp(argv[1], "-") == 0 ? NULL : argv[1]);
    const long before_kb = own_memory_kb();
    const size_t before = allocated();
    printf("{");
    cold(count);
    life(count, number(argv[3]));
    const long after_kb = own_memory_kb();
    const size_t allocated_kb = (allocated() - before) / 1024, objects = object_count();
    resync();
    printf("\"sandboxes\":%d,\"objects\":%zu,\"residentKB\":%ld,\"allocatedKB\":%zu}\n", count,
           objects, after_kb - before_kb, allocated_kb);
    end();
    return 0;
}
