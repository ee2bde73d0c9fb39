/*
 * Reading Lua (5.1, as LuaJIT takes it) without running it: enough of a parser for a linter to see
 * what functions return, where that is written down. Whether a file is Lua at all, and which names
 * it may use, is the policy-worker's to say; what is refused here only goes unlinted.
 *
 * Any bytes may come: nesting is capped at SA_LUASCAN_DEPTH. Everything that is found lives in the
 * arena; names and strings are copies. Any thread.
 */
#ifndef SA_LUASCAN_LUASCAN_H
#define SA_LUASCAN_LUASCAN_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { SA_LUASCAN_DEPTH = 150 };

enum sa_lua_kind {
    SA_LUA_OTHER, /* something whose value is not written down */
    SA_LUA_NIL,
    SA_LUA_BOOL,
    SA_LUA_NUMBER,
    SA_LUA_STRING,
    SA_LUA_TABLE,
    SA_LUA_FUNCTION,
    SA_LUA_NAME,   /* of a local or a global */
    SA_LUA_CALL,   /* of a function by its plain name */
    SA_LUA_EITHER, /* `a or b`: one of the parts; of `a and b or c` b and c */
};
const char *sa_lua_kind_name(enum sa_lua_kind kind); /* as Lua's type(); "value" where unknown */

struct sa_lua_expr {
    enum sa_lua_kind kind;
    unsigned line;     /* where it begins, from 1 */
    const char *text;  /* STRING: its value, up to a NUL in it; NAME, CALL: the name; else NULL */
    double number;     /* NUMBER; BOOL: 0 or 1 */
    const char *key;   /* in a TABLE: its key, where that is a name or a string */
    bool computed_key; /* in a TABLE: the key is something else; no key at all: an element */
    /* TABLE: fields; CALL: arguments; EITHER: parts; FUNCTION: what it returns (the first value of
     * each `return` of its own) */
    struct sa_lua_expr *first, *next;
};

struct sa_lua_named { /* a function; a table that a local begins with */
    const char *name; /* of `local function name`, `local name = ...`; NULL: it has none */
    const struct sa_lua_expr *expr;
    struct sa_lua_named *next;
};
struct sa_lua_chunk {
    struct sa_lua_named *functions; /* all, in the order in which they end */
    struct sa_lua_named *tables;    /* likewise */
    struct sa_lua_expr *returned;   /* of the file itself; NULL: nothing */
};

/* SA_EINVALID: this is no Lua; the message begins with the line. */
int sa_luascan(const char *text, size_t length, struct sa_arena *arena, struct sa_lua_chunk *out,
               struct sa_error *err);

/* What a name stands for, where that is written down: the last function or table of that name; else
 * the expression itself. NULL stays NULL. */
const struct sa_lua_expr *sa_lua_resolve(const struct sa_lua_chunk *chunk,
                                         const struct sa_lua_expr *expr);
/* The value of a table's field; NULL: it has none, or is no table. */
const struct sa_lua_expr *sa_lua_field(const struct sa_lua_expr *table, const char *key);

#endif
