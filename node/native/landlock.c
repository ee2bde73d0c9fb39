/* Landlock: everything of the root may be read and run, some folders and devices written. */
#include "native/landlock.h"

#include "base/cleanup.h"
#include "native/context.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ABI 3, 5 and 6; not in the headers of Debian 12. */
#define FS_TRUNCATE (1ull << 14)
#define FS_IOCTL_DEV (1ull << 15)
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ull << 0)

#define FS_READ                                                                                    \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_CHANGE                                                                                  \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |  \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define FS_NEVER (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

static uint64_t handled(int abi)
{
    uint64_t access = FS_READ | FS_CHANGE | FS_NEVER;
    if (abi >= 2)
        access |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        access |= FS_TRUNCATE;
    if (abi >= 5)
        access |= FS_IOCTL_DEV;
    return access;
}

int sa_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi < 0 ? 0 : (int)abi;
}

static int allow_folder(int rules, int folder, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = folder};
    return (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static int allow(int rules, const char *path, uint64_t access)
{
    sa_autoclose int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -1 : allow_folder(rules, fd, access);
}

int sa_landlock_rules(const struct sa_host *host, uint32_t folders, int queues)
{
    const int abi = host->landlock_abi;
    struct {
        uint64_t fs, net, scoped;
    } attr = {.fs = handled(abi), .scoped = abi >= 6 ? SCOPE_ABSTRACT_UNIX_SOCKET : 0};
    const size_t size = abi >= 6 ? sizeof attr : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    sa_autoclose int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (rules < 0)
        return -1;
    /* The root holds nothing but what may be read, so one rule says it. */
    if (allow(rules, "/", FS_READ) < 0)
        return -1;
    for (size_t i = 0; i < SA_FOLDER_COUNT; i++)
        if (folders >> i & 1 && allow(rules, sa_folders[i], handled(abi) & ~(uint64_t)FS_NEVER) < 0)
            return -1;
    if (host->go.root[0] && allow(rules, SA_GO_CACHE, handled(abi) & ~(uint64_t)FS_NEVER) < 0)
        return -1;
    if (allow_folder(rules, queues, LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE) <
        0)
        return -1;
    /* Devices, terminals among them; and /proc/self/{comm,oom_score_adj,…}, where the kernel's
     * own rules and the read-only mounts decide. */
    uint64_t device = handled(abi) & (LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV);
    if (allow(rules, "/dev", device) < 0 || allow(rules, "/proc", device & ~FS_IOCTL_DEV) < 0)
        return -1;
    return sa_steal_fd(&rules);
}

int sa_landlock_restrict(int rules)
{
    return (int)syscall(SYS_landlock_restrict_self, rules, 0);
}
