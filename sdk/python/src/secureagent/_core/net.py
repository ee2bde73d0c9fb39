"""What both transports share: options of sockets, and what the failures of httpx mean."""

from __future__ import annotations

import socket
import ssl
from typing import Any, Callable, Iterator

import httpx
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from ..errors import SecureAgentError
from .answers import error_of
from .config import Config
from .effects import Body, Reply, Request, TransportError
from .terminal import MESSAGE_MAX, PROTOCOL

CHUNK = 64 << 10

# The request cannot have reached the server.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


def _keepalive() -> list[tuple[int, int, int]]:
    """A peer that has vanished is noticed within a minute, however long a program is silent."""
    options = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    ]
    for name, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


# A stream holds a connection; more than these at once is no client of ours.
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=20, keepalive_expiry=15)


def tls(config: Config) -> ssl.SSLContext | bool:
    """How the server's certificate is checked."""
    # Loading the system's certificates takes time, and plain HTTP needs none: no redirect is
    # followed.
    if not config.url.startswith("https:"):
        return False
    return ssl.create_default_context(cafile=config.ca_file) if config.ca_file else True


def client_options(config: Config, transport: Callable[..., Any]) -> dict[str, Any]:
    """For httpx.Client with httpx.HTTPTransport, and for their asynchronous siblings."""
    options = {
        "base_url": config.url,
        # The bytes of a file are those of the file: nothing is to be compressed on the way.
        "headers": {**config.headers, "Accept-Encoding": "identity"},
        "follow_redirects": False,
    }
    how = {"verify": tls(config), "limits": _LIMITS}
    if config.is_direct:
        return {**options, "transport": transport(**how, socket_options=_keepalive())}
    return {**options, **how}  # httpx finds the proxy, if it makes the transports itself


def request_options(request: Request) -> dict[str, Any]:
    """For `build_request`, but for the body."""
    connect = 10.0 if request.timeout is None else min(10.0, request.timeout)
    return {
        "method": request.method,
        "url": request.path,
        "params": request.query or None,
        "headers": dict(request.headers),
        "timeout": httpx.Timeout(request.timeout, connect=connect, write=60.0, pool=10.0),
    }


def pieces(body: Body) -> bytes | Iterator[bytes] | None:
    """A body in pieces, unless it is in memory."""
    if body is None or isinstance(body, bytes):
        return body
    return _pieces(body)


def _pieces(body: Any) -> Iterator[bytes]:
    if not hasattr(body, "read"):
        yield from (bytes(data) for data in body if data)
        return
    while data := body.read(CHUNK):
        yield data


def head(response: httpx.Response, body: bytes, handle: Any) -> Reply:
    """The answer as operations see it."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, body, handle)


def failure(error: httpx.HTTPError) -> TransportError:
    """What a failure of httpx means."""
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        text = f"no answer in time ({type(error).__name__})"
    return TransportError(
        text,
        sent=not isinstance(error, _UNSENT),
        timed_out=isinstance(error, (httpx.ReadTimeout, httpx.WriteTimeout)),
    )


def websocket_options(config: Config) -> dict[str, Any]:
    """For `connect` of websockets, blocking or not."""
    options: dict[str, Any] = {
        "additional_headers": {"Authorization": config.headers["Authorization"]},
        "user_agent_header": config.headers["User-Agent"],
        "subprotocols": [Subprotocol(PROTOCOL)],
        "compression": None,
        "max_size": MESSAGE_MAX * 4,
        "open_timeout": config.timeout,
        "close_timeout": 5,
    }
    if config.is_direct:
        options["proxy"] = None
    if config.url.startswith("https:") and config.ca_file:
        options["ssl"] = tls(config)
    return options


def refused(error: InvalidStatus) -> SecureAgentError:
    """Why the server did not open a WebSocket."""
    response = error.response
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    return error_of(Reply(response.status_code, headers, bytes(response.body or b"")))
