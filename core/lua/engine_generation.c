/* Generations: the rules of one, how often each was asked, and those that were in force before. */
#include "lua/engine_internal.h"

#include "base/arena.h"

#include <string.h>

struct sa_generation *engine_generation_new(struct sa_engine *engine, struct sa_bundle *bundle)
{
    struct sa_generation *g = sa_alloc(sizeof *g);
    g->engine = engine;
    g->refs = 1;
    g->bundle = sa_bundle_ref(bundle);
    g->has_rules = sa_alloc(engine->point_count + 1);
    return g;
}

struct sa_generation *engine_generation_ref(struct sa_generation *generation)
{
    generation->refs++;
    return generation;
}

void engine_generation_unref(struct sa_generation *generation)
{
    struct engine_rule *rule, *next;
    if (!generation || --generation->refs)
        return;
    HASH_ITER (hh, generation->rules, rule, next) {
        HASH_DEL(generation->rules, rule); // NOLINT(clang-analyzer-*)
        free(rule);
    }
    sa_buf_deinit(&generation->compiled);
    sa_bundle_unref(generation->bundle);
    free(generation->has_rules);
    free(generation);
}

static struct engine_rule *find_rule(const struct sa_generation *g, const char *name, size_t length)
{
    struct engine_rule *rule;
    HASH_FIND(hh, g->rules, name, length, rule); // NOLINT(clang-analyzer-*)
    return rule;
}

static void add_rule(struct sa_generation *g, const struct sa_value *described)
{
    struct sa_value name = sa_value_get(described, "name");
    struct sa_value point = sa_value_get(described, "point");
    for (size_t i = 0; i < g->engine->point_count; i++)
        if (sa_value_is(&point, g->engine->points[i].name))
            g->has_rules[i] = true;
    g->rule_count++;
    if (name.type != SA_VALUE_STRING || name.length >= NAME_MAX_BYTES ||
        find_rule(g, name.data, name.length))
        return;
    struct engine_rule *rule = sa_alloc(sizeof *rule);
    memcpy(rule->name, name.data, name.length);
    HASH_ADD(hh, g->rules, name, name.length, rule); // NOLINT(clang-analyzer-*)
}

void engine_generation_compiled(struct sa_generation *generation, const struct sa_value *compiled)
{
    struct sa_value rules = sa_value_get(compiled, "rules"), rule;
    struct sa_value_reader reader = sa_value_enter(&rules);
    if (generation->compiled.length) /* a worker started anew on the same rules */
        return;
    sa_value_copy(&generation->compiled, compiled);
    while (sa_value_next(&reader, &rule))
        add_rule(generation, &rule);
}

void engine_generation_count(struct sa_generation *generation, const struct sa_value *verdict,
                             bool denied)
{
    struct sa_value ran = sa_value_get(verdict, "ran"), name;
    struct sa_value_reader reader = sa_value_enter(&ran);
    struct engine_rule *rule;
    while (sa_value_next(&reader, &name))
        if (name.type == SA_VALUE_STRING && (rule = find_rule(generation, name.data, name.length)))
            rule->calls++;
    name = sa_value_get(verdict, "rule"); /* "deny-miners/miner" */
    if (!denied || name.type != SA_VALUE_STRING)
        return;
    const char *slash = memchr(name.data, '/', name.length);
    rule = find_rule(generation, name.data, slash ? (size_t)(slash - name.data) : name.length);
    if (rule)
        rule->denials++;
}

struct sa_generation *engine_history_find(struct sa_engine *engine, uint64_t number)
{
    for (size_t i = 0; i < engine->history_count; i++)
        if (number == 0 || engine->history[i]->number == number)
            return engine->history[i];
    return engine->current && engine->current->number == number ? engine->current : NULL;
}

void engine_history_add(struct sa_engine *engine, struct sa_generation *generation)
{
    if (engine->history_count == HISTORY_MAX)
        engine_generation_unref(engine->history[--engine->history_count]);
    memmove(engine->history + 1, engine->history, engine->history_count * sizeof *engine->history);
    engine->history[0] = generation;
    engine->history_count++;
}
