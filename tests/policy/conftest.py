"""Rules in the real policy-worker, over its socket."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.helpers.policy import Worker, binary  # noqa: E402


@pytest.fixture
def worker():
    workers = []

    def start(files=None, points=None, **limits):
        made = Worker(binary(), points, **limits)
        workers.append(made)
        if files is not None:
            made.load(files)
        return made

    yield start
    for made in workers:
        made.close()
