/* Printing of the Sandbox resource. */
#include "model/sandbox.h"
#include "model/settings.h"
#include "json/quantity.h"

#include <string.h>

void sa_resources_put(struct sa_json_w *w, const struct sa_resources *r)
{
    char text[SA_QUANTITY_BYTES];
    sa_json_put_object(w, "resources");
    sa_quantity_cpu_print(r->cpu_millicores, text);
    sa_json_put_string(w, "cpu", text);
    sa_quantity_bytes_print(r->memory_bytes, text);
    sa_json_put_string(w, "memory", text);
    sa_quantity_bytes_print(r->storage_bytes, text);
    sa_json_put_string(w, "ephemeralStorage", text);
    sa_json_put_int(w, "pids", r->pids);
    sa_json_w_end_object(w);
}

/* Where it is not as it is by default. */
static void put_ingress(struct sa_json_w *w, const struct sa_ingress *ingress)
{
    if (ingress->enabled && !ingress->ports.count)
        return;
    sa_json_put_object(w, "networkAccess");
    sa_json_put_object(w, "ingress");
    sa_json_put_bool(w, "enabled", ingress->enabled);
    if (ingress->ports.count) {
        sa_json_put_array(w, "ports");
        for (size_t i = 0; i < ingress->ports.count; i++)
            sa_json_w_int(w, ingress->ports.items[i]);
        sa_json_w_end_array(w);
    }
    sa_json_w_end_object(w);
    sa_json_w_end_object(w);
}

void sa_sandbox_fixed_print(const struct sa_sandbox_fixed *fixed, struct sa_buf *out)
{
    sa_autobuf object = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&object);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "name", fixed->spec->name ? fixed->spec->name : fixed->id);
    sa_json_put_string(&w, "namespace", "default");
    sa_json_put_string(&w, "securityLevel", sa_security_level_name(fixed->spec->level));
    sa_json_put_string(&w, "start", fixed->warm ? "warm" : "cold");
    sa_resources_put(&w, &fixed->spec->resources);
    if (fixed->spec->profile[0])
        sa_json_put_string(&w, "profileRef", fixed->spec->profile);
    put_ingress(&w, &fixed->spec->network.ingress);
    if (fixed->profile) {
        sa_json_put_object(&w, "securityProfile");
        sa_json_put_string(&w, "digest", fixed->profile);
        sa_json_put_int(&w, "generation", (int64_t)fixed->generation);
        sa_json_w_end_object(&w);
    }
    if (fixed->node)
        sa_json_put_string(&w, "nodeName", fixed->node);
    sa_json_put_strings(&w, "controls", fixed->controls, fixed->control_count);
    sa_json_put_strings(&w, "weaker", fixed->weaker, fixed->weaker_count);
    sa_json_w_end_object(&w);
    sa_buf_add(out, object.data + 1, object.length - 2);
}

static void put_strings(struct sa_json_w *w, const char *key, const struct sa_json_map *map)
{
    sa_json_put_object(w, key);
    for (size_t i = 0; i < map->count; i++)
        sa_json_put_string(w, map->items[i].key, map->items[i].value);
    sa_json_w_end_object(w);
}

void sa_lifecycle_put(struct sa_json_w *w, const struct sa_lifecycle *l)
{
    sa_json_put_object(w, "lifecycle");
    sa_json_put_string(w, "onTimeout", sa_end_name(l->on_timeout));
    if (l->idle_timeout_s)
        sa_json_put_int(w, "idleTimeout", l->idle_timeout_s);
    sa_json_put_string(w, "onIdle", sa_end_name(l->on_idle));
    sa_json_put_bool(w, "resumeOnUse", l->resume_on_use);
    sa_json_w_end_object(w);
}

void sa_sandbox_settings_print(const struct sa_sandbox_spec *spec, struct sa_buf *out)
{
    sa_autobuf object = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&object);
    sa_json_w_begin_object(&w);
    sa_json_put_int(&w, "timeout", spec->timeout_s);
    sa_lifecycle_put(&w, &spec->lifecycle);
    put_strings(&w, "annotations", &spec->annotations);
    sa_json_put_strings(&w, "imports", spec->imports.items, spec->imports.count);
    sa_json_w_end_object(&w);
    sa_buf_add(out, object.data + 1, object.length - 2);
}

void sa_labels_print(const struct sa_json_map *labels, struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    for (size_t i = 0; i < labels->count; i++)
        sa_json_put_string(&w, labels->items[i].key, labels->items[i].value);
    sa_json_w_end_object(&w);
}

static void put_ready(struct sa_json_w *w, const struct sa_sandbox_view *view)
{
    bool running = strcmp(view->phase, "Running") == 0;
    int64_t when = running ? view->ready_ms : view->ended_ms ? view->ended_ms : view->created_ms;
    sa_json_put_array(w, "conditions");
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "type", "Ready");
    sa_json_put_string(w, "status", running ? "True" : "False");
    sa_json_put_string(w, "reason", view->reason[0] ? view->reason : view->phase);
    sa_json_put_string(w, "message", view->message);
    sa_json_put_time(w, "lastTransitionTime", when);
    sa_json_w_end_object(w);
    sa_json_w_end_array(w);
}

void sa_sandbox_print(const struct sa_sandbox_view *view, struct sa_json_w *w)
{
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "id", view->id);
    sa_json_put_string(w, "runtime", view->runtime);
    sa_json_put_string(w, "phase", view->phase);
    if (view->labels_json[0])
        sa_json_put_raw(w, "labels", view->labels_json, strlen(view->labels_json));
    else
        sa_json_put_raw(w, "labels", "{}", 2);
    sa_json_put_time(w, "createdAt", view->created_ms);
    sa_json_put_time(w, "expiresAt", view->expires_ms);
    sa_json_put_time(w, "endedAt", view->ended_ms);
    sa_json_put_time(w, "idleSince", view->idle_ms);
    sa_json_put_time(w, "pausedAt", view->paused_ms);
    put_ready(w, view);
    if (view->reason[0])
        sa_json_put_string(w, "reason", view->reason);
    if (view->message[0])
        sa_json_put_string(w, "message", view->message);
    /* The members that seldom change, printed once when they did. */
    sa_buf_addc(w->out, ',');
    sa_buf_adds(w->out, view->fixed_json);
    if (view->settings_json) {
        sa_buf_addc(w->out, ',');
        sa_buf_adds(w->out, view->settings_json);
    }
    sa_json_w_end_object(w);
}
