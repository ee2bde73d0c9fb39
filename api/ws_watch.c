/*
 * One folder that a stream watches: what the runtime tells waits here until it is this watch's
 * turn, and with it the credit to tell more, so that a slow client holds up the runtime, which says
 * "overflow" when it had to drop.
 */
#include "api/files.h"
#include "api/ws_stream.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct sa_talk_watch {
    struct sa_talk_turn turn;
    struct sa_talk *stream;
    char id[SA_TALK_ID_MAX + 1];
    struct sa_call *call;  /* NULL once ended */
    struct sa_buf waiting; /* whole fields; at most the link's window of them from `said` on */
    size_t said;           /* bytes of `waiting` */
    bool watching, watching_said;
    struct sa_error end; /* why it ended */
    struct sa_talk_watch *prev, *next;
};

struct sa_talk_watch *sa_talk_watch_find(const struct sa_talk *s, const char *id)
{
    struct sa_talk_watch *w;
    DL_FOREACH (s->watches, w)
        if (!strcmp(w->id, id))
            return w;
    return NULL;
}

void sa_talk_watch_free(struct sa_talk_watch *w)
{
    struct sa_talk *s = w->stream;
    sa_talk_set_ready(s, &w->turn, false);
    DL_DELETE(s->watches, w);
    s->watch_count--;
    if (w->call)
        sa_call_abandon(w->call);
    sa_buf_deinit(&w->waiting);
    free(w);
}

/* ---- events out ---- */

static struct sa_json_w begin_event(struct sa_talk_watch *w)
{
    struct sa_json_w out = sa_talk_begin(w->stream, w->id);
    sa_json_put_string(&out, "type", "event");
    sa_json_w_key(&out, "event");
    return out;
}

static void say_watching(struct sa_talk_watch *w)
{
    struct sa_json_w out = begin_event(w);
    sa_json_w_begin_object(&out);
    sa_json_put_string(&out, "type", "watching");
    sa_json_w_end_object(&out);
    sa_talk_end(w->stream, &out);
    w->watching_said = true;
}

static void say_event(struct sa_talk_watch *w, const struct sa_field *event)
{
    sa_autobuf json = SA_BUF_INIT;
    struct sa_json_w alone = sa_json_w_start(&json);
    if (event->tag != SA_FILE_EVENT || sa_file_event_print(event, &alone) < 0)
        return;
    struct sa_json_w out = begin_event(w);
    sa_json_w_raw(&out, json.data, json.length);
    sa_talk_end(w->stream, &out);
}

/* The first that waits; false: none does. */
static bool say_next(struct sa_talk_watch *w)
{
    struct sa_fields fields;
    struct sa_field event;
    sa_fields_init(&fields, w->waiting.data + w->said, w->waiting.length - w->said);
    size_t before = fields.left;
    if (sa_fields_next(&fields, &event, NULL) <= 0)
        return false;
    say_event(w, &event);
    w->said += before - fields.left;
    if (w->call)
        sa_call_consume(w->call, before - fields.left);
    if (!fields.left) {
        sa_buf_deinit(&w->waiting);
        w->said = 0;
    }
    return true;
}

static void take_turn(struct sa_talk_turn *turn)
{
    struct sa_talk_watch *w = sa_container_of(turn, struct sa_talk_watch, turn);
    if (w->watching && !w->watching_said)
        say_watching(w);
    else if (!say_next(w)) {
        if (!w->call) {
            sa_talk_error(w->stream, w->id, &w->end);
            sa_talk_watch_free(w);
        }
        return;
    }
    sa_talk_set_ready(w->stream, &w->turn, true); /* behind the others */
}

/* ---- what the runtime tells ---- */

static bool is_whole(struct sa_fields fields)
{
    struct sa_field f;
    int rc;
    while ((rc = sa_fields_next(&fields, &f, NULL)) > 0)
        ;
    return rc == 0;
}

static void on_note(void *user, struct sa_fields *fields)
{
    struct sa_talk_watch *w = user;
    w->watching = true;
    if (fields->left && is_whole(*fields)) { /* else its credit goes back, and that is all */
        sa_buf_consume(&w->waiting, w->said);
        w->said = 0;
        sa_buf_add(&w->waiting, fields->next, fields->left);
        sa_call_keep_note(w->call);
    }
    sa_talk_set_ready(w->stream, &w->turn, true);
    sa_talk_pump(w->stream);
}

