/* `secureagent policy list`, `reload` and `rollback`: the rules in force on the server. */
#include "policy.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "json/write.h"

#include <stdio.h>
#include <string.h>

enum { RULES_MAX = 1024, SHOWN_MAX = 1000, EXIT_REFUSED = 1 };
static const char path[] = "/api/v1/policies";

static const struct sa_option options[] = {
    SA_OUTPUT_OPTION,
    SA_CLIENT_OPTIONS,
};

static const struct sa_usage list_usage = {
    .command = "policy list",
    .usage = "secureagent policy list [options]",
    .about = "Lists the rules in force, in the order in which they are asked, and how the last "
             "reload went.",
    .examples = "  secureagent policy list\n"
                "  secureagent policy list -o json | jq '.lastReload'\n",
};
static const struct sa_usage reload_usage = {
    .command = "policy reload",
    .usage = "secureagent policy reload [options]",
    .about = "Has the server read its rules anew. They are in force when they compile and their "
             "tests pass; else\nwhat is in force stays, the mistakes are told, and the exit status "
             "is 1.",
    .examples = "  secureagent policy reload\n",
};
static const struct sa_usage rollback_usage = {
    .command = "policy rollback",
    .usage = "secureagent policy rollback [GENERATION] [options]",
    .about = "Puts an earlier generation of rules in force again, the one before this where none "
             "is named; until the\nnext reload.",
    .examples = "  secureagent policy rollback\n"
                "  secureagent policy rollback 3\n",
};

/* ---- list ---- */

static int rule_row(struct sa_table *table, struct sa_json_obj *item, struct sa_error *err)
{
    const char *name, *point, *file;
    int64_t version = 0, tests = 0, calls, denials;
    if (sa_json_get_string(item, "name", 256, &name, err) < 0 ||
        sa_json_get_string(item, "point", 64, &point, err) < 0 ||
        sa_json_get_string(item, "path", 4096, &file, err) < 0 ||
        sa_json_opt_int(item, "version", 0, INT64_MAX, &version, NULL, err) < 0 ||
        sa_json_opt_int(item, "tests", 0, INT64_MAX, &tests, NULL, err) < 0 ||
        sa_json_get_int(item, "calls", 0, INT64_MAX, &calls, err) < 0 ||
        sa_json_get_int(item, "denials", 0, INT64_MAX, &denials, err) < 0)
        return -1;
    const int64_t numbers[] = {version, tests, calls, denials};
    sa_table_add(table, point);
    sa_table_add(table, name);
    for (size_t i = 0; i < SA_COUNT(numbers); i++) {
        sa_autofree char *text = sa_printf("%lld", (long long)numbers[i]);
        sa_table_add(table, text);
    }
    sa_table_add(table, file);
    return 0;
}

/* The rows of one decision point, in the order in which its rules are asked. */
static int add_rows(struct sa_table *table, struct sa_json_arr *rules, const char *point,
                    struct sa_error *err)
{
    struct sa_json_obj item;
    for (size_t i = 0; i < rules->count; i++) {
        const char *name;
        if (sa_json_arr_obj(rules, i, &item, err) < 0 ||
            sa_json_get_string(&item, "point", 64, &name, err) < 0)
            return -1;
        if (strcmp(name, point) == 0 && rule_row(table, &item, err) < 0)
            return -1;
    }
    return 0;
}

static int print_rules(struct sa_json_obj *root, struct sa_error *err)
{
    static const char *const heading[] = {"POINT", "RULE",    "VERSION", "TESTS",
                                          "CALLS", "DENIALS", "FILE"};
    struct sa_table table = {.columns = SA_COUNT(heading)};
    struct sa_json_arr rules;
    int rc = sa_json_get_arr(root, "rules", RULES_MAX, &rules, err);
    for (size_t i = 0; rc == 0 && i < SA_COUNT(heading); i++)
        sa_table_add(&table, heading[i]);
    for (size_t i = 0; rc == 0 && i < SA_POINT_COUNT; i++)
        rc = add_rows(&table, &rules, sa_policy_points[i].name, err);
    if (rc == 0)
        sa_table_print(&table);
    sa_table_deinit(&table);
    return rc;
}

static void print_line(FILE *out, const char *before, const char *text, const char *after)
{
    sa_autofree char *copy = sa_strdup(text);
    sa_make_printable(copy);
    fprintf(out, "%s%s%s", before, copy, after);
}

