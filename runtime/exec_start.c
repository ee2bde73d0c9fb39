/*
 * How an execution starts: from the template's spare, if one waits for such a program or is about
 * to; else by a fork of its own. Then it is known whether the program runs.
 */
#include "exec.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/failpoint.h"

#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <utlist.h>

static void free_request(struct exec *e)
{
    if (!e->request)
        return;
    exec_request_deinit(e->request);
    free(e->request);
    e->request = NULL;
}

static void close_child(struct exec *e)
{
    for (int i = 0; i < 3; i++)
        if (e->child.fds[i] >= 0)
            close(sa_steal_fd(&e->child.fds[i]));
    if (e->child.extra >= 0)
        close(sa_steal_fd(&e->child.extra));
}

bool exec_start_tell(struct exec *e)
{
    sa_autobuf note = SA_BUF_INIT;
    sa_fields_add_int(&note, SA_EXEC_PID, e->noted_pid);
    e->note_due = sa_stream_note(e->call.stream, note.data, note.length) < 0;
    if (!e->note_due)
        exec_io_start(e);
    return !e->note_due;
}

/* It runs: from now on the program has its descriptors to itself. */
static void started(struct exec *e)
{
    sa_watch_close(&e->result);
    sa_timer_clear(&e->answer);
    close_child(e);
    free_request(e);
    if (e->forks)
        sa_template_prepare(); /* the next may come soon */
    sa_failpoint("runtime.exec.started");
    exec_start_tell(e);
}

/* Reads the spare's answer. One that is lost is killed, and its end awaited: then it is certain
 * that it has run nothing and never will. */
static void fork_known(struct exec *e)
{
    struct sa_error error;
    switch (sa_template_result(&e->spawn, e->result.fd, &error)) {
    case SA_TEMPLATE_UNKNOWN:
        return;
    case SA_TEMPLATE_RUNS:
        started(e);
        return;
    case SA_TEMPLATE_FAILED:
        exec_fail(e, &error);
        return;
    case SA_TEMPLATE_LOST:
        sa_watch_close(&e->result);
        sa_timer_clear(&e->answer);
        e->lost = true;
        if (!e->reaped)
            kill(e->pid, SIGKILL);
    }
}

static void answer_fire(struct sa_timer *timer)
{
    const struct exec *e = sa_container_of(timer, struct exec, answer);
    kill(e->pid, SIGKILL); /* its answer may be on the way: what follows is as it says */
}

/* Reads the result of the start; the execution may be gone afterwards. */
void exec_start_known(struct exec *e)
{
    struct sa_error error;
    if (e->forks) {
        fork_known(e);
        return;
    }
    int known = sa_spawn_result(&e->spawn, e->result.fd, &error);
    if (known == 0)
        return;
    if (known < 0)
        exec_fail(e, &error);
    else
        started(e);
}

static void result_ready(struct sa_watch *watch, uint32_t events)
{
    (void)events;
    exec_start_known(sa_container_of(watch, struct exec, result));
}

/* A pid that comes up again proves that the old session of that number is gone. */
static void forget_session(pid_t pid)
{
    struct exec *e;
    DL_FOREACH (exec_first(), e) {
        if (e->group.session == pid)
            e->group.session = 0;
    }
}

static struct sa_spawn make_spawn(const struct exec *e)
{
    const struct exec_request *r = e->request;
    const int *fds = e->child.fds;
    return (struct sa_spawn){.argv = r->argv.items,
                             .env = r->env.items,
                             .cwd = r->cwd,
                             .filter = r->filter,
                             .boot_limits = &sa_boot.rlimits,
                             .limits = &r->limits,
                             .mark = e->group.mark,
                             .tty = e->tty,
                             .stdin_fd = fds[0],
                             .stdout_fd = fds[e->tty ? 0 : 1],
                             .stderr_fd = fds[e->tty ? 0 : 2],
                             .extra_fd = e->control ? e->child.extra : r->code_fd};
}

static void has_pid(struct exec *e, pid_t pid)
{
    forget_session(pid);
    e->pid = e->noted_pid = e->group.session = pid;
}

static int spawn(struct exec *e, struct sa_error *err)
{
    pid_t pid = sa_spawn_start(&e->spawn, &e->result.fd, err);
    if (pid < 0)
        return -1;
    has_pid(e, pid);
    close_child(e);
    return 0;
}

static void spare_came(void);

