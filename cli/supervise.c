#include "supervise.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "log/log.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum {
    START_MS = 30 * 1000,
    END_MS = 10 * 1000,
    END_NODE_MS = 5 * 1000, /* more, for the node to remove what was left */
    BACKOFF_FIRST_MS = 1000,
    BACKOFF_MAX_MS = 30 * 1000,
    DEATHS_MAX = 5,
    DEATHS_WITHIN_MS = 60 * 1000,
    URL_MAX = 512,
};

enum state { STARTING, SERVING, ENDING, DONE };
enum after { AFTER_STOP, AFTER_GIVE_UP };

struct child {
    pid_t pid;   /* 0: it does not run */
    int64_t due; /* when to start it anew; 0: not */
};

struct supervisor {
    const struct sa_supervise *options;
    enum state state;
    enum after after; /* what follows ENDING */
    int64_t deadline; /* of the state; 0: none */
    int signals;      /* signalfd */
    int listener;     /* of the nodes */
    int clients;      /* listens for them, from when the first API serves; -1 */
    struct child node, api;
    int ready; /* gets the URL; -1 */
    char url[URL_MAX];
    size_t url_length;
    bool served; /* was ready at least once */
    bool swept;  /* the latest node ended by itself, and so removed what it had made */
    int exit_status;
    int64_t deaths[DEATHS_MAX]; /* when; the oldest is overwritten */
    unsigned death_count;
    int64_t backoff_ms; /* 0: at once */
};

/* ---- ending ---- */

static void kill_children(struct supervisor *s, int signum)
{
    if (s->api.pid > 0)
        kill(s->api.pid, signum);
    if (s->node.pid > 0 && (signum == SIGKILL || s->api.pid <= 0))
        kill(s->node.pid, signum);
}

static void close_ready(struct supervisor *s)
{
    if (s->ready >= 0)
        close(s->ready);
    s->ready = -1;
}

static void close_clients(struct supervisor *s)
{
    if (s->clients >= 0)
        close(s->clients);
    s->clients = -1;
}

static bool nothing_runs(const struct supervisor *s)
{
    return s->api.pid <= 0 && s->node.pid <= 0;
}

static void end(struct supervisor *s, enum after after, int exit_status)
{
    s->after = after;
    s->exit_status = exit_status;
    s->state = nothing_runs(s) ? DONE : ENDING;
    s->deadline = sa_monotonic_ms() + END_MS;
    s->api.due = s->node.due = 0;
    close_ready(s);
    close_clients(s);
    kill_children(s, SIGTERM);
}

/* ---- starting ---- */

static void failed(struct supervisor *s, const struct sa_error *error)
{
    sa_log_error("cannot start", SA_LOG_ERR(error));
    end(s, AFTER_GIVE_UP, sa_code_exit_status(error->code));
}

static void start_node(struct supervisor *s)
{
    struct sa_error error;
    s->node = (struct child){.pid = sa_spawn_node(&s->options->spawn, s->listener, &error)};
    if (s->node.pid < 0)
        failed(s, &error);
}

static void start_api(struct supervisor *s)
{
    struct sa_error error;
    s->state = STARTING;
    s->deadline = sa_monotonic_ms() + START_MS;
    s->url_length = 0;
    close_ready(s);
    s->api = (struct child){
        .pid = sa_spawn_api(&s->options->spawn, s->options->listen, s->clients, &s->ready, &error)};
    if (s->api.pid < 0)
        failed(s, &error);
}

static void serving(struct supervisor *s)
{
    struct sa_error error;
    bool first = !s->served;
    s->state = SERVING;
    s->deadline = 0;
    s->served = true;
    if (s->options->ready(s->options->user, s->url, first, &error) == 0)
        return;
    sa_log_error("cannot go on", SA_LOG_ERR(&error));
    end(s, AFTER_GIVE_UP, sa_code_exit_status(error.code));
}

