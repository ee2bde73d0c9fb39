/* What the files of the EXEC method share: exec_request.c decodes, exec_start.c starts, exec.c
 * lives, exec_io.c opens the descriptors, exec_out.c and feed.c move bytes. */
#ifndef SA_RUNTIME_EXEC_H
#define SA_RUNTIME_EXEC_H

#include "call.h"
#include "feed.h"
#include "poller.h"
#include "proc.h"
#include "spawn.h"
#include "template.h"

enum {
    EXEC_ARGS_MAX = 4096,
    EXEC_ENV_MAX = 1024,
    EXEC_TEXT_MAX = 128 * 1024, /* a single argument; Linux has the same limit */
    EXEC_GRACE_MS = 500,
    EXEC_ANSWER_US = 2 * 1000 * 1000, /* for the spare of a template */
    EXEC_SPARE_US = 20 * 1000,        /* for one that is on its way */
    EXEC_SPARE_CONTEXT_US = 200 * 1000,
    EXEC_WARM_US = 100 * 1000, /* between looks whether it still is */
    EXEC_WARM_MOST_US = 30 * 1000 * 1000,
    EXEC_WINDOW_MAX = 4096, /* rows, columns */
    EXEC_TIME_MAX_MS = 7 * 24 * 3600 * 1000,
    /* After the main process has exited its output ends when the pipes close, have been quiet for
     * so long, or after so long although somebody in the background goes on writing. */
    EXEC_QUIET_US = 50 * 1000,
    EXEC_NOISE_US = 500 * 1000,
};

/* A list of texts that ends with NULL. */
struct exec_texts {
    char **items;
    size_t count, capacity;
};

/* The decoded request. */
struct exec_request {
    struct exec_texts argv; /* malloc'd */
    struct exec_texts env;  /* malloc'd; behind the first env_own, what all programs have */
    size_t env_own;
    char *cwd;
    bool stdin_pipe, control;
    bool template; /* fork from the template, if that can be */
    bool warm;     /* wait until it can */
    struct exec_texts imports;
    int64_t window; /* of a terminal: rows << 16 | columns; 0: none */
    int64_t timeout_ms, grace_ms, out_max;
    const struct sa_filter *filter;
    struct sa_rlimits limits;
    int code_fd; /* a memfd that is being filled while code_left > 0 */
    int64_t code_left;
};

int exec_request_decode(struct exec_request *request, const void *body, size_t length,
                        struct sa_error *err);
/* Take code that has arrived, at most code_left of it; returns how much, or -1. With the last of
 * it the code is sealed. */
ssize_t exec_request_code(struct exec_request *request, const void *data, size_t length,
                          struct sa_error *err);
void exec_request_deinit(struct exec_request *request);
/* Rows and columns from 1 to 4096. */
bool exec_window_valid(int64_t window);

struct exec;

/* stdout, stderr or control on its way into the link. */
struct pump {
    struct sa_watch watch;
    struct exec *exec;
    enum sa_link_channel channel;
    bool paused; /* waits for `writable` */
    bool enlarged;
    int64_t total, forwarded, limit;
    int64_t must_drain;     /* what was in the pipe when the main process exited */
    int64_t before_control; /* what has to go before the control channel does */
};

enum { PUMP_OUT, PUMP_ERR, PUMP_CONTROL, PUMPS };
enum { FEED_STDIN, FEED_CONTROL, FEEDS };

/* The ends that the program gets; -1: none. */
struct exec_child_fds {
    int fds[3]; /* a terminal is the first, for all three */
    int extra;  /* its descriptor 3 */
};

enum exec_outcome { EXEC_RUNS, EXEC_TIMEOUT, EXEC_CANCELED };

struct exec {
    struct sa_call call;
    struct exec *prev, *next;     /* all that run */
    struct exec_request *request; /* until it runs */
    struct sa_spawn spawn;
    struct sa_watch result; /* of the start */
    struct pump pumps[PUMPS];
    struct sa_feed feeds[FEEDS];
    int64_t control_due; /* bytes of control that may go once the pipes are drained */
    struct sa_timer deadline, killer, quiet, answer, spare;
    struct exec_child_fds child; /* until it runs */
    pid_t pid;                   /* of the main process; 0 once it was waited for */
    struct sa_proc_group group;
    enum exec_outcome outcome;
    int64_t grace_us, stop_us; /* when it was told to stop */
    int kills;
    bool tty, control;
    bool forks;      /* asked the template's spare; its answer is not known yet */
    bool lost;       /* the spare has run nothing: start it once more when it is gone */
    bool reaped;     /* its process is gone */
    bool waits;      /* for a spare that is on its way */
    bool wishes;     /* afterwards there is to be a spare */
    bool hang_up;    /* asked for before it ran */
    bool note_due;   /* the NOTE with the pid found no room yet */
    bool exited;     /* the main process */
    bool gone;       /* the whole execution, after it was told to stop */
    bool quiet_over; /* enough waited for output from the background */
    pid_t noted_pid;
    int status;
    int64_t start_us, exit_us, cpu_us, memory_peak;
};

/* exec.c: output moved or ended; perhaps the execution is over. May free it. */
void exec_check(struct exec *exec);
/* It cannot start: ends the call with the error, and frees it. */
void exec_fail(struct exec *exec, const struct sa_error *error);
/* All that run, as a utlist. */
struct exec *exec_first(void);

/* exec_start.c */
void exec_start_init(struct exec *exec);
/* Starts the program, now or when a spare of the template has come. */
int exec_start(struct exec *exec, struct sa_error *err);
/* Reads the result of the start; the execution may be gone afterwards. */
void exec_start_known(struct exec *exec);
/* The spare is gone and has run nothing. */
void exec_start_again(struct exec *exec);
/* The NOTE with the pid, and then output; false: there is no room for it yet. */
bool exec_start_tell(struct exec *exec);
/* What was for the start alone. */
void exec_start_close(struct exec *exec);

/* exec_io.c */
void exec_io_init(struct exec *exec);
int exec_io_open(struct exec *exec, struct exec_child_fds *child, struct sa_error *err);
/* It runs: let bytes flow. */
void exec_io_start(struct exec *exec);
void exec_io_resize(struct exec *exec, int64_t window);
/* The opener left the terminal: what it shows is forwarded, then it is gone. */
void exec_io_hang_up(struct exec *exec);
/* Close all; what background processes still hold open is read and dropped from now on. */
void exec_io_finish(struct exec *exec);
/* It never ran: just close. */
void exec_io_close(struct exec *exec);

/* exec_out.c */
void exec_out_init(struct exec *exec);
void exec_out_start(struct exec *exec);
/* The main process exited: take what is in the pipes. */
void exec_out_drain(struct exec *exec);
void exec_out_writable(struct exec *exec);
bool exec_out_drained(const struct exec *exec); /* nothing from before the exit is left */
bool exec_out_closed(const struct exec *exec);
void exec_out_hurry(struct exec *exec); /* do not wait for what is in the pipes */
void exec_out_finish(struct exec *exec);
void exec_out_close(struct exec *exec);

#endif
