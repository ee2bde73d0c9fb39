/*
 * Ports that the rules have opened of late. A page makes dozens of requests at once: who was
 * allowed a port is not asked about again for a second, under the same generation of the rules.
 * One entry for each hash; one that pushes out another costs that one a question.
 */
#include "api/port.h"

#include "base/arena.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES = 256, GOOD_MS = 1000 };

struct entry {
    char sandbox[SA_ID_BYTES], key[SA_ID_BYTES];
    int port;
    uint64_t generation;
    int64_t until_ms;
};
struct sa_port_passes {
    struct entry entries[ENTRIES];
};

struct sa_port_passes *sa_port_passes_new(void)
{
    return sa_alloc(sizeof(struct sa_port_passes));
}

void sa_port_passes_free(struct sa_port_passes *passes)
{
    free(passes);
}

/* FNV-1a. */
static uint32_t mix(uint32_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    return hash;
}

static struct entry *slot(struct sa_port_passes *passes, const struct sa_port_pass *pass)
{
    uint32_t hash = mix(mix(2166136261u + (uint32_t)pass->port, pass->sandbox), pass->key);
    return &passes->entries[hash % ENTRIES];
}

bool sa_port_passes_has(struct sa_port_passes *passes, const struct sa_port_pass *pass)
{
    const struct entry *e = slot(passes, pass);
    return e->until_ms > sa_monotonic_ms() && e->port == pass->port &&
           e->generation == pass->generation && strcmp(e->sandbox, pass->sandbox) == 0 &&
           strcmp(e->key, pass->key) == 0;
}

void sa_port_passes_add(struct sa_port_passes *passes, const struct sa_port_pass *pass)
{
    struct entry *e = slot(passes, pass);
    snprintf(e->sandbox, sizeof e->sandbox, "%s", pass->sandbox);
    snprintf(e->key, sizeof e->key, "%s", pass->key);
    e->port = pass->port;
    e->generation = pass->generation;
    e->until_ms = sa_monotonic_ms() + GOOD_MS;
}
