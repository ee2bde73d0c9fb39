"""Folders as tar files: packing what is uploaded, and unpacking what a sandbox sent.

What comes from a sandbox is hostile. Nothing is written outside the destination, whatever the names
and links in the archive say, and no more than the caller allows.
"""

from __future__ import annotations

import os
import pathlib
import tarfile
import tempfile
from typing import IO, BinaryIO, cast

from ..errors import PayloadTooLargeError, ProtocolError

MEDIA = "application/x-tar"
IN_MEMORY = 8 << 20
COUNT_MAX = 100_000


def spool() -> BinaryIO:
    """A file that is in memory while it is small."""
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))


def pack(folder: pathlib.Path) -> BinaryIO:
    """A tar of everything in a folder; the caller closes it."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    file = spool()
    try:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(os.listdir(folder)):
                tar.add(folder / name, name, filter=_for_upload)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _for_upload(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Contents and permissions, not who owned it here; no devices, no pipes."""
    if not (member.isfile() or member.isdir() or member.issym()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode &= 0o777
    return member


def unpack(file: IO[bytes], folder: pathlib.Path, max_bytes: int) -> int:
    """Unpack an archive below a folder; how many files it held.

    Raises:
        ProtocolError: A name or link in it leads out of the folder, or it is no archive.
        PayloadTooLargeError: It holds more than `max_bytes` or too many files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    links: list[tuple[pathlib.Path, str]] = []
    count = size = 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                count += 1
                size += member.size
                if size > max_bytes or count > COUNT_MAX:
                    raise PayloadTooLargeError(
                        f"the folder holds more than {max_bytes} bytes or {COUNT_MAX} files",
                        hint="allow more with max_bytes",
                    )
                path = _inside(folder, member.name)
                if member.isdir():
                    path.mkdir(exist_ok=True)
                elif member.isfile():
                    _write(tar, member, path)
                elif member.issym():
                    links.append((path, member.linkname))
                else:
                    raise ProtocolError(f"{member.name!r}: neither a file nor a folder")
    except tarfile.TarError as error:
        raise ProtocolError(f"the archive cannot be read: {error}") from None
    # Last, so that nothing above was written through one.
    for path, target in links:
        _link(folder, path, target)
    return count


def _inside(folder: pathlib.Path, name: str) -> pathlib.Path:
    """The place of a member; folders on the way are made, links on the way refused."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name or "\\" in name and os.name == "nt":
        raise ProtocolError(f"{name!r} leads out of the folder")
    at = folder
    for part in parts[:-1]:
        at /= part
        if at.is_symlink():
            raise ProtocolError(f"{name!r} leads through a link")
        at.mkdir(exist_ok=True)
    at = at / parts[-1] if parts else at
    if at.is_symlink():
        at.unlink()
    return at


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: pathlib.Path) -> None:
    source = tar.extractfile(member)
    if source is None:
        raise ProtocolError(f"{member.name!r} has no contents")
    path.unlink(missing_ok=True)  # a new file, not one that others hold a link to
    with path.open("xb") as target:
        while piece := source.read(1 << 20):
            target.write(piece)
    path.chmod(member.mode & 0o777 | 0o600)


def _link(folder: pathlib.Path, path: pathlib.Path, target: str) -> None:
    root = os.path.realpath(folder)
    leads = os.path.realpath(os.path.join(os.path.realpath(path.parent), target))
    # With ".." only at its beginning, no link that is made later can turn it elsewhere.
    names = [part for part in target.split("/") if part not in ("", ".")]
    while names and names[0] == "..":
        names.pop(0)
    if os.path.isabs(target) or ".." in names or os.path.commonpath([root, leads]) != root:
        raise ProtocolError(f"the link {str(path)!r} leads out of the folder")
    path.unlink(missing_ok=True)
    path.symlink_to(target)


class Keep:
    """Writes to a file, but no more than was allowed (and what an archive needs beside)."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file, self._max, self._left = file, max_bytes, max_bytes + max_bytes // 8 + (64 << 20)

    def write(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise PayloadTooLargeError(
                f"the folder holds more than {self._max} bytes",
                hint="allow more with max_bytes",
            )
        self._file.write(data)
