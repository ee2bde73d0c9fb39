"""A client for tests: plain requests and raw sockets, where every JSON answer is checked against
api/openapi/ on its way through."""
import contextlib
import json
import socket
import time
import urllib.parse

import requests

from . import schema


def wait_until(what, condition, timeout=60.0, every=0.02):
    """Wait for `condition()` to be true and return its value; `what` is for the failure."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for: {what}"
        time.sleep(every)


class Api:
    def __init__(self, url, key):
        self.url, self.key = url, key
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self.session = requests.Session()
        self.session.trust_env = False
        if key:
            self.session.headers["Authorization"] = "Bearer " + key

    def close(self):
        self.session.close()

    def with_key(self, key):
        return Api(self.url, key)

    # ---- requests ----

    def request(self, method, path, status=None, **more):
        more.setdefault("timeout", 120)
        answer = self.session.request(method, self.url + path, **more)
        if not more.get("stream"):
            schema.check_answer(method, path, answer)
        if status is not None:
            expected = status if isinstance(status, tuple) else (status,)
            assert answer.status_code in expected, \
                f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer

    def get(self, path, status=200, **more):
        return self.request("GET", path, status, **more)

    def post(self, path, body=None, status=200, **more):
        if body is not None:
            more["json"] = body
        return self.request("POST", path, status, **more)

    def error(self, method, path, status, code, where=None, **more):
        """The request is refused with this status and code, naming the field `where`."""
        answer = self.request(method, path, status, **more)
        error = answer.json()["error"]
        assert error["code"] == code, error
        if where is not None:
            assert [d.get("path") for d in error.get("details", [])] == [where], error
        return error

    # ---- sandboxes ----

    def create(self, runtime="python", **spec):
        spec["runtime"] = runtime
        return self.post("/api/v1/sandboxes", spec, status=201).json()

    def describe(self, sandbox):
        return self.get(f"/api/v1/sandboxes/{sandbox}").json()

    def delete(self, sandbox, status=204):
        return self.request("DELETE", f"/api/v1/sandboxes/{sandbox}", status)

    @contextlib.contextmanager
    def sandbox(self, runtime="python", **spec):
        sandbox = self.create(runtime, **spec)["id"]
        try:
            yield sandbox
        finally:
            self.delete(sandbox, status=(204, 404, 503))

    def events(self, sandbox, after=0):
        return self.get(f"/api/v1/sandboxes/{sandbox}/events?limit=500&after={after}").json()["items"]

    def usage(self, sandbox):
        return self.get(f"/api/v1/sandboxes/{sandbox}/metrics").json()

    # ---- executions ----

    def execute(self, sandbox, status=200, **body):
        return self.post(f"/api/v1/sandboxes/{sandbox}/execute", body, status=status).json()

    def sh(self, sandbox, command, **more):
        """Output of a shell command that must succeed."""
        result = self.execute(sandbox, command=command, **more)
        assert result["status"] == "exited" and result["exitCode"] == 0, result
        return result["stdout"]

    @contextlib.contextmanager
    def open_stream(self, sandbox, accept="application/x-ndjson", **body):
        """The answer of a streamed execution; items(answer) reads it."""
        answer = self.request("POST", f"/api/v1/sandboxes/{sandbox}/execute", 200, json=body,
                              headers={"Accept": accept}, stream=True)
        try:
            yield answer
        finally:
            answer.close()

    @contextlib.contextmanager
    def swapping(self, sandbox, name, away):
        """Meanwhile /workspace/d/x, whose file `name` says "mine", is a link to `away` now and then, or is
        not there. Another client, as this one reads what does it."""
        code = f"import os\nos.makedirs('/workspace/d/x', exist_ok=True)\nopen('/workspace/d/x/{name}', 'w').write('mine')\n" \
               f"os.symlink('{away}', '/workspace/d/l')\nprint(1, flush=True)\nwhile True:\n" \
               "    for a, b in (('x', 't'), ('l', 'x'), ('x', 'l'), ('t', 'x')): os.rename('/workspace/d/' + a, '/workspace/d/' + b)\n"
        with self.open_stream(sandbox, language="python", code=code) as answer:
            lines = answer.iter_lines()
            next(lines)
            next(lines)
            yield self.with_key(self.key)

    def stream(self, sandbox, accept="application/x-ndjson", **body):
        with self.open_stream(sandbox, accept, **body) as answer:
            return list(items(answer))

    def executions(self, sandbox, query=""):
        return self.get(f"/api/v1/sandboxes/{sandbox}/executions?limit=500{query}").json()["items"]

    def execution(self, sandbox, execution):
        return self.get(f"/api/v1/sandboxes/{sandbox}/executions/{execution}").json()

    def act(self, sandbox, execution, what, status=204, **body):
        return self.post(f"/api/v1/sandboxes/{sandbox}/executions/{execution}/{what}", body, status)

    def cancel(self, sandbox, execution):
        return self.post(f"/api/v1/sandboxes/{sandbox}/executions/{execution}/cancel").json()

    def cancel_all(self, sandbox):
        """End everything that runs there; how many there were."""
        running = self.executions(sandbox, "&status=running")
        for one in running:
            self.cancel(sandbox, one["id"])
        return len(running)

    # ---- files ----

    @staticmethod
    def file(sandbox, path):
        return f"/api/v1/sandboxes/{sandbox}/files/" + path.lstrip("/")

    def put(self, sandbox, path, data, status=(200, 201), query=""):
        return self.request("PUT", self.file(sandbox, path) + query, status, data=data)

    def read(self, sandbox, path, status=200):
        return self.get(self.file(sandbox, path), status).content

    # ---- raw ----

    def connect(self, timeout=120):
        s = socket.create_connection((self.host, self.port), timeout=timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def head(self, method, path, *lines, host=True):
        """The text of a request's head."""
        all_lines = [f"{method} {path} HTTP/1.1"]
        if host:
            all_lines.append(f"Host: {self.host}:{self.port}")
        if self.key:
            all_lines.append(f"Authorization: Bearer {self.key}")
        return ("\r\n".join(all_lines + list(lines)) + "\r\n\r\n").encode("latin-1")

    def raw(self, data, timeout=120):
        """Send bytes and read until the server closes; what came."""
        with self.connect(timeout) as s:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(data)
            return read_all(s)


def read_all(s):
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := s.recv(65536):
            parts.append(part)
    return b"".join(parts)


def items(answer):
    """The objects of an NDJSON or SSE answer, each checked against the schema."""
    sse = answer.headers["Content-Type"].startswith("text/event-stream")
    for line in answer.iter_lines(chunk_size=65536, delimiter=b"\n\n" if sse else b"\n"):
        if not line:
            continue
        if sse:
            name, _, line = line.partition(b"\n")
            assert name.startswith(b"id: ") and name[4:].isdigit(), name[:100]
            assert line.startswith(b"data: "), line[:100]
            line = line[len(b"data: "):]
        item = json.loads(line)
        schema.check_component("StreamItem", item)
        yield item
