"""Watching, and whole folders."""

from __future__ import annotations

import asyncio
import pathlib

import pytest

from secureagent import (
    AsyncClient,
    AsyncSandbox,
    NotFoundError,
    PayloadTooLargeError,
    Sandbox,
)


def test_watching(sb: Sandbox) -> None:
    with sb.files.watch(recursive=True) as events:
        sb.files.write("d/a", "1")
        for event in events:
            if event.path == "/workspace/d/a":
                break
        assert event.type in ("create", "write")
        sb.files.move("d/a", "d/b")
        event = next(one for one in events if one.type == "rename")
        assert (event.path, event.source) == ("/workspace/d/b", "/workspace/d/a")
        sb.run_command("rm -r d")
        event = next(one for one in events if one.type == "remove")
    with pytest.raises(NotFoundError):
        sb.files.watch("/workspace/nothing")


def test_whole_folders(sb: Sandbox, tmp_path: pathlib.Path) -> None:
    here = tmp_path / "here"
    (here / "sub").mkdir(parents=True)
    (here / "sub/run").write_text("#!/bin/sh\necho ran")
    (here / "sub/run").chmod(0o755)
    (here / "big").write_bytes(bytes(range(256)) * 8000)
    (here / "link").symlink_to("sub/run")
    sb.files.upload_dir(here, "/workspace/there")
    assert sb.run_command(["/workspace/there/link"]).stdout == "ran\n"
    back = tmp_path / "back"
    assert sb.files.download_dir("/workspace/there", back) >= 4
    assert (back / "big").read_bytes() == (here / "big").read_bytes()
    assert (back / "link").read_text() == "#!/bin/sh\necho ran"
    assert (back / "sub/run").stat().st_mode & 0o111
    with pytest.raises(PayloadTooLargeError):
        sb.files.download_dir("/workspace/there", tmp_path / "small", max_bytes=1000)
    with pytest.raises(NotFoundError):
        sb.files.download_dir("/workspace/nothing", tmp_path / "none")


def test_links_that_lead_out_stay_behind(sb: Sandbox, tmp_path: pathlib.Path) -> None:
    sb.run_command("mkdir evil; ln -s /etc/passwd evil/link; ln -s ../.. evil/up", check=True)
    sb.files.download_dir("/workspace/evil", tmp_path / "evil")
    assert list((tmp_path / "evil").iterdir()) == []


def test_asynchronously(server: tuple[str, str], sb: Sandbox, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_text("1")

    async def main() -> None:
        async with AsyncClient(*server) as client:
            files = (await AsyncSandbox.connect(sb.id, client=client)).files
            await files.upload_dir(tmp_path, "/workspace/up")
            assert await files.download_dir("/workspace/up", tmp_path / "down") == 1
            assert (tmp_path / "down/a").read_text() == "1"
            await files.move("up/a", "b")
            await files.copy("b", "c")
            await files.mkdir("d")
            await files.chmod("c", 0o600)
            assert (await files.signed_url("c")).url
            async with await files.watch() as events:
                await files.write("e", "")
                async for event in events:
                    if event.path == "/workspace/e":
                        break

    asyncio.run(main())
