/* One engine under test and, as its peer, the test itself: it feeds hand-made frames and reads
 * what the engine queues, frame by frame. Events are recorded as lines of text. */
#ifndef RAW_PEER_H
#define RAW_PEER_H

#include "link/fields.h"
#include "link/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct raw_peer {
    struct sa_link *link;
    struct sa_buf log; /* "opened 1 7\n", "data 1 0 hello\n", ... */
    struct sa_buf out; /* bytes the engine queued, taken by raw_next() */
    size_t taken;
    struct sa_error err;
    struct sa_stream *last; /* of the last event */
    size_t auto_consume;    /* give credit back at once */
    int end_in_data;        /* end the stream from within `data` */
};

struct raw_frame {
    uint32_t length, stream;
    uint8_t type, channel;
    const uint8_t *payload;
};

/* With `greet`, HELLOs are exchanged and the log is empty afterwards. */
void raw_init(struct raw_peer *p, enum sa_link_role role, int greet);
void raw_deinit(struct raw_peer *p);
/* Append a frame to `to`. */
void raw_frame(struct sa_buf *to, int type, uint32_t stream, int channel, const void *payload,
               size_t length);
int raw_feed(struct raw_peer *p, int type, uint32_t stream, int channel, const void *payload,
             size_t length);
int raw_open(struct raw_peer *p, uint32_t stream, int method);
int raw_credit(struct raw_peer *p, uint32_t stream, uint32_t more);
void raw_hello_body(struct sa_buf *body, const char *magic, int lowest, int highest, int64_t window,
                    int64_t streams);
/* The next queued frame, which the engine then takes as written; 0 when there is none. */
int raw_next(struct raw_peer *p, struct raw_frame *frame);
/* Log lines so far equal this; then the log is emptied. */
#define expect_log(p, text)                                                                        \
    do {                                                                                           \
        assert_string_equal((p)->log.data ? (p)->log.data : "", text);                             \
        sa_buf_deinit(&(p)->log);                                                                  \
    } while (0)
/* Feeding failed with SA_EPROTOCOL, the message holds `text`, and the last frame is a GOAWAY. */
void expect_violation(struct raw_peer *p, int result, const char *text);

#endif
