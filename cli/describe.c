/* `secureagent describe`: everything about a sandbox, or another resource. */
#include "describe.h"
#include "sandboxes.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

enum { EVENTS_MAX = 500, EXECUTIONS_SHOWN = 10, COMMAND_SHOWN = 60 };

static const struct sa_option options[] = {
    SA_OUTPUT_OPTION,
    SA_CLIENT_OPTIONS,
};

static const struct sa_usage usage = {
    .command = "describe",
    .usage = "secureagent describe SANDBOX | KIND NAME | KIND/NAME [options]",
    .about = "Shows a sandbox, its executions and what happened to it, security events included; "
             "or another\nresource, its conditions and what happened to it in the last hour.",
    .examples = "  secureagent describe web\n"
                "  secureagent describe sb-aaaaaaaaaaaaaaaaaaaa -o json | jq .events\n"
                "  secureagent describe warmpool python\n",
};

struct part {
    const char *title, *path; /* path: beneath the sandbox */
    size_t columns;
    const char *const *heading;
    int (*row)(struct sa_table *table, struct sa_json_obj *item, struct sa_error *err);
};

static int execution_row(struct sa_table *table, struct sa_json_obj *item, struct sa_error *err)
{
    const char *id, *status, *command, *started;
    char age[SA_SPAN_BYTES], cut[COMMAND_SHOWN + 4];
    int64_t code = -1;
    if (sa_json_get_string(item, "id", 64, &id, err) < 0 ||
        sa_json_get_string(item, "status", 32, &status, err) < 0 ||
        sa_json_get_string(item, "command", 8192, &command, err) < 0 ||
        sa_json_get_string(item, "startedAt", 64, &started, err) < 0 ||
        sa_json_opt_int(item, "exitCode", 0, 255, &code, NULL, err) < 0)
        return -1;
    sa_autofree char *exit = code < 0 ? sa_strdup("") : sa_printf("%lld", (long long)code);
    size_t shown = strlen(command) > COMMAND_SHOWN ? COMMAND_SHOWN : strlen(command);
    while (shown < strlen(command) && shown && (command[shown] & 0xC0) == 0x80)
        shown--;
    snprintf(cut, sizeof cut, "%.*s%s", (int)shown, command, command[shown] ? "..." : "");
    sa_span(sa_wall_ms() - sa_time_parse(started), age);
    const char *const cells[] = {id, status, exit, age, cut};
    for (size_t i = 0; i < SA_COUNT(cells); i++)
        sa_table_add(table, cells[i]);
    return 0;
}

static int event_row(struct sa_table *table, struct sa_json_obj *item, struct sa_error *err)
{
    const char *time, *type, *reason, *message;
    char age[SA_SPAN_BYTES];
    int64_t count;
    if (sa_json_get_string(item, "time", 64, &time, err) < 0 ||
        sa_json_get_string(item, "type", 32, &type, err) < 0 ||
        sa_json_get_string(item, "reason", 256, &reason, err) < 0 ||
        sa_json_get_string(item, "message", 4096, &message, err) < 0 ||
        sa_json_get_int(item, "count", 0, INT64_MAX, &count, err) < 0)
        return -1;
    sa_span(sa_wall_ms() - sa_time_parse(time), age);
    sa_autofree char *times = sa_printf("%lld", (long long)count);
    const char *const cells[] = {age, type, reason, times, message};
    for (size_t i = 0; i < SA_COUNT(cells); i++)
        sa_table_add(table, cells[i]);
    return 0;
}

static const char *const execution_heading[] = {"ID", "STATUS", "EXIT", "AGE", "COMMAND"};
static const char *const event_heading[] = {"AGE", "TYPE", "REASON", "COUNT", "MESSAGE"};
static const struct part parts[] = {
    {"executions", "executions?limit=10", 5, execution_heading, execution_row},
    {"events", "events?limit=500", 5, event_heading, event_row},
};

