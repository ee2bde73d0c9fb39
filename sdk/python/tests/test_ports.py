"""Servers inside a sandbox, seen from outside."""

from __future__ import annotations

import asyncio
from typing import Callable

import httpx
import pytest

from secureagent import AsyncClient, AsyncSandbox, Client, Sandbox

Until = Callable[[str, Callable[[], object]], None]


@pytest.fixture
def serving(sb: Sandbox, until: Until) -> Sandbox:
    """A sandbox with a web server on port 8000."""
    sb.files.write("site/hello.txt", "hello from inside")
    sb.run_command("python3 -m http.server 8000 -d site", background=True, timeout=600)
    until("the server to listen", lambda: [port.port for port in sb.ports.list()] == [8000])
    return sb


def test_ports(serving: Sandbox, client: Client, server: tuple[str, str]) -> None:
    (port,) = serving.ports.list()
    assert port.port == 8000
    url = serving.ports.url(8000, "hello.txt")
    assert url.startswith(client.url)
    with httpx.Client(trust_env=False) as outside:
        assert outside.get(url, headers={"X-API-Key": server[1]}).text == "hello from inside"
        assert outside.get(url, headers=serving.ports.headers()).text == "hello from inside"
        assert outside.get(url).status_code == 401


def test_signed_urls(serving: Sandbox, client: Client) -> None:
    signed = httpx.URL(str(serving.ports.signed_url(8000, expires_in=600)))
    # Browsers know that *.localhost is this machine; resolvers need not.
    here = signed.copy_with(host=httpx.URL(client.url).host)
    host = {"Host": signed.netloc.decode()}
    first = httpx.get(here, headers=host, trust_env=False)
    assert first.status_code == 302
    cookie = {"Cookie": first.headers["Set-Cookie"].partition(";")[0]}
    page = here.copy_with(raw_path=httpx.URL(first.headers["Location"]).raw_path)
    assert httpx.get(page, headers=host, trust_env=False).status_code == 401
    assert "hello.txt" in httpx.get(page, headers={**host, **cookie}, trust_env=False).text


def test_no_ports(sb: Sandbox) -> None:
    assert sb.ports.list() == []


def test_asynchronously(server: tuple[str, str], serving: Sandbox) -> None:
    async def main() -> None:
        async with AsyncClient(*server) as client:
            there = await AsyncSandbox.connect(serving.id, client=client)
            assert [port.port for port in await there.ports.list()] == [8000]
            assert there.ports.url(8000) == serving.ports.url(8000)
            assert (await there.ports.signed_url(8000)).url

    asyncio.run(main())
