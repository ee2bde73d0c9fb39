/* The tables as the reference in the documents. */
#include "policy/tables.h"

#include <stdio.h>

enum { PATH_BYTES = 128 };

static void print_texts(struct sa_buf *out, const char *const *texts)
{
    for (const char *const *t = texts; *t; t++)
        sa_buf_printf(out, "%s`%s`", t == texts ? "" : ", ", *t);
}

static void print_type(struct sa_buf *out, const struct sa_policy_field *field)
{
    static const char *const names[] = {[SA_FIELD_BOOL] = "boolean",
                                        [SA_FIELD_INT] = "integer",
                                        [SA_FIELD_NUMBER] = "number",
                                        [SA_FIELD_TEXT] = "string",
                                        [SA_FIELD_TEXTS] = "list of strings",
                                        [SA_FIELD_MAP] = "map of strings",
                                        [SA_FIELD_OBJECT] = "map",
                                        [SA_FIELD_OBJECTS] = "list of maps",
                                        [SA_FIELD_ANY] = "anything"};
    if (field->values)
        print_texts(out, field->values);
    else
        sa_buf_adds(out, names[field->type]);
}

static void print_range(struct sa_buf *out, const struct sa_policy_field *field)
{
    if (field->high == INT64_MAX)
        sa_buf_printf(out, " (%lld or more)", (long long)field->low);
    else if (field->low || field->high)
        sa_buf_printf(out, " (%lld to %lld)", (long long)field->low, (long long)field->high);
}

/* What every input has is told once, at the top. */
static bool is_common(const struct sa_policy_field *field)
{
    return field->fields == sa_fields_scope || field->fields == sa_fields_user ||
           field->fields == sa_fields_sandbox;
}

static void print_rows(struct sa_buf *out, const struct sa_policy_field *fields, const char *above)
{
    char path[PATH_BYTES];
    for (; fields->name; fields++) {
        snprintf(path, sizeof path, "%s%s%s", above, *above ? "." : "", fields->name);
        sa_buf_printf(out, "| `%s` | ", path);
        print_type(out, fields);
        sa_buf_printf(out, " | %s", fields->doc);
        print_range(out, fields);
        sa_buf_adds(out, " |\n");
        if (fields->type == SA_FIELD_OBJECTS)
            snprintf(path, sizeof path, "%s%s%s[]", above, *above ? "." : "", fields->name);
        if (fields->fields && !is_common(fields))
            print_rows(out, fields->fields, path);
    }
}

static void print_table(struct sa_buf *out, const struct sa_policy_field *fields, const char *above)
{
    sa_buf_adds(out, "| member | type | what |\n|---|---|---|\n");
    print_rows(out, fields, above);
    sa_buf_addc(out, '\n');
}

static void print_combine(struct sa_buf *out, const struct sa_policy_point *point)
{
    switch (point->combine) {
    case SA_COMBINE_FIRST_FINAL:
        sa_buf_adds(out, "Verdicts: ");
        print_texts(out, point->verdicts);
        sa_buf_adds(out, "; nothing returned means ");
        sa_buf_printf(out, "`%s`, and ", point->verdicts[0]);
        print_texts(out, point->final);
        sa_buf_adds(out, " ends the asking.");
        break;
    case SA_COMBINE_NAMED:
        sa_buf_adds(out, "One rule is asked, the one that `input.rule` names.");
        break;
    case SA_COMBINE_MAX_SCORE:
        sa_buf_adds(out, "All rules are asked.");
        break;
    }
    if (point->target)
        sa_buf_printf(out, " `changes` change `input.%s`.", point->target);
    sa_buf_printf(out, "\nWithout a rule that can be asked: %s.\n\n", point->fallback);
}

void sa_policy_print_markdown(struct sa_buf *out)
{
    /* Who asks is the beginning of each. */
    const struct sa_policy_field *const common = sa_policy_points[0].input;
    sa_buf_adds(out, "# Reference of the decision points\n\n"
                     "Generated from the tables in `core/policy`. How rules are written: "
                     "[policies](policies.md).\n\n"
                     "A string that is not known is absent (`nil`); numbers, lists and maps are "
                     "always there.\n\n"
                     "## In every input\n\n| member | type | what |\n|---|---|---|\n");
    sa_buf_printf(out, "| `now` | number | %s |\n", common[0].doc);
    print_rows(out, common[1].fields, common[1].name);
    print_rows(out, common[2].fields, common[2].name);
    sa_buf_adds(out, "\nWhere a point is asked about a sandbox, also:\n\n");
    print_table(out, sa_fields_sandbox, "sandbox");
    for (size_t i = 0; i < SA_POINT_COUNT; i++) {
        const struct sa_policy_point *p = &sa_policy_points[i];
        sa_buf_printf(out, "## %s\n\n%s\n\n", p->name, p->doc);
        print_combine(out, p);
        print_table(out, p->input + 3, "");
        if (p->returns->name) {
            sa_buf_adds(out, "Returned, beside `rule` and `reason`:\n\n");
            print_table(out, p->returns, "");
        }
    }
    out->data[--out->length] = '\0';
}
