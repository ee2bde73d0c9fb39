/*
 * Parameters in force: those of params.lua over the declarations' defaults, and over both what the
 * overrides say that match the tenant, namespace and pool of a call; later ones win. What a set of
 * overrides makes of a rule's parameters is kept.
 */
#include "rules.h"

#include "base/arena.h"
#include "frozen.h"

#include <string.h>

enum { KEPT_MAX = 1024, KEY_BYTES = 512 };

static void call_declare(lua_State *L, const char *function, int count)
{
    sa_vm_push(L, sa_vm_of(L)->declare);
    lua_getfield(L, -1, function);
    lua_remove(L, -2);
    lua_insert(L, -count - 1);
    lua_call(L, count, 1);
}

static const char *scope_member(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    const char *text =
        lua_isstring(L, -1) ? sa_arena_strdup(sa_vm_of(L)->arena, lua_tostring(L, -1)) : NULL;
    lua_pop(L, 1);
    return text;
}

void sa_params_set(lua_State *L)
{
    struct sa_vm *vm = sa_vm_of(L);
    int settings = lua_gettop(L);
    lua_getfield(L, settings, "rules");
    for (size_t i = 0; i < vm->rule_count; i++) {
        struct sa_vm_rule *rule = &vm->rules[i];
        lua_getfield(L, -1, rule->name);
        if (lua_istable(L, -1)) {
            sa_vm_push(L, rule->defaults);
            lua_insert(L, -2);
            call_declare(L, "over", 2);
            sa_frozen_make(L);
            rule->params = sa_vm_ref(L);
        } else {
            lua_pop(L, 1);
        }
        lua_newtable(L);
        rule->scoped = sa_vm_ref(L);
    }
    lua_getfield(L, settings, "overrides");
    vm->override_count = lua_objlen(L, -1);
    vm->overrides = sa_arena_alloc(vm->arena, (vm->override_count + 1) * sizeof *vm->overrides);
    for (size_t i = 0; i < vm->override_count; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        vm->overrides[i].tenant = scope_member(L, "tenant");
        vm->overrides[i].namespace_ = scope_member(L, "namespace");
        vm->overrides[i].pool = scope_member(L, "pool");
        lua_getfield(L, -1, "rules");
        vm->overrides[i].rules = sa_vm_ref(L);
        lua_pop(L, 1);
    }
    lua_settop(L, settings - 1);
}

/* The member of the scope whose data is at `scope`: is it what an override asks for? */
static bool is_scope(lua_State *L, int scope, const char *name, const char *wanted)
{
    if (!wanted)
        return true;
    lua_getfield(L, scope, name);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    bool is = text && strcmp(text, wanted) == 0;
    lua_pop(L, 1);
    return is;
}

/* Push the values that the override has for the rule; false: none, and nothing is pushed. */
static bool push_override(lua_State *L, const struct sa_vm_override *o,
                          const struct sa_vm_rule *rule, int scope)
{
    sa_vm_push(L, o->rules);
    lua_getfield(L, -1, rule->name);
    lua_remove(L, -2);
    if (lua_istable(L, -1) && is_scope(L, scope, "tenant", o->tenant) &&
        is_scope(L, scope, "namespace", o->namespace_) && is_scope(L, scope, "pool", o->pool))
        return true;
    lua_pop(L, 1);
    return false;
}

/* The rule's parameters are at `params`, those over it above: put the frozen sum there, and keep
 * it. */
static void make_scoped(lua_State *L, const struct sa_vm_rule *rule, int params, const char *key)
{
    struct sa_vm *vm = sa_vm_of(L);
    for (int next = params + 1, last = lua_gettop(L); next <= last; next++) {
        lua_pushvalue(L, params);
        lua_pushvalue(L, next);
        call_declare(L, "over", 2);
        lua_replace(L, params);
    }
    lua_settop(L, params);
    sa_frozen_make(L);
    if (vm->kept == KEPT_MAX)
        return;
    vm->kept++;
    sa_vm_push(L, rule->scoped);
    lua_pushvalue(L, params);
    lua_setfield(L, -2, key);
}

/* Push the parameters with all overrides that match: computed once for each set of them. */
static void push_scoped(lua_State *L, const struct sa_vm_rule *rule, int scope)
{
    struct sa_vm *vm = sa_vm_of(L);
    char key[KEY_BYTES];
    size_t length = 0;
    int base = lua_gettop(L);
    sa_vm_push(L, rule->params);
    for (size_t i = 0; i < vm->override_count; i++) {
        if (!push_override(L, &vm->overrides[i], rule, scope))
            continue;
        luaL_checkstack(L, 8, "overrides");
        if (length + 8 < sizeof key)
            length += (size_t)snprintf(key + length, 8, "%zu,", i);
        else
            sa_vm_raise(L, SA_VM_ERROR, "more overrides apply to one call than can be kept apart");
    }
    int count = lua_gettop(L) - base;
    if (count == 1)
        return;
    sa_vm_push(L, rule->scoped);
    lua_getfield(L, -1, key);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 2);
        make_scoped(L, rule, base + 1, key);
    } else {
        lua_replace(L, base + 1);
    }
    lua_settop(L, base + 1);
}

void sa_params_push(lua_State *L, const struct sa_vm_rule *rule, int input)
{
    struct sa_vm *vm = sa_vm_of(L);
    int top = lua_gettop(L);
    if (!vm->override_count) {
        sa_vm_push(L, rule->params);
        return;
    }
    lua_getfield(L, input, "scope");
    if (!sa_frozen_peek(L, -1))
        lua_newtable(L);
    lua_replace(L, top + 1);
    push_scoped(L, rule, top + 1);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

/* report() of declare.lua for parameters that come with a call: they are wrong at once. */
static int refuse(lua_State *L)
{
    sa_vm_raise(L, SA_VM_TYPE, "%.300s", luaL_checkstring(L, 1));
}

void sa_params_over(lua_State *L, const struct sa_vm_rule *rule, int input)
{
    lua_getfield(L, input, "params");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    sa_vm_push(L, rule->declared);
    lua_insert(L, -2);
    lua_pushliteral(L, "params");
    lua_pushcfunction(L, refuse);
    call_declare(L, "values", 4);
    call_declare(L, "over", 2);
    sa_frozen_make(L);
}