static void on_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_talk_watch *w = user;
    (void)fields;
    w->call = NULL;
    if (error)
        w->end = *error;
    else
        sa_error_set(&w->end, SA_EUNAVAILABLE, "the watch ended");
    sa_talk_set_ready(w->stream, &w->turn, true);
    sa_talk_pump(w->stream);
}

/* ---- messages in ---- */

static int check_new(struct sa_talk *s, const struct sa_talk_message *m, struct sa_error *err)
{
    if (!sa_role_may(s->principal.role, SA_PERM_SANDBOXES_FILES))
        return sa_error_set(err, SA_EFORBIDDEN, "this needs the permission %s",
                            sa_permission_name(SA_PERM_SANDBOXES_FILES));
    if (!m->id || !m->id[0])
        return sa_error_at(err, SA_EINVALID, "id",
                           "id: choose one, so that what comes can be told apart");
    if (sa_talk_watch_find(s, m->id) || sa_follow_find(s, m->id))
        return sa_error_at(err, SA_ECONFLICT, "id", "id: something is followed under it already");
    if (s->watch_count >= SA_TALK_WATCHES_MAX)
        return sa_error_set(err, SA_EQUOTA,
                            "%d folders are watched over this connection already: watch one above "
                            "them with `recursive`, or open another",
                            SA_TALK_WATCHES_MAX);
    return 0;
}

struct wanted {
    const char *id, *path;
    bool recursive;
};

static int start(struct sa_talk *s, void *user, struct sa_error *err)
{
    static const struct sa_call_events events = {.note = on_note, .ended = on_ended};
    const struct wanted *wanted = user;
    sa_autobuf body = SA_BUF_INIT;
    struct sa_sandbox *sandbox = sa_talk_sandbox(s, err);
    struct sa_runtime_conn *conn = sandbox ? sa_sandbox_conn(sandbox, err) : NULL;
    if (!conn)
        return -1;
    sa_fields_add_text(&body, SA_FILE_PATH, wanted->path);
    sa_fields_add_int(&body, SA_FILE_RECURSIVE, wanted->recursive);
    struct sa_talk_watch *w = sa_alloc(sizeof *w);
    w->call = sa_call_open(conn, SA_METHOD_FILE_WATCH, &body, &events, w, err);
    if (!w->call) {
        free(w);
        return -1;
    }
    w->turn.take = take_turn;
    w->stream = s;
    memcpy(w->id, wanted->id, strlen(wanted->id) + 1);
    DL_APPEND(s->watches, w);
    s->watch_count++;
    return 0;
}

int sa_talk_watch(struct sa_talk *s, struct sa_talk_message *m, struct sa_error *err)
{
    struct wanted *wanted = sa_arena_alloc(m->arena, sizeof *wanted);
    const char *path = "/workspace";
    struct sa_gate_file file = {.operation = "watch", .bytes = -1};
    wanted->id = m->id;
    struct sa_sandbox *sandbox = check_new(s, m, err) < 0 ? NULL : sa_talk_sandbox(s, err);
    if (!sandbox || sa_json_opt_string(m->root, "path", 4095, &path, NULL, err) < 0 ||
        sa_json_opt_bool(m->root, "recursive", &wanted->recursive, NULL, err) < 0 ||
        sa_json_finish(m->root, err) < 0 ||
        sa_file_path_normal(path, "path", m->arena, &wanted->path, err) < 0)
        return -1;
    file.path = wanted->path;
    file.recursive = wanted->recursive;
    sa_talk_ask(s, m, sa_gate_file(&(struct sa_gate_who){s->app, &s->principal, sandbox}, &file),
                start, wanted);
    return 0;
}

int sa_talk_unwatch(struct sa_talk *s, struct sa_talk_message *m, struct sa_error *err)
{
    struct sa_talk_watch *w = m->id ? sa_talk_watch_find(s, m->id) : NULL;
    if (!w)
        return sa_error_at(err, SA_ENOTFOUND, "id", "id: nothing is watched under it");
    if (sa_json_finish(m->root, err) < 0)
        return -1;
    sa_talk_watch_free(w);
    return 0;
}
