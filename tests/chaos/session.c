/* What an API does with a claim: wait for the pod, tell it whose it is, and run a program in it,
 * which must say the same. */
#include "plane.h"

#include "base/cleanup.h"
#include "kinds/names.h"
#include "link/methods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum session_state { ASKING, CLAIMING, WAITING, SETTING_UP, RUNNING, DELIVERING, TOLD };
struct plane_session {
    UT_hash_handle hh;
    struct plane *plane;
    char name[PLANE_NAME_BYTES], tenant[PLANE_NAME_BYTES], pod[PLANE_NAME_BYTES];
    int64_t memory_mib;
    enum sa_warm warm;
    bool is_warm;
    enum session_state state;
    struct sa_security_call *asking;
    struct sa_claim_call *claim;
    struct sa_agent_user user;
    struct sa_call *call;
    struct sa_objects_call *write;
    struct sa_buf said;
    plane_claim_cb done;
    void *done_user;
};
struct plane_gone {
    UT_hash_handle hh;
    char name[PLANE_NAME_BYTES];
    plane_done_cb done;
    void *user;
};

static struct plane_session *find(struct plane *plane, const char *name)
{
    struct plane_session *session;
    HASH_FIND_STR(plane->sessions, name, session);
    return session;
}

static void free_session(struct plane_session *s)
{
    HASH_DEL(s->plane->sessions, s);
    sa_security_forget(s->asking);
    if (s->claim)
        sa_claim_forget(s->claim);
    if (s->call)
        sa_call_abandon(s->call);
    if (s->write)
        sa_objects_forget(s->plane->store, s->write);
    if (s->pod[0])
        sa_agent_unuse(s->plane->agent, &s->user);
    sa_buf_deinit(&s->said);
    free(s);
}

static void tell(struct plane_session *s, const struct sa_error *err)
{
    const struct plane_result result = {.err = err, .pod = s->pod, .warm = s->is_warm};
    if (s->state == TOLD)
        return;
    s->state = TOLD;
    s->done(s->done_user, &result);
}

/* ---- the first result ---- */

static void on_delivered(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct plane_session *s = user;
    (void)object;
    s->write = NULL;
    tell(s, err);
}

/* From now on it does not need this process any more. */
static void say_delivered(struct plane_session *s)
{
    static const char text[] = "{\"metadata\":{\"annotations\":{\"" SA_SANDBOX_PERSONAL
                               "\":\"" SA_PERSONAL_DELIVERED "\"}}}";
    s->state = DELIVERING;
    s->write = sa_objects_patch(
        s->plane->store, &sa_kind_sandbox,
        &(struct sa_objects_patch){.name = s->name, .json = text, .length = sizeof text - 1},
        on_delivered, s);
}

static void wait_again(struct plane_session *s)
{
    if (s->call)
        sa_call_abandon(s->call);
    s->call = NULL;
    if (s->state < DELIVERING)
        s->state = WAITING;
}

static void on_said(void *user, enum sa_link_channel channel, const void *data, size_t length)
{
    struct plane_session *s = user;
    if (channel == SA_CHANNEL_OUT)
        sa_buf_add(&s->said, data, length);
    sa_call_consume(s->call, length);
}

static void on_ran(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct plane_session *s = user;
    struct sa_error err;
    (void)fields;
    s->call = NULL;
    if (error) { /* the agent says what comes next: ready again, or lost */
        if (s->state != TOLD)
            s->state = WAITING;
    } else if (!s->said.data || strcmp(s->said.data, s->name) != 0) {
        sa_error_set(&err, SA_EINTERNAL, "VIOLATION: the pod %s is %s's, not %s's", s->pod,
                     s->said.data ? s->said.data : "nobody", s->name);
        tell(s, &err);
    } else {
        say_delivered(s);
    }
}

