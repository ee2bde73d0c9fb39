/*
 * FILE_COPY and FILE_MOVE. A move within a root is a rename(2). Everything else is copied under a
 * hidden name beside its place (copier.h), put in its place in one step, and, when it is a move,
 * only then removed where it was (remover.h): whatever happens in between, one of the two is whole.
 * What fails takes the hidden copy with it.
 */
#include "base/cleanup.h"
#include "base/id.h"
#include "call.h"
#include "copier.h"
#include "file.h"
#include "poller.h"
#include "remover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum phase { COPYING, REMOVING_SOURCE, REMOVING_COPY };

struct file_copy {
    struct sa_call call;
    struct sa_task task;
    enum phase phase;
    bool move, keep, created;
    int from_folder; /* of a move */
    int to_folder;
    char from_name[NAME_MAX + 1], to_name[NAME_MAX + 1];
    char to_full[PATH_MAX];
    char temp[SA_ID_BYTES]; /* "" once in place */
    struct sa_copier copier;
    struct sa_remover remover;
    struct sa_error error; /* REMOVING_COPY: the reason */
};

static void release(struct file_copy *c)
{
    sa_task_stop(&c->task);
    sa_copier_deinit(&c->copier);
    sa_remover_deinit(&c->remover);
    if (c->from_folder >= 0)
        close(c->from_folder);
    if (c->to_folder >= 0)
        close(c->to_folder);
}

static void end_failed(struct file_copy *c)
{
    struct sa_error error = c->error;
    release(c);
    sa_call_fail(&c->call, &error);
}

/* It cannot be done: take the hidden copy away first, then say why. */
static void give_up(struct file_copy *c)
{
    sa_copier_deinit(&c->copier);
    c->phase = REMOVING_COPY;
    if (!c->temp[0] || sa_remover_begin(&c->remover, c->to_folder, c->temp, 1) != 0)
        end_failed(c);
    else
        sa_task_start(&c->task);
}

static void finish(struct file_copy *c)
{
    sa_autobuf out = SA_BUF_INIT;
    if (sa_file_add_entry_at(&out, c->to_folder, c->to_name, c->to_full) < 0) {
        sa_path_error(&c->error, errno, c->to_full);
        end_failed(c);
        return;
    }
    sa_fields_add_int(&out, SA_FILE_CREATED, c->created);
    release(c);
    sa_call_end(&c->call, &out);
}

/* From a name beside to the name it is for. 0, or -1 and c->error. */
static int put_in_place(struct file_copy *c, int from_folder, const char *from_name)
{
    struct stat old;
    c->created = fstatat(c->to_folder, c->to_name, &old, AT_SYMLINK_NOFOLLOW) < 0;
    if (renameat2(from_folder, from_name, c->to_folder, c->to_name,
                  c->keep ? RENAME_NOREPLACE : 0) == 0)
        return 0;
    return sa_path_error(&c->error, errno, c->to_full);
}

static void copied(struct file_copy *c)
{
    if (put_in_place(c, c->to_folder, c->temp) < 0) {
        give_up(c);
        return;
    }
    c->temp[0] = '\0';
    if (!c->move) {
        finish(c);
        return;
    }
    c->phase = REMOVING_SOURCE;
    int result = sa_remover_begin(&c->remover, c->from_folder, c->from_name, 1);
    if (result > 0) {
        finish(c);
    } else if (result < 0) {
        sa_path_error(&c->error, errno, c->from_name);
        sa_error_wrap(&c->error, "it was copied to %.200s, but not removed where it was",
                      c->to_full);
        end_failed(c);
    }
}

static void step(struct sa_task *task)
{
    struct file_copy *c = sa_container_of(task, struct file_copy, task);
    if (c->phase == COPYING) {
        int result = sa_copier_step(&c->copier, &c->error);
        if (result > 0)
            copied(c);
        else if (result < 0)
            give_up(c);
        return;
    }
    int result = sa_remover_step(&c->remover);
    if (c->phase == REMOVING_COPY && result != 0) {
        end_failed(c);
    } else if (result > 0) {
        finish(c);
    } else if (result < 0) {
        sa_path_error(&c->error, errno, c->from_name);
        end_failed(c);
    }
}

/* Once in place it stays: a move that is canceled then may leave what it did not yet remove. */
static void on_canceled(struct sa_call *call)
{
    struct file_copy *c = (struct file_copy *)call;
    if (c->phase == REMOVING_COPY)
        return;
    sa_error_set(&c->error, SA_ECANCELED, "canceled");
    give_up(c);
}

