/* Children that wait for an order: spares, which make creating quicker, and the id ranges. */
#include "native/driver.h"

#include "base/cleanup.h"
#include "native/sys.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { REFILL_AFTER_MS = 2 /* after a start */ };

/* Slots go round, so that an id range rests as long as possible before it is used again. */
static int take_slot(struct sa_native *native)
{
    for (unsigned i = 0; i < SA_NATIVE_SANDBOXES_MAX; i++) {
        unsigned slot = (native->next_slot + i) % SA_NATIVE_SANDBOXES_MAX;
        if (native->slots[slot])
            continue;
        native->slots[slot] = 1;
        native->next_slot = slot + 1;
        return (int)slot;
    }
    return -1;
}

static void close_child(struct sa_child_handle *child)
{
    if (child->setup >= 0)
        close(child->setup);
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->setup = child->pidfd = -1;
}

/* A launched child that nobody wants, or whose launch failed half-way. It has done nothing yet,
 * so it is gone at once. */
void sa_child_discard(struct sa_native *native, struct sa_child_handle *child)
{
    siginfo_t info;
    if (child->pidfd >= 0) {
        sa_pidfd_kill(child->pidfd);
        waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED);
    }
    close_child(child);
    if (child->group[0])
        sa_cgroup_remove(native->groups, child->group);
    if (child->slot >= 0)
        native->slots[child->slot] = 0;
}

void sa_groups_close(struct sa_groups *groups)
{
    if (groups->birth >= 0)
        close(groups->birth);
    while (groups->join_count)
        close(groups->join[--groups->join_count]);
}

/* Make the child's control groups and open the ways into them. */
int sa_child_groups(struct sa_native *native, const char *name, struct sa_child_handle *child,
                    struct sa_groups *groups, struct sa_error *err)
{
    if (sa_cgroup_make(native->groups, name, err) < 0)
        return -1;
    snprintf(child->group, sizeof child->group, "%s", name);
    groups->birth = sa_cgroup_birth_fd(native->groups, name);
    int count = sa_cgroup_join_fds(native->groups, name, groups->join, err);
    if (count < 0)
        return -1;
    groups->join_count = (size_t)count;
    return 0;
}

/* A spare gets groups of a name of its own. For a sandbox whose id is known (`id`) they can be
 * made while the child is at work already, unless it must be born in them. */
static int spawn(struct sa_native *native, const char *id, struct sa_child_handle *child,
                 struct sa_error *err)
{
    struct sa_groups groups = {.birth = -1};
    char name[32];
    *child = (struct sa_child_handle){.pid = -1, .pidfd = -1, .setup = -1};
    child->slot = take_slot(native);
    if (child->slot < 0)
        return sa_error_set(err, SA_EQUOTA, "this node runs %d sandboxes, its most",
                            SA_NATIVE_SANDBOXES_MAX);
    snprintf(name, sizeof name, "spare-%u", id ? 0 : native->spare_number++);
    int rc = 0;
    if (!id || sa_cgroups_birth(native->groups))
        rc = sa_child_groups(native, id ? id : name, child, &groups, err);
    if (rc == 0)
        rc = sa_launch(&native->host, &groups, child, err);
    sa_groups_close(&groups);
    if (rc < 0)
        sa_child_discard(native, child);
    return rc;
}

static void on_refill(uv_timer_t *timer)
{
    struct sa_native *native = timer->data;
    if (native->stopping || native->spare_count >= native->spare_goal ||
        spawn(native, NULL, &native->spares[native->spare_count], NULL) < 0) {
        uv_timer_stop(timer);
        return;
    }
    native->spare_count++;
}

/* After a start, as making one holds the loop for the better part of a millisecond. */
void sa_spares_want(struct sa_native *native)
{
    if (native->spare_goal && !native->stopping)
        uv_timer_start(&native->refill, on_refill, REFILL_AFTER_MS, REFILL_AFTER_MS);
}

static bool has_ended(const struct sa_child_handle *child)
{
    struct pollfd end = {.fd = child->pidfd, .events = POLLIN};
    return poll(&end, 1, 0) > 0;
}

/* One that dies after this is noticed when the order cannot be sent. */
int sa_child_take(struct sa_native *native, const char *id, struct sa_child_handle *child,
                  struct sa_error *err)
{
    while (native->spare_count) {
        *child = native->spares[0];
        native->spare_count--;
        memmove(native->spares, native->spares + 1, native->spare_count * sizeof *native->spares);
        if (!has_ended(child))
            return 0;
        sa_child_discard(native, child);
    }
    return spawn(native, id, child, err);
}
