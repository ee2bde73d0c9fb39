/* Where the control groups are: pure functions over the texts of /proc. */
#include "native/cgroup.h"
#include "native/cgroup_files.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 512 };

const char *sa_controller_name(enum sa_controller controller)
{
    static const char *const names[SA_CG_COUNT] = {"memory", "pids", "cpu", "cpuacct", "freezer"};
    return names[controller];
}

/* True when `word` is one of the comma-separated `list` (which ends at a space, newline or
 * colon). */
static bool listed(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list;;) {
        size_t n = strcspn(at, ", \n:");
        if (n == length && strncmp(at, word, n) == 0)
            return true;
        if (at[n] != ',')
            return false;
        at += n + 1;
    }
}

/* The process's path in the hierarchy, from /proc/self/cgroup: "4:memory:/a/b", or "0::/a" for
 * version 2 (controller NULL). */
static bool own_path(const char *cgroup, const char *controller, char *path, size_t size)
{
    for (const char *line = cgroup; *line;) {
        const char *list = strchr(line, ':');
        const char *from = list ? strchr(list + 1, ':') : NULL;
        size_t length = strcspn(line, "\n");
        if (!from || from > line + length)
            return false;
        bool found = controller ? listed(list + 1, controller) : list[1] == ':';
        if (found) {
            int n = (int)(line + length - (from + 1));
            return snprintf(path, size, "%.*s", n, from + 1) < (int)size;
        }
        line += length + (line[length] == '\n');
    }
    return false;
}

/* One line of mountinfo (proc_pid_mountinfo(5)): is it a cgroup mount with that controller? */
static bool mount_matches(const char *line, const char *controller, char *root, char *at)
{
    char type[32], options[256];
    const char *dash = strstr(line, " - ");
    const char *end = strchr(line, '\n');
    if (!dash || (end && dash > end) || sscanf(line, "%*d %*d %*s %255s %255s", root, at) != 2 ||
        sscanf(dash, " - %31s %*s %255s", type, options) != 2)
        return false;
    if (!controller)
        return strcmp(type, "cgroup2") == 0;
    return strcmp(type, "cgroup") == 0 && listed(options, controller);
}

static bool locate_in(const char *mountinfo, const char *cgroup, const char *controller, char *path,
                      size_t size)
{
    char own[PATH_BYTES], root[256], at[256];
    if (!own_path(cgroup, controller, own, sizeof own))
        return false;
    for (const char *line = mountinfo; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!*line || !mount_matches(line, controller, root, at))
            continue;
        /* In a container the mount shows only a part of the hierarchy. */
        const char *below = own;
        size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
        if (length && strncmp(own, root, length) == 0 && (!own[length] || own[length] == '/'))
            below = own + length;
        else if (length)
            below = "";
        if (strcmp(below, "/") == 0)
            below = "";
        return snprintf(path, size, "%s%s", at, below) < (int)size;
    }
    return false;
}

bool sa_cgroup_locate(const char *mountinfo, const char *cgroup, enum sa_controller controller,
                      char *path, size_t size, bool *version2)
{
    *version2 = false;
    if (locate_in(mountinfo, cgroup, sa_controller_name(controller), path, size))
        return true;
    *version2 = true;
    return locate_in(mountinfo, cgroup, NULL, path, size);
}
