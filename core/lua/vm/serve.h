/* The conversation with the parent: packets in, packets out (lua/wire.h). */
#ifndef SA_LUA_SERVE_H
#define SA_LUA_SERVE_H

struct sa_vm;

/* Serve until the parent closes or breaks the protocol; the process's exit status. */
int sa_serve(struct sa_vm *vm, int fd);

#endif
