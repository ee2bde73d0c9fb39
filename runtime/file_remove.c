/* FILE_REMOVE: a file, a link (not what it points to), an empty folder, or with SA_FILE_RECURSIVE
 * a whole tree (remover.h). */
#include "base/cleanup.h"
#include "call.h"
#include "file.h"
#include "poller.h"
#include "remover.h"

#include <errno.h>
#include <stdio.h>

struct file_remove {
    struct sa_call call;
    struct sa_task task;
    struct sa_remover remover;
    int above;
    char full[PATH_MAX];
};

static void release(struct file_remove *r)
{
    sa_task_stop(&r->task);
    sa_remover_deinit(&r->remover);
    if (r->above >= 0)
        close(r->above);
}

static void fail(struct file_remove *r, const struct sa_error *error)
{
    release(r);
    sa_call_fail(&r->call, error);
}

static void finish(struct file_remove *r)
{
    sa_autobuf out = SA_BUF_INIT;
    sa_fields_add_int(&out, SA_FILE_COUNT, r->remover.count);
    release(r);
    sa_call_end(&r->call, &out);
}

static void step(struct sa_task *task)
{
    struct file_remove *r = sa_container_of(task, struct file_remove, task);
    struct sa_error error;
    int result = sa_remover_step(&r->remover);
    if (result > 0) {
        finish(r);
    } else if (result < 0) {
        sa_path_error(&error, errno, r->full);
        fail(r, &error);
    }
}

static void on_canceled(struct sa_call *call)
{
    struct sa_error error;
    sa_error_set(&error, SA_ECANCELED, "canceled");
    fail((struct file_remove *)call, &error);
}

static const struct sa_method method = {.canceled = on_canceled};

/* 1: done at once, 0: a tree has been begun. */
static int start(struct file_remove *r, const void *body, size_t length, struct sa_error *err)
{
    sa_auto_file_request request;
    struct sa_place place;
    const char *name;
    if (sa_file_request_decode(&request, body, length, err) < 0 ||
        sa_place_parse(&place, request.path, err) < 0)
        return -1;
    r->above = sa_place_parent(&place, false, &name, err);
    if (r->above < 0 || sa_file_conditions_check_at(&request.conditions, r->above, name, err) < 0)
        return -1;
    snprintf(r->full, sizeof r->full, "%s", place.full);
    int result = sa_remover_begin(&r->remover, r->above, name, request.recursive);
    return result < 0 ? sa_path_error(err, errno, place.full) : result;
}

void sa_file_remove_open(struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_error error;
    struct file_remove *r = sa_call_new(sizeof *r, &method, stream);
    r->above = -1;
    r->task.step = step;
    int result = start(r, body, length, &error);
    if (result < 0)
        fail(r, &error);
    else if (result > 0)
        finish(r);
    else
        sa_task_start(&r->task);
}
