/*
 * What of a sandbox is neither a process nor a file below the writable folders, and can be looked
 * at: a text of lines "NAME VALUE", the same whenever nothing differs.
 */
#ifndef SA_RUNTIME_WORLD_H
#define SA_RUNTIME_WORLD_H

#include "base/buf.h"
#include "base/error.h"

/* No process may be left but this one. */
void sa_world_look(struct sa_buf *out);
/* Undoes what is undone of it by itself: before it is looked at. */
void sa_world_restore(void);
/* 0, or -1 and SA_ECONFLICT, whose path and message name the first line that differs. */
int sa_world_compare(const struct sa_buf *sealed, const struct sa_buf *now, struct sa_error *err);
/* -1 and SA_ECONTROL: there is a writable file system which no manifest covers. */
int sa_world_check_mounts(struct sa_error *err);

#endif
