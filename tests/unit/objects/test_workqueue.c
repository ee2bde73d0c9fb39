/* The workqueue: once each, again after, later and later, in turn. */
#include "objects/workqueue.h"

#include "base/buf.h"
#include "loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t clock_ms;

static uint64_t now_ms(void)
{
    return clock_ms;
}

struct world {
    uv_loop_t *loop;
    struct sa_workqueue *queue;
    struct sa_buf story; /* the keys that were worked on */
    enum sa_work result;
    bool hold;       /* the test says when work is done */
    const char *add; /* added while the next key is worked on */
};

static void on_work(void *owner, const char *key)
{
    struct world *w = owner;
    sa_buf_printf(&w->story, "%s ", key);
    const char *add = w->add;
    w->add = NULL;
    if (add)
        sa_workqueue_add(w->queue, add);
    if (!w->hold)
        sa_workqueue_done(w->queue, key, w->result);
}

static int setup_with(void **state, unsigned workers)
{
    struct world *w = calloc(1, sizeof *w);
    w->loop = sa_loop_new(NULL);
    clock_ms = 1000;
    w->queue = sa_workqueue_new(&(struct sa_workqueue_options){.loop = w->loop,
                                                               .workers = workers,
                                                               .retry_first_ms = 10,
                                                               .retry_max_ms = 50,
                                                               .now_ms = now_ms,
                                                               .work = on_work,
                                                               .owner = w});
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, 1);
}

static int teardown(void **state)
{
    struct world *w = *state;
    sa_workqueue_free(w->queue);
    sa_loop_free(w->loop);
    sa_buf_deinit(&w->story);
    free(w);
    return 0;
}

static void turn(struct world *w)
{
    for (int i = 0; i < 50; i++)
        uv_run(w->loop, UV_RUN_NOWAIT);
}

static void expect(struct world *w, const char *story)
{
    turn(w);
    assert_string_equal(w->story.data ? w->story.data : "", story);
}

/* The queue's clock goes on; its timer, which is set in real time, is awaited. */
static void pass_until(struct world *w, uint64_t ms, const char *story)
{
    clock_ms += ms;
    for (int i = 0; i < 1000 && strcmp(w->story.data ? w->story.data : "", story) != 0; i++)
        uv_run(w->loop, UV_RUN_ONCE);
    expect(w, story);
}

static void test_once_each(void **state)
{
    struct world *w = *state;
    sa_workqueue_add(w->queue, "n/a");
    sa_workqueue_add(w->queue, "n/b");
    sa_workqueue_add(w->queue, "n/a");
    assert_int_equal(sa_workqueue_depth(w->queue), 2);
    assert_string_equal(w->story.data ? w->story.data : "", ""); /* never from within */
    expect(w, "n/a n/b ");
    assert_true(sa_workqueue_idle(w->queue, 1000));
    sa_workqueue_add(w->queue, "n/a");
    expect(w, "n/a n/b n/a ");
}

/* Never twice at once; what came meanwhile is worked on after, once. */
static void test_added_while_working(void **state)
{
    struct world *w = *state;
    w->hold = true;
    sa_workqueue_add(w->queue, "n/a");
    turn(w);
    sa_workqueue_add(w->queue, "n/a");
    sa_workqueue_add(w->queue, "n/a");
    expect(w, "n/a ");
    assert_false(sa_workqueue_idle(w->queue, 0));
    sa_workqueue_done(w->queue, "n/a", SA_WORK_OK);
    expect(w, "n/a n/a ");
    sa_workqueue_done(w->queue, "n/a", SA_WORK_OK);
    sa_workqueue_done(w->queue, "n/a", SA_WORK_OK); /* not worked on: no matter */
    expect(w, "n/a n/a ");
    w->hold = false;
    w->add = "n/b"; /* by the work itself */
    sa_workqueue_add(w->queue, "n/b");
    expect(w, "n/a n/a n/b n/b ");
}

static void test_workers(void **state)
{
    struct world *w = *state;
    w->hold = true;
    sa_workqueue_add(w->queue, "n/a");
    sa_workqueue_add(w->queue, "n/b");
    sa_workqueue_add(w->queue, "n/c");
    expect(w, "n/a n/b ");
    sa_workqueue_done(w->queue, "n/b", SA_WORK_OK);
    expect(w, "n/a n/b n/c ");
}

static int setup_two(void **state)
{
    return setup_with(state, 2);
}

