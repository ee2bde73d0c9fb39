#include "json/drop.h"

#include "json/tree.h"
#include "json/write.h"

static bool is_empty(const struct sa_json_value *value)
{
    enum sa_json_type type = sa_json_value_type(value);
    const struct sa_json_value *v = sa_json_first(value);
    if (type == SA_JSON_OBJECT)
        while (v && is_empty(v))
            v = sa_json_next(v);
    return (type == SA_JSON_OBJECT || type == SA_JSON_ARRAY) && !v;
}

int sa_json_drop_empty(const char *object, size_t length, struct sa_buf *out, struct sa_error *err)
{
    struct sa_json_doc *doc = sa_json_parse(object, length, NULL, err);
    if (!doc)
        return -1;
    struct sa_json_w w = sa_json_w_start(out);
    int rc = 0;
    if (sa_json_value_type(sa_json_top(doc)) == SA_JSON_OBJECT)
        sa_json_w_value(&w, sa_json_top(doc), is_empty);
    else
        rc = sa_error_set(err, SA_EINVALID, "expected a JSON object");
    sa_json_free(doc);
    return rc;
}
