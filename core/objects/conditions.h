/*
 * Conditions of a status (Kubernetes API conventions): one of each type; the time changes only with
 * the status. Pure functions.
 */
#ifndef SA_OBJECTS_CONDITIONS_H
#define SA_OBJECTS_CONDITIONS_H

#include "json/json.h"
#include "json/write.h"

enum sa_truth { SA_UNKNOWN, SA_FALSE, SA_TRUE };
struct sa_condition {
    const char *type, *reason, *message;
    enum sa_truth status;
    int64_t observed_generation, transition_ms; /* wall clock */
};
enum { SA_CONDITIONS_MAX = 16 };
struct sa_conditions {
    struct sa_condition *items; /* ordered by type; shared by copies of the struct */
    size_t count;
};
/* True when something changed: the items are new ones of the arena then, so that whoever has the
 * ones before keeps them as they were. Strings are not copied. */
bool sa_conditions_set(struct sa_conditions *conditions, const struct sa_condition *condition,
                       int64_t now_ms, struct sa_arena *arena);
const struct sa_condition *sa_conditions_get(const struct sa_conditions *conditions,
                                             const char *type);
bool sa_conditions_is(const struct sa_conditions *conditions, const char *type,
                      enum sa_truth status);
/* Items and strings are of the cursor's arena. */
int sa_conditions_decode(struct sa_json_obj *status, const char *key,
                         struct sa_conditions *conditions, struct sa_error *err);
/* Of conditions that were not decoded: could they be? */
int sa_conditions_check(const struct sa_conditions *conditions, const struct sa_json_at *at,
                        struct sa_error *err);
/* With all strings. */
void sa_conditions_copy(const struct sa_conditions *from, struct sa_arena *arena,
                        struct sa_conditions *to);
void sa_conditions_print(const struct sa_conditions *conditions, struct sa_json_w *w); /* array */

#endif
