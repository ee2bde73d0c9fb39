/* EXEC with a template: programs forked from a Python that waits are like those that are started.
 */
#include "box.h"
#include "code.h"

#include "base/arena.h"
#include "base/clock.h"

#include <signal.h>
#include <unistd.h>

static struct box box;

static int start(void **state)
{
    *state = &box;
    box_start(&box, &(struct box_options){.kernels = true});
    return 0;
}

static struct reply *begin(const char *code, bool template, const struct sa_buf *extra)
{
    return code_begin(&box, code, template, extra);
}

static struct reply *run(const char *code, bool template, const struct sa_buf *extra)
{
    return code_run(&box, code, template, extra);
}

static bool forked(const struct sa_buf *extra)
{
    return code_forks(&box, extra);
}

static void warm_up(const struct sa_buf *extra)
{
    code_warm_up(&box, extra);
}

static const char *text_of(const struct sa_buf *buf)
{
    return buf->data ? buf->data : "";
}

/* Runs it both ways, and expects the same to be seen. */
static void same(const char *code, const struct sa_buf *extra)
{
    struct reply *a = run(code, false, extra);
    warm_up(extra);
    struct reply *b = run(code, true, extra);
    for (int c = 1; c <= 2; c++)
        if (strcmp(text_of(&a->out[c]), text_of(&b->out[c])) != 0)
            fail_msg("%s\n--- plain:\n%s--- template:\n%s", code, text_of(&a->out[c]),
                     text_of(&b->out[c]));
    assert_int_equal(a->failed, b->failed);
    if (a->failed) {
        assert_int_equal(a->error.code, b->error.code);
        assert_string_equal(a->error.message, b->error.message);
        assert_string_equal(a->error.path, b->error.path);
    } else {
        assert_status(b, reply_text(a, SA_EXEC_STATUS));
        assert_int_equal(reply_int(a, SA_EXEC_EXIT_CODE), reply_int(b, SA_EXEC_EXIT_CODE));
        assert_int_equal(reply_int(a, SA_EXEC_EXIT_SIGNAL), reply_int(b, SA_EXEC_EXIT_SIGNAL));
    }
    reply_free(a);
    reply_free(b);
}

static void test_comes_up(void **state)
{
    (void)state;
    assert_false(forked(NULL));
    warm_up(NULL);
}

static void test_same_endings(void **state)
{
    (void)state;
    static const char *const codes[] = {
        "print('hello')",
        "import sys; sys.exit(7)",
        "import sys; sys.exit('a message')",
        "import sys; sys.exit()",
        "raise SystemExit(300)",
        "def f():\n  return 1 / 0\nprint('before', flush=True)\nf()\n",
        "try:\n  1/0\nexcept ZeroDivisionError as e:\n  raise KeyError('x') from e\n",
        "this is not python\n",
        "raise KeyboardInterrupt",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.kill(os.getpid(), 15)",
        "import os; os.abort()",
        "import os; os._exit(9)",
        "import sys\nsys.excepthook = lambda k, v, t: print('mine', k.__name__, v)\n1/0\n",
        "import atexit; atexit.register(print, 'at exit'); print('now')",
        "import threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(.05), print('joined'))).start()\n"
        "print('main done')\n",
        "import threading; threading.Thread(target=lambda: 1/0, name='t').start()",
        "class A:\n  def __del__(self): print('del')\na = A()\n",
        "f = open('kept', 'w'); f.write('flushed at the end')",
        "print(open('kept').read())",
        "import json; json.f = open('kept', 'w'); json.f.write('held by a module')",
        "print(open('kept').read())",
        "import sys; sys.stdout = open('kept', 'w'); print('elsewhere')",
        "print(open('kept').read())",
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(100,), daemon=True).start(); print('daemon')\n",
        "class A:\n  def __del__(self): print('del of a cycle')\na = A(); a.a = a\n",
        "import sys; sys.exit(-1)",
        "import sys; sys.exit(True)",
        "import sys; sys.exit(256)",
        "raise BaseException('base')",
        "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])",
        "import os; os.close(1); print('nowhere')",
        "import ctypes; ctypes.CDLL(None).printf(b'from C\\n')",
        "import atexit\nclass F:\n  def __repr__(self): return 'F'\n  def __call__(self): 1/0\n"
        "atexit.register(F())\n",
        "import warnings; warnings.warn('careful')",
        "import asyncio\nasync def m(): print('async')\nasyncio.run(m())\n",
        "import multiprocessing as m\np = m.get_context('fork').Process(target=print, args=(1,))\n"
        "p.start(); p.join(); print(p.exitcode)\n",
        "import concurrent.futures as c\nprint(list(c.ThreadPoolExecutor(3).map(abs, [-1, -2])))\n",
        "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))))\n",
        "import subprocess; print(subprocess.run(['sh', '-c', 'echo child; exit 3']).returncode)",
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        same(codes[i], NULL);
}

