/* `secureagent create`: a sandbox that stays until its time is over. */
#include "sandboxes.h"
#include "show.h"

#include "base/cleanup.h"
#include "json/write.h"

#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MAX_MS = 86400 * 1000 };

/* clang-format off */
static const struct sa_option options[] = {
    {.name = "runtime", .letter = 'r', .kind = SA_OPTION_STRING, .fallback = "python",
     .value = "NAME", .help = "python, node, bash or go"},
    {.name = "timeout", .letter = 't', .kind = SA_OPTION_DURATION, .fallback = "5m",
     .value = "TIME", .low = 1000, .high = TIMEOUT_MAX_MS, .help = "end it after so long"},
    {.name = "env", .letter = 'e', .kind = SA_OPTION_LIST, .value = "NAME=VALUE",
     .help = "set a variable for every program; may be repeated"},
    {.name = "label", .letter = 'l', .kind = SA_OPTION_LIST, .value = "NAME=VALUE",
     .help = "label it; may be repeated"},
    {.name = "memory", .letter = 'm', .kind = SA_OPTION_STRING, .value = "SIZE",
     .help = "memory it may use, e.g. 1Gi (default: the server's)"},
    {.name = "cpu", .kind = SA_OPTION_STRING, .value = "CPUS",
     .help = "processors it may use, e.g. 2 or 500m (default: the server's)"},
    SA_SANDBOX_OPTIONS,
    SA_OUTPUT_OPTION,
    SA_CLIENT_OPTIONS,
};
/* clang-format on */

static const struct sa_usage usage = {
    .command = "create",
    .usage = "secureagent create [NAME] [options]",
    .about =
        "Makes a sandbox and prints its id once it runs. The other commands take its NAME, too.",
    .examples = "  secureagent create web --timeout 1h\n"
                "  SB=$(secureagent create -r node -l team=data)\n",
};

/* A list of NAME=VALUE as an object. */
static int put_pairs(const struct sa_config *config, const char *option, const char *member,
                     struct sa_json_w *w, struct sa_error *err)
{
    char *const *items;
    size_t count = sa_config_list(config, option, &items);
    sa_json_put_object(w, member);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(items[i], '=');
        if (!equals || equals == items[i])
            return sa_error_at(err, SA_EINVALID, option, "--%s: \"%.64s\": expected NAME=VALUE",
                               option, items[i]);
        sa_autofree char *name = sa_strndup(items[i], (size_t)(equals - items[i]));
        sa_json_put_string(w, name, equals + 1);
    }
    sa_json_w_end_object(w);
    return 0;
}

static int write_body(struct sa_invocation *in, struct sa_buf *body, struct sa_error *err)
{
    const char *memory = sa_config_string(in->config, "memory");
    const char *cpu = sa_config_string(in->config, "cpu");
    struct sa_json_w w = sa_json_w_start(body);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "runtime", sa_config_string(in->config, "runtime"));
    if (in->arg_count)
        sa_json_put_string(&w, "name", in->args[0]);
    sa_json_put_int(&w, "timeout", sa_config_ms(in->config, "timeout") / 1000);
    sa_sandbox_put_options(in->config, &w);
    sa_json_put_object(&w, "resources");
    if (memory)
        sa_json_put_string(&w, "memory", memory);
    if (cpu)
        sa_json_put_string(&w, "cpu", cpu);
    sa_json_w_end_object(&w);
    if (put_pairs(in->config, "env", "env", &w, err) < 0 ||
        put_pairs(in->config, "label", "labels", &w, err) < 0)
        return -1;
    sa_json_w_end_object(&w);
    return 0;
}

static int print_id(const struct sa_buf *answer, struct sa_error *err)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_obj root;
    const char *id;
    struct sa_json_doc *doc = sa_client_json(answer, arena, &root, err);
    int rc = doc ? sa_json_get_string(&root, "id", SA_ID_BYTES, &id, err) : -1;
    if (rc == 0)
        puts(id);
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

static int create(struct sa_invocation *in, struct sa_error *err)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_autobuf answer = SA_BUF_INIT;
    enum sa_output output;
    if (sa_output_read(in->config, &output, err) < 0 || write_body(in, &body, err) < 0)
        return -1;
    struct sa_client_request request = {.method = "POST",
                                        .path = "/api/v1/sandboxes",
                                        .body = body.data,
                                        .body_length = body.length,
                                        .answer = &answer};
    if (sa_client_send(in->client, &request, err) < 0)
        return -1;
    return output == SA_OUTPUT_TABLE ? print_id(&answer, err)
                                     : sa_output_print(output, answer.data, answer.length, err);
}

const struct sa_command sa_command_create = {.name = "create",
                                             .summary = "make a sandbox",
                                             .usage = &usage,
                                             .most = 1,
                                             .body = create,
                                             .options = options,
                                             .option_count = SA_COUNT(options)};
