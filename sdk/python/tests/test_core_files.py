"""Downloads that are cut, and archives that want to get out."""

from __future__ import annotations

import io
import os
import pathlib
import tarfile

import pytest
from script import CUT, Answer, Script, wire

from secureagent import (
    ConflictError,
    ConnectionFailedError,
    NotFoundError,
    PayloadTooLargeError,
    ProtocolError,
)
from secureagent._core import archive, files


def read(script: Script, **more: int) -> bytes:
    script.run(files.read_file(wire(**more), "sb-1", "a b/ü.txt"))
    return b"".join(script.emitted)


def test_a_download() -> None:
    script = Script(Answer(200, [b"he", b"llo"], etag='"1"'))
    assert read(script) == b"hello"
    assert script.requests[0].path == "/api/v1/sandboxes/sb-1/files/workspace/a%20b/%C3%BC.txt"
    assert "Range" not in script.requests[0].headers


def test_a_download_goes_on_where_it_was_cut() -> None:
    script = Script(
        Answer(200, [b"he", CUT], etag='"1"'),
        Answer(206, [b"l", CUT], etag='"1"', content_range="bytes 2-4/5"),
        Answer(206, [b"lo"], etag='"1"', content_range="bytes 3-4/5"),
    )
    assert read(script) == b"hello"
    assert script.requests[1].headers["Range"] == "bytes=2-"
    assert script.requests[1].headers["If-Range"] == '"1"'
    assert script.requests[2].headers["Range"] == "bytes=3-"


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_server_that_begins_anew(size: int) -> None:
    again = [b"hello"[at : at + size] for at in range(0, 5, size)]
    script = Script(Answer(200, [b"hel", CUT], etag='"1"'), Answer(200, again, etag='"1"'))
    assert read(script) == b"hello"


def test_a_file_that_changed_is_not_mixed() -> None:
    for etags in (('"1"', '"2"'), ("", "")):
        script = Script(*[Answer(200, [b"hel", CUT], etag=etag) if etag else
                          Answer(200, [b"hel", CUT]) for etag in etags])  # fmt: skip
        with pytest.raises(ConflictError):
            read(script)


def test_a_server_that_resumes_elsewhere() -> None:
    script = Script(
        Answer(200, [b"hel", CUT], etag='"1"'), Answer(206, [b"x"], content_range="bytes 0-4/5")
    )
    with pytest.raises(ProtocolError):
        read(script)


def test_patience_ends() -> None:
    with pytest.raises(ConnectionFailedError):
        read(Script(*[CUT] * 3), attempts=3)


@pytest.mark.parametrize("path, whole", [
    ("a", "/workspace/a"), ("/etc/../tmp/./b", "/tmp/b"), ("../x", "/x"), (".", "/workspace"),
])  # fmt: skip
def test_paths(path: str, whole: str) -> None:
    assert files.absolute(path) == whole


@pytest.mark.parametrize("data", ["hé", "hé".encode(), bytearray("hé".encode()),
                                  memoryview("hé".encode())])  # fmt: skip
def test_bodies(data: files.Data) -> None:
    assert files.as_body(data) == ("hé".encode(), 0, 3, True)


