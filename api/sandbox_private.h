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
    char *fixed_json, *labels_json;
    int64_t created_ms, ready_ms, expires_ms, ended_ms; /* wall */
    int64_t created_us;                                 /* monotonic */
    struct waiter *creators, *deleters;
    struct sa_runtime_conn *conn;
    uv_timer_t timer; /* expiry, or the deadline of the creation */
    int64_t oom_kills;
    struct event *events;
    size_t event_count;
    int64_t last_seq;
};

struct sa_sandboxes {
    uv_loop_t *loop;
    struct sa_store *store;
    struct sa_node_client *node;
    struct sa_sandbox *by_id, *list;
    size_t count, max_running;
    uint64_t last_sequence;
    bool stopping;
    uv_timer_t stop_timer;
    void (*stopped)(void *user);
    void *stopped_user;
    void (*node_lost)(void *owner);
    void *owner;
    struct sa_metric *ended_total, *security_total;
    struct sa_series *create_seconds, *created_total, *running;
};

/* sandbox_record.c */
/* Insert or replace the record: whole each time, as an earlier write may have failed (a full
 * disk) while the sandbox went on. */
void sa_sandbox_record(struct sa_sandbox *sandbox);
void sa_sandbox_events_free(struct sa_sandbox *sandbox);
void sa_sandbox_set_fixed(struct sa_sandbox *sandbox, const char *const *controls,
                          size_t control_count, const char *const *weaker, size_t weaker_count);

#endif
