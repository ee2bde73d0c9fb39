/*
 * The pipeline of a decision point: its rules in order, each on the input with the changes so far.
 *
 * On the stack, from `base`: the frozen input, its data (to be peeked at), all changes so far (or
 * nil), the answer that stands (or nil); above, what is being worked on.
 */
#include "rules.h"

#include "base/clock.h"
#include "change.h"
#include "convert.h"
#include "frozen.h"

#include <string.h>

enum { ID_BYTES_MAX = 63, REASON_BYTES_MAX = 1000 };

struct deciding {
    const struct sa_vm_question *question;
    const struct sa_vm_point *point;
    struct sa_buf *out;
    int input, data, changes, answer; /* stack */
    const struct sa_vm_rule *by;      /* whose answer stands */
    bool final;
    size_t ran;
};

/* What a rule returned; texts live as long as its table. */
struct returned {
    const char *verdict, *id, *reason;
    bool has_changes, final;
};

/* ---- what a rule returned ---- */

static const char *take_text(lua_State *L, const char *name, size_t max)
{
    size_t length;
    if (lua_type(L, -1) != LUA_TSTRING)
        sa_vm_raise(L, SA_VM_TYPE, "%s: expected a string, got %s", name, luaL_typename(L, -1));
    const char *text = lua_tolstring(L, -1, &length);
    if (!length || length > max || strlen(text) != length)
        sa_vm_raise(L, SA_VM_TYPE, "%s: expected 1 to %zu bytes without NUL", name, max);
    return text;
}

static void take_verdict(lua_State *L, const struct deciding *d, struct returned *r)
{
    r->verdict = take_text(L, "verdict", ID_BYTES_MAX);
    if (!sa_check_listed(&d->point->verdicts, r->verdict))
        sa_vm_raise(L, SA_VM_TYPE, "verdict: \"%s\" is none of the point \"%s\"", r->verdict,
                    d->point->name);
    r->final = sa_check_listed(&d->point->final, r->verdict);
}

static void take_id(lua_State *L, struct returned *r)
{
    r->id = take_text(L, "rule", ID_BYTES_MAX);
    if (strspn(r->id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
        strlen(r->id))
        sa_vm_raise(L, SA_VM_TYPE, "rule: an id is of letters, digits, '.', '_' and '-'");
}

/* The member on top of what a rule returned. */
static void take_member(lua_State *L, const struct deciding *d, const char *name,
                        struct returned *r)
{
    if (strcmp(name, "verdict") == 0) {
        take_verdict(L, d, r);
    } else if (strcmp(name, "rule") == 0) {
        take_id(L, r);
    } else if (strcmp(name, "reason") == 0) {
        r->reason = take_text(L, name, REASON_BYTES_MAX);
    } else if (strcmp(name, "changes") == 0) {
        if (!d->point->target)
            sa_vm_raise(L, SA_VM_TYPE, "changes: at \"%s\" nothing can be changed", d->point->name);
        r->has_changes = true;
    } else {
        const struct sa_vm_field *field = sa_check_find(&d->point->returns, name);
        if (!field)
            sa_vm_raise(L, SA_VM_TYPE, "there is no member \"%.60s\" in what a rule returns", name);
        sa_check_value(L, lua_gettop(L), field, name);
    }
}

static void check_complete(lua_State *L, const struct deciding *d, int table, struct returned *r)
{
    if (!r->verdict && d->point->combine == SA_VM_FIRST_FINAL)
        sa_vm_raise(L, SA_VM_TYPE, "verdict is missing");
    if (!r->verdict)
        r->verdict = d->point->verdicts.text[0];
    if (r->final && (!r->id || !r->reason))
        sa_vm_raise(L, SA_VM_TYPE, "%s is missing: \"%s\" says which rule, and why",
                    r->id ? "reason" : "rule", r->verdict);
    for (size_t i = 0; i < d->point->returns.count; i++) {
        const struct sa_vm_field *field = &d->point->returns.field[i];
        if (!field->required)
            continue;
        lua_getfield(L, table, field->name);
        if (lua_isnil(L, -1))
            sa_vm_raise(L, SA_VM_TYPE, "%s is missing", field->name);
        lua_pop(L, 1);
    }
}

/* What a rule returned is on top, and replaced by its data. False: nothing. */
static bool take_returned(lua_State *L, const struct deciding *d, struct returned *r)
{
    memset(r, 0, sizeof *r);
    if (lua_isnil(L, -1) && d->point->combine != SA_VM_NAMED)
        return false;
    if (!sa_frozen_is_table(L, -1))
        sa_vm_raise(L, SA_VM_TYPE, "a rule returns a table or nil, not a %s", luaL_typename(L, -1));
    sa_frozen_table(L, -1, "what a rule returned");
    lua_replace(L, -2);
    int table = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            sa_vm_raise(L, SA_VM_TYPE, "what a rule returned has a member named by a %s",
                        luaL_typename(L, -2));
        take_member(L, d, lua_tostring(L, -2), r);
        lua_pop(L, 1);
    }
    check_complete(L, d, table, r);
    return true;
}

