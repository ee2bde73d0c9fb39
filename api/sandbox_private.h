/* What the files of sandbox*.c share. */
#ifndef SA_API_SANDBOX_PRIVATE_H
#define SA_API_SANDBOX_PRIVATE_H

#include "api/sandbox.h"

#include <uthash.h>
#include <utlist.h>

enum { EVENTS_KEPT = 256 };

struct event {
    struct event *prev, *next;
    int64_t seq, time_ms, count;
    char type[16], reason[64];
    char *message;
};

struct waiter {
    struct waiter *prev, *next;
    sa_sandbox_done done;
    void *user;
};

/* Where the freezer is on its way to. */
enum pausing {
    PAUSE_NOT,
    PAUSE_HOLDING,  /* the runtime is told to stop its clock */
    PAUSE_FREEZING, /* the node is asked to freeze */
    PAUSE_FROZEN,
    PAUSE_THAWING,
};

/* What was published of it in its object. */
struct published {
    int64_t expires_ms, paused_ms;
};

struct settings_write {
    struct settings_write *prev, *next;
    struct sa_sandbox *sandbox;
    struct sa_objects_call *call;
};

struct sa_sandbox {
    UT_hash_handle hh;
    struct sa_sandbox *prev, *next; /* newest first */
    struct sa_sandboxes *all;
    char id[SA_ID_BYTES];
    uint64_t sequence;
    struct sa_arena *arena; /* spec and owner */
    struct sa_sandbox_spec spec;
    struct sa_owner owner;
    enum sa_phase phase;
    char reason[64];
    char message[512];
    struct sa_error failure; /* of the creation */
    char profile[SA_PROFILE_ID_BYTES];
    uint64_t generation; /* of the rules that decided the profile */
    char *fixed_json, *labels_json;
    int64_t created_ms, ready_ms, expires_ms, ended_ms; /* wall */
    int64_t created_us;                                 /* monotonic */
    struct waiter *creators, *deleters, *pausers, *resumers, *writers;
    struct sa_claim_call *claim;     /* under way */
    bool object;                     /* there is a Sandbox object of it */
    bool warm;                       /* from a pool */
    struct sa_json_strings required; /* controls */
    char pod[SA_ID_BYTES];           /* "": none yet */
    struct sa_agent_user user;       /* of the pod, while it has one */
    bool attached;
    bool adopted;        /* made of an object that was there */
    struct sa_buf setup; /* what is personal, until it is delivered: may hold secrets */
    bool delivered;
    struct sa_runtime_conn *conn; /* the agent's; NULL: not to be had now */
    struct published published;
    struct sa_objects_call *publishing;
    struct settings_write *settings_writes; /* under way */
    uv_timer_t timer; /* the deadline of the creation, or of the runtime's clock */
    uv_timer_t clock; /* the first of `timers` */
    int open_handles;
    struct sa_sandbox_timer *timers; /* by due_ms */
    struct sa_sandbox_timer expiry, idle;
    int64_t clock_stopped_ms, clock_behind_ms; /* 0: it goes; paused so long in all */
    enum pausing pausing;
    struct sa_call *hold; /* while PAUSE_HOLDING */
    bool pause_wanted;
    bool pause_if_idle; /* a use on the way calls it off */
    bool expired;       /* paused because its timeout was over: resumed, it has it anew */
    bool can_pause;     /* it has a freezer */
    struct sa_policy_call *ending; /* the policies are asked what comes of a timeout */
    bool ending_idle;
    int64_t extensions; /* of the timeout that runs */
    unsigned users;
    int64_t idle_ms, paused_ms; /* wall: since when; 0: not */
    struct sa_sandbox_watch *watches;
    struct sa_arena *settings; /* labels, annotations */
    char *settings_json;
    uint64_t revision; /* of the settings */
    int64_t oom_kills;
    struct event *events;
    size_t event_count;
    int64_t last_seq;
};

/* Its session is over, and its object on the way out. */
struct parting {
    UT_hash_handle hh;
    char id[SA_ID_BYTES];
};

struct sa_sandboxes {
    uv_loop_t *loop;
    struct sa_store *store;
    struct sa_objects *objects;
    const struct sa_caches *caches;
    struct sa_claims *claims;
    struct sa_agent *agent;
    struct sa_node_client *node;
    struct sa_security *security;
    const char *instance;
    struct sa_informer_handler handler;
    struct parting *parting;
    struct adoption *adoptions; /* events of theirs are being read */
    struct recovery *recovery;  /* sandbox_recover.c */
    struct sa_sandbox *by_id, *list;
    size_t count, max_running;
    uint64_t last_sequence;
    bool stopping;
    uv_timer_t stop_timer;
    void (*stopped)(void *user);
    void *stopped_user;
    struct sa_policy *policy;
    int64_t (*running_in)(void *owner, const char *id);
    void (*ended)(void *owner, const char *id);
    void *owner;
    struct sa_metric *ended_total, *security_total;
    struct sa_series *create_warm_seconds, *create_cold_seconds, *created_total, *running;
};

