/*
 * The control plane of plane.h as a program, steered by lines. Each begins with a number, which the
 * answer repeats:
 *
 *     chaos-plane DATA-DIR NODE-SOCKET CONTROL-SOCKET SEED [LEASE-MS]
 *
 *     N claim NAME TENANT prefer|require|never MEMORY-MIB
 *                                                ok POD warm|cold     after its first result
 *     N delete NAME                              ok                   when the object is gone
 *     N owner NAME                               ok OWNER | ok -      what its pod says
 *     N create KIND JSON                         ok
 *     N patch KIND NAME JSON                     ok                   not the status
 *     N status KIND NAME JSON                    ok
 *     N remove KIND NAME                         ok                   at once
 *     N get KIND NAME                            ok JSON              uncached
 *     N list KIND                                ok JSON              uncached
 *     N reload _                                 ok                   the rules
 *     N metrics _                                ok JSON-STRING
 *     N state _                                  ok ready|waiting
 *     N quit _                                   nothing: it ends in order
 *
 * What fails is answered with "N err CODE MESSAGE". One connection at a time.
 */
#include "plane.h"

#include "base/cleanup.h"
#include "kinds/resources.h"
#include "log/log.h"
#include "loop/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    struct plane plane;
    uv_pipe_t server, client;
    bool connected, quit;
    unsigned long connection;
    struct sa_buf in;
} door;

/* ---- answers ---- */

struct request {
    unsigned long connection;
    char number[24];
};
struct reply {
    uv_write_t write;
    struct sa_buf text;
};

static void on_written(uv_write_t *write, int status)
{
    struct reply *reply = write->data;
    (void)status;
    sa_buf_deinit(&reply->text);
    free(reply);
}

/* Takes the request. */
static void answer(struct request *request, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void answer(struct request *request, const char *fmt, ...)
{
    struct reply *reply = sa_alloc(sizeof *reply);
    va_list ap;
    va_start(ap, fmt);
    char *text = NULL;
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    sa_buf_printf(&reply->text, "%s %s\n", request->number, text);
    free(text);
    if (door.connected && request->connection == door.connection) {
        uv_buf_t out = uv_buf_init(reply->text.data, (unsigned)reply->text.length);
        reply->write.data = reply;
        uv_write(&reply->write, (uv_stream_t *)&door.client, &out, 1, on_written);
    } else {
        sa_buf_deinit(&reply->text);
        free(reply);
    }
    free(request);
}

static void answer_done(struct request *request, const struct sa_error *err)
{
    if (err)
        answer(request, "err %s %s", sa_code_name(err->code), err->message);
    else
        answer(request, "ok");
}

static void on_claimed(void *user, const struct plane_result *result)
{
    if (result->err)
        answer_done(user, result->err);
    else
        answer(user, "ok %s %s", result->pod, result->warm ? "warm" : "cold");
}

static void on_done(void *user, const struct sa_error *err)
{
    answer_done(user, err);
}

static void on_owner(void *user, const char *owner)
{
    if (owner)
        answer(user, "ok %s", owner[0] ? owner : "nobody");
    else
        answer(user, "ok -");
}

static void on_object(void *user, const struct sa_error *err, const struct sa_object *object)
{
    (void)object;
    answer_done(user, err);
}

static void on_got(void *user, const struct sa_error *err, const struct sa_object *object)
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&text);
    if (err) {
        answer_done(user, err);
        return;
    }
    sa_object_print(object, &w);
    answer(user, "ok %s", text.data);
}

static void on_list(void *user, const struct sa_error *err, const struct sa_objects_page *page)
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&text);
    if (err) {
        answer_done(user, err);
        return;
    }
    sa_json_w_begin_array(&w);
    for (size_t i = 0; i < page->count; i++)
        sa_object_print(page->items[i], &w);
    sa_json_w_end_array(&w);
    answer(user, "ok %s", text.data);
}

static void on_reloaded(void *user, const struct sa_error *err)
{
    answer_done(user, err);
}

/* ---- requests ---- */

static const struct sa_kind *kind_of(const char *name)
{
    const struct sa_resource *resource = sa_resource_find(name);
    if (!resource)
        plane_die("no such kind", NULL);
    return resource->kind;
}

static enum sa_warm warm_of(const char *word)
{
    return strcmp(word, "require") == 0 ? SA_WARM_REQUIRE
           : strcmp(word, "never") == 0 ? SA_WARM_NEVER
                                        : SA_WARM_PREFER;
}

static void print_metrics(struct request *request)
{
    sa_autobuf text = SA_BUF_INIT;
    sa_autobuf quoted = SA_BUF_INIT;
    for (unsigned i = 0; i < door.plane.claimer_count; i++)
        sa_metrics_write(door.plane.claimers[i].metrics, &text);
    sa_json_quote(&quoted, text.data, text.length);
    answer(request, "ok %s", quoted.data);
}

