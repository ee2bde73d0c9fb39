"""Installing packages, from where the operator of a server offers them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import pathlib
import tempfile
import zipfile
from typing import Iterator

import pytest
from conftest import started

from secureagent import (
    AsyncClient,
    AsyncSandbox,
    Client,
    CommandError,
    ConflictError,
    InstalledPackage,
    Sandbox,
)


def make_wheel(folder: pathlib.Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = hashlib.sha256(text.encode()).digest()
        safe = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        record += f"{path},sha256={safe},{len(text)}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


@pytest.fixture(scope="module")
def offering() -> Iterator[tuple[str, str]]:
    """A server that offers one package."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # those in the sandboxes read it, too
        make_wheel(folder, "tinysdk", "1.2")
        with started("--package-mirror", name) as ready:
            yield ready


def test_installing(offering: tuple[str, str]) -> None:
    with Client(*offering) as client, Sandbox.create(client=client) as sb:
        assert sb.install("tinysdk") == [InstalledPackage("tinysdk", "1.2")]
        assert sb.run_code("import tinysdk; tinysdk.version").text == "'1.2'"
        with pytest.raises(CommandError) as caught:
            sb.install("there-is-no-such-package")
        assert "there-is-no-such-package" in caught.value.execution.stderr
        assert sb.install("there-is-no-such-package", check=False) == []


def test_a_server_that_offers_nothing(sb: Sandbox) -> None:
    with pytest.raises(ConflictError, match="package-mirror"):
        sb.install("numpy")


def test_asynchronously(offering: tuple[str, str]) -> None:
    async def main() -> None:
        async with AsyncClient(*offering) as client:
            sb = await AsyncSandbox.create(client=client)
            async with sb:
                assert [one.name for one in await sb.install("tinysdk==1.2")] == ["tinysdk"]

    asyncio.run(main())
