"""Clients that go away in the middle, a thousand times: nothing of theirs may stay, neither in the
API and node (descriptors, memory) nor in the sandbox (processes, temporary files)."""
import random
import socket
import struct

import pytest

from tests.helpers import server as servers
from tests.helpers.client import read_all, wait_until


def reset(s):
    """Close with a reset instead of a farewell."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def leave(s, n):
    reset(s) if n % 2 else s.close()


def execute(api, sandbox, body, accept, s):
    s.sendall(api.head("POST", f"/api/v1/sandboxes/{sandbox}/execute", "Content-Type: application/json",
                       f"Accept: {accept}", f"Content-Length: {len(body)}") + body)


def leave_stream(api, sandbox, n):
    """In the middle of output, read or unread."""
    with api.connect() as s:
        execute(api, sandbox, b'{"command":"exec yes"}', "application/x-ndjson", s)
        if n % 3:  # it runs, and its output is under way
            seen = b""
            while b'"stdout"' not in seen[-70000:]:
                seen += s.recv(1 + n * 37 % 60000)
        leave(s, n)


def leave_waiting(api, sandbox, n):
    """While the program runs and the answer is not there; at times while the body still comes."""
    body = b'{"command":["sleep","600"]}'
    with api.connect() as s:
        if n % 4 == 0:
            s.sendall(api.head("POST", f"/api/v1/sandboxes/{sandbox}/execute", "Content-Length: 5000") + body)
        else:
            execute(api, sandbox, body, "application/json", s)
        leave(s, n)


def leave_upload(api, sandbox, n):
    """With part of the file sent; a new one, or one that exists already."""
    path = api.file(sandbox, f"/workspace/new{n}" if n % 2 else "/workspace/kept")
    with api.connect() as s:
        head = api.head("PUT", path, f"Content-Length: {1 << 22}") if n % 3 else \
            api.head("PUT", path, "Transfer-Encoding: chunked")
        piece = b"u" * (1 + n * 1009 % 200000)
        s.sendall(head + (piece if n % 3 else b"%x\r\n%s\r\n" % (len(piece), piece)))
        leave(s, n)


def leave_download(api, sandbox, n):
    with api.connect() as s:
        s.sendall(api.head("GET", api.file(sandbox, "/workspace/large")))
        if n % 3:
            s.recv(1 + n * 911 % 100000)
        leave(s, n)


class Level:
    """Everything that could grow."""

    def __init__(self, api, sandbox, server):
        self.api, self.sandbox = api, sandbox
        self.api_pid, self.node_pid = server.pid_of("agent-api"), server.pid_of("sandbox-node")
        self.server = server

    def counts(self):
        inside = self.api.sh(self.sandbox, "ls -A /workspace | sort | tr '\\n' ' '; ls -A /tmp | wc -l;"
                                           " for p in /proc/[0-9]*/comm; do cat $p; done 2>/dev/null | sort | uniq -c")
        return (servers.descriptors(self.api_pid), servers.descriptors(self.node_pid),
                len(self.server.processes()), inside)

    def memory(self):
        return {name: servers.status_kib(pid, "VmRSS")
                for name, pid in (("api", self.api_pid), ("node", self.node_pid))}


@pytest.mark.parametrize("times", [1000])
def test_a_thousand_disconnects(api, server, times):
    with api.sandbox(resources={"memory": "1Gi", "pids": 512}, timeout=3600) as sandbox:
        api.put(sandbox, "/workspace/large", b"l" * (8 << 20))
        api.put(sandbox, "/workspace/kept", b"kept")
        level = Level(api, sandbox, server)
        ways = [leave_stream, leave_waiting, leave_upload, leave_download]
        order = random.Random(1)

        def go(count):
            for n in range(count):
                order.choice(ways)(api, sandbox, n)
                if n % 20 == 19:
                    api.cancel_all(sandbox)
        go(700)  # caches and pools take their size, and as many executions are kept as may be

        def settled():
            """Nobody's programs run on until they are told to stop."""
            return api.cancel_all(sandbox) == 0 and api.sh(sandbox, "pgrep -c 'yes|sleep' || true") == "0\n"
        wait_until("the programs to be ended", settled, timeout=60)
        wait_until("the same counts twice", lambda: level.counts() == level.counts())
        counts, memory = level.counts(), level.memory()
        go(times)
        wait_until("the programs to be ended", settled, timeout=60)
        last = {}

        def as_before():
            # Fewer is fine: idle connections of earlier tests end in the meantime.
            last["counts"] = level.counts()
            return last["counts"][-1] == counts[-1] and all(a <= b for a, b in zip(last["counts"][:-1], counts))
        try:
            wait_until("everything as before", as_before, timeout=60)
        except AssertionError:
            raise AssertionError(f"before {counts}\nafter {last['counts']}\n{server.processes()}") from None
        after = level.memory()
        allowed = (64 if servers.SANITIZED else 4) * 1024
        assert all(after[k] - memory[k] < allowed for k in memory), f"KiB before {memory}, after {after}"
        assert api.read(sandbox, "/workspace/kept") == b"kept"  # a broken upload replaces nothing


def test_the_execution_outlives_its_client(api, shared):
    """A client that shuts its sending side down counts as gone; what it started goes on."""
    with api.connect(timeout=90) as s:
        execute(api, shared, b'{"command":["sleep","601"]}', "application/x-ndjson", s)
        seen = b""
        while b"started" not in seen:
            seen += s.recv(4096)
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) is not None
    [running] = api.executions(shared, "&status=running")
    assert running["command"] == "sleep 601" and running["pid"] > 1
    api.cancel(shared, running["id"])
    wait_until("it to end", lambda: api.execution(shared, running["id"])["status"] == "canceled")


def test_deleted_while_clients_leave(api):
    """The sandbox goes at the same time as its clients."""
    for n in range(20):
        sandbox = api.create("bash")["id"]
        sockets = [api.connect() for _ in range(4)]
        for i, s in enumerate(sockets):
            execute(api, sandbox, b'{"command":"exec yes"}', ("application/x-ndjson", "application/json")[i % 2], s)
        if n % 2:
            api.delete(sandbox)
        for i, s in enumerate(sockets):
            leave(s, i)
        if not n % 2:
            api.delete(sandbox)
