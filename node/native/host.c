/* What the host offers, and the start-up steps that are not about mounts, filters or cgroups. */
#include "native/host.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "native/landlock.h"
#include "native/native.h"
#include "native/sys.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { LOCK_TRIES = 200, LOCK_WAIT_US = 5000, BLOCK_IDS = SA_NATIVE_SANDBOXES_MAX * SA_NATIVE_IDS };
#define UID_END 0xe0000000u

/* A name in the abstract namespace is a lock that the kernel drops with its holder: -1 taken. */
static int lock_name(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    if (length >= sizeof address.sun_path - 1) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path + 1, name, length);
    sa_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0)
        return -1;
    return sa_steal_fd(&fd);
}

static int lock_state(uint32_t user, const char *state)
{
    char name[128];
    snprintf(name, sizeof name, "secureagent-node/%u/%s", (unsigned)user, state);
    return lock_name(name);
}

bool sa_host_state_free(uint32_t user, const char *state)
{
    sa_autoclose int lock = lock_state(user, state);
    return lock >= 0;
}

int sa_host_lock_state(struct sa_host *host, const char *state, struct sa_error *err)
{
    /* Another node that looks for strays may hold it for an instant: as long as the machine keeps
     * it from going on. */
    for (int i = 0; i < LOCK_TRIES && (host->state_lock = lock_state(host->own_uid, state)) < 0;
         i++)
        usleep(LOCK_WAIT_US);
    if (host->state_lock >= 0)
        return 0;
    return sa_error_at(err, SA_ECONFLICT, "state",
                       "a node with the state name %s is running already; give this one another "
                       "name",
                       state);
}

static int lock_block(struct sa_host *host, uint32_t base)
{
    char name[64];
    snprintf(name, sizeof name, "secureagent-ids/%08x", (unsigned)base);
    host->range_lock = lock_name(name);
    host->uid_base = base;
    return host->range_lock < 0 ? -1 : 0;
}

/* Blocks in which a process runs, as bits: a process's folder in /proc belongs to its user, or to
 * the root of its user namespace, which is in the block, too. */
static uint64_t blocks_in_use(void)
{
    uint64_t used = 0;
    DIR *proc = opendir("/proc");
    if (!proc)
        return 0;
    for (struct dirent *entry; (entry = readdir(proc));) {
        struct stat st;
        if (isdigit((unsigned char)entry->d_name[0]) &&
            fstatat(dirfd(proc), entry->d_name, &st, 0) == 0 && st.st_uid >= SA_NATIVE_UID_BASE &&
            st.st_uid < UID_END)
            used |= UINT64_C(1) << (st.st_uid - SA_NATIVE_UID_BASE) / BLOCK_IDS;
    }
    closedir(proc);
    return used;
}

int sa_host_lock_ids(struct sa_host *host, uint32_t given, uint32_t wanted, struct sa_error *err)
{
    host->uid_base = given;
    if (given || (wanted && lock_block(host, wanted) == 0))
        return 0;
    const uint64_t used = blocks_in_use();
    errno = EADDRINUSE;
    for (uint32_t i = 0; i < (UID_END - SA_NATIVE_UID_BASE) / BLOCK_IDS; i++) {
        if (used >> i & 1)
            continue;
        if (lock_block(host, SA_NATIVE_UID_BASE + i * BLOCK_IDS) == 0)
            return 0;
        if (errno != EADDRINUSE)
            break;
    }
    return sa_error_sys(err, SA_ECONTROL, errno, "no free block of user ids");
}

/* memfd_create(2): MFD_EXEC is refused by kernels before 6.3, which do not need it. */
static int executable_memfd(const char *name)
{
    const unsigned mfd_exec = 0x10;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | mfd_exec);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

int sa_host_load_runtime(struct sa_host *host, const char *path, struct sa_error *err)
{
    struct stat st;
    sa_autoclose int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0 || fstat(from, &st) < 0)
        return sa_error_sys(err, SA_EINVALID, errno, "cannot open the runtime %s", path);
    sa_autoclose int fd = executable_memfd("execution-runtime");
    if (fd < 0)
        return sa_error_sys(err, SA_ECONTROL, errno, "cannot make a memfd for the runtime");
    for (off_t left = st.st_size; left > 0;) {
        ssize_t n = sendfile(fd, from, NULL, (size_t)left);
        if (n <= 0)
            return sa_error_sys(err, SA_EINTERNAL, n ? errno : EIO, "cannot copy %s", path);
        left -= n;
    }
    if (fchmod(fd, 0555) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return sa_error_sys(err, SA_ECONTROL, errno, "cannot seal the runtime");
    host->runtime = sa_steal_fd(&fd);
    return 0;
}

/* What of /proc tells about the host or reaches into it. Files are covered by the sandbox's
 * /dev/null and folders by an empty one; what a kernel does not have is skipped. /proc/sys is
 * made read-only apart from that (steps_mount.c). */
