/* What the linter sees in one file, without running it. */
#ifndef SA_CLI_POLICY_LINT_H
#define SA_CLI_POLICY_LINT_H

#include "policy.h"

#include "luascan/luascan.h"

struct sa_lint {
    const char *path; /* of the file, for messages */
    size_t findings;
    struct sa_buf *out; /* a line for each: "path:line: message" */
};
void sa_lint_add(struct sa_lint *lint, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A rule's declaration and what it returns, as far as that is written down. */
void sa_lint_rule(struct sa_lint *lint, const struct sa_lua_chunk *chunk);
/* A list of tests, where it is written down. `point`: of the rule; -1: not known. */
void sa_lint_tests(struct sa_lint *lint, const struct sa_lua_chunk *chunk, int point);
/* The point that a rule names; -1: not known. */
int sa_lint_point(const struct sa_lua_chunk *chunk);

#endif
