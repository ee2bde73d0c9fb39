"""A runtime that has been taken over speaks the link as it likes. It may ruin its own sandbox, and
nothing else: the API lives, stays small, and answers for others."""
import concurrent.futures
import contextlib
import re
import struct
import time

import pytest

from tests.api.conftest import SANITIZER_WORDS
from tests.helpers import server as servers
from tests.helpers.client import Api, wait_until
from tests.helpers.fake_node import (CREDIT, DATA, END, EOF, NOTE, OPEN, PAYLOAD_MAX, PONG, FakeNode,
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
        self.id = created.result(20)["id"]

    def ask(self, method, path, **more):
        more.setdefault("timeout", 20)
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
    wait_until("the API to answer", lambda: hostile.api.get("/healthz").status_code == 200)
    before = time.monotonic()
    assert hostile.ask("GET", "/files/workspace/f").result().status_code == 503
    assert time.monotonic() - before < 5
    hostile.runtime.send(frame(EOF, 1))