static void test_delayed(void **state)
{
    struct world *w = *state;
    sa_workqueue_add_after(w->queue, "n/late", 30);
    sa_workqueue_add_after(w->queue, "n/soon", 20);
    sa_workqueue_add_after(w->queue, "n/late", 40); /* the earlier one stands */
    sa_workqueue_add_after(w->queue, "n/other", 25);
    sa_workqueue_add(w->queue, "n/other"); /* now is earlier */
    expect(w, "n/other ");
    assert_false(sa_workqueue_idle(w->queue, 25));
    assert_true(sa_workqueue_idle(w->queue, 15));
    pass_until(w, 20, "n/other n/soon ");
    pass_until(w, 10, "n/other n/soon n/late ");
    assert_true(sa_workqueue_idle(w->queue, 1000));
    sa_workqueue_add_after(w->queue, "n/a", 0);
    expect(w, "n/other n/soon n/late n/a ");
}

static void test_backs_off(void **state)
{
    struct world *w = *state;
    w->result = SA_WORK_RETRY;
    sa_workqueue_add(w->queue, "k");
    expect(w, "k ");
    static const uint64_t pauses[] = {10, 20, 40, 50, 50};
    char story[32] = "k ";
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        assert_true(sa_workqueue_idle(w->queue, (int64_t)pauses[i] - 1));
        assert_false(sa_workqueue_idle(w->queue, (int64_t)pauses[i]));
        snprintf(story + strlen(story), sizeof story - strlen(story), "%s", "k ");
        pass_until(w, pauses[i], story);
    }
    w->result = SA_WORK_OK;
    snprintf(story + strlen(story), sizeof story - strlen(story), "%s", "k ");
    pass_until(w, 50, story);
    assert_true(sa_workqueue_idle(w->queue, 100000));
    w->result = SA_WORK_RETRY; /* what went well once begins anew */
    sa_workqueue_add(w->queue, "k");
    turn(w);
    assert_false(sa_workqueue_idle(w->queue, 10));
}

/* A group with many keys takes turns with one that has few. */
static void test_fair(void **state)
{
    struct world *w = *state;
    char key[16];
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "big/%d", i);
        sa_workqueue_add(w->queue, key);
    }
    sa_workqueue_add(w->queue, "small/a");
    sa_workqueue_add(w->queue, "small/b");
    sa_workqueue_add(w->queue, "none");
    expect(w, "big/0 small/a none big/1 small/b big/2 big/3 big/4 ");
}

/* However keys are added, delayed, failed and added again: each add is followed by work, never two
 * at once, and at the end nothing is left. */
static void test_at_random(void **state)
{
    enum { KEYS = 20, STEPS = 20000 };
    struct world *w = *state;
    bool owed[KEYS] = {false}, working[KEYS] = {false};
    unsigned seed = 7;
    size_t read = 0;
    w->hold = true;
    for (int step = 0; step < STEPS; step++) {
        char key[16];
        int k = rand_r(&seed) % KEYS, what = rand_r(&seed) % 4;
        snprintf(key, sizeof key, "g%d/%02d", k % 3, k);
        if (what == 0) {
            sa_workqueue_add(w->queue, key);
            owed[k] = true;
        } else if (what == 1) {
            sa_workqueue_add_after(w->queue, key, 1 + rand_r(&seed) % 5);
            owed[k] = true;
        } else if (working[k]) {
            bool retry = rand_r(&seed) % 3 == 0;
            working[k] = false;
            owed[k] = owed[k] || retry;
            sa_workqueue_done(w->queue, key, retry ? SA_WORK_RETRY : SA_WORK_OK);
        }
        clock_ms += (uint64_t)(rand_r(&seed) % 2);
        uv_run(w->loop, UV_RUN_NOWAIT);
        for (; read + 6 <= w->story.length; read += 6) {
            long begun = strtol(w->story.data + read + 3, NULL, 10);
            assert_true(owed[begun] && !working[begun]);
            owed[begun] = false;
            working[begun] = true;
        }
    }
    w->hold = false;
    for (int k = 0; k < KEYS; k++) {
        char key[16];
        snprintf(key, sizeof key, "g%d/%02d", k % 3, k);
        if (working[k])
            sa_workqueue_done(w->queue, key, SA_WORK_OK);
    }
    while (!sa_workqueue_idle(w->queue, 1000000)) {
        clock_ms += 10;
        uv_run(w->loop, UV_RUN_ONCE);
    }
    for (; read + 6 <= w->story.length; read += 6)
        owed[strtol(w->story.data + read + 3, NULL, 10)] = false;
    for (int k = 0; k < KEYS; k++)
        assert_false(owed[k]);
}

#define QUEUE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_once_each),
        QUEUE_TEST(test_added_while_working),
        cmocka_unit_test_setup_teardown(test_workers, setup_two, teardown),
        QUEUE_TEST(test_delayed),
        QUEUE_TEST(test_backs_off),
        QUEUE_TEST(test_fair),
        cmocka_unit_test_setup_teardown(test_at_random, setup_two, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
