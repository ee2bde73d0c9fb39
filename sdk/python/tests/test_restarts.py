"""`kill -9` of agent-api below `secureagent up`: programs that use it need not know of it."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import threading
from typing import Callable, Iterator

import pytest
from conftest import supervised

from secureagent import AsyncClient, AsyncSandbox, Client, ConflictError, RetryPolicy, Sandbox

KILLS = 3  # the fifth within a minute ends the server
Until = Callable[[str, Callable[[], object]], None]


class Victim:
    """The agent-api of a server."""

    def __init__(self, url: str, key: str, supervisor: int) -> None:
        self.url, self.key, self.supervisor = url, key, supervisor
        self.over = threading.Event()
        self.made = 0

    def pid(self) -> int | None:
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            except OSError:
                continue
            state, parent = rest.split()[:2] if rest else ("Z", "0")
            if name == "agent-api" and int(parent) == self.supervisor and state != "Z":
                return int(folder.name)
        return None

    def kill(self, until: Until) -> None:
        """Each time when some more sandboxes have been made since the last one."""
        for _ in range(KILLS):
            enough = self.made + 5
            until("sandboxes to be made", lambda enough=enough: self.made >= enough)
            pid = self.pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            until("it to go", lambda pid=pid: self.pid() != pid)
        enough = self.made + 5
        until("sandboxes to be made again", lambda: self.made >= enough)


@pytest.fixture
def victim() -> Iterator[Victim]:
    with supervised() as (url, key, process):
        yield Victim(url, key, process)


def test_nobody_notices(victim: Victim, until: Until) -> None:
    """But a command that ran: whether it did is not known, so it is not run twice."""

    def use() -> None:
        with Client(victim.url, victim.key) as client:
            while not victim.over.is_set():
                with Sandbox.create(client=client, runtime="bash") as sandbox:
                    victim.made += 1
                    try:
                        assert sandbox.run_command("echo hi").stdout == "hi\n"
                    except ConflictError as error:
                        assert "not known" in str(error) or "stopped" in str(error)  # noqa: PT017

    failures: list[BaseException] = []

    def watched() -> None:
        try:
            use()
        except BaseException as error:
            failures.append(error)
            raise

    users = [threading.Thread(target=watched) for _ in range(2)]
    for user in users:
        user.start()
    try:
        victim.kill(until)
    finally:
        victim.over.set()
        for user in users:
            user.join()
    assert failures == []
    with Client(victim.url, victim.key) as client:
        assert list(Sandbox.list(client=client)) == [], "each was told of, and so was ended"


def test_nobody_notices_async(victim: Victim, until: Until) -> None:
    async def use() -> None:
        async with AsyncClient(victim.url, victim.key) as client:
            while not victim.over.is_set():
                async with await AsyncSandbox.create(client=client, runtime="bash"):
                    victim.made += 1

    async def main() -> None:
        users = asyncio.gather(use(), use())
        try:
            await asyncio.to_thread(victim.kill, until)
        finally:
            victim.over.set()
            await users

    asyncio.run(main())


def test_what_must_be_warm_is_waited_for(server: tuple[str, str]) -> None:
    """A refusal is tried again with the same key, and a pod that came meanwhile is found."""
    with Client(*server, retry=RetryPolicy(attempts=60)) as client:
        client.warm_pools.create("awaited", "bash", min_size=1, max_size=1)
        try:
            with Sandbox.create(client=client, runtime="bash", warm="require") as sandbox:
                assert sandbox.info.start == "warm"
        finally:
            client.warm_pools.delete("awaited")
