"""Sandboxes, on asyncio."""

from __future__ import annotations

from typing import Any, AsyncIterator, Mapping, Sequence, TypeVar

from .._core import sandboxes as operations
from .._docs import documented_by
from .._sync.sandbox import Sandbox as _Sandbox
from ..models import Lifecycle, SandboxInfo
from .client import AsyncClient
from .contexts import AsyncContexts
from .driver import Running
from .executions import AsyncExecutions
from .files import AsyncFiles
from .life import AsyncSandboxLife
from .ports import AsyncPorts
from .running import AsyncSandboxRuns

T = TypeVar("T")


@documented_by(_Sandbox)
class AsyncSandbox(AsyncSandboxRuns, AsyncSandboxLife):
    def __init__(self, info: SandboxInfo, client: AsyncClient, *, created: bool, own: bool) -> None:
        super().__init__(info, client, created=created)
        self._own = own
        self.files = AsyncFiles(self)
        self.contexts = AsyncContexts(self)
        self.executions = AsyncExecutions(self)
        self.ports = AsyncPorts(self)

    # ---- getting one ----

    @classmethod
    async def create(
        cls,
        runtime: str = "python",
        *,
        timeout: int | None = None,
        env: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        name: str | None = None,
        resources: Mapping[str, Any] | None = None,
        lifecycle: Lifecycle | None = None,
        imports: Sequence[str] | None = None,
        security_level: str | None = None,
        profile: str | None = None,
        warm: str | None = None,
        warm_pool: str | None = None,
        client: AsyncClient | None = None,
        url: str | None = None,
        api_key: str | None = None,
        **more: Any,
    ) -> AsyncSandbox:
        async with _client(client, url, api_key) as shared:
            info = await shared._driver.run(
                operations.create(
                    shared._wire,
                    runtime=runtime,
                    timeout=timeout,
                    env=env,
                    labels=labels,
                    annotations=annotations,
                    name=name,
                    resources=resources,
                    lifecycle=lifecycle,
                    imports=imports,
                    security_level=security_level,
                    profile=profile,
                    warm=warm,
                    warm_pool=warm_pool,
                    more=more,
                )
            )
            return cls(info, shared, created=True, own=client is None)

    @classmethod
    async def connect(
        cls,
        sandbox: str,
        *,
        client: AsyncClient | None = None,
        url: str | None = None,
        api_key: str | None = None,
    ) -> AsyncSandbox:
        async with _client(client, url, api_key) as shared:
            info = await shared._driver.run(operations.get(shared._wire, sandbox))
            return cls(info, shared, created=False, own=client is None)

    @classmethod
    async def list(
        cls,
        *,
        labels: Mapping[str, str] | str | None = None,
        phase: str | None = None,
        ended: bool = False,
        client: AsyncClient | None = None,
        url: str | None = None,
        api_key: str | None = None,
    ) -> AsyncIterator[SandboxInfo]:
        shared = client or AsyncClient(url, api_key)
        try:
            operation = operations.list_all(shared._wire, labels=labels, phase=phase, ended=ended)
            async for info in Running(shared._driver, operation):
                yield info
        finally:
            if client is None:
                await shared.close()

    async def close(self) -> None:
        if self._own:
            await self._client.close()

    async def __aenter__(self) -> AsyncSandbox:
        return self

    async def __aexit__(self, *failure: Any) -> None:
        try:
            if self._created:
                await self.kill()
        finally:
            await self.close()

    def __repr__(self) -> str:
        return f"AsyncSandbox({self.id!r}, runtime={self.runtime!r}, phase={self.info.phase!r})"


class _client:  # noqa: N801
    """The client given, or one of its own that is closed again if the block fails."""

    def __init__(self, given: AsyncClient | None, url: str | None, api_key: str | None) -> None:
        self._given = given
        self._client = given or AsyncClient(url, api_key)

    async def __aenter__(self) -> AsyncClient:
        return self._client

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None and self._given is None:
            await self._client.close()
