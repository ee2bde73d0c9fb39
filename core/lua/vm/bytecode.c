/*
 * What a rule file does, seen in its bytecode before it runs. Assignments to globals, and from
 * functions to locals of the file, are how a rule would keep state from one call to the next; both
 * are instructions of their own, so that none can hide. What a function that runs while the file is
 * loaded leaves behind in its own locals is seen then, function by function.
 *
 * The format is LuaJIT's (lj_bcdump.h): a header, then prototypes, inner ones before the outer
 * that has them among its constants. It is read from lua_dump(), never from outside; that the
 * numbers of the instructions are right is tried on a known piece of code when the machine starts.
 */
#include "rules.h"

#include "env.h"

#include <string.h>

enum { /* of lj_bc.h */
       OP_USETV = 46,
       OP_USETP = 49,
       OP_GGET = 54,
       OP_GSET = 55
};
enum { DUMP_VERSION = 2, DUMP_STRIPPED = 2, UPVALUE_LOCAL = 0x8000 };
enum { PROTOS_MAX = 4096, DUMP_MAX = 4 * 1024 * 1024 };

struct proto {
    const uint8_t *code, *upvalues, *lines;
    size_t code_count, upvalue_count;
    size_t line_bytes; /* of one entry of `lines`; 0: none */
    int first_line;
    int parent; /* index; -1: the file itself */
    const uint8_t *constants;
    size_t constant_count;
};
struct dump {
    const uint8_t *next, *end;
    bool broken;
    struct proto protos[PROTOS_MAX];
    int proto_count;
    int open[PROTOS_MAX]; /* those that no outer one has taken yet */
    int open_count;
};

/* ---- reading ---- */

static uint8_t take_byte(struct dump *d)
{
    if (d->next == d->end) {
        d->broken = true;
        return 0;
    }
    return *d->next++;
}

static uint32_t take_uleb(struct dump *d)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = take_byte(d);
        value |= (uint32_t)(byte & 0x7f) << (shift & 31);
        if (!(byte & 0x80))
            return value;
    }
    d->broken = true;
    return 0;
}

static const uint8_t *take_bytes(struct dump *d, size_t length)
{
    const uint8_t *at = d->next;
    if (length > (size_t)(d->end - d->next)) {
        d->broken = true;
        return NULL;
    }
    d->next += length;
    return at;
}

static void skip_table_constant(struct dump *d)
{
    uint32_t type = take_uleb(d);
    if (type >= 5) {
        take_bytes(d, type - 5);
    } else if (type == 3) {
        take_uleb(d);
    } else if (type == 4) {
        take_uleb(d);
        take_uleb(d);
    }
}

/* A constant; its text when it is a string. Inner prototypes count as taken when `owner` >= 0. */
static const char *take_constant(struct dump *d, int owner, size_t *length)
{
    uint32_t type = take_uleb(d);
    if (type >= 5) {
        *length = type - 5;
        return (const char *)take_bytes(d, *length);
    }
    if (type == 0 && owner >= 0) {
        if (d->open_count)
            d->protos[d->open[--d->open_count]].parent = owner;
        else
            d->broken = true;
    } else if (type == 1) {
        uint32_t list = take_uleb(d), map = take_uleb(d);
        for (uint64_t i = 0; i < list + (uint64_t)map * 2 && !d->broken; i++)
            skip_table_constant(d);
    } else if (type == 2 || type == 3) {
        take_uleb(d);
        take_uleb(d);
    } else if (type == 4) {
        for (int i = 0; i < 4; i++)
            take_uleb(d);
    }
    return NULL;
}

