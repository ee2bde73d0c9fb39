/*
 * Groups of nodes of other names that were killed. Their name may never be used again, so whoever
 * comes next takes the groups away once nothing runs in them: what did ends by itself, as nobody
 * has it any more, but for what is frozen, which has to be thawed for that. The lock of the name
 * says that no such node runs.
 */
#include "base/cleanup.h"
#include "native/cgroup_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static DIR *open_folder(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder && fd >= 0)
        close(fd);
    return folder;
}

/* Those below that hold no process, and then itself, if that may be. True: some do hold one. */
static bool remove_empty(int parent, const char *name, const struct sa_cgroup_version *thaw)
{
    DIR *folder = open_folder(parent, name);
    struct stat st;
    bool left = false;
    const bool ours = folder && fstat(dirfd(folder), &st) == 0 && st.st_uid == geteuid();
    for (struct dirent *entry; ours && (entry = readdir(folder));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
            unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR) == 0)
            continue;
        left = true;
        if (thaw)
            thaw->freeze(dirfd(folder), entry->d_name, false, NULL);
    }
    if (folder)
        closedir(folder);
    if (ours)
        unlinkat(parent, name, AT_REMOVEDIR);
    return left;
}

bool sa_strays_remove(int parent, uint32_t user, const struct sa_cgroup_version *thaw)
{
    static const char prefix[] = "secureagent-";
    bool left = false;
    DIR *folder = open_folder(parent, ".");
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0 &&
            strcmp(entry->d_name, "secureagent-leaf") != 0 &&
            sa_host_state_free(user, entry->d_name + sizeof prefix - 1) &&
            remove_empty(parent, entry->d_name, thaw))
            left = true;
    if (folder)
        closedir(folder);
    return left;
}
