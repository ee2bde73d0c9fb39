/* Cursors over a document: finding members, paths and messages of errors, and scalars. */
#include "base/suggest.h"
#include "json/internal.h"
#include "json/notes.h"
#include "json/quantity.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MEMBERS_MAX = 256 /* of an object that is read by getters: each walks the members */ };

/* --- errors ------------------------------------------------------------------------------ */

const char *sa_json_excerpt(const char *text, char out[SA_JSON_EXCERPT_BYTES])
{
    size_t room = SA_JSON_EXCERPT_BYTES - 6, n = 0;
    out[n++] = '"';
    for (; *text && n < room; text++) /* NOLINT: text is a string of cJSON's */
        out[n++] = (unsigned char)*text < 0x20 || *text == 0x7F ? '?' : *text;
    while (*text && n > 1 && ((unsigned char)*text & 0xC0) == 0x80) {
        text--; /* not in the middle of a character */
        n--;
    }
    memcpy(out + n, *text ? "...\"" : "\"", *text ? 5 : 2);
    return out;
}

size_t sa_json_path(const struct sa_json_at *at, char *out, size_t size)
{
    out[0] = '\0';
    if (!at->parent)
        return 0;
    size_t n = sa_json_path(at->parent, out, size);
    int more = at->key ? snprintf(out + n, size - n, n ? ".%s" : "%s", at->key)
                       : snprintf(out + n, size - n, "[%zu]", at->index);
    n += more > 0 ? (size_t)more : 0;
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    return n < size ? n : size - 1;
}

__attribute__((format(printf, 3, 0))) static int
fail_atv(const struct sa_json_at *at, struct sa_error *err, const char *fmt, va_list ap)
{
    if (!err)
        return -1;
    sa_error_setv(err, SA_EINVALID, fmt, ap);
    sa_json_path(at, err->path, sizeof err->path);
    if (err->path[0])
        sa_error_wrap(err, "%s", err->path);
    return -1;
}

int sa_json_fail_at(const struct sa_json_at *at, struct sa_error *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail_atv(at, err, fmt, ap);
    va_end(ap);
    return -1;
}

int sa_json_fail(const struct sa_json_obj *obj, const char *key, struct sa_error *err,
                 const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail_atv(key ? SA_JSON_MEMBER(obj, key) : &obj->at, err, fmt, ap);
    va_end(ap);
    return -1;
}

int sa_json_expected(const struct sa_json_at *at, const cJSON *node, struct sa_error *err,
                     const char *what)
{
    char shown[SA_JSON_EXCERPT_BYTES];
    const char *got = "null";
    if (cJSON_IsString(node)) {
        got = sa_json_excerpt(node->valuestring, shown);
    } else if (cJSON_IsNumber(node)) {
        snprintf(shown, sizeof shown, "%.15g", node->valuedouble);
        got = shown;
    } else if (cJSON_IsBool(node)) {
        got = cJSON_IsTrue(node) ? "true" : "false";
    } else if (cJSON_IsArray(node)) {
        got = "an array";
    } else if (cJSON_IsObject(node)) {
        got = "an object";
    }
    return sa_json_fail_at(at, err, "expected %s, got %s", what, got);
}

/* --- members ----------------------------------------------------------------------------- */

static const cJSON *find(struct sa_json_obj *obj, const char *key)
{
    size_t i = 0;
    while (i < obj->asked_count && strcmp(obj->asked[i], key) != 0)
        i++;
    if (i == SA_JSON_KEYS_MAX)
        abort(); /* a decoder that asks for more keys than the cursor can remember */
    if (i == obj->asked_count)
        obj->asked[obj->asked_count++] = key;
    const cJSON *c = ((const cJSON *)obj->node)->child;
    while (c && strcmp(c->string, key) != 0)
        c = c->next;
    return c;
}

static bool asked(const struct sa_json_obj *obj, const char *key)
{
    size_t i = 0;
    while (i < obj->asked_count && strcmp(obj->asked[i], key) != 0)
        i++;
    return i < obj->asked_count;
}

/* A member that was probably meant to be `key`, which is not there. */
static const cJSON *misspelt(const struct sa_json_obj *obj, const char *key)
{
    const cJSON *c = ((const cJSON *)obj->node)->child;
    while (c && (asked(obj, c->string) || !sa_suggest(c->string, &key, 1)))
        c = c->next;
    return c;
}

