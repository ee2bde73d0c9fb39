"""Terminals: a real one inside, and an emulator that shows what a person would see."""

from __future__ import annotations

import asyncio

import pyte
import pytest

from secureagent import (
    AsyncClient,
    AsyncSandbox,
    ConnectionFailedError,
    NotFoundError,
    RequestTimeoutError,
    Sandbox,
    Terminal,
)


def shown_until(terminal: Terminal, text: str, rows: int = 24, cols: int = 80) -> pyte.Screen:
    """The screen once it shows a text."""
    screen = pyte.Screen(cols, rows)
    stream = pyte.ByteStream(screen)
    while text not in "\n".join(screen.display):
        data = terminal.read(timeout=60)
        assert data, f"it ended before {text!r}: {screen.display}"
        stream.feed(data)
    return screen


def test_a_shell(sb: Sandbox) -> None:
    with sb.terminal() as terminal:
        terminal.write("echo $((6 * 7)) ä€\n")
        shown_until(terminal, "42 ä€")
        terminal.write("exit 3\n")
        for _ in terminal:
            pass
        assert terminal.closed
        assert terminal.exit_code == 3
        assert terminal.read() == b""


def test_sizes(sb: Sandbox) -> None:
    command = "trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done"
    with sb.terminal(rows=30, cols=90, command=command, env={"A": "b"}, cwd="/tmp") as terminal:
        shown_until(terminal, "30 90")
        terminal.resize(rows=40, cols=100)
        shown_until(terminal, "40 100")


def test_control_keys_reach_the_program(sb: Sandbox) -> None:
    with sb.terminal(
        command="trap 'echo caught; exit 5' INT; echo on; sleep 1000 & wait"
    ) as terminal:
        shown_until(terminal, "on")
        terminal.write("\x03")
        shown_until(terminal, "caught")
        assert terminal.read(timeout=60) == b""
        assert terminal.exit_code == 5


def test_much_input(sb: Sandbox) -> None:
    with sb.terminal(command="stty raw -echo; echo ready; head -c 300000 | wc -c") as terminal:
        shown_until(terminal, "ready")
        terminal.write(b"x" * 300_000)
        shown_until(terminal, "300000")


def test_taking_one_up_again(sb: Sandbox) -> None:
    """What a terminal runs goes on without a connection; nothing of what it showed is lost."""
    with sb.terminal(command="stty -echo; echo one; read x; echo two $x") as terminal:
        shown_until(terminal, "one")
        saved, offset = terminal.id, terminal.offset
    with sb.terminal(attach=saved, offset=offset) as again:
        again.write("three\n")
        shown_until(again, "two three")
    assert "one" in sb.executions.attach(saved).wait(timeout=60).stdout


def test_silence_and_refusals(sb: Sandbox) -> None:
    with sb.terminal(command="sleep 1000") as terminal:
        with pytest.raises(RequestTimeoutError):
            terminal.read(timeout=0.1)
        with pytest.raises(TimeoutError):
            terminal.read(timeout=0.1)
    with pytest.raises(ConnectionFailedError):
        terminal.write("x")
    sb.kill()
    with pytest.raises(NotFoundError) as caught:
        sb.terminal()
    assert caught.value.request_id


def test_asynchronously(server: tuple[str, str], sb: Sandbox) -> None:
    async def main() -> None:
        async with AsyncClient(*server) as client:
            there = await AsyncSandbox.connect(sb.id, client=client)
            async with await there.terminal(command="read x; echo got $x; exit 2") as terminal:
                with pytest.raises(RequestTimeoutError):
                    await terminal.read(timeout=0.1)
                await terminal.resize(30, 90)
                await terminal.write("it\n")
                assert b"got it" in b"".join([data async for data in terminal])
                assert terminal.exit_code == 2

    asyncio.run(main())
