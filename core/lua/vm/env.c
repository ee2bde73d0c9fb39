/* What rules may call. */
#include "env.h"

#include "frozen.h"
#include "prelude.h"

#include <lualib.h>
#include <string.h>

/* Of Lua's own functions, those that are harmless as they are. */
static const char *const plain_globals[] = {"tonumber", "select", NULL};
static const char *const plain_strings[] = {"len",  "sub",  "upper",   "lower",
                                            "byte", "char", "reverse", NULL};
static const char *const plain_math[] = {
    "abs",   "acos", "asin",  "atan", "atan2", "ceil", "cos",   "cosh", "deg", "exp",
    "floor", "fmod", "frexp", "huge", "ldexp", "log",  "log10", "max",  "min", "modf",
    "pi",    "pow",  "rad",   "sin",  "sinh",  "sqrt", "tan",   "tanh", NULL};

static int refuse_global(lua_State *L)
{
    sa_vm_raise(L, SA_VM_ERROR, "cannot set the global \"%.80s\": declare it with `local`",
                lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?");
}

/* Copy members of the table at `from` into the table on top. */
static void take(lua_State *L, int from, const char *const *names)
{
    for (; *names; names++) {
        lua_getfield(L, from, *names);
        if (lua_isnil(L, -1))
            luaL_error(L, "no %s", *names);
        lua_setfield(L, -2, *names);
    }
}

static void put(lua_State *L, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
}

/* Freeze the table on top and make it that member of the environment. */
static void set_library(lua_State *L, int env, const char *name)
{
    sa_frozen_make(L);
    lua_setfield(L, env, name);
}

static void open_strings(lua_State *L, int env, int globals)
{
    lua_getfield(L, globals, "string");
    lua_newtable(L);
    take(L, lua_gettop(L) - 1, plain_strings);
    put(L, sa_lib_text);
    put(L, sa_lib_mention);
    lua_pushcfunction(L, sa_lib_format);
    lua_setfield(L, -2, "format");
    /* The metatable of all strings: methods of the safe set, and nothing to change it by. */
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    set_library(L, env, "string");
    lua_pop(L, 1);
}

static void open_base(lua_State *L, int env, int globals)
{
    lua_pushvalue(L, env);
    take(L, globals, plain_globals);
    put(L, sa_lib_base);
    put(L, sa_lib_data);
    put(L, sa_lib_text);
    put(L, sa_lib_mention);
    put(L, sa_lib_units);
    put(L, sa_lib_network);
    lua_getfield(L, globals, "pairs");
    lua_getfield(L, globals, "ipairs");
    sa_lib_push_iterators(L);
    lua_setfield(L, env, "ipairs");
    lua_setfield(L, env, "pairs");
    lua_pop(L, 3);
}

static void open_tables(lua_State *L, int env, int globals)
{
    lua_newtable(L);
    put(L, sa_lib_table);
    set_library(L, env, "table");
    lua_getfield(L, globals, "math");
    lua_newtable(L);
    take(L, lua_gettop(L) - 1, plain_math);
    set_library(L, env, "math");
    lua_pop(L, 1);
}

/* The prelude's functions see the environment they become part of. */
static void open_prelude(lua_State *L, int env)
{
    if (luaL_loadbuffer(L, sa_prelude_lists, strlen(sa_prelude_lists), "=prelude"))
        lua_error(L);
    lua_pushvalue(L, env);
    lua_setfenv(L, -2);
    lua_call(L, 0, 1);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, env);
    }
    lua_pop(L, 1);
}

/* Not for rules: what checks declarations, with Lua's own `match` for short names. */
static void open_declare(lua_State *L, struct sa_vm *vm, int env, int globals)
{
    if (luaL_loadbuffer(L, sa_prelude_declare, strlen(sa_prelude_declare), "=declare"))
        lua_error(L);
    lua_pushvalue(L, env);
    lua_setfenv(L, -2);
    lua_getfield(L, globals, "string");
    lua_getfield(L, -1, "match");
    lua_remove(L, -2);
    lua_call(L, 1, 1);
    vm->declare = sa_vm_ref(L);
}

static void open_library(lua_State *L, lua_CFunction open)
{
    lua_pushcfunction(L, open);
    lua_call(L, 0, 0);
}

void sa_vm_open_env(struct sa_vm *vm)
{
    lua_State *L = vm->L;
    lua_settop(L, 0);
    open_library(L, luaopen_base);
    open_library(L, luaopen_string);
    open_library(L, luaopen_math);
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    lua_newtable(L);
    open_base(L, 2, 1);
    open_strings(L, 2, 1);
    open_tables(L, 2, 1);
    open_prelude(L, 2);
    open_declare(L, vm, 2, 1);

    lua_createtable(L, 0, 2);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_global);
    lua_setfield(L, -2, "__newindex");
    vm->env_meta = sa_vm_ref(L);
    vm->env = sa_vm_ref(L);

    /* What was opened and not taken is gone for good. */
    lua_newtable(L);
    lua_replace(L, LUA_GLOBALSINDEX);
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
    lua_settop(L, 0);
}

void sa_env_push(lua_State *L)
{
    lua_newtable(L);
    sa_vm_push(L, sa_vm_of(L)->env_meta);
    lua_setmetatable(L, -2);
}

bool sa_env_has(lua_State *L, const char *name)
{
    sa_vm_push(L, sa_vm_of(L)->env);
    lua_getfield(L, -1, name);
    bool has = !lua_isnil(L, -1);
    lua_pop(L, 2);
    return has;
}
