/* Giving up privilege for good. */
#ifndef SA_API_PRIVILEGE_H
#define SA_API_PRIVILEGE_H

#include "base/error.h"

#include <sys/types.h>

/* Become uid:gid without groups or capabilities, with no way back (capabilities(7),
 * PR_SET_NO_NEW_PRIVS), and die when the parent does. Where the process is not root only the
 * latter two apply. Call before any thread is started. */
int sa_privilege_drop(uid_t uid, gid_t gid, struct sa_error *err);

#endif
