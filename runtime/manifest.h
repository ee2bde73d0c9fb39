/*
 * The manifest: every entry of every writable folder as it was when the sandbox was sealed. Entries
 * stand in the order in which folders are visited, level by level: first the roots, then what lies
 * in the first folder, sorted by its bytes, and so on. So the children of a folder are one stretch,
 * and a path is never longer than the kernel takes.
 */
#ifndef SA_RUNTIME_MANIFEST_H
#define SA_RUNTIME_MANIFEST_H

#include "base/buf.h"
#include "look.h"

enum {
    SA_MANIFEST_ENTRIES_MAX = 65536,
    SA_MANIFEST_NAMES_MAX = 8 * 1024 * 1024, /* bytes */
};
#define SA_MANIFEST_BYTES_MAX (INT64_C(2) << 30) /* of contents */

struct sa_entry {
    uint32_t parent;       /* a root's own index */
    uint32_t name;         /* where it starts in `names` */
    uint32_t first, count; /* children of a folder */
    bool fixed;            /* nobody inside can change it (sa_look_is_fixed) */
    bool open_below;       /* a folder: something below is not fixed */
    bool whole;            /* a root, not listed: as it came, with all below (scratch.h) */
    /* At the time of the last full look it had not changed for so long that any later change gives
     * it another ctime. */
    bool settled;
    bool touched; /* during RESET: look at it fully */
    /* A folder: of its names as the kernel lists them. To move one away and back changes that. */
    uint8_t order[SA_DIGEST_BYTES];
    struct sa_facts facts;
};

struct sa_manifest {
    struct sa_entry *entries;
    size_t count, capacity;
    char *names;
    size_t names_length, names_capacity;
    int64_t bytes;                 /* of contents */
    uint8_t tree[SA_DIGEST_BYTES]; /* of all entries */
};

void sa_manifest_deinit(struct sa_manifest *manifest);
/* The index of a new entry; -1 and SA_EQUOTA when there are too many. */
int64_t sa_manifest_add(struct sa_manifest *manifest, uint32_t parent, const char *name,
                        struct sa_error *err);
/* What it is called; "." for a root. */
const char *sa_manifest_name(const struct sa_manifest *manifest, uint32_t index);
/* Opens the folder beneath its root, and no other file system; -1 with errno. */
int sa_manifest_open(const struct sa_manifest *manifest, uint32_t index);
/* The child of that name, or NULL. */
struct sa_entry *sa_manifest_find(const struct sa_manifest *manifest, uint32_t folder,
                                  const char *name);
/* Fills `tree`. */
void sa_manifest_seal(struct sa_manifest *manifest);

/* The absolute path of NAME (or NULL: nothing more) in a folder, made printable and short enough
 * for an error's path. */
void sa_manifest_show(const struct sa_manifest *manifest, uint32_t folder, const char *name,
                      char *out, size_t size);

/* The writable folders, roots first, then scratch folders: descriptor (O_PATH) and path; false
 * beyond the last one. */
struct sa_sealed_root {
    int fd;
    const char *path;
    int scratch; /* its number; -1: it is none */
};
bool sa_sealed_root(size_t index, struct sa_sealed_root *root);

#endif
