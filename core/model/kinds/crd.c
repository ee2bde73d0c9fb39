#include "kinds/crd.h"

#include "base/cleanup.h"
#include "objects/conditions.h"
#include "json/quantity.h"

#include <stdio.h>
#include <string.h>

/* As apimachinery's; an exponent and more digits than an int64_t holds are left out. */
#define QUANTITY_PATTERN "^[0-9]{1,18}(\\.[0-9]{0,9})?(([KMGTPE]i)|[numkMGTPE])?$"

static void put_rule(struct sa_json_w *w, const char *rule, const char *message)
{
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "rule", rule);
    sa_json_put_string(w, "message", message);
    sa_json_w_end_object(w);
}

/* ---- types ---- */

/* `maybe`: it may be empty, which is to be absent. */
static void put_text_limits(struct sa_json_w *w, const struct sa_member *m, bool maybe)
{
    char pattern[512];
    sa_json_put_int(w, "maxLength", (int64_t)m->max_bytes);
    if (!m->format || !m->format->pattern)
        return;
    snprintf(pattern, sizeof pattern, maybe ? "^(%s)?$" : "^%s$", m->format->pattern);
    sa_json_put_string(w, "pattern", pattern);
}

static void put_int(struct sa_json_w *w, const struct sa_member *m)
{
    sa_json_put_string(w, "type", "integer");
    sa_json_put_string(w, "format", "int64");
    sa_json_put_int(w, "minimum", m->low);
    sa_json_put_int(w, "maximum", sa_member_high(m));
}

static void put_quantity_rule(struct sa_json_w *w, const struct sa_member *m)
{
    void (*print)(int64_t, char *) =
        m->type == SA_MEMBER_CPU ? sa_quantity_cpu_print : sa_quantity_bytes_print;
    char low[SA_QUANTITY_BYTES], high[SA_QUANTITY_BYTES], rule[256], message[128];
    print(m->low, low);
    print(m->high, high);
    snprintf(rule, sizeof rule,
             "quantity(string(self)).compareTo(quantity('%s')) >= 0 && "
             "quantity(string(self)).compareTo(quantity('%s')) <= 0",
             low, high);
    snprintf(message, sizeof message, "expected a quantity from %s to %s", low, high);
    sa_json_put_array(w, "x-kubernetes-validations");
    put_rule(w, rule, message);
    sa_json_w_end_array(w);
}

static void put_quantity(struct sa_json_w *w, const struct sa_member *m)
{
    sa_json_put_array(w, "anyOf");
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "type", "integer");
    sa_json_w_end_object(w);
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "type", "string");
    sa_json_w_end_object(w);
    sa_json_w_end_array(w);
    sa_json_put_string(w, "pattern", QUANTITY_PATTERN);
    sa_json_put_bool(w, "x-kubernetes-int-or-string", true);
    if (m->low || m->high)
        put_quantity_rule(w, m);
}

static void put_enum(struct sa_json_w *w, const struct sa_member *m)
{
    sa_json_put_string(w, "type", "string");
    sa_json_put_array(w, "enum");
    for (const char *const *name = m->names; *name; name++)
        if ((*name)[0])
            sa_json_w_string(w, *name);
    sa_json_w_end_array(w);
}

static void put_list_head(struct sa_json_w *w, const struct sa_member *m)
{
    sa_json_put_string(w, "type", "array");
    sa_json_put_int(w, "maxItems", (int64_t)m->max_count);
    sa_json_put_string(w, "x-kubernetes-list-type", "atomic");
    sa_json_put_object(w, "items");
}

static void put_map(struct sa_json_w *w, const struct sa_member *m)
{
    sa_json_put_string(w, "type", "object");
    sa_json_put_int(w, "maxProperties", (int64_t)m->max_count);
    sa_json_put_object(w, "additionalProperties");
    sa_json_put_string(w, "type", "string");
    sa_json_put_int(w, "maxLength", (int64_t)m->max_bytes);
    sa_json_w_end_object(w);
}

static void put_condition_text(struct sa_json_w *w, const char *name, int64_t max)
{
    sa_json_put_object(w, name);
    sa_json_put_string(w, "type", "string");
    sa_json_put_int(w, "maxLength", max);
    sa_json_w_end_object(w);
}

