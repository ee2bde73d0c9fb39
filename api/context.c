/* The registry of contexts. */
#include "api/context_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Interactive, so that an interrupt ends what runs and not the shell (bash.sh says more). */
static const struct language languages[] = {
    {"python", SA_KERNEL_JSON, false, {"python3", "/etc/secureagent/kernels/python.py", NULL}},
    {"node", SA_KERNEL_JSON, true, {"node", "/etc/secureagent/kernels/node.js", NULL}},
    {"bash",
     SA_KERNEL_FIELDS,
     false,
     {"bash", "--noprofile", "--noediting", "--rcfile", "/etc/secureagent/kernels/bash.sh", "-i",
      NULL}},
};

const char *sa_context_language(size_t index)
{
    return index < SA_COUNT(languages) ? languages[index].name : NULL;
}

static const struct language *find_language(const char *name)
{
    for (size_t i = 0; i < SA_COUNT(languages); i++)
        if (strcmp(languages[i].name, name) == 0)
            return &languages[i];
    return NULL;
}

struct sa_contexts *sa_contexts_new(void)
{
    return sa_alloc(sizeof(struct sa_contexts));
}

/* ---- the boxes ---- */

static void box_free(struct context_box *box)
{
    sa_sandbox_unwatch(box->sandbox, &box->watch);
    while (box->list)
        context_free(box->list); /* NOLINT: it takes itself off the list */
    HASH_DEL(box->all->boxes, box);
    free(box);
}

static void on_sandbox_changed(struct sa_sandbox_watch *watch, struct sa_sandbox *sandbox)
{
    struct context_box *box = sa_container_of(watch, struct context_box, watch);
    if (sa_phase_ended(sa_sandbox_phase(sandbox)))
        box_free(box);
}

static struct context_box *find_box(struct sa_contexts *all, const struct sa_sandbox *sandbox)
{
    struct context_box *box;
    HASH_FIND_STR(all->boxes, sa_sandbox_id(sandbox), box);
    return box;
}

static struct context_box *get_box(struct sa_contexts *all, struct sa_sandbox *sandbox)
{
    struct context_box *box = find_box(all, sandbox);
    if (box)
        return box;
    box = sa_alloc(sizeof *box);
    snprintf(box->sandbox_id, sizeof box->sandbox_id, "%s", sa_sandbox_id(sandbox));
    box->all = all;
    box->sandbox = sandbox;
    box->watch.changed = on_sandbox_changed;
    sa_sandbox_watch(sandbox, &box->watch);
    HASH_ADD_STR(all->boxes, sandbox_id, box);
    return box;
}

void sa_contexts_free(struct sa_contexts *all)
{
    struct context_box *box, *tmp;
    if (!all)
        return;
    HASH_ITER (hh, all->boxes, box, tmp)
        box_free(box);
    free(all);
}

/* ---- one context ---- */

static void copy_spec(struct sa_context *c, const struct sa_context_spec *spec)
{
    struct sa_arena *a = c->arena;
    c->spec = (struct sa_context_spec){.language = c->language->name,
                                       .limits = spec->limits,
                                       .env = sa_json_map_copy(&spec->env, a),
                                       .imports = sa_json_strings_copy(&spec->imports, a)};
    c->spec.cwd = spec->cwd ? sa_arena_strdup(a, spec->cwd) : NULL;
}

struct sa_context *sa_context_create(struct sa_contexts *all, struct sa_sandbox *sandbox,
                                     const struct sa_context_spec *spec, sa_context_done done,
                                     void *user, struct sa_error *err)
{
    const struct language *language = find_language(spec->language);
    struct context_box *box = find_box(all, sandbox);
    if (!language) {
        sa_error_at(err, SA_EINVALID, "language", "language: there is no kernel for \"%.40s\"",
                    spec->language);
        return NULL;
    }
    if (box && box->count >= SA_CONTEXTS_MAX) {
        sa_error_set(err, SA_EQUOTA,
                     "the sandbox has %d contexts, which is the limit; delete one first",
                     SA_CONTEXTS_MAX);
        return NULL;
    }
    if (!sa_sandbox_conn(sandbox, err))
        return NULL;
    box = get_box(all, sandbox);
    struct sa_context *c = sa_alloc(sizeof *c);
    sa_id_new("ctx-", c->id);
    c->box = box;
    c->language = language;
    c->arena = sa_arena_new();
    copy_spec(c, spec);
    c->created_ms = sa_wall_ms();
    DL_APPEND(box->list, c);
    box->count++;
    if (kernel_start(c, err) < 0) {
        context_free(c);
        return NULL;
    }
    c->done = done;
    c->done_user = user;
    return c;
}

