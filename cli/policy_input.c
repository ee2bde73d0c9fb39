/* Inputs of decision points: checked against the tables, and built from flags. */
#include "policy.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/suggest.h"
#include "policy/points.h"
#include "json/json.h"
#include "json/write.h"

#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 64, PATH_BYTES = 256 };

/* ---- the tables ---- */

static const struct sa_policy_field *find_field(const struct sa_policy_field *fields,
                                                const char *name, size_t length)
{
    for (; fields && fields->name; fields++)
        if (strlen(fields->name) == length && memcmp(fields->name, name, length) == 0)
            return fields;
    return NULL;
}

static int unknown_member(const struct sa_policy_field *fields, const char *path, const char *name,
                          struct sa_error *err)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (; fields->name && count < NAMES_MAX; fields++)
        names[count++] = fields->name;
    const char *near = sa_suggest(name, names, count);
    return near
               ? sa_error_at(err, SA_EINVALID, path,
                             "%s: the point takes no such member; did you mean \"%s\"?", path, near)
               : sa_error_at(err, SA_EINVALID, path, "%s: the point takes no such member", path);
}

static const char *type_name(enum sa_field_type type)
{
    static const char *const names[] = {[SA_FIELD_BOOL] = "a boolean",
                                        [SA_FIELD_INT] = "an integer",
                                        [SA_FIELD_NUMBER] = "a number",
                                        [SA_FIELD_TEXT] = "a string",
                                        [SA_FIELD_TEXTS] = "a list of strings",
                                        [SA_FIELD_MAP] = "an object of strings",
                                        [SA_FIELD_OBJECT] = "an object",
                                        [SA_FIELD_OBJECTS] = "a list of objects",
                                        [SA_FIELD_ANY] = "any value"};
    return names[type];
}

/* ---- completing ---- */

int sa_policy_complete_input(enum sa_point which, const struct sa_value *input, struct sa_buf *out,
                             struct sa_error *err)
{
    const struct sa_policy_point *point = &sa_policy_points[which];
    struct sa_arena *arena = sa_arena_new();
    void *decoded = sa_arena_alloc(arena, point->input_size);
    int rc = sa_policy_decode_input(point->input, input, "input", arena, decoded, err);
    struct sa_policy_who *who = decoded; /* every input begins with it */
    if (rc == 0 && who->now <= 0)
        who->now = (double)sa_wall_ms() / 1000;
    if (rc == 0)
        rc = sa_policy_encode(point->input, decoded, out, err);
    sa_arena_free(arena);
    return rc;
}

/* ---- building ---- */

/* The value that `text` means for such a member, as JSON. */
static int add_scalar(const struct sa_policy_field *field, const char *text, struct sa_json_w *w,
                      const char *path, struct sa_error *err)
{
    char *end;
    errno = 0;
    long long integer = strtoll(text, &end, 10);
    if (field->type == SA_FIELD_TEXT) {
        sa_json_w_string(w, text);
    } else if (field->type == SA_FIELD_INT && *text && !*end && !errno) {
        sa_json_w_int(w, integer);
    } else if (field->type == SA_FIELD_BOOL &&
               (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)) {
        sa_json_w_bool(w, text[0] == 't');
    } else if (field->type == SA_FIELD_TEXTS && text[0] != '[') {
        sa_json_w_begin_array(w); /* one element, which may hold commas */
        sa_json_w_string(w, text);
        sa_json_w_end_array(w);
    } else {
        struct sa_json_doc *doc = sa_json_parse(text, strlen(text), NULL, NULL);
        if (!doc || field->type == SA_FIELD_INT || field->type == SA_FIELD_BOOL) {
            sa_json_free(doc);
            return sa_error_at(err, SA_EINVALID, path, "--set %s: \"%.64s\" is not %s", path, text,
                               type_name(field->type));
        }
        sa_json_w_raw(w, text, strlen(text));
        sa_json_free(doc);
    }
    return 0;
}