const cJSON *sa_json_required(struct sa_json_obj *obj, const char *key, struct sa_error *err)
{
    char shown[SA_JSON_EXCERPT_BYTES];
    const cJSON *node = find(obj, key), *near;
    if (node && !cJSON_IsNull(node))
        return node;
    if (node)
        sa_json_fail(obj, key, err, "must not be null");
    else if ((near = misspelt(obj, key)))
        sa_json_fail(obj, key, err, "is required; there is %s, did you mean \"%s\"?",
                     sa_json_excerpt(near->string, shown), key);
    else
        sa_json_fail(obj, key, err, "is required");
    return NULL;
}

const cJSON *sa_json_optional(struct sa_json_obj *obj, const char *key, bool *present)
{
    const cJSON *node = find(obj, key);
    if (node && cJSON_IsNull(node))
        node = NULL;
    if (present)
        *present = node != NULL;
    return node;
}

enum sa_json_type sa_json_type(struct sa_json_obj *obj, const char *key)
{
    const cJSON *node = find(obj, key);
    if (!node)
        return SA_JSON_MISSING;
    return cJSON_IsObject(node)   ? SA_JSON_OBJECT
           : cJSON_IsArray(node)  ? SA_JSON_ARRAY
           : cJSON_IsString(node) ? SA_JSON_STRING
           : cJSON_IsNumber(node) ? SA_JSON_NUMBER
           : cJSON_IsBool(node)   ? SA_JSON_BOOL
                                  : SA_JSON_NULL;
}

static int fail_unknown(const struct sa_json_obj *obj, const char *key, struct sa_error *err)
{
    char shown[SA_JSON_EXCERPT_BYTES];
    const char *near = sa_suggest(key, obj->asked, obj->asked_count);
    const char *name = sa_json_excerpt(key, shown);
    return sa_json_fail(obj, key, err,
                        near ? "unknown field %s, did you mean \"%s\"?" : "unknown field %s", name,
                        near);
}

int sa_json_finish(struct sa_json_obj *obj, struct sa_error *err)
{
    bool failed = false;
    for (const cJSON *c = ((const cJSON *)obj->node)->child; c; c = c->next)
        if (!asked(obj, c->string) &&
            !sa_json_go_on(obj->notes, fail_unknown(obj, c->string, err), err, &failed))
            return -1;
    return failed ? -1 : 0;
}

void sa_json_drop_unknown(struct sa_json_obj *json)
{
    struct sa_json_notes *notes = json->notes;
    if (!notes)
        return;
    for (const cJSON *c = ((const cJSON *)json->node)->child; c; c = c->next)
        if (!asked(json, c->string))
            fail_unknown(json, c->string,
                         sa_json_new_note(notes->arena, &notes->dropped, &notes->dropped_count));
}

int sa_json_to_obj(const struct sa_json_at *at, const cJSON *node, struct sa_arena *arena,
                   struct sa_json_obj *out, struct sa_error *err)
{
    size_t count = 0;
    if (!cJSON_IsObject(node))
        return sa_json_expected(at, node, err, "an object");
    for (const cJSON *c = node->child; c; c = c->next)
        if (++count > MEMBERS_MAX)
            return sa_json_fail_at(at, err, "expected at most %d fields", MEMBERS_MAX);
    out->at = *at;
    out->node = node;
    out->arena = arena;
    out->notes = NULL;
    out->asked_count = 0;
    return 0;
}

static int child(const struct sa_json_obj *parent, const struct sa_json_at *at, const cJSON *node,
                 struct sa_json_obj *out, struct sa_error *err)
{
    struct sa_json_notes *notes = parent->notes;
    if (sa_json_to_obj(at, node, parent->arena, out, err) < 0)
        return -1;
    out->notes = notes;
    return 0;
}

int sa_json_root(struct sa_json_doc *doc, struct sa_arena *arena, struct sa_json_obj *out,
                 struct sa_error *err)
{
    const struct sa_json_at top = {NULL, NULL, 0};
    return sa_json_to_obj(&top, doc->root, arena, out, err);
}

int sa_json_get_obj(struct sa_json_obj *obj, const char *key, struct sa_json_obj *out,
                    struct sa_error *err)
{
    const cJSON *n = sa_json_required(obj, key, err);
    return n ? child(obj, SA_JSON_MEMBER(obj, key), n, out, err) : -1;
}

int sa_json_opt_obj(struct sa_json_obj *obj, const char *key, struct sa_json_obj *out,
                    bool *present, struct sa_error *err)
{
    const cJSON *n = sa_json_optional(obj, key, present);
    return n ? child(obj, SA_JSON_MEMBER(obj, key), n, out, err) : 0;
}

