"""Watching: what happens to files is told, in order, and to the end of the tree."""
import contextlib
import json

import pytest

from tests.helpers import schema, server as servers
from tests.helpers.client import wait_until


@contextlib.contextmanager
def watching(api, sandbox, query="recursive=true", accept="application/x-ndjson"):
    """An iterator of events that begins once the folder is watched."""
    answer = api.with_key(api.key).request("GET", f"/api/v1/sandboxes/{sandbox}/files/watch?{query}", 200,
                                           headers={"Accept": accept}, stream=True)
    sse = accept == "text/event-stream"

    def events():
        for line in answer.iter_lines(chunk_size=1):
            if not line or line.startswith(b":"):
                continue
            assert line.startswith(b"data: ") or not sse
            event = json.loads(line.removeprefix(b"data: "))
            schema.check_component("FileEvent", event)
            yield event
    stream = events()
    try:
        assert next(stream) == {"type": "watching"}
        yield stream
    finally:
        answer.close()


def as_tuple(event):
    """(type, path below /workspace, from)"""
    assert event["type"] not in ("overflow", "error"), event
    return (event["type"], event["path"].removeprefix("/workspace/"),
            event.get("from", "").removeprefix("/workspace/"))


def until(stream, path):
    """Events as (type, path below /workspace, from) until something happens to `path`."""
    got = []
    for e in stream:
        item = as_tuple(e)
        if item[1] == path:
            return got
        got.append(item)
    raise AssertionError(f"the stream ended: {got}")


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream"])
def test_events(api, sandbox, accept):
    api.sh(sandbox, "mkdir d; echo > old; echo > d/x")
    with watching(api, sandbox, accept=accept) as stream:
        for command, expected in [
                ("echo 1 > new", ("create", "new", "")), ("echo 2 >> old", ("write", "old", "")),
                ("chmod 600 old", ("chmod", "old", "")), ("mv old d/moved", ("rename", "d/moved", "old")),
                ("rm d/x", ("remove", "d/x", "")), ("mkdir e", ("create", "e", ""))]:
            api.sh(sandbox, command)
            # One change may show as several events of the same file, when they come far apart.
            while (got := as_tuple(next(stream))) != expected:
                assert got in {("write", "new", ""), ("write", "old", "")}, got


def test_folders_that_appear_and_move(api, sandbox):
    with watching(api, sandbox) as stream:
        api.sh(sandbox, "mkdir -p a/b/c; echo 1 > a/b/c/f; mv a z; echo 2 > z/b/c/g; mkdir /tmp/out; mv z /tmp/out; touch /tmp/out/z/b/no; touch END")
        got = until(stream, "END")
    created = [p for t, p, _ in got if t == "create"]
    assert {"a", "a/b", "a/b/c"} <= set(created) or "z" in {p for _, p, _ in got}, got
    assert not any(p.endswith("no") for _, p, _ in got)
    # Who looks late may find what was made in between gone already.
    assert got[-1][0] == "remove" and got[-1][1] in ("z", "z/b", "z/b/c", "z/b/c/f", "z/b/c/g"), got


def test_folders_that_move_are_followed(api, sandbox):
    def wait_for(path):
        while as_tuple(next(stream))[1] != path:
            pass

    with watching(api, sandbox) as stream:
        for command, path in [("mkdir -p a/b/c; echo 1 > a/b/c/f", "a/b/c/f"), ("mv a z", "z"),
                              ("echo 2 > z/b/c/g", "z/b/c/g")]:
            api.sh(sandbox, command)
            wait_for(path)
        api.sh(sandbox, "mkdir /tmp/out; mv z /tmp/out; touch /tmp/out/z/b/no; touch END")
        assert not any(p.endswith("no") for _, p, _ in until(stream, "END"))


def test_nothing_made_in_new_folders_is_missed(api, sandbox):
    """Folders made and filled as fast as can be."""
    with watching(api, sandbox) as stream:
        api.sh(sandbox, "for i in $(seq 60); do mkdir -p d$i/e && : > d$i/e/f; done; touch END")
        got = until(stream, "END")
    seen = {p for _, p, _ in got}
    assert {f"d{i}/e/f" for i in range(1, 61)} <= seen


def test_uploads_are_one_event(api, sandbox):
    with watching(api, sandbox) as stream:
        api.put(sandbox, "/workspace/up", b"1")
        api.put(sandbox, "/workspace/up", b"2")
        api.sh(sandbox, "touch END")
        assert {g[1] for g in until(stream, "END")} == {"up"}
    with watching(api, sandbox) as stream:
        api.put(sandbox, "/workspace/up", b"3")
        api.put(sandbox, "/workspace/END2", b"")
        assert until(stream, "END2") == [("write", "up", "")]


