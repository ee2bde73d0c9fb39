/*
 * What a node leaves about each of its sandboxes, for the node after it: one small file each, a
 * body of fields (link/fields.h). Only the node can write it; it is checked all the same.
 */
#ifndef SA_NATIVE_RECORD_H
#define SA_NATIVE_RECORD_H

#include "native/cgroup.h"
#include "nodelink/controls.h"
#include "nodelink/profile.h"

enum { SA_RECORD_BYTES_MAX = 16 * 1024, SA_RECORD_BOOT_BYTES = 40 /* as in struct sa_host */ };

struct sa_record {
    char id[SA_ID_BYTES];
    char boot[SA_RECORD_BOOT_BYTES]; /* of the host: pids and times mean nothing after another */
    int64_t pid;                     /* of PID 1, on the host */
    int64_t start;                   /* when it was born, in clock ticks: proc_pid_stat(5) */
    int64_t uid_base;                /* of the node's id ranges; 0: it has none */
    int64_t slot;                    /* among them */
    char group[SA_ID_BYTES];         /* name of its control groups */
    char profile[SA_PROFILE_ID_BYTES];
    struct sa_cgroup_limits limits;
    sa_controls in_force;
    /* What had been counted when it was counted anew for whose it is now. */
    struct sa_counted {
        int64_t cpu_us, throttled_us, memory_peak, oom_kills;
    } before;
};

void sa_record_encode(const struct sa_record *record, struct sa_buf *out);
/* -1 and SA_EPROTOCOL: this is no record, or one of another version. Every member is in range. */
int sa_record_decode(const void *body, size_t length, struct sa_record *record,
                     struct sa_error *err);

#endif
