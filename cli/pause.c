/* `secureagent pause` and `resume`: freeze sandboxes and let them go on. */
#include "sandboxes.h"

#include "base/cleanup.h"

#include <stdio.h>

enum { IDS_MAX = 1000 };

static const struct sa_option options[] = {SA_CLIENT_OPTIONS};

static const struct sa_usage pause_usage = {
    .command = "pause",
    .usage = "secureagent pause SANDBOX...",
    .about = "Freezes sandboxes: nothing in them runs, their timeouts stop, their memory stays.",
    .examples = "  secureagent pause web\n",
};
static const struct sa_usage resume_usage = {
    .command = "resume",
    .usage = "secureagent resume SANDBOX...",
    .about = "Lets paused sandboxes go on.",
    .examples = "  secureagent resume web\n",
};

/* Goes on after a failure; the exit status is that of the last one. */
static int ask_each(struct sa_invocation *in, struct sa_error *err)
{
    int status = 0;
    (void)err;
    for (size_t i = 0; i < in->arg_count; i++) {
        char id[SA_ID_BYTES];
        struct sa_error error;
        sa_autofree char *path = NULL;
        if (sa_sandbox_resolve(in->client, in->args[i], id, &error) == 0) {
            path = sa_printf("/api/v1/sandboxes/%s/%s", id, in->usage->command);
            struct sa_client_request request = {.method = "POST", .path = path};
            if (sa_client_send(in->client, &request, &error) == 0) {
                puts(id);
                continue;
            }
        }
        status = sa_command_fail(in->usage, &error);
    }
    return status;
}

const struct sa_command sa_command_pause = {.name = "pause",
                                            .summary = "freeze sandboxes",
                                            .usage = &pause_usage,
                                            .least = 1,
                                            .most = IDS_MAX,
                                            .body = ask_each,
                                            .options = options,
                                            .option_count = SA_COUNT(options),
                                            .takes_sandbox = true};
const struct sa_command sa_command_resume = {.name = "resume",
                                             .summary = "let paused sandboxes go on",
                                             .usage = &resume_usage,
                                             .least = 1,
                                             .most = IDS_MAX,
                                             .body = ask_each,
                                             .options = options,
                                             .option_count = SA_COUNT(options),
                                             .takes_sandbox = true};
