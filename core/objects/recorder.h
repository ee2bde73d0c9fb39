/*
 * Events about objects (Kubernetes' core/v1 Event): what happened and why, for people. Equal ones
 * (object, type, reason, message) within ten minutes are counted rather than written again, and a
 * flood is held back (a burst of 25 for each object, then one in five minutes, as client-go's
 * spam filter). Best effort: never waited for, never retried for ever. They are kept for an hour.
 */
#ifndef SA_OBJECTS_RECORDER_H
#define SA_OBJECTS_RECORDER_H

#include "objects/objects.h"

struct sa_recorder;
/* `now_ms`: monotonic, for tests; NULL: the clock. Copies `component`. */
struct sa_recorder *sa_recorder_new(struct sa_objects *objects, const char *component,
                                    int64_t (*now_ms)(void));
void sa_recorder_free(struct sa_recorder *recorder); /* what is under way may happen or not */

enum sa_event_type { SA_EVENT_NORMAL, SA_EVENT_WARNING };
/* `reason`: CamelCase, for programs; the text, at most 1024 bytes, is for people. */
void sa_record(struct sa_recorder *recorder, const struct sa_object *about, enum sa_event_type type,
               const char *reason, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

struct sa_event { /* the spec of the kind */
    struct {
        const char *api_version, *kind, *namespace_, *name, *uid, *resource_version;
    } about;
    enum sa_event_type type;
    const char *reason, *message, *component;
    int64_t first_ms, last_ms, count;
};
/* Found by involvedObject.kind, .name, .namespace and .uid, reason and type. */
extern const struct sa_kind sa_kind_event;

#endif
