/* Profiles: compiled in a child, kept by id. */
#include "native/profiles.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "link/methods.h"
#include "native/launch.h"
#include "native/seccomp.h"
#include "native/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <uthash.h>

enum { KEPT = 16, JOBS = 4, RESULT_MAX = 1024 * 1024, CPU_S = 10, PATIENCE_MS = 30 * 1000 };
enum { RESULT_FILTER = 1, RESULT_ERROR = 2 }; /* tags of what the child writes */

struct known {
    UT_hash_handle hh;
    char id[SA_PROFILE_ID_BYTES];
    uint64_t used;
    struct sa_known_profile profile;
};

/* A child at work; or, without one, an answer that is due. */
struct job {
    struct sa_profiles *all;
    struct job *next;
    char id[SA_PROFILE_ID_BYTES];
    struct sa_context context;
    uint32_t call;
    int pidfd, result; /* -1 */
    bool overdue;
    uv_poll_t poll;
    uv_timer_t timer;
    int handles;
};

struct sa_profiles {
    uv_loop_t *loop;
    const struct sa_host *host;
    sa_profile_cb done;
    void *owner;
    struct known *by_id;
    uint64_t uses;
    struct job *jobs;
    bool stopping;
    void (*closed)(void *owner);
};

/* ---- the child ---- */

static void add_filter(struct sa_buf *out, const char *name, const struct sa_program *program)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILTER_NAME, name);
    sa_fields_add_bytes(&body, SA_FILTER_PROGRAM, program->code,
                        program->count * sizeof *program->code);
    sa_fields_add_bytes(out, RESULT_FILTER, body.data, body.length);
}

noreturn static void compiler(const struct sa_profile *profile, int result)
{
    const struct rlimit cpu = {CPU_S, CPU_S};
    struct sa_program programs[SA_PROFILE_FILTERS_MAX] = {{0}};
    struct sa_error err = {0};
    struct sa_buf out = SA_BUF_INIT;
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "filters");
    setrlimit(RLIMIT_CPU, &cpu);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(result, 3) != 3 || close_range(4, ~0u, 0) < 0)
        _exit(1);
    if (sa_filters_compile(profile, programs, &err) < 0)
        sa_fields_add_error(&out, RESULT_ERROR, &err);
    for (size_t i = 0; i < profile->filter_count && !err.code; i++)
        add_filter(&out, profile->filters[i].language, &programs[i]);
    _exit(sa_write_all(3, out.data, out.length) == 0 ? 0 : 1);
}

