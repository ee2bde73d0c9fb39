/* Values of the wire as Lua values, and back. */
#include "convert.h"

#include "frozen.h"

#include <math.h>
#include <string.h>

/* ---- value -> Lua ---- */

static void push_scalar(lua_State *L, const struct sa_value *value)
{
    switch (value->type) {
    case SA_VALUE_FALSE:
    case SA_VALUE_TRUE:
        lua_pushboolean(L, value->type == SA_VALUE_TRUE);
        break;
    case SA_VALUE_INT:
    case SA_VALUE_NUMBER:
        lua_pushnumber(L, value->number);
        break;
    case SA_VALUE_STRING:
        lua_pushlstring(L, value->data, value->length);
        break;
    default:
        lua_pushnil(L);
    }
}

static bool is_collection(const struct sa_value *value)
{
    return value->type == SA_VALUE_LIST || value->type == SA_VALUE_MAP;
}

static void push_item(lua_State *L, struct sa_value_reader *reader, const struct sa_value *value);

/* Fill the table on top with what follows. */
static void take_map(lua_State *L, struct sa_value_reader *reader)
{
    struct sa_value key, value;
    while (sa_value_step_key(reader, &key)) {
        lua_pushlstring(L, key.data, key.length);
        value = sa_value_step(reader);
        push_item(L, reader, &value);
        lua_rawset(L, -3);
    }
}

static void take_list(lua_State *L, struct sa_value_reader *reader)
{
    struct sa_value value;
    for (int i = 1; (value = sa_value_step(reader)).type != SA_VALUE_END; i++) {
        push_item(L, reader, &value);
        lua_rawseti(L, -2, i);
    }
}

static void push_item(lua_State *L, struct sa_value_reader *reader, const struct sa_value *value)
{
    if (!is_collection(value)) {
        push_scalar(L, value);
        return;
    }
    luaL_checkstack(L, 8, "values are nested too deep");
    sa_vm_check_deadline(L);
    lua_createtable(L, 0, 0);
    (value->type == SA_VALUE_MAP ? take_map : take_list)(L, reader);
}

void sa_convert_push(lua_State *L, const void *data)
{
    struct sa_value_reader reader = {.next = data};
    struct sa_value value = sa_value_step(&reader);
    push_item(L, &reader, &value);
}

/* ---- value -> frozen ---- */

static void push_frozen(lua_State *L, const struct sa_value *value)
{
    if (is_collection(value))
        sa_frozen_push(L, value);
    else
        push_scalar(L, value);
}

void sa_convert_push_frozen(lua_State *L, const void *data)
{
    struct sa_value_reader reader = {.next = data};
    struct sa_value value;
    sa_value_next(&reader, &value);
    push_frozen(L, &value);
}

bool sa_convert_member(lua_State *L, const struct sa_value *map, const char *name, size_t length)
{
    struct sa_value key, value;
    struct sa_value_reader reader = sa_value_enter(map);
    while (sa_value_next_member(&reader, &key, &value))
        if (key.length == length && memcmp(key.data, name, length) == 0) {
            push_frozen(L, &value);
            return true;
        }
    return false;
}

static void fill_member(lua_State *L, int table, const struct sa_value *key,
                        const struct sa_value *value)
{
    lua_pushlstring(L, key->data, key->length);
    lua_pushvalue(L, -1);
    lua_rawget(L, table);
    bool known = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (known) {
        lua_pop(L, 1);
        return;
    }
    push_frozen(L, value);
    lua_rawset(L, table);
}

size_t sa_convert_fill(lua_State *L, const struct sa_value *collection)
{
    struct sa_value key, value;
    struct sa_value_reader reader = sa_value_enter(collection);
    int table = lua_gettop(L), count = 0;
    luaL_checkstack(L, 10, "values are nested too deep");
    sa_vm_check_deadline(L);
    if (collection->type == SA_VALUE_MAP)
        for (; sa_value_next_member(&reader, &key, &value); count++)
            fill_member(L, table, &key, &value);
    else
        while (sa_value_next(&reader, &value)) {
            push_frozen(L, &value);
            lua_rawseti(L, table, ++count);
        }
    return (size_t)count;
}

