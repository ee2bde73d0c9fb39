"""Warm pools, runtimes and profiles, on asyncio."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    AsyncIterator,
    Callable,
    Generic,
    List,
    Mapping,
    Sequence,
    TypeVar,
)

from .._core import resources as operations
from .._core.answers import Fields
from .._docs import documented_by
from .._sync.resources import Catalogue as _Catalogue
from .._sync.resources import PoolWatcher as _PoolWatcher
from .._sync.resources import Profiles as _Profiles
from .._sync.resources import Runtimes as _Runtimes
from .._sync.resources import WarmPools as _WarmPools
from ..resources import PoolEvent, PoolStatus, Profile, Runtime, WarmPool
from .driver import Running

if TYPE_CHECKING:
    from .client import AsyncClient


T = TypeVar("T")


@documented_by(_Catalogue)
class AsyncCatalogue(Generic[T]):
    def __init__(self, client: AsyncClient, path: str, decode: Callable[[Fields], T]) -> None:
        self._client = client
        self._path = path
        self._decode = decode

    async def get(self, name: str) -> T:
        return await self._client._driver.run(
            operations.get(self._client._wire, self._path, name, self._decode)
        )

    async def list(self, *, labels: Mapping[str, str] | str | None = None) -> List[T]:
        return await self._client._driver.run(
            operations.list_all(self._client._wire, self._path, labels, self._decode)
        )


@documented_by(_WarmPools)
class AsyncWarmPools(AsyncCatalogue[WarmPool]):
    def __init__(self, client: AsyncClient) -> None:
        super().__init__(client, operations.POOLS, WarmPool._of)

    async def create(
        self,
        name: str,
        runtime: str = "python",
        *,
        min_size: int | None = None,
        max_size: int | None = None,
        ttl: int | None = None,
        security_level: str | None = None,
        profile: str | None = None,
        resources: Mapping[str, Any] | None = None,
        packages: Sequence[str] | None = None,
        scripts: Sequence[str] | None = None,
        imports: Sequence[str] | None = None,
        scaling: Mapping[str, Any] | None = None,
        recycle: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        **more: Any,
    ) -> WarmPool:
        spec = operations.spec_of(
            runtime=runtime,
            min_size=min_size,
            max_size=max_size,
            ttl=ttl,
            security_level=security_level,
            profile=profile,
            resources=resources,
            packages=packages,
            scripts=scripts,
            imports=imports,
            scaling=scaling,
            recycle=recycle,
            more=more,
        )
        return await self._client._driver.run(
            operations.create_pool(self._client._wire, name, spec, labels, annotations)
        )

    async def update(
        self,
        name: str,
        *,
        runtime: str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        ttl: int | None = None,
        security_level: str | None = None,
        profile: str | None = None,
        resources: Mapping[str, Any] | None = None,
        packages: Sequence[str] | None = None,
        scripts: Sequence[str] | None = None,
        imports: Sequence[str] | None = None,
        scaling: Mapping[str, Any] | None = None,
        recycle: Mapping[str, Any] | None = None,
        labels: Mapping[str, str | None] | None = None,
        annotations: Mapping[str, str | None] | None = None,
        resource_version: str | None = None,
        **more: Any,
    ) -> WarmPool:
        spec = operations.spec_of(
            runtime=runtime,
            min_size=min_size,
            max_size=max_size,
            ttl=ttl,
            security_level=security_level,
            profile=profile,
            resources=resources,
            packages=packages,
            scripts=scripts,
            imports=imports,
            scaling=scaling,
            recycle=recycle,
            more=more,
        )
        return await self._client._driver.run(
            operations.update_pool(
                self._client._wire, name, spec, labels, annotations, resource_version
            )
        )

    async def delete(self, name: str, *, resource_version: str | None = None) -> bool:
        return await self._client._driver.run(
            operations.delete_pool(self._client._wire, name, resource_version)
        )

    async def status(self, name: str) -> PoolStatus:
        return await self._client._driver.run(operations.pool_status(self._client._wire, name))

    async def watch(
        self, name: str | None = None, *, labels: Mapping[str, str] | str | None = None
    ) -> AsyncPoolWatcher:
        operation = operations.watch_pools(self._client._wire, name, labels)
        return await AsyncPoolWatcher._open(Running(self._client._driver, operation))


@documented_by(_PoolWatcher)
class AsyncPoolWatcher(AsyncIterator[PoolEvent]):
    def __init__(self, running: Running[None]) -> None:
        self._running = running

    @classmethod
    async def _open(cls, running: Running[None]) -> AsyncPoolWatcher:
        await running.__anext__()  # so that what is refused is refused here
        return cls(running)

    async def __anext__(self) -> PoolEvent:
        event: PoolEvent = await self._running.__anext__()
        return event

    async def close(self) -> None:
        await self._running.close()

    async def __aenter__(self) -> AsyncPoolWatcher:
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self.close()


@documented_by(_Runtimes)
class AsyncRuntimes(AsyncCatalogue[Runtime]):
    def __init__(self, client: AsyncClient) -> None:
        super().__init__(client, operations.RUNTIMES, Runtime._of)


@documented_by(_Profiles)
class AsyncProfiles(AsyncCatalogue[Profile]):
    def __init__(self, client: AsyncClient) -> None:
        super().__init__(client, operations.PROFILES, Profile._of)
