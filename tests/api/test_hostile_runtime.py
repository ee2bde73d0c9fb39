"""A runtime that has been taken over speaks the link as it likes. It may ruin its own sandbox, and
nothing else: the API lives, stays small, and answers for others."""
import concurrent.futures
import contextlib
import json
import re
import select
import struct
import time

import pytest
import requests

from tests.api.conftest import SANITIZER_WORDS
from tests.helpers import server as servers
from tests.helpers.client import Api, wait_until
from tests.helpers.fake_node import (CREDIT, DATA, DESTROY, END, EOF, NOTE, OPEN, PAYLOAD_MAX, PONG, FakeNode,
                                     field, frame)

PID, STATUS, CODE, SIGNAL, DURATION, OUT_TOTAL = 21, 30, 31, 32, 33, 36
ENTRY, NAME, TYPE, SIZE, MODIFIED, TARGET, VERSION, FULL, PERMISSIONS = 20, 21, 22, 23, 24, 25, 26, 27, 28


@pytest.fixture(scope="module")
def node():
    fake = FakeNode()
    yield fake
    status, log = fake.stop(), fake.log()
    assert not any(word in log for word in SANITIZER_WORDS), log[-8000:]
    assert status == 0, f"exit status {status}\n{log[-3000:]}"


class Hostile:
    """A sandbox whose runtime we are, and a client that asks in the background."""

    def __init__(self, node):
        self.node, self.api = node, Api(node.url, node.key)
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        created = self.pool.submit(self.api.create)
        while not node.links:
            node.serve_one()
        self.runtime = node.take()
        self.id = created.result(120)["id"]

    def ask(self, method, path, **more):
        more.setdefault("timeout", 120)
        return self.pool.submit(Api(self.node.url, self.node.key).session.request, method,
                                f"{self.node.url}/api/v1/sandboxes/{self.id}{path}", **more)

    def execute(self, **headers):
        return self.ask("POST", "/execute", json={"command": "true"}, headers=headers)

    def delete(self):
        gone = self.ask("DELETE", "")
        self.node.sock.settimeout(0.2)
        while not gone.done():
            with contextlib.suppress(TimeoutError):
                self.node.serve_one()
        assert gone.result().status_code == 204
        self.runtime.close()

    def took(self, client):
        """The runtime got a stream for what the client asked; False: the client got an answer."""
        self.runtime.sock.settimeout(0.05)
        try:
            for _ in range(1800):
                with contextlib.suppress(TimeoutError):
                    got = self.runtime.next()
                    if got[0] == OPEN:
                        return True
                if select.select([client], [], [], 0)[0]:
                    return False
        finally:
            self.runtime.sock.settimeout(90)
        raise TimeoutError("neither a stream nor an answer")

    def alive(self):
        assert self.node.process.poll() is None, self.node.log()[-5000:]
        assert self.api.get("/healthz").status_code == 200


@pytest.fixture
def hostile(node):
    one = Hostile(node)
    yield one
    one.alive()
    one.delete()
    one.alive()
    one.pool.shutdown(wait=False)


@pytest.mark.parametrize(("code", "status"), [(1, 400), (5, 503), (2, 503), (99, 503)])
def test_the_environment_is_refused(node, code, status):
    """Who waits for the sandbox is told so; whatever the runtime says of who may do what is not believed."""
    api = Api(node.url, node.key)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        created = pool.submit(api.post, "/api/v1/sandboxes", {"runtime": "python", "env": {"A": "b"}}, status=status)
        while not node.links:
            node.serve_one()
        runtime = node.take()
        runtime.send(frame(END, runtime.opened(), field(1, field(1, code) + field(2, "not this one"))))
        node.serve_until(DESTROY)
        message = created.result(120).json()["error"]["message"]
    assert message.startswith("its environment could not be set up: "), message
    runtime.close()
    api.close()


def entry(**more):
    values = {"name": "f", "type": "file", "size": 3, "modified": 0, "version": "1-3-0", "full": "/workspace/f",
              "permissions": 0o644, **more}
    tags = {"name": NAME, "type": TYPE, "size": SIZE, "modified": MODIFIED, "version": VERSION, "full": FULL,
            "permissions": PERMISSIONS, "target": TARGET}
    return b"".join(field(tags[k], v) for k, v in values.items())


