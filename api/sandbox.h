/*
 * The sandboxes that live now, as the API works with them: each is a session over the Sandbox
 * object of the same name. It claims a pod (claim/claim.h), delivers what is personal over the
 * link, and has the timeouts, the freezer, who uses it, and its events. What is so is in the object
 * store, and controllers make it so: a session ends when the object is gone, and after a restart
 * sessions are made anew of the objects that are there. One loop thread. Ended sandboxes leave
 * memory; their record stays in the store.
 */
#ifndef SA_API_SANDBOX_H
#define SA_API_SANDBOX_H

#include "agent/agent.h"
#include "claim/claim.h"
#include "metrics/metrics.h"
#include "model/sandbox.h"
#include "store/store.h"

struct sa_policy;
struct sa_policy_sandbox;
struct sa_sandboxes;
struct sa_sandbox;

struct sa_sandboxes_options {
    uv_loop_t *loop;
    struct sa_store *store;
    struct sa_metrics *metrics;
    /* All of them outlive the sandboxes. */
    struct sa_objects *objects;
    const struct sa_caches *caches;
    struct sa_claims *claims;
    struct sa_agent *agent;
    struct sa_node_client *node;
    struct sa_security *security;
    const char *instance;     /* this process, as the maker of sandboxes */
    struct sa_policy *policy; /* decides what comes of timeouts */
    /* How many executions run in it; NULL: nobody counts. */
    int64_t (*running)(void *owner, const char *id);
    size_t max_running;                         /* more creates answer SA_EQUOTA; 0: 1000 */
    void (*ended)(void *owner, const char *id); /* nothing of the sandbox is left */
    void *owner;
};

struct sa_sandboxes *sa_sandboxes_new(const struct sa_sandboxes_options *options);
/* End every sandbox with `reason`, and refuse new ones. `done` comes, from the loop, when all
 * are gone or after `deadline_ms`. */
void sa_sandboxes_stop(struct sa_sandboxes *all, const char *reason, int64_t deadline_ms,
                       void (*done)(void *user), void *user);
void sa_sandboxes_free(struct sa_sandboxes *all);
/* After a start: sessions are made of the objects that are there, and records of sandboxes that are
 * no more are closed. `done` comes once all is in place; not if the registry is freed before. */
void sa_sandboxes_recover(struct sa_sandboxes *all, void (*done)(void *user), void *user);
/* That is under way: what is not there may yet come. */
bool sa_sandboxes_recovering(const struct sa_sandboxes *all);
bool sa_sandboxes_node_is_up(const struct sa_sandboxes *all);
struct sa_store *sa_sandboxes_store(const struct sa_sandboxes *all);
/* To be asked before a sandbox is made. */
struct sa_security *sa_sandboxes_security(const struct sa_sandboxes *all);

/* Who made it. */
struct sa_owner {
    const char *key_id, *key_name;
};

/* `err` is NULL when it runs. Never called from within sa_sandbox_create(). The sandbox is valid
 * during the call even if it failed. */
typedef void (*sa_sandbox_done)(void *user, struct sa_sandbox *sandbox, const struct sa_error *err);

/* May it be made, as far as can be said without asking anybody? */
int sa_sandbox_check_create(const struct sa_sandboxes *all, const struct sa_sandbox_spec *spec,
                            struct sa_error *err);
/* `id` is new ("sb-", base/id.h); all texts are copied. NULL when it is refused at once (`done` is
 * not called then). `done` may be NULL. */
struct sa_sandbox *sa_sandbox_create(struct sa_sandboxes *all, const char *id,
                                     const struct sa_sandbox_spec *spec,
                                     const struct sa_owner *owner,
                                     const struct sa_security_answer *security,
                                     sa_sandbox_done done, void *user, struct sa_error *err);
/* While it is being made: `done` comes, as to its creator, and true is returned. */
bool sa_sandbox_await_creation(struct sa_sandbox *sandbox, sa_sandbox_done done, void *user);
/* The creator went away: do not call `done` of this user. */
void sa_sandbox_forget(struct sa_sandbox *sandbox, void *user);

/* NULL when no such sandbox lives. */
struct sa_sandbox *sa_sandbox_find(struct sa_sandboxes *all, const char *id);
/* Newest first; NULL at the end. */
struct sa_sandbox *sa_sandbox_first(struct sa_sandboxes *all);
struct sa_sandbox *sa_sandbox_next(struct sa_sandbox *sandbox);
/* The one made just before `sequence` (as sa_sandbox_sequence), for paging. */
struct sa_sandbox *sa_sandbox_before(struct sa_sandboxes *all, uint64_t sequence);
uint64_t sa_sandbox_sequence(const struct sa_sandbox *sandbox);

