/*
 * What a reconciler has ordered and not seen yet in its cache (Kubernetes' controller
 * expectations): while a key has some, its counts are of the past, and it must not act on them.
 * They lapse after `ttl_ms`, so that a lost event delays and does not block.
 */
#ifndef SA_OBJECTS_EXPECTATIONS_H
#define SA_OBJECTS_EXPECTATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sa_expectations;
struct sa_expectations *sa_expectations_new(int64_t ttl_ms, uint64_t (*now_ms)(void));
void sa_expectations_free(struct sa_expectations *expectations);

/* By name, so that a doubled event fulfils nothing twice. Names of creates with generateName are
 * chosen by the caller beforehand. */
void sa_expect_create(struct sa_expectations *expectations, const char *key, const char *name);
void sa_expect_delete(struct sa_expectations *expectations, const char *key, const char *uid);
/* Seen in the cache, or the write failed. Unknown ones are no error. */
void sa_expect_seen_create(struct sa_expectations *expectations, const char *key, const char *name);
void sa_expect_seen_delete(struct sa_expectations *expectations, const char *key, const char *uid);
/* Of that key: how many are on their way. 0: what the cache says is true. */
size_t sa_expect_creates(const struct sa_expectations *expectations, const char *key);
size_t sa_expect_deletes(const struct sa_expectations *expectations, const char *key);
void sa_expect_forget(struct sa_expectations *expectations, const char *key);

#endif