/* {file, line, message}, each on a line that editors understand. */
static int print_errors(struct sa_json_obj *reload, FILE *out, struct sa_error *err)
{
    struct sa_json_arr errors;
    struct sa_json_obj item;
    if (sa_json_type(reload, "errors") != SA_JSON_ARRAY)
        return 0;
    if (sa_json_get_arr(reload, "errors", SHOWN_MAX, &errors, err) < 0)
        return -1;
    for (size_t i = 0; i < errors.count; i++) {
        const char *file = "", *message;
        int64_t line = 0;
        if (sa_json_arr_obj(&errors, i, &item, err) < 0 ||
            sa_json_opt_string(&item, "file", 4096, &file, NULL, err) < 0 ||
            sa_json_opt_string(&item, "path", 4096, &file, NULL, err) < 0 ||
            sa_json_opt_int(&item, "line", 0, INT64_MAX, &line, NULL, err) < 0 ||
            sa_json_get_string(&item, "message", 8192, &message, err) < 0)
            return -1;
        sa_autofree char *where = line ? sa_printf(":%lld", (long long)line) : sa_strdup("");
        print_line(out, "  ", file, "");
        print_line(out, where, *file ? ": " : "", "");
        print_line(out, "", message, "\n");
    }
    return 0;
}

/* A generation that is in force, and a reload that failed after it. */
static int print_head(struct sa_json_obj *root, struct sa_error *err)
{
    const char *digest, *loaded, *source, *at = "";
    int64_t generation;
    bool ok = true, given;
    char age[SA_SPAN_BYTES];
    struct sa_json_obj reload;
    if (sa_json_get_int(root, "generation", 0, INT64_MAX, &generation, err) < 0 ||
        sa_json_get_string(root, "digest", 128, &digest, err) < 0 ||
        sa_json_get_string(root, "loadedAt", 64, &loaded, err) < 0 ||
        sa_json_get_string(root, "source", 64, &source, err) < 0 ||
        sa_json_opt_obj(root, "lastReload", &reload, &given, err) < 0)
        return -1;
    if (given && (sa_json_opt_bool(&reload, "ok", &ok, NULL, err) < 0 ||
                  sa_json_opt_string(&reload, "at", 64, &at, NULL, err) < 0))
        return -1;
    sa_span(sa_wall_ms() - sa_time_parse(loaded), age);
    printf("generation %lld, from %s, since %s (%.12s)\n", (long long)generation, source, age,
           digest);
    if (given && !ok) {
        sa_span(sa_wall_ms() - sa_time_parse(at), age);
        printf("the reload of %s ago was refused:\n", age);
        if (print_errors(&reload, stdout, err) < 0)
            return -1;
    }
    putchar('\n');
    return 0;
}

static int list(struct sa_invocation *in, struct sa_error *err)
{
    enum sa_output output;
    sa_autobuf answer = SA_BUF_INIT;
    struct sa_json_obj root;
    if (sa_output_read(in->config, &output, err) < 0 ||
        sa_policy_get(in->client, path, &answer, err) < 0)
        return -1;
    if (output != SA_OUTPUT_TABLE)
        return sa_output_print(output, answer.data, answer.length, err);
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *doc = sa_client_json(&answer, arena, &root, err);
    int rc = doc && print_head(&root, err) == 0 ? print_rules(&root, err) : -1;
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

/* ---- reload and rollback ---- */

/* Recorded inputs that are decided otherwise from now on. */
static int print_canary(struct sa_json_obj *reload, struct sa_error *err)
{
    struct sa_json_obj canary, item;
    struct sa_json_arr diff;
    int64_t inputs, changed;
    bool given;
    if (sa_json_opt_obj(reload, "canary", &canary, &given, err) < 0)
        return -1;
    if (!given)
        return 0;
    if (sa_json_get_int(&canary, "inputs", 0, INT64_MAX, &inputs, err) < 0 ||
        sa_json_get_int(&canary, "changed", 0, INT64_MAX, &changed, err) < 0)
        return -1;
    if (inputs)
        printf("of %lld recorded inputs %lld are decided otherwise\n", (long long)inputs,
               (long long)changed);
    if (sa_json_type(&canary, "diff") != SA_JSON_ARRAY)
        return 0;
    if (sa_json_get_arr(&canary, "diff", SHOWN_MAX, &diff, err) < 0)
        return -1;
    for (size_t i = 0; i < diff.count; i++) {
        const char *point, *decision, *before, *after;
        size_t length;
        if (sa_json_arr_obj(&diff, i, &item, err) < 0 ||
            sa_json_get_string(&item, "point", 64, &point, err) < 0 ||
            sa_json_get_string(&item, "decision", 64, &decision, err) < 0 ||
            sa_json_get_raw(&item, "before", &before, &length, err) < 0 ||
            sa_json_get_raw(&item, "after", &after, &length, err) < 0)
            return -1;
        printf("  %s %s: %s", point, decision, before);
        if (strcmp(before, after) != 0)
            printf(" -> %s\n", after);
        else
            printf(" with another result\n");
    }
    return 0;
}

static int print_reload(struct sa_json_obj *root, struct sa_error *err)
{
    struct sa_json_obj reload, tests;
    int64_t generation = 0, passed = 0;
    double ms = 0;
    bool given, tested, changed = true;
    /* `reload` answers with the whole state, or with the reload alone. */
    if (sa_json_opt_obj(root, "lastReload", &reload, &given, err) < 0)
        return -1;
    if (!given)
        reload = *root;
    if (sa_json_opt_int(&reload, "generation", 0, INT64_MAX, &generation, NULL, err) < 0 ||
        sa_json_opt_bool(&reload, "changed", &changed, NULL, err) < 0 ||
        sa_json_opt_double(&reload, "durationMs", 0, 1e12, &ms, NULL, err) < 0 ||
        sa_json_opt_obj(&reload, "tests", &tests, &tested, err) < 0 ||
        (tested && sa_json_opt_int(&tests, "passed", 0, INT64_MAX, &passed, NULL, err) < 0))
        return -1;
    if (!changed) {
        printf("generation %lld stays in force: the rules are the same\n", (long long)generation);
        return 0;
    }
    printf("generation %lld is in force, after %.0f ms", (long long)generation, ms);
    if (passed) /* those of a rollback passed long ago */
        printf(" and %lld tests", (long long)passed);
    putchar('\n');
    return print_canary(&reload, err);
}

/* The mistakes that a 422 tells of: details of {path: "file:line", reason}. */
static int print_refusal(const struct sa_usage *usage, const struct sa_buf *refusal,
                         const struct sa_error *plain)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_obj root, error, item;
    struct sa_json_arr details = {.count = 0};
    struct sa_json_doc *doc = sa_client_json(refusal, arena, &root, NULL);
    const char *where, *reason;
    if (doc && sa_json_get_obj(&root, "error", &error, NULL) == 0)
        sa_json_get_arr(&error, "details", SHOWN_MAX, &details, NULL);
    if (details.count)
        fprintf(stderr, "secureagent %s: refused, what was in force stays:\n", usage->command);
    else
        sa_command_fail(usage, plain);
    for (size_t i = 0; i < details.count; i++) {
        where = "";
        if (sa_json_arr_obj(&details, i, &item, NULL) == 0 &&
            sa_json_opt_string(&item, "path", 8192, &where, NULL, NULL) == 0 &&
            sa_json_get_string(&item, "reason", 8192, &reason, NULL) == 0) {
            print_line(stderr, "  ", where, *where ? ": " : "");
            print_line(stderr, "", reason, "\n");
        }
    }
    sa_json_free(doc);
    sa_arena_free(arena);
    return EXIT_REFUSED;
}

