#include "spawn.h"

#include "base/cleanup.h"
#include "proc.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct rlimit original_nofile;
static int oom_fd = -1;
static char oom_raised[8], oom_original[8];

/* In a non-dumpable process the file is root's. The score is inherited, so it is raised for the
 * moment of the fork; lowering it again to what it was needs no privilege (proc(5)). */
void sa_spawn_open(void)
{
    oom_fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
}

void sa_spawn_init(int oom_score)
{
    if (getrlimit(RLIMIT_NOFILE, &original_nofile) == 0) {
        struct rlimit raised = {original_nofile.rlim_max, original_nofile.rlim_max};
        setrlimit(RLIMIT_NOFILE, &raised);
    }
    ssize_t n = oom_fd < 0 ? 0 : pread(oom_fd, oom_original, sizeof oom_original - 1, 0);
    if (oom_fd >= 0 && (n <= 0 || strtol(oom_original, NULL, 10) >= oom_score)) {
        close(oom_fd);
        oom_fd = -1;
    }
    snprintf(oom_raised, sizeof oom_raised, "%d", oom_score);
}

static void set_oom_score(const char *text)
{
    if (oom_fd >= 0 && pwrite(oom_fd, text, strlen(text), 0) < 0)
        return; /* best effort: the memory limit of the sandbox holds all the same */
}

static _Noreturn void fail(int result_fd, enum sa_spawn_step step, int error, int detail)
{
    struct sa_spawn_failure failure = {(int)step, error, detail};
    if (write(result_fd, &failure, sizeof failure) < 0)
        _exit(126);
    _exit(127);
}

static void apply_limits(const struct sa_rlimits *limits, int result_fd)
{
    for (size_t i = 0; i < limits->count; i++)
        if (setrlimit((__rlimit_resource_t)limits->items[i].resource, &limits->items[i].limit) < 0)
            fail(result_fd, SA_STEP_LIMIT, errno, limits->items[i].resource);
}

static const char *get_path(char **env)
{
    for (; *env; env++)
        if (!strncmp(*env, "PATH=", 5))
            return *env + 5;
    return "/usr/local/bin:/usr/bin:/bin";
}

static bool is_program(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return false;
    if (!S_ISREG(st.st_mode)) {
        errno = EACCES;
        return false;
    }
    return access(path, X_OK) == 0;
}

/* As execvp(3) looks it up. The first file that may be executed; else the most telling errno. */
static const char *find_program(const char *name, char **env, char *out, size_t size)
{
    if (strchr(name, '/'))
        return is_program(name) ? name : NULL;
    int error = ENOENT;
    for (const char *dir = get_path(env), *end; *name; dir = end + 1) {
        end = strchrnul(dir, ':');
        int n = snprintf(out, size, "%.*s%s%s", (int)(end - dir), dir, end > dir ? "/" : "", name);
        if (n > 0 && (size_t)n < size && is_program(out))
            return out;
        if (errno == EACCES)
            error = EACCES;
        if (!*end)
            break;
    }
    errno = error;
    return NULL;
}

