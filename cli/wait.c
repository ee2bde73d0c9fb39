/* `secureagent wait`: until a sandbox has reached a phase. */
#include "sandboxes.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

enum { POLL_S = 30 }; /* the server's long poll; asked again until the timeout */

static const struct sa_option options[] = {
    {.name = "for",
     .kind = SA_OPTION_STRING,
     .fallback = "Running",
     .value = "PHASE",
     .help = "Running, Paused, Terminated or Failed"},
    {.name = "timeout",
     .letter = 't',
     .kind = SA_OPTION_DURATION,
     .fallback = "60s",
     .value = "TIME",
     .help = "give up after so long"},
    SA_CLIENT_OPTIONS,
};

static const struct sa_usage usage = {
    .command = "wait",
    .usage = "secureagent wait SANDBOX [--for PHASE] [options]",
    .about = "Waits until a sandbox has reached a phase. Exits with 124 when it has not in time.",
    .examples = "  secureagent wait web\n"
                "  secureagent wait web --for Terminated --timeout 10m\n",
};

enum { TIMED_OUT = 124 };

static int wait_for(struct sa_invocation *in, struct sa_error *err)
{
    char id[SA_ID_BYTES];
    int64_t end_us = sa_monotonic_us() + sa_config_ms(in->config, "timeout") * 1000;
    if (sa_sandbox_resolve(in->client, in->args[0], id, err) < 0)
        return -1;
    for (;;) {
        sa_autobuf path = SA_BUF_INIT;
        int64_t left_s = (end_us - sa_monotonic_us() + 999999) / 1000000;
        sa_buf_printf(&path, "/api/v1/sandboxes/%s/wait?phase=", id);
        sa_url_escape(&path, sa_config_string(in->config, "for"), false);
        sa_buf_printf(&path, "&timeout=%lld",
                      (long long)(left_s < 1        ? 1
                                  : left_s < POLL_S ? left_s
                                                    : POLL_S));
        struct sa_client_request request = {.method = "GET", .path = path.data};
        if (sa_client_send(in->client, &request, err) == 0)
            return 0;
        if (err->code != SA_ETIMEOUT)
            return -1;
        if (sa_monotonic_us() >= end_us) {
            sa_command_fail(&usage, err);
            return TIMED_OUT;
        }
    }
}

const struct sa_command sa_command_wait = {.name = "wait",
                                           .summary = "wait until a sandbox has reached a phase",
                                           .usage = &usage,
                                           .least = 1,
                                           .most = 1,
                                           .body = wait_for,
                                           .options = options,
                                           .option_count = SA_COUNT(options),
                                           .takes_sandbox = true};
