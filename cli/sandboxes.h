/* Walking the list of sandboxes, page by page. */
#ifndef SA_CLI_SANDBOXES_H
#define SA_CLI_SANDBOXES_H

#include "client.h"
#include "command.h"

/* -1 ends the walk. */
typedef int sa_sandbox_visit(void *user, struct sa_json_obj *item, struct sa_error *err);
/* Visit every sandbox, newest first; with `ended` also those that have ended. With `json` nothing
 * is visited, but the items' texts are appended there, with commas in between. */
int sa_each_sandbox(struct sa_client *client, bool ended, sa_sandbox_visit *visit, void *user,
                    struct sa_buf *json, struct sa_error *err);

#endif
