/*
 * The policies of a server: started with it, reloaded, told about. Decisions are asked for through
 * api/gate.h. One loop thread.
 */
#ifndef SA_API_POLICIES_H
#define SA_API_POLICIES_H

#include "api/app.h"
#include "policy/policy.h"

struct sa_policies_options {
    const char *const *dirs; /* of the operator, over the shipped rules */
    size_t dir_count;
    const char *data_dir; /* keeps the last good generation */
    /* Rules are in force; or (err) there are none, and the server must not serve. */
    void (*ready)(void *owner, const struct sa_error *err);
    void *owner;
};
/* Sets app->policy. */
int sa_policies_start(struct sa_app *app, const struct sa_policies_options *options,
                      struct sa_error *err);
/* Nobody asks any more. */
void sa_policies_stop(struct sa_app *app);
/* As SIGHUP asks for; what comes of it is logged, and in GET /policies. */
void sa_policies_reload(struct sa_app *app);

/* policy_events.c: denials as events of their sandboxes. The first of a rule is told at once, what
 * follows within seconds is counted. */
struct sa_policy_events;
struct sa_policy_events *sa_policy_events_new(struct sa_app *app);
void sa_policy_events_free(struct sa_policy_events *events); /* NULL is allowed */
void sa_policy_events_add(struct sa_policy_events *events, const struct sa_decision *decision);

/* One decision as the JSON of api/openapi/policies.yaml. */
void sa_decision_print(const struct sa_decision *decision, struct sa_json_w *w);
/* What rule and reason a decision has; "" for none. They end with the decision. */
struct sa_http_text sa_decision_rule(const struct sa_decision *decision);
struct sa_http_text sa_decision_reason(const struct sa_decision *decision);
/* The id of the sandbox that it is about; "" for none. */
struct sa_http_text sa_decision_sandbox(const struct sa_decision *decision);

/* The server stops: streams of decisions end. */
void sa_policy_follows_end(struct sa_app *app);

sa_api_handler sa_handle_list_decisions, sa_handle_get_decision, sa_handle_explain;

#endif
