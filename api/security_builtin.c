/* The context of the level standard, until rules decide it. */
#include "api/security_rules.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

const char *const sa_languages[SA_LANGUAGE_COUNT] = {"default", "python", "node", "bash", "go"};

struct sa_rules_call {
    uv_timer_t timer;
    char level[16];
    sa_rules_cb done;
    void *user;
};

#define COMMON                                                                                     \
    "@io", "@files", "@xattr", "@memory", "@process", "@ids", "@signals", "@time", "@timers",      \
        "@sync", "@sched", "@poll", "@net", "@inotify"
static const char *all[] = {COMMON, "@numa", "@pkeys", "@aio", "@sysv", "@mqueue", "@self"};
static const char *python[] = {COMMON, "@numa", "@sysv"};
static const char *node[] = {COMMON, "@pkeys"};
static const char *bash[] = {COMMON, "@sysv"};
static const char *go[] = {COMMON};
static const char *folders[] = {"/workspace", "/tmp", "/home/user", "/dev/shm"};
static const char *devices[] = {"null", "zero", "full", "random", "urandom", "tty"};

#define LIST(a)                                                                                    \
    {                                                                                              \
        a, SA_COUNT(a)                                                                             \
    }

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_timer(uv_timer_t *timer)
{
    struct sa_rules_call *call = timer->data;
    struct sa_rules_answer answer = {
        .generation = 0,
        .context = {.runtime_class = strcmp(call->level, "high") == 0 ? "gvisor" : "native",
                    .uid = 1000,
                    .gid = 1000,
                    .no_new_privs = true,
                    .read_only_root = true,
                    .private_network = true,
                    .mask_proc = true,
                    .seccomp = "standard",
                    .landlock = {true, LIST(folders)},
                    .writable_paths = LIST(folders),
                    .devices = LIST(devices),
                    .limits = {.pids = 32768, .open_files = 65536}},
        .filters = {{.allow = LIST(all)},
                    {.allow = LIST(python)},
                    {.allow = LIST(node)},
                    {.allow = LIST(bash)},
                    {.allow = LIST(go)}}};
    struct sa_error err = {0};
    if (strcmp(call->level, "custom") == 0)
        sa_error_at(&err, SA_ECONTROL, "securityLevel",
                    "securityLevel custom needs a profile, and none is defined here; use "
                    "standard");
    sa_rules_cb done = call->done;
    void *user = call->user;
    uv_close((uv_handle_t *)&call->timer, on_closed);
    done(user, err.code ? &err : NULL, &answer);
}

struct sa_rules_call *sa_rules_ask(uv_loop_t *loop, struct sa_policy *policy,
                                   const struct sa_security_ask *ask, int64_t minute,
                                   sa_rules_cb done, void *user)
{
    struct sa_rules_call *call = sa_alloc(sizeof *call);
    (void)policy;
    (void)minute;
    strncpy(call->level, ask->level, sizeof call->level - 1);
    call->done = done;
    call->user = user;
    uv_timer_init(loop, &call->timer);
    call->timer.data = call;
    uv_timer_start(&call->timer, on_timer, 0, 0);
    return call;
}

void sa_rules_forget(struct sa_rules_call *call)
{
    if (call)
        uv_close((uv_handle_t *)&call->timer, on_closed);
}

uint64_t sa_rules_generation(struct sa_policy *policy)
{
    (void)policy;
    return 0;
}
