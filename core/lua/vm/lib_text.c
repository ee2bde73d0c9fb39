/* Strings: plain searching, splitting, and a bounded format; no patterns, which backtrack. */
#include "env.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    PIECES_MAX = 65536,
    WORDS_MAX = 1024,
    GLOB_MAX = 256,
    FORMAT_MAX = 64 * 1024,
    CHECK_EVERY = 4096
};

/* ---- searching ---- */

static int text_starts_with(lua_State *L)
{
    size_t n, m;
    const char *text = luaL_checklstring(L, 1, &n), *prefix = luaL_checklstring(L, 2, &m);
    lua_pushboolean(L, m <= n && memcmp(text, prefix, m) == 0);
    return 1;
}

static int text_ends_with(lua_State *L)
{
    size_t n, m;
    const char *text = luaL_checklstring(L, 1, &n), *suffix = luaL_checklstring(L, 2, &m);
    lua_pushboolean(L, m <= n && memcmp(text + n - m, suffix, m) == 0);
    return 1;
}

static int text_contains(lua_State *L)
{
    size_t n, m;
    const char *text = luaL_checklstring(L, 1, &n), *part = luaL_checklstring(L, 2, &m);
    lua_pushboolean(L, memmem(text, n, part, m) != NULL);
    return 1;
}

/* find(s, plain, from?): where it begins and ends, or nil. */
static int text_find(lua_State *L)
{
    size_t n, m;
    const char *text = luaL_checklstring(L, 1, &n), *part = luaL_checklstring(L, 2, &m);
    lua_Number from = luaL_optnumber(L, 3, 1);
    if (!(from >= 1 && from <= (lua_Number)n + 1))
        return lua_pushnil(L), 1;
    const char *start = text + (size_t)from - 1,
               *at = memmem(start, n - (size_t)(start - text), part, m);
    if (!at)
        return lua_pushnil(L), 1;
    lua_pushnumber(L, (lua_Number)(at - text) + 1);
    lua_pushnumber(L, (lua_Number)(at - text) + (lua_Number)m);
    return 2;
}

/* glob(pattern, s): `*` is any run of bytes, `?` any one; the pattern matches all of s. After a
 * mismatch only the last star is tried again, so it is at most pattern times text. */
