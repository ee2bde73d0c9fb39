"""Runs operations against answers that a test wrote down: no network, no waiting."""

from __future__ import annotations

import json
from typing import Any, Iterable

from secureagent import RetryPolicy
from secureagent._core.config import Config
from secureagent._core.effects import (
    Call,
    Close,
    Emit,
    Open,
    Operation,
    Read,
    Reply,
    Request,
    Sleep,
    TransportError,
)  # fmt: skip
from secureagent._core.wire import Wire

CUT = TransportError("cut", sent=True)
REFUSED = TransportError("refused", sent=False)


class Answer:
    """A head, and pieces of a body that may end in a failure."""

    def __init__(
        self, status: int = 200, pieces: Iterable[bytes | TransportError] = (), **headers: str
    ) -> None:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.reply = Reply(status, names, handle=self)
        self.pieces = list(pieces)

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Answer:
        return cls(status, [json.dumps(value).encode()], **headers)

    @classmethod
    def lines(cls, *items: Any, cut: bool = False) -> Answer:
        body = b"".join(json.dumps(item).encode() + b"\n" for item in items)
        return cls(200, [body, CUT] if cut else [body])


class Script:
    """Answers one request after the other; keeps what was asked."""

    def __init__(self, *answers: Answer | TransportError) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.slept: list[float] = []
        self.emitted: list[Any] = []

    def run(self, operation: Operation[Any]) -> Any:
        reply: Any = None
        failure: TransportError | None = None
        while True:
            try:
                effect = operation.throw(failure) if failure else operation.send(reply)
            except StopIteration as stop:
                return stop.value
            reply = failure = None
            try:
                reply = self._perform(effect)
            except TransportError as error:
                failure = error

    def _perform(self, effect: Any) -> Any:
        if isinstance(effect, Emit):
            self.emitted.append(effect.value)
            return None
        if isinstance(effect, Sleep):
            self.slept.append(effect.seconds)
            return None
        if isinstance(effect, Close):
            return None
        if isinstance(effect, Read):
            if not effect.handle.pieces:
                return None
            piece = effect.handle.pieces.pop(0)
            if isinstance(piece, TransportError):
                raise piece
            return piece
        assert isinstance(effect, (Call, Open))
        self.requests.append(effect.request)
        assert self.answers, f"one request too many: {effect.request}"
        answer = self.answers.pop(0)
        if isinstance(answer, TransportError):
            raise answer
        if isinstance(effect, Open):
            return answer.reply
        body = b"".join(piece for piece in answer.pieces if isinstance(piece, bytes))
        return Reply(answer.reply.status, answer.reply.headers, body)


def wire(**more: Any) -> Wire:
    """For a server that is not there."""
    config = Config("http://127.0.0.1:1", "sa_key", retry=RetryPolicy(**more))
    return Wire(config, new_key=lambda: "key-1")
