/*
 * What spec and status of a kind consist of, as tables: one source for decoding with defaults and
 * checks, for printing, for what may not change, and for the CustomResourceDefinition (crd.h).
 *
 * A table describes a plain struct. In it, texts are never NULL ("" when absent), and a member that
 * is absent has its default. What is decoded, printed and decoded again is the same struct.
 *
 *     type         C                            JSON
 *     BOOL         bool
 *     INT          int64_t                      integer in low..high
 *     NUMBER       double                       in low..high
 *     TEXT         const char *                 of `format`, at most max_bytes
 *     ENUM         enum (int)                   one of `names`; names[0] "" stands for absent
 *     CPU, BYTES   int64_t                      Kubernetes quantity; millicores, bytes in low..high
 *     TIME         int64_t, ms of the wall      RFC 3339; 0: absent
 *     TEXTS        struct sa_json_strings       at most max_count, each as TEXT
 *     INTS         SA_LIST_OF(int64_t)          at most max_count in low..high
 *     MAP          struct sa_json_map           keys of `format`
 *     OBJECT       a struct, described by `schema`
 *     LIST         SA_LIST_OF(struct)           at most max_count
 *     JSON         const char *                 any object of at most max_bytes, as compact text
 *     CONDITIONS   struct sa_conditions
 */
#ifndef SA_KINDS_SCHEMA_H
#define SA_KINDS_SCHEMA_H

#include "kinds/formats.h"
#include "objects/object.h"

enum sa_member_type {
    SA_MEMBER_BOOL,
    SA_MEMBER_INT,
    SA_MEMBER_NUMBER,
    SA_MEMBER_TEXT,
    SA_MEMBER_ENUM,
    SA_MEMBER_CPU,
    SA_MEMBER_BYTES,
    SA_MEMBER_TIME,
    SA_MEMBER_TEXTS,
    SA_MEMBER_INTS,
    SA_MEMBER_MAP,
    SA_MEMBER_OBJECT,
    SA_MEMBER_LIST,
    SA_MEMBER_JSON,
    SA_MEMBER_CONDITIONS
};

#define SA_LIST_OF(type)                                                                           \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
    }

enum {                         /* flags */
       SA_MEMBER_REQUIRED = 1, /* must be there, and not be empty */
       SA_MEMBER_FIXED = 2,    /* an update may not change it; of the first level */
       SA_MEMBER_ONCE = 4,     /* an update may set it when it is empty, and not change it */
       SA_MEMBER_GIVEN = 8,    /* OBJECT: the struct begins with `bool given`: it is there */
       SA_MEMBER_QUIET = 16    /* INT: not written when it is `initial`, which stands for absent */
};

struct sa_schema;
struct sa_member {
    const char *name; /* NULL ends a table */
    enum sa_member_type type;
    unsigned flags;
    size_t offset;
    int64_t low, high; /* low and high both 0: any of 0..2^53-1 */
    int64_t initial;   /* BOOL, INT, ENUM (index), CPU, BYTES */
    size_t max_count, max_bytes;
    const struct sa_format *format;              /* NULL: any */
    const char *const *names;                    /* ENUM; ended by NULL */
    const struct sa_json_strings *initial_texts; /* TEXTS */
    const char *initial_text;                    /* TEXT */
    const struct sa_schema *schema;              /* OBJECT, LIST */
    const char *doc;                             /* a sentence, with the unit */
};

struct sa_schema_rule { /* what the check looks for, in CEL; for the CRD */
    const char *rule, *message;
};
struct sa_schema {
    size_t size; /* of the struct */
    const struct sa_member *members;
    /* What lies between members, and computed ones. `at` is for sa_json_fail(). Where mistakes are
     * gathered, members that have some have their defaults: sa_json_is_mistaken(at, ...). May be
     * NULL. */
    int (*check)(void *value, const struct sa_json_obj *at, struct sa_error *err);
    const struct sa_schema_rule *rules; /* ends with rule NULL; may be NULL */
};