/* Returns an exit status or -1. */
static int change(struct sa_invocation *in, const char *verb, const struct sa_buf *body,
                  struct sa_error *err)
{
    enum sa_output output;
    long status = 0;
    sa_autobuf answer = SA_BUF_INIT;
    sa_autobuf refusal = SA_BUF_INIT;
    struct sa_json_obj root;
    if (sa_output_read(in->config, &output, err) < 0)
        return -1;
    sa_autofree char *full = sa_printf("%s/%s", path, verb);
    struct sa_client_request request = {.method = "POST",
                                        .path = full,
                                        .body = body->data,
                                        .body_length = body->length,
                                        .answer = &answer,
                                        .refusal = &refusal,
                                        .status = &status};
    if (sa_client_send(in->client, &request, err) < 0) {
        if (status != 422)
            return -1;
        return print_refusal(in->usage, &refusal, err);
    }
    if (output != SA_OUTPUT_TABLE)
        return sa_output_print(output, answer.data, answer.length, err);
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *doc = sa_client_json(&answer, arena, &root, err);
    int rc = doc ? print_reload(&root, err) : -1;
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

static int reload(struct sa_invocation *in, struct sa_error *err)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_buf_adds(&body, "{}");
    return change(in, "reload", &body, err);
}

static int rollback(struct sa_invocation *in, struct sa_error *err)
{
    sa_autobuf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_json_w_begin_object(&w);
    if (in->arg_count) {
        char *end;
        errno = 0;
        long long generation = strtoll(in->args[0], &end, 10);
        if (errno || *end || end == in->args[0] || generation < 1)
            return sa_command_misused(in->usage, "\"%.32s\" is no generation: they are numbers",
                                      in->args[0]);
        sa_json_put_int(&w, "generation", generation);
    }
    sa_json_w_end_object(&w);
    return change(in, "rollback", &body, err);
}

const struct sa_command sa_command_policy_list = {.name = "list",
                                                  .summary = "the rules in force",
                                                  .usage = &list_usage,
                                                  .body = list,
                                                  .options = options,
                                                  .option_count = SA_COUNT(options)};
const struct sa_command sa_command_policy_reload = {.name = "reload",
                                                    .summary = "read the rules anew",
                                                    .usage = &reload_usage,
                                                    .body = reload,
                                                    .options = options,
                                                    .option_count = SA_COUNT(options)};
const struct sa_command sa_command_policy_rollback = {.name = "rollback",
                                                      .summary = "go back to an earlier generation",
                                                      .usage = &rollback_usage,
                                                      .most = 1,
                                                      .body = rollback,
                                                      .options = options,
                                                      .option_count = SA_COUNT(options)};
