/* Data that rules can read and not change. */
#include "frozen.h"

#include "base/arena.h"
#include "convert.h"
#include "rules.h"

#include <lualib.h>
#include <stdlib.h>

enum {
    POOL_SLOTS = 128,
    POOL_MEMBERS = 64, /* a larger one is not kept */
    READS_MAX = 8,     /* of members one by one; then all are converted */
    FREEZE_DEPTH = 64
};

struct slot {
    int frozen, data;        /* references */
    size_t count;            /* members in it now, or more; 0: none */
    struct sa_value pending; /* what it shows and does not hold yet, or not all of it; or NIL */
    unsigned reads;          /* of members that it did not hold */
};
struct slots {
    struct slot *slot[POOL_SLOTS]; /* their places last: what is frozen leads to them */
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

/* The data on top gets all of what the slot shows. */
static void fill(lua_State *L, struct slot *slot)
{
    struct sa_value pending = slot->pending;
    slot->pending.type = SA_VALUE_NIL;
    slot->count++; /* an error may come before it is known */
    slot->count += sa_convert_fill(L, &pending);
}

/* Push the data of the list at `index`, whole. */
static void push_list_data(lua_State *L, int index)
{
    struct slot *slot = *(struct slot **)lua_touserdata(L, index);
    lua_getfenv(L, index);
    if (slot && slot->pending.type != SA_VALUE_NIL)
        fill(L, slot);
}

static int list_index(lua_State *L)
{
    push_list_data(L, 1);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    return 1;
}

static int list_length(lua_State *L)
{
    push_list_data(L, 1);
    lua_pushinteger(L, (lua_Integer)lua_objlen(L, -1));
    return 1;
}

/* A member that the data of a map does not hold (yet). */
static int map_index(lua_State *L)
{
    struct slot *slot = lua_touserdata(L, lua_upvalueindex(1));
    size_t length;
    lua_settop(L, 2);
    if (slot->pending.type == SA_VALUE_NIL || lua_type(L, 2) != LUA_TSTRING)
        return lua_pushnil(L), 1;
    if (slot->reads++ == READS_MAX) {
        lua_pushvalue(L, 1);
        fill(L, slot);
        lua_pushvalue(L, 2);
        lua_rawget(L, 1);
        return 1;
    }
    const char *name = lua_tolstring(L, 2, &length);
    if (!sa_convert_member(L, &slot->pending, name, length))
        return lua_pushnil(L), 1;
    slot->count++;
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, 1);
    return 1;
}

/* ---- making them ---- */

/* Data on top -> data, frozen map. `slot`, or NULL: of the pool. */
static void make_map(lua_State *L, const struct sa_vm_pool *pool, struct slot *slot)
{
    lua_createtable(L, 0, 0);
    lua_createtable(L, 2, 2);
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    sa_vm_push(L, pool->refuse);
    lua_setfield(L, -2, "__newindex");
    if (slot) {
        lua_pushlightuserdata(L, slot);
        lua_rawseti(L, -2, 2);
    }
    lua_setmetatable(L, -2);
}

static void make_list(lua_State *L, const struct sa_vm_pool *pool, struct slot *slot)
{
    *(struct slot **)lua_newuserdata(L, sizeof slot) = slot;
    sa_vm_push(L, pool->list_meta);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -2);
    lua_setfenv(L, -2);
}

