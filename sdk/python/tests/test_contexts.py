"""Code that keeps its state, against a real server."""

from __future__ import annotations

import asyncio
import threading

import pytest

from secureagent import AsyncClient, AsyncSandbox, Client, CommandError, NotFoundError, Sandbox


def test_variables_stay(sb: Sandbox) -> None:
    assert sb.run_code("x = 41").ok
    execution = sb.run_code("print('hi'); x + 1")
    assert (execution.text, execution.stdout) == ("42", "hi\n")
    assert [context.language for context in sb.contexts.list()] == ["python"]


def test_each_language_has_its_own(sb: Sandbox) -> None:
    sb.run_code("x = 'python'")
    sb.run_code("globalThis.x = 'node'", "node")
    sb.run_code("x=bash", "bash")
    assert sb.run_code("x").text == "'python'"
    assert sb.run_code("x", "node").text == "'node'"
    assert sb.run_code("echo $x", "bash").stdout == "bash\n"
    assert len(sb.contexts.list()) == 3


def test_whoever_connects_finds_the_state(client: Client, sb: Sandbox) -> None:
    sb.run_code("x = 5")
    assert Sandbox.connect(sb.id, client=client).run_code("x").text == "5"


def test_isolated_code_sees_nothing_of_it(sb: Sandbox) -> None:
    sb.run_code("x = 5")
    assert not sb.run_code("print(x)", isolated=True).ok


def test_contexts_of_ones_own(client: Client, sb: Sandbox) -> None:
    one = sb.contexts.create(cwd="/tmp", env={"A": "b"}, imports=["json"])
    assert (one.language, one.cwd) == ("python", "/tmp")
    found = sb.run_code(
        "import os; x = 1; os.getcwd(), os.environ['A'], json.dumps([1])", context=one
    )
    assert found.text == "('/tmp', 'b', '[1]')"
    assert not sb.run_code("x").ok
    assert sb.run_code("x", context=one.id).text == "1"
    assert sb.contexts.get(one).execution_count == 2
    assert len(sb.contexts.list()) == 2
    assert sb.contexts.delete(one) is True
    assert sb.contexts.delete(one) is False
    with pytest.raises(NotFoundError):
        sb.run_code("x", context=one)


def test_a_default_context_that_is_gone_is_made_anew(sb: Sandbox) -> None:
    sb.run_code("x = 1")
    (context,) = sb.contexts.list()
    Sandbox.connect(sb.id, client=sb._client).contexts.delete(context)
    execution = sb.run_code("x")
    assert execution.error is not None
    assert execution.error.name == "NameError"
    sb.kill()
    with pytest.raises(NotFoundError):
        sb.run_code("1")


def test_errors(sb: Sandbox) -> None:
    execution = sb.run_code("def f():\n    return 1 / 0\n\nf()")
    assert execution.error is not None
    assert execution.error.name == "ZeroDivisionError"
    assert "return 1 / 0" in execution.error.traceback
    assert not execution.ok
    with pytest.raises(CommandError, match="ZeroDivisionError: division by zero"):
        sb.run_code("1 / 0", check=True)
    assert sb.run_code("'still here'").ok


def test_rich_results(sb: Sandbox) -> None:
    execution = sb.run_code("""
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.show()
class Rich:
    def _repr_html_(self): return "<b>rich</b>"
Rich()
""", timeout=120)  # fmt: skip
    assert execution.error is None
    assert any((r.png or b"").startswith(b"\x89PNG") for r in execution.results)
    assert execution.result is not None
    assert execution.result.html == "<b>rich</b>"
    assert "<img src=" in execution._repr_html_()


def test_streams_have_results_and_errors_in_order(sb: Sandbox) -> None:
    code = "print('a'); display(1) if 'display' in dir() else None; print('b'); 2"
    seen: list[str] = []
    execution = sb.run_code(
        code,
        on_stdout=seen.append,
        on_result=lambda result: seen.append(f"={result.text}"),
    )
    assert "".join(seen).replace("=1", "") == "a\nb\n=2"
    assert execution.text == "2"
    stream = sb.run_code("print('x'); 1 / 0", stream=True)
    types = [chunk.type for chunk in stream]
    assert types == ["stdout", "error"]
    assert stream.execution is not None
    assert stream.execution.error is not None


def test_code_that_asks(sb: Sandbox) -> None:
    assert sb.run_code("input('? ')", stdin="typed\n").text == "'typed'"
    stream = sb.run_code("name = input('who? '); name", stdin=True, stream=True)
    for chunk in stream:
        if chunk.type == "input":
            assert chunk.prompt == "who? "
            stream.send_stdin("me\n")
    assert stream.execution is not None
    assert stream.execution.text == "'me'"


def test_interrupting_and_restarting(sb: Sandbox) -> None:
    sb.run_code("x = 1")
    (context,) = sb.contexts.list()
    stream = sb.run_code("print('on', flush=True)\nwhile True: pass", stream=True)
    assert next(stream).data == "on\n"
    sb.contexts.interrupt(context)
    error = stream.wait().error
    assert error is not None
    assert error.name == "KeyboardInterrupt"
    assert sb.run_code("x").text == "1"
    sb.contexts.restart(context)
    assert not sb.run_code("x").ok


def test_threads_share_one_default_context(sb: Sandbox) -> None:
    threads = [threading.Thread(target=sb.run_code, args=(f"x{n} = {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sb.run_code("[x0, x7]").text == "[0, 7]"
    assert len(sb.contexts.list()) == 1


def test_tasks_share_one_default_context(server: tuple[str, str]) -> None:
    async def main() -> None:
        async with AsyncClient(*server) as client:
            sb = await AsyncSandbox.create(client=client)
            async with sb:
                await asyncio.gather(*(sb.run_code(f"x{n} = {n}") for n in range(8)))
                assert (await sb.run_code("[x0, x7]")).text == "[0, 7]"
                (context,) = await sb.contexts.list()
                other = await sb.contexts.create("bash")
                stream = await sb.run_code("echo a; echo b", context=other, stream=True)
                assert "".join([chunk.data async for chunk in stream]) == "a\nb\n"
                await sb.contexts.restart(context)
                assert not (await sb.run_code("x0")).ok
                assert await sb.contexts.delete(other)

    asyncio.run(main())
