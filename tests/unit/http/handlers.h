/* The handlers of the fixture, see fixture.h. They run in the server's thread. */
#ifndef TEST_HTTP_HANDLERS_H
#define TEST_HTTP_HANDLERS_H

#include "fixture.h"

#include <pthread.h>

struct handlers {
    uv_loop_t *loop;
    struct counters counters;
    pthread_mutex_t lock;
    int taken_fd;
    char *taken_unread;
    size_t taken_length;
    struct sa_http_tunnel *tunnel; /* of /tunnel */
};

void add_handlers(struct sa_router *router, struct handlers *handlers);

#endif
