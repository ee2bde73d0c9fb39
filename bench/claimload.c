/*
 * Claims, without HTTP: object store on disk, claims, controllers, agent and rules of one process,
 * over a simulated node in another (tests/chaos). Prints JSON; times in microseconds.
 *
 *     sa-claimload FOLDER UNRELATED ROUNDS
 *
 * A pool of pods, as many as there are claims in a round; UNRELATED sandboxes of others are there,
 * too. "one" and "many" (32 clients) claim them all, while the controllers do what follows from
 * that; then all are given back and cleaned, which is not measured. "cycle" is 32 clients who each
 * claim, are told by a program inside whose it is, delete, and wait until it is gone, again and
 * again.
 */
#include "chaos/plane.h"
#include "figures.h"

#include "base/clock.h"
#include "kinds/warm_pool.h"
#include "loop/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PODS = 500, CLIENTS = 32, PATH_BYTES = 4096, IN_FLIGHT = 256, ROOM = 2 * CLIENTS };

static struct {
    struct plane plane;
    bool started;
    pid_t node;
    char folder[PATH_BYTES];
    double *samples;
    int begun, ended, target, warm, round;
} load;

struct client {
    char name[PLANE_NAME_BYTES];
    int64_t began_us;
};

static void turn_until(bool (*done)(void))
{
    while (!done())
        uv_run(load.plane.loop, UV_RUN_ONCE);
}

/* ---- the node ---- */

static void start_node(void)
{
    char here[PATH_BYTES], program[PATH_BYTES + 16], node[PATH_BYTES + 16],
        control[PATH_BYTES + 16];
    size_t size = sizeof here;
    char *slash = uv_exepath(here, &size) < 0 ? NULL : strrchr(here, '/');
    if (!slash)
        plane_die("no path", NULL);
    snprintf(program, sizeof program, "%.*s/simnode", (int)(slash - here), here);
    snprintf(node, sizeof node, "%s/node.sock", load.folder);
    snprintf(control, sizeof control, "%s/sim.sock", load.folder);
    load.node = fork();
    if (load.node == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execl(program, program, node, control, "1", (char *)NULL);
        _exit(127);
    }
}

static void stop_node(void)
{
    kill(load.node, SIGKILL);
    waitpid(load.node, NULL, 0);
}

/* ---- objects ---- */

static unsigned writing;

static void on_written(void *user, const struct sa_error *err, const struct sa_object *object)
{
    (void)user, (void)object;
    if (err)
        plane_die("write", err);
    writing--;
}

static bool all_written(void)
{
    return writing == 0;
}

static bool few_writing(void)
{
    return writing < IN_FLIGHT;
}

static void create(const struct sa_kind *kind, const char *json)
{
    writing++;
    sa_objects_create(load.plane.store, kind, json, strlen(json), false, on_written, NULL);
    turn_until(few_writing);
}

static void make_pool(void)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"apiVersion\":\"" SA_GROUP_VERSION "\",\"kind\":\"WarmPool\","
             "\"metadata\":{\"name\":\"p\"},\"spec\":{\"runtime\":\"python\",\"minSize\":%d,"
             "\"maxSize\":%d,\"recycle\":{\"enabled\":true,\"maxUses\":0}}}",
             PODS, PODS + ROOM);
    create(&sa_kind_warm_pool, json);
    turn_until(all_written);
}

/* Sandboxes that ended just now: kept for a while, and nobody's concern. */
static void make_unrelated(long count)
{
    static const char status[] =
        "{\"status\":{\"phase\":\"Failed\",\"reason\":\"Old\",\"endedAt\":\"%s\"}}";
    char json[512], name[32], now[SA_RFC3339_BYTES], text[160];
    sa_rfc3339(sa_wall_ms(), now);
    int length = snprintf(text, sizeof text, status, now);
    for (long i = 0; i < count; i++) {
        snprintf(name, sizeof name, "unrelated-%ld", i);
        snprintf(json, sizeof json,
                 "{\"apiVersion\":\"" SA_GROUP_VERSION "\",\"kind\":\"Sandbox\","
                 "\"metadata\":{\"name\":\"%s\"},\"spec\":{\"runtime\":\"python\"}}",
                 name);
        create(&sa_kind_sandbox, json);
        writing++;
        sa_objects_patch(load.plane.store, &sa_kind_sandbox,
                         &(struct sa_objects_patch){.name = name,
                                                    .subresource = SA_SUBRESOURCE_STATUS,
                                                    .json = text,
                                                    .length = (size_t)length},
                         on_written, NULL);
    }
    turn_until(all_written);
}

/* ---- steps ---- */

static bool all_ended(void)
{
    return load.ended == load.target;
}

