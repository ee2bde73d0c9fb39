/* Any bytes as a Lua file: the linter's reader takes or refuses them, in bounded memory and time.
 */
#include "luascan/luascan.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sa_error error;
    struct sa_lua_chunk chunk;
    struct sa_arena *arena = sa_arena_new();
    if (sa_luascan((const char *)data, size, arena, &chunk, &error) == 0) {
        const struct sa_lua_expr *decide = sa_lua_field(chunk.returned, "decide");
        for (const struct sa_lua_expr *e = decide ? decide->first : NULL; e; e = e->next)
            sa_lua_field(e, "verdict");
    }
    sa_arena_free(arena);
    return 0;
}
