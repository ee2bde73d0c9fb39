"""Executions as resources: they outlive their client, and everything of them can be read again."""
import base64
import concurrent.futures
import json
import random
import re
import threading

import pytest

from tests.helpers import server as servers
from tests.helpers.client import Api, items, wait_until

OUTPUT = "/api/v1/sandboxes/{}/executions/{}/output"
COUNTED = ("result", "error", "input")


def ended(api, sandbox, execution, status=None):
    found = wait_until("it to end", lambda: (e := api.execution(sandbox, execution))["status"] != "running" and e, timeout=60)
    assert status is None or found["status"] == status, found
    return found


def payload(item):
    return base64.b64decode(item["data"]) if item.get("encoding") == "base64" else item["data"].encode()


def after(item):
    """The offset to go on from."""
    if item["type"] in ("stdout", "stderr"):
        return item["offset"] + len(payload(item))
    return item["offset"] + 1


def start(api, sandbox, **body):
    return api.post(f"/api/v1/sandboxes/{sandbox}/execute", {"background": True, **body}, status=202).json()


def read(api, sandbox, execution, query="", accept="application/x-ndjson", **headers):
    answer = api.request("GET", OUTPUT.format(sandbox, execution) + query, 200,
                         headers={"Accept": accept, **headers}, stream=True)
    try:
        return list(items(answer))
    finally:
        answer.close()


def metric(api, name):
    return float(re.search(rf"^{name} (\S+)$", api.get("/metrics").text, re.M).group(1))


# ---- as a resource ----

def test_in_the_background(api, shared):
    begun = start(api, shared, command="echo out; echo err >&2; sleep 600")
    assert begun["status"] == "running" and begun["kind"] == "command" and begun["exitCode"] is None
    assert begun["sandbox"] == shared and begun["command"].startswith("echo out")
    running = wait_until("it to run", lambda: (e := api.execution(shared, begun["id"])).get("pid") and
                         e["output"]["to"] == 8 and e)
    assert running["pid"] > 1 and running["output"] == {"from": 0, "to": 8} and "endedAt" not in running
    assert begun["id"] in [e["id"] for e in api.executions(shared, "&status=running")]
    assert api.cancel(shared, begun["id"])["id"] == begun["id"]
    end = ended(api, shared, begun["id"], "canceled")
    assert end["durationMs"] > 0 and end["endedAt"] >= end["startedAt"]
    assert api.cancel(shared, begun["id"])["status"] == "canceled"  # again: it stays as it is
    assert begun["id"] not in [e["id"] for e in api.executions(shared, "&status=running")]


def test_lists(api):
    with api.sandbox("bash") as sandbox:
        ids = [api.execute(sandbox, command=f"exit {n}")["id"] for n in range(5)]
        everything = api.executions(sandbox)
        assert [e["id"] for e in everything] == ids[::-1]
        assert [e["exitCode"] for e in everything] == [4, 3, 2, 1, 0]
        first = api.get(f"/api/v1/sandboxes/{sandbox}/executions?limit=2").json()
        second = api.get(f"/api/v1/sandboxes/{sandbox}/executions?limit=2&cursor={first['cursor']}").json()
        assert [e["id"] for e in first["items"] + second["items"]] == ids[:0:-1]
        assert api.executions(sandbox, "&status=timeout") == []
        api.error("GET", f"/api/v1/sandboxes/{sandbox}/executions?status=done", 400, "invalid_request", "status")
        api.error("GET", f"/api/v1/sandboxes/{sandbox}/executions?cursor=x", 400, "invalid_request", "cursor")


def test_unknown(api, shared):
    for one in ("ex-" + "a" * 20, "ex-1", "x%0a"):
        for method, what in (("GET", ""), ("GET", "/output"), ("POST", "/cancel"), ("POST", "/signal"),
                             ("POST", "/stdin"), ("POST", "/resize")):
            error = api.error(method, f"/api/v1/sandboxes/{shared}/executions/{one}{what}", 404, "not_found",
                              json={"signal": "SIGINT"})
            assert "execution" in error["message"]
    other = api.execute(shared, command="true")["id"]
    with api.sandbox("bash") as second:
        api.error("GET", f"/api/v1/sandboxes/{second}/executions/{other}", 404, "not_found")


