#include "run_stream.h"

#include "show.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "json/base64.h"
#include "json/json.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1024 * 1024, SIGNALS = 65 };

void sa_run_stream_deinit(struct sa_run_stream *stream)
{
    sa_buf_deinit(&stream->line);
}

/*
 * A program may write NUL, which core/json takes from nobody, since C strings end there. So that
 * escape becomes two characters, U+0001 '0', and U+0001 itself U+0001 '1', before the line is
 * parsed; unpack() turns them back.
 */
static void pack(const char *line, size_t length, struct sa_buf *out)
{
    for (size_t i = 0; i < length; i++) {
        bool escape = line[i] == '\\' && i + 1 < length;
        if (escape && length - i >= 6 && memcmp(line + i, "\\u000", 5) == 0 &&
            (line[i + 5] == '0' || line[i + 5] == '1')) {
            sa_buf_printf(out, "\\u0001%c", line[i + 5]);
            i += 5;
        } else if (escape) {
            sa_buf_add(out, line + i++, 2);
        } else {
            sa_buf_addc(out, line[i]);
        }
    }
}

static void unpack(const char *text, struct sa_buf *out)
{
    for (; *text; text++)
        if (*text == 1 && text[1])
            sa_buf_addc(out, *++text == '0' ? '\0' : '\1');
        else
            sa_buf_addc(out, *text);
}

static const char *command_of(const struct sa_run_stream *s)
{
    return s->command ? s->command : "run";
}

static int write_output(struct sa_run_stream *s, int fd, const void *data, size_t length)
{
    if (s->pipe_closed || sa_write_all(fd, data, length) == 0)
        return 0; /* after it was told once, what comes is dropped */
    s->pipe_closed = errno == EPIPE;
    return sa_error_sys(&s->error, SA_EUNAVAILABLE, errno, "writing the output");
}

static int take_output(struct sa_run_stream *s, struct sa_json_obj *item, int fd, bool packed)
{
    static const char *const encodings[] = {"base64", NULL};
    sa_autobuf bytes = SA_BUF_INIT;
    const char *data;
    int64_t offset;
    int encoding = -1;
    if (sa_json_get_int(item, "offset", 0, INT64_MAX, &offset, &s->error) < 0 ||
        sa_json_get_string(item, "data", LINE_MAX_BYTES, &data, &s->error) < 0 ||
        sa_json_opt_enum(item, "encoding", encodings, &encoding, NULL, &s->error) < 0)
        return -1;
    if (encoding < 0)
        packed ? unpack(data, &bytes) : sa_buf_adds(&bytes, data);
    else if (sa_base64_decode(data, strlen(data), &bytes, &s->error) < 0)
        return -1;
    s->next_offset = offset + (int64_t)bytes.length;
    return write_output(s, fd, bytes.data ? bytes.data : "", bytes.length);
}

/* "SIGKILL" or "SIG<number>" to its number; 0 when it is none. */
static int signal_number(const char *name)
{
    char *end;
    if (strncmp(name, "SIG", 3) != 0)
        return 0;
    long value = strtol(name + 3, &end, 10);
    if (end != name + 3)
        return value > 0 && value < SIGNALS ? (int)value : 0;
    for (int number = 1; number < SIGNALS; number++) {
        const char *abbreviation = sigabbrev_np(number);
        if (abbreviation && strcmp(abbreviation, name + 3) == 0)
            return number;
    }
    return 0;
}

static int take_outcome(struct sa_run_stream *s, struct sa_json_obj *item)
{
    struct sa_json_obj cut, error;
    const char *status, *signal = "", *why = "", *name = "";
    bool has_cut, has_error;
    int64_t code = -1;
    if (sa_json_get_string(item, "status", sizeof s->status - 1, &status, &s->error) < 0 ||
        sa_json_opt_int(item, "exitCode", 0, 255, &code, NULL, &s->error) < 0 ||
        sa_json_opt_string(item, "signal", 32, &signal, NULL, &s->error) < 0 ||
        sa_json_opt_obj(item, "truncated", &cut, &has_cut, &s->error) < 0 ||
        sa_json_opt_obj(item, "error", &error, &has_error, &s->error) < 0)
        return -1;
    if (has_cut && (sa_json_opt_bool(&cut, "stdout", &s->cut[0], NULL, &s->error) < 0 ||
                    sa_json_opt_bool(&cut, "stderr", &s->cut[1], NULL, &s->error) < 0))
        return -1;
    if (has_error)
        sa_json_opt_string(&error, "name", 256, &name, NULL, NULL);
    if (has_error)
        sa_json_opt_string(&error, "value", sizeof s->message - 1, &why, NULL, NULL);
    s->not_found = strcmp(name, "not_found") == 0;
    snprintf(s->status, sizeof s->status, "%s", status);
    snprintf(s->message, sizeof s->message, "%s", why);
    sa_make_printable(s->message);
    s->exit_code = (int)code;
    s->signal = signal_number(signal);
    s->ended = true;
    return 0;
}

