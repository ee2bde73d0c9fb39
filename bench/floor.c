/*
 * What this machine needs for the least that any server could do: answer a request over loopback
 * when the program `true` has run, as a plain process. No isolation, no names, no records.
 */
#include "floor.h"

#include "figures.h"

#include "base/clock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { REQUEST_BYTES = 200, ROUNDS_MAX = 1 << 20 };

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void run_true(void)
{
    char *const arguments[] = {"true", NULL};
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, arguments[0], NULL, NULL, arguments, environ) != 0 ||
        waitpid(pid, &status, 0) < 0 || status != 0)
        fail("true");
}

static _Noreturn void serve(int listener)
{
    char bytes[REQUEST_BYTES];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The other connections must end when the measuring process ends them. */
    dup2(listener, 3);
    close_range(4, ~0u, 0);
    int fd = accept(3, NULL, NULL);
    while (recv(fd, bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes) {
        run_true();
        if (send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes)
            break;
    }
    _exit(0);
}

/* A connection to a server process of its own. */
static int start_server(pid_t *pid)
{
    const int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        fail("listen");
    *pid = fork();
    if (*pid == 0)
        serve(listener);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*pid < 0 || fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
        fail("connect");
    close(listener);
    return fd;
}

struct asker {
    int fd;
    int64_t until_us;
    double *ms;
    int rounds;
};

static void *ask(void *arg)
{
    struct asker *a = arg;
    char bytes[REQUEST_BYTES] = {0};
    for (int64_t start; (start = sa_monotonic_us()) < a->until_us && a->rounds < ROUNDS_MAX;) {
        if (send(a->fd, bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes ||
            recv(a->fd, bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes)
            fail("the floor's server");
        a->ms[a->rounds++] = (double)(sa_monotonic_us() - start) / 1000.0;
    }
    return NULL;
}

void floor_measure(int clients, int seconds)
{
    struct asker *askers = calloc((size_t)clients, sizeof *askers);
    pthread_t *threads = calloc((size_t)clients, sizeof *threads);
    pid_t *servers = calloc((size_t)clients, sizeof *servers);
    int total = 0;
    for (int i = 0; i < clients; i++) { /* all forks before there are threads */
        askers[i].fd = start_server(&servers[i]);
        askers[i].ms = malloc(ROUNDS_MAX * sizeof *askers[i].ms);
    }
    const int64_t start = sa_monotonic_us();
    for (int i = 0; i < clients; i++) {
        askers[i].until_us = start + (int64_t)seconds * 1000000;
        if (pthread_create(&threads[i], NULL, ask, &askers[i]) != 0)
            fail("thread");
    }
    for (int i = 0; i < clients; i++) {
        pthread_join(threads[i], NULL);
        close(askers[i].fd);
        waitpid(servers[i], NULL, 0);
        total += askers[i].rounds;
    }
    const double elapsed = (double)(sa_monotonic_us() - start) / 1e6;
    double *all = malloc((size_t)total * sizeof *all);
    for (int i = 0, at = 0; i < clients; at += askers[i++].rounds)
        for (int j = 0; j < askers[i].rounds; j++)
            all[at + j] = askers[i].ms[j];
    sort_figures(all, (size_t)total);
    printf("{\"clients\":%d,\"perSecond\":%.1f,\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f}\n", clients,
           total / elapsed, all[total / 2], all[(int)(.95 * (total - 1))],
           all[(int)(.99 * (total - 1))]);
}
