/* TEST: the cases beside the rules. */
#ifndef SA_LUA_CASES_H
#define SA_LUA_CASES_H

#include "vm.h"

/* Runs all; `part` gets each batch of results as a whole value, `out` the summary. */
void sa_cases_run(struct sa_vm *vm, void (*part)(void *user, const struct sa_buf *value),
                  void *user, struct sa_buf *out);

#endif
