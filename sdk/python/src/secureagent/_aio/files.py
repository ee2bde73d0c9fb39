"""Files of a sandbox, on asyncio."""

from __future__ import annotations

import asyncio
import os
import pathlib
from typing import TYPE_CHECKING, Any, AsyncIterator, List, Literal, overload

from .._core import archive
from .._core import files as operations
from .._core.effects import Operation
from .._core.files import Data
from .._docs import documented_by
from .._sync.files import DOWNLOAD_MAX
from .._sync.files import Files as _Files
from .._sync.files import Watcher as _Watcher
from ..models import FileEntry, FileEvent, SignedUrl
from .driver import Running

if TYPE_CHECKING:
    from .base import AsyncSandboxBase


@documented_by(_Files)
class AsyncFiles:
    def __init__(self, sandbox: AsyncSandboxBase) -> None:
        self._sandbox = sandbox

    def _stream(self, operation: Operation[None]) -> Running[None]:
        return Running(self._sandbox._client._driver, operation)

    @overload
    async def read(self, path: str) -> str: ...
    @overload
    async def read(self, path: str, format: Literal["text"]) -> str: ...
    @overload
    async def read(self, path: str, format: Literal["bytes"]) -> bytes: ...
    @overload
    async def read(self, path: str, format: Literal["stream"]) -> AsyncIterator[bytes]: ...

    async def read(self, path: str, format: str = "text") -> str | bytes | AsyncIterator[bytes]:
        pieces = self._stream(operations.read_file(self._sandbox._wire, self._sandbox.id, path))
        if format == "stream":
            return pieces
        data = b"".join([piece async for piece in pieces])
        return data if format == "bytes" else data.decode("utf-8", "replace")

    async def write(self, path: str, data: Data, *, mode: int | None = None) -> FileEntry:
        return await self._sandbox._run(
            operations.write_file(self._sandbox._wire, self._sandbox.id, path, data, mode)
        )

    async def list(
        self, path: str = "/workspace", *, recursive: bool = False, glob: str | None = None
    ) -> List[FileEntry]:
        return await self._sandbox._run(
            operations.list_folder(self._sandbox._wire, self._sandbox.id, path, recursive, glob)
        )

    async def stat(self, path: str) -> FileEntry:
        return await self._sandbox._run(
            operations.stat(self._sandbox._wire, self._sandbox.id, path)
        )

    async def exists(self, path: str) -> bool:
        return await self._sandbox._run(
            operations.exists(self._sandbox._wire, self._sandbox.id, path)
        )

    async def remove(self, path: str, *, recursive: bool = False) -> None:
        await self._sandbox._run(
            operations.remove(self._sandbox._wire, self._sandbox.id, path, recursive)
        )

    async def move(self, source: str, destination: str, *, overwrite: bool = True) -> FileEntry:
        return await self._sandbox._run(
            operations.move(self._sandbox._wire, self._sandbox.id, source, destination, overwrite)
        )

    async def copy(self, source: str, destination: str, *, overwrite: bool = True) -> FileEntry:
        return await self._sandbox._run(
            operations.copy(self._sandbox._wire, self._sandbox.id, source, destination, overwrite)
        )

    async def mkdir(self, path: str) -> FileEntry:
        return await self._sandbox._run(
            operations.mkdir(self._sandbox._wire, self._sandbox.id, path)
        )

    async def chmod(self, path: str, mode: int) -> FileEntry:
        return await self._sandbox._run(
            operations.chmod(self._sandbox._wire, self._sandbox.id, path, mode)
        )

    async def signed_url(
        self, path: str, *, method: str = "GET", expires_in: int = 3600
    ) -> SignedUrl:
        return await self._sandbox._run(
            operations.signed_url(self._sandbox._wire, self._sandbox.id, path, method, expires_in)
        )

    async def watch(self, path: str = "/workspace", *, recursive: bool = False) -> AsyncWatcher:
        operation = operations.watch(self._sandbox._wire, self._sandbox.id, path, recursive)
        return await AsyncWatcher._open(self._stream(operation))

    async def upload_dir(self, local: str | os.PathLike[str], path: str = "/workspace") -> None:
        with await asyncio.to_thread(archive.pack, pathlib.Path(local)) as packed:
            await self._sandbox._run(
                operations.unpack_there(self._sandbox._wire, self._sandbox.id, path, packed)
            )

    async def download_dir(
        self, path: str, local: str | os.PathLike[str], *, max_bytes: int = DOWNLOAD_MAX
    ) -> int:
        operation = operations.pack_there(self._sandbox._wire, self._sandbox.id, path)
        with archive.spool() as packed:
            keep = archive.Keep(packed, max_bytes)
            async for piece in self._stream(operation):
                keep.write(piece)
            packed.seek(0)
            return await asyncio.to_thread(archive.unpack, packed, pathlib.Path(local), max_bytes)


@documented_by(_Watcher)
class AsyncWatcher(AsyncIterator[FileEvent]):
    def __init__(self, running: Running[None]) -> None:
        self._running = running

    @classmethod
    async def _open(cls, running: Running[None]) -> AsyncWatcher:
        await running.__anext__()  # so that what is refused is refused here, and nothing is missed
        return cls(running)

    async def __anext__(self) -> FileEvent:
        event: FileEvent = await self._running.__anext__()
        return event

    async def close(self) -> None:
        await self._running.close()

    async def __aenter__(self) -> AsyncWatcher:
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self.close()
