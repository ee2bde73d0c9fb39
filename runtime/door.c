#include "door.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "boot.h"
#include "conn.h"
#include "poller.h"

#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { HANDED_MAX = 64 /* looked at in one go */ };

static struct sa_watch door = {.fd = -1};
static struct sa_timer orphan;

/* The newest of those that wait; -1: none. */
static int handed_in(void)
{
    int newest = -1;
    for (int i = 0; i < HANDED_MAX; i++) {
        char byte;
        int fds[SA_FDS_MAX];
        size_t count = 0;
        const ssize_t n = sa_recv_fds(door.fd, &byte, 1, fds, &count, MSG_DONTWAIT);
        for (size_t k = 0; k < count; k++) {
            if (newest >= 0)
                close(newest);
            newest = fds[k];
        }
        if (n < 0)
            break;
    }
    return newest;
}

static bool answer(void)
{
    const int fd = handed_in();
    if (fd < 0)
        return false;
    sa_conn_take(fd);
    sa_timer_clear(&orphan);
    return true;
}

static void on_ready(struct sa_watch *watch, uint32_t events)
{
    (void)watch;
    (void)events;
    answer();
}

/* It may have been frozen for longer than that, with a connection at the door. */
static void on_orphan(struct sa_timer *timer)
{
    (void)timer;
    if (!answer())
        sa_conn_exit(0);
}

void sa_door_await(void)
{
    sa_timer_set(&orphan, sa_boot.orphan_ms * 1000);
}

void sa_door_open(int fd)
{
    orphan.fire = on_orphan;
    door = (struct sa_watch){.fd = fd, .ready = on_ready};
    sa_watch_set(&door, EPOLLIN);
    sa_door_await();
}
