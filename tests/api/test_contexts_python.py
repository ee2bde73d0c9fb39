"""The Python kernel: with IPython, with the standard library only, and forked from what waits in a warm pod."""
import base64

import pytest

from tests.helpers.client import wait_until
from tests.helpers.contexts import Context, warm_python

PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module", params=["ipython", "plain", "forked"])
def context(request, api):
    with warm_python(api) if request.param == "forked" else api.sandbox() as sandbox:
        yield make_context(request.param, api, sandbox)


def make_context(kind, api, shared):
    env = {}
    if kind == "plain":  # IPython is there, and cannot be imported
        api.put(shared, "/workspace/plain/IPython/__init__.py", b"raise ImportError\n")
        env = {"PYTHONPATH": "/workspace/plain"}
    def begin():
        one = Context(api, shared, "python", env=env)
        return one if one.is_forked() or kind != "forked" else None
    one = wait_until("one that is forked", begin)
    one.with_ipython = kind != "plain"
    assert one.is_forked() == (kind == "forked")
    assert one.text("'get_ipython' in dir(__builtins__)") == str(one.with_ipython)
    return one


def bundles(answer):
    assert "error" not in answer, answer
    return answer["results"]


# ---- code and results ----

def test_last_expression_is_the_result(context):
    assert context.text("x = 20\nx + 22") == "42"
    for code in ("y = 1", "None", "42;", "def f(): pass", "", "# nothing", "if True:\n    5"):
        answer = context.run(code)
        assert answer["results"] == [] and "mainResult" not in answer and answer["exitCode"] == 0, code
    assert context.text("_") == "42"
    assert context.text("'a'") == "'a'" and context.text("[1, {'b': 2.5}]") == "[1, {'b': 2.5}]"
    assert context.text("__name__") == "'__main__'"


def test_names_and_imports_stay(context):
    context.run("import math\nfrom os.path import join as j\nclass A:\n    z = 3")
    assert context.text("math.floor(2.5), j('a', 'b'), A().z") == "(2, 'a/b', 3)"
    assert context.text("import pickle; pickle.loads(pickle.dumps(A())).z") == "3"
    context.run("def source():\n    return 'mine'")
    assert "return" in context.text("import inspect; inspect.getsource(source)")


def test_await_at_the_top(context):
    assert context.text("import asyncio\nawait asyncio.sleep(0.01, 'slept')") == "'slept'"
    assert context.text("async def f(): return 5\na = await f()\na") == "5"
    assert context.text("asyncio.run(f())") == "5"
    assert context.error("await asyncio.sleep(0.01); 1/0")["name"] == "ZeroDivisionError"


def test_tasks_go_on_between_executions(context):
    context.run("import asyncio\nticks = []\n"
                "async def tick():\n"
                "    for i in range(5):\n"
                "        ticks.append(i)\n        await asyncio.sleep(0.01)\n"
                "async def start():\n    global task\n    task = asyncio.create_task(tick())\n"
                "await start()")
    assert context.text("await task\nticks") == "[0, 1, 2, 3, 4]"


def test_rich_results(context):
    context.run("class R:\n"
                "    def __repr__(self): return 'plain'\n"
                "    def _repr_html_(self): return '<b>x</b>'\n"
                "    def _repr_markdown_(self): return '**x**'\n"
                "    def _repr_latex_(self): return '$x$'\n"
                "    def _repr_svg_(self): return '<svg/>'\n"
                "    def _repr_png_(self): return b'\\x89PNG\\r\\n'\n"
                "    def _repr_json_(self): return {'a': [1, None, {'b': True}]}\n"
                "class M:\n"
                "    def _repr_mimebundle_(self, include=None, exclude=None):\n"
                "        return {'text/plain': 'm', 'application/vnd.x+json': {'v': 1}}\n"
                "class Broken:\n"
                "    def _repr_html_(self): raise ValueError\n"
                "    def __repr__(self): return 'still'\n")
    answer = context.run("R()")
    (bundle,) = bundles(answer)
    assert answer["mainResult"] == 0
    assert bundle["text/plain"] == "plain" and bundle["text/html"] == "<b>x</b>"
    assert bundle["text/markdown"] == "**x**" and bundle["text/latex"] == "$x$"
    assert bundle["image/svg+xml"] == "<svg/>" and bundle["application/json"] == {"a": [1, None, {"b": True}]}
    assert base64.b64decode(bundle["image/png"]) == PNG
    assert bundles(context.run("M()")) == [{"text/plain": "m", "application/vnd.x+json": {"v": 1}}]
    assert bundles(context.run("Broken()"))[0]["text/plain"] == "still"
    answer = context.run("display(1, R())\n'last'")
    assert [b["text/plain"] for b in bundles(answer)] == ["1", "plain", "'last'"]
    assert answer["mainResult"] == 2


