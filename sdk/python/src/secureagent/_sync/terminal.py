"""A terminal in a sandbox."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from .._core import net
from .._core import terminal as protocol
from .._core.config import Config
from ..errors import ConnectionFailedError


class Terminal:
    r"""A program on a real terminal: what is written goes to it, what it shows is read.

    Made by `sandbox.terminal()`. Two threads may use it, one to read and one to write.

    Attributes:
        exit_code: Of the program, once it has ended; None before, or when a signal ended it.

    Example:
        >>> with sb.terminal() as terminal:
        ...     terminal.write("echo hi; exit\n")
        ...     for data in terminal:
        ...         print(data.decode(), end="")
    """

    def __init__(self, config: Config, url: str, attach: str | None, offset: int) -> None:
        self._session = protocol.Session(attach, offset)
        self._socket = _dial(config, url)
        self.exit_code: int | None = None

    @property
    def id(self) -> str:
        """The id of the execution behind it, to take it up again with `terminal(attach=id)`."""
        return self._session.id or ""

    @property
    def offset(self) -> int:
        """Where what it shows goes on, for `terminal(attach=id, offset=offset)`."""
        return self._session.offset

    @property
    def closed(self) -> bool:
        """Has the program ended?"""
        return self._session.ended is not None

    def write(self, data: str | bytes) -> None:
        r"""Type something. Enter is `\r` or `\n`, Ctrl-C is `\x03`.

        Raises:
            ConnectionFailedError: The terminal is gone.

        Example:
            >>> terminal.write("ls\n")
        """
        with failures():
            for piece in protocol.pieces(data):
                self._socket.send(piece)

    def read(self, timeout: float | None = None) -> bytes:
        """The next that is shown; empty when the program has ended.

        Args:
            timeout: Most seconds to wait; None: for ever.

        Raises:
            RequestTimeoutError: Nothing was shown in that time.
            ConnectionFailedError: The connection broke.

        Example:
            >>> terminal.read(timeout=5)
            b'$ '
        """
        while not self.closed:
            with failures():
                try:
                    message = self._socket.recv(timeout)
                except TimeoutError:
                    raise protocol.silent(timeout) from None
                except ConnectionClosed:
                    if self.closed:
                        break
                    raise
            data = self._session.accept(message)
            if data:
                return data
        self._finish()
        return b""

    def _finish(self) -> None:
        if self._session.ended is not None:
            self.exit_code = self._session.ended.opt_integer("exitCode")

    def resize(self, rows: int, cols: int) -> None:
        """Change its size; the program is told (SIGWINCH).

        Raises:
            ConnectionFailedError: The terminal is gone.

        Example:
            >>> terminal.resize(rows=50, cols=160)
        """
        with failures():
            self._socket.send(protocol.resize(rows, cols))

    def close(self) -> None:
        """Close the connection. The program runs on, until its timeout at the latest.

        Example:
            >>> terminal.close()
        """
        self._socket.close()

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read():
            yield data

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *failure: Any) -> None:
        self.close()


def _dial(config: Config, url: str) -> ClientConnection:
    try:
        # Entered by hand: it is left when the terminal is closed.
        made: ClientConnection = connect(url, **net.websocket_options(config)).__enter__()
        return made
    except InvalidStatus as error:
        raise net.refused(error) from None
    except (OSError, InvalidHandshake) as error:
        raise ConnectionFailedError(str(error)) from error


@contextmanager
def failures() -> Iterator[None]:
    """What the failures of the connection mean."""
    try:
        yield
    except ConnectionClosed as error:
        raise ConnectionFailedError(f"the terminal is gone: {error}", hint="") from error
