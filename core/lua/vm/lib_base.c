/* The functions of Lua itself that rules see, where Lua's own would show what is behind frozen
 * data, or an address. */
#include "env.h"

#include "frozen.h"

static int base_type(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushstring(L, sa_frozen_is_table(L, 1) ? "table" : luaL_typename(L, 1));
    return 1;
}

const char *sa_lib_tostring(lua_State *L, int index, size_t *length)
{
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
    case LUA_TNUMBER:
        lua_pushvalue(L, index);
        break;
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
        break;
    case LUA_TUSERDATA:
        lua_pushliteral(L, "table");
        break;
    default: /* no address: the same input gives the same output */
        lua_pushstring(L, luaL_typename(L, index));
    }
    return lua_tolstring(L, -1, length);
}

static int base_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    sa_lib_tostring(L, 1, NULL);
    return 1;
}

static int base_next(lua_State *L)
{
    lua_settop(L, 2);
    sa_frozen_table(L, 1, "next()");
    lua_insert(L, 2);
    return lua_next(L, 2) ? 2 : (lua_pushnil(L), 1);
}

/* A table's own iteration is the machine's: upvalue 1 is Lua's `name`. */
static int iterate_table(lua_State *L, const char *name)
{
    if (!lua_istable(L, 1))
        sa_vm_raise(L, SA_VM_ERROR, "%s(): expected a table, got %s", name, luaL_typename(L, 1));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 3);
    return 3;
}

/* Upvalue 2 is `next` above. */
static int base_pairs(lua_State *L)
{
    lua_settop(L, 1);
    if (!sa_frozen_data(L, 1))
        return iterate_table(L, "pairs");
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, 1);
    return 2;
}

static int list_step(lua_State *L)
{
    int i = (int)lua_tointeger(L, 2) + 1;
    if (!sa_frozen_data(L, 1))
        return 0;
    lua_pushinteger(L, i);
    lua_rawgeti(L, -2, i);
    return lua_isnil(L, -1) ? 0 : 2;
}

static int base_ipairs(lua_State *L)
{
    lua_settop(L, 1);
    if (!sa_frozen_data(L, 1))
        return iterate_table(L, "ipairs");
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

static int base_unpack(lua_State *L)
{
    enum { VALUES_MAX = 250 };
    lua_Integer from = luaL_optinteger(L, 2, 1);
    lua_settop(L, 3);
    sa_frozen_table(L, 1, "unpack()");
    lua_Integer to = luaL_optinteger(L, 3, (lua_Integer)lua_objlen(L, -1));
    if (from > to)
        return 0;
    if (from < 0 || to > INT32_MAX || to - from >= VALUES_MAX)
        sa_vm_raise(L, SA_VM_ERROR, "unpack(): more than %d values", VALUES_MAX);
    luaL_checkstack(L, VALUES_MAX, "unpack()");
    for (lua_Integer i = from; i <= to; i++)
        lua_rawgeti(L, 4, (int)i);
    return (int)(to - from + 1);
}

/* With the place of the caller in front: a refusal says which line it comes from. */
static int raise_text(lua_State *L, int level)
{
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, level);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int base_error(lua_State *L)
{
    int level = luaL_optinteger(L, 2, 1) == 2 ? 2 : 1;
    lua_settop(L, 1);
    return raise_text(L, level);
}

static int base_assert(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_toboolean(L, 1))
        return lua_gettop(L);
    if (lua_gettop(L) == 1)
        lua_pushliteral(L, "assertion failed");
    lua_settop(L, 2);
    return raise_text(L, 1);
}

static int base_allow(lua_State *L)
{
    lua_settop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "allow");
    lua_setfield(L, -2, "verdict");
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "changes");
    return 1;
}

static int base_deny(lua_State *L)
{
    lua_settop(L, 2);
    lua_createtable(L, 0, 4);
    lua_pushliteral(L, "deny");
    lua_setfield(L, -2, "verdict");
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "rule");
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "reason");
    return 1;
}

const luaL_Reg sa_lib_base[] = {
    {"type", base_type},     {"tostring", base_tostring}, {"next", base_next},
    {"unpack", base_unpack}, {"error", base_error},       {"assert", base_assert},
    {"allow", base_allow},   {"deny", base_deny},         {NULL, NULL}};

/* pairs and ipairs of frozen data fall back on Lua's own, which are on the stack: pairs, ipairs. */
void sa_lib_push_iterators(lua_State *L)
{
    int own = lua_gettop(L);
    lua_pushvalue(L, own - 1);
    lua_pushcfunction(L, base_next);
    lua_pushcclosure(L, base_pairs, 2);
    lua_pushvalue(L, own);
    lua_pushcfunction(L, list_step);
    lua_pushcclosure(L, base_ipairs, 2);
}