def test_of_a_sandbox_that_has_ended(api):
    sandbox = api.create("bash")["id"]
    done = api.execute(sandbox, command="echo a; exit 3")["id"]
    cut = start(api, sandbox, command="sleep 600")["id"]
    wait_until("it to run", lambda: api.execution(sandbox, cut).get("pid"))
    api.delete(sandbox)
    assert api.execution(sandbox, done)["exitCode"] == 3 and "output" not in api.execution(sandbox, done)
    end = api.execution(sandbox, cut)
    assert end["status"] == "failed" and end["error"]["value"] and end["durationMs"] > 0
    assert [e["id"] for e in api.executions(sandbox)] == [cut, done]
    assert "not kept" in api.error("GET", OUTPUT.format(sandbox, done), 404, "not_found")["message"]
    api.error("POST", f"/api/v1/sandboxes/{sandbox}/executions/{cut}/signal", 409, "conflict", json={"signal": "INT"})


def test_others_do_not_see_it(api, shared):
    mine = api.execute(shared, command="true")["id"]
    key = api.post("/api/v1/user/apikeys", {"name": "other", "role": "developer"}, status=201).json()
    other = api.with_key(key["key"])
    for method, path in (("GET", ""), ("GET", f"/{mine}"), ("GET", f"/{mine}/output"), ("POST", f"/{mine}/cancel")):
        other.error(method, f"/api/v1/sandboxes/{shared}/executions{path}", 404, "not_found")
    api.request("DELETE", f"/api/v1/user/apikeys/{key['id']}", 204)


def test_too_many_at_once(api):
    with api.sandbox("bash", resources={"pids": 1024, "memory": "1Gi"}) as sandbox:
        for _ in range(128):
            start(api, sandbox, command=["sleep", "600"])
        assert "128" in api.error("POST", f"/api/v1/sandboxes/{sandbox}/execute", 429, "quota_exceeded",
                                  json={"command": "true"})["message"]
        api.cancel(sandbox, api.executions(sandbox, "&status=running")[0]["id"])
        wait_until("a place to be free", lambda: api.request(
            "POST", f"/api/v1/sandboxes/{sandbox}/execute", json={"command": "true"}).status_code == 200)


def test_only_the_newest_keep_their_output(api):
    with api.sandbox("bash") as sandbox:
        first = api.execute(sandbox, command=["echo", "first"])["id"]
        for _ in range(256):
            last = api.execute(sandbox, command=["true"])["id"]
        assert "output" in api.execution(sandbox, last)
        assert "output" not in api.execution(sandbox, first)
        assert api.execution(sandbox, first)["exitCode"] == 0
        api.error("GET", OUTPUT.format(sandbox, first), 404, "not_found")


# ---- output ----

@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream"])
def test_output_again(api, shared, accept):
    done = api.execute(shared, command="echo out; echo more; exit 7")["id"]

    def text(query=""):
        stream = read(api, shared, done, query, accept)
        assert stream[0]["type"] == "started" and stream[-1]["type"] == "exited" and stream[-1]["exitCode"] == 7
        offset = int(query.partition("=")[2] or 0)
        for item in stream[1:-1]:
            assert item["type"] == "stdout" and item["offset"] == offset
            offset = after(item)
        return "".join(i["data"] for i in stream[1:-1])
    assert text() == "out\nmore\n" and text("?offset=4") == "more\n" and text("?offset=2") == "t\nmore\n"
    assert text("?offset=9") == ""
    error = api.error("GET", OUTPUT.format(shared, done) + "?offset=10", 400, "invalid_request", "offset")
    assert "9" in error["message"]


def test_last_event_id(api, shared):
    done = api.execute(shared, command=["echo", "one"])["id"]
    stream = api.get(OUTPUT.format(shared, done), headers={"Accept": "text/event-stream"}).text
    events = [dict(line.split(": ", 1) for line in e.splitlines()) for e in stream.strip().split("\n\n")]
    assert [e["id"] for e in events] == ["0", "4", "4"]
    again = read(api, shared, done, accept="text/event-stream", **{"Last-Event-ID": "2"})
    assert [i["type"] for i in again] == ["started", "stdout", "exited"] and again[1]["data"] == "e\n"
    again = read(api, shared, done, accept="text/event-stream", **{"Last-Event-ID": "4"})
    assert [i["type"] for i in again] == ["started", "exited"]
    api.error("GET", OUTPUT.format(shared, done), 400, "invalid_request", "Last-Event-ID", headers={"Last-Event-ID": "x"})