/* The one that listens is the same at each start. */
static void keep_clients(struct supervisor *s, const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (s->clients < 0)
            s->clients = fds[i];
        else
            close(fds[i]);
}

static void read_url(struct supervisor *s)
{
    int fds[SA_FDS_MAX];
    size_t count = 0;
    ssize_t n =
        sa_recv_fds(s->ready, s->url + s->url_length, URL_MAX - 1 - s->url_length, fds, &count, 0);
    if (n >= 0)
        keep_clients(s, fds, count);
    if (n > 0)
        s->url_length += (size_t)n;
    s->url[s->url_length] = '\0';
    char *newline = strchr(s->url, '\n');
    if (!newline && n > 0 && s->url_length < URL_MAX - 1)
        return;
    close_ready(s); /* without a URL: the API is about to end, and that will be told */
    if (newline) {
        *newline = '\0';
        serving(s);
    }
}

/* ---- deaths ---- */

static int exit_status_of(int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 1) /* said why: there is no server to be had */
        return sa_code_exit_status(SA_EUNAVAILABLE);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status);
    return sa_code_exit_status(SA_EINTERNAL);
}

static bool dying_too_often(struct supervisor *s, int64_t now)
{
    s->deaths[s->death_count++ % DEATHS_MAX] = now;
    if (s->death_count < DEATHS_MAX)
        return false;
    return now - s->deaths[s->death_count % DEATHS_MAX] < DEATHS_WITHIN_MS;
}

/* How long to wait before it is started anew: longer, the more often one dies. */
static int64_t pause_ms(struct supervisor *s, int64_t now)
{
    if (!s->death_count || now - s->deaths[(s->death_count - 1) % DEATHS_MAX] > DEATHS_WITHIN_MS)
        s->backoff_ms = 0;
    const int64_t pause = s->backoff_ms, next = pause ? pause * 2 : BACKOFF_FIRST_MS;
    s->backoff_ms = next < BACKOFF_MAX_MS ? next : BACKOFF_MAX_MS;
    return pause;
}

/* One of them ended without having been told to. */
static void died(struct supervisor *s, struct child *child, const char *which, int status)
{
    const int64_t now = sa_monotonic_ms();
    sa_log_error(s->served ? "ended unexpectedly" : "could not start", SA_LOG_S("process", which),
                 SA_LOG_I(WIFSIGNALED(status) ? "signal" : "status",
                          WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)));
    if (!s->served) {
        end(s, AFTER_GIVE_UP, exit_status_of(status));
        return;
    }
    const int64_t pause = pause_ms(s, now);
    if (dying_too_often(s, now)) {
        sa_log_error("giving up, and ending the sandboxes: too many failures within a minute",
                     SA_LOG_I("failures", DEATHS_MAX));
        end(s, AFTER_GIVE_UP, exit_status_of(status));
        return;
    }
    sa_log_warn("starting it again", SA_LOG_S("process", which), SA_LOG_I("ms", pause));
    child->due = now + pause;
    if (child == &s->api) {
        close_ready(s);
        s->deadline = 0;
    }
}

static void gone(struct supervisor *s, struct child *child, const char *which, int status)
{
    child->pid = 0;
    if (s->state == STARTING || s->state == SERVING) {
        died(s, child, which, status);
    } else if (s->state == ENDING && nothing_runs(s)) {
        s->state = DONE;
    } else if (s->state == ENDING && s->api.pid <= 0) { /* the node's turn */
        kill_children(s, SIGTERM);
        s->deadline = sa_monotonic_ms() + END_NODE_MS;
    }
}

/* Also orphans that became our children because we are process 1 of a container. */
static void reap(struct supervisor *s)
{
    int status, node_status = -1, api_status = -1;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == s->node.pid)
            node_status = status;
        else if (pid == s->api.pid)
            api_status = status;
    /* The node first: when it could not start, that is the reason why the API ended too. */
    if (node_status != -1) {
        s->swept = !WIFSIGNALED(node_status);
        gone(s, &s->node, "sandbox-node", node_status);
    }
    if (api_status != -1)
        gone(s, &s->api, "agent-api", api_status);
}

