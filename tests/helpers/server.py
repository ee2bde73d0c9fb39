"""A real server for tests: `secureagent up` on a free port of loopback with a data folder of its own.

    from helpers.server import start_server

    with start_server(tmp_path) as server:
        server.get("/healthz")
        requests.get(server.url + "/api/v1/sandboxes", headers=server.headers)

The programs are taken from the folder SECUREAGENT_BIN (default: build/bin).
"""
import json
import os
import pathlib
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_S = 30
STOP_S = 25


def bin_dir():
    return pathlib.Path(os.environ.get("SECUREAGENT_BIN", ROOT / "build" / "bin")).resolve()


def program(name):
    path = bin_dir() / name
    assert path.exists(), f"{path} is missing: build first, or set SECUREAGENT_BIN"
    return str(path)


def descendants(pid):
    """The pids below `pid`, from /proc."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


def alive(pid):
    """Is it there, and not a zombie?"""
    try:
        stat = pathlib.Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def wait_until(condition, seconds=10, what="the condition"):
    """Wait for `condition()` to be true and return what it returned; fail after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not come true within {seconds} s"
        time.sleep(0.02)


class Server:
    """url, key, headers (of an admin), process (of `up`), data_dir, log_path."""

    def __init__(self, url, key, process, data_dir, log_path):
        self.url, self.key, self.process = url, key, process
        self.data_dir, self.log_path = data_dir, log_path
        self.headers = {"X-API-Key": key}
        self.session = requests.Session()
        self.session.headers.update(self.headers)
        self.session.trust_env = False

    def request(self, method, path, **kwargs):
        kwargs.setdefault("timeout", 60)
        return self.session.request(method, self.url + path, **kwargs)

    def get(self, path, **kwargs):
        return self.request("GET", path, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.request("POST", path, json=body, **kwargs)

    def put(self, path, data, **kwargs):
        return self.request("PUT", path, data=data, **kwargs)

    def delete(self, path, **kwargs):
        return self.request("DELETE", path, **kwargs)

    def create(self, runtime="python", **spec):
        """A running sandbox; returns its JSON."""
        answer = self.post("/api/v1/sandboxes", {"runtime": runtime, **spec})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def execute(self, sandbox, code=None, language="python", **body):
        """Run code (or command=...) in a sandbox (its JSON or id); returns the answer's JSON."""
        sandbox_id = sandbox if isinstance(sandbox, str) else sandbox["id"]
        if code is not None:
            body.update(language=language, code=code)
        answer = self.post(f"/api/v1/sandboxes/{sandbox_id}/execute", body,
                           timeout=body.get("timeoutMs", 60000) / 1000 + 30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def processes(self):
        """pids of everything it started; ask before stopping it."""
        return descendants(self.process.pid)

    def child(self, name):
        """pid of its child of that name (agent-api, sandbox-node), or None."""
        for pid in self.processes():
            try:
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == name:
                    return pid
            except OSError:
                pass
        return None

    def log(self):
        return pathlib.Path(self.log_path).read_text(errors="replace")

    def stop(self, signum=signal.SIGTERM, timeout=STOP_S):
        """End it and everything in it; returns the exit status. May be called again."""
        self.session.close()
        if self.process.poll() is None:
            self.process.send_signal(signum)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            for pid in [self.process.pid, *self.processes()]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait(10)
            raise AssertionError(f"did not stop within {timeout} s; log:\n{self.log()}") from None
        finally:
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def read_line(process, log_path, seconds=START_S):
    """The first line that `up -o json` prints; fails with the log when there is none."""
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    line = process.stdout.readline() if ready else b""
    if not line.endswith(b"\n"):
        process.kill()
        process.wait()
        process.stdout.close()
        log = pathlib.Path(log_path).read_text(errors="replace")
        raise AssertionError(f"up did not become ready (exit {process.returncode}); log:\n{log}")
    return json.loads(line)


def start_server(tmp_path, as_user=None, args=(), env=None, data_dir=None):
    """Start `up`; returns a Server (a context manager). Everything it writes is in tmp_path.

    as_user: name of the user to run as (root only), e.g. "nobody"; then the data folder is made
    for that user. args: further flags. data_dir: an existing one, to start on it again.
    """
    tmp_path = pathlib.Path(tmp_path)
    data_dir = pathlib.Path(data_dir or tmp_path / "data")
    log_path = tmp_path / "server.log"
    variables = {k: v for k, v in os.environ.items() if not k.startswith("SECUREAGENT_")}
    variables.update(env or {})
    options = {}
    if as_user is not None:
        user = pwd.getpwnam(as_user)
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        data_dir = pathlib.Path(tempfile.mkdtemp(prefix="secureagent-test-")) / "data"
        data_dir.mkdir(mode=0o700)
        os.chmod(data_dir.parent, 0o711)
        os.chown(data_dir, user.pw_uid, user.pw_gid)
        variables["HOME"] = str(data_dir)
    command = [program("secureagent"), "up", "--listen", "127.0.0.1:0",
               "--data-dir", str(data_dir), "-o", "json", *map(str, args)]
    with open(log_path, "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=log, env=variables, cwd="/", **options)
    line = read_line(process, log_path)
    server = Server(line["url"], line["apiKey"], process, data_dir, log_path)
    if as_user is not None:
        remove_with(server, data_dir.parent)
    return server


def remove_with(server, folder):
    """Remove `folder` when the server stops."""
    stop = server.stop

    def stop_and_remove(*args, **kwargs):
        try:
            return stop(*args, **kwargs)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    server.stop = stop_and_remove
