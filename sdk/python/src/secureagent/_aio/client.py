"""The client for asyncio: connections, configuration, API keys."""

from __future__ import annotations

from typing import Any, List

from .._core import config as configuration
from .._core import ports as operations
from .._core.retry import RetryPolicy
from .._core.wire import Wire
from .._docs import documented_by
from .._sync.client import Client as _Client
from .._sync.client import Keys as _Keys
from ..models import ApiKey
from .driver import Driver
from .resources import AsyncProfiles, AsyncRuntimes, AsyncWarmPools


@documented_by(_Client)
class AsyncClient:
    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        retry: RetryPolicy | None = None,
        ca_file: str | None = None,
    ) -> None:
        config = configuration.load(url, api_key, timeout=timeout, retry=retry, ca_file=ca_file)
        self._driver, self._wire = Driver(config), Wire(config)
        self._keys = AsyncKeys(self)
        self._warm_pools = AsyncWarmPools(self)
        self._runtimes, self._profiles = AsyncRuntimes(self), AsyncProfiles(self)

    @property
    def url(self) -> str:
        return self._wire.config.url

    @property
    def keys(self) -> AsyncKeys:
        return self._keys

    @property
    def warm_pools(self) -> AsyncWarmPools:
        return self._warm_pools

    @property
    def runtimes(self) -> AsyncRuntimes:
        return self._runtimes

    @property
    def profiles(self) -> AsyncProfiles:
        return self._profiles

    async def close(self) -> None:
        await self._driver.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self.url!r})"


@documented_by(_Keys)
class AsyncKeys:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self) -> List[ApiKey]:
        return await self._client._driver.run(operations.list_keys(self._client._wire))

    async def create(
        self, name: str, *, role: str | None = None, expires_in: int | None = None
    ) -> ApiKey:
        return await self._client._driver.run(
            operations.create_key(self._client._wire, name, role, expires_in)
        )

    async def revoke(self, key_id: str) -> None:
        await self._client._driver.run(operations.revoke_key(self._client._wire, key_id))
