"""The asynchronous client: the same protocol, so only what is its own."""

from __future__ import annotations

import asyncio
import io
from typing import Any, Callable, Coroutine

import pytest

from secureagent import (
    AsyncClient,
    AsyncSandbox,
    AuthenticationError,
    CommandError,
    NotFoundError,
)  # fmt: skip

Scenario = Callable[[AsyncSandbox], Coroutine[Any, Any, None]]
Run = Callable[[Scenario], None]


@pytest.fixture
def run(server: tuple[str, str]) -> Run:
    """Run a coroutine with a sandbox of its own."""

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            async with AsyncClient(*server) as client:
                sb = await AsyncSandbox.create(client=client)
                async with sb:
                    await scenario(sb)

        asyncio.run(main())

    return run


def test_a_life(server: tuple[str, str]) -> None:
    async def main() -> None:
        url, key = server
        async with await AsyncSandbox.create(url=url, api_key=key, labels={"a": "b"}) as sb:
            async with await AsyncSandbox.connect(sb.id, url=url, api_key=key) as same:
                assert (await same.get_info()).labels == {"a": "b"}
            found = [info.id async for info in AsyncSandbox.list(url=url, api_key=key)]
            assert sb.id in found
        assert not await sb_is_there(sb.id, server)
        with pytest.raises(AuthenticationError):
            await AsyncSandbox.create(url=url, api_key="sa_wrong")

    asyncio.run(main())


async def sb_is_there(sandbox: str, server: tuple[str, str]) -> bool:
    async with AsyncClient(*server) as client:
        return sandbox in [info.id async for info in AsyncSandbox.list(client=client)]


def test_commands_at_the_same_time(run: Run) -> None:
    async def scenario(sb: AsyncSandbox) -> None:
        found = await asyncio.gather(*(sb.run_command(f"echo {n}") for n in range(10)))
        assert [one.stdout for one in found] == [f"{n}\n" for n in range(10)]
        with pytest.raises(CommandError):
            await sb.run_command("exit 1", check=True)

    run(scenario)


def test_files(run: Run) -> None:
    async def scenario(sb: AsyncSandbox) -> None:
        data = bytes(range(256)) * 4000
        for body in (data, io.BytesIO(data), iter([data[:5], data[5:]])):
            assert (await sb.files.write("f", body)).size == len(data)
        assert await sb.files.read("f", "bytes") == data
        stream = await sb.files.read("f", "stream")
        assert b"".join([piece async for piece in stream]) == data
        assert [entry.name for entry in await sb.files.list()] == ["f"]
        await sb.files.remove("f")
        with pytest.raises(NotFoundError):
            await sb.files.read("f")

    run(scenario)
