/*
 * A store and a loop for each test, and calls that wait. Whatever is handed out lives until the
 * end of the test. JSON is written with ' for ", and all objects without a namespace are in
 * "default".
 */
#ifndef CONFORMANCE_FIXTURE_H
#define CONFORMANCE_FIXTURE_H

#include "conformance/conformance.h"
#include "conformance/thing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
    const struct sa_conformance_target *target;
    uv_loop_t *loop;
    struct sa_objects *objects;
    struct sa_arena *arena;
    const struct sa_object **kept;
    size_t kept_count;
    struct watcher *watchers;
    uv_timer_t tick; /* so that waiting ends */
};
int world_setup(void **state); /* *state: the target; then the world */
int world_teardown(void **state);
void world_reopen(struct world *w); /* closes the store and opens it anew */
extern const struct sa_kind *const world_kinds[];

/* Runs the loop until `*flag`; fails after a minute. */
void wait_for(struct world *w, const bool *flag, const char *what);
/* Runs the loop a number of times, whatever happens. */
void turns(struct world *w, int count);

struct result {
    struct sa_error err; /* code SA_OK: done */
    const struct sa_object *object;
    bool done;
};
#define SA_PRINTF(n) __attribute__((format(printf, n, (n) + 1)))
struct result create_(struct world *w, const struct sa_kind *kind, bool lenient, const char *fmt,
                      ...) SA_PRINTF(4);
struct result update_(struct world *w, const struct sa_kind *kind, bool lenient, const char *fmt,
                      ...) SA_PRINTF(4);
/* Of "default" or, with a "/", of another namespace. `version` NULL: any. */
struct result patch_(struct world *w, const struct sa_kind *kind, const char *name,
                     enum sa_subresource subresource, const char *version, const char *fmt, ...)
    SA_PRINTF(6);
struct result delete_(struct world *w, const struct sa_kind *kind, const char *name,
                      const struct sa_objects_delete *how); /* how: NULL, or preconditions */
struct result get_(struct world *w, const struct sa_kind *kind, const char *name);
/* It must have worked. */
const struct sa_object *ok(struct result result);
/* It must have failed with that code; `path` NULL: any. */
void refused(struct result result, enum sa_code code, const char *path);

/* The same, not waiting: `result` is filled from the loop. */
void start_create(struct world *w, const struct sa_kind *kind, struct result *result,
                  const char *fmt, ...) SA_PRINTF(4);
void start_patch(struct world *w, const struct sa_kind *kind, const char *name,
                 enum sa_subresource subresource, const char *version, struct result *result,
                 const char *fmt, ...) SA_PRINTF(7);
void settle(struct world *w, struct result *result); /* waits */
void on_result(void *user, const struct sa_error *err, const struct sa_object *object);
void keep(struct world *w, const struct sa_object *object);
char *json_of(struct world *w, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

struct listing {
    struct world *w;
    struct sa_error err;
    const struct sa_object **items;
    size_t count;
    int64_t remaining;
    const char *version, *continue_;
    bool done;
};
struct listing list_(struct world *w, const struct sa_kind *kind,
                     const struct sa_objects_select *select, size_t limit, const char *continue_);
/* The keys, joined by spaces. */
const char *keys_of(const struct listing *listing);

struct event {
    enum sa_watch_type type;
    const struct sa_object *object; /* NULL: bookmark */
    char version[SA_RESOURCE_VERSION_BYTES];
};
struct watcher {
    struct watcher *next;
    struct world *w;
    struct sa_objects_watch *watch;
    struct event *events;
    size_t count, bookmarks; /* bookmarks are not among the events */
    char bookmark[SA_RESOURCE_VERSION_BYTES];
    bool ended;
    struct sa_error err;
};
struct watcher *watch_(struct world *w, const struct sa_kind *kind,
                       const struct sa_objects_select *select, const char *version);
void unwatch_(struct watcher *watcher);
/* Until it has that many events. */
void wait_events(struct watcher *watcher, size_t count);
/* The events as "+a ~a -a": names that were added, modified, deleted. */
const char *story(const struct watcher *watcher);

const struct thing_spec *spec_of(const struct sa_object *object);
const struct thing_status *status_of(const struct sa_object *object);
const char *version_of(const struct sa_object *object);
const char *name_of(const struct sa_object *object);
/* Runs the loop until the object is gone. */
void wait_gone(struct world *w, const struct sa_kind *kind, const char *name);

/* The tests of a file; ended by a NULL name. */
extern const struct CMUnitTest create_tests[], write_tests[], list_tests[], delete_tests[],
    owner_tests[], watch_tests[];
#define TEST(function)                                                                             \
    {                                                                                              \
#function, function, NULL, NULL, NULL                                                      \
    }
#define NO_MORE_TESTS                                                                              \
    {                                                                                              \
        NULL, NULL, NULL, NULL, NULL                                                               \
    }

#endif