static void put_conditions(struct sa_json_w *w)
{
    static const char members[] =
        "{\"status\":{\"type\":\"string\",\"enum\":[\"True\",\"False\",\"Unknown\"]},"
        "\"observedGeneration\":{\"type\":\"integer\",\"format\":\"int64\",\"minimum\":0,"
        "\"maximum\":9007199254740991},"
        "\"lastTransitionTime\":{\"type\":\"string\",\"format\":\"date-time\"}}";
    sa_json_put_string(w, "type", "array");
    sa_json_put_int(w, "maxItems", SA_CONDITIONS_MAX);
    sa_json_put_string(w, "x-kubernetes-list-type", "map");
    sa_json_put_raw(w, "x-kubernetes-list-map-keys", "[\"type\"]", 8);
    sa_json_put_object(w, "items");
    sa_json_put_string(w, "type", "object");
    sa_json_put_raw(w, "required", "[\"type\",\"status\"]", 17);
    sa_json_put_object(w, "properties");
    put_condition_text(w, "type", 316);
    sa_json_w_raw_members(w, members, sizeof members - 1);
    put_condition_text(w, "reason", 1024);
    put_condition_text(w, "message", 32768);
    sa_json_w_end_object(w);
    sa_json_w_end_object(w);
}

static void put_schema(struct sa_json_w *w, const struct sa_schema *schema);

static void put_type(struct sa_json_w *w, const struct sa_member *m)
{
    switch (m->type) {
    case SA_MEMBER_BOOL:
        sa_json_put_string(w, "type", "boolean");
        break;
    case SA_MEMBER_INT:
        put_int(w, m);
        break;
    case SA_MEMBER_NUMBER:
        sa_json_put_string(w, "type", "number");
        sa_json_put_int(w, "minimum", m->low);
        sa_json_put_int(w, "maximum", m->high);
        break;
    case SA_MEMBER_TEXT:
        sa_json_put_string(w, "type", "string");
        if (m->flags & SA_MEMBER_REQUIRED)
            sa_json_put_int(w, "minLength", 1);
        put_text_limits(w, m, !(m->flags & SA_MEMBER_REQUIRED));
        break;
    case SA_MEMBER_ENUM:
        put_enum(w, m);
        break;
    case SA_MEMBER_CPU:
    case SA_MEMBER_BYTES:
        put_quantity(w, m);
        break;
    case SA_MEMBER_TIME:
        sa_json_put_string(w, "type", "string");
        sa_json_put_string(w, "format", "date-time");
        break;
    case SA_MEMBER_TEXTS:
        put_list_head(w, m);
        sa_json_put_string(w, "type", "string");
        put_text_limits(w, m, false);
        sa_json_w_end_object(w);
        break;
    case SA_MEMBER_INTS:
        put_list_head(w, m);
        put_int(w, m);
        sa_json_w_end_object(w);
        break;
    case SA_MEMBER_MAP:
        put_map(w, m);
        break;
    case SA_MEMBER_OBJECT:
        put_schema(w, m->schema);
        break;
    case SA_MEMBER_LIST:
        put_list_head(w, m);
        put_schema(w, m->schema);
        sa_json_w_end_object(w);
        break;
    case SA_MEMBER_JSON:
        sa_json_put_string(w, "type", "object");
        sa_json_put_bool(w, "x-kubernetes-preserve-unknown-fields", true);
        break;
    case SA_MEMBER_CONDITIONS:
        put_conditions(w);
        break;
    }
}

/* ---- defaults ---- */

static bool has_defaults(const struct sa_schema *schema)
{
    for (const struct sa_member *m = schema->members; m->name; m++)
        if (sa_member_has_default(m) || (m->type == SA_MEMBER_OBJECT &&
                                         !(m->flags & SA_MEMBER_GIVEN) && has_defaults(m->schema)))
            return true;
    return false;
}

