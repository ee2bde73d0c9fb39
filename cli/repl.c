/*
 * `secureagent repl`: an interactive interpreter in a sandbox: a context, lines read with editing
 * and history (libedit), each entry executed and its output shown as it comes.
 */
#include "sandboxes.h"
#include "session.h"

#include "base/cleanup.h"
#include "json/write.h"

#include <editline/readline.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 24 * 3600 * 1000, SANDBOX_TIMEOUT_S = 86400 };

/* clang-format off */
static const struct sa_option options[] = {
    {.name = "language", .letter = 'l', .kind = SA_OPTION_STRING, .fallback = "python",
     .value = "NAME", .help = "python, node or bash"},
    {.name = "context", .letter = 'c', .kind = SA_OPTION_STRING, .value = "ID",
     .help = "go on in this context instead of a new one"},
    SA_CLIENT_OPTIONS,
};
/* clang-format on */

static const struct sa_usage usage = {
    .command = "repl",
    .usage = "secureagent repl [SANDBOX] [options]",
    .about = "An interactive interpreter in a sandbox: what was defined stays. Without SANDBOX a "
             "fresh one is\nmade, and removed at the end (Ctrl-D). Ctrl-C interrupts what runs.",
    .examples = "  secureagent repl\n"
                "  secureagent repl web --language node\n",
};

struct repl {
    struct sa_invocation *in;
    char sandbox[SA_ID_BYTES], context[64];
    const char *language;
    bool own_sandbox, own_context;
    struct sa_buf code; /* of the entry so far */
};

/* ---- requests ---- */

/* POST a body and keep the `id` of the answer. */
static int make(struct repl *r, const char *path, const struct sa_buf *body, char *id, size_t bytes,
                struct sa_error *err)
{
    sa_autobuf answer = SA_BUF_INIT;
    struct sa_json_obj root;
    const char *text;
    struct sa_client_request request = {.method = "POST",
                                        .path = path,
                                        .body = body->data,
                                        .body_length = body->length,
                                        .answer = &answer};
    if (sa_client_send(r->in->client, &request, err) < 0)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *doc = sa_client_json(&answer, arena, &root, err);
    int rc = doc ? sa_json_get_string(&root, "id", bytes - 1, &text, err) : -1;
    if (rc == 0)
        snprintf(id, bytes, "%s", text);
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

static int make_sandbox(struct repl *r, struct sa_error *err)
{
    sa_autobuf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "runtime", r->language);
    sa_json_put_int(&w, "timeout", SANDBOX_TIMEOUT_S);
    sa_json_w_end_object(&w);
    r->own_sandbox = true;
    return make(r, "/api/v1/sandboxes", &body, r->sandbox, sizeof r->sandbox, err);
}

static int make_context(struct repl *r, struct sa_error *err)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_autofree char *path = sa_printf("/api/v1/sandboxes/%s/contexts", r->sandbox);
    struct sa_json_w w = sa_json_w_start(&body);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "language", r->language);
    sa_json_w_end_object(&w);
    r->own_context = true;
    return make(r, path, &body, r->context, sizeof r->context, err);
}

static void remove_made(struct repl *r)
{
    struct sa_error error;
    sa_autofree char *path =
        r->own_sandbox ? sa_printf("/api/v1/sandboxes/%s", r->sandbox)
                       : sa_printf("/api/v1/sandboxes/%s/contexts/%s", r->sandbox, r->context);
    struct sa_client_request request = {.method = "DELETE", .path = path};
    if ((r->own_sandbox && r->sandbox[0]) || (r->own_context && r->context[0]))
        if (sa_client_send(r->in->client, &request, &error) < 0 && error.code != SA_ENOTFOUND)
            fprintf(stderr, "secureagent repl: cleaning up: %s\n", error.message);
}

/* ---- an entry ---- */

static void describe(void *user, struct sa_json_w *w)
{
    const struct repl *r = user;
    sa_json_put_string(w, "context", r->context);
    sa_json_put_string(w, "code", r->code.data);
    sa_json_put_bool(w, "stdin", true);
    sa_json_put_int(w, "timeoutMs", TIMEOUT_MS);
}

