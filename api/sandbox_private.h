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

/* A create that the node has not answered yet (sandbox_create.c). */
struct submission {
    struct sa_buf body; /* may hold secrets */
    sa_node_reply_cb done;
    struct sa_security_call *again; /* the node had forgotten the profile */
    bool tried_again;
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
    struct waiter *creators, *deleters, *pausers, *resumers;
    struct sa_runtime_conn *conn;
    uv_timer_t timer; /* the deadline of the creation, or of the node's word on its end */
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
    struct submission submission;
    struct event *events;
    size_t event_count;
    int64_t last_seq;
};

struct sa_sandboxes {
    uv_loop_t *loop;
    struct sa_store *store;
    struct sa_node_client *node;
    void (*node_asked)(void *user, const struct sa_error *err); /* NULL: nobody asks */
    void *node_asked_user;
    struct sa_security *security;
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
    void (*node_lost)(void *owner);
    void *owner;
    struct sa_metric *ended_total, *security_total;
    struct sa_series *create_seconds, *created_total, *running;
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

/* sandbox_create.c */
/* Ask the node for it. `done` as sa_node_call, unless withdrawn. */
void sa_sandbox_submit(struct sa_sandbox *sandbox, const struct sa_sandbox_spec *spec,
                       const struct sa_security_answer *security, sa_node_reply_cb done);
/* Nothing more is sent; what was sent is not taken back. */
void sa_sandbox_withdraw(struct sa_sandbox *sandbox);

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
void sa_sandbox_events_free(struct sa_sandbox *sandbox);
void sa_sandbox_set_fixed(struct sa_sandbox *sandbox, const char *const *controls,
                          size_t control_count, const char *const *weaker, size_t weaker_count);

#endif
