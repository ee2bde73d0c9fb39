/*
 * The SEAL and RESET methods. Both go the same way:
 *
 *     END     other calls let go; every process is killed, until none is left
 *     WALK    SEAL makes the manifest of the writable folders, RESET goes by it
 *     LOOK    at what is no file (world.h): remembered, or compared
 *
 * From the end of END on nobody in the sandbox does anything, so nothing races with what follows.
 */
#include "reset.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "call.h"
#include "conn.h"
#include "ipc.h"
#include "poller.h"
#include "proc.h"
#include "sealer.h"
#include "setup.h"
#include "sweeper.h"
#include "template.h"
#include "world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    SLICE_US = 2000,
    AGAIN_US = 5 * 1000,
    END_MAX_US = 10 * 1000 * 1000, /* then something is stuck in the kernel */
    LOOK_MAX_US =
        2 * 1000 * 1000, /* the kernel collects sockets that were on their way to nobody */
};

enum phase { PHASE_END, PHASE_WALK, PHASE_LOOK };

struct reset {
    struct sa_call call;
    bool seals;
    bool had_template;
    enum phase phase;
    struct sa_task task;   /* walks */
    struct sa_timer again; /* ends, looks */
    int64_t since_us;      /* the phase */
    int64_t reaped_before;
    struct sa_sealer sealer;
    struct sa_sweeper sweeper;
};

static struct reset *running;

/* As it was sealed. */
static struct {
    bool done;
    struct sa_manifest manifest;
    struct sa_buf world;
    int clock; /* tells whether the time of day was set since */
} sealed = {.clock = -1};

bool sa_reset_is_running(void)
{
    return running != NULL;
}

/* --- the end --- */

static void release(struct reset *r)
{
    sa_task_stop(&r->task);
    sa_timer_clear(&r->again);
    sa_sealer_deinit(&r->sealer);
    sa_sweeper_deinit(&r->sweeper);
    running = NULL;
}

static void fail(struct reset *r, const struct sa_error *error)
{
    if (r->seals) {
        sa_manifest_deinit(&sealed.manifest);
        sealed.done = false;
    }
    release(r);
    sa_call_fail(&r->call, error);
}

