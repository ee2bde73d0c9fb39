/* `secureagent policy diff`: what other rules would have decided otherwise. */
#include "policy.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "json/write.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS_BYTES_MAX = 64 * 1024 * 1024, RECORDED_MAX = 500 };

/* clang-format off */
static const struct sa_option options[] = {
    {.name = "inputs", .kind = SA_OPTION_STRING, .fallback = "recorded", .value = "FILE",
     .help = "lines of {\"point\":...,\"input\":...}; or recorded: the newest that the server "
             "keeps"},
    SA_CLIENT_OPTIONS,
};
/* clang-format on */

static const struct sa_usage usage = {
    .command = "policy diff",
    .usage = "secureagent policy diff OLD NEW [options]",
    .about =
        "Asks the rules of two folders, each laid over the shipped ones, about the same "
        "inputs, and prints where\nthey decide differently. The exit status is 1 when they do. "
        "\"shipped\" stands for the shipped rules alone.",
    .examples = "  secureagent policy diff rules rules.new\n"
                "  secureagent policy diff shipped rules --inputs inputs.ndjson\n",
};

struct diff {
    const struct sa_config *config;
    struct sa_client *client; /* of recorded inputs */
    struct sa_offline *sides[2];
    size_t inputs, changed;
};

static void print_sorted(const struct sa_value *value, struct sa_buf *out);

static void print_members(const struct sa_value *map, struct sa_buf *out)
{
    size_t count;
    struct sa_value_member *members = sa_value_members(map, &count);
    sa_buf_addc(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i)
            sa_buf_addc(out, ',');
        sa_json_quote(out, members[i].key.data, members[i].key.length);
        sa_buf_addc(out, ':');
        print_sorted(&members[i].value, out);
    }
    sa_buf_addc(out, '}');
    free(members);
}

static void print_items(const struct sa_value *list, struct sa_buf *out)
{
    struct sa_value_reader reader = sa_value_enter(list);
    struct sa_value one;
    sa_buf_addc(out, '[');
    for (bool more = false; sa_value_next(&reader, &one); more = true) {
        if (more)
            sa_buf_addc(out, ',');
        print_sorted(&one, out);
    }
    sa_buf_addc(out, ']');
}

/* JSON with the members of maps in the order of their names: Lua gives them in any. */
static void print_sorted(const struct sa_value *value, struct sa_buf *out)
{
    if (value->type == SA_VALUE_MAP)
        print_members(value, out);
    else if (value->type == SA_VALUE_LIST)
        print_items(value, out);
    else
        sa_value_to_json(value, out);
}

/* What counts of a verdict, as one line. */
static char *essence(const struct sa_value *verdict)
{
    static const char *const names[] = {"verdict", "rule",   "size",   "score",
                                        "action",  "result", "reason", NULL};
    sa_autobuf text = SA_BUF_INIT;
    for (size_t i = 0; names[i]; i++) {
        struct sa_value value = sa_value_get(verdict, names[i]);
        if (value.type == SA_VALUE_NIL)
            continue;
        sa_buf_printf(&text, "%s%s=", text.length ? " " : "", names[i]);
        if (value.type == SA_VALUE_STRING && i < 2)
            sa_buf_add(&text, value.data, value.length);
        else
            print_sorted(&value, &text);
    }
    char *line = sa_buf_steal(&text);
    sa_make_printable(line);
    return line;
}

/* That no verdict can be had is one, too. */
static char *ask(struct sa_offline *side, enum sa_point point, const struct sa_buf *input)
{
    sa_autobuf verdict = SA_BUF_INIT;
    struct sa_error error;
    if (sa_offline_ask(side, point, input, &verdict, &error) < 0)
        return sa_printf("no verdict: %s", error.message);
    struct sa_value value = sa_value_of(verdict.data, verdict.length);
    return essence(&value);
}

static int compare(struct diff *diff, struct sa_json_obj *item, struct sa_error *err)
{
    const char *name, *id = NULL, *text;
    size_t length;
    enum sa_point point = SA_POINT_COUNT;
    sa_autobuf input = SA_BUF_INIT;
    sa_autobuf whole = SA_BUF_INIT;
    if (sa_json_get_string(item, "point", 32, &name, err) < 0 ||
        sa_policy_point_read(name, &point, err) < 0 ||
        sa_json_opt_string(item, "id", 64, &id, NULL, err) < 0 ||
        sa_json_get_raw(item, "input", &text, &length, err) < 0 ||
        sa_value_from_json(text, length, &input, err) < 0)
        return -1;
    struct sa_value value = sa_value_of(input.data, input.length);
    if (sa_policy_complete_input(point, &value, &whole, err) < 0)
        return -1;
    sa_autofree char *before = ask(diff->sides[0], point, &whole);
    sa_autofree char *after = ask(diff->sides[1], point, &whole);
    diff->inputs++;
    if (strcmp(before, after) == 0)
        return 0;
    diff->changed++;
    printf("%s %s\n  - %s\n  + %s\n", name, id ? id : "", before, after);
    return 0;
}

