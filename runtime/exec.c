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

struct exec *exec_first(void)
{
    return execs;
}

static void free_exec(struct exec *e)
{
    DL_DELETE(execs, e);
    exec_start_close(e);
    sa_timer_clear(&e->deadline);
    sa_timer_clear(&e->killer);
    sa_timer_clear(&e->quiet);
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
void exec_fail(struct exec *e, const struct sa_error *error)
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
        exec_fail(e, &error);
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
    exec_fail((struct exec *)call, &error);
}

/* --- the main process exits --- */

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
            exec_start_known(e); /* it ran and ended before its start was noticed; or it failed */
        e = find(pid);
        if (e && e->lost && e->outcome == EXEC_RUNS)
            exec_start_again(e);
        else if (e)
            on_exit_of(e, status, &ru);
        else
            sa_template_reaped(pid);
    }
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
        if (took < 0 || (!waits_for_code(e) && exec_start(e, &error) < 0)) {
            exec_fail(e, &error);
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
        exec_fail(e, &error);
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
    if (e->note_due && !exec_start_tell(e))
        return;
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
    exec_start_init(e);
    exec_io_init(e);
    e->deadline.fire = deadline_fire;
    e->killer.fire = killer_fire;
    e->quiet.fire = quiet_fire;
    DL_APPEND(execs, e);
    if (exec_request_decode(e->request, body, length, &error) < 0 ||
        (!waits_for_code(e) && exec_start(e, &error) < 0))
        exec_fail(e, &error);
}
