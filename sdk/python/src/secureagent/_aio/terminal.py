"""A terminal in a sandbox, on asyncio."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from .._core import net
from .._core import terminal as protocol
from .._core.config import Config
from .._docs import documented_by
from .._sync.terminal import Terminal as _Terminal
from .._sync.terminal import failures
from ..errors import ConnectionFailedError


@documented_by(_Terminal)
class AsyncTerminal:
    def __init__(self, socket: ClientConnection, attach: str | None, offset: int) -> None:
        self._session = protocol.Session(attach, offset)
        self._socket = socket
        self.exit_code: int | None = None

    @classmethod
    async def _open(
        cls, config: Config, url: str, attach: str | None, offset: int
    ) -> AsyncTerminal:
        return cls(await _dial(config, url), attach, offset)

    @property
    def id(self) -> str:
        return self._session.id or ""

    @property
    def offset(self) -> int:
        return self._session.offset

    @property
    def closed(self) -> bool:
        return self._session.ended is not None

    async def write(self, data: str | bytes) -> None:
        with failures():
            for piece in protocol.pieces(data):
                await self._socket.send(piece)

    async def read(self, timeout: float | None = None) -> bytes:
        while not self.closed:
            with failures():
                try:
                    message = await asyncio.wait_for(self._socket.recv(), timeout)
                except asyncio.TimeoutError:
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

    async def resize(self, rows: int, cols: int) -> None:
        with failures():
            await self._socket.send(protocol.resize(rows, cols))

    async def close(self) -> None:
        await self._socket.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data

    async def __aenter__(self) -> AsyncTerminal:
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self.close()


async def _dial(config: Config, url: str) -> ClientConnection:
    try:
        return await connect(url, **net.websocket_options(config))
    except InvalidStatus as error:
        raise net.refused(error) from None
    except (OSError, InvalidHandshake) as error:
        raise ConnectionFailedError(str(error)) from error
