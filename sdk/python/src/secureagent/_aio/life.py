"""The life of a sandbox, on asyncio."""

from __future__ import annotations

from typing import List, Mapping

from .._core import sandboxes as operations
from .._core.effects import Operation
from .._docs import documented_by
from .._sync.life import SandboxLife
from ..models import Event, Lifecycle, Metrics, SandboxInfo
from .base import AsyncSandboxBase


@documented_by(SandboxLife)
class AsyncSandboxLife(AsyncSandboxBase):
    async def get_info(self) -> SandboxInfo:
        self.info = await self._run(operations.get(self._wire, self.id))
        return self.info

    async def kill(self) -> bool:
        return await self._run(operations.kill(self._wire, self.id))

    async def pause(self) -> SandboxInfo:
        return await self._changed(operations.pause(self._wire, self.id))

    async def resume(self) -> SandboxInfo:
        return await self._changed(operations.resume(self._wire, self.id))

    async def set_timeout(self, seconds: int) -> SandboxInfo:
        return await self._changed(operations.set_timeout(self._wire, self.id, seconds))

    async def update(
        self,
        *,
        labels: Mapping[str, str | None] | None = None,
        annotations: Mapping[str, str | None] | None = None,
        timeout: int | None = None,
        lifecycle: Lifecycle | None = None,
    ) -> SandboxInfo:
        return await self._changed(
            operations.update(
                self._wire,
                self.id,
                labels=labels,
                annotations=annotations,
                timeout=timeout,
                lifecycle=lifecycle,
            )
        )

    async def _changed(self, operation: Operation[SandboxInfo]) -> SandboxInfo:
        self.info = await self._run(operation)
        return self.info

    async def wait(self, phase: str = "Running", *, timeout: float = 60.0) -> SandboxInfo:
        return await self._changed(operations.wait(self._wire, self.id, phase, timeout))

    async def metrics(self) -> Metrics:
        return await self._run(operations.metrics(self._wire, self.id))

    async def events(self, *, after: int = 0, limit: int = 500) -> List[Event]:
        return await self._run(operations.events(self._wire, self.id, after, limit))
