"""Warm pools, runtimes and profiles, against a server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Callable, Iterator

import pytest

from secureagent import (
    AsyncClient,
    Client,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PoolStatus,
    Sandbox,
    UnavailableError,
    WarmPool,
)  # fmt: skip


@pytest.fixture
def pools(client: Client) -> Iterator[list[str]]:
    """Names of pools that go after the test."""
    names: list[str] = []
    yield names
    for name in names:
        client.warm_pools.delete(name)


def make(client: Client, pools: list[str], name: str, **more: Any) -> WarmPool:
    pools.append(name)
    return client.warm_pools.create(name, "bash", **{"min_size": 0, "max_size": 0, **more})


def test_a_life(client: Client, pools: list[str]) -> None:
    made = make(
        client, pools, "sdk-life", ttl=600, resources={"memory": "256Mi"}, labels={"team": "blue"},
        scaling={"params": {"targetUtilization": 70}},
    )  # fmt: skip
    assert (made.name, made.runtime, made.min_size, made.spec["ttl"]) == (
        "sdk-life",
        "bash",
        0,
        600,
    )
    assert made.labels == {"team": "blue"}
    assert not made.deleting
    assert client.warm_pools.get("sdk-life").uid == made.uid
    assert "sdk-life" in [pool.name for pool in client.warm_pools.list(labels={"team": "blue"})]
    assert client.warm_pools.list(labels="team=green") == []
    changed = client.warm_pools.update(
        "sdk-life", max_size=3, labels={"team": None, "tier": "a"}, ttl=None, placement=None
    )
    assert (changed.max_size, changed.spec["ttl"]) == (3, 600)
    assert changed.labels == {"tier": "a"}
    assert changed.spec["scaling"]["params"] == {"targetUtilization": 70}
    assert isinstance(client.warm_pools.status("sdk-life"), PoolStatus)
    assert client.warm_pools.delete("sdk-life")
    assert not client.warm_pools.delete("sdk-life")
    for lookup in (client.warm_pools.get, client.warm_pools.status):
        with pytest.raises(NotFoundError):
            lookup("sdk-life")


def test_versions(
    client: Client, pools: list[str], until: Callable[[str, Callable[[], object]], None]
) -> None:
    made = make(client, pools, "sdk-versions")
    with pytest.raises(ConflictError):
        make(client, pools, "sdk-versions")

    def changed() -> bool:
        """A controller may be faster."""
        newest = client.warm_pools.get("sdk-versions").resource_version
        try:
            client.warm_pools.update("sdk-versions", ttl=60, resource_version=newest)
        except ConflictError:
            return False
        return True

    until("a change of the newest version", changed)
    for stale in (client.warm_pools.update, client.warm_pools.delete):
        with pytest.raises(ConflictError, match="version"):
            stale("sdk-versions", resource_version=made.resource_version)


def test_what_is_wrong_is_named(client: Client) -> None:
    with pytest.raises(InvalidRequestError) as wrong:
        client.warm_pools.create("sdk-wrong", min_size=5, max_size=2)
    assert wrong.value.details[0].path == "spec.minSize"
    with pytest.raises(InvalidRequestError) as wrong:
        client.warm_pools.create("sdk-wrong", scaling={"rule": "guess"})
    assert wrong.value.details[0].path == "spec.scaling.rule"
    with pytest.raises(InvalidRequestError) as wrong:
        client.warm_pools.create("sdk-wrong", colour="red")
    assert wrong.value.details[0].path == "spec.colour"


def test_a_watch(client: Client, pools: list[str]) -> None:
    make(client, pools, "sdk-watch")
    with client.warm_pools.watch("sdk-watch") as events:
        first = next(events)
        assert (first.type, first.pool.name) == ("added", "sdk-watch")
        client.warm_pools.update("sdk-watch", ttl=77)
        # A controller may write to it, too.
        assert any(e.pool.spec["ttl"] == 77 for e in events if e.type == "modified")
        client.warm_pools.delete("sdk-watch")
        assert any(e.type == "deleted" for e in events)


def test_roles(client: Client, server: tuple[str, str]) -> None:
    key = client.keys.create("sdk-developer")
    with Client(server[0], key.key) as developer:
        assert isinstance(developer.warm_pools.list(), list)
        assert isinstance(developer.runtimes.list(), list)
        with pytest.raises(PermissionDeniedError):
            developer.warm_pools.create("sdk-not-mine")
    client.keys.revoke(key.id)


def test_runtimes_and_profiles(client: Client) -> None:
    for runtime in client.runtimes.list():
        assert client.runtimes.get(runtime.name).language == runtime.language
    for profile in client.profiles.list():
        assert client.profiles.get(profile.name).name == profile.name
    for area in (client.runtimes, client.profiles):
        with pytest.raises(NotFoundError):
            area.get("there-is-none")


def test_a_cold_start(client: Client) -> None:
    with Sandbox.create("bash", warm="never", client=client) as sb:
        assert sb.run_command("echo yes").stdout == "yes\n"
        assert sb.info.start in ("", "cold")


def test_what_is_asked_of_a_sandbox(client: Client) -> None:
    for wrong, path in (
        ({"profile": "nowhere"}, "profileRef"),
        ({"warm_pool": "nowhere"}, "warmPool"),
        ({"security_level": "iron"}, "securityLevel"),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            Sandbox.create(client=client, **wrong)  # type: ignore[arg-type]
        assert [detail.path for detail in caught.value.details] == [path]
    with pytest.raises(UnavailableError, match="egress.gateway"):
        Sandbox.create(client=client, networkAccess={"egress": [{"domain": "pypi.org"}]})
    with Sandbox.create(
        client=client, security_level="standard", networkAccess={"ingress": {"ports": [80]}}
    ) as sandbox:
        assert sandbox.info.raw["networkAccess"]["ingress"]["ports"] == [80]


def test_asyncio(server: tuple[str, str]) -> None:
    async def main() -> None:
        async with AsyncClient(*server) as client:
            with contextlib.suppress(ConflictError):
                await client.warm_pools.create("sdk-aio", "bash", min_size=0, max_size=0)
            assert (await client.warm_pools.get("sdk-aio")).name == "sdk-aio"
            assert "sdk-aio" in [pool.name for pool in await client.warm_pools.list()]
            async with await client.warm_pools.watch("sdk-aio") as events:
                assert (await events.__anext__()).type == "added"
                await client.warm_pools.update("sdk-aio", ttl=99)
                async for event in events:
                    if event.pool.spec["ttl"] == 99:
                        break
            assert (await client.warm_pools.status("sdk-aio")).hits == 0
            await client.runtimes.list()
            await client.profiles.list()
            assert await client.warm_pools.delete("sdk-aio")

    asyncio.run(main())
