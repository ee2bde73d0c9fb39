/* What of a sandbox may change while it lives: labels, annotations, timeout, lifecycle; and its
 * timeouts themselves. */
#include "api/sandbox_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "kinds/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What it may connect to, and a volume, nobody asks a session for. */
static void copy_access(struct sa_sandbox *s, const struct sa_sandbox_spec *from)
{
    const struct sa_port_list *ports = &from->network.ingress.ports;
    struct sa_network_access *network = &s->spec.network;
    const size_t bytes = ports->count * sizeof *ports->items;
    network->egress.items = NULL;
    network->egress.count = 0;
    network->ingress.ports.items = sa_arena_alloc(s->arena, bytes + 1);
    if (bytes)
        memcpy(network->ingress.ports.items, ports->items, bytes);
    s->spec.filesystem = sa_filesystem_defaults;
    s->spec.storage = (struct sa_sandbox_storage){.name = ""};
}

/* `from` may point into what is replaced. */
static void copy_settings(struct sa_sandbox *s, const struct sa_sandbox_spec *from)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_buf labels = SA_BUF_INIT, settings = SA_BUF_INIT;
    s->spec.labels = sa_json_map_copy(&from->labels, arena);
    s->spec.annotations = sa_json_map_copy(&from->annotations, arena);
    s->spec.timeout_s = from->timeout_s;
    s->spec.lifecycle = from->lifecycle;
    sa_arena_free(s->settings);
    s->settings = arena;
    sa_labels_print(&s->spec.labels, &labels);
    sa_sandbox_settings_print(&s->spec, &settings);
    free(s->labels_json);
    free(s->settings_json);
    s->labels_json = sa_buf_steal(&labels);
    s->settings_json = sa_buf_steal(&settings);
}

void sa_sandbox_copy_spec(struct sa_sandbox *s, const struct sa_sandbox_spec *spec)
{
    struct sa_arena *a = s->arena;
    s->spec = *spec;
    s->spec.name = spec->name ? sa_arena_strdup(a, spec->name) : NULL;
    s->spec.env = (struct sa_json_map){0}; /* delivered, and not kept: it may hold secrets */
    s->spec.required_controls = (struct sa_json_strings){0};
    s->spec.security_context = NULL;
    s->spec.secrets = (struct sa_json_strings){0};
    s->spec.runtime = sa_arena_strdup(a, spec->runtime);
    s->spec.language = sa_arena_strdup(a, spec->language);
    s->spec.profile = sa_arena_strdup(a, spec->profile);
    s->spec.warm_pool = sa_arena_strdup(a, spec->warm_pool);
    s->spec.imports = sa_json_strings_copy(&spec->imports, a);
    copy_access(s, spec);
    copy_settings(s, spec);
}

/* ---- timeouts ---- */

static void on_expired(struct sa_sandbox_timer *timer)
{
    sa_sandbox_ask_end(sa_container_of(timer, struct sa_sandbox, expiry), false);
}

void sa_sandbox_begin_expiry(struct sa_sandbox *s)
{
    int64_t timeout_ms = s->spec.timeout_s * 1000;
    if (!s->ending_idle)
        sa_sandbox_forget_end(s); /* of the one that is over */
    s->expired = false;
    s->extensions = 0;
    s->expiry.fire = on_expired;
    s->expires_ms = sa_wall_ms() + timeout_ms;
    sa_sandbox_timer_set(s, &s->expiry, timeout_ms);
}

static void on_idle(struct sa_sandbox_timer *timer)
{
    struct sa_sandbox *s = sa_container_of(timer, struct sa_sandbox, idle);
    if (!s->users && s->pausing == PAUSE_NOT)
        sa_sandbox_ask_end(s, true);
}

void sa_sandbox_begin_idle(struct sa_sandbox *s)
{
    sa_sandbox_timer_clear(s, &s->idle);
    if (s->users || s->phase != SA_PHASE_RUNNING)
        return;
    s->idle_ms = sa_wall_ms();
    s->idle.fire = on_idle;
    if (s->spec.lifecycle.idle_timeout_s)
        sa_sandbox_timer_set(s, &s->idle, s->spec.lifecycle.idle_timeout_s * 1000);
}

void sa_sandbox_begin_timeouts(struct sa_sandbox *s)
{
    sa_sandbox_begin_expiry(s);
    sa_sandbox_begin_idle(s);
}

void sa_sandbox_hold(struct sa_sandbox *s)
{
    s->users++;
    s->idle_ms = 0;
    sa_sandbox_timer_clear(s, &s->idle);
}

void sa_sandbox_release(struct sa_sandbox *s)
{
    if (--s->users == 0)
        sa_sandbox_begin_idle(s);
}

/* ---- changes ---- */

int sa_sandbox_update(struct sa_sandbox *s, const struct sa_sandbox_spec *next, bool timeout_anew,
                      struct sa_error *err)
{
    const struct sa_lifecycle *l = &next->lifecycle;
    if (s->phase > SA_PHASE_PAUSED)
        return sa_error_set(err, SA_ECONFLICT, "the sandbox is %s", sa_phase_name(s->phase));
    if (!s->can_pause && s->phase >= SA_PHASE_RUNNING &&
        (l->on_timeout == SA_END_PAUSE || (l->idle_timeout_s && l->on_idle == SA_END_PAUSE)))
        return sa_error_at(err, SA_ECONTROL, "cgroup.freezer",
                           "lifecycle: this sandbox cannot be paused: its node has no freezer "
                           "(cgroup.freezer); choose \"delete\"");
    bool idle_changed = l->idle_timeout_s != s->spec.lifecycle.idle_timeout_s;
    const struct sa_sandbox_spec before = s->spec;
    struct sa_arena *settings = s->settings;
    s->settings = NULL; /* until the difference is told */
    copy_settings(s, next);
    sa_sandbox_publish_settings(s, &before);
    sa_arena_free(settings);
    s->revision++;
    if (timeout_anew && s->phase == SA_PHASE_PAUSED) {
        s->expired = true; /* it begins with the resume */
    } else if (timeout_anew && s->phase == SA_PHASE_RUNNING) {
        sa_sandbox_begin_expiry(s);
    }
    if (idle_changed)
        sa_sandbox_begin_idle(s);
    sa_sandbox_record(s);
    sa_sandbox_event(s, "Normal", timeout_anew ? "TimeoutSet" : "Updated",
                     timeout_anew ? "a new timeout begins" : "its settings were changed", 1);
    return 0;
}