def test_odd_results_do_no_harm(context):
    context.run("class E:\n    def __repr__(self): raise ValueError('no')\n"
                "class J:\n    def _repr_json_(self): return self.value\n"
                "    def __repr__(self): return 'j'\n"
                "j = J()")
    assert "ValueError" in context.text("E()")
    deep = "v = []\nfor i in range(200): v = [v]\nj.value = v\nj"
    assert bundles(context.run(deep)) == [{"text/plain": "j"}]
    for value in ("float('nan')", "'\\0'", "'\\ud800'", "object()", "list(range(200000))"):
        assert bundles(context.run(f"j.value = {value}\nj")) == [{"text/plain": "j"}], value
    assert context.text("'\\ud800\\0'")
    answer = context.run("'x' * 3000000")
    assert len(answer["results"][0]["text/plain"]) < 1100000
    assert context.text("1 + 1") == "2"


def test_figures_without_show(context):
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3]); None"
    answer = context.run(plot)
    (bundle,) = bundles(answer)
    assert base64.b64decode(bundle["image/png"]).startswith(PNG) and answer["stderr"] == ""
    assert bundles(context.run("1;")) == []  # it was closed
    answer = context.run("fig, ax = plt.subplots(); ax.plot([1]); plt.show()\n"
                         "plt.figure(); plt.plot([2]); None")
    assert ["image/png" in b for b in bundles(answer)] == [True, True] and answer["stderr"] == ""
    answer = context.run("fig, ax = plt.subplots()\nfig")
    assert ["image/png" in b for b in bundles(answer)] == [True] and answer["mainResult"] == 0


def test_frames_are_tables(context):
    (bundle,) = bundles(context.run("import pandas as pd\npd.DataFrame({'a': [1, 2]})"))
    assert "<table" in bundle["text/html"] and "a" in bundle["text/plain"]


# ---- errors ----

def test_errors_point_into_the_users_code(context):
    context.run("def f(n):\n    return 1 / n")
    error = context.error("a = 1\nf(0)")
    assert error["name"] == "ZeroDivisionError" and error["value"] == "division by zero"
    trace = error["traceback"]
    assert trace.startswith("Traceback") and "line 2, in <module>\n    f(0)" in trace
    assert "return 1 / n" in trace and "kernels/python.py" not in trace and "\x1b" not in trace
    error = context.error("try:\n    1/0\nexcept Exception as e:\n    raise KeyError('k') from e")
    assert error["name"] == "KeyError" and "direct cause" in error["traceback"]
    error = context.error("x = = 1")
    assert error["name"] == "SyntaxError" and "    x = = 1\n" in error["traceback"]
    assert context.error("raise type('Odd', (Exception,), {'__str__': lambda s: 1/0})")["name"] == "Odd"
    assert context.run("1/0")["exitCode"] == 1


def test_deep_recursion(context):
    error = context.error("def r(n): return r(n + 1)\nr(0)")
    assert error["name"] == "RecursionError" and len(error["traceback"]) < 100000
    assert context.text("1 + 1") == "2"


def test_exit_ends_the_execution_and_not_the_context(context):
    context.run("kept = 1")
    answer = context.run("import sys; sys.exit(3)")
    assert answer["exitCode"] == 3 and answer["error"]["name"] == "SystemExit"
    assert context.run("sys.exit(0)")["exitCode"] == 0
    answer = context.run("sys.exit('bye')")
    assert answer["exitCode"] == 1 and answer["stderr"] == "bye\n"
    assert context.text("kept") == "1"


# ---- output ----

def test_output_is_in_order(context):
    items = context.stream("import sys\nfor i in range(3):\n"
                           "    print('o%d' % i)\n    print('e%d' % i, file=sys.stderr)")
    printed = [(i["type"], i["data"]) for i in items if i["type"] in ("stdout", "stderr")]
    assert printed == [(s, f"{c}{i}\n") for i in range(3) for s, c in (("stdout", "o"), ("stderr", "e"))]


def test_children_print_where_they_stand(context):
    code = ("import os, subprocess, sys\n"
            "print('1'); os.system('echo 2'); print('3')\n"
            "subprocess.run(['echo', '4']); print('5')\n"
            "os.write(1, b'6\\n'); print('7')\n"
            "pid = os.fork()\n"
            "if pid == 0:\n    print('8'); os._exit(0)\n"
            "os.waitpid(pid, 0); print('9')")
    for _ in range(5):
        assert context.output(code).split() == list("123456789")


