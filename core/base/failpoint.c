#include "base/failpoint.h"

#ifdef SA_FAILPOINTS
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KILLED = 128 + SIGKILL };

static struct sa_failpoint_page *page;
static int page_fd = -1;

static void map(int fd)
{
    void *at = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    page = at == MAP_FAILED ? NULL : at;
}

/* At once: later the file may be out of reach. */
__attribute__((constructor)) static void open_page(void)
{
    const char *path = getenv("SA_FAILPOINT_PAGE");
    page_fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (page_fd >= 0)
        map(page_fd);
}

int sa_failpoint_fd(void)
{
    return page_fd;
}

void sa_failpoint_take_over(void)
{
    if (page || fcntl(SA_FAILPOINT_FD, F_GETFD) < 0)
        return;
    map(SA_FAILPOINT_FD);
    close(SA_FAILPOINT_FD);
}

bool sa_failpoint_reached(const char *name)
{
    if (!page || __atomic_load_n(&page->state, __ATOMIC_ACQUIRE) != SA_FAILPOINT_ARMED ||
        strncmp(page->name, name, sizeof page->name) != 0 ||
        __atomic_sub_fetch(&page->left, 1, __ATOMIC_ACQ_REL) != 0)
        return false;
    __atomic_store_n(&page->state, SA_FAILPOINT_REACHED, __ATOMIC_RELEASE);
    return true;
}

void sa_failpoint(const char *name)
{
    if (!sa_failpoint_reached(name))
        return;
    raise(SIGKILL);
    _exit(KILLED); /* process 1 of a namespace cannot kill itself, but its end is everybody's */
}
#else
typedef int sa_failpoint_unused; /* a translation unit is not empty */
#endif
