#include "fixture.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "claim/pod_manifest.h"
#include "kinds/names.h"
#include "kinds/resources.h"
#include "loop/loop.h"
#include "objects/embedded.h"
#include "objects/recorder.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TICK_MS = 5, PATIENCE_MS = 60 * 1000 };

/* ---- waiting ---- */

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

void wait_until(struct world *w, bool (*holds)(void *user), void *user, const char *what)
{
    uv_update_time(w->loop);
    const uint64_t until = uv_now(w->loop) + PATIENCE_MS;
    while (!holds(user)) {
        uv_run(w->loop, UV_RUN_ONCE);
        if (uv_now(w->loop) > until)
            fail_msg("waited too long for %s", what);
    }
}

static bool is_set(void *user)
{
    return *(bool *)user;
}

void wait_flag(struct world *w, const bool *flag, const char *what)
{
    wait_until(w, is_set, (void *)(uintptr_t)flag, what);
}

void linger(struct world *w, int ms)
{
    uv_update_time(w->loop);
    const uint64_t until = uv_now(w->loop) + (uint64_t)ms;
    while (uv_now(w->loop) < until)
        uv_run(w->loop, UV_RUN_ONCE);
}

/* ---- the world ---- */

/* The first loop of a process opens some that stay. */
static int descriptors(void)
{
    int count = 0;
    sa_loop_free(sa_loop_new(NULL));
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static bool is_synced(void *user)
{
    return sa_caches_synced(user);
}

static void make_store(void **state)
{
    const struct sa_kind *kinds[] = {sa_resource_sandbox.kind,
                                     sa_resource_sandbox_profile.kind,
                                     sa_resource_warm_pool.kind,
                                     sa_resource_warm_pod.kind,
                                     sa_resource_runtime_environment.kind,
                                     sa_resource_pod.kind,
                                     &sa_kind_event,
                                     NULL};
    struct world *w = sa_alloc(sizeof *w);
    w->descriptors = descriptors();
    w->node.socket = -1;
    snprintf(w->folder, sizeof w->folder, "/tmp/sa-agent-test-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    w->loop = sa_loop_new(NULL);
    uv_timer_init(w->loop, &w->tick);
    uv_timer_start(&w->tick, on_tick, TICK_MS, TICK_MS);
    w->metrics = sa_metrics_new();
    w->objects =
        sa_embedded_open(&(struct sa_embedded_options){.loop = w->loop, .kinds = kinds}, NULL);
    assert_non_null(w->objects);
    w->written = w->objects;
    *state = w;
}

static void start_caches(struct world *w, struct sa_objects *watched)
{
    sa_caches_start(&w->caches, w->loop, watched);
    wait_until(w, is_synced, &w->caches, "the caches");
}

int world_setup_store(void **state)
{
    make_store(state);
    struct world *w = *state;
    start_caches(w, w->objects);
    return 0;
}

void world_start_node(struct world *w)
{
    struct reply known;
    char link[96];
    char state[sizeof w->node.state];
    memcpy(state, w->node.state, sizeof state);
    if (state[0])
        node_start_named(&w->node, 0, SA_TEST_RUNTIME, state);
    else
        node_start(&w->node, 0, SA_TEST_RUNTIME);
    node_answer(&w->node, w->node.profile_call, &known);
    assert_int_equal(known.type, SA_NODE_DONE);
    w->node.profile_call = 0;
    close(sa_steal_fd(&w->node.socket));
    snprintf(link, sizeof link, "%s/node", w->folder);
    unlink(link);
    assert_int_equal(symlink(w->node.folder, link), 0);
}

void world_connect(struct world *w)
{
    char path[96];
    snprintf(path, sizeof path, "%s/node/node.sock", w->folder);
    w->client = sa_node_client_new(w->loop, path, NULL, NULL);
}

void world_kill_node(struct world *w)
{
    int status;
    assert_int_equal(kill(w->node.pid, SIGKILL), 0);
    assert_int_equal(waitpid(w->node.pid, &status, 0), w->node.pid);
    node_forget(&w->node);
}

static bool is_ready(void *user)
{
    return sa_agent_ready(user);
}

void world_begin_agent(struct world *w)
{
    w->agent = sa_agent_start(&(struct sa_agent_options){.loop = w->loop,
                                                         .objects = w->written,
                                                         .caches = &w->caches,
                                                         .node = w->client,
                                                         .metrics = w->metrics,
                                                         .name = SA_AGENT_NODE});
}

void wait_agent(struct world *w)
{
    wait_until(w, is_ready, w->agent, "the agent");
}

void world_start_agent(struct world *w)
{
    world_begin_agent(w);
    wait_agent(w);
}

void world_stop_agent(struct world *w)
{
    sa_agent_stop(w->agent);
    w->agent = NULL;
}

static void start_all(struct world *w)
{
    world_start_node(w);
    world_connect(w);
    world_start_agent(w);
}

int world_setup(void **state)
{
    world_setup_store(state);
    start_all(*state);
    return 0;
}

int world_setup_faulty(void **state)
{
    static unsigned seed = 1;
    make_store(state);
    struct world *w = *state;
    faulty_init(&w->faulty, w->objects, w->loop, seed++);
    start_caches(w, &w->faulty.base);
    start_all(w);
    return 0;
}

static void on_closed(void *user)
{
    *(bool *)user = true;
}

static void end_node(struct world *w)
{
    char link[96];
    if (w->node.pid) {
        assert_int_equal(kill(w->node.pid, SIGTERM), 0);
        assert_int_equal(node_wait(&w->node), 0);
        assert_int_equal(cgroups_left(w->node.state), 0);
        node_forget(&w->node);
    }
    snprintf(link, sizeof link, "%s/node", w->folder);
    unlink(link);
    rmdir(w->folder);
}

int world_teardown(void **state)
{
    struct world *w = *state;
    bool closed = false;
    world_stop_agent(w);
    sa_caches_stop(&w->caches);
    sa_embedded_close(w->objects, on_closed, &closed);
    wait_flag(w, &closed, "the store to close");
    sa_node_client_free(w->client);
    uv_close((uv_handle_t *)&w->tick, NULL);
    sa_loop_free(w->loop); /* fails when a handle is left */
    sa_metrics_free(w->metrics);
    end_node(w);
    assert_int_equal(descriptors(), w->descriptors);
    free(w);
    return 0;
}

/* ---- Pods ---- */

struct answer {
    bool done;
    struct sa_error err;
};

static void on_answer(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct answer *answer = user;
    (void)object;
    if (err)
        answer->err = *err;
    answer->done = true;
}

static void settle(struct world *w, struct answer *answer)
{
    wait_flag(w, &answer->done, "the store");
    if (answer->err.code)
        fail_msg("%s", answer->err.message);
}

void pod_create_in(struct world *w, const char *namespace_, const char *name, bool warm,
                   const char *profile)
{
    struct answer answer = {.done = false};
    sa_autofree char *json = sa_printf(
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"%s\",\"name\":\"%"
        "s\",\"finalizers\":"
        "[\"%s\"],\"labels\":{\"%s\":\"%s\"},\"annotations\":{\"secureagent.dev/language\":"
        "\"bash\",\"secureagent.dev/pids\":\"48\",\"secureagent.dev/inodes\":\"1000\","
        "\"secureagent.dev/security-profile\":\"%s\"}},\"spec\":{\"nodeName\":\"local\","
        "\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"sandbox\",\"env\":[{\"name\":"
        "\"PATH\",\"value\":\"/usr/bin:/bin\"},{\"name\":\"FROM_POD\",\"value\":\"yes\"}],"
        "\"resources\":{\"limits\":{\"cpu\":\"1\",\"memory\":\"64Mi\",\"ephemeral-storage\":"
        "\"16Mi\"}}}]}}",
        namespace_, name, SA_FINALIZER_NODE, warm ? SA_POD_WARM_POD : SA_POD_SANDBOX, name,
        profile);
    sa_objects_create(w->objects, &sa_kind_pod, json, strlen(json), false, on_answer, &answer);
    settle(w, &answer);
}

void pod_create(struct world *w, const char *name, bool warm, const char *profile)
{
    pod_create_in(w, SA_NAMESPACE_DEFAULT, name, warm, profile);
}

void pod_delete_in(struct world *w, const char *namespace_, const char *name)
{
    struct answer answer = {.done = false};
    sa_objects_delete(w->objects, &sa_kind_pod,
                      &(struct sa_objects_delete){.namespace_ = namespace_, .name = name},
                      on_answer, &answer);
    settle(w, &answer);
}

void pod_delete(struct world *w, const char *name)
{
    pod_delete_in(w, SA_NAMESPACE_DEFAULT, name);
}

void patch_pod(struct world *w, const char *name, enum sa_subresource part, const char *json)
{
    struct answer answer = {.done = false};
    sa_objects_patch(w->objects, &sa_kind_pod,
                     &(struct sa_objects_patch){
                         .name = name, .subresource = part, .json = json, .length = strlen(json)},
                     on_answer, &answer);
    settle(w, &answer);
}

const struct sa_object *pod_get(struct world *w, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "%s%s", strchr(name, '/') ? "" : "default/", name);
    return sa_informer_get(w->caches.pods, key);
}

const char *controls_of(struct world *w, const char *name)
{
    const struct sa_object *object = pod_get(w, name);
    return object ? sa_map_get(&sa_object_meta(object)->annotations, SA_POD_CONTROLS) : NULL;
}

bool is_stored(struct world *w, const char *name)
{
    struct answer answer = {.done = false};
    sa_objects_get(w->objects, &sa_kind_pod, SA_NAMESPACE_DEFAULT, name, on_answer, &answer);
    wait_flag(w, &answer.done, "the store");
    return !answer.err.code;
}

struct events {
    bool done;
    size_t count;
};

static void on_events(void *user, const struct sa_error *err, const struct sa_objects_page *page)
{
    struct events *events = user;
    assert_null(err);
    events->count = page->count;
    events->done = true;
}

size_t events_of(struct world *w, const char *name, const char *reason)
{
    struct events events = {.done = false};
    sa_autofree char *fields = sa_printf("involvedObject.name=%s,reason=%s", name, reason);
    sa_objects_list(w->objects, &sa_kind_event,
                    &(struct sa_objects_select){.field_selector = fields}, 0, NULL, on_events,
                    &events);
    wait_flag(w, &events.done, "events");
    return events.count;
}

const struct sa_pod_status *pod_status(struct world *w, const char *name)
{
    const struct sa_object *object = pod_get(w, name);
    assert_non_null(object);
    return sa_object_status(object);
}

struct wanted {
    struct world *w;
    const char *name;
    int what;
};

static bool has_phase(void *user)
{
    const struct wanted *wanted = user;
    const struct sa_object *object = pod_get(wanted->w, wanted->name);
    return object &&
           (int)((const struct sa_pod_status *)sa_object_status(object))->phase == wanted->what;
}

void wait_phase(struct world *w, const char *name, enum sa_pod_phase phase)
{
    wait_until(w, has_phase, &(struct wanted){w, name, (int)phase}, "a phase");
}

static bool has_condition(void *user)
{
    const struct wanted *wanted = user;
    const struct sa_object *object = pod_get(wanted->w, wanted->name);
    return object &&
           sa_conditions_is(&((const struct sa_pod_status *)sa_object_status(object))->conditions,
                            "Ready", (enum sa_truth)wanted->what);
}

void wait_ready_condition(struct world *w, const char *name, enum sa_truth truth)
{
    wait_until(w, has_condition, &(struct wanted){w, name, (int)truth}, "the condition Ready");
}

static bool is_gone(void *user)
{
    const struct wanted *wanted = user;
    return !pod_get(wanted->w, wanted->name);
}

void wait_gone(struct world *w, const char *name)
{
    wait_until(w, is_gone, &(struct wanted){w, name, 0}, "a Pod to go");
}

/* ---- users ---- */

static void on_ready(void *owner)
{
    struct user *user = owner;
    user->is_ready = true;
    user->ready++;
}

static void on_unready(void *owner, const struct sa_error *why)
{
    struct user *user = owner;
    user->is_ready = false;
    user->is_unready = true;
    user->why = *why;
    user->unready++;
}

static void on_lost(void *owner, const char *reason, const struct sa_error *why)
{
    struct user *user = owner;
    user->is_ready = false;
    user->is_lost = true;
    snprintf(user->reason, sizeof user->reason, "%s", reason);
    user->why = *why;
    user->lost++;
}

static void on_oom(void *owner, int64_t kills)
{
    ((struct user *)owner)->oom_kills = kills;
}

static void on_changed(void *owner)
{
    ((struct user *)owner)->changed++;
}

static void on_denied(void *owner, const char *syscall, const char *program, int64_t count)
{
    struct user *user = owner;
    assert_true(program[0] && count > 0);
    snprintf(user->syscall, sizeof user->syscall, "%s", syscall);
    user->was_denied = true;
}

void use(struct world *w, const char *pod, struct user *user)
{
    static const struct sa_agent_user_events events = {on_ready, on_unready, on_lost,
                                                       on_oom,   on_denied,  on_changed};
    *user = (struct user){.user = {.events = &events, .owner = user}};
    sa_agent_use(w->agent, pod, &user->user);
    assert_false(user->is_ready || user->is_lost);
}

struct run {
    struct sa_call *call;
    bool done;
    size_t length;
    char out[4096];
};

static void on_data(void *user, enum sa_link_channel channel, const void *data, size_t length)
{
    struct run *run = user;
    size_t room = sizeof run->out - 1 - run->length, n = length < room ? length : room;
    (void)channel;
    memcpy(run->out + run->length, data, n);
    run->length += n;
    sa_call_consume(run->call, length);
}

static void on_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct run *run = user;
    (void)fields;
    if (error)
        snprintf(run->out, sizeof run->out, "error: %s", error->message);
    run->done = true;
}

