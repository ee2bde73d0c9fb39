/*
 * One execution that a stream follows: items out as the client takes them, a turn for each
 * execution; input the other way, of which a bounded part waits for a program that does not read.
 */
#include "api/exec_output.h"
#include "api/ws_stream.h"

#include "base/cleanup.h"
#include "model/signals.h"
#include "json/base64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { NAMES = 1024 };

struct sa_follow {
    struct sa_talk_turn turn;
    struct sa_talk *stream;
    char id[SA_TALK_ID_MAX + 1];
    struct sa_execution *execution;
    struct sa_reader *reader;
    bool started_said, only_start;
    struct sa_buf input; /* that waits */
    bool input_end_due;
    struct sa_follow *prev, *next;
};

/* ---- names ---- */

struct sa_talk_names {
    struct name {
        char key_id[SA_ID_BYTES], sandbox_id[SA_ID_BYTES], execution_id[SA_ID_BYTES];
        char id[SA_TALK_ID_MAX + 1];
    } ring[NAMES];
    unsigned next;
};

struct sa_talk_names *sa_talk_names_new(void)
{
    return sa_alloc(sizeof(struct sa_talk_names));
}

void sa_talk_names_free(struct sa_talk_names *names)
{
    free(names);
}

static void remember_name(const struct sa_follow *f)
{
    const struct sa_talk *s = f->stream;
    struct sa_talk_names *names = s->app->talk_names;
    struct name *name = &names->ring[names->next++ % NAMES];
    memcpy(name->key_id, s->principal.key_id, sizeof name->key_id);
    memcpy(name->sandbox_id, s->sandbox_id, sizeof name->sandbox_id);
    memcpy(name->id, f->id, sizeof name->id);
    snprintf(name->execution_id, sizeof name->execution_id, "%s", sa_execution_id(f->execution));
}

/* The newest of that name. */
static const char *recall_name(const struct sa_talk *s, const char *id)
{
    const struct sa_talk_names *names = s->app->talk_names;
    for (unsigned i = 0; i < NAMES; i++) {
        const struct name *name = &names->ring[(names->next - 1 - i) % NAMES];
        if (!strcmp(name->id, id) && !strcmp(name->sandbox_id, s->sandbox_id) &&
            !strcmp(name->key_id, s->principal.key_id))
            return name->execution_id;
    }
    return NULL;
}

/* ---- life ---- */

struct sa_execution *sa_follow_execution(const struct sa_follow *f)
{
    return f->execution;
}

struct sa_follow *sa_follow_find(struct sa_talk *s, const char *id)
{
    struct sa_follow *f;
    DL_FOREACH (s->follows, f)
        if (!strcmp(f->id, id) || !strcmp(sa_execution_id(f->execution), id))
            return f;
    return NULL;
}

static void set_ready(struct sa_follow *f, bool ready)
{
    sa_talk_set_ready(f->stream, &f->turn, ready);
}

void sa_follow_free(struct sa_talk *s, struct sa_follow *f)
{
    set_ready(f, false);
    DL_DELETE(s->follows, f);
    s->follow_count--;
    sa_reader_free(f->reader);
    sa_buf_deinit(&f->input);
    free(f);
}

static void on_ready(void *user)
{
    struct sa_follow *f = user;
    set_ready(f, true);
    sa_talk_pump(f->stream);
}

static void feed(struct sa_follow *f);
static void take_turn(struct sa_talk_turn *turn);

static void on_input_writable(void *user)
{
    feed(user);
}

static const struct sa_reader_events reader_events = {on_ready, on_input_writable};

static struct sa_follow *follow(struct sa_talk *s, const char *id, struct sa_execution *execution,
                                int64_t offset)
{
    struct sa_follow *f = sa_alloc(sizeof *f);
    f->turn.take = take_turn;
    f->stream = s;
    f->execution = execution;
    memcpy(f->id, id, strlen(id) + 1);
    f->reader = sa_reader_new(execution, offset, &reader_events, f);
    DL_APPEND(s->follows, f);
    s->follow_count++;
    set_ready(f, true);
    return f;
}

