/* The USAGE and SHUTDOWN methods. */
#include "base/cleanup.h"
#include "call.h"
#include "conn.h"
#include "poller.h"
#include "proc.h"

#include <errno.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { SHUTDOWN_GRACE_US = 500 * 1000, SHUTDOWN_CHECK_US = 10 * 1000 };

static void add_disk(struct sa_buf *out)
{
    struct statvfs vfs;
    if (fstatvfs(sa_boot.roots[0].fd, &vfs) < 0)
        return;
    int64_t unit = (int64_t)vfs.f_frsize;
    sa_fields_add_int(out, SA_USAGE_DISK_BYTES, (int64_t)(vfs.f_blocks - vfs.f_bfree) * unit);
    sa_fields_add_int(out, SA_USAGE_DISK_LIMIT, (int64_t)vfs.f_blocks * unit);
    sa_fields_add_int(out, SA_USAGE_INODES, (int64_t)(vfs.f_files - vfs.f_ffree));
    sa_fields_add_int(out, SA_USAGE_INODES_LIMIT, (int64_t)vfs.f_files);
}

void sa_usage_open(struct sa_stream *stream, const void *body, size_t length)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_proc_usage usage;
    (void)body;
    (void)length;
    sa_proc_usage(&usage);
    sa_fields_add_int(&out, SA_USAGE_PROCESSES, (int64_t)usage.processes);
    sa_fields_add_int(&out, SA_USAGE_CPU_US, usage.cpu_us);
    sa_fields_add_int(&out, SA_USAGE_MEMORY_BYTES, usage.memory_bytes);
    add_disk(&out);
    sa_stream_end(stream, out.data, out.length);
}

/* --- the clock of timeouts --- */

void sa_clock_open(struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_fields fields;
    struct sa_field f;
    int64_t held = 0;
    sa_fields_init(&fields, body, length);
    while (sa_fields_next(&fields, &f, NULL) > 0)
        if (f.tag == SA_CLOCK_HELD)
            sa_field_int(&f, &held, NULL);
    sa_timers_hold(held != 0);
    sa_stream_end(stream, NULL, 0);
}

/* --- shutdown: TERM to all, KILL after the grace, exit --- */

static struct sa_timer shutdown_timer;
static struct sa_stream *shutdown_stream;
static int64_t shutdown_until_us;

static bool alone(void)
{
    return kill(-1, 0) < 0 && errno == ESRCH;
}

static void shutdown_fire(struct sa_timer *timer)
{
    if (!alone() && sa_poller_now_us() < shutdown_until_us) {
        sa_timer_set(timer, SHUTDOWN_CHECK_US);
        return;
    }
    kill(-1, SIGKILL);
    sa_exec_reap(); /* lets executions end with their result, as far as they have one */
    sa_conn_abandon();
    sa_stream_end(shutdown_stream, NULL, 0);
    sa_conn_flush_for(1000);
    _exit(0);
}

void sa_shutdown_open(struct sa_stream *stream, const void *body, size_t length)
{
    static const struct sa_method method; /* nothing may arrive that matters */
    (void)body;
    (void)length;
    if (shutdown_stream) {
        sa_stream_end(stream, NULL, 0);
        return;
    }
    sa_call_new(sizeof(struct sa_call), &method, stream);
    shutdown_stream = stream;
    shutdown_until_us = sa_poller_now_us() + SHUTDOWN_GRACE_US;
    shutdown_timer.fire = shutdown_fire;
    kill(-1, SIGTERM);
    kill(-1, SIGCONT);
    sa_timer_set(&shutdown_timer, 0);
}
