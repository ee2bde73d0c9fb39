#include "decoding.h"

#include <string.h>

struct sa_arena *arena;

int arena_setup(void **state)
{
    (void)state;
    arena = sa_arena_new();
    return 0;
}

int arena_teardown(void **state)
{
    (void)state;
    sa_arena_free(arena);
    return 0;
}

void check_refusal(const char *body, int rc, const struct sa_error *err, enum sa_code code,
                   const char *path, const char *words)
{
    if (rc == 0)
        fail_msg("%.200s: accepted", body);
    if (err->code != code || strcmp(err->path, path) != 0 || !strstr(err->message, words))
        fail_msg("%.200s: %s, path \"%s\", \"%s\"; expected %s, \"%s\", \"%s\"", body,
                 sa_code_name(err->code), err->path, err->message, sa_code_name(code), path, words);
}
