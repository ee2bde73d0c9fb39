/* Sessions of sandboxes that were there before this process: made of their objects, their events
 * read from the store. */
#include "api/sandbox_private.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "kinds/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct adoption {
    UT_hash_handle hh; /* by the object's name */
    struct sa_sandboxes *all;
    const struct sa_object *object;
    struct sa_store_read *read;
};

static const char *annotation(const struct sa_object *object, const char *key)
{
    const struct sa_json_map *map = &sa_object_meta(object)->annotations;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return map->items[i].value;
    return NULL;
}

bool sa_sandbox_adoptable(const struct sa_sandboxes *all, const struct sa_object *object)
{
    const struct sa_sandbox_status *status = sa_object_status(object);
    const char *personal = annotation(object, SA_SANDBOX_PERSONAL);
    (void)all;
    return !sa_object_meta(object)->deleted_ms && !sa_phase_ended(status->phase) &&
           (!personal || strcmp(personal, SA_PERSONAL_DELIVERED) == 0);
}

/* ---- the object, as a session has it ---- */

static void take_annotations(const struct sa_object *object, struct sa_arena *arena,
                             struct sa_sandbox_spec *spec)
{
    const struct sa_json_map *all = &sa_object_meta(object)->annotations;
    struct sa_json_map own = {.items = sa_arena_alloc(arena, (all->count + 1) * sizeof *own.items)};
    for (size_t i = 0; i < all->count; i++)
        if (strncmp(all->items[i].key, SA_RESERVED_PREFIX, sizeof SA_RESERVED_PREFIX - 1) != 0)
            own.items[own.count++] = all->items[i];
    spec->annotations = own;
    spec->name = annotation(object, SA_SANDBOX_TITLE);
    const char *language = annotation(object, SA_SANDBOX_LANGUAGE);
    if (language)
        spec->language = language;
}

static void take_environment(struct sa_sandbox *s, const struct sa_sandbox_wanted *wanted,
                             struct sa_arena *arena)
{
    for (size_t i = 0; i < wanted->env.count && !s->delivered; i++)
        sa_fields_add_text(
            &s->setup, SA_SETUP_ENV,
            sa_arena_printf(arena, "%s=%s", wanted->env.items[i].key, wanted->env.items[i].value));
}

static void take_state(struct sa_sandbox *s, const struct sa_object *object)
{
    const struct sa_sandbox_status *status = sa_object_status(object);
    const char *warm = annotation(object, SA_SANDBOX_WARM_POD);
    const char *digest = annotation(object, SA_SANDBOX_PROFILE);
    const char *generation = annotation(object, SA_SANDBOX_GENERATION);
    s->object = s->adopted = true;
    s->delivered = annotation(object, SA_SANDBOX_PERSONAL) != NULL;
    s->warm = warm != NULL;
    snprintf(s->pod, sizeof s->pod, "%s", warm ? warm : s->id);
    snprintf(s->profile, sizeof s->profile, "%s", digest ? digest : "");
    s->generation = generation ? strtoull(generation, NULL, 10) : 0;
    s->created_ms = sa_object_meta(object)->created_ms;
    s->ready_ms = status->ready_ms ? status->ready_ms : s->created_ms;
    s->expires_ms = status->expires_ms;
    if (!s->expires_ms && status->ready_ms && !status->paused_ms)
        s->expires_ms = status->ready_ms + s->spec.timeout_s * 1000;
    s->paused_ms = status->paused_ms;
    s->published =
        (struct published){.expires_ms = status->expires_ms, .paused_ms = status->paused_ms};
    sa_sandbox_set_fixed(s, status->controls.items, status->controls.count, status->weaker.items,
                         status->weaker.count);
}

/* It is frozen, and cannot be reached before it is thawed. */
static void stay_paused(struct sa_sandbox *s)
{
    s->can_pause = s->pause_wanted = true;
    s->pausing = PAUSE_FROZEN;
    s->expired = true; /* resumed, it has its timeout anew */
    sa_sandbox_clock_stop(s);
    sa_sandbox_step(s, SA_EVENT_READY);
    sa_sandbox_step(s, SA_EVENT_PAUSED);
    uv_timer_stop(&s->timer);
}