def test_text_files_are_no_bodies() -> None:
    with pytest.raises(TypeError, match="binary"):
        files.as_body(io.StringIO("x"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="text, bytes"):
        files.as_body({"a": 1})  # type: ignore[arg-type]


# ---- watching ----


def test_watching_says_when_something_was_missed() -> None:
    event = {"type": "write", "path": "/workspace/a"}
    gone = {"type": "error", "code": "not_found", "message": "gone"}
    rename = {"type": "rename", "path": "/workspace/b", "from": "/workspace/a"}
    script = Script(
        Answer.lines({"type": "watching"}, event, cut=True),
        CUT,
        Answer.lines({"type": "watching"}, rename),
        Answer.lines({"type": "watching"}, gone),
    )
    with pytest.raises(NotFoundError, match="gone"):
        script.run(files.watch(wire(), "sb-1", "/workspace", recursive=True))
    found = [one and (one.type, one.path, one.source) for one in script.emitted]
    lost = ("overflow", "/workspace", None)
    moved = ("rename", "/workspace/b", "/workspace/a")
    assert found == [None, ("write", "/workspace/a", None), lost, moved, lost]


# ---- archives ----


def packed(*members: tuple[str, object]) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, what in members:
            info = tarfile.TarInfo(name)
            if isinstance(what, bytes):
                info.size = len(what)
                tar.addfile(info, io.BytesIO(what))
                continue
            info.type, info.linkname = what  # type: ignore[misc]
            tar.addfile(info)
    file.seek(0)
    return file


FOLDER = (tarfile.DIRTYPE, "")


def link(target: str) -> tuple[bytes, str]:
    return tarfile.SYMTYPE, target


def test_unpacking(tmp_path: pathlib.Path) -> None:
    file = packed(("d", FOLDER), ("d/a", b"1"), ("./d/b", b"2"), ("d/l", link("a")),
                  ("up", link("d/b")), ("d/up", link("../up")))  # fmt: skip
    assert archive.unpack(file, tmp_path / "new", 100) == 6
    assert (tmp_path / "new/d/l").read_bytes() == b"1"
    assert (tmp_path / "new/d/up").read_bytes() == b"2"


@pytest.mark.parametrize("members", [
    [("../x", b"1")], [("/x", b"1")], [("d/../../x", b"1")], [("l", link("/etc/passwd"))],
    [("l", link(".."))], [("d", FOLDER), ("d/l", link("../.."))],
    [("a", link("b/../x")), ("b", link("."))],  # the second would turn the first elsewhere
    [("h", (tarfile.LNKTYPE, "/etc/passwd"))], [("dev", (tarfile.CHRTYPE, ""))],
    [("fifo", (tarfile.FIFOTYPE, ""))], [("d", link("..")), ("d/x", b"1")],
])  # fmt: skip
def test_nothing_gets_out(tmp_path: pathlib.Path, members: list[tuple[str, object]]) -> None:
    inside = tmp_path / "outer" / "inside"
    with pytest.raises((ProtocolError, OSError)):
        archive.unpack(packed(*members), inside, 100)
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")}
    assert all(name == "outer" or name.startswith("outer/inside") for name in found), found
    for path in inside.rglob("*"):
        assert os.path.realpath(path).startswith(os.path.realpath(inside))


def test_links_that_were_there_are_not_followed(tmp_path: pathlib.Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("mine")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "d").symlink_to(outside)
    (inside / "f").symlink_to(outside / "f")
    with pytest.raises(ProtocolError):
        archive.unpack(packed(("d/f", b"theirs")), inside, 100)
    archive.unpack(packed(("f", b"theirs")), inside, 100)
    assert (outside / "f").read_text() == "mine"
    assert (inside / "f").read_text() == "theirs"


def test_sizes_are_bounded(tmp_path: pathlib.Path) -> None:
    with pytest.raises(PayloadTooLargeError):
        archive.unpack(packed(("a", b"x" * 60), ("b", b"x" * 60)), tmp_path, 100)
    keep = archive.Keep(io.BytesIO(), 0)
    with pytest.raises(PayloadTooLargeError):
        for _ in range(65):
            keep.write(b"\0" * (1 << 20))


@pytest.mark.parametrize("data", [b"nonsense" * 200, packed(("a", b"x" * 3000)).getvalue()[:1000]])
def test_what_is_no_archive(tmp_path: pathlib.Path, data: bytes) -> None:
    with pytest.raises(ProtocolError):
        archive.unpack(io.BytesIO(data), tmp_path, 100000)


def test_packing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/run").write_text("x")
    (tmp_path / "d/run").chmod(0o755)
    (tmp_path / "l").symlink_to("d/run")
    os.mkfifo(tmp_path / "pipe")
    with archive.pack(tmp_path) as file, tarfile.open(fileobj=file) as tar:
        members = {m.name: m for m in tar}
    assert set(members) == {"d", "d/run", "l"}
    assert members["d/run"].mode == 0o755
    assert members["d/run"].uname == ""
    with pytest.raises(NotADirectoryError):
        archive.pack(tmp_path / "d/run")
