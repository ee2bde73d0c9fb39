/* Reading and applying label selectors. */
#include "objects/selector.h"

#include <string.h>

enum { WORD_MAX = 253 };

struct parser {
    const char *text, *at;
    struct sa_arena *arena;
    struct sa_error *err;
    size_t values; /* so far, of all requirements */
};

static void skip_spaces(struct parser *p)
{
    p->at += strspn(p->at, " \t");
}

static int expected(const struct parser *p, const char *what)
{
    return sa_error_at(p->err, SA_EINVALID, "labelSelector",
                       "labelSelector: at character %zu: expected %s",
                       (size_t)(p->at - p->text) + 1, what);
}

/* May be empty; NULL: longer than any label's. */
static const char *word(struct parser *p)
{
    skip_spaces(p);
    size_t n = strcspn(p->at, "=!,()<> \t");
    if (n > WORD_MAX)
        return NULL;
    const char *found = sa_arena_strndup(p->arena, p->at, n);
    p->at += n;
    skip_spaces(p);
    return found;
}

static bool take(struct parser *p, const char *token)
{
    size_t n = strlen(token);
    if (strncmp(p->at, token, n) != 0)
        return false;
    p->at += n;
    return true;
}

static int add_value(struct parser *p, struct sa_requirement *r)
{
    const char *value = word(p);
    if (!value)
        return expected(p, "a value of at most 253 bytes");
    if (p->values == SA_SELECTOR_VALUES_MAX)
        return expected(p, "no more values: 64 are the most");
    p->values++;
    r->values[r->count++] = value;
    return 0;
}

static int parse_set(struct parser *p, struct sa_requirement *r)
{
    if (!take(p, "("))
        return expected(p, "( and values");
    do {
        if (add_value(p, r) < 0)
            return -1;
    } while (take(p, ","));
    if (!take(p, ")"))
        return expected(p, ", or )");
    skip_spaces(p);
    return 0;
}

static bool one_of_words(const char *found, const char *in, const char *notin)
{
    return found && (strcmp(found, in) == 0 || strcmp(found, notin) == 0);
}

static int parse_operator(struct parser *p, struct sa_requirement *r)
{
    if (take(p, "!=")) {
        r->wanted = false;
        return add_value(p, r);
    }
    if (take(p, "==") || take(p, "="))
        return add_value(p, r);
    if (*p->at == ',' || *p->at == '\0')
        return 0; /* the key alone */
    const char *begin = p->at, *operator= word(p);
    if (!one_of_words(operator, "in", "notin")) {
        p->at = begin;
        return expected(p, "=, ==, !=, in, notin, a comma or the end");
    }
    r->wanted = strcmp(operator, "in") == 0;
    return parse_set(p, r);
}

static int parse_requirement(struct parser *p, struct sa_requirement *r)
{
    *r = (struct sa_requirement){.wanted = true};
    /* As many as there can be, taken once: values of a set come one by one. */
    r->values = sa_arena_alloc(p->arena, SA_SELECTOR_VALUES_MAX * sizeof *r->values);
    skip_spaces(p);
    bool negated = take(p, "!");
    r->key = word(p);
    if (!r->key || !r->key[0])
        return expected(p, "a key of 1 to 253 bytes");
    if (negated) {
        r->wanted = false;
        return 0;
    }
    return parse_operator(p, r);
}

int sa_selector_parse(const char *text, struct sa_arena *arena, struct sa_selector *selector,
                      struct sa_error *err)
{
    struct parser p = {.text = text, .at = text, .arena = arena, .err = err};
    *selector = (struct sa_selector){.count = 0};
    skip_spaces(&p);
    if (!*p.at)
        return 0;
    do {
        if (selector->count == SA_SELECTOR_MAX)
            return expected(&p, "no more requirements: 16 are the most");
        if (parse_requirement(&p, &selector->items[selector->count++]) < 0)
            return -1;
    } while (take(&p, ","));
    return *p.at ? expected(&p, "a comma or the end") : 0;
}

static bool has(const struct sa_requirement *r, const struct sa_json_map *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (strcmp(labels->items[i].key, r->key) != 0)
            continue;
        for (size_t v = 0; v < r->count; v++)
            if (strcmp(labels->items[i].value, r->values[v]) == 0)
                return true;
        return r->count == 0;
    }
    return false;
}

bool sa_selector_matches(const struct sa_selector *selector, const struct sa_json_map *labels)
{
    for (size_t i = 0; i < selector->count; i++)
        if (has(&selector->items[i], labels) != selector->items[i].wanted)
            return false;
    return true;
}