static size_t ready_pods(void)
{
    const struct sa_informer *pods = load.plane.claimers[0].caches.warm_pods;
    size_t count = 0;
    for (const struct sa_object *p = NULL; (p = sa_informer_next(pods, p));)
        count +=
            ((const struct sa_warm_pod_status *)sa_object_status(p))->phase == SA_WARM_POD_READY &&
            !((const struct sa_warm_pod_spec *)sa_object_spec(p))->claim.given;
    return count;
}

static bool all_ready(void)
{
    return ready_pods() >= PODS;
}

static void next_claim(struct client *client);

static void on_deleted(void *user, const struct sa_error *err)
{
    struct client *client = user;
    if (err)
        plane_die("delete", err);
    load.ended++;
    next_claim(client);
}

static void on_claimed(void *user, const struct plane_result *result)
{
    struct client *client = user;
    if (result->err)
        plane_die("claim", result->err);
    load.warm += result->warm;
    if (load.plane.claims_only) {
        load.samples[load.ended++] = (double)(sa_monotonic_us() - client->began_us);
        next_claim(client);
    } else {
        load.samples[load.ended] = (double)(sa_monotonic_us() - client->began_us);
        plane_delete(&load.plane, client->name, on_deleted, client);
    }
}

static void next_claim(struct client *client)
{
    if (load.begun == load.target) {
        free(client);
        return;
    }
    snprintf(client->name, sizeof client->name, "sb-%d-%d", load.round, load.begun++);
    client->began_us = sa_monotonic_us();
    plane_claim(&load.plane, client->name, "bench", SA_WARM_PREFER, SA_MEMORY_DEFAULT_BYTES >> 20,
                on_claimed, client);
}

/* Seconds. */
static double run(int target, int clients)
{
    load.begun = load.ended = 0;
    load.target = target;
    load.round++;
    int64_t began_us = sa_monotonic_us();
    for (int i = 0; i < clients; i++)
        next_claim(sa_alloc(sizeof(struct client)));
    turn_until(all_ended);
    return (double)(sa_monotonic_us() - began_us) / 1e6;
}

static void give_back(void)
{
    for (int i = 0; i < load.target; i++) {
        char name[PLANE_NAME_BYTES];
        snprintf(name, sizeof name, "sb-%d-%d", load.round, i);
        writing++;
        sa_objects_delete(load.plane.store, &sa_kind_sandbox,
                          &(struct sa_objects_delete){.name = name}, on_written, NULL);
    }
    turn_until(all_written);
    turn_until(all_ready);
}

static void print(const char *name, double seconds, size_t count)
{
    sort_figures(load.samples, count);
    printf("\"%s\":{\"perSecond\":%.0f,\"p50\":%.1f,\"p99\":%.1f,\"warm\":%.3f},", name,
           (double)count / seconds, load.samples[count / 2], load.samples[count * 99 / 100],
           load.warm / (double)count);
}

/* Rounds of as many claims as there are pods. */
static void measure(const char *name, int rounds, int clients)
{
    double *all = sa_alloc((size_t)rounds * PODS * sizeof *all), *mine = load.samples;
    double seconds = 0;
    load.warm = 0;
    for (int i = 0; i < rounds; i++) {
        seconds += run(PODS, clients);
        memcpy(all + (size_t)i * PODS, mine, PODS * sizeof *all);
        give_back();
    }
    load.samples = all;
    print(name, seconds, (size_t)rounds * PODS);
    load.samples = mine;
    free(all);
}

static void on_started(struct plane *plane)
{
    (void)plane;
    load.started = true;
}

static bool is_ready(void)
{
    return load.started && plane_ready(&load.plane);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        plane_die("usage: sa-claimload FOLDER UNRELATED ROUNDS", NULL);
    char data[PATH_BYTES + 16], node[PATH_BYTES + 16];
    int rounds = (int)strtol(argv[3], NULL, 10);
    snprintf(load.folder, sizeof load.folder, "%s", argv[1]);
    snprintf(data, sizeof data, "%s/data", load.folder);
    snprintf(node, sizeof node, "%s/node.sock", load.folder);
    start_node();
    uv_loop_t *loop = sa_loop_new(NULL);
    plane_start(&load.plane, loop,
                &(struct plane_options){.data_dir = data, .node_socket = node, .claimers = 1},
                on_started);
    turn_until(is_ready);
    make_pool();
    make_unrelated(strtol(argv[2], NULL, 10));
    turn_until(all_ready);
    load.samples = sa_alloc((size_t)(rounds + 1) * PODS * sizeof *load.samples);
    printf("{");
    load.plane.claims_only = true;
    measure("one", rounds, 1);
    measure("many", rounds, CLIENTS);
    load.plane.claims_only = false;
    load.warm = 0;
    double seconds = run(rounds * PODS, CLIENTS);
    print("cycle", seconds, (size_t)rounds * PODS);
    printf("\"unrelated\":%s}\n", argv[2]);
    fflush(stdout);
    plane_stop(&load.plane);
    stop_node();
    sa_loop_free(loop);
    free(load.samples);
    return 0;
}
