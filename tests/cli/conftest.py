"""The command line over the real programs. `cli` runs one command; `server` is shared; who needs
a server of their own takes `new_server`."""
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.helpers import server as servers  # noqa: E402
from tests.helpers.client import Api, wait_until  # noqa: E402


def environment(server=None, **more):
    """What a command sees: nothing of SecureAgent but the server it should find."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("SECUREAGENT_")}
    if server is not None:
        variables["SECUREAGENT_DATA_DIR"] = str(server.data_dir)
    variables.update(more)
    return variables


def run_cli(*args, server=None, stdin=b"", env=None, timeout=60, binaries=None):
    """Run `secureagent ARGS`; the result has returncode, stdout and stderr as bytes."""
    program = (binaries or servers.BIN) / "secureagent"
    return subprocess.run([program, *map(str, args)], input=stdin, capture_output=True,
                          timeout=timeout, env=environment(server, **(env or {})))


def check_gone(pids, state, what="the server"):
    """Nothing is left of a server: no process, no control group."""
    wait_until(f"the processes of {what} to end", lambda: not any(map(servers.is_alive, pids)))
    if state:
        wait_until("its control groups to go", lambda: servers.cgroup_folders(state) == [])


def end(server):
    state = server.state if "sandbox-node" in server.processes().values() else None
    pids = server.processes()
    status = server.stop()
    try:
        assert status == 0, f"exit status {status}\n{server.log()[-3000:]}"
        check_gone(pids, state)
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
    """Start servers of one's own; what a test does not end is ended, and checked, after it."""
    running = []

    def start(**more):
        running.append(servers.start_server(**more))
        return running[-1]
    try:
        yield start
    finally:
        for one in running:
            try:
                if one.process.poll() is None:
                    end(one)
            finally:
                one.discard()


@pytest.fixture
def api(server):
    client = Api(server.url, server.key)
    yield client
    client.close()


@pytest.fixture
def cli(server):
    """Run a command against the shared server."""
    def run(*args, **more):
        return run_cli(*args, server=server, **more)
    return run
