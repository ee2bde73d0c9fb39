"""One real server for the whole suite: `secureagent up` from SECUREAGENT_BIN, or what
SECUREAGENT_URL and SECUREAGENT_API_KEY name."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Callable, Iterator

import pytest

from secureagent import Client, Sandbox

sys.path.insert(0, str(pathlib.Path(__file__).parent))

START_S = 60


def _binary() -> pathlib.Path:
    folder = os.environ.get("SECUREAGENT_BIN")
    here = pathlib.Path(__file__).resolve()
    root = pathlib.Path(folder) if folder else here.parents[3] / "build" / "bin"
    program = root / "secureagent"
    assert program.exists(), f"{program} is not there: build it, or set SECUREAGENT_BIN"
    return program


@contextlib.contextmanager
def supervised(*options: str) -> Iterator[tuple[str, str, int]]:
    """A server with these options of `secureagent up`: its address, its key, its process."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="secureagent-sdk-"))
    folder.chmod(0o711)  # the API runs as another user
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SECUREAGENT_")}
    command = [str(_binary()), "up", "--listen", "127.0.0.1:0", "-o", "json", *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--data-dir", str(folder / "data")],
            stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], START_S)[0], (folder / "log").read_text()
        line = process.stdout.readline()
        assert line, (folder / "log").read_text()
        ready = json.loads(line)
        yield ready["url"], ready["apiKey"], process.pid
    finally:
        process.terminate()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def started(*options: str) -> Iterator[tuple[str, str]]:
    """Its address and key."""
    with supervised(*options) as (url, key, _):
        yield url, key


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, str]]:
    """The address and the key."""
    if os.environ.get("SECUREAGENT_URL"):
        yield os.environ["SECUREAGENT_URL"], os.environ["SECUREAGENT_API_KEY"]
        return
    with started() as ready:
        yield ready


@pytest.fixture(scope="session")
def client(server: tuple[str, str]) -> Iterator[Client]:
    with Client(*server) as shared:
        yield shared


@pytest.fixture
def sb(client: Client) -> Iterator[Sandbox]:
    """A sandbox of the test's own."""
    with Sandbox.create(client=client, labels={"suite": "sdk"}) as fresh:
        yield fresh


@pytest.fixture
def until() -> Callable[[str, Callable[[], object]], None]:
    """Wait for a condition."""

    def wait(what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for: {what}"
            time.sleep(0.02)

    return wait
