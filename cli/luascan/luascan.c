/* Statements of Lua. */
#include "luascan/luascan.h"

#include "luascan/parser.h"

#include <string.h>

const char *sa_lua_kind_name(enum sa_lua_kind kind)
{
    static const char *const names[] = {"value", "nil",      "boolean", "number", "string",
                                        "table", "function", "value",   "value",  "value"};
    return names[kind];
}

/* ---- words and names ---- */

int sa_lua_next(struct sa_lua_parser *p)
{
    return sa_lua_lex(&p->lexer, p->err);
}

int sa_lua_accept(struct sa_lua_parser *p, const char *text)
{
    if (!sa_lua_at(p, text))
        return 0;
    return sa_lua_next(p) < 0 ? -1 : 1;
}

int sa_lua_expect(struct sa_lua_parser *p, const char *text)
{
    if (!sa_lua_at(p, text))
        return sa_error_set(p->err, SA_EINVALID, "line %u: expected %s near \"%.40s\"",
                            p->lexer.token_line, text, p->lexer.text);
    return sa_lua_next(p);
}

const char *sa_lua_name(struct sa_lua_parser *p)
{
    const char *name = p->lexer.text;
    if (!sa_lua_at_name(p)) {
        sa_lua_lex_fail(&p->lexer, p->err, "expected a name");
        return NULL;
    }
    return sa_lua_next(p) < 0 ? NULL : name;
}

int sa_lua_enter(struct sa_lua_parser *p)
{
    if (++p->depth > SA_LUASCAN_DEPTH)
        return sa_lua_lex_fail(&p->lexer, p->err, "nested too deeply");
    return 0;
}

struct sa_lua_expr *sa_lua_expr_new(struct sa_lua_parser *p, enum sa_lua_kind kind)
{
    struct sa_lua_expr *e = sa_arena_alloc(p->arena, sizeof *e);
    e->kind = kind;
    e->line = p->lexer.token_line;
    return e;
}

void sa_lua_remember(struct sa_lua_parser *p, const char *name, const struct sa_lua_expr *expr)
{
    struct sa_lua_named ***end = expr->kind == SA_LUA_FUNCTION ? &p->functions_end : &p->tables_end;
    struct sa_lua_named *one = sa_arena_alloc(p->arena, sizeof *one);
    *one = (struct sa_lua_named){.name = name, .expr = expr};
    **end = one;
    *end = &one->next;
}

/* ---- functions and blocks ---- */

static int parse_parameters(struct sa_lua_parser *p)
{
    if (sa_lua_expect(p, "(") < 0)
        return -1;
    while (!sa_lua_at(p, ")")) {
        if (sa_lua_at(p, "...")) {
            if (sa_lua_next(p) < 0)
                return -1;
            break;
        }
        if (!sa_lua_name(p))
            return -1;
        if (!sa_lua_at(p, ","))
            break;
        if (sa_lua_next(p) < 0)
            return -1;
    }
    return sa_lua_expect(p, ")");
}

int sa_lua_parse_function(struct sa_lua_parser *p, struct sa_lua_expr **out)
{
    struct sa_lua_expr **returns_end = p->returns_end;
    *out = sa_lua_expr_new(p, SA_LUA_FUNCTION);
    p->returns_end = &(*out)->first;
    if (parse_parameters(p) < 0 || sa_lua_parse_block(p) < 0 || sa_lua_expect(p, "end") < 0)
        return -1;
    p->returns_end = returns_end;
    return 0;
}

static bool at_block_end(const struct sa_lua_parser *p)
{
    static const char *const words[] = {"end", "else", "elseif", "until", NULL};
    for (size_t i = 0; words[i]; i++)
        if (sa_lua_at(p, words[i]))
            return true;
    return p->lexer.token == SA_LUA_T_END;
}

/* ---- statements; each begins behind its keyword ---- */

static int parse_do(struct sa_lua_parser *p)
{
    if (sa_lua_parse_block(p) < 0)
        return -1;
    return sa_lua_expect(p, "end");
}

