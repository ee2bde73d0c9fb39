/*
 * sandbox-node: makes sandboxes on this machine for a control plane that it trusts and that
 * holds no privilege. It is started by the supervisor (`secureagent up`) with a socket to listen
 * on, and never reads anything that a client wrote.
 */
#include "control.h"
#include "doctor.h"
#include "go_cache.h"
#include "native/seccomp.h"

#include "base/cleanup.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: sandbox-node --listen-fd N --runtime PATH --state-dir DIR [--peer-uid N]\n"
    "                    [--state NAME] [--uid-base N] [--spares N] [--cache DIR] [--packages "
    "DIR]\n"
    "                    [--sweep]\n"
    "       sandbox-node --doctor | --calls\n"
    "\n"
    "  --listen-fd N    SOCK_SEQPACKET socket on which the control plane connects\n"
    "  --peer-uid N     its user; default: the node's own\n"
    "  --runtime PATH   the static program that becomes PID 1 of each sandbox\n"
    "  --state-dir DIR  what the next node must know of the sandboxes; a folder of its own\n"
    "  --state NAME     names the control groups (secureagent-NAME); default \"default\"\n"
    "  --uid-base N     first host id of the ranges given to sandboxes; default: a free block\n"
    "  --spares N       half-made sandboxes to keep ready; default 1\n"
    "  --cache DIR      where build caches are kept; default: none are\n"
    "  --packages DIR   wheels and npm tarballs, offered to sandboxes read-only\n"
    "  --sweep          only remove what an earlier node of that name left\n"
    "  --doctor         say in JSON what this machine offers, and what to do about the rest\n"
    "  --calls          print in JSON the system calls that policies can allow, by their sets, "
    "and\n"
    "                   those that nothing allows\n";

struct arguments {
    struct sa_node_options node;
    const char *cache;
    bool doctor, calls, sweep;
};

static bool number(const char *text, long low, long high, long *value)
{
    char *end;
    *value = strtol(text, &end, 0);
    return *text && !*end && *value >= low && *value <= high;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    static const struct option known[] = {{"listen-fd", required_argument, NULL, 'l'},
                                          {"peer-uid", required_argument, NULL, 'U'},
                                          {"runtime", required_argument, NULL, 'r'},
                                          {"state", required_argument, NULL, 's'},
                                          {"state-dir", required_argument, NULL, 'D'},
                                          {"uid-base", required_argument, NULL, 'u'},
                                          {"spares", required_argument, NULL, 'p'},
                                          {"cache", required_argument, NULL, 'C'},
                                          {"packages", required_argument, NULL, 'P'},
                                          {"sweep", no_argument, NULL, 'w'},
                                          {"doctor", no_argument, NULL, 'd'},
                                          {"calls", no_argument, NULL, 'S'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    long value = 0;
    for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        switch (option) {
        case 'l':
            if (!number(optarg, 0, 1 << 20, &value))
                return false;
            a->node.listener = (int)value;
            break;
        case 'U':
            if (!number(optarg, 0, 0xfffffffeL, &value))
                return false;
            a->node.user = (uid_t)value;
            break;
        case 'r':
            a->node.native.runtime_path = optarg;
            break;
        case 's':
            a->node.native.state = optarg;
            break;
        case 'D':
            a->node.native.state_dir = optarg;
            break;
        case 'u':
            if (!number(optarg, 1 << 16, 0xe0000000L, &value))
                return false;
            a->node.native.uid_base = (uint32_t)value;
            break;
        case 'p':
            if (!number(optarg, 0, 64, &value))
                return false;
            a->node.native.spares = (unsigned)value;
            break;
        case 'C':
            a->cache = optarg;
            break;
        case 'P':
            a->node.native.packages = optarg;
            break;
        case 'w':
            a->sweep = true;
            break;
        case 'd':
            a->doctor = true;
            break;
        case 'S':
            a->calls = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            return false;
        }
    }
    return optind == argc &&
           (a->doctor || a->calls ||
            (a->node.listener >= 0 && a->node.native.runtime_path && a->node.native.state_dir));
}

static void on_signal(uv_signal_t *handle, int number_)
{
    (void)number_;
    sa_node_stop(handle->data);
}

/* The signal handles do not keep the loop alive. */
static void watch_signal(uv_loop_t *loop, uv_signal_t *handle, int number_, struct sa_node *node)
{
    uv_signal_init(loop, handle);
    handle->data = node;
    uv_signal_start(handle, on_signal, number_);
    uv_unref((uv_handle_t *)handle);
}

static int serve(struct arguments *a)
{
    struct sa_error err = {0};
    uv_loop_t loop;
    uv_signal_t term, interrupt;
    sa_go_find(&a->node.native.go);
    const pid_t builder = a->cache ? sa_go_cache_start(&a->node.native.go, a->cache) : 0;
    uv_loop_init(&loop);
    struct sa_node *node = sa_node_start(&loop, &a->node, &err);
    if (!node) {
        fprintf(stderr, "sandbox-node: level=error path=%s message=\"%s\"\n", err.path,
                err.message);
        uv_loop_close(&loop);
        sa_go_cache_stop(builder);
        return 1;
    }
    if (a->sweep)
        sa_node_stop(node);
    watch_signal(&loop, &term, SIGTERM, node);
    watch_signal(&loop, &interrupt, SIGINT, node);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&term, NULL);
    uv_close((uv_handle_t *)&interrupt, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    sa_node_free(node);
    sa_go_cache_stop(builder);
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct arguments a = {
        .node = {.listener = -1,
                 .user = geteuid(),
                 .native = {.state = "default", .spares = 1, .strays_ms = 150 * 1000}}};
    if (!parse(argc, argv, &a)) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (a.calls)
        return sa_calls_print(stdout);
    return a.doctor ? sa_doctor_print(stdout) : serve(&a);
}
