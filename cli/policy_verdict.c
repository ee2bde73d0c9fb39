/* A verdict with its trace, for people. */
#include "policy.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

char *sa_policy_text(const struct sa_value *map, const char *key)
{
    struct sa_value value = sa_value_get(map, key);
    char *text =
        value.type == SA_VALUE_STRING ? sa_strndup(value.data, value.length) : sa_strdup("");
    sa_make_printable(text);
    return text;
}

static char *as_json(const struct sa_value *value)
{
    sa_autobuf text = SA_BUF_INIT;
    sa_value_to_json(value, &text);
    char *line = sa_buf_steal(&text);
    sa_make_printable(line);
    return line;
}

static bool given(const struct sa_value *value)
{
    return value->type != SA_VALUE_NIL;
}

/* {run = {timeoutMs = 5}} as "run.timeoutMs = 5", a line each. */
static void print_changes(const struct sa_value *changes, const char *prefix)
{
    struct sa_value_reader reader = sa_value_enter(changes);
    struct sa_value key, value;
    while (sa_value_next_member(&reader, &key, &value)) {
        sa_autofree char *path = sa_printf("%s.%.*s", prefix, (int)key.length, key.data);
        sa_make_printable(path);
        if (value.type == SA_VALUE_MAP) {
            print_changes(&value, path);
            continue;
        }
        sa_autofree char *text = as_json(&value);
        printf("      %s = %s\n", path, text);
    }
}

/* "deny (miner): mining is not allowed here", then what it changed. */
static void print_step(const struct sa_policy_point *point, const struct sa_value *step, size_t n)
{
    struct sa_value changes = sa_value_get(step, "changes"), micros = sa_value_get(step, "micros");
    sa_autofree char *rule = sa_policy_text(step, "rule");
    sa_autofree char *verdict = sa_policy_text(step, "verdict");
    sa_autofree char *id = sa_policy_text(step, "id");
    sa_autofree char *reason = sa_policy_text(step, "reason");
    sa_autofree char *error = sa_policy_text(step, "error");
    const char *said = *error ? "failed" : *verdict ? verdict : "nothing to say";
    printf("  %zu. %s: %s%s%s%s", n, rule, said, *id ? " (" : "", id, *id ? ")" : "");
    if (*reason || *error)
        printf(": %s", *error ? error : reason);
    if (given(&micros))
        printf("  [%.0f us]", micros.number);
    putchar('\n');
    if (changes.type == SA_VALUE_MAP)
        print_changes(&changes, point->target ? point->target : "");
}

static void print_params(const struct sa_value *params)
{
    struct sa_value_reader reader = sa_value_enter(params);
    struct sa_value rule, values;
    bool heading = false;
    while (sa_value_next_member(&reader, &rule, &values)) {
        if (values.type == SA_VALUE_MAP && values.length == 0)
            continue;
        sa_autofree char *text = as_json(&values);
        if (!heading)
            puts("\nparameters:");
        heading = true;
        printf("  %.*s: %s\n", (int)rule.length, rule.data, text);
    }
}

/* Further members that rules of this point return. */
static void print_returns(const struct sa_policy_point *point, const struct sa_value *verdict)
{
    for (const struct sa_policy_field *f = point->returns; f && f->name; f++) {
        struct sa_value value = sa_value_get(verdict, f->name);
        if (!given(&value))
            continue;
        sa_autofree char *text = as_json(&value);
        printf("  %s: %s\n", f->name, text);
    }
}

void sa_policy_print_verdict(enum sa_point which, const struct sa_value *verdict)
{
    const struct sa_policy_point *point = &sa_policy_points[which];
    struct sa_value trace = sa_value_get(verdict, "trace"), one;
    struct sa_value result = sa_value_get(verdict, "result"),
                    params = sa_value_get(verdict, "params");
    sa_autofree char *said = sa_policy_text(verdict, "verdict");
    sa_autofree char *rule = sa_policy_text(verdict, "rule");
    sa_autofree char *reason = sa_policy_text(verdict, "reason");
    printf("%s: %s%s%s\n", point->name, *said ? said : "decided", *rule ? " by " : "", rule);
    if (*reason)
        printf("  %s\n", reason);
    print_returns(point, verdict);
    size_t n = 0;
    if (trace.type == SA_VALUE_LIST && trace.length) {
        struct sa_value_reader reader = sa_value_enter(&trace);
        puts("\nrules that ran, in order:");
        while (sa_value_next(&reader, &one))
            print_step(point, &one, ++n);
    } else {
        puts("\nno rule ran");
    }
    if (params.type == SA_VALUE_MAP)
        print_params(&params);
    if (given(&result)) {
        sa_autofree char *text = as_json(&result);
        printf("\n%s after all changes:\n  %s\n", point->target ? point->target : "result", text);
    }
}