static void open_call(struct plane_session *s, enum sa_link_method method,
                      const struct sa_buf *body, const struct sa_call_events *events)
{
    struct sa_runtime_conn *conn = sa_agent_conn(s->plane->agent, s->pod);
    struct sa_error err;
    s->call = conn ? sa_call_open(conn, method, body, events, s, &err) : NULL;
    if (!s->call)
        s->state = WAITING;
}

static void run_program(struct plane_session *s)
{
    static const struct sa_call_events events = {.data = on_said, .ended = on_ran};
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_EXEC_ARGV, "sh");
    sa_fields_add_text(&body, SA_EXEC_ARGV, "-c");
    sa_fields_add_text(&body, SA_EXEC_ARGV, "printf %s \"$OWNER\"");
    s->said.length = 0;
    s->state = RUNNING;
    open_call(s, SA_METHOD_EXEC, &body, &events);
}

/* A SETUP whose answer was lost is refused the second time: then the program tells. */
static void on_set_up(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct plane_session *s = user;
    (void)fields;
    s->call = NULL;
    if (!error || error->code == SA_ECONFLICT)
        run_program(s);
    else if (s->state != TOLD)
        s->state = WAITING;
}

static void on_ready(void *owner)
{
    static const struct sa_call_events events = {.ended = on_set_up};
    struct plane_session *s = owner;
    sa_autobuf body = SA_BUF_INIT;
    sa_autobuf text = SA_BUF_INIT;
    if (s->state != WAITING)
        return;
    sa_buf_printf(&text, "OWNER=%s", s->name);
    sa_fields_add_text(&body, SA_SETUP_ENV, text.data);
    text.length = 0;
    sa_buf_printf(&text, "TENANT=%s", s->tenant);
    sa_fields_add_text(&body, SA_SETUP_ENV, text.data);
    s->state = SETTING_UP;
    open_call(s, SA_METHOD_SETUP, &body, &events);
}

static void on_unready(void *owner, const struct sa_error *why)
{
    (void)why;
    wait_again(owner);
}

static void on_lost(void *owner, const char *reason, const struct sa_error *why)
{
    struct plane_session *s = owner;
    struct sa_error err;
    wait_again(s);
    s->pod[0] = '\0';
    sa_error_set(&err, SA_EUNAVAILABLE, "lost, %s: %s", reason, why->message);
    tell(s, &err);
}

static const struct sa_agent_user_events user_events = {
    .ready = on_ready, .unready = on_unready, .lost = on_lost};

/* ---- the claim ---- */

static void on_claimed(void *user, const struct sa_error *err, const struct sa_claim_result *result)
{
    struct plane_session *s = user;
    s->claim = NULL;
    if (err) {
        tell(s, err);
        return;
    }
    s->is_warm = result->warm_pod != NULL;
    if (s->plane->claims_only) {
        tell(s, NULL);
        return;
    }
    s->state = WAITING;
    snprintf(s->pod, sizeof s->pod, "%s",
             s->is_warm ? sa_object_meta(result->warm_pod)->name : s->name);
    sa_agent_use(s->plane->agent, s->pod, &s->user);
}

static void print_manifest(const struct plane_session *s, const struct sa_security_answer *answer,
                           struct sa_buf *out)
{
    static const char *const warm[] = {
        [SA_WARM_PREFER] = "prefer", [SA_WARM_REQUIRE] = "require", [SA_WARM_NEVER] = "never"};
    char generation[24];
    struct sa_json_w w = sa_json_w_start(out);
    snprintf(generation, sizeof generation, "%llu", (unsigned long long)answer->generation);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "apiVersion", SA_GROUP_VERSION);
    sa_json_put_string(&w, "kind", "Sandbox");
    sa_json_put_object(&w, "metadata");
    sa_json_put_string(&w, "name", s->name);
    sa_json_put_object(&w, "annotations");
    sa_json_put_string(&w, SA_SANDBOX_TENANT, s->tenant);
    sa_json_put_string(&w, SA_SANDBOX_PROFILE, answer->profile);
    sa_json_put_string(&w, SA_SANDBOX_GENERATION, generation);
    sa_json_put_string(&w, SA_SANDBOX_PERSONAL,
                       s->plane->claims_only ? SA_PERSONAL_DELIVERED : s->plane->instance);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    sa_json_put_object(&w, "spec");
    sa_json_put_string(&w, "runtime", "python");
    sa_json_put_int(&w, "timeout", 3600);
    sa_json_put_string(&w, "warm", warm[s->warm]);
    sa_json_put_object(&w, "resources");
    sa_json_put_int(&w, "memory", s->memory_mib << 20);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
}

