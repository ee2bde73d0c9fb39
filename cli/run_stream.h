/*
 * The output of an execution as it arrives: NDJSON lines (StreamItem of api/openapi/) become
 * bytes on standard output and standard error, exactly those that the program wrote, and in the
 * end the outcome.
 */
#ifndef SA_CLI_RUN_STREAM_H
#define SA_CLI_RUN_STREAM_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sa_run_stream {
    struct sa_buf line;    /* not yet whole */
    size_t scanned;        /* bytes of it that hold no newline */
    struct sa_error error; /* why feeding failed */
    bool pipe_closed;      /* because nobody reads our output any more */
    bool refused;          /* because the server refused a message of ours: `error` is its */
    enum {                 /* what the last item was */
           SA_RUN_STREAM_OTHER,
           SA_RUN_STREAM_STARTED,
           SA_RUN_STREAM_PROMPT,
           SA_RUN_STREAM_PONG
    } last;
    char prompt[256]; /* of SA_RUN_STREAM_PROMPT */
    /* what came */
    char id[64];         /* of the execution; "" until it has started */
    int64_t next_offset; /* behind the last item */
    const char *command; /* of the command line, for messages; NULL: "run" */
    bool show_results;   /* print the text of what code evaluated to */
    /* the outcome */
    bool ended;
    char status[16];   /* "exited", "signaled", ... */
    int exit_code;     /* -1: none */
    int signal;        /* 0: none */
    bool cut[2];       /* stdout, stderr hit the server's cap */
    char message[512]; /* of status "failed" */
    bool not_found;    /* it failed because there is no such program */
};

void sa_run_stream_deinit(struct sa_run_stream *stream);
/* A piece of the answer's body. Nonzero: stop (stream->error, unless pipe_closed). */
int sa_run_stream_feed(void *stream, const char *data, size_t length);
/* One item alone. -1: stop, as above. */
int sa_run_stream_item(struct sa_run_stream *stream, const char *text, size_t length);
/* What `secureagent run` exits with: the program's own code, 128 + signal, 124 after the timeout,
 * 137 when memory ran out, 127 when there is no such program. Tells on standard error what the
 * program cannot have told. */
int sa_run_stream_exit_status(const struct sa_run_stream *stream, double timeout_s);

#endif