static void test_same_surroundings(void **state)
{
    (void)state;
    static const char *const codes[] = {
        "import sys; print(sys.argv, sys.orig_argv[0], sys.path, sys.flags, sys.executable)",
        "print(sorted(k for k in globals()))\nprint(__name__, __doc__, __spec__, __loader__)\n",
        "import __main__; x = 1; print(__main__.x, __main__.__dict__ is globals())",
        "import os; print(sorted(os.environ.items())); os.system('env | sort | grep -v ^_=')",
        "import os; print(os.getcwd(), oct(os.umask(0)), os.getpid() == os.getsid(0) == "
        "os.getpgrp())",
        "import os; print(os.getppid())",
        "import os; print(sorted(os.listdir('/proc/self/fd'))[:6]); os.system('ls /proc/self/fd')",
        "import signal\n"
        "print([(s, signal.getsignal(s)) for s in (1, 2, 3, 13, 15, 17)], "
        "signal.pthread_sigmask(0, []))\n",
        "import sys\n"
        "for f in (sys.stdin, sys.stdout, sys.stderr): print(f.name, f.mode, f.encoding, "
        "f.errors,\n"
        "  f.line_buffering, f.isatty(), f.newlines, f.fileno())\n",
        "import sys; print(repr(sys.stdin.read()))",
        "import resource as r\n"
        "print([(n, r.getrlimit(getattr(r, n))) for n in sorted(dir(r)) if n[:7] == 'RLIMIT_' and "
        "n != 'RLIMIT_RTTIME'])\n",
        "print(*[l for l in open('/proc/self/status') if l[:3] in ('Sec', 'NoN', 'Sig')])",
        "import gc, threading; print(gc.isenabled(), threading.active_count(), "
        "threading.current_thread() is threading.main_thread())",
        "import os; print(open('/proc/self/oom_score_adj').read())",
        "import os; print(os.access('/proc/self/mem', os.R_OK), os.stat('/proc/self/fd').st_uid)",
        "import sys; print(sys.getrecursionlimit(), sys.last_value if hasattr(sys, 'last_value') "
        "else None)",
        "import traceback, sys\ntry:\n  1/0\nexcept Exception:\n  traceback.print_exc()\n",
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        same(codes[i], NULL);
}

static void test_same_requests(void **state)
{
    (void)state;
    sa_autobuf extra = SA_BUF_INIT;
    sa_fields_add_text(&extra, SA_EXEC_ENV, "MINE=a b=c");
    sa_fields_add_text(&extra, SA_EXEC_ENV, "FROM_BOOT=no longer");
    sa_fields_add_text(&extra, SA_EXEC_ENV, "TZ=Asia/Tokyo");
    sa_fields_add_text(&extra, SA_EXEC_CWD, "/usr");
    sa_fields_add_text(&extra, SA_EXEC_RLIMIT, "nofile=100:200");
    sa_fields_add_text(&extra, SA_EXEC_RLIMIT, "cpu=50");
    same("import os, resource, time\n"
         "print(sorted(os.environ), os.environ['MINE'], os.getcwd(), time.tzname)\n"
         "print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(0))\n"
         "os.system('echo $MINE $FROM_BOOT; pwd')\n",
         &extra);
    warm_up(NULL);
    assert_true(forked(&extra));
}

static void test_same_refusals(void **state)
{
    (void)state;
    sa_autobuf cwd = SA_BUF_INIT, limit = SA_BUF_INIT;
    sa_fields_add_text(&cwd, SA_EXEC_CWD, "/nowhere");
    struct reply *r = run("1", true, &cwd), *p = run("1", false, &cwd);
    assert_true(r->failed && p->failed);
    assert_string_equal(r->error.message, p->error.message);
    assert_string_equal(r->error.path, "cwd");
    reply_free(r);
    reply_free(p);
    warm_up(NULL);
    sa_fields_add_text(&limit, SA_EXEC_RLIMIT, "nofile=unlimited");
    r = run("1", true, &limit), p = run("1", false, &limit);
    assert_true(r->failed && p->failed);
    assert_string_equal(r->error.message, p->error.message);
    assert_string_equal(r->error.path, "rlimit");
    reply_free(r);
    reply_free(p);
}

/* What the interpreter reads when it starts is for one that starts. */
static void test_early_settings(void **state)
{
    (void)state;
    static const char *const settings[] = {"PYTHONHASHSEED=1", "LD_DEBUG_OUTPUT=/x",
                                           "HOME=/elsewhere", "LC_ALL=C"};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        sa_autobuf extra = SA_BUF_INIT;
        sa_fields_add_text(&extra, SA_EXEC_ENV, settings[i]);
        warm_up(NULL);
        assert_false(forked(&extra));
    }
}

