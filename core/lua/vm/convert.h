/* Values of the wire (lua/value.h) as Lua values, and back. */
#ifndef SA_LUA_CONVERT_H
#define SA_LUA_CONVERT_H

#include "vm.h"

/* Push the checked value that begins there. A list's nil is nothing there. */
void sa_convert_push(lua_State *L, const void *data);
/* The same, frozen (see sa_frozen_push()): it and its bytes last for the protected call. */
void sa_convert_push_frozen(lua_State *L, const void *data);
/* Put what a checked collection has into the table on top, frozen, but members that are there
 * already: the first of a name counts. Returns how many it has. */
size_t sa_convert_fill(lua_State *L, const struct sa_value *collection);
/* Push that member of a checked map, frozen; false: there is none, nothing is pushed. */
bool sa_convert_member(lua_State *L, const struct sa_value *map, const char *name, size_t length);

/* Append the Lua value at `index`. Raises an error (kind "type") that begins with `what` for what
 * has no value: functions, NaN, infinities, tables of both kinds or with other keys than text, more
 * than SA_VALUE_DEPTH levels, and more than SA_VALUE_MAX bytes in `out`. An empty table is a map,
 * unless it was given as a list. */
void sa_convert_add(lua_State *L, int index, struct sa_buf *out, const char *what);

#endif