const char *sa_sandbox_id(const struct sa_sandbox *sandbox);
const char *sa_sandbox_owner(const struct sa_sandbox *sandbox); /* key id */
enum sa_phase sa_sandbox_phase(const struct sa_sandbox *sandbox);
const struct sa_sandbox_spec *sa_sandbox_spec(const struct sa_sandbox *sandbox);
struct sa_sandboxes *sa_sandbox_all(struct sa_sandbox *sandbox);
void sa_sandbox_view_fill(const struct sa_sandbox *sandbox, struct sa_sandbox_view *view);
/* What the policies are told of it (policy/points.h); texts are the sandbox's. */
void sa_sandbox_facts(const struct sa_sandbox *sandbox, struct sa_policy_sandbox *facts);
int64_t sa_sandbox_oom_kills(const struct sa_sandbox *sandbox);

/* The link of a running sandbox; NULL and SA_ECONFLICT with the phase otherwise. This is a use: a
 * paused sandbox that resumes on use begins to, and what is sent over the link meanwhile waits in
 * it; one that does not is a conflict. */
struct sa_runtime_conn *sa_sandbox_conn(struct sa_sandbox *sandbox, struct sa_error *err);
/* The same, for a use that has its stream already (input, a signal). */
int sa_sandbox_use(struct sa_sandbox *sandbox, struct sa_error *err);

/* Somebody is at work with it: a running execution, an open terminal, a request. While nobody is,
 * its idle timeout counts. In pairs; not after the sandbox has ended. */
void sa_sandbox_hold(struct sa_sandbox *sandbox);
void sa_sandbox_release(struct sa_sandbox *sandbox);

/* Timers that do not count while the sandbox is paused, for its timeouts and those of what runs
 * in it. A one-shot; embedded in what it serves, zeroed before its first use. Dropped, without
 * firing, when the sandbox ends. */
struct sa_sandbox_timer {
    void (*fire)(struct sa_sandbox_timer *timer);
    int64_t due_ms; /* by the sandbox's own clock */
    bool armed;
    struct sa_sandbox_timer *prev, *next;
};
void sa_sandbox_timer_set(struct sa_sandbox *sandbox, struct sa_sandbox_timer *timer,
                          int64_t delay_ms);
void sa_sandbox_timer_clear(struct sa_sandbox *sandbox, struct sa_sandbox_timer *timer);

/* Freeze it, and thaw it: 1 when it is there already, -1 when it cannot be, 0 when `done` (may be
 * NULL) will come from the loop. Errors: SA_ECONTROL, the node has no freezer; SA_ECONFLICT, its
 * phase does not allow it, or the opposite was asked for meanwhile. */
int sa_sandbox_pause(struct sa_sandbox *sandbox, sa_sandbox_done done, void *user,
                     struct sa_error *err);
int sa_sandbox_resume(struct sa_sandbox *sandbox, sa_sandbox_done done, void *user,
                      struct sa_error *err);

/* Give it the labels, annotations, lifecycle and timeout of `next` (copied). With `timeout_anew`
 * the timeout begins now. */
int sa_sandbox_update(struct sa_sandbox *sandbox, const struct sa_sandbox_spec *next,
                      bool timeout_anew, struct sa_error *err);

/* Is all that clients changed written to its object, so that it outlives this process? 1: it is; 0:
 * `done` will come from the loop, with an error when something could not be written. */
int sa_sandbox_await_written(struct sa_sandbox *sandbox, sa_sandbox_done done, void *user);

/* Grows with each update of the settings. */
uint64_t sa_sandbox_revision(const struct sa_sandbox *sandbox);

/* Be told of what happens to it: a change of phase or settings, an event; the last time when it
 * has ended (the watch is off then). `changed` may take its own watch off, and no other. */
struct sa_sandbox_watch {
    void (*changed)(struct sa_sandbox_watch *watch, struct sa_sandbox *sandbox);
    bool on;
    struct sa_sandbox_watch *prev, *next;
};
void sa_sandbox_watch(struct sa_sandbox *sandbox, struct sa_sandbox_watch *watch);
/* Harmless when it is off. */
void sa_sandbox_unwatch(struct sa_sandbox *sandbox, struct sa_sandbox_watch *watch);

/* End it. `done` (may be NULL) comes once nothing of it is left; several may wait. */
void sa_sandbox_delete(struct sa_sandbox *sandbox, const char *reason, const char *message,
                       sa_sandbox_done done, void *user);

/* Ask the node for its figures; `done` as sa_node_call. */
void sa_sandbox_stats(struct sa_sandbox *sandbox, sa_node_reply_cb done, void *user);
void sa_sandbox_stats_forget(struct sa_sandboxes *all, void *user);

/* Record something that happened to it. */
void sa_sandbox_event(struct sa_sandbox *sandbox, const char *type, const char *reason,
                      const char *message, int64_t count);
/* The oldest event with seq > after; false when there is none. The newest 256 are in memory. Valid
 * until the next event. */
bool sa_sandbox_event_after(const struct sa_sandbox *sandbox, int64_t after,
                            struct sa_store_event *event);
void sa_event_print(const struct sa_store_event *event, struct sa_json_w *w);

#endif
