/* Freezing and thawing. The kernel takes its time to stop the last process: asked for is not done,
 * so it is looked at until it is, and given up after a while. */
#include "native/driver.h"

enum { FREEZE_LOOKS = 400, FREEZE_LOOK_MS = 5 };

static void finish(struct sandbox *sb, const struct sa_error *why)
{
    struct sa_native *native = sb->native;
    sb->freezing = false;
    uv_timer_stop(&sb->freeze_timer);
    if (why)
        sa_cgroup_freeze(native->groups, sb->child.group, false, NULL);
    native->events->frozen(native->owner, sb->id, sb->freeze_call, why);
}

static void on_look(uv_timer_t *timer)
{
    struct sandbox *sb = timer->data;
    struct sa_error why = {0};
    if (sa_cgroup_is_frozen(sb->native->groups, sb->child.group)) {
        finish(sb, NULL);
        return;
    }
    if (sb->freeze_looks--)
        return;
    sa_error_set(&why, SA_ETIMEOUT, "a process of it would not stop within %d ms",
                 FREEZE_LOOKS * FREEZE_LOOK_MS);
    finish(sb, &why);
}

void sa_sandbox_freeze_over(struct sandbox *sb)
{
    struct sa_error why = {0};
    if (!sb->freezing)
        return;
    sa_error_set(&why, SA_ECANCELED, "it was thawed, or ended, meanwhile");
    finish(sb, &why);
}

int sa_native_freeze(struct sa_native *native, const char *id, uint32_t call, struct sa_error *err)
{
    struct sandbox *sb = sa_sandbox_running(native, id, err);
    if (!sb)
        return -1;
    if (sb->freezing)
        return sa_error_set(err, SA_ECONFLICT, "it is being frozen already");
    if (sa_cgroup_freeze(native->groups, sb->child.group, true, err) < 0)
        return -1;
    sb->freezing = true;
    sb->freeze_call = call;
    sb->freeze_looks = FREEZE_LOOKS;
    uv_timer_start(&sb->freeze_timer, on_look, 0, FREEZE_LOOK_MS);
    return 0;
}

int sa_native_thaw(struct sa_native *native, const char *id, struct sa_error *err)
{
    struct sandbox *sb = sa_sandbox_running(native, id, err);
    if (!sb)
        return -1;
    sa_sandbox_freeze_over(sb);
    return sa_cgroup_freeze(native->groups, sb->child.group, false, err);
}