static int compare_text(struct diff *diff, const char *text, size_t length, struct sa_error *err)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_obj root;
    struct sa_json_doc *doc = sa_json_parse(text, length, NULL, err);
    int rc = doc && sa_json_root(doc, arena, &root, err) == 0 ? compare(diff, &root, err) : -1;
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

static int compare_file(struct diff *diff, const char *path, struct sa_error *err)
{
    sa_autobuf text = SA_BUF_INIT;
    const char *name = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
    size_t number = 0;
    if (sa_read_file(AT_FDCWD, name, INPUTS_BYTES_MAX, &text, err) < 0)
        return sa_error_wrap(err, "%s", path);
    for (char *line = text.data, *end; line && *line; line = end) {
        size_t length = strcspn(line, "\n");
        end = line + length + (line[length] == '\n');
        number++;
        if (strspn(line, " \t\r") >= length)
            continue;
        if (compare_text(diff, line, length, err) < 0)
            return sa_error_wrap(err, "%s:%zu", path, number);
    }
    return 0;
}

/* A decision that has made room for newer ones since is passed over. */
static int compare_decision(struct diff *diff, const char *id, struct sa_error *err)
{
    sa_autobuf answer = SA_BUF_INIT;
    struct sa_error error;
    sa_autofree char *path = sa_printf("/api/v1/policies/decisions/%s", id);
    if (sa_policy_get(diff->client, path, &answer, &error) == 0)
        return compare_text(diff, answer.data, answer.length, err);
    if (error.code == SA_ENOTFOUND)
        return 0;
    *err = error;
    return -1;
}

static int compare_recorded(struct diff *diff, struct sa_error *err)
{
    sa_autobuf answer = SA_BUF_INIT;
    struct sa_json_obj root, item;
    struct sa_json_arr items;
    const char *id;
    diff->client = sa_client_open(diff->config, err);
    sa_autofree char *path = sa_printf("/api/v1/policies/decisions?limit=%d", RECORDED_MAX);
    if (!diff->client || sa_policy_get(diff->client, path, &answer, err) < 0)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *doc = sa_client_json(&answer, arena, &root, err);
    int rc = doc ? sa_json_get_arr(&root, "items", RECORDED_MAX, &items, err) : -1;
    for (size_t i = 0; rc == 0 && i < items.count; i++)
        rc = sa_json_arr_obj(&items, i, &item, err) == 0 &&
                     sa_json_get_string(&item, "id", 63, &id, err) == 0
                 ? compare_decision(diff, id, err)
                 : -1;
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

static struct sa_offline *start_side(char *dir, struct sa_error *err)
{
    size_t count = strcmp(dir, "shipped") == 0 ? 0 : 1;
    struct sa_bundle *bundle = sa_policy_bundle(&dir, count, err);
    struct sa_offline *side = bundle ? sa_offline_start(bundle, false, err) : NULL;
    const struct sa_error *problem = side ? sa_offline_problem(side) : NULL;
    if (problem) {
        size_t errors = sa_offline_print_errors(side, bundle, stderr);
        if (errors)
            sa_error_set(err, SA_EINVALID, "the rules of %s do not compile", dir);
        else
            *err = *problem;
        sa_offline_stop(side);
        side = NULL;
    }
    sa_bundle_unref(bundle);
    return side;
}

/* Returns an exit status, or -1. */
static int diff_sides(struct diff *diff, char *const *args, struct sa_error *err)
{
    const char *inputs = sa_config_string(diff->config, "inputs");
    for (size_t i = 0; i < 2; i++)
        if (!(diff->sides[i] = start_side(args[i], err)))
            return -1;
    if ((strcmp(inputs, "recorded") == 0 ? compare_recorded(diff, err)
                                         : compare_file(diff, inputs, err)) < 0)
        return -1;
    printf("%zu of %zu inputs are decided differently\n", diff->changed, diff->inputs);
    return diff->changed ? 1 : 0;
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
    struct diff diff = {.config = config};
    if (sa_config_args(config, &args) != 2)
        status = sa_command_misused(&usage, "expected two folders");
    else if ((status = diff_sides(&diff, args, &error)) < 0)
        status = sa_command_fail(&usage, &error);
    sa_offline_stop(diff.sides[0]);
    sa_offline_stop(diff.sides[1]);
    sa_client_close(diff.client);
    sa_config_free(config);
    return status;
}

const struct sa_command sa_command_policy_diff = {.name = "diff",
                                                  .summary =
                                                      "where two folders of rules differ in effect",
                                                  .run = run,
                                                  .options = options,
                                                  .option_count = SA_COUNT(options)};
