#include "remover.h"

#include "base/arena.h"
#include "base/id.h"
#include "entries.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SLICE_ENTRIES = 256,
    RESCANS_MAX = 64, /* of one folder that somebody goes on filling */
};

/* A folder that is being emptied. levels[0] is the top of the tree, not its parent. */
struct sa_remover_level {
    int fd;
    int rescans;
    char name[NAME_MAX + 1];
    struct sa_entries entries;
};

static void pop(struct sa_remover *r)
{
    struct sa_remover_level *level = r->levels[--r->depth];
    close(level->fd);
    free(level);
}

/* Open a folder in order to empty it. One that is closed to its owner is opened up first. */
static int push(struct sa_remover *r, int above, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(above, name, flags);
    struct stat st;
    if (fd < 0 && errno == EACCES && fstatat(above, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(st.st_mode) && fchmodat(above, name, 0700, 0) == 0)
        fd = openat(above, name, flags);
    if (fd < 0)
        return -1;
    struct sa_remover_level *level = sa_alloc(sizeof *level);
    level->fd = fd;
    snprintf(level->name, sizeof level->name, "%s", name);
    r->levels[r->depth++] = level;
    return 0;
}

/* Too deep: hang the folder into the top, where it will be met again. */
static int move_up(struct sa_remover *r, struct sa_remover_level *level, const char *name)
{
    char moved[SA_ID_BYTES];
    sa_id_new(".sa-rm-", moved);
    if (renameat(level->fd, name, r->levels[0]->fd, moved) < 0)
        return -1;
    r->levels[0]->rescans = 0; /* the top is scanned again until it can be removed */
    return 0;
}

/* Remove one entry, or begin with a folder. 0, or -1 with errno. */
static int remove_entry(struct sa_remover *r, struct sa_remover_level *level, const char *name)
{
    if (unlinkat(level->fd, name, 0) == 0 || unlinkat(level->fd, name, AT_REMOVEDIR) == 0) {
        r->count++;
        return 0;
    }
    if (errno == ENOENT)
        return 0;
    if (errno == EACCES && fchmod(level->fd, 0700) == 0 && !level->rescans)
        return 0;           /* opened up: the next scan tries again */
    if (errno == ENOTDIR) { /* a file after all, that unlink refused: say why */
        unlinkat(level->fd, name, 0);
        return -1;
    }
    if (errno != ENOTEMPTY && errno != EEXIST && errno != EACCES)
        return -1;
    return r->depth == SA_REMOVER_DEPTH ? move_up(r, level, name) : push(r, level->fd, name);
}

/* The innermost folder was scanned to its end. 0, or -1 with errno. */
static int leave(struct sa_remover *r)
{
    struct sa_remover_level *level = r->levels[r->depth - 1];
    int above = r->depth > 1 ? r->levels[r->depth - 2]->fd : r->above;
    if (unlinkat(above, level->name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
        r->count += errno != ENOENT;
        pop(r);
        return 0;
    }
    if ((errno != ENOTEMPTY && errno != EEXIST) || ++level->rescans == RESCANS_MAX)
        return -1;
    level->entries.at = level->entries.have = 0;
    return lseek(level->fd, 0, SEEK_SET) < 0 ? -1 : 0;
}

int sa_remover_begin(struct sa_remover *r, int above, const char *name, int recursive)
{
    *r = (struct sa_remover){.above = above};
    if (unlinkat(above, name, 0) == 0 ||
        (errno == EISDIR && unlinkat(above, name, AT_REMOVEDIR) == 0)) {
        r->count = 1;
        return 1;
    }
    if (!recursive || (errno != ENOTEMPTY && errno != EEXIST))
        return -1;
    return push(r, above, name);
}

int sa_remover_step(struct sa_remover *r)
{
    for (int i = 0; i < SLICE_ENTRIES; i++) {
        if (!r->depth)
            return 1;
        struct sa_remover_level *level = r->levels[r->depth - 1];
        const char *name = sa_entries_next(&level->entries, level->fd);
        if ((name ? remove_entry(r, level, name) : leave(r)) < 0)
            return -1;
    }
    return 0;
}

void sa_remover_deinit(struct sa_remover *r)
{
    while (r->depth)
        pop(r);
}
