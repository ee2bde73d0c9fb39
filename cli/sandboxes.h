/* Naming and walking sandboxes. */
#ifndef SA_CLI_SANDBOXES_H
#define SA_CLI_SANDBOXES_H

#include "base/id.h"
#include "client.h"
#include "command.h"

#include "json/write.h"

/* What commands that make a sandbox ask of it beyond their own. */
/* clang-format off */
#define SA_SANDBOX_OPTIONS                                                                         \
    {.name = "level", .kind = SA_OPTION_STRING, .value = "LEVEL",                                  \
     .help = "how hard the isolation is: standard (the default), high or custom"},                 \
    {.name = "profile", .kind = SA_OPTION_STRING, .value = "NAME",                                 \
     .help = "SandboxProfile whose demands it has to meet"},                                       \
    {.name = "warm", .kind = SA_OPTION_STRING, .value = "HOW",                                     \
     .help = "prefer a pod of a warm pool (the default), require one, or never"},                  \
    {.name = "pool", .kind = SA_OPTION_STRING, .value = "NAME",                                    \
     .help = "WarmPool that it should come from"}
/* clang-format on */
/* Those that were given, as members of a create. */
void sa_sandbox_put_options(const struct sa_config *config, struct sa_json_w *w);

/* The id of the sandbox that `text` names: its id, its name, or an unambiguous beginning of
 * either. SA_ENOTFOUND; SA_ECONFLICT names those it could be. */
int sa_sandbox_resolve(struct sa_client *client, const char *text, char id[SA_ID_BYTES],
                       struct sa_error *err);

/* -1 ends the walk. */
typedef int sa_sandbox_visit(void *user, struct sa_json_obj *item, struct sa_error *err);
struct sa_sandbox_query {
    bool ended;           /* also those that have ended */
    const char *selector; /* of labels; NULL: all */
};
/* Visit every sandbox, newest first. With `json` nothing is visited, but the items' texts are
 * appended there, with commas in between. */
int sa_each_sandbox(struct sa_client *client, const struct sa_sandbox_query *query,
                    sa_sandbox_visit *visit, void *user, struct sa_buf *json, struct sa_error *err);

#endif
