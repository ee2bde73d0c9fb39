/* Calls of the embedded store: they wait for what they saw to be committed, and are answered in the
 * order in which they were made. */
#include "objects/embedded_private.h"

#include <stdio.h>
#include <stdlib.h>

struct sa_objects_call *sa_call_new(struct sa_embedded *store, enum sa_call_type type, void *user)
{
    struct sa_objects_call *call = sa_alloc(sizeof *call);
    *call = (struct sa_objects_call){
        .store = store, .type = type, .user = user, .barrier = store->version};
    return call;
}

struct sa_objects_call *sa_call_queue(struct sa_objects_call *call)
{
    struct sa_embedded *store = call->store;
    if (store->last)
        store->last->next = call;
    else
        store->first = call;
    store->last = call;
    sa_embedded_wake(store);
    return call;
}

struct sa_objects_call *sa_call_fail(struct sa_objects_call *call, const struct sa_error *err)
{
    call->failed = true;
    call->error = *err;
    return sa_call_queue(call);
}

static void free_call(struct sa_objects_call *call)
{
    for (size_t i = 0; i < call->page.count; i++)
        sa_object_unref(call->page.items[i]);
    free((void *)call->page.items);
    free(call->page.continue_);
    sa_object_unref(call->object);
    sa_object_unref(call->change.before);
    sa_object_unref(call->change.after);
    free(call);
}

static void answer_list(const struct sa_objects_call *call)
{
    char version[SA_RESOURCE_VERSION_BYTES];
    snprintf(version, sizeof version, "%llu", (unsigned long long)call->barrier);
    call->listed(call->user, NULL,
                 &(struct sa_objects_page){.items = call->page.items,
                                           .count = call->page.count,
                                           .resource_version = version,
                                           .continue_ = call->page.continue_,
                                           .remaining = (int64_t)call->page.remaining});
}

static void answer(const struct sa_objects_call *call)
{
    if (call->listed && call->failed)
        call->listed(call->user, &call->error, NULL);
    else if (call->listed)
        answer_list(call);
    else if (call->done && call->failed)
        call->done(call->user, &call->error, NULL);
    else if (call->done)
        call->done(call->user, NULL, call->object);
}

/* It is on disk now: follow what was deleted. */
static void settle(struct sa_embedded *store, const struct sa_objects_call *call)
{
    store->uncommitted--;
    store->stats.writes++;
    if (!call->change.after)
        sa_collect_after(store, sa_object_meta(call->change.before)->uid);
}

bool sa_calls_due(const struct sa_embedded *store)
{
    return store->first && store->first->barrier <= store->committed;
}

void sa_calls_answer(struct sa_embedded *store)
{
    const struct sa_objects_call *end = store->last;
    while (sa_calls_due(store)) {
        struct sa_objects_call *call = store->first;
        bool last = call == end;
        store->first = call->next;
        if (!store->first)
            store->last = NULL;
        if (!call->failed && call->change.table)
            settle(store, call);
        answer(call);
        free_call(call);
        if (last)
            break;
    }
}

void sa_embedded_forget(struct sa_objects_call *call)
{
    call->done = NULL;
    call->listed = NULL;
}

static void undo(struct sa_embedded *store, const struct sa_objects_call *call)
{
    const struct sa_object *before = call->change.before, *after = call->change.after;
    sa_shelf_set(call->change.table, sa_object_key(after ? after : before), before);
    sa_owned_changed(store, call->change.table, after, before);
    if (before && !after)
        store->object_count++;
    else if (after && !before)
        store->object_count--;
    store->uncommitted--;
}

/* The newest first, so that each finds what it had before. Nobody was told of their versions, so
 * these are given out again: what is on disk goes on from there, too. */
void sa_calls_take_back(struct sa_embedded *store, const struct sa_error *why)
{
    size_t count = 0;
    for (struct sa_objects_call *c = store->first; c; c = c->next)
        count++;
    struct sa_objects_call **calls = sa_alloc((count + 1) * sizeof *calls);
    count = 0;
    for (struct sa_objects_call *c = store->first; c; c = c->next)
        if (c->barrier > store->committed)
            calls[count++] = c;
    while (count-- > 0) {
        struct sa_objects_call *c = calls[count];
        if (!c->failed && c->change.table)
            undo(store, c);
        c->failed = true;
        c->error = *why;
        c->barrier = store->committed;
    }
    free(calls);
    sa_history_take_back(store);
    store->version = store->committed;
}
