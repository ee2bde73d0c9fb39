"""What an operation can ask of its driver, and what may come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, BinaryIO, Generator, Iterable, Mapping, TypeVar, Union

T = TypeVar("T")

Body = Union[bytes, BinaryIO, Iterable[bytes], None]


@dataclass(frozen=True)
class Request:
    """One HTTP request, without the server's address and key.

    Attributes:
        path: Percent-encoded, with a leading slash.
        body_start: Where in a body that is a file the contents begin.
        timeout: Most seconds without a byte from the server; None waits for ever.
        safe: Sending it twice does no more than sending it once.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = None
    body_start: int = 0
    timeout: float | None = 30.0
    safe: bool = False


@dataclass(frozen=True)
class Reply:
    """The answer to a request; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    handle: Any = None


# ---- effects: yielded by operations ----


@dataclass(frozen=True)
class Call:
    """Send a request and read the whole answer. Comes back as a `Reply`."""

    request: Request


@dataclass(frozen=True)
class Open:
    """Send a request and read the head of the answer. Comes back as a `Reply` with a handle.

    The driver closes what is still open when the operation ends.
    """

    request: Request


@dataclass(frozen=True)
class Read:
    """Read on. Comes back as bytes, or None at the end."""

    handle: Any


@dataclass(frozen=True)
class Close:
    """Read no more."""

    handle: Any


@dataclass(frozen=True)
class Sleep:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class Emit:
    """Hand a value to whoever iterates over the operation."""

    value: Any


Effect = Union[Call, Open, Read, Close, Sleep, Emit]
Operation = Generator[Effect, Any, T]


# ---- failures: thrown into operations ----


class TransportError(Exception):
    """The connection failed.

    Attributes:
        sent: The server may have got the request.
        timed_out: There was silence for too long.
    """

    def __init__(self, message: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.timed_out = timed_out


# ---- effects with types, for `yield from` ----


def call(request: Request) -> Operation[Reply]:
    """Send a request once."""
    reply: Reply = yield Call(request)
    return reply


def open_stream(request: Request) -> Operation[Reply]:
    """Send a request once and leave the body to `read`."""
    reply: Reply = yield Open(request)
    return reply


def read(handle: Any) -> Operation[bytes | None]:
    """Read the next piece of a body."""
    data: bytes | None = yield Read(handle)
    return data
