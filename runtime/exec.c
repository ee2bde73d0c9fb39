/*
 * The EXEC method: the life of an execution.
 *
 *     start   fork; the result pipe tells whether the program runs (NOTE with the pid, and output
 *             begins to flow) or why not (END with the error)
 *     stop    at the deadline or by CANCEL: TERM to the whole execution; after the grace KILL,
 *             repeated until nothing of it lives
 *     exit    wait(2) told of the main process: what it wrote is drained, then, when the pipes
 *             have closed or nobody in the background writes any more, END with the result
 */
#include "exec.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/failpoint.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

enum {
    STOP_CHECK_US = 20 * 1000, /* how often a stopping execution is looked at */
    KILL_AGAIN_US = 5 * 1000,
    KILLS_MAX = 400, /* then it is given up: stuck in the kernel */
};

static struct exec *execs;

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

static void free_exec(struct exec *e)
{
    DL_DELETE(execs, e);
    close_child(e);
    sa_timer_clear(&e->answer);
    sa_timer_clear(&e->spare);
    sa_timer_clear(&e->deadline);
    sa_timer_clear(&e->killer);
    sa_timer_clear(&e->quiet);
    sa_watch_close(&e->result);
    free_request(e);
    sa_call_done(&e->call);
}

/* --- the end --- */

static const char *status_name(const struct exec *e)
{
    if (e->outcome == EXEC_TIMEOUT)
        return "timeout";
    if (e->outcome == EXEC_CANCELED)
        return "canceled";
    return WIFEXITED(e->status) ? "exited" : "signaled";
}

static void add_result(const struct exec *e, size_t left, struct sa_buf *out)
{
    sa_fields_add_text(out, SA_EXEC_STATUS, status_name(e));
    if (e->exited && WIFEXITED(e->status))
        sa_fields_add_int(out, SA_EXEC_EXIT_CODE, WEXITSTATUS(e->status));
    if (e->exited && WIFSIGNALED(e->status))
        sa_fields_add_int(out, SA_EXEC_EXIT_SIGNAL, WTERMSIG(e->status));
    sa_fields_add_int(out, SA_EXEC_DURATION_US,
                      (e->exited ? e->exit_us : sa_monotonic_us()) - e->start_us);
    sa_fields_add_int(out, SA_EXEC_CPU_US, e->cpu_us);
    sa_fields_add_int(out, SA_EXEC_MEMORY_PEAK, e->memory_peak);
    sa_fields_add_int(out, SA_EXEC_OUT_TOTAL, e->pumps[0].total);
    sa_fields_add_int(out, SA_EXEC_ERR_TOTAL, e->pumps[1].total);
    if (left)
        sa_fields_add_int(out, SA_EXEC_LEFT, (int64_t)left);
}

static void finish(struct exec *e)
{
    sa_autobuf result = SA_BUF_INIT;
    sa_failpoint("runtime.exec.ended");
    add_result(e, sa_proc_count_group(&e->group), &result);
    exec_io_finish(e);
    sa_stream_end(e->call.stream, result.data, result.length);
    if (e->wishes)
        sa_template_prepare();
    free_exec(e);
}

/* It could not be started. */
static void fail(struct exec *e, const struct sa_error *error)
{
    exec_io_close(e);
    sa_stream_end_error(e->call.stream, error);
    free_exec(e);
}

/* Its code has not all arrived, so it was not started yet. */
static bool waits_for_code(const struct exec *e)
{
    return e->request && e->request->code_left > 0;
}

void exec_check(struct exec *e)
{
    bool stopped = e->outcome != EXEC_RUNS;
    if (stopped ? !e->gone : !e->exited)
        return;
    if (exec_out_closed(e) || (exec_out_drained(e) && (e->quiet_over || stopped)))
        finish(e);
}

static void quiet_fire(struct sa_timer *timer)
{
    struct exec *e = sa_container_of(timer, struct exec, quiet);
    e->quiet_over = true;
    exec_check(e);
}

/* --- stopping --- */

static void signal_all(struct exec *e, int signal)
{
    if (e->pid && kill(-e->pid, signal) < 0)
        kill(e->pid, signal); /* not the leader of its group yet */
    sa_proc_signal_group(&e->group, signal);
}

static void kill_all(struct exec *e)
{
    if (e->pid && kill(-e->pid, SIGKILL) < 0)
        kill(e->pid, SIGKILL);
    e->gone = sa_proc_kill_group(&e->group) == 0 && e->exited;
}