/* The members of `json` into a new struct of the arena. SA_EINVALID with the path. Unknown members
 * are refused, or dropped with `lenient`. Where mistakes are gathered, *value also is there when it
 * fails: what could be read. */
int sa_schema_decode(const struct sa_schema *schema, struct sa_json_obj *json, bool lenient,
                     struct sa_arena *arena, const void **value, struct sa_error *err);
/* Would the struct be the same, printed and decoded? SA_EINVALID with the path, which begins with
 * `root` ("status"). What `check` of a schema looks for is not looked at. */
int sa_schema_check(const struct sa_schema *schema, const char *root, const void *value,
                    struct sa_error *err);
/* Members of an open object. Left out: what is false, 0 or empty and so by default. */
void sa_schema_print(const struct sa_schema *schema, const void *value, struct sa_json_w *w);
/* All of it anew, in the arena; texts that are defaults stay what they are. */
const void *sa_schema_copy(const struct sa_schema *schema, const void *value,
                           struct sa_arena *arena);
/* May `next` follow `before`? SA_EINVALID with the path ("spec.runtime"). */
int sa_schema_check_update(const struct sa_schema *schema, const void *before, const void *next,
                           struct sa_error *err);

/* The functions that struct sa_kind asks for, of two tables: `static const struct sa_schema spec,
 * status`. */
#define SA_KIND_FUNCTIONS(SPEC, STATUS)                                                            \
    static int decode_spec(struct sa_json_obj *json, bool lenient, struct sa_arena *arena,         \
                           const void **value, struct sa_error *err)                               \
    {                                                                                              \
        return sa_schema_decode(SPEC, json, lenient, arena, value, err);                           \
    }                                                                                              \
    static int decode_status(struct sa_json_obj *json, bool lenient, struct sa_arena *arena,       \
                             const void **value, struct sa_error *err)                             \
    {                                                                                              \
        return sa_schema_decode(STATUS, json, lenient, arena, value, err);                         \
    }                                                                                              \
    static void print_spec(const void *value, struct sa_json_w *w)                                 \
    {                                                                                              \
        sa_schema_print(SPEC, value, w);                                                           \
    }                                                                                              \
    static void print_status(const void *value, struct sa_json_w *w)                               \
    {                                                                                              \
        sa_schema_print(STATUS, value, w);                                                         \
    }                                                                                              \
    static const void *copy_spec(const void *value, struct sa_arena *arena)                        \
    {                                                                                              \
        return sa_schema_copy(SPEC, value, arena);                                                 \
    }                                                                                              \
    static const void *copy_status(const void *value, struct sa_arena *arena)                      \
    {                                                                                              \
        return sa_schema_copy(STATUS, value, arena);                                               \
    }                                                                                              \
    static int verify_spec(const void *value, struct sa_error *err)                                \
    {                                                                                              \
        return sa_schema_check(SPEC, "spec", value, err);                                          \
    }                                                                                              \
    static int verify_status(const void *value, struct sa_error *err)                              \
    {                                                                                              \
        return sa_schema_check(STATUS, "status", value, err);                                      \
    }                                                                                              \
    static int check_update(const struct sa_object *before, const void *next,                      \
                            struct sa_error *err)                                                  \
    {                                                                                              \
        return sa_schema_check_update(SPEC, sa_object_spec(before), next, err);                    \
    }

/* And those functions as members of the struct. */
#define SA_KIND_BY_TABLES                                                                          \
    .decode_spec = decode_spec, .decode_status = decode_status, .print_spec = print_spec,          \
    .print_status = print_status, .copy_spec = copy_spec, .copy_status = copy_status,              \
    .verify_spec = verify_spec, .verify_status = verify_status

/* What CRDs say beyond the type, for crd.c and the tests. */
int64_t sa_member_high(const struct sa_member *member);
bool sa_member_has_default(const struct sa_member *member);

#endif