/* ---- items ---- */

static void say_started(struct sa_follow *f)
{
    int64_t pid = sa_execution_pid(f->execution);
    f->started_said = true;
    struct sa_json_w w = sa_talk_begin(f->stream, f->id);
    sa_json_put_string(&w, "type", "started");
    sa_json_put_string(&w, "execution", sa_execution_id(f->execution));
    if (pid)
        sa_json_put_int(&w, "pid", pid);
    sa_talk_end(f->stream, &w);
}

static void say_dropped(struct sa_follow *f, const struct sa_piece *piece)
{
    if (!piece->dropped)
        return;
    struct sa_json_w w = sa_talk_begin(f->stream, f->id);
    sa_json_put_string(&w, "type", "overflow");
    sa_json_put_int(&w, "droppedBytes", piece->dropped);
    sa_talk_end(f->stream, &w);
}

static void say_piece(struct sa_follow *f, const struct sa_piece *piece)
{
    say_dropped(f, piece);
    struct sa_json_w w = sa_talk_begin(f->stream, f->id);
    sa_piece_print(piece, &w);
    sa_talk_end(f->stream, &w);
}

static void say_end(struct sa_follow *f, const struct sa_piece *piece)
{
    const struct sa_exec_result *result = sa_execution_result(f->execution);
    say_dropped(f, piece);
    if (result->error) {
        struct sa_json_w e = sa_talk_begin(f->stream, f->id);
        sa_json_put_string(&e, "type", "error");
        sa_exec_error_print(result->error, &e);
        sa_talk_end(f->stream, &e);
    }
    struct sa_json_w w = sa_talk_begin(f->stream, f->id);
    sa_json_put_string(&w, "type", "exited");
    sa_json_put_string(&w, "execution", sa_execution_id(f->execution));
    sa_exec_result_print(result, &w);
    sa_talk_end(f->stream, &w);
}

static void take_turn(struct sa_talk_turn *turn)
{
    struct sa_follow *f = sa_container_of(turn, struct sa_follow, turn);
    struct sa_talk *s = f->stream;
    struct sa_piece piece;
    if (!f->started_said && sa_execution_is_started(f->execution)) {
        say_started(f);
        if (f->only_start)
            sa_follow_free(s, f);
        else
            set_ready(f, true);
        return;
    }
    switch (sa_reader_next(f->reader, SA_TALK_PIECE_MAX, &piece)) {
    case SA_READ_PIECE:
        say_piece(f, &piece);
        set_ready(f, true); /* behind the others */
        break;
    case SA_READ_WAIT:
        break; /* on_ready() comes */
    case SA_READ_END:
        say_end(f, &piece);
        sa_follow_free(s, f);
        break;
    }
}

/* ---- execute and resume ---- */

static int check_new(const struct sa_talk *s, struct sa_talk_message *m, struct sa_error *err)
{
    if (!m->id || !m->id[0])
        return sa_error_at(err, SA_EINVALID, "id",
                           "id: choose one, so that what comes can be told "
                           "apart");
    if (sa_talk_watch_find(s, m->id))
        return sa_error_at(err, SA_ECONFLICT, "id", "id: a folder is watched under it");
    if (s->follow_count >= SA_TALK_FOLLOWS_MAX)
        return sa_error_set(err, SA_EQUOTA,
                            "%d executions are followed over this connection already: open another",
                            SA_TALK_FOLLOWS_MAX);
    return 0;
}

struct start {
    const char *id;
    struct sa_execute execute;
};

static int start(struct sa_talk *s, void *user, struct sa_error *err)
{
    const struct start *start = user;
    struct sa_sandbox *sandbox = sa_talk_sandbox(s, err);
    struct sa_execution *execution =
        sandbox ? sa_execution_start(s->app->executions, sandbox, &start->execute,
                                     SA_EXECUTION_STREAM_MAX, err)
                : NULL;
    if (!execution)
        return -1;
    sa_execution_record_first(execution);
    struct sa_follow *f = follow(s, start->id, execution, 0);
    f->only_start = start->execute.background;
    remember_name(f);
    return 0;
}