/* The data of a map of the pool is on top: what it does not hold is looked for. */
static void set_map_index(lua_State *L, struct slot *slot)
{
    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, slot);
    lua_pushcclosure(L, map_index, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

/* Push a new one of the pool and its data; NULL: the pool is full, it is garbage afterwards. */
static struct slot *make(lua_State *L, struct slots *slots, bool list)
{
    struct sa_vm *vm = sa_vm_of(L);
    struct slot *slot = NULL;
    if (slots->made < POOL_SLOTS) {
        if (!slots->slot[slots->made])
            slots->slot[slots->made] = sa_arena_alloc(vm->arena, sizeof *slot);
        slot = slots->slot[slots->made];
        *slot = (struct slot){.pending = {.type = SA_VALUE_NIL}};
    }
    lua_createtable(L, 0, list ? 0 : 8);
    if (slot && !list)
        set_map_index(L, slot);
    (list ? make_list : make_map)(L, vm->pool, slot);
    lua_insert(L, -2);
    if (!slot)
        return NULL;
    lua_pushvalue(L, -1);
    slot->data = sa_vm_ref(L);
    lua_pushvalue(L, -2);
    slot->frozen = sa_vm_ref(L);
    slots->used = ++slots->made;
    return slot;
}

static struct slots *slots_of(lua_State *L, bool list)
{
    struct sa_vm_pool *pool = sa_vm_of(L)->pool;
    luaL_checkstack(L, 10, "values are nested too deep");
    return list ? &pool->lists : &pool->maps;
}

size_t *sa_frozen_input(lua_State *L, bool list)
{
    struct slots *slots = slots_of(L, list);
    struct slot *slot;
    if (slots->used < slots->made) {
        slot = slots->slot[slots->used++];
        sa_vm_push(L, slot->frozen);
        sa_vm_push(L, slot->data);
    } else if (!(slot = make(L, slots, list))) {
        return NULL;
    }
    slot->count = 1; /* an error may come before it is known */
    return &slot->count;
}

void sa_frozen_push(lua_State *L, const struct sa_value *collection)
{
    bool list = collection->type == SA_VALUE_LIST;
    struct slots *slots = slots_of(L, list);
    struct slot *slot;
    if (slots->used < slots->made) {
        slot = slots->slot[slots->used++];
        sa_vm_push(L, slot->frozen);
    } else {
        slot = make(L, slots, list);
        if (!slot)
            sa_convert_fill(L, collection);
        lua_pop(L, 1);
    }
    if (!slot)
        return;
    slot->pending = *collection;
    slot->reads = 0;
}

/* Those that are too large leave the pool. */
static void reset(struct sa_vm *vm, struct slots *slots)
{
    lua_State *L = vm->L;
    while (slots->used) {
        struct slot **at = &slots->slot[--slots->used], *slot = *at;
        slot->pending.type = SA_VALUE_NIL;
        if (slot->count > POOL_MEMBERS) {
            luaL_unref(L, LUA_REGISTRYINDEX, slot->frozen);
            luaL_unref(L, LUA_REGISTRYINDEX, slot->data);
            *at = slots->slot[--slots->made];
            slots->slot[slots->made] = slot;
        } else if (slot->count) {
            sa_vm_push(L, vm->pool->clear);
            sa_vm_push(L, slot->data);
            lua_call(L, 1, 0);
        }
        slot->count = 0;
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

/* Push the data of the frozen map at `index`; false: it is none. */
static bool push_map_data(lua_State *L, int index, struct slot **slot)
{
    if (!lua_getmetatable(L, index))
        return false;
    lua_rawgeti(L, -1, 1);
    if (lua_isnil(L, -1)) { /* rules cannot set metatables: of data, then */
        lua_pop(L, 2);
        return false;
    }
    lua_rawgeti(L, -2, 2);
    *slot = lua_touserdata(L, -1);
    lua_pop(L, 1);
    lua_remove(L, -2);
    return true;
}

bool sa_frozen_peek(lua_State *L, int index)
{
    struct slot *slot;
    return lua_type(L, index) == LUA_TTABLE && push_map_data(L, index, &slot);
}

void sa_frozen_set(lua_State *L, int index, const char *name)
{
    struct slot *slot = NULL;
    if (push_map_data(L, index, &slot) && slot)
        slot->count++;
    lua_insert(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

bool sa_frozen_data(lua_State *L, int index)
{
    struct slot *slot = NULL;
    switch (lua_type(L, index)) {
    case LUA_TTABLE:
        if (!push_map_data(L, index, &slot))
            return false;
        if (slot && slot->pending.type != SA_VALUE_NIL)
            fill(L, slot);
        return true;
    case LUA_TUSERDATA:
        push_list_data(L, index);
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
    (lua_objlen(L, table) ? make_list : make_map)(L, sa_vm_of(L)->pool, NULL);
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
