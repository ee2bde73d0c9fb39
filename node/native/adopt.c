#include "native/adopt.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "native/folder.h"
#include "native/launch.h"
#include "native/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

bool sa_process_read(pid_t pid, const char *file, char *text, size_t size)
{
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    sa_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

int64_t sa_process_start(pid_t pid)
{
    char text[1024];
    if (!sa_process_read(pid, "stat", text, sizeof text))
        return -1;
    /* The name may hold anything, so the fields are counted from its end: start is the 22nd. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at + 1, NULL, 10) : -1;
}

void sa_host_boot_id(char out[SA_RECORD_BOOT_BYTES])
{
    sa_autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, SA_RECORD_BOOT_BYTES - 1);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static bool has_ended(int pidfd)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    return poll(&end, 1, 0) > 0;
}

/* The numbers behind a key of /proc/PID/status: the first and the last of them. */
static bool status_numbers(const char *status, const char *key, long long *first, long long *last)
{
    const char *at = strstr(status, key);
    char *end = NULL;
    if (!at)
        return false;
    *first = *last = strtoll(at + strlen(key), &end, 10);
    while (*end == '\t')
        *last = strtoll(end + 1, &end, 10);
    return true;
}

/* Is it PID 1 of a namespace below ours? */
static bool is_first(const char *status)
{
    long long first, last;
    return status_numbers(status, "\nNSpid:", &first, &last) && last == 1 && first != last;
}

/* And of the user that it must be, with all locks shut? */
static bool is_sandbox(const struct sa_record *r, const char *status)
{
    long long first, last;
    if (!status_numbers(status, "\nUid:", &first, &last))
        return false;
    const long long base = r->uid_base + r->slot * SA_NATIVE_IDS;
    const bool expected =
        r->uid_base ? first >= base && first < base + SA_NATIVE_IDS : first == (long long)geteuid();
    return expected && sa_launch_verify((pid_t)r->pid, NULL) == 0;
}

/* The pidfd comes first: what is read of the process afterwards is of the one that it holds, if
 * that has not ended by then. One that was on its way to be a sandbox is killed; whatever the
 * record says, nothing else is. */
static bool look(const struct sa_record *r, const char *boot, struct sa_found *found)
{
    char status[4096];
    sa_autoclose int pidfd = -1;
    if (!*boot || strcmp(r->boot, boot) != 0)
        return false;
    pidfd = (int)syscall(SYS_pidfd_open, (pid_t)r->pid, 0);
    if (pidfd < 0 || sa_process_start((pid_t)r->pid) != r->start ||
        !sa_process_read((pid_t)r->pid, "status", status, sizeof status) || has_ended(pidfd) ||
        !is_first(status))
        return false;
    if (!is_sandbox(r, status)) {
        sa_pidfd_kill(pidfd);
        return false;
    }
    found->record = *r;
    found->pidfd = sa_steal_fd(&pidfd);
    return true;
}

void sa_found_look(int folder, struct sa_found_list *found)
{
    char boot[SA_RECORD_BOOT_BYTES];
    sa_autofree struct sa_record *records = sa_alloc(SA_NATIVE_SANDBOXES_MAX * sizeof *records);
    const size_t count = sa_folder_load(folder, records, SA_NATIVE_SANDBOXES_MAX);
    found->items = sa_alloc((count + 1) * sizeof *found->items);
    found->count = 0;
    sa_host_boot_id(boot);
    for (size_t i = 0; i < count; i++)
        if (look(&records[i], boot, &found->items[found->count]))
            found->count++;
        else
            sa_folder_remove(folder, records[i].id);
}

void sa_found_filter(int folder, struct sa_found_list *found,
                     bool (*keep)(const struct sa_found *one, const void *context),
                     const void *context)
{
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++) {
        struct sa_found *one = &found->items[i];
        if (keep(one, context)) {
            found->items[kept++] = *one;
            continue;
        }
        sa_pidfd_kill(one->pidfd);
        close(one->pidfd);
        sa_folder_remove(folder, one->record.id);
    }
    found->count = kept;
}

uint32_t sa_found_uid_base(const struct sa_found_list *found)
{
    for (size_t i = 0; i < found->count; i++)
        if (found->items[i].record.uid_base)
            return (uint32_t)found->items[i].record.uid_base;
    return 0;
}

/* The parent of the sandbox's own: ioctl_ns(2). The node before this one had the same user. */
int sa_found_namespace(const struct sa_found_list *found)
{
    for (size_t i = 0; i < found->count; i++) {
        char path[48];
        snprintf(path, sizeof path, "/proc/%d/ns/user", (int)found->items[i].record.pid);
        sa_autoclose int own = open(path, O_RDONLY | O_CLOEXEC);
        int above = own < 0 ? -1 : ioctl(own, NS_GET_PARENT);
        if (above >= 0)
            return above;
    }
    return -1;
}

void sa_found_deinit(struct sa_found_list *found)
{
    for (size_t i = 0; i < found->count; i++)
        if (found->items[i].pidfd >= 0)
            close(found->items[i].pidfd);
    free(found->items);
    *found = (struct sa_found_list){0};
}
