/* `secureagent policy trace`: decisions, as they are taken. */
#include "policy.h"
#include "sandboxes.h"

#include "base/cleanup.h"
#include "json/write.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1024 * 1024, ITEMS_MAX = 10000 };

/* clang-format off */
static const struct sa_option options[] = {
    {.name = "follow", .letter = 'f', .kind = SA_OPTION_BOOL, .help = "go on until Ctrl-C"},
    {.name = "point", .kind = SA_OPTION_STRING, .value = "POINT",
     .help = "only of this decision point"},
    {.name = "verdict", .kind = SA_OPTION_STRING, .value = "VERDICT",
     .help = "only with this verdict, e.g. deny"},
    {.name = "rule", .kind = SA_OPTION_STRING, .value = "RULE",
     .help = "only those that this rule decided"},
    {.name = "sandbox", .kind = SA_OPTION_STRING, .value = "SANDBOX",
     .help = "only about this sandbox"},
    {.name = "limit", .letter = 'n', .kind = SA_OPTION_INT, .fallback = "50", .value = "N",
     .low = 1, .high = 500, .help = "most of the past that are shown"},
    {.name = "output", .letter = 'o', .kind = SA_OPTION_STRING, .fallback = "text",
     .value = "FORMAT", .help = "text, or json: an object a line"},
    SA_CLIENT_OPTIONS,
};
/* clang-format on */

static const struct sa_usage usage = {
    .command = "policy trace",
    .usage = "secureagent policy trace [options]",
    .about = "Prints the decisions of late, or with --follow those that are taken from now on: "
             "when, at which point,\nabout what, the verdict and the rule behind it. `policy "
             "explain --decision ID` tells more of one.",
    .examples = "  secureagent policy trace -f --verdict deny\n"
                "  secureagent policy trace --point execute --rule deny-miners\n"
                "  secureagent policy trace -n 500 -o json | jq .micros\n",
};

struct trace {
    bool json;
    struct sa_buf line; /* of the stream, not yet whole */
    struct sa_error error;
    bool failed;
};

/* ---- one decision ---- */

static const char *text_of(struct sa_json_obj *obj, const char *key)
{
    const char *text = "";
    sa_json_opt_string(obj, key, 8192, &text, NULL, NULL);
    return text;
}

/* What has an error was decided by the default.
 * "12:30:05 dec-... execute sb-... deny by deny-miners/miner: mining is not allowed here" */
static void print_decision(struct sa_json_obj *item)
{
    const char *about = text_of(item, "sandbox"), *error = text_of(item, "error"),
               *rule = text_of(item, "rule");
    const char *at = text_of(item, "at"), *reason = text_of(item, "reason");
    size_t date = strcspn(at, "T"); /* today's, most likely */
    sa_autofree char *line =
        sa_printf("%.8s  %s  %-10s %s  %s%s%s%s%s", at + date + (at[date] == 'T'),
                  text_of(item, "id"), text_of(item, "point"), *about ? about : "-",
                  *error ? "default" : text_of(item, "verdict"), *rule && !*error ? " by " : "",
                  *error ? "" : rule, *reason || *error ? ": " : "", *error ? error : reason);
    sa_make_printable(line);
    puts(line);
}

static int take_line(struct trace *trace, const char *line, size_t length)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_obj item;
    struct sa_json_doc *doc = sa_json_parse(line, length, NULL, &trace->error);
    int rc = doc ? sa_json_root(doc, arena, &item, &trace->error) : -1;
    if (rc == 0 && trace->json) {
        fwrite(line, 1, length, stdout);
        putchar('\n');
    } else if (rc == 0 && *text_of(&item, "id")) {
        print_decision(&item);
    }
    sa_json_free(doc);
    sa_arena_free(arena);
    fflush(stdout);
    return rc;
}

/* ---- the stream ---- */

static int on_data(void *user, const char *data, size_t length)
{
    struct trace *trace = user;
    const char *newline;
    while ((newline = memchr(data, '\n', length))) {
        size_t piece = (size_t)(newline - data);
        sa_buf_add(&trace->line, data, piece);
        if (trace->line.length && take_line(trace, trace->line.data, trace->line.length) < 0) {
            trace->failed = true;
            return -1;
        }
        trace->line.length = 0;
        data += piece + 1;
        length -= piece + 1;
    }
    sa_buf_add(&trace->line, data, length);
    return trace->line.length > LINE_MAX_BYTES || ferror(stdout) ? -1 : 0;
}

static int follow(struct sa_client *client, const char *path, struct trace *trace,
                  struct sa_error *err)
{
    struct sa_client_request request = {.method = "GET",
                                        .path = path,
                                        .accept = "application/x-ndjson",
                                        .sink = on_data,
                                        .user = trace};
    int rc = sa_client_send(client, &request, err);
    if (rc < 0 && trace->failed)
        *err = trace->error;
    return rc;
}

static int print_past(struct sa_client *client, const char *path, struct trace *trace,
                      struct sa_error *err)
{
    sa_autobuf answer = SA_BUF_INIT;
    struct sa_json_obj root;
    struct sa_json_arr items;
    if (sa_policy_get(client, path, &answer, err) < 0)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *doc = sa_client_json(&answer, arena, &root, err);
    int rc = doc ? sa_json_get_arr(&root, "items", ITEMS_MAX, &items, err) : -1;
    for (size_t i = 0; rc == 0 && i < items.count; i++) {
        const char *text;
        size_t length;
        sa_json_arr_raw(&items, i, &text, &length);
        rc = take_line(trace, text, length);
        if (rc < 0)
            *err = trace->error;
    }
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

static int build_path(struct sa_client *client, const struct sa_config *config, bool follow,
                      struct sa_buf *out, struct sa_error *err)
{
    char id[SA_ID_BYTES];
    const char *sandbox = sa_config_string(config, "sandbox");
    static const char *const filters[] = {"point", "verdict", "rule"};
    sa_buf_printf(out, "/api/v1/policies/decisions?limit=%lld%s",
                  (long long)sa_config_int(config, "limit"), follow ? "&follow=true" : "");
    for (size_t i = 0; i < SA_COUNT(filters); i++) {
        const char *value = sa_config_string(config, filters[i]);
        if (!value)
            continue;
        sa_buf_printf(out, "&%s=", filters[i]);
        sa_url_escape(out, value, false);
    }
    if (sandbox && sa_sandbox_resolve(client, sandbox, id, err) < 0)
        return -1;
    if (sandbox)
        sa_buf_printf(out, "&sandbox=%s", id);
    return 0;
}

static int trace(struct sa_invocation *in, struct sa_error *err)
{
    const char *output = sa_config_string(in->config, "output");
    bool following = sa_config_bool(in->config, "follow");
    struct trace state = {.json = strcmp(output, "json") == 0};
    sa_autobuf path = SA_BUF_INIT;
    if (!state.json && strcmp(output, "text") != 0)
        return sa_error_at(err, SA_EINVALID, "output", "--output: \"%.32s\": text or json", output);
    if (build_path(in->client, in->config, following, &path, err) < 0)
        return -1;
    signal(SIGPIPE, SIG_IGN);
    int rc = following ? follow(in->client, path.data, &state, err)
                       : print_past(in->client, path.data, &state, err);
    sa_buf_deinit(&state.line);
    return rc;
}

const struct sa_command sa_command_policy_trace = {.name = "trace",
                                                   .summary = "decisions as they are taken",
                                                   .usage = &usage,
                                                   .body = trace,
                                                   .options = options,
                                                   .option_count = SA_COUNT(options)};