static void test_stdin(void **state)
{
    (void)state;
    sa_autobuf extra = SA_BUF_INIT;
    sa_fields_add_int(&extra, SA_EXEC_STDIN, 1);
    warm_up(NULL);
    struct reply *r =
        begin("print(input('? ')); import sys; print(sys.stdin.read())", true, &extra);
    reply_send(r, "first\nsecond\nthird", 18, true);
    reply_wait(r);
    assert_exit(r, 0);
    assert_out(r, "? first\nsecond\nthird\n");
    reply_free(r);
}

/* Nothing that one does is seen by the next. */
static void test_fresh_each_time(void **state)
{
    (void)state;
    warm_up(NULL);
    struct reply *r = run("import builtins, sys, json, os, random\n"
                          "builtins.left = 1; sys.modules['left'] = json; json.left = 1\n"
                          "os.environ['LEFT'] = '1'; os.chdir('/'); x = 1; random.seed(1)\n",
                          true, NULL);
    assert_exit(r, 0);
    reply_free(r);
    warm_up(NULL);
    same("import builtins, sys, json, os\n"
         "print(hasattr(builtins, 'left'), 'left' in sys.modules, hasattr(json, 'left'))\n"
         "print('LEFT' in os.environ, os.getcwd(), 'x' in globals())\n",
         NULL);
}

static void test_random_differs(void **state)
{
    (void)state;
    char first[200];
    for (int i = 0; i < 2; i++) {
        warm_up(NULL);
        struct reply *r = run("import random; print(random.random())", true, NULL);
        assert_exit(r, 0);
        if (i == 0)
            snprintf(first, sizeof first, "%s", r->out[1].data);
        else
            assert_string_not_equal(first, r->out[1].data);
        reply_free(r);
    }
}

/* A file of the user's goes before a module that the template has loaded. */
static void test_shadowing(void **state)
{
    (void)state;
    shell_out(&box, "echo 'me = 1' >json.py; mkdir sub");
    struct reply *r = run("import json; print(json.me)", true, NULL);
    assert_out(r, "1\n");
    reply_free(r);
    shell_out(&box, "rm json.py");
    warm_up(NULL);
    r = run("import json; print(json.dumps(1))", true, NULL);
    assert_out(r, "1\n");
    reply_free(r);
}

static void test_imports(void **state)
{
    (void)state;
    sa_autobuf extra = SA_BUF_INIT;
    sa_fields_add_text(&extra, SA_EXEC_IMPORT, "decimal");
    sa_fields_add_text(&extra, SA_EXEC_IMPORT, "no_such_module");
    static const char code[] = "import sys; print('decimal' in sys.modules)";
    warm_up(NULL);
    struct reply *r = run(code, true, NULL);
    assert_out(r, "False\n");
    reply_free(r);
    warm_up(&extra);
    r = run(code, true, &extra);
    assert_out(r, "True\n");
    reply_free(r);
    warm_up(NULL);
}

static void test_timeout_and_cancel(void **state)
{
    (void)state;
    sa_autobuf extra = SA_BUF_INIT;
    sa_fields_add_int(&extra, SA_EXEC_TIMEOUT_MS, 100);
    warm_up(NULL);
    struct reply *r = run("import os, time\nif os.fork(): print('up', flush=True)\n"
                          "time.sleep(1000)\n",
                          true, &extra);
    assert_status(r, "timeout");
    reply_free(r);
    warm_up(NULL);
    r = begin("import os, signal, time\nsignal.signal(15, signal.SIG_IGN)\n"
              "if os.fork() == 0:\n  os.setsid(); open('child', 'w').write(str(os.getpid()))\n"
              "else:\n  print('up', flush=True)\ntime.sleep(1000)\n",
              true, NULL);
    reply_wait_bytes(r, SA_CHANNEL_OUT, 3);
    sa_stream_cancel(r->stream);
    reply_wait(r);
    assert_status(r, "canceled");
    assert_int_equal(reply_int(r, SA_EXEC_EXIT_SIGNAL), SIGKILL);
    reply_free(r);
    assert_string_equal(shell_out(&box, "test -d /proc/$(cat child) || echo gone"), "gone\n");
}

static void test_result_and_background(void **state)
{
    (void)state;
    warm_up(NULL);
    struct reply *r = run("sum(range(1000000)); import subprocess\n"
                          "subprocess.Popen(['sleep', '1000'], stdout=-3, stderr=-3)\n",
                          true, NULL);
    assert_exit(r, 0);
    assert_true(reply_int(r, SA_EXEC_CPU_US) > 1000);
    assert_in_range(reply_int(r, SA_EXEC_MEMORY_PEAK), 2000000, 100000000);
    assert_true(body_int(&r->notes, SA_EXEC_PID) > 1);
    assert_int_equal(reply_int(r, SA_EXEC_LEFT), 1); /* neither template nor spare */
    reply_free(r);
    reply_free(shell(&box, "pkill sleep", NULL));
}

