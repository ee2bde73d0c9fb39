/*
 * Inside the embedded store. Read in this order: this file, shelf.c (objects of a kind, in order),
 * embedded.c (opening, closing, commits), calls.c (calls and when they are answered), read.c (get
 * and list), write.c (create, update, delete), patch.c, collect.c (what follows a deletion),
 * history.c (what has changed of late), watch.c, disk.c (the writing thread).
 *
 * A write is applied at once and numbered; `committed` follows when it is on disk. Calls wait in
 * one queue in the order they were made, each until everything it has seen is committed: also
 * those that fail, since they fail on account of what they saw.
 */
#ifndef SA_OBJECTS_EMBEDDED_PRIVATE_H
#define SA_OBJECTS_EMBEDDED_PRIVATE_H

#include "objects/embedded.h"
#include "objects/object_private.h"
#include "objects/selector.h"

#include "base/cleanup.h"

#include <stdint.h>

enum { SA_UNCOMMITTED_MAX = 8192, SA_HISTORY_DEFAULT = 4096, SA_OBJECTS_DEFAULT_MAX = 200000 };

/* ---- shelf.c: the objects of one kind, sorted by key ---- */

struct sa_table_of_kind {
    const struct sa_kind *kind;
    const struct sa_object **items; /* references */
    size_t count, capacity;
    struct sa_object_part *empty_status; /* which new objects share */
};
/* Where the key is (*found) or would be. */
size_t sa_shelf_search(const struct sa_table_of_kind *table, const char *key, bool *found);
const struct sa_object *sa_shelf_get(const struct sa_table_of_kind *table, const char *key);
/* Put `now` in the place of the object of that key (a reference is taken); NULL: remove it. */
void sa_shelf_set(struct sa_table_of_kind *table, const char *key, const struct sa_object *now);
/* Another one with the same objects; end both with sa_shelf_clear(). */
void sa_shelf_copy(const struct sa_table_of_kind *table, struct sa_table_of_kind *to);
void sa_shelf_clear(struct sa_table_of_kind *table);

/* ---- selections ---- */

struct sa_field_term {
    const char *path, *value;
    bool equal;
};
enum { SA_FIELD_TERMS_MAX = 8 };
struct sa_selection {
    struct sa_arena *arena;
    const char *namespace_; /* NULL: all */
    struct sa_selector labels;
    struct sa_field_term fields[SA_FIELD_TERMS_MAX];
    size_t field_count;
};
int sa_selection_init(struct sa_selection *selection, const struct sa_kind *kind,
                      const struct sa_objects_select *select, struct sa_error *err);
void sa_selection_deinit(struct sa_selection *selection);
bool sa_selection_matches(const struct sa_selection *selection, const struct sa_object *object);

/* ---- calls ---- */

struct sa_embedded;
enum sa_call_type { SA_CALL_GET, SA_CALL_LIST, SA_CALL_WRITE };
struct sa_objects_call {
    struct sa_objects_call *next;
    struct sa_embedded *store;
    enum sa_call_type type;
    uint64_t barrier; /* answered once this version is committed */
    bool failed;
    struct sa_error error;
    const struct sa_object *object; /* the answer; a reference */
    sa_objects_cb done;             /* NULL: forgotten, or nobody asked */
    sa_objects_list_cb listed;
    void *user;
    struct { /* LIST */
        const struct sa_object **items;
        size_t count;
        int64_t remaining;
        char *continue_;
    } page;
    struct { /* WRITE that changed something: how to take it back */
        struct sa_table_of_kind *table;
        const struct sa_object *before, *after; /* references; NULL: absent */
        uint64_t version;
        struct sa_disk_write *disk;
    } change;
};

/* ---- history and watches ---- */

