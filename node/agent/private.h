/* What the files of this folder share. */
#ifndef SA_AGENT_PRIVATE_H
#define SA_AGENT_PRIVATE_H

#include "agent/agent.h"
#include "agent/state.h"

#include "base/cleanup.h"
#include "objects/recorder.h"

#include <uthash.h>
#include <utlist.h>

/* Controls in force and what is weaker: the same for most pods of a node, so they share it. */
struct sa_agent_fact {
    UT_hash_handle hh;
    struct sa_agent_facts facts;
    unsigned refs;
    char *controls; /* joined by commas */
    struct sa_arena *arena;
    struct sa_buf key;
};

/* What a Pod's status says of it. */
enum sa_agent_word {
    SA_AGENT_SILENT,
    SA_AGENT_SAYS_READY,
    SA_AGENT_SAYS_UNREADY,
    SA_AGENT_SAYS_FAILED
};

enum sa_agent_timer {
    SA_AGENT_NO_TIMER,
    SA_AGENT_START_TIMER,  /* until it is ready for the first time */
    SA_AGENT_GRACE_TIMER,  /* for the node's word on why a link was lost */
    SA_AGENT_ATTACH_TIMER, /* until it is ready again */
    SA_AGENT_TIMERS
};

enum sa_agent_turn {
    SA_AGENT_SOON,  /* somebody waits for it */
    SA_AGENT_LATER, /* it is for a pool */
    SA_AGENT_TURNS
};

struct sa_agent_failure {
    char reason[64];
    struct sa_error error;
};

struct sa_agent_pod {
    UT_hash_handle hh; /* by name */
    struct sa_agent *agent;
    char *key, *uid; /* of the Pod; NULL: none was seen yet */
    enum sa_agent_state state;
    enum sa_agent_turn turn;
    bool ran;                         /* it was ready once */
    bool severed;                     /* its link was lost, and it is not ready again */
    bool listed;                      /* the node runs it, as it has just said */
    bool profile_again, create_again; /* once each */
    bool dirty, tell;
    bool heard;     /* the cache has shown `said` */
    bool annotated; /* the Pod says which controls are in force */
    unsigned attaches;
    struct sa_agent_failure *failure; /* NULL while it has not failed */
    struct sa_runtime_conn *conn;
    struct sa_agent_fact *fact;
    struct sa_security_call *security;
    int64_t seen_us, linked_ms; /* monotonic */
    int64_t ready_ms;           /* wall */
    struct sa_agent_user *users;
    enum sa_agent_word said, saying;
    struct sa_objects_call *status, *annotation, *finalizer; /* writes on their way */
    enum sa_agent_timer timer;
    int64_t due_ms;
    struct sa_agent_pod *prev, *next;             /* in the queue */
    struct sa_agent_pod *prev_due, *next_due;     /* of the same timer, by time */
    struct sa_agent_pod *prev_dirty, *next_dirty; /* something is to be written */
    struct sa_agent_pod *prev_tell, *next_tell;   /* a user is to be told */
    char name[];
};

struct sa_agent {
    struct sa_agent_options options;
    char *name;
    struct sa_informer_handler handler;
    struct sa_agent_pod *pods;
    struct sa_agent_fact *facts;
    struct sa_recorder *recorder;
    struct sa_agent_pod *queue[SA_AGENT_TURNS];
    unsigned making[SA_AGENT_TURNS];
    bool listed; /* the node has said what it runs */
    bool walking, pumping;
    char (*running)[SA_ID_BYTES]; /* what it said */
    size_t running_count, running_room;
    int64_t running_place; /* the part that was asked for last */
    bool adopted;          /* and it was compared with the Pods */
    bool known;            /* it was before, by this process */
    unsigned lost;         /* pods that it had no more, in this comparison */
    int64_t lengths_ms[SA_AGENT_TIMERS];
    struct sa_agent_pod *due[SA_AGENT_TIMERS];
    struct counting *countings;
    struct sa_agent_pod *dirty, *tell;
    uv_timer_t timer, adopt, repair;
    uv_idle_t writer, teller;
    unsigned handles;
    struct sa_series *states[SA_AGENT_STATE_COUNT];
    struct sa_series *start_seconds;
    struct sa_metric *failures;
};

