/*
 * kill -9 at any moment: a child writes, says of each answer what it was, and is killed. Whoever
 * opens the store then finds everything that was answered, nothing half, nothing out of order,
 * and versions go on upwards.
 */
#include "scratch_target.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 20, PAIRS = 64, ANSWERS_MAX = 2000 };

/* Pair n: "x<n>" is written first, "y<n>" right behind it, not waiting; both with the same number.
 * "z<n>" is made and deleted in turn. */
struct record { /* what the child says of an answer */
    char kind;  /* x, y, z: made, d: z deleted */
    int pair;
    int64_t number;
    uint64_t version;
};
struct known {
    int64_t x, y;
    uint64_t z_made, z_deleted;
};

/* ---- the child ---- */

struct pair {
    struct world *w;
    int number, pending;
    int64_t count;
    bool z_there;
};
struct asked {
    struct pair *pair;
    char kind;
    int64_t number;
};
static int say_fd;

static void write_pair(struct pair *pair);

static void on_answer(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct asked *asked = user;
    struct pair *pair = asked->pair;
    if (err)
        _exit(3);
    const struct record record = {.kind = asked->kind,
                                  .pair = pair->number,
                                  .number = asked->number,
                                  .version = strtoull(version_of(object), NULL, 10)};
    if (write(say_fd, &record, sizeof record) != sizeof record)
        _exit(4);
    free(asked);
    if (--pair->pending == 0)
        write_pair(pair);
}

static struct asked *ask(struct pair *pair, char kind)
{
    struct asked *asked = sa_alloc(sizeof *asked);
    *asked = (struct asked){pair, kind, pair->count};
    pair->pending++;
    return asked;
}

static void write_number(struct pair *pair, char kind)
{
    char name[16], json[96];
    snprintf(name, sizeof name, "%c%d", kind, pair->number);
    int n = snprintf(json, sizeof json, "{\"status\":{\"seen\":%lld,\"phase\":\"p%lld\"}}",
                     (long long)pair->count, (long long)pair->count);
    sa_objects_patch(pair->w->objects, &thing_kind,
                     &(struct sa_objects_patch){.namespace_ = "default",
                                                .name = name,
                                                .subresource = SA_SUBRESOURCE_STATUS,
                                                .json = json,
                                                .length = (size_t)n},
                     on_answer, ask(pair, kind));
}

static void write_pair(struct pair *pair)
{
    char name[16], json[64];
    pair->count++;
    write_number(pair, 'x');
    write_number(pair, 'y');
    snprintf(name, sizeof name, "z%d", pair->number);
    if (pair->z_there) {
        sa_objects_delete(pair->w->objects, &thing_kind,
                          &(struct sa_objects_delete){.namespace_ = "default", .name = name},
                          on_answer, ask(pair, 'd'));
    } else {
        int n = snprintf(json, sizeof json, "{\"metadata\":{\"name\":\"%s\"}}", name);
        sa_objects_create(pair->w->objects, &thing_kind, json, (size_t)n, false, on_answer,
                          ask(pair, 'z'));
    }
    pair->z_there = !pair->z_there;
}

static void run_child(struct world *w)
{
    struct pair pairs[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        const struct sa_object *x = ok(get_(w, &thing_kind, name));
        snprintf(name, sizeof name, "z%d", i);
        pairs[i] = (struct pair){.w = w,
                                 .number = i,
                                 .count = status_of(x)->seen,
                                 .z_there = get_(w, &thing_kind, name).object != NULL};
        write_pair(&pairs[i]);
    }
    uv_run(w->loop, UV_RUN_DEFAULT);
}

/* ---- the parent ---- */

static void note(struct known known[PAIRS], const struct record *r, uint64_t *highest)
{
    struct known *k = &known[r->pair];
    if (r->kind == 'x')
        k->x = r->number;
    else if (r->kind == 'y')
        k->y = r->number;
    else if (r->kind == 'z')
        k->z_made = r->version;
    else
        k->z_deleted = r->version;
    if (r->kind != 'd' && r->version > *highest)
        *highest = r->version;
}

/* Runs a child until it has said so many answers. */
static void run_and_kill(struct known known[PAIRS], int answers, uint64_t *highest)
{
    int fds[2];
    struct record record;
    assert_int_equal(0, pipe2(fds, O_CLOEXEC));
    pid_t child = fork();
    if (child == 0) {
        void *state = NULL;
        say_fd = fds[1];
        scratch_reopen(&state);
        run_child(state);
        _exit(5);
    }
    close(fds[1]);
    for (int i = 0; read(fds[0], &record, sizeof record) == sizeof record; i++) {
        note(known, &record, highest);
        if (i == answers)
            assert_int_equal(0, kill(child, SIGKILL));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(fds[0]);
}

static int64_t number_of(struct world *w, char kind, int pair)
{
    char name[16], phase[32];
    snprintf(name, sizeof name, "%c%d", kind, pair);
    const struct sa_object *o = ok(get_(w, &thing_kind, name));
    snprintf(phase, sizeof phase, "p%lld", (long long)status_of(o)->seen);
    assert_string_equal(status_of(o)->phase, status_of(o)->seen ? phase : ""); /* nothing half */
    return status_of(o)->seen;
}

static void check(const struct known known[PAIRS], uint64_t highest)
{
    void *state = NULL;
    scratch_reopen(&state);
    struct world *w = state;
    for (int i = 0; i < PAIRS; i++) {
        char name[16];
        int64_t x = number_of(w, 'x', i), y = number_of(w, 'y', i);
        assert_true(x >= known[i].x && y >= known[i].y);
        assert_true(x == y || x == y + 1); /* never the later write without the earlier */
        snprintf(name, sizeof name, "z%d", i);
        struct result z = get_(w, &thing_kind, name);
        uint64_t version = z.object ? strtoull(version_of(z.object), NULL, 10) : 0;
        if (known[i].z_made > known[i].z_deleted)
            assert_true(!z.object || version >= known[i].z_made);
        else if (z.object)
            assert_true(version > known[i].z_deleted);
    }
    const struct sa_object *next =
        ok(create_(w, &other_kind, false, "{'metadata':{'generateName':'n-'}}"));
    assert_true(strtoull(version_of(next), NULL, 10) > highest);
    world_teardown(&state);
}

static void test_killed(void **state)
{
    struct known known[PAIRS] = {{0}};
    uint64_t highest = 0;
    unsigned seed = (unsigned)getpid();
    struct world *w = *state;
    print_message("seed %u\n", seed);
    for (int i = 0; i < PAIRS; i++) {
        ok(create_(w, &thing_kind, false, "{'metadata':{'name':'x%d'}}", i));
        ok(create_(w, &thing_kind, false, "{'metadata':{'name':'y%d'}}", i));
    }
    world_teardown(state);
    for (int round = 0; round < ROUNDS; round++) {
        run_and_kill(known, rand_r(&seed) % ANSWERS_MAX, &highest);
        check(known, highest);
    }
    scratch_reopen(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed, scratch_setup, scratch_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
