/*
 * Copying a file, a link or a whole folder, in slices: bytes, holes, permissions (without set-uid,
 * set-gid and sticky bits) and times of modification. Links are copied, never followed; what is
 * none of these is refused.
 */
#ifndef SA_RUNTIME_COPIER_H
#define SA_RUNTIME_COPIER_H

#include "base/error.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum { SA_COPIER_DEPTH = 64 };

struct sa_copier_level;
struct sa_copier {
    size_t depth;
    struct sa_copier_level *levels[SA_COPIER_DEPTH];
    int in, out; /* the file that is being copied; -1: none */
    int64_t offset;
    struct stat st;
    char path[PATH_MAX]; /* of what is being copied, for messages */
};

/* Copy what the O_PATH descriptor `from` is, which is at `full`, to the new name `to_name` in
 * `to_folder`. 1: done, 0: step through it, -1. */
int sa_copier_begin(struct sa_copier *copier, int from, const char *full, int to_folder,
                    const char *to_name, struct sa_error *err);
/* One slice. 1: done, 0: there is more, -1. */
int sa_copier_step(struct sa_copier *copier, struct sa_error *err);
void sa_copier_deinit(struct sa_copier *copier);

#endif
