#include "base/fdio.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

int sa_write_all(int fd, const void *data, size_t length)
{
    const char *from = data;
    while (length) {
        ssize_t n = write(fd, from, length);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        from += n;
        length -= (size_t)n;
    }
    return 0;
}

int sa_read_file(int dirfd, const char *path, size_t cap, struct sa_buf *out, struct sa_error *err)
{
    sa_autoclose int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sa_error_sys(err, errno == ENOENT ? SA_ENOTFOUND : SA_EINTERNAL, errno, "open %s",
                            path);
    size_t start = out->length;
    for (;;) {
        char *to = sa_buf_reserve(out, 4096);
        ssize_t n = read(fd, to, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sa_error_sys(err, SA_EINTERNAL, errno, "read %s", path);
        if (n == 0)
            break;
        out->length += (size_t)n;
        out->data[out->length] = '\0';
        if (out->length - start > cap)
            return sa_error_set(err, SA_ETOOLARGE, "%s is larger than %zu bytes", path, cap);
    }
    return 0;
}

int sa_write_file(int dirfd, const char *path, const char *text, struct sa_error *err)
{
    sa_autoclose int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return sa_error_sys(err, errno == ENOENT ? SA_ENOTFOUND : SA_EINTERNAL, errno, "open %s",
                            path);
    size_t length = strlen(text);
    ssize_t n;
    do
        n = write(fd, text, length);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)length)
        return sa_error_sys(err, SA_EINTERNAL, n < 0 ? errno : EIO, "write %s", path);
    return 0;
}

ssize_t sa_send_fds(int socket, const void *data, size_t length, const int *fds, size_t nfds,
                    int flags)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(SA_FDS_MAX * sizeof(int))];
    } control = {0};
    if (nfds > SA_FDS_MAX) {
        errno = EINVAL;
        return -1;
    }
    struct iovec iov = {(void *)(size_t)data, length};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (nfds) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

ssize_t sa_recv_fds(int socket, void *data, size_t length, int fds[SA_FDS_MAX], size_t *nfds,
                    int flags)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(SA_FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov = {data, length};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    *nfds = 0;
    ssize_t n;
    do
        n = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && *nfds < SA_FDS_MAX; i++)
            memcpy(&fds[(*nfds)++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (size_t i = 0; i < *nfds; i++)
            close(fds[i]);
        *nfds = 0;
        errno = EMSGSIZE;
        return -1;
    }
    return n;
}
