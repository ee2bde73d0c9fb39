/*
 * Removing a tree, iteratively and in slices, without following links. A tree may be deeper than
 * there are descriptors: folders far down are first moved up to the top of the tree, under names
 * nobody has.
 */
#ifndef SA_RUNTIME_REMOVER_H
#define SA_RUNTIME_REMOVER_H

#include <stddef.h>
#include <stdint.h>

enum { SA_REMOVER_DEPTH = 16 };

struct sa_remover_level;
struct sa_remover {
    int above; /* holds the top; not owned */
    size_t depth;
    struct sa_remover_level *levels[SA_REMOVER_DEPTH];
    int64_t count; /* of what was removed */
};

/* Begin with what is called `name` in `above`, which stays open until the end. Anything but a tree
 * is removed at once: 1. 0: there is a tree to step through, -1 with errno (ENOTEMPTY, EEXIST:
 * a tree, and not `recursive`). */
int sa_remover_begin(struct sa_remover *remover, int above, const char *name, int recursive);
/* One slice. 1: all is gone, 0: there is more, -1 with errno. */
int sa_remover_step(struct sa_remover *remover);
/* At any time. */
void sa_remover_deinit(struct sa_remover *remover);

#endif
