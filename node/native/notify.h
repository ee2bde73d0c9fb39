/*
 * The listener of a sandbox's base filter (seccomp_unotify(2)): every telling system call is
 * answered with EPERM and counted. The first of each kind is reported at once, then at most one
 * report a second and kind, with the count. Who floods is not served for the rest of a tick: its
 * calls just wait, and the loop is not eaten.
 */
#ifndef SA_NATIVE_NOTIFY_H
#define SA_NATIVE_NOTIFY_H

#include "native/native.h"

#include <uv.h>

struct sa_notify;

typedef void sa_notify_cb(void *owner, const struct sa_native_denial *denial);

/* Takes the descriptor. */
struct sa_notify *sa_notify_start(uv_loop_t *loop, int listener, sa_notify_cb *denied, void *owner);
/* Reports what is still counted, then closes; NULL is allowed. */
void sa_notify_stop(struct sa_notify *notify);

#endif
