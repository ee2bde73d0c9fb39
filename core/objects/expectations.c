/* Expectations: a set of names for each key, with the time at which they lapse. */
#include "objects/expectations.h"

#include "base/arena.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct expected {
    struct expected *next;
    uint64_t until_ms;
    char name[];
};
struct entry {
    UT_hash_handle hh;
    struct expected *creates, *deletes;
    char key[];
};
struct sa_expectations {
    struct entry *entries;
    int64_t ttl_ms;
    uint64_t (*now_ms)(void);
};

static uint64_t monotonic(void)
{
    return (uint64_t)sa_monotonic_ms();
}

struct sa_expectations *sa_expectations_new(int64_t ttl_ms, uint64_t (*now_ms)(void))
{
    struct sa_expectations *e = sa_alloc(sizeof *e);
    e->ttl_ms = ttl_ms;
    e->now_ms = now_ms ? now_ms : monotonic;
    return e;
}

static struct entry *find(const struct sa_expectations *e, const char *key)
{
    struct entry *entry;
    HASH_FIND_STR(e->entries, key, entry);
    return entry;
}

static void drop_list(struct expected *list)
{
    while (list) {
        struct expected *next = list->next;
        free(list);
        list = next;
    }
}

static void drop(struct sa_expectations *e, struct entry *entry)
{
    // The table is left before the memory. NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
    HASH_DEL(e->entries, entry);
    drop_list(entry->creates);
    drop_list(entry->deletes);
    free(entry);
}

static struct entry *find_or_add(struct sa_expectations *e, const char *key)
{
    struct entry *entry = find(e, key);
    if (entry)
        return entry;
    size_t length = strlen(key);
    entry = sa_alloc(sizeof *entry + length + 1);
    memcpy(entry->key, key, length);
    HASH_ADD_KEYPTR(hh, e->entries, entry->key, length, entry);
    return entry;
}

/* Takes out the one of that name, and those that have lapsed (`name` NULL: only those). */
static void purge(struct expected **list, const char *name, uint64_t now)
{
    while (*list) {
        struct expected *x = *list;
        if (x->until_ms > now && (!name || strcmp(x->name, name) != 0)) {
            list = &x->next;
            continue;
        }
        *list = x->next;
        free(x);
    }
}

static void expect(struct sa_expectations *e, struct expected **list, const char *name)
{
    uint64_t now = e->now_ms();
    size_t length = strlen(name);
    purge(list, name, now);
    struct expected *x = sa_alloc(sizeof *x + length + 1);
    memcpy(x->name, name, length);
    x->until_ms = now + (uint64_t)e->ttl_ms;
    x->next = *list;
    *list = x;
}

void sa_expect_create(struct sa_expectations *e, const char *key, const char *name)
{
    expect(e, &find_or_add(e, key)->creates, name);
}

void sa_expect_delete(struct sa_expectations *e, const char *key, const char *uid)
{
    expect(e, &find_or_add(e, key)->deletes, uid);
}

static void seen(struct sa_expectations *e, const char *key, const char *created,
                 const char *deleted)
{
    struct entry *entry = find(e, key);
    if (!entry)
        return;
    uint64_t now = e->now_ms();
    purge(&entry->creates, created, now);
    purge(&entry->deletes, deleted, now);
    if (!entry->creates && !entry->deletes)
        drop(e, entry);
}

void sa_expect_seen_create(struct sa_expectations *e, const char *key, const char *name)
{
    seen(e, key, name, NULL);
}

void sa_expect_seen_delete(struct sa_expectations *e, const char *key, const char *uid)
{
    seen(e, key, NULL, uid);
}

static size_t count(const struct sa_expectations *e, const struct expected *list)
{
    uint64_t now = e->now_ms();
    size_t n = 0;
    for (; list; list = list->next)
        n += list->until_ms > now;
    return n;
}

size_t sa_expect_creates(const struct sa_expectations *e, const char *key)
{
    const struct entry *entry = find(e, key);
    return entry ? count(e, entry->creates) : 0;
}

size_t sa_expect_deletes(const struct sa_expectations *e, const char *key)
{
    const struct entry *entry = find(e, key);
    return entry ? count(e, entry->deletes) : 0;
}

void sa_expect_forget(struct sa_expectations *e, const char *key)
{
    struct entry *entry = find(e, key);
    if (entry)
        drop(e, entry);
}

void sa_expectations_free(struct sa_expectations *e)
{
    struct entry *entry, *next;
    if (!e)
        return;
    HASH_ITER (hh, e->entries, entry, next)
        drop(e, entry);
    free(e);
}
