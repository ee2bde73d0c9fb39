#include "proc.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Beyond any time that could pass, so that the limit never acts as one. */
#define MARK_FIRST (UINT64_C(1) << 62)
enum { PROCESSES_MAX = 32768, STOP_PASSES = 8 };

struct process {
    pid_t pid, parent, session;
    bool member, zombie, stopped;
};

struct table {
    struct process *items;
    size_t count, capacity;
};

static int proc_fd = -1;
static uint64_t next_mark = MARK_FIRST;

void sa_proc_init(void)
{
    proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

uint64_t sa_proc_new_mark(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_RTTIME, &limit) < 0 || limit.rlim_max < MARK_FIRST)
        return 0;
    return next_mark--;
}

int sa_proc_mark(pid_t pid, uint64_t mark)
{
    struct rlimit limit = {mark, mark};
    return mark ? prlimit(pid, RLIMIT_RTTIME, &limit, NULL) : 0;
}

static bool has_mark(pid_t pid, uint64_t mark)
{
    struct rlimit limit;
    return mark && prlimit(pid, RLIMIT_RTTIME, NULL, &limit) == 0 && limit.rlim_max == mark;
}

bool sa_proc_read(pid_t pid, const char *name, char *out, size_t size)
{
    char path[48];
    snprintf(path, sizeof path, "%d/%s", pid, name);
    sa_autoclose int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, out, size - 1);
    out[got > 0 ? got : 0] = '\0';
    return got > 0;
}

/* Field `number` (counted from 3, as in proc(5)) of a stat line; the name before it may hold
 * anything, so count from its last parenthesis. */
static int64_t stat_field(const char *stat, int number)
{
    const char *p = strrchr(stat, ')');
    for (int i = 2; p && i < number; i++)
        p = strchr(p + 1, ' ');
    return p ? strtoll(p + 1, NULL, 10) : 0;
}

static char stat_state(const char *stat)
{
    const char *p = strrchr(stat, ')');
    return p && p[1] ? p[2] : '?';
}

bool sa_proc_each(void (*visit)(pid_t pid, void *arg), void *arg)
{
    char buffer[8192] __attribute__((aligned(8)));
    long n;
    pid_t self = getpid();
    if (proc_fd < 0 || lseek(proc_fd, 0, SEEK_SET) < 0)
        return false;
    while ((n = syscall(SYS_getdents64, proc_fd, buffer, sizeof buffer)) > 0) {
        for (char *p = buffer; p < buffer + n;) {
            struct dirent64 *entry = (struct dirent64 *)(void *)p;
            p += entry->d_reclen;
            pid_t pid = 0;
            for (const char *c = entry->d_name; *c >= '0' && *c <= '9'; c++)
                pid = pid * 10 + (*c - '0');
            if (pid && pid != self)
                visit(pid, arg);
        }
    }
    return true;
}

static void collect(pid_t pid, void *arg)
{
    struct table *table = arg;
    char stat[512];
    if (table->count == PROCESSES_MAX || !sa_proc_read(pid, "stat", stat, sizeof stat))
        return;
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? table->capacity * 2 : 64;
        table->items = sa_realloc(table->items, table->capacity * sizeof *table->items);
    }
    char state = stat_state(stat);
    table->items[table->count++] = (struct process){
        .pid = pid,
        .parent = (pid_t)stat_field(stat, 4),
        .session = (pid_t)stat_field(stat, 6),
        .zombie = state == 'Z' || state == 'X',
        .stopped = state == 'T',
    };
}

static int by_pid(const void *a, const void *b)
{
    const struct process *x = a, *y = b;
    return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* /proc lists pids in ascending order (proc_pid_readdir of the kernel). */
static const struct process *find(const struct table *table, pid_t pid)
{
    struct process key = {.pid = pid};
    return bsearch(&key, table->items, table->count, sizeof key, by_pid);
}

/* Children of members are members, until nothing changes. Pids mostly ascend from parent to
 * child, so this takes few rounds. */
static void close_over_children(struct table *table)
{
    bool changed = true;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < table->count; i++) {
            struct process *p = &table->items[i];
            if (p->member || p->parent <= 1)
                continue;
            const struct process *parent = find(table, p->parent);
            if (parent && parent->member)
                p->member = changed = true;
        }
    }
}

