/*
 * Sandboxes that an earlier node of this state folder left running: found by their records before
 * anything is removed, and taken over once there is a driver.
 *
 * A record is believed when the process of that pid was born at that time in this life of the
 * host, is the first of a pid namespace, runs as the user of its id range, and the kernel reports
 * the locks of a sandbox for it (sa_launch_verify()). What is left of others is killed and
 * removed; a process that is not the first of a pid namespace is never touched, whatever a record
 * says.
 */
#ifndef SA_NATIVE_ADOPT_H
#define SA_NATIVE_ADOPT_H

#include "native/host.h"
#include "native/record.h"

struct sa_found {
    struct sa_record record;
    int pidfd;
};
struct sa_found_list {
    struct sa_found *items; /* malloc'd */
    size_t count;
};

/* What runs, as far as can be said without knowing the ranges of this node. */
void sa_found_look(int folder, struct sa_found_list *found);
/* Kill and forget those for which `keep` is false. */
void sa_found_filter(int folder, struct sa_found_list *found,
                     bool (*keep)(const struct sa_found *one, const void *context),
                     const void *context);
/* The block of ids they are in, 0: none of them has any. */
uint32_t sa_found_uid_base(const struct sa_found_list *found);
/* The user namespace that an unprivileged node made for them, opened; -1: there is none. */
int sa_found_namespace(const struct sa_found_list *found);
/* Closes what was not taken (pidfd -1: taken). */
void sa_found_deinit(struct sa_found_list *found);

/* A file of a process, "stat", as text, as much as fits; false when it cannot be had: it has ended.
 */
bool sa_process_read(pid_t pid, const char *file, char *text, size_t size);
/* What a record says of the process that runs as `pid` now: -1 when it has ended. */
int64_t sa_process_start(pid_t pid);
/* This life of the host; "" when it cannot be known. */
void sa_host_boot_id(char out[SA_RECORD_BOOT_BYTES]);

#endif