int sa_talk_execute(struct sa_talk *s, struct sa_talk_message *m, struct sa_error *err)
{
    struct start *wanted = sa_arena_alloc(m->arena, sizeof *wanted);
    wanted->id = m->id;
    if (check_new(s, m, err) < 0)
        return -1;
    if (sa_follow_find(s, m->id))
        return sa_error_at(err, SA_ECONFLICT, "id", "id: an execution with it is still followed");
    struct sa_sandbox *sandbox = sa_talk_sandbox(s, err);
    if (!sandbox || sa_execute_decode_members(m->root, m->arena, &wanted->execute, err) < 0)
        return -1;
    sa_talk_ask(s, m,
                sa_gate_execute(&(struct sa_gate_who){s->app, &s->principal, sandbox}, NULL,
                                &wanted->execute),
                start, wanted);
    return 0;
}

/* By `execution`, or by `id`: what is followed here, an execution's own id, or the one that the
 * same key gave an execution before, over whatever connection. */
static struct sa_execution *find_execution(struct sa_talk *s, const struct sa_talk_message *m,
                                           const char *named, struct sa_error *err)
{
    struct sa_follow *here = named ? NULL : sa_follow_find(s, m->id);
    const char *id = named                       ? named
                     : here                      ? sa_execution_id(here->execution)
                     : !strncmp(m->id, "ex-", 3) ? m->id
                                                 : recall_name(s, m->id);
    struct sa_execution *execution =
        id ? sa_execution_find(s->app->executions, s->sandbox_id, id) : NULL;
    if (!execution)
        sa_error_at(err, SA_ENOTFOUND, named ? "execution" : "id",
                    "no execution \"%.64s\" whose output is kept", id ? id : m->id);
    return execution;
}

int sa_talk_resume(struct sa_talk *s, struct sa_talk_message *m, struct sa_error *err)
{
    int64_t offset = 0;
    const char *named = NULL;
    if (check_new(s, m, err) < 0 ||
        sa_json_opt_string(m->root, "execution", SA_ID_BYTES - 1, &named, NULL, err) < 0 ||
        sa_json_opt_int(m->root, "offset", 0, INT64_MAX, &offset, NULL, err) < 0 ||
        sa_json_finish(m->root, err) < 0)
        return -1;
    struct sa_execution *execution = find_execution(s, m, named, err);
    if (!execution)
        return -1;
    struct sa_follow *before = sa_follow_find(s, m->id);
    struct sa_follow *f = follow(s, m->id, execution, offset);
    if (before && before->execution == execution) { /* its input is still to be taken */
        f->input = before->input;
        f->input_end_due = before->input_end_due;
        before->input = (struct sa_buf)SA_BUF_INIT;
    }
    if (before)
        sa_follow_free(s, before);
    return 0;
}

/* ---- the other messages about an execution ---- */

static struct sa_follow *wanted(struct sa_talk *s, const struct sa_talk_message *m,
                                struct sa_error *err)
{
    struct sa_follow *f = m->id ? sa_follow_find(s, m->id) : NULL;
    if (!f)
        sa_error_at(err, SA_ENOTFOUND, "id",
                    "id: no execution is followed under it; `resume` follows one");
    return f;
}

/* Give what waits. */
static void feed(struct sa_follow *f)
{
    struct sa_error error;
    if (f->input.length) {
        ssize_t n = sa_execution_input(f->execution, f->input.data, f->input.length, &error);
        if (n < 0) { /* it was closed meanwhile */
            sa_buf_deinit(&f->input);
            f->input_end_due = false;
            sa_talk_error(f->stream, f->id, &error);
            return;
        }
        if ((size_t)n < f->input.length) {
            sa_buf_consume(&f->input, (size_t)n);
            return; /* on_input_writable() comes */
        }
        sa_buf_deinit(&f->input);
    }
    if (f->input_end_due && sa_execution_input_end(f->execution, &error) < 0)
        sa_talk_error(f->stream, f->id, &error);
    f->input_end_due = false;
}