def test_read_ends_without_an_entry(hostile):
    """No NOTE, no bytes, just END: the client is answered with an error, at once."""
    answer = hostile.ask("GET", "/files/workspace/f")
    hostile.runtime.send(frame(END, hostile.runtime.opened()))
    assert answer.result().status_code >= 500


def test_read_sends_bytes_before_the_entry(hostile):
    answer = hostile.ask("GET", "/files/workspace/f")
    stream = hostile.runtime.opened()
    hostile.runtime.send(frame(DATA, stream, b"abc") + frame(NOTE, stream, entry()) +
                         frame(DATA, stream, b"abc") + frame(END, stream))
    with contextlib.suppress(Exception):  # cut off, or refused: as long as it is not taken for good
        assert answer.result().status_code >= 500


def test_read_sends_two_entries(hostile):
    answer = hostile.ask("GET", "/files/workspace/f")
    stream = hostile.runtime.opened()
    hostile.runtime.send(frame(NOTE, stream, entry()) * 3 + frame(DATA, stream, b"abc") +
                         frame(END, stream))
    assert answer.result().content == b"abc"


def test_no_header_can_be_injected(hostile):
    answer = hostile.ask("GET", "/files/workspace/f")
    stream = hostile.runtime.opened()
    hostile.runtime.send(frame(NOTE, stream, entry(type="x\r\nSet-Cookie: a")) +
                         frame(DATA, stream, b"abc") + frame(END, stream))
    assert "set-cookie" not in {h.lower() for h in answer.result().headers}


@pytest.mark.parametrize("size", [-1, -(1 << 63), 2, 1 << 62, (1 << 63) - 1])
def test_a_size_that_is_not_true(hostile, size):
    """More or fewer bytes than announced, or a negative size: the client sees a cut, no more."""
    answer = hostile.ask("GET", "/files/workspace/f")
    stream = hostile.runtime.opened()
    hostile.runtime.send(frame(NOTE, stream, entry(size=size)) + frame(DATA, stream, b"abc") +
                         frame(END, stream))
    with contextlib.suppress(Exception):
        got = answer.result()
        assert got.status_code >= 500 or size < 0


