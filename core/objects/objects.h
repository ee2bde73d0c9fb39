/*
 * The object store: one interface with the semantics of the Kubernetes API, behind which lies the
 * embedded store (embedded.h) or a Kubernetes API server. It offers nothing that the latter cannot
 * give: no transaction over two objects, a watch may expire at any time, a read may be older than
 * what was just written by somebody else (never older than one's own completed write).
 *
 * Every operation returns at once and completes exactly once, from the loop. Errors:
 *   SA_EINVALID      the object is not valid; the path names the field
 *   SA_ENOTFOUND     no such object, or the store knows no such kind
 *   SA_EEXISTS       a create of a name that is there
 *   SA_ECONFLICT     the resourceVersion or uid is not what it was said to be: read again
 *   SA_EEXPIRED      the version or the `continue` is too old: list anew
 *   SA_ETOOLARGE     more than SA_OBJECT_MAX
 *   SA_EQUOTA        the store is full
 *   SA_EUNAVAILABLE  cannot be had now; try again. A write may have happened
 *   SA_EFORBIDDEN
 *
 * A namespace that is not given is "default". Owners are of the same namespace, or of none.
 *
 * One thread, the loop's.
 */
#ifndef SA_OBJECTS_OBJECTS_H
#define SA_OBJECTS_OBJECTS_H

#include "objects/object.h"

struct sa_objects;
struct sa_objects_call;
struct sa_objects_watch;

/* `object` is NULL exactly when `err` is not; borrowed. */
typedef void (*sa_objects_cb)(void *user, const struct sa_error *err,
                              const struct sa_object *object);

struct sa_objects_select {
    const char *namespace_;     /* NULL: all */
    const char *label_selector; /* as objects/selector.h; NULL: all */
    const char *field_selector; /* "status.phase=Ready,metadata.name!=x"; NULL: all */
};

struct sa_objects_page {
    const struct sa_object *const *items; /* ordered by key */
    size_t count;
    const char *resource_version; /* to watch from; of the whole listing */
    const char *continue_;        /* NULL: that was all */
    int64_t remaining;            /* after this page, or -1: unknown */
};
typedef void (*sa_objects_list_cb)(void *user, const struct sa_error *err,
                                   const struct sa_objects_page *page);

struct sa_objects_call *sa_objects_get(struct sa_objects *objects, const struct sa_kind *kind,
                                       const char *namespace_, const char *name, sa_objects_cb done,
                                       void *user);
/* limit 0: all. Pages are one listing: how it was when the first was made (SA_EEXPIRED when that is
 * not known any more). */
struct sa_objects_call *sa_objects_list(struct sa_objects *objects, const struct sa_kind *kind,
                                        const struct sa_objects_select *select, size_t limit,
                                        const char *continue_, sa_objects_list_cb done, void *user);

/* Writes take JSON of whole objects, as a client of the API would send them. Status in a create is
 * dropped; metadata that the server owns (uid, generation, timestamps) is ignored; a
 * resourceVersion is refused in a create. The answer is the object as stored. A write that changes
 * nothing makes no new version. */
struct sa_objects_call *sa_objects_create(struct sa_objects *objects, const struct sa_kind *kind,
                                          const char *json, size_t length, bool lenient,
                                          sa_objects_cb done, void *user);
/* The same of what was read from JSON before (sa_object_decode()), which need not become a text
 * again for that. */
struct sa_objects_make {
    const struct sa_object *like;  /* its kind, labels, owners and spec */
    const char *namespace_, *name; /* instead of its own, as all of these: */
    struct sa_json_map annotations;
    struct sa_json_strings finalizers;
};
struct sa_objects_call *sa_objects_make(struct sa_objects *objects,
                                        const struct sa_objects_make *what, sa_objects_cb done,
                                        void *user);
/* Replaces labels, annotations, finalizers, owners and spec; with a resourceVersion in it only if
 * that is the current one. Status is not touched. */
struct sa_objects_call *sa_objects_update(struct sa_objects *objects, const struct sa_kind *kind,
                                          const char *json, size_t length, bool lenient,
                                          sa_objects_cb done, void *user);

