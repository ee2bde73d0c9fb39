/*
 * After a start: the informers list what is in the object store, sessions are made of it
 * (sandbox_adopt.c), and what the records still call alive, though nothing of it is there, is
 * closed.
 */
#include "api/sandbox_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "kinds/names.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOOK_MS = 2 };

static const enum sa_phase living[] = {SA_PHASE_PENDING, SA_PHASE_CREATING, SA_PHASE_RUNNING,
                                       SA_PHASE_PAUSED, SA_PHASE_TERMINATING};

struct recovery {
    struct sa_sandboxes *all;
    uv_timer_t timer; /* until informers and agent know what there is, and the sessions are made */
    size_t phase;
    struct sa_store_read *read;
    size_t lost;
    void (*done)(void *user);
    void *user;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void finish(struct recovery *r)
{
    struct sa_sandboxes *all = r->all;
    if (r->lost)
        sa_log_warn("sandboxes were lost with the last run", SA_LOG_U("count", r->lost));
    if (all->count)
        sa_log_info("sandboxes adopted", SA_LOG_U("count", all->count));
    all->recovery = NULL;
    uv_timer_stop(&r->timer);
    uv_close((uv_handle_t *)&r->timer, on_closed);
    r->done(r->user);
}

static bool lives(struct sa_sandboxes *all, const char *id)
{
    char key[SA_ID_BYTES + sizeof SA_NAMESPACE_DEFAULT + 1];
    snprintf(key, sizeof key, "%s/%s", SA_NAMESPACE_DEFAULT, id);
    const struct sa_object *object = sa_informer_get(all->caches->sandboxes, key);
    return sa_sandbox_find(all, id) || (object && sa_sandbox_adoptable(all, object));
}

static void close_record(struct sa_sandboxes *all, const char *id)
{
    sa_store_set_phase(
        all->store,
        &(struct sa_store_phase){.id = id,
                                 .phase = sa_phase_name(SA_PHASE_FAILED),
                                 .reason = "ControlPlaneRestarted",
                                 .message = "the control plane stopped while the sandbox was "
                                            "running, and nothing of it was found again",
                                 .ended_ms = sa_wall_ms()},
        NULL, NULL, NULL);
}

static void read_next(struct recovery *r, const char *cursor);

static void on_page(void *user, const struct sa_error *err,
                    const struct sa_store_sandbox_page *page)
{
    struct recovery *r = user;
    r->read = NULL;
    if (err)
        sa_log_error("records not recovered", SA_LOG_ERR(err));
    for (size_t i = 0; !err && i < page->count; i++) {
        if (lives(r->all, page->items[i].id))
            continue;
        close_record(r->all, page->items[i].id);
        r->lost++;
    }
    if (err || !page->next)
        r->phase++;
    read_next(r, err ? NULL : page->next);
}

static void on_look(uv_timer_t *timer);

static void read_next(struct recovery *r, const char *cursor)
{
    if (r->phase == SA_COUNT(living)) {
        uv_timer_start(&r->timer, on_look, 0, LOOK_MS);
        return;
    }
    const struct sa_store_sandbox_query query = {
        .phase = sa_phase_name(living[r->phase]), .cursor = cursor, .limit = SA_STORE_PAGE_MAX};
    r->read = sa_store_list_sandboxes(r->all->store, &query, on_page, r, NULL);
    if (!r->read) {
        r->phase = SA_COUNT(living);
        uv_timer_start(&r->timer, on_look, 0, LOOK_MS);
    }
}

static void on_look(uv_timer_t *timer)
{
    struct recovery *r = timer->data;
    if (!sa_caches_synced(r->all->caches) || !sa_agent_ready(r->all->agent))
        return;
    if (r->phase == 0) {
        uv_timer_stop(timer);
        sa_sandboxes_follow(r->all);
        read_next(r, NULL);
    } else if (!r->all->adoptions) {
        finish(r);
    }
}

void sa_sandboxes_recover(struct sa_sandboxes *all, void (*done)(void *user), void *user)
{
    struct recovery *r = sa_alloc(sizeof *r);
    *r = (struct recovery){.all = all, .done = done, .user = user};
    all->recovery = r;
    uv_timer_init(all->loop, &r->timer);
    r->timer.data = r;
    uv_timer_start(&r->timer, on_look, 0, LOOK_MS);
}

bool sa_sandboxes_recovering(const struct sa_sandboxes *all)
{
    return all->recovery != NULL;
}

void sa_sandboxes_recover_forget(struct sa_sandboxes *all)
{
    struct recovery *r = all->recovery;
    if (!r)
        return;
    all->recovery = NULL;
    if (r->read)
        sa_store_cancel(r->read);
    uv_timer_stop(&r->timer);
    uv_close((uv_handle_t *)&r->timer, on_closed);
}