def test_output_as_json(api, shared):
    begun = start(api, shared, command="echo a; while ! test -e /tmp/go-json; do sleep 0.01; done; echo b")["id"]
    path = OUTPUT.format(shared, begun)
    first = api.get(path + "?follow=true").json()
    assert [i["data"] for i in first["items"]] == ["a\n"] and first["next"] == 2 and not first["ended"]
    assert api.get(path + "?offset=2").json() == {"items": [], "next": 2, "ended": False}
    waiting = concurrent.futures.ThreadPoolExecutor(1).submit(api.with_key(api.key).get, path + "?offset=2&follow=true")
    api.put(shared, "/tmp/go-json", b"")
    second = waiting.result(120).json()
    assert second["items"][0] == {"type": "stdout", "offset": 2, "data": "b\n"} and second["next"] == 4
    ended(api, shared, begun)
    last = api.get(path + "?offset=4").json()
    assert [i["type"] for i in last["items"]] == ["exited"] and last["ended"] and last["next"] == 4


def test_json_comes_in_parts(api, shared):
    done = api.execute(shared, command="head -c 3000000 /dev/zero | tr '\\0' x")["id"]
    path, offset, got, parts = OUTPUT.format(shared, done), 0, 0, 0
    while True:
        part = api.get(f"{path}?offset={offset}").json()
        assert len(json.dumps(part)) < 1200000
        got += sum(len(i["data"]) for i in part["items"] if i["type"] == "stdout")
        offset, parts = part["next"], parts + 1
        if part["ended"]:
            break
    assert got == 3000000 and parts > 2


def test_what_is_there_without_following(api, shared):
    begun = start(api, shared, command="echo a; sleep 600")["id"]
    wait_until("its output", lambda: api.execution(shared, begun)["output"]["to"] == 2)
    assert [i["type"] for i in read(api, shared, begun, "?follow=false")] == ["started", "stdout"]
    api.cancel(shared, begun)


def test_nobody_reads(api, shared):
    """It runs through; the last 16 MiB are kept, and what is missing is said."""
    size = 40 << 20
    begun = start(api, shared, command=f"head -c {size} /dev/zero | tr '\\0' x; echo end >&2")["id"]
    end = ended(api, shared, begun, "exited")
    assert end["output"]["to"] == size + 4 and 15 << 20 < size - end["output"]["from"] <= 17 << 20
    stream = read(api, shared, begun)
    assert stream[1] == {"type": "overflow", "droppedBytes": end["output"]["from"]}
    assert stream[2]["offset"] == end["output"]["from"]
    assert sum(len(i["data"]) for i in stream if i["type"] in ("stdout", "stderr")) == size + 4 - end["output"]["from"]
    assert [i["data"] for i in stream if i["type"] == "stderr"] == ["end\n"] and stream[-1]["exitCode"] == 0


# Writes numbered lines to both channels, so that the order within each is known.
BOTH = ("import os\nfor i in range({0}):\n    os.write(1, (b'o%d ' % i) * {1} + b'\\n')\n"
        "    os.write(2, (b'e%d ' % i) * {2} + b'\\n')\n")


def expected(lines, a, b):
    return {"stdout": b"".join(b"o%d " % i * a + b"\n" for i in range(lines)),
            "stderr": b"".join(b"e%d " % i * b + b"\n" for i in range(lines))}


def resume_until_the_end(api, sandbox, execution, order):
    """Read with a client that is cut off again and again at random points."""
    got, offset, cuts = {"stdout": b"", "stderr": b""}, 0, 0
    while True:
        accept = order.choice(["application/x-ndjson", "text/event-stream"])
        answer = api.request("GET", OUTPUT.format(sandbox, execution) + f"?offset={offset}", 200,
                             headers={"Accept": accept}, stream=True)
        budget = order.choice([0, 1, 3, 10, 50])
        for item in items(answer):
            if item["type"] == "exited":
                answer.close()
                return got, cuts
            assert item["type"] != "overflow", item
            if item["type"] in got:
                assert item["offset"] == offset
                got[item["type"]] += payload(item)
                offset = after(item)
            budget -= 1
            if budget < 0:
                break
        answer.close()
        cuts += 1


