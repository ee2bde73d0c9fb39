/* What luascan.c (statements) and expr.c (expressions) share. */
#ifndef SA_LUASCAN_PARSER_H
#define SA_LUASCAN_PARSER_H

#include "luascan/lex.h"
#include "luascan/luascan.h"

struct sa_lua_parser {
    struct sa_lua_lexer lexer;
    struct sa_arena *arena;
    struct sa_lua_chunk *chunk;
    struct sa_lua_named **functions_end, **tables_end;
    struct sa_lua_expr **returns_end; /* of the function that is being read */
    unsigned depth;
    struct sa_error *err;
};

static inline bool sa_lua_at(const struct sa_lua_parser *p, const char *text)
{
    const struct sa_lua_lexer *l = &p->lexer;
    bool word = l->token == SA_LUA_T_OPERATOR || (l->token == SA_LUA_T_NAME && l->keyword);
    return word && __builtin_strcmp(l->text, text) == 0;
}
static inline bool sa_lua_at_name(const struct sa_lua_parser *p)
{
    return p->lexer.token == SA_LUA_T_NAME && !p->lexer.keyword;
}

int sa_lua_next(struct sa_lua_parser *p);
/* Move on if that is what comes: 1, 0, -1. */
int sa_lua_accept(struct sa_lua_parser *p, const char *text);
int sa_lua_expect(struct sa_lua_parser *p, const char *text);
/* The name that comes; NULL: none does. */
const char *sa_lua_name(struct sa_lua_parser *p);

struct sa_lua_expr *sa_lua_expr_new(struct sa_lua_parser *p, enum sa_lua_kind kind);
/* A function or a table that may be found by its name. */
void sa_lua_remember(struct sa_lua_parser *p, const char *name, const struct sa_lua_expr *expr);

/* Expressions (luascan_expr.c) and statements (luascan.c). */
int sa_lua_parse_expr(struct sa_lua_parser *p, struct sa_lua_expr **out);
int sa_lua_parse_list(struct sa_lua_parser *p, struct sa_lua_expr **first);
/* A name, call, index ...; *plain: only a name */
int sa_lua_parse_suffixed(struct sa_lua_parser *p, struct sa_lua_expr **out, bool *plain);
/* From its parameters to its end. */
int sa_lua_parse_function(struct sa_lua_parser *p, struct sa_lua_expr **out);
int sa_lua_parse_block(struct sa_lua_parser *p);
int sa_lua_enter(struct sa_lua_parser *p); /* one level deeper: -1 too deep */

#endif
