"""The WebSocket `.../stream`: executions multiplexed over one connection."""
import base64
import contextlib
import json
import os
import random
import socket
import struct
import threading
import time

import pytest

from tests.helpers import schema
from tests.helpers import server as servers
from tests.helpers.client import wait_until
from tests.helpers.websocket import PING, PONG, TEXT, Refused, WebSocket, close_frame, frame


class Stream:
    """A stream whose messages are sorted by the client's id."""

    def __init__(self, api, sandbox, **more):
        more.setdefault("key", api.key)
        self.ws = WebSocket(api.url, f"/api/v1/sandboxes/{sandbox}/stream", **more)
        self.closed = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.ws.sock.close()

    def send(self, type, id=None, **members):
        if id is not None:
            members["id"] = id
        self.ws.send_json(type=type, **members)

    def next(self):
        got = self.ws.receive()
        if not isinstance(got, str):
            self.closed = got
            raise EOFError(f"closed: {got}")
        message = json.loads(got)
        schema.check_component("StreamMessage", message)
        return message

    def until(self, type, id=None):
        """Messages up to the first of this type (and id), which is the last one."""
        got = []
        while True:
            got.append(self.next())
            if got[-1]["type"] == type and (id is None or got[-1].get("id") == id):
                return got

    def run(self, id, **execute):
        self.send("execute", id, **execute)
        return self.until("exited", id)

    def refused(self, code, *args, **members):
        self.send(*args, **members)
        error = self.next()
        assert error["type"] == "error" and error["code"] == code, error
        return error


def output(messages, kind="stdout", id=None):
    parts = [base64.b64decode(m["data"]) if m.get("encoding") else m["data"].encode()
             for m in messages if m["type"] == kind and (id is None or m["id"] == id)]
    return b"".join(parts)


@pytest.fixture
def stream(api, shared):
    with Stream(api, shared) as one:
        yield one


# ---- executions ----

def test_execute(stream):
    got = stream.run("a", command="echo out; echo err >&2; exit 3")
    assert got[0]["type"] == "started" and got[0]["execution"].startswith("ex-") and got[0]["pid"] > 1
    assert {m["id"] for m in got} == {"a"}
    assert output(got) == b"out\n" and output(got, "stderr") == b"err\n"
    assert got[-1]["status"] == "exited" and got[-1]["exitCode"] == 3
    got = stream.run("b", language="python", code="import os; print(os.environ['X'], os.getcwd())",
                     env={"X": "y"}, cwd="/tmp")
    assert output(got) == b"y /tmp\n"


def test_bytes_that_are_no_text(stream):
    got = stream.run("a", command=r"printf '\377\376x'")
    assert output(got) == b"\xff\xfex" and "base64" in [m.get("encoding") for m in got]


def test_offsets(stream):
    got = stream.run("a", command="printf abc; printf de >&2; printf f")
    at = 0
    for m in got:
        if m["type"] in ("stdout", "stderr"):
            assert m["offset"] == at
            at += len(m["data"])
    assert at == 6


def test_many_at_once(stream):
    for i in range(64):
        stream.send("execute", str(i), command=f"read x; echo {i} $x", stdin=True)
    for i in range(64):
        stream.send("stdin", str(i), data=f"line {i}\n")
    got, ends = [], 0
    while ends < 64:
        got.append(stream.next())
        ends += got[-1]["type"] == "exited"
    for i in range(64):
        assert output(got, id=str(i)) == f"{i} line {i}\n".encode()


def test_not_more_than_64(stream):
    for i in range(65):
        stream.send("execute", str(i), command="cat", stdin=True)
    error = stream.until("error")[-1]
    assert error["id"] == "64" and error["code"] == "quota_exceeded"
    for i in range(64):
        stream.send("cancel", str(i))
    for _ in range(64):
        stream.until("exited")
    assert output(stream.run("again", command="echo fine")) == b"fine\n"


def test_taking_turns(stream):
    """One that floods does not keep the others waiting."""
    stream.send("execute", "flood", command="yes")
    stream.until("stdout", "flood")
    got = stream.run("small", command="echo small")
    assert output(got, id="small") == b"small\n"
    stream.send("cancel", "flood")
    assert stream.until("exited", "flood")[-1]["status"] == "canceled"