/* What code asks for comes from where entries come from. */
static char *answer(void *user, const char *prompt)
{
    (void)user;
    (void)prompt; /* printed by the code itself */
    return readline("");
}

static int execute(struct repl *r, struct sa_error *err)
{
    const struct sa_session_options session = {.client = r->in->client,
                                               .command = usage.command,
                                               .sandbox_id = r->sandbox,
                                               .describe = describe,
                                               .answer = answer,
                                               .user = r,
                                               .show_results = true,
                                               .timeout_s = TIMEOUT_MS / 1000.0};
    int status = sa_session_run(&session, err);
    signal(SIGINT, SIG_IGN); /* at the prompt; the session had it for itself */
    return status < 0 ? -1 : 0;
}

/* Brackets that are open at the end of the text, strings and comments aside. */
static int open_brackets(const char *text)
{
    int open = 0;
    for (const char *c = text; *c; c++) {
        if (*c == '\'' || *c == '"' || *c == '`') {
            char quote = *c++;
            while (*c && *c != quote)
                c += *c == '\\' && c[1] ? 2 : 1;
            if (!*c)
                return quote == '`' ? open + 1 : open;
        } else if (*c == '#' || *c == '\n') {
            continue;
        } else if (strchr("([{", *c)) {
            open++;
        } else if (strchr(")]}", *c)) {
            open--;
        }
    }
    return open;
}

/* Does a line of it end in a colon that is in no bracket? */
static bool begins_block(const char *text)
{
    for (const char *c = text; (c = strchr(c, '\n')); c++) {
        sa_autofree char *before = sa_strndup(text, (size_t)(c - text));
        if (c > text && c[-1] == ':' && open_brackets(before) == 0)
            return true;
    }
    return false;
}

/* Does more belong to the entry? A block (it ends with an empty line), an open bracket, or a
 * backslash. */
static bool unfinished(const struct repl *r, const char *line)
{
    const char *text = r->code.data;
    size_t length = strlen(line);
    if (length && line[length - 1] == '\\')
        return true;
    if (open_brackets(text) > 0)
        return true;
    if (strcmp(r->language, "python") != 0)
        return false;
    return length > 0 && begins_block(text);
}

static int read_entry(struct repl *r)
{
    r->code.length = 0;
    for (bool more = false;; more = true) {
        sa_autofree char *prompt = sa_printf(more ? "... " : "%s> ", r->language);
        sa_autofree char *line = readline(prompt);
        if (!line)
            return r->code.length ? 0 : -1;
        sa_buf_printf(&r->code, "%s\n", line);
        if (!unfinished(r, line))
            break;
    }
    if (r->code.length > 1)
        add_history(r->code.data);
    return 0;
}

static int repl(struct sa_invocation *in, struct sa_error *err)
{
    struct repl r = {.in = in, .language = sa_config_string(in->config, "language")};
    const char *context = sa_config_string(in->config, "context");
    int rc = in->arg_count ? sa_sandbox_resolve(in->client, in->args[0], r.sandbox, err)
                           : make_sandbox(&r, err);
    if (rc == 0 && context)
        snprintf(r.context, sizeof r.context, "%s", context);
    else if (rc == 0)
        rc = make_context(&r, err);
    if (rc == 0 && isatty(0))
        fprintf(stderr, "%s in %s; Ctrl-D ends\n", r.language, r.sandbox);
    signal(SIGINT, SIG_IGN);
    while (rc == 0 && read_entry(&r) == 0)
        rc = execute(&r, err);
    if (rc == 0 && isatty(0))
        putchar('\n');
    remove_made(&r);
    sa_buf_deinit(&r.code);
    return rc;
}

const struct sa_command sa_command_repl = {.name = "repl",
                                           .summary = "an interactive interpreter in a sandbox",
                                           .usage = &usage,
                                           .most = 1,
                                           .body = repl,
                                           .options = options,
                                           .option_count = SA_COUNT(options),
                                           .takes_sandbox = true};