static void take_proto(struct dump *d)
{
    if (d->proto_count == PROTOS_MAX) {
        d->broken = true;
        return;
    }
    struct proto *p = &d->protos[d->proto_count];
    *p = (struct proto){.parent = -1};
    size_t ignored;
    uint32_t line_count = 0, debug_bytes;
    take_bytes(d, 3); /* flags, parameters, frame size */
    p->upvalue_count = take_byte(d);
    p->constant_count = take_uleb(d);
    take_uleb(d); /* numbers: behind the other constants, not looked at */
    p->code_count = take_uleb(d);
    debug_bytes = take_uleb(d);
    if (debug_bytes) {
        p->first_line = (int)take_uleb(d);
        line_count = take_uleb(d);
    }
    p->code = take_bytes(d, p->code_count * 4);
    p->upvalues = take_bytes(d, p->upvalue_count * 2);
    p->constants = d->next;
    for (size_t i = 0; i < p->constant_count && !d->broken; i++)
        take_constant(d, d->proto_count, &ignored);
    /* Behind the numbers, at the end: one entry an instruction, from first_line on. */
    p->line_bytes = !debug_bytes ? 0 : line_count < 256 ? 1 : line_count < 65536 ? 2 : 4;
    if (debug_bytes && !d->broken && debug_bytes <= (size_t)(d->end - d->next))
        p->lines = d->end - debug_bytes;
    else
        d->broken = true;
    if (!d->broken && debug_bytes < p->code_count * p->line_bytes)
        d->broken = true;
    d->open[d->open_count++] = d->proto_count++;
}

static bool take_dump(struct dump *d, const char *data, size_t length)
{
    d->next = (const uint8_t *)data;
    d->end = d->next + length;
    const uint8_t *head = take_bytes(d, 4);
    if (!head || memcmp(head, "\x1bLJ", 3) != 0 || head[3] != DUMP_VERSION ||
        take_uleb(d) & DUMP_STRIPPED)
        return false;
    take_bytes(d, take_uleb(d)); /* the name */
    const uint8_t *end = d->end;
    for (;;) {
        uint32_t bytes = take_uleb(d);
        if (!bytes || d->broken)
            break;
        if (bytes > (size_t)(end - d->next))
            return false;
        const uint8_t *after = d->next + bytes;
        d->end = after;
        take_proto(d);
        d->end = end;
        d->next = after;
    }
    return !d->broken && d->next == end && d->open_count == 1;
}

/* ---- looking ---- */

static int line_of(const struct proto *p, size_t instruction)
{
    const uint8_t *at = p->lines + instruction * p->line_bytes;
    uint32_t line = 0;
    for (size_t i = 0; i < p->line_bytes; i++)
        line |= (uint32_t)at[i] << (8 * i);
    return p->first_line + (int)line;
}

/* Whose local is the upvalue? -1: of none that is in the dump. */
static int owner_of(const struct dump *d, int proto, unsigned upvalue)
{
    for (;;) {
        const struct proto *p = &d->protos[proto];
        if (upvalue >= p->upvalue_count || p->parent < 0)
            return -1;
        unsigned of = (unsigned)p->upvalues[2 * upvalue] | (unsigned)p->upvalues[2 * upvalue + 1]
                                                               << 8;
        proto = p->parent;
        if (of & UPVALUE_LOCAL)
            return proto;
        upvalue = of & 0xff;
    }
}

/* Is the upvalue a local of the file? One of nobody cannot be: refused. */
static bool is_file_local(const struct dump *d, int proto, unsigned upvalue)
{
    int owner = owner_of(d, proto, upvalue);
    return owner < 0 || d->protos[owner].parent < 0;
}

/* String constants are counted from the end. */
static void constant_text(struct dump *d, const struct proto *p, unsigned index, char *out,
                          size_t size)
{
    d->next = p->constants;
    for (size_t i = p->constant_count; i-- > 0 && !d->broken;) {
        size_t length = 0;
        const char *text = take_constant(d, -1, &length);
        if (i == index && text) {
            snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), text);
            return;
        }
    }
    snprintf(out, size, "?");
}

static bool sets_upvalue(uint8_t op)
{
    return op >= OP_USETV && op <= OP_USETP;
}