/* Is the template for it? A context takes what is there; a program has it started. */
static bool wants_spare(struct exec *e)
{
    const struct exec_request *r = e->request;
    if (!r->template || (r->control && !sa_template_has_kernel(r->argv.items[0], r->filter)))
        return false;
    e->wishes = true;
    sa_template_on_ready(spare_came);
    if (!r->control)
        sa_template_want(r->argv.items, r->imports.items, r->filter);
    return true;
}

/* From the template's spare, if it waits for such a program. */
static bool fork_spare(struct exec *e)
{
    if (!wants_spare(e))
        return false;
    pid_t pid = sa_template_take(&e->spawn, &e->result.fd);
    e->forks = pid > 0;
    if (!e->forks)
        return false;
    has_pid(e, pid);
    sa_timer_set(&e->answer, EXEC_ANSWER_US);
    return true;
}

/* A spare is there in less time than an interpreter starts in; one program at a time waits for it,
 * so that several that come together start together. Contexts take much longer to start, and all
 * wait. */
static bool wait_for_spare(struct exec *e)
{
    const bool context = e->request->control;
    struct exec *other;
    if (!e->wishes || !sa_template_is_coming())
        return false;
    DL_FOREACH (exec_first(), other)
        if (other->waits && !context)
            return false;
    e->waits = true;
    sa_timer_set(&e->spare, context ? EXEC_SPARE_CONTEXT_US : EXEC_SPARE_US);
    return true;
}

/* One that is run for the sake of the template waits for it, also while it starts. */
static bool wait_for_template(struct exec *e)
{
    if (!e->wishes || !e->request->warm || e->outcome != EXEC_RUNS ||
        sa_monotonic_us() - e->start_us > EXEC_WARM_MOST_US)
        return false;
    sa_template_prepare();
    if (!sa_template_is_there())
        return false;
    e->waits = true;
    sa_timer_set(&e->spare, EXEC_WARM_US);
    return true;
}

/* It has come, or takes too long. */
static void wait_is_over(struct exec *e)
{
    struct sa_error error;
    e->waits = false;
    sa_timer_clear(&e->spare);
    if (e->outcome == EXEC_CANCELED) {
        sa_error_set(&error, SA_ECANCELED, "canceled before it started");
        exec_fail(e, &error);
    } else if (!fork_spare(e) && spawn(e, &error) < 0) {
        exec_fail(e, &error);
    } else {
        sa_watch_set(&e->result, EPOLLIN);
    }
}

static void spare_fire(struct sa_timer *timer)
{
    struct exec *e = sa_container_of(timer, struct exec, spare);
    if (!wait_for_template(e))
        wait_is_over(e);
}

static void spare_came(void)
{
    struct exec *e;
    DL_FOREACH (exec_first(), e) {
        if (e->waits) {
            wait_is_over(e);
            return;
        }
    }
}

static int start(struct exec *e, struct sa_error *err)
{
    if (exec_io_open(e, &e->child, err) < 0)
        return -1;
    e->group.mark = sa_proc_new_mark();
    e->spawn = make_spawn(e);
    e->start_us = sa_monotonic_us();
    if (fork_spare(e) || wait_for_template(e) || wait_for_spare(e))
        return 0;
    return spawn(e, err);
}

/* The spare is gone and has run nothing. */
void exec_start_again(struct exec *e)
{
    struct sa_error error;
    e->lost = e->forks = e->reaped = false;
    e->pid = 0;
    if (spawn(e, &error) < 0)
        exec_fail(e, &error);
    else
        sa_watch_set(&e->result, EPOLLIN);
}

int exec_start(struct exec *e, struct sa_error *err)
{
    if (start(e, err) < 0)
        return -1;
    e->grace_us = e->request->grace_ms * 1000;
    if (e->request->timeout_ms)
        sa_timer_set(&e->deadline, e->request->timeout_ms * 1000);
    if (!e->waits)
        sa_watch_set(&e->result, EPOLLIN);
    return 0;
}

void exec_start_init(struct exec *e)
{
    e->result = (struct sa_watch){.fd = -1, .ready = result_ready};
    e->answer.fire = answer_fire;
    e->spare.fire = spare_fire;
    e->child = (struct exec_child_fds){{-1, -1, -1}, -1};
}

void exec_start_close(struct exec *e)
{
    close_child(e);
    sa_timer_clear(&e->answer);
    sa_timer_clear(&e->spare);
    sa_watch_close(&e->result);
    free_request(e);
}
