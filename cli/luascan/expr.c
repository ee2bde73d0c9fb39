/* Expressions of Lua. */
#include "luascan/parser.h"

#include "base/cleanup.h"

#include <string.h>

enum { UNARY_PRIORITY = 8 };

/* How strongly an operator binds to the left and to the right (Lua 5.1, lparser.c's table). */
static const struct priority {
    const char *operator;
    unsigned left, right;
} priorities[] = {{"or", 1, 1}, {"and", 2, 2}, {"<", 3, 3},  {">", 3, 3},  {"<=", 3, 3},
                  {">=", 3, 3}, {"~=", 3, 3},  {"==", 3, 3}, {"..", 5, 4}, {"+", 6, 6},
                  {"-", 6, 6},  {"*", 7, 7},   {"/", 7, 7},  {"%", 7, 7},  {"^", 10, 9}};

static int parse_sub(struct sa_lua_parser *p, unsigned limit, struct sa_lua_expr **out);

/* ---- tables ---- */

static int parse_field(struct sa_lua_parser *p, struct sa_lua_expr **out)
{
    struct sa_lua_expr *key = NULL;
    unsigned line = p->lexer.token_line;
    bool computed = false;
    const char *name = NULL;
    if (sa_lua_at(p, "[")) {
        if (sa_lua_next(p) < 0 || sa_lua_parse_expr(p, &key) < 0 || sa_lua_expect(p, "]") < 0 ||
            sa_lua_expect(p, "=") < 0)
            return -1;
        name = key->kind == SA_LUA_STRING ? key->text : NULL;
        computed = !name;
    } else if (sa_lua_at_name(p)) {
        struct sa_lua_parser before = *p; /* `name =`, or an expression that begins with a name */
        if (!(name = sa_lua_name(p)))
            return -1;
        int is_key = sa_lua_accept(p, "=");
        if (is_key < 0)
            return -1;
        if (!is_key) {
            *p = before;
            name = NULL;
        }
    }
    if (sa_lua_parse_expr(p, out) < 0)
        return -1;
    (*out)->key = name;
    (*out)->computed_key = computed;
    if (name)
        (*out)->line = line;
    return 0;
}

static int parse_table(struct sa_lua_parser *p, struct sa_lua_expr **out)
{
    *out = sa_lua_expr_new(p, SA_LUA_TABLE);
    struct sa_lua_expr **end = &(*out)->first;
    if (sa_lua_enter(p) < 0 || sa_lua_next(p) < 0)
        return -1;
    while (!sa_lua_at(p, "}")) {
        if (parse_field(p, end) < 0)
            return -1;
        end = &(*end)->next;
        if (!sa_lua_at(p, ",") && !sa_lua_at(p, ";"))
            break;
        if (sa_lua_next(p) < 0)
            return -1;
    }
    p->depth--;
    return sa_lua_expect(p, "}");
}

/* ---- names, calls, indexes ---- */

static int parse_arguments(struct sa_lua_parser *p, struct sa_lua_expr **first)
{
    *first = NULL;
    if (p->lexer.token == SA_LUA_T_STRING) {
        *first = sa_lua_expr_new(p, SA_LUA_STRING);
        (*first)->text = p->lexer.text;
        return sa_lua_next(p);
    }
    if (sa_lua_at(p, "{"))
        return parse_table(p, first);
    if (sa_lua_expect(p, "(") < 0)
        return -1;
    if (!sa_lua_at(p, ")") && sa_lua_parse_list(p, first) < 0)
        return -1;
    return sa_lua_expect(p, ")");
}

static bool at_arguments(const struct sa_lua_parser *p)
{
    return p->lexer.token == SA_LUA_T_STRING || sa_lua_at(p, "(") || sa_lua_at(p, "{");
}

/* One of .name [expr] :name(...) (...) behind `e`. */
static int parse_suffix(struct sa_lua_parser *p, struct sa_lua_expr *e, bool plain)
{
    struct sa_lua_expr *arguments;
    if (at_arguments(p)) {
        e->kind = plain ? SA_LUA_CALL : SA_LUA_OTHER;
        e->first = NULL;
        if (parse_arguments(p, &arguments) < 0)
            return -1;
        e->first = plain ? arguments : NULL;
        return 0;
    }
    bool method = sa_lua_at(p, ":"), index = sa_lua_at(p, "[");
    e->kind = SA_LUA_OTHER;
    e->text = NULL;
    e->first = NULL;
    if (sa_lua_next(p) < 0)
        return -1;
    if (index)
        return sa_lua_parse_expr(p, &arguments) < 0 ? -1 : sa_lua_expect(p, "]");
    return !sa_lua_name(p) || (method && parse_arguments(p, &arguments) < 0) ? -1 : 0;
}

