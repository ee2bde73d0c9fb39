/* clone3, id maps, link, boot block: what the node does to start a sandbox. */
#include "native/launch.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "link/methods.h"
#include "native/native.h"
#include "native/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { OOM_SCORE = 500 };

static int step_failed(struct sa_error *err, const char *step)
{
    int number = errno;
    sa_error_sys(err, SA_ECONTROL, number, "the step %s failed", step);
    if (err)
        snprintf(err->path, sizeof err->path, "%s", step);
    return -1;
}

/* In one write: the kernel takes a map once and whole (user_namespaces(7)). */
static int write_proc(pid_t pid, const char *file, const char *text)
{
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    sa_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

static int map_ids(const struct sa_host *host, pid_t pid, int slot)
{
    char users[64], groups[64];
    if (host->ranges) {
        uint32_t base = host->uid_base + (uint32_t)slot * SA_NATIVE_IDS;
        snprintf(users, sizeof users, "0 %" PRIu32 " %d\n%d %" PRIu32 " 1", base,
                 SA_NATIVE_SHARED_ID, SA_NATIVE_SHARED_ID, host->uid_base + SA_NATIVE_SHARED_ID);
        memcpy(groups, users, sizeof groups);
    } else {
        /* The node's own namespace maps 1000 to the caller already (native.c). */
        snprintf(users, sizeof users, "%d %d 1", SA_NATIVE_UID, SA_NATIVE_UID);
        snprintf(groups, sizeof groups, "%d %d 1", SA_NATIVE_UID, SA_NATIVE_UID);
        if (write_proc(pid, "setgroups", "deny") < 0)
            return -1;
    }
    if (write_proc(pid, "uid_map", users) < 0)
        return -1;
    return write_proc(pid, "gid_map", groups);
}

int sa_launch(const struct sa_host *host, const struct sa_groups *groups,
              struct sa_child_handle *handle, struct sa_error *err)
{
    int pair[2];
    struct clone_args args = {
        .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                 CLONE_NEWUTS | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&handle->pidfd,
        .exit_signal = SIGCHLD,
    };
    sigset_t all, before;
    if (groups->birth >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (unsigned)groups->birth;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return step_failed(err, "setup-socket");
    /* No handler of the loop may run in the child. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = sa_clone3(&args);
    if (pid == 0)
        sa_child_main(host, pair[1], handle->slot);
    int number = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        handle->pidfd = -1;
        errno = number;
        return step_failed(err, "clone");
    }
    const char go = SA_GO_IDS;
    handle->pid = pid;
    handle->setup = pair[0];
    if (map_ids(host, pid, handle->slot) < 0)
        return step_failed(err, "map-ids");
    if (sa_send_fds(handle->setup, &go, 1, groups->join, groups->join_count, MSG_NOSIGNAL) != 1)
        return step_failed(err, "wait-ids");
    return 0;
}

void sa_boot_common(const struct sa_context *context, struct sa_buf *out)
{
    static const char *const read_roots[] = {"/usr", "/etc"};
    for (size_t i = 0; i < SA_FOLDER_COUNT; i++)
        if (context->writable >> i & 1)
            sa_fields_add_text(out, SA_BOOT_ROOT, sa_folders[i]);
    for (size_t i = 0; i < SA_COUNT(read_roots); i++)
        sa_fields_add_text(out, SA_BOOT_READ_ROOT, read_roots[i]);
    sa_fields_add_int(out, SA_BOOT_OOM_SCORE, OOM_SCORE);
}

/* What Go needs to know in a sandbox, unless the sandbox's own environment says otherwise. Without
 * cgo and with nothing else unusual, its standard library is in the cache (go_cache.c). */
static void go_environment(const struct sa_host *host, const struct sa_node_spec *spec,
                           struct sa_buf *out)
{
    static const char *const texts[] = {("GOCACHE=" SA_GO_CACHE), "CGO_ENABLED=0", "GOPROXY=off",
                                        "GOTOOLCHAIN=local", "GOTELEMETRY=off"};
    for (size_t i = 0; host->go.root[0] && i < SA_COUNT(texts); i++) {
        const size_t length = strcspn(texts[i], "=") + 1;
        bool given = false;
        for (size_t j = 0; j < spec->env_count && !given; j++)
            given = strncmp(spec->env[j], texts[i], length) == 0;
        if (!given)
            sa_fields_add_text(out, SA_BOOT_ENV, texts[i]);
    }
}

/* The boot block in a sealed memfd, at its beginning. */
static int boot_block(const struct sa_host *host, const struct sa_node_spec *spec,
                      const struct sa_buf *common, bool limit_memory)
{
    sa_autobuf own = SA_BUF_INIT;
    for (size_t i = 0; i < spec->env_count; i++)
        sa_fields_add_text(&own, SA_BOOT_ENV, spec->env[i]);
    go_environment(host, spec, &own);
    if (host->go.root[0])
        sa_fields_add_text(&own, SA_BOOT_SCRATCH, SA_GO_CACHE);
    if (limit_memory) {
        char text[64];
        snprintf(text, sizeof text, "data=%" PRId64 ":%" PRId64, spec->memory_bytes,
                 spec->memory_bytes);
        sa_fields_add_text(&own, SA_BOOT_RLIMIT, text);
    }
    sa_autoclose int fd = memfd_create("boot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || sa_write_all(fd, common->data, common->length) < 0 ||
        (own.length && sa_write_all(fd, own.data, own.length) < 0) || lseek(fd, 0, SEEK_SET) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -1;
    return sa_steal_fd(&fd);
}

int sa_launch_order(const struct sa_host *host, const struct sa_child_handle *handle,
                    const struct sa_node_spec *spec, const struct sa_known_profile *profile,
                    bool limit_processes, bool limit_memory, const struct sa_groups *groups,
                    int door, struct sa_error *err)
{
    struct sa_order order = {.storage_bytes = (uint64_t)spec->storage_bytes,
                             .inodes = (uint64_t)spec->inodes,
                             .base_bytes = profile->base_bytes,
                             .context = profile->context};
    int fds[SA_FDS_MAX];
    order.context.pids = limit_processes ? (uint64_t)spec->pids : 0;
    snprintf(order.hostname, sizeof order.hostname, "%s",
             spec->hostname[0] ? spec->hostname : "sandbox");
    sa_autoclose int boot = boot_block(host, spec, &profile->boot, limit_memory);
    if (boot < 0)
        return step_failed(err, "boot-block");
    fds[0] = door;
    fds[1] = boot;
    fds[2] = profile->base;
    memcpy(fds + SA_ORDER_FDS, groups->join, groups->join_count * sizeof *fds);
    if (sa_send_fds(handle->setup, &order, sizeof order, fds, SA_ORDER_FDS + groups->join_count,
                    MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return step_failed(err, "wait-order");
    return 0;
}

/* The rest of the line that begins with `key`, or "". */
static const char *line_of(const char *status, const char *key)
{
    const char *at = strstr(status, key);
    return at && (at == status || at[-1] == '\n') ? at + strlen(key) : "";
}

int sa_launch_verify(pid_t pid, struct sa_error *err)
{
    static const struct {
        const char *key, *expected;
        enum sa_control control;
    } checks[] = {{"CapInh:\t", "0000000000000000\n", SA_C_CAPABILITIES},
                  {"CapPrm:\t", "0000000000000000\n", SA_C_CAPABILITIES},
                  {"CapEff:\t", "0000000000000000\n", SA_C_CAPABILITIES},
                  {"CapBnd:\t", "0000000000000000\n", SA_C_CAPABILITIES},
                  {"CapAmb:\t", "0000000000000000\n", SA_C_CAPABILITIES},
                  {"NoNewPrivs:\t", "1\n", SA_C_NO_NEW_PRIVS},
                  {"Seccomp:\t", "2\n", SA_C_SECCOMP}};
    char path[32], status[4096];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    sa_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, status, sizeof status - 1);
    if (n < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "cannot look at PID 1");
    status[n] = '\0';
    if (strchr("ZX", line_of(status, "State:\t")[0]))
        return sa_error_set(err, SA_EUNAVAILABLE, "PID 1 has ended");
    for (size_t i = 0; i < SA_COUNT(checks); i++)
        if (strncmp(line_of(status, checks[i].key), checks[i].expected,
                    strlen(checks[i].expected)) != 0)
            return sa_error_at(err, SA_ECONTROL, sa_control_name(checks[i].control),
                               "the kernel reports for PID 1: %s%.20s", checks[i].key,
                               line_of(status, checks[i].key));
    return 0;
}