/* However it is treated, programs run; and it comes back. */
static void attacked(const char *attack)
{
    warm_up(NULL);
    reply_free(shell(&box, attack, NULL));
    for (int i = 0; i < 3; i++) {
        struct reply *r = run("print('runs')", true, NULL);
        assert_exit(r, 0);
        assert_out(r, "runs\n");
        reply_free(r);
    }
}

static void test_attacks(void **state)
{
    (void)state;
    attacked("pkill -KILL -f [t]emplate.py");
    attacked("pkill -KILL -n -f [t]emplate.py");
    attacked("pkill -KILL -o -f [t]emplate.py");
    attacked("pkill -TERM -f [t]emplate.py");
    attacked("pkill -STOP -n -f [t]emplate.py");
    attacked("pkill -STOP -f [t]emplate.py");
    shell_out(&box, "pkill -CONT -f [t]emplate.py || true");
    attacked("kill -KILL -1");
    warm_up(NULL);
}

/* A spare that does not answer is given up; nothing of the program ran twice. */
static void test_stopped_spare_runs_once(void **state)
{
    (void)state;
    warm_up(NULL);
    box_idle(&box, 200);
    reply_free(shell(&box, "rm -f once; pkill -STOP -f [t]emplate.py", NULL));
    struct reply *r = run("open('once', 'a').write('x')", true, NULL);
    assert_exit(r, 0);
    reply_free(r);
    reply_free(shell(&box, "pkill -CONT -f [t]emplate.py", NULL));
    box_idle(&box, 100);
    assert_string_equal(shell_out(&box, "cat once"), "x");
    warm_up(NULL);
}

static void test_cannot_be_looked_into(void **state)
{
    (void)state;
    warm_up(NULL);
    assert_string_equal(shell_out(&box, "for p in $(pgrep -f [t]emplate.py); do "
                                        "cat /proc/$p/mem /proc/$p/environ; ls /proc/$p/fd; done "
                                        "2>&1 | grep -vi 'denied\\|not permitted\\|input/output' "
                                        "| wc -l"),
                        "0\n");
}

static void test_many_at_once(void **state)
{
    (void)state;
    struct reply *replies[12];
    warm_up(NULL);
    for (int i = 0; i < 12; i++)
        replies[i] = begin("import time; print('a'); time.sleep(.05); print('b')", true, NULL);
    for (int i = 0; i < 12; i++) {
        reply_wait(replies[i]);
        assert_exit(replies[i], 0);
        assert_out(replies[i], "a\nb\n");
        reply_free(replies[i]);
    }
}

static void test_bad_requests(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "true", NULL);
    sa_fields_add_text(&body, SA_EXEC_TEMPLATE, "cobol");
    struct reply *r = exec_body(&box, &body);
    reply_wait(r);
    assert_failed(r, SA_EINVALID, "no template");
    reply_free(r);
    /* Of another form: started in the ordinary way. */
    sa_buf_deinit(&body);
    add_argv(&body, "echo", "plain", NULL);
    sa_fields_add_text(&body, SA_EXEC_TEMPLATE, "python");
    r = exec_body(&box, &body);
    reply_wait(r);
    assert_exit(r, 0);
    assert_out(r, "plain\n");
    reply_free(r);
}

/* The first program of all is forked when it says that it can wait. */
static void waits_for_the_template(void **state)
{
    (void)state;
    sa_autobuf extra = SA_BUF_INIT;
    sa_fields_add_int(&extra, SA_EXEC_WARM, 1);
    assert_true(forked(&extra));
    assert_true(forked(&extra));
    sa_fields_add_text(&extra, SA_EXEC_IMPORT, "json");
    assert_true(forked(&extra)); /* another template */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_up),
        cmocka_unit_test(waits_for_the_template),
        cmocka_unit_test(test_same_endings),
        cmocka_unit_test(test_same_surroundings),
        cmocka_unit_test(test_same_requests),
        cmocka_unit_test(test_same_refusals),
        cmocka_unit_test(test_early_settings),
        cmocka_unit_test(test_stdin),
        cmocka_unit_test(test_fresh_each_time),
        cmocka_unit_test(test_random_differs),
        cmocka_unit_test(test_shadowing),
        cmocka_unit_test(test_imports),
        cmocka_unit_test(test_timeout_and_cancel),
        cmocka_unit_test(test_result_and_background),
        cmocka_unit_test(test_attacks),
        cmocka_unit_test(test_stopped_spare_runs_once),
        cmocka_unit_test(test_cannot_be_looked_into),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_bad_requests),
    };
    return cmocka_run_group_tests(tests, start, box_end);
}
