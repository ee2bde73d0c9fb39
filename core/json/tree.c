/* Walking a document: its values are cJSON's nodes. */
#include "json/tree.h"

#include "json/internal.h"

static const cJSON *node_of(const struct sa_json_value *value)
{
    return (const void *)value;
}

static const struct sa_json_value *value_of(const cJSON *node)
{
    return (const void *)node;
}

const struct sa_json_value *sa_json_top(const struct sa_json_doc *doc)
{
    return value_of(doc->root);
}

enum sa_json_type sa_json_value_type(const struct sa_json_value *value)
{
    switch (node_of(value)->type & 0xff) {
    case cJSON_False:
    case cJSON_True:
        return SA_JSON_BOOL;
    case cJSON_Number:
        return SA_JSON_NUMBER;
    case cJSON_String:
        return SA_JSON_STRING;
    case cJSON_Array:
        return SA_JSON_ARRAY;
    case cJSON_Object:
        return SA_JSON_OBJECT;
    default:
        return SA_JSON_NULL;
    }
}

const struct sa_json_value *sa_json_first(const struct sa_json_value *value)
{
    return value_of(node_of(value)->child);
}

const struct sa_json_value *sa_json_next(const struct sa_json_value *value)
{
    return value_of(node_of(value)->next);
}

const char *sa_json_value_key(const struct sa_json_value *value)
{
    return node_of(value)->string;
}

const char *sa_json_value_text(const struct sa_json_value *value)
{
    return node_of(value)->valuestring;
}

double sa_json_value_number(const struct sa_json_value *value)
{
    return node_of(value)->valuedouble;
}

bool sa_json_value_bool(const struct sa_json_value *value)
{
    return cJSON_IsTrue(node_of(value));
}
