/*
 * A document as it is, for what is passed on whole rather than understood: walk its values. They
 * belong to the document. Decoding into structs is json.h's.
 */
#ifndef SA_JSON_TREE_H
#define SA_JSON_TREE_H

#include "json/json.h"

struct sa_json_value; /* never made; a pointer names a value in its document */

const struct sa_json_value *sa_json_top(const struct sa_json_doc *doc);
enum sa_json_type sa_json_value_type(const struct sa_json_value *value); /* never MISSING */
/* Of an array or an object; NULL at the end, and of anything else. */
const struct sa_json_value *sa_json_first(const struct sa_json_value *value);
const struct sa_json_value *sa_json_next(const struct sa_json_value *value);

const char *sa_json_value_key(const struct sa_json_value *value);  /* of a member of an object */
const char *sa_json_value_text(const struct sa_json_value *value); /* of a string */
double sa_json_value_number(const struct sa_json_value *value);    /* of a number */
bool sa_json_value_bool(const struct sa_json_value *value);        /* of a boolean */

/* Write it, without the members of objects that `leave_out` (NULL: none) is true of. */
struct sa_json_w;
void sa_json_w_value(struct sa_json_w *w, const struct sa_json_value *value,
                     bool (*leave_out)(const struct sa_json_value *member));
/* Append it as compact text. */
void sa_json_value_print(const struct sa_json_value *value, struct sa_buf *out);

#endif
