"""Operations on files. Paths are those inside the sandbox; relative ones are below /workspace."""

from __future__ import annotations

import io
import os
import posixpath
import re
from typing import Any, BinaryIO, Iterable, Mapping, Union, cast

from ..errors import ConflictError, NotFoundError, ProtocolError
from ..models import FileEntry, FileEvent, SignedUrl
from . import archive
from .answers import Fields, decode, error_for
from .effects import Body, Emit, Operation, Reply, Request, Sleep, TransportError, read
from .output import LineDecoder
from .retry import begin, failed, send
from .wire import Wire, quote, sandbox_path

Data = Union[str, bytes, bytearray, memoryview, BinaryIO, Iterable[bytes]]
OCTETS = "application/octet-stream"
HOME = "/workspace"
ENDED = frozenset({"Terminating", "Terminated", "Failed"})


def absolute(path: str) -> str:
    """The path as the server wants it."""
    return posixpath.normpath(posixpath.join(HOME, path))


def _file(sandbox: str, path: str) -> str:
    parts = absolute(path).strip("/").split("/")
    return sandbox_path(sandbox, "files") + "/" + "/".join(map(quote, parts))


# ---- reading ----


class _Position:
    """How far a download is, and of which version of the file."""

    def __init__(self) -> None:
        self.offset = 0
        self.etag: str | None = None

    def headers(self) -> dict[str, str]:
        headers = {"Accept": "*/*"}
        if self.offset:
            headers["Range"] = f"bytes={self.offset}-"
            if self.etag:
                headers["If-Range"] = self.etag
        return headers

    def skip(self, reply: Reply) -> int:
        """How many bytes of this answer are known already."""
        etag = reply.headers.get("etag")
        if self.offset == 0:
            self.etag = etag
            return 0
        if reply.status == 206:
            first = reply.headers.get("content-range", "").partition("bytes ")[2].partition("-")[0]
            if first != str(self.offset):
                raise ProtocolError("the server resumed a download at another place")
            return 0
        if etag is None or etag != self.etag:
            raise ConflictError("the file changed while it was read", hint="read it again")
        return self.offset


def read_file(wire: Wire, sandbox: str, path: str) -> Operation[None]:
    """Emits the bytes piece by piece; goes on where a broken connection left off."""
    return (yield from download(wire, wire.request("GET", _file(sandbox, path))))


def download(wire: Wire, request: Request, *, resumable: bool = True) -> Operation[None]:
    """Emits the body of an answer."""
    at, tried, policy = _Position(), 0, wire.config.retry
    while True:
        before = at.offset
        headers = {**request.headers, **at.headers()}
        again = Request(
            request.method, request.path, request.query, headers, timeout=request.timeout, safe=True
        )
        try:
            reply = yield from begin(again, policy)
            skip = at.skip(reply)
            while True:
                data = yield from read(reply.handle)
                if data is None:
                    return
                new = data[skip:]
                skip -= len(data) - len(new)
                if new:
                    at.offset += len(new)
                    yield Emit(new)
        except TransportError as error:
            tried = 0 if at.offset > before else tried + 1
            if tried >= policy.attempts or (at.offset and not resumable):
                raise failed(error) from error
            yield Sleep(policy.backoff(max(1, tried)))


# ---- writing ----


