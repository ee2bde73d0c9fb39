/* Adding up the memory of pid namespaces from /proc (proc(5)). */
#include "native/watchdog.h"

#include "native/adopt.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

enum { OPEN_FILES_MAX = 4096 /* looked at in each process */ };

uint64_t sa_watchdog_namespace(pid_t pid)
{
    char path[48];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)pid);
    return stat(path, &st) < 0 ? 0 : st.st_ino;
}

/* "RssAnon:  123 kB" and so on in bytes, 0 when it is not there (a zombie). */
static int64_t status_bytes(const char *status, const char *key)
{
    const char *at = strstr(status, key);
    return at ? strtoll(at + strlen(key), NULL, 10) * 1024 : 0;
}

static int64_t resident(pid_t pid)
{
    char status[4096];
    if (!sa_process_read(pid, "status", status, sizeof status))
        return 0;
    return status_bytes(status, "\nRssAnon:") + status_bytes(status, "\nRssShmem:");
}

/* Of a page that n processes have, 1/n. */
static int64_t proportional(pid_t pid)
{
    char rollup[4096];
    if (!sa_process_read(pid, "smaps_rollup", rollup, sizeof rollup) ||
        !strstr(rollup, "\nPss_Anon:"))
        return resident(pid);
    return status_bytes(rollup, "\nPss_Anon:") + status_bytes(rollup, "\nPss_Shmem:");
}

/* Memfds hold memory that need not be mapped: files of tmpfs without a name. */
static int64_t unnamed_files(pid_t pid)
{
    char path[48];
    int64_t bytes = 0;
    int looked = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder)) && looked < OPEN_FILES_MAX; looked++) {
        struct stat st;
        if (isdigit((unsigned char)entry->d_name[0]) &&
            fstatat(dirfd(folder), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode) &&
            st.st_nlink == 0)
            bytes += st.st_blocks * 512;
    }
    closedir(folder);
    return bytes;
}

/* What the sandbox's one tmpfs holds. */
static int64_t stored(pid_t pid)
{
    char path[48];
    struct statfs fs;
    snprintf(path, sizeof path, "/proc/%d/root/workspace", (int)pid);
    if (statfs(path, &fs) < 0)
        return 0;
    return (int64_t)(fs.f_blocks - fs.f_bfree) * (int64_t)fs.f_bsize;
}

static struct sa_watched *find(struct sa_watched *list, size_t count, uint64_t namespace)
{
    for (size_t i = 0; i < count; i++)
        if (namespace && list[i].namespace == namespace)
            return &list[i];
    return NULL;
}

static void measure(struct sa_watched *list, size_t count, int64_t (*of_process)(pid_t pid))
{
    DIR *proc = opendir("/proc");
    if (!proc)
        return;
    for (size_t i = 0; i < count; i++) {
        list[i].memory_bytes = stored(list[i].pid);
        list[i].processes = 0;
    }
    for (struct dirent *entry; (entry = readdir(proc));) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        struct sa_watched *w = find(list, count, sa_watchdog_namespace(pid));
        if (!w)
            continue;
        w->processes++;
        w->memory_bytes += of_process(pid) + unnamed_files(pid);
    }
    closedir(proc);
}

void sa_watchdog_measure(struct sa_watched *list, size_t count)
{
    measure(list, count, resident);
}

void sa_watchdog_measure_shared(struct sa_watched *one)
{
    if (one->memory_bytes <= SA_WATCHDOG_SHARED_MAX)
        measure(one, 1, proportional);
}