void sa_json_none(const struct sa_json_obj *parent, const char *key, struct sa_json_obj *out)
{
    static const cJSON none = {.type = cJSON_Object};
    *out = (struct sa_json_obj){.at = {&parent->at, key, 0},
                                .node = &none,
                                .arena = parent->arena,
                                .notes = parent->notes,
                                .asked_count = 0};
}

/* --- scalars ----------------------------------------------------------------------------- */

int sa_json_to_string(const struct sa_json_at *at, const cJSON *node, struct sa_arena *arena,
                      size_t max_bytes, const char **out, struct sa_error *err)
{
    if (!cJSON_IsString(node))
        return sa_json_expected(at, node, err, "a string");
    size_t length = strlen(node->valuestring);
    if (length > max_bytes)
        return sa_json_fail_at(at, err, "expected at most %zu bytes, got %zu", max_bytes, length);
    *out = sa_arena_strndup(arena, node->valuestring, length);
    return 0;
}

int sa_json_get_string(struct sa_json_obj *obj, const char *key, size_t max_bytes, const char **out,
                       struct sa_error *err)
{
    const cJSON *n = sa_json_required(obj, key, err);
    return n ? sa_json_to_string(SA_JSON_MEMBER(obj, key), n, obj->arena, max_bytes, out, err) : -1;
}

int sa_json_opt_string(struct sa_json_obj *obj, const char *key, size_t max_bytes, const char **out,
                       bool *present, struct sa_error *err)
{
    const cJSON *n = sa_json_optional(obj, key, present);
    return n ? sa_json_to_string(SA_JSON_MEMBER(obj, key), n, obj->arena, max_bytes, out, err) : 0;
}

/* -?digits and nothing else, within int64_t. */
static bool decimal(const char *text, int64_t *value)
{
    const char *digits = text + (*text == '-');
    char *end;
    if (*digits < '0' || *digits > '9')
        return false;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0';
}

int sa_json_to_int(const struct sa_json_at *at, const cJSON *node, int64_t low, int64_t high,
                   int64_t *out, struct sa_error *err)
{
    char what[96];
    int64_t value = 0;
    bool ok = false;
    double d = node->valuedouble;
    if (cJSON_IsNumber(node) && d == floor(d) && fabs(d) <= (double)SA_JSON_SAFE_INTEGER) {
        value = (int64_t)d;
        ok = true;
    } else if (cJSON_IsString(node) &&
               (low < -SA_JSON_SAFE_INTEGER || high > SA_JSON_SAFE_INTEGER)) {
        ok = decimal(node->valuestring, &value);
    }
    if (ok && value >= low && value <= high) {
        *out = value;
        return 0;
    }
    snprintf(what, sizeof what, "integer in %lld..%lld", (long long)low, (long long)high);
    return sa_json_expected(at, node, err, what);
}

int sa_json_get_int(struct sa_json_obj *obj, const char *key, int64_t low, int64_t high,
                    int64_t *out, struct sa_error *err)
{
    const cJSON *n = sa_json_required(obj, key, err);
    return n ? sa_json_to_int(SA_JSON_MEMBER(obj, key), n, low, high, out, err) : -1;
}

int sa_json_opt_int(struct sa_json_obj *obj, const char *key, int64_t low, int64_t high,
                    int64_t *out, bool *present, struct sa_error *err)
{
    const cJSON *n = sa_json_optional(obj, key, present);
    return n ? sa_json_to_int(SA_JSON_MEMBER(obj, key), n, low, high, out, err) : 0;
}

static int to_double(const struct sa_json_at *at, const cJSON *node, double low, double high,
                     double *out, struct sa_error *err)
{
    char what[96];
    if (cJSON_IsNumber(node) && node->valuedouble >= low && node->valuedouble <= high) {
        *out = node->valuedouble;
        return 0;
    }
    snprintf(what, sizeof what, "number in %.15g..%.15g", low, high);
    return sa_json_expected(at, node, err, what);
}

int sa_json_get_double(struct sa_json_obj *obj, const char *key, double low, double high,
                       double *out, struct sa_error *err)
{
    const cJSON *n = sa_json_required(obj, key, err);
    return n ? to_double(SA_JSON_MEMBER(obj, key), n, low, high, out, err) : -1;
}

