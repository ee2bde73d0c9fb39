/* The start of the driver, in order: each step may need what those before it found. */
#include "native/startup.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "native/folder.h"
#include "native/seccomp.h"
#include "native/sys.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* May this process hand out the host ids base..base+count? It needs the capabilities, and an own
 * user namespace (a container's) must have those ids. */
static bool has_ids(uint32_t base)
{
    const uint32_t needed = 1u << CAP_SYS_ADMIN | 1u << CAP_SETUID | 1u << CAP_SETGID;
    const uint64_t end = (uint64_t)base + (uint64_t)SA_NATIVE_SANDBOXES_MAX * SA_NATIVE_IDS;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    sa_autobuf map = SA_BUF_INIT;
    if (syscall(SYS_capget, &header, data) < 0 || (data[0].effective & needed) != needed)
        return false;
    if (sa_read_file(AT_FDCWD, "/proc/self/uid_map", 65536, &map, NULL) < 0)
        return false;
    for (const char *line = map.data; line; line = strchr(line, '\n')) {
        char *at = (char *)line + (*line == '\n');
        line = at;
        const uint64_t inside = strtoull(at, &at, 10);
        strtoull(at, &at, 10); /* the ids outside */
        const uint64_t count = strtoull(at, &at, 10);
        if (inside <= base && inside + count >= end)
            return true;
    }
    return false;
}

/* Without ids to hand out: a user namespace of the node's own, in which it may mount. */
static int own_user_namespace(const struct sa_host *host, struct sa_error *err)
{
    char users[48], groups[48];
    if (unshare(CLONE_NEWUSER) < 0)
        return sa_error_at(err, SA_ECONTROL, "userns",
                           "this user may not make user namespaces: %s; see `doctor` for the "
                           "settings that allow it",
                           strerror(errno));
    snprintf(users, sizeof users, "%d %u 1", SA_NATIVE_UID, (unsigned)host->own_uid);
    snprintf(groups, sizeof groups, "%d %u 1", SA_NATIVE_UID, (unsigned)host->own_gid);
    if (sa_write_file(AT_FDCWD, "/proc/self/setgroups", "deny", err) < 0 ||
        sa_write_file(AT_FDCWD, "/proc/self/uid_map", users, err) < 0 ||
        sa_write_file(AT_FDCWD, "/proc/self/gid_map", groups, err) < 0)
        return sa_error_wrap(err, "cannot map the ids of the node");
    return 0;
}

/* The one that an earlier node made and its sandboxes are in (-1: none), or a new one. */
static int enter_user_namespace(const struct sa_host *host, int users, struct sa_error *err)
{
    if (users < 0)
        return own_user_namespace(host, err);
    if (setns(users, CLONE_NEWUSER) < 0)
        return sa_error_sys(err, SA_ECONTROL, errno,
                            "cannot enter the user namespace of the sandboxes that run");
    return 0;
}

/* Each sandbox costs the node some descriptors. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* An unprivileged node without a delegated group: limits of processes and the node's own eye. */
static void stand_ins(struct sa_host *host)
{
    if (host->root)
        return; /* fails closed instead */
    if (!sa_controls_has(host->can, SA_C_CGROUP_PIDS))
        host->can |= sa_control_bit(SA_C_RLIMIT_NPROC);
    if (!sa_controls_has(host->can, SA_C_CGROUP_MEMORY))
        host->can |= sa_control_bit(SA_C_RLIMIT_MEMORY) | sa_control_bit(SA_C_WATCHDOG_MEMORY);
}

static bool state_valid(const char *state)
{
    size_t length = strlen(state);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)state[i]) && state[i] != '-' && state[i] != '_')
            return false;
    return length > 0 && length <= 64;
}

static bool same_ids(const struct sa_found *one, const void *context)
{
    const struct sa_host *host = context;
    return one->record.uid_base == (host->ranges ? (int64_t)host->uid_base : 0);
}

/* Two records of one thing: at most one of them is true, and nobody knows which. */
static bool is_unique(const struct sa_found *one, const void *context)
{
    const struct sa_found_list *found = context;
    for (const struct sa_found *other = found->items; other < one; other++)
        if (other->record.slot == one->record.slot || other->record.pid == one->record.pid ||
            strcmp(other->record.group, one->record.group) == 0)
            return false;
    return true;
}

static bool none(const struct sa_found *one, const void *context)
{
    (void)one;
    (void)context;
    return false;
}

static bool is_kept(const char *group, const void *context)
{
    const struct sa_found_list *found = context;
    for (size_t i = 0; i < found->count; i++)
        if (strcmp(found->items[i].record.group, group) == 0)
            return true;
    return false;
}

static bool has_groups(const struct sa_found *one, const void *context)
{
    struct sa_cgroups *groups = (struct sa_cgroups *)(uintptr_t)context;
    return sa_cgroup_exists(groups, one->record.group);
}

/* Look for sandboxes first: the ids of this node are theirs, if they can be had. */
static int lock(struct sa_host *host, const struct sa_native_options *options,
                struct sa_found_list *found, struct sa_error *err)
{
    if (sa_host_lock_state(host, options->state, err) < 0 ||
        (host->folder = sa_folder_open(options->state_dir, err)) < 0)
        return -1;
    sa_found_look(host->folder, found);
    if (sa_host_lock_ids(host, options->uid_base, sa_found_uid_base(found), err) < 0)
        return -1;
    host->ranges = has_ids(host->uid_base);
    host->root = host->ranges;
    sa_found_filter(host->folder, found, same_ids, host);
    sa_found_filter(host->folder, found, is_unique, found);
    sa_host_boot_id(host->boot);
    return 0;
}

struct sa_cgroups *sa_startup(struct sa_host *host, const struct sa_native_options *options,
                              struct sa_found_list *found, struct sa_error *err)
{
    host->folder = host->state_lock = host->range_lock = host->runtime = -1;
    host->own_uid = geteuid();
    host->own_gid = getegid();
    if (!state_valid(options->state)) {
        sa_error_at(err, SA_EINVALID, "state", "expected 1 to 64 letters, digits, - or _");
        return NULL;
    }
    host->go = options->go;
    raise_descriptors();
    if (lock(host, options, found, err) < 0 ||
        sa_host_load_runtime(host, options->runtime_path, err) < 0 ||
        sa_guard_compile(&host->guard, err) < 0)
        return NULL;
    sa_host_probe(host);
    sa_autoclose int users = host->ranges ? -1 : sa_found_namespace(found);
    if (!host->ranges && users < 0)
        sa_found_filter(host->folder, found, none, NULL);
    struct sa_cgroups *groups = sa_cgroups_open(host, options->state, is_kept, found, err);
    if (!groups)
        return NULL;
    sa_found_filter(host->folder, found, has_groups, groups);
    stand_ins(host);
    if (!host->ranges && enter_user_namespace(host, users, err) < 0)
        goto failed;
    if (unshare(CLONE_NEWNS) < 0) {
        sa_error_at(err, SA_ECONTROL, "mountns", "cannot make a mount namespace: %s",
                    strerror(errno));
        goto failed;
    }
    if (sa_template_enter(host, options->packages, err) < 0 || sa_host_reduce(err) < 0)
        goto failed;
    return groups;
failed:
    sa_cgroups_close(groups);
    return NULL;
}