static void put_default(struct sa_json_w *w, const struct sa_member *m)
{
    char text[SA_QUANTITY_BYTES];
    sa_json_w_key(w, "default");
    switch (m->type) {
    case SA_MEMBER_BOOL:
        sa_json_w_bool(w, m->initial != 0);
        break;
    case SA_MEMBER_ENUM:
        sa_json_w_string(w, m->names[m->initial]);
        break;
    case SA_MEMBER_TEXT:
        sa_json_w_string(w, m->initial_text);
        break;
    case SA_MEMBER_CPU:
        sa_quantity_cpu_print(m->initial, text);
        sa_json_w_string(w, text);
        break;
    case SA_MEMBER_BYTES:
        sa_quantity_bytes_print(m->initial, text);
        sa_json_w_string(w, text);
        break;
    case SA_MEMBER_TEXTS:
        sa_json_w_begin_array(w);
        for (size_t i = 0; i < m->initial_texts->count; i++)
            sa_json_w_string(w, m->initial_texts->items[i]);
        sa_json_w_end_array(w);
        break;
    default:
        sa_json_w_int(w, m->initial);
        break;
    }
}

static void put_member(struct sa_json_w *w, const struct sa_member *m)
{
    sa_json_put_object(w, m->name);
    sa_json_put_string(w, "description", m->doc);
    put_type(w, m);
    if (sa_member_has_default(m))
        put_default(w, m);
    else if (m->type == SA_MEMBER_OBJECT && !(m->flags & SA_MEMBER_GIVEN) &&
             has_defaults(m->schema))
        sa_json_put_raw(w, "default", "{}", 2);
    sa_json_w_end_object(w);
}

/* ---- rules ---- */

/* Of the parent, because a rule of a member is not asked when the member comes or goes. */
static void put_update_rule(struct sa_json_w *w, const struct sa_member *m)
{
    char rule[512], message[128];
    if (m->flags & SA_MEMBER_FIXED)
        snprintf(rule, sizeof rule,
                 "has(self.%s) == has(oldSelf.%s) && (!has(self.%s) || self.%s == oldSelf.%s)",
                 m->name, m->name, m->name, m->name, m->name);
    else
        snprintf(rule, sizeof rule, "!has(oldSelf.%s) || (has(self.%s) && self.%s == oldSelf.%s)",
                 m->name, m->name, m->name, m->name);
    snprintf(message, sizeof message, "%s: cannot be changed; delete the object and make another",
             m->name);
    put_rule(w, rule, message);
}

/* Rules cannot look into free-form objects. */
static bool has_update_rule(const struct sa_member *m)
{
    return (m->flags & (SA_MEMBER_FIXED | SA_MEMBER_ONCE)) && m->type != SA_MEMBER_JSON;
}

static void put_rules(struct sa_json_w *w, const struct sa_schema *schema)
{
    bool any = schema->rules != NULL;
    for (const struct sa_member *m = schema->members; m->name; m++)
        any = any || has_update_rule(m);
    if (!any)
        return;
    sa_json_put_array(w, "x-kubernetes-validations");
    for (const struct sa_schema_rule *r = schema->rules; r && r->rule; r++)
        put_rule(w, r->rule, r->message);
    for (const struct sa_member *m = schema->members; m->name; m++)
        if (has_update_rule(m))
            put_update_rule(w, m);
    sa_json_w_end_array(w);
}

static bool has_required(const struct sa_schema *schema)
{
    for (const struct sa_member *m = schema->members; m->name; m++)
        if (m->flags & SA_MEMBER_REQUIRED)
            return true;
    return false;
}

static void put_required(struct sa_json_w *w, const struct sa_schema *schema)
{
    if (!has_required(schema))
        return;
    sa_json_put_array(w, "required");
    for (const struct sa_member *m = schema->members; m->name; m++)
        if (m->flags & SA_MEMBER_REQUIRED)
            sa_json_w_string(w, m->name);
    sa_json_w_end_array(w);
}

static void put_schema(struct sa_json_w *w, const struct sa_schema *schema)
{
    sa_json_put_string(w, "type", "object");
    put_required(w, schema);
    sa_json_put_object(w, "properties");
    for (const struct sa_member *m = schema->members; m->name; m++)
        put_member(w, m);
    sa_json_w_end_object(w);
    put_rules(w, schema);
}

/* ---- the definition ---- */

static void put_names(struct sa_json_w *w, const struct sa_resource *r)
{
    char list[80];
    snprintf(list, sizeof list, "%sList", r->kind->name);
    sa_json_put_object(w, "names");
    sa_json_put_string(w, "kind", r->kind->name);
    sa_json_put_string(w, "listKind", list);
    sa_json_put_string(w, "plural", r->kind->plural);
    sa_json_put_string(w, "singular", r->singular);
    sa_json_put_array(w, "shortNames");
    for (const char *const *name = r->short_names; *name; name++)
        sa_json_w_string(w, *name);
    sa_json_w_end_array(w);
    sa_json_put_raw(w, "categories", "[\"secureagent\"]", 15);
    sa_json_w_end_object(w);
}

