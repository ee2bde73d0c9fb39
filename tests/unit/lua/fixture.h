/* A worker of tests: the parent side of fake_worker.c, and what it was told. */
#ifndef SA_TEST_LUA_FIXTURE_H
#define SA_TEST_LUA_FIXTURE_H

#include "lua/worker.h"

enum { ANSWERS_MAX = 8192 };

struct fixture;
struct asked {
    struct fixture *fixture;
    int index;
};
struct answer {
    unsigned times; /* `done` was called */
    int order;      /* among all answers, from 1 */
    struct sa_error err;
    bool verdict; /* there was one */
    char text[512];
};

struct fixture {
    uv_loop_t *loop;
    struct sa_worker *worker;
    struct sa_buf points;
    unsigned started, died;
    struct sa_error start_error, death;
    char compiled[512], tested[512];
    int answered;
    struct answer answers[ANSWERS_MAX];
    struct asked asked[ANSWERS_MAX]; /* what calls carry */
    void (*on_answer)(struct fixture *f, int index);
};

/* For cmocka; teardown asserts that nothing is left: handles, children, descriptors. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Starts a fake worker in that mode; does not wait for it. */
void begin(struct fixture *f, const char *mode, bool test, const struct sa_worker_limits *limits);
/* As above in mode "good", READY. */
void begin_ready(struct fixture *f, const struct sa_worker_limits *limits);

/* Asks {act = "..."}; the answer goes to answers[index]. */
struct sa_worker_call *ask(struct fixture *f, int index, const char *act);
struct sa_worker_call *ask_json(struct fixture *f, int index, const char *json);

/* Runs the loop until the counter is there; fails the test after a minute. */
void until(struct fixture *f, const unsigned *counter, unsigned value);
void until_answered(struct fixture *f, int count);
/* Runs the loop until the process is gone. */
void until_gone(struct fixture *f, pid_t pid);

#endif