static void claim(struct plane_session *s, const struct sa_security_answer *answer)
{
    struct plane *plane = s->plane;
    struct sa_resources resources = {.cpu_millicores = SA_CPU_DEFAULT_MILLICORES,
                                     .memory_bytes = s->memory_mib << 20,
                                     .pids = SA_PIDS_DEFAULT};
    char key[SA_POOL_KEY_BYTES];
    sa_autobuf manifest = SA_BUF_INIT;
    sa_resources_complete(&resources);
    sa_pool_key(&(struct sa_pool_key){.runtime = "python",
                                      .profile = "",
                                      .digest = answer->profile,
                                      .level = SA_LEVEL_STANDARD,
                                      .resources = &resources},
                key);
    print_manifest(s, answer, &manifest);
    s->state = CLAIMING;
    s->claim = sa_claim_start(plane->claimers[plane->next_claimer++ % plane->claimer_count].claims,
                              &(struct sa_claim_ask){.name = s->name,
                                                     .tenant = s->tenant,
                                                     .key = key,
                                                     .warm = s->warm,
                                                     .manifest = manifest.data,
                                                     .length = manifest.length},
                              on_claimed, s);
}

static void on_security(void *user, const struct sa_denial *denial,
                        const struct sa_security_answer *answer)
{
    struct plane_session *s = user;
    s->asking = NULL;
    if (denial)
        tell(s, &denial->error);
    else
        claim(s, answer);
}

void plane_claim(struct plane *plane, const char *name, const char *tenant, enum sa_warm warm,
                 int64_t memory_mib, plane_claim_cb done, void *user)
{
    const struct sa_security_ask ask = {
        .level = "standard", .runtime = "python", .namespace_ = SA_NAMESPACE_DEFAULT};
    struct plane_session *s = find(plane, name);
    if (s) /* a name is used again by nobody but who deleted it */
        free_session(s);
    s = sa_alloc(sizeof *s);
    *s = (struct plane_session){
        .plane = plane, .warm = warm, .memory_mib = memory_mib, .done = done, .done_user = user};
    s->user = (struct sa_agent_user){.events = &user_events, .owner = s};
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->tenant, sizeof s->tenant, "%s", tenant);
    HASH_ADD_STR(plane->sessions, name, s);
    const struct sa_security_answer *answer = sa_security_known(plane->security, &ask);
    if (answer)
        claim(s, answer);
    else
        s->asking = sa_security_ask(plane->security, &ask, on_security, s);
}

/* ---- the end ---- */

static void told_gone(struct plane *plane, const char *name, const struct sa_error *err)
{
    struct plane_gone *gone;
    HASH_FIND_STR(plane->gone, name, gone);
    if (!gone)
        return;
    const struct plane_gone copy = *gone;
    HASH_DEL(plane->gone, gone);
    free(gone);
    copy.done(copy.user, err);
}

/* A sandbox that failed, or was deleted, while somebody still waits for its pod. */
static void on_sandbox(struct sa_informer_handler *handler, const struct sa_object *before,
                       const struct sa_object *now)
{
    struct plane *plane = (struct plane *)((char *)handler - offsetof(struct plane, on_sandbox));
    const char *name = sa_object_meta(now ? now : before)->name;
    const struct sa_sandbox_status *status = now ? sa_object_status(now) : NULL;
    struct plane_session *s = find(plane, name);
    struct sa_error err;
    if (s && s->state > CLAIMING && (!now || status->phase == SA_PHASE_FAILED)) {
        sa_error_set(&err, SA_EUNAVAILABLE, "the sandbox is %s: %s", now ? "failed" : "gone",
                     now ? status->reason : "");
        wait_again(s);
        tell(s, &err);
    }
    if (!now)
        told_gone(plane, name, NULL);
}

