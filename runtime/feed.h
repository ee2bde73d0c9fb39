/*
 * A feed: bytes from the link on their way into a descriptor: a pipe, a socket, a terminal. They
 * wait in a queue of at most one window, as their credit is returned only when they were written.
 */
#ifndef SA_RUNTIME_FEED_H
#define SA_RUNTIME_FEED_H

#include "link/link.h"
#include "poller.h"

struct sa_feed {
    struct sa_watch watch; /* of a non-blocking descriptor, from when the owner sets it */
    struct sa_stream *stream;
    /* Before the descriptor is closed: everything was written and the opener's EOF came
     * (`at_end`), or nobody takes any more. May be NULL. */
    void (*closing)(struct sa_feed *feed, bool at_end);
    struct sa_buf queue; /* bytes before `done` are written */
    size_t done;
    bool held; /* only queue; see sa_feed_release() */
    bool eof, enlarged;
};

void sa_feed_init(struct sa_feed *feed, struct sa_stream *stream,
                  void (*closing)(struct sa_feed *feed, bool at_end));
/* Bytes arrived: those that nobody takes are dropped. */
void sa_feed_data(struct sa_feed *feed, const void *data, size_t length);
void sa_feed_eof(struct sa_feed *feed);
/* Write what was held. */
void sa_feed_release(struct sa_feed *feed);
/* Just close, for an owner that goes. */
void sa_feed_deinit(struct sa_feed *feed);

/* A pipe that was full gets larger, once, if the user may have that: fewer switches between the
 * program and us. */
void sa_pipe_enlarge(int fd, bool *enlarged);

#endif