/* All of the runtime's descriptors are close-on-exec; this covers what they forgot. */
static void set_descriptors(const struct sa_spawn *s, int result_fd)
{
    if ((s->tty && ioctl(s->stdin_fd, TIOCSCTTY, 0) < 0) || dup2(s->stdin_fd, 0) < 0 ||
        dup2(s->stdout_fd, 1) < 0 || dup2(s->stderr_fd, 2) < 0 ||
        (s->extra_fd >= 0 && dup2(s->extra_fd, 3) < 0) ||
        syscall(SYS_close_range, s->extra_fd >= 0 ? 4u : 3u, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        fail(result_fd, SA_STEP_FD, errno, 0);
}

static _Noreturn void child(const struct sa_spawn *s, int result_fd)
{
    char path[4096];
    sigset_t none;
    setsid();
    set_descriptors(s, result_fd);
    if (chdir(s->cwd) < 0)
        fail(result_fd, SA_STEP_CWD, errno, 0);
    umask(022);
    setrlimit(RLIMIT_NOFILE, &original_nofile);
    apply_limits(s->boot_limits, result_fd);
    apply_limits(s->limits, result_fd);
    sa_proc_mark(0, s->mark);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    const char *program = find_program(s->argv[0], s->env, path, sizeof path);
    if (!program)
        fail(result_fd, SA_STEP_PROGRAM, errno, 0);
    if (s->filter && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &s->filter->program) < 0)
        fail(result_fd, SA_STEP_FILTER, errno, 0);
    execve(program, s->argv, s->env);
    fail(result_fd, SA_STEP_EXEC, errno, 0);
}

pid_t sa_spawn_start(const struct sa_spawn *spawn, int *result_fd, struct sa_error *err)
{
    int pipe_fds[2];
    sa_scratch_note();
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no descriptor for the start");
    set_oom_score(oom_raised);
    pid_t pid = fork();
    if (pid == 0)
        child(spawn, pipe_fds[1]);
    int error = errno;
    set_oom_score(oom_original);
    close(pipe_fds[1]);
    if (pid < 0) {
        close(pipe_fds[0]);
        return sa_error_sys(err, SA_EQUOTA, error, "cannot start another process");
    }
    *result_fd = pipe_fds[0];
    return pid;
}

static int describe_program(const char *name, int error, struct sa_error *err)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return sa_error_at(err, SA_ENOTFOUND, "command", "program \"%.200s\" was not found%s", name,
                           strchr(name, '/') ? "" : " in PATH");
    case EACCES:
    case EPERM:
        return sa_error_at(err, SA_EFORBIDDEN, "command", "\"%.200s\" may not be executed", name);
    case ENOEXEC:
        return sa_error_at(err, SA_EINVALID, "command",
                           "\"%.200s\" is not a program: it lacks a \"#!\" line or is of another "
                           "machine",
                           name);
    case E2BIG:
        return sa_error_at(err, SA_ETOOLARGE, "command", "arguments and environment are too large");
    case ENOMEM:
    case EAGAIN:
        sa_error_sys(err, SA_EQUOTA, error, "cannot start \"%.200s\"", name);
        return -1;
    default:
        sa_error_sys(err, SA_EINVALID, error, "cannot start \"%.200s\"", name);
        return -1;
    }
}

int sa_spawn_describe(const struct sa_spawn *spawn, const struct sa_spawn_failure *f,
                      struct sa_error *err)
{
    switch (f->step) {
    case SA_STEP_CWD:
        sa_error_sys(err, f->error == ENOENT || f->error == ENOTDIR ? SA_ENOTFOUND : SA_EFORBIDDEN,
                     f->error, "cwd \"%.200s\"", spawn->cwd);
        if (err)
            snprintf(err->path, sizeof err->path, "cwd");
        return -1;
    case SA_STEP_LIMIT:
        return sa_error_at(err, SA_EFORBIDDEN, "rlimit", "limit \"%s\" cannot be set: %s",
                           sa_rlimit_name(f->detail), strerror(f->error));
    case SA_STEP_FILTER:
        return sa_error_at(err, SA_ECONTROL, "seccomp", "filter \"%s\" cannot be put on: %s",
                           spawn->filter->name, strerror(f->error));
    case SA_STEP_FD:
        return sa_error_sys(err, SA_EUNAVAILABLE, f->error, "cannot set up descriptors");
    default:
        return describe_program(spawn->argv[0], f->error, err);
    }
}

int sa_spawn_result(const struct sa_spawn *spawn, int result_fd, struct sa_error *err)
{
    struct sa_spawn_failure failure;
    ssize_t n = read(result_fd, &failure, sizeof failure);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n != sizeof failure)
        return 1; /* closed by exec, or by a death that wait(2) will tell about */
    return sa_spawn_describe(spawn, &failure, err);
}