struct sa_change {
    uint64_t version;
    const struct sa_kind *kind;
    const struct sa_object *before, *after; /* references */
    size_t bytes;                           /* roughly what it keeps in memory */
};
struct sa_objects_watch {
    struct sa_objects_watch *prev, *next;
    struct sa_embedded *store;
    const struct sa_kind *kind;
    struct sa_selection selection;
    uint64_t seen;           /* version up to which it knows everything */
    uint64_t bookmarked;     /* last version it was told */
    bool over;               /* taken off; freed at the next turn */
    struct sa_error refused; /* why it cannot even begin; code 0: it can */
    void (*event)(void *user, const struct sa_watch_event *event);
    void (*ended)(void *user, const struct sa_error *err);
    void *user;
};
struct sa_history {
    struct sa_change *ring;
    size_t capacity, first, count, bytes;
    size_t kept;        /* that many committed ones at most, once watches have read them */
    uint64_t dropped;   /* how many ever were at the beginning of it */
    uint64_t forgotten; /* the newest version that is not kept any more */
};

/* ---- disk.c ---- */

struct sa_disk;
struct sa_disk_write {
    struct sa_disk_write *next;
    uint64_t version, epoch;
    const char *kind; /* static */
    char *key, *json; /* json NULL: delete */
    size_t length;
};
void sa_disk_write_free(struct sa_disk_write *write);
/* Opens the file and reads every object: `found` gets each, and may refuse. Blocks. */
typedef int sa_disk_found(void *user, const char *kind, const char *key, const char *json,
                          size_t length, struct sa_error *err);
struct sa_disk *sa_disk_open(const char *data_dir, sa_disk_found *found, void *user,
                             uint64_t *version, struct sa_error *err);
/* `committed` comes from the loop: everything up to `version`; or err, and what was queued in this
 * epoch is dropped: continue in the next one. */
int sa_disk_start(struct sa_disk *disk, uv_loop_t *loop,
                  void (*committed)(void *user, uint64_t version, const struct sa_error *err),
                  void *user, struct sa_error *err);
void sa_disk_put(struct sa_disk *disk, struct sa_disk_write *write); /* takes it */
void sa_disk_next_epoch(struct sa_disk *disk);
uint64_t sa_disk_groups(const struct sa_disk *disk);
/* Writes what is queued, joins the thread; `closed` from the loop. Blocks. */
void sa_disk_close(struct sa_disk *disk, void (*closed)(void *user), void *user);

/* ---- the store ---- */

/* Who owns what, and who is alive, by uid (collect.c). */
struct sa_owned;
struct sa_collect; /* an owner whose dependents are to be looked at */
enum { SA_KINDS_MAX = 24 };
struct sa_embedded {
    struct sa_objects base;
    uv_loop_t *loop;
    int64_t (*wall_ms)(void);
    struct sa_table_of_kind tables[SA_KINDS_MAX];
    size_t table_count, object_count, objects_max;
    uint64_t version, committed, epoch;
    struct sa_disk *disk; /* NULL: memory only */
    struct sa_objects_call *first, *last;
    size_t uncommitted;
    struct sa_history history;
    struct sa_objects_watch *watches;
    size_t watch_count;
    struct sa_owned *owned; /* by the owner's uid */
    struct sa_collect *collect_first, *collect_last;
    uv_idle_t idle;   /* active while there is something to do */
    uv_timer_t sweep; /* objects of kinds with a ttl */
    uv_timer_t heal;  /* active after a failed commit: nothing is collected meanwhile */
    unsigned handles;
    bool loading, closing;
    void (*closed)(void *user);
    void *closed_user;
    struct sa_embedded_stats stats;
};

static inline struct sa_embedded *sa_embedded_of(struct sa_objects *objects)
{
    return (struct sa_embedded *)objects;
}
/* NULL with SA_ENOTFOUND when the store was opened without that kind. */
struct sa_table_of_kind *sa_embedded_table(struct sa_embedded *store, const struct sa_kind *kind,
                                           struct sa_error *err);
/* There is something to answer, deliver or collect. */
void sa_embedded_wake(struct sa_embedded *store);

/* calls.c */
void sa_embedded_forget(struct sa_objects_call *call);
struct sa_objects_call *sa_call_new(struct sa_embedded *store, enum sa_call_type type, void *user);
/* To the end of the queue. Returns it. */
struct sa_objects_call *sa_call_queue(struct sa_objects_call *call);
struct sa_objects_call *sa_call_fail(struct sa_objects_call *call, const struct sa_error *err);
/* Those whose turn has come, but not what they ask for meanwhile. */
void sa_calls_answer(struct sa_embedded *store);
bool sa_calls_due(const struct sa_embedded *store);
/* Undo what is not committed; all that saw it fail with `why`. */
void sa_calls_take_back(struct sa_embedded *store, const struct sa_error *why);

