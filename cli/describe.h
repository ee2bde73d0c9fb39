/* `secureagent describe`: of sandboxes (describe.c) and of other resources (describe_object.c). */
#ifndef SA_CLI_DESCRIBE_H
#define SA_CLI_DESCRIBE_H

#include "resource.h"
#include "show.h"

int sa_describe_object(struct sa_client *client, const struct sa_resource *resource,
                       const char *name, enum sa_output output, struct sa_error *err);

#endif
