/* Starting and stopping agent-api as a whole. */
#ifndef SA_API_APP_RUN_H
#define SA_API_APP_RUN_H

#include "api/app.h"

struct sa_app_run;

/* The controllers are not the API's, and may run in another process: the program that has both
 * starts them by these. */
struct sa_app_controllers {
    void *(*start)(const struct sa_app *app);
    /* `done` comes from the loop. */
    void (*stop)(void *controllers, void (*done)(void *user), void *user);
};

struct sa_app_options {
    uv_loop_t *loop;
    const char *listen;        /* ADDR:PORT */
    int64_t listen_fd;         /* a socket that listens there already; -1: none */
    const char *data_dir;      /* holds the database */
    const char *node_socket;   /* path; lives on */
    const char *bootstrap_key; /* registered as an admin key; NULL: none */
    const char *tls_cert, *tls_key;
    const char *const *allow_origins; /* live on */
    size_t allow_origin_count;
    size_t max_sandboxes;
    const char *domain; /* ports are <port>-<id>.<domain>; must outlive the run */
    size_t spool_bytes,
        spool_total_bytes;          /* output kept of one execution, and of all; 0: defaults */
    int64_t retention_ms;           /* how long records of ended sandboxes are kept */
    const char *package_mirror;     /* the directory that sandboxes install from; NULL: none */
    const char *const *policy_dirs; /* rules of the operator; live on */
    size_t policy_dir_count;
    int64_t run_as;                               /* user to become; -1: stay */
    const struct sa_app_controllers *controllers; /* lives on; NULL: they run elsewhere */
    /* Node and policies are there: the API can serve (err is NULL), or one of them cannot. */
    void (*ready)(struct sa_app_run *run, const struct sa_error *err);
};

struct sa_app_run {
    struct sa_app app;
    const struct sa_app_controllers *controllers;
    void *running_controllers;
    uv_timer_t prune_timer;
    int64_t retention_ms;
    int parts_open;
    int parts_awaited; /* before it is ready */
    int exit_status;
    void (*ready)(struct sa_app_run *run, const struct sa_error *err);
    int64_t ready_fd; /* of the caller */
};

/* Listens and reads the TLS key with the privilege that it has, gives it up (api/privilege.h), and
 * only then opens the database and looks at what clients send. -1: nothing is left but closing
 * handles (run the loop). */
int sa_app_start(struct sa_app_run *run, const struct sa_app_options *options,
                 struct sa_error *err);
/* Drain: stop listening, end the sandboxes, finish answers; then the loop has nothing left to do.
 * A second call cuts short. */
void sa_app_stop(struct sa_app_run *run, int exit_status);

#endif
