/*
 * What can be seen of one file, folder or other entry: all that SEAL remembers and RESET compares.
 * Nothing runs in the sandbox meanwhile, so that looking twice sees the same.
 */
#ifndef SA_RUNTIME_LOOK_H
#define SA_RUNTIME_LOOK_H

#include "base/error.h"
#include "digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sa_facts {
    uint32_t mode, uid, gid, links, flags; /* flags: FS_IOC_GETFLAGS, where it can be had */
    uint64_t dev, ino, size, blocks, rdev;
    int64_t atime_ns, mtime_ns, ctime_ns;
    uint8_t attrs[SA_DIGEST_BYTES];   /* of extended attributes; zero when there are none */
    uint8_t content[SA_DIGEST_BYTES]; /* of a file's bytes, or a link's target; else zero */
};

/* What stat(2) tells of `name` in the folder ("": of the folder itself); -1 with errno. */
int sa_look_stat(int folder, const char *name, struct sa_facts *facts);
/* Open it to look closer: a file or folder; for others -1 and errno 0. What is ours and closed to
 * us is opened up for that moment, and looked at anew. */
int sa_look_open(int folder, const char *name, struct sa_facts *facts);
/* Extended attributes and flags. `fd` as sa_look_open() gave it, then folder and name do not
 * matter. A link's target, too. -1 with errno; E2BIG: more than is remembered of one entry. */
int sa_look_closer(int fd, int folder, const char *name, struct sa_facts *facts);

/* Nobody in the sandbox can change it but by replacing it: neither is it ours, nor may we write. */
bool sa_look_is_fixed(const struct sa_facts *facts);
/* Its bytes cannot be changed without changing its mode first, which shows in ctime. */
bool sa_look_is_closed(const struct sa_facts *facts);
/* All but times of access and change, device and inode; the name of what differs, or NULL. */
const char *sa_look_difference(const struct sa_facts *a, const struct sa_facts *b);

/*
 * The bytes of a file, in slices: where there are some, and what they are. Holes are skipped, so
 * that a file of terabytes costs what it holds.
 */
struct sa_reader {
    int fd; /* -1: none */
    int64_t at, end, size;
    struct sa_digest digest;
    int64_t bytes; /* read so far */
};

/* Takes fd. */
void sa_reader_begin(struct sa_reader *reader, int fd, int64_t size);
/* One slice. 1: `out` is there and fd closed, 0: more, -1 with errno. */
int sa_reader_step(struct sa_reader *reader, uint8_t out[SA_DIGEST_BYTES]);
void sa_reader_deinit(struct sa_reader *reader);

#endif