int sa_json_opt_double(struct sa_json_obj *obj, const char *key, double low, double high,
                       double *out, bool *present, struct sa_error *err)
{
    const cJSON *n = sa_json_optional(obj, key, present);
    return n ? to_double(SA_JSON_MEMBER(obj, key), n, low, high, out, err) : 0;
}

static int to_bool(const struct sa_json_at *at, const cJSON *node, bool *out, struct sa_error *err)
{
    if (!cJSON_IsBool(node))
        return sa_json_expected(at, node, err, "true or false");
    *out = cJSON_IsTrue(node);
    return 0;
}

int sa_json_get_bool(struct sa_json_obj *obj, const char *key, bool *out, struct sa_error *err)
{
    const cJSON *n = sa_json_required(obj, key, err);
    return n ? to_bool(SA_JSON_MEMBER(obj, key), n, out, err) : -1;
}

int sa_json_opt_bool(struct sa_json_obj *obj, const char *key, bool *out, bool *present,
                     struct sa_error *err)
{
    const cJSON *n = sa_json_optional(obj, key, present);
    return n ? to_bool(SA_JSON_MEMBER(obj, key), n, out, err) : 0;
}

static int to_enum(const struct sa_json_at *at, const cJSON *node, const char *const names[],
                   int *out, struct sa_error *err)
{
    sa_autobuf what = SA_BUF_INIT;
    for (int i = 0; names[i]; i++) {
        if (cJSON_IsString(node) && strcmp(node->valuestring, names[i]) == 0) {
            *out = i;
            return 0;
        }
        sa_buf_printf(&what, i ? ", \"%s\"" : "one of \"%s\"", names[i]);
    }
    return sa_json_expected(at, node, err, what.data ? what.data : "nothing");
}

int sa_json_get_enum(struct sa_json_obj *obj, const char *key, const char *const names[], int *out,
                     struct sa_error *err)
{
    const cJSON *n = sa_json_required(obj, key, err);
    return n ? to_enum(SA_JSON_MEMBER(obj, key), n, names, out, err) : -1;
}

int sa_json_opt_enum(struct sa_json_obj *obj, const char *key, const char *const names[], int *out,
                     bool *present, struct sa_error *err)
{
    const cJSON *n = sa_json_optional(obj, key, present);
    return n ? to_enum(SA_JSON_MEMBER(obj, key), n, names, out, err) : 0;
}

/* --- quantities -------------------------------------------------------------------------- */

struct unit {
    int (*parse)(const char *text, int64_t *value, struct sa_error *err);
    void (*print)(int64_t value, char out[SA_QUANTITY_BYTES]);
    const char *what;
};

static int to_quantity(const struct sa_json_at *at, const cJSON *node, const struct unit *unit,
                       int64_t low, int64_t high, int64_t *out, struct sa_error *err)
{
    char text[SA_QUANTITY_BYTES], least[SA_QUANTITY_BYTES], most[SA_QUANTITY_BYTES], what[128];
    const char *from = cJSON_IsString(node) ? node->valuestring : NULL;
    int64_t value;
    if (cJSON_IsNumber(node)) {
        snprintf(text, sizeof text, "%.15g", node->valuedouble);
        from = text;
    }
    if (from && unit->parse(from, &value, NULL) == 0 && value >= low && value <= high) {
        *out = value;
        return 0;
    }
    unit->print(low, least);
    unit->print(high, most);
    snprintf(what, sizeof what, "%s from %s to %s", unit->what, least, most);
    return sa_json_expected(at, node, err, what);
}

int sa_json_opt_cpu(struct sa_json_obj *obj, const char *key, int64_t low, int64_t high,
                    int64_t *millicores, bool *present, struct sa_error *err)
{
    static const struct unit cpu = {sa_quantity_cpu, sa_quantity_cpu_print,
                                    "processors such as \"500m\" or 2"};
    const cJSON *n = sa_json_optional(obj, key, present);
    return n ? to_quantity(SA_JSON_MEMBER(obj, key), n, &cpu, low, high, millicores, err) : 0;
}

int sa_json_opt_bytes(struct sa_json_obj *obj, const char *key, int64_t low, int64_t high,
                      int64_t *bytes, bool *present, struct sa_error *err)
{
    static const struct unit size = {sa_quantity_bytes, sa_quantity_bytes_print,
                                     "a size such as \"512Mi\""};
    const cJSON *n = sa_json_optional(obj, key, present);
    return n ? to_quantity(SA_JSON_MEMBER(obj, key), n, &size, low, high, bytes, err) : 0;
}
