"""Watching files over the WebSocket `.../stream`, beside executions."""
import pytest

from tests.api.test_stream import Stream, output
from tests.helpers import server as servers
from tests.helpers.client import wait_until


@pytest.fixture
def stream(api, sandbox):
    with Stream(api, sandbox) as one:
        yield one


def watch(stream, id="w", **members):
    stream.send("watch", id, **members)
    assert stream.next() == {"id": id, "type": "event", "event": {"type": "watching"}}


def next_event(stream, id="w"):
    """(type, path below /workspace)"""
    message = stream.next()
    assert message["type"] == "event" and message["id"] == id, message
    return message["event"]["type"], message["event"]["path"].removeprefix("/workspace/")


def events(stream, path, id="w"):
    """Each event up to that of `path`."""
    got = [next_event(stream, id)]
    while got[-1][1] != path:
        got.append(next_event(stream, id))
    return got[:-1]


def test_events(api, sandbox, stream):
    watch(stream, recursive=True)
    for command, expected in [("mkdir d", ("create", "d")), ("echo > d/x", ("create", "d/x")),
                              ("chmod 600 d/x", ("chmod", "d/x")), ("mv d/x d/y", ("rename", "d/y")),
                              ("rm d/y", ("remove", "d/y"))]:
        api.sh(sandbox, command)
        # A new file may be told of again when it was written a moment later.
        while (got := next_event(stream)) != expected:
            assert got == ("write", "d/x"), got


def test_a_folder_alone(api, sandbox, stream):
    api.sh(sandbox, "mkdir d")
    watch(stream, path="/workspace/d")
    api.sh(sandbox, "mkdir d/e; touch no d/e/no d/END")
    assert events(stream, "d/END") == [("create", "d/e")]


def test_beside_executions_and_each_other(api, sandbox, stream):
    api.sh(sandbox, "mkdir a b")
    watch(stream, "a", path="/workspace/a")
    watch(stream, "b", path="/workspace/b")
    stream.send("execute", "x", command="mkdir a/1 b/1; echo done; read line; mkdir a/2 b/2", stdin=True)
    want, got = {("a", "/workspace/a/1"), ("b", "/workspace/b/1")}, []
    seen = set()
    while not want <= seen or not output(got, id="x"):
        got.append(stream.next())
        if got[-1]["type"] == "event":
            seen.add((got[-1]["id"], got[-1]["event"]["path"]))
    assert seen == want
    stream.send("unwatch", "b")
    stream.send("stdin", "x", data="\n")
    ended = told = False
    while not (ended and told):
        message = stream.next()
        ended |= message["type"] == "exited"
        if message["type"] == "event":
            assert message["id"] == "a"
            told |= message["event"]["path"] == "/workspace/a/2"


def test_unwatch_and_again(api, sandbox, stream):
    watch(stream)
    stream.send("unwatch", "w")
    api.sh(sandbox, "touch unseen")
    stream.send("ping")
    assert stream.next() == {"type": "pong"}
    watch(stream)
    api.sh(sandbox, "mkdir END")
    assert events(stream, "END") == []
    stream.refused("not_found", "unwatch", "nothing")


def test_the_folder_goes(api, sandbox, stream):
    api.sh(sandbox, "mkdir d")
    watch(stream, path="/workspace/d")
    api.sh(sandbox, "rmdir d")
    last = stream.until("error")[-1]
    assert last["id"] == "w" and last["code"] == "not_found"
    stream.refused("not_found", "unwatch", "w")
    watch(stream)  # the name is free again, and the connection lives


@pytest.mark.parametrize("path, code", [("/usr", "forbidden"), ("/proc", "forbidden"), ("/workspace/nope", "not_found")])
def test_what_cannot_be_watched(stream, path, code):
    assert stream.refused(code, "watch", "w", path=path)["id"] == "w"


def test_refusals(stream):
    assert stream.refused("invalid_request", "watch")["path"] == "id"
    assert stream.refused("invalid_request", "watch", "w", path=1)["path"] == "path"
    assert stream.refused("invalid_request", "watch", "w", recursive="yes")["path"] == "recursive"
    assert stream.refused("invalid_request", "watch", "w", path="/workspace", depth=1)["path"] == "depth"
    watch(stream)
    assert stream.refused("conflict", "watch", "w")["path"] == "id"
    assert stream.refused("conflict", "execute", "w", command="true")["path"] == "id"
    stream.send("execute", "x", command="cat", stdin=True)
    stream.until("started", "x")
    assert stream.refused("conflict", "watch", "x")["path"] == "id"


def test_not_more_than_16(api, sandbox, stream):
    """Of one connection; the sandbox may allow fewer."""
    for i in range(17):
        stream.send("watch", str(i))
    refused = {m["id"]: m for m in (stream.next() for _ in range(17)) if m["type"] == "error"}
    assert "16" in refused and all(m["code"] == "quota_exceeded" for m in refused.values()), refused
    stream.send("unwatch", "0")
    watch(stream, "again")


def test_ends_with_the_sandbox(api):
    with api.sandbox() as sandbox, Stream(api, sandbox) as stream:
        watch(stream)
        api.delete(sandbox)
        got = []
        with pytest.raises(EOFError):
            while True:
                got.append(stream.next())
        assert [m["code"] for m in got if m["type"] == "error" and m["id"] == "w"] == ["unavailable"], got
        assert stream.closed[0] == 1001


def test_a_slow_client_holds_little(api, server, sandbox):
    """More than anybody can tell, and nobody reads: bounded memory, it is said, and others go on."""
    pid = server.pid_of("agent-api")
    with Stream(api, sandbox, receive_buffer=65536) as slow, Stream(api, sandbox) as quick:
        watch(slow, recursive=True)
        before = servers.status_kib(pid, "VmRSS")
        api.sh(sandbox, "python3 -c \"\nimport os\nfor i in range(30000):\n    n = 'n' * 200 + str(i % 50)\n    open(n, 'w').close(); os.remove(n)\"")
        held = servers.status_kib(pid, "VmRSS") - before
        assert held < (200 if servers.SANITIZED else 16) * 1024, f"{held} KiB"
        assert output(quick.run("b", command="echo quick")) == b"quick\n"
        api.sh(sandbox, "touch END")
        count = 0
        while True:
            event = slow.next()["event"]
            count += 1
            if event["type"] == "overflow":
                break
            if event["path"] == "/workspace/END":
                assert count >= 60000
                break


def test_connections_that_go(api, server, sandbox):
    """Watches end with their connection, in the API and inside."""
    pid = server.pid_of("agent-api")
    before = servers.descriptors(pid)
    for _ in range(40):
        with Stream(api, sandbox) as stream:
            watch(stream)
    wait_until("descriptors are given back", lambda: servers.descriptors(pid) <= before + 2)
    with Stream(api, sandbox) as stream:  # there is still room for one
        watch(stream)
        api.sh(sandbox, "touch END")
        assert events(stream, "END") == []