static int parse_while(struct sa_lua_parser *p)
{
    struct sa_lua_expr *condition;
    return sa_lua_parse_expr(p, &condition) < 0 || sa_lua_expect(p, "do") < 0 ? -1 : parse_do(p);
}

static int parse_if(struct sa_lua_parser *p)
{
    struct sa_lua_expr *condition;
    bool last = false;
    if (sa_lua_parse_expr(p, &condition) < 0 || sa_lua_expect(p, "then") < 0)
        return -1;
    while (sa_lua_parse_block(p) == 0) {
        if (last || sa_lua_at(p, "end"))
            return sa_lua_expect(p, "end");
        last = sa_lua_at(p, "else");
        if (!last && !sa_lua_at(p, "elseif"))
            return sa_lua_expect(p, "end");
        if (sa_lua_next(p) < 0 ||
            (!last && (sa_lua_parse_expr(p, &condition) < 0 || sa_lua_expect(p, "then") < 0)))
            return -1;
    }
    return -1;
}

static int parse_for(struct sa_lua_parser *p)
{
    struct sa_lua_expr *values;
    for (int more = 1; more; more = sa_lua_accept(p, ","))
        if (more < 0 || !sa_lua_name(p))
            return -1;
    return sa_lua_expect(p, sa_lua_at(p, "=") ? "=" : "in") < 0 ||
                   sa_lua_parse_list(p, &values) < 0 || sa_lua_expect(p, "do") < 0
               ? -1
               : parse_do(p);
}

static int parse_repeat(struct sa_lua_parser *p)
{
    struct sa_lua_expr *condition;
    return sa_lua_parse_block(p) < 0 || sa_lua_expect(p, "until") < 0
               ? -1
               : sa_lua_parse_expr(p, &condition);
}

static int parse_named_function(struct sa_lua_parser *p)
{
    const char *name = sa_lua_name(p);
    bool field = false;
    struct sa_lua_expr *function;
    if (!name)
        return -1;
    for (; sa_lua_at(p, ".") || sa_lua_at(p, ":"); field = true)
        if (sa_lua_next(p) < 0 || !sa_lua_name(p))
            return -1;
    if (sa_lua_parse_function(p, &function) < 0)
        return -1;
    sa_lua_remember(p, field ? NULL : name, function);
    return 0;
}

static int parse_local_function(struct sa_lua_parser *p)
{
    const char *name = sa_lua_name(p);
    struct sa_lua_expr *function;
    if (!name || sa_lua_parse_function(p, &function) < 0)
        return -1;
    sa_lua_remember(p, name, function);
    return 0;
}

static int parse_local(struct sa_lua_parser *p)
{
    struct sa_lua_expr *values = NULL;
    if (sa_lua_at(p, "function"))
        return sa_lua_next(p) < 0 ? -1 : parse_local_function(p);
    const char *first = sa_lua_name(p);
    if (!first)
        return -1;
    for (int more; (more = sa_lua_accept(p, ",")) != 0;)
        if (more < 0 || !sa_lua_name(p))
            return -1;
    int given = sa_lua_accept(p, "=");
    if (given < 0 || (given && sa_lua_parse_list(p, &values) < 0))
        return -1;
    for (struct sa_lua_named *f = p->chunk->functions; f; f = f->next)
        if (f->expr == values)
            f->name = first;
    if (values && values->kind == SA_LUA_TABLE)
        sa_lua_remember(p, first, values);
    return 0;
}

/* Its first value is what counts. */
static int parse_return(struct sa_lua_parser *p)
{
    struct sa_lua_expr *values = sa_lua_expr_new(p, SA_LUA_NIL);
    int rc = 0;
    if (!at_block_end(p) && !sa_lua_at(p, ";"))
        rc = sa_lua_parse_list(p, &values);
    if (rc < 0 || sa_lua_accept(p, ";") < 0)
        return -1;
    values->next = NULL;
    *p->returns_end = values;
    p->returns_end = &values->next;
    return at_block_end(p) ? 0 : sa_lua_lex_fail(&p->lexer, p->err, "`return` ends a block");
}