/* KIND JSON, KIND NAME, KIND NAME JSON. */
static void write_object(struct request *request, const char *verb, const char *kind, char *rest)
{
    struct sa_objects *store = door.plane.store;
    const bool status = strcmp(verb, "status") == 0;
    if (strcmp(verb, "create") == 0) {
        sa_objects_create(store, kind_of(kind), rest, strlen(rest), false, on_object, request);
        return;
    }
    const char *name = strsep(&rest, " ");
    if (strcmp(verb, "remove") == 0) {
        sa_objects_delete(store, kind_of(kind), &(struct sa_objects_delete){.name = name},
                          on_object, request);
        return;
    }
    if (!rest)
        plane_die("bad request", NULL);
    sa_objects_patch(store, kind_of(kind),
                     &(struct sa_objects_patch){.name = name,
                                                .subresource = status ? SA_SUBRESOURCE_STATUS
                                                                      : SA_SUBRESOURCE_NONE,
                                                .json = rest,
                                                .length = strlen(rest)},
                     on_object, request);
}

static void quit(struct request *request)
{
    door.quit = true;
    free(request);
    uv_stop(door.plane.loop);
}

static void obey(char *line)
{
    struct plane *plane = &door.plane;
    struct request *request = sa_alloc(sizeof *request);
    char *rest = line;
    const char *number = strsep(&rest, " "), *verb = strsep(&rest, " "), *a = strsep(&rest, " ");
    if (!verb || !a)
        plane_die("bad request", NULL);
    request->connection = door.connection;
    snprintf(request->number, sizeof request->number, "%s", number);
    if (strcmp(verb, "claim") == 0 && rest) {
        const char *tenant = strsep(&rest, " "), *warm = strsep(&rest, " ");
        if (!rest)
            plane_die("bad request", NULL);
        plane_claim(plane, a, tenant, warm_of(warm), strtol(rest, NULL, 10), on_claimed, request);
    } else if (strcmp(verb, "delete") == 0) {
        plane_delete(plane, a, on_done, request);
    } else if (strcmp(verb, "owner") == 0) {
        plane_owner(plane, a, on_owner, request);
    } else if (strcmp(verb, "get") == 0 && rest) {
        sa_objects_get(plane->store, kind_of(a), SA_NAMESPACE_DEFAULT, rest, on_got, request);
    } else if (strcmp(verb, "list") == 0) {
        sa_objects_list(plane->store, kind_of(a), &(struct sa_objects_select){NULL, NULL, NULL}, 0,
                        NULL, on_list, request);
    } else if (strcmp(verb, "reload") == 0) {
        sa_engine_reload(sa_policy_engine(plane->policy), on_reloaded, request);
    } else if (strcmp(verb, "metrics") == 0) {
        print_metrics(request);
    } else if (strcmp(verb, "state") == 0) {
        answer(request, "ok %s", plane_ready(plane) ? "ready" : "waiting");
    } else if (strcmp(verb, "quit") == 0) {
        quit(request);
    } else if (rest) {
        write_object(request, verb, a, rest);
    } else {
        plane_die("bad request", NULL);
    }
}

/* ---- the socket ---- */

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    (void)handle, (void)size;
    *buf = uv_buf_init(sa_buf_reserve(&door.in, 65536), 65536);
}

static void on_closed(uv_handle_t *handle)
{
    (void)handle;
    door.connected = false;
    door.in.length = 0;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    if (n < 0) {
        door.connection++;
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    door.in.length += (size_t)n;
    size_t at = 0;
    for (char *end; (end = memchr(door.in.data + at, '\n', door.in.length - at));) {
        *end = '\0';
        obey(door.in.data + at);
        at = (size_t)(end - door.in.data) + 1;
    }
    sa_buf_consume(&door.in, at);
}

static void on_connection(uv_stream_t *server, int status)
{
    (void)status;
    if (door.connected)
        plane_die("a second connection", NULL);
    uv_pipe_init(server->loop, &door.client, 0);
    if (uv_accept(server, (uv_stream_t *)&door.client) < 0)
        plane_die("accept", NULL);
    door.connected = true;
    uv_read_start((uv_stream_t *)&door.client, on_alloc, on_read);
}

static void on_started(struct plane *plane)
{
    (void)plane;
    puts("ready");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        plane_die("usage: chaos-plane DATA-DIR NODE-SOCKET CONTROL-SOCKET SEED [LEASE-MS]", NULL);
    uv_loop_t *loop = sa_loop_new(NULL);
    unlink(argv[3]);
    uv_pipe_init(loop, &door.server, 0);
    if (uv_pipe_bind(&door.server, argv[3]) < 0 ||
        uv_listen((uv_stream_t *)&door.server, 4, on_connection) < 0)
        plane_die("cannot listen on the control socket", NULL);
    plane_start(&door.plane, loop,
                &(struct plane_options){.data_dir = argv[1],
                                        .node_socket = argv[2],
                                        .seed = (unsigned)strtoul(argv[4], NULL, 10),
                                        .claimers = PLANE_CLAIMERS,
                                        .lease_ms = argc > 5 ? strtol(argv[5], NULL, 10) : 0},
                on_started);
    while (!door.quit)
        uv_run(loop, UV_RUN_DEFAULT);
    plane_stop(&door.plane);
    uv_close((uv_handle_t *)&door.server, NULL);
    if (door.connected)
        uv_close((uv_handle_t *)&door.client, NULL);
    sa_loop_free(loop);
    sa_buf_deinit(&door.in);
    return 0;
}