struct deletion {
    struct plane *plane;
    char name[PLANE_NAME_BYTES];
};

static void on_deleted(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct deletion *d = user;
    /* Without a finalizer it is gone, and may have been before the cache knew it. */
    if (err || !sa_object_meta(object)->finalizers.count)
        told_gone(d->plane, d->name, err);
    free(d);
}

void plane_delete(struct plane *plane, const char *name, plane_done_cb done, void *user)
{
    struct plane_session *s = find(plane, name);
    struct plane_gone *gone = sa_alloc(sizeof *gone);
    struct deletion *d = sa_alloc(sizeof *d);
    if (s)
        free_session(s);
    snprintf(gone->name, sizeof gone->name, "%s", name);
    gone->done = done;
    gone->user = user;
    HASH_ADD_STR(plane->gone, name, gone);
    d->plane = plane;
    snprintf(d->name, sizeof d->name, "%s", name);
    sa_objects_delete(plane->store, &sa_kind_sandbox, &(struct sa_objects_delete){.name = name},
                      on_deleted, d);
}

/* ---- whose is it? ---- */

struct question {
    struct sa_buf said;
    struct sa_call *call;
    plane_owner_cb done;
    void *user;
};

static void on_answer(void *user, enum sa_link_channel channel, const void *data, size_t length)
{
    struct question *q = user;
    if (channel == SA_CHANNEL_OUT)
        sa_buf_add(&q->said, data, length);
    sa_call_consume(q->call, length);
}

static void on_answered(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct question *q = user;
    (void)fields;
    q->done(q->user, error ? NULL : q->said.data ? q->said.data : "");
    sa_buf_deinit(&q->said);
    free(q);
}

static struct sa_runtime_conn *conn_of(struct plane *plane, const char *name)
{
    sa_autobuf key = SA_BUF_INIT;
    sa_buf_printf(&key, "default/%s", name);
    const struct sa_object *sandbox =
        sa_informer_get(plane->claimers[0].caches.sandboxes, key.data);
    const struct sa_sandbox_status *status = sandbox ? sa_object_status(sandbox) : NULL;
    return status && status->pod[0] ? sa_agent_conn(plane->agent, status->pod) : NULL;
}

void plane_owner(struct plane *plane, const char *name, plane_owner_cb done, void *user)
{
    static const struct sa_call_events events = {.data = on_answer, .ended = on_answered};
    struct sa_runtime_conn *conn = conn_of(plane, name);
    struct question *q = sa_alloc(sizeof *q);
    struct sa_error err;
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_EXEC_ARGV, "whoami");
    q->done = done;
    q->user = user;
    q->call = conn ? sa_call_open(conn, SA_METHOD_EXEC, &body, &events, q, &err) : NULL;
    if (q->call)
        return;
    free(q);
    done(user, NULL);
}

void plane_sessions_start(struct plane *plane)
{
    plane->on_sandbox.changed = on_sandbox;
    sa_informer_add_handler(plane->claimers[0].caches.sandboxes, &plane->on_sandbox);
}

void plane_sessions_stop(struct plane *plane)
{
    struct plane_session *s, *next;
    struct plane_gone *gone, *after;
    sa_informer_remove_handler(plane->claimers[0].caches.sandboxes, &plane->on_sandbox);
    HASH_ITER (hh, plane->sessions, s, next) /* NOLINT: it takes the session off the table */
        free_session(s);
    HASH_ITER (hh, plane->gone, gone, after) {
        HASH_DEL(plane->gone, gone);
        free(gone);
    }
}
