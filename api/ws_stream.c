/* The connection of a stream, see ws_stream.h. */
#include "api/ws_stream.h"

#include "api/ws_open.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { CODE_BAD_DATA = 1007, CODE_UNSUPPORTED = 1003, CODE_GOING_AWAY = 1001 };

/* ---- messages out ---- */

struct sa_json_w sa_talk_begin(struct sa_talk *s, const char *id)
{
    struct sa_json_w w = sa_json_w_start(sa_ws_begin(s->conn));
    sa_json_w_begin_object(&w);
    if (id)
        sa_json_put_string(&w, "id", id);
    return w;
}

void sa_talk_end(struct sa_talk *s, struct sa_json_w *w)
{
    sa_json_w_end_object(w);
    s->writable = sa_ws_end(s->conn, SA_WS_TEXT);
}

static void say_error(struct sa_talk *s, const char *id, const struct sa_error *error,
                      const struct sa_denial *denial)
{
    struct sa_json_w w = sa_talk_begin(s, id);
    sa_json_put_string(&w, "type", "error");
    sa_json_put_string(&w, "code", sa_code_name(error->code));
    sa_json_put_string(&w, "message", error->message);
    if (error->path[0])
        sa_json_put_string(&w, "path", error->path);
    if (denial)
        sa_denial_print(denial, &w);
    sa_talk_end(s, &w);
}

void sa_talk_error(struct sa_talk *s, const char *id, const struct sa_error *error)
{
    say_error(s, id, error, NULL);
}

static void close_if_over(struct sa_talk *s)
{
    if (s->sandbox_ended && !s->follows && !s->watches)
        sa_ws_close(s->conn, CODE_GOING_AWAY, s->end);
}

void sa_talk_set_ready(struct sa_talk *s, struct sa_talk_turn *turn, bool ready)
{
    if (turn->is_ready == ready)
        return;
    turn->is_ready = ready;
    if (ready)
        DL_APPEND(s->ready, turn);
    else
        DL_DELETE(s->ready, turn);
}

static void take_turn(struct sa_talk *s)
{
    struct sa_talk_turn *turn = s->ready;
    sa_talk_set_ready(s, turn, false);
    turn->take(turn);
}

void sa_talk_pump(struct sa_talk *s)
{
    if (s->pumping)
        return;
    s->pumping = true;
    while (s->ready && s->writable)
        take_turn(s);
    s->pumping = false;
    close_if_over(s);
}

/* ---- what the sandbox does ---- */

static void print_status(struct sa_json_w *w, const struct sa_sandbox *sandbox)
{
    struct sa_sandbox_view view;
    sa_sandbox_view_fill(sandbox, &view);
    sa_json_put_string(w, "type", "status");
    sa_json_put_string(w, "phase", view.phase);
    if (view.reason && view.reason[0])
        sa_json_put_string(w, "reason", view.reason);
    if (view.message && view.message[0])
        sa_json_put_string(w, "message", view.message);
}

static void on_sandbox_changed(struct sa_sandbox_watch *watch, struct sa_sandbox *sandbox)
{
    struct sa_talk *s = (struct sa_talk *)(void *)((char *)watch - offsetof(struct sa_talk, watch));
    struct sa_sandbox_view view;
    if (sa_sandbox_phase(sandbox) != s->phase) {
        s->phase = sa_sandbox_phase(sandbox);
        struct sa_json_w w = sa_talk_begin(s, NULL);
        print_status(&w, sandbox);
        sa_talk_end(s, &w);
    }
    if (watch->on)
        return;
    sa_sandbox_view_fill(sandbox, &view);
    s->sandbox_ended = true;
    snprintf(s->end, sizeof s->end, "the sandbox has ended: %s",
             view.reason && view.reason[0] ? view.reason : view.phase);
    close_if_over(s); /* else once all that is followed has been told */
}

struct sa_sandbox *sa_talk_sandbox(struct sa_talk *s, struct sa_error *err)
{
    struct sa_sandbox *sandbox =
        s->sandbox_ended ? NULL : sa_sandbox_find(s->app->sandboxes, s->sandbox_id);
    if (!sandbox)
        sa_error_set(err, SA_ENOTFOUND, "the sandbox has ended");
    return sandbox;
}

/* ---- messages in ---- */

static int handle_ping(struct sa_talk *s, struct sa_talk_message *m, struct sa_error *err)
{
    if (sa_json_finish(m->root, err) < 0)
        return -1;
    struct sa_json_w w = sa_talk_begin(s, m->id);
    sa_json_put_string(&w, "type", "pong");
    sa_talk_end(s, &w);
    return 0;
}

/* Of an execution that is followed, or of the sandbox. */
static int handle_status(struct sa_talk *s, struct sa_talk_message *m, struct sa_error *err)
{
    struct sa_follow *follow = m->id ? sa_follow_find(s, m->id) : NULL;
    struct sa_sandbox *sandbox = sa_talk_sandbox(s, err);
    if (!sandbox || sa_json_finish(m->root, err) < 0)
        return -1;
    if (m->id && !follow)
        return sa_error_at(err, SA_ENOTFOUND, "id", "id: nothing is followed under it");
    struct sa_json_w w = sa_talk_begin(s, m->id);
    print_status(&w, sandbox);
    if (follow) {
        sa_json_w_key(&w, "execution");
        sa_execution_print(sa_follow_execution(follow), &w);
    }
    sa_talk_end(s, &w);
    return 0;
}