static void put_columns(struct sa_json_w *w, const struct sa_column *columns)
{
    static const char *const types[] = {"string", "integer", "number", "date"};
    sa_json_put_array(w, "additionalPrinterColumns");
    for (const struct sa_column *c = columns; c->name; c++) {
        sa_json_w_begin_object(w);
        sa_json_put_string(w, "name", c->name);
        sa_json_put_string(w, "type", types[c->type]);
        sa_json_put_string(w, "jsonPath", c->path);
        sa_json_put_string(w, "description", c->doc);
        if (c->priority)
            sa_json_put_int(w, "priority", c->priority);
        sa_json_w_end_object(w);
    }
    sa_json_w_end_array(w);
}

static void put_selectable(struct sa_json_w *w, const struct sa_kind_field *fields)
{
    char path[80];
    if (!fields)
        return;
    sa_json_put_array(w, "selectableFields");
    for (; fields->path; fields++) {
        snprintf(path, sizeof path, ".%s", fields->path);
        sa_json_w_begin_object(w);
        sa_json_put_string(w, "jsonPath", path);
        sa_json_w_end_object(w);
    }
    sa_json_w_end_array(w);
}

static void put_object_schema(struct sa_json_w *w, const struct sa_resource *r)
{
    static const char text[] = "{\"type\":\"string\"}", object[] = "{\"type\":\"object\"}";
    sa_json_put_object(w, "schema");
    sa_json_put_object(w, "openAPIV3Schema");
    sa_json_put_string(w, "description", r->doc);
    sa_json_put_string(w, "type", "object");
    if (has_required(r->spec))
        sa_json_put_raw(w, "required", "[\"spec\"]", 8);
    sa_json_put_object(w, "properties");
    sa_json_put_raw(w, "apiVersion", text, sizeof text - 1);
    sa_json_put_raw(w, "kind", text, sizeof text - 1);
    sa_json_put_raw(w, "metadata", object, sizeof object - 1);
    sa_json_put_object(w, "spec");
    put_schema(w, r->spec);
    if (!has_required(r->spec))
        sa_json_put_raw(w, "default", "{}", 2);
    sa_json_w_end_object(w);
    sa_json_put_object(w, "status");
    put_schema(w, r->status);
    sa_json_w_end_object(w);
    sa_json_w_end_object(w);
    sa_json_w_end_object(w);
    sa_json_w_end_object(w);
}

static void put_version(struct sa_json_w *w, const struct sa_resource *r, const char *version)
{
    sa_json_put_array(w, "versions");
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "name", version);
    sa_json_put_bool(w, "served", true);
    sa_json_put_bool(w, "storage", true);
    sa_json_put_raw(w, "subresources", "{\"status\":{}}", 13);
    put_columns(w, r->columns);
    put_selectable(w, r->kind->fields);
    put_object_schema(w, r);
    sa_json_w_end_object(w);
    sa_json_w_end_array(w);
}

void sa_crd_print(const struct sa_resource *r, struct sa_json_w *w)
{
    char group[80], name[160];
    const char *slash = strchr(r->kind->api_version, '/');
    snprintf(group, sizeof group, "%.*s", slash ? (int)(slash - r->kind->api_version) : 0,
             r->kind->api_version);
    snprintf(name, sizeof name, "%s.%s", r->kind->plural, group);
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "apiVersion", "apiextensions.k8s.io/v1");
    sa_json_put_string(w, "kind", "CustomResourceDefinition");
    sa_json_put_object(w, "metadata");
    sa_json_put_string(w, "name", name);
    sa_json_w_end_object(w);
    sa_json_put_object(w, "spec");
    sa_json_put_string(w, "group", group);
    sa_json_put_string(w, "scope", r->kind->namespaced ? "Namespaced" : "Cluster");
    put_names(w, r);
    put_version(w, r, slash ? slash + 1 : r->kind->api_version);
    sa_json_w_end_object(w);
    sa_json_w_end_object(w);
}