const char *shell(struct world *w, const char *pod, const char *command)
{
    static const struct sa_call_events events = {.data = on_data, .ended = on_ended};
    static struct run run;
    sa_autobuf body = SA_BUF_INIT;
    struct sa_error err;
    struct sa_runtime_conn *conn = sa_agent_conn(w->agent, pod);
    assert_non_null(conn);
    memset(&run, 0, sizeof run);
    sa_fields_add_text(&body, SA_EXEC_ARGV, "/bin/sh");
    sa_fields_add_text(&body, SA_EXEC_ARGV, "-c");
    sa_fields_add_text(&body, SA_EXEC_ARGV, command);
    run.call = sa_call_open(conn, SA_METHOD_EXEC, &body, &events, &run, &err);
    if (!run.call)
        fail_msg("%s", err.message);
    wait_flag(w, &run.done, command);
    return run.out;
}

double metric(struct world *w, const char *series)
{
    sa_autobuf text = SA_BUF_INIT;
    sa_autobuf line = SA_BUF_INIT;
    sa_buf_addc(&text, '\n');
    sa_metrics_write(w->metrics, &text);
    sa_buf_printf(&line, "\n%s ", series);
    const char *found = strstr(text.data, line.data);
    return found ? strtod(found + line.length, NULL) : -1;
}
