/* Changes of a target. */
#include "change.h"

#include "frozen.h"

static void change(lua_State *L, int old, int new, const char *what, int depth);

/* A list, or a map without any member that could be merged. */
static bool is_list(lua_State *L, int index)
{
    return lua_isuserdata(L, index) || lua_objlen(L, index) > 0;
}

static size_t count(lua_State *L, int data)
{
    size_t n = 0;
    lua_pushnil(L);
    while (lua_next(L, data)) {
        lua_pop(L, 1);
        n++;
    }
    return n;
}

/* Members of the data at `from` into the one at `to`, changed by those of the data at `new`. */
static void fill(lua_State *L, int to, int from, int new, const char *what, int depth)
{
    if (from) {
        lua_pushnil(L);
        while (lua_next(L, from)) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, to);
        }
    }
    lua_pushnil(L);
    while (lua_next(L, new)) {
        int value = lua_gettop(L);
        lua_pushvalue(L, value - 1);
        lua_pushvalue(L, value - 1);
        lua_rawget(L, to);
        change(L, value + 2, value, what, depth + 1);
        lua_replace(L, value + 2);
        lua_rawset(L, to);
        lua_settop(L, value - 1);
    }
}

/* Push what `new` makes of `old`; both are absolute. */
static void change(lua_State *L, int old, int new, const char *what, int depth)
{
    if (!sa_frozen_is_table(L, new)) {
        if (lua_isfunction(L, new))
            sa_vm_raise(L, SA_VM_TYPE, "%s: a function", what);
        lua_pushvalue(L, new);
        return;
    }
    if (depth >= SA_VALUE_DEPTH)
        sa_vm_raise(L, SA_VM_TYPE, "%s: more than %d levels", what, SA_VALUE_DEPTH);
    luaL_checkstack(L, 16, what);
    sa_vm_check_deadline(L);
    int top = lua_gettop(L);
    bool list = is_list(L, new), merges = !list && sa_frozen_is_table(L, old) && !is_list(L, old);
    sa_frozen_table(L, new, what);
    if (merges)
        sa_frozen_table(L, old, what);
    size_t *members = sa_frozen_input(L, list);
    fill(L, lua_gettop(L), merges ? top + 2 : 0, top + 1, what, depth);
    if (members)
        *members = count(L, lua_gettop(L));
    lua_pop(L, 1);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

void sa_change_push(lua_State *L, int old, int new, const char *what)
{
    int top = lua_gettop(L);
    old = old < 0 ? top + old + 1 : old;
    if (!sa_frozen_is_table(L, new) || is_list(L, new))
        sa_vm_raise(L, SA_VM_TYPE, "%s: expected a map", what);
    change(L, old, new, what, 0);
}