static int get(struct sa_invocation *in, const char *path, struct sa_buf *answer,
               struct sa_error *err)
{
    struct sa_client_request request = {.method = "GET", .path = path, .answer = answer};
    return sa_client_send(in->client, &request, err);
}

static int print_part(const struct part *part, const struct sa_buf *answer, struct sa_error *err)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_table table = {.columns = part->columns, .phase_column = 1};
    struct sa_json_obj root, item;
    struct sa_json_arr items;
    struct sa_json_doc *doc = sa_client_json(answer, arena, &root, err);
    int rc = doc ? sa_json_get_arr(&root, "items", EVENTS_MAX, &items, err) : -1;
    for (size_t i = 0; rc == 0 && i < part->columns; i++)
        sa_table_add(&table, part->heading[i]);
    for (size_t i = 0; rc == 0 && i < items.count; i++) {
        rc = sa_json_arr_obj(&items, i, &item, err);
        if (rc == 0)
            rc = part->row(&table, &item, err);
    }
    if (rc == 0 && items.count) {
        printf("\n%s:\n", part->title);
        sa_table_print(&table);
    }
    sa_table_deinit(&table);
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

/* For programs: one object that holds the answers. */
static void add_part(struct sa_buf *all, const char *name, const struct sa_buf *answer)
{
    sa_buf_printf(all, "%c\"%s\":", all->length ? ',' : '{', name);
    sa_buf_add(all, answer->data, answer->length);
}

static int describe_sandbox(struct sa_invocation *in, const char *name, enum sa_output output,
                            struct sa_error *err)
{
    char id[SA_ID_BYTES];
    sa_autobuf all = SA_BUF_INIT;
    sa_autobuf sandbox = SA_BUF_INIT;
    if (sa_sandbox_resolve(in->client, name, id, err) < 0)
        return -1;
    sa_autofree char *path = sa_printf("/api/v1/sandboxes/%s", id);
    if (get(in, path, &sandbox, err) < 0)
        return -1;
    add_part(&all, "sandbox", &sandbox);
    if (output == SA_OUTPUT_TABLE &&
        sa_output_print(SA_OUTPUT_YAML, sandbox.data, sandbox.length, err) < 0)
        return -1;
    for (size_t i = 0; i < SA_COUNT(parts); i++) {
        sa_autobuf answer = SA_BUF_INIT;
        sa_autofree char *part = sa_printf("%s/%s", path, parts[i].path);
        if (get(in, part, &answer, err) < 0)
            return -1;
        add_part(&all, parts[i].title, &answer);
        if (output == SA_OUTPUT_TABLE && print_part(&parts[i], &answer, err) < 0)
            return -1;
    }
    sa_buf_addc(&all, '}');
    return output == SA_OUTPUT_TABLE ? 0 : sa_output_print(output, all.data, all.length, err);
}

static bool is_slashed(const char *word)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t kind = strspn(word, letters);
    return kind && word[kind] == '/';
}

/* One word is a sandbox. */
static int describe(struct sa_invocation *in, struct sa_error *err)
{
    enum sa_output output;
    const struct sa_resource *resource = &sa_resource_sandbox;
    const char *names[2] = {in->args[0]};
    size_t count = 1;
    bool kind = in->arg_count > 1 || is_slashed(in->args[0]);
    if (sa_output_read(in->config, &output, err) < 0 ||
        (kind && sa_targets_read(in->args, in->arg_count, &resource, names, &count, err) < 0))
        return -1;
    if (count != 1)
        return sa_command_misused(&usage, "one at a time");
    return resource == &sa_resource_sandbox
               ? describe_sandbox(in, names[0], output, err)
               : sa_describe_object(in->client, resource, names[0], output, err);
}

const struct sa_command sa_command_describe = {.name = "describe",
                                               .summary =
                                                   "show everything about a sandbox, pool ...",
                                               .usage = &usage,
                                               .least = 1,
                                               .most = 2,
                                               .body = describe,
                                               .options = options,
                                               .option_count = SA_COUNT(options),
                                               .takes_sandbox = true,
                                               .takes_kind = true};
