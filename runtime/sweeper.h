/*
 * Making the writable folders as the manifest says, in slices: what is not in it is removed, what
 * can be undone is undone (permissions, times, attributes), and what was sealed and is changed or
 * gone is an error. Nothing may run in the sandbox meanwhile.
 *
 * Only what may have changed is looked at closely. A ctime cannot be set from inside, so an entry
 * whose ctime is as it was has the same mode, owner, attributes, names below it. Its bytes are
 * another matter: a page of a tmpfs that was mapped shared and read first is written without any
 * time being touched. So bytes are read again unless the file is closed to writing.
 */
#ifndef SA_RUNTIME_SWEEPER_H
#define SA_RUNTIME_SWEEPER_H

#include "manifest.h"
#include "remover.h"

#include <dirent.h>

enum sa_sweep_phase { SA_SWEEP_ENTER, SA_SWEEP_SCAN, SA_SWEEP_CHILDREN, SA_SWEEP_LEAVE };

struct sa_sweeper {
    struct sa_manifest *manifest;
    enum sa_sweep_phase phase;
    uint32_t at; /* the folder that is being visited */
    int folder;
    DIR *names; /* of it, while it is scanned */
    int scans;
    struct sa_digest listed; /* by this scan */
    uint8_t order[SA_DIGEST_BYTES];
    bool dirty; /* this scan has removed something */
    struct sa_remover remover;
    bool removing;
    char what[256]; /* is being removed */
    uint32_t next;  /* child */
    struct sa_reader reader;
    uint32_t reading;
    struct sa_facts seen;    /* of what is being read */
    int64_t removed, looked; /* entries */
};

/* `trusted`: no clock was set since the last look, so that ctimes mean something. */
void sa_sweeper_begin(struct sa_sweeper *sweeper, struct sa_manifest *manifest, bool trusted);
/* One slice. 1: all is as it was, 0: more, -1 and SA_ECONFLICT: path and message say what is not.
 */
int sa_sweeper_step(struct sa_sweeper *sweeper, struct sa_error *err);
void sa_sweeper_deinit(struct sa_sweeper *sweeper);

#endif
