/* The watch tells of every way in which files change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "log/log.h"
#include "loop/loop.h"
#include "lua/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 60 * 1000, QUIET_MS = 400 };

struct fixture {
    uv_loop_t *loop;
    struct folder above;
    struct folder dir; /* in `above` */
    struct sa_watch *watch;
    unsigned changed;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    sa_log_init(SA_LOG_OFF, SA_LOG_TEXT, STDERR_FILENO, NULL);
    f->loop = sa_loop_new(NULL);
    folder_make(&f->above);
    snprintf(f->dir.path, sizeof f->dir.path, "%.150s/rules", f->above.path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sa_watch_stop(f->watch);
    sa_loop_free(f->loop);
    folder_remove(&f->above);
    free(f);
    return 0;
}

static void on_changed(void *owner)
{
    ((struct fixture *)owner)->changed++;
}

static void on_time(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void run(struct fixture *f, uint64_t ms, bool until_changed)
{
    bool over = false;
    uv_timer_t timer;
    uv_timer_init(f->loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_time, ms, 0);
    while (!over && !(until_changed && f->changed))
        uv_run(f->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(f->loop, UV_RUN_NOWAIT);
}

static void start(struct fixture *f)
{
    f->watch = sa_watch_start(f->loop, (const char *const[]){f->dir.path}, 1, on_changed, f);
    run(f, QUIET_MS, false);
    assert_int_equal(f->changed, 0);
}

/* Waits until it was told of, and for what may follow: then all is known. */
static void told(struct fixture *f)
{
    run(f, PATIENCE_MS, true);
    if (!f->changed)
        fail_msg("nothing was told");
    run(f, QUIET_MS, false);
    f->changed = 0;
}

static void test_edits(void **state)
{
    struct fixture *f = *state;
    folder_write(&f->above, "rules/policies/a.lua", "one");
    folder_write(&f->above, "rules/scaling/s.lua", "one");
    start(f);
    folder_write(&f->dir, "policies/a.lua", "two");
    told(f);
    folder_write(&f->dir, "policies/b.lua", "new");
    told(f);
    folder_replace(&f->dir, "policies/a.lua", "by an editor");
    told(f);
    folder_replace(&f->dir, "policies/a.lua", "by an editor"); /* which may be told of */
    folder_replace(&f->dir, "policies/a.lua", "again");
    told(f);
    folder_delete(&f->dir, "policies/b.lua");
    told(f);
    folder_write(&f->dir, "scaling/s.lua", "two");
    told(f);
    folder_write(&f->dir, "params.lua", "new");
    told(f);
}

static void test_what_does_not_matter(void **state)
{
    struct fixture *f = *state;
    folder_write(&f->above, "rules/policies/a.lua", "one");
    start(f);
    folder_write(&f->dir, "policies/.a.lua.swp", "x");
    folder_write(&f->dir, "policies/4913", "x");
    folder_write(&f->dir, "README", "x");
    folder_write(&f->above, "other", "x");
    run(f, 3 * QUIET_MS, false);
    assert_int_equal(f->changed, 0);
}

static void test_folders_come_and_go(void **state)
{
    struct fixture *f = *state;
    start(f); /* there is none at all */
    folder_write(&f->above, "rules/policies/a.lua", "one");
    told(f);
    folder_write(&f->dir, "policies/a.lua", "two");
    told(f);
    folder_write(&f->dir, "scaling/s.lua", "one");
    told(f);
    folder_write(&f->dir, "scaling/s.lua", "two");
    told(f);
    folder_rename(&f->above, "rules", "away");
    told(f);
    folder_write(&f->above, "rules/policies/a.lua", "another");
    told(f);
    folder_write(&f->dir, "policies/a.lua", "another one");
    told(f);
    folder_remove(&f->dir);
    told(f);
    folder_rename(&f->above, "away", "rules");
    told(f);
    folder_write(&f->dir, "policies/a.lua", "three");
    told(f);
}

/* Kubernetes writes a new folder and moves `..data` onto it, twice; mounted at DIR. */
static void test_config_map_at_dir(void **state)
{
    struct fixture *f = *state;
    folder_write(&f->above, "rules/..v1/policies/a.lua", "one");
    folder_link(&f->dir, "..v1", "..data");
    folder_link(&f->dir, "..data/policies", "policies");
    start(f);
    for (int i = 2; i < 5; i++) {
        char file[64], version[16];
        snprintf(version, sizeof version, "..v%d", i);
        snprintf(file, sizeof file, "..v%d/policies/a.lua", i);
        folder_write(&f->dir, file, "one");
        folder_relink(&f->dir, version, "..data");
        told(f);
    }
}

/* The same, mounted at DIR/policies. */
static void test_config_map_at_policies(void **state)
{
    struct fixture *f = *state;
    folder_write(&f->above, "rules/policies/..v1/a.lua", "one");
    folder_link(&f->dir, "..v1", "policies/..data");
    folder_link(&f->dir, "..data/a.lua", "policies/a.lua");
    start(f);
    for (int i = 2; i < 5; i++) {
        char file[64], version[16];
        snprintf(version, sizeof version, "..v%d", i);
        snprintf(file, sizeof file, "policies/..v%d/a.lua", i);
        folder_write(&f->dir, file, "one");
        folder_relink(&f->dir, version, "policies/..data");
        told(f);
    }
}

/* Where no event tells: a link to a file elsewhere. */
static void test_slow_look(void **state)
{
    struct fixture *f = *state;
    folder_write(&f->above, "elsewhere/a.lua", "one");
    folder_write(&f->above, "rules/policies/b.lua", "one");
    folder_link(&f->dir, "../../elsewhere/a.lua", "policies/a.lua");
    start(f);
    folder_write(&f->above, "elsewhere/a.lua", "two");
    told(f);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_edits),
        TEST(test_what_does_not_matter),
        TEST(test_folders_come_and_go),
        TEST(test_config_map_at_dir),
        TEST(test_config_map_at_policies),
        TEST(test_slow_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
