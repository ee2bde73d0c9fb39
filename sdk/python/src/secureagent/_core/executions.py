"""Operations that run code and commands, and follow what they put out."""

from __future__ import annotations

import base64
import math
import time
from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping, Sequence, Union

from ..errors import CommandError, ExecutionTimeoutError, RequestTimeoutError
from ..models import ExecutionInfo, Limits, members_of
from ..results import Execution
from .answers import decode
from .effects import Emit, Operation, Request, Sleep, TransportError, read
from .output import Collector, LineDecoder, OutputTracker, execution_of
from .retry import begin, failed, send
from .wire import Wire, sandbox_path, without_none

NDJSON = {"Accept": "application/x-ndjson"}
DEFAULT_TIMEOUT = 60.0  # of the server, in seconds
GRACE = 30.0  # for queueing, starting and answering

Command = Union[str, Sequence[str]]


@dataclass(frozen=True)
class Job:
    """What to run, and how; in the words of the public methods."""

    code: str | None = None
    language: str | None = None
    command: Command | None = None
    context: str | None = None
    env: Mapping[str, str] | None = None
    cwd: str | None = None
    stdin: str | bool | None = None
    timeout: float | None = None
    limits: Limits | None = None
    tty: tuple[int, int] | None = None

    def within(self, context: str) -> Job:
        """The same in a context, which knows its language."""
        return replace(self, context=context, language=None)

    def stateless(self, language: str) -> Job:
        """The same in a process of its own."""
        return replace(self, context=None, language=language)

    def body(self, *, background: bool = False) -> dict[str, Any]:
        command = self.command
        return without_none(
            {
                "code": self.code,
                "language": self.language,
                "command": command if command is None or isinstance(command, str) else [*command],
                "context": self.context,
                "env": dict(self.env) if self.env else None,
                "cwd": self.cwd,
                # False is "no input", which is also what saying nothing means.
                "stdin": self.stdin if self.stdin is not False else None,
                "timeoutMs": None if self.timeout is None else math.ceil(self.timeout * 1000),
                "limits": members_of("limits", self.limits, Limits),
                "tty": {"rows": self.tty[0], "cols": self.tty[1]} if self.tty else None,
                "background": True if background else None,
            }
        )


def _execute(wire: Wire, sandbox: str, job: Job, **more: Any) -> Request:
    background = bool(more.pop("background", False))
    return wire.request(
        "POST",
        sandbox_path(sandbox, "execute"),
        json_body=job.body(background=background),
        once=True,
        **more,
    )


def run(wire: Wire, sandbox: str, job: Job) -> Operation[Execution]:
    """Run and wait. After a break the same idempotency key leads to the same execution."""
    seconds = (job.timeout or DEFAULT_TIMEOUT) + GRACE
    reply = yield from send(_execute(wire, sandbox, job, timeout=seconds), wire.config.retry)
    return execution_of(decode(reply, "execution"))


def start(wire: Wire, sandbox: str, job: Job) -> Operation[ExecutionInfo]:
    """Run in the background."""
    reply = yield from send(_execute(wire, sandbox, job, background=True), wire.config.retry)
    return ExecutionInfo._of(decode(reply, "execution"))


@dataclass(frozen=True)
class Started:
    """The first thing that a followed execution emits."""

    id: str
    pid: int | None


def stream(wire: Wire, sandbox: str, job: Job) -> Operation[Execution]:
    """Run and emit `Started`, then every `Chunk` as it comes."""
    first = _execute(wire, sandbox, job, headers=NDJSON, timeout=None)
    return (yield from _follow(wire, sandbox, OutputTracker(), first))


def follow(
    wire: Wire, sandbox: str, execution: str, offset: int, timeout: float | None = None
) -> Operation[Execution]:
    """As `stream`, for what runs already, or has ended; most `timeout` seconds long."""
    tracker = OutputTracker(offset)
    tracker.id = execution
    deadline = None if timeout is None else Deadline(timeout)
    return (yield from _follow(wire, sandbox, tracker, None, deadline))


