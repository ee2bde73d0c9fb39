/*
 * The node's state folder, 0700: for each sandbox a record (native/record.h) under its id, and its
 * door (link/methods.h), a socket. The folder is reached by its descriptor alone: the node leaves
 * the host's mounts.
 */
#ifndef SA_NATIVE_FOLDER_H
#define SA_NATIVE_FOLDER_H

#include "native/record.h"

/* Open it, or make it (not what is above it); everybody else is shut out. The descriptor, or -1:
 * SA_EINVALID, it belongs to somebody else, or cannot be had. */
int sa_folder_open(const char *path, struct sa_error *err);
/* Replaces, in one step, what there is of that id. */
int sa_folder_save(int folder, const struct sa_record *record, struct sa_error *err);
/* All records, at most `most`; what is none is removed. Their number. */
size_t sa_folder_load(int folder, struct sa_record *records, size_t most);
/* Record and door; nothing when there is none. */
void sa_folder_remove(int folder, const char *id);

/* A new door: the end for PID 1, or -1 with errno. */
int sa_door_make(int folder, const char *id);
/* Hand a new link in at the door: the control plane's end. -1: SA_EUNAVAILABLE, nobody is behind
 * the door, or he has not opened it for too long. */
int sa_door_hand_in(int folder, const char *id, struct sa_error *err);

#endif
