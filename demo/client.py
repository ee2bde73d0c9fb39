"""The demo's own small client: starts `secureagent up`, speaks to it, and knows afterwards whether
anything of it was left. Standard library only."""
import contextlib
import glob
import http.client
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse

START_S, STOP_S, REQUEST_S = 30, 30, 90


class Failed(Exception):
    """Something did not hold."""


class Answer:
    def __init__(self, status, body):
        self.status, self.body = status, body

    def json(self):
        return json.loads(self.body)


class Client:
    """One kept-alive connection; one thread."""

    def __init__(self, url, key):
        parts = urllib.parse.urlsplit(url)
        self.key, self.host, self.port = key, parts.hostname, parts.port
        self.connection = http.client.HTTPConnection(self.host, self.port, timeout=REQUEST_S)

    def request(self, method, path, body=None, expect=(200, 201, 204)):
        headers = {"X-API-Key": self.key}
        if isinstance(body, (dict, list)):
            body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        elif body is not None:
            headers["Content-Type"] = "application/octet-stream"
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        answer = Answer(response.status, response.read())
        if answer.status not in expect:
            raise Failed(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return answer

    def create(self, runtime="python", **spec):
        return self.request("POST", "/api/v1/sandboxes", {"runtime": runtime, **spec}).json()

    def describe(self, sandbox):
        return self.request("GET", f"/api/v1/sandboxes/{sandbox['id']}").json()

    def pool(self, name):
        """Its status."""
        return self.request("GET", f"/api/v1/warmpools/{name}").json()["status"]

    def make_pool(self, name, spec):
        self.request("POST", "/api/v1/warmpools", {"metadata": {"name": name}, "spec": spec})

    def execute(self, sandbox, **body):
        path = f"/api/v1/sandboxes/{sandbox['id']}/execute"
        return self.request("POST", path, body).json()

    def stream(self, sandbox, **body):
        """Items of an execution as they come: (seconds since the start, item)."""
        path, began = f"/api/v1/sandboxes/{sandbox['id']}/execute", time.monotonic()
        self.connection.request("POST", path, json.dumps(body).encode(), {
            "X-API-Key": self.key, "Content-Type": "application/json", "Accept": "application/x-ndjson"})
        response = self.connection.getresponse()
        if response.status != 200:
            raise Failed(f"POST {path}: {response.status} {response.read()[:300]!r}")
        for line in response:
            if line.strip():
                yield time.monotonic() - began, json.loads(line)

    def context(self, sandbox, language):
        path = f"/api/v1/sandboxes/{sandbox['id']}/contexts"
        return self.request("POST", path, {"language": language}).json()["id"]

    def events(self, sandbox):
        path = f"/api/v1/sandboxes/{sandbox['id']}/events"
        return self.request("GET", path).json()["items"]

    def metrics(self, sandbox, gone=None):
        """`gone` (when given) is the answer for a sandbox that has ended."""
        path = f"/api/v1/sandboxes/{sandbox['id']}/metrics"
        answer = self.request("GET", path, expect=(200,) if gone is None else (200, 404, 409))
        return answer.json() if answer.status == 200 else gone

    def upload(self, sandbox, path, data):
        self.request("PUT", f"/api/v1/sandboxes/{sandbox['id']}/files{path}", data)

    def download(self, sandbox, path):
        return self.request("GET", f"/api/v1/sandboxes/{sandbox['id']}/files{path}").body

    def delete(self, sandbox):
        self.request("DELETE", f"/api/v1/sandboxes/{sandbox['id']}", expect=(204, 404))

    @contextlib.contextmanager
    def sandbox(self, runtime="python", **spec):
        made = self.create(runtime, **spec)
        try:
            yield made
        finally:
            self.delete(made)

    def close(self):
        self.connection.close()


def stat_fields(pid):
    """(state, parent, start time) of a process, or None when it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    return fields[0], int(fields[1]), fields[19]


def descendants(root):
    """{pid: start time} of what lives below `root`."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        fields = stat_fields(name)
        if fields and fields[0] not in "ZX":
            children.setdefault(fields[1], []).append((int(name), fields[2]))
    found, todo = {}, [root]
    while todo:
        for pid, started in children.get(todo.pop(), []):
            found[pid] = started
            todo.append(pid)
    return found


class Server:
    """`secureagent up` as a child of this process, with a folder of its own."""

    def __init__(self, programs):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="secureagent-demo-"))
        self.log = self.folder / "log"
        self.seen = {}  # processes it was seen to have
        command = [str(programs / "secureagent"), "up", "--listen", "127.0.0.1:0", "--data-dir",
                   str(self.folder / "data"), "-o", "json"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SECUREAGENT_")}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment,
                                            stdout=subprocess.PIPE, stderr=log,
                                            start_new_session=True)
        try:
            ready, _, _ = select.select([self.process.stdout], [], [], START_S)
            line = self.process.stdout.readline() if ready else b""
            if not line:
                raise Failed("the server did not start:\n" + self.log.read_text(errors="replace"))
            first = json.loads(line)
            self.url, self.key = first["url"], first["apiKey"]
            self.state = self.node_state()
        except BaseException:
            self.stop()
            raise

    def client(self):
        return Client(self.url, self.key)

    def look(self):
        """Remember what runs below it now."""
        self.seen.update(descendants(self.process.pid))

    def node_state(self):
        """The name of its control groups, from the node's command line."""
        self.look()
        for pid in self.seen:
            with contextlib.suppress(OSError):
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"--state" in words:
                    return words[words.index(b"--state") + 1].decode()
        raise Failed("the server has no sandbox-node")

    def cgroups(self):
        name = f"secureagent-{self.state}"
        return [path for path in glob.glob("/sys/fs/cgroup/**/" + glob.escape(name) + "*",
                                           recursive=True)]

    def stop(self):
        """End it; returns what was left behind, as a list of texts."""
        left = []
        self.look()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_S)
            if status != 0:
                left.append(f"exit status {status}")
        except subprocess.TimeoutExpired:
            left.append(f"it was still running after {STOP_S} s")
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        left += self.leftovers()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.exists():
            left.append(f"the folder {self.folder}")
        return left

    def leftovers(self):
        deadline = time.monotonic() + 2
        while True:
            alive = [pid for pid, started in self.seen.items()
                     if (fields := stat_fields(pid)) and fields[0] not in "ZX"
                     and fields[2] == started]
            if not alive or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        left = [f"process {pid}" for pid in alive]
        for pid in alive:  # ours: seen below our own child, and the same start time
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if hasattr(self, "state"):
            left += [f"control group {path}" for path in self.cgroups()]
        return left
