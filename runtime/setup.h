/*
 * What made the sandbox somebody's: the environment that SETUP brought, on top of that of the boot
 * block. Its values may be secret, so they are wiped when they are dropped.
 */
#ifndef SA_RUNTIME_SETUP_H
#define SA_RUNTIME_SETUP_H

#include "boot.h"

enum { SA_SETUP_ENV_MAX = 256 };

/* The environment of every program, ended by NULL. Valid until SETUP or sa_setup_drop(). */
char **sa_setup_env(void);
/* Do two "NAME=value" have the same name? */
bool sa_setup_same_name(const char *a, const char *b);
/* As it was before SETUP. No program may still be about to start. */
void sa_setup_drop(void);

#endif
