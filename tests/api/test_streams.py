"""Executions as streams: NDJSON and server-sent events."""
import base64
import hashlib
import json
import threading
import time

import pytest

from tests.helpers import server as servers
from tests.helpers.client import items, wait_until

FORMS = ["application/x-ndjson", "text/event-stream"]


def payload(item):
    if item.get("encoding") == "base64":
        return base64.b64decode(item["data"])
    return item["data"].encode()


def check(stream, status="exited"):
    """What holds for every stream; gives (stdout, stderr, the last item)."""
    assert stream[0]["type"] == "started" and stream[0]["pid"] > 1
    assert [i["type"] for i in stream].count("started") == 1
    assert [i["type"] for i in stream].count("exited") == 1
    last = stream[-1]
    assert last["type"] == "exited" and last["status"] == status and last["id"] == stream[0]["id"]
    outputs, offset = {"stdout": b"", "stderr": b""}, 0
    for item in stream:
        if item["type"] in outputs:
            assert item["offset"] == offset, "a hole, or a repetition"
            piece = payload(item)
            assert piece, "an empty piece"
            outputs[item["type"]] += piece
            offset += len(piece)
    return outputs["stdout"], outputs["stderr"], last


@pytest.mark.parametrize("accept", FORMS)
def test_forms(api, shared, accept):
    with api.open_stream(shared, accept, command="echo out; echo err >&2; exit 4") as answer:
        assert answer.headers["Content-Type"].split(";")[0] == accept
        assert answer.headers["Cache-Control"] in ("no-store", "no-cache")
        out, err, last = check(list(items(answer)))
    assert (out, err, last["exitCode"]) == (b"out\n", b"err\n", 4)
    assert last["truncated"] == {"stdout": False, "stderr": False}
    assert "stdout" not in last and "durationMs" in last and "usage" in last


def test_accept_is_understood(api, shared):
    for accept, stream in (("application/json", False), ("*/*", False),
                           ("application/x-ndjson, application/json;q=0.5", True)):
        answer = api.request("POST", f"/api/v1/sandboxes/{shared}/execute", 200, json={"command": "true"},
                             headers={"Accept": accept}, stream=True)
        assert answer.headers["Content-Type"].startswith("application/x-ndjson") == stream
        answer.close()


@pytest.mark.parametrize("accept", FORMS)
def test_it_comes_as_it_is_written(api, shared, accept):
    """Each line is here before the program goes on: it waits for a file that we write then."""
    go = "/tmp/go-" + accept.replace("/", "-")
    code = ("import os, time\nfor i in range(3):\n    print(i, flush=True)\n"
            f"    while not os.path.exists(f'{go}{{i}}'): time.sleep(0.01)\n")
    with api.open_stream(shared, accept, language="python", code=code, timeoutMs=60000) as answer:
        seen = items(answer)
        assert next(seen)["type"] == "started"
        for i in range(3):
            assert next(seen)["data"] == f"{i}\n"
            api.with_key(api.key).put(shared, f"{go}{i}", b"")
        assert next(seen)["type"] == "exited"


@pytest.mark.parametrize("accept", FORMS)
def test_characters_are_never_split(api, shared, accept):
    text = "aé€😀\n" * 30000
    code = (f"import os\ndata = {text!r}.encode()\n"
            "for i in range(0, len(data), 7777): os.write(1, data[i:i + 7777])\n"
            "for b in '€'.encode(): os.write(2, bytes([b]))\n")
    stream = api.stream(shared, accept, language="python", code=code)
    out, err, _ = check(stream)
    assert out.decode() == text and err.decode() == "€"
    assert not any("encoding" in i for i in stream)


def test_binary(api, shared):
    code = ("import os, time\nos.write(1, b'text ')\nos.write(1, bytes(range(256)) * 20)\n"
            "os.write(1, b'cut \\xe2\\x82')\n")
    stream = api.stream(shared, language="python", code=code)
    out, _, _ = check(stream)
    assert out == b"text " + bytes(range(256)) * 20 + b"cut \xe2\x82"
    assert any(i.get("encoding") == "base64" for i in stream)


def test_lines_without_an_end(api, shared):
    out, _, _ = check(api.stream(shared, command="head -c 3000000 /dev/zero | tr '\\0' x"))
    assert out == b"x" * 3000000


def test_no_output(api, shared):
    assert [i["type"] for i in api.stream(shared, command="true")] == ["started", "exited"]


