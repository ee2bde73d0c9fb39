"""Servers inside a sandbox, on asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List

from .._core import ports as operations
from .._docs import documented_by
from .._sync.ports import Ports as _Ports
from ..models import Port, SignedUrl

if TYPE_CHECKING:
    from .base import AsyncSandboxBase


@documented_by(_Ports)
class AsyncPorts:
    def __init__(self, sandbox: AsyncSandboxBase) -> None:
        self._sandbox = sandbox

    async def list(self) -> List[Port]:
        return await self._sandbox._run(operations.list_all(self._sandbox._wire, self._sandbox.id))

    def url(self, port: int, path: str = "/") -> str:
        return operations.url(self._sandbox._wire, self._sandbox.id, port, path)

    def headers(self) -> Dict[str, str]:
        return operations.headers(self._sandbox._wire)

    async def signed_url(self, port: int, *, expires_in: int = 3600) -> SignedUrl:
        return await self._sandbox._run(
            operations.signed_url(self._sandbox._wire, self._sandbox.id, port, expires_in)
        )