/* ---- asking first ---- */

static void on_answer(void *user, const struct sa_denial *denial)
{
    struct sa_talk *s = user;
    struct sa_talk_question q = s->question;
    struct sa_error error;
    s->question = (struct sa_talk_question){0};
    if (denial)
        say_error(s, q.id, &denial->error, denial);
    else if (q.go(s, q.user, &error) < 0)
        sa_talk_error(s, q.id, &error);
    sa_arena_free(q.arena);
    sa_ws_resume(s->conn);
    sa_talk_pump(s);
}

void sa_talk_ask(struct sa_talk *s, struct sa_talk_message *m, struct sa_gate *gate, sa_talk_go *go,
                 void *user)
{
    s->question = (struct sa_talk_question){gate, m->arena, m->id, go, user};
    m->arena = NULL;
    sa_gate_on(gate, on_answer, s);
    sa_ws_pause(s->conn); /* what follows may be about it */
}

static const struct {
    const char *type;
    sa_talk_handler *handle;
} handlers[] = {
    {"execute", sa_talk_execute}, {"stdin", sa_talk_stdin},     {"signal", sa_talk_signal},
    {"cancel", sa_talk_cancel},   {"resize", sa_talk_resize},   {"resume", sa_talk_resume},
    {"watch", sa_talk_watch},     {"unwatch", sa_talk_unwatch}, {"status", handle_status},
    {"ping", handle_ping},
};

static int dispatch(struct sa_talk *s, struct sa_talk_message *m, struct sa_error *err)
{
    if (sa_json_get_string(m->root, "type", 32, &m->type, err) < 0 ||
        sa_json_opt_string(m->root, "id", SA_TALK_ID_MAX, &m->id, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
        if (!strcmp(handlers[i].type, m->type))
            return handlers[i].handle(s, m, err);
    return sa_json_fail(m->root, "type", err, "there is no message \"%s\"", m->type);
}

static void on_message(struct sa_ws_conn *conn, enum sa_ws_kind kind, const char *data,
                       size_t length, void *user)
{
    struct sa_talk *s = user;
    struct sa_error error;
    struct sa_json_obj root;
    if (!sa_ws_still_may(s->app, s->principal.key_id, conn))
        return;
    if (kind == SA_WS_BINARY) {
        sa_ws_close(conn, CODE_UNSUPPORTED, "messages are JSON texts");
        return;
    }
    struct sa_json_doc *doc = sa_json_parse(data, length, NULL, &error);
    if (!doc) {
        sa_ws_close(conn, CODE_BAD_DATA, error.message);
        return;
    }
    struct sa_arena *arena = sa_arena_new();
    struct sa_talk_message message = {.root = &root, .arena = arena};
    if (sa_json_root(doc, arena, &root, &error) < 0 || dispatch(s, &message, &error) < 0)
        sa_talk_error(s, message.id, &error);
    sa_json_free(doc);
    sa_arena_free(message.arena);
    sa_talk_pump(s);
}

/* ---- the connection ---- */

static void on_opened(struct sa_ws_conn *conn, void *user)
{
    struct sa_talk *s = user;
    s->conn = conn;
    s->writable = true;
    struct sa_sandbox *sandbox = sa_sandbox_find(s->app->sandboxes, s->sandbox_id);
    if (!sandbox) {
        sa_ws_close(conn, CODE_GOING_AWAY, "the sandbox has ended");
        return;
    }
    s->phase = sa_sandbox_phase(sandbox);
    sa_sandbox_watch(sandbox, &s->watch);
    sa_sandbox_hold(sandbox); /* an open stream is use, as long as it is watched */
}

static void on_writable(struct sa_ws_conn *conn, void *user)
{
    struct sa_talk *s = user;
    (void)conn;
    s->writable = true;
    sa_talk_pump(s);
}

/* What runs goes on without us. */
static void on_closed(struct sa_ws_conn *conn, int code, void *user)
{
    struct sa_talk *s = user;
    struct sa_sandbox *sandbox = sa_sandbox_find(s->app->sandboxes, s->sandbox_id);
    (void)conn, (void)code;
    if (sandbox && s->watch.on)
        sa_sandbox_release(sandbox);
    if (sandbox)
        sa_sandbox_unwatch(sandbox, &s->watch);
    sa_gate_forget(s->question.gate);
    sa_arena_free(s->question.arena);
    while (s->follows)
        sa_follow_free(s, s->follows);
    while (s->watches)
        sa_talk_watch_free(s->watches);
    free(s);
}

static void handle_stream(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    static const struct sa_ws_events events = {on_opened, on_message, on_writable, on_closed};
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return;
    struct sa_talk *s = sa_alloc(sizeof *s);
    s->app = app;
    s->principal = *principal;
    s->watch.changed = on_sandbox_changed;
    memcpy(s->sandbox_id, sa_sandbox_id(sandbox), sizeof s->sandbox_id);
    if (sa_ws_open(app, request, &events, s) < 0)
        free(s);
}

const struct sa_api_route sa_routes_streams[] = {
    {"GET", SA_SANDBOX_PATH "/stream", SA_PERM_SANDBOXES_EXECUTE, handle_stream, SA_GATE_EXECUTE},
    {0}};
