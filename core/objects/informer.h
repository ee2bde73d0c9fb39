/*
 * A shared informer: the objects of a kind, kept in memory by list and watch, with indexes, for
 * many readers (client-go's SharedIndexInformer). Handlers are told of what changed; since any
 * event may be lost, doubled or late, they only enqueue a key, and the reader looks at the cache.
 *
 * When the watch ends it begins again: from where it was, or with a new list when that is too old;
 * what the list does not have any more is reported as deleted. Pauses grow from 100 ms to 30 s
 * while the store cannot be had.
 */
#ifndef SA_OBJECTS_INFORMER_H
#define SA_OBJECTS_INFORMER_H

#include "objects/objects.h"

#include <uv.h>

struct sa_informer;

/* Values under which an object is found; at most 8. Strings may be of the object or of `arena`. */
typedef size_t (*sa_index_fn)(const struct sa_object *object, struct sa_arena *arena,
                              const char *values[8]);
struct sa_informer_index {
    const char *name; /* "byOwner" */
    sa_index_fn of;
};
struct sa_informer_options {
    uv_loop_t *loop;
    struct sa_objects *objects;
    const struct sa_kind *kind;
    struct sa_objects_select select;
    const struct sa_informer_index *indexes; /* name NULL at the end; may be NULL */
    int64_t resync_ms;                       /* handlers hear of everything again; 0: never */
};
struct sa_informer *sa_informer_start(const struct sa_informer_options *options);
void sa_informer_stop(struct sa_informer *informer); /* frees itself; no handler is called */

/* `before` NULL: new. `now` NULL: gone (`before` is as it was last seen). Both, possibly equal
 * (resync): changed. What was deleted and made anew unseen is told as gone, then new. A handler may
 * take off itself, but no other, while it is called. */
struct sa_informer_handler {
    void (*changed)(struct sa_informer_handler *handler, const struct sa_object *before,
                    const struct sa_object *now);
    struct sa_informer_handler *prev, *next;
};
/* It hears of everything that is there already, from the loop. */
void sa_informer_add_handler(struct sa_informer *informer, struct sa_informer_handler *handler);
void sa_informer_remove_handler(struct sa_informer *informer, struct sa_informer_handler *handler);

/* The first list is in. */
bool sa_informer_synced(const struct sa_informer *informer);
/* Borrowed: valid until the loop goes on. */
const struct sa_object *sa_informer_get(const struct sa_informer *informer, const char *key);
size_t sa_informer_count(const struct sa_informer *informer);
/* Walk all: NULL begins and ends. The informer must not change meanwhile. */
const struct sa_object *sa_informer_next(const struct sa_informer *informer,
                                         const struct sa_object *after);
/* Those under `value` of an index: O(found). */
struct sa_informer_found {
    const struct sa_object *const *items;
    size_t count;
};
struct sa_informer_found sa_informer_find(const struct sa_informer *informer, const char *index,
                                          const char *value);

#endif
