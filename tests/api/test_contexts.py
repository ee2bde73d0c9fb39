"""Contexts over REST: their life, their queue, and what becomes of executions in them."""
import json

import pytest

from tests.helpers.client import wait_until
from tests.helpers.contexts import Context, in_parallel


@pytest.fixture(scope="module")
def bash(api, shared):
    return Context(api, shared, "bash")


def path(sandbox, *more):
    return "/".join((f"/api/v1/sandboxes/{sandbox}/contexts", *more))


# ---- life ----

def test_is_there_until_it_is_deleted(api, sandbox):
    assert api.get(path(sandbox)).json() == {"items": []}
    first, second = Context(api, sandbox, "bash"), Context(api, sandbox, "node", cwd="/tmp")
    assert first.made["state"] == "idle" and first.made["pid"] > 1
    assert second.made["cwd"] == "/tmp" and second.text("process.cwd()") == "'/tmp'"
    listed = api.get(path(sandbox)).json()["items"]
    assert [c["id"] for c in listed] == [first.id, second.id]
    first.delete()
    api.error("GET", path(sandbox, first.id), 404, "not_found")
    assert [c["id"] for c in api.get(path(sandbox)).json()["items"]] == [second.id]
    api.error("POST", f"/api/v1/sandboxes/{sandbox}/execute", 404, "not_found", "context",
              json={"context": first.id, "code": "true"})


def test_language_is_the_sandboxes_own_by_default(api, sandbox):
    made = api.post(path(sandbox), {}, status=201).json()
    assert made["language"] == "python"


def test_refusals(api, shared, bash):
    def refused(where, **body):
        api.error("POST", path(shared), 400, "invalid_request", where, json=body)
    refused("language", language="cobol")
    refused("cwd", language="bash", cwd="/nowhere")
    refused("imports", language="bash", imports=["x"])
    refused("imports", language="python", imports=["no such name"])
    refused("env", language="bash", env={"A=B": "c"})
    refused("colour", language="bash", colour="red")
    api.error("POST", f"/api/v1/sandboxes/{shared}/execute", 400, "invalid_request", "language",
              json={"context": bash.id, "language": "python", "code": "1"})
    for member in ({"cwd": "/tmp"}, {"tty": {"rows": 2, "cols": 2}}, {"limits": {}}):
        api.error("POST", f"/api/v1/sandboxes/{shared}/execute", 400, "invalid_request",
                  list(member)[0], json={"context": bash.id, "code": "true", **member})


def test_belongs_to_its_sandbox(api, shared, sandbox, bash):
    api.error("GET", path(sandbox, bash.id), 404, "not_found")
    api.error("DELETE", path(sandbox, bash.id), 404, "not_found")
    api.error("POST", f"/api/v1/sandboxes/{sandbox}/execute", 404, "not_found", "context",
              json={"context": bash.id, "code": "true"})


def test_imports_are_there(api, sandbox):
    context = Context(api, sandbox, "python", imports=["json", "os.path"])
    assert context.text("json.loads('[1]'), os.path.join('a', 'b')") == "([1], 'a/b')"
    error = api.error("POST", path(sandbox), 400, "invalid_request", "imports",
                      json={"language": "python", "imports": ["nosuchmodule"]})
    assert "nosuchmodule" in error["message"] and "ModuleNotFoundError" in error["message"]
    assert len(api.get(path(sandbox)).json()["items"]) == 1
    node = Context(api, sandbox, "node", imports=["node:path"])
    assert node.text("path.join('a', 'b')") == "'a/b'"


def test_files_of_the_user_do_not_get_into_its_start(api, sandbox):
    for name in ("json", "code", "socket", "IPython", "traceback"):
        api.put(sandbox, f"/workspace/{name}.py", b"raise SystemExit('mine')")
    assert Context(api, sandbox, "python").text("1 + 1") == "2"


