/*
 * Cleanup attributes for locals, in the manner of crun and systemd:
 *
 *     sa_autofree char *path = xasprintf(...);     freed at the end of the scope
 *     sa_autoclose int fd = open(...);             closed at the end of the scope
 *     return sa_steal_fd(&fd);                     hands it over instead
 */
#ifndef SA_BASE_CLEANUP_H
#define SA_BASE_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void sa_cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void sa_cleanup_close(const int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}

#define sa_autofree __attribute__((cleanup(sa_cleanup_free)))
#define sa_autoclose __attribute__((cleanup(sa_cleanup_close)))

static inline int sa_steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

#define sa_steal(pointer)                                                                          \
    __extension__({                                                                                \
        __typeof__(*(pointer)) stolen_ = *(pointer);                                               \
        *(pointer) = NULL;                                                                         \
        stolen_;                                                                                   \
    })

/* Number of elements of an array. */
#define SA_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The struct that holds `member` at `pointer`. */
#define sa_container_of(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
