/* What is asked of executions, and of their sources. */
#include "api/execution_private.h"

#include <stdlib.h>

const char *sa_execution_id(const struct sa_execution *e)
{
    return e->id;
}

const char *sa_execution_sandbox_id(const struct sa_execution *e)
{
    return e->sandbox_id;
}

bool sa_execution_ended(const struct sa_execution *e)
{
    return e->ended;
}

const struct sa_exec_result *sa_execution_result(const struct sa_execution *e)
{
    return e->ended ? &e->result : NULL;
}

int64_t sa_execution_pid(const struct sa_execution *e)
{
    return e->pid;
}

bool sa_execution_is_started(const struct sa_execution *e)
{
    return e->is_started && !e->recording;
}

int64_t sa_execution_output_from(const struct sa_execution *e)
{
    return e->spool ? sa_spool_from(e->spool) : e->lost_to;
}

int64_t sa_execution_output_to(const struct sa_execution *e)
{
    return e->spool ? sa_spool_to(e->spool) : e->lost_to;
}

void sa_execution_keep_answer(struct sa_execution *e)
{
    if (e->answer || e->ended)
        return;
    e->answer = sa_alloc(sizeof *e->answer);
    sa_answer_init(e->answer, true);
}

void sa_execution_cancel(struct sa_execution *e)
{
    if (!e->ended)
        e->ops->cancel(e->source);
}

static int refuse_ended(const struct sa_execution *e, struct sa_error *err)
{
    if (!e->ended)
        return 0;
    return sa_error_set(err, SA_ECONFLICT, "the execution %s has ended (%s)", e->id,
                        e->result.status);
}

int sa_execution_signal(struct sa_execution *e, int number, struct sa_error *err)
{
    if (refuse_ended(e, err) < 0)
        return -1;
    if (!e->ops->signal)
        return sa_error_set(err, SA_ECONFLICT, "this execution takes no signals; cancel it");
    return e->ops->signal(e->source, number, err);
}

static int check_input(const struct sa_execution *e, struct sa_error *err)
{
    if (refuse_ended(e, err) < 0)
        return -1;
    if (e->input_open && e->ops->input)
        return 0;
    return sa_error_set(err, SA_ECONFLICT,
                        "the standard input of %s is not open; start it with \"stdin\": true",
                        e->id);
}

ssize_t sa_execution_input(struct sa_execution *e, const void *data, size_t length,
                           struct sa_error *err)
{
    if (check_input(e, err) < 0)
        return -1;
    return (ssize_t)e->ops->input(e->source, data, length);
}

int sa_execution_input_end(struct sa_execution *e, struct sa_error *err)
{
    if (check_input(e, err) < 0)
        return -1;
    e->input_open = false;
    if (e->ops->input_end)
        e->ops->input_end(e->source);
    return 0;
}

void sa_execution_await_input(struct sa_execution *e, void (*ready)(void *user), void *user)
{
    struct input_wait *wait = sa_alloc(sizeof *wait);
    wait->ready = ready;
    wait->user = user;
    DL_APPEND(e->input_waits, wait);
}

void sa_execution_forget_input(struct sa_execution *e, void *user)
{
    struct input_wait *wait, *tmp;
    DL_FOREACH_SAFE (e->input_waits, wait, tmp) {
        if (wait->user != user)
            continue;
        DL_DELETE(e->input_waits, wait); /* NOLINT: utlist */
        free(wait);
    }
    execution_release(e);
}

int sa_execution_resize(struct sa_execution *e, int rows, int cols, struct sa_error *err)
{
    if (refuse_ended(e, err) < 0)
        return -1;
    if (!e->tty || !e->ops->resize)
        return sa_error_set(err, SA_ECONFLICT, "the execution %s has no terminal", e->id);
    return e->ops->resize(e->source, rows, cols, err);
}
