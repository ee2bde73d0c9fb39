"""The messages of a terminal's WebSocket."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any, Mapping, Sequence

from ..errors import ProtocolError, RequestTimeoutError, SecureAgentError
from .answers import Fields
from .config import Config
from .wire import _pairs, sandbox_path

PROTOCOL = "secureagent.v1"
MESSAGE_MAX = 1 << 20
INPUT_MAX = 64 << 10  # a message of input; longer input is cut into several


def address(
    config: Config,
    sandbox: str,
    *,
    rows: int,
    cols: int,
    command: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    timeout: float | None = None,
    attach: str | None = None,
    offset: int = 0,
) -> str:
    """The URL of a new terminal, or of one that is there."""
    query: dict[str, str | int | None] = {"rows": rows, "cols": cols, "command": command}
    query.update(cwd=cwd, timeoutMs=None if timeout is None else max(1, round(timeout * 1000)))
    if attach is not None:
        query.update(execution=attach, offset=offset)
    pairs = [*_pairs(query), *(("env", f"{name}={value}") for name, value in (env or {}).items())]
    scheme, _, rest = config.url.partition("://")
    path = sandbox_path(sandbox, "terminal") + "?" + urllib.parse.urlencode(pairs)
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}{path}"


def resize(rows: int, cols: int) -> str:
    """The message that changes the size."""
    return json.dumps({"type": "resize", "rows": rows, "cols": cols})


def pieces(data: str | bytes) -> Sequence[bytes]:
    """Input, cut to messages."""
    whole = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
    return [whole[at : at + INPUT_MAX] for at in range(0, len(whole), INPUT_MAX)]


def silent(timeout: float | None) -> RequestTimeoutError:
    """Nothing was shown."""
    return RequestTimeoutError(f"the terminal showed nothing for {timeout or 0:g} s")


class Session:
    """What is known of a terminal.

    Attributes:
        id: The execution behind it, once it is known.
        offset: Where what is shown goes on.
        ended: What the server said last, once the program has ended.
    """

    def __init__(self, attach: str | None, offset: int) -> None:
        self.id = attach
        self.offset = offset
        self.ended: Fields | None = None

    def accept(self, message: str | bytes) -> bytes:
        """The terminal's bytes in a message; none in those that tell about it."""
        if isinstance(message, bytes):
            self.offset += len(message)
            return message
        try:
            value: Any = json.loads(message)
        except ValueError:
            raise ProtocolError("a message of the terminal is not JSON") from None
        f = Fields(value, "terminal")
        kind = f.text("type")
        if kind == "started":
            self.id = f.opt_text("execution") or f.opt_text("id") or self.id
        elif kind == "overflow":
            self.offset += f.integer("droppedBytes")
        elif kind == "error":
            raise SecureAgentError(f.opt_text("message"), code=f.opt_text("code"))
        elif kind == "exited":
            self.ended = f
        return b""
