/* The policies of a server, from start to stop; see policies.h. */
#include "api/policies.h"

#include "base/cleanup.h"

static void on_ready(void *owner, const struct sa_error *err)
{
    struct sa_app *app = owner;
    app->policies_ready = !err;
    app->policies_told(app->policies_owner, err);
}

/* A reload has ended, or a worker has died: the next create shall find its filters compiled. */
static void on_changed(void *owner, const struct sa_error *err)
{
    const struct sa_app *app = owner;
    (void)err;
    if (app->sandboxes)
        sa_security_warm(sa_sandboxes_security(app->sandboxes));
}

static void on_denied(void *owner, const struct sa_decision *decision)
{
    const struct sa_app *app = owner;
    sa_policy_events_add(app->policy_events, decision);
}

int sa_policies_start(struct sa_app *app, const struct sa_policies_options *options,
                      struct sa_error *err)
{
    sa_autofree char *state = sa_printf("%s/policies", options->data_dir);
    const struct sa_policy_options o = {.loop = app->loop,
                                        .metrics = app->metrics,
                                        .dirs = options->dirs,
                                        .dir_count = options->dir_count,
                                        .state_path = state,
                                        .watch = true,
                                        .changed = on_changed,
                                        .denied = on_denied,
                                        .owner = app};
    app->policies_told = options->ready;
    app->policies_owner = options->owner;
    app->policy_events = sa_policy_events_new(app);
    app->policy = sa_policy_start(&o, on_ready, err);
    return app->policy ? 0 : -1;
}

void sa_policies_stop(struct sa_app *app)
{
    sa_policy_stop(app->policy);
    sa_policy_events_free(app->policy_events);
    app->policy = NULL;
    app->policy_events = NULL;
    app->policies_ready = false;
}

void sa_policies_reload(struct sa_app *app)
{
    if (app->policies_ready)
        sa_engine_reload(sa_policy_engine(app->policy), NULL, NULL);
}
