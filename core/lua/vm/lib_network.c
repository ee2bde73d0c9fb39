/* Names of hosts, addresses, paths. */
#include "env.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES_MAX = 64 * 1024 };

/* ---- hosts ---- */

static const char *host(lua_State *L, int index, size_t *length)
{
    const char *text = luaL_checklstring(L, index, length);
    if (*length && text[*length - 1] == '.') /* the root */
        --*length;
    return text;
}

/* "example.org" matches itself, "*.example.org" all below it, "*" everything. */
static int network_domain_matches(lua_State *L)
{
    size_t m, n;
    const char *pattern = host(L, 1, &m), *name = host(L, 2, &n);
    bool matches;
    if (lua_objlen(L, 1) == 1 && *pattern == '*') /* and not "*." */
        matches = n > 0;
    else if (m > 2 && pattern[0] == '*' && pattern[1] == '.')
        matches = n > m - 1 && strncasecmp(name + n - (m - 1), pattern + 1, m - 1) == 0;
    else
        matches = m == n && m && strncasecmp(pattern, name, m) == 0;
    lua_pushboolean(L, matches);
    return 1;
}

struct address {
    int bits; /* 32 or 128; 0: it is none */
    uint8_t bytes[16];
};

static struct address parse_address(const char *text, size_t length)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct address a = {0};
    char copy[INET6_ADDRSTRLEN];
    if (length >= sizeof copy || memchr(text, '\0', length))
        return a;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (inet_pton(AF_INET, copy, a.bytes) == 1) {
        a.bits = 32;
    } else if (inet_pton(AF_INET6, copy, a.bytes) == 1) {
        a.bits = 128;
        if (memcmp(a.bytes, mapped, sizeof mapped) == 0) { /* an IPv4 address in IPv6's clothes */
            memmove(a.bytes, a.bytes + sizeof mapped, 4);
            a.bits = 32;
        }
    }
    return a;
}

/* ip_in("10.0.0.0/8", address): false for what is no address; a broken network is an error. */
static int network_ip_in(lua_State *L)
{
    size_t n, m;
    const char *network = luaL_checklstring(L, 1, &n), *text = luaL_checklstring(L, 2, &m);
    const char *slash = memchr(network, '/', n);
    struct address net = parse_address(network, slash ? (size_t)(slash - network) : n);
    struct address address = parse_address(text, m);
    char *end = NULL;
    long bits = slash ? strtol(slash + 1, &end, 10) : net.bits;
    if (!net.bits || bits < 0 || bits > net.bits ||
        (slash && (end == slash + 1 || *end || slash[1] < '0' || slash[1] > '9')))
        sa_vm_raise(L, SA_VM_ERROR, "ip_in(): \"%.60s\" is no network such as 10.0.0.0/8", network);
    size_t whole = (size_t)bits / 8;
    int rest = (int)bits % 8;
    bool in = address.bits == net.bits && memcmp(address.bytes, net.bytes, whole) == 0 &&
              (!rest || (address.bytes[whole] ^ net.bytes[whole]) >> (8 - rest) == 0);
    lua_pushboolean(L, in);
    return 1;
}

/* ---- paths ---- */

/* Without "//", "." and ".."; those that lead above the root stay there. Absolute, always. */
static void clean(lua_State *L, int index, struct sa_buf *out)
{
    size_t n;
    const char *path = luaL_checklstring(L, index, &n);
    if (n > PATH_BYTES_MAX)
        sa_vm_raise(L, SA_VM_ERROR, "a path of more than %d bytes", PATH_BYTES_MAX);
    out->length = 0;
    for (size_t i = 0; i < n;) {
        const char *slash = memchr(path + i, '/', n - i);
        size_t length = slash ? (size_t)(slash - (path + i)) : n - i;
        if (length == 2 && path[i] == '.' && path[i + 1] == '.') {
            while (out->length && out->data[--out->length] != '/')
                ;
        } else if (length && !(length == 1 && path[i] == '.')) {
            sa_buf_addc(out, '/');
            sa_buf_add(out, path + i, length);
        }
        i += length + 1;
    }
    if (!out->length)
        sa_buf_addc(out, '/');
}

static int network_path_clean(lua_State *L)
{
    struct sa_buf *out = &sa_vm_of(L)->scratch;
    clean(L, 1, out);
    lua_pushlstring(L, out->data, out->length);
    return 1;
}

/* path_under(dir, path): is it that folder or in it? */
static int network_path_under(lua_State *L)
{
    struct sa_buf *out = &sa_vm_of(L)->scratch;
    size_t n, m;
    clean(L, 1, out);
    lua_pushlstring(L, out->data, out->length);
    clean(L, 2, out);
    lua_pushlstring(L, out->data, out->length);
    const char *dir = lua_tolstring(L, -2, &n), *path = lua_tolstring(L, -1, &m);
    lua_pushboolean(L,
                    n == 1 || (m >= n && memcmp(dir, path, n) == 0 && (m == n || path[n] == '/')));
    return 1;
}

const luaL_Reg sa_lib_network[] = {{"domain_matches", network_domain_matches},
                                   {"ip_in", network_ip_in},
                                   {"path_clean", network_path_clean},
                                   {"path_under", network_path_under},
                                   {NULL, NULL}};