@pytest.mark.parametrize("seed", range(3))
def test_resume_at_any_point(api, shared, sandbox, seed):
    """No byte lost, none doubled, while others load the server. (In a sandbox of their own: of each
    one only so many executions that have ended are kept, and reading may take longer.)"""
    lines, a, b = 4000, 100, 30
    stop = threading.Event()

    def load():
        mine = api.with_key(api.key)
        while not stop.is_set():
            mine.execute(sandbox, command="head -c 300000 /dev/zero")
    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        with api.open_stream(shared, language="python", code=BOTH.format(lines, a, b)) as answer:
            execution = next(items(answer))["id"]
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(resume_until_the_end, api.with_key(api.key), shared, execution, random.Random(seed * 10 + n))
                       for n in range(3)]
            for reader in readers:
                got, cuts = reader.result(900)
                assert got == expected(lines, a, b) and cuts > 3
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_slow_reader_holds_little(api, server):
    """It stalls its own execution; less than 1 MiB of it is in the process; others are served."""
    pid = server.pid_of("agent-api")
    with api.sandbox("bash") as sandbox:
        api.sh(sandbox, "head -c 3000000 /dev/zero")  # buffers take their size
        before, resident = metric(api, "secureagent_spool_memory_bytes"), servers.status_kib(pid, "VmRSS")
        with api.open_stream(sandbox, command="yes") as answer:
            stream = items(answer)
            begun = next(stream)["id"]
            place = lambda: api.execution(sandbox, begun)["output"]["to"]  # noqa: E731
            seen = [-1]

            def stands():
                seen.append(place())
                api.sh(sandbox, "sleep 0.2; echo fine")
                return seen[-1] == seen[-2]
            wait_until("the program to be held", stands, timeout=60)
            assert seen[-1] < 64 << 20
            wait_until("it to be written", lambda: metric(api, "secureagent_spool_memory_bytes") - before < 512 << 10)
            if not servers.SANITIZED:
                assert servers.status_kib(pid, "VmRSS") - resident < 2048
            # Another reader, from the beginning, gets all that is there without hurrying it.
            path = OUTPUT.format(sandbox, begun)
            offset = 0
            while offset < seen[-1]:
                offset = api.get(f"{path}?offset={offset}").json()["next"]
            assert place() == seen[-1]
            stream.close()
        # Nobody holds it back any more.
        wait_until("it to go on", lambda: place() > seen[-1] + (1 << 20))
        api.cancel(sandbox, begun)


# ---- stdin, signals, limits, terminals ----

def test_stdin_that_stays_open(api, shared):
    begun = start(api, shared, command="while read line; do echo got $line; done; echo end", stdin=True)["id"]
    api.act(shared, begun, "stdin", data="one\ntw")
    api.act(shared, begun, "stdin", data=base64.b64encode(b"o\n").decode(), encoding="base64")
    wait_until("its answers", lambda: api.execution(shared, begun)["output"]["to"] == 16)
    api.act(shared, begun, "stdin", data="three\n", eof=True)
    ended(api, shared, begun, "exited")
    assert "".join(i["data"] for i in read(api, shared, begun) if i["type"] == "stdout") == \
        "got one\ngot two\ngot three\nend\n"
    api.error("POST", f"/api/v1/sandboxes/{shared}/executions/{begun}/stdin", 409, "conflict", json={"data": "x"})


def test_stdin_is_not_open(api, shared):
    for more in ({}, {"stdin": "text"}, {"stdin": False}):
        begun = start(api, shared, command="sleep 600", **more)["id"]
        error = api.error("POST", f"/api/v1/sandboxes/{shared}/executions/{begun}/stdin", 409, "conflict", json={"data": "x"})
        assert "stdin" in error["message"]
        api.cancel(shared, begun)


def test_stdin_waits_for_the_program(api, shared):
    """What it does not read is not taken; the answer comes once it was."""
    begun = start(api, shared, command="while ! test -e /tmp/go-stdin; do sleep 0.01; done; wc -c", stdin=True)["id"]
    size = 6 << 20
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        sent = pool.submit(api.with_key(api.key).act, shared, begun, "stdin", data="x" * size, eof=True)
        with pytest.raises(concurrent.futures.TimeoutError):
            sent.result(1)
        api.put(shared, "/tmp/go-stdin", b"")
        assert sent.result(120).status_code == 204
    ended(api, shared, begun, "exited")
    assert read(api, shared, begun)[1]["data"] == f"{size}\n"


