#include "base/unix.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int address_of(int folder, const char *name, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n =
        snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", folder, name);
    if (n < (int)sizeof address->sun_path)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

int sa_unix_bind(int folder, const char *name, int type)
{
    struct sockaddr_un address;
    sa_autoclose int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0 || address_of(folder, name, &address) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    return sa_steal_fd(&fd);
}

int sa_unix_connect(int folder, const char *name, int type)
{
    struct sockaddr_un address;
    sa_autoclose int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0 || address_of(folder, name, &address) < 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    return sa_steal_fd(&fd);
}

int sa_unix_folder(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    char folder[4096];
    *name = slash ? slash + 1 : path;
    const int n = snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
                           slash ? path : ".");
    if (n >= (int)sizeof folder) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}