static void add_fingerprint(struct sa_buf *out, const struct sa_buf *world)
{
    struct sa_digest digest;
    uint8_t hash[SA_DIGEST_BYTES];
    char text[2 * sizeof hash + 1];
    sa_digest_init(&digest);
    sa_digest_add(&digest, sealed.manifest.tree, sizeof sealed.manifest.tree);
    sa_digest_add(&digest, world->data, world->length);
    sa_digest_end(&digest, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    sa_fields_add_text(out, SA_RESET_FINGERPRINT, text);
}

static void finish(struct reset *r, const struct sa_buf *world)
{
    sa_autobuf out = SA_BUF_INIT;
    add_fingerprint(&out, world);
    sa_fields_add_int(&out, SA_RESET_KILLED, sa_exec_reaped() - r->reaped_before);
    sa_fields_add_int(&out, SA_RESET_REMOVED, r->sweeper.removed);
    sa_fields_add_int(&out, SA_RESET_LOOKED, r->sweeper.looked);
    if (r->seals)
        sa_failpoint("runtime.seal.done");
    else
        sa_failpoint("runtime.reset.done");
    if (r->seals && r->had_template)
        sa_template_renew(); /* it was ended: what it held belongs to no pristine state */
    release(r);
    sa_call_end(&r->call, &out);
}

/* --- the clock --- */

/* Armed for a time that never comes, it is canceled when somebody sets the time of day, and armed
 * again by the read that tells so (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET). */
static void watch_clock(void)
{
    const struct itimerspec never = {.it_value.tv_sec = INT64_MAX / 2000000000};
    if (sealed.clock >= 0)
        return;
    sealed.clock = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (sealed.clock >= 0 &&
        timerfd_settime(sealed.clock, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) <
            0) {
        close(sealed.clock);
        sealed.clock = -1;
    }
}

/* Times of change mean something: each is later than those before it. */
static bool clock_was_left_alone(void)
{
    uint64_t count;
    return sealed.clock >= 0 && read(sealed.clock, &count, sizeof count) < 0 && errno == EAGAIN;
}

/* --- LOOK --- */

static int look(const struct reset *r, struct sa_buf *world, struct sa_error *err)
{
    if (sa_ipc_clear(err) < 0)
        return -1;
    sa_world_restore();
    sa_world_look(world);
    if (r->seals && !sa_sealer_is_old_enough(&sealed.manifest))
        return sa_error_set(err, SA_ECONFLICT, "the clock of its files stands still");
    return r->seals ? 0 : sa_world_compare(&sealed.world, world, err);
}

/* Sockets that hold each other, in messages that nobody can read any more, are collected by the
 * kernel when the next socket of that family goes. */
static void collect_sockets(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    close(pair[0]);
    close(pair[1]);
}

static void look_on(struct reset *r)
{
    sa_autobuf world = SA_BUF_INIT;
    struct sa_error error;
    if (look(r, &world, &error) == 0) {
        if (r->seals) {
            sealed.done = true;
            sa_buf_deinit(&sealed.world);
            sa_buf_add(&sealed.world, world.data, world.length);
        }
        finish(r, &world);
    } else if (sa_poller_now_us() - r->since_us > LOOK_MAX_US) {
        fail(r, &error);
    } else {
        collect_sockets();
        sa_timer_set(&r->again, AGAIN_US);
    }
}

/* --- WALK --- */

static void walk(struct sa_task *task)
{
    struct reset *r = sa_container_of(task, struct reset, task);
    int64_t until = sa_monotonic_us() + SLICE_US;
    struct sa_error error;
    int result;
    do
        result =
            r->seals ? sa_sealer_step(&r->sealer, &error) : sa_sweeper_step(&r->sweeper, &error);
    while (result == 0 && sa_monotonic_us() < until);
    if (result < 0) {
        fail(r, &error);
    } else if (result > 0) {
        sa_task_stop(task);
        if (!r->seals)
            sa_failpoint("runtime.reset.swept");
        r->phase = PHASE_LOOK;
        r->since_us = sa_poller_now_us();
        look_on(r);
    }
}

static void begin_walk(struct reset *r)
{
    struct sa_error error;
    r->phase = PHASE_WALK;
    if (r->seals)
        sa_failpoint("runtime.seal.ended");
    else
        sa_failpoint("runtime.reset.ended");
    watch_clock();
    if (!r->seals) {
        sa_sweeper_begin(&r->sweeper, &sealed.manifest, clock_was_left_alone());
    } else if (sa_sealer_begin(&r->sealer, &sealed.manifest, &error) < 0) {
        fail(r, &error);
        return;
    }
    sa_task_start(&r->task);
    walk(&r->task);
}

/* --- END --- */

static bool alone(void)
{
    return kill(-1, 0) < 0 && errno == ESRCH;
}

static void name_one(pid_t pid, void *arg)
{
    struct sa_error *error = arg;
    char name[64];
    if (error->path[0])
        return;
    if (!sa_proc_read(pid, "comm", name, sizeof name))
        name[0] = '\0';
    for (char *c = name; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = *c == '\n' && !c[1] ? '\0' : '?';
    sa_error_at(error, SA_ECONFLICT, "process", "process %d (%s) does not end", (int)pid, name);
}

static void give_up(struct reset *r)
{
    struct sa_error error = {.code = SA_OK};
    sa_proc_each(name_one, &error);
    if (!error.path[0])
        sa_error_at(&error, SA_ECONFLICT, "process", "something that runs here does not end");
    fail(r, &error);
}

static void forget(const struct reset *r)
{
    sa_exec_drop_leftovers();
    if (r->seals)
        return;
    sa_template_drop();
    sa_setup_drop();
    sa_timers_hold(false);
    sa_proc_forget();
}

/* Everything is killed at once: whoever forks meanwhile is killed before the child exists. */
static void end_on(struct reset *r)
{
    kill(-1, SIGKILL);
    bool quiet = sa_conn_drop_calls(&r->call);
    sa_exec_reap();
    if (quiet && alone()) {
        sa_timer_clear(&r->again);
        forget(r);
        begin_walk(r);
    } else if (sa_poller_now_us() - r->since_us > END_MAX_US) {
        give_up(r);
    } else {
        sa_timer_set(&r->again, AGAIN_US);
    }
}

void sa_reset_child_ended(void)
{
    if (running && running->phase == PHASE_END)
        end_on(running);
}

static void again(struct sa_timer *timer)
{
    struct reset *r = sa_container_of(timer, struct reset, again);
    if (r->phase == PHASE_END)
        end_on(r);
    else
        look_on(r);
}

/* --- the calls --- */

static int check(bool seals, struct sa_error *err)
{
    if (!seals)
        return sealed.done ? 0 : sa_error_set(err, SA_ECONFLICT, "it was never sealed");
    if (sealed.done)
        return sa_error_set(err, SA_ECONFLICT, "it was sealed already");
    if (!sa_ipc_can_look())
        return sa_error_at(err, SA_ECONTROL, "queues",
                           "nobody can tell here whether there are POSIX message queues");
    return sa_world_check_mounts(err);
}

/* Half done is not done: it must be asked for again. */
static void on_canceled(struct sa_call *call)
{
    struct sa_error error;
    sa_error_set(&error, SA_ECANCELED, "canceled before it was done");
    fail((struct reset *)call, &error);
}

static void begin(struct sa_stream *stream, bool seals)
{
    static const struct sa_method method = {.canceled = on_canceled};
    struct sa_error error;
    if (check(seals, &error) < 0) {
        sa_stream_end_error(stream, &error);
        return;
    }
    struct reset *r = sa_call_new(sizeof *r, &method, stream);
    r->seals = seals;
    r->had_template = sa_template_is_there();
    r->task.step = walk;
    r->again.fire = again;
    r->since_us = sa_poller_now_us();
    r->reaped_before = sa_exec_reaped();
    r->sealer = (struct sa_sealer){.folder = -1, .reader.fd = -1};
    r->sweeper = (struct sa_sweeper){.folder = -1, .reader.fd = -1};
    running = r;
    sa_timers_hold(false); /* or what is waited for here never comes */
    end_on(r);
}

void sa_seal_open(struct sa_stream *stream, const void *body, size_t length)
{
    (void)body, (void)length;
    begin(stream, true);
}

void sa_reset_open(struct sa_stream *stream, const void *body, size_t length)
{
    (void)body, (void)length;
    begin(stream, false);
}