/* ---- events ---- */

static void stop_asked(struct supervisor *s, int signum)
{
    if (s->state == ENDING && s->after == AFTER_STOP) {
        sa_log_warn("asked again: killing what still runs");
        kill_children(s, SIGKILL);
        return;
    }
    sa_log_info("stopping", SA_LOG_I("signal", signum));
    if (s->state == ENDING) { /* already, but now it is what somebody wants */
        s->after = AFTER_STOP;
        s->exit_status = 0;
        return;
    }
    end(s, AFTER_STOP, 0);
}

/* SIGHUP, but from a terminal that hung up: the API reads its policies anew. */
static void reload_asked(struct supervisor *s)
{
    if (s->state == SERVING && s->api.pid > 0)
        kill(s->api.pid, SIGHUP);
}

static void read_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo == SIGCHLD)
            reap(s);
        else if (info.ssi_signo == SIGHUP && info.ssi_code != SI_KERNEL)
            reload_asked(s);
        else
            stop_asked(s, (int)info.ssi_signo);
}

static void deadline_passed(struct supervisor *s)
{
    s->deadline = 0;
    if (s->state == STARTING) {
        sa_log_error("not ready in time", SA_LOG_I("ms", START_MS));
        end(s, AFTER_GIVE_UP, sa_code_exit_status(SA_ETIMEOUT));
    } else if (s->state == ENDING) {
        sa_log_warn("did not end in time: killing it");
        kill_children(s, SIGKILL);
    }
}

static void start_what_is_due(struct supervisor *s)
{
    const int64_t now = sa_monotonic_ms();
    if (s->node.due && now >= s->node.due)
        start_node(s);
    if (s->api.due && now >= s->api.due)
        start_api(s);
}

static int timeout_of(const struct supervisor *s)
{
    const int64_t times[] = {s->deadline, s->node.due, s->api.due};
    int64_t first = 0;
    for (size_t i = 0; i < SA_COUNT(times); i++)
        if (times[i] && (!first || times[i] < first))
            first = times[i];
    if (!first)
        return -1;
    const int64_t left = first - sa_monotonic_ms();
    return left > 0 ? (int)left : 0;
}

static void step(struct supervisor *s)
{
    struct pollfd fds[2] = {{.fd = s->signals, .events = POLLIN},
                            {.fd = s->ready, .events = POLLIN}};
    if (poll(fds, 2, timeout_of(s)) < 0)
        return; /* EINTR: look again */
    if (fds[1].revents)
        read_url(s);
    if (fds[0].revents)
        read_signals(s);
    if (s->deadline && sa_monotonic_ms() >= s->deadline)
        deadline_passed(s);
    start_what_is_due(s);
}

static void begin(struct supervisor *s)
{
    struct sa_error error;
    s->listener = sa_spawn_listener(&s->options->spawn, &error);
    if (s->listener < 0) {
        failed(s, &error);
        return;
    }
    start_node(s);
    if (s->state == STARTING)
        start_api(s);
}

int sa_supervise(struct sa_supervise *options)
{
    struct supervisor s = {
        .options = options, .swept = true, .ready = -1, .listener = -1, .clients = -1};
    sigset_t watched, before;
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGHUP);
    sigaddset(&watched, SIGCHLD);
    sigprocmask(SIG_BLOCK, &watched, &before);
    options->spawn.signals = &before;
    signal(SIGPIPE, SIG_IGN);
    s.signals = signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s.signals < 0) {
        sa_log_error("cannot watch signals", SA_LOG_S("error", strerror(errno)));
        return sa_code_exit_status(SA_EINTERNAL);
    }
    for (begin(&s); s.state != DONE;)
        step(&s);
    if (!s.swept)
        sa_spawn_sweeper(&options->spawn, s.listener);
    if (s.listener >= 0)
        close(s.listener);
    close(s.signals);
    return s.exit_status;
}
