/* The files of a control group in each version. `fd` is the folder that holds the groups, `id`
 * the group. Pure formatting is apart, for tests. */
#ifndef SA_NATIVE_CGROUP_FILES_H
#define SA_NATIVE_CGROUP_FILES_H

#include "native/cgroup.h"

/* What differs between versions; the functions work on one controller. */
struct sa_cgroup_version {
    int (*limit)(int fd, const char *id, enum sa_controller controller,
                 const struct sa_cgroup_limits *limits, struct sa_error *err);
    void (*stats)(int fd, const char *id, enum sa_controller controller,
                  struct sa_native_stats *stats);
    bool (*forget_peak)(int fd, const char *id);
    int (*freeze)(int fd, const char *id, bool frozen, struct sa_error *err);
    bool (*is_frozen)(int fd, const char *id);
    int (*oom_watch)(int fd, const char *id, bool *priority);
    int64_t (*oom_kills)(int fd, const char *id);
};
extern const struct sa_cgroup_version sa_cgroup_v1, sa_cgroup_v2;

/* Groups of nodes of that user of the host that were killed, of other names, in the folder
 * `parent`: remove what is empty, and thaw what is not (NULL: do not). True: something runs in
 * some. (cgroup_strays.c) */
bool sa_strays_remove(int parent, uint32_t user, const struct sa_cgroup_version *thaw);

/* "memory" and so on. */
const char *sa_controller_name(enum sa_controller controller);

/* Small accessors (cgroup.c): write text, read a number (-1: absent or "max"), read the number
 * after a key of a flat keyed file. */
int sa_cgroup_write(int fd, const char *id, const char *file, const char *text,
                    struct sa_error *err);
bool sa_cgroup_text(int fd, const char *id, const char *file, char *out, size_t size);
int64_t sa_cgroup_number(int fd, const char *id, const char *file);
int64_t sa_cgroup_keyed(int fd, const char *id, const char *file, const char *key);
/* Same, of a text. */
int64_t sa_cgroup_keyed_text(const char *text, const char *key);

/* Quota and period, microseconds, of so many millicores: the kernel wants at least 1000 each. */
void sa_cgroup_cpu_quota(int64_t millicores, int64_t *quota_us, int64_t *period_us);

#endif