/* ---- Lua -> value ---- */

struct adding {
    struct sa_buf *out;
    const char *what;
};

static void add(lua_State *L, int index, const struct adding *a, int depth);

static void room_for(lua_State *L, const struct adding *a, size_t bytes)
{
    if (bytes > SA_VALUE_MAX || a->out->length + bytes + 32 > SA_VALUE_MAX)
        sa_vm_raise(L, SA_VM_TYPE, "%s: more than %d bytes", a->what, SA_VALUE_MAX);
}

static void add_number(lua_State *L, double number, const struct adding *a)
{
    if (!isfinite(number))
        sa_vm_raise(L, SA_VM_TYPE, "%s: a number that is %s", a->what,
                    isnan(number) ? "not a number (0/0)" : "infinite");
    if (number == floor(number) && fabs(number) <= 9007199254740992.0)
        sa_value_int(a->out, (int64_t)number);
    else
        sa_value_number(a->out, number);
}

static void add_list(lua_State *L, int table, size_t length, const struct adding *a, int depth)
{
    sa_value_list(a->out);
    for (size_t i = 1; i <= length; i++) {
        lua_rawgeti(L, table, (int)i);
        if (lua_isnil(L, -1))
            sa_vm_raise(L, SA_VM_TYPE, "%s: a list with a hole at %zu", a->what, i);
        add(L, -1, a, depth);
        lua_pop(L, 1);
    }
    sa_value_end(a->out);
}

static void add_map(lua_State *L, int table, const struct adding *a, int depth)
{
    sa_value_map(a->out);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        size_t length;
        if (lua_type(L, -2) != LUA_TSTRING)
            sa_vm_raise(L, SA_VM_TYPE, "%s: a member whose name is a %s", a->what,
                        luaL_typename(L, -2));
        const char *key = lua_tolstring(L, -2, &length);
        room_for(L, a, length);
        sa_value_keyn(a->out, key, length);
        add(L, -1, a, depth);
        lua_pop(L, 1);
    }
    sa_value_end(a->out);
}

static bool has_other_members(lua_State *L, int table, size_t length)
{
    size_t count = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        if (++count > length) {
            lua_pop(L, 1);
            return true;
        }
    }
    return count != length;
}

static void add_table(lua_State *L, int index, const struct adding *a, int depth)
{
    bool list = lua_isuserdata(L, index);
    if (depth >= SA_VALUE_DEPTH)
        sa_vm_raise(L, SA_VM_TYPE, "%s: more than %d levels", a->what, SA_VALUE_DEPTH);
    luaL_checkstack(L, 8, "too many levels");
    sa_vm_check_deadline(L);
    sa_frozen_table(L, index, a->what);
    int table = lua_gettop(L);
    size_t length = lua_objlen(L, table);
    if (length && has_other_members(L, table, length))
        sa_vm_raise(L, SA_VM_TYPE, "%s: a table that is neither a list nor a map", a->what);
    if (length || list)
        add_list(L, table, length, a, depth + 1);
    else
        add_map(L, table, a, depth + 1);
    lua_pop(L, 1);
}

static void add(lua_State *L, int index, const struct adding *a, int depth)
{
    size_t length;
    const char *text;
    room_for(L, a, 0);
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        sa_value_nil(a->out);
        break;
    case LUA_TBOOLEAN:
        sa_value_bool(a->out, lua_toboolean(L, index));
        break;
    case LUA_TNUMBER:
        add_number(L, lua_tonumber(L, index), a);
        break;
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &length);
        room_for(L, a, length);
        sa_value_string(a->out, text, length);
        break;
    case LUA_TTABLE:
    case LUA_TUSERDATA:
        add_table(L, index, a, depth);
        break;
    default:
        sa_vm_raise(L, SA_VM_TYPE, "%s: a %s", a->what, luaL_typename(L, index));
    }
}

void sa_convert_add(lua_State *L, int index, struct sa_buf *out, const char *what)
{
    struct adding a = {out, what};
    add(L, index, &a, 0);
}
