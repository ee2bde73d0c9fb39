/* `secureagent ps`: the sandboxes. */
#include "sandboxes.h"
#include "show.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

static const struct sa_option options[] = {
    {.name = "all", .letter = 'a', .kind = SA_OPTION_BOOL, .help = "also those that have ended"},
    SA_OUTPUT_OPTION,
    SA_CLIENT_OPTIONS,
};

static const struct sa_usage usage = {
    .command = "ps",
    .usage = "secureagent ps [options]",
    .about = "Lists sandboxes, newest first.",
    .examples = "  secureagent ps\n"
                "  secureagent ps --all -o json | jq -r '.items[].id'\n",
};

static int add_row(void *user, struct sa_json_obj *item, struct sa_error *err)
{
    const char *id, *name, *runtime, *phase, *created, *expires = "", *reason = "";
    char age[SA_SPAN_BYTES], left[SA_SPAN_BYTES] = "";
    if (sa_json_get_string(item, "id", 64, &id, err) < 0 ||
        sa_json_get_string(item, "name", 256, &name, err) < 0 ||
        sa_json_get_string(item, "runtime", 64, &runtime, err) < 0 ||
        sa_json_get_string(item, "phase", 32, &phase, err) < 0 ||
        sa_json_get_string(item, "createdAt", 64, &created, err) < 0 ||
        sa_json_opt_string(item, "expiresAt", 64, &expires, NULL, err) < 0 ||
        sa_json_opt_string(item, "reason", 256, &reason, NULL, err) < 0)
        return -1;
    sa_span(sa_wall_ms() - sa_time_parse(created), age);
    if (*expires && strcmp(phase, "Running") == 0)
        sa_span(sa_time_parse(expires) - sa_wall_ms(), left);
    if (strcmp(name, id) == 0)
        name = "";
    const char *const cells[] = {id, name, runtime, phase, age, left, reason};
    for (size_t i = 0; i < SA_COUNT(cells); i++)
        sa_table_add(user, cells[i]);
    return 0;
}

static int list(const struct sa_config *config, struct sa_error *err)
{
    static const char *const heading[] = {"ID",  "NAME", "RUNTIME", "PHASE",
                                          "AGE", "LEFT", "REASON"};
    struct sa_table table = {.columns = SA_COUNT(heading)};
    sa_autobuf items = SA_BUF_INIT;
    bool json;
    if (sa_output_is_json(config, &json, err) < 0)
        return -1;
    struct sa_client *client = sa_client_open(config, err);
    if (!client)
        return -1;
    for (size_t i = 0; i < SA_COUNT(heading); i++)
        sa_table_add(&table, heading[i]);
    int rc = sa_each_sandbox(client, sa_config_bool(config, "all"), add_row, &table,
                             json ? &items : NULL, err);
    if (rc == 0 && json)
        printf("{\"items\":[%s]}\n", items.length ? items.data : "");
    else if (rc == 0)
        sa_table_print(&table);
    sa_table_deinit(&table);
    sa_client_close(client);
    return rc;
}

static int run(int argc, char **argv)
{
    int status;
    struct sa_error error;
    char *const *args;
    struct sa_config *config =
        sa_command_load(&usage, options, SA_COUNT(options), argc, argv, SA_CONFIG_MIXED, &status);
    if (!config)
        return status;
    if (sa_config_args(config, &args))
        status = sa_command_misused(&usage, "takes no arguments, got \"%.64s\"", args[0]);
    else if (list(config, &error) < 0)
        status = sa_command_fail(&usage, &error);
    sa_config_free(config);
    return status;
}

const struct sa_command sa_command_ps = {"ps", "list sandboxes", run};
