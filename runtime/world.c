#include "world.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "boot.h"
#include "digest.h"
#include "manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { MOUNTS_BYTES_MAX = 256 * 1024, TEXT_MAX = 4096 };

/* --- this process --- */

static void add_limits(struct sa_buf *out)
{
    struct rlimit limit;
    for (int i = 0; i < RLIM_NLIMITS; i++)
        if (getrlimit((__rlimit_resource_t)i, &limit) == 0)
            sa_buf_printf(out, "rlimit.%d %" PRIu64 ":%" PRIu64 "\n", i, (uint64_t)limit.rlim_cur,
                          (uint64_t)limit.rlim_max);
}

static void add_process(struct sa_buf *out)
{
    struct utsname names = {0};
    struct sched_param param = {0};
    struct stat st = {0};
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    mode_t mask = umask(0);
    umask(mask);
    uname(&names);
    sched_getparam(0, &param);
    sched_getaffinity(0, sizeof cpus, &cpus);
    errno = stat(".", &st);
    sa_buf_printf(out, "umask %o\ncwd %" PRIu64 ":%" PRIu64 "\nhostname %s\n", mask,
                  (uint64_t)st.st_dev, (uint64_t)st.st_ino, names.nodename);
    sa_buf_printf(out, "nice %d\nscheduler %d:%d\ncpus %d\nslack %d\n",
                  getpriority(PRIO_PROCESS, 0), sched_getscheduler(0), param.sched_priority,
                  CPU_COUNT(&cpus), prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
}

/* --- space --- */

/* To the block and inode: what was removed and is still held by something shows here. */
static void add_space(struct sa_buf *out)
{
    struct sa_sealed_root root;
    struct statvfs fs;
    for (size_t i = 0; sa_sealed_root(i, &root); i++)
        if (fstatvfs(root.fd, &fs) == 0)
            sa_buf_printf(out, "space.%s %" PRIu64 " blocks, %" PRIu64 " inodes\n", root.path,
                          (uint64_t)(fs.f_blocks - fs.f_bfree),
                          (uint64_t)(fs.f_files - fs.f_ffree));
}

/* --- sockets, terminals, mounts --- */

static bool read_text(const char *path, char *out, size_t size)
{
    sa_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    return n >= 0;
}

/* All that any process could hold open, of every family. None of ours is made in this network. */
static void add_sockets(struct sa_buf *out)
{
    char text[TEXT_MAX];
    const char *line =
        read_text("/proc/net/sockstat", text, sizeof text) ? strstr(text, "sockets: used ") : NULL;
    sa_buf_printf(out, "sockets %.*s\n", line ? (int)strcspn(line + 14, "\n") : 1,
                  line ? line + 14 : "?");
}

/* Whoever makes terminals, which is ours like they are: its times tell when one was used, or what
 * somebody wants them to. */
static const char maker[] = "/dev/pts/ptmx";

/* Folders of ours in proc, which belong to the user of the programs although nobody may look into
 * this process: times that a program sets there stay as long as it lives. */
static void restore_proc(const struct timespec times[2])
{
    static const char *const folders[] = {
        "/proc/1",           "/proc/1/attr",   "/proc/1/fdinfo",      "/proc/1/net",
        "/proc/1/task",      "/proc/1/task/1", "/proc/1/task/1/attr", "/proc/1/task/1/fdinfo",
        "/proc/1/task/1/net"};
    for (size_t i = 0; i < SA_COUNT(folders); i++)
        utimensat(AT_FDCWD, folders[i], times, 0); /* not ours: nobody sets them */
}

void sa_world_restore(void)
{
    const struct timespec times[2] = {{0}};
    if (utimensat(AT_FDCWD, maker, times, AT_SYMLINK_NOFOLLOW) < 0)
        utimensat(AT_FDCWD, maker, NULL, AT_SYMLINK_NOFOLLOW); /* not ours: nobody chooses them */
    restore_proc(times);
}

static void add_terminals(struct sa_buf *out)
{
    struct stat st = {0};
    DIR *dir = opendir("/dev/pts");
    int count = 0;
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    lstat(maker, &st);
    sa_buf_printf(out, "terminals %d\n", count);
    sa_buf_printf(out, "ptmx %o %u:%u\n", st.st_mode, st.st_uid, st.st_gid);
}

static int read_mounts(struct sa_buf *text)
{
    sa_autoclose int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && text->length < MOUNTS_BYTES_MAX) {
        ssize_t n = read(fd, sa_buf_reserve(text, 16384), 16384);
        if (n <= 0)
            return n < 0 ? -1 : 0;
        text->length += (size_t)n;
    }
    return -1;
}