/* sandbox.c */
/* Apply an event. Returns true when the sandbox has ended, and is gone. */
bool sa_sandbox_step(struct sa_sandbox *sandbox, enum sa_lifecycle_event event);
void sa_sandbox_fail(struct sa_sandbox *sandbox, enum sa_lifecycle_event event, const char *reason,
                     const struct sa_error *error);
void sa_sandbox_add_waiter(struct waiter **list, sa_sandbox_done done, void *user);
void sa_sandbox_call_waiters(struct sa_sandbox *sandbox, struct waiter **list,
                             const struct sa_error *err);
void sa_sandbox_changed(struct sa_sandbox *sandbox);
struct sa_sandbox *sa_sandbox_new(struct sa_sandboxes *all, const char *id,
                                  const struct sa_sandbox_spec *spec, const struct sa_owner *owner);

/* sandbox_create.c */
/* Claim a pod for it, or have one made; the object is created with it. */
void sa_sandbox_claim(struct sa_sandbox *sandbox, const struct sa_sandbox_spec *spec,
                      const struct sa_security_answer *security);

/* sandbox_pod.c */
void sa_sandbox_attach(struct sa_sandbox *sandbox);
/* Calls of it end, and nothing of the pod is heard any more. */
void sa_sandbox_detach(struct sa_sandbox *sandbox);
/* That it has its environment is written; `err`: it could not be. */
void sa_sandbox_set_up(struct sa_sandbox *sandbox, const struct sa_error *err);

/* sandbox_object.c */
void sa_sandboxes_follow(struct sa_sandboxes *all);
void sa_sandboxes_unfollow(struct sa_sandboxes *all);
/* Delete the object; its end comes by the informer. */
void sa_sandbox_delete_object(struct sa_sandbox *sandbox);
/* It has its environment: from now on it outlives this process. sa_sandbox_set_up() follows. */
void sa_sandbox_publish_delivery(struct sa_sandbox *sandbox);
/* Its timeouts: written where they differ. */
void sa_sandbox_publish(struct sa_sandbox *sandbox);
/* Labels, annotations, timeout and lifecycle have changed from `before`. */
void sa_sandbox_publish_settings(struct sa_sandbox *sandbox, const struct sa_sandbox_spec *before);
void sa_sandbox_publish_forget(struct sa_sandbox *sandbox);

/* sandbox_adopt.c */
/* A session for an object that has none, if it is to have one. */
void sa_sandbox_adopt(struct sa_sandboxes *all, const struct sa_object *object);
/* May this process go on with it? What another one had in its memory is lost. */
bool sa_sandbox_adoptable(const struct sa_sandboxes *all, const struct sa_object *object);
/* It can be reached: its timeouts go on from where they were. */
void sa_sandbox_resume_adopted(struct sa_sandbox *sandbox);
void sa_sandboxes_forget_adoptions(struct sa_sandboxes *all);

/* sandbox_recover.c */
void sa_sandboxes_recover_forget(struct sa_sandboxes *all);

/* sandbox_clock.c */
void sa_sandbox_clock_init(struct sa_sandbox *sandbox);
void sa_sandbox_clock_stop(struct sa_sandbox *sandbox);
void sa_sandbox_clock_go(struct sa_sandbox *sandbox);
/* Milliseconds until it is due. */
int64_t sa_sandbox_timer_left(const struct sa_sandbox *sandbox,
                              const struct sa_sandbox_timer *timer);

/* sandbox_settings.c */
void sa_sandbox_copy_spec(struct sa_sandbox *sandbox, const struct sa_sandbox_spec *spec);
/* It runs: its timeouts begin. */
void sa_sandbox_begin_timeouts(struct sa_sandbox *sandbox);
void sa_sandbox_begin_expiry(struct sa_sandbox *sandbox);
void sa_sandbox_begin_idle(struct sa_sandbox *sandbox);

/* sandbox_end.c */
/* A timeout is over; `idle`: the idle one. */
void sa_sandbox_ask_end(struct sa_sandbox *sandbox, bool idle);
void sa_sandbox_forget_end(struct sa_sandbox *sandbox);

/* sandbox_pause.c */
/* It is ending: whoever waits for a pause or a resume learns it. */
void sa_sandbox_pause_over(struct sa_sandbox *sandbox);

/* sandbox_record.c */
/* Insert or replace the record: whole each time, as an earlier write may have failed (a full
 * disk) while the sandbox went on. */
void sa_sandbox_record(struct sa_sandbox *sandbox);
/* What the store has of it; before any event of its own. */
void sa_sandbox_take_events(struct sa_sandbox *sandbox, const struct sa_store_event_page *page);
void sa_sandbox_events_free(struct sa_sandbox *sandbox);
void sa_sandbox_set_fixed(struct sa_sandbox *sandbox, const char *const *controls,
                          size_t control_count, const char *const *weaker, size_t weaker_count);

#endif