int sa_lua_parse_suffixed(struct sa_lua_parser *p, struct sa_lua_expr **out, bool *plain)
{
    *plain = sa_lua_at_name(p);
    if (*plain) {
        *out = sa_lua_expr_new(p, SA_LUA_NAME);
        if (!((*out)->text = sa_lua_name(p)))
            return -1;
    } else if (sa_lua_expect(p, "(") < 0 || sa_lua_parse_expr(p, out) < 0 ||
               sa_lua_expect(p, ")") < 0) {
        return -1;
    }
    while (at_arguments(p) || sa_lua_at(p, ".") || sa_lua_at(p, ":") || sa_lua_at(p, "[")) {
        if (parse_suffix(p, *out, *plain) < 0)
            return -1;
        *plain = false;
    }
    return 0;
}

/* ---- operators ---- */

static int parse_simple(struct sa_lua_parser *p, struct sa_lua_expr **out)
{
    static const struct {
        const char *word;
        enum sa_lua_kind kind;
        double number;
    } words[] = {{"nil", SA_LUA_NIL, 0},
                 {"true", SA_LUA_BOOL, 1},
                 {"false", SA_LUA_BOOL, 0},
                 {"...", SA_LUA_OTHER, 0}};
    bool plain;
    if (p->lexer.token == SA_LUA_T_NUMBER || p->lexer.token == SA_LUA_T_STRING) {
        bool string = p->lexer.token == SA_LUA_T_STRING;
        *out = sa_lua_expr_new(p, string ? SA_LUA_STRING : SA_LUA_NUMBER);
        (*out)->text = string ? p->lexer.text : NULL;
        (*out)->number = string ? 0 : p->lexer.number;
        return sa_lua_next(p);
    }
    for (size_t i = 0; i < SA_COUNT(words); i++)
        if (sa_lua_at(p, words[i].word)) {
            *out = sa_lua_expr_new(p, words[i].kind);
            (*out)->number = words[i].number;
            return sa_lua_next(p);
        }
    if (sa_lua_at(p, "{"))
        return parse_table(p, out);
    if (sa_lua_at(p, "function")) {
        if (sa_lua_next(p) < 0 || sa_lua_parse_function(p, out) < 0)
            return -1;
        sa_lua_remember(p, NULL, *out);
        return 0;
    }
    return sa_lua_parse_suffixed(p, out, &plain);
}

static int parse_unary(struct sa_lua_parser *p, struct sa_lua_expr **out)
{
    bool minus = sa_lua_at(p, "-");
    struct sa_lua_expr *operand, *e = sa_lua_expr_new(p, SA_LUA_OTHER);
    if (sa_lua_next(p) < 0 || parse_sub(p, UNARY_PRIORITY, &operand) < 0)
        return -1;
    if (minus && operand->kind == SA_LUA_NUMBER) {
        e->kind = SA_LUA_NUMBER;
        e->number = -operand->number;
    }
    *out = e;
    return 0;
}

/* `parts` of an EITHER, or the expression itself, behind the others. */
static void add_part(struct sa_lua_expr *either, struct sa_lua_expr *part)
{
    struct sa_lua_expr **end = &either->first;
    while (*end)
        end = &(*end)->next;
    *end = part->kind == SA_LUA_EITHER ? part->first : part;
}

static struct sa_lua_expr *combine(struct sa_lua_parser *p, const char *operator,
                                   struct sa_lua_expr * left, struct sa_lua_expr *right)
{
    struct sa_lua_expr *e = sa_lua_expr_new(p, SA_LUA_OTHER);
    e->line = left->line;
    if (strcmp(operator, "and") == 0 || strcmp(operator, "or") == 0) {
        e->kind = SA_LUA_EITHER;
        if (operator[0] == 'o')
            add_part(e, left);
        add_part(e, right);
    }
    return e;
}

static const struct priority *priority_here(const struct sa_lua_parser *p)
{
    for (size_t i = 0; i < SA_COUNT(priorities); i++)
        if (sa_lua_at(p, priorities[i].operator))
            return &priorities[i];
    return NULL;
}

static int parse_sub(struct sa_lua_parser *p, unsigned limit, struct sa_lua_expr **out)
{
    const struct priority *op;
    bool unary = sa_lua_at(p, "not") || sa_lua_at(p, "-") || sa_lua_at(p, "#");
    if (sa_lua_enter(p) < 0 || (unary ? parse_unary(p, out) : parse_simple(p, out)) < 0)
        return -1;
    while ((op = priority_here(p)) && op->left > limit) {
        struct sa_lua_expr *right;
        if (sa_lua_next(p) < 0 || parse_sub(p, op->right, &right) < 0)
            return -1;
        *out = combine(p, op->operator, * out, right);
    }
    p->depth--;
    return 0;
}

int sa_lua_parse_expr(struct sa_lua_parser *p, struct sa_lua_expr **out)
{
    return parse_sub(p, 0, out);
}

int sa_lua_parse_list(struct sa_lua_parser *p, struct sa_lua_expr **first)
{
    struct sa_lua_expr **end = first;
    for (int more = 1; more; more = sa_lua_accept(p, ",")) {
        if (more < 0 || sa_lua_parse_expr(p, end) < 0)
            return -1;
        end = &(*end)->next;
    }
    return 0;
}