static void on_abandon(struct sa_call *call)
{
    struct file_copy *c = (struct file_copy *)call;
    if (!c->temp[0])
        return;
    sa_remover_deinit(&c->remover);
    for (int rc = sa_remover_begin(&c->remover, c->to_folder, c->temp, 1); rc == 0;)
        rc = sa_remover_step(&c->remover);
}

static const struct sa_method method = {.canceled = on_canceled, .abandon = on_abandon};

static int find_places(struct file_copy *c, const struct sa_file_request *request,
                       struct sa_place *from, struct sa_error *err)
{
    struct sa_place to;
    const char *name;
    struct stat old;
    if (!request->to)
        return sa_error_at(err, SA_EINVALID, "to", "where to is missing");
    if (sa_place_parse(from, request->path, err) < 0)
        return -1;
    if (c->move) {
        c->from_folder = sa_place_parent(from, false, &name, err);
        if (c->from_folder < 0)
            return -1;
        snprintf(c->from_name, sizeof c->from_name, "%s", name);
    }
    if (sa_place_parse(&to, request->to, err) < 0)
        return -1;
    c->to_folder = sa_place_parent(&to, request->parents, &name, err);
    if (c->to_folder < 0)
        return -1;
    snprintf(c->to_name, sizeof c->to_name, "%s", name);
    snprintf(c->to_full, sizeof c->to_full, "%s", to.full);
    if (c->keep && fstatat(c->to_folder, c->to_name, &old, AT_SYMLINK_NOFOLLOW) == 0)
        return sa_path_error(err, EEXIST, c->to_full);
    return 0;
}

static int check_not_inside(const struct file_copy *c, const char *from, struct sa_error *err)
{
    size_t length = strlen(from);
    if (strncmp(c->to_full, from, length) != 0 || c->to_full[length] != '/')
        return 0;
    return sa_error_at(err, SA_EINVALID, "to", "%.200s: is inside of %.200s", c->to_full, from);
}

/* 1: renamed, 0: must be copied. */
static int try_rename(struct file_copy *c, const struct sa_place *from, struct sa_error *err)
{
    struct stat st;
    if (fstatat(c->from_folder, c->from_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return sa_path_error(err, errno, from->full);
    if (put_in_place(c, c->from_folder, c->from_name) == 0)
        return 1;
    if (c->error.sys_errno == EXDEV)
        return 0;
    *err = c->error;
    return -1;
}

/* What rename(2) would refuse in the end is refused before anything is copied. */
static int check_target(const struct file_copy *c, int from, struct sa_error *err)
{
    struct stat old, st;
    if (fstatat(c->to_folder, c->to_name, &old, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (fstat(from, &st) == 0 && S_ISDIR(st.st_mode) != S_ISDIR(old.st_mode))
        return sa_path_error(err, S_ISDIR(old.st_mode) ? EISDIR : EEXIST, c->to_full);
    return 0;
}

/* 1: done at once (in place, or renamed), 0: to be stepped through, -1. */
static int start(struct file_copy *c, const void *body, size_t length, struct sa_error *err)
{
    sa_auto_file_request request;
    struct sa_place from;
    if (sa_file_request_decode(&request, body, length, err) < 0)
        return -1;
    c->keep = request.keep;
    if (find_places(c, &request, &from, err) < 0)
        return -1;
    if (c->move) {
        int renamed = try_rename(c, &from, err);
        if (renamed != 0)
            return renamed;
    }
    sa_autoclose int fd = sa_place_open(&from, O_PATH | O_NOFOLLOW, false, err);
    if (fd < 0 || check_not_inside(c, from.full, err) < 0 || check_target(c, fd, err) < 0)
        return -1;
    sa_id_new(".sa-", c->temp);
    return sa_copier_begin(&c->copier, fd, from.full, c->to_folder, c->temp, err) < 0 ? -1 : 0;
}

static void open_call(struct sa_stream *stream, const void *body, size_t length, bool move)
{
    struct file_copy *c = sa_call_new(sizeof *c, &method, stream);
    c->task.step = step;
    c->move = move;
    c->from_folder = c->to_folder = c->copier.in = c->copier.out = -1;
    int result = start(c, body, length, &c->error);
    if (result < 0)
        give_up(c);
    else if (result > 0)
        finish(c);
    else
        sa_task_start(&c->task);
}

void sa_file_copy_open(struct sa_stream *stream, const void *body, size_t length)
{
    open_call(stream, body, length, false);
}

void sa_file_move_open(struct sa_stream *stream, const void *body, size_t length)
{
    open_call(stream, body, length, true);
}
