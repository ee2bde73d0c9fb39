/* SEAL and RESET: what a tenant left behind is gone, or it is said what is not. */
#include "box.h"

#include "base/arena.h"
#include "base/clock.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct box box;
static char fingerprint[80];

static int start(void **state)
{
    *state = &box;
    box_start(&box, &(struct box_options){.sealable = true, .kernels = true});
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

/* --- what is refused, and what cannot be undone --- */

static void test_odd_name_in_the_answer(void **state)
{
    (void)state;
    sh("echo a > \"$(printf 'x\\377\\ny')\"");
    seal();
    sh("echo b > \"$(printf 'x\\377\\ny')\"");
    unclean("/ws/x\\xff\\x0ay", "its contents");
}

static void test_every_kind(void **state)
{
    (void)state;
    sh("mkfifo -m 600 fifo; ln -s nowhere link; echo secret > shut; chmod 200 shut; touch empty; "
       "truncate -s 1T sparse; echo x | dd of=sparse bs=1 seek=500G conv=notrunc 2>/dev/null; "
       "mkdir folder; chmod 500 folder; python3 -c 'import os, socket\n"
       "socket.socket(socket.AF_UNIX).bind(\"socket\"); os.setxattr(\"empty\", \"user.a\", "
       "b\"1\")'");
    seal();
    clean();
    sh("chmod 777 fifo shut folder; touch fifo link shut empty sparse folder; touch folder/x");
    clean();
    sh("echo y | dd of=sparse bs=1 seek=500G conv=notrunc 2>/dev/null");
    unclean("/ws/sparse", "its contents");
}

static void test_attributes(void **state)
{
    (void)state;
    sh("touch with without; python3 -c 'import os; os.setxattr(\"with\", \"user.a\", b\"1\")'");
    seal();
    sh("python3 -c 'import os; os.setxattr(\"without\", \"user.b\", b\"1\")'");
    clean();
    sh("python3 -c 'import os; os.setxattr(\"with\", \"user.a\", b\"2\")'");
    unclean("/ws/with", "its extended attributes");
}

static void test_shut_contents(void **state)
{
    (void)state;
    sh("echo secret > shut; chmod 0 shut");
    seal();
    clean();
    sh("chmod 600 shut; echo public > shut; chmod 0 shut");
    unclean("/ws/shut", "its");
}

/* As somebody with power over the box could: nobody inside can. */
static void mount_over(const char *folder)
{
    char path[200];
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int namespaces[2];
        const char *names[] = {"user", "mnt"};
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "/proc/%d/ns/%s", box.pid, names[i]);
            namespaces[i] = open(path, O_RDONLY | O_CLOEXEC);
        }
        for (int i = 0; i < 2; i++)
            if (setns(namespaces[i], 0) < 0)
                _exit(1);
        snprintf(path, sizeof path, "%s/%s", box.ws, folder);
        _exit(mount("tmpfs", path, "tmpfs", 0, NULL) < 0 ? 2 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_cannot_be_removed(void **state)
{
    (void)state;
    seal();
    sh("mkdir busy");
    mount_over("busy");
    unclean("/ws/busy", "cannot be removed");
}

static void test_mounted_over(void **state)
{
    (void)state;
    sh("mkdir sealed");
    seal();
    mount_over("sealed");
    unclean("/ws/sealed", "was replaced");
}

static void test_too_much(void **state)
{
    (void)state;
    sh("python3 -c 'import os\n"
       "for i in range(65536): os.close(os.open(str(i), os.O_CREAT | os.O_WRONLY))'");
    struct reply *r = ask(SA_METHOD_SEAL);
    assert_failed(r, SA_EQUOTA, "65536");
    reply_free(r);
    sh("find . -type f -delete");
    seal(); /* and now it fits */
    clean();
}

/* --- what made it somebody's, and what was warmed --- */

static void set_up(const char *entry)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_SETUP_ENV, entry);
    struct reply *r = box_open(&box, SA_METHOD_SETUP, &body);
    reply_wait(r);
    assert_false(r->failed);
    reply_free(r);
}

static void test_setup_is_dropped(void **state)
{
    (void)state;
    seal();
    set_up("OWN=one");
    assert_string_equal(shell_out(&box, "echo $OWN"), "one\n");
    clean();
    assert_string_equal(shell_out(&box, "echo \"[$OWN]\""), "[]\n");
    set_up("OWN=two");
    assert_string_equal(shell_out(&box, "echo $OWN"), "two\n");
}

static bool forked(void)
{
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "python3", "-c",
             "print(open('/proc/self/cmdline').read().split('\\0')[1].endswith('template.py'))",
             NULL);
    sa_fields_add_text(&body, SA_EXEC_TEMPLATE, "python");
    struct reply *r = exec_body(&box, &body);
    reply_wait(r);
    assert_exit(r, 0);
    bool yes = strcmp(r->out[SA_CHANNEL_OUT].data, "True\n") == 0;
    reply_free(r);
    return yes;
}

static void warm_up(void)
{
    int64_t until = sa_monotonic_ms() + 60000;
    while (!forked())
        if (sa_monotonic_ms() > until)
            fail_msg("no template");
}

/* After sealing there is one again for a pool that warmed one, after resetting for nobody. */
static void test_templates(void **state)
{
    (void)state;
    warm_up();
    seal();
    warm_up();
    sh("echo x > x");
    clean();
    assert_string_equal(
        shell_out(&box, "cat /proc/[0-9]*/cmdline | grep -c '[t]emplate.py' || true"), "0\n");
    warm_up();
    clean();
}

static void test_calls_are_canceled(void **state)
{
    (void)state;
    seal();
    struct reply *program = exec_start(&box, "sleep", "1000", NULL);
    struct reply *flood = exec_start(&box, "yes", NULL);
    flood->hold = true;
    flood->discard = true;
    reply_wait_bytes(flood, SA_CHANNEL_OUT, 1);
    clean();
    assert_failed(program, SA_ECANCELED, "canceled");
    assert_failed(flood, SA_ECANCELED, "canceled");
    reply_free(program);
    reply_free(flood);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, start, box_end),
        cmocka_unit_test_setup_teardown(test_order, start, box_end),
        cmocka_unit_test_setup_teardown(test_new_files, start, box_end),
        cmocka_unit_test_setup_teardown(test_counts, start, box_end),
        cmocka_unit_test_setup_teardown(test_changed, start, box_end),
        cmocka_unit_test_setup_teardown(test_removed, start, box_end),
        cmocka_unit_test_setup_teardown(test_replaced, start, box_end),
        cmocka_unit_test_setup_teardown(test_written_through_memory, start, box_end),
        cmocka_unit_test_setup_teardown(test_odd_name_in_the_answer, start, box_end),
        cmocka_unit_test_setup_teardown(test_every_kind, start, box_end),
        cmocka_unit_test_setup_teardown(test_attributes, start, box_end),
        cmocka_unit_test_setup_teardown(test_shut_contents, start, box_end),
        cmocka_unit_test_setup_teardown(test_cannot_be_removed, start, box_end),
        cmocka_unit_test_setup_teardown(test_mounted_over, start, box_end),
        cmocka_unit_test_setup_teardown(test_too_much, start, box_end),
        cmocka_unit_test_setup_teardown(test_setup_is_dropped, start, box_end),
        cmocka_unit_test_setup_teardown(test_templates, start, box_end),
        cmocka_unit_test_setup_teardown(test_calls_are_canceled, start, box_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
