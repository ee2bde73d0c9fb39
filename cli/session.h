/*
 * An execution that is followed live over the server's WebSocket stream: output as it comes,
 * input, signals and the size of the terminal the other way. When the connection breaks it is
 * made again and the output goes on from where it was.
 */
#ifndef SA_CLI_SESSION_H
#define SA_CLI_SESSION_H

#include "client.h"
#include "run_stream.h"

#include "json/write.h"

struct sa_session_options {
    struct sa_client *client;
    const char *command; /* of the command line, for messages: "exec" */
    const char *sandbox_id;
    /* Writes the members of the execute message. */
    void (*describe)(void *user, struct sa_json_w *w);
    /* A line (malloc'd, without its end) for code that asks for one; NULL: there is none. The
     * message must say "stdin": true. May be NULL. */
    char *(*answer)(void *user, const char *prompt);
    void *user;
    const char *execution; /* instead: an execution to follow, from `offset` */
    int64_t offset;
    bool tty;          /* raw mode; the window's size is sent and kept up to date */
    bool input;        /* pass standard input on (the message must say "stdin": true) */
    bool show_results; /* print what code evaluated to */
    double timeout_s;  /* for the message when it is over */
};

/* Returns the exit status of what ran, as sa_run_stream_exit_status(); -1: it could not be
 * started or followed. SIGINT goes to the program; a second one within 2 s cancels it, a third
 * leaves it. An execution that is only followed is never touched. */
int sa_session_run(const struct sa_session_options *options, struct sa_error *err);

#endif
