/*
 * Parts that several kinds have in common.
 *
 * Resources: what is absent is as in the body of a create (model/sandbox.h), so that a sandbox from
 * a manifest, one from the API and a pool that name nothing all have the same key: 1 processor,
 * 512Mi, half of the memory for files, 256 processes. One whole processor rather than half of one,
 * because the time to the first result is what sandboxes are for and a limit costs nothing while
 * nobody uses it; half of the memory for files rather than a fixed size, because the native driver
 * keeps files in memory, and what cannot be had must not be the default.
 */
#ifndef SA_KINDS_COMMON_H
#define SA_KINDS_COMMON_H

#include "kinds/schema.h"
#include "model/sandbox.h"

enum {
    SA_DOC_MAX_BYTES = 1024,   /* descriptions */
    SA_REASON_MAX_BYTES = 128, /* CamelCase */
    SA_MESSAGE_MAX_BYTES = 4096,
    SA_EGRESS_MAX = 64, /* rules */
    SA_PORTS_MAX = 32,
    SA_PATHS_MAX = 32,
    SA_CONTROLS_MAX = 64,
    SA_PACKAGES_OF_POOL_MAX = 128
};

extern const struct sa_filesystem sa_filesystem_defaults;
extern const struct sa_schema sa_schema_resources;      /* struct sa_resources */
extern const struct sa_schema sa_schema_lifecycle;      /* struct sa_lifecycle */
extern const struct sa_schema sa_schema_network_access; /* struct sa_network_access */
extern const struct sa_schema sa_schema_filesystem;     /* struct sa_filesystem */
extern const char *const sa_level_names[];              /* of enum sa_security_level */

/* A securityContext goes with the level custom only. */
int sa_check_security_context(enum sa_security_level level, const char *context,
                              const struct sa_json_obj *at, struct sa_error *err);
#define SA_SECURITY_CONTEXT_RULE                                                                   \
    {                                                                                              \
        "!has(self.securityContext) || self.securityLevel == 'custom'",                            \
            "securityContext: only with securityLevel custom; the other levels are the rules'"     \
    }

/* Members without anything special. */
#define SA_AT(STRUCT, FIELD) .offset = offsetof(STRUCT, FIELD)
#define SA_BOOL(STRUCT, FIELD, NAME, DOC)                                                          \
    {                                                                                              \
        .name = (NAME), .type = SA_MEMBER_BOOL, SA_AT(STRUCT, FIELD), .doc = (DOC)                 \
    }
#define SA_INT(STRUCT, FIELD, NAME, LOW, HIGH, DOC)                                                \
    {                                                                                              \
        .name = (NAME), .type = SA_MEMBER_INT, SA_AT(STRUCT, FIELD), .low = (LOW), .high = (HIGH), \
        .doc = (DOC)                                                                               \
    }
#define SA_TEXT(STRUCT, FIELD, NAME, MAX, FORMAT, DOC)                                             \
    {                                                                                              \
        .name = (NAME), .type = SA_MEMBER_TEXT, SA_AT(STRUCT, FIELD), .max_bytes = (MAX),          \
        .format = (FORMAT), .doc = (DOC)                                                           \
    }
#define SA_TEXTS(STRUCT, FIELD, NAME, COUNT, MAX, FORMAT, DOC)                                     \
    {                                                                                              \
        .name = (NAME), .type = SA_MEMBER_TEXTS, SA_AT(STRUCT, FIELD), .max_count = (COUNT),       \
        .max_bytes = (MAX), .format = (FORMAT), .doc = (DOC)                                       \
    }
#define SA_TIME(STRUCT, FIELD, NAME, DOC)                                                          \
    {                                                                                              \
        .name = (NAME), .type = SA_MEMBER_TIME, SA_AT(STRUCT, FIELD), .doc = (DOC)                 \
    }
#define SA_OBJECT(STRUCT, FIELD, NAME, SCHEMA, DOC)                                                \
    {                                                                                              \
        .name = (NAME), .type = SA_MEMBER_OBJECT, SA_AT(STRUCT, FIELD), .schema = (SCHEMA),        \
        .doc = (DOC)                                                                               \
    }
#define SA_MAYBE(STRUCT, FIELD, NAME, SCHEMA, DOC) /* begins with `bool given` */                  \
    {                                                                                              \
        .name = (NAME), .type = SA_MEMBER_OBJECT, .flags = SA_MEMBER_GIVEN, SA_AT(STRUCT, FIELD),  \
        .schema = (SCHEMA), .doc = (DOC)                                                           \
    }
#define SA_ITEMS(STRUCT, FIELD, NAME, COUNT, SCHEMA, DOC)                                          \
    {                                                                                              \
        .name = (NAME), .type = SA_MEMBER_LIST, SA_AT(STRUCT, FIELD), .max_count = (COUNT),        \
        .schema = (SCHEMA), .doc = (DOC)                                                           \
    }
#define SA_SCHEMA(STRUCT, MEMBERS)                                                                 \
    {                                                                                              \
        .size = sizeof(STRUCT), .members = (MEMBERS)                                               \
    }
#define SA_REASON_MEMBERS(STRUCT)                                                                  \
    {.name = "reason",                                                                             \
     .type = SA_MEMBER_TEXT,                                                                       \
     SA_AT(STRUCT, reason),                                                                        \
     .max_bytes = SA_REASON_MAX_BYTES,                                                             \
     .doc = "Why, in one word."},                                                                  \
    {                                                                                              \
        .name = "message", .type = SA_MEMBER_TEXT, SA_AT(STRUCT, message),                         \
        .max_bytes = SA_MESSAGE_MAX_BYTES, .doc = "Why, for a person."                             \
    }
#define SA_OBSERVED_MEMBERS(STRUCT)                                                                \
    {.name = "conditions",                                                                         \
     .type = SA_MEMBER_CONDITIONS,                                                                 \
     SA_AT(STRUCT, conditions),                                                                    \
     .max_count = SA_CONDITIONS_MAX,                                                               \
     .doc = "What is true of it, one of each type."},                                              \
    {                                                                                              \
        .name = "observedGeneration", .type = SA_MEMBER_INT, SA_AT(STRUCT, observed_generation),   \
        .doc = "metadata.generation that the status is about."                                     \
    }

#endif
