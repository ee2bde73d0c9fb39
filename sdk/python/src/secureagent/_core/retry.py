"""When a request is sent again, and after how long."""

from __future__ import annotations

import email.utils
import random
import time
from dataclasses import dataclass
from typing import Callable, Mapping

from ..errors import ConnectionFailedError, RequestTimeoutError, SecureAgentError
from .answers import raise_for_status
from .effects import Operation, Reply, Request, Sleep, TransportError, call, open_stream, read

# What a proxy or a server that is busy says. The request was refused, not begun, with the first.
REFUSED = frozenset({429})
UNSURE = frozenset({502, 503, 504})


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and how patiently, a failed request is sent again.

    Only what does no harm twice is: reads, what names its result, and what carries an idempotency
    key. Between tries it waits a random time up to `first * 2**n` seconds, or as long as the server
    says in `Retry-After`.

    A server whose API process is started anew keeps the socket that clients connect to. A request
    that was cut is tried again and waits there, up to the client's timeout. A create whose sandbox
    must be warm (`warm="require"`) is tried anew each time, about a second apart: `attempts` says
    for how long. An execution that was cut is never started twice: `ConflictError` says so.

    Attributes:
        attempts: Most tries of one request; 1 never tries again.
        first: Longest wait before the second try, in seconds.
        longest: Longest wait before any try, in seconds. If the server asks for more, the error is
            raised at once.

    Example:
        >>> client = Client(retry=RetryPolicy(attempts=6))
    """

    attempts: int = 5
    first: float = 0.1
    longest: float = 10.0

    def backoff(self, tried: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds to wait after `tried` tries, 1 or more: "full jitter"."""
        most: float = min(self.longest, self.first * 2.0 ** (tried - 1))
        return most * chance()


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """The seconds that `Retry-After` asks for; None when it says nothing that is understood."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return max(0.0, when.timestamp() - now())


def _wait_after_reply(
    request: Request, reply: Reply, tried: int, policy: RetryPolicy
) -> float | None:
    """Seconds until the next try; None: this answer stands."""
    if tried >= policy.attempts:
        return None
    if reply.status not in REFUSED and not (reply.status in UNSURE and request.safe):
        return None
    asked = retry_after(reply.headers)
    if asked is None:
        return policy.backoff(tried)
    # A little later than asked, so that those who were refused together do not return together.
    return asked + policy.backoff(1) if asked <= policy.longest else None


def failed(error: TransportError) -> SecureAgentError:
    """What the caller sees of a connection that failed for good."""
    kind = RequestTimeoutError if error.timed_out else ConnectionFailedError
    return kind(str(error))


def may_repeat(request: Request, error: TransportError) -> bool:
    """Is it harmless to send this again after that failure?"""
    return request.safe or not error.sent


def _again(request: Request, policy: RetryPolicy, *, whole: bool) -> Operation[Reply]:
    tried = 0
    while True:
        tried += 1
        wait: float | None
        try:
            reply = yield from (call(request) if whole else open_stream(request))
        except TransportError as error:
            if tried >= policy.attempts or not may_repeat(request, error):
                raise failed(error) from error
            wait = policy.backoff(tried)
        else:
            wait = _wait_after_reply(request, reply, tried, policy)
            if wait is None:
                return reply
        rewind(request)
        yield Sleep(wait)


def rewind(request: Request) -> None:
    """Set a body that is a file back to where it began."""
    seek = getattr(request.body, "seek", None)
    if seek is not None:
        seek(request.body_start)


def send(request: Request, policy: RetryPolicy) -> Operation[Reply]:
    """Send a request, again if need be; an answer that is an error is raised."""
    reply = yield from _again(request, policy, whole=True)
    raise_for_status(reply)
    return reply


def begin(request: Request, policy: RetryPolicy) -> Operation[Reply]:
    """As `send`, but the body of the answer is left to be read."""
    reply = yield from _again(request, policy, whole=False)
    if reply.status < 400:
        return reply
    body = b""
    try:
        while len(body) < 65536:
            piece = yield from read(reply.handle)
            if piece is None:
                break
            body += piece
    except TransportError:
        pass  # the status says enough
    raise_for_status(Reply(reply.status, reply.headers, body))
    return reply
