/* Whether what a rule returned is what it must be. */
#include "rules.h"

#include "frozen.h"

#include <math.h>
#include <string.h>

static const char *const type_names[] = {"a boolean", "a whole number",    "a number",
                                         "a string",  "a list of strings", "a map of strings",
                                         "a map",     "a list of maps",    "anything"};

enum { PATH_BYTES = 160 };

const struct sa_vm_field *sa_check_find(const struct sa_vm_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (strcmp(fields->field[i].name, name) == 0)
            return &fields->field[i];
    return NULL;
}

bool sa_check_listed(const struct sa_vm_texts *texts, const char *text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (strcmp(texts->text[i], text) == 0)
            return true;
    return false;
}

static void refuse(lua_State *L, int index, const struct sa_vm_field *field, const char *path)
{
    sa_vm_raise(L, SA_VM_TYPE, "%s: expected %s, got %s", path, type_names[field->type],
                lua_isuserdata(L, index) ? "a list" : luaL_typename(L, index));
}

static void check_number(lua_State *L, int index, const struct sa_vm_field *field, const char *path)
{
    if (lua_type(L, index) != LUA_TNUMBER)
        refuse(L, index, field, path);
    double number = lua_tonumber(L, index);
    if (!isfinite(number))
        sa_vm_raise(L, SA_VM_TYPE, "%s: a number that is not finite", path);
    if (field->type == SA_VM_INTEGER &&
        (number != floor(number) || fabs(number) > 9007199254740992.0))
        sa_vm_raise(L, SA_VM_TYPE, "%s: expected a whole number, got %.14g", path, number);
    if (field->has_low && number < field->low)
        sa_vm_raise(L, SA_VM_TYPE, "%s: %.14g is less than %.14g", path, number, field->low);
    if (field->has_high && number > field->high)
        sa_vm_raise(L, SA_VM_TYPE, "%s: %.14g is more than %.14g", path, number, field->high);
}

static void check_text(lua_State *L, int index, const struct sa_vm_field *field, const char *path)
{
    if (lua_type(L, index) != LUA_TSTRING)
        refuse(L, index, field, path);
    if (field->values.count && !sa_check_listed(&field->values, lua_tostring(L, index)))
        sa_vm_raise(L, SA_VM_TYPE, "%s: \"%.60s\" is none of its values", path,
                    lua_tostring(L, index));
}

/* Each element of the list or map, whose data is on top, by `check`. */
static void check_elements(lua_State *L, const struct sa_vm_field *field, const char *path)
{
    int data = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, data)) {
        char at[PATH_BYTES];
        if ((lua_type(L, -2) == LUA_TNUMBER) == (field->type == SA_VM_MAP))
            refuse(L, data, field, path);
        lua_pushvalue(L, -2);
        snprintf(at, sizeof at, "%.100s.%.50s", path, lua_tostring(L, -1));
        lua_pop(L, 1);
        if (field->type == SA_VM_OBJECTS)
            sa_check_fields(L, lua_gettop(L), &field->fields, at);
        else
            check_text(L, -1, field, at);
        lua_pop(L, 1);
    }
}

static void check_table(lua_State *L, int index, const struct sa_vm_field *field, const char *path)
{
    if (!sa_frozen_is_table(L, index))
        refuse(L, index, field, path);
    if (field->type == SA_VM_OBJECT) {
        sa_check_fields(L, index, &field->fields, path);
        return;
    }
    luaL_checkstack(L, 8, path);
    sa_vm_check_deadline(L);
    sa_frozen_table(L, index, path);
    check_elements(L, field, path);
    lua_pop(L, 1);
}

void sa_check_value(lua_State *L, int index, const struct sa_vm_field *field, const char *path)
{
    switch (field->type) {
    case SA_VM_BOOLEAN:
        if (!lua_isboolean(L, index))
            refuse(L, index, field, path);
        break;
    case SA_VM_INTEGER:
    case SA_VM_NUMBER:
        check_number(L, index, field, path);
        break;
    case SA_VM_STRING:
        check_text(L, index, field, path);
        break;
    case SA_VM_ANY:
        break;
    case SA_VM_STRINGS:
    case SA_VM_MAP:
    case SA_VM_OBJECT:
    case SA_VM_OBJECTS:
    default:
        check_table(L, index, field, path);
    }
}

void sa_check_fields(lua_State *L, int table, const struct sa_vm_fields *fields, const char *path)
{
    if (!sa_frozen_is_table(L, table))
        sa_vm_raise(L, SA_VM_TYPE, "%s: expected a map, got %s", path, luaL_typename(L, table));
    luaL_checkstack(L, 8, path);
    sa_vm_check_deadline(L);
    sa_frozen_table(L, table, path);
    int data = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, data)) {
        char at[PATH_BYTES];
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        const struct sa_vm_field *field = name ? sa_check_find(fields, name) : NULL;
        if (!field)
            sa_vm_raise(L, SA_VM_TYPE, "%s: there is no member \"%.60s\"", path,
                        name ? name : luaL_typename(L, -2));
        snprintf(at, sizeof at, "%.100s.%.50s", path, name);
        sa_check_value(L, lua_gettop(L), field, at);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}
