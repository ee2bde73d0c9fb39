/* The process's own metrics, from proc(5), by the names Prometheus recommends
 * (prometheus.io/docs/instrumenting/writing_clientlibs). */
#include "base/fdio.h"
#include "metrics/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PROC_FILE_MAX = 65536 };

/* Field `number` (from 1, as in proc_pid_stat(5); not the name) of /proc/self/stat. */
static double stat_field(int number)
{
    sa_autobuf text = SA_BUF_INIT;
    if (sa_read_file(AT_FDCWD, "/proc/self/stat", PROC_FILE_MAX, &text, NULL) < 0 || !text.data)
        return NAN;
    char *p = strrchr(text.data, ')'); /* the name may hold anything */
    for (int i = 2; p && i < number; i++)
        p = strchr(p + 1, ' ');
    return p ? strtod(p + 1, NULL) : NAN;
}

static double cpu_seconds(void *context)
{
    (void)context;
    struct rusage use;
    if (getrusage(RUSAGE_SELF, &use) < 0)
        return NAN;
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static double resident_bytes(void *context)
{
    (void)context;
    return stat_field(24) * (double)sysconf(_SC_PAGESIZE);
}

static double virtual_bytes(void *context)
{
    (void)context;
    return stat_field(23);
}

static double open_fds(void *context)
{
    (void)context;
    double count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return NAN;
    for (struct dirent *e; (e = readdir(dir));)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* without the one that looks */
}

static double max_fds(void *context)
{
    (void)context;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return NAN;
    return limit.rlim_cur == RLIM_INFINITY ? INFINITY : (double)limit.rlim_cur;
}

/* When the machine started, from /proc/stat. */
static double boot_seconds(void)
{
    sa_autobuf text = SA_BUF_INIT;
    if (sa_read_file(AT_FDCWD, "/proc/stat", 16 * PROC_FILE_MAX, &text, NULL) < 0 || !text.data)
        return NAN;
    const char *line = strstr(text.data, "\nbtime ");
    return line ? strtod(line + strlen("\nbtime "), NULL) : NAN;
}

static double start_seconds(void *context)
{
    (void)context;
    return boot_seconds() + stat_field(22) / (double)sysconf(_SC_CLK_TCK);
}

void sa_metrics_add_process(struct sa_metrics *metrics)
{
    sa_metrics_counter_fn(metrics, "process_cpu_seconds_total",
                          "User and system CPU time spent, in seconds.", cpu_seconds, NULL);
    sa_metrics_gauge_fn(metrics, "process_resident_memory_bytes", "Resident memory size in bytes.",
                        resident_bytes, NULL);
    sa_metrics_gauge_fn(metrics, "process_virtual_memory_bytes", "Virtual memory size in bytes.",
                        virtual_bytes, NULL);
    sa_metrics_gauge_fn(metrics, "process_open_fds", "Open file descriptors.", open_fds, NULL);
    sa_metrics_gauge_fn(metrics, "process_max_fds", "Most file descriptors that may be open.",
                        max_fds, NULL);
    sa_metrics_gauge_fn(metrics, "process_start_time_seconds",
                        "When the process started, in seconds since the epoch.", start_seconds,
                        NULL);
}