/* The table of what was returned is on top. */
static void apply_changes(lua_State *L, const struct deciding *d)
{
    int top = lua_gettop(L);
    lua_getfield(L, top, "changes");
    int changes = top + 1;
    if (!d->point->any_change)
        sa_check_fields(L, changes, &d->point->changes, "changes");
    lua_getfield(L, d->data, d->point->target);
    sa_change_push(L, -1, changes, "changes");
    sa_frozen_set(L, d->input, d->point->target);
    lua_settop(L, changes);
    sa_change_push(L, d->changes, changes, "changes");
    lua_replace(L, d->changes);
    lua_settop(L, top);
}

/* ---- the trace ---- */

static void trace(lua_State *L, const struct deciding *d, const struct sa_vm_rule *rule,
                  const struct returned *r, bool returned, int64_t began_us)
{
    sa_value_map(d->out);
    sa_value_put_text(d->out, "rule", rule->name);
    if (returned) {
        sa_value_put_text(d->out, "verdict", r->verdict);
        sa_value_put_text(d->out, "id", r->id);
        sa_value_put_text(d->out, "reason", r->reason);
        for (size_t i = 0; i < d->point->returns.count; i++) {
            lua_getfield(L, -1, d->point->returns.field[i].name);
            if (!lua_isnil(L, -1)) {
                sa_value_key(d->out, d->point->returns.field[i].name);
                sa_convert_add(L, -1, d->out, d->point->returns.field[i].name);
            }
            lua_pop(L, 1);
        }
    }
    if (returned && r->has_changes) {
        lua_getfield(L, -1, "changes");
        sa_value_key(d->out, "changes");
        sa_convert_add(L, -1, d->out, "changes");
        lua_pop(L, 1);
    }
    sa_value_put_int(d->out, "micros", sa_monotonic_us() - began_us);
    sa_value_end(d->out);
}

/* ---- rules ---- */

static void push_params(lua_State *L, const struct deciding *d, const struct sa_vm_rule *rule)
{
    if (d->question->only)
        lua_pushvalue(L, d->question->params);
    else
        sa_params_push(L, rule, d->data);
    if (d->point->combine == SA_VM_NAMED)
        sa_params_over(L, rule, d->data);
}

/* Is the answer on top better than the one that stands? */
static bool is_better(lua_State *L, const struct deciding *d)
{
    if (d->point->combine != SA_VM_MAX_SCORE || lua_isnil(L, d->answer))
        return true;
    lua_getfield(L, -1, "score");
    lua_getfield(L, d->answer, "score");
    bool better = lua_tonumber(L, -2) > lua_tonumber(L, -1);
    lua_pop(L, 2);
    return better;
}

static void ask_rule(lua_State *L, struct deciding *d, const struct sa_vm_rule *rule)
{
    struct returned r;
    int top = lua_gettop(L);
    int64_t began_us = d->question->trace ? sa_monotonic_us() : 0;
    sa_vm_of(L)->running = rule;
    sa_vm_push(L, rule->decide);
    lua_pushvalue(L, d->input);
    push_params(L, d, rule);
    lua_call(L, 2, 1);
    bool returned = take_returned(L, d, &r);
    d->ran++;
    if (returned && r.has_changes)
        apply_changes(L, d);
    if (d->question->trace)
        trace(L, d, rule, &r, returned, began_us);
    d->final = returned && r.final;
    if (d->final || (returned && d->point->combine != SA_VM_FIRST_FINAL && is_better(L, d))) {
        lua_replace(L, d->answer);
        d->by = rule;
    }
    lua_settop(L, top);
}

static const struct sa_vm_rule *named_rule(lua_State *L, const struct deciding *d)
{
    lua_getfield(L, d->data, "rule");
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    for (size_t i = 0; i < d->point->rule_count; i++)
        if (strcmp(d->point->rules[i]->name, name) == 0) {
            lua_pop(L, 1);
            return d->point->rules[i];
        }
    sa_vm_raise(L, SA_VM_ERROR, "there is no rule \"%.60s\" for the point \"%s\"", name,
                d->point->name);
}

static void ask_rules(lua_State *L, struct deciding *d)
{
    if (d->question->only) {
        ask_rule(L, d, d->question->only);
    } else if (d->point->combine == SA_VM_NAMED) {
        ask_rule(L, d, named_rule(L, d));
    } else {
        for (size_t i = 0; i < d->point->rule_count && !d->final; i++)
            ask_rule(L, d, d->point->rules[i]);
    }
}

/* ---- the verdict ---- */

static void add_text(lua_State *L, const struct deciding *d, const char *name)
{
    lua_getfield(L, d->answer, name);
    if (lua_type(L, -1) == LUA_TSTRING)
        sa_value_put_text(d->out, name, lua_tostring(L, -1));
    lua_pop(L, 1);
}