def test_stdin_of_what_ends_meanwhile(api, shared):
    begun = start(api, shared, command="sleep 600", stdin=True)["id"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        sent = pool.submit(api.with_key(api.key).request, "POST",
                           f"/api/v1/sandboxes/{shared}/executions/{begun}/stdin", json={"data": "x" * (6 << 20)})
        with pytest.raises(concurrent.futures.TimeoutError):
            sent.result(0.5)
        api.cancel(shared, begun)
        assert sent.result(120).status_code == 409


@pytest.mark.parametrize("signal", ["SIGINT", "INT", 2])
def test_signals(api, shared, signal):
    begun = start(api, shared, command="trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done")["id"]
    wait_until("it to be ready", lambda: api.execution(shared, begun)["output"]["to"] == 6)
    api.act(shared, begun, "signal", signal=signal)
    assert ended(api, shared, begun)["exitCode"] == 5
    api.error("POST", f"/api/v1/sandboxes/{shared}/executions/{begun}/signal", 409, "conflict", json={"signal": signal})


@pytest.mark.parametrize("body", [{"signal": "SIGNOTHING"}, {"signal": 0}, {"signal": 65}, {}, {"signal": None}])
def test_signals_that_are_none(api, shared, body):
    begun = start(api, shared, command="sleep 600")["id"]
    api.error("POST", f"/api/v1/sandboxes/{shared}/executions/{begun}/signal", 400, "invalid_request", "signal", json=body)
    api.cancel(shared, begun)


def test_limits(api, shared):
    assert api.sh(shared, "ulimit -n", limits={"openFiles": 64}) == "64\n"
    result = api.execute(shared, command="head -c 2000 /dev/zero > /tmp/large; ls -l /tmp/large | awk '{print $5}'",
                         limits={"fileSize": "1Ki"})
    assert result["stdout"] == "1024\n"
    result = api.execute(shared, command="while :; do :; done", limits={"cpuSeconds": 1}, timeoutMs=60000)
    assert result["status"] in ("signaled", "exited") and result["exitCode"] != 0
    result = api.execute(shared, language="python", code="bytearray(200 << 20)", limits={"memory": "100Mi"})
    assert result["exitCode"] == 1 and "MemoryError" in result["stderr"]


def test_a_terminal(api, shared):
    begun = start(api, shared, command="tty; stty size; read line; stty size; echo $line", tty={"rows": 30, "cols": 100})["id"]
    text = lambda: "".join(i["data"] for i in api.get(OUTPUT.format(shared, begun)).json()["items"] if i["type"] == "stdout")  # noqa: E731
    wait_until("its size", lambda: "30 100" in text())
    assert api.execution(shared, begun)["tty"] and "/dev/pts/" in text()
    api.act(shared, begun, "resize", rows=40, cols=120)
    api.act(shared, begun, "stdin", data="typed\n")
    ended(api, shared, begun, "exited")
    assert "40 120" in text() and text().rstrip().endswith("typed")


def test_no_terminal(api, shared):
    begun = start(api, shared, command="sleep 600")["id"]
    api.error("POST", f"/api/v1/sandboxes/{shared}/executions/{begun}/resize", 409, "conflict", json={"rows": 1, "cols": 1})
    api.cancel(shared, begun)


def test_language_of_the_sandbox(api, shared):
    assert api.execute(shared, code="print(6 * 7)")["stdout"] == "42\n"
    with api.sandbox("bash") as sandbox:
        assert api.execute(sandbox, code="echo $((6 * 7))")["stdout"] == "42\n"


def test_unknown_context(api, shared):
    api.error("POST", f"/api/v1/sandboxes/{shared}/execute", 404, "not_found",
              json={"code": "1", "context": "ctx-" + "a" * 20})


# ---- idempotency keys ----

def keyed(api, sandbox, key, status=200, **body):
    return api.post(f"/api/v1/sandboxes/{sandbox}/execute", body, status, headers={"Idempotency-Key": key}).json()


def test_the_same_key_is_the_same_execution(api, shared):
    first = keyed(api, shared, "k1", command="echo $RANDOM$RANDOM; echo e >&2; exit 3")
    assert keyed(api, shared, "k1", command="echo $RANDOM$RANDOM; echo e >&2; exit 3") == first
    assert first["exitCode"] == 3 and keyed(api, shared, "k2", command="true")["id"] != first["id"]
    with api.sandbox("bash") as other:  # another route
        assert keyed(api, other, "k1", command="true")["id"] != first["id"]
    stream = api.request("POST", f"/api/v1/sandboxes/{shared}/execute", 200, stream=True,
                         json={"command": "echo $RANDOM$RANDOM; echo e >&2; exit 3"},
                         headers={"Idempotency-Key": "k1", "Accept": "application/x-ndjson"})
    last = list(items(stream))[-1]
    assert last["id"] == first["id"] and last["exitCode"] == 3


def test_another_body_is_a_conflict(api, shared):
    keyed(api, shared, "k3", command="true")
    error = keyed(api, shared, "k3", 409, command="false")["error"]
    assert error["code"] == "conflict" and error["details"][0]["path"] == "Idempotency-Key"


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\tinside"])
def test_keys_that_are_none(api, shared, key):
    api.error("POST", f"/api/v1/sandboxes/{shared}/execute", 400, "invalid_request", "Idempotency-Key",
              json={"command": "true"}, headers={"Idempotency-Key": key})


def test_a_refused_start_leaves_the_key_free(api, shared):
    body = {"command": "true", "context": None, "cwd": "/tmp"}
    sandbox = api.create("bash")["id"]
    api.delete(sandbox)
    for _ in range(2):
        assert keyed(api, sandbox, "k4", 404, **body)["error"]["code"] == "not_found"
    assert keyed(api, shared, "k4", **body)["exitCode"] == 0


@pytest.mark.parametrize("background", [False, True])
def test_fifty_at_once_are_one(api, shared, background):
    name = f"/tmp/race-{background}"
    body = {"command": f"echo x >> {name}; sleep 0.3", "background": background}
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: keyed(Api(api.url, api.key), shared, f"race-{background}",
                                                202 if background else 200, **body), range(50)))
    assert len({a["id"] for a in answers}) == 1
    ended(api, shared, answers[0]["id"], "exited")
    assert api.sh(shared, f"cat {name}") == "x\n"


