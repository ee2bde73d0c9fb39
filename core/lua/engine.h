/*
 * The rules in force, in a process: generations, reload, rollback, respawn, and the record of
 * decisions. It knows nothing of what a decision point means (core/policy does).
 *
 * A reload reads the folders (on a thread), starts a new worker on them, lets it compile and test,
 * asks it the recorded inputs of late (the canary) and compares, and then swaps: questions asked
 * from then on go to the new worker, those in flight are answered by the old one. Whatever fails
 * leaves the generation in force as it is. Reloads do not overlap: one that is asked for during
 * another follows it.
 *
 * A worker that dies is started anew on the same generation, at once and then with growing pauses
 * (50 ms to 5 s; reset by 10 s of health, or a few answers). What was in flight is asked again,
 * once and each question alone; the one that kills its worker then fails. New questions wait behind
 * those, up to `wait_ms` and 16,384 of them (in 32 MiB, with those in flight); then they fail with
 * SA_EUNAVAILABLE, and the decision point's default applies. An answer comes from one worker, and
 * so from one generation.
 *
 * One loop thread.
 */
#ifndef SA_LUA_ENGINE_H
#define SA_LUA_ENGINE_H

#include "lua/worker.h"
#include "metrics/metrics.h"
#include "json/write.h"

struct sa_engine;
struct sa_engine_call;

struct sa_engine_options {
    uv_loop_t *loop;
    struct sa_metrics *metrics;
    const char *program;     /* policy-worker */
    const char *const *dirs; /* shipped first, then the operator's */
    size_t dir_count;
    const char *state_path;         /* the last good generation is kept here; NULL: nowhere */
    bool watch;                     /* reload by itself when files change */
    const struct sa_buf *points;    /* as for workers */
    const char *const *point_names; /* in the same order; NULL at the end */
    struct sa_worker_limits limits;
    int64_t wait_ms; /* 0: 250 */
    /* Is a verdict what its point says? -1: it is not, and the default applies, also in record and
     * metrics. NULL: everything is. */
    int (*check)(void *owner, unsigned point, const struct sa_value *verdict, struct sa_error *err);
    /* A reload has ended (also the first one), a worker has died. For logs and events. */
    void (*changed)(void *owner, const struct sa_error *err);
    void *owner;
};

/* Loads the first generation; `ready` comes from the loop. When the folders do not load and
 * state_path has a last good generation, that one is in force, and the error is shown (and
 * `ready` has no error). With neither, `ready` has the error and the engine is to be freed. */
struct sa_engine *sa_engine_start(const struct sa_engine_options *options,
                                  void (*ready)(void *owner, const struct sa_error *err),
                                  struct sa_error *err);
/* Nothing is called any more but the close callbacks of its handles; frees itself. */
void sa_engine_stop(struct sa_engine *engine);

struct sa_verdict_meta {
    char id[32];         /* of the decision, "dec-..." */
    uint64_t generation; /* that decided, be it by having no rule; 0: none could be asked */
    int64_t micros;      /* from asking to the answer */
};
/* `verdict` NULL: err says why there is none (as sa_worker_cb). */
typedef void (*sa_engine_cb)(void *user, const struct sa_error *err, const struct sa_value *verdict,
                             const struct sa_verdict_meta *meta);
/* Never NULL; `done` comes from the loop, exactly once, unless forgotten. A point for which the
 * generation has no rule is answered without asking the worker: {verdict = the point's first
 * verdict, ran = []}. With SA_WIRE_TRACE in flags the verdict carries the trace, and nothing was
 * decided: it is neither counted nor recorded, and has no id. */
struct sa_engine_call *sa_engine_ask(struct sa_engine *engine, unsigned point, unsigned flags,
                                     const struct sa_buf *input, sa_engine_cb done, void *user);
void sa_engine_forget(struct sa_engine_call *call);

/* Number of the generation in force; 0 before the first. */
uint64_t sa_engine_generation(const struct sa_engine *engine);
/* Has the generation in force rules for the point? */
bool sa_engine_has_rules(const struct sa_engine *engine, unsigned point);

/* What it found, also when it failed: sa_engine_print_reload(). Several may wait for the same
 * reload. `done` comes from the loop and may be NULL. A digest that is in force already is a
 * success without a swap. */
typedef void (*sa_engine_reload_cb)(void *user, const struct sa_error *err);
void sa_engine_reload(struct sa_engine *engine, sa_engine_reload_cb done, void *user);
/* Back to an earlier generation (0: the one before this). It becomes a new number, and stays until
 * a reload. SA_ENOTFOUND: not kept (the last 8 are). */
void sa_engine_rollback(struct sa_engine *engine, uint64_t generation, sa_engine_reload_cb done,
                        void *user);
void sa_engine_reload_forget(struct sa_engine *engine, void *user);
/* The members of lastReload (below) into an open object. */
void sa_engine_print_reload(const struct sa_engine *engine, struct sa_json_w *w);

/* As JSON members of an open object: generation, digest, loadedAt, source ("files", "rollback",
 * "lastGood"), rules [{name, version, point, file, description, params, tests, calls, denials}],
 * lastReload {at, ok, changed, generation?, durationMs, errors [{file?, path?, line?, test?,
 * message}], tests {passed, failed, failures [{file, name, line?, message}]}, canary {inputs,
 * changed, errors, diff [{point, decision, before, after}]}}, history [{generation, digest,
 * loadedAt, rules}], worker {pid?, restarts, residentBytes?}. In errors, `file` is the bundle's
 * name ("policies/x.lua"), `path` where it was read from; failed tests are among them. */
void sa_engine_print(const struct sa_engine *engine, struct sa_json_w *w);
/* One rule in force, as members of an open object: as in `rules` above, and path, text, testText.
 * False: there is none of that name. */
bool sa_engine_print_rule(const struct sa_engine *engine, const char *name, struct sa_json_w *w);
/* The files in force; NULL before the first generation. Valid until the loop goes on. */
const struct sa_bundle *sa_engine_bundle(const struct sa_engine *engine);

/* ---- the record of decisions: the last 4096 in at most 8 MiB; denials outlast the others ---- */

struct sa_decision {
    const char *id;
    uint64_t sequence, generation;
    unsigned point;
    int64_t at_ms, micros;          /* wall clock */
    struct sa_value input, verdict; /* verdict NIL: the default applied */
    const char *error;              /* why, or NULL */
    bool denied;                    /* "deny", by a rule or as the point's default */
};
/* NULL when it is not kept any more. Valid until the loop goes on. */
const struct sa_decision *sa_engine_decision(const struct sa_engine *engine, const char *id);
/* The oldest after `sequence`. */
const struct sa_decision *sa_engine_decision_after(const struct sa_engine *engine,
                                                   uint64_t sequence);
struct sa_engine_listener { /* told of each decision as it is recorded */
    void (*decided)(struct sa_engine_listener *listener, const struct sa_decision *decision);
    struct sa_engine_listener *prev, *next;
};
void sa_engine_listen(struct sa_engine *engine, struct sa_engine_listener *listener);
void sa_engine_unlisten(struct sa_engine *engine, struct sa_engine_listener *listener);

#endif
