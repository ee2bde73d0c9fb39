/* Questions to the policies, from being asked to being answered; see gate.h. */
#include "api/gate_private.h"

#include <stdlib.h>

const char *sa_gate_point_name(enum sa_gate_point point)
{
    static const char *const names[] = {"none",    "reads", "steers",  "admission",
                                        "execute", "files", "packages"};
    return names[point];
}

struct sa_gate *gate_new(void)
{
    return sa_alloc(sizeof(struct sa_gate));
}

void sa_gate_forget(struct sa_gate *gate)
{
    if (!gate)
        return;
    for (size_t i = 0; i < gate->call_count; i++)
        sa_policy_forget(gate->calls[i]);
    free(gate->packages);
    free(gate);
}

/* The first answer that denies is the answer to all. */
static void finish(struct sa_gate *gate, const struct sa_denial *denial)
{
    gate->done(gate->user, denial);
    sa_gate_forget(gate);
}

void gate_answered(struct sa_gate *gate, const struct sa_policy_verdict *verdict)
{
    if (!verdict->allowed) {
        const struct sa_denial denial = sa_denial_of(verdict);
        finish(gate, &denial);
    } else if (--gate->left == 0) {
        finish(gate, NULL);
    }
}

void gate_fail(struct sa_gate *gate, const struct sa_policy_verdict *verdict,
               const struct sa_error *error)
{
    const struct sa_denial denial = sa_denial_with(verdict, error);
    finish(gate, &denial);
}

void sa_gate_on(struct sa_gate *gate, sa_gate_cb done, void *user)
{
    gate->done = done;
    gate->user = user;
}

/* ---- of a request ---- */

struct passage { /* in the request's arena */
    struct sa_gate *gate;
    struct sa_http_request *request;
    void (*go)(void *user);
    void *user;
};

static void on_request_answer(void *user, const struct sa_denial *denial)
{
    struct passage *p = user;
    sa_http_request_on_closed(p->request, NULL, NULL);
    if (denial)
        sa_respond_denial(p->request, denial);
    else
        p->go(p->user);
}

static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct passage *p = user;
    (void)request;
    sa_gate_forget(p->gate);
}

void sa_gate_then(struct sa_gate *gate, struct sa_http_request *request, void (*go)(void *user),
                  void *user)
{
    struct passage *p = sa_arena_alloc(sa_http_request_arena(request), sizeof *p);
    *p = (struct passage){gate, request, go, user};
    sa_gate_on(gate, on_request_answer, p);
    sa_http_request_on_closed(request, on_client_gone, p);
}