static void look_at(lua_State *L, struct dump *d, int index, size_t i,
                    const struct sa_bytecode_finder *finder)
{
    const struct proto *p = &d->protos[index];
    uint8_t op = p->code[4 * i], a = p->code[4 * i + 1];
    unsigned of = (unsigned)p->code[4 * i + 2] | (unsigned)p->code[4 * i + 3] << 8;
    char name[64], message[200];
    if (sets_upvalue(op)) {
        if (!finder->may_keep && is_file_local(d, index, a))
            finder->found(finder->user, line_of(p, i),
                          "a function sets a local of the file: nothing may survive a call");
    } else if (op == OP_GSET || op == OP_GGET) {
        constant_text(d, p, of, name, sizeof name);
        if (op == OP_GGET && sa_env_has(L, name))
            return;
        snprintf(message, sizeof message,
                 op == OP_GSET ? "cannot set the global \"%s\": declare it with `local`"
                               : "there is no global \"%s\" in rules",
                 name);
        finder->found(finder->user, line_of(p, i), message);
    }
}

static void look(lua_State *L, struct dump *d, const struct sa_bytecode_finder *finder)
{
    for (int index = 0; index < d->proto_count; index++) {
        const struct proto *p = &d->protos[index];
        for (size_t i = 0; i < p->code_count; i++) {
            int line = line_of(p, i);
            if (finder->lines && p->parent >= 0 && line > 0 && (size_t)line < finder->line_count)
                finder->lines[line] |= SA_VM_LINE_ACTIVE;
            look_at(L, d, index, i, finder);
        }
    }
}

static int write_dump(lua_State *L, const void *data, size_t length, void *user)
{
    struct sa_buf *out = user;
    (void)L;
    if (out->length + length > DUMP_MAX)
        return 1;
    sa_buf_add(out, data, length);
    return 0;
}

/* Of the function on top; NULL: it is too large. */
static struct dump *dump_of(lua_State *L)
{
    static struct dump dump; /* large, and an error that is raised must not leak it */
    struct sa_buf *bytes = &sa_vm_of(L)->scratch;
    bytes->length = 0;
    dump.broken = false;
    dump.proto_count = dump.open_count = 0;
    if (lua_dump(L, write_dump, bytes) == 0 && take_dump(&dump, bytes->data, bytes->length))
        return &dump;
    return NULL;
}

void sa_bytecode_look(lua_State *L, const struct sa_bytecode_finder *finder)
{
    struct dump *dump = dump_of(L);
    if (dump)
        look(L, dump, finder);
    else
        finder->found(finder->user, 1, "it has too many functions or constants to be checked");
}

int sa_bytecode_keeps(lua_State *L)
{
    const struct dump *d = dump_of(L);
    if (!d)
        return 1;
    for (int index = 0; index < d->proto_count; index++) {
        const struct proto *p = &d->protos[index];
        for (size_t i = 0; i < p->code_count; i++)
            if (sets_upvalue(p->code[4 * i]) && owner_of(d, index, p->code[4 * i + 1]) < 0)
                return line_of(p, i) > 0 ? line_of(p, i) : 1;
    }
    return 0;
}

/* ---- is the format what we believe? ---- */

static void count(void *user, int line, const char *message)
{
    static const char *const expected[] = {"1:there is no global \"alien\" in rules",
                                           "2:a function sets a local of the file",
                                           "3:cannot set the global \"leak\""};
    int *found = user;
    char text[200];
    snprintf(text, sizeof text, "%d:%s", line, message);
    for (int i = 0; i < 3; i++)
        if (strncmp(text, expected[i], strlen(expected[i])) == 0)
            *found |= 1 << i;
    *found += 8;
}

bool sa_bytecode_known(lua_State *L)
{
    static const char code[] =
        "local n, t = alien, {1, x = 2, 0.5}; local s = type(t)\n"
        "local function f() local k = 0; return function() k = k + 1; n = k end end\n"
        "local function g(x) leak = x; t = s end\n"
        "return f, g, t\n";
    int found = 0;
    struct sa_bytecode_finder finder = {.found = count, .user = &found};
    if (luaL_loadbuffer(L, code, sizeof code - 1, "=known"))
        return false;
    sa_bytecode_look(L, &finder);
    lua_pop(L, 1);
    return found == (7 | 8 * 4); /* and `t`, on line 3, is a local of the file, too */
}