@pytest.mark.parametrize("when", [-(1 << 63), (1 << 63) - 1, 9_000_000_000_000_000_000, -62_135_596_800_001])
def test_times_far_from_now(hostile, when):
    """A date that has no four-digit year is still a date, and no bytes of the stack."""
    answer = hostile.ask("GET", "/files?path=/workspace")
    stream = hostile.runtime.opened()
    hostile.runtime.send(frame(NOTE, stream, field(ENTRY, entry(modified=when))) + frame(END, stream))
    [item] = answer.result().json()["items"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", item["modifiedAt"]), item
    answer = hostile.ask("HEAD", "/files/workspace/f")
    stream = hostile.runtime.opened()
    hostile.runtime.send((frame(NOTE, stream, entry(modified=when)) * 2) + frame(END, stream))
    assert answer.result().headers["content-length"] == "3"


def test_a_head_without_an_entry(hostile):
    answer = hostile.ask("HEAD", "/files/workspace/f")
    hostile.runtime.send(frame(END, hostile.runtime.opened()))
    assert answer.result().status_code >= 500


def test_a_list_with_empty_notes_is_one_list(hostile):
    answer = hostile.ask("GET", "/files?path=/workspace")
    stream = hostile.runtime.opened()
    hostile.runtime.send(frame(NOTE, stream) * 3 + frame(NOTE, stream, field(ENTRY, entry())) +
                         frame(NOTE, stream) + frame(END, stream))
    assert len(answer.result().json()["items"]) == 1


def test_the_status_of_an_execution_is_one_we_know(hostile):
    for status in ('x"\n} 1', "", "oom", "running"):
        answer = hostile.execute()
        hostile.runtime.send(frame(END, hostile.runtime.opened(), field(STATUS, status)))
        assert answer.result().json()["status"] == "failed"
    assert '"x' not in hostile.api.get("/metrics").text


def test_figures_of_an_execution_out_of_range(hostile):
    answer = hostile.execute()
    body = b"".join(field(tag, value) for tag in range(CODE, 40) for value in (-(1 << 63), (1 << 63) - 1))
    hostile.runtime.send(frame(END, hostile.runtime.opened(), field(STATUS, "exited") + body))
    assert answer.result().status_code == 200


def pump(runtime, stream, channel, most, kind=DATA, payload=bytes(64 * 1024)):
    """Send as fast as credit comes back, up to `most` bytes; how many that were."""
    sent, credit = 0, 512 * 1024
    runtime.sock.settimeout(2)
    with contextlib.suppress(TimeoutError, OSError):
        while sent < most:
            while credit >= len(payload):
                runtime.send(frame(kind, stream, payload, channel))
                sent += len(payload)
                credit -= len(payload)
            got = runtime.next()
            if got is None:
                break
            if got[0] == CREDIT and got[1] == stream:
                credit += struct.unpack("<I", got[3])[0]
    runtime.sock.settimeout(20)
    return sent


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_output_without_end_is_capped(hostile, channel):
    """The runtime was told the most that is wanted; the API holds it to that."""
    before = servers.status_kib(hostile.node.process.pid, "VmRSS")
    answer = hostile.execute()
    stream = hostile.runtime.opened()
    pump(hostile.runtime, stream, channel, 96 << 20)
    grown = servers.status_kib(hostile.node.process.pid, "VmRSS") - before
    assert grown < 40 * 1024, f"grown by {grown} KiB"
    hostile.runtime.send(frame(END, stream, field(STATUS, "exited") + field(CODE, 0)))
    assert len(answer.result().json()["stdout"]) <= 6 << 20


def test_a_flood_of_starts_is_one_start(hostile):
    answer = hostile.execute(Accept="application/x-ndjson")
    stream = hostile.runtime.opened()
    hostile.runtime.send(frame(NOTE, stream, field(PID, 7)) * 1000 +
                         frame(END, stream, field(STATUS, "exited") + field(CODE, 0)))
    assert answer.result().text.count('"started"') == 1


def test_a_client_that_does_not_read_stops_a_list(hostile):
    """Entries are data: without a reader no credit comes back for them."""
    before = servers.status_kib(hostile.node.process.pid, "VmRSS")
    with hostile.api.connect() as s:
        s.sendall(hostile.api.head("GET", f"/api/v1/sandboxes/{hostile.id}/files?path=/workspace"))
        stream = hostile.runtime.opened()
        note = field(ENTRY, entry(full="/" + "x" * 4000)) * 16
        sent = pump(hostile.runtime, stream, 0, 48 << 20, NOTE, note)
        assert sent < 24 << 20, f"{sent} bytes were taken"
        grown = servers.status_kib(hostile.node.process.pid, "VmRSS") - before
        assert grown < 24 * 1024, f"grown by {grown} KiB"


@pytest.mark.parametrize("bad", [
    b"\0" * 12, b"\xff" * 64, frame(DATA, 999, b"x"), frame(OPEN, 1, b""), frame(OPEN, 2, field(1, 10)),
    frame(PONG, 0, b"x"), frame(END, 2), struct.pack("<IIBBH", 1 << 31, 1, DATA, 0, 0),
    frame(NOTE, 1, b"\x01"), frame(11, 0, b"\xff" * 40), frame(1, 0, b"")])
def test_malformed_frames_end_the_sandbox_only(node, bad):
    one, other = Hostile(node), Hostile(node)
    answer = one.execute()
    stream = one.runtime.opened()
    one.runtime.send(bad.replace(b"STREAM", struct.pack("<I", stream)) + bad)
    one.runtime.close()
    assert answer.result().status_code in (200, 503)
    answer = other.execute()
    other.runtime.send(frame(END, other.runtime.opened(), field(STATUS, "exited") + field(CODE, 0)))
    assert answer.result().json()["status"] == "exited"
    for each in (one, other):
        each.delete()
        each.alive()


def test_who_never_answers_harms_nobody(hostile):
    """A client that gives up on a runtime that never answers, many times over."""
    for _ in range(300):
        with hostile.api.connect() as s:
            s.sendall(hostile.api.head("GET", f"/api/v1/sandboxes/{hostile.id}/files/workspace/f"))
            if not hostile.took(s):
                break  # no stream is left
    else:
        pytest.fail("the API opens streams without an end")
    wait_until("the API to answer", lambda: hostile.api.get("/healthz").status_code == 200)
    before = time.monotonic()
    assert hostile.ask("GET", "/files/workspace/f").result().status_code == 503
    assert time.monotonic() - before < 20
    hostile.runtime.send(frame(EOF, 1))


# ---- watches, ports, contexts ----

EVENT, EVENT_TYPE, EVENT_FROM, LISTENER, PORT, ADDRESS, PORT_PID, PROGRAM = 32, 33, 34, 10, 2, 11, 12, 13
CONTROL = 3
ODD_NAMES = ["\x1b]0;x\x07", "a\nb", "a\r\ndata: {}\r\n\r\n", b"\xff\xfe", "\0", "x" * 6000, "\u2028", "\"}"]


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
def test_events_with_odd_names(hostile, accept):
    """Each event is one line of JSON, whatever is in it; what is no event is none."""
    answer = hostile.ask("GET", "/files/watch?path=/workspace", headers={"Accept": accept}, stream=True)
    stream = hostile.runtime.opened()
    hostile.runtime.send(frame(NOTE, stream))
    for name in ODD_NAMES:
        for kind in ("create", "rename", "overflow", "x", "create\n", ""):
            hostile.runtime.send(frame(NOTE, stream, field(EVENT, field(EVENT_TYPE, kind) + field(FULL, name) +
                                                           field(TYPE, name) + field(EVENT_FROM, name))))
        hostile.runtime.send(frame(NOTE, stream, field(EVENT, b"\x21")))
    hostile.runtime.send(frame(END, stream) * 2)
    lines = [line for line in answer.result().content.split(b"\n") if line]
    events = [json.loads(line.removeprefix(b"data: ")) for line in lines]
    assert all("\n" not in line.decode() for line in lines)
    assert {e["type"] for e in events} <= {"watching", "create", "rename", "overflow", "error"}, events
    assert events[0] == {"type": "watching"} and events[-1]["type"] == "error"


def test_listeners_that_cannot_be(hostile):
    answer = hostile.ask("GET", "/ports")
    stream = hostile.runtime.opened()
    body = b"".join(field(LISTENER, field(PORT, port) + field(ADDRESS, name) + field(PORT_PID, pid) + field(PROGRAM, name))
                    for name in ODD_NAMES[:5] for port in (-1, 0, 1, 65536, 1 << 62) for pid in (-5, 0, 1 << 62))
    hostile.runtime.send(frame(END, stream, body + field(LISTENER, b"\1")))
    assert {item["port"] for item in answer.result().json()["items"]} <= {1}


@pytest.mark.parametrize("reply", [
    lambda s: frame(END, s) * 2, lambda s: frame(NOTE, s) + frame(EOF, s, channel=1) + frame(END, s),
    lambda s: frame(DATA, s, b"HTTP/1.1 200 OK\r\n\r\n", 1) + frame(END, s),
    lambda s: frame(NOTE, s) * 3 + frame(DATA, s, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", 2) + frame(END, s),
    lambda s: frame(NOTE, s) + frame(DATA, s, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\n\r\n", 1) + frame(END, s) * 2])
def test_ports_of_a_liar(hostile, reply):
    answer = hostile.ask("GET", "/ports/80/")
    hostile.runtime.send(reply(hostile.runtime.opened()))
    with contextlib.suppress(requests.exceptions.RequestException):
        assert answer.result().status_code in (200, 502, 503)


class HostileContext:
    """A context whose kernel we are; it has become ready."""

    def __init__(self, hostile):
        self.hostile, self.runtime = hostile, hostile.runtime
        created = hostile.ask("POST", "/contexts", json={"language": "python"})
        self.stream, self.token, self.said = self.runtime.opened(), None, b""
        while not self.token:
            kind, stream, channel, payload = self.runtime.next()
            if kind == DATA and stream == self.stream and channel == CONTROL:
                self.said += payload
            if len(self.said) >= 4 and len(self.said) >= 4 + struct.unpack_from("<I", self.said)[0]:
                self.token = json.loads(self.said[4:4 + struct.unpack_from("<I", self.said)[0]])["token"]
        self.runtime.send(frame(NOTE, self.stream, field(PID, 1 << 62)) + frame(NOTE, self.stream, field(PID, -1)))
        self.tell({"type": "ready", "pid": 7})
        self.id = created.result().json()["id"]

    def tell(self, value):
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        body = struct.pack("<I", len(self.token) + len(text)) + self.token.encode() + text
        for at in range(0, len(body), 60000):
            self.runtime.send(frame(DATA, self.stream, body[at:at + 60000], CONTROL))

    def run(self):
        answer = self.hostile.ask("POST", "/execute", json={"context": self.id, "code": "1"})
        while True:
            kind, stream, channel, payload = self.runtime.next()
            if kind == DATA and stream == self.stream and b'"execute"' in payload:
                return answer


BUNDLE = {"type": "result", "main": True}
FRAMES = {
    "no type": {}, "an array": b"[]", "nothing": b" ", "deep": b"[" * 5000, "invalid UTF-8": b'{"type":"stdout","data":"\xff\xfe"}',
    "NUL": b'{"type":"stdout","data":"a\\u0000b"}', "raw NUL": b'{"type":"stdout","data":"a\0b"}',
    "lone surrogate": b'{"type":"stdout","data":"\\ud800"}', "twice": b'{"type":"stdout","type":"done","data":"a"}',
    "mime": {**BUNDLE, "data": {"text/html\r\nX: y": "a"}}, "no mime": {**BUNDLE, "data": {"": "a"}},
    "image": {**BUNDLE, "data": {"image/png": "<script>"}}, "html": {**BUNDLE, "data": {"text/html": "<b>" * 100000}},
    "many": {**BUNDLE, "data": {f"text/x{i}": "a" for i in range(100)}},
    "json": b'{"type":"result","main":true,"json":[{"mime":"application/json","value":' + b"[" * 60 + b"]" * 60 + b"}]}",
    "json twice": {**BUNDLE, "data": {}, "json": [{"mime": "application/json", "value": 1}] * 2},
    "json and text": {**BUNDLE, "data": {"application/json": "1"}}, "value": {**BUNDLE, "data": {"text/plain": 5}},
    "numbers": b'{"type":"done","id":1e999,"exitCode":-1}', "exit code": {"type": "done", "id": 1, "exitCode": 1 << 40},
    "another's end": {"type": "done", "id": 99, "exitCode": 0}, "prompt": {"type": "input", "prompt": "\u001b[2J" * 1000},
    "ready again": {"type": "ready", "pid": -1}, "failed late": {"type": "failed", "import": "a", "name": "b", "value": "c"},
    "error": {"type": "error", "name": "\u001b", "value": "v" * 100000, "traceback": "\u0000"},
}


@pytest.mark.parametrize("name", list(FRAMES))
def test_frames_of_a_kernel(hostile, name):
    """Taken as what they are, or the end of that kernel: never more, and the answer is whole."""
    context = HostileContext(hostile)
    answer = context.run()
    context.tell(FRAMES[name])
    context.tell({"type": "done", "id": 1, "exitCode": 0, "cpuUs": 1 << 49, "memoryBytes": 1 << 49})
    hostile.runtime.send(frame(END, context.stream, field(STATUS, "exited") + field(CODE, 1 << 40)) * 2)
    got = answer.result()
    assert got.status_code == 200 and got.json()["status"] in ("exited", "failed"), got.text[:500]
    assert all(re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", mime) for r in got.json()["results"] for mime in r)


def test_a_frame_that_never_ends(hostile):
    """A length is announced, and its bytes come for ever: no more is kept than a frame may have."""
    context = HostileContext(hostile)
    answer = context.run()
    before = servers.status_kib(hostile.node.process.pid, "VmRSS")
    hostile.runtime.send(frame(DATA, context.stream, struct.pack("<I", 16 << 20) + context.token.encode(), CONTROL))
    pump(hostile.runtime, context.stream, CONTROL, 64 << 20)
    grown = servers.status_kib(hostile.node.process.pid, "VmRSS") - before
    assert grown < (200 if servers.SANITIZED else 64) * 1024, f"grown by {grown} KiB"
    hostile.runtime.send(frame(END, context.stream, field(STATUS, "exited")))
    assert answer.result().json()["status"] == "failed"
