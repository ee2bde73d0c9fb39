/* What `up` makes once its server serves: what manifests ask for, and a first pool. */
#ifndef SA_CLI_UP_APPLY_H
#define SA_CLI_UP_APPLY_H

#include "wanted.h"

struct sa_up_apply {
    const struct sa_usage *usage;
    const struct sa_wanted *wanted; /* may be empty */
    bool default_pool;              /* make one where there is none */
};

/* Over the API, as anybody else would. Blocks; SIGTERM and SIGINT, which must be blocked signals,
 * end it early with SA_ECANCELED. SA_EINVALID: some of what manifests ask for was refused, which
 * is told on standard error. That there is no default pool to be had is told, and no failure. */
int sa_up_apply(const struct sa_up_apply *up, const char *url, const char *key,
                const char *tls_cert, struct sa_error *err);

#endif