static void killer_fire(struct sa_timer *timer)
{
    struct exec *e = sa_container_of(timer, struct exec, killer);
    if (sa_poller_now_us() < e->stop_us + e->grace_us) {
        e->gone = e->exited && sa_proc_signal_group(&e->group, 0) == 0;
    } else {
        kill_all(e);
        if (++e->kills == KILLS_MAX)
            e->gone = true;
    }
    if (!e->gone)
        sa_timer_set(timer, e->kills ? KILL_AGAIN_US : STOP_CHECK_US);
    exec_check(e);
}

static void stop(struct exec *e, enum exec_outcome outcome)
{
    if (e->outcome != EXEC_RUNS)
        return;
    e->outcome = outcome;
    e->stop_us = sa_poller_now_us();
    sa_timer_clear(&e->deadline);
    if (e->tty)
        signal_all(e, SIGHUP); /* what shells at a terminal obey */
    if (e->grace_us) {
        signal_all(e, SIGTERM);
        signal_all(e, SIGCONT); /* who is stopped cannot obey */
    }
    sa_timer_set(&e->killer, e->grace_us < STOP_CHECK_US ? e->grace_us : STOP_CHECK_US);
}

static void deadline_fire(struct sa_timer *timer)
{
    stop(sa_container_of(timer, struct exec, deadline), EXEC_TIMEOUT);
}

static void on_canceled(struct sa_call *call)
{
    struct exec *e = (struct exec *)call;
    if (waits_for_code(e)) {
        struct sa_error error;
        sa_error_set(&error, SA_ECANCELED, "canceled before it started");
        fail(e, &error);
        return;
    }
    if (e->exited && e->outcome == EXEC_RUNS) {
        e->quiet_over = true; /* only its background keeps it open */
        exec_out_hurry(e);
        exec_check(e);
        return;
    }
    if (call->lost)
        exec_out_writable(e); /* what it still writes is dropped */
    stop(e, EXEC_CANCELED);
}

/* What it started has been killed already, and is waited for by whoever did that. */
static void on_dropped(struct sa_call *call)
{
    struct sa_error error;
    sa_error_set(&error, SA_ECANCELED, "canceled, as all that runs here is ended");
    fail((struct exec *)call, &error);
}

/* --- the main process exits --- */

static void start_known(struct exec *e), start_again(struct exec *e);

static void on_exit_of(struct exec *e, int status, const struct rusage *ru)
{
    e->exited = true;
    e->pid = 0;
    e->status = status;
    e->exit_us = sa_monotonic_us();
    e->cpu_us = (int64_t)(ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) * 1000000 +
                ru->ru_utime.tv_usec + ru->ru_stime.tv_usec;
    e->memory_peak = (int64_t)ru->ru_maxrss * 1024;
    sa_timer_clear(&e->deadline);
    if (e->outcome != EXEC_RUNS)
        sa_timer_set(&e->killer, 0); /* perhaps that was the last of it */
    sa_timer_set(&e->quiet, EXEC_QUIET_US);
    exec_out_drain(e);
    exec_check(e);
}

static struct exec *find(pid_t pid)
{
    struct exec *e;
    DL_FOREACH (execs, e) {
        if (e->pid == pid)
            return e;
    }
    return NULL;
}

static int64_t reaped;

int64_t sa_exec_reaped(void)
{
    return reaped;
}

void sa_exec_reap(void)
{
    int status;
    struct rusage ru;
    pid_t pid;
    while ((pid = wait4(-1, &status, WNOHANG, &ru)) > 0) {
        struct exec *e = find(pid);
        reaped++;
        if (e)
            e->reaped = true;
        if (e && e->result.fd >= 0)
            start_known(e); /* it ran and ended before its start was noticed; or it failed */
        e = find(pid);
        if (e && e->lost && e->outcome == EXEC_RUNS)
            start_again(e);
        else if (e)
            on_exit_of(e, status, &ru);
        else
            sa_template_reaped(pid);
    }
}

/* --- the start --- */

static void send_pid(struct exec *e)
{
    sa_autobuf note = SA_BUF_INIT;
    sa_fields_add_int(&note, SA_EXEC_PID, e->noted_pid);
    e->note_due = sa_stream_note(e->call.stream, note.data, note.length) < 0;
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
    send_pid(e);
    if (!e->note_due)
        exec_io_start(e);
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
        fail(e, &error);
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
static void start_known(struct exec *e)
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
        fail(e, &error);
    else
        started(e);
}

static void result_ready(struct sa_watch *watch, uint32_t events)
{
    (void)events;
    start_known(sa_container_of(watch, struct exec, result));
}

