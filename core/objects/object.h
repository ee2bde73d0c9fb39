/*
 * A resource as everybody reads it: metadata parsed, spec and status as C structs of
 * its kind. Objects are immutable and shared by reference; whoever keeps one beyond a
 * callback takes a reference. One thread (the loop's).
 *
 * The conventions are Kubernetes' (API conventions, "Objects"): resourceVersion is opaque and only
 * compared for equality; generation counts changes of spec; status is written by itself; an object
 * with finalizers is only marked (deletionTimestamp) when deleted, and goes when the last one is
 * removed; owner references make the garbage collector follow.
 */
#ifndef SA_OBJECTS_OBJECT_H
#define SA_OBJECTS_OBJECT_H

#include "base/arena.h"
#include "json/json.h"
#include "json/notes.h"
#include "json/write.h"

#define SA_GROUP_VERSION "secureagent.dev/v1"
#define SA_NAMESPACE_DEFAULT "default"

enum {
    SA_OBJECT_MAX = 256 * 1024, /* bytes of JSON; of spec and status as stored */
    SA_OBJECT_NAME_MAX = 253,   /* DNS subdomain, RFC 1123 */
    SA_OBJECT_FINALIZERS_MAX = 16,
    SA_OBJECT_OWNERS_MAX = 8,
    SA_RESOURCE_VERSION_BYTES = 24, /* with NUL */
    SA_UID_BYTES = 37,
};

struct sa_object;

struct sa_owner_reference {
    const char *api_version, *kind, *name, *uid;
    bool controller, block_owner_deletion;
};

struct sa_object_meta {
    const char *namespace_, *name, *uid, *resource_version;
    const char *generate_name; /* of a create; "" */
    int64_t generation;
    int64_t created_ms, deleted_ms; /* wall clock; deleted_ms 0: not marked for deletion */
    struct sa_json_map labels, annotations;
    struct sa_json_strings finalizers;
    struct sa_owner_reference *owners;
    size_t owner_count;
};

/* A kind: how its spec and status become structs and back. Static tables in core/model. */
struct sa_kind_field { /* what a field selector may name, besides metadata.name and .namespace */
    const char *path;  /* "spec.nodeName", "status.phase" */
    const char *(*of)(const struct sa_object *object); /* "" when unset */
};
struct sa_kind {
    const char *name, *plural, *api_version; /* "Sandbox", "sandboxes", SA_GROUP_VERSION */
    bool namespaced;
    /* Decode, fill defaults, validate: SA_EINVALID with the path ("spec.timeout: expected ...").
     * With `lenient` unknown members are dropped rather than refused. The result is the arena's. */
    int (*decode_spec)(struct sa_json_obj *json, bool lenient, struct sa_arena *arena,
                       const void **spec, struct sa_error *err);
    /* NULL, as print_status: the kind has no status. */
    int (*decode_status)(struct sa_json_obj *json, bool lenient, struct sa_arena *arena,
                         const void **status, struct sa_error *err);
    /* The members of an open object; what is decoded again gives the same struct. */
    void (*print_spec)(const void *spec, struct sa_json_w *w);
    void (*print_status)(const void *status, struct sa_json_w *w);
    /* Everything that a struct points to anew, in an arena: what objects keep, without the room
     * that decoding took. NULL: they keep that. */
    const void *(*copy_spec)(const void *spec, struct sa_arena *arena);
    const void *(*copy_status)(const void *status, struct sa_arena *arena);
    /* Of a struct that was not decoded: would it be? SA_EINVALID with the path. NULL: it is printed
     * and decoded to find out. */
    int (*verify_spec)(const void *spec, struct sa_error *err);
    int (*verify_status)(const void *status, struct sa_error *err);
    const void *empty_status; /* of an object that has none yet */
    /* Its spec's members stand beside the metadata, without a "spec" (Event, ConfigMap). */
    bool flat;
    /* May `next` follow `before` in an update? Immutable fields. NULL: any. */
    int (*check_update)(const struct sa_object *before, const void *next, struct sa_error *err);
    const struct sa_kind_field *fields; /* ends with path NULL; may be NULL */
    int64_t ttl_ms;                     /* the server deletes older ones; 0: never */
};

/* A whole object from JSON (apiVersion, kind, metadata, spec, status): one reference. `kind` is
 * what it must be. Errors have the path. */
struct sa_object *sa_object_decode(const struct sa_kind *kind, const char *json, size_t length,
                                   bool lenient, struct sa_error *err);
/* The same, and `notes` get all mistakes (`err` is the first) and all that was dropped. */
struct sa_object *sa_object_decode_noted(const struct sa_kind *kind, const char *json,
                                         size_t length, bool lenient, struct sa_json_notes *notes,
                                         struct sa_error *err);
struct sa_object *sa_object_ref(const struct sa_object *object);
void sa_object_unref(const struct sa_object *object); /* NULL is allowed */
#define sa_autounref __attribute__((cleanup(sa_object_unref_cleanup)))
void sa_object_unref_cleanup(const struct sa_object **object);

const struct sa_kind *sa_object_kind(const struct sa_object *object);
const struct sa_object_meta *sa_object_meta(const struct sa_object *object);
const void *sa_object_spec(const struct sa_object *object);   /* struct of the kind */
const void *sa_object_status(const struct sa_object *object); /* never NULL */
/* Compact JSON, "{...}", kept with the object: specs do not change, and many are alike. */
const char *sa_object_spec_json(const struct sa_object *object, size_t *length);
/* As one value: of a status only the struct is kept. */
void sa_object_print_status(const struct sa_object *object, struct sa_json_w *w);
/* Of JSON of both. */
size_t sa_object_bytes(const struct sa_object *object);
/* The whole object. */
void sa_object_print(const struct sa_object *object, struct sa_json_w *w);

/* "namespace/name". */
const char *sa_object_key(const struct sa_object *object);
bool sa_object_is_owned_by(const struct sa_object *object, const char *owner_uid);
/* The owner with `controller` set, or NULL. */
const struct sa_owner_reference *sa_object_controller(const struct sa_object *object);
bool sa_object_has_finalizer(const struct sa_object *object, const char *finalizer);

#endif
