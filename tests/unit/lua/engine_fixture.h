/* An engine of tests over fake_rules.c: points "execute" (allow, deny), "files" (allow, deny) and
 * "scaling" (no verdicts), a folder of rules, and what it was told. */
#ifndef SA_TEST_LUA_ENGINE_FIXTURE_H
#define SA_TEST_LUA_ENGINE_FIXTURE_H

#include "folder.h"
#include "lua/engine.h"

enum { EXECUTE, FILES, SCALING };

struct engine_fixture;
struct answer {
    struct engine_fixture *fixture;
    unsigned times;
    enum sa_code code; /* SA_OK: there was a verdict */
    char text[512];    /* the verdict as JSON, or the error's message */
    struct sa_verdict_meta meta;
};

struct engine_fixture {
    uv_loop_t *loop;
    struct sa_metrics *metrics;
    struct sa_engine *engine;
    struct folder rules, state;
    char state_path[192];
    struct sa_buf points;
    const char *program, *const *point_names; /* may be replaced before the start */
    bool watch, keep;
    struct sa_worker_limits limits;
    unsigned ready, changed, reloaded, answered;
    struct sa_error ready_error, changed_error, reload_error;
};

int engine_fixture_setup(void **state);
int engine_fixture_teardown(void **state); /* asserts that nothing is left */

/* "policies/NAME.lua": a rule of the point that answers so. */
void rule(struct engine_fixture *f, const char *name, const char *point, const char *answer);
/* Start and wait until it is ready. */
void engine_begin(struct engine_fixture *f);
void engine_begin_good(struct engine_fixture *f); /* and there was no error */
void engine_end(struct engine_fixture *f);

/* The answer goes to *answer, which must be zero. */
struct sa_engine_call *ask(struct engine_fixture *f, unsigned point, const char *json,
                           struct answer *answer);
void ask_and_wait(struct engine_fixture *f, unsigned point, const char *json,
                  struct answer *answer);
/* Reload and wait; the code of its error. */
enum sa_code reload(struct engine_fixture *f);
enum sa_code rollback(struct engine_fixture *f, uint64_t generation);

void until(struct engine_fixture *f, const unsigned *counter, unsigned value);
void until_generation(struct engine_fixture *f, uint64_t generation);
/* sa_engine_print as text; free() it. */
char *print(struct engine_fixture *f);
void assert_has(const char *text, const char *part);

/* Pid of the worker in force, as printed. */
pid_t worker_pid(struct engine_fixture *f);

#endif