static void probe_masks(struct sa_host *host)
{
    static const char *const paths[] = {
        "acpi",        "allocinfo",   "asound",        "bootconfig", "buddyinfo",
        "bus",         "cgroups",     "cmdline",       "config.gz",  "consoles",
        "crypto",      "devices",     "diskstats",     "dma",        "driver",
        "execdomains", "fs",          "interrupts",    "iomem",      "ioports",
        "irq",         "kallsyms",    "kcore",         "key-users",  "keys",
        "kmsg",        "kpagecgroup", "kpagecount",    "kpageflags", "latency_stats",
        "locks",       "modules",     "misc",          "mtrr",       "pagetypeinfo",
        "partitions",  "pressure",    "sched_debug",   "schedstat",  "scsi",
        "slabinfo",    "softirqs",    "sysrq-trigger", "timer_list", "tty",
        "vmallocinfo", "zoneinfo",
    };
    for (size_t i = 0; i < SA_COUNT(paths); i++) {
        struct sa_mask *mask = &host->masks[host->mask_count];
        struct stat st;
        char full[64];
        snprintf(full, sizeof full, "/proc/%s", paths[i]);
        if (stat(full, &st) < 0)
            continue;
        snprintf(mask->path, sizeof mask->path, "proc/%s", paths[i]);
        mask->directory = S_ISDIR(st.st_mode);
        host->mask_count++;
    }
}

void sa_host_missing(struct sa_host *host, enum sa_control control, char *why)
{
    free(host->weaker[control]);
    host->weaker[control] = why;
    host->can &= ~sa_control_bit(control);
}

void sa_host_probe(struct sa_host *host)
{
    const enum sa_control always[] = {SA_C_USERNS,          SA_C_USERNS_RANGE,  SA_C_USERNS_LIMITS,
                                      SA_C_MOUNTNS,         SA_C_PIDNS,         SA_C_NETNS,
                                      SA_C_IPCNS,           SA_C_UTSNS,         SA_C_CGROUPNS,
                                      SA_C_ROOTFS_READONLY, SA_C_PROC_MASKED,   SA_C_TMPFS_SIZE,
                                      SA_C_TMPFS_INODES,    SA_C_CAPABILITIES,  SA_C_NO_NEW_PRIVS,
                                      SA_C_SECCOMP,         SA_C_SECCOMP_NOTIFY};
    for (size_t i = 0; i < SA_COUNT(always); i++)
        host->can |= sa_control_bit(always[i]);
    if (!host->ranges)
        sa_host_missing(host, SA_C_USERNS_RANGE,
                        sa_printf("every sandbox runs as the node's own user id %u, with its "
                                  "groups; start the node as root for a range of ids of its own "
                                  "for each",
                                  (unsigned)host->own_uid));
    probe_masks(host);
    host->landlock_abi = sa_landlock_abi();
    if (host->landlock_abi >= 1)
        host->can |= sa_control_bit(SA_C_LANDLOCK);
    else
        sa_host_missing(host, SA_C_LANDLOCK,
                        sa_strdup("this kernel has no Landlock (5.13, lsm=landlock)"));
    if (host->landlock_abi >= 6)
        host->can |= sa_control_bit(SA_C_LANDLOCK_SCOPE);
    else
        sa_host_missing(host, SA_C_LANDLOCK_SCOPE,
                        sa_printf("Landlock ABI %d of this kernel cannot scope abstract sockets "
                                  "(6.12); the network namespace separates them",
                                  host->landlock_abi));
}

/* The node keeps what it takes to map ids (SETUID, SETGID) and to size the link's buffers
 * (NET_ADMIN), and in reserve what removes its control groups in the end (DAC_OVERRIDE). Over the
 * user namespaces that it makes it has every capability as their owner. */
int sa_host_reduce(struct sa_error *err)
{
    const uint32_t use = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_NET_ADMIN;
    const uint32_t keep = use | 1u << CAP_DAC_OVERRIDE;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    for (unsigned long cap = 0; cap <= 63; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
            break; /* beyond the last capability of this kernel */
    if (syscall(SYS_capget, &header, data) < 0)
        return sa_error_sys(err, SA_ECONTROL, errno, "capget");
    data[0].permitted &= keep;
    data[0].effective = data[0].permitted & use;
    data[1].effective = data[1].permitted = 0;
    data[0].inheritable = data[1].inheritable = 0;
    if (syscall(SYS_capset, &header, data) < 0)
        return sa_error_sys(err, SA_ECONTROL, errno, "cannot give up capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return sa_error_sys(err, SA_ECONTROL, errno, "no_new_privs");
    return 0;
}

void sa_host_raise(unsigned capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        return;
    data[0].effective |= data[0].permitted & 1u << capability;
    syscall(SYS_capset, &header, data);
}

void sa_host_deinit(struct sa_host *host)
{
    int *const fds[] = {&host->state_lock, &host->range_lock, &host->runtime, &host->folder};
    for (size_t i = 0; i < SA_COUNT(fds); i++)
        if (*fds[i] >= 0)
            close(*fds[i]);
    for (int i = 0; i < SA_CONTROL_COUNT; i++)
        free(host->weaker[i]);
    free(host->guard.code);
    memset(host, 0, sizeof *host);
}