def test_stdin(stream):
    stream.send("execute", "a", command="cat", stdin=True)
    stream.until("started", "a")
    stream.send("stdin", "a", data="text\u20ac ")
    stream.send("stdin", "a", data=base64.b64encode(b"\xff\x00bytes").decode(), encoding="base64")
    stream.send("stdin", "a", eof=True)
    assert output(stream.until("exited", "a")) == "text\u20ac ".encode() + b"\xff\x00bytes"


def test_much_stdin(stream):
    data = bytes(range(256)) * 4096
    stream.send("execute", "a", command="cat", stdin=True)
    stream.until("started", "a")

    def feed():
        for i in range(0, len(data), 65536):
            stream.send("stdin", "a", data=base64.b64encode(data[i:i + 65536]).decode(),
                        encoding="base64", eof=i + 65536 == len(data))
    feeder = threading.Thread(target=feed)
    feeder.start()
    got = stream.until("exited", "a")
    feeder.join()
    errors = [m for m in got if m["type"] == "error"]
    if errors:  # the program was slower than we: what was refused is missing, nothing else
        assert {e["code"] for e in errors} == {"rate_limited"}
    else:
        assert output(got) == data


def test_stalled_stdin_stalls_nobody(stream):
    stream.send("execute", "deaf", command="sleep 60", stdin=True)
    stream.until("started", "deaf")
    block = "x" * 65536
    for _ in range(40):
        stream.send("stdin", "deaf", data=block)
    error = stream.until("error", "deaf")[-1]
    assert error["code"] == "rate_limited"
    assert output(stream.run("b", command="echo alive"), id="b") == b"alive\n"
    stream.send("cancel", "deaf")
    stream.until("exited", "deaf")


def test_signal_and_cancel(stream):
    stream.send("execute", "a", command="trap 'echo got it; exit 7' USR1; echo up; while :; do sleep 0.05; done")
    stream.until("stdout", "a")
    stream.send("signal", "a", signal="SIGUSR1")
    got = stream.until("exited", "a")
    assert output(got) == b"got it\n" and got[-1]["exitCode"] == 7
    stream.send("execute", "a", command="sleep 60")
    stream.until("started", "a")
    stream.send("cancel", "a")
    assert stream.until("exited", "a")[-1]["status"] == "canceled"


def test_terminal_of_an_execution(stream):
    stream.send("execute", "a", command="stty size; read x; stty size", tty={"rows": 5, "cols": 33})
    stream.until("started", "a")
    while b"5 33" not in output(got := stream.until("stdout", "a")):
        pass
    stream.send("resize", "a", rows=6, cols=44)
    stream.send("stdin", "a", data="\n")
    assert b"6 44" in output(got + stream.until("exited", "a"))


def test_background_is_only_started(stream, api, shared):
    stream.send("execute", "a", command="echo there", background=True)
    execution = stream.until("started", "a")[0]["execution"]
    stream.send("ping")
    assert stream.next()["type"] == "pong"
    stream.send("resume", "a", execution=execution)
    assert output(stream.until("exited", "a")) == b"there\n"


def test_program_that_cannot_start(stream):
    got = stream.run("a", command=["/no/such/program"])
    assert got[-1]["status"] == "failed" and got[-2]["type"] == "error" and got[-2]["value"]


# ---- resume ----

def test_resume_over_another_connection(api, shared, stream):
    stream.send("execute", "job-7", command="for i in 1 2 3; do echo $i; sleep 0.2; done; echo end")
    first = stream.until("stdout", "job-7")
    stream.ws.sock.close()
    at = first[-1]["offset"] + len(first[-1]["data"])
    for name in ({"id": "job-7"}, {"id": "x", "execution": first[0]["execution"]},
                 {"id": first[0]["execution"]}):
        with Stream(api, shared) as again:
            again.send("resume", offset=at, **name)
            got = again.until("exited", name["id"])
            assert output(first) + output(got) == b"1\n2\n3\nend\n"


def test_resume_here(stream):
    stream.send("execute", "a", command="printf 123456; read x; echo $x", stdin=True)
    stream.until("stdout", "a")
    stream.send("resume", "a", offset=3)
    assert output(stream.until("stdout", "a")) == b"456"
    stream.send("stdin", "a", data="7\n")
    assert output(stream.until("exited", "a")) == b"7\n"