static void add_rule(lua_State *L, const struct deciding *d)
{
    char name[2 * ID_BYTES_MAX + 2];
    lua_getfield(L, d->answer, "rule");
    const char *id = lua_tostring(L, -1);
    snprintf(name, sizeof name, "%s%s%s", d->by->name, id ? "/" : "", id ? id : "");
    lua_pop(L, 1);
    sa_value_put_text(d->out, "rule", name);
}

/* A required member that no rule returned: the least that it can be. */
static void add_nothing(const struct deciding *d, const struct sa_vm_field *field)
{
    if (!field->required)
        return;
    if (field->type == SA_VM_STRING)
        sa_value_put_text(d->out, field->name, field->values.count ? field->values.text[0] : "");
    else
        sa_value_put_number(d->out, field->name, field->has_low ? field->low : 0);
}

static void add_answer(lua_State *L, const struct deciding *d)
{
    const struct sa_vm_fields *returns = &d->point->returns;
    lua_getfield(L, d->answer, "verdict");
    sa_value_put_text(d->out, "verdict",
                      lua_isstring(L, -1) ? lua_tostring(L, -1) : d->point->verdicts.text[0]);
    lua_pop(L, 1);
    add_rule(L, d);
    add_text(L, d, "reason");
    for (size_t i = 0; i < returns->count; i++) {
        lua_getfield(L, d->answer, returns->field[i].name);
        if (!lua_isnil(L, -1)) {
            sa_value_key(d->out, returns->field[i].name);
            sa_convert_add(L, -1, d->out, returns->field[i].name);
        }
        lua_pop(L, 1);
    }
}

static void add_no_answer(const struct deciding *d)
{
    sa_value_put_text(d->out, "verdict", d->point->verdicts.text[0]);
    for (size_t i = 0; i < d->point->returns.count; i++)
        add_nothing(d, &d->point->returns.field[i]);
}

static void add_changes(lua_State *L, const struct deciding *d)
{
    if (lua_isnil(L, d->changes))
        return;
    sa_value_key(d->out, "changes");
    sa_convert_add(L, d->changes, d->out, "changes");
    sa_value_key(d->out, "result");
    lua_getfield(L, d->data, d->point->target);
    sa_convert_add(L, -1, d->out, "result");
    lua_pop(L, 1);
}

static void add_ran(lua_State *L, const struct deciding *d)
{
    const struct sa_vm_rule *only = d->question->only;
    if (!only && d->point->combine == SA_VM_NAMED)
        only = d->by;
    sa_value_key(d->out, "ran");
    sa_value_list(d->out);
    for (size_t i = 0; i < d->ran; i++)
        sa_value_text(d->out, only ? only->name : d->point->rules[i]->name);
    sa_value_end(d->out);
    if (!d->question->trace)
        return;
    sa_value_key(d->out, "params");
    sa_value_map(d->out);
    for (size_t i = 0; i < d->ran; i++) {
        const struct sa_vm_rule *rule = only ? only : d->point->rules[i];
        sa_value_key(d->out, rule->name);
        push_params(L, d, rule);
        sa_convert_add(L, -1, d->out, "params");
        lua_pop(L, 1);
    }
    sa_value_end(d->out);
}

void sa_decide(lua_State *L, const struct sa_vm_question *question, struct sa_buf *out)
{
    struct sa_vm *vm = sa_vm_of(L);
    int base = lua_gettop(L);
    struct deciding d = {.question = question,
                         .point = question->point,
                         .out = out,
                         .input = base,
                         .data = base + 1,
                         .changes = base + 2,
                         .answer = base + 3};
    luaL_checkstack(L, 40, "a decision");
    sa_frozen_peek(L, base);
    lua_pushnil(L);
    lua_pushnil(L);
    sa_value_map(out);
    if (question->trace) {
        sa_value_key(out, "trace");
        sa_value_list(out);
    }
    ask_rules(L, &d);
    vm->running = NULL;
    if (question->trace)
        sa_value_end(out);
    if (d.by)
        add_answer(L, &d);
    else
        add_no_answer(&d);
    add_changes(L, &d);
    add_ran(L, &d);
    sa_value_end(out);
    lua_settop(L, base);
}

/* ---- CALL ---- */

struct call {
    struct sa_vm_question question;
    const void *input;
    struct sa_buf *out;
};

static int call(lua_State *L)
{
    const struct call *c = sa_vm_of(L)->argument;
    if (*(const uint8_t *)c->input != SA_VALUE_MAP)
        sa_vm_raise(L, SA_VM_PROTOCOL, "the input is no map");
    sa_convert_push_frozen(L, c->input);
    sa_decide(L, &c->question, c->out);
    return 0;
}

int sa_decide_call(struct sa_vm *vm, struct sa_vm_point *point, const void *input, bool with_trace,
                   struct sa_buf *out)
{
    struct call c = {.question = {.point = point, .trace = with_trace}, .input = input, .out = out};
    return sa_vm_protect(vm, call, &c, vm->limits.cpu_ms);
}
