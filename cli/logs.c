/* `secureagent logs`: the output of an execution, kept or as it comes. */
#include "sandboxes.h"
#include "session.h"

#include "base/cleanup.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct sa_option options[] = {
    {.name = "follow", .letter = 'f', .kind = SA_OPTION_BOOL,
     .help = "go on until it ends, and exit as it does"},
    {.name = "offset", .kind = SA_OPTION_INT, .fallback = "0", .value = "N", .low = 0,
     .high = INT64_MAX, .help = "begin there in its output"},
    SA_CLIENT_OPTIONS,
};
/* clang-format on */

static const struct sa_usage usage = {
    .command = "logs",
    .usage = "secureagent logs SANDBOX [EXECUTION] [options]",
    .about =
        "Prints the output of an execution that is still kept; of the newest where none is "
        "named.\nStandard output and standard error go where they went inside. With --follow it "
        "exits as the program\ndoes: with its exit code; 128 + N when signal N ended it, 124 "
        "after its timeout. Ctrl-C ends only logs.",
    .examples = "  secureagent logs web\n"
                "  secureagent logs -f web ex-aaaaaaaaaaaaaaaaaaaa\n",
};

static int newest(struct sa_invocation *in, const char *sandbox_id, char id[64],
                  struct sa_error *err)
{
    sa_autobuf answer = SA_BUF_INIT;
    sa_autofree char *path = sa_printf("/api/v1/sandboxes/%s/executions?limit=1", sandbox_id);
    struct sa_client_request request = {.method = "GET", .path = path, .answer = &answer};
    struct sa_json_obj root, item;
    struct sa_json_arr items;
    const char *text;
    if (sa_client_send(in->client, &request, err) < 0)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *doc = sa_client_json(&answer, arena, &root, err);
    int rc = doc ? sa_json_get_arr(&root, "items", 1, &items, err) : -1;
    if (rc == 0 && items.count == 0)
        rc = sa_error_set(err, SA_ENOTFOUND, "nothing was executed in %s yet", sandbox_id);
    else if (rc == 0 && (rc = sa_json_arr_obj(&items, 0, &item, err)) == 0 &&
             (rc = sa_json_get_string(&item, "id", 63, &text, err)) == 0)
        snprintf(id, 64, "%s", text);
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

static int print_kept(struct sa_invocation *in, const char *sandbox_id, const char *id,
                      struct sa_error *err)
{
    struct sa_run_stream stream = {.exit_code = -1, .command = usage.command};
    sa_autofree char *path =
        sa_printf("/api/v1/sandboxes/%s/executions/%s/output?follow=false&offset=%lld", sandbox_id,
                  id, (long long)sa_config_int(in->config, "offset"));
    struct sa_client_request request = {.method = "GET",
                                        .path = path,
                                        .accept = "application/x-ndjson",
                                        .sink = sa_run_stream_feed,
                                        .user = &stream};
    signal(SIGPIPE, SIG_IGN);
    int rc = sa_client_send(in->client, &request, err);
    if (stream.pipe_closed)
        rc = 128 + SIGPIPE;
    else if (rc < 0 && stream.error.code)
        *err = stream.error;
    sa_run_stream_deinit(&stream);
    return rc;
}

static int logs(struct sa_invocation *in, struct sa_error *err)
{
    char sandbox_id[SA_ID_BYTES], id[64];
    if (sa_sandbox_resolve(in->client, in->args[0], sandbox_id, err) < 0)
        return -1;
    if (in->arg_count == 2)
        snprintf(id, sizeof id, "%s", in->args[1]);
    else if (newest(in, sandbox_id, id, err) < 0)
        return -1;
    if (!sa_config_bool(in->config, "follow"))
        return print_kept(in, sandbox_id, id, err);
    const struct sa_session_options session = {.client = in->client,
                                               .command = usage.command,
                                               .sandbox_id = sandbox_id,
                                               .execution = id,
                                               .offset = sa_config_int(in->config, "offset")};
    return sa_session_run(&session, err);
}

const struct sa_command sa_command_logs = {.name = "logs",
                                           .summary = "print the output of an execution",
                                           .usage = &usage,
                                           .least = 1,
                                           .most = 2,
                                           .body = logs,
                                           .options = options,
                                           .option_count = SA_COUNT(options),
                                           .takes_sandbox = true};
