/*
 * From a path of a request to a descriptor, without ever leaving the roots of the boot block.
 *
 * A path is absolute or relative to the first root; it may not hold "..". It is opened beneath the
 * longest root that it falls in, with openat2(2) and RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS, so
 * no link and no race leads out of that root. Where a link points out of the root (any absolute
 * link does) its target is looked up as a new path, and opened beneath a root in the same way.
 */
#ifndef SA_RUNTIME_PATH_H
#define SA_RUNTIME_PATH_H

#include "base/error.h"
#include "boot.h"

#include <limits.h>
#include <stdbool.h>

struct sa_place {
    const struct sa_root *root;
    char full[PATH_MAX];
    const char *rest; /* in `full`, relative to the root; "." for the root itself */
};

/* Where a path of a request lies; SA_EINVALID and SA_EFORBIDDEN. */
int sa_place_parse(struct sa_place *place, const char *path, struct sa_error *err);
bool sa_place_is_root(const struct sa_place *place);

/* Open what lies there, following links between roots (unless O_NOFOLLOW, for the last one); `mode`
 * for O_CREAT. With `write`, only in a writable root. `place` becomes where it was found. The
 * descriptor is close-on-exec. */
int sa_place_open(struct sa_place *place, int flags, bool write, struct sa_error *err);

/* Replace every link on the way, the last one too, by where it points; what it points to need not
 * exist. */
int sa_place_follow(struct sa_place *place, struct sa_error *err);

/* The folder (O_PATH) that holds the place, in a writable root, following links on the way; *name
 * is the last component, pointing into place->full. With `parents`, missing folders are made. */
int sa_place_parent(struct sa_place *place, bool parents, const char **name, struct sa_error *err);

/* Make a folder and those above it. 1: it is new, 0: it was there, -1 otherwise. */
int sa_place_mkdir(struct sa_place *place, unsigned mode, bool parents, struct sa_error *err);

/* Fill `err` from an errno about a path: the code and words that fit. Returns -1. */
int sa_path_error(struct sa_error *err, int error, const char *path);

#endif
