/*
 * Which of many strings a text mentions, in letters of either case: what most rules over commands
 * and code ask. One pass over the text notes which pairs of neighbouring bytes it has; nearly all
 * strings have one that it has not, and are not looked for.
 */
#include "env.h"

#include "frozen.h"

#include <string.h>

enum { TEXT_MAX = 1024 * 1024, PAIRS = 4096, CHECK_EVERY = 64 };

struct mentions {
    struct sa_buf *text; /* in lower case; behind it, the string that is looked for */
    size_t length;       /* of the text */
    uint8_t pairs[PAIRS / 8];
};

/* The same for letters of either case (and for others that the same bit tells apart). */
static size_t pair_of(const char *text)
{
    return ((size_t)((unsigned char)text[0] | 32U) << 5 ^ ((unsigned char)text[1] | 32U)) % PAIRS;
}

/* Append a string in lower case, ASCII's alone, as string.lower() knows it. */
static void add_lower(lua_State *L, struct sa_buf *out, const char *text, size_t length)
{
    if (length > TEXT_MAX - out->length)
        sa_vm_raise(L, SA_VM_ERROR, "mentions(): more than %d bytes", TEXT_MAX);
    char *to = sa_buf_reserve(out, length);
    for (size_t i = 0; i < length; i++)
        to[i] = (char)(text[i] + ((unsigned char)(text[i] - 'A') < 26) * 32);
    out->length += length;
}

/* The elements of the list whose data is on top, as one text with spaces between. */
static void add_list(lua_State *L, struct sa_buf *out)
{
    size_t length;
    for (int i = 1;; i++) {
        sa_vm_check_deadline(L);
        lua_rawgeti(L, -1, i);
        if (lua_isnil(L, -1))
            break;
        if (lua_type(L, -1) != LUA_TSTRING)
            sa_vm_raise(L, SA_VM_ERROR, "mentions(): element %d of the text is a %s", i,
                        luaL_typename(L, -1));
        if (i > 1)
            add_lower(L, out, " ", 1);
        const char *text = lua_tolstring(L, -1, &length);
        add_lower(L, out, text, length);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* Argument 1 is a text, or a list of them. */
static void take_text(lua_State *L, struct mentions *m)
{
    size_t length;
    m->text->length = 0;
    if (sa_frozen_is_table(L, 1)) {
        sa_frozen_table(L, 1, "mentions(): the text");
        add_list(L, m->text);
        lua_pop(L, 1);
    } else {
        const char *text = luaL_checklstring(L, 1, &length);
        add_lower(L, m->text, text, length);
    }
    m->length = m->text->length;
    memset(m->pairs, 0, sizeof m->pairs);
    for (size_t i = 0; i + 1 < m->length; i++) {
        size_t pair = pair_of(m->text->data + i);
        m->pairs[pair / 8] |= (uint8_t)(1U << pair % 8);
    }
}

static bool may_be_there(const struct mentions *m, const char *part, size_t length)
{
    if (!length || length > m->length)
        return false;
    for (size_t i = 0; i + 1 < length; i++) {
        size_t pair = pair_of(part + i);
        if (!(m->pairs[pair / 8] >> pair % 8 & 1))
            return false;
    }
    return true;
}

/* What a word ends at, in a shell line or a path. */
static bool is_edge(const struct mentions *m, size_t at)
{
    static const char edges[] = " \t\n;|&()<>{}`'\"/=$\\,";
    return at >= m->length || memchr(edges, m->text->data[at], sizeof edges - 1);
}

/* Is the string on top, in lower case behind the text, there? */
static bool is_there(lua_State *L, struct mentions *m, bool word)
{
    size_t length;
    const char *string = lua_tolstring(L, -1, &length);
    if (!may_be_there(m, string, length))
        return false;
    m->text->length = m->length;
    add_lower(L, m->text, string, length);
    const char *text = m->text->data, *part = text + m->length, *at = text;
    while ((at = memmem(at, m->length - (size_t)(at - text), part, length))) {
        size_t first = (size_t)(at - text);
        if (!word || ((!first || is_edge(m, first - 1)) && is_edge(m, first + length)))
            return true;
        sa_vm_check_deadline(L);
        at++;
    }
    return false;
}

/* Push the first element of the list at 2 that the text at 1 mentions, or nil. */
static int mention(lua_State *L, bool word)
{
    struct mentions m = {.text = &sa_vm_of(L)->scratch};
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (lua_isnil(L, 1))
        return lua_pushnil(L), 1;
    take_text(L, &m);
    sa_frozen_table(L, 2, "mentions(): the list");
    for (int i = 1;; i++) {
        lua_rawgeti(L, 3, i);
        int type = lua_type(L, -1);
        if (type == LUA_TNIL)
            return 1;
        if (type != LUA_TSTRING)
            sa_vm_raise(L, SA_VM_ERROR, "mentions(): element %d of the list is a %s", i,
                        luaL_typename(L, -1));
        if (i % CHECK_EVERY == 0)
            sa_vm_check_deadline(L);
        if (is_there(L, &m, word))
            return 1;
        lua_pop(L, 1);
    }
}

static int text_mentions(lua_State *L)
{
    return mention(L, false);
}

static int text_mentions_word(lua_State *L)
{
    return mention(L, true);
}

const luaL_Reg sa_lib_mention[] = {
    {"mentions", text_mentions}, {"mentions_word", text_mentions_word}, {NULL, NULL}};