def test_at_most_32_of_a_sandbox(api, sandbox):
    contexts = [Context(api, sandbox, "bash") for _ in range(32)]
    error = api.error("POST", path(sandbox), 429, "quota_exceeded", json={"language": "bash"})
    assert "32" in error["message"]
    contexts[7].delete()
    Context(api, sandbox, "bash")


def test_ends_with_its_sandbox(api):
    with api.sandbox() as sandbox:
        context = Context(api, sandbox, "bash")
        running, waiting = context.start("echo up; sleep 1000"), context.start("echo never")
        context.wait_output(running, "up")
    ends = [api.get(f"/api/v1/sandboxes/{sandbox}/executions/{e}").json()
            for e in (running, waiting)]
    assert [e["status"] for e in ends] == ["failed", "failed"]
    api.error("GET", path(sandbox, context.id), 404, "not_found")


# ---- executions ----

def test_an_execution_knows_its_context(api, shared, bash):
    answer = bash.run("echo here")
    record = bash.execution(answer["id"])
    assert record["context"] == bash.id and record["kind"] == "bash"
    assert record["pid"] == bash.info()["pid"]
    assert record["command"] == "echo here" and record["usage"]["cpuMs"] >= 0


def test_streams(bash):
    items = bash.stream("echo out; echo err >&2; (exit 3)")
    assert [i["type"] for i in items][0] == "started" and items[-1]["type"] == "exited"
    assert items[-1]["exitCode"] == 3
    assert "".join(i["data"] for i in items if i["type"] == "stdout") == "out\n"
    assert "".join(i["data"] for i in items if i["type"] == "stderr") == "err\n"


def test_state_lasts_and_environments_do_not(bash):
    bash.run("x=5; cd /tmp; f() { echo \"f$1\"; }")
    assert bash.output("echo $x $PWD; f 1") == "5 /tmp\nf1\n"
    assert bash.output("echo $A; printenv A", env={"A": "one two"}) == "one two\none two\n"
    assert bash.output("echo [$A]; printenv A || true") == "[]\n"


def test_runs_in_order_one_at_a_time(api, sandbox):
    context = Context(api, sandbox, "bash")
    first = context.start("echo up; read -t 600 < <(sleep 600); echo done")
    context.wait_output(first, "up")
    others = [context.start(f"echo {i} >> /tmp/order") for i in range(10)]
    info = context.info()
    assert info["state"] == "busy" and info["waiting"] == 10
    assert all(context.execution(o)["status"] == "running" for o in others)
    context.interrupt()
    assert context.end_of(first)["exitCode"] == 130
    for other in others:
        assert context.end_of(other)["exitCode"] == 0
    assert context.output("cat /tmp/order").split() == [str(i) for i in range(10)]
    assert context.info()["executionCount"] == 12


def test_queue_is_bounded(api, sandbox):
    context = Context(api, sandbox, "bash")
    first = context.start("echo up; sleep 1000")
    context.wait_output(first, "up")
    waiting = [context.start("true") for _ in range(64)]
    error = context.run("true", status=429)["error"]
    assert error["code"] == "quota_exceeded" and "64" in error["message"]
    context.delete()
    assert context.execution(first)["status"] == "canceled"
    assert {context.execution(w)["status"] for w in waiting} == {"canceled"}


def test_canceled_while_it_waits(api, sandbox):
    context = Context(api, sandbox, "bash")
    first = context.start("echo up; sleep 1000")
    context.wait_output(first, "up")
    second, third = context.start("echo second"), context.start("echo third")
    answer = api.post(f"/api/v1/sandboxes/{sandbox}/executions/{second}/cancel").json()
    assert answer["status"] == "canceled"
    context.interrupt()
    assert context.end_of(third)["exitCode"] == 0
    assert [i["type"] for i in context.items(second)] == ["exited"]