static int take_started(struct sa_run_stream *s, struct sa_json_obj *item)
{
    const char *id;
    bool named;
    /* Over a WebSocket `id` is the client's own. */
    if (sa_json_opt_string(item, "execution", sizeof s->id - 1, &id, &named, &s->error) < 0 ||
        (!named && sa_json_get_string(item, "id", sizeof s->id - 1, &id, &s->error) < 0))
        return -1;
    snprintf(s->id, sizeof s->id, "%s", id);
    s->last = SA_RUN_STREAM_STARTED;
    return 0;
}

/* The text of what an expression evaluated to, as an interactive interpreter shows it. */
static int take_result(struct sa_run_stream *s, struct sa_json_obj *item)
{
    struct sa_json_obj bundle;
    const char *text = "";
    if (sa_json_get_int(item, "offset", 0, INT64_MAX, &s->next_offset, &s->error) < 0 ||
        sa_json_get_obj(item, "data", &bundle, &s->error) < 0)
        return -1;
    s->next_offset++;
    sa_json_opt_string(&bundle, "text/plain", LINE_MAX_BYTES, &text, NULL, NULL);
    if (!s->show_results || !*text)
        return 0;
    return write_output(s, 1, text, strlen(text)) < 0 ? -1 : write_output(s, 1, "\n", 1);
}

static enum sa_code code_of(const char *name)
{
    static const enum sa_code codes[] = {
        SA_EUNAUTHORIZED, SA_EFORBIDDEN, SA_ENOTFOUND, SA_ECONFLICT,    SA_ERATELIMITED, SA_EQUOTA,
        SA_EPOLICY,       SA_ETOOLARGE,  SA_ETIMEOUT,  SA_EUNAVAILABLE, SA_EINTERNAL};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(name, sa_code_name(codes[i])) == 0)
            return codes[i];
    return SA_EINVALID;
}

/* An error item is the program's, or (with a message) the server's refusal of what we said. */
static int take_error(struct sa_run_stream *s, struct sa_json_obj *item)
{
    const char *message, *code = "", *traceback = "";
    bool placed;
    if (sa_json_opt_string(item, "message", 4096, &message, &s->refused, &s->error) < 0)
        return -1;
    if (s->refused) {
        sa_json_opt_string(item, "code", 64, &code, NULL, NULL);
        return sa_error_set(&s->error, code_of(code), "%s", message);
    }
    sa_json_opt_int(item, "offset", 0, INT64_MAX - 1, &s->next_offset, &placed, NULL);
    s->next_offset += placed;
    sa_json_opt_string(item, "traceback", LINE_MAX_BYTES, &traceback, NULL, NULL);
    if (!placed || !s->show_results || !*traceback)
        return 0;
    return write_output(s, 2, traceback, strlen(traceback)) < 0 ? -1 : write_output(s, 2, "\n", 1);
}

/* Code waits for a line of input. */
static int take_prompt(struct sa_run_stream *s, struct sa_json_obj *item)
{
    const char *prompt = "";
    bool placed;
    sa_json_opt_int(item, "offset", 0, INT64_MAX - 1, &s->next_offset, &placed, NULL);
    s->next_offset += placed;
    sa_json_opt_string(item, "prompt", LINE_MAX_BYTES, &prompt, NULL, NULL);
    snprintf(s->prompt, sizeof s->prompt, "%s", prompt);
    s->last = SA_RUN_STREAM_PROMPT;
    return 0;
}

static int take_overflow(struct sa_run_stream *s, struct sa_json_obj *item)
{
    int64_t dropped = 0;
    sa_json_opt_int(item, "droppedBytes", 0, INT64_MAX, &dropped, NULL, NULL);
    fprintf(stderr, "secureagent %s: %lld bytes of output are no longer kept\n", command_of(s),
            (long long)dropped);
    return 0;
}

