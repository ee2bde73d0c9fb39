/* What tests of decoding a body share: an arena for the group, and refusals. */
#ifndef TEST_KINDS_DECODING_H
#define TEST_KINDS_DECODING_H

#include "base/arena.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern struct sa_arena *arena;
int arena_setup(void **state);
int arena_teardown(void **state);

/* What `body` was refused with (rc -1) has the code and the path, and says the words. */
void check_refusal(const char *body, int rc, const struct sa_error *err, enum sa_code code,
                   const char *path, const char *words);

#endif
