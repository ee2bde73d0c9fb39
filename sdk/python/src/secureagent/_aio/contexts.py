"""Warm interpreters of a sandbox, on asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Mapping, Sequence

from .._core import contexts as operations
from .._docs import documented_by
from .._sync.contexts import Contexts as _Contexts
from .._sync.contexts import context_id
from ..models import Context

if TYPE_CHECKING:
    from .base import AsyncSandboxBase


@documented_by(_Contexts)
class AsyncContexts:
    def __init__(self, sandbox: AsyncSandboxBase) -> None:
        self._sandbox = sandbox

    async def create(
        self,
        language: str | None = None,
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        imports: Sequence[str] | None = None,
    ) -> Context:
        made = await self._sandbox._run(
            operations.create(
                self._sandbox._wire,
                self._sandbox.id,
                language or self._sandbox.runtime,
                cwd=cwd,
                env=env,
                imports=imports,
            )
        )
        self._sandbox._defaults.not_default(made.id)
        return made

    async def list(self) -> List[Context]:
        return await self._sandbox._run(operations.list_all(self._sandbox._wire, self._sandbox.id))

    async def get(self, context: Context | str) -> Context:
        return await self._sandbox._run(
            operations.get(self._sandbox._wire, self._sandbox.id, context_id(context))
        )

    async def delete(self, context: Context | str) -> bool:
        self._sandbox._defaults.forget(context_id(context))
        return await self._sandbox._run(
            operations.delete(self._sandbox._wire, self._sandbox.id, context_id(context))
        )

    async def restart(self, context: Context | str) -> None:
        await self._sandbox._run(
            operations.restart(self._sandbox._wire, self._sandbox.id, context_id(context))
        )

    async def interrupt(self, context: Context | str) -> None:
        await self._sandbox._run(
            operations.interrupt(self._sandbox._wire, self._sandbox.id, context_id(context))
        )
