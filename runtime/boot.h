/* The boot block (link/methods.h), decoded. What it holds lives as long as the process. */
#ifndef SA_RUNTIME_BOOT_H
#define SA_RUNTIME_BOOT_H

#include "base/error.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

enum {
    SA_BOOT_BYTES_MAX = 1024 * 1024,
    SA_BOOT_ENV_MAX = 256,
    SA_BOOT_ROOTS_MAX = 32,
    SA_BOOT_SCRATCH_MAX = 4,
    SA_BOOT_FILTERS_MAX = 32,
    SA_RLIMITS_MAX = 16,
    SA_BOOT_ORPHAN_DEFAULT_MS = 120 * 1000,
};

struct sa_root {
    const char *path; /* absolute, no trailing slash but for "/" itself */
    size_t length;
    bool writable;
    int fd; /* O_PATH */
};

struct sa_filter {
    const char *name;
    struct sock_fprog program;
};

/* RLIMIT_CPU etc.; several for the same resource: the last one holds. */
struct sa_rlimit {
    int resource;
    struct rlimit limit;
};
struct sa_rlimits {
    struct sa_rlimit items[SA_RLIMITS_MAX];
    size_t count;
};

struct sa_boot {
    char *env[SA_BOOT_ENV_MAX + 1]; /* ends with NULL */
    size_t env_count;
    struct sa_root roots[SA_BOOT_ROOTS_MAX]; /* the first is the default folder */
    size_t root_count;
    struct sa_root scratch[SA_BOOT_SCRATCH_MAX]; /* writable, for no method of files */
    size_t scratch_count;
    struct sa_filter filters[SA_BOOT_FILTERS_MAX];
    size_t filter_count;
    int oom_score;
    int64_t orphan_ms;
    struct sa_rlimits rlimits;
};

/* The block of this process. */
extern struct sa_boot sa_boot;

/* Reads descriptor `fd` to its end and decodes it into `boot`, opening the roots. */
int sa_boot_read(struct sa_boot *boot, int fd, struct sa_error *err);
/* NULL when there is none of that name. */
const struct sa_filter *sa_boot_filter(const struct sa_boot *boot, const char *name);

/* Add "nofile=1024:2048", "cpu=10" (both limits) or "core=unlimited". */
int sa_rlimits_add(struct sa_rlimits *limits, const char *text, struct sa_error *err);
/* "nofile" etc., for messages. */
const char *sa_rlimit_name(int resource);

#endif
