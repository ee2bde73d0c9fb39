"""What code in a context may do to its kernel, and that it does it to nobody else."""
import json
import struct

import pytest

from tests.helpers import server as servers
from tests.helpers.client import wait_until
from tests.helpers.contexts import Context

RESULT = json.dumps({"type": "result", "data": {"text/plain": "forged"}, "main": True})
DONE = json.dumps({"type": "done", "id": 1, "exitCode": 0})


def frame(text, token="t" * 32):
    body = (token + text).encode()
    return struct.pack("<I", len(body)) + body


FORGED = frame(RESULT) + frame(RESULT, "") + frame(DONE) + frame(DONE, "")
WRITES = {
    "python": "import os\nfor fd in range(70000):\n    try: os.write(fd, %r)\n    except OSError: pass\n'end'" % FORGED,
    "node": "for (let fd = 0; fd < 3000; fd++) try { fs.writeSync(fd, Buffer.from('%s', 'hex')) } catch {}; 'end'" % FORGED.hex(),
    "bash": "for ((fd = 1; fd < 22000; fd++)); do [ -e /proc/self/fd/$fd ] && echo -ne '%s' >&$fd; done 2>/dev/null; echo end"
            % "".join(f"\\x{b:02x}" for b in FORGED),
}


@pytest.fixture(scope="module")
def own(api):
    with api.sandbox() as sandbox:
        yield sandbox


def forged(answer):
    return [r for r in answer["results"] if "forged" in json.dumps(r)]


@pytest.mark.parametrize("language", list(WRITES))
def test_frames_on_every_descriptor_are_no_frames(api, own, language):
    context = Context(api, own, language)
    context.run("x=1")
    answer = context.run(WRITES[language])
    assert not forged(answer)
    assert answer["status"] in ("exited", "failed")
    if answer["status"] == "failed":
        assert answer["error"]["name"] in ("KernelDied", "unavailable"), answer
        assert "control socket" in answer["error"]["value"]
    context.wait_state("idle")
    answer = context.run("echo alive" if language == "bash" else "'alive'")
    assert "alive" in answer["stdout"] + json.dumps(answer["results"]) and not forged(answer)


@pytest.mark.parametrize("language, code", [
    ("python", "import sys\nsys.stdout.buffer.write(%r); sys.stderr.buffer.write(%r)\n'end'" % (FORGED, FORGED)),
    ("node", "process.stdout.write(Buffer.from('%s', 'hex')); 'end'" % FORGED.hex()),
    ("bash", "printf '%s'; echo end" % "".join(f"\\x{b:02x}" for b in FORGED))])
def test_printed_frames_are_output(api, own, language, code):
    context = Context(api, own, language)
    answer = context.run(code)
    assert answer["status"] == "exited" and not forged(answer)
    assert context.run("1" if language != "bash" else "true")["status"] == "exited"


def find_socket(then):
    """Python code that finds the control socket as no accident would, and does this with it."""
    return ("import os, socket, fcntl\n"
            "for name in os.listdir('/proc/self/fd'):\n"
            "    try:\n"
            "        if 'socket' in os.readlink('/proc/self/fd/' + name): fd = int(name)\n"
            "    except OSError: pass\n" + then)


def test_junk_on_the_control_socket_ends_only_this_kernel(api, own):
    victim, other = Context(api, own, "python"), Context(api, own, "python")
    other.run("x = 1")
    for junk in (b"hello", frame(RESULT), b"\xff\xff\xff\xff", b"\0\0\0\0", struct.pack("<I", 1 << 30)):
        answer = victim.run(find_socket(f"os.write(fd, {junk!r})\nimport time; time.sleep(1000)"))
        assert answer["status"] == "failed" and not forged(answer)
        assert answer["error"]["name"] == "KernelDied"
        assert "control socket" in answer["error"]["value"]
        victim.wait_state("idle")
    assert other.text("x") == "1"


def test_frames_with_the_token_are_checked_all_the_same(api, own):
    """Code that looks for the token in its own process can lie about its own context, within bounds."""
    find = ("import gc, json, struct, socket\n"
            "channel = [o for o in gc.get_objects() if type(o).__name__ == 'Channel'][0]\n"
            "def send(m):\n"
            "    b = channel.token + (m if isinstance(m, bytes) else json.dumps(m).encode())\n"
            "    channel.sock.send(struct.pack('<I', len(b)) + b)\n")
    context = Context(api, own, "python")
    bad = ["{'type': 'nonsense'}", "b'{'", "b'[' * 100000", "{'type': 'done', 'id': -1, 'exitCode': 0}",
           "{'type': 'result', 'data': {'a b': 'c'}}", "{'type': 'stdout', 'data': 5}",
           "{'type': 'result', 'data': {'x/%d' % i: '' for i in range(100)}}",
           "{'type': 'stdout', 'data': '*', 'encoding': 'base64'}"]
    for message in bad:
        answer = context.run(find + f"send({message})\nimport time; time.sleep(1000)")
        assert answer["status"] == "failed" and answer["error"]["name"] == "KernelDied", message
        context.wait_state("idle")
    answer = context.run(find + "send({'type': 'done', 'id': 1 << 40, 'exitCode': 0})\n"
                                "send({'type': 'input', 'prompt': 'x' * 1000})\n"
                                "for _ in range(100): send({'type': 'input', 'prompt': ''})\n'fine'")
    assert answer["results"][-1]["text/plain"] == "'fine'"
    answer = context.run(find + "send({'type': 'done', 'id': 2, 'exitCode': 0, 'cpuUs': 1 << 49, 'memoryBytes': 1 << 49})\n"
                                "import time; time.sleep(0.2)")
    assert answer["usage"]["cpuMs"] < 1e6
    assert context.run("1")["status"] == "exited"