@pytest.mark.parametrize("status, body", [
    ("timeout", {"command": "echo x; sleep 600", "timeoutMs": 5000}),
    ("signaled", {"command": ["sh", "-c", "echo x; kill -9 $$"]}),
])
def test_other_ends(api, shared, status, body):
    out, _, last = check(api.stream(shared, **body), status)
    assert out == b"x\n"
    if status == "signaled":
        assert last["signal"] == "SIGKILL" and last["exitCode"] is None


def test_errors_before_the_stream_are_plain(api, shared):
    answer = api.request("POST", f"/api/v1/sandboxes/{shared}/execute", 400, json={"language": "x"},
                         headers={"Accept": "application/x-ndjson"})
    assert answer.json()["error"]["details"][0]["path"] == "language"


def test_large(api, shared, server):
    """Far more than any buffer: every byte arrives, and the API does not grow."""
    pid = server.pid_of("agent-api")
    size, digest, length = 200 << 20, hashlib.sha256(), 0
    expected = hashlib.sha256()
    block = bytes((i * 7 + i // 251) % 96 + 32 for i in range(1 << 20))
    for _ in range(size >> 20):
        expected.update(block)
    api.put(shared, "/workspace/block", block)
    before, peak = servers.status_kib(pid, "VmRSS"), 0
    with api.open_stream(shared, command=f"for i in $(seq {size >> 20}); do cat /workspace/block; done") as answer:
        last = None
        for n, item in enumerate(items_fast(answer)):
            if item["type"] == "stdout":
                assert item["offset"] == length
                piece = item["data"].encode()
                length += len(piece)
                digest.update(piece)
            last = item
            if n % 500 == 0:
                peak = max(peak, servers.status_kib(pid, "VmRSS"))
    assert last["type"] == "exited" and last["exitCode"] == 0 and not last["truncated"]["stdout"]
    assert length == size and digest.digest() == expected.digest()
    assert peak - before < (120 if servers.SANITIZED else 16) * 1024, f"grew from {before} to {peak} KiB"


def items_fast(answer):
    """As items(), without checking each against the schema."""
    for line in answer.iter_lines(chunk_size=1 << 18, delimiter=b"\n"):
        if line:
            yield json.loads(line)


def test_a_reader_that_stops(api, shared, server):
    """The program waits; the API does not collect what nobody reads. Then everything arrives."""
    pid = server.pid_of("agent-api")
    size = 64 << 20
    api.sh(shared, "rm -f /tmp/done")
    before = servers.status_kib(pid, "VmRSS")
    with api.open_stream(shared, command=f"head -c {size} /dev/zero | tr '\\0' x; touch /tmp/done",
                         timeoutMs=300000) as answer:
        stream = items_fast(answer)
        next(stream)
        got = len(next(stream)["data"])
        # The program stops getting anywhere: its output is the same a while later.
        other = api.with_key(api.key)

        def written():
            return int(other.sh(shared, "cat /proc/$(pgrep -x head)/io | awk '/wchar/{print $2}' || echo 0") or 0)
        seen = [-1]

        def stands():
            time.sleep(0.2)
            seen.append(written())
            return seen[-1] == seen[-2]
        wait_until("the program to be held", stands, timeout=60)
        assert seen[-1] < size / 2
        assert servers.status_kib(pid, "VmRSS") - before < (120 if servers.SANITIZED else 16) * 1024
        assert other.sh(shared, "ls /tmp/done || echo not yet") == "not yet\n"
        for item in stream:
            if item["type"] == "stdout":
                got += len(item["data"])
        assert got == size


def test_others_are_served_while_one_is_held(api, shared):
    with api.open_stream(shared, command="yes") as answer:
        stream = items_fast(answer)
        execution = next(stream)["id"]
        next(stream)
        time.sleep(0.5)
        began = time.monotonic()
        with api.sandbox("bash") as second:
            other = api.with_key(api.key)
            assert other.sh(second, "echo fine") == "fine\n"
            assert other.sh(shared, "echo fine") == "fine\n"
        assert time.monotonic() - began < 60
    # Its client has gone; it runs on until it is told to stop.
    assert api.execution(shared, execution)["status"] == "running"
    api.cancel(shared, execution)
    wait_until("it to end", lambda: api.execution(shared, execution)["status"] == "canceled")


def test_many_streams_at_once(api, shared):
    results = {}

    def one(i):
        out, err, last = check(api.with_key(api.key).stream(
            shared, command=f"for n in $(seq 200); do echo {i}-$n; echo e{i} >&2; done"))
        results[i] = out.decode().splitlines() == [f"{i}-{n}" for n in range(1, 201)] and len(err) == 200 * len(f"e{i}\n")
    threads = [threading.Thread(target=one, args=(i,)) for i in range(10, 26)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 16 and all(results.values()), results
