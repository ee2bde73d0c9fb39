/* Control groups: where they are, and what both versions have in common. */
#include "native/cgroup.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "native/cgroup_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 512, LEFTOVER_WAIT_MS = 3000 };

/* One hierarchy that we use. */
struct tree {
    int fd; /* folder secureagent-<state> */
    bool v2;
    char path[PATH_BYTES]; /* where it was found, for messages and for finding it again */
};

struct sa_cgroups {
    struct tree trees[SA_CG_COUNT];
    size_t count;
    int of[SA_CG_COUNT]; /* index into trees, or -1 */
    uint32_t user;       /* of the host: who this node is to others */
    char name[96];       /* secureagent-<state> */
};

/* -1: nice to have (cpuacct only counts). */
static const int controller_control[SA_CG_COUNT] = {SA_C_CGROUP_MEMORY, SA_C_CGROUP_PIDS,
                                                    SA_C_CGROUP_CPU, -1, SA_C_CGROUP_FREEZER};

/* ---- files ---- */

int sa_cgroup_write(int fd, const char *id, const char *file, const char *text,
                    struct sa_error *err)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", id, file);
    return sa_write_file(fd, path, text, err);
}

/* The beginning of a file as text; false when it cannot be read. */
bool sa_cgroup_text(int fd, const char *id, const char *file, char *out, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", id, file);
    sa_autoclose int from = openat(fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = from < 0 ? -1 : read(from, out, size - 1);
    if (n < 0)
        return false;
    out[n] = '\0';
    return true;
}

static int64_t number(const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    return end == text || errno ? -1 : value;
}

int64_t sa_cgroup_number(int fd, const char *id, const char *file)
{
    char text[64];
    return sa_cgroup_text(fd, id, file, text, sizeof text) ? number(text) : -1;
}

int64_t sa_cgroup_keyed_text(const char *text, const char *key)
{
    size_t length = strlen(key);
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            return number(line + length + 1);
    }
    return -1;
}

int64_t sa_cgroup_keyed(int fd, const char *id, const char *file, const char *key)
{
    char text[2048];
    return sa_cgroup_text(fd, id, file, text, sizeof text) ? sa_cgroup_keyed_text(text, key) : -1;
}

void sa_cgroup_cpu_quota(int64_t millicores, int64_t *quota_us, int64_t *period_us)
{
    *period_us = millicores < 10 ? 1000000 : 100000;
    *quota_us = millicores * *period_us / 1000;
    if (*quota_us < 1000)
        *quota_us = 1000;
}

static const struct sa_cgroup_version *version(const struct tree *tree)
{
    return tree->v2 ? &sa_cgroup_v2 : &sa_cgroup_v1;
}

/* ---- making and removing ---- */

static void kill_all(int tree, const char *id)
{
    char path[128];
    snprintf(path, sizeof path, "%s/cgroup.procs", id);
    sa_autobuf text = SA_BUF_INIT;
    if (sa_read_file(tree, path, 1 << 20, &text, NULL) < 0 || !text.data)
        return;
    for (char *at = text.data, *end; *at; at = end) {
        long pid = strtol(at, &end, 10);
        if (end == at)
            break;
        if (pid > 1)
            kill((pid_t)pid, SIGKILL);
        while (*end == '\n')
            end++;
    }
}

static void kill_group(const struct tree *tree, const char *id)
{
    if (!tree->v2 || sa_cgroup_write(tree->fd, id, "cgroup.kill", "1", NULL) < 0)
        kill_all(tree->fd, id);
    sa_cgroup_write(tree->fd, id, tree->v2 ? "cgroup.freeze" : "freezer.state",
                    tree->v2 ? "0" : "THAWED", NULL);
}

/* Every group below that is not kept; true when none is left. */
static bool sweep(const struct tree *tree, sa_cgroup_keep *keep, const void *context)
{
    bool clean = true;
    int copy = openat(tree->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    if (!folder)
        return true;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.' || entry->d_type != DT_DIR || keep(entry->d_name, context))
            continue;
        if (unlinkat(tree->fd, entry->d_name, AT_REMOVEDIR) == 0)
            continue;
        kill_group(tree, entry->d_name);
        clean = false;
    }
    closedir(folder);
    return clean;
}

