/* Values of the wire (lua/value.h) as Lua values, and back. */
#ifndef SA_LUA_CONVERT_H
#define SA_LUA_CONVERT_H

#include "vm.h"

/* Push the checked value that begins there. Frozen ones come from the pool and last for the call. A
 * list's nil is nothing there. */
void sa_convert_push(lua_State *L, const void *data, bool frozen);

/* Append the Lua value at `index`. Raises an error (kind "type") that begins with `what` for what
 * has no value: functions, NaN, infinities, tables of both kinds or with other keys than text, more
 * than SA_VALUE_DEPTH levels, and more than SA_VALUE_MAX bytes in `out`. An empty table is a map,
 * unless it was given as a list. */
void sa_convert_add(lua_State *L, int index, struct sa_buf *out, const char *what);

#endif
