"""The command line over the real programs. `cli` runs one command; `server` is shared; who needs
a server of their own takes `new_server`."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.helpers import server as servers  # noqa: E402
from tests.helpers.cli import end, environment, run_cli  # noqa: E402
from tests.helpers.client import Api  # noqa: E402


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
    run.environment = environment(server)
    return run
