"""Contexts in Python that are forked from what waits in a warm pod: like those that are started, and each by itself."""
import pytest

from tests.helpers.client import wait_until
from tests.helpers.contexts import WARM, Context, in_parallel, warm_pool, warm_python

SITE = "import site; site.USER_SITE"


@pytest.fixture(scope="module")
def warm(api):
    with warm_python(api) as sandbox:
        yield sandbox


def forked(api, sandbox, **spec):
    """One that is: others were just before, and the next spare takes a moment."""
    def once():
        one = Context(api, sandbox, **spec)
        if one.is_forked():
            return one
        one.delete()
        return None
    return wait_until("a context to be forked", once)


def test_one_has_the_shell(api):
    with warm_python(api) as sandbox:
        first = forked(api, sandbox)
        assert first.text("get_ipython().__class__.__name__") == "'Shell'"
        assert first.output("%timeit -n1 -r1 pass") != "" and first.output("!echo $HOME") == "/home/user\n"


def test_without_the_import_they_are_started(api):
    with warm_python(api, imports=["json"]) as sandbox:
        assert not Context(api, sandbox).is_forked()


def test_state_is_each_ones_own(api, warm):
    one, other = forked(api, warm), forked(api, warm)
    one.run("import builtins, json, os, sys, random, IPython\nx = 1; builtins.left = 1; json.left = 1\n"
            "os.environ['LEFT'] = '1'; os.chdir('/'); random.seed(1); sys.path.append('/left')\n"
            "get_ipython().user_ns['y'] = 2; get_ipython().run_line_magic('alias', 'left echo')")
    looks = ("import builtins, json, os, sys\n"
             "('x' in globals(), 'y' in globals(), hasattr(builtins, 'left'), hasattr(json, 'left'), 'LEFT' in os.environ,"
             " os.getcwd(), '/left' in sys.path, 'left' in get_ipython().magics_manager.magics['line'])")
    clean = "(False, False, False, False, False, '/workspace', False, False)"
    assert other.text(looks) == clean and forked(api, warm).text(looks) == clean
    assert one.text("x, y") == "(1, 2)"


ROLLS = ("import random, secrets, ssl, tempfile, uuid\n"
         "print(random.random(), random.SystemRandom().random(), uuid.uuid4(), uuid.uuid1(), secrets.token_hex(),"
         " ssl.RAND_bytes(8).hex(), next(tempfile._get_candidate_names()))")


def test_random_numbers_differ(api):
    """Also those of libraries that the template has loaded already."""
    with warm_python(api, imports=["IPython", "random", "ssl", "tempfile", "uuid"]) as sandbox:
        one, other = (forked(api, sandbox).output(ROLLS).split() for _ in range(2))
        assert len(one) == len(other) == 7 and not set(one) & set(other), (one, other)


def test_what_it_was_asked_for(api, warm):
    api.put(warm, "/workspace/sub/own.py", b"me = 1\n")
    one = forked(api, warm, env={"MINE": "a b", "TZ": "Asia/Tokyo"}, cwd="/workspace/sub", imports=["decimal"])
    assert one.text("import os, time; os.environ['MINE'], time.tzname[0], os.getcwd()") == \
        "('a b', 'JST', '/workspace/sub')"
    assert one.text("import own; own.me, decimal.Decimal(1)") == "(1, Decimal('1'))"
    assert one.text("%pwd") == one.text("get_ipython().starting_dir") == one.text("_dh[0]") == "'/workspace/sub'"
    assert api.post(f"/api/v1/sandboxes/{warm}/contexts", {"language": "python", "imports": ["nowhere"]},
                    status=400).json()["error"]["details"]


def test_what_only_a_fresh_interpreter_can_do(api, warm):
    """Settings that are read at the start, and files that go before what is imported already."""
    for env in ({"PYTHONHASHSEED": "1"}, {"IPYTHONDIR": "/tmp/ipython"}, {"LANG": "C"}, {"HOME": "/tmp"}):
        assert not Context(api, warm, env=env).is_forked(), env
    with warm_python(api, imports=["IPython", "statistics"]) as sandbox:
        api.put(sandbox, "/workspace/statistics.py", b"me = 1\n")
        one = Context(api, sandbox)
        assert not one.is_forked() and one.text("import statistics; statistics.me") == "1"


def test_what_was_installed_since(api):
    with warm_python(api) as sandbox:
        one = Context(api, sandbox)
        folder = one.text(SITE).strip("'")
        api.put(sandbox, f"{folder}/jedi/__init__.py", b"me = 1\n")
        other = Context(api, sandbox)
        assert not other.is_forked() and other.text("import jedi; jedi.me") == "1"


def test_figures_where_the_pool_imports_them(api):
    with warm_python(api, imports=["IPython", "matplotlib.pyplot"]) as sandbox:
        one = forked(api, sandbox)
        answer = one.run("import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])")
        assert "image/png" in answer["results"][0], answer
        assert one.text("plt.get_backend()") == "'module://secureagent_figures'"


def test_several_at_once(api):
    with warm_python(api) as sandbox:
        texts = in_parallel([lambda n=n: Context(api, sandbox).text(f"x = {n}\nx * 2") for n in range(6)])
        assert texts == [str(2 * n) for n in range(6)]


def test_a_context_that_is_killed_comes_back(api, warm):
    one = forked(api, warm)
    one.run("import os; os.kill(os.getpid(), 9)")
    one.wait_state("idle")
    assert one.text("1 + 1") == "2" and one.error("x")["name"] == "NameError"


LEAVE = ("import os, subprocess, builtins, sys, IPython, threading, time\n"
         "builtins.left = IPython.left = 1; sys.modules['left'] = os\n"
         "for name in ('/workspace/left', '/dev/shm/left'): open(name, 'w').write('x')\n"
         "threading.Thread(target=time.sleep, args=(1000,)).start()\n"
         "_ = subprocess.Popen(['sleep', '1000'], start_new_session=True)")
LEFT = ("import os, builtins, sys, IPython\n"
        "def is_of_context(p):\n"
        "    try: return 'sleep' in open(f'/proc/{p}/cmdline').read()\n"
        "    except OSError: return False\n"
        "(hasattr(builtins, 'left'), hasattr(IPython, 'left'), 'left' in sys.modules,"
        " os.listdir('/workspace') + os.listdir('/dev/shm'), any(is_of_context(p) for p in os.listdir('/proc')))")


def test_nothing_of_one_is_there_for_the_next(api):
    """The pod is cleaned, and used again by the same tenant, who gets it before others."""
    with warm_pool(api, imports=["IPython"], recycle={"enabled": True, "maxUses": 9}) as path:
        pool = path.rsplit("/", 1)[1]

        def has_been_used(times):
            return any(pod["status"].get("uses") == times and pod["status"]["phase"] == "Ready"
                       for pod in api.get("/api/v1/warmpods?limit=500").json()["items"] if pod["spec"]["pool"] == pool)
        for uses in (1, 2, 3):
            with api.sandbox(warm="require", warmPool=pool, **WARM) as sandbox:
                one = forked(api, sandbox)
                assert one.text(LEFT) == "(False, False, False, [], False)"
                one.run(LEAVE)
                assert one.text(LEFT) == "(True, True, True, ['left', 'left'], True)"
            wait_until("the pod to be clean", lambda: has_been_used(uses))
