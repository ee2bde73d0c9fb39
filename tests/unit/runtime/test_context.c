/* EXEC with a control socket and a template: contexts in Python are forked where what they need is
 * imported already; and programs from the same template know nothing of that. */
#include "box.h"
#include "code.h"

#include "base/cleanup.h"

static struct box box;

static int start(void **state)
{
    *state = &box;
    box_start(&box, &(struct box_options){.kernels = true});
    return 0;
}

/* Of what a program imports, what belongs to it stays: its descriptors, its exit handlers. */
static void test_imports_keep_what_they_hold(void **state)
{
    (void)state;
    sa_autobuf extra = SA_BUF_INIT;
    sa_fields_add_text(&extra, SA_EXEC_IMPORT, "IPython");
    code_warm_up(&box, &extra);
    struct reply *r = code_run(&box,
                               "import os, IPython.utils.io as held\n"
                               "print(os.readlink(f'/proc/self/fd/{held.devnull.fileno()}'))\n"
                               "held.devnull.write('x'); held.devnull.flush()\n",
                               true, &extra);
    assert_exit(r, 0);
    assert_out(r, "/dev/null\n");
    assert_string_equal(r->out[SA_CHANNEL_ERR].data ? r->out[SA_CHANNEL_ERR].data : "", "");
    reply_free(r);
    code_warm_up(&box, NULL);
}

/* A shell waits in the template for contexts. Programs are not to know. */
static void test_programs_see_no_shell(void **state)
{
    (void)state;
    sa_autobuf extra = SA_BUF_INIT;
    sa_fields_add_text(&extra, SA_EXEC_IMPORT, "IPython");
    code_warm_up(&box, &extra);
    struct reply *r =
        code_run(&box,
                 "import sys, builtins, IPython, __main__, atexit\n"
                 "print([n for n in ('get_ipython', 'display', '__IPYTHON__') "
                 "if hasattr(builtins, n)], hasattr(sys, 'ps1'), IPython.get_ipython())\n"
                 "print('secureagent_kernel' in sys.modules, __main__.__dict__ is globals())\n"
                 "print(sys.displayhook is sys.__displayhook__, sys.stdout.name)\n",
                 true, &extra);
    assert_exit(r, 0);
    assert_out(r, "[] False None\nFalse True\nTrue <stdout>\n");
    reply_free(r);
    code_warm_up(&box, NULL);
}

static bool ends_ready(void *arg)
{
    const struct reply *r = arg;
    const struct sa_buf *said = &r->out[SA_CHANNEL_CONTROL];
    return r->ended || (said->length && memmem(said->data, said->length, "\"ready\"", 7));
}

/* A context that is ready; and whether it was forked. */
static struct reply *context(const struct sa_buf *extra, bool *is_fork)
{
    static const char hello[] = "\x0d\0\0\0{\"token\":\"t\"}";
    char command[80];
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "python3", "/etc/secureagent/kernels/python.py", NULL);
    sa_fields_add_int(&body, SA_EXEC_CONTROL, 1);
    sa_fields_add_text(&body, SA_EXEC_TEMPLATE, "python");
    if (extra)
        sa_buf_add(&body, extra->data, extra->length);
    struct reply *r = exec_body(&box, &body);
    assert_int_equal(sa_stream_write(r->stream, SA_CHANNEL_CONTROL, hello, sizeof hello - 1),
                     sizeof hello - 1);
    assert_true(box_run(&box, 60000, ends_ready, r));
    assert_false(r->ended);
    snprintf(command, sizeof command, "grep -c template.py /proc/%d/cmdline || true",
             (int)body_int(&r->notes, SA_EXEC_PID));
    *is_fork = strcmp(shell_out(&box, command), "1\n") == 0;
    return r;
}

static void end_context(struct reply *r)
{
    sa_stream_cancel(r->stream);
    reply_wait(r);
    reply_free(r);
}

static bool context_forks(const struct sa_buf *extra)
{
    bool yes;
    end_context(context(extra, &yes));
    return yes;
}

/* Until one is: the template may just have been asked for a spare. */
static void wait_for_contexts(const struct sa_buf *wish, const struct sa_buf *extra)
{
    for (int i = 0; i < 20; i++) {
        code_warm_up(&box, wish);
        if (context_forks(extra))
            return;
    }
    fail_msg("contexts are not forked");
}

static void test_contexts(void **state)
{
    (void)state;
    sa_autobuf wish = SA_BUF_INIT, early = SA_BUF_INIT, other = SA_BUF_INIT;
    code_warm_up(&box, NULL);
    assert_false(context_forks(NULL)); /* nothing is ready for it */
    sa_fields_add_text(&wish, SA_EXEC_IMPORT, "IPython");
    wait_for_contexts(&wish, NULL);
    sa_fields_add_text(&early, SA_EXEC_ENV, "IPYTHONDIR=/tmp/elsewhere");
    assert_false(context_forks(&early));
    sa_fields_add_text(&other, SA_EXEC_FILTER, "default");
    sa_fields_add_text(&other, SA_EXEC_ENV, "MINE=1");
    wait_for_contexts(&wish, &other);
    code_warm_up(&box, NULL);
}

/* With the limits that were asked for. */
static void test_limits(void **state)
{
    (void)state;
    bool is_fork;
    char command[80];
    sa_autobuf wish = SA_BUF_INIT, limits = SA_BUF_INIT;
    sa_fields_add_text(&wish, SA_EXEC_IMPORT, "IPython");
    sa_fields_add_text(&limits, SA_EXEC_RLIMIT, "core=0:7");
    wait_for_contexts(&wish, &limits);
    struct reply *r = context(&limits, &is_fork);
    snprintf(command, sizeof command, "grep -c 'core file size *0 *7 ' /proc/%d/limits",
             (int)body_int(&r->notes, SA_EXEC_PID));
    assert_string_equal(shell_out(&box, command), "1\n");
    end_context(r);
}

/* Two at once are two. */
static void test_two_contexts(void **state)
{
    (void)state;
    bool first, second;
    sa_autobuf wish = SA_BUF_INIT;
    sa_fields_add_text(&wish, SA_EXEC_IMPORT, "IPython");
    wait_for_contexts(&wish, NULL);
    struct reply *a = context(NULL, &first), *b = context(NULL, &second);
    assert_true(body_int(&a->notes, SA_EXEC_PID) != body_int(&b->notes, SA_EXEC_PID));
    end_context(a);
    end_context(b);
    code_warm_up(&box, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contexts), /* first: nothing is imported yet */
        cmocka_unit_test(test_imports_keep_what_they_hold),
        cmocka_unit_test(test_programs_see_no_shell),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_two_contexts),
    };
    return cmocka_run_group_tests(tests, start, box_end);
}