enum sa_subresource { SA_SUBRESOURCE_NONE, SA_SUBRESOURCE_STATUS };
struct sa_objects_patch {
    const char *namespace_, *name;
    enum sa_subresource subresource; /* STATUS: only status may change; NONE: all but status */
    const char *resource_version;    /* NULL: whatever it is */
    const char *json;                /* merge patch (RFC 7396) of the object */
    size_t length;
    bool lenient;
    /* With json NULL: what is there from now on, for who has read the version that is named, and
     * knows all of it; no text need be made, merged and read for that. A struct of the kind, which
     * is the status, or (NONE) the spec; finalizers. NULL: as it is. ("replace", RFC 6902.) */
    const void *value;
    const struct sa_json_strings *finalizers;
};
struct sa_objects_call *sa_objects_patch(struct sa_objects *objects, const struct sa_kind *kind,
                                         const struct sa_objects_patch *patch, sa_objects_cb done,
                                         void *user);

struct sa_objects_delete {
    const char *namespace_, *name;
    const char *uid, *resource_version; /* preconditions; NULL: none */
    bool orphan;                        /* leave what it owns; else the collector follows */
};
/* The answer is the object as it was last, or as it is now while finalizers hold it. */
struct sa_objects_call *sa_objects_delete(struct sa_objects *objects, const struct sa_kind *kind,
                                          const struct sa_objects_delete *what, sa_objects_cb done,
                                          void *user);

/* `done` is not called any more. A write that was under way may happen or not. */
void sa_objects_forget(struct sa_objects *objects, struct sa_objects_call *call);

enum sa_watch_type { SA_WATCH_ADDED, SA_WATCH_MODIFIED, SA_WATCH_DELETED, SA_WATCH_BOOKMARK };
struct sa_watch_event {
    enum sa_watch_type type;
    const struct sa_object *object; /* DELETED: as it was last; BOOKMARK: NULL */
    const char *resource_version;
};
/* What has changed since `resource_version` (of a list; not NULL), in the order it happened. An
 * object that begins or ceases to match the selection is ADDED or DELETED. Bookmarks come now and
 * then. `ended` comes once and nothing after it (SA_EEXPIRED: list anew; SA_EUNAVAILABLE: the
 * connection is gone: watch again from the last version seen). */
struct sa_objects_watch *
sa_objects_watch(struct sa_objects *objects, const struct sa_kind *kind,
                 const struct sa_objects_select *select, const char *resource_version,
                 void (*event)(void *user, const struct sa_watch_event *event),
                 void (*ended)(void *user, const struct sa_error *err), void *user);
/* Nothing is called any more. */
void sa_objects_unwatch(struct sa_objects *objects, struct sa_objects_watch *watch);

/* ---- what an implementation provides ---- */

struct sa_objects_ops {
    struct sa_objects_call *(*get)(struct sa_objects *, const struct sa_kind *, const char *,
                                   const char *, sa_objects_cb, void *);
    struct sa_objects_call *(*list)(struct sa_objects *, const struct sa_kind *,
                                    const struct sa_objects_select *, size_t, const char *,
                                    sa_objects_list_cb, void *);
    struct sa_objects_call *(*create)(struct sa_objects *, const struct sa_kind *, const char *,
                                      size_t, bool, sa_objects_cb, void *);
    struct sa_objects_call *(*make)(struct sa_objects *, const struct sa_objects_make *,
                                    sa_objects_cb, void *); /* NULL: by way of create */
    struct sa_objects_call *(*update)(struct sa_objects *, const struct sa_kind *, const char *,
                                      size_t, bool, sa_objects_cb, void *);
    struct sa_objects_call *(*patch)(struct sa_objects *, const struct sa_kind *,
                                     const struct sa_objects_patch *, sa_objects_cb, void *);
    struct sa_objects_call *(*delete)(struct sa_objects *, const struct sa_kind *,
                                      const struct sa_objects_delete *, sa_objects_cb, void *);
    void (*forget)(struct sa_objects_call *);
    struct sa_objects_watch *(*watch)(struct sa_objects *, const struct sa_kind *,
                                      const struct sa_objects_select *, const char *,
                                      void (*)(void *, const struct sa_watch_event *),
                                      void (*)(void *, const struct sa_error *), void *);
    void (*unwatch)(struct sa_objects_watch *);
};
struct sa_objects { /* the beginning of every implementation */
    const struct sa_objects_ops *ops;
};

#endif
