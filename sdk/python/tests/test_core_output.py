"""Streams of output: chunk boundaries, characters cut in two, and what is sent twice."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest
from script import CUT, Answer, Script, wire

from secureagent import Chunk, CommandError, ConnectionFailedError, ProtocolError
from secureagent._core import executions
from secureagent._core.executions import Job, Started
from secureagent._core.output import KEEP_MAX, Collector, LineDecoder, OutputTracker

ENDED = {"type": "exited", "status": "exited", "exitCode": 0, "durationMs": 5,
         "truncated": {"stdout": False, "stderr": False}, "usage": {"cpuMs": 3}}  # fmt: skip


def out(offset: int, data: str, kind: str = "stdout") -> dict[str, Any]:
    return {"type": kind, "offset": offset, "data": data}


def b64(offset: int, data: bytes, kind: str = "stdout") -> dict[str, Any]:
    text = base64.b64encode(data).decode()
    return {"type": kind, "offset": offset, "data": text, "encoding": "base64"}


# ---- lines ----


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_do_not_care_how_they_are_cut(size: int) -> None:
    items = [{"n": 1, "text": "ä€😀"}, {}, {"nested": {"a": "\n"}}]
    body = "\n".join(json.dumps(i, ensure_ascii=False) for i in items).encode() + b"\n\r\n"
    decoder, found = LineDecoder(), []
    for at in range(0, len(body), size):
        found += decoder.feed(body[at : at + size])
    assert found == items


@pytest.mark.parametrize("line", [b"{\n", b"[]\n", b"nonsense\n", b'"text"\n', b"\xff\n"])
def test_lines_that_are_no_objects(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(LineDecoder().feed(line))


# ---- offsets ----


def test_output_is_one_sequence() -> None:
    tracker = OutputTracker()
    items = [out(0, "ab"), out(2, "c", "stderr"),
             {"type": "result", "offset": 3, "data": {"text/plain": "1"}, "main": True},
             out(4, "d")]  # fmt: skip
    chunks = [chunk for item in items for chunk in tracker.accept(item)]
    assert [(c.type, c.data, c.offset) for c in chunks] == [
        ("stdout", "ab", 2), ("stderr", "c", 3), ("result", "", 4), ("stdout", "d", 5)]  # fmt: skip


def test_what_comes_twice_is_dropped() -> None:
    tracker = OutputTracker()
    assert tracker.accept(out(0, "hello"))[0].data == "hello"
    assert tracker.accept(out(0, "hello")) == []
    assert tracker.accept(out(3, "lo world"))[0].data == " world"
    result = {"type": "result", "offset": 11, "data": {}}
    waits = {"type": "input", "offset": 12, "prompt": "? "}
    assert len(tracker.accept(result)) == 1
    assert tracker.accept(waits)[0] == Chunk("input", prompt="? ", offset=13)
    assert tracker.accept(result) == tracker.accept(waits) == []


def test_what_is_missing_is_said() -> None:
    tracker = OutputTracker()
    lost, chunk = tracker.accept(out(10, "x"))
    assert (lost.type, lost.dropped, chunk.data, chunk.offset) == ("overflow", 10, "x", 11)
    assert tracker.accept({"type": "overflow", "droppedBytes": 5})[0].dropped == 5
    assert tracker.accept(out(16, "y")) == [Chunk("stdout", data="y", raw=b"y", offset=17)]


def test_characters_are_never_cut() -> None:
    """Whatever the pieces, the text is right, and the bytes are exact."""
    data = "aä€😀".encode()
    for cut in range(len(data) + 1):
        tracker = OutputTracker()
        chunks = tracker.accept(b64(0, data[:cut])) + tracker.accept(b64(cut, data[cut:]))
        chunks += tracker.accept(ENDED)
        assert "".join(c.data for c in chunks) == "aä€😀"
        assert b"".join(c.raw for c in chunks) == data


def test_a_character_that_is_never_completed() -> None:
    tracker = OutputTracker()
    chunks = tracker.accept(b64(0, b"a\xe2\x82")) + tracker.accept(ENDED)
    assert "".join(c.data for c in chunks) == "a\ufffd"


def test_unknown_items_are_passed_over() -> None:
    assert OutputTracker().accept({"type": "news", "offset": 7}) == []


@pytest.mark.parametrize("item", [{"type": "stdout", "offset": "0", "data": "x"}, {"type": 1}, {},
                                  {"type": "stdout", "data": "%", "encoding": "base64"},
                                  {"type": "stdout", "offset": 0, "data": ["x"]}])  # fmt: skip
def test_items_that_are_wrong(item: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        OutputTracker().accept(item)


def test_what_is_kept_is_bounded() -> None:
    collector, tracker = Collector(), OutputTracker()
    piece = "x" * (1 << 20)
    for n in range(6):
        for chunk in tracker.accept(out(n << 20, piece)):
            collector.add(chunk)
    tracker.accept(ENDED)
    assert tracker.ended is not None
    whole = collector.finish("ex-1", tracker.ended)
    assert len(whole.stdout_bytes) == KEEP_MAX
    assert whole.stdout_truncated
    assert not whole.stderr_truncated


# ---- resumption ----


def started() -> dict[str, Any]:
    return {"type": "started", "id": "ex-1", "pid": 7}


def test_a_stream_that_is_not_cut() -> None:
    script = Script(Answer.lines(started(), out(0, "hi"), ENDED))
    execution = script.run(executions.stream(wire(), "sb-1", Job(command="x")))
    assert script.emitted[0] == Started("ex-1", 7)
    assert (execution.id, execution.stdout, execution.exit_code) == ("ex-1", "hi", 0)
    assert execution.usage.cpu_seconds == 0.003
    (request,) = script.requests
    assert request.headers["Idempotency-Key"] == "key-1"
    assert request.headers["Accept"] == "application/x-ndjson"


def test_what_ends_at_once_has_started_all_the_same() -> None:
    for answer in (Answer.lines(started(), ENDED), Answer.lines(started(), out(0, "a"), ENDED)):
        script = Script(answer)
        script.run(executions.stream(wire(), "sb-1", Job(command="x")))
        assert script.emitted[0] == Started("ex-1", 7)


def test_cut_before_it_is_known() -> None:
    """The same request again, with the same key: the same execution."""
    script = Script(CUT, Answer.lines(cut=True), Answer.lines(started(), out(0, "hi"), ENDED))
    execution = script.run(executions.stream(wire(), "sb-1", Job(command="x")))
    assert execution.stdout == "hi"
    assert {r.headers["Idempotency-Key"] for r in script.requests} == {"key-1"}
    assert [r.method for r in script.requests] == ["POST"] * 3


def test_cut_in_the_middle_goes_on_at_the_offset() -> None:
    script = Script(
        Answer.lines(started(), out(0, "he"), cut=True),
        Answer.lines(started(), out(2, "llo"), cut=True),
        Answer.lines(started(), out(5, "!"), ENDED),
    )
    execution = script.run(executions.stream(wire(), "sb-1", Job(command="x")))
    assert execution.stdout == "hello!"
    assert [dict(r.query).get("offset") for r in script.requests] == [None, "2", "5"]
    assert script.requests[1].path == "/api/v1/sandboxes/sb-1/executions/ex-1/output"
    assert sum(isinstance(e, Started) for e in script.emitted) == 1


def test_an_end_without_the_last_item_is_a_cut() -> None:
    script = Script(Answer.lines(started(), out(0, "a")), Answer.lines(ENDED))
    assert script.run(executions.stream(wire(), "sb-1", Job(command="x"))).stdout == "a"


def test_progress_renews_patience() -> None:
    """However often it is cut: as long as something comes each time, it goes on."""
    answers = [Answer.lines(started(), out(0, "0"), cut=True)]
    answers += [Answer.lines(out(n, str(n % 10)), cut=True) for n in range(1, 50)]
    script = Script(*answers, Answer.lines(ENDED))
    execution = script.run(executions.stream(wire(attempts=2), "sb-1", Job(command="x")))
    assert execution.stdout == "0123456789" * 5


def test_patience_ends() -> None:
    script = Script(Answer.lines(started(), cut=True), *[CUT] * 3)
    with pytest.raises(ConnectionFailedError):
        script.run(executions.stream(wire(attempts=3), "sb-1", Job(command="x")))


@pytest.mark.parametrize("seed", range(30))
def test_any_cuts_anywhere(seed: int) -> None:
    """A server that resumes early, repeats and is cut anywhere, even within a line."""
    chance = random.Random(seed)
    data = bytes(chance.randrange(256) for _ in range(500))
    kinds = [chance.choice(["stdout", "stderr"]) for _ in data]

    def answer(offset: int) -> Answer:
        lines, at = [json.dumps(started())], max(0, offset - chance.randrange(20))
        while at < len(data):
            end = at + 1
            while (
                end < len(data) and kinds[end] == kinds[at] and end - at < chance.randrange(1, 30)
            ):
                end += 1
            lines.append(json.dumps(b64(at, data[at:end], kinds[at])))
            at = end
        body = ("\n".join([*lines, json.dumps(ENDED)]) + "\n").encode()
        last = chance.randrange(len(body) + len(body) // 10)
        pieces: list[Any] = []
        for begin in range(0, min(last, len(body)), 97):
            pieces.append(body[begin : min(begin + 97, last)])
        return Answer(200, [*pieces, CUT] if last < len(body) else pieces)

    class Server(Script):
        def _perform(self, effect: Any) -> Any:
            request = getattr(effect, "request", None)
            if request is not None:
                self.answers = [answer(int(dict(request.query).get("offset", 0)))]
            return super()._perform(effect)

    script = Server()
    execution = script.run(executions.stream(wire(attempts=50), "sb-1", Job(command="x")))
    for kind, found in (("stdout", execution.stdout_bytes), ("stderr", execution.stderr_bytes)):
        assert found == bytes(b for b, k in zip(data, kinds) if k == kind)
    chunks = [c for c in script.emitted if isinstance(c, Chunk)]
    assert b"".join(c.raw for c in chunks) == data


def test_following_from_an_offset() -> None:
    script = Script(Answer.lines(out(100, "tail"), ENDED))
    execution = script.run(executions.follow(wire(), "sb-1", "ex-9", 100))
    assert (execution.id, execution.stdout) == ("ex-9", "tail")
    assert dict(script.requests[0].query) == {"offset": "100", "follow": "true"}


# ---- whole answers ----


def test_whole_answers() -> None:
    said = {"id": "ex-1", "status": "exited", "exitCode": 0, "stdout": "a", "stderr": "", "results":
            [{"text/html": "<b>"}, {"text/plain": "7"}], "mainResult": 1, "durationMs": 1500,
            "truncated": {"stdout": True}, "usage": {"memoryPeakBytes": 9}}  # fmt: skip
    script = Script(Answer.json(said))
    execution = script.run(executions.run(wire(), "sb-1", Job(command=["a", "b"], timeout=1.5)))
    assert (execution.text, execution.duration, execution.stdout_truncated) == ("7", 1.5, True)
    assert json.loads(script.requests[0].body) == {"command": ["a", "b"], "timeoutMs": 1500}  # type: ignore[arg-type]
    assert executions.checked(execution) is execution


def test_failure_and_check() -> None:
    said = {"id": "ex-1", "status": "exited", "exitCode": 3, "stdout": "", "stderr": "bad\n"}
    execution = Script(Answer.json(said)).run(executions.run(wire(), "sb-1", Job(command="x")))
    with pytest.raises(CommandError, match="exit code 3\nbad") as caught:
        executions.checked(execution)
    assert caught.value.execution is execution