def test_resume_of_what_is_unknown(stream):
    for members in ({"id": "never"}, {"id": "ex-aaaaaaaaaaaaaaaa"}, {"id": "a", "execution": "ex-b"}):
        assert stream.refused("not_found", "resume", **members)["id"] == members["id"]


def test_no_byte_lost_over_many_disconnects(api, shared):
    dice, whole, offset, execution = random.Random(3), b"", 0, None
    expected = b"".join(b"%06d\n" % i for i in range(100000))
    while True:
        with Stream(api, shared) as s:
            if execution:
                s.send("resume", "r", execution=execution, offset=offset)
            else:
                s.send("execute", "r", command="seq -f %06.0f 0 99999")
            for _ in range(dice.randrange(2, 6)):
                m = s.next()
                execution = m.get("execution", execution)
                if m["type"] == "stdout":
                    assert m["offset"] == offset
                    whole += m["data"].encode()
                    offset += len(m["data"])
                if m["type"] == "exited":
                    assert whole == expected
                    return


# ---- messages that are wrong ----

def test_refusals(stream):
    assert stream.refused("invalid_request", "execute", command="true").get("path") == "id"
    assert stream.refused("invalid_request", "execute", "a")["id"] == "a"
    assert stream.refused("invalid_request", "execute", "a", command="true", wat=1)["path"] == "wat"
    assert stream.refused("invalid_request", "execute", "i" * 65, command="true")["path"] == "id"
    assert stream.refused("invalid_request", "dance", "a")["path"] == "type"
    assert stream.refused("not_found", "stdin", "nobody", data="x")["id"] == "nobody"
    assert stream.refused("not_found", "signal", "nobody", signal="SIGINT")
    assert stream.refused("not_found", "status", "nobody")
    stream.ws.send("[1]")
    assert stream.next()["type"] == "error"
    stream.send("execute", "a", command="cat", stdin=True)
    stream.until("started", "a")
    assert stream.refused("conflict", "execute", "a", command="true")["path"] == "id"
    assert stream.refused("invalid_request", "signal", "a", signal="SIGNOPE")["path"] == "signal"
    assert stream.refused("invalid_request", "stdin", "a", data="!", encoding="base64")
    assert stream.refused("invalid_request", "resize", "a", rows=0, cols=5)["path"] == "rows"
    stream.send("stdin", "a", eof=True)
    assert stream.until("exited", "a")[-1]["exitCode"] == 0


@pytest.mark.parametrize("text", ["", "{", "{\"type\":\"ping\"} x", "{\"a\":1,\"a\":2}", "[" * 500])
def test_no_json_closes(stream, text):
    stream.ws.send(text)
    assert stream.ws.receive()[0] == 1007


def test_binary_closes(stream):
    stream.ws.send(b"{}")
    assert stream.ws.receive()[0] == 1003


def test_too_big_closes(stream):
    stream.ws.send_bytes(frame(TEXT, "x" * ((1 << 20) + 1))[:100])
    assert stream.ws.receive()[0] == 1009


def test_status_and_ping(stream):
    stream.send("status")
    assert stream.next() == {"type": "status", "phase": "Running"}
    stream.send("ping", "p")
    assert stream.next() == {"id": "p", "type": "pong"}
    stream.send("execute", "a", command="cat", stdin=True)
    started = stream.until("started", "a")[0]
    stream.send("status", "a")
    status = stream.next()
    assert status["execution"]["id"] == started["execution"] and status["execution"]["status"] == "running"
    stream.send("cancel", "a")
    stream.until("exited", "a")
    stream.ws.send_bytes(frame(PING, b"x"))
    assert stream.ws.receive_frame() == (PONG, True, b"x")
    assert stream.ws.close(1000) == 1000


# ---- opening ----

def path_of(sandbox, what="stream"):
    return f"/api/v1/sandboxes/{sandbox}/{what}"


def refused(api, status, path, **more):
    with pytest.raises(Refused) as info:
        WebSocket(api.url, path, **more)
    assert info.value.status == status, info.value
    schema.check_component("Error", json.loads(info.value.body))
    return info.value


