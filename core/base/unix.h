/*
 * Unix sockets by a path that may be longer than an address (108 bytes, unix(7)), or lie in a
 * folder that is known only by its descriptor: the kernel is given /proc/self/fd/FOLDER/NAME.
 */
#ifndef SA_BASE_UNIX_H
#define SA_BASE_UNIX_H

#include "base/error.h"

/* A socket of that type (SOCK_SEQPACKET ..., flags as of socket(2) may be added; close-on-exec
 * always is) with that name in the folder. -1 with errno, EAGAIN when nobody takes connections off
 * the queue. */
int sa_unix_bind(int folder, const char *name, int type);
int sa_unix_connect(int folder, const char *name, int type);

/* The folder of a path, opened (O_PATH), and where its last component begins. -1 with errno. */
int sa_unix_folder(const char *path, const char **name);

#endif
