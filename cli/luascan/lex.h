/* The words of Lua: what luascan.c parses. */
#ifndef SA_LUASCAN_LEX_H
#define SA_LUASCAN_LEX_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum sa_lua_token {
    SA_LUA_T_END,
    SA_LUA_T_NAME, /* also keywords: `text` says which, `keyword` that it is one */
    SA_LUA_T_STRING,
    SA_LUA_T_NUMBER,
    SA_LUA_T_OPERATOR, /* `text` is it */
};

struct sa_lua_lexer {
    const char *next, *end;
    unsigned line; /* of `next` */
    struct sa_arena *arena;
    /* the current token */
    enum sa_lua_token token;
    bool keyword;
    const char *text;
    double number;
    unsigned token_line;
};

/* Move to the next token. SA_EINVALID: there is none. */
int sa_lua_lex(struct sa_lua_lexer *lexer, struct sa_error *err);
int sa_lua_lex_fail(const struct sa_lua_lexer *lexer, struct sa_error *err, const char *what);

#endif