/* What an earlier node left, when it was killed, and this one does not take over. Those that were
 * frozen die when they thaw, so every tree is swept in turn. */
static int remove_leftovers(struct sa_cgroups *g, sa_cgroup_keep *keep, const void *context,
                            struct sa_error *err)
{
    const int64_t until = sa_monotonic_ms() + LEFTOVER_WAIT_MS;
    for (;;) {
        const struct tree *dirty = NULL;
        for (size_t i = 0; i < g->count; i++)
            if (!sweep(&g->trees[i], keep, context))
                dirty = &g->trees[i];
        if (!dirty)
            return 0;
        if (sa_monotonic_ms() > until)
            return sa_error_at(err, SA_ECONTROL, "cgroup",
                               "cannot remove the groups that an earlier node left in %s",
                               dirty->path);
        usleep(2000);
    }
}

/* Version 2: let the groups below `path` have the controller. A group that holds processes
 * cannot; then this process, and what started it, go into a leaf beside the sandboxes. */
static int enable(const char *path, const char *controller)
{
    char file[PATH_BYTES + 32], text[32];
    snprintf(file, sizeof file, "%s/cgroup.subtree_control", path);
    snprintf(text, sizeof text, "+%s", controller);
    struct sa_error why = {0};
    if (sa_write_file(AT_FDCWD, file, text, &why) == 0)
        return 0;
    if (why.sys_errno != EBUSY) {
        errno = why.sys_errno;
        return -1;
    }
    snprintf(file, sizeof file, "%s/secureagent-leaf", path);
    if (mkdir(file, 0755) < 0 && errno != EEXIST)
        return -1;
    snprintf(file, sizeof file, "%s/secureagent-leaf/cgroup.procs", path);
    snprintf(text, sizeof text, "%d", (int)getpid());
    if (sa_write_file(AT_FDCWD, file, text, NULL) < 0)
        return -1;
    snprintf(text, sizeof text, "%d", (int)getppid());
    sa_write_file(AT_FDCWD, file, text, NULL); /* the supervisor; not ours to insist on */
    snprintf(file, sizeof file, "%s/cgroup.subtree_control", path);
    snprintf(text, sizeof text, "+%s", controller);
    if (sa_write_file(AT_FDCWD, file, text, &why) == 0)
        return 0;
    errno = why.sys_errno;
    return -1;
}

/* The tree for a controller at `path`: an open one when another controller shares it. */
static int open_tree_at(struct sa_cgroups *g, const char *path, bool v2)
{
    for (size_t i = 0; i < g->count; i++)
        if (strcmp(g->trees[i].path, path) == 0)
            return (int)i;
    struct tree *tree = &g->trees[g->count];
    char folder[PATH_BYTES + 96];
    snprintf(folder, sizeof folder, "%s/%s", path, g->name);
    if (mkdir(folder, 0755) < 0 && errno != EEXIST)
        return -1;
    tree->fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tree->fd < 0 || faccessat(tree->fd, "cgroup.procs", W_OK, AT_EACCESS) < 0) {
        if (tree->fd >= 0)
            close(tree->fd);
        return -1;
    }
    tree->v2 = v2;
    snprintf(tree->path, sizeof tree->path, "%s", path);
    return (int)g->count++;
}

/* The pseudo-controllers of version 2 are in every group. */
static bool needs_enabling(enum sa_controller controller)
{
    return controller != SA_CG_CPUACCT && controller != SA_CG_FREEZER;
}

static int open_controller(struct sa_cgroups *g, enum sa_controller c, const char *mountinfo,
                           const char *cgroup)
{
    char path[PATH_BYTES], below[PATH_BYTES + 96];
    bool v2;
    if (!sa_cgroup_locate(mountinfo, cgroup, c, path, sizeof path, &v2)) {
        errno = ENOENT;
        return -1;
    }
    if (v2 && needs_enabling(c) && enable(path, sa_controller_name((enum sa_controller)c)) < 0)
        return -1;
    int tree = open_tree_at(g, path, v2);
    snprintf(below, sizeof below, "%s/%s", path, g->name);
    if (tree >= 0 && v2 && needs_enabling(c) &&
        enable(below, sa_controller_name((enum sa_controller)c)) < 0)
        return -1;
    return tree;
}