/* Without sharing memory, and so as a fork(2) with a descriptor. */
static int start_child(const struct sa_profile *profile, struct job *job, struct sa_error *err)
{
    struct clone_args args = {
        .flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&job->pidfd, .exit_signal = SIGCHLD};
    sigset_t all, before;
    job->result = memfd_create("filters", MFD_CLOEXEC);
    if (job->result < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no memory for the filters");
    /* No handler of the loop may run in the child. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = sa_clone3(&args);
    if (pid == 0)
        compiler(profile, job->result);
    int number = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid > 0)
        return 0;
    job->pidfd = -1;
    return sa_error_sys(err, SA_EUNAVAILABLE, number, "cannot start compiling the filters");
}

/* ---- what it made ---- */

static void known_free(struct known *k)
{
    if (k->profile.base >= 0)
        close(k->profile.base);
    sa_buf_deinit(&k->profile.boot);
    free(k);
}

static int bad_result(struct sa_error *err)
{
    return sa_error_set(err, SA_EINTERNAL, "the compiler of filters left nothing usable");
}

/* The base filter stays here; the others are for the runtime. */
static int take_filter(struct known *k, const struct sa_field *filter, struct sa_error *err)
{
    struct sa_fields reader;
    struct sa_field f, program = {0};
    char name[SA_FILTER_NAME_BYTES] = "";
    sa_fields_init(&reader, filter->data, filter->length);
    while (sa_fields_next(&reader, &f, err) > 0) {
        if (f.tag == SA_FILTER_NAME && sa_field_text_into(&f, name, sizeof name, err) < 0)
            return -1;
        if (f.tag == SA_FILTER_PROGRAM)
            program = f;
    }
    if (!program.length || program.length % sizeof(struct sock_filter) ||
        program.length / sizeof(struct sock_filter) > BPF_MAXINSNS)
        return bad_result(err);
    if (strcmp(name, "base") != 0) {
        sa_fields_add_bytes(&k->profile.boot, SA_BOOT_FILTER, filter->data, filter->length);
        return 0;
    }
    k->profile.base = memfd_create("base", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    k->profile.base_bytes = program.length;
    if (k->profile.base < 0 || sa_write_all(k->profile.base, program.data, program.length) < 0 ||
        fcntl(k->profile.base, F_ADD_SEALS,
              F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no memory for the filters");
    return 0;
}

static int read_result(struct known *k, const struct sa_buf *result, struct sa_error *err)
{
    struct sa_fields reader;
    struct sa_field f;
    struct sa_error why = {0};
    int more;
    sa_fields_init(&reader, result->data, result->length);
    while ((more = sa_fields_next(&reader, &f, err)) > 0) {
        if (f.tag == RESULT_ERROR && sa_field_error(&f, &why, err) == 0) {
            *err = why;
            return -1;
        }
        if (f.tag != RESULT_FILTER || take_filter(k, &f, err) < 0)
            return -1;
    }
    if (more < 0 || k->profile.base < 0)
        return bad_result(err);
    return 0;
}

static void make_room(struct sa_profiles *all)
{
    struct known *k, *tmp, *oldest = NULL;
    if (HASH_COUNT(all->by_id) < KEPT)
        return;
    HASH_ITER (hh, all->by_id, k, tmp)
        if (!oldest || k->used < oldest->used)
            oldest = k;
    HASH_DEL(all->by_id, oldest);
    known_free(oldest);
}

static int read_all(int fd, struct sa_buf *out)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > RESULT_MAX)
        return -1;
    const size_t size = (size_t)st.st_size;
    if (pread(fd, sa_buf_reserve(out, size), size, 0) != st.st_size)
        return -1;
    out->length = size;
    return 0;
}

static int keep(struct job *job, int status, struct sa_error *err)
{
    struct sa_profiles *all = job->all;
    sa_autobuf result = SA_BUF_INIT;
    if (job->overdue)
        return sa_error_set(err, SA_ETIMEOUT, "the filters were not compiled in time");
    if (status != 0 || read_all(job->result, &result) < 0)
        return bad_result(err);
    struct known *k = sa_alloc(sizeof *k);
    k->profile.base = -1;
    k->profile.context = job->context;
    sa_boot_common(&job->context, &k->profile.boot);
    if (read_result(k, &result, err) < 0) {
        known_free(k);
        return -1;
    }
    make_room(all);
    snprintf(k->id, sizeof k->id, "%s", job->id);
    k->used = ++all->uses;
    HASH_ADD_STR(all->by_id, id, k); /* NOLINT: the oldest was freed, not this one */
    return 0;
}

/* ---- jobs ---- */

static void maybe_closed(struct sa_profiles *all)
{
    if (!all->stopping || all->jobs)
        return;
    struct known *k, *tmp;
    HASH_ITER (hh, all->by_id, k, tmp) {
        HASH_DEL(all->by_id, k); /* NOLINT: uthash */
        known_free(k);
    }
    void (*closed)(void *owner) = all->closed;
    void *owner = all->owner;
    free(all);
    closed(owner);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct job *job = handle->data;
    struct sa_profiles *all = job->all;
    if (--job->handles)
        return;
    struct job **at = &all->jobs;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    free(job);
    maybe_closed(all);
}

static void close_job(struct job *job)
{
    if (job->pidfd >= 0)
        uv_close((uv_handle_t *)&job->poll, on_handle_closed);
    uv_close((uv_handle_t *)&job->timer, on_handle_closed);
    if (job->pidfd >= 0)
        close(job->pidfd);
    if (job->result >= 0)
        close(job->result);
    job->pidfd = job->result = -1;
}

static void on_ended(uv_poll_t *poll, int status, int events)
{
    struct job *job = poll->data;
    struct sa_profiles *all = job->all;
    struct sa_error err = {0};
    siginfo_t info = {0};
    (void)status;
    (void)events;
    if (waitid(P_PIDFD, (id_t)job->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return;
    int rc = keep(job, info.si_code == CLD_EXITED ? info.si_status : -1, &err);
    const uint32_t call = job->call;
    close_job(job);
    if (!all->stopping)
        all->done(all->owner, call, rc < 0 ? &err : NULL);
}

/* Known already; or the child takes too long. */
static void on_timer(uv_timer_t *timer)
{
    struct job *job = timer->data;
    struct sa_profiles *all = job->all;
    if (job->pidfd >= 0) {
        job->overdue = true;
        sa_pidfd_kill(job->pidfd);
        return;
    }
    const uint32_t call = job->call;
    close_job(job);
    all->done(all->owner, call, NULL);
}

static struct job *job_new(struct sa_profiles *all, const char *id, uint32_t call)
{
    struct job *job = sa_alloc(sizeof *job);
    job->all = all;
    snprintf(job->id, sizeof job->id, "%s", id);
    job->call = call;
    job->pidfd = job->result = -1;
    job->next = all->jobs;
    all->jobs = job;
    uv_timer_init(all->loop, &job->timer);
    job->timer.data = job->poll.data = job;
    job->handles = 1;
    return job;
}

static int check_new(const struct sa_profiles *all, const char *id, struct sa_error *err)
{
    int running = 0;
    for (const struct job *job = all->jobs; job; job = job->next) {
        if (job->pidfd >= 0 && strcmp(job->id, id) == 0)
            return sa_error_set(err, SA_ECONFLICT, "the profile is being compiled");
        running += job->pidfd >= 0;
    }
    if (running >= JOBS)
        return sa_error_set(err, SA_EQUOTA, "%d profiles are being compiled", running);
    return 0;
}

int sa_profiles_add(struct sa_profiles *all, const struct sa_profile *profile, uint32_t call,
                    struct sa_error *err)
{
    struct sa_context context;
    struct known *k;
    if (all->stopping)
        return sa_error_set(err, SA_EUNAVAILABLE, "the node is stopping");
    HASH_FIND_STR(all->by_id, profile->id, k);
    if (k) {
        uv_timer_start(&job_new(all, profile->id, call)->timer, on_timer, 0, 0);
        return 0;
    }
    bool base = false;
    for (size_t i = 0; i < profile->filter_count; i++)
        base |= strcmp(profile->filters[i].language, "base") == 0;
    if (!base || profile->filter_count < 2)
        return sa_error_at(err, SA_ECONTROL, "seccomp",
                           "a profile needs the filter \"base\" and one for programs");
    if (sa_context_from(profile, all->host, &context, err) < 0 ||
        check_new(all, profile->id, err) < 0)
        return -1;
    struct job *job = job_new(all, profile->id, call);
    job->context = context;
    if (start_child(profile, job, err) < 0) {
        close_job(job);
        return -1;
    }
    uv_poll_init(all->loop, &job->poll, job->pidfd);
    job->handles = 2;
    uv_poll_start(&job->poll, UV_READABLE, on_ended);
    uv_timer_start(&job->timer, on_timer, PATIENCE_MS, 0);
    return 0;
}

const struct sa_known_profile *sa_profiles_find(struct sa_profiles *all, const char *id,
                                                struct sa_error *err)
{
    struct known *k;
    HASH_FIND_STR(all->by_id, id, k);
    if (!k) {
        sa_error_at(err, SA_ENOTFOUND, "profile", "this node does not know the profile");
        return NULL;
    }
    k->used = ++all->uses;
    return &k->profile;
}

struct sa_profiles *sa_profiles_new(uv_loop_t *loop, const struct sa_host *host, sa_profile_cb done,
                                    void *owner)
{
    struct sa_profiles *all = sa_alloc(sizeof *all);
    all->loop = loop;
    all->host = host;
    all->done = done;
    all->owner = owner;
    return all;
}

void sa_profiles_stop(struct sa_profiles *all, void (*closed)(void *owner))
{
    all->stopping = true;
    all->closed = closed;
    for (struct job *job = all->jobs; job; job = job->next) {
        if (uv_is_closing((uv_handle_t *)&job->timer))
            continue;
        if (job->pidfd >= 0) {
            siginfo_t info;
            sa_pidfd_kill(job->pidfd);
            waitid(P_PIDFD, (id_t)job->pidfd, &info, WEXITED);
        }
        close_job(job);
    }
    maybe_closed(all);
}
