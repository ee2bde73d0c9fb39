"""Everything that can die does, and everything that can be in the way is. Each server here is the
test's own."""
import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading

import pytest
import requests

from tests.helpers import server as servers
from tests.helpers.client import Api, items, wait_until
from tests.helpers.server import is_alive


@pytest.fixture
def own(new_server):
    server = new_server()
    return server, Api(server.url, server.key)


def runtimes(server):
    """Host pids of the first processes of all sandboxes."""
    return {pid for pid in server.processes() if executable(pid).startswith("/memfd:")}


def executable(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def connected(api):
    """The API answers again (it may be starting anew)."""
    def ready():
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            return requests.get(api.url + "/readyz", timeout=60).status_code == 200
    wait_until("it to serve again", ready, timeout=60)


def start_stream(api, sandbox, command="echo begun; sleep 600"):
    """A stream that has begun; join() gives its items (as far as they came)."""
    begun, seen = threading.Event(), []

    def run():
        with contextlib.suppress(requests.exceptions.ChunkedEncodingError, requests.ConnectionError), \
                api.with_key(api.key).open_stream(sandbox, command=command) as answer:
            for item in items(answer):
                seen.append(item)
                if item["type"] == "stdout":
                    begun.set()
        begun.set()
    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(90)

    def join():
        thread.join(120)
        assert not thread.is_alive(), "the stream did not end"
        return seen
    return join


# ---- a runtime ----

def test_killed_runtime(own):
    """PID 1 of a sandbox dies in the middle of an execution."""
    server, api = own
    before = runtimes(server)
    sandbox = api.create()["id"]
    neighbour = api.create()["id"]
    first = runtimes(server) - before
    assert len(first) == 2
    join = start_stream(api, sandbox)
    whole = {}
    waiting = threading.Thread(target=lambda: whole.update(
        api.with_key(api.key).execute(sandbox, command="sleep 600")))
    waiting.start()
    # The one that has two children is the sandbox with two executions.
    wait_until("both to run", lambda: list(server.processes().values()).count("sleep") == 2)
    pid = next(p for p in first if "sleep" in servers.descendants(p).values())
    os.kill(pid, signal.SIGKILL)
    stream = join()
    assert [i["type"] for i in stream].count("exited") == 1 and stream[-1]["type"] == "exited"
    assert stream[-1]["status"] == "failed" and stream[-1]["exitCode"] is None and stream[-1]["error"]["value"]
    waiting.join(120)
    assert whole["status"] == "failed", whole
    box = wait_until("it failed", lambda: (b := api.describe(sandbox))["phase"] == "Failed" and b)
    assert box["reason"] == "Exited" and box["message"]
    assert {c["type"]: c["status"] for c in box["conditions"]} == {"Ready": "False"}
    assert "sleep" not in server.processes().values() and not is_alive(pid)
    assert [f for f in servers.cgroup_folders(server.state) if sandbox in f] == []
    assert api.events(sandbox)[-1]["type"] == "Warning"
    assert api.sh(neighbour, "echo fine") == "fine\n"


def test_killed_spare(own):
    """The half-made sandbox that waits for its order dies: the next create does not notice."""
    server, api = own
    node = server.pid_of("sandbox-node")

    def spares():
        return {pid for pid in server.processes() if servers._stat(pid) and servers._stat(pid)[2] == node} - runtimes(server)
    for _ in range(3):
        killed = wait_until("a spare", spares)
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until("its end", lambda pids=killed: not any(map(is_alive, pids)))
        with api.sandbox() as sandbox:
            assert api.sh(sandbox, "echo lives") == "lives\n"


def test_runtime_that_stops_answering(own):
    """Stopped, not dead: deleting still works."""
    server, api = own
    before = runtimes(server)
    sandbox = api.create()["id"]
    pid = (runtimes(server) - before).pop()
    os.kill(pid, signal.SIGSTOP)
    api.delete(sandbox)
    assert not is_alive(pid)


def test_upload_to_a_runtime_that_dies(own):
    server, api = own
    before = runtimes(server)
    sandbox = api.create(resources={"memory": "1Gi"})["id"]
    pid = (runtimes(server) - before).pop()

    def content():
        for i in range(2000):
            if i == 100:
                os.kill(pid, signal.SIGKILL)
            yield b"x" * 65536
    with contextlib.suppress(requests.ConnectionError):
        assert api.request("PUT", api.file(sandbox, "/workspace/a"), data=content(), stream=True).status_code >= 400
    wait_until("it failed", lambda: api.describe(sandbox)["phase"] == "Failed")
    with Api(server.url, server.key).sandbox() as other:
        assert api.sh(other, "echo fine") == "fine\n"


# ---- the processes of the server ----

@pytest.mark.parametrize("victim", ["sandbox-node", "agent-api"])
def test_killed_part_is_started_anew(own, victim):
    """The other one goes on, and so do the sandboxes (test_survival.py); a stream is cut with its server only."""
    server, api = own
    sandboxes = [api.create("bash")["id"] for _ in range(3)]
    join = start_stream(api, sandboxes[0])
    other = server.pid_of({"sandbox-node": "agent-api", "agent-api": "sandbox-node"}[victim])
    killed = server.pid_of(victim)
    os.kill(killed, signal.SIGKILL)
    wait_until("its end", lambda: not is_alive(killed))
    if victim == "sandbox-node":
        connected(api)
        api.cancel_all(sandboxes[0])
    stream = join()
    if victim == "sandbox-node":
        assert stream[-1]["type"] == "exited" and stream[-1]["status"] == "canceled", stream[-2:]
    else:
        assert stream[-1]["type"] != "exited"  # cut, and noticed as cut
    connected(api)
    fresh = Api(server.url, server.key)
    assert is_alive(other)
    for sandbox in sandboxes:
        wait_until("it to be reached", lambda s=sandbox: fresh.request(
            "POST", f"/api/v1/sandboxes/{s}/execute", json={"command": "true"}).status_code == 200)
        assert fresh.describe(sandbox)["phase"] == "Running"
        fresh.delete(sandbox)
    with fresh.sandbox("bash") as again:
        assert fresh.sh(again, "echo again") == "again\n"
    assert [f for f in servers.cgroup_folders(server.state) if any(s in f for s in sandboxes)] == []


def test_everything_killed_at_once(own):
    server, api = own
    state, folder = server.state, server.data_dir
    made = {api.create("bash")["id"] for _ in range(3)}
    pids = server.processes()
    server.kill()
    wait_until("everything to be gone", lambda: not any(is_alive(p) for p in pids))
    again = servers.start_server(data_dir=folder)
    try:
        assert [f for f in servers.cgroup_folders(state) if "/sb-" in f] == []
        assert {b["id"] for b in Api(again.url, again.key).get("/api/v1/sandboxes?all=true").json()["items"]} == made
    finally:
        assert again.stop() == 0
        again.discard()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_graceful_stop(own, number):
    """Requests are told, streams end properly, the exit status is 0, nothing is left."""
    server, api = own
    state = server.state
    sandbox = api.create("bash")["id"]
    join = start_stream(api, sandbox)
    pids = server.processes()
    temporary = set(os.listdir("/tmp"))
    assert server.stop(number) == 0
    stream = join()
    assert stream[-1]["type"] == "exited" and stream[-1]["status"] == "failed", stream[-1]
    assert not any(map(is_alive, pids)) and servers.cgroup_folders(state) == []
    assert not {n for n in set(os.listdir("/tmp")) - temporary if n.startswith("secureagent") and "test" not in n}
    with contextlib.closing(sqlite3.connect(next(server.data_dir.rglob("secureagent.db")))) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_stop_while_clients_are_busy(own):
    """Uploads, waiting executions and idle connections do not hold it up."""
    server, api = own
    sandbox = api.create("bash")["id"]
    idle = [api.connect() for _ in range(5)]
    upload = api.connect()
    upload.sendall(api.head("PUT", api.file(sandbox, "/workspace/a"), "Content-Length: 1000000") + b"x" * 1000)
    waiting = threading.Thread(target=lambda: contextlib.suppress(Exception).__enter__() or _quiet(
        lambda: api.with_key(api.key).request("POST", f"/api/v1/sandboxes/{sandbox}/execute", json={"command": "sleep 600"})))
    waiting.start()
    wait_until("it to run", lambda: "sleep" in server.processes().values())
    assert server.stop() == 0
    waiting.join(120)
    for s in [*idle, upload]:
        s.close()


def _quiet(f):
    with contextlib.suppress(Exception):
        f()


def test_stop_again_and_again(own):
    server, api = own
    api.create("bash")
    for _ in range(3):
        server.send_signal(signal.SIGTERM)
    assert server.process.wait(90) == 0


def test_stop_again_while_the_node_keeps_it_waiting(own):
    """Its connections are closed by then, and its sandboxes not yet."""
    server, api = own
    api.create("bash")
    connection = api.connect()
    api.close()
    node = server.pid_of("sandbox-node")
    api_pid = server.pid_of("agent-api")
    os.kill(node, signal.SIGSTOP)
    try:
        os.kill(api_pid, signal.SIGTERM)
        wait_until("its connections to be closed", lambda: _is_closed(connection))
        os.kill(api_pid, signal.SIGTERM)
        wait_until("it to end", lambda: not is_alive(api_pid))
    finally:
        os.kill(node, signal.SIGCONT)


def _is_closed(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False


# ---- what is in the way at the start ----

def refused(data_dir=None, **more):
    with pytest.raises(servers.StartFailed) as failure:
        servers.start_server(data_dir=data_dir, **more).discard()
    assert failure.value.status not in (0, None) and failure.value.status > 0, failure.value
    return failure.value.text


def stopped_data(new_server):
    """A data folder that has been used."""
    server = new_server()
    Api(server.url, server.key).create("bash")
    assert server.stop() == 0
    return server.data_dir


def database(folder):
    return next(folder.rglob("secureagent.db"))


def test_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        text = refused(args=["--listen", address])
    assert address in text and "use" in text


def test_data_folder_in_use(own):
    server, _ = own
    text = refused(data_dir=server.data_dir)
    assert "running already" in text and str(server.pid) in text, text
    assert Api(server.url, server.key).get("/healthz").status_code == 200


def test_database_locked_by_another(new_server):
    path = database(stopped_data(new_server))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        text = refused(data_dir=path.parent.parent)
        assert "lock" in text and str(path) in text, text


@pytest.mark.parametrize("damage, word", [
    (lambda p: p.write_bytes(b"this is no database, not at all" * 300), "database"),
    (lambda p: (p.unlink(), p.mkdir()), "directory"),
])
def test_database_that_is_none(new_server, damage, word):
    path = database(stopped_data(new_server))
    for extra in path.parent.glob(path.name + "-*"):
        extra.unlink()
    damage(path)
    text = refused(data_dir=path.parent.parent)
    assert str(path) in text and word in text, text


def test_database_of_a_newer_version(new_server):
    path = database(stopped_data(new_server))
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=9999")
        db.commit()
    text = refused(data_dir=path.parent.parent)
    assert str(path) in text and "9999" in text, text


def test_database_read_only(new_server):
    """On a read-only mount in a mount namespace of its own (permission bits do not stop root)."""
    data = stopped_data(new_server)
    binary = servers.BIN / "secureagent"
    script = (f'mount --bind "{data}" "{data}" && mount -o remount,bind,ro "{data}" && '
              f'exec "{binary}" up --listen 127.0.0.1:0 --data-dir "{data}" -o json')
    done = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode > 0 and done.stdout == ""
    assert "ead-only" in done.stderr and str(data) in done.stderr, done.stderr


def test_data_folder_that_cannot_be_made():
    assert "/proc/nowhere" in refused(data_dir="/proc/nowhere/data")
    text = refused(data_dir="/dev/null")
    assert "/dev/null" in text


@pytest.mark.parametrize("args, words", [
    (["--listen", "nonsense"], "nonsense"), (["--listen", "127.0.0.1:99999"], "99999"),
    (["--lisen", "x"], "listen"), (["--max-sandboxes", "0"], "max-sandboxes"), (["--retention", "soon"], "retention"),
    (["--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"], "/nonexistent"),
])
def test_bad_options(args, words):
    assert words in refused(args=args)


def test_missing_parts(tmp_path):
    """Binaries that are not where they belong are named."""
    for name in ("secureagent", "agent-api", "sandbox-node"):
        shutil.copy(servers.BIN / name, tmp_path)
    assert "execution-runtime" in refused(binaries=tmp_path)


# ---- disk full under the database ----

def test_full_disk_under_the_database():
    """Records cannot be kept; what runs goes on, /readyz says why, and it recovers by itself."""
    script_done = subprocess.run(["unshare", "-m", "true"], check=False)
    assert script_done.returncode == 0, "root is needed for this test"
    code = os.path.join(os.path.dirname(__file__), "full_disk.py")
    done = subprocess.run(["unshare", "-m", "/usr/bin/python3", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
