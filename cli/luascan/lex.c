#include "luascan/lex.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

static const char *const keywords[] = {
    "and",   "break", "do",  "else", "elseif", "end",    "false", "for",  "function", "if",   "in",
    "local", "nil",   "not", "or",   "repeat", "return", "then",  "true", "until",    "while"};
/* Longer ones first. */
static const char *const operators[] = {"...", "..", "==", "~=", "<=", ">=", "::", "+", "-",
                                        "*",   "/",  "%",  "^",  "#",  "<",  ">",  "=", "(",
                                        ")",   "{",  "}",  "[",  "]",  ";",  ":",  ",", "."};

int sa_lua_lex_fail(const struct sa_lua_lexer *lexer, struct sa_error *err, const char *what)
{
    return sa_error_set(err, SA_EINVALID, "line %u: %s", lexer->token_line, what);
}

static char peek(const struct sa_lua_lexer *l, size_t ahead)
{
    return (size_t)(l->end - l->next) > ahead ? l->next[ahead] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80 || is_digit(c);
}

/* Level of the long bracket that begins here, "[[" 0, "[=[" 1; -1: there is none. */
static int long_level(const struct sa_lua_lexer *l)
{
    size_t equals = 0;
    if (peek(l, 0) != '[')
        return -1;
    while (peek(l, 1 + equals) == '=')
        equals++;
    return peek(l, 1 + equals) == '[' && equals < 1000 ? (int)equals : -1;
}

/* From its opening bracket to behind its closing one; *from and *length are what is between. */
static bool skip_long(struct sa_lua_lexer *l, int level, const char **from, size_t *length)
{
    size_t width = (size_t)level + 2;
    *from = l->next += width;
    for (; l->next < l->end; l->next++) {
        if (*l->next == '\n')
            l->line++;
        if (*l->next != ']' || peek(l, width - 1) != ']')
            continue;
        size_t equals = 0;
        while (equals < (size_t)level && l->next[1 + equals] == '=')
            equals++;
        if (equals != (size_t)level)
            continue;
        *length = (size_t)(l->next - *from);
        l->next += width;
        return true;
    }
    return false;
}

/* Behind white space and comments; false: a comment has no end. */
static bool skip_space(struct sa_lua_lexer *l)
{
    const char *from;
    size_t length;
    while (l->next < l->end) {
        if (*l->next == '\n') {
            l->line++;
            l->next++;
        } else if (strchr(" \t\r\v\f", *l->next) && *l->next) {
            l->next++;
        } else if (peek(l, 0) == '-' && peek(l, 1) == '-') {
            l->next += 2;
            int level = long_level(l);
            if (level >= 0 && !skip_long(l, level, &from, &length))
                return false;
            while (level < 0 && l->next < l->end && *l->next != '\n')
                l->next++;
        } else {
            break;
        }
    }
    return true;
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Behind the backslash; false: the text ends there. */
static bool escape(struct sa_lua_lexer *l, struct sa_buf *out)
{
    static const char letters[] = "abfnrtv", meant[] = "\a\b\f\n\r\t\v";
    char c = peek(l, 0);
    const char *letter = c ? strchr(letters, c) : NULL;
    if (l->next == l->end)
        return false;
    l->next++;
    if (letter) {
        sa_buf_addc(out, meant[letter - letters]);
    } else if (is_digit(c)) {
        int value = c - '0';
        for (int i = 0; i < 2 && is_digit(peek(l, 0)); i++)
            value = value * 10 + (*l->next++ - '0');
        sa_buf_addc(out, (char)value);
    } else if (c == 'x' && hex(peek(l, 0)) >= 0 && hex(peek(l, 1)) >= 0) {
        sa_buf_addc(out, (char)(hex(peek(l, 0)) * 16 + hex(peek(l, 1))));
        l->next += 2;
    } else {
        l->line += c == '\n';
        sa_buf_addc(out, c);
    }
    return true;
}

static int quoted(struct sa_lua_lexer *l, struct sa_error *err)
{
    sa_autobuf value = SA_BUF_INIT;
    char quote = *l->next++;
    while (l->next < l->end && *l->next != quote) {
        char c = *l->next++;
        if (c == '\n' || (c == '\\' && !escape(l, &value)))
            return sa_lua_lex_fail(l, err, "this string does not end");
        if (c != '\\')
            sa_buf_addc(&value, c);
    }
    if (l->next == l->end)
        return sa_lua_lex_fail(l, err, "this string does not end");
    l->next++;
    l->token = SA_LUA_T_STRING;
    l->text = sa_arena_strndup(l->arena, value.data ? value.data : "", value.length);
    return 0;
}

/* A superset of Lua's numbers: what the worker refuses need not be refused here. */
static void number(struct sa_lua_lexer *l)
{
    char text[64];
    const char *from = l->next;
    const char *exponent = (peek(l, 1) | 0x20) == 'x' ? "pP" : "eE";
    while (is_name(peek(l, 0)) || peek(l, 0) == '.' ||
           ((peek(l, 0) == '+' || peek(l, 0) == '-') && strchr(exponent, l->next[-1])))
        l->next++;
    snprintf(text, sizeof text, "%.*s", (int)(l->next - from < 63 ? l->next - from : 63), from);
    l->token = SA_LUA_T_NUMBER;
    l->number = strtod(text, NULL);
}

static void name(struct sa_lua_lexer *l)
{
    const char *from = l->next;
    while (is_name(peek(l, 0)))
        l->next++;
    l->token = SA_LUA_T_NAME;
    l->text = sa_arena_strndup(l->arena, from, (size_t)(l->next - from));
    for (size_t i = 0; i < SA_COUNT(keywords); i++)
        l->keyword = l->keyword || strcmp(keywords[i], l->text) == 0;
}

static int operator(struct sa_lua_lexer *l, struct sa_error *err)
{
    size_t left = (size_t)(l->end - l->next);
    for (size_t i = 0; i < SA_COUNT(operators); i++) {
        size_t length = strlen(operators[i]);
        if (length <= left && memcmp(operators[i], l->next, length) == 0) {
            l->next += length;
            l->token = SA_LUA_T_OPERATOR;
            l->text = operators[i];
            return 0;
        }
    }
    return sa_lua_lex_fail(l, err, "a character that Lua does not know");
}

int sa_lua_lex(struct sa_lua_lexer *l, struct sa_error *err)
{
    const char *from;
    size_t length;
    bool whole = skip_space(l);
    l->token_line = l->line;
    l->text = "";
    l->keyword = false;
    if (!whole)
        return sa_lua_lex_fail(l, err, "a comment does not end");
    char c = peek(l, 0);
    int level = long_level(l);
    if (l->next == l->end) {
        l->token = SA_LUA_T_END;
    } else if (level >= 0) {
        if (!skip_long(l, level, &from, &length))
            return sa_lua_lex_fail(l, err, "this string does not end");
        l->token = SA_LUA_T_STRING;
        l->text = sa_arena_strndup(l->arena, from, length);
    } else if (c == '"' || c == '\'') {
        return quoted(l, err);
    } else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) {
        number(l);
    } else if (is_name(c)) {
        name(l);
    } else {
        return operator(l, err);
    }
    return 0;
}
