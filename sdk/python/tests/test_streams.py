"""Streams and what runs in the background, against a real server, over good and bad networks."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Iterator

import pytest
from proxy import FlakyProxy

from secureagent import (
    AsyncClient,
    AsyncSandbox,
    Client,
    CommandError,
    ConflictError,
    NotFoundError,
    RequestTimeoutError,
    RetryPolicy,
    Sandbox,
)  # fmt: skip

# 200 kB on stdout and stderr by turns, slowly enough for a connection to break in between.
TALK = r"""
import os, time
for n in range(400):
    os.write(1, b"out %06d \xc3\xa4\xe2\x82\xac" % n + b"." * 240 + b"\n")
    os.write(2, b"err %06d \xff" % n + b"!" * 240 + b"\n")
    if n % 40 == 0:
        time.sleep(0.02)
"""
STDOUT = b"".join(b"out %06d \xc3\xa4\xe2\x82\xac" % n + b"." * 240 + b"\n" for n in range(400))
STDERR = b"".join(b"err %06d \xff" % n + b"!" * 240 + b"\n" for n in range(400))
PATIENT = RetryPolicy(attempts=40, first=0.01, longest=0.05)


@pytest.fixture
def flaky(server: tuple[str, str]) -> Iterator[Callable[[int], FlakyProxy]]:
    made: list[FlakyProxy] = []

    def start(seed: int, most: int = 40_000) -> FlakyProxy:
        made.append(FlakyProxy(server[0], seed=seed, most=most))
        return made[-1]

    yield start
    for one in made:
        one.close()


# ---- a good network ----


def test_a_stream(sb: Sandbox) -> None:
    stream = sb.run_command("echo a; echo b >&2; exit 2", stream=True)
    chunks = list(stream)
    assert {(c.type, c.data) for c in chunks} == {("stdout", "a\n"), ("stderr", "b\n")}
    assert stream.execution is not None
    assert stream.execution.exit_code == 2
    assert stream.execution.stdout == "a\n"
    assert stream.offset == 4
    assert list(stream) == []


def test_output_comes_as_it_is_made(sb: Sandbox) -> None:
    stream = sb.run_command("echo ready; read line; echo got $line", stdin=True, stream=True)
    assert next(stream).data == "ready\n"
    stream.send_stdin("it\n")
    assert next(stream).data == "got it\n"
    assert stream.wait().ok


def test_callbacks(sb: Sandbox) -> None:
    seen: list[tuple[str, str]] = []
    execution = sb.run_command(
        "echo a; echo b >&2",
        on_stdout=lambda text: seen.append(("out", text)),
        on_stderr=lambda text: seen.append(("err", text)),
    )
    assert set(seen) == {("out", "a\n"), ("err", "b\n")}
    assert execution.stdout == "a\n"
    with pytest.raises(CommandError):
        sb.run_command("exit 1", check=True, on_stdout=print)


def test_checked_streams(sb: Sandbox) -> None:
    with pytest.raises(CommandError):
        list(sb.run_command("exit 1", check=True, stream=True))


def test_a_stream_that_is_left_goes_on(sb: Sandbox) -> None:
    with sb.run_command("echo a; read x; echo $x > done", stdin=True, stream=True) as stream:
        assert next(stream).data == "a\n"
    process = sb.executions.attach(stream.id)
    assert process.info().running
    process.send_stdin("late\n", eof=True)
    assert process.wait(timeout=60).ok
    assert sb.files.read("done") == "late\n"


def test_what_is_refused_is_refused_at_once(sb: Sandbox) -> None:
    sb.kill()
    with pytest.raises(NotFoundError):
        sb.run_command("true", stream=True)


# ---- in the background ----


def test_background(sb: Sandbox) -> None:
    process = sb.run_command("echo a; sleep 1000", background=True, timeout=2000)
    assert process.info().running
    assert process.id in [one.id for one in sb.executions.list(status="running")]
    assert next(process.stream()).data == "a\n"
    with pytest.raises(RequestTimeoutError):
        process.wait(timeout=0.2)
    process.cancel()
    execution = process.wait(timeout=60)
    assert (execution.status, execution.stdout) == ("canceled", "a\n")
    process.cancel()
    assert not sb.executions.get(process.id).running
    with pytest.raises(NotFoundError):
        sb.executions.attach("ex-" + "a" * 20)


def test_signals(sb: Sandbox) -> None:
    trap = "trap 'echo caught; exit 7' USR1; echo on; while :; do sleep 0.05; done"
    process = sb.run_command(trap, background=True)
    stream = process.stream()
    assert next(stream).data == "on\n"
    process.signal("SIGUSR1")
    assert stream.wait().exit_code == 7
    with pytest.raises(ConflictError):
        process.signal("SIGUSR1")


def test_input(sb: Sandbox) -> None:
    process = sb.run_command("wc -c", stdin=True, background=True)
    process.send_stdin(b"\xff" * 100_000)
    process.send_stdin("ä")
    process.close_stdin()
    assert process.wait(timeout=60).stdout == "100002\n"
    with pytest.raises(ConflictError):
        process.send_stdin("more")


def test_reading_again_from_any_offset(sb: Sandbox) -> None:
    process = sb.run_command("echo 0123456789", background=True)
    assert process.wait(timeout=60).stdout == "0123456789\n"
    for offset in (0, 4, 11):
        assert process.stream(offset).wait().stdout == "0123456789\n"[offset:]


def test_a_terminal_without_a_socket(sb: Sandbox) -> None:
    process = sb.run_command("stty size; read x; stty size", tty=(30, 90), background=True)
    stream = process.stream()
    assert next(stream).data.strip() == "30 90"
    process.resize(40, 100)
    process.send_stdin("\n")
    assert "40 100" in stream.wait().stdout


# ---- a bad network ----


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_or_doubled(
    server: tuple[str, str], flaky: Callable[..., FlakyProxy], sb: Sandbox, seed: int
) -> None:
    """However often the connection breaks, both outputs are exact, and it ran once."""
    sb.files.write("talk.py", TALK)
    proxy = flaky(seed)
    with Client(proxy.url, server[1], retry=PATIENT) as client:
        there = Sandbox.connect(sb.id, client=client)
        stream = there.run_command("echo x >> runs; exec python3 talk.py", stream=True)
        chunks = list(stream)
    assert proxy.cuts > 3
    outputs = {
        kind: b"".join(c.raw for c in chunks if c.type == kind) for kind in ("stdout", "stderr")
    }
    assert outputs == {"stdout": STDOUT, "stderr": STDERR}
    assert "".join(c.data for c in chunks if c.type == "stdout") == STDOUT.decode()
    assert stream.execution is not None
    assert stream.execution.stdout_bytes == STDOUT
    assert stream.execution.ok
    assert sb.files.read("runs") == "x\n"


@pytest.mark.parametrize("seed", range(4))
def test_whole_answers_over_a_bad_network(
    server: tuple[str, str], flaky: Callable[..., FlakyProxy], sb: Sandbox, seed: int
) -> None:
    """Answers that are cut are asked for again: each command ran once all the same."""
    proxy = flaky(seed, most=4000)
    with Client(proxy.url, server[1], retry=PATIENT) as client:
        there = Sandbox.connect(sb.id, client=client)
        for n in range(40):
            assert there.run_command(f"echo {n} >> runs; echo {n}").stdout == f"{n}\n"
    assert proxy.cuts > 3
    assert sb.files.read("runs") == "".join(f"{n}\n" for n in range(40))


def test_files_over_a_bad_network(
    server: tuple[str, str], flaky: Callable[..., FlakyProxy], sb: Sandbox
) -> None:
    data = bytes(n % 251 for n in range(400_000))
    proxy = flaky(1, most=600_000)
    with Client(proxy.url, server[1], retry=PATIENT) as client:
        there = Sandbox.connect(sb.id, client=client)
        there.files.write("f", data)
        for _ in range(5):
            assert there.files.read("f", "bytes") == data
    assert proxy.cuts > 3


def test_sandboxes_are_made_once_over_a_bad_network(
    server: tuple[str, str], flaky: Callable[..., FlakyProxy], client: Client
) -> None:
    proxy = flaky(3, most=1500)
    with Client(proxy.url, server[1], retry=PATIENT) as bad:
        made = [Sandbox.create(client=bad, labels={"net": "bad"}, timeout=120) for _ in range(8)]
    assert proxy.cuts > 3
    found = [info.id for info in Sandbox.list(labels={"net": "bad"}, client=client)]
    assert sorted(found) == sorted(sb.id for sb in made)
    for sb in made:
        assert Sandbox.connect(sb.id, client=client).kill()


def test_nothing_is_lost_or_doubled_asynchronously(
    server: tuple[str, str], flaky: Callable[..., FlakyProxy], sb: Sandbox
) -> None:
    sb.files.write("talk.py", TALK)
    proxy = flaky(7)
    seen: list[str] = []

    async def note(text: str) -> None:
        await asyncio.sleep(0)
        seen.append(text)

    async def main() -> Any:
        async with AsyncClient(proxy.url, server[1], retry=PATIENT) as client:
            there = await AsyncSandbox.connect(sb.id, client=client)
            return await there.run_command("exec python3 talk.py", on_stdout=note)

    execution = asyncio.run(main())
    assert proxy.cuts > 3
    assert "".join(seen) == STDOUT.decode()
    assert (execution.stdout_bytes, execution.stderr_bytes) == (STDOUT, STDERR)


def test_asynchronous_handles(server: tuple[str, str], sb: Sandbox) -> None:
    async def main() -> None:
        async with AsyncClient(*server) as client:
            there = await AsyncSandbox.connect(sb.id, client=client)
            process = await there.run_command("cat", stdin=True, background=True)
            await process.send_stdin("hello\n")
            stream = await process.stream()
            assert (await stream.__anext__()).data == "hello\n"
            with pytest.raises(RequestTimeoutError):
                await process.wait(timeout=0.2)
            await process.close_stdin()
            assert (await process.wait(timeout=60)).ok
            assert [one.id for one in await there.executions.list()] == [process.id]

    asyncio.run(main())
