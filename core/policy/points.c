/* The decision points, and how they are told to a worker. */
#include "policy/tables.h"

#include "base/cleanup.h"

#include <string.h>

static const char *const allow_deny[] = {"allow", "deny", NULL};
static const char *const deny[] = {"deny", NULL};
static const char *const reuse_replace[] = {"reuse", "replace", NULL};
static const char *const replace[] = {"replace", NULL};
static const char *const allow_decide[] = {"allow", "decide", NULL};
static const char *const decide[] = {"decide", NULL};
static const char *const sized[] = {"sized", NULL};
static const char *const scored[] = {"scored", NULL};
static const char *const none[] = {NULL};
static const struct sa_policy_field no_fields[] = {SA_ROWS_END};

/* `who` is the beginning of each input, as the rows of its members say. */
#define INPUT(POINT)                                                                               \
    .input = sa_fields_##POINT, .input_size = sizeof(struct sa_policy_##POINT##_input)

const struct sa_policy_point sa_policy_points[SA_POINT_COUNT] = {
    [SA_POINT_PROFILE] = {.name = "profile",
                          .doc = "Security level and overrides: the complete security context. "
                                 "Rules complete `context`; what nobody decided denies.",
                          .verdicts = allow_deny,
                          .final = deny,
                          INPUT(profile),
                          .target = "context",
                          .changes = sa_fields_context,
                          .returns = no_fields,
                          .fallback = "denied, also when there is no rule at all"},
    [SA_POINT_SECCOMP] = {.name = "seccomp",
                          .doc = "Language and level: the system calls that its programs may make, "
                                 "and those that are told when they try.",
                          .verdicts = allow_deny,
                          .final = deny,
                          INPUT(seccomp),
                          .target = "filter",
                          .changes = sa_fields_filter,
                          .returns = no_fields,
                          .fallback = "denied, also when there is no rule at all"},
    [SA_POINT_ADMISSION] = {.name = "admission",
                            .doc = "A resource about to be written: changes fill in what is "
                                   "missing, a denial refuses it. As Kubernetes' admission.",
                            .verdicts = allow_deny,
                            .final = deny,
                            INPUT(admission),
                            .target = "object",
                            .returns = no_fields,
                            .fallback = "denied"},
    [SA_POINT_EXECUTE] = {.name = "execute",
                          .doc = "Code or a command about to run; changes set its limits.",
                          .verdicts = allow_deny,
                          .final = deny,
                          INPUT(execute),
                          .target = "run",
                          .changes = sa_fields_run,
                          .returns = no_fields,
                          .fallback = "denied"},
    [SA_POINT_FILES] = {.name = "files",
                        .doc = "A file read or changed from outside, through the API.",
                        .verdicts = allow_deny,
                        .final = deny,
                        INPUT(files),
                        .returns = no_fields,
                        .fallback = "denied"},
    [SA_POINT_EGRESS] = {.name = "egress",
                         .doc = "A connection out of a sandbox; changes limit it.",
                         .verdicts = allow_deny,
                         .final = deny,
                         INPUT(egress),
                         .target = "grant",
                         .changes = sa_fields_grant,
                         .returns = no_fields,
                         .fallback = "denied, also when there is no rule at all"},
    [SA_POINT_PACKAGES] = {.name = "packages",
                           .doc = "One package about to be installed.",
                           .verdicts = allow_deny,
                           .final = deny,
                           INPUT(packages),
                           .returns = no_fields,
                           .fallback = "denied"},
    [SA_POINT_RECYCLE] = {.name = "recycle",
                          .doc = "May a used pod be used again? One rule against it is enough.",
                          .verdicts = reuse_replace,
                          .final = replace,
                          INPUT(recycle),
                          .returns = no_fields,
                          .fallback = "replaced, also when there is no rule at all"},
    [SA_POINT_SCALING] =
        {.name = "scaling",
         .doc = "How many warm pods a pool shall have: asked of the one rule that the "
                "pool names. The answer is kept between its min and max.",
         .verdicts = sized,
         .final = none,
         .combine = SA_COMBINE_NAMED,
         INPUT(scaling),
         .returns = sa_fields_scaling_returns,
         .fallback = "the size stays, also when there is no such rule"},
    [SA_POINT_ANOMALY] = {.name = "anomaly",
                          .doc =
                              "Does a sandbox behave strangely? All rules are asked, the highest "
                              "score is the answer.",
                          .verdicts = scored,
                          .final = none,
                          .combine = SA_COMBINE_MAX_SCORE,
                          INPUT(anomaly),
                          .returns = sa_fields_anomaly_returns,
                          .fallback = "an alert"},
    [SA_POINT_LIFECYCLE] = {.name = "lifecycle",
                            .doc = "A timeout has come: what now? `decide` asks no further rule.",
                            .verdicts = allow_decide,
                            .final = decide,
                            INPUT(lifecycle),
                            .target = "outcome",
                            .changes = sa_fields_end,
                            .returns = no_fields,
                            .fallback = "what the sandbox's own lifecycle says"},
};