static void note_missing(struct sa_host *host, enum sa_controller c, int reason)
{
    if (controller_control[c] < 0)
        return;
    sa_host_missing(host, (enum sa_control)controller_control[c],
                    sa_printf("no control group for %s can be had: %s%s", sa_controller_name(c),
                              strerror(reason),
                              host->root ? ""
                                         : "; run the node in a group that is delegated to this "
                                           "user (systemd: Delegate=yes)"));
}

struct sa_cgroups *sa_cgroups_open(struct sa_host *host, const char *state, sa_cgroup_keep *keep,
                                   const void *context, struct sa_error *err)
{
    sa_autobuf mountinfo = SA_BUF_INIT, cgroup = SA_BUF_INIT;
    struct sa_cgroups *g = sa_alloc(sizeof *g);
    snprintf(g->name, sizeof g->name, "secureagent-%s", state);
    g->user = host->own_uid;
    sa_buf_adds(&mountinfo, "");
    sa_buf_adds(&cgroup, "");
    sa_read_file(AT_FDCWD, "/proc/self/mountinfo", 1 << 22, &mountinfo, NULL);
    sa_read_file(AT_FDCWD, "/proc/self/cgroup", 1 << 16, &cgroup, NULL);
    for (int c = 0; c < SA_CG_COUNT; c++) {
        g->of[c] = open_controller(g, (enum sa_controller)c, mountinfo.data, cgroup.data);
        if (g->of[c] < 0)
            note_missing(host, (enum sa_controller)c, errno);
        else if (controller_control[c] >= 0)
            host->can |= sa_control_bit((enum sa_control)controller_control[c]);
    }
    sa_cgroups_strays(g, false);
    if (remove_leftovers(g, keep, context, err) < 0) {
        sa_cgroups_close(g);
        return NULL;
    }
    return g;
}

void sa_cgroups_close(struct sa_cgroups *g)
{
    if (!g)
        return;
    sa_host_raise(CAP_DAC_OVERRIDE); /* the folder above may be closed even to its owner */
    for (size_t i = 0; i < g->count; i++) {
        sa_autoclose int parent = openat(g->trees[i].fd, "..", O_PATH | O_CLOEXEC);
        close(g->trees[i].fd);
        if (parent >= 0)
            unlinkat(parent, g->name, AT_REMOVEDIR);
    }
    free(g);
}

bool sa_cgroups_strays(struct sa_cgroups *g, bool thaw)
{
    bool left = false;
    for (size_t i = 0; i < g->count; i++) {
        sa_autoclose int parent = openat(g->trees[i].fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const bool freezes = thaw && g->of[SA_CG_FREEZER] == (int)i;
        if (parent >= 0 &&
            sa_strays_remove(parent, g->user, freezes ? version(&g->trees[i]) : NULL))
            left = true;
    }
    return left;
}

/* ---- one sandbox ---- */

static const struct tree *tree_of(const struct sa_cgroups *g, enum sa_controller c)
{
    return g->of[c] < 0 ? NULL : &g->trees[g->of[c]];
}

int sa_cgroup_make(struct sa_cgroups *g, const char *id, struct sa_error *err)
{
    for (size_t i = 0; i < g->count; i++)
        if (mkdirat(g->trees[i].fd, id, 0755) < 0) {
            sa_error_sys(err, SA_ECONTROL, errno, "cannot make a control group in %s",
                         g->trees[i].path);
            sa_cgroup_remove(g, id);
            return -1;
        }
    return 0;
}

int sa_cgroup_limit(struct sa_cgroups *g, const char *id, const struct sa_cgroup_limits *limits,
                    struct sa_error *err)
{
    for (int c = 0; c < SA_CG_COUNT; c++) {
        const struct tree *tree = tree_of(g, (enum sa_controller)c);
        struct sa_error why = {0};
        if (tree && version(tree)->limit(tree->fd, id, (enum sa_controller)c, limits, &why) < 0)
            return sa_error_at(err, SA_ECONTROL,
                               sa_control_name((enum sa_control)controller_control[c]),
                               "cannot set the limit: %s", why.message);
    }
    return 0;
}

bool sa_cgroups_birth(const struct sa_cgroups *g)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->trees[i].v2)
            return true;
    return false;
}

