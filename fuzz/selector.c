/* Outside bytes as a label selector: refused or taken without a fault; what is taken says of every
 * requirement whether it holds, and the whole holds when all of them do. */
#include "objects/selector.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sa_json_pair pairs[] = {{"a", "1"}, {"b", ""}, {"in", "notin"}};
    static const struct sa_json_map labels = {pairs, 3};
    struct sa_arena *arena = sa_arena_new();
    struct sa_selector selector;
    struct sa_error err;
    char *text = sa_arena_strndup(arena, (const char *)data, size);
    if (sa_selector_parse(text, arena, &selector, &err) == 0) {
        bool all = true;
        for (size_t i = 0; i < selector.count; i++) {
            struct sa_selector one = {.items = {selector.items[i]}, .count = 1};
            all = all && sa_selector_matches(&one, &labels);
        }
        if (all != sa_selector_matches(&selector, &labels))
            abort();
    }
    sa_arena_free(arena);
    return 0;
}
