/*
 * A box: the real execution-runtime as process 1 of fresh user, pid and mount namespaces, with a
 * tmpfs for its roots, driven through the link engine. No privilege is needed.
 *
 *     /tmp/sa-box-.../ws    writable root, tmpfs, `ws_size` bytes
 *     /tmp/sa-box-.../tmp   writable root, another tmpfs
 *     /usr                  read root
 *
 * The mounts are seen inside only; tests look at them through the runtime or programs in it.
 */
#ifndef BOX_H
#define BOX_H

#include "base/buf.h"
#include "link/link.h"
#include "link/methods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

struct box_options {
    const char *ws_size;                   /* of tmpfs(5), default "256m" */
    int max_pids;                          /* RLIMIT_NPROC of programs; 0: none */
    void (*add_boot)(struct sa_buf *boot); /* more fields for the boot block */
    bool kernels;                          /* /etc/secureagent/kernels is there */
    bool no_filter;                        /* no filter "default" */
    bool sealable;     /* namespaces of its own for network and IPC, all else read-only: for SEAL */
    int64_t orphan_ms; /* 0: as short as can be */
};

struct box {
    pid_t pid; /* of the runtime, here outside */
    int socket, door;
    struct sa_link *link;
    char dir[64], ws[80], tmp[80];
    bool closed; /* the runtime closed the link */
};

/* A request and what came of it. */
struct reply {
    struct box *box;
    struct sa_stream *stream; /* NULL once it ended */
    struct sa_buf out[SA_CHANNELS], notes;
    size_t note_count, got[SA_CHANNELS];
    bool eof[SA_CHANNELS];
    bool ended, failed; /* failed: END was an error */
    struct sa_error error;
    struct sa_buf result; /* END fields */
    bool hold;            /* give no credit back */
    bool discard;         /* count data, do not keep it */
    size_t held;
    /* Sees every piece as it comes; may be NULL. */
    void (*tap)(struct reply *reply, int channel, const char *data, size_t length);
    const char *send; /* written as credit comes */
    size_t send_left;
    enum sa_link_channel send_channel; /* stdin, but for tests that say otherwise */
    bool send_eof;
};

void box_start(struct box *box, const struct box_options *options);
/* Closes the link, and waits: the runtime must exit with `status` (it is an orphan soon). */
void box_stop(struct box *box, int status);
/* Of a test or a group that has a box for its state: the end, at which process 1 is alone again,
 * whatever was done; and an empty workspace to begin with. */
int box_end(void **state);
int box_empty(void **state);
/* Hand in another link, which box->socket and box->link then are; free the ones before. */
void box_connect(struct box *box);
/* Until its HELLO is there. */
void box_await(struct box *box);
/* Close and free them. */
void box_disconnect(struct box *box);
/* Move bytes until `done` or the time is over; false: over. */
bool box_run(struct box *box, int timeout_ms, bool (*done)(void *arg), void *arg);

struct reply *box_open(struct box *box, int method, const struct sa_buf *body);
void reply_free(struct reply *reply);
/* Run until END, fails the test when it does not come within 60 s. */
void reply_wait(struct reply *reply);
bool reply_wait_for(struct reply *reply, int timeout_ms);
/* Until that many bytes came on a channel. */
void reply_wait_bytes(struct reply *reply, int channel, size_t bytes);
/* Wait while nothing ends, for so long. */
void box_idle(struct box *box, int ms);

void reply_send(struct reply *reply, const char *data, size_t length, bool eof);

/* A field of the END body; -1 and NULL (static buffer) when it is not there. */
int64_t reply_int(const struct reply *reply, int tag);
const char *reply_text(const struct reply *reply, int tag);
int64_t body_int(const struct sa_buf *body, int tag);
const char *body_text(const struct sa_buf *body, int tag);

/* exec_start(box, "sh", "-c", "...", NULL) */
struct reply *exec_start(struct box *box, const char *program, ...) __attribute__((sentinel));
struct reply *exec_body(struct box *box, struct sa_buf *body);
void add_argv(struct sa_buf *body, const char *program, ...) __attribute__((sentinel));
/* "sh -c" with more fields in `extra` (may be NULL); waits for the end. */
struct reply *shell(struct box *box, const char *script, const struct sa_buf *extra);
/* The same, checked to exit with 0; the output in a static buffer. */
const char *shell_out(struct box *box, const char *script);

#define assert_status(reply, text)                                                                 \
    do {                                                                                           \
        if ((reply)->failed)                                                                       \
            fail_msg("failed: %s", (reply)->error.message);                                        \
        assert_string_equal(reply_text(reply, SA_EXEC_STATUS), text);                              \
    } while (0)
#define assert_exit(reply, code)                                                                   \
    do {                                                                                           \
        assert_status(reply, "exited");                                                            \
        assert_int_equal(reply_int(reply, SA_EXEC_EXIT_CODE), code);                               \
    } while (0)
#define assert_failed(reply, wanted, text)                                                         \
    do {                                                                                           \
        assert_true((reply)->failed);                                                              \
        if ((reply)->error.code != (wanted) || !strstr((reply)->error.message, text))              \
            fail_msg("expected %s \"%s\", got %s: %s", sa_code_name(wanted), text,                 \
                     sa_code_name((reply)->error.code), (reply)->error.message);                   \
    } while (0)
#define assert_out(reply, text)                                                                    \
    assert_string_equal(                                                                           \
        (reply)->out[SA_CHANNEL_OUT].data ? (reply)->out[SA_CHANNEL_OUT].data : "", text)

#endif
