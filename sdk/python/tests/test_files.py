"""Files against a real server."""

from __future__ import annotations

import io
import pathlib

import httpx
import pytest

from secureagent import Client, ConflictError, NotFoundError, Sandbox


def test_reading_and_writing(sb: Sandbox) -> None:
    entry = sb.files.write("d/ä b.txt", "héllo", mode=0o600)
    assert (entry.path, entry.size, entry.mode) == ("/workspace/d/ä b.txt", 6, 0o600)
    assert sb.files.read("d/ä b.txt") == "héllo"
    assert sb.files.read("/workspace/d/ä b.txt", "bytes") == "héllo".encode()
    assert b"".join(sb.files.read("d/ä b.txt", "stream")) == "héllo".encode()
    with pytest.raises(NotFoundError):
        sb.files.read("nothing")


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_all_kinds_of_contents(sb: Sandbox, tmp_path: pathlib.Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    local = tmp_path / "f"
    local.write_bytes(data)
    with local.open("rb") as file:
        for body in (
            data,
            bytearray(data),
            io.BytesIO(data),
            file,
            iter([data[:7], b"", data[7:]]),
        ):
            assert sb.files.write("f", body).size == size
            assert sb.files.read("f", "bytes") == data


def test_looking_around(sb: Sandbox) -> None:
    sb.files.write("d/a", "1")
    sb.run_command("ln -s a d/l")
    assert [entry.name for entry in sb.files.list("d")] == ["a", "l"]
    assert sb.files.list()[0].is_dir
    assert {entry.path for entry in sb.files.list(recursive=True)} == {
        "/workspace/d", "/workspace/d/a", "/workspace/d/l"}  # fmt: skip
    link = sb.files.stat("d/l")
    assert (link.type, link.symlink_target) == ("symlink", "a")
    assert sb.files.stat("d/a").is_file
    assert sb.files.exists("d")
    assert sb.files.exists("/")
    assert not sb.files.exists("d/b")
    assert not sb.files.exists("nothing/b")
    with pytest.raises(NotFoundError):
        sb.files.stat("d/b")


def test_existence_in_a_sandbox_that_has_ended(sb: Sandbox) -> None:
    sb.kill()
    with pytest.raises(NotFoundError):
        sb.files.exists("a")


def test_removing(sb: Sandbox) -> None:
    sb.files.write("d/a", "1")
    sb.files.remove("d/a")
    assert sb.files.exists("d")
    sb.files.remove("d", recursive=True)
    assert not sb.files.exists("d")
    with pytest.raises(NotFoundError):
        sb.files.remove("d")


def test_moving_and_copying(sb: Sandbox) -> None:
    sb.files.write("a", "1")
    assert sb.files.move("a", "d/b").path == "/workspace/d/b"
    assert not sb.files.exists("a")
    assert sb.files.copy("d", "e").is_dir
    assert sb.files.read("e/b") == sb.files.read("d/b") == "1"
    sb.files.write("d/b", "2")
    with pytest.raises(ConflictError):
        sb.files.copy("d/b", "e/b", overwrite=False)
    sb.files.copy("d/b", "e/b")
    assert sb.files.read("e/b") == "2"
    with pytest.raises(NotFoundError):
        sb.files.move("nothing", "x")


def test_folders_and_modes(sb: Sandbox) -> None:
    assert sb.files.mkdir("x/y/z").is_dir
    assert sb.files.mkdir("x/y/z").is_dir
    sb.files.write("x/run", "#!/bin/sh\necho ran")
    assert sb.files.chmod("x/run", 0o755).mode == 0o755
    assert sb.run_command(["/workspace/x/run"]).stdout == "ran\n"


def test_patterns(sb: Sandbox) -> None:
    for name in ("a.py", "b.txt", "d/c.py", "d/[x].py"):
        sb.files.write(name, "")
    assert [e.path for e in sb.files.list(glob="**/*.py")] == [
        "/workspace/a.py", "/workspace/d/[x].py", "/workspace/d/c.py"]  # fmt: skip
    assert sb.files.stat("d/[x].py").is_file


def test_signed_urls(sb: Sandbox) -> None:
    sb.files.write("f", "shared")
    with httpx.Client(trust_env=False) as anybody:
        url = sb.files.signed_url("f", expires_in=600)
        assert anybody.get(url.url).text == "shared"
        assert anybody.put(url.url, content=b"x").status_code == 401
        up = sb.files.signed_url("f", method="PUT", expires_in=600)
        assert anybody.put(str(up), content=b"from outside").status_code == 200
    assert sb.files.read("f") == "from outside"


def test_downloads_that_are_left_give_their_connection_back(
    server: tuple[str, str], sb: Sandbox
) -> None:
    sb.files.write("big", b"x" * 8_000_000)
    with Client(*server) as client:
        there = Sandbox.connect(sb.id, client=client)
        for _ in range(20):
            assert next(there.files.read("big", "stream"))
        pool = client._driver._http._transport._pool  # type: ignore[attr-defined]
        assert not [one for one in pool.connections if not one.is_idle() and not one.is_closed()]
