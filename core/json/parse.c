/*
 * Documents: the strict scan first, then cJSON builds the tree, then duplicate keys.
 *
 * cJSON allocates each node and each string by itself. Its hooks are pointed at an arena of the
 * document, which makes that several times cheaper and freeing one call. The hooks are the whole
 * process's, the arena is the thread's: nothing but this file may make cJSON allocate.
 */
#include "json/internal.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    DEFAULT_BYTES = 1 << 20,
    DEFAULT_DEPTH = 32,
    DEFAULT_VALUES = 65536,
    BLOCK_BYTES = 4096,
    DEPTH_CAP = 500, /* below CJSON_NESTING_LIMIT, and kind to the stack */
    FEW = 12         /* members compared pair by pair; more are sorted */
};

static _Thread_local struct sa_arena *current; /* of the document being parsed */

static void *hook_malloc(size_t bytes)
{
    return sa_arena_alloc(current, bytes);
}

static void hook_free(void *pointer)
{
    (void)pointer; /* with the arena */
}

static void set_hooks(void)
{
    cJSON_Hooks hooks = {hook_malloc, hook_free};
    cJSON_InitHooks(&hooks);
}

static cJSON *build(const char *text, size_t length, struct sa_arena *arena)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_hooks);
    current = arena;
    cJSON *root = cJSON_ParseWithLength(text, length);
    current = NULL;
    return root;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static const cJSON *duplicate_of_few(const cJSON *object)
{
    for (const cJSON *a = object->child; a; a = a->next)
        for (const cJSON *b = a->next; b; b = b->next)
            if (strcmp(a->string, b->string) == 0)
                return b;
    return NULL;
}

static const cJSON *duplicate_of_many(const cJSON *object, size_t count)
{
    const cJSON **list = sa_alloc(count * sizeof *list);
    const cJSON *found = NULL;
    size_t n = 0;
    for (const cJSON *c = object->child; c; c = c->next)
        list[n++] = c;
    qsort(list, n, sizeof *list, by_name);
    for (size_t i = 1; i < n && !found; i++)
        if (strcmp(list[i - 1]->string, list[i]->string) == 0)
            found = list[i];
    free(list);
    return found;
}

static int refuse_duplicates(const cJSON *node, const struct sa_json_at *at, struct sa_error *err)
{
    size_t count = 0;
    for (const cJSON *c = node->child; c; c = c->next, count++) {
        if (!c->child)
            continue;
        struct sa_json_at here = {at, c->string, count};
        if (refuse_duplicates(c, &here, err) < 0)
            return -1;
    }
    if (!cJSON_IsObject(node) || count < 2)
        return 0;
    const cJSON *twice = count <= FEW ? duplicate_of_few(node) : duplicate_of_many(node, count);
    if (!twice)
        return 0;
    char shown[SA_JSON_EXCERPT_BYTES];
    struct sa_json_at there = {at, twice->string, 0};
    return sa_json_fail_at(&there, err, "the key %s is there twice",
                           sa_json_excerpt(twice->string, shown));
}

struct sa_json_doc *sa_json_parse(const char *text, size_t length,
                                  const struct sa_json_limits *limits, struct sa_error *err)
{
    struct sa_json_limits use = limits ? *limits : (struct sa_json_limits){0};
    if (!use.max_bytes)
        use.max_bytes = DEFAULT_BYTES;
    if (!use.max_values)
        use.max_values = DEFAULT_VALUES;
    if (!use.max_depth || use.max_depth > DEPTH_CAP)
        use.max_depth = use.max_depth ? DEPTH_CAP : DEFAULT_DEPTH;
    if (length > use.max_bytes) {
        sa_error_set(err, SA_ETOOLARGE, "JSON of %zu bytes: at most %zu are taken", length,
                     use.max_bytes);
        return NULL;
    }
    if (sa_json_scan(text, length, &use, err) < 0)
        return NULL;
    /* Blocks are cleared, and most texts are short: a value is some 100 bytes, and its text 10. */
    size_t guess = sizeof(struct sa_json_doc) + 256 + 8 * length;
    struct sa_arena *arena = sa_arena_new_sized(guess < BLOCK_BYTES ? guess : BLOCK_BYTES);
    const struct sa_json_at at = {NULL, NULL, 0};
    cJSON *root = build(text, length, arena);
    if (!root) /* the scan is stricter, so this cannot be */
        sa_error_set(err, SA_EINTERNAL, "JSON could not be parsed");
    if (!root || refuse_duplicates(root, &at, err) < 0) {
        sa_arena_free(arena);
        return NULL;
    }
    struct sa_json_doc *doc = sa_arena_alloc(arena, sizeof *doc);
    doc->arena = arena;
    doc->root = root;
    return doc;
}

void sa_json_free(struct sa_json_doc *doc)
{
    if (doc)
        sa_arena_free(doc->arena);
}
