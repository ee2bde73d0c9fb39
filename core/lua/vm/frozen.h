/*
 * Data that rules can read and not change: inputs, parameters, tables of a file. A frozen map is an
 * empty table whose metatable leads to the data; a frozen list is a userdata, because `#` of a
 * table asks no metatable in this Lua. Both answer reads, `#`, pairs, ipairs and type (env.c) as a
 * table would, and raise an error that names the member when written.
 *
 * Inputs come from a pool: making a map anew costs more than a rule. What was handed out is
 * emptied after the call, when no rule can have kept it. Nor is anything converted that no rule
 * looks at: a collection of an input knows its bytes, and takes members from them as they are read,
 * or all of them when it is gone through.
 */
#ifndef SA_LUA_FROZEN_H
#define SA_LUA_FROZEN_H

#include "vm.h"

void sa_vm_open_frozen(struct sa_vm *vm);

/* Push a frozen map or list of the pool and, on top, its data, to be filled with raw writes. When
 * that is done, how many members it has goes to what is returned, unless that is NULL. */
size_t *sa_frozen_input(lua_State *L, bool list);
/* Push a collection of the pool that shows this one. Its bytes must last for the protected call. */
void sa_frozen_push(lua_State *L, const struct sa_value *collection);
/* After each protected call. */
void sa_vm_pool_reset(struct sa_vm *vm);

/* Freeze the value at the top and all that it reaches, upvalues of functions included, for good.
 * Raises an error for what cannot be frozen. */
void sa_frozen_make(lua_State *L);

/* If the value is frozen, push its data: never let that reach a rule. */
bool sa_frozen_data(lua_State *L, int index);
/* If the value is a frozen map, push its data, for lua_getfield() alone: members that nobody has
 * read come only so. */
bool sa_frozen_peek(lua_State *L, int index);
/* Set that member of the frozen map at `index` (absolute) to the value on top, which is popped. */
void sa_frozen_set(lua_State *L, int index, const char *name);
/* Push the data of a frozen value, or a table itself; raise an error for anything else. `what` is
 * for the message: "has(): the list". */
void sa_frozen_table(lua_State *L, int index, const char *what);
/* Is it a table, frozen or not? */
bool sa_frozen_is_table(lua_State *L, int index);

#endif