/* "a.b=text" as the JSON {"a":{"b":...}}. */
static int member_json(const struct sa_policy_field *fields, const char *pair, struct sa_buf *out,
                       struct sa_error *err)
{
    const char *equals = strchr(pair, '=');
    char path[PATH_BYTES];
    struct sa_json_w w = sa_json_w_start(out);
    size_t levels = 0;
    if (!equals || equals == pair || (size_t)(equals - pair) >= sizeof path)
        return sa_error_set(err, SA_EINVALID, "--set %.64s: expected MEMBER=VALUE", pair);
    snprintf(path, sizeof path, "%.*s", (int)(equals - pair), pair);
    for (char *name = path, *dot; name; name = dot ? dot + 1 : NULL) {
        dot = strchr(name, '.');
        size_t length = dot ? (size_t)(dot - name) : strlen(name);
        const struct sa_policy_field *field = find_field(fields, name, length);
        bool free_key =
            dot && field && (field->type == SA_FIELD_MAP || field->type == SA_FIELD_ANY);
        sa_autofree char *key = sa_strndup(name, length);
        if (!field) {
            sa_autofree char *at = sa_printf("--set %s", path);
            return unknown_member(fields, at, key, err);
        }
        sa_json_w_begin_object(&w);
        sa_json_w_key(&w, key);
        levels++;
        if (free_key) { /* labels.team=a: what follows is the key */
            sa_json_w_begin_object(&w);
            sa_json_put_string(&w, dot + 1, equals + 1);
            sa_json_w_end_object(&w);
            break;
        }
        if (!dot && add_scalar(field, equals + 1, &w, path, err) < 0)
            return -1;
        if (dot && field->type != SA_FIELD_OBJECT)
            return sa_error_set(err, SA_EINVALID, "--set %s: \"%s\" has no members", path, key);
        fields = field->fields;
    }
    for (; levels; levels--)
        sa_json_w_end_object(&w);
    return 0;
}

void sa_policy_copy(const struct sa_value *value, struct sa_buf *out)
{
    switch (value->type) {
    case SA_VALUE_FALSE:
    case SA_VALUE_TRUE:
        sa_value_bool(out, value->type == SA_VALUE_TRUE);
        break;
    case SA_VALUE_INT:
        sa_value_int(out, value->integer);
        break;
    case SA_VALUE_NUMBER:
        sa_value_number(out, value->number);
        break;
    case SA_VALUE_STRING:
        sa_value_string(out, value->data, value->length);
        break;
    case SA_VALUE_LIST:
    case SA_VALUE_MAP:
        value->type == SA_VALUE_LIST ? sa_value_list(out) : sa_value_map(out);
        sa_buf_add(out, value->data, value->length);
        sa_value_end(out);
        break;
    default:
        sa_value_nil(out);
    }
}

/* Members of `over` win; objects in both are merged. */
static void merge(const struct sa_value *under, const struct sa_value *over, struct sa_buf *out)
{
    struct sa_value_reader reader = sa_value_enter(under);
    struct sa_value key, value;
    sa_value_map(out);
    while (sa_value_next_member(&reader, &key, &value)) {
        sa_autofree char *name = sa_strndup(key.data, key.length);
        struct sa_value other = sa_value_get(over, name);
        if (other.type != SA_VALUE_NIL &&
            !(other.type == SA_VALUE_MAP && value.type == SA_VALUE_MAP))
            continue;
        sa_value_keyn(out, key.data, key.length);
        if (other.type == SA_VALUE_MAP)
            merge(&value, &other, out);
        else
            sa_policy_copy(&value, out);
    }
    reader = sa_value_enter(over);
    while (sa_value_next_member(&reader, &key, &value)) {
        sa_autofree char *name = sa_strndup(key.data, key.length);
        struct sa_value other = sa_value_get(under, name);
        if (other.type == SA_VALUE_MAP && value.type == SA_VALUE_MAP)
            continue;
        sa_value_keyn(out, key.data, key.length);
        sa_policy_copy(&value, out);
    }
    sa_value_end(out);
}

/* Lay a JSON object over what was built so far. */
static int lay_over(struct sa_buf *built, const struct sa_buf *json, struct sa_error *err)
{
    sa_autobuf one = SA_BUF_INIT;
    sa_autobuf merged = SA_BUF_INIT;
    if (sa_value_from_json(json->data ? json->data : "", json->length, &one, err) < 0)
        return sa_error_wrap(err, "the input");
    struct sa_value under = sa_value_of(built->data, built->length);
    struct sa_value over = sa_value_of(one.data, one.length);
    if (over.type != SA_VALUE_MAP)
        return sa_error_at(err, SA_EINVALID, "input", "input: expected an object");
    merge(&under, &over, &merged);
    built->length = 0;
    sa_buf_add(built, merged.data, merged.length);
    return 0;
}

int sa_policy_build_input(enum sa_point point, const struct sa_buf *texts, size_t text_count,
                          char *const *members, size_t count, struct sa_buf *out,
                          struct sa_error *err)
{
    sa_autobuf built = SA_BUF_INIT;
    sa_value_map(&built);
    sa_value_end(&built);
    for (size_t i = 0; i < text_count; i++)
        if (lay_over(&built, &texts[i], err) < 0)
            return -1;
    for (size_t i = 0; i < count; i++) {
        sa_autobuf text = SA_BUF_INIT;
        if (member_json(sa_policy_points[point].input, members[i], &text, err) < 0 ||
            lay_over(&built, &text, err) < 0)
            return -1;
    }
    return sa_value_check(built.data, built.length, err) < 0
               ? -1
               : (sa_buf_add(out, built.data, built.length), 0);
}
