/* SEAL and RESET: what a tenant left behind is gone, or it is said what is not. */
#include "box.h"

#include "base/arena.h"
#include "base/clock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct box box;
static char fingerprint[80];

static int start(void **state)
{
    (void)state;
    box_start(&box, &(struct box_options){.sealable = true, .kernels = true});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    assert_int_equal(sa_link_stream_count(box.link), 0);
    box_stop(&box, 0);
    return 0;
}

static struct reply *ask(int method)
{
    struct reply *r = box_open(&box, method, NULL);
    reply_wait(r);
    return r;
}

static void seal(void)
{
    struct reply *r = ask(SA_METHOD_SEAL);
    if (r->failed)
        fail_msg("SEAL: %s: %s", r->error.path, r->error.message);
    snprintf(fingerprint, sizeof fingerprint, "%s", reply_text(r, SA_RESET_FINGERPRINT));
    assert_int_equal(strlen(fingerprint), 64);
    reply_free(r);
}

static void clean(void)
{
    struct reply *r = ask(SA_METHOD_RESET);
    if (r->failed)
        fail_msg("RESET: %s: %s", r->error.path, r->error.message);
    assert_string_equal(reply_text(r, SA_RESET_FINGERPRINT), fingerprint);
    reply_free(r);
}

static void unclean(const char *path, const char *message)
{
    struct reply *r = ask(SA_METHOD_RESET);
    assert_failed(r, SA_ECONFLICT, message);
    if (!strstr(r->error.path, path))
        fail_msg("the path is \"%s\"", r->error.path);
    reply_free(r);
}

static void sh(const char *script)
{
    struct reply *r = shell(&box, script, NULL);
    if (r->failed)
        fail_msg("%s: %s", script, r->error.message);
    if (reply_int(r, SA_EXEC_EXIT_CODE) != 0)
        fail_msg("%s: %s", script, r->out[2].data ? r->out[2].data : "");
    reply_free(r);
}

/* What there is, with all that ls shows but times of access. */
static char *listing(void)
{
    char script[300];
    snprintf(script, sizeof script,
             "cd %s && find . -printf '%%p %%y %%m %%n %%s %%T@ %%l\\n' | sort; cd ../tmp && "
             "find . -printf '%%p %%y %%m %%n %%s %%T@ %%l\\n' | sort",
             box.ws);
    return sa_strdup(shell_out(&box, script));
}

static void test_empty(void **state)
{
    (void)state;
    seal();
    clean();
    clean();
}

static void test_order(void **state)
{
    (void)state;
    struct reply *r = ask(SA_METHOD_RESET);
    assert_failed(r, SA_ECONFLICT, "never sealed");
    reply_free(r);
    seal();
    r = ask(SA_METHOD_SEAL);
    assert_failed(r, SA_ECONFLICT, "already");
    reply_free(r);
}

static void test_new_files(void **state)
{
    (void)state;
    sh("mkdir -p kept/deep && echo a > kept/deep/a && ln -s a kept/link && chmod 600 kept/deep/a");
    seal();
    char *before = listing();
    sh("echo x > new; mkdir -p d/e/f && echo y > d/e/f/y; echo z > kept/deep/z; touch .hidden; "
       "mkfifo fifo; ln -s /etc/passwd s; echo t > ../tmp/t; ln kept/deep/a hard; rm hard; "
       "chmod 700 kept; mkdir locked && touch locked/in && chmod 0 locked; touch \"$(printf "
       "'a\\nb\\377')\"");
    clean();
    char *after = listing();
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void test_counts(void **state)
{
    (void)state;
    seal();
    sh("mkdir d && touch d/1 d/2 3; (sleep 1000 & sleep 1000 & ) >/dev/null 2>&1 </dev/null");
    struct reply *r = ask(SA_METHOD_RESET);
    assert_false(r->failed);
    assert_int_equal(reply_int(r, SA_RESET_REMOVED), 4);
    assert_true(reply_int(r, SA_RESET_KILLED) >= 2);
    reply_free(r);
    assert_string_equal(shell_out(&box, "ls /proc | grep -c '^[0-9]'"), "4\n");
}

static void test_changed(void **state)
{
    (void)state;
    sh("mkdir s && echo hello > s/file");
    seal();
    sh("echo hullo > s/file");
    unclean("/ws/s/file", "its contents");
}

static void test_removed(void **state)
{
    (void)state;
    sh("mkdir s && echo hello > s/file");
    seal();
    sh("rm s/file");
    unclean("/ws/s/file", "was removed");
}

static void test_replaced(void **state)
{
    (void)state;
    sh("echo hello > file");
    seal();
    sh("cp -p file copy && mv copy file");
    unclean("/ws/file", "was replaced");
}

/* A page that was read before it is written is written without any time being touched. */
static void test_written_through_memory(void **state)
{
    (void)state;
    sh("echo hello > file; sleep 0.05");
    seal();
    clean(); /* looked at once more, when its times were old */
    sh("stat -c '%y %z' file > ../tmp/before; python3 -c 'if 1:\n"
       "  import mmap\n"
       "  f = open(\"file\", \"r+b\")\n"
       "  m = mmap.mmap(f.fileno(), 5)\n"
       "  assert m[0] == 104\n"
       "  m[0] = 72\n"
       "'; stat -c '%y %z' file | cmp - ../tmp/before && grep Hello file");
    unclean("/ws/file", "its contents");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, start, stop),
        cmocka_unit_test_setup_teardown(test_order, start, stop),
        cmocka_unit_test_setup_teardown(test_new_files, start, stop),
        cmocka_unit_test_setup_teardown(test_counts, start, stop),
        cmocka_unit_test_setup_teardown(test_changed, start, stop),
        cmocka_unit_test_setup_teardown(test_removed, start, stop),
        cmocka_unit_test_setup_teardown(test_replaced, start, stop),
        cmocka_unit_test_setup_teardown(test_written_through_memory, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
