/* The state of the rules, as JSON. */
#include "lua/engine_internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

static void put_time(struct sa_json_w *w, const char *key, int64_t wall_ms)
{
    char text[SA_RFC3339_BYTES];
    sa_rfc3339(wall_ms, text);
    sa_json_put_string(w, key, text);
}

static void put_json(struct sa_json_w *w, const char *key, const struct sa_value *value)
{
    sa_autobuf json = SA_BUF_INIT;
    if (value->type == SA_VALUE_NIL)
        return;
    sa_value_to_json(value, &json);
    sa_json_put_raw(w, key, json.data, json.length);
}

/* Which of the folders it is from. */
static void print_origin(const struct sa_bundle *bundle, const struct sa_value *name,
                         struct sa_json_w *w)
{
    for (size_t i = 0; i < sa_bundle_count(bundle); i++)
        if (sa_value_is(name, sa_bundle_file(bundle, i)->name))
            sa_json_put_string(w, "path", sa_bundle_file(bundle, i)->origin);
}

static void print_rule(const struct sa_generation *g, const struct sa_value *described,
                       struct sa_json_w *w)
{
    static const char *const members[] = {"name",        "version", "point", "file",
                                          "description", "params",  "tests"};
    struct sa_value name = sa_value_get(described, "name");
    struct engine_rule *rule = NULL;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        struct sa_value value = sa_value_get(described, members[i]);
        put_json(w, members[i], &value);
        if (strcmp(members[i], "file") == 0)
            print_origin(g->bundle, &value, w);
    }
    if (name.type == SA_VALUE_STRING)
        HASH_FIND(hh, g->rules, name.data, name.length, rule); // NOLINT(clang-analyzer-*)
    sa_json_put_int(w, "calls", rule ? (int64_t)rule->calls : 0);
    sa_json_put_int(w, "denials", rule ? (int64_t)rule->denials : 0);
}

static void print_rules(const struct sa_generation *g, struct sa_json_w *w)
{
    struct sa_value compiled = sa_value_of(g->compiled.data, g->compiled.length);
    struct sa_value rules = sa_value_get(&compiled, "rules"), rule;
    struct sa_value_reader reader = sa_value_enter(&rules);
    sa_json_put_array(w, "rules");
    while (sa_value_next(&reader, &rule)) {
        sa_json_w_begin_object(w);
        print_rule(g, &rule, w);
        sa_json_w_end_object(w);
    }
    sa_json_w_end_array(w);
}

static const struct sa_bundle_file *find_file(const struct sa_bundle *bundle, const char *name)
{
    for (size_t i = 0; i < sa_bundle_count(bundle); i++)
        if (strcmp(sa_bundle_file(bundle, i)->name, name) == 0)
            return sa_bundle_file(bundle, i);
    return NULL;
}

static void print_texts(const struct sa_bundle *bundle, const struct sa_value *described,
                        struct sa_json_w *w)
{
    const struct sa_value name = sa_value_get(described, "file");
    char rule[256], test[256];
    if (name.type != SA_VALUE_STRING || name.length < 4 || name.length > 200)
        return;
    snprintf(rule, sizeof rule, "%.*s", (int)name.length, name.data);
    snprintf(test, sizeof test, "%.*s_test.lua", (int)name.length - 4, name.data);
    const struct sa_bundle_file *file = find_file(bundle, rule);
    if (file)
        sa_json_put_stringn(w, "text", file->text, file->length);
    file = find_file(bundle, test);
    if (file)
        sa_json_put_stringn(w, "testText", file->text, file->length);
}

bool sa_engine_print_rule(const struct sa_engine *engine, const char *name, struct sa_json_w *w)
{
    const struct sa_generation *g = engine->current;
    if (!g)
        return false;
    struct sa_value compiled = sa_value_of(g->compiled.data, g->compiled.length);
    struct sa_value rules = sa_value_get(&compiled, "rules"), rule;
    struct sa_value_reader reader = sa_value_enter(&rules);
    while (sa_value_next(&reader, &rule)) {
        struct sa_value own = sa_value_get(&rule, "name");
        if (!sa_value_is(&own, name))
            continue;
        print_rule(g, &rule, w);
        print_texts(g->bundle, &rule, w);
        return true;
    }
    return false;
}

static void print_history(const struct sa_engine *engine, struct sa_json_w *w)
{
    sa_json_put_array(w, "history");
    for (size_t i = 0; i < engine->history_count; i++) {
        const struct sa_generation *g = engine->history[i];
        sa_json_w_begin_object(w);
        sa_json_put_int(w, "generation", (int64_t)g->number);
        sa_json_put_string(w, "digest", sa_bundle_digest(g->bundle));
        put_time(w, "loadedAt", g->loaded_ms);
        sa_json_put_int(w, "rules", (int64_t)g->rule_count);
        sa_json_w_end_object(w);
    }
    sa_json_w_end_array(w);
}

static void print_worker(const struct sa_engine *engine, struct sa_json_w *w)
{
    int64_t resident = engine_worker_resident(engine);
    sa_json_put_object(w, "worker");
    if (engine->current && engine->current->ready)
        sa_json_put_int(w, "pid", sa_worker_pid(engine->current->worker));
    sa_json_put_int(w, "restarts", (int64_t)engine->health.restarts);
    if (resident >= 0)
        sa_json_put_int(w, "residentBytes", resident);
    sa_json_w_end_object(w);
}

void sa_engine_print_reload(const struct sa_engine *engine, struct sa_json_w *w)
{
    if (engine->last.at_ms)
        engine_report_print(&engine->last, w);
}

void sa_engine_print(const struct sa_engine *engine, struct sa_json_w *w)
{
    static const char *const sources[] = {
        [SOURCE_FILES] = "files", [SOURCE_ROLLBACK] = "rollback", [SOURCE_KEPT] = "lastGood"};
    const struct sa_generation *g = engine->current;
    sa_json_put_int(w, "generation", g ? (int64_t)g->number : 0);
    if (g) {
        sa_json_put_string(w, "digest", sa_bundle_digest(g->bundle));
        put_time(w, "loadedAt", g->loaded_ms);
        sa_json_put_string(w, "source", sources[g->source]);
        print_rules(g, w);
    }
    if (engine->last.at_ms) {
        sa_json_put_object(w, "lastReload");
        engine_report_print(&engine->last, w);
        sa_json_w_end_object(w);
    }
    print_history(engine, w);
    print_worker(engine, w);
}