static int take_input(struct sa_follow *f, const char *data, size_t length, struct sa_error *err)
{
    size_t taken = 0;
    if (f->input_end_due)
        return sa_error_set(err, SA_ECONFLICT, "stdin was closed by this client");
    if (f->input.length + length > SA_TALK_INPUT_MAX && f->input.length)
        return sa_error_set(err, SA_ERATELIMITED,
                            "the program does not read its stdin: %zu bytes wait already, and "
                            "nothing of this message was taken",
                            f->input.length);
    if (!f->input.length) {
        ssize_t n = sa_execution_input(f->execution, data, length, err);
        if (n < 0)
            return -1;
        taken = (size_t)n;
    }
    if (taken < length)
        sa_buf_add(&f->input, data + taken, length - taken);
    return 0;
}

int sa_talk_stdin(struct sa_talk *s, struct sa_talk_message *m, struct sa_error *err)
{
    const char *text = NULL, *encoding = NULL;
    bool eof = false;
    sa_autobuf bytes = SA_BUF_INIT;
    struct sa_follow *f = wanted(s, m, err);
    if (!f || sa_json_opt_string(m->root, "data", SA_EXECUTE_STDIN_MAX, &text, NULL, err) < 0 ||
        sa_json_opt_string(m->root, "encoding", 16, &encoding, NULL, err) < 0 ||
        sa_json_opt_bool(m->root, "eof", &eof, NULL, err) < 0 || sa_json_finish(m->root, err) < 0)
        return -1;
    if (encoding && strcmp(encoding, "base64") != 0)
        return sa_json_fail(m->root, "encoding", err, "expected \"base64\", or none for text");
    if (text && encoding && sa_base64_decode(text, strlen(text), &bytes, err) < 0)
        return sa_error_wrap(err, "data");
    if (text && !encoding)
        sa_buf_adds(&bytes, text);
    if (bytes.length && take_input(f, bytes.data, bytes.length, err) < 0)
        return -1;
    if (eof && f->input.length)
        f->input_end_due = true;
    else if (eof)
        return sa_execution_input_end(f->execution, err);
    return 0;
}

int sa_talk_signal(struct sa_talk *s, struct sa_talk_message *m, struct sa_error *err)
{
    int64_t number = 0;
    const char *name;
    struct sa_follow *f = wanted(s, m, err);
    if (!f)
        return -1;
    if (sa_json_type(m->root, "signal") == SA_JSON_NUMBER) {
        if (sa_json_get_int(m->root, "signal", 1, 64, &number, err) < 0)
            return -1;
    } else if (sa_json_get_string(m->root, "signal", 16, &name, err) < 0) {
        return -1;
    } else if (!(number = sa_signal_number(name))) {
        return sa_json_fail(m->root, "signal", err,
                            "\"%s\" is no signal; use a name such as SIGINT", name);
    }
    if (sa_json_finish(m->root, err) < 0)
        return -1;
    return sa_execution_signal(f->execution, (int)number, err);
}

int sa_talk_cancel(struct sa_talk *s, struct sa_talk_message *m, struct sa_error *err)
{
    struct sa_follow *f = wanted(s, m, err);
    if (!f || sa_json_finish(m->root, err) < 0)
        return -1;
    sa_execution_cancel(f->execution);
    return 0;
}

int sa_talk_resize(struct sa_talk *s, struct sa_talk_message *m, struct sa_error *err)
{
    int64_t rows, cols;
    struct sa_follow *f = wanted(s, m, err);
    if (!f || sa_json_get_int(m->root, "rows", 1, SA_EXECUTE_TTY_MAX, &rows, err) < 0 ||
        sa_json_get_int(m->root, "cols", 1, SA_EXECUTE_TTY_MAX, &cols, err) < 0 ||
        sa_json_finish(m->root, err) < 0)
        return -1;
    return sa_execution_resize(f->execution, (int)rows, (int)cols, err);
}