class Deadline:
    """When to stop waiting."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._clock = seconds, clock
        self._at = clock() + seconds

    def left(self) -> float:
        return max(0.05, self._at - self._clock())

    def check(self, what: str) -> None:
        if self._clock() >= self._at:
            raise RequestTimeoutError(f"{what} still runs after {self.seconds:g} s")


def _resumed(
    wire: Wire, sandbox: str, tracker: OutputTracker, deadline: Deadline | None
) -> Request:
    return wire.request(
        "GET",
        sandbox_path(sandbox, "executions", tracker.id or "", "output"),
        query={"offset": tracker.offset, "follow": True},
        headers=NDJSON,
        timeout=deadline.left() if deadline else None,
    )


def _follow(
    wire: Wire,
    sandbox: str,
    tracker: OutputTracker,
    first: Request | None,
    deadline: Deadline | None = None,
) -> Operation[Execution]:
    collector, policy = Collector(), wire.config.retry
    tried, announced = 0, False
    while True:
        request = (
            first if first and tracker.id is None else _resumed(wire, sandbox, tracker, deadline)
        )
        before = (tracker.id, tracker.offset)
        try:
            reply = yield from begin(request, policy)
            decoder = LineDecoder()
            while True:
                if tracker.id is not None and not announced:
                    announced = True
                    yield Emit(Started(tracker.id, tracker.pid))
                data = yield from read(reply.handle)
                if data is None:
                    raise TransportError("the stream ended before the execution", sent=True)
                for item in decoder.feed(data):
                    chunks = tracker.accept(item)
                    if tracker.id is not None and not announced:
                        announced = True
                        yield Emit(Started(tracker.id, tracker.pid))
                    for chunk in chunks:
                        collector.add(chunk)
                        yield Emit(chunk)
                    if tracker.ended is not None:
                        return collector.finish(tracker.id or "", tracker.ended)
                if deadline is not None:
                    deadline.check(tracker.id or "")
        except TransportError as error:
            if deadline is not None:
                deadline.check(tracker.id or "")
            tried = 0 if before != (tracker.id, tracker.offset) else tried + 1
            if tried >= policy.attempts:
                raise failed(error) from error
            yield Sleep(policy.backoff(max(1, tried)))


def checked(execution: Execution) -> Execution:
    """The execution if it succeeded; else the error that `check=True` asks for."""
    if execution.ok:
        return execution
    raise (ExecutionTimeoutError if execution.status == "timeout" else CommandError)(execution)


# ---- what runs already ----


def get(wire: Wire, sandbox: str, execution: str) -> Operation[ExecutionInfo]:
    path = sandbox_path(sandbox, "executions", execution)
    return ExecutionInfo._of((yield from wire.ask("execution", "GET", path)))


def list_all(wire: Wire, sandbox: str, status: str | None) -> Operation[list[ExecutionInfo]]:
    path = sandbox_path(sandbox, "executions")
    found = yield from wire.pages("executions", path, {"status": status})
    return [ExecutionInfo._of(one) for one in found]


def _control(wire: Wire, sandbox: str, execution: str, verb: str, **more: Any) -> Operation[None]:
    yield from wire.tell("POST", sandbox_path(sandbox, "executions", execution, verb), **more)


def cancel(wire: Wire, sandbox: str, execution: str) -> Operation[None]:
    yield from _control(wire, sandbox, execution, "cancel", safe=True)


def signal(wire: Wire, sandbox: str, execution: str, name: str) -> Operation[None]:
    yield from _control(wire, sandbox, execution, "signal", json_body={"signal": name})


def stdin(
    wire: Wire, sandbox: str, execution: str, data: str | bytes, *, eof: bool
) -> Operation[None]:
    """Input is sent once: after a break nobody knows how much of it arrived."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    body: dict[str, Any] = {}
    if data:
        body = {"data": base64.b64encode(data).decode("ascii"), "encoding": "base64"}
    if eof:
        body["eof"] = True
    if body:
        yield from _control(wire, sandbox, execution, "stdin", json_body=body)


def resize(wire: Wire, sandbox: str, execution: str, rows: int, cols: int) -> Operation[None]:
    body = {"rows": rows, "cols": cols}
    yield from _control(wire, sandbox, execution, "resize", json_body=body, safe=True)
