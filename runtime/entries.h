/* The names in a folder, some at a time (getdents64(2)). */
#ifndef SA_RUNTIME_ENTRIES_H
#define SA_RUNTIME_ENTRIES_H

struct sa_entries { /* zero it; or `have` and `at`, to begin anew */
    char buffer[4096] __attribute__((aligned(8)));
    long have, at; /* have < 0: it could not be read, see errno */
};

/* The next one, of the folder `fd`; NULL at the end. "." and ".." are left out. Valid until the
 * next call. */
const char *sa_entries_next(struct sa_entries *entries, int fd);

#endif
