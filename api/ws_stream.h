/*
 * The WebSocket `.../stream`: many executions over one connection (docs/websocket.md). Shared by
 * its files:
 *
 *   ws_stream.c   the connection: messages in, taking turns at the way out, the sandbox's end
 *   ws_follow.c   one execution that is followed: its items out, its input in
 *   ws_watch.c    one folder that is watched: its events out
 *
 * A message's type leads to a handler by the table in ws_stream.c: that is where another kind of
 * message is added.
 */
#ifndef SA_API_WS_STREAM_H
#define SA_API_WS_STREAM_H

#include "api/gate.h"
#include "ws/ws.h"
#include "json/json.h"
#include "json/write.h"

enum {
    SA_TALK_FOLLOWS_MAX = 64,       /* executions followed at once over one connection */
    SA_TALK_WATCHES_MAX = 16,       /* folders watched at once over one connection */
    SA_TALK_ID_MAX = 64,            /* bytes of an id that the client chose */
    SA_TALK_INPUT_MAX = 256 * 1024, /* stdin that waits, of each execution */
    SA_TALK_PIECE_MAX = 32 * 1024,  /* output in one message */
};

struct sa_follow;
struct sa_talk;
struct sa_talk_watch;

/* Part of who has something to say now and then. */
struct sa_talk_turn {
    void (*take)(
        struct sa_talk_turn *turn); /* say one thing; not ready any more unless set again */
    bool is_ready;
    struct sa_talk_turn *prev, *next;
};

/* What a message wants, while the policies are asked about it. */
typedef int sa_talk_go(struct sa_talk *stream, void *user, struct sa_error *err);
struct sa_talk_question {
    struct sa_gate *gate;   /* NULL: there is none */
    struct sa_arena *arena; /* of the message */
    const char *id;
    sa_talk_go *go;
    void *user;
};

struct sa_talk {
    struct sa_app *app;
    char sandbox_id[SA_ID_BYTES];
    struct sa_principal principal;
    struct sa_ws_conn *conn;
    struct sa_sandbox_watch watch;
    struct sa_talk_question question; /* no message is read meanwhile */
    enum sa_phase phase;
    struct sa_follow *follows; /* all of them */
    unsigned follow_count;
    struct sa_talk_watch *watches;
    unsigned watch_count;
    struct sa_talk_turn *ready; /* those that may have something to say, in turn */
    bool writable, pumping, sandbox_ended;
    char end[120]; /* why the sandbox ended */
};

/* A message of the client. `id` is NULL when it has none. Members that a handler does not ask for
 * are refused, by sa_json_finish() in it. */
struct sa_talk_message {
    const char *type, *id;
    struct sa_json_obj *root;
    struct sa_arena *arena; /* taken by sa_talk_ask() */
};
/* -1: the client is told; the connection stays. */
typedef int sa_talk_handler(struct sa_talk *stream, struct sa_talk_message *message,
                            struct sa_error *err);

/* A message to the client: an object with `id` (if not NULL) in it, to which members are added. */
struct sa_json_w sa_talk_begin(struct sa_talk *stream, const char *id);
void sa_talk_end(struct sa_talk *stream, struct sa_json_w *w);
void sa_talk_error(struct sa_talk *stream, const char *id, const struct sa_error *error);
/* From within a handler, last: `go` comes when the policies allow it; otherwise the client is told.
 * `user` is of the message's arena, which lives until then. */
void sa_talk_ask(struct sa_talk *stream, struct sa_talk_message *message, struct sa_gate *gate,
                 sa_talk_go *go, void *user);
/* Behind those that are ready already; sa_talk_pump() lets it speak. */
void sa_talk_set_ready(struct sa_talk *stream, struct sa_talk_turn *turn, bool ready);
/* Let those that are ready speak, in turn, as long as the client takes it. */
void sa_talk_pump(struct sa_talk *stream);
/* The living sandbox. NULL: SA_ENOTFOUND. */
struct sa_sandbox *sa_talk_sandbox(struct sa_talk *stream, struct sa_error *err);

/* ---- ws_follow.c ---- */

sa_talk_handler sa_talk_execute, sa_talk_resume, sa_talk_stdin, sa_talk_signal, sa_talk_cancel,
    sa_talk_resize;
void sa_follow_free(struct sa_talk *stream, struct sa_follow *follow);
struct sa_follow *sa_follow_find(struct sa_talk *stream, const char *id);
struct sa_execution *sa_follow_execution(const struct sa_follow *follow);

/* ---- ws_watch.c ---- */

sa_talk_handler sa_talk_watch, sa_talk_unwatch;
void sa_talk_watch_free(struct sa_talk_watch *watch);
struct sa_talk_watch *sa_talk_watch_find(const struct sa_talk *stream, const char *id);

/* ---- names ---- */

/* Which execution was started under which id of the client's, for a while: so that `resume` finds
 * it from another connection of the same key. */
struct sa_talk_names;
struct sa_talk_names *sa_talk_names_new(void);
void sa_talk_names_free(struct sa_talk_names *names); /* NULL is allowed */

#endif
