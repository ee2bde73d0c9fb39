"""kill -9 of the parts of a server: sandboxes, their files and what they were given outlive it."""
import contextlib
import json
import os
import signal
import time

import pytest

from tests.helpers import server as servers
from tests.helpers.client import Api, wait_until


@pytest.fixture
def own():
    one = servers.start_server()
    api = Api(one.url, one.key)
    yield one, api
    api.close()
    one.stop()
    one.discard()


def serves(server):
    with contextlib.closing(Api(server.url, server.key)) as api:
        try:
            return api.request("GET", "/readyz", timeout=60).status_code == 200
        except OSError:
            return False


def kill(server, *programs):
    pids = [server.pid_of(program) for program in programs]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until("them to be gone", lambda: not any(map(servers.is_alive, pids)), timeout=60)
    wait_until("the server to serve", lambda: serves(server), timeout=90)


def reached(api, sandbox):
    """Its answer to a command, once it can be reached."""
    return wait_until("it to answer", lambda: (
        a := api.request("POST", f"/api/v1/sandboxes/{sandbox}/execute", json={"command": "echo $NAME; cat /workspace/a"})
    ).status_code == 200 and a.json()["stdout"], timeout=60)


VICTIMS = [["agent-api"], ["sandbox-node"], ["agent-api", "sandbox-node"]]


@pytest.mark.parametrize("victims", VICTIMS, ids=lambda v: "+".join(v))
def test_a_sandbox_outlives_them(own, victims):
    server, api = own
    made = api.create("bash", env={"NAME": "kept"}, labels={"a": "b"}, timeout=1200, annotations={"note": "mine"}, name="box")
    box = made["id"]
    api.put(box, "/workspace/a", b"as it was")
    first = api.execute(box, command="true")["id"]
    seen = [e["seq"] for e in api.events(box)]
    kill(server, *victims)
    api = Api(server.url, server.key)
    assert reached(api, box) == "kept\nas it was"
    now = api.describe(box)
    same = ["id", "name", "labels", "annotations", "timeout", "resources", "createdAt", "securityProfile", "start"]
    assert {k: now[k] for k in same} == {k: made[k] for k in same}
    lost = {"seccomp.notify"} if "sandbox-node" in victims else set()  # it dies with the node, and that is said
    now = wait_until("its facts", lambda: (d := api.describe(box)) and lost.isdisjoint(d["controls"]) and d)
    assert set(now["controls"]) == set(made["controls"]) - lost
    assert all(any(weaker.startswith(control + ":") for weaker in now["weaker"]) for control in lost), now["weaker"]
    assert now["phase"] == "Running" and now["expiresAt"] <= made["expiresAt"][:-5] + "99.999Z"
    assert api.get(f"/api/v1/sandboxes/{box}/executions/{first}").json()["status"] == "exited"
    after = [e["seq"] for e in api.events(box)]
    assert after[:len(seen)] == seen and after == sorted(set(after))
    assert [b["id"] for b in api.get("/api/v1/sandboxes").json()["items"]] == [box]
    api.delete(box)
    api.close()


def test_who_connects_meanwhile_waits(own):
    """From one agent-api to the next, also where the supervisor pauses before it starts that."""
    server, api = own
    for _ in range(3):
        plane = server.pid_of("agent-api")
        os.kill(plane, signal.SIGKILL)
        wait_until("it to be gone", lambda: not servers.is_alive(plane))
        with contextlib.closing(Api(server.url, server.key)) as meanwhile:
            assert meanwhile.request("GET", "/healthz", timeout=90).status_code == 200
        wait_until("the server to serve", lambda: serves(server), timeout=90)