def test_clients_that_leave_do_not_keep_the_key(api, shared):
    """Half of those who race with one key go away at once."""
    for n in range(10):
        body = json.dumps({"command": f"echo x >> /tmp/left-{n}"}).encode()
        sockets = [api.connect() for _ in range(10)]
        for i, s in enumerate(sockets):
            s.sendall(api.head("POST", f"/api/v1/sandboxes/{shared}/execute", f"Idempotency-Key: left-{n}",
                               f"Content-Length: {len(body)}") + body)
            if i % 2 == 0:
                s.close()
        execution = keyed(api, shared, f"left-{n}", command=f"echo x >> /tmp/left-{n}")["id"]
        ended(api, shared, execution)
        assert api.sh(shared, f"cat /tmp/left-{n}") == "x\n"
        for s in sockets:
            s.close()


def test_keys_after_a_restart(new_server):
    """The answer comes from the record."""
    server = new_server()
    api = Api(server.url, server.key)
    sandbox = api.create("bash")["id"]
    small = keyed(api, sandbox, "small", command="echo out; echo err >&2; exit 3")
    binary = keyed(api, sandbox, "binary", command="printf 'a\\377\\0b'")
    large = keyed(api, sandbox, "large", command="seq 100000")
    begun = keyed(api, sandbox, "begun", 202, command="sleep 600", background=True)
    data = server.data_dir
    assert server.stop() == 0
    again = servers.start_server(data_dir=data)
    try:
        api = Api(again.url, again.key)
        assert keyed(api, sandbox, "small", command="echo out; echo err >&2; exit 3") == small
        assert keyed(api, sandbox, "binary", command="printf 'a\\377\\0b'") == binary
        tail = keyed(api, sandbox, "large", command="seq 100000")
        assert tail["truncated"]["stdout"] and large["stdout"].endswith(tail["stdout"]) and tail["id"] == large["id"]
        assert 60000 < len(tail["stdout"]) <= 65536
        assert keyed(api, sandbox, "begun", 202, command="sleep 600", background=True)["id"] == begun["id"]
        assert keyed(api, sandbox, "small", 409, command="false")["error"]["code"] == "conflict"
        assert keyed(api, sandbox, "new", 404, command="true")["error"]["code"] == "not_found"
        for accept in ("application/x-ndjson", "text/event-stream"):
            answer = api.request("POST", f"/api/v1/sandboxes/{sandbox}/execute", 200, stream=True,
                                 json={"command": "echo out; echo err >&2; exit 3"},
                                 headers={"Idempotency-Key": "small", "Accept": accept})
            stream = list(items(answer))
            assert [i["type"] for i in stream] == ["started", "stdout", "stderr", "exited"]
            assert stream[-1]["exitCode"] == 3 and stream[2]["data"] == "err\n"
    finally:
        status = again.stop()
        again.discard()
    assert status == 0
