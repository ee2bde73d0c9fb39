/* Undoing what was done to an entry that was sealed: permissions, extended attributes that it did
 * not have, inode flags, the times of access and modification. */
#ifndef SA_RUNTIME_RESTORE_H
#define SA_RUNTIME_RESTORE_H

#include "look.h"

/* `fd`: the entry opened, or -1 for what cannot be. -1 with errno. */
int sa_restore(int fd, int folder, const char *name, const struct sa_facts *sealed,
               const struct sa_facts *now);
/* Of what an O_PATH descriptor stands for. */
int sa_restore_mode(int fd, uint32_t mode);

#endif