def test_what_ran_is_ended_and_said(own):
    server, api = own
    box = api.create("bash")["id"]
    running = api.request("POST", f"/api/v1/sandboxes/{box}/execute", json={"command": "sleep 1000", "background": True}).json()
    kill(server, "agent-api")
    api = Api(server.url, server.key)
    api.put(box, "/workspace/a", b"")
    assert reached(api, box) == "\n"
    record = api.get(f"/api/v1/sandboxes/{box}/executions/{running['id']}").json()
    assert record["status"] == "failed", record
    lost = api.error("GET", f"/api/v1/sandboxes/{box}/executions/{running['id']}/output", 404, "not_found")
    assert "its record says failed, ControlPlaneRestarted" in lost["message"], lost
    assert "sleep" not in api.sh(box, "cat /proc/[0-9]*/comm")
    assert any(e["reason"] == "ControlPlaneRestarted" for e in api.events(box))
    api.delete(box)
    api.close()


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson", "text/event-stream"])
def test_nothing_is_made_up_for_what_was_cut_off(own, accept):
    """Its output is gone with the server: the key says so, and it is not run again."""
    server, api = own
    box = api.create("bash")["id"]
    api.request("POST", f"/api/v1/sandboxes/{box}/execute", 200, json={"command": "mkfifo go"})
    body, headers = {"command": "echo x >> ran; read x < go"}, {"Idempotency-Key": "cut", "Accept": accept}
    with contextlib.closing(api.connect()) as s:
        text = json.dumps(body).encode()
        s.sendall(api.head("POST", f"/api/v1/sandboxes/{box}/execute", "Idempotency-Key: cut", f"Accept: {accept}",
                           f"Content-Length: {len(text)}") + text)
        wait_until("it to run", lambda: api.sh(box, "cat ran || :") == "x\n")
        known = api.get(f"/api/v1/sandboxes/{box}/executions?status=running").json()["items"][0]["id"]
        kill(server, "agent-api")
    with contextlib.closing(Api(server.url, server.key)) as api:
        api.put(box, "/workspace/a", b"")
        reached(api, box)
        error = api.request("POST", f"/api/v1/sandboxes/{box}/execute", 409, json=body, headers=headers).json()["error"]
        assert error["code"] == "conflict" and known in error["message"] and "not known" in error["message"]
        assert api.sh(box, "cat ran") == "x\n"
        api.delete(box)


def test_what_was_answered_is_recorded(own):
    """Killed as soon as the answer is there: the record says how it ended, and its key leads to the same answer."""
    first, api = own
    server, box, told = first, api.create("bash", timeout=1200)["id"], []
    with contextlib.ExitStack() as stack:
        for n in range(20):
            body, headers = {"command": f"echo out {n}; echo err {n} >&2; exit {n}"}, {"Idempotency-Key": f"key-{n}"}
            plane = server.pid_of("agent-api")
            answer = api.request("POST", f"/api/v1/sandboxes/{box}/execute", 200, json=body, headers=headers)
            os.kill(plane, signal.SIGKILL)
            assert answer.json()["stdout"] == f"out {n}\n"
            told.append((body, headers, answer.json()))
            wait_until("it to be gone", lambda p=plane: not servers.is_alive(p), timeout=60)
            if n % 2:  # a supervisor waits longer before each death
                server.process.kill()
                server.process.wait()
                server = servers.start_server(data_dir=first.data_dir)
                stack.callback(server.discard)
            wait_until("the server to serve", lambda s=server: serves(s), timeout=90)
            api.close()
            api = Api(server.url, server.key)
            reached(api, box)
            for body, headers, was in told[-3:]:
                record = api.get(f"/api/v1/sandboxes/{box}/executions/{was['id']}").json()
                assert record["status"] == "exited" and record["exitCode"] == was["exitCode"], record
                assert api.request("POST", f"/api/v1/sandboxes/{box}/execute", 200, json=body, headers=headers).json() == was
        assert [e["reason"] for e in api.events(box)].count("ControlPlaneRestarted") == 20
        api.delete(box)
        api.close()
        assert server.stop() == 0


def test_what_was_made_and_deleted_is_recorded(own):
    server, api = own
    kept, gone = api.create("bash", labels={"a": "b"})["id"], api.create("bash")["id"]
    api.delete(gone)
    kill(server, "agent-api")
    with contextlib.closing(Api(server.url, server.key)) as api:
        found = {b["id"]: b for b in api.get("/api/v1/sandboxes?all=true").json()["items"]}
        assert found.keys() == {kept, gone}
        assert found[kept]["labels"] == {"a": "b"}
        wait_until("it to have ended", lambda: api.describe(gone)["phase"] in ("Terminated", "Failed"))
        assert [e["reason"] for e in api.events(kept)][:1] != ["ControlPlaneRestarted"]
        api.delete(kept)