/* Is there any process but us? The usual answer is no, without a look at /proc. */
static bool alone(void)
{
    return kill(-1, 0) < 0 && errno == ESRCH;
}

DIR *sa_proc_descriptors(pid_t pid)
{
    char path[32];
    snprintf(path, sizeof path, "%d/fd", pid);
    int fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

struct marked {
    uint64_t mark;
    size_t count;
};

static void count_marked(pid_t pid, void *arg)
{
    struct marked *marked = arg;
    char stat[512];
    if (has_mark(pid, marked->mark) && sa_proc_read(pid, "stat", stat, sizeof stat))
        marked->count += stat_state(stat) != 'Z' && stat_state(stat) != 'X';
}

size_t sa_proc_count_group(const struct sa_proc_group *group)
{
    struct marked marked = {group->mark, 0};
    if (!group->mark)
        return sa_proc_signal_group(group, 0);
    if (!alone())
        sa_proc_each(count_marked, &marked);
    return marked.count;
}

/* Reads the table and marks the members; false when there is nobody or no /proc. */
static bool find_members(const struct sa_proc_group *group, struct table *table)
{
    size_t strangers = 0;
    if (alone() || !sa_proc_each(collect, table))
        return false;
    for (size_t i = 0; i < table->count; i++) {
        struct process *p = &table->items[i];
        p->member =
            has_mark(p->pid, group->mark) || (group->session && p->session == group->session);
        strangers += !p->member;
    }
    if (strangers)
        close_over_children(table);
    return true;
}

size_t sa_proc_signal_group(const struct sa_proc_group *group, int signal)
{
    struct table table = {0};
    size_t alive = 0;
    find_members(group, &table);
    for (size_t i = 0; i < table.count; i++) {
        if (!table.items[i].member || table.items[i].zombie)
            continue;
        alive++;
        if (signal)
            kill(table.items[i].pid, signal);
    }
    free(table.items);
    return alive;
}

/* Stops the members that run; returns how many those were. */
static size_t stop_running(const struct sa_proc_group *group)
{
    struct table table = {0};
    size_t running = 0;
    find_members(group, &table);
    for (size_t i = 0; i < table.count; i++) {
        struct process *p = &table.items[i];
        if (p->member && !p->zombie && !p->stopped)
            running += kill(p->pid, SIGSTOP) == 0;
    }
    free(table.items);
    return running;
}

size_t sa_proc_kill_group(const struct sa_proc_group *group)
{
    for (int pass = 0; pass < STOP_PASSES && stop_running(group) > 0; pass++)
        ;
    return sa_proc_signal_group(group, SIGKILL);
}

static int64_t status_kib(const char *status, const char *name)
{
    const char *line = strstr(status, name);
    return line ? strtoll(line + strlen(name), NULL, 10) : 0;
}

static void add_memory(pid_t pid, struct sa_proc_usage *usage)
{
    char text[4096];
    if (sa_proc_read(pid, "status", text, sizeof text))
        usage->memory_bytes +=
            1024 * (status_kib(text, "\nRssAnon:") + status_kib(text, "\nRssShmem:"));
}

static void add_usage(pid_t pid, void *arg)
{
    struct sa_proc_usage *usage = arg;
    char stat[512];
    int64_t ticks = 0;
    if (!sa_proc_read(pid, "stat", stat, sizeof stat))
        return;
    for (int field = 14; field <= 17; field++) /* its own and its reaped children's */
        ticks += stat_field(stat, field);
    usage->processes++;
    usage->cpu_us += ticks * (1000000 / sysconf(_SC_CLK_TCK));
    add_memory(pid, usage);
}

static int64_t cpu_before_us; /* of those who were here before */

static int64_t cpu_us(int who)
{
    struct rusage ru;
    if (getrusage(who, &ru) < 0)
        return 0;
    return (int64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000 + ru.ru_utime.tv_usec +
           ru.ru_stime.tv_usec;
}

void sa_proc_usage(struct sa_proc_usage *usage)
{
    *usage = (struct sa_proc_usage){
        .processes = 1, /* this one */
        .cpu_us = cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN) - cpu_before_us,
    };
    add_memory(getpid(), usage);
    sa_proc_each(add_usage, usage);
}

void sa_proc_forget(void)
{
    next_mark = MARK_FIRST;
    cpu_before_us = cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN);
}