/* read.c */
struct sa_objects_call *sa_embedded_get(struct sa_objects *, const struct sa_kind *, const char *,
                                        const char *, sa_objects_cb, void *);
struct sa_objects_call *sa_embedded_list(struct sa_objects *, const struct sa_kind *,
                                         const struct sa_objects_select *, size_t, const char *,
                                         sa_objects_list_cb, void *);

/* write.c. `call` gets the change; `now` NULL: remove. Takes the reference of `now`. */
void sa_embedded_apply(struct sa_objects_call *call, struct sa_table_of_kind *table,
                       const struct sa_object *before, struct sa_object *now);
uint64_t sa_embedded_next_version(struct sa_embedded *store, char text[SA_RESOURCE_VERSION_BYTES]);
const struct sa_object *sa_write_find(const struct sa_table_of_kind *table, const char *namespace_,
                                      const char *name, struct sa_arena *arena,
                                      struct sa_error *err);
/* `next` takes the place of `now`, but for the status; or only its status does. */
int sa_write_object(struct sa_objects_call *call, struct sa_table_of_kind *table,
                    const struct sa_object *now, struct sa_object_draft *next,
                    struct sa_error *err);
int sa_write_status(struct sa_objects_call *call, struct sa_table_of_kind *table,
                    const struct sa_object *now, struct sa_object_draft *next,
                    struct sa_error *err);
struct sa_objects_call *sa_embedded_create(struct sa_objects *, const struct sa_kind *,
                                           const char *, size_t, bool, sa_objects_cb, void *);
struct sa_objects_call *sa_embedded_make(struct sa_objects *, const struct sa_objects_make *,
                                         sa_objects_cb, void *);
struct sa_objects_call *sa_embedded_update(struct sa_objects *, const struct sa_kind *,
                                           const char *, size_t, bool, sa_objects_cb, void *);
struct sa_objects_call *sa_embedded_delete(struct sa_objects *, const struct sa_kind *,
                                           const struct sa_objects_delete *, sa_objects_cb, void *);

/* patch.c */
struct sa_objects_call *sa_embedded_patch(struct sa_objects *, const struct sa_kind *,
                                          const struct sa_objects_patch *, sa_objects_cb, void *);

/* collect.c: who owns whom. */
void sa_owned_changed(struct sa_embedded *store, struct sa_table_of_kind *table,
                      const struct sa_object *before, const struct sa_object *after);
/* An owner is gone for good (committed). */
void sa_collect_after(struct sa_embedded *store, const char *owner_uid);
/* Some of what is due; true: there is more. */
bool sa_collect_step(struct sa_embedded *store);
/* At the start: everything whose owners are all gone. */
void sa_collect_all(struct sa_embedded *store);
/* Take that owner's reference off everything it owns. */
void sa_orphan(struct sa_embedded *store, const char *owner_uid);
void sa_collect_deinit(struct sa_embedded *store);
/* Delete what is older than its kind's ttl. */
void sa_sweep(struct sa_embedded *store);

/* history.c */
void sa_history_add(struct sa_embedded *store, const struct sa_objects_call *call);
/* Those that are not committed are taken back. */
void sa_history_take_back(struct sa_embedded *store);
/* Forget what is more than is to be kept. */
void sa_history_trim(struct sa_embedded *store);
void sa_history_deinit(struct sa_embedded *store);
const struct sa_change *sa_history_at(const struct sa_history *history, size_t i);
/* The place of the first change after `version`. */
size_t sa_history_after(const struct sa_history *history, uint64_t version);

/* watch.c. Tell every watch what is new to it. */
void sa_watches_deliver(struct sa_embedded *store);
void sa_watches_end(struct sa_embedded *store, const struct sa_error *err);
struct sa_objects_watch *sa_embedded_watch(struct sa_objects *, const struct sa_kind *,
                                           const struct sa_objects_select *, const char *,
                                           void (*)(void *, const struct sa_watch_event *),
                                           void (*)(void *, const struct sa_error *), void *);
void sa_embedded_unwatch(struct sa_objects_watch *watch);

#endif
