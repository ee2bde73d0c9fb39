/* How objects are made; for implementations of the store that build them. */
#ifndef SA_OBJECTS_OBJECT_PRIVATE_H
#define SA_OBJECTS_OBJECT_PRIVATE_H

#include "objects/object.h"

/* part.c. A spec or a status: decoded; a spec also as text. Shared by the versions of an object
 * that have it in common; equal specs are one part, whosever they are. */
struct sa_object_part;
enum sa_object_wanted { SA_WANT_SPEC = 1, SA_WANT_STATUS = 2 };
int sa_object_part_decode(const struct sa_kind *kind, enum sa_object_wanted which,
                          struct sa_json_obj *json, bool lenient, struct sa_object_part **out,
                          struct sa_error *err);
/* Of a struct, which is checked. */
int sa_object_part_of(const struct sa_kind *kind, enum sa_object_wanted which, const void *value,
                      struct sa_object_part **out, struct sa_error *err);
/* Its empty status. */
struct sa_object_part *sa_object_empty_status(const struct sa_kind *kind);
struct sa_object_part *sa_object_part_ref(struct sa_object_part *part);
void sa_object_part_unref(struct sa_object_part *part);
const void *sa_object_part_value(const struct sa_object_part *part);
size_t sa_object_part_bytes(const struct sa_object_part *part);     /* of its text */
size_t sa_object_part_memory(const struct sa_object_part *part);    /* that it takes */
const char *sa_object_part_json(const struct sa_object_part *part); /* of a spec */
/* As one value. */
void sa_object_part_print(const struct sa_object_part *part, struct sa_json_w *w);
bool sa_object_part_equal(const struct sa_object_part *a, const struct sa_object_part *b);
struct sa_object_part *sa_object_spec_part(const struct sa_object *object);
struct sa_object_part *sa_object_status_part(const struct sa_object *object);

/* "namespace/name", or the name; of the arena, or borrowed. */
const char *sa_object_key_of(const struct sa_kind *kind, const char *namespace_, const char *name,
                             struct sa_arena *arena);

/* What an object will consist of. Strings are borrowed, parts are references of its own. */
struct sa_object_draft {
    const struct sa_kind *kind;
    const struct sa_object *before; /* the version before it, if any: borrowed */
    struct sa_object_meta meta;
    struct sa_object_part *spec, *status;
};
void sa_object_draft_deinit(struct sa_object_draft *draft);

/* From JSON of a whole object; parts that are not wanted are looked at no further, and NULL.
 * Metadata: strings are of the arena. */
int sa_object_draft_decode(const struct sa_kind *kind, const char *json, size_t length,
                           unsigned wanted, bool lenient, struct sa_arena *arena,
                           struct sa_object_draft *draft, struct sa_error *err);

/* What sa_object_print() wrote, which may be longer than what may come from outside. */
struct sa_object *sa_object_restore(const struct sa_kind *kind, const char *json, size_t length,
                                    struct sa_error *err);
/* One reference; copies strings, but those that the version before has, and takes references to the
 * parts. */
struct sa_object *sa_object_make(const struct sa_object_draft *draft);
/* Memory that goes with this version when the other one stays (NULL: none does). */
size_t sa_object_memory(const struct sa_object *object, const struct sa_object *other);

/* Metadata alone, member by member; `path` of the object: "metadata". */
int sa_object_meta_decode(struct sa_json_obj *meta, bool lenient, struct sa_arena *arena,
                          struct sa_object_meta *out, struct sa_error *err);
/* Of metadata that was not decoded: could it be? */
int sa_object_meta_verify(const struct sa_object_meta *meta, struct sa_error *err);
struct sa_objects_make;
struct sa_object_meta sa_objects_made_meta(const struct sa_objects_make *what);
void sa_object_meta_copy(const struct sa_object_meta *from, struct sa_arena *arena,
                         struct sa_object_meta *to);
/* The member "spec", or the spec's own members of a flat kind. */
void sa_object_put_spec(const struct sa_object *object, struct sa_json_w *w);
void sa_object_meta_print(const struct sa_object_meta *meta, struct sa_json_w *w);
/* Are all texts, but the version, the same? */
bool sa_object_meta_same_texts(const struct sa_object_meta *a, const struct sa_object_meta *b);
bool sa_object_meta_equal(const struct sa_object_meta *a, const struct sa_object_meta *b);

#endif