@pytest.mark.parametrize("what", ["stream", "terminal"])
def test_opening(api, shared, what):
    path = path_of(shared, what)
    refused(api, 401, path)
    refused(api, 401, path, key="sa_aaaaaaaa_" + "b" * 32)
    refused(api, 401, path, protocols=["secureagent.v1", "bearer.sa_aaaaaaaa_" + "b" * 32])
    refused(api, 404, path_of("sb-aaaaaaaaaaaaaaaa", what), key=api.key)
    answer = api.request("GET", path, 426)
    assert answer.headers["Upgrade"] == "websocket"
    with WebSocket(api.url, path, headers=[f"X-API-Key: {api.key}"]) as ws:
        assert "sec-websocket-protocol" not in ws.headers
        ws.close()
    for protocols in (["secureagent.v1", "bearer." + api.key], ["bearer." + api.key, "secureagent.v1"]):
        with WebSocket(api.url, path, protocols=protocols) as ws:
            assert ws.headers["sec-websocket-protocol"] == "secureagent.v1"
            ws.close()
    viewer = api.post("/api/v1/user/apikeys", {"name": "v", "role": "viewer"}, status=201).json()["key"]
    refused(api, 403, path, key=viewer)


def test_the_key_of_a_subprotocol_is_for_websockets_only(api, shared):
    answer = api.session.get(api.url + path_of(shared), headers={
        "Authorization": None, "Sec-WebSocket-Protocol": "secureagent.v1, bearer." + api.key})
    assert answer.status_code == 401


def test_origins(api, shared, new_server):
    own = f"Origin: {api.url}"
    WebSocket(api.url, path_of(shared), key=api.key, headers=[own]).close()
    for origin in ("https://evil.example", "null", "http://127.0.0.1", api.url.replace("http", "https"),
                   api.url + ".evil.example", api.url + "@evil.example"):
        refused(api, 403, path_of(shared), key=api.key, headers=[f"Origin: {origin}"])
    from tests.helpers.client import Api
    server = new_server(args=["--allow-origin", "https://one.example", "--allow-origin", "http://two.example:81"])
    other = Api(server.url, server.key)
    with other.sandbox() as sandbox:
        for origin in ("https://one.example", "http://two.example:81"):
            WebSocket(other.url, path_of(sandbox), key=other.key, headers=[f"Origin: {origin}"]).close()
        refused(other, 403, path_of(sandbox), key=other.key, headers=["Origin: http://two.example"])
    other.close()


def test_somebody_elses_sandbox(api, shared):
    other = api.post("/api/v1/user/apikeys", {"name": "o", "role": "developer"}, status=201).json()["key"]
    refused(api, 404, path_of(shared), key=other)


@pytest.mark.parametrize("what, message", [("stream", '{"type": "execute", "id": "a", "command": "touch /tmp/it"}'),
                                           ("terminal?command=cat", b"more\n")])
def test_a_key_that_is_revoked(api, shared, what, message):
    made = api.post("/api/v1/user/apikeys", {"name": "leaver", "role": "operator"}, status=201).json()
    with WebSocket(api.url, path_of(shared, what), key=made["key"]) as ws:
        ws.send('{"type": "ping"}')
        while '"pong"' not in str(ws.receive()):
            pass
        api.request("DELETE", f"/api/v1/user/apikeys/{made['id']}", 204)
        ws.send(message)
        while isinstance(got := ws.receive(), (str, bytes)):
            assert b"more" not in (got if isinstance(got, bytes) else b"")
        assert got == (1008, "the key was revoked")
    assert api.execute(shared, command="test -e /tmp/it")["exitCode"] == 1


# ---- ends ----

def test_the_sandbox_ends(api):
    with api.sandbox() as sandbox, Stream(api, sandbox) as busy, Stream(api, sandbox) as idle:
        busy.send("execute", "a", command="sleep 60")
        busy.until("started", "a")
        api.delete(sandbox)
        with pytest.raises(EOFError):
            while True:
                idle.next()
        assert idle.closed[0] == 1001 and "sandbox has ended" in idle.closed[1]
        got = busy.until("exited", "a")
        assert got[-1]["status"] in ("failed", "canceled", "signaled")
        with pytest.raises(EOFError):
            while True:
                busy.next()
        assert busy.closed[0] == 1001