def test_canceled_while_it_runs_keeps_the_state(api, sandbox):
    context = Context(api, sandbox, "python")
    context.run("x = 1")
    number = context.start("print('up', flush=True)\nwhile True: pass")
    context.wait_output(number, "up")
    api.post(f"/api/v1/sandboxes/{sandbox}/executions/{number}/cancel")
    assert context.end_of(number)["status"] == "canceled"
    assert context.text("x") == "1"


def test_canceled_though_it_does_not_heed_interrupts(api, sandbox):
    context = Context(api, sandbox, "python")
    context.run("x = 1")
    number = context.start("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                           "print('up', flush=True)\n"
                           "while True: pass")
    context.wait_output(number, "up")
    api.post(f"/api/v1/sandboxes/{sandbox}/executions/{number}/cancel")
    assert context.end_of(number)["status"] == "canceled"
    assert context.error("x")["name"] == "NameError"


def test_timeout_interrupts_and_keeps_the_state(api, sandbox):
    context = Context(api, sandbox, "python")
    context.run("import time; x = 1")
    answer = context.run("time.sleep(1000)", timeoutMs=300)
    assert answer["status"] == "timeout" and answer["error"]["name"] == "KeyboardInterrupt"
    assert context.text("x") == "1"


def test_timeout_counts_from_when_it_runs(api, sandbox):
    context = Context(api, sandbox, "bash")
    answers = in_parallel([lambda: context.run("sleep 3"),
                           lambda: context.run("sleep 3", timeoutMs=60000),
                           lambda: context.run("true", timeoutMs=5000)])
    assert [a["status"] for a in answers] == ["exited"] * 3


def test_timeout_ends_what_does_not_heed_interrupts(api, sandbox):
    context = Context(api, sandbox, "bash")
    context.run("x=1")
    answer = context.run("trap '' INT; while :; do :; done", timeoutMs=300)
    assert answer["status"] == "timeout"
    assert context.output("echo [$x]") == "[]\n"


def test_signals_reach_it(api, sandbox):
    context = Context(api, sandbox, "python")
    number = context.start("import signal, time\n"
                           "signal.signal(signal.SIGUSR1, lambda *_: print('usr1', flush=True))\n"
                           "print('up', flush=True)\n"
                           "time.sleep(1000)")
    context.wait_output(number, "up")
    signals = f"/api/v1/sandboxes/{sandbox}/executions/{number}/signal"
    api.post(signals, {"signal": "SIGUSR1"}, status=204)
    context.wait_output(number, "usr1")
    api.post(signals, {"signal": "SIGINT"}, status=204)
    assert context.end_of(number)["exitCode"] == 130


def test_interrupt_of_an_idle_context_does_nothing(api, sandbox):
    for language, code in (("python", "x"), ("bash", "echo $x"), ("node", "x")):
        context = Context(api, sandbox, language)
        context.run("x=7")
        for _ in range(5):
            assert context.interrupt()["state"] == "idle"
        answer = context.run(code)
        assert "7" in answer["stdout"] + json.dumps(answer["results"]), answer


def test_restart_drops_the_state_and_goes_on_with_the_queue(api, sandbox):
    context = Context(api, sandbox, "python")
    context.run("x = 1")
    number = context.start("print('up', flush=True)\nimport time; time.sleep(1000)")
    context.wait_output(number, "up")
    waiting = context.start("print('x' in globals())")
    assert context.restart()["state"] == "restarting"
    assert context.end_of(number)["status"] == "canceled"
    assert context.end_of(waiting)["exitCode"] == 0
    assert "False\n" in [i.get("data") for i in context.items(waiting)]
    assert context.info()["pid"] != context.made["pid"]


def test_restart_under_load(api, sandbox):
    context = Context(api, sandbox, "bash")

    def some():
        return [context.run("echo $$")["status"] for _ in range(20)]

    def restarts():
        for _ in range(10):
            context.restart()
            context.run("true")
    *statuses, _ = in_parallel([some, some, some, restarts])
    assert {s for some in statuses for s in some} <= {"exited", "canceled"}
    assert context.output("echo fine") == "fine\n"


