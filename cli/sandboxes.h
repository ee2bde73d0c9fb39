/* Naming and walking sandboxes. */
#ifndef SA_CLI_SANDBOXES_H
#define SA_CLI_SANDBOXES_H

#include "base/id.h"
#include "client.h"
#include "command.h"

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