def test_what_was_told_of_it_while_it_ran_is_there(own):
    """The id that a stream begins with is one to ask for after a restart."""
    server, api = own
    box = api.create("bash")["id"]
    with api.request("POST", f"/api/v1/sandboxes/{box}/execute", json={"command": "echo; sleep 1000"}, stream=True,
                     headers={"Accept": "application/x-ndjson"}) as answer:
        started = json.loads(next(answer.iter_lines()))
        kill(server, "agent-api")
    with contextlib.closing(Api(server.url, server.key)) as api:
        record = api.get(f"/api/v1/sandboxes/{box}/executions/{started['id']}").json()
        assert record["status"] == "failed", record
        wait_until("it to run", lambda: api.describe(box)["phase"] == "Running")
        api.delete(box)


def answered(url, key, box):
    """The status of a use, once there is one."""
    def ask():
        with contextlib.closing(Api(url, key)) as api:
            try:
                return api.request("POST", f"/api/v1/sandboxes/{box}/execute", json={"command": "true"}).status_code
            except OSError:
                return None
    return wait_until("an answer", ask, timeout=60)


def test_what_was_not_found_again_yet_is_not_said_to_be_gone(own):
    """A node that says nothing yet: nobody knows what is there."""
    server, api = own
    box = api.create("bash")["id"]
    node, plane = server.pid_of("sandbox-node"), server.pid_of("agent-api")
    os.kill(node, signal.SIGSTOP)
    try:
        os.kill(plane, signal.SIGKILL)
        wait_until("it to be gone", lambda: not servers.is_alive(plane), timeout=60)
        assert [answered(server.url, server.key, box) for _ in range(20)] == [503] * 20
    finally:
        os.kill(node, signal.SIGCONT)
    seen = set()
    wait_until("it to answer", lambda: seen.add(answered(server.url, server.key, box)) or 200 in seen, timeout=60)
    assert seen <= {200, 503}
    with contextlib.closing(Api(server.url, server.key)) as again:
        again.delete(box)


def test_timeouts_go_on(own):
    """Counted from where they were: a restart neither ends nor prolongs."""
    server, api = own
    box = api.create("bash", timeout=20)["id"]
    began = time.monotonic()
    kill(server, "agent-api")
    api = Api(server.url, server.key)
    wait_until("its end", lambda: api.describe(box)["phase"] == "Terminated", timeout=90)
    assert api.describe(box)["reason"] == "TimedOut" and time.monotonic() - began >= 19
    api.close()


def test_settings_that_were_changed_are_kept(own):
    server, api = own
    box = api.create("bash", labels={"a": "1", "b": "2"})["id"]
    changed = api.request("PATCH", f"/api/v1/sandboxes/{box}", json={"labels": {"a": None, "c": "3"}, "timeout": 777}).json()
    kill(server, "agent-api")
    with contextlib.closing(Api(server.url, server.key)) as api:
        now = api.describe(box)
        assert now["labels"] == changed["labels"] == {"b": "2", "c": "3"} and now["timeout"] == 777
        api.delete(box)


def test_what_was_paused_is_found_paused(own):
    server, api = own
    box = api.create("bash", timeout=1200)["id"]
    api.request("POST", f"/api/v1/sandboxes/{box}/pause", status=200)
    kill(server, "agent-api")
    with contextlib.closing(Api(server.url, server.key)) as api:
        assert wait_until("its session", lambda: api.describe(box)["phase"] != "Creating" and api.describe(box))["phase"] == "Paused"
        api.request("POST", f"/api/v1/sandboxes/{box}/resume", status=200)
        api.delete(box)


def test_everything_is_killed_and_started_again(own):
    server, api = own
    box = api.create("bash", env={"NAME": "kept"})["id"]
    api.put(box, "/workspace/a", b"still there")
    api.close()
    state = server.state
    programs = [server.pid, server.pid_of("agent-api"), server.pid_of("sandbox-node")]
    os.kill(server.pid, signal.SIGKILL)  # the others go with it
    wait_until("them to be gone", lambda: not any(map(servers.is_alive, programs)))
    again = servers.start_server(data_dir=server.data_dir)
    try:
        with contextlib.closing(Api(again.url, again.key)) as api:
            assert reached(api, box) == "kept\nstill there"
            api.delete(box)
    finally:
        status = again.stop()
        again.discard()
    assert status == 0 and servers.cgroup_folders(state) == []