int sa_cgroup_birth_fd(struct sa_cgroups *g, const char *id)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->trees[i].v2)
            return openat(g->trees[i].fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return -1;
}

int sa_cgroup_join_fds(struct sa_cgroups *g, const char *id, int fds[SA_CG_JOIN_MAX],
                       struct sa_error *err)
{
    char path[128];
    int count = 0;
    snprintf(path, sizeof path, "%s/tasks", id);
    for (size_t i = 0; i < g->count; i++) {
        if (g->trees[i].v2)
            continue;
        fds[count] = openat(g->trees[i].fd, path, O_WRONLY | O_CLOEXEC);
        if (fds[count] >= 0) {
            count++;
            continue;
        }
        sa_error_sys(err, SA_ECONTROL, errno, "cannot join the group in %s", g->trees[i].path);
        while (count)
            close(fds[--count]);
        return -1;
    }
    return count;
}

bool sa_cgroup_rename(struct sa_cgroups *g, const char *from, const char *to)
{
    size_t done = 0;
    if (sa_cgroups_birth(g))
        return false;
    while (done < g->count && renameat(g->trees[done].fd, from, g->trees[done].fd, to) == 0)
        done++;
    if (done == g->count)
        return true;
    while (done--)
        renameat(g->trees[done].fd, to, g->trees[done].fd, from);
    return false;
}

bool sa_cgroup_remove(struct sa_cgroups *g, const char *id)
{
    bool gone = true;
    for (size_t i = 0; i < g->count; i++)
        if (unlinkat(g->trees[i].fd, id, AT_REMOVEDIR) < 0 && errno != ENOENT)
            gone = false;
    return gone;
}

bool sa_cgroup_exists(struct sa_cgroups *g, const char *id)
{
    for (size_t i = 0; i < g->count; i++)
        if (faccessat(g->trees[i].fd, id, F_OK, 0) < 0)
            return false;
    return true;
}

void sa_cgroup_kill(struct sa_cgroups *g, const char *id)
{
    for (size_t i = 0; i < g->count; i++)
        kill_group(&g->trees[i], id);
}

int sa_cgroup_freeze(struct sa_cgroups *g, const char *id, bool frozen, struct sa_error *err)
{
    const struct tree *tree = tree_of(g, SA_CG_FREEZER);
    if (!tree)
        return sa_error_at(err, SA_ECONTROL, sa_control_name(SA_C_CGROUP_FREEZER),
                           "this node has no freezer");
    return version(tree)->freeze(tree->fd, id, frozen, err);
}

bool sa_cgroup_is_frozen(struct sa_cgroups *g, const char *id)
{
    const struct tree *tree = tree_of(g, SA_CG_FREEZER);
    return tree && version(tree)->is_frozen(tree->fd, id);
}

void sa_cgroup_stats(struct sa_cgroups *g, const char *id, struct sa_native_stats *stats)
{
    for (int c = 0; c < SA_CG_COUNT; c++) {
        const struct tree *tree = tree_of(g, (enum sa_controller)c);
        if (tree)
            version(tree)->stats(tree->fd, id, (enum sa_controller)c, stats);
    }
}

bool sa_cgroup_forget_peak(struct sa_cgroups *g, const char *id)
{
    const struct tree *tree = tree_of(g, SA_CG_MEMORY);
    return tree && version(tree)->forget_peak(tree->fd, id);
}

int sa_cgroup_oom_watch(struct sa_cgroups *g, const char *id, bool *priority)
{
    const struct tree *tree = tree_of(g, SA_CG_MEMORY);
    return tree ? version(tree)->oom_watch(tree->fd, id, priority) : -1;
}

int64_t sa_cgroup_oom_kills(struct sa_cgroups *g, const char *id)
{
    const struct tree *tree = tree_of(g, SA_CG_MEMORY);
    return tree ? version(tree)->oom_kills(tree->fd, id) : -1;
}
