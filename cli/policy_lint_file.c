/* What can be seen of a rule by reading it: verdicts, changes, reasons. */
#include "policy_lint.h"

#include "base/cleanup.h"
#include "base/suggest.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 64 };

void sa_lint_add(struct sa_lint *lint, unsigned line, const char *fmt, ...)
{
    va_list ap;
    char text[512];
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    sa_make_printable(text);
    sa_buf_printf(lint->out, "%s:%u: %s\n", lint->path, line, text);
    lint->findings++;
}

/* ---- values against the tables ---- */

static const struct sa_policy_field *find_field(const struct sa_policy_field *fields,
                                                const char *name)
{
    for (; fields && fields->name; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

static bool listed(const char *const *values, const char *text)
{
    for (; *values; values++)
        if (strcmp(*values, text) == 0)
            return true;
    return false;
}

static size_t count_of(const char *const *values)
{
    size_t count = 0;
    while (values[count])
        count++;
    return count;
}

/* The kind a literal must have; OTHER: any. */
static enum sa_lua_kind kind_of(enum sa_field_type type)
{
    static const enum sa_lua_kind kinds[] = {
        [SA_FIELD_BOOL] = SA_LUA_BOOL,     [SA_FIELD_INT] = SA_LUA_NUMBER,
        [SA_FIELD_NUMBER] = SA_LUA_NUMBER, [SA_FIELD_TEXT] = SA_LUA_STRING,
        [SA_FIELD_TEXTS] = SA_LUA_TABLE,   [SA_FIELD_MAP] = SA_LUA_TABLE,
        [SA_FIELD_OBJECT] = SA_LUA_TABLE,  [SA_FIELD_OBJECTS] = SA_LUA_TABLE,
        [SA_FIELD_ANY] = SA_LUA_OTHER};
    return kinds[type];
}

static bool is_literal(enum sa_lua_kind kind)
{
    return kind >= SA_LUA_BOOL && kind <= SA_LUA_FUNCTION;
}

static void check_members(struct sa_lint *lint, const struct sa_policy_field *fields,
                          const struct sa_lua_expr *table, const char *path);

static void check_number(struct sa_lint *lint, const struct sa_policy_field *field,
                         const struct sa_lua_expr *value, const char *path)
{
    if (field->type == SA_FIELD_INT && value->number != floor(value->number))
        sa_lint_add(lint, value->line, "%s: expected an integer", path);
    else if ((field->low || field->high) &&
             (value->number < (double)field->low || value->number > (double)field->high))
        sa_lint_add(lint, value->line, "%s: %g is not in %lld to %lld", path, value->number,
                    (long long)field->low, (long long)field->high);
}

static void check_text(struct sa_lint *lint, const struct sa_policy_field *field,
                       const struct sa_lua_expr *value, const char *path)
{
    if (!field->values || listed(field->values, value->text))
        return;
    const char *near = sa_suggest(value->text, field->values, count_of(field->values));
    sa_lint_add(lint, value->line, "%s: there is no \"%.64s\"%s%s%s", path, value->text,
                near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static void check_value(struct sa_lint *lint, const struct sa_policy_field *field,
                        const struct sa_lua_expr *value, const char *path)
{
    enum sa_lua_kind wanted = kind_of(field->type);
    if (!is_literal(value->kind) || wanted == SA_LUA_OTHER)
        return;
    if (value->kind != wanted) {
        sa_lint_add(lint, value->line, "%s: expected a %s, this is a %s", path,
                    sa_lua_kind_name(wanted), sa_lua_kind_name(value->kind));
        return;
    }
    if (value->kind == SA_LUA_NUMBER)
        check_number(lint, field, value, path);
    else if (value->kind == SA_LUA_STRING)
        check_text(lint, field, value, path);
    else if (field->type == SA_FIELD_OBJECT)
        check_members(lint, field->fields, value, path);
}

/* NULL fields: anything may be in it. */
static void check_members(struct sa_lint *lint, const struct sa_policy_field *fields,
                          const struct sa_lua_expr *table, const char *path)
{
    if (!fields || table->kind != SA_LUA_TABLE)
        return;
    for (const struct sa_lua_expr *one = table->first; one; one = one->next) {
        char at[192];
        const char *names[NAMES_MAX];
        size_t count = 0;
        if (!one->key)
            continue;
        snprintf(at, sizeof at, "%s.%s", path, one->key);
        const struct sa_policy_field *field = find_field(fields, one->key);
        if (field) {
            check_value(lint, field, one, at);
            continue;
        }
        for (const struct sa_policy_field *f = fields; f->name && count < NAMES_MAX; f++)
            names[count++] = f->name;
        const char *near = sa_suggest(one->key, names, count);
        sa_lint_add(lint, one->line, "%s: there is no such member%s%s%s", at,
                    near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
}

/* ---- what a rule returns ---- */

static bool blank(const struct sa_lua_expr *value)
{
    return !value || value->kind == SA_LUA_NIL ||
           (value->kind == SA_LUA_STRING && value->text[strspn(value->text, " \t\n")] == '\0');
}

static void check_reason(struct sa_lint *lint, const struct sa_policy_point *point,
                         const struct sa_lua_expr *table, const struct sa_lua_expr *verdict)
{
    bool final = verdict && verdict->kind == SA_LUA_STRING && point->final &&
                 listed(point->final, verdict->text);
    bool scored = point->combine != SA_COMBINE_FIRST_FINAL;
    if ((final || scored) && blank(sa_lua_field(table, "reason")))
        sa_lint_add(lint, table->line, "a verdict without a reason: say why, for who meets it");
}

/* Members of a verdict besides those of the point's table. */
static bool is_common(const struct sa_policy_point *point, const char *key)
{
    static const char *const common[] = {"verdict", "rule", "reason", NULL};
    return listed(common, key) || (point->target && strcmp(key, "changes") == 0);
}

static void check_verdict(struct sa_lint *lint, const struct sa_policy_point *point,
                          const struct sa_lua_expr *table)
{
    const struct sa_lua_expr *verdict = sa_lua_field(table, "verdict");
    const struct sa_lua_expr *changes = sa_lua_field(table, "changes");
    for (const struct sa_lua_expr *one = table->first; one; one = one->next) {
        const struct sa_policy_field *field =
            one->key ? find_field(point->returns, one->key) : NULL;
        if (field)
            check_value(lint, field, one, one->key);
        else if (one->key && !is_common(point, one->key))
            sa_lint_add(lint, one->line, "a verdict of \"%s\" has no member \"%s\"", point->name,
                        one->key);
    }
    if (verdict && verdict->kind == SA_LUA_STRING && point->verdicts &&
        !listed(point->verdicts, verdict->text)) {
        const char *near = sa_suggest(verdict->text, point->verdicts, count_of(point->verdicts));
        sa_lint_add(lint, verdict->line, "\"%s\" has no verdict \"%s\"%s%s%s", point->name,
                    verdict->text, near ? ", did you mean \"" : "", near ? near : "",
                    near ? "\"?" : "");
    } else if (verdict && is_literal(verdict->kind) && verdict->kind != SA_LUA_STRING) {
        sa_lint_add(lint, verdict->line, "verdict: expected a string");
    }
    check_reason(lint, point, table, verdict);
    if (changes && changes->kind == SA_LUA_TABLE)
        check_members(lint, point->changes, changes, "changes");
}

static void check_call(struct sa_lint *lint, const struct sa_policy_point *point,
                       const struct sa_lua_expr *call)
{
    const struct sa_lua_expr *first = call->first;
    if (strcmp(call->text, "deny") == 0 && (!first || blank(first) || blank(first->next)))
        sa_lint_add(lint, call->line, "deny(rule, reason) needs both: who meets it reads them");
    if (strcmp(call->text, "allow") == 0 && first && first->kind == SA_LUA_TABLE && point->target)
        check_members(lint, point->changes, first, "changes");
    if (strcmp(call->text, "allow") == 0 && first && first->kind != SA_LUA_NIL && !point->target)
        sa_lint_add(lint, call->line, "at \"%s\" there is nothing to change", point->name);
}

/* `strict`: of `decide` itself, where everything is a verdict; else only what looks like one. */
static void check_returned(struct sa_lint *lint, const struct sa_policy_point *point,
                           const struct sa_lua_expr *value, bool strict)
{
    if (value->kind == SA_LUA_EITHER)
        for (const struct sa_lua_expr *part = value->first; part; part = part->next)
            check_returned(lint, point, part, strict);
    else if (value->kind == SA_LUA_TABLE && (strict || sa_lua_field(value, "verdict")))
        check_verdict(lint, point, value);
    else if (value->kind == SA_LUA_CALL)
        check_call(lint, point, value);
    else if (strict && is_literal(value->kind))
        sa_lint_add(lint, value->line, "decide returns a %s: a verdict is a table",
                    sa_lua_kind_name(value->kind));
}

/* ---- files ---- */

int sa_lint_point(const struct sa_lua_chunk *chunk)
{
    const struct sa_lua_expr *rule = sa_lua_resolve(chunk, chunk->returned);
    const struct sa_lua_expr *point = sa_lua_field(rule, "point");
    return point && point->kind == SA_LUA_STRING ? sa_policy_point_find(point->text) : -1;
}

void sa_lint_rule(struct sa_lint *lint, const struct sa_lua_chunk *chunk)
{
    int index = sa_lint_point(chunk);
    const struct sa_lua_expr *rule = sa_lua_resolve(chunk, chunk->returned);
    const struct sa_lua_expr *decide = sa_lua_resolve(chunk, sa_lua_field(rule, "decide"));
    if (index < 0)
        return; /* the worker has said so */
    for (const struct sa_lua_named *f = chunk->functions; f; f = f->next)
        for (const struct sa_lua_expr *value = f->expr->first; value; value = value->next)
            check_returned(lint, &sa_policy_points[index], sa_lua_resolve(chunk, value),
                           f->expr == decide);
    if (blank(sa_lua_field(rule, "description")))
        sa_lint_add(lint, rule->line, "the rule has no description");
}

void sa_lint_tests(struct sa_lint *lint, const struct sa_lua_chunk *chunk, int point)
{
    const struct sa_lua_expr *tests = sa_lua_resolve(chunk, chunk->returned);
    if (!tests || tests->kind != SA_LUA_TABLE || point < 0)
        return;
    for (const struct sa_lua_expr *test = tests->first; test; test = test->next) {
        const struct sa_lua_expr *input = sa_lua_field(test, "input");
        if (input && input->kind == SA_LUA_TABLE)
            check_members(lint, sa_policy_points[point].input, input, "input");
        if (test->kind == SA_LUA_TABLE && !sa_lua_field(test, "expect") &&
            !sa_lua_field(test, "expect_error"))
            sa_lint_add(lint, test->line, "a test that expects nothing");
    }
}
