/*
 * What a decision point takes and gives, as tables: one source for encoding the C structs, for
 * checking what rules return, for the types that editors complete (LuaLS), and for the reference
 * in the documents.
 */
#ifndef SA_POLICY_SCHEMA_H
#define SA_POLICY_SCHEMA_H

#include "base/arena.h"
#include "lua/value.h"
#include "json/json.h"

enum sa_field_type {
    SA_FIELD_BOOL,    /* bool */
    SA_FIELD_INT,     /* int64_t */
    SA_FIELD_NUMBER,  /* double */
    SA_FIELD_TEXT,    /* const char *; NULL: absent */
    SA_FIELD_TEXTS,   /* struct sa_json_strings */
    SA_FIELD_MAP,     /* struct sa_json_map */
    SA_FIELD_OBJECT,  /* a struct in the struct */
    SA_FIELD_OBJECTS, /* struct sa_policy_list: an array of structs */
    SA_FIELD_ANY,     /* const char *: JSON text of any value; NULL: absent */
};
struct sa_policy_list {
    void *items;
    size_t count;
};

enum {                        /* flags */
       SA_FIELD_REQUIRED = 1, /* in a result: must be there */
       SA_FIELD_OMIT_ZERO = 2 /* in an input: false, 0, "" and empty ones are left out */
};

struct sa_policy_field {
    const char *name; /* as rules see it, lowerCamelCase; NULL ends a table */
    enum sa_field_type type;
    unsigned flags;
    size_t offset;
    int64_t low, high;                    /* of INT and NUMBER; both 0: any */
    const char *const *values;            /* of TEXT and TEXTS: what there is; NULL: any */
    const struct sa_policy_field *fields; /* of OBJECT, OBJECTS */
    size_t size;                          /* of one of OBJECTS */
    const char *doc;                      /* one line, with the unit */
};

enum sa_combine {
    SA_COMBINE_FIRST_FINAL, /* rules run in order; the first final verdict decides, else the first
                               of `verdicts` stands; changes accumulate */
    SA_COMBINE_NAMED,       /* only the rule that the input's `rule` names */
    SA_COMBINE_MAX_SCORE,   /* all run; the highest `score` is the answer */
};

struct sa_policy_point {
    const char *name, *doc;
    const char *const *verdicts; /* NULL-terminated; the first is what no rule means */
    const char *const *final;    /* which of them decide at once */
    enum sa_combine combine;
    const struct sa_policy_field *input;
    size_t input_size;                     /* of the input's struct */
    const char *target;                    /* member of the input that `changes` patch (RFC 7396
                                              without null: maps merge, all else is replaced), and
                                              which comes back as `result`; NULL: no changes */
    const struct sa_policy_field *changes; /* type of the target; NULL: a map of anything */
    const struct sa_policy_field *returns; /* further members of what a rule returns */
    const char *fallback;                  /* what applies when no rule can be asked, in words */
};

enum sa_point {
    SA_POINT_PROFILE,
    SA_POINT_SECCOMP,
    SA_POINT_ADMISSION,
    SA_POINT_EXECUTE,
    SA_POINT_FILES,
    SA_POINT_EGRESS,
    SA_POINT_PACKAGES,
    SA_POINT_RECYCLE,
    SA_POINT_SCALING,
    SA_POINT_ANOMALY,
    SA_POINT_LIFECYCLE,
    SA_POINT_COUNT
};
extern const struct sa_policy_point sa_policy_points[SA_POINT_COUNT];
/* -1: there is none of that name. */
int sa_policy_point_find(const char *name);

/* SETUP's `points` (lua/wire.h). */
void sa_policy_points_print(struct sa_buf *out);

/* A struct as a map value: lists, maps and structs are always there, texts unless NULL, all else
 * unless the field says SA_FIELD_OMIT_ZERO. -1: a member that is JSON cannot be a value
 * (SA_EINVALID, SA_ETOOLARGE; the path is the member), or a number is not finite. */
int sa_policy_encode(const struct sa_policy_field *fields, const void *from, struct sa_buf *out,
                     struct sa_error *err);
/* And back: the struct is zeroed first, strings go to the arena; unknown members, wrong types,
 * values out of range, missing required ones are SA_EINVALID with the path ("result.limits.pids:
 * expected integer, got string"). An empty list is an empty map and the other way round, as Lua has
 * one empty table; a number without a fraction is an integer. */
int sa_policy_decode(const struct sa_policy_field *fields, const struct sa_value *map,
                     const char *path, struct sa_arena *arena, void *into, struct sa_error *err);
/* The same of an input, where nothing is required. */
int sa_policy_decode_input(const struct sa_policy_field *fields, const struct sa_value *map,
                           const char *path, struct sa_arena *arena, void *into,
                           struct sa_error *err);

/* The same tables for people and editors. */
void sa_policy_print_luals(struct sa_buf *out);    /* ---@class annotations */
void sa_policy_print_markdown(struct sa_buf *out); /* the reference */
void sa_policy_print_json(struct sa_buf *out);

#endif
