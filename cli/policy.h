/*
 * `secureagent policy`: its verbs, one file each, and what they share. Some ask the server, others
 * work on folders of rules with a policy-worker of their own (policy_offline.c).
 */
#ifndef SA_CLI_POLICY_H
#define SA_CLI_POLICY_H

#include "client.h"
#include "command.h"
#include "show.h"

#include "lua/bundle.h"
#include "policy/schema.h"

#include <stdio.h>

extern const struct sa_command sa_command_policy_list, sa_command_policy_reload,
    sa_command_policy_rollback, sa_command_policy_explain, sa_command_policy_trace,
    sa_command_policy_test, sa_command_policy_lint, sa_command_policy_diff, sa_command_policy_new,
    sa_command_policy_schema;

/* GET, or POST with a body; the answer's text goes to `answer`. */
int sa_policy_get(struct sa_client *client, const char *path, struct sa_buf *answer,
                  struct sa_error *err);
int sa_policy_post(struct sa_client *client, const char *path, const struct sa_buf *body,
                   struct sa_buf *answer, struct sa_error *err);

/* SA_EINVALID with what there is, when no decision point has that name. */
int sa_policy_point_read(const char *name, enum sa_point *point, struct sa_error *err);

/* ---- rules without a server ---- */

/* The shipped rules, with those of the folders over them. SA_EINVALID: a folder has no rules. */
struct sa_bundle *sa_policy_bundle(char *const *dirs, size_t count, struct sa_error *err);
/* The path a file of the bundle was read from; the name itself where it is none of it. */
const char *sa_policy_origin(const struct sa_bundle *bundle, const struct sa_value *name);
/* Was it read from one of the operator's folders? */
bool sa_policy_is_own(const struct sa_bundle_file *file, char *const *dirs, size_t count);

struct sa_offline;
/* A policy-worker on the bundle, compiled, and tested where that is wanted. NULL: there is no
 * worker. Rules that do not compile or fail their tests are no error: see below. Blocking. */
struct sa_offline *sa_offline_start(struct sa_bundle *bundle, bool test, struct sa_error *err);
void sa_offline_stop(struct sa_offline *offline); /* NULL is allowed */
/* The answers to COMPILE and TEST (lua/wire.h); NIL where it did not come so far. */
struct sa_value sa_offline_compiled(const struct sa_offline *offline);
struct sa_value sa_offline_tested(const struct sa_offline *offline);
/* What was wrong with the rules as a whole, or NULL: they compile, and no test failed. */
const struct sa_error *sa_offline_problem(const struct sa_offline *offline);
/* Tell each error of compilation on `out`, a line "path:line: message" each; their number. */
size_t sa_offline_print_errors(const struct sa_offline *offline, const struct sa_bundle *bundle,
                               FILE *out);
/* Ask, with the trace. The verdict is a value in `verdict`. */
int sa_offline_ask(struct sa_offline *offline, enum sa_point point, const struct sa_buf *input,
                   struct sa_buf *verdict, struct sa_error *err);

/* ---- inputs and verdicts (policy_input.c, policy_verdict.c) ---- */

/* A value as the server would ask it: checked (unknown members and wrong types are SA_EINVALID,
 * with the path), with all members, and with the time where it has none. */
int sa_policy_complete_input(enum sa_point point, const struct sa_value *input, struct sa_buf *out,
                             struct sa_error *err);
/* An input from JSON objects, each over the one before, and then "a.b=text" members: each text is
 * read as the member's type asks for. The result is a value. */
int sa_policy_build_input(enum sa_point point, const struct sa_buf *texts, size_t text_count,
                          char *const *members, size_t count, struct sa_buf *out,
                          struct sa_error *err);

/* Append any value to another. */
void sa_policy_copy(const struct sa_value *value, struct sa_buf *out);

/* What was decided and why, for people: a verdict with its trace, as the worker and the server
 * give it. */
void sa_policy_print_verdict(enum sa_point point, const struct sa_value *verdict);
/* A string member on one line, printable; "" when there is none. To be freed. */
char *sa_policy_text(const struct sa_value *map, const char *key);

#endif
