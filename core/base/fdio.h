/* Descriptors: whole reads and writes, small files, and passing descriptors over Unix sockets. */
#ifndef SA_BASE_FDIO_H
#define SA_BASE_FDIO_H

#include "base/buf.h"
#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

/* Write all of it (blocking descriptors). 0, or -1 with errno. */
int sa_write_all(int fd, const void *data, size_t length);
/* Append the whole file to `out`, at most `cap` bytes (SA_ETOOLARGE beyond). dirfd as openat. */
int sa_read_file(int dirfd, const char *path, size_t cap, struct sa_buf *out, struct sa_error *err);
/* Write to an existing file in one write(2), as /proc and cgroup files want it. */
int sa_write_file(int dirfd, const char *path, const char *text, struct sa_error *err);

/* One message over a SOCK_SEQPACKET or SOCK_STREAM Unix socket with up to 8 descriptors
 * (SCM_RIGHTS, unix(7)). Received descriptors are close-on-exec. Return the bytes moved (0 at
 * end of file), -1 with errno; a truncated message or control part is EMSGSIZE and closes what
 * came along. `flags` as sendmsg/recvmsg. */
enum { SA_FDS_MAX = 8 };
ssize_t sa_send_fds(int socket, const void *data, size_t length, const int *fds, size_t nfds,
                    int flags);
ssize_t sa_recv_fds(int socket, void *data, size_t length, int fds[SA_FDS_MAX], size_t *nfds,
                    int flags);

#endif
