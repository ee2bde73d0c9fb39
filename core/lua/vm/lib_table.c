/* Lists and maps: Lua's `table`, bounded, and helpers that do not change what they are given. */
#include "env.h"

#include "frozen.h"

enum { CONCAT_MAX = 1024 * 1024, LEVELS_MAX = SA_VALUE_DEPTH, CHECK_EVERY = 1024 };

/* ---- table.* ---- */

static lua_Integer own_list(lua_State *L, const char *name)
{
    if (!lua_istable(L, 1) || sa_frozen_data(L, 1)) {
        if (sa_frozen_is_table(L, 1))
            sa_vm_raise(L, SA_VM_ERROR, "%s: what a rule is given is frozen; copy() it first",
                        name);
        sa_vm_raise(L, SA_VM_ERROR, "%s: expected a table, got %s", name, luaL_typename(L, 1));
    }
    return (lua_Integer)lua_objlen(L, 1);
}

static lua_Integer position(lua_State *L, int index, lua_Integer low, lua_Integer high,
                            const char *name)
{
    lua_Number at = luaL_checknumber(L, index);
    if (!(at >= (lua_Number)low && at <= (lua_Number)high))
        sa_vm_raise(L, SA_VM_ERROR, "%s: the position is not within the list", name);
    return (lua_Integer)at;
}

static int table_insert(lua_State *L)
{
    lua_Integer length = own_list(L, "table.insert()"), at = length + 1;
    if (lua_gettop(L) == 3)
        at = position(L, 2, 1, length + 1, "table.insert()");
    else if (lua_gettop(L) != 2)
        sa_vm_raise(L, SA_VM_ERROR, "table.insert(): a list, perhaps a position, a value");
    for (lua_Integer i = length + 1; i > at; i--) {
        if (i % CHECK_EVERY == 0)
            sa_vm_check_deadline(L);
        lua_rawgeti(L, 1, (int)(i - 1));
        lua_rawseti(L, 1, (int)i);
    }
    lua_rawseti(L, 1, (int)at);
    return 0;
}

static int table_remove(lua_State *L)
{
    lua_Integer length = own_list(L, "table.remove()"), at = length;
    if (!lua_isnoneornil(L, 2))
        at = position(L, 2, 1, length + 1, "table.remove()");
    if (at < 1 || at > length)
        return 0;
    lua_rawgeti(L, 1, (int)at);
    for (lua_Integer i = at; i < length; i++) {
        if (i % CHECK_EVERY == 0)
            sa_vm_check_deadline(L);
        lua_rawgeti(L, 1, (int)(i + 1));
        lua_rawseti(L, 1, (int)i);
    }
    lua_pushnil(L);
    lua_rawseti(L, 1, (int)length);
    return 1;
}

static void add_element(lua_State *L, struct sa_buf *out, lua_Integer i)
{
    size_t length;
    lua_rawgeti(L, 5, (int)i);
    if (!lua_isstring(L, -1))
        sa_vm_raise(L, SA_VM_ERROR, "table.concat(): element %d is a %s", (int)i,
                    luaL_typename(L, -1));
    const char *text = lua_tolstring(L, -1, &length);
    if (out->length + length > CONCAT_MAX)
        sa_vm_raise(L, SA_VM_ERROR, "table.concat(): more than %d bytes", CONCAT_MAX);
    sa_buf_add(out, text, length);
    lua_pop(L, 1);
}

static int table_concat(lua_State *L)
{
    struct sa_buf *out = &sa_vm_of(L)->scratch;
    size_t length;
    const char *separator = luaL_optlstring(L, 2, "", &length);
    lua_settop(L, 4);
    sa_frozen_table(L, 1, "table.concat()");
    lua_Integer from = luaL_optinteger(L, 3, 1),
                to = luaL_optinteger(L, 4, (lua_Integer)lua_objlen(L, 5));
    out->length = 0;
    for (lua_Integer i = from; i <= to; i++) {
        if (i % CHECK_EVERY == 0)
            sa_vm_check_deadline(L);
        add_element(L, out, i);
        if (i == to)
            break;
        if (out->length + length > CONCAT_MAX)
            sa_vm_raise(L, SA_VM_ERROR, "table.concat(): more than %d bytes", CONCAT_MAX);
        sa_buf_add(out, separator, length);
    }
    lua_pushlstring(L, out->length ? out->data : "", out->length);
    return 1;
}

const luaL_Reg sa_lib_table[] = {
    {"insert", table_insert}, {"remove", table_remove}, {"concat", table_concat}, {NULL, NULL}};

/* ---- helpers ---- */

static int data_has(lua_State *L)
{
    bool found = false;
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (!lua_isnil(L, 1)) {
        sa_frozen_table(L, 1, "has(): the list");
        for (int i = 1; !found; i++) {
            if (i % CHECK_EVERY == 0)
                sa_vm_check_deadline(L);
            lua_rawgeti(L, 3, i);
            if (lua_isnil(L, 4))
                break;
            found = lua_rawequal(L, 2, 4);
            lua_settop(L, 3);
        }
    }
    lua_pushboolean(L, found);
    return 1;
}

static void begin_level(lua_State *L, int depth, const char *what)
{
    if (depth == LEVELS_MAX)
        sa_vm_raise(L, SA_VM_ERROR, "%s: more than %d levels", what, LEVELS_MAX);
    luaL_checkstack(L, 10, what);
    sa_vm_check_deadline(L);
}

/* Value on top -> a copy that may be changed. */
static void copy(lua_State *L, int depth)
{
    if (!sa_frozen_is_table(L, -1))
        return;
    begin_level(L, depth, "copy()");
    sa_frozen_table(L, -1, "copy()");
    int from = lua_gettop(L);
    lua_createtable(L, (int)lua_objlen(L, from), 0);
    lua_pushnil(L);
    while (lua_next(L, from)) {
        copy(L, depth + 1);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, from + 1);
    }
    lua_replace(L, from - 1);
    lua_pop(L, 1);
}

static int data_copy(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    copy(L, 0);
    return 1;
}

static bool is_map(lua_State *L, int index)
{
    if (!sa_frozen_is_table(L, index) || lua_isuserdata(L, index))
        return false;
    return lua_objlen(L, index) == 0;
}

/* Change the table at `into` by the members of the one at `from`. */
static void merge(lua_State *L, int into, int from, int depth)
{
    begin_level(L, depth, "merge()");
    sa_frozen_table(L, from, "merge()");
    int data = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, data)) {
        int value = lua_gettop(L);
        lua_pushvalue(L, value - 1);
        lua_rawget(L, into);
        if (is_map(L, value) && is_map(L, value + 1)) {
            merge(L, value + 1, value, depth + 1);
        } else {
            lua_pushvalue(L, value - 1);
            lua_pushvalue(L, value);
            copy(L, depth + 1);
            lua_rawset(L, into);
        }
        lua_settop(L, value - 1);
    }
    lua_pop(L, 1);
}

static int data_merge(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    if (!sa_frozen_is_table(L, 1) || !(lua_isnil(L, 2) || sa_frozen_is_table(L, 2)))
        sa_vm_raise(L, SA_VM_ERROR, "merge(): expected two tables");
    lua_pushvalue(L, 1);
    copy(L, 0);
    if (!lua_isnil(L, 2))
        merge(L, 3, 2, 0);
    return 1;
}

const luaL_Reg sa_lib_data[] = {
    {"has", data_has}, {"copy", data_copy}, {"merge", data_merge}, {NULL, NULL}};
