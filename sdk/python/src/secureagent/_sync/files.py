"""Files of a sandbox."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, Any, Iterator, List, Literal, overload

from .._core import archive
from .._core import files as operations
from .._core.effects import Operation
from .._core.files import Data
from ..models import FileEntry, FileEvent, SignedUrl
from .driver import Running

if TYPE_CHECKING:
    from .base import SandboxBase

DOWNLOAD_MAX = 2 << 30


class Files:
    """The files of a sandbox. Reached as `sandbox.files`.

    Paths that do not begin with a slash are below `/workspace`.
    """

    def __init__(self, sandbox: SandboxBase) -> None:
        self._sandbox = sandbox

    def _stream(self, operation: Operation[None]) -> Running[None]:
        return Running(self._sandbox._client._driver, operation)

    @overload
    def read(self, path: str) -> str: ...
    @overload
    def read(self, path: str, format: Literal["text"]) -> str: ...
    @overload
    def read(self, path: str, format: Literal["bytes"]) -> bytes: ...
    @overload
    def read(self, path: str, format: Literal["stream"]) -> Iterator[bytes]: ...

    def read(self, path: str, format: str = "text") -> str | bytes | Iterator[bytes]:
        """Read a file. After a broken connection it goes on where it was.

        Args:
            path: Where.
            format: `text` (UTF-8; other bytes become U+FFFD), `bytes`, or `stream`: pieces as they
                come, for files that are not to be held in memory.

        Raises:
            NotFoundError: There is no such file.
            InvalidRequestError: It is a folder.
            ConflictError: It changed while it was read.

        Example:
            >>> sb.files.read("notes.txt")
            'hello'
        """
        pieces = self._stream(operations.read_file(self._sandbox._wire, self._sandbox.id, path))
        if format == "stream":
            return pieces
        data = b"".join(pieces)
        return data if format == "bytes" else data.decode("utf-8", "replace")

    def write(self, path: str, data: Data, *, mode: int | None = None) -> FileEntry:
        """Write a file, at once: a reader sees the old contents or the new. Folders are made.

        Args:
            path: Where.
            data: Text, bytes, a file opened in binary mode, or an iterable of bytes.
            mode: Permission bits, e.g. `0o755`; by default `0o644`.

        Raises:
            QuotaExceededError: The sandbox's storage is full.

        Example:
            >>> sb.files.write("run.sh", "echo hi", mode=0o755).size
            7
        """
        return self._sandbox._run(
            operations.write_file(self._sandbox._wire, self._sandbox.id, path, data, mode)
        )

    def list(
        self, path: str = "/workspace", *, recursive: bool = False, glob: str | None = None
    ) -> List[FileEntry]:
        """What is in a folder.

        Args:
            path: The folder.
            recursive: Also what is in the folders below.
            glob: Only what matches, e.g. `**/*.py`.

        Raises:
            NotFoundError: There is no such folder.

        Example:
            >>> [entry.name for entry in sb.files.list("/workspace")]
        """
        return self._sandbox._run(
            operations.list_folder(self._sandbox._wire, self._sandbox.id, path, recursive, glob)
        )

    def stat(self, path: str) -> FileEntry:
        """One file or folder; a link is not followed.

        Raises:
            NotFoundError: There is no such file.

        Example:
            >>> sb.files.stat("data.csv").size
            1024
        """
        return self._sandbox._run(operations.stat(self._sandbox._wire, self._sandbox.id, path))

    def exists(self, path: str) -> bool:
        """Is there a file or folder?

        Raises:
            NotFoundError: The sandbox has ended.

        Example:
            >>> sb.files.exists("nothing")
            False
        """
        return self._sandbox._run(operations.exists(self._sandbox._wire, self._sandbox.id, path))

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Remove a file, or with `recursive=True` a folder and all that is in it.

        Raises:
            NotFoundError: There is no such file.
            ConflictError: It is a folder with something in it.

        Example:
            >>> sb.files.remove("build", recursive=True)
        """
        self._sandbox._run(
            operations.remove(self._sandbox._wire, self._sandbox.id, path, recursive)
        )

    def move(self, source: str, destination: str, *, overwrite: bool = True) -> FileEntry:
        """Move or rename a file or folder.

        Args:
            source: Where it is.
            destination: Where it shall be.
            overwrite: Replace a file at the destination; else that is a conflict.

        Raises:
            NotFoundError: There is no such file.
            ConflictError: There is something at the destination that is not to be replaced.

        Example:
            >>> sb.files.move("draft.txt", "final.txt").path
            '/workspace/final.txt'
        """
        return self._sandbox._run(
            operations.move(self._sandbox._wire, self._sandbox.id, source, destination, overwrite)
        )

    def copy(self, source: str, destination: str, *, overwrite: bool = True) -> FileEntry:
        """Copy a file, or a folder with all that is in it.

        Args:
            source: Where it is.
            destination: Where the copy shall be.
            overwrite: Replace a file at the destination; else that is a conflict.

        Raises:
            NotFoundError: There is no such file.
            ConflictError: There is something at the destination that is not to be replaced.

        Example:
            >>> sb.files.copy("final.txt", "backup/final.txt").size
        """
        return self._sandbox._run(
            operations.copy(self._sandbox._wire, self._sandbox.id, source, destination, overwrite)
        )

    def mkdir(self, path: str) -> FileEntry:
        """Make a folder, and those above it. Nothing happens if it is there.

        Raises:
            ConflictError: There is a file of that name.

        Example:
            >>> sb.files.mkdir("results/today").is_dir
            True
        """
        return self._sandbox._run(operations.mkdir(self._sandbox._wire, self._sandbox.id, path))

    def chmod(self, path: str, mode: int) -> FileEntry:
        """Change permission bits.

        Args:
            path: Where.
            mode: E.g. `0o755`.

        Raises:
            NotFoundError: There is no such file.

        Example:
            >>> sb.files.chmod("run.sh", 0o755).mode == 0o755
            True
        """
        return self._sandbox._run(
            operations.chmod(self._sandbox._wire, self._sandbox.id, path, mode)
        )

    def signed_url(self, path: str, *, method: str = "GET", expires_in: int = 3600) -> SignedUrl:
        """A URL that reads or writes one file without a key, for a browser or another service.

        Args:
            path: Where.
            method: `GET` to download, `PUT` to upload.
            expires_in: Seconds for which it works, at most a week.

        Raises:
            NotFoundError: The sandbox has ended.

        Example:
            >>> print(sb.files.signed_url("chart.png", expires_in=600).url)
        """
        return self._sandbox._run(
            operations.signed_url(self._sandbox._wire, self._sandbox.id, path, method, expires_in)
        )

    def watch(self, path: str = "/workspace", *, recursive: bool = False) -> Watcher:
        """Follow what happens to files. It watches when this returns.

        Args:
            path: A folder or a file.
            recursive: Also in the folders below.

        Raises:
            NotFoundError: There is no such folder.

        Example:
            >>> with sb.files.watch("/workspace") as events:
            ...     for event in events:
            ...         print(event.type, event.path)
        """
        operation = operations.watch(self._sandbox._wire, self._sandbox.id, path, recursive)
        return Watcher(self._stream(operation))

    def upload_dir(self, local: str | os.PathLike[str], path: str = "/workspace") -> None:
        """Copy a local folder's contents into a folder of the sandbox, links as links.

        Args:
            local: A folder on this machine.
            path: The folder in the sandbox; it is made if it is not there.

        Raises:
            NotADirectoryError: `local` is not a folder.
            QuotaExceededError: The sandbox's storage is full.

        Example:
            >>> sb.files.upload_dir("./project", "/workspace/project")
        """
        with archive.pack(pathlib.Path(local)) as packed:
            self._sandbox._run(
                operations.unpack_there(self._sandbox._wire, self._sandbox.id, path, packed)
            )

    def download_dir(
        self, path: str, local: str | os.PathLike[str], *, max_bytes: int = DOWNLOAD_MAX
    ) -> int:
        """Copy a folder's contents into a local folder; how many files and folders there were.

        Nothing is written outside the local folder, whatever names and links there are.

        Args:
            path: The folder in the sandbox.
            local: A folder on this machine; it is made if it is not there.
            max_bytes: Most that is taken.

        Raises:
            NotFoundError: There is no such folder.
            PayloadTooLargeError: It holds more than `max_bytes`.
            ProtocolError: A link in it leads out of it.

        Example:
            >>> sb.files.download_dir("/workspace/results", "./results")
            3
        """
        operation = operations.pack_there(self._sandbox._wire, self._sandbox.id, path)
        with archive.spool() as packed:
            keep = archive.Keep(packed, max_bytes)
            for piece in self._stream(operation):
                keep.write(piece)
            packed.seek(0)
            return archive.unpack(packed, pathlib.Path(local), max_bytes)


class Watcher(Iterator[FileEvent]):
    """What happens to watched files: iterate over it, and close it."""

    def __init__(self, running: Running[None]) -> None:
        self._running = running
        next(running)  # so that what is refused is refused here, and nothing is missed

    def __next__(self) -> FileEvent:
        event: FileEvent = next(self._running)
        return event

    def close(self) -> None:
        """Stop watching.

        Example:
            >>> watcher.close()
        """
        self._running.close()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *failure: Any) -> None:
        self.close()
