/* The tables of the decision points' structs (points.h); for the files of this folder. */
#ifndef SA_POLICY_TABLES_H
#define SA_POLICY_TABLES_H

#include "policy/points.h"

#include <stddef.h>

/* The type of a member as its declaration has it, so that a table cannot disagree with a struct. */
#define SA_FIELD_TYPE(STRUCT, MEMBER)                                                              \
    _Generic(((struct STRUCT *)0)->MEMBER, bool                                                    \
             : SA_FIELD_BOOL, int64_t                                                              \
             : SA_FIELD_INT, double                                                                \
             : SA_FIELD_NUMBER, const char *                                                       \
             : SA_FIELD_TEXT, struct sa_json_strings                                               \
             : SA_FIELD_TEXTS, struct sa_json_map                                                  \
             : SA_FIELD_MAP, struct sa_policy_list                                                     \
             : SA_FIELD_OBJECTS, default                                                           \
             : SA_FIELD_OBJECT)

/* One row; further members of struct sa_policy_field may follow the text. */
#define SA_ROW(STRUCT, MEMBER, NAME, DOC, ...)                                                     \
    {                                                                                              \
        .name = (NAME), .type = SA_FIELD_TYPE(STRUCT, MEMBER),                                     \
        .offset = offsetof(struct STRUCT, MEMBER), .doc = (DOC), __VA_ARGS__                       \
    }
/* JSON text of any value. */
#define SA_ROW_ANY(STRUCT, MEMBER, NAME, DOC)                                                      \
    {                                                                                              \
        .name = (NAME), .type = SA_FIELD_ANY, .offset = offsetof(struct STRUCT, MEMBER),           \
        .doc = (DOC)                                                                               \
    }
/* Rules see who asks at the top of the input, where every input struct has it. */
#define SA_ROWS_WHO                                                                                \
    SA_ROW(sa_policy_who, now, "now", "the time, in seconds since 1970, UTC"),                     \
        SA_ROW(sa_policy_who, scope, "scope", "what chooses parameters (params.lua)",              \
               .fields = sa_fields_scope),                                                         \
        SA_ROW(sa_policy_who, user, "user", "who asks", .fields = sa_fields_user)
#define SA_ROWS_END                                                                                \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* What rules return besides verdict, rule and reason; the outputs of points.h are made of it. */
struct sa_scaling_returns {
    int64_t size;
};
struct sa_anomaly_returns {
    double score;
    const char *action; /* in the order of enum sa_anomaly_action */
};

extern const struct sa_policy_field sa_fields_scope[], sa_fields_user[], sa_fields_sandbox[];

extern const struct sa_policy_field sa_fields_profile[], sa_fields_context[];
extern const struct sa_policy_field sa_fields_seccomp[], sa_fields_filter[];
extern const struct sa_policy_field sa_fields_admission[];
extern const struct sa_policy_field sa_fields_execute[], sa_fields_run[];
extern const struct sa_policy_field sa_fields_files[];
extern const struct sa_policy_field sa_fields_egress[], sa_fields_grant[];
extern const struct sa_policy_field sa_fields_packages[];
extern const struct sa_policy_field sa_fields_recycle[];
extern const struct sa_policy_field sa_fields_scaling[], sa_fields_scaling_returns[];
extern const struct sa_policy_field sa_fields_anomaly[], sa_fields_anomaly_returns[];
extern const struct sa_policy_field sa_fields_lifecycle[], sa_fields_end[];

/* "boolean", "integer", "strings" ...: the type's name in SETUP and in the documents. */
const char *sa_field_type_name(enum sa_field_type type);
/* As sa_policy_decode(), of members that stand beside others. */
int sa_policy_decode_returns(const struct sa_policy_field *fields, const struct sa_value *verdict,
                             struct sa_arena *arena, void *into, struct sa_error *err);

const char *sa_combine_name(enum sa_combine combine); /* "firstFinal" */
/* "deny" is among `list`, which NULL ends. */
bool sa_policy_listed(const char *const *list, const char *text);

#endif
