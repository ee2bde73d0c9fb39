/* What is asked of the node for a new sandbox, and what is refused before that. */
#include "api/sandbox_private.h"

#include "base/cleanup.h"
#include "nodelink/controls.h"

#include <stdio.h>
#include <string.h>

/* ---- sending, and once more where the node had forgotten the profile ---- */

static void send_create(struct sa_sandbox *s);

static void on_again(void *user, const struct sa_denial *denial,
                     const struct sa_security_answer *security)
{
    struct sa_sandbox *s = user;
    struct sa_node_reply failed = {.type = SA_NODE_FAILED, .error = denial ? &denial->error : NULL};
    (void)security;
    s->submission.again = NULL;
    if (denial)
        s->submission.done(s, &failed);
    else
        send_create(s);
}

static bool forgot(const struct sa_node_reply *reply)
{
    return reply->error && reply->error->code == SA_ENOTFOUND &&
           strcmp(reply->error->path, "profile") == 0;
}

static void on_reply(void *user, struct sa_node_reply *reply)
{
    struct sa_sandbox *s = user;
    struct submission *submission = &s->submission;
    if (forgot(reply) && !submission->tried_again && s->phase == SA_PHASE_CREATING) {
        submission->tried_again = true;
        submission->again = sa_security_again(s->all->security, s->profile, on_again, s);
        if (submission->again)
            return;
    }
    sa_buf_deinit(&submission->body);
    submission->done(s, reply);
}

static void send_create(struct sa_sandbox *s)
{
    sa_node_call(s->all->node, SA_NODE_CREATE, &s->submission.body, on_reply, s);
}

void sa_sandbox_withdraw(struct sa_sandbox *s)
{
    sa_security_forget(s->submission.again);
    s->submission.again = NULL;
}

void sa_sandbox_submit(struct sa_sandbox *sandbox, const struct sa_sandbox_spec *spec,
                       const struct sa_security_answer *security, sa_node_reply_cb done)
{
    /* The last three: there is no network, and npm and pip should say so at once, not after a
     * minute of retries; pip may install what was uploaded, since the system is read-only. */
    static const char *const defaults[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/etc/secureagent/bin",
        "HOME=/home/user",
        "USER=user",
        "LOGNAME=user",
        "LANG=C.UTF-8",
        "SHELL=/bin/bash",
        "TMPDIR=/tmp",
        "npm_config_fetch_retries=0",
        "PIP_RETRIES=0",
        "PIP_BREAK_SYSTEM_PACKAGES=1"};
    struct sa_arena *scratch = sa_arena_new();
    size_t count = 0;
    char **env = sa_arena_alloc(scratch, (SA_COUNT(defaults) + spec->env.count) * sizeof *env);
    for (size_t i = 0; i < SA_COUNT(defaults); i++)
        env[count++] = sa_arena_strdup(scratch, defaults[i]);
    for (size_t i = 0; i < spec->env.count; i++)
        env[count++] =
            sa_arena_printf(scratch, "%s=%s", spec->env.items[i].key, spec->env.items[i].value);
    const struct sa_lifecycle *l = &spec->lifecycle;
    size_t required = spec->required_controls.count;
    const size_t ruled = security->required.count;
    const char **require = sa_arena_alloc(scratch, (required + ruled + 1) * sizeof *require);
    if (required)
        memcpy(require, spec->required_controls.items, required * sizeof *require);
    if (ruled)
        memcpy(require + required, security->required.items, ruled * sizeof *require);
    required += ruled;
    if (l->on_timeout == SA_END_PAUSE || (l->idle_timeout_s && l->on_idle == SA_END_PAUSE))
        require[required++] = "cgroup.freezer"; /* what will be paused must have one */
    struct sa_node_spec node = {.memory_bytes = spec->resources.memory_bytes,
                                .cpu_millicores = spec->resources.cpu_millicores,
                                .pids = spec->resources.pids,
                                .storage_bytes = spec->resources.storage_bytes,
                                .inodes = spec->resources.inodes,
                                .env = env,
                                .env_count = count,
                                .require = (char **)(size_t)require,
                                .require_count = required};
    snprintf(node.id, sizeof node.id, "%s", sandbox->id);
    snprintf(node.profile, sizeof node.profile, "%s", security->profile);
    snprintf(node.runtime, sizeof node.runtime, "%s", spec->runtime);
    snprintf(node.hostname, sizeof node.hostname, "%s", spec->name ? spec->name : sandbox->id);
    sa_node_spec_encode(&node, &sandbox->submission.body);
    sandbox->submission.done = done;
    sa_sandbox_step(sandbox, SA_EVENT_SUBMITTED);
    send_create(sandbox);
    sa_arena_free(scratch);
}

static int check_controls(const struct sa_json_strings *required, struct sa_error *err)
{
    char path[48], known[400];
    for (size_t i = 0; i < required->count; i++) {
        if (sa_control_find(required->items[i]) >= 0)
            continue;
        snprintf(path, sizeof path, "requiredControls[%zu]", i);
        sa_control_list(known, sizeof known);
        return sa_error_at(err, SA_EINVALID, path, "%s: no control is called \"%s\"; there are %s",
                           path, required->items[i], known);
    }
    return 0;
}

int sa_sandbox_check_create(const struct sa_sandboxes *all, const struct sa_sandbox_spec *spec,
                            struct sa_error *err)
{
    size_t env_bytes = 0;
    for (size_t i = 0; i < spec->env.count; i++)
        env_bytes += strlen(spec->env.items[i].key) + strlen(spec->env.items[i].value) + 8;
    if (env_bytes > 32 * 1024)
        return sa_error_at(err, SA_EINVALID, "env",
                           "env: %zu bytes in all, at most 32768 can be delivered", env_bytes);
    if (check_controls(&spec->required_controls, err) < 0)
        return -1;
    if (spec->warm == SA_WARM_REQUIRE)
        return sa_error_at(err, SA_EUNAVAILABLE, "warm",
                           "no warm sandbox is ready; use \"prefer\" to accept a cold start");
    if (all->stopping)
        return sa_error_set(err, SA_EUNAVAILABLE, "the server is shutting down");
    if (all->count >= all->max_running)
        return sa_error_set(err, SA_EQUOTA,
                            "%zu sandboxes run here, which is the limit; delete some first",
                            all->count);
    return 0;
}