def test_the_server_stops(new_server):
    from tests.helpers.client import Api
    server = new_server()
    api = Api(server.url, server.key)
    sandbox = api.create()["id"]
    with Stream(api, sandbox) as s:
        s.send("execute", "a", command="sleep 60")
        s.until("started", "a")
        server.send_signal(15)
        with pytest.raises(EOFError):
            while True:
                s.next()
        assert s.closed[0] == 1001
    api.close()


def test_under_tls(new_server, tmp_path):
    import subprocess
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "1", "-subj", "/CN=localhost", "-keyout", tmp_path / "key", "-out",
                    tmp_path / "cert"], check=True, capture_output=True)
    from tests.helpers.client import Api
    server = new_server(args=["--tls-cert", str(tmp_path / "cert"), "--tls-key", str(tmp_path / "key")])
    api = Api(server.url, server.key)
    api.session.verify = False
    sandbox = api.create()["id"]
    with Stream(api, sandbox) as s:
        got = s.run("a", command="head -c 3000000 /dev/zero | tr '\\0' x")
        assert output(got) == b"x" * 3000000
        assert s.ws.close() == 1000
    api.close()


def test_slow_client_stalls_itself_alone(api, server, shared):
    """It reads nothing: little is held for it, its program waits, others go on."""
    pid = server.pid_of("agent-api")
    with Stream(api, shared, receive_buffer=65536) as slow, Stream(api, shared) as quick:
        before = servers.status_kib(pid, "VmRSS")
        slow.send("execute", "a", command="head -c 100000000 /dev/zero | tr '\\0' x")
        time.sleep(1)
        held = servers.status_kib(pid, "VmRSS") - before
        assert held < (30000 if servers.SANITIZED else 4096), f"{held} KiB"
        assert output(quick.run("b", command="echo quick")) == b"quick\n"
        got = slow.until("exited", "a")
        assert sum(len(m["data"]) for m in got if m["type"] == "stdout") == 100000000


def sockets(pid):
    """How many it has open. (Executions that are kept may have files.)"""
    found = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
    return found


def test_a_thousand_disconnects(api, server, sandbox):
    """At whatever moment: no descriptor, memory or connection stays, and no execution is stuck."""
    pid, dice = server.pid_of("agent-api"), random.Random(11)
    moments = [[], [("execute", "a", {"command": "true"})], [("execute", "a", {"command": "yes | head -c 300000"})],
               [("execute", "a", {"command": "cat", "stdin": True, "timeoutMs": 500}),
                ("stdin", "a", {"data": "x" * 50000})], [("ping", None, {})]]

    def vanish():
        with Stream(api, sandbox) as s:
            for type, id, members in dice.choice(moments):
                s.send(type, id, **members)
            if dice.random() < 0.5:
                s.ws.sock.settimeout(dice.random() / 50 + 0.001)
                with contextlib.suppress(OSError):
                    s.ws.sock.recv(1000)
            if dice.random() < 0.3:
                s.ws.send_bytes(close_frame())
            elif dice.random() < 0.5:
                s.ws.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def settled():
        running = api.get(f"/api/v1/sandboxes/{sandbox}/executions?status=running").json()["items"]
        return not running

    def rounds(count):
        for i in range(count):
            vanish()
            if i % 50 == 49:
                wait_until("executions to end", settled)
        wait_until("executions to end", settled)
    rounds(300)
    connections = 'secureagent_http_connections '

    def open_connections():
        text = api.get("/metrics").text
        return float(next(line for line in text.splitlines() if line.startswith(connections)).split()[1])
    wait_until("connections to close", lambda: open_connections() <= 8)
    before, memory = sockets(pid), servers.status_kib(pid, "VmRSS")
    rounds(1000)
    wait_until("connections to close", lambda: open_connections() <= 8)
    wait_until("sockets to close", lambda: sockets(pid) <= before)
    grown = servers.status_kib(pid, "VmRSS") - memory
    # The record of decisions fills meanwhile: at most 8 MiB.
    assert grown < (70000 if servers.SANITIZED else 14000), f"{grown} KiB"