/* A call or an assignment; LuaJIT's goto. */
static int parse_expression(struct sa_lua_parser *p)
{
    struct sa_lua_expr *e, *values;
    bool plain, targets = false;
    for (int more = 1; more; more = sa_lua_accept(p, ",")) {
        if (more < 0 || sa_lua_parse_suffixed(p, &e, &plain) < 0)
            return -1;
        if (plain && strcmp(e->text, "goto") == 0 && sa_lua_at_name(p))
            return sa_lua_next(p);
        targets = sa_lua_at(p, ",") || sa_lua_at(p, "=");
        if (!targets && plain)
            return sa_lua_lex_fail(&p->lexer, p->err, "a name alone is no statement");
    }
    if (!targets)
        return 0;
    return sa_lua_expect(p, "=") < 0 ? -1 : sa_lua_parse_list(p, &values);
}

static int parse_statement(struct sa_lua_parser *p)
{
    static const struct {
        const char *word;
        int (*parse)(struct sa_lua_parser *p);
    } statements[] = {{"do", parse_do},         {"while", parse_while},
                      {"if", parse_if},         {"for", parse_for},
                      {"repeat", parse_repeat}, {"function", parse_named_function},
                      {"local", parse_local},   {"return", parse_return}};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (sa_lua_at(p, statements[i].word))
            return sa_lua_next(p) < 0 ? -1 : statements[i].parse(p);
    if (sa_lua_at(p, "break") || sa_lua_at(p, ";"))
        return sa_lua_next(p);
    if (sa_lua_at(p, "::"))
        return sa_lua_next(p) < 0 || !sa_lua_name(p) ? -1 : sa_lua_expect(p, "::");
    return parse_expression(p);
}

int sa_lua_parse_block(struct sa_lua_parser *p)
{
    if (sa_lua_enter(p) < 0)
        return -1;
    while (!at_block_end(p))
        if (parse_statement(p) < 0)
            return -1;
    p->depth--;
    return 0;
}

int sa_luascan(const char *text, size_t length, struct sa_arena *arena, struct sa_lua_chunk *out,
               struct sa_error *err)
{
    *out = (struct sa_lua_chunk){NULL, NULL, NULL};
    struct sa_lua_parser p = {
        .lexer = {.next = text, .end = text + length, .line = 1, .arena = arena},
        .arena = arena,
        .chunk = out,
        .functions_end = &out->functions,
        .tables_end = &out->tables,
        .returns_end = &out->returned,
        .err = err};
    if (sa_lua_next(&p) < 0 || sa_lua_parse_block(&p) < 0)
        return -1;
    return p.lexer.token == SA_LUA_T_END
               ? 0
               : sa_lua_lex_fail(&p.lexer, err, "a block ends here that never began");
}

const struct sa_lua_expr *sa_lua_resolve(const struct sa_lua_chunk *chunk,
                                         const struct sa_lua_expr *expr)
{
    const struct sa_lua_expr *found = expr;
    if (!expr || expr->kind != SA_LUA_NAME)
        return expr;
    for (const struct sa_lua_named *one = chunk->functions; one; one = one->next)
        if (one->name && strcmp(one->name, expr->text) == 0)
            found = one->expr;
    for (const struct sa_lua_named *one = chunk->tables; one; one = one->next)
        if (strcmp(one->name, expr->text) == 0)
            found = one->expr;
    return found;
}

const struct sa_lua_expr *sa_lua_field(const struct sa_lua_expr *table, const char *key)
{
    if (!table || table->kind != SA_LUA_TABLE)
        return NULL;
    for (const struct sa_lua_expr *field = table->first; field; field = field->next)
        if (field->key && strcmp(field->key, key) == 0)
            return field;
    return NULL;
}