void sa_context_forget(struct sa_context *context)
{
    context->done = NULL;
}

void context_created(struct sa_context *c, const struct sa_error *err)
{
    sa_context_done done = c->done;
    c->done = NULL;
    if (done)
        done(c->done_user, c, err);
    if (err)
        context_free(c);
}

void context_free(struct sa_context *c)
{
    struct sa_sandbox *sandbox = c->box->sandbox;
    struct sa_error error;
    if (c->done) {
        sa_error_set(&error, SA_ECONFLICT, "the context was deleted while it started");
        c->done(c->done_user, c, &error);
    }
    bool ended = sa_phase_ended(sa_sandbox_phase(sandbox));
    sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox ended");
    run_cancel_all(c, ended ? &error : NULL);
    if (c->call)
        sa_call_abandon(c->call);
    sa_sandbox_timer_clear(sandbox, &c->deadline);
    sa_sandbox_timer_clear(sandbox, &c->again);
    sa_sandbox_stats_forget(sa_sandbox_all(sandbox), c);
    DL_DELETE(c->box->list, c);
    c->box->count--;
    sa_kernel_reader_deinit(&c->reader);
    sa_buf_deinit(&c->out);
    sa_arena_free(c->arena);
    free(c);
}

struct sa_context *sa_context_find(struct sa_contexts *all, const struct sa_sandbox *sandbox,
                                   const char *id)
{
    struct sa_context *c = sa_context_first(all, sandbox);
    while (c && strcmp(c->id, id) != 0)
        c = c->next;
    return c;
}

struct sa_context *sa_context_first(struct sa_contexts *all, const struct sa_sandbox *sandbox)
{
    struct context_box *box = find_box(all, sandbox);
    return box ? box->list : NULL;
}

struct sa_context *sa_context_next(struct sa_context *context)
{
    return context->next;
}

const char *sa_context_language_of(const struct sa_context *context)
{
    return context->language->name;
}

void sa_context_print(const struct sa_context *c, struct sa_json_w *w)
{
    static const char *const names[] = {"starting", "idle", "busy", "restarting"};
    char created[SA_RFC3339_BYTES];
    sa_rfc3339(c->created_ms, created);
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "id", c->id);
    sa_json_put_string(w, "language", c->language->name);
    sa_json_put_string(w, "cwd", c->spec.cwd ? c->spec.cwd : "/workspace");
    sa_json_put_string(w, "state", names[c->state]);
    if (c->message[0])
        sa_json_put_string(w, "message", c->message);
    sa_json_put_string(w, "createdAt", created);
    sa_json_put_int(w, "executionCount", c->execution_count);
    sa_json_put_int(w, "waiting", (int64_t)c->queued);
    if (c->call && c->pid)
        sa_json_put_int(w, "pid", c->pid);
    sa_json_w_end_object(w);
}

/* ---- what is asked of it ---- */

void sa_context_delete(struct sa_context *context)
{
    context_free(context);
}

void sa_context_restart(struct sa_context *c)
{
    if (c->state == CONTEXT_STARTING)
        return;
    if (c->current)
        run_finish(c->current, "canceled", NULL);
    c->deaths = 0;
    c->state = CONTEXT_RESTARTING;
    snprintf(c->message, sizeof c->message, "a restart was asked for");
    if (c->call)
        kernel_kill(c);
    else /* it waited to try again */
        sa_sandbox_timer_set(c->box->sandbox, &c->again, 0);
}

void sa_context_interrupt(struct sa_context *c)
{
    if (c->current)
        kernel_interrupt(c);
}
