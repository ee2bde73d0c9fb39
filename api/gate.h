/*
 * The policies before what clients do: each thing that a client starts, reads, writes or changes
 * in a sandbox is asked about first, by one of the functions here, and done only when the answer
 * allows it. What a rule changed has then been put into what was asked about. A question whose
 * answer does not come, or is none, is a denial.
 *
 *     sa_gate_then(sa_gate_execute(&who, kind, &execute), request, go, user)
 *
 * Between question and answer other things happen: `go` looks the sandbox up again. Every route of
 * a sandbox says in its table which gate it has (enum sa_gate_point), and a test denies everything
 * and knocks at each. One loop thread.
 */
#ifndef SA_API_GATE_H
#define SA_API_GATE_H

#include "api/app.h"
#include "api/context.h"
#include "api/denial.h"
#include "model/packages.h"

struct sa_gate; /* a question under way */

struct sa_gate_who { /* for the time of the call */
    struct sa_app *app;
    const struct sa_principal *principal;
    const struct sa_sandbox *sandbox; /* NULL: there is none yet */
};

/* What is asked about is read, and changed, until the answer; it must live so long. */

/* kind: "code", "command", "terminal"; NULL: the former two, by what it is. */
struct sa_gate *sa_gate_execute(const struct sa_gate_who *who, const char *kind,
                                struct sa_execute *execute);
struct sa_gate *sa_gate_context(const struct sa_gate_who *who, struct sa_context_spec *spec);
struct sa_gate *sa_gate_port(const struct sa_gate_who *who, int port);

struct sa_gate_file {
    const char *operation; /* "read" ... (policy/points.h) */
    const char *path, *to; /* normal (sa_file_path_normal), as they will be used; `to` or NULL */
    int64_t bytes;         /* of a write, if known; else -1 */
    bool recursive;        /* of a list or watch */
};
struct sa_gate *sa_gate_file(const struct sa_gate_who *who, const struct sa_gate_file *file);

/* All of them must be allowed, by one generation of the rules. */
struct sa_gate *sa_gate_packages(const struct sa_gate_who *who, const struct sa_packages *packages);

struct sa_gate_admission {
    const char *operation;        /* "CREATE", "UPDATE", "DELETE" */
    const char *kind;             /* NULL: "Sandbox" */
    const char *object, *old;     /* kinds/admission.h; `old` or NULL */
    struct sa_arena *arena;       /* for what is put into: */
    struct sa_sandbox_spec *spec; /* what `object` says after all changes; NULL: of no interest */
    struct sa_buf *result;        /* gets `object` after all changes; NULL: of no interest */
    uint64_t *generation;         /* that allowed it; NULL: of no interest */
};
struct sa_gate *sa_gate_admission(const struct sa_gate_who *who,
                                  const struct sa_gate_admission *admission);

/* ---- the answer ---- */

/* `denial` is NULL when it is allowed. Once, from the loop; the gate is gone after it. */
typedef void (*sa_gate_cb)(void *user, const struct sa_denial *denial);

/* Right after asking. */
void sa_gate_on(struct sa_gate *gate, sa_gate_cb done, void *user);
/* The same for a request, which `go` goes on with; a denial is its answer. When the client leaves
 * before, nothing comes. */
void sa_gate_then(struct sa_gate *gate, struct sa_http_request *request, void (*go)(void *user),
                  void *user);
/* Nobody wants to know any more: nothing comes. NULL is allowed. */
void sa_gate_forget(struct sa_gate *gate);

#endif
