/*
 * The profiles that this node knows, by id. A new one is compiled by a child, as that takes some 10
 * ms and memory that the node would never give back; the loop goes on. The last 16 are kept, those
 * that were not used for longest go first. A create needs its profile only until the order is sent.
 */
#ifndef SA_NATIVE_PROFILES_H
#define SA_NATIVE_PROFILES_H

#include "native/context.h"

#include <uv.h>

struct sa_profiles;

/* Ready to be used. */
struct sa_known_profile {
    struct sa_context context;
    int base;           /* sealed memfd of the base filter's instructions */
    size_t base_bytes;  /* in it */
    struct sa_buf boot; /* the part of the boot block that is the same for all under it */
};

/* `err` NULL: it is known now. */
typedef void (*sa_profile_cb)(void *owner, uint32_t call, const struct sa_error *err);

struct sa_profiles *sa_profiles_new(uv_loop_t *loop, const struct sa_host *host, sa_profile_cb done,
                                    void *owner);
/* `done` follows from the loop, after a 0. -1: SA_ECONTROL (sa_context_from), SA_ECONFLICT: it is
 * being compiled; SA_EQUOTA: 4 others are. */
int sa_profiles_add(struct sa_profiles *profiles, const struct sa_profile *profile, uint32_t call,
                    struct sa_error *err);
/* NULL: unknown, and SA_ENOTFOUND with the path "profile". Valid until the loop goes on. */
const struct sa_known_profile *sa_profiles_find(struct sa_profiles *profiles, const char *id,
                                                struct sa_error *err);
/* End the children; frees itself when the loop has closed its handles, then `closed` is called. */
void sa_profiles_stop(struct sa_profiles *profiles, void (*closed)(void *owner));

#endif
