/* Conditions: kept in the order of their types, so that the same ones print the same. */
#include "objects/conditions.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <string.h>

enum { TYPE_MAX = 316, REASON_MAX = 1024, MESSAGE_MAX = 32768 };
static const char *const truths[] = {"Unknown", "False", "True", NULL};

static size_t search(const struct sa_conditions *conditions, const char *type, bool *found)
{
    size_t i = 0;
    while (i < conditions->count && strcmp(conditions->items[i].type, type) < 0)
        i++;
    *found = i < conditions->count && strcmp(conditions->items[i].type, type) == 0;
    return i;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static bool same(const struct sa_condition *a, const struct sa_condition *b)
{
    return a->status == b->status && a->observed_generation == b->observed_generation &&
           strcmp(or_empty(a->reason), or_empty(b->reason)) == 0 &&
           strcmp(or_empty(a->message), or_empty(b->message)) == 0;
}

/* New items with a gap of `gap` before the old one at `i`. */
static struct sa_condition *renew(struct sa_conditions *conditions, size_t i, size_t gap,
                                  struct sa_arena *arena)
{
    const struct sa_condition *old = conditions->items;
    struct sa_condition *items =
        sa_arena_alloc(arena, (conditions->count + gap) * sizeof *conditions->items);
    if (i > 0)
        memcpy(items, old, i * sizeof *items);
    if (i < conditions->count)
        memcpy(items + i + gap, old + i, (conditions->count - i) * sizeof *items);
    conditions->items = items;
    conditions->count += gap;
    return items + i;
}

bool sa_conditions_set(struct sa_conditions *conditions, const struct sa_condition *condition,
                       int64_t now_ms, struct sa_arena *arena)
{
    bool found;
    size_t i = search(conditions, condition->type, &found);
    int64_t since = now_ms;
    if (!found && conditions->count == SA_CONDITIONS_MAX)
        return false;
    if (found) {
        const struct sa_condition *is = &conditions->items[i];
        if (same(is, condition))
            return false;
        if (is->status == condition->status)
            since = is->transition_ms;
    }
    struct sa_condition *at = renew(conditions, i, !found, arena);
    *at = *condition;
    at->transition_ms = since;
    return true;
}

const struct sa_condition *sa_conditions_get(const struct sa_conditions *conditions,
                                             const char *type)
{
    bool found;
    size_t i = search(conditions, type, &found);
    return found ? &conditions->items[i] : NULL;
}

bool sa_conditions_is(const struct sa_conditions *conditions, const char *type,
                      enum sa_truth status)
{
    const struct sa_condition *condition = sa_conditions_get(conditions, type);
    return (condition ? condition->status : SA_UNKNOWN) == status;
}

static int decode_one(struct sa_json_obj *o, struct sa_condition *c, struct sa_error *err)
{
    int truth = 0;
    const char *when = "";
    *c = (struct sa_condition){.reason = "", .message = ""};
    if (sa_json_get_string(o, "type", TYPE_MAX, &c->type, err) < 0 ||
        sa_json_get_enum(o, "status", truths, &truth, err) < 0 ||
        sa_json_opt_string(o, "reason", REASON_MAX, &c->reason, NULL, err) < 0 ||
        sa_json_opt_string(o, "message", MESSAGE_MAX, &c->message, NULL, err) < 0 ||
        sa_json_opt_int(o, "observedGeneration", 0, INT64_MAX / 2, &c->observed_generation, NULL,
                        err) < 0 ||
        sa_json_opt_string(o, "lastTransitionTime", 40, &when, NULL, err) < 0)
        return -1;
    c->status = (enum sa_truth)truth;
    if (when[0] && sa_rfc3339_parse(when, &c->transition_ms) < 0)
        return sa_json_fail(o, "lastTransitionTime", err, "expected a time (RFC 3339)");
    return sa_json_finish(o, err);
}

int sa_conditions_decode(struct sa_json_obj *status, const char *key,
                         struct sa_conditions *conditions, struct sa_error *err)
{
    struct sa_json_arr list;
    struct sa_json_obj item;
    bool given = false, found;
    *conditions = (struct sa_conditions){NULL, 0};
    if (sa_json_opt_arr(status, key, SA_CONDITIONS_MAX, &list, &given, err) < 0)
        return -1;
    if (given && list.count)
        conditions->items = sa_arena_alloc(status->arena, list.count * sizeof *conditions->items);
    for (size_t i = 0; given && i < list.count; i++) {
        struct sa_condition c;
        if (sa_json_arr_obj(&list, i, &item, err) < 0 || decode_one(&item, &c, err) < 0)
            return -1;
        size_t at = search(conditions, c.type, &found);
        if (found)
            return sa_json_fail(&item, "type", err, "\"%.60s\" is there twice", c.type);
        memmove(&conditions->items[at + 1], &conditions->items[at],
                (conditions->count - at) * sizeof c);
        conditions->items[at] = c;
        conditions->count++;
    }
    return 0;
}

static bool is_text(const char *text, size_t max)
{
    const size_t length = text ? strnlen(text, max + 1) : 0;
    return length <= max && sa_utf8_valid(text, length);
}

int sa_conditions_check(const struct sa_conditions *conditions, const struct sa_json_at *at,
                        struct sa_error *err)
{
    for (size_t i = 0; i < conditions->count; i++) {
        const struct sa_condition *c = &conditions->items[i];
        const struct sa_json_obj here = {.at = {at, NULL, i}};
        if (i >= SA_CONDITIONS_MAX || c->status > SA_TRUE || !is_text(c->type, TYPE_MAX) ||
            !is_text(c->reason, REASON_MAX) || !is_text(c->message, MESSAGE_MAX) ||
            (i && strcmp(c[-1].type, c->type) >= 0))
            return sa_json_fail(&here, NULL, err, "expected a condition, one of each type");
    }
    return 0;
}

void sa_conditions_copy(const struct sa_conditions *from, struct sa_arena *arena,
                        struct sa_conditions *to)
{
    *to = (struct sa_conditions){NULL, from->count};
    if (from->count)
        to->items = sa_arena_alloc(arena, from->count * sizeof *to->items);
    for (size_t i = 0; i < from->count; i++) {
        const struct sa_condition *c = &from->items[i];
        to->items[i] = *c;
        to->items[i].type = sa_arena_strdup(arena, c->type);
        to->items[i].reason = sa_arena_strdup(arena, or_empty(c->reason));
        to->items[i].message = sa_arena_strdup(arena, or_empty(c->message));
    }
}

void sa_conditions_print(const struct sa_conditions *conditions, struct sa_json_w *w)
{
    char when[SA_RFC3339_BYTES];
    sa_json_w_begin_array(w);
    for (size_t i = 0; i < conditions->count; i++) {
        const struct sa_condition *c = &conditions->items[i];
        sa_rfc3339(c->transition_ms, when);
        sa_json_w_begin_object(w);
        sa_json_put_string(w, "type", c->type);
        sa_json_put_string(w, "status", truths[c->status]);
        if (c->observed_generation)
            sa_json_put_int(w, "observedGeneration", c->observed_generation);
        sa_json_put_string(w, "lastTransitionTime", when);
        sa_json_put_string(w, "reason", or_empty(c->reason));
        sa_json_put_string(w, "message", or_empty(c->message));
        sa_json_w_end_object(w);
    }
    sa_json_w_end_array(w);
}