static void add_mounts(struct sa_buf *out)
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_digest digest;
    uint8_t hash[SA_DIGEST_BYTES] = {0};
    if (read_mounts(&text) == 0) {
        sa_digest_init(&digest);
        sa_digest_add(&digest, text.data, text.length);
        sa_digest_end(&digest, hash);
    }
    sa_buf_adds(out, "mounts ");
    for (size_t i = 0; i < sizeof hash; i++)
        sa_buf_printf(out, "%02x", hash[i]);
    sa_buf_adds(out, "\n");
}

void sa_world_look(struct sa_buf *out)
{
    out->length = 0;
    add_limits(out);
    add_process(out);
    add_space(out);
    add_sockets(out);
    add_terminals(out);
    add_mounts(out);
}

/* --- comparing --- */

int sa_world_compare(const struct sa_buf *sealed, const struct sa_buf *now, struct sa_error *err)
{
    const char *a = sealed->data, *b = now->data;
    while (*a && *b) {
        int la = (int)strcspn(a, "\n"), lb = (int)strcspn(b, "\n");
        if (la != lb || memcmp(a, b, (size_t)la) != 0) {
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)strcspn(a, " \n"), a);
            return sa_error_at(err, SA_ECONFLICT, name, "%.100s: it was \"%.*s\", and is \"%.*s\"",
                               name, la < 150 ? la : 150, a, lb < 150 ? lb : 150, b);
        }
        a += la + 1;
        b += lb + 1;
    }
    return *a || *b ? sa_error_set(err, SA_ECONFLICT, "what can be looked at is not the same") : 0;
}

/* --- mounts that are writable --- */

static bool is_covered(const char *target)
{
    struct sa_sealed_root root;
    for (size_t i = 0; sa_sealed_root(i, &root); i++)
        if (!strcmp(root.path, target))
            return true;
    return false;
}

/* File systems of which nothing stays when the processes are gone; proc_pid_mountinfo(5). */
static bool is_passing(const char *type)
{
    static const char *const types[] = {"proc", "devpts"};
    for (size_t i = 0; i < SA_COUNT(types); i++)
        if (!strncmp(type, types[i], strlen(types[i])) && strchr(" \n", type[strlen(types[i])]))
            return true;
    return false;
}

/* A device of the host's: what is written there is not kept, and it is not ours to change. */
static bool is_device(const char *target)
{
    struct stat st;
    return lstat(target, &st) == 0 && S_ISCHR(st.st_mode) && st.st_uid != geteuid();
}

static bool has_option(const char *options, const char *name)
{
    size_t length = strlen(name);
    for (; *options && *options != ' ' && *options != '\n'; options += *options == ',') {
        size_t n = strcspn(options, ", \n");
        if (n == length && !memcmp(options, name, n))
            return true;
        options += n;
    }
    return false;
}

static int check_line(char *line, struct sa_error *err)
{
    char *field[6], *save = NULL, *separator = strstr(line, " - ");
    if (!separator)
        return sa_error_at(err, SA_ECONTROL, "mounts", "the table of mounts cannot be read");
    const char *type = separator + 3, *options = strrchr(type, ' ');
    *separator = '\0';
    for (size_t i = 0; i < SA_COUNT(field); i++)
        if (!(field[i] = strtok_r(i ? NULL : line, " ", &save)))
            return sa_error_at(err, SA_ECONTROL, "mounts", "the table of mounts cannot be read");
    if (has_option(field[5], "ro") || (options && has_option(options + 1, "ro")) ||
        is_passing(type) || is_covered(field[4]) || is_device(field[4]))
        return 0;
    return sa_error_at(err, SA_ECONTROL, "mounts",
                       "%.200s is writable, and not among the folders that are looked at",
                       field[4]);
}

int sa_world_check_mounts(struct sa_error *err)
{
    sa_autobuf text = SA_BUF_INIT;
    char *save = NULL;
    if (read_mounts(&text) < 0)
        return sa_error_at(err, SA_ECONTROL, "mounts", "the table of mounts cannot be read");
    sa_buf_addc(&text, '\0');
    for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (check_line(line, err) < 0)
            return -1;
    return 0;
}
