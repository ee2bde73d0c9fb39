/* Resources by the words that people use for them, and where the API has them. */
#ifndef SA_CLI_RESOURCE_H
#define SA_CLI_RESOURCE_H

#include "client.h"
#include "kinds/resources.h"

/* "warmpool", "pools", "sb" ...; SA_EINVALID with what there is, and what may be meant. */
const struct sa_resource *sa_resource_named(const char *word, struct sa_error *err);

struct sa_target {
    const struct sa_resource *resource;
    const char *name;
};
/* KIND NAME..., or KIND/NAME...: the kind, and the names (pointers into `args`), which must all be
 * of that kind. At most `count` names; their number may be 0. */
int sa_targets_read(char *const *args, size_t count, const struct sa_resource **resource,
                    const char **names, size_t *name_count, struct sa_error *err);

/* The kind in the API's paths: "warmpools", "runtimes". */
const char *sa_resource_path(const struct sa_resource *resource);
/* "/api/v1/warmpools/NAME", of a sandbox by its id, which is found by `name`; free() it. NULL with
 * an error. */
char *sa_resource_url(struct sa_client *client, const struct sa_resource *resource,
                      const char *name, struct sa_error *err);

/* GET, POST, PUT ... with an optional body of JSON; the answer may be NULL. */
int sa_resource_send(struct sa_client *client, const char *method, const char *url,
                     const struct sa_buf *body, struct sa_buf *answer, struct sa_error *err);

#endif
