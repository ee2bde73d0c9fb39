/*
 * Events about objects (Kubernetes' core/v1 Event): what happened and why, for people. Equal ones
 * (object, type, reason, message) within ten minutes are counted rather than written again, and a
 * flood is held back (a burst of 25 for each object, then one in five minutes, as client-go's
 * spam filter). Best effort: never waited for, never retried for ever. They are kept for an hour.
 */
#ifndef SA_OBJECTS_RECORDER_H
#define SA_OBJECTS_RECORDER_H

#include "objects/objects.h"

#include <uv.h>

struct sa_recorder;
struct sa_recorder *sa_recorder_new(uv_loop_t *loop, struct sa_objects *objects,
                                    const char *component);
void sa_recorder_free(struct sa_recorder *recorder);
enum sa_event_type { SA_EVENT_NORMAL, SA_EVENT_WARNING };
void sa_record(struct sa_recorder *recorder, const struct sa_object *about, enum sa_event_type type,
               const char *reason, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
extern const struct sa_kind sa_kind_event;

#endif
