/* Changes of a target: RFC 7396 (JSON Merge Patch) without null. Maps merge, all else replaces. */
#ifndef SA_LUA_CHANGE_H
#define SA_LUA_CHANGE_H

#include "vm.h"

/* Push what `change` makes of `old` (frozen, or nil), frozen and from the pool. Neither is altered.
 * Raises "type" errors that begin with `what`. */
void sa_change_push(lua_State *L, int old, int change, const char *what);

#endif
