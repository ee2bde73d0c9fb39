#include "thing.h"

#include <string.h>

static int decode_spec(struct sa_json_obj *json, bool lenient, struct sa_arena *arena,
                       const void **spec, struct sa_error *err)
{
    struct thing_spec *s = sa_arena_alloc(arena, sizeof *s);
    *s = (struct thing_spec){.size = 1, .node = "", .fixed = ""};
    if (sa_json_opt_int(json, "size", 0, 100, &s->size, NULL, err) < 0 ||
        sa_json_opt_string(json, "node", 63, &s->node, NULL, err) < 0 ||
        sa_json_opt_string(json, "fixed", 63, &s->fixed, NULL, err) < 0 ||
        (!lenient && sa_json_finish(json, err) < 0))
        return -1;
    *spec = s;
    return 0;
}

static int decode_status(struct sa_json_obj *json, bool lenient, struct sa_arena *arena,
                         const void **status, struct sa_error *err)
{
    struct thing_status *s = sa_arena_alloc(arena, sizeof *s);
    *s = (struct thing_status){.phase = ""};
    if (sa_json_opt_string(json, "phase", 63, &s->phase, NULL, err) < 0 ||
        sa_json_opt_int(json, "seen", 0, 1000000000, &s->seen, NULL, err) < 0 ||
        (!lenient && sa_json_finish(json, err) < 0))
        return -1;
    *status = s;
    return 0;
}

static void print_spec(const void *spec, struct sa_json_w *w)
{
    const struct thing_spec *s = spec;
    sa_json_put_int(w, "size", s->size);
    if (s->node[0])
        sa_json_put_string(w, "node", s->node);
    if (s->fixed[0])
        sa_json_put_string(w, "fixed", s->fixed);
}

static void print_status(const void *status, struct sa_json_w *w)
{
    const struct thing_status *s = status;
    if (s->phase[0])
        sa_json_put_string(w, "phase", s->phase);
    if (s->seen)
        sa_json_put_int(w, "seen", s->seen);
}

static int check_update(const struct sa_object *before, const void *next, struct sa_error *err)
{
    const struct thing_spec *was = sa_object_spec(before), *is = next;
    if (was->fixed[0] && strcmp(was->fixed, is->fixed) != 0)
        return sa_error_at(err, SA_EINVALID, "spec.fixed", "spec.fixed: cannot be changed");
    return 0;
}

static const char *node_of(const struct sa_object *object)
{
    return ((const struct thing_spec *)sa_object_spec(object))->node;
}

static const char *phase_of(const struct sa_object *object)
{
    return ((const struct thing_status *)sa_object_status(object))->phase;
}

static const struct sa_kind_field fields[] = {
    {"spec.node", node_of}, {"status.phase", phase_of}, {NULL, NULL}};
static const struct thing_status empty = {.phase = ""};

#define KIND(NAME, PLURAL, NAMESPACED, TTL)                                                        \
    {                                                                                              \
        .name = (NAME), .plural = (PLURAL), .api_version = "test.secureagent.dev/v1",              \
        .namespaced = (NAMESPACED), .decode_spec = decode_spec, .decode_status = decode_status,    \
        .print_spec = print_spec, .print_status = print_status, .empty_status = &empty,            \
        .check_update = check_update, .fields = fields, .ttl_ms = (TTL)                            \
    }
const struct sa_kind thing_kind = KIND("Thing", "things", true, 0);
const struct sa_kind other_kind = KIND("Other", "others", true, 0);
const struct sa_kind cluster_kind = KIND("Wide", "wides", false, 0);
const struct sa_kind fleeting_kind = KIND("Fleeting", "fleetings", true, 60000);
