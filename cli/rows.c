#include "rows.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static const struct sa_json_value *child(const struct sa_json_value *object, const char *name,
                                         size_t length)
{
    const struct sa_json_value *v = sa_json_first(object);
    while (v && (strncmp(sa_json_value_key(v), name, length) != 0 || sa_json_value_key(v)[length]))
        v = sa_json_next(v);
    return v;
}

/* What the API shows flat has the same names, without the part they are of. */
static const struct sa_json_value *flat_at(const struct sa_json_value *object, const char *path)
{
    const char *name = strrchr(path, '.') + 1;
    if (strcmp(name, "creationTimestamp") == 0)
        name = "createdAt";
    return child(object, name, strlen(name));
}

const struct sa_json_value *sa_value_at(const struct sa_json_value *value, const char *path)
{
    while (value && *path == '.') {
        size_t length = strcspn(++path, ".");
        value = sa_json_value_type(value) == SA_JSON_OBJECT ? child(value, path, length) : NULL;
        path += length;
    }
    return value;
}

const struct sa_json_value *sa_object_at(const struct sa_json_value *object, const char *path)
{
    if (sa_json_value_type(object) != SA_JSON_OBJECT)
        return NULL;
    return child(object, "metadata", 8) ? sa_value_at(object, path) : flat_at(object, path);
}

const char *sa_object_text(const struct sa_json_value *object, const char *path)
{
    const struct sa_json_value *value = sa_object_at(object, path);
    return value && sa_json_value_type(value) == SA_JSON_STRING ? sa_json_value_text(value) : "";
}

static bool is_shown(const struct sa_rows *rows, const struct sa_column *column)
{
    return column->priority == 0 || rows->wide;
}

void sa_rows_init(struct sa_rows *rows, const struct sa_resource *resource, bool wide)
{
    *rows = (struct sa_rows){.resource = resource, .wide = wide, .table = {.columns = 1}};
    sa_table_add(&rows->table, "NAME");
    for (const struct sa_column *c = resource->columns; c->name; c++) {
        if (!is_shown(rows, c))
            continue;
        sa_autofree char *name = sa_strdup(c->name);
        for (char *letter = name; *letter; letter++)
            *letter = (char)toupper((unsigned char)*letter);
        if (strcmp(c->path, ".status.phase") == 0)
            rows->table.phase_column = rows->table.columns;
        rows->table.columns++;
        sa_table_add(&rows->table, name);
    }
}

/* A moment as the time since then, or until then. */
static char *age(const char *text)
{
    char span[SA_SPAN_BYTES];
    if (!*text)
        return sa_strdup("");
    int64_t ms = sa_wall_ms() - sa_time_parse(text);
    sa_span(ms < 0 ? -ms : ms, span);
    return sa_strdup(span);
}

static char *number(double value, bool whole)
{
    return whole || value == floor(value) ? sa_printf("%.0f", value) : sa_printf("%.3g", value);
}

/* malloc'd */
static char *cell(const struct sa_json_value *value, enum sa_column_type type)
{
    switch (value ? sa_json_value_type(value) : SA_JSON_NULL) {
    case SA_JSON_STRING:
        return type == SA_COLUMN_DATE ? age(sa_json_value_text(value))
                                      : sa_strdup(sa_json_value_text(value));
    case SA_JSON_NUMBER:
        return number(sa_json_value_number(value), type == SA_COLUMN_INT);
    case SA_JSON_BOOL:
        return sa_strdup(sa_json_value_bool(value) ? "true" : "false");
    default: /* counts that are absent are zero */
        return sa_strdup(type == SA_COLUMN_INT || type == SA_COLUMN_NUMBER ? "0" : "");
    }
}

/* A share of no claims at all is nothing, and not zero. */
static bool is_share_of_nothing(const struct sa_json_value *object, const struct sa_column *column)
{
    return strcmp(column->path, ".status.hitRatio") == 0 && !sa_value_at(object, ".status.hits") &&
           !sa_value_at(object, ".status.misses");
}

void sa_rows_add(struct sa_rows *rows, const struct sa_json_value *object,
                 struct sa_buf *fingerprint)
{
    sa_table_add(&rows->table, sa_object_text(object, ".metadata.name"));
    for (const struct sa_column *c = rows->resource->columns; c->name; c++) {
        if (!is_shown(rows, c))
            continue;
        sa_autofree char *text = is_share_of_nothing(object, c)
                                     ? sa_strdup("")
                                     : cell(sa_object_at(object, c->path), c->type);
        sa_table_add(&rows->table, text);
        if (fingerprint && c->type != SA_COLUMN_DATE)
            sa_buf_printf(fingerprint, "%s\t", text);
    }
}