def as_body(data: Data) -> tuple[Body, int, int | None, bool]:
    """A body, where it begins, its length if that is known, and whether it can be sent again."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    if isinstance(data, (bytes, bytearray, memoryview)):
        whole = bytes(data)
        return whole, 0, len(whole), True
    if isinstance(data, Mapping):
        raise TypeError("what is written must be text, bytes, a file or an iterator of bytes")
    if hasattr(data, "read"):
        file = cast(BinaryIO, data)
        if isinstance(file, io.TextIOBase):
            raise TypeError("a file to upload must be opened in binary mode")
        if not file.seekable():
            return file, 0, None, False
        at = file.tell()
        length = file.seek(0, os.SEEK_END) - at
        file.seek(at)
        return file, at, length, True
    return data, 0, None, False


def upload(
    wire: Wire, method: str, path: str, query: dict[str, Any], data: Data, media: str
) -> Request:
    body, begins, length, again = as_body(data)
    headers = {"Accept": "application/json", "Content-Type": media}
    if length is not None:
        headers["Content-Length"] = str(length)
    pairs = wire.request(method, path, query=query).query
    return Request(method, path, pairs, headers, body, begins, wire.config.timeout, safe=again)


def write_file(
    wire: Wire, sandbox: str, path: str, data: Data, mode: int | None
) -> Operation[FileEntry]:
    query = {"mode": None if mode is None else f"{mode:04o}"}
    request = upload(wire, "PUT", _file(sandbox, path), query, data, OCTETS)
    reply = yield from send(request, wire.config.retry)
    return _entry(reply)


def _entry(reply: Reply) -> FileEntry:
    return FileEntry._of(decode(reply, "file"))


# ---- looking ----


def list_folder(
    wire: Wire, sandbox: str, path: str, recursive: bool, glob: str | None
) -> Operation[list[FileEntry]]:
    query = {"path": absolute(path), "recursive": True if recursive else None, "glob": glob}
    found = yield from wire.pages("files", sandbox_path(sandbox, "files"), query)
    return [FileEntry._of(one) for one in found]


def stat(wire: Wire, sandbox: str, path: str) -> Operation[FileEntry]:
    """The entry of the folder that holds it: unlike HEAD that tells of links and folders, too."""
    whole = absolute(path)
    folder, name = posixpath.split(whole)
    # Only that name: a folder may hold many. Its own characters are no pattern.
    pattern = re.sub(r"([\\*?\[\]])", r"\\\1", name)
    for entry in (yield from list_folder(wire, sandbox, folder, False, pattern)):
        if entry.name == name:
            return entry
    raise NotFoundError(f"{whole}: no such file", code="not_found", status=404)


def exists(wire: Wire, sandbox: str, path: str) -> Operation[bool]:
    if absolute(path) == "/":
        return True
    try:
        yield from stat(wire, sandbox, path)
    except NotFoundError:
        # The file, or the sandbox? Only the former is an answer.
        found = yield from wire.ask("sandbox", "GET", sandbox_path(sandbox))
        if found.opt_text("phase") in ENDED:
            raise
        return False
    return True


# ---- changing ----


def remove(wire: Wire, sandbox: str, path: str, recursive: bool) -> Operation[None]:
    query = {"recursive": True if recursive else None}
    yield from wire.tell("DELETE", _file(sandbox, path), query=query)


def _verb(
    wire: Wire, sandbox: str, verb: str, body: dict[str, Any], safe: bool
) -> Operation[Fields]:
    path = sandbox_path(sandbox, "files", verb)
    return (yield from wire.ask("file", "POST", path, json_body=body, safe=safe))


def move(
    wire: Wire, sandbox: str, source: str, destination: str, overwrite: bool
) -> Operation[FileEntry]:
    body = {"path": absolute(source), "to": absolute(destination), "overwrite": overwrite}
    return FileEntry._of((yield from _verb(wire, sandbox, "move", body, False)))


def copy(
    wire: Wire, sandbox: str, source: str, destination: str, overwrite: bool
) -> Operation[FileEntry]:
    body = {"path": absolute(source), "to": absolute(destination), "overwrite": overwrite}
    return FileEntry._of((yield from _verb(wire, sandbox, "copy", body, overwrite)))


def chmod(wire: Wire, sandbox: str, path: str, mode: int) -> Operation[FileEntry]:
    body = {"path": absolute(path), "mode": f"{mode:04o}"}
    return FileEntry._of((yield from _verb(wire, sandbox, "chmod", body, True)))


def mkdir(wire: Wire, sandbox: str, path: str) -> Operation[FileEntry]:
    return FileEntry._of((yield from _verb(wire, sandbox, "mkdir", {"path": absolute(path)}, True)))


def signed_url(
    wire: Wire, sandbox: str, path: str, method: str, expires_in: int
) -> Operation[SignedUrl]:
    body = {"path": absolute(path), "method": method, "expiresIn": expires_in}
    return SignedUrl._of((yield from _verb(wire, sandbox, "signed-url", body, True)))


# ---- watching ----


def watch(wire: Wire, sandbox: str, path: str, recursive: bool) -> Operation[None]:
    """Emits None once it watches, then each `FileEvent`."""
    request = wire.request(
        "GET",
        sandbox_path(sandbox, "files", "watch"),
        query={"path": absolute(path), "recursive": True if recursive else None},
        headers={"Accept": "application/x-ndjson"},
        timeout=None,
    )
    policy, tried, broken = wire.config.retry, 0, False
    while True:
        try:
            reply = yield from begin(request, policy)
            decoder = LineDecoder()
            while True:
                data = yield from read(reply.handle)
                if data is None:
                    raise TransportError("the stream of events ended", sent=True)
                for item in decoder.feed(data):
                    tried = 0
                    yield Emit(_event(Fields(item, "event"), absolute(path), broken))
        except TransportError as error:
            tried, broken = tried + 1, True
            if tried >= policy.attempts:
                raise failed(error) from error
            yield Sleep(policy.backoff(tried))


def _event(f: Fields, path: str, broken: bool) -> FileEvent | None:
    kind = f.text("type")
    if kind == "watching":  # what happened while nobody did, nobody knows
        return FileEvent("overflow", path) if broken else None
    if kind == "error":
        raise error_for(f.opt_text("code"), f.opt_text("message"))
    return FileEvent(kind, f.opt_text("path", path), f.opt_text("from") or None, f.all)


# ---- whole folders ----


def unpack_there(wire: Wire, sandbox: str, path: str, packed: BinaryIO) -> Operation[None]:
    """Send an archive. Unpacking it twice does what unpacking it once does."""
    where = sandbox_path(sandbox, "files", "archive")
    request = upload(wire, "POST", where, {"path": absolute(path)}, packed, archive.MEDIA)
    yield from send(request, wire.config.retry)


def pack_there(wire: Wire, sandbox: str, path: str) -> Operation[None]:
    """Emits the pieces of an archive. It is made while it is sent: it cannot be resumed."""
    request = wire.request(
        "GET",
        sandbox_path(sandbox, "files", "archive"),
        query={"path": absolute(path), "format": "tar"},
    )
    yield from download(wire, request, resumable=False)