@pytest.mark.parametrize("code, status, how", [
    ("import os; os._exit(7)", "exited", "status 7"),
    ("import os; os.kill(os.getpid(), 9)", "signaled", "signal 9"),
    ("import os; os.abort()", "signaled", "signal 6"),
    ("import ctypes; ctypes.string_at(0)", "signaled", "signal 11"),
    ("import sys; sys.setrecursionlimit(10**9)\nclass A:\n    def __eq__(self, o): return A() == o\nA() == 1", "signaled", "signal 11"),
    ("import os; os.close([int(f) for f in os.listdir('/proc/self/fd') if int(f) > 1000][0]); print('x')", "exited", "status 0")])
def test_a_death_is_told_and_the_queue_goes_on(api, own, code, status, how):
    context = Context(api, own, "python")
    context.run("x = 1")
    first = context.start("print('up', flush=True); input()", stdin=True)
    context.wait_output(first, "up")
    dying, after = context.start(code), context.start("print('x' in globals())")
    api.post(f"/api/v1/sandboxes/{own}/executions/{first}/stdin", {"data": "\n", "eof": True}, status=204)
    assert context.end_of(dying)["status"] == status
    (error,) = [i for i in context.items(dying) if i["type"] == "error"]
    assert error["name"] == "KernelDied" and how in error["value"], error
    assert context.end_of(after)["exitCode"] == 0
    assert "False\n" in [i.get("data") for i in context.items(after)]
    context.delete()


def test_killed_from_outside(api, own):
    context = Context(api, own, "python")
    number = context.start("print('up', flush=True)\nimport time; time.sleep(1000)")
    context.wait_output(number, "up")
    api.sh(own, f"kill -9 {context.info()['pid']}")
    assert context.end_of(number)["status"] == "signaled"
    context.wait_state("idle")
    pid = context.info()["pid"]
    api.sh(own, f"kill -9 {pid}")  # idle
    wait_until("another kernel", lambda: context.info().get("pid", pid) != pid)
    assert context.text("1 + 1") == "2"


def test_memory_bomb_ends_the_kernel_as_out_of_memory(api):
    with api.sandbox(resources={"memory": "256Mi"}) as sandbox:
        context = Context(api, sandbox, "python")
        answer = context.run("x = []\nwhile True: x.append(bytearray(1 << 20))")
        assert answer["status"] in ("oom", "exited"), answer
        if answer["status"] == "oom":
            assert "memory" in answer["error"]["value"]
        else:  # the allocation failed first
            assert answer["error"]["name"] == "MemoryError"
        assert context.text("1 + 1") == "2"


def test_dying_again_and_again_is_slowed_down_and_said(api, sandbox):
    api.put(sandbox, "/workspace/fragile.py", b"")
    context = Context(api, sandbox, "python", imports=["fragile"])
    api.put(sandbox, "/workspace/fragile.py", b"import os; os._exit(9)")
    assert context.error("import os; os._exit(1)")["name"] == "KernelDied"
    waiting = context.start("'late'")
    end = context.end_of(waiting, timeout=120)
    assert end["status"] == "failed" and "status 9" in json.dumps(end["error"])
    info = context.info()
    assert info["state"] == "restarting" and "status 9" in info["message"]
    api.put(sandbox, "/workspace/fragile.py", b"")
    assert context.restart()["state"] == "restarting"
    assert context.text("'back'") == "'back'"
    assert "message" not in context.info()


def test_output_flood_is_bounded(api, server, own):
    context = Context(api, own, "python")
    before = servers.status_kib(server.pid_of("agent-api"), "VmRSS")
    answer = context.run("for i in range(300000): print('x' * 100)")
    assert answer["truncated"]["stdout"] and len(answer["stdout"]) == 4 * 1024 * 1024
    assert servers.status_kib(server.pid_of("agent-api"), "VmRSS") - before < 128 * 1024
    assert context.text("1 + 1") == "2"


def test_contexts_leave_nothing(api, server, sandbox):
    own = sandbox
    pid = server.pid_of("agent-api")
    for _ in range(3):
        for language in ("python", "bash", "node"):
            Context(api, own, language).delete()
    before = servers.descriptors(pid)
    for _ in range(10):
        context = Context(api, own, "bash")
        number = context.start("sleep 1000")
        context.wait_state("busy")
        context.delete()
        assert context.execution(number)["status"] == "canceled"
    wait_until("the kernels to be gone",
               lambda: "bash.sh" not in api.sh(own, "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"))
    assert servers.descriptors(pid) <= before + 2


def test_clients_that_leave_before_the_context_is_there(api, own):
    for _ in range(5):
        body = b'{"language":"python"}'
        with api.connect() as s:
            s.sendall(api.head("POST", f"/api/v1/sandboxes/{own}/contexts", "Content-Type: application/json",
                               f"Content-Length: {len(body)}") + body)
    path = f"/api/v1/sandboxes/{own}/contexts"
    wait_until("them to be gone",
               lambda: all(c["state"] != "starting" for c in api.get(path).json()["items"]), timeout=60)