/* A pid that comes up again proves that the old session of that number is gone. */
static void forget_session(pid_t pid)
{
    struct exec *e;
    DL_FOREACH (execs, e) {
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
 * so that several that come together start together. */
static bool wait_for_spare(struct exec *e)
{
    struct exec *other;
    if (!e->wishes || !sa_template_is_coming())
        return false;
    DL_FOREACH (execs, other)
        if (other->waits)
            return false;
    e->waits = true;
    sa_timer_set(&e->spare, EXEC_SPARE_US);
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
        fail(e, &error);
    } else if (!fork_spare(e) && spawn(e, &error) < 0) {
        fail(e, &error);
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
    DL_FOREACH (execs, e) {
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
static void start_again(struct exec *e)
{
    struct sa_error error;
    e->lost = e->forks = e->reaped = false;
    e->pid = 0;
    if (spawn(e, &error) < 0)
        fail(e, &error);
    else
        sa_watch_set(&e->result, EPOLLIN);
}

static int begin(struct exec *e, struct sa_error *err)
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

/* --- what arrives on the stream --- */

static void on_data(struct sa_call *call, enum sa_link_channel channel, const void *data,
                    size_t length)
{
    struct exec *e = (struct exec *)call;
    if (channel == SA_CHANNEL_CONTROL) {
        sa_feed_data(&e->feeds[FEED_CONTROL], data, length);
        return;
    }
    if (channel != SA_CHANNEL_IN) {
        sa_stream_consume(call->stream, length);
        return;
    }
    if (waits_for_code(e)) {
        struct sa_error error;
        ssize_t took = exec_request_code(e->request, data, length, &error);
        if (took < 0 || (!waits_for_code(e) && begin(e, &error) < 0)) {
            fail(e, &error);
            return;
        }
        sa_stream_consume(call->stream, (size_t)took);
        data = (const char *)data + took;
        length -= (size_t)took;
    }
    if (length)
        sa_feed_data(&e->feeds[FEED_STDIN], data, length);
}

static void on_eof(struct sa_call *call, enum sa_link_channel channel)
{
    struct exec *e = (struct exec *)call;
    struct sa_error error;
    if (channel == SA_CHANNEL_CONTROL)
        sa_feed_eof(&e->feeds[FEED_CONTROL]);
    if (channel != SA_CHANNEL_IN)
        return;
    if (waits_for_code(e)) {
        sa_error_at(&error, SA_EPROTOCOL, "code", "ended %lld bytes too early",
                    (long long)e->request->code_left);
        fail(e, &error);
        return;
    }
    sa_feed_eof(&e->feeds[FEED_STDIN]);
}

static void on_note(struct sa_call *call, const void *body, size_t length)
{
    struct exec *e = (struct exec *)call;
    struct sa_fields reader;
    struct sa_field f;
    int64_t number;
    sa_fields_init(&reader, body, length);
    while (sa_fields_next(&reader, &f, NULL) > 0) {
        if (sa_field_int(&f, &number, NULL) < 0)
            continue;
        if (f.tag == SA_EXEC_SIGNAL && number > 0 && number <= SIGRTMAX && e->pid)
            kill(-e->pid, (int)number);
        if (f.tag == SA_EXEC_WINDOW && exec_window_valid(number))
            exec_io_resize(e, number);
    }
}

static void on_writable(struct sa_call *call)
{
    struct exec *e = (struct exec *)call;
    if (e->note_due) {
        send_pid(e);
        if (e->note_due)
            return;
        exec_io_start(e);
    }
    exec_out_writable(e);
}

static const struct sa_method method = {.data = on_data,
                                        .eof = on_eof,
                                        .note = on_note,
                                        .writable = on_writable,
                                        .canceled = on_canceled,
                                        .dropped = on_dropped};

void sa_exec_open(struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_error error;
    struct exec *e = sa_call_new(sizeof *e, &method, stream);
    e->request = sa_alloc(sizeof *e->request);
    e->result = (struct sa_watch){.fd = -1, .ready = result_ready};
    exec_io_init(e);
    e->deadline.fire = deadline_fire;
    e->killer.fire = killer_fire;
    e->quiet.fire = quiet_fire;
    e->answer.fire = answer_fire;
    e->spare.fire = spare_fire;
    e->child = (struct exec_child_fds){{-1, -1, -1}, -1};
    DL_APPEND(execs, e);
    if (exec_request_decode(e->request, body, length, &error) < 0 ||
        (!waits_for_code(e) && begin(e, &error) < 0))
        fail(e, &error);
}