def test_bytes_and_odd_text(context):
    answer = context.run("import sys; _ = sys.stdout.buffer.write(b'\\xff\\x00')")
    assert answer["encoding"] == "base64" and base64.b64decode(answer["stdout"]) == b"\xff\0"
    assert context.run("print('a\\0b\\ud800')")["exitCode"] == 0
    assert context.output("print('é' * 100000)") == "é" * 100000 + "\n"


def test_output_comes_while_it_runs(context):
    number = context.start("import time\nprint('early')\ntime.sleep(1000)")
    context.wait_output(number, "early")
    context.interrupt()
    assert context.end_of(number)["exitCode"] == 130
    number = context.start("print('early2')\nwhile True: pass")
    context.wait_output(number, "early2")
    context.interrupt()
    assert context.end_of(number)["exitCode"] == 130


def test_threads_that_print_too_late(context):
    context.run("import threading, time\nstop = False\n"
                "def late():\n    while not stop:\n        print('late' * 100)\n        time.sleep(0.001)\n"
                "threads = [threading.Thread(target=late) for _ in range(4)]\n"
                "for t in threads: t.start()")
    for i in range(20):
        assert context.text(f"{i} + 1") == str(i + 1)
    context.run("stop = True\nfor t in threads: t.join()")
    assert context.output("print('quiet')").endswith("quiet\n")


def test_a_fork_that_comes_back(context):
    """A child that reaches the end of the code is no second kernel."""
    answer = context.run("import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)\nprint('one of', pid > 0)")
    assert answer["stdout"].splitlines().count("one of True") == 1
    assert answer["stdout"].splitlines().count("one of False") == 1
    assert context.text("1 + 1") == "2"
    assert context.text("import multiprocessing as m\n"
                        "with m.Pool(2) as p: s = sum(p.map(abs, range(-5, 0)))\ns") == "15"


# ---- interrupts ----

@pytest.mark.parametrize("code", [
    "time.sleep(1000)",
    "while True: pass",
    "subprocess.run(['sleep', '1000'])",
    "threading.Event().wait()",
    "await asyncio.sleep(1000)",
    "for _ in iter(int, 1): pass",
    "while True: print('x' * 1000)",
    "import select; select.select([], [], [])"])
def test_interrupts_keep_the_state(context, code):
    context.run("import asyncio, subprocess, threading, time; state = 'kept'")
    end, items = context.interrupted("print('started', flush=True)\n" + code)
    assert end["exitCode"] == 130 and end["status"] == "exited"
    assert [i["name"] for i in items if i["type"] == "error"] in (["KeyboardInterrupt"], [])
    assert context.text("state") == "'kept'"


def test_an_interrupt_can_be_caught(context):
    end, items = context.interrupted("import time\ntry:\n    print('started', flush=True); time.sleep(1000)\n"
                                     "except KeyboardInterrupt:\n    print('caught')")
    assert end["exitCode"] == 0
    assert "caught\n" in "".join(i.get("data", "") for i in items if i["type"] == "stdout")


# ---- the environment ----

def test_environment_of_one_execution(context):
    context.run("import os")
    assert context.text("os.environ['A'], os.popen('echo $A').read()", env={"A": "b"}) == "('b', 'b\\n')"
    assert context.text("'A' in os.environ") == "False"
    context.run("os.environ['B'] = 'mine'")
    assert context.text("os.environ['B']", env={"B": "theirs"}) == "'theirs'"
    assert context.text("os.environ['B']") == "'mine'"


def test_children_do_not_get_the_control_socket(context):
    context.run("import subprocess, os")
    theirs = context.text("sum('socket' in os.readlink('/proc/self/fd/' + f) for f in os.listdir('/proc/self/fd') "
                          "if os.path.islink('/proc/self/fd/' + f))")
    assert int(theirs) >= 1  # ours
    code = "import os; print([f for f in os.listdir('/proc/self/fd') if int(f) > 2 and os.path.exists('/proc/self/fd/' + f)])"
    assert context.output(f"subprocess.run(['python3', '-c', {code!r}], close_fds=False)") in ("['3']\n", "[]\n")


def test_ipythons_ways(context):
    if not context.with_ipython:
        assert context.error("%cd /tmp")["name"] == "SyntaxError"
        return
    assert context.output("!echo from the shell") == "from the shell\n"
    assert context.text("lines = !echo a; echo b\nlist(lines)") == "['a', 'b']"
    assert context.output("%cd /tmp\n%pwd").startswith("/tmp\n")
    assert context.error("%nosuchmagic")["name"] == "UsageError"
    assert context.run("%cd /workspace")["exitCode"] == 0
    answer = context.run("from IPython.display import HTML, display\ndisplay(HTML('<i>h</i>'))")
    assert answer["results"][0]["text/html"] == "<i>h</i>"


def test_getpass_reads_stdin(context):
    assert context.text("import getpass; getpass.getpass()", stdin="secret\n") == "'secret'"