def test_many_contexts_at_once(api, sandbox):
    contexts = [Context(api, sandbox, "bash") for _ in range(6)]
    for number, context in enumerate(contexts):
        context.run(f"n={number}")
    answers = in_parallel([lambda c=c: c.output("sleep 0.2; echo $n") for c in contexts])
    assert answers == [f"{n}\n" for n in range(6)]


def test_output_is_bounded_and_flagged(bash):
    answer = bash.run("head -c 6000000 /dev/zero | tr '\\0' x; echo err >&2")
    assert answer["truncated"] == {"stdout": True, "stderr": False}
    assert len(answer["stdout"]) == 4 * 1024 * 1024 and answer["stderr"] == "err\n"
    assert bash.output("echo after") == "after\n"


def test_slow_reader_stalls_only_this_execution(api, sandbox):
    slow, other = Context(api, sandbox, "python"), Context(api, sandbox, "python")
    with api.open_stream(sandbox, context=slow.id, code="for i in range(40000): print('x' * 1000)") as s:
        pieces = s.iter_content(1000)
        next(pieces)
        assert other.text("1 + 1") == "2"
        wait_until("the execution to wait", lambda: slow.info()["state"] == "busy")
        rest = b"".join(pieces)
    assert rest.count(b"x" * 999) > 30000
    assert slow.text("2 + 2") == "4"


# ---- stdin ----

def test_stdin_text(api, sandbox):
    python, bash, node = (Context(api, sandbox, l) for l in ("python", "bash", "node"))
    assert python.text("a = input(); b = input(); (a, b)", stdin="one\ntwö\n") == "('one', 'twö')"
    assert python.text("import sys; sys.stdin.read()", stdin="all of\nit") == "'all of\\nit'"
    assert python.error("input()", stdin="")["name"] == "EOFError"
    assert python.error("input()")["name"] == "EOFError"
    assert bash.output("read a b; echo \"$b $a\"; cat", stdin="x y\nrest") == "y x\nrest"
    assert bash.output("cat | wc -c", stdin="z" * 500000).strip() == "500000"
    assert bash.output("echo unread", stdin="z" * 500000) == "unread\n"
    assert bash.output("read a; echo \"[$a] $?\"") == "[] 1\n"
    assert node.output("const rl = require('readline').createInterface({input: process.stdin});\n"
                       "for await (const line of rl) console.log('got ' + line)",
                       stdin="a\nb\n") == "got a\ngot b\n"


@pytest.mark.parametrize("language, code", [
    ("python", "print('name?', flush=True); print('hello ' + input())"),
    ("bash", "echo name?; read n; echo hello $n"),
    ("node", "console.log('name?'); const rl = require('readline').createInterface({input: process.stdin});"
             "for await (const n of rl) { console.log('hello ' + n); break }")])
def test_stdin_that_comes_later(api, sandbox, language, code):
    context = Context(api, sandbox, language)
    number = context.start(code, stdin=True)
    context.wait_output(number, "name?")
    stdin = f"/api/v1/sandboxes/{sandbox}/executions/{number}/stdin"
    api.post(stdin, {"data": "bo"}, status=204)
    api.post(stdin, {"data": "b\n"}, status=204)
    context.wait_output(number, "hello bob")
    assert context.end_of(number)["exitCode"] == 0
    assert context.run("1" if language != "bash" else "true")["exitCode"] == 0


def test_a_prompt_is_an_item(api, sandbox):
    context = Context(api, sandbox, "python")
    number = context.start("print(input('name? '))", stdin=True)
    wait_until("the prompt", lambda: any(i["type"] == "input" for i in context.items(number)))
    assert [i["prompt"] for i in context.items(number) if i["type"] == "input"] == ["name? "]
    api.post(f"/api/v1/sandboxes/{sandbox}/executions/{number}/stdin", {"data": "bob\n", "eof": True},
             status=204)
    assert context.end_of(number)["exitCode"] == 0
    context.wait_output(number, "bob")
