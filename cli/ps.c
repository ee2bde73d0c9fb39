/* `secureagent ps`: the sandboxes. */
#include "sandboxes.h"
#include "show.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

static const struct sa_option options[] = {
    {.name = "all", .letter = 'a', .kind = SA_OPTION_BOOL, .help = "also those that have ended"},
    {.name = "selector",
     .letter = 'l',
     .kind = SA_OPTION_STRING,
     .value = "SELECTOR",
     .help = "only those whose labels match, e.g. team=a,env!=test"},
    SA_OUTPUT_OPTION,
    SA_CLIENT_OPTIONS,
};

static const struct sa_usage usage = {
    .command = "ps",
    .usage = "secureagent ps [options]",
    .about = "Lists sandboxes, newest first.",
    .examples = "  secureagent ps\n"
                "  secureagent ps -l team=data -o yaml\n"
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

static int list(struct sa_invocation *in, struct sa_error *err)
{
    static const char *const heading[] = {"ID",  "NAME", "RUNTIME", "PHASE",
                                          "AGE", "LEFT", "REASON"};
    struct sa_table table = {.columns = SA_COUNT(heading), .phase_column = 3};
    struct sa_sandbox_query query = {.ended = sa_config_bool(in->config, "all"),
                                     .selector = sa_config_string(in->config, "selector")};
    sa_autobuf items = SA_BUF_INIT;
    enum sa_output output;
    if (sa_output_read(in->config, &output, err) < 0)
        return -1;
    for (size_t i = 0; i < SA_COUNT(heading); i++)
        sa_table_add(&table, heading[i]);
    sa_buf_adds(&items, "{\"items\":[");
    int rc = sa_each_sandbox(in->client, &query, add_row, &table,
                             output == SA_OUTPUT_TABLE ? NULL : &items, err);
    sa_buf_adds(&items, "]}");
    if (rc == 0 && output == SA_OUTPUT_TABLE)
        sa_table_print(&table);
    else if (rc == 0)
        rc = sa_output_print(output, items.data, items.length, err);
    sa_table_deinit(&table);
    return rc;
}

const struct sa_command sa_command_ps = {
    .name = "ps",
    .summary = "list sandboxes",
    .usage = &usage,
    .body = list,
    .options = options,
    .option_count = SA_COUNT(options),
};
