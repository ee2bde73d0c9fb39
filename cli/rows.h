/* Resources as rows of a table, by the columns of their kind (kinds/resources.h). */
#ifndef SA_CLI_ROWS_H
#define SA_CLI_ROWS_H

#include "show.h"

#include "kinds/resources.h"
#include "json/tree.h"

struct sa_rows {
    const struct sa_resource *resource;
    bool wide;
    struct sa_table table;
};
/* Begins with the heading. Deinit the table. */
void sa_rows_init(struct sa_rows *rows, const struct sa_resource *resource, bool wide);
/* Add an object: of Kubernetes' shape, or as the API shows sandboxes, flat. With `fingerprint`,
 * what the row says is appended there, ages left out: equal for rows that say the same. */
void sa_rows_add(struct sa_rows *rows, const struct sa_json_value *object,
                 struct sa_buf *fingerprint);

/* The member at ".metadata.name"; of a flat object the one of the path's last name. NULL. */
const struct sa_json_value *sa_object_at(const struct sa_json_value *object, const char *path);
/* The same without looking at the shape. */
const struct sa_json_value *sa_value_at(const struct sa_json_value *value, const char *path);
/* Its text when it is one; else "". */
const char *sa_object_text(const struct sa_json_value *object, const char *path);

#endif
