/* The kind Event: its members stand beside the metadata. */
#include "base/clock.h"
#include "objects/recorder.h"

#include <string.h>

static const char *const types[] = {"Normal", "Warning", NULL};

static int decode_about(struct sa_json_obj *json, bool lenient, struct sa_event *e,
                        struct sa_error *err)
{
    struct sa_json_obj o;
    const char *path;
    if (sa_json_get_obj(json, "involvedObject", &o, err) < 0 ||
        sa_json_opt_string(&o, "apiVersion", 128, &e->about.api_version, NULL, err) < 0 ||
        sa_json_opt_string(&o, "kind", 63, &e->about.kind, NULL, err) < 0 ||
        sa_json_opt_string(&o, "namespace", 63, &e->about.namespace_, NULL, err) < 0 ||
        sa_json_opt_string(&o, "name", SA_OBJECT_NAME_MAX, &e->about.name, NULL, err) < 0 ||
        sa_json_opt_string(&o, "uid", SA_UID_BYTES - 1, &e->about.uid, NULL, err) < 0 ||
        sa_json_opt_string(&o, "resourceVersion", SA_RESOURCE_VERSION_BYTES - 1,
                           &e->about.resource_version, NULL, err) < 0 ||
        sa_json_opt_string(&o, "fieldPath", 1024, &path, NULL, err) < 0)
        return -1;
    return lenient ? 0 : sa_json_finish(&o, err);
}

static int decode_source(struct sa_json_obj *json, bool lenient, struct sa_event *e,
                         struct sa_error *err)
{
    struct sa_json_obj o;
    const char *host;
    bool given;
    if (sa_json_opt_obj(json, "source", &o, &given, err) < 0 ||
        (given && (sa_json_opt_string(&o, "component", 253, &e->component, NULL, err) < 0 ||
                   sa_json_opt_string(&o, "host", 253, &host, NULL, err) < 0)))
        return -1;
    return lenient || !given ? 0 : sa_json_finish(&o, err);
}

static int decode_time(struct sa_json_obj *json, const char *key, int64_t *out,
                       struct sa_error *err)
{
    const char *text = "";
    if (sa_json_opt_string(json, key, 40, &text, NULL, err) < 0)
        return -1;
    if (text[0] && sa_rfc3339_parse(text, out) < 0)
        return sa_json_fail(json, key, err, "expected a time (RFC 3339)");
    return 0;
}

/* Of the newer events API, and empty in ours. */
static int skip_others(struct sa_json_obj *json, struct sa_error *err)
{
    static const char *const others[] = {
        "eventTime", "series", "action", "related", "reportingComponent", "reportingInstance"};
    const char *text;
    size_t length;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (sa_json_opt_raw(json, others[i], &text, &length, NULL, err) < 0)
            return -1;
    return 0;
}

static int decode(struct sa_json_obj *json, bool lenient, struct sa_arena *arena, const void **spec,
                  struct sa_error *err)
{
    struct sa_event *e = sa_arena_alloc(arena, sizeof *e);
    int type = SA_EVENT_NORMAL;
    *e = (struct sa_event){.about = {"", "", "", "", "", ""},
                           .reason = "",
                           .message = "",
                           .component = "",
                           .count = 1};
    if (decode_about(json, lenient, e, err) < 0 || decode_source(json, lenient, e, err) < 0 ||
        sa_json_opt_string(json, "reason", 128, &e->reason, NULL, err) < 0 ||
        sa_json_opt_string(json, "message", 1024, &e->message, NULL, err) < 0 ||
        sa_json_opt_enum(json, "type", types, &type, NULL, err) < 0 ||
        sa_json_opt_int(json, "count", 0, INT32_MAX, &e->count, NULL, err) < 0 ||
        decode_time(json, "firstTimestamp", &e->first_ms, err) < 0 ||
        decode_time(json, "lastTimestamp", &e->last_ms, err) < 0 || skip_others(json, err) < 0 ||
        (!lenient && sa_json_finish(json, err) < 0))
        return -1;
    e->type = (enum sa_event_type)type;
    *spec = e;
    return 0;
}

static void print(const void *spec, struct sa_json_w *w)
{
    const struct sa_event *e = spec;
    sa_json_put_object(w, "involvedObject");
    sa_json_put_text(w, "apiVersion", e->about.api_version);
    sa_json_put_text(w, "kind", e->about.kind);
    sa_json_put_text(w, "namespace", e->about.namespace_);
    sa_json_put_text(w, "name", e->about.name);
    sa_json_put_text(w, "uid", e->about.uid);
    sa_json_put_text(w, "resourceVersion", e->about.resource_version);
    sa_json_w_end_object(w);
    sa_json_put_string(w, "type", types[e->type]);
    sa_json_put_text(w, "reason", e->reason);
    sa_json_put_text(w, "message", e->message);
    sa_json_put_object(w, "source");
    sa_json_put_text(w, "component", e->component);
    sa_json_w_end_object(w);
    sa_json_put_time(w, "firstTimestamp", e->first_ms);
    sa_json_put_time(w, "lastTimestamp", e->last_ms);
    sa_json_put_int(w, "count", e->count);
}

static const struct sa_event *event_of(const struct sa_object *object)
{
    return sa_object_spec(object);
}

static const char *kind_of(const struct sa_object *object)
{
    return event_of(object)->about.kind;
}

static const char *namespace_of(const struct sa_object *object)
{
    return event_of(object)->about.namespace_;
}

static const char *name_of(const struct sa_object *object)
{
    return event_of(object)->about.name;
}

static const char *uid_of(const struct sa_object *object)
{
    return event_of(object)->about.uid;
}

static const char *reason_of(const struct sa_object *object)
{
    return event_of(object)->reason;
}

static const char *type_of(const struct sa_object *object)
{
    return types[event_of(object)->type];
}

static const struct sa_kind_field fields[] = {{"involvedObject.kind", kind_of},
                                              {"involvedObject.namespace", namespace_of},
                                              {"involvedObject.name", name_of},
                                              {"involvedObject.uid", uid_of},
                                              {"reason", reason_of},
                                              {"type", type_of},
                                              {NULL, NULL}};

const struct sa_kind sa_kind_event = {.name = "Event",
                                      .plural = "events",
                                      .api_version = "v1",
                                      .namespaced = true,
                                      .decode_spec = decode,
                                      .print_spec = print,
                                      .flat = true,
                                      .fields = fields,
                                      .ttl_ms = INT64_C(3600) * 1000};