static int take_item(struct sa_run_stream *s, struct sa_json_obj *item, bool packed)
{
    const char *type;
    s->last = SA_RUN_STREAM_OTHER;
    s->refused = false;
    if (sa_json_get_string(item, "type", 32, &type, &s->error) < 0)
        return -1;
    if (strcmp(type, "stdout") == 0 || strcmp(type, "stderr") == 0)
        return take_output(s, item, type[3] == 'o' ? 1 : 2, packed);
    if (strcmp(type, "started") == 0)
        return take_started(s, item);
    if (strcmp(type, "result") == 0)
        return take_result(s, item);
    if (strcmp(type, "error") == 0)
        return take_error(s, item);
    if (strcmp(type, "input") == 0)
        return take_prompt(s, item);
    if (strcmp(type, "pong") == 0)
        s->last = SA_RUN_STREAM_PONG;
    if (strcmp(type, "overflow") == 0)
        return take_overflow(s, item);
    if (strcmp(type, "exited") == 0)
        return take_outcome(s, item);
    return 0; /* what is for others, and what later servers may say */
}

int sa_run_stream_item(struct sa_run_stream *s, const char *line, size_t length)
{
    struct sa_json_obj root;
    sa_autobuf copy = SA_BUF_INIT;
    static const char control[] = "\\u000";
    bool packed = memmem(line, length, control, sizeof control - 1) != NULL;
    if (!length)
        return 0;
    if (packed)
        pack(line, length, &copy);
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *doc =
        sa_json_parse(packed ? copy.data : line, packed ? copy.length : length,
                      &(struct sa_json_limits){.max_bytes = 2 * LINE_MAX_BYTES}, &s->error);
    int rc =
        doc && sa_json_root(doc, arena, &root, &s->error) == 0 ? take_item(s, &root, packed) : -1;
    if (rc < 0 && !s->refused && !s->pipe_closed)
        sa_error_wrap(&s->error, "the server's stream");
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

int sa_run_stream_feed(void *stream, const char *data, size_t length)
{
    struct sa_run_stream *s = stream;
    size_t used = 0;
    sa_buf_add(&s->line, data, length);
    for (;;) {
        char *start = s->line.data + used;
        char *newline = memchr(start + s->scanned, '\n', s->line.length - used - s->scanned);
        if (!newline)
            break;
        s->scanned = 0;
        used += (size_t)(newline - start) + 1;
        if (sa_run_stream_item(s, start, (size_t)(newline - start)) < 0)
            return -1;
    }
    sa_buf_consume(&s->line, used);
    s->scanned = s->line.length;
    if (s->line.length > LINE_MAX_BYTES)
        return sa_error_set(&s->error, SA_EPROTOCOL, "the server's stream: a line is too long");
    return 0;
}

static void tell_cuts(const struct sa_run_stream *s)
{
    static const char *const names[] = {"output", "error output"};
    for (size_t i = 0; i < 2; i++)
        if (s->cut[i])
            fprintf(stderr,
                    "secureagent %s: the program's %s was longer than the server passes "
                    "on; the rest is missing\n",
                    command_of(s), names[i]);
}

int sa_run_stream_exit_status(const struct sa_run_stream *s, double timeout_s)
{
    tell_cuts(s);
    if (strcmp(s->status, "exited") == 0 && s->exit_code >= 0)
        return s->exit_code;
    if (strcmp(s->status, "timeout") == 0) {
        fprintf(stderr, "secureagent %s: stopped: it ran longer than %g s (--timeout)\n",
                command_of(s), timeout_s);
        return 124;
    }
    if (strcmp(s->status, "oom") == 0) {
        fprintf(stderr,
                "secureagent %s: killed: it needed more memory than it may have (--memory)\n",
                command_of(s));
        return 137;
    }
    if (strcmp(s->status, "signaled") == 0 && s->signal) {
        fprintf(stderr, "secureagent %s: ended by signal %d (%s)\n", command_of(s), s->signal,
                strsignal(s->signal));
        return 128 + s->signal;
    }
    fprintf(stderr, "secureagent %s: %s%s%s\n", command_of(s), s->status, s->message[0] ? ": " : "",
            s->message);
    if (s->not_found)
        return 127;
    return strcmp(s->status, "canceled") == 0 ? 128 + SIGINT : sa_code_exit_status(SA_EINTERNAL);
}