int sa_policy_point_find(const char *name)
{
    for (int i = 0; i < SA_POINT_COUNT; i++)
        if (strcmp(sa_policy_points[i].name, name) == 0)
            return i;
    return -1;
}

bool sa_policy_listed(const char *const *list, const char *text)
{
    for (; *list; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

const char *sa_field_type_name(enum sa_field_type type)
{
    static const char *const names[] = {
        [SA_FIELD_BOOL] = "boolean",  [SA_FIELD_INT] = "integer",     [SA_FIELD_NUMBER] = "number",
        [SA_FIELD_TEXT] = "string",   [SA_FIELD_TEXTS] = "strings",   [SA_FIELD_MAP] = "map",
        [SA_FIELD_OBJECT] = "object", [SA_FIELD_OBJECTS] = "objects", [SA_FIELD_ANY] = "any"};
    return names[type];
}

/* ---- SETUP's points ---- */

static void print_texts(struct sa_buf *out, const char *key, const char *const *texts)
{
    sa_value_key(out, key);
    sa_value_list(out);
    for (; *texts; texts++)
        sa_value_text(out, *texts);
    sa_value_end(out);
}

static void print_fields(struct sa_buf *out, const char *key, const struct sa_policy_field *fields);

static void print_field(struct sa_buf *out, const struct sa_policy_field *field)
{
    sa_value_key(out, field->name);
    sa_value_map(out);
    sa_value_put_text(out, "type", sa_field_type_name(field->type));
    if (field->low || field->high)
        sa_value_put_int(out, "low", field->low);
    if (field->high && field->high != INT64_MAX)
        sa_value_put_int(out, "high", field->high);
    if (field->values)
        print_texts(out, "values", field->values);
    if (field->flags & SA_FIELD_REQUIRED)
        sa_value_put_bool(out, "required", true);
    if (field->fields)
        print_fields(out, "fields", field->fields);
    sa_value_end(out);
}

static void print_fields(struct sa_buf *out, const char *key, const struct sa_policy_field *fields)
{
    sa_value_key(out, key);
    sa_value_map(out);
    for (; fields->name; fields++)
        print_field(out, fields);
    sa_value_end(out);
}

const char *sa_combine_name(enum sa_combine combine)
{
    static const char *const names[] = {[SA_COMBINE_FIRST_FINAL] = "firstFinal",
                                        [SA_COMBINE_NAMED] = "named",
                                        [SA_COMBINE_MAX_SCORE] = "maxScore"};
    return names[combine];
}

void sa_policy_points_print(struct sa_buf *out)
{
    sa_value_list(out);
    for (size_t i = 0; i < SA_POINT_COUNT; i++) {
        const struct sa_policy_point *point = &sa_policy_points[i];
        sa_value_map(out);
        sa_value_put_text(out, "name", point->name);
        print_texts(out, "verdicts", point->verdicts);
        print_texts(out, "final", point->final);
        sa_value_put_text(out, "combine", sa_combine_name(point->combine));
        print_fields(out, "input", point->input);
        sa_value_put_text(out, "target", point->target);
        if (point->changes)
            print_fields(out, "changes", point->changes);
        print_fields(out, "returns", point->returns);
        sa_value_end(out);
    }
    sa_value_end(out);
}
