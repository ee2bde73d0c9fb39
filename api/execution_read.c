/*
 * Readers, and everything that is told from the loop: nothing here is called back from within a
 * call. What became due is told in the check phase, right after the poll that brought it; an idle
 * handle keeps the loop from sleeping when it became due elsewhere.
 */
#include "api/execution_private.h"

#include <stdlib.h>

static void on_due(struct sa_executions *all);

static void on_check(uv_check_t *check)
{
    on_due(check->data);
}

static void on_idle(uv_idle_t *idle)
{
    on_due(idle->data);
}

void execution_due_init(struct sa_executions *all)
{
    all->check.data = all->idle.data = all;
    uv_check_init(all->loop, &all->check);
    uv_idle_init(all->loop, &all->idle);
}

static void wake(struct sa_executions *all)
{
    uv_check_start(&all->check, on_check);
    uv_idle_start(&all->idle, on_idle);
}

void execution_make_due(struct sa_execution *e)
{
    if (e->due_list)
        return;
    e->due_list = &e->all->due;
    DL_APPEND2(e->all->due, e, due_prev, due_next);
    wake(e->all);
}

void execution_undue(struct sa_execution *e)
{
    if (e->due_list)
        DL_DELETE2(*e->due_list, e, due_prev, due_next); /* NOLINT: utlist */
    e->due_list = NULL;
}

static void undue_reader(struct sa_reader *r)
{
    if (r->due_list)
        DL_DELETE2(*r->due_list, r, due_prev, due_next); /* NOLINT: utlist */
    r->due_list = NULL;
}

void execution_wake_readers(struct sa_execution *e)
{
    struct sa_reader *r;
    DL_FOREACH (e->readers, r) {
        if (!r->waits || r->due_list)
            continue;
        r->due_list = &e->all->due_readers;
        DL_APPEND2(e->all->due_readers, r, due_prev, due_next);
        wake(e->all);
    }
}

bool execution_is_ahead(const struct sa_execution *e, int64_t most)
{
    const struct sa_reader *r;
    int64_t furthest = -1;
    DL_FOREACH (e->readers, r) {
        if (r->offset > furthest)
            furthest = r->offset;
    }
    return furthest >= 0 && sa_spool_to(e->spool) - furthest > most;
}

/* ---- telling ---- */

static void tell_input(struct sa_execution *e)
{
    struct input_wait *waits = e->input_waits, *wait;
    struct sa_reader *r, *tmp;
    e->input_due = false;
    e->input_waits = NULL;
    while ((wait = waits)) {
        DL_DELETE(waits, wait);
        wait->ready(wait->user);
        free(wait);
    }
    DL_FOREACH_SAFE (e->readers, r, tmp) {
        if (r->events->input_writable)
            r->events->input_writable(r->user);
    }
}

static void tell_execution(struct sa_execution *e)
{
    e->pins++;
    if (e->held && !e->ended && !sa_spool_is_full(e->spool) &&
        !execution_is_ahead(e, SA_EXECUTION_AHEAD_MAX / 2)) {
        e->held = false;
        e->ops->resume(e->source);
    }
    if (e->input_due)
        tell_input(e);
    e->pins--;
    execution_release(e);
}

static void on_due(struct sa_executions *all)
{
    struct sa_execution *due = all->due, *e;
    struct sa_reader *readers = all->due_readers, *r;
    uv_check_stop(&all->check);
    uv_idle_stop(&all->idle);
    /* What becomes due meanwhile has its turn after the loop's next poll. */
    all->due = NULL;
    all->due_readers = NULL;
    for (e = due; e; e = e->due_next)
        e->due_list = &due;
    for (r = readers; r; r = r->due_next)
        r->due_list = &readers;
    while ((r = readers)) {
        undue_reader(r);
        r->waits = false;
        r->events->ready(r->user);
    }
    while ((e = due)) {
        execution_undue(e);
        tell_execution(e);
    }
}

/* ---- reading ---- */

static void on_loaded(void *user)
{
    struct sa_reader *r = user;
    if (!r->waits)
        return;
    undue_reader(r);
    r->waits = false;
    r->events->ready(r->user);
}

struct sa_reader *sa_reader_new(struct sa_execution *e, int64_t offset,
                                const struct sa_reader_events *events, void *user)
{
    struct sa_reader *r = sa_alloc(sizeof *r);
    r->execution = e;
    r->events = events;
    r->user = user;
    r->offset = offset;
    if (e->spool)
        r->spool = sa_spool_reader_new(e->spool, offset, on_loaded, r);
    DL_APPEND(e->readers, r);
    return r;
}

/* The reader moved on, or went: may the source, too? */
static void moved(struct sa_execution *e)
{
    if (e->held && !sa_spool_is_full(e->spool) &&
        !execution_is_ahead(e, SA_EXECUTION_AHEAD_MAX / 2))
        execution_make_due(e);
}

enum sa_read_state sa_reader_next(struct sa_reader *r, size_t most, struct sa_piece *piece)
{
    struct sa_execution *e = r->execution;
    *piece = (struct sa_piece){.offset = r->offset, .next = r->offset};
    if (e->recording) {
        r->waits = true;
        return SA_READ_WAIT;
    }
    if (!r->spool) {
        piece->dropped = e->lost_to > r->offset ? e->lost_to - r->offset : 0;
        piece->next = e->lost_to;
        return SA_READ_END;
    }
    enum sa_spool_state state = sa_spool_read(r->spool, most, piece);
    if (state == SA_SPOOL_PIECE) {
        r->offset = piece->next;
        moved(e);
        return SA_READ_PIECE;
    }
    if (state == SA_SPOOL_WAIT && e->ended)
        return SA_READ_END;
    r->waits = true;
    return SA_READ_WAIT;
}

struct sa_execution *sa_reader_execution(struct sa_reader *r)
{
    return r->execution;
}

void sa_reader_free(struct sa_reader *r)
{
    if (!r)
        return;
    struct sa_execution *e = r->execution;
    undue_reader(r);
    sa_spool_reader_free(r->spool);
    DL_DELETE(e->readers, r);
    free(r);
    if (!e->ended)
        moved(e);
    execution_release(e);
}
