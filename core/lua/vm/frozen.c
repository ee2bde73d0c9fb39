/* Data that rules can read and not change. */
#include "frozen.h"

#include "base/arena.h"
#include "rules.h"

#include <lualib.h>
#include <stdlib.h>

enum {
    POOL_SLOTS = 128,
    POOL_MEMBERS = 64, /* a larger one is not kept */
    FREEZE_DEPTH = 64
};

struct slot {
    int frozen, data; /* references */
    size_t count;     /* members in it now */
};
struct slots {
    struct slot slot[POOL_SLOTS];
    size_t made, used;
};
struct sa_vm_pool {
    struct slots maps, lists;
    int list_meta, refuse, clear; /* references */
};

/* ---- what frozen things do ---- */

static int refuse_write(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING || lua_type(L, 2) == LUA_TNUMBER
                           ? (lua_pushvalue(L, 2), lua_tostring(L, -1))
                           : luaL_typename(L, 2);
    sa_vm_raise(L, SA_VM_ERROR, "cannot set \"%.80s\": what a rule is given is frozen", name);
}

static int list_index(lua_State *L)
{
    lua_getfenv(L, 1);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    return 1;
}

static int list_length(lua_State *L)
{
    lua_getfenv(L, 1);
    lua_pushinteger(L, (lua_Integer)lua_objlen(L, -1));
    return 1;
}

/* ---- making them ---- */

/* Data on top -> data, frozen map. */
static void make_map(lua_State *L, const struct sa_vm_pool *pool)
{
    lua_createtable(L, 0, 0);
    lua_createtable(L, 1, 2);
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    sa_vm_push(L, pool->refuse);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
}

static void make_list(lua_State *L, const struct sa_vm_pool *pool)
{
    lua_newuserdata(L, 0);
    sa_vm_push(L, pool->list_meta);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -2);
    lua_setfenv(L, -2);
}

size_t *sa_frozen_input(lua_State *L, bool list)
{
    struct sa_vm_pool *pool = sa_vm_of(L)->pool;
    struct slots *slots = list ? &pool->lists : &pool->maps;
    luaL_checkstack(L, 8, "values are nested too deep");
    if (slots->used < slots->made) {
        struct slot *slot = &slots->slot[slots->used++];
        slot->count = 1; /* an error may come before it is known */
        sa_vm_push(L, slot->frozen);
        sa_vm_push(L, slot->data);
        return &slot->count;
    }
    lua_createtable(L, 0, list ? 0 : 8);
    (list ? make_list : make_map)(L, pool);
    lua_insert(L, -2);
    if (slots->made == POOL_SLOTS)
        return NULL; /* this one is garbage afterwards */
    struct slot *slot = &slots->slot[slots->made];
    lua_pushvalue(L, -1);
    slot->data = sa_vm_ref(L);
    lua_pushvalue(L, -2);
    slot->frozen = sa_vm_ref(L);
    slot->count = 1;
    slots->used = ++slots->made;
    return &slot->count;
}

static void reset(struct sa_vm *vm, struct slots *slots)
{
    lua_State *L = vm->L;
    while (slots->used) {
        struct slot *slot = &slots->slot[--slots->used];
        if (slot->count > POOL_MEMBERS) {
            luaL_unref(L, LUA_REGISTRYINDEX, slot->frozen);
            luaL_unref(L, LUA_REGISTRYINDEX, slot->data);
            *slot = slots->slot[--slots->made];
        } else if (slot->count) {
            sa_vm_push(L, vm->pool->clear);
            sa_vm_push(L, slot->data);
            lua_call(L, 1, 0);
        }
    }
}

void sa_vm_pool_reset(struct sa_vm *vm)
{
    if (!vm->pool)
        return;
    reset(vm, &vm->pool->maps);
    reset(vm, &vm->pool->lists);
}

/* ---- reading ---- */

bool sa_frozen_data(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TTABLE: /* rules cannot set metatables: only frozen maps have one */
        if (!lua_getmetatable(L, index))
            return false;
        lua_rawgeti(L, -1, 1);
        lua_remove(L, -2);
        return true;
    case LUA_TUSERDATA:
        lua_getfenv(L, index);
        return true;
    default:
        return false;
    }
}

void sa_frozen_table(lua_State *L, int index, const char *what)
{
    if (sa_frozen_data(L, index))
        return;
    if (!lua_istable(L, index))
        sa_vm_raise(L, SA_VM_ERROR, "%s: expected a table, got %s", what, luaL_typename(L, index));
    lua_pushvalue(L, index);
}

