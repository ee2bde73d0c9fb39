/* What the rules decided, as the message that the node is sent. */
#ifndef SA_SECURITY_PROFILE_H
#define SA_SECURITY_PROFILE_H

#include "security/rules.h"

/* Append the fields of a PROFILE without its id, and write the id, their SHA-256. -1 and
 * SA_ECONTROL: the context wants another runtime class than the native one ("securityLevel"), or
 * its filters are empty or too long ("seccomp"). */
int sa_security_profile(const char *level, const struct sa_rules_answer *rules,
                        char id[SA_PROFILE_ID_BYTES], struct sa_buf *out, struct sa_error *err);

#endif