static void adopt(struct adoption *adoption)
{
    struct sa_sandboxes *all = adoption->all;
    const struct sa_object *object = adoption->object;
    const char *owner = annotation(object, SA_SANDBOX_OWNER);
    const char *tenant = annotation(object, SA_SANDBOX_TENANT);
    struct sa_arena *scratch = sa_arena_new();
    struct sa_sandbox_spec spec;
    if (!sa_sandbox_find(all, sa_object_meta(object)->name) &&
        sa_sandbox_to_flat(sa_object_meta(object), sa_object_spec(object), &spec, NULL) == 0) {
        take_annotations(object, scratch, &spec);
        struct sa_sandbox *s = sa_sandbox_new(
            all, sa_object_meta(object)->name, &spec,
            &(struct sa_owner){.key_id = owner ? owner : "", .key_name = tenant ? tenant : ""});
        sa_failpoint("api.adopt");
        take_state(s, object);
        take_environment(s, sa_object_spec(object), scratch);
        sa_sandbox_step(s, SA_EVENT_SUBMITTED);
        if (s->paused_ms)
            stay_paused(s);
        sa_sandbox_attach(s);
    }
    sa_arena_free(scratch);
}

void sa_sandbox_resume_adopted(struct sa_sandbox *s)
{
    const int64_t left_ms = s->expires_ms ? s->expires_ms - sa_wall_ms() : s->spec.timeout_s * 1000;
    sa_sandbox_begin_timeouts(s);
    s->expires_ms = sa_wall_ms() + (left_ms > 0 ? left_ms : 0);
    sa_sandbox_timer_set(s, &s->expiry, left_ms > 0 ? left_ms : 0);
    sa_sandbox_record(s);
    sa_sandbox_event(s, "Normal", "Adopted", "it outlived a restart of the control plane", 1);
}

/* ---- its events ---- */

static void adoption_free(struct adoption *adoption)
{
    HASH_DEL(adoption->all->adoptions, adoption); // NOLINT(clang-analyzer-*)
    sa_object_unref(adoption->object);
    free(adoption);
}

static bool read_events(struct adoption *adoption, int64_t after);

/* Page by page up to the newest, which go into memory. */
static void on_events(void *user, const struct sa_error *err,
                      const struct sa_store_event_page *page)
{
    struct adoption *adoption = user;
    struct sa_sandboxes *all = adoption->all;
    if (!err && page->more && read_events(adoption, page->items[page->count - 1].seq))
        return;
    adopt(adoption);
    struct sa_sandbox *s = sa_sandbox_find(all, sa_object_meta(adoption->object)->name);
    if (s && !err)
        sa_sandbox_take_events(s, page);
    adoption_free(adoption);
}

static bool read_events(struct adoption *adoption, int64_t after)
{
    adoption->read =
        sa_store_list_events(adoption->all->store, sa_object_meta(adoption->object)->name, after,
                             SA_STORE_PAGE_MAX, on_events, adoption, NULL);
    return adoption->read != NULL;
}

void sa_sandbox_adopt(struct sa_sandboxes *all, const struct sa_object *object)
{
    const char *id = sa_object_meta(object)->name;
    struct adoption *adoption;
    HASH_FIND_STR(all->adoptions, id, adoption);
    if (adoption || !sa_sandbox_adoptable(all, object))
        return;
    adoption = sa_alloc(sizeof *adoption);
    adoption->all = all;
    adoption->object = sa_object_ref(object);
    HASH_ADD_KEYPTR(hh, all->adoptions, id, strlen(id), adoption);
    if (!read_events(adoption, 0)) { /* too many reads at once: without its past */
        adopt(adoption);
        adoption_free(adoption);
    }
}

void sa_sandboxes_forget_adoptions(struct sa_sandboxes *all)
{
    while (all->adoptions) {
        // adoption_free() takes it from the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
        sa_store_cancel(all->adoptions->read);
        adoption_free(all->adoptions);
    }
}
