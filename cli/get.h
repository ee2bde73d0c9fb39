/* `secureagent get`, and what it shares with following changes (get_watch.c). */
#ifndef SA_CLI_GET_H
#define SA_CLI_GET_H

#include "resource.h"
#include "rows.h"

struct sa_get {
    struct sa_client *client;
    const struct sa_resource *resource;
    const char *const *names; /* none: all of the kind */
    size_t name_count;
    const char *labels, *fields; /* selectors, or NULL */
    enum sa_output output;
    const char *command; /* for messages */
};

/* Visit all that is asked for; `visit` gets the document's value. Sets `version` (when not NULL),
 * from which changes can be followed; "" of sandboxes. */
typedef void sa_get_visit(void *user, const struct sa_json_value *object);
int sa_get_each(const struct sa_get *get, sa_get_visit *visit, void *user, struct sa_buf *version,
                struct sa_error *err);

/* The path of a page of the list: "/api/v1/warmpools?limit=...". */
void sa_get_list_path(const struct sa_get *get, const char *query, struct sa_buf *path);

/* Print one for programs: JSON on a line, YAML as a document, or its name. */
void sa_get_print(const struct sa_get *get, const struct sa_json_value *object);

/* Print what is there, and then each change, until the end of times; -1 with an error. */
int sa_get_follow(const struct sa_get *get, struct sa_error *err);

#endif
