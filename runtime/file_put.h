/*
 * A file in the making: it has no name (O_TMPFILE) until it takes its place in one step; until
 * then, and if it never comes to that, nothing is visible. Where the file system has no O_TMPFILE
 * a hidden name is used, and removed on every way out.
 */
#ifndef SA_RUNTIME_FILE_PUT_H
#define SA_RUNTIME_FILE_PUT_H

#include "base/id.h"

#include <limits.h>
#include <stdbool.h>

struct sa_put {
    int folder, fd; /* -1: none */
    char name[NAME_MAX + 1];
    char temp[SA_ID_BYTES]; /* "" while the file has no name */
};

/* Takes over `folder`, also on failure. 0, or -1 with errno. */
int sa_put_open(struct sa_put *put, int folder, const char *name);
/* Put it in its place: 1: it is new, 0: it replaced a file, -1 with errno (EEXIST where something
 * is there and `keep`; EISDIR). The descriptors stay until sa_put_close(). */
int sa_put_commit(struct sa_put *put, bool keep);
/* Close; what was not committed is gone. Harmless on zeroed descriptors of -1. */
void sa_put_close(struct sa_put *put);
/* Remove the hidden name, at the end of the process. */
void sa_put_abandon(struct sa_put *put);

#endif
