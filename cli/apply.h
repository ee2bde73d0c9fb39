/* Making the server have what was read (wanted.h); also what `secureagent up -f` does. */
#ifndef SA_CLI_APPLY_H
#define SA_CLI_APPLY_H

#include "client.h"
#include "wanted.h"

#include "json/write.h"

#include <stdio.h>

struct sa_apply {
    struct sa_client *client;
    const struct sa_usage *usage;
    bool dry_run; /* only look what would be done */
    FILE *out;
};
/* Create or change all of it, telling each on `out` ("warmpool/python created"). Goes on after a
 * failure, which is told on standard error; the exit status of the last one, or 0. */
int sa_apply_all(const struct sa_apply *apply, const struct sa_wanted *wanted);

/* ---- of apply_sandbox.c ---- */

enum sa_applied { SA_APPLIED_UNCHANGED, SA_APPLIED_CREATED, SA_APPLIED_CONFIGURED };
int sa_apply_sandbox(const struct sa_apply *apply, const struct sa_wanted_item *item,
                     enum sa_applied *done, struct sa_error *err);
/* Has `now` the spec that is wanted, and all of the labels and annotations? */
bool sa_apply_same(const struct sa_object *now, const struct sa_object *wanted);
/* A member with the pairs; nothing when there are none. */
void sa_apply_put_map(struct sa_json_w *w, const char *name, const struct sa_json_map *map);

#endif
