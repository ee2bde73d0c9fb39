/*
 * What rules may call: an allow-list, in frozen tables, the same for every file. Nothing of it
 * keeps state, compiles text, or runs longer than its input is long without looking at the
 * deadline.
 */
#ifndef SA_LUA_ENV_H
#define SA_LUA_ENV_H

#include "vm.h"

void sa_vm_open_env(struct sa_vm *vm);

/* Push a fresh environment for a file: reads come from the allow-list, assignments are errors. */
void sa_env_push(lua_State *L);
/* Is there a global of that name? */
bool sa_env_has(lua_State *L, const char *name);

/* The parts: functions that env.c puts where they belong. */
extern const luaL_Reg sa_lib_base[];    /* globals */
extern const luaL_Reg sa_lib_table[];   /* members of `table` */
extern const luaL_Reg sa_lib_data[];    /* globals: lists and maps */
extern const luaL_Reg sa_lib_text[];    /* globals and methods of strings */
extern const luaL_Reg sa_lib_mention[]; /* globals and methods of strings */
extern const luaL_Reg sa_lib_units[];   /* globals */
extern const luaL_Reg sa_lib_network[]; /* globals: names, addresses, paths */

/* Lua's own pairs and ipairs are on top: push those that know frozen data, too. */
void sa_lib_push_iterators(lua_State *L);
int sa_lib_format(lua_State *L); /* string.format */
/* A value as rules print it, without addresses: pushes it. */
const char *sa_lib_tostring(lua_State *L, int index, size_t *length);

#endif
