/*
 * The door: a datagram socket on SA_BOOT_LINK_FD, over which the launcher hands in connections
 * (link/methods.h). Whoever is handed in last has the sandbox. Nothing in the sandbox leads to its
 * other end: it has no name in here, and no program inherits it.
 */
#ifndef SA_RUNTIME_DOOR_H
#define SA_RUNTIME_DOOR_H

/* Takes the descriptor; from now on there is no connection. */
void sa_door_open(int fd);
/* The connection is lost: this process exits unless another one comes within sa_boot.orphan_ms. */
void sa_door_await(void);

#endif