def test_not_recursive(api, sandbox):
    api.sh(sandbox, "mkdir d")
    with watching(api, sandbox, "path=/workspace") as stream:
        api.sh(sandbox, "touch d/inside; mkdir e; touch e/inside; touch END")
        assert not [g for g in until(stream, "END") if "/" in g[1]]


def test_the_folder_goes(api, sandbox):
    api.sh(sandbox, "mkdir d")
    with watching(api, sandbox, "path=d") as stream:
        api.sh(sandbox, "rmdir d")
        events = list(stream)
    assert events[-1]["type"] == "error" and events[-1]["code"] == "not_found"


@pytest.mark.parametrize("path, status", [("/usr", 403), ("/etc", 403), ("nope", 404), ("f", 404), ("../x", 400), ("/proc", 403)])
def test_what_cannot_be_watched(api, sandbox, path, status):
    api.sh(sandbox, "echo > f; ln -s /usr link")
    assert api.request("GET", f"/api/v1/sandboxes/{sandbox}/files/watch?path={path}").status_code == status
    assert api.request("GET", f"/api/v1/sandboxes/{sandbox}/files/watch?path=link").status_code == 403


def test_a_flood_ends_in_overflow_or_all(api, server, sandbox):
    """More than anybody can tell, and nobody reads: bounded memory, and it is said."""
    pid = server.pid_of("agent-api")
    with watching(api, sandbox) as stream:
        before = servers.status_kib(pid, "VmRSS")
        api.sh(sandbox, "python3 -c \"\nimport os\nfor i in range(30000):\n    n = 'n' * 200 + str(i % 50)\n    open(n, 'w').close(); os.remove(n)\"")
        assert servers.status_kib(pid, "VmRSS") - before < (200 if servers.SANITIZED else 16) * 1024
        count, lost = 0, False
        api.sh(sandbox, "sleep 0.2; touch END")
        for e in stream:
            count += 1
            lost |= e["type"] == "overflow"
            if e.get("path") == "/workspace/END" or lost:
                break
        assert lost or count >= 60000


def test_clients_that_go(api, server, sandbox):
    """Watches end with who asked for them, in the API and inside."""
    pid = server.pid_of("agent-api")
    before = servers.descriptors(pid)
    for _ in range(40):
        with watching(api, sandbox):
            pass
    wait_until("descriptors are given back", lambda: servers.descriptors(pid) <= before + 2)
    with watching(api, sandbox) as stream:  # there is still room for one
        api.sh(sandbox, "touch END")
        assert until(stream, "END") == []


def runtime_kib(server, before):
    """What the sandbox's first process takes: the one that was none before."""
    [pid] = [p for p, name in server.processes().items() if name.startswith("memfd:") and before.get(p) != name]
    return servers.status_kib(pid, "VmRSS")


def test_folders_below_folders_without_end(api, server):
    """Renames nest deeper than any path is long: the first process neither grows nor stands still."""
    before = server.processes()
    with api.sandbox() as own:
        api.execute(own, language="python", code="import os\nfor i in range(1500): os.mkdir(f'{i:04}' + 'd' * 251)")
        with watching(api, own) as stream:
            api.sh(own, "true")
            code = ("import os\nname = lambda i: f'{i:04}' + 'd' * 251\n"
                    "for i in range(1, 1500): os.rename(name(i - 1), name(i) + '/' + name(i - 1))\n")
            assert api.execute(own, language="python", code=code)["exitCode"] == 0
            assert any(e["type"] == "overflow" for e in stream)
            api.sh(own, "echo lives")
            assert runtime_kib(server, before) < 16 * 1024


def test_large_trees_that_come_and_go(api, sandbox):
    """A rename costs a program nothing; what is done for it is bounded."""
    code = ("import os\nos.makedirs('out/big')\nos.mkdir('in')\nfor i in range(10):\n    os.mkdir(f'out/big/{i}')\n"
            "    for k in range(400): os.close(os.open(f'out/big/{i}/{k}', os.O_CREAT))\n")
    assert api.execute(sandbox, language="python", code=code)["exitCode"] == 0
    with watching(api, sandbox, "path=in&recursive=true") as stream:
        code = ("import os, time\nfor i in range(300):\n    os.rename('out/big', 'in/big')\n    time.sleep(0.001)\n"
                "    os.rename('in/big', 'out/big')\nos.rename('out/big', 'in/big')\n")
        assert api.execute(sandbox, language="python", code=code, timeoutMs=120000)["exitCode"] == 0
        assert any(e["type"] == "overflow" for e in stream)
