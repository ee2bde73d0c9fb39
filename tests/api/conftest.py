"""One server for the whole suite. When it stops, it must have stopped cleanly and left nothing."""
import pathlib
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.helpers import server as servers  # noqa: E402
from tests.helpers.client import Api, read_all, wait_until  # noqa: E402

SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "UndefinedBehavior")


def end(server, expect_clean=True):
    """Stop a server and check what it left."""
    state, pids = None, server.processes()
    if "sandbox-node" in pids.values():
        state = server.state
    status = server.stop()
    log = server.log()
    try:
        assert not any(word in log for word in SANITIZER_WORDS), log[-8000:]
        assert not expect_clean or status == 0, f"exit status {status}\n{log[-3000:]}"
        wait_until("its processes to end", lambda: not any(map(servers.is_alive, pids)))
        if state:
            assert servers.cgroup_folders(state) == []
    finally:
        server.discard()


@pytest.fixture(scope="session")
def server():
    running = servers.start_server()
    try:
        yield running
    except BaseException:
        running.discard()
        raise
    end(running)


@pytest.fixture
def new_server():
    """Start servers of one's own; they are ended, and checked, after the test."""
    running = []

    def start(**more):
        running.append(servers.start_server(**more))
        return running[-1]
    try:
        yield start
    finally:
        for one in running:
            if one.process.poll() is None:
                end(one)
            one.discard()


@pytest.fixture(scope="session")
def api(server):
    client = Api(server.url, server.key)
    yield client
    client.close()


@pytest.fixture(scope="module")
def shared(api):
    """A sandbox for the tests of a module that do not harm it."""
    with api.sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(api):
    with api.sandbox() as fresh:
        yield fresh


class SlowClients:
    """Clients that send a head or a body a byte at a time. They start with the suite, because the
    server gives them many seconds, and are judged by a test at its end."""

    def __init__(self, url, key):
        self.api = Api(url, key)
        self.answers, self.seconds, self.threads = {}, {}, []
        head = self.api.head("POST", "/api/v1/sandboxes", "Content-Type: application/json",
                             "Content-Length: 100000")
        self._start("head", self.api.head("GET", "/healthz")[:-4], b"a")
        self._start("body", head, None)
        self._start("silent", b"", None)

    def _start(self, name, first, drip):
        thread = threading.Thread(target=self._run, args=(name, first, drip), daemon=True)
        thread.start()
        self.threads.append(thread)

    def _run(self, name, first, drip):
        began = time.monotonic()
        with self.api.connect(timeout=150) as s:
            if first:
                s.sendall(first)
            while drip and time.monotonic() - began < 60:
                try:
                    s.sendall(drip)
                except OSError:
                    break
                time.sleep(0.25)
            self.answers[name] = read_all(s)
            self.seconds[name] = time.monotonic() - began


@pytest.fixture(scope="session", autouse=True)
def slow_clients(server):
    return SlowClients(server.url, server.key)