/* pod.c */
struct sa_agent_pod *sa_agent_find(const struct sa_agent *agent, const char *name);
struct sa_agent_pod *sa_agent_pod_of(struct sa_agent *agent, const char *name); /* made if new */
/* Apply an event and do what the new state needs. The pod may be gone after it. */
void sa_agent_step(struct sa_agent_pod *pod, enum sa_agent_event event);
/* The same, and why, for events that end it. */
void sa_agent_fail(struct sa_agent_pod *pod, enum sa_agent_event event, const char *reason,
                   const struct sa_error *error);
/* Free it when neither a Pod nor a user nor the node has it. */
void sa_agent_let_go(struct sa_agent_pod *pod);
void sa_agent_pod_free(struct sa_agent_pod *pod);
void sa_agent_make_series(struct sa_agent *agent);

/* observe.c */
/* Look at the Pod in the cache. */
void sa_agent_observe(struct sa_agent *agent, const struct sa_object *object);
const struct sa_object *sa_agent_cached(const struct sa_agent_pod *pod); /* NULL: it is gone */
void sa_agent_adopt_soon(struct sa_agent *agent);
void sa_agent_on_changed(struct sa_informer_handler *handler, const struct sa_object *before,
                         const struct sa_object *now);
void sa_agent_on_adopt(uv_timer_t *timer);
/* All pods; none goes meanwhile. */
void sa_agent_each(struct sa_agent *agent, void (*act)(struct sa_agent_pod *pod));

/* queue.c */
void sa_agent_queue(struct sa_agent_pod *pod);
void sa_agent_unqueue(struct sa_agent_pod *pod);
/* Give as many their turn as may be made at once. */
void sa_agent_pump(struct sa_agent *agent);

/* calls.c */
extern const struct sa_node_client_events sa_agent_node_events;
void sa_agent_create(struct sa_agent_pod *pod);
void sa_agent_destroy(struct sa_agent_pod *pod);
void sa_agent_attach(struct sa_agent_pod *pod);
/* Another node may have it, and other facts. */
void sa_agent_refresh(struct sa_agent_pod *pod);
void sa_agent_list(struct sa_agent *agent);
/* What was asked of the node is not waited for any more. */
void sa_agent_forget_calls(struct sa_agent_pod *pod);
void sa_agent_destroy_stray(struct sa_agent *agent, const char *id);

/* link.c */
void sa_agent_connect(struct sa_agent_pod *pod, int fd);
void sa_agent_disconnect(struct sa_agent_pod *pod, const char *why);

/* facts.c */
bool sa_agent_take_facts(struct sa_agent_pod *pod, struct sa_fields fields);
void sa_agent_drop_facts(struct sa_agent_pod *pod);

/* counts.c: they end, and nobody is told. */
void sa_agent_drop_counts(struct sa_agent *agent);

/* users.c */
/* Tell every user what it has not been told. */
void sa_agent_tell(struct sa_agent_pod *pod);
void sa_agent_tell_soon(struct sa_agent_pod *pod);
void sa_agent_tell_stopped(struct sa_agent_pod *pod, const struct sa_error *why);
void sa_agent_tell_changed(struct sa_agent_pod *pod);
void sa_agent_tell_oom(struct sa_agent_pod *pod, int64_t kills);
void sa_agent_tell_denied(struct sa_agent_pod *pod, const char *syscall, const char *program,
                          int64_t count);

/* timers.c */
void sa_agent_start_timer(struct sa_agent_pod *pod, enum sa_agent_timer timer);
void sa_agent_stop_timer(struct sa_agent_pod *pod);
void sa_agent_on_timer(uv_timer_t *timer);

/* status.c */
/* Write what has changed, once users have been served. */
void sa_agent_write_soon(struct sa_agent_pod *pod);
/* The cache has shown it: is it what was written? */
void sa_agent_check_status(struct sa_agent_pod *pod, const struct sa_object *object);
void sa_agent_on_writer(uv_idle_t *idle);
void sa_agent_on_repair(uv_timer_t *timer);
void sa_agent_forget_writes(struct sa_agent_pod *pod);
/* A Pod that cannot run here because its name is taken at the node. */
void sa_agent_refuse_twin(struct sa_agent *agent, const struct sa_object *object);

/* spec.c */
/* The body of its CREATE. SA_EINVALID: the Pod is none that this node can run. */
int sa_agent_spec(const struct sa_object *pod, struct sa_buf *body, struct sa_error *err);

#endif
