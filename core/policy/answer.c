/* What a worker said, checked: it is permission only when it is exactly what the point says. */
#include "policy/internal.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

static bool must_be_ruled(enum sa_point point)
{
    switch (point) {
    case SA_POINT_PROFILE:
    case SA_POINT_SECCOMP:
    case SA_POINT_EGRESS:
    case SA_POINT_RECYCLE:
    case SA_POINT_SCALING:
        return true;
    default:
        return false;
    }
}

const char *policy_default_verdict(enum sa_point point)
{
    const struct sa_policy_point *p = &sa_policy_points[point];
    if (point == SA_POINT_LIFECYCLE || !p->final[0])
        return p->verdicts[0];
    return p->final[0];
}

bool policy_verdict_allows(const char *verdict)
{
    return strcmp(verdict, "deny") != 0 && strcmp(verdict, "replace") != 0;
}

/* One line of valid UTF-8, cut where it is too long. */
static void take_text(const struct sa_value *value, char *text, size_t size)
{
    size_t length = value->type == SA_VALUE_STRING ? value->length : 0;
    if (length >= size)
        length = size - 1;
    if (length)
        memcpy(text, value->data, length);
    text[sa_utf8_prefix(text, length)] = '\0';
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
}

static bool any_ran(const struct sa_value *answer)
{
    const struct sa_value ran = sa_value_get(answer, "ran");
    struct sa_value first;
    struct sa_value_reader reader = sa_value_enter(&ran);
    return ran.type == SA_VALUE_LIST && sa_value_next(&reader, &first);
}

static int take_verdict(const struct sa_policy_point *point, const struct sa_value *answer,
                        const char **verdict, struct sa_error *err)
{
    const struct sa_value given = sa_value_get(answer, "verdict");
    char text[32];
    /* Where rules return figures they return no verdict. */
    if (given.type == SA_VALUE_NIL && point->combine != SA_COMBINE_FIRST_FINAL) {
        *verdict = point->verdicts[0];
        return 0;
    }
    for (const char *const *v = point->verdicts; *v; v++)
        if (sa_value_is(&given, *v)) {
            *verdict = *v;
            return 0;
        }
    take_text(&given, text, sizeof text);
    return sa_error_at(err, SA_EINVALID, "verdict", "verdict: \"%s\" is none of %s's", text,
                       point->name);
}

static int take_result(enum sa_point point, const struct sa_value *answer, struct sa_arena *arena,
                       struct policy_answer *out, struct sa_error *err)
{
    const struct sa_policy_point *p = &sa_policy_points[point];
    const struct sa_value result = sa_value_get(answer, "result");
    const struct sa_value changes = sa_value_get(answer, "changes");
    if (result.type == SA_VALUE_NIL) {
        if (changes.type != SA_VALUE_NIL)
            return sa_error_at(err, SA_EINVALID, "result", "result: missing, with changes");
        if (p->changes == sa_fields_context || p->changes == sa_fields_filter)
            return sa_error_at(err, SA_EINVALID, "result", "no rule completes the %s", p->target);
        return 0;
    }
    if (!p->target)
        return sa_error_at(err, SA_EINVALID, "result", "result: %s has none", p->name);
    out->changed = true;
    if (p->changes)
        return sa_policy_decode(p->changes, &result, p->target, arena, &out->result, err);
    if (result.type != SA_VALUE_MAP)
        return sa_error_at(err, SA_EINVALID, p->target, "%s: expected map, got %s", p->target,
                           sa_value_type_name(result.type));
    out->result.object = result;
    return 0;
}

/* Nobody was asked, where that is allowed. */
static void take_nothing(enum sa_point point, struct policy_answer *out)
{
    if (point != SA_POINT_ANOMALY)
        return;
    out->changed = true;
    out->result.anomaly = (struct sa_anomaly_returns){.score = 0, .action = "none"};
}

int policy_answer_take(enum sa_point point, const struct sa_value *value, struct sa_arena *arena,
                       struct policy_answer *answer, struct sa_error *err)
{
    const struct sa_policy_point *p = &sa_policy_points[point];
    const struct sa_value rule = sa_value_get(value, "rule");
    const struct sa_value reason = sa_value_get(value, "reason");
    *answer = (struct policy_answer){0};
    if (value->type != SA_VALUE_MAP)
        return sa_error_set(err, SA_EINVALID, "a verdict is a map, not a %s",
                            sa_value_type_name(value->type));
    if (take_verdict(p, value, &answer->verdict, err) < 0)
        return -1;
    take_text(&rule, answer->rule, sizeof answer->rule);
    take_text(&reason, answer->reason, sizeof answer->reason);
    answer->allowed = policy_verdict_allows(answer->verdict);
    if (!answer->allowed) { /* whatever else is wrong with it */
        if (!answer->rule[0])
            snprintf(answer->rule, sizeof answer->rule, "unnamed");
        if (!answer->reason[0])
            snprintf(answer->reason, sizeof answer->reason, "no reason was given");
        return 0;
    }
    if (!any_ran(value)) {
        if (must_be_ruled(point))
            return sa_error_set(err, SA_EUNAVAILABLE, "there is no rule for %s", p->name);
        take_nothing(point, answer);
        return 0;
    }
    if (p->returns->name) {
        answer->changed = true;
        return sa_policy_decode_returns(p->returns, value, arena, &answer->result, err);
    }
    return take_result(point, value, arena, answer, err);
}

int sa_policy_error(const struct sa_policy_verdict *verdict, struct sa_error *err)
{
    const char *id = verdict->meta.id;
    char decision[64] = "";
    if (id[0])
        snprintf(decision, sizeof decision, " (decision %s)", id);
    if (verdict->defaulted)
        return sa_error_at(err, SA_EUNAVAILABLE, verdict->rule, "the policy could not decide: %s%s",
                           verdict->reason, decision);
    return sa_error_at(err, SA_EPOLICY, verdict->rule, "%s: %s%s", verdict->rule, verdict->reason,
                       decision);
}

int sa_policy_error_changing(struct sa_error *err)
{
    return sa_error_set(err, SA_EUNAVAILABLE, "the policies are being changed; try again");
}