static int text_glob(lua_State *L)
{
    size_t m, n, p = 0, t = 0, star = SIZE_MAX, resume = 0, steps = 0;
    const char *pattern = luaL_checklstring(L, 1, &m), *text = luaL_checklstring(L, 2, &n);
    if (m > GLOB_MAX)
        sa_vm_raise(L, SA_VM_ERROR, "glob(): a pattern of more than %d bytes", GLOB_MAX);
    while (t < n) {
        if (++steps % CHECK_EVERY == 0)
            sa_vm_check_deadline(L);
        if (p < m && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < m && (pattern[p] == '?' || pattern[p] == text[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++resume;
        } else {
            break;
        }
    }
    while (p < m && pattern[p] == '*')
        p++;
    lua_pushboolean(L, t == n && p == m);
    return 1;
}

/* ---- splitting ---- */

static void push_piece(lua_State *L, int *count, int max, const char *text, size_t length)
{
    if (*count == max)
        sa_vm_raise(L, SA_VM_ERROR, "more than %d pieces", max);
    lua_pushlstring(L, text, length);
    lua_rawseti(L, -2, ++*count);
}

/* split(s, separator, max?): at most `max` pieces, the rest in the last one. */
static int text_split(lua_State *L)
{
    size_t n, m;
    int count = 0;
    const char *text = luaL_checklstring(L, 1, &n), *separator = luaL_checklstring(L, 2, &m), *at;
    lua_Number max = luaL_optnumber(L, 3, PIECES_MAX);
    if (!m)
        sa_vm_raise(L, SA_VM_ERROR, "split(): the separator is empty");
    lua_newtable(L);
    while (count + 1 < max && (at = memmem(text, n, separator, m))) {
        if (count % 256 == 0)
            sa_vm_check_deadline(L);
        push_piece(L, &count, PIECES_MAX, text, (size_t)(at - text));
        n -= (size_t)(at - text) + m;
        text = at + m;
    }
    push_piece(L, &count, PIECES_MAX, text, n);
    return 1;
}

static int text_lines(lua_State *L)
{
    size_t n;
    int count = 0;
    const char *text = luaL_checklstring(L, 1, &n);
    lua_newtable(L);
    while (n) {
        const char *end = memchr(text, '\n', n);
        size_t length = end ? (size_t)(end - text) : n;
        push_piece(L, &count, PIECES_MAX, text,
                   length && text[length - 1] == '\r' ? length - 1 : length);
        n -= end ? length + 1 : length;
        text += length + 1;
    }
    return 1;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int text_trim(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    for (; n && is_space(*text); n--)
        text++;
    for (; n && is_space(text[n - 1]); n--)
        ;
    lua_pushlstring(L, text, n);
    return 1;
}

static bool is_operator(char c)
{
    return c && strchr(";|&()<>", c);
}

/* The end of the word that begins at text[i]; its text without quotes goes to `word`. */
static size_t take_word(const char *text, size_t n, size_t i, struct sa_buf *word)
{
    char quote = 0;
    for (; i < n; i++) {
        char c = text[i];
        if (!quote && (is_space(c) || is_operator(c)))
            break;
        if (!quote && (c == '\'' || c == '"')) {
            quote = c;
        } else if (quote && c == quote) {
            quote = 0;
        } else if (c == '\\' && quote != '\'' && i + 1 < n) {
            if (text[++i] != '\n') /* which continues the line */
                sa_buf_addc(word, text[i]);
        } else {
            sa_buf_addc(word, c);
        }
    }
    return i;
}

/* words(line): as a shell would split it, without expanding anything; runs of operators are words
 * of their own, a newline is ";". */
static int text_words(lua_State *L)
{
    struct sa_buf *word = &sa_vm_of(L)->scratch;
    size_t n, i = 0;
    int count = 0;
    const char *text = luaL_checklstring(L, 1, &n);
    lua_newtable(L);
    while (i < n) {
        size_t start = i;
        if (text[i] == '\n') {
            i++;
            push_piece(L, &count, WORDS_MAX, ";", 1);
        } else if (is_space(text[i])) {
            i++;
        } else if (is_operator(text[i])) {
            while (i < n && is_operator(text[i]))
                i++;
            push_piece(L, &count, WORDS_MAX, text + start, i - start);
        } else {
            word->length = 0;
            i = take_word(text, n, i, word);
            push_piece(L, &count, WORDS_MAX, word->length ? word->data : "", word->length);
        }
    }
    return 1;
}

/* ---- string.format ---- */

/* Formats of rules go to the C library one conversion at a time, checked: see conversion_length().
 */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

/* One conversion, flags and all, is at `spec`; its length, or 0 when it is none that is allowed. */
static size_t conversion_length(const char *spec)
{
    size_t i = 1 + strspn(spec + 1, "-+ #0");
    size_t width = strspn(spec + i, "0123456789");
    i += width;
    if (width > 2)
        return 0;
    if (spec[i] == '.') {
        size_t precision = strspn(spec + i + 1, "0123456789");
        if (precision > 2)
            return 0;
        i += 1 + precision;
    }
    return i < 16 && spec[i] && strchr("diuxXoeEfgGscq%", spec[i]) ? i + 1 : 0;
}

static void format_text(lua_State *L, struct sa_buf *out, const char *spec, int index)
{
    size_t length;
    const char *text = sa_lib_tostring(L, index, &length);
    if (length > FORMAT_MAX)
        sa_vm_raise(L, SA_VM_ERROR, "string.format(): more than %d bytes", FORMAT_MAX);
    if (spec[1] == 's')
        sa_buf_add(out, text, length);
    else /* padded or cut: bytes up to the first NUL, as in C */
        sa_buf_printf(out, spec, text);
    lua_pop(L, 1);
}

static void format_number(lua_State *L, struct sa_buf *out, char *spec, size_t length, int index)
{
    char kind = spec[length - 1];
    if (lua_type(L, index) != LUA_TNUMBER && !lua_isnumber(L, index))
        sa_vm_raise(L, SA_VM_ERROR, "string.format(): %%%c needs a number, got %s", kind,
                    luaL_typename(L, index));
    double number = lua_tonumber(L, index);
    if (strchr("eEfgG", kind)) {
        sa_buf_printf(out, spec, number);
        return;
    }
    if (!(fabs(number) <= 9007199254740992.0))
        sa_vm_raise(L, SA_VM_ERROR, "string.format(): %%%c needs a whole number", kind);
    if (kind == 'c') {
        sa_buf_addc(out, (char)(unsigned char)(int64_t)number);
        return;
    }
    spec[length - 1] = 'l';
    spec[length] = kind;
    spec[length + 1] = '\0';
    sa_buf_printf(out, spec, (long)number);
}

static void format_one(lua_State *L, struct sa_buf *out, const char *from, size_t length, int index)
{
    char spec[24];
    memcpy(spec, from, length);
    spec[length] = '\0';
    if (lua_isnone(L, index))
        sa_vm_raise(L, SA_VM_ERROR, "string.format(): no value for %s", spec);
    if (spec[length - 1] == 's' || spec[length - 1] == 'q') {
        spec[length - 1] = 's';
        format_text(L, out, spec, index);
    } else {
        format_number(L, out, spec, length, index);
    }
    if (out->length > FORMAT_MAX)
        sa_vm_raise(L, SA_VM_ERROR, "string.format(): more than %d bytes", FORMAT_MAX);
}

int sa_lib_format(lua_State *L)
{
    struct sa_buf *out = &sa_vm_of(L)->scratch;
    size_t n;
    int argument = 1;
    const char *text = luaL_checklstring(L, 1, &n), *end = text + n;
    if (n > FORMAT_MAX)
        sa_vm_raise(L, SA_VM_ERROR, "string.format(): more than %d bytes", FORMAT_MAX);
    out->length = 0;
    while (text < end) {
        const char *percent = memchr(text, '%', (size_t)(end - text));
        sa_buf_add(out, text, (size_t)((percent ? percent : end) - text));
        if (!percent)
            break;
        size_t length = conversion_length(percent);
        if (!length)
            sa_vm_raise(L, SA_VM_ERROR, "string.format(): a conversion that is not known");
        if (percent[length - 1] == '%')
            sa_buf_addc(out, '%');
        else
            format_one(L, out, percent, length, ++argument);
        text = percent + length;
    }
    lua_pushlstring(L, out->length ? out->data : "", out->length);
    return 1;
}

const luaL_Reg sa_lib_text[] = {{"starts_with", text_starts_with},
                                {"ends_with", text_ends_with},
                                {"contains", text_contains},
                                {"find", text_find},
                                {"glob", text_glob},
                                {"split", text_split},
                                {"lines", text_lines},
                                {"trim", text_trim},
                                {"words", text_words},
                                {NULL, NULL}};