bool sa_frozen_is_table(lua_State *L, int index)
{
    return lua_istable(L, index) || lua_isuserdata(L, index);
}

/* ---- freezing what a file made ---- */

static void freeze(lua_State *L, int memo, int depth);

/* Is the value on top done already? Then it is replaced by its frozen one. */
static bool known(lua_State *L, int memo)
{
    lua_pushvalue(L, -1);
    lua_rawget(L, memo);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_replace(L, -2);
    return true;
}

static void freeze_members(lua_State *L, int table, int memo, int depth)
{
    lua_pushnil(L);
    while (lua_next(L, table)) {
        int key = lua_type(L, -2);
        if (key != LUA_TSTRING && key != LUA_TNUMBER && key != LUA_TBOOLEAN)
            sa_vm_raise(L, SA_VM_ERROR, "a table of the file has a %s as a key",
                        luaL_typename(L, -2));
        freeze(L, memo, depth);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, table);
    }
}

static void freeze_table(lua_State *L, int memo, int depth)
{
    int table = lua_gettop(L);
    if (lua_getmetatable(L, table)) { /* frozen already */
        lua_pop(L, 1);
        return;
    }
    (lua_objlen(L, table) ? make_list : make_map)(L, sa_vm_of(L)->pool);
    lua_pushvalue(L, table);
    lua_pushvalue(L, -2);
    lua_rawset(L, memo);
    freeze_members(L, table, memo, depth);
    lua_replace(L, table);
}

/* Its variables outlast its calls, so it must not set them. */
static void refuse_keeping(lua_State *L)
{
    lua_Debug ar;
    if (!lua_getupvalue(L, -1, 1))
        return; /* it has none: also the functions of Lua itself that are bytecode */
    lua_pop(L, 1);
    int line = sa_bytecode_keeps(L);
    if (!line)
        return;
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">S", &ar);
    lua_pushfstring(L,
                    "%s:%d: a function that is made while the file is loaded sets a variable "
                    "outside of itself: nothing may survive a call",
                    ar.source + 1, line);
    lua_error(L);
}

static void freeze_upvalues(lua_State *L, int memo, int depth)
{
    int function = lua_gettop(L);
    if (lua_iscfunction(L, function))
        return;
    refuse_keeping(L);
    lua_pushvalue(L, function);
    lua_pushvalue(L, function);
    lua_rawset(L, memo);
    for (int i = 1; lua_getupvalue(L, function, i); i++) {
        freeze(L, memo, depth);
        lua_setupvalue(L, function, i);
    }
}

/* The value on top is replaced. */
static void freeze(lua_State *L, int memo, int depth)
{
    int type = lua_type(L, -1);
    if (type != LUA_TTABLE && type != LUA_TFUNCTION)
        return;
    if (depth == FREEZE_DEPTH)
        sa_vm_raise(L, SA_VM_ERROR, "the tables of the file are nested deeper than %d levels",
                    FREEZE_DEPTH);
    luaL_checkstack(L, 10, "too many levels");
    sa_vm_check_deadline(L);
    if (known(L, memo))
        return;
    if (type == LUA_TTABLE)
        freeze_table(L, memo, depth + 1);
    else
        freeze_upvalues(L, memo, depth + 1);
}

void sa_frozen_make(lua_State *L)
{
    lua_newtable(L);
    lua_insert(L, -2);
    freeze(L, lua_gettop(L) - 1, 0);
    lua_remove(L, -2);
}

void sa_vm_open_frozen(struct sa_vm *vm)
{
    lua_State *L = vm->L;
    struct sa_vm_pool *pool = vm->pool = sa_arena_alloc(vm->arena, sizeof *pool);
    lua_pushcfunction(L, refuse_write);
    pool->refuse = sa_vm_ref(L);

    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, list_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, list_length);
    lua_setfield(L, -2, "__len");
    sa_vm_push(L, pool->refuse);
    lua_setfield(L, -2, "__newindex");
    pool->list_meta = sa_vm_ref(L);

    /* table.clear is no member of `table`: opening that leaves it among what may be required. */
    lua_pushcfunction(L, luaopen_table);
    lua_call(L, 0, 0);
    lua_getfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
    lua_getfield(L, -1, "table.clear");
    lua_call(L, 0, 1);
    pool->clear = sa_vm_ref(L);
    lua_settop(L, 0);
}
