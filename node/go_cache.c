#include "go_cache.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    DELAY_S = 20, /* first the server is there for others */
    /* cmd/go drops what was not used for days, by this time, which in here nobody can set. */
    YEAR_2100_S = 4102444800,
};

static void say(const char *level, const char *what, const char *detail)
{
    fprintf(stderr, "sandbox-node: level=%s msg=\"%s\" detail=\"%s\"\n", level, what, detail);
}

/* ---- the process that makes it ---- */

static void on_term(int number)
{
    (void)number;
    kill(0, SIGKILL); /* the toolchain's processes, and this one */
}

/* Run the toolchain in CACHE/work; its exit status. */
static int run_go(const struct sa_go *go, const char *work, const char *const *arguments)
{
    char program[96], cache[320], temporary[320], home[320];
    snprintf(program, sizeof program, "%s/bin/go", go->root);
    snprintf(cache, sizeof cache, "GOCACHE=%s/%s", work, go->version);
    snprintf(temporary, sizeof temporary, "TMPDIR=%s/tmp", work);
    snprintf(home, sizeof home, "HOME=%s/tmp", work);
    /* What decides about the contents is what a sandbox has, too (go_environment in launch.c). */
    char *const environment[] = {cache,
                                 temporary,
                                 home,
                                 "PATH=/usr/bin:/bin",
                                 "CGO_ENABLED=0",
                                 "GOENV=off",
                                 "GOPROXY=off",
                                 "GOTOOLCHAIN=local",
                                 "GOTELEMETRY=off",
                                 "GOMAXPROCS=1",
                                 NULL};
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* Sandboxes write into a layer of their own. What they cannot write to is not read again
         * each time one is cleaned (runtime/look.h). */
        umask(022);
        if (chdir("/") == 0)
            execve(program, (char *const *)arguments, environment);
        _exit(127);
    }
    if (pid < 0)
        return -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int make_lasting(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    const struct timespec times[2] = {{.tv_sec = YEAR_2100_S}, {.tv_sec = YEAR_2100_S}};
    (void)st;
    (void)type;
    if (strcmp(path + ftw->base, "trim.txt") == 0)
        return unlink(path);
    return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int make(const struct sa_go *go, const char *work, const char *final)
{
    char path[320];
    static const char *const arguments[] = {"go", "build", "-p", "1", "std", NULL};
    snprintf(path, sizeof path, "%s/tmp", work);
    if (mkdir(path, 0700) < 0)
        return -1;
    say("info", "making the build cache of Go's standard library in the background", go->version);
    if (run_go(go, work, arguments) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/%s", work, go->version);
    if (nftw(path, make_lasting, 16, FTW_PHYS) != 0 || chmod(path, 0755) < 0)
        return -1;
    return rename(path, final);
}

noreturn static void builder(const struct sa_go *go, const char *cache, const char *final)
{
    char path[280];
    const struct sched_param none = {0};
    prctl(PR_SET_NAME, "go-cache");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setsid();
    signal(SIGTERM, on_term);
    close_range(3, ~0u, 0);
    sched_setscheduler(0, SCHED_IDLE, &none);
    sleep(DELAY_S);
    snprintf(path, sizeof path, "%s/lock", cache);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) < 0 || access(final, F_OK) == 0)
        _exit(0); /* another node has made it meanwhile */
    snprintf(path, sizeof path, "%s/work", cache);
    remove_tree(path);
    if (mkdir(path, 0700) < 0 || make(go, path, final) < 0)
        say("warn", "the build cache of Go could not be made; first builds are slow",
            strerror(errno));
    else
        say("info", "Go's standard library is ready for new sandboxes", go->version);
    remove_tree(path);
    _exit(0);
}

/* ---- the node's side ---- */

static int make_folders(const char *path)
{
    char part[256];
    snprintf(part, sizeof part, "%s", path);
    for (char *at = part + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return -1;
    }
    return mkdir(part, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

pid_t sa_go_cache_start(struct sa_go *go, const char *cache)
{
    char caches[256], final[320];
    struct stat st;
    if (!go->root[0])
        return 0;
    snprintf(caches, sizeof caches, "%s/go", cache);
    snprintf(final, sizeof final, "%s/%s", caches, go->version);
    const mode_t mask = umask(022);
    int rc = make_folders(cache);
    if (rc == 0 && mkdir(caches, 0755) < 0 && errno != EEXIST)
        rc = -1;
    umask(mask);
    /* Nobody else may have written what every sandbox will run. */
    if (rc < 0 || stat(cache, &st) < 0 || st.st_uid != geteuid() || st.st_mode & 077) {
        say("warn", "no build cache for Go: not a folder of this user alone", cache);
        return 0;
    }
    snprintf(go->caches, sizeof go->caches, "%s", caches);
    if (access(final, F_OK) == 0)
        return 0;
    pid_t pid = fork();
    if (pid == 0)
        builder(go, cache, final);
    return pid > 0 ? pid : 0;
}

void sa_go_cache_stop(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGTERM);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
