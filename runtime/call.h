/*
 * A call: one open stream of the link and the method that serves it. conn.c makes them when the
 * control plane opens a stream and passes on what arrives; each method embeds a struct sa_call as
 * its first member. Once a method has ended the stream it frees itself with sa_call_done().
 */
#ifndef SA_RUNTIME_CALL_H
#define SA_RUNTIME_CALL_H

#include "boot.h"
#include "link/link.h"
#include "link/methods.h"

struct sa_call;

/* Any member may be NULL: then data is dropped (and its credit returned), notes are ignored, and
 * a cancel has to wait for the end. */
struct sa_method {
    void (*data)(struct sa_call *call, enum sa_link_channel channel, const void *data,
                 size_t length);
    void (*eof)(struct sa_call *call, enum sa_link_channel channel);
    void (*note)(struct sa_call *call, const void *body, size_t length);
    void (*writable)(struct sa_call *call);
    void (*canceled)(struct sa_call *call); /* or the connection is lost: see `lost` */
    /* Everything is being ended: let go at once, as canceled. NULL: as `canceled`, and it is waited
     * for. */
    void (*dropped)(struct sa_call *call);
    /* The runtime is about to exit: leave nothing behind in the file system. */
    void (*abandon)(struct sa_call *call);
};

struct sa_call {
    const struct sa_method *method;
    struct sa_stream *stream;
    bool lost; /* nobody is there: what is sent goes nowhere, and no credit comes */
    struct sa_call *prev, *next;
};

/* A zeroed, registered call of `bytes` (the method's own struct). */
void *sa_call_new(size_t bytes, const struct sa_method *method, struct sa_stream *stream);
/* Unregister and free. The stream must have been ended. */
void sa_call_done(struct sa_call *call);

/* Ends the stream, then sa_call_done(). */
void sa_call_end(struct sa_call *call, const struct sa_buf *result);
void sa_call_fail(struct sa_call *call, const struct sa_error *error);

/* The methods: each reads the fields and starts, or ends the stream with an error. */
typedef void sa_method_open(struct sa_stream *stream, const void *body, size_t length);
sa_method_open sa_exec_open, sa_file_read_open, sa_file_write_open, sa_file_stat_open,
    sa_file_list_open, sa_file_mkdir_open, sa_file_move_open, sa_file_remove_open,
    sa_file_copy_open, sa_file_chmod_open, sa_file_watch_open, sa_file_export_open,
    sa_file_import_open, sa_usage_open, sa_shutdown_open, sa_port_connect_open, sa_port_list_open,
    sa_clock_open, sa_setup_open, sa_seal_open, sa_reset_open;

/* A child that is not ours ended, or the main process of an execution. */
void sa_exec_reap(void);
/* How many were reaped so far. */
int64_t sa_exec_reaped(void);
/* No more output of the background is waited for. */
void sa_exec_drop_leftovers(void);

#endif
