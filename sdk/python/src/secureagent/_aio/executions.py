"""What runs, or ran: streams, handles, lists; on asyncio."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, AsyncIterator, List

from .._core import executions as operations
from .._core.callbacks import Callbacks
from .._core.effects import Operation
from .._core.executions import Started
from .._docs import documented_by
from .._sync.executions import Executions as _Executions
from .._sync.executions import ExecutionStream as _ExecutionStream
from .._sync.executions import Process as _Process
from ..models import ExecutionInfo
from ..results import Chunk, Execution
from .driver import Running

if TYPE_CHECKING:
    from .base import AsyncSandboxBase


@documented_by(_Process)
class AsyncProcess:
    def __init__(self, sandbox: AsyncSandboxBase, execution: str, pid: int | None = None) -> None:
        self._sandbox = sandbox
        self.id = execution
        self.pid = pid

    async def _run(self, operation: Operation[Any]) -> Any:
        return await self._sandbox._client._driver.run(operation)

    async def info(self) -> ExecutionInfo:
        found: ExecutionInfo = await self._run(
            operations.get(self._sandbox._wire, self._sandbox.id, self.id)
        )
        return found

    async def stream(self, offset: int = 0) -> AsyncExecutionStream:
        wire = self._sandbox._wire
        operation = operations.follow(wire, self._sandbox.id, self.id, offset)
        return await AsyncExecutionStream._open(self._sandbox, operation)

    async def wait(self, timeout: float | None = None) -> Execution:
        wire = self._sandbox._wire
        found: Execution = await self._run(
            operations.follow(wire, self._sandbox.id, self.id, 0, timeout)
        )
        return found

    async def send_stdin(self, data: str | bytes, *, eof: bool = False) -> None:
        await self._run(
            operations.stdin(self._sandbox._wire, self._sandbox.id, self.id, data, eof=eof)
        )

    async def close_stdin(self) -> None:
        await self.send_stdin(b"", eof=True)

    async def signal(self, name: str) -> None:
        await self._run(operations.signal(self._sandbox._wire, self._sandbox.id, self.id, name))

    async def cancel(self) -> None:
        await self._run(operations.cancel(self._sandbox._wire, self._sandbox.id, self.id))

    async def resize(self, rows: int, cols: int) -> None:
        await self._run(
            operations.resize(self._sandbox._wire, self._sandbox.id, self.id, rows, cols)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"


@documented_by(_ExecutionStream)
class AsyncExecutionStream(AsyncProcess):
    def __init__(
        self, sandbox: AsyncSandboxBase, running: Running[Execution], started: Started, check: bool
    ) -> None:
        super().__init__(sandbox, started.id, started.pid)
        self._running, self._check = running, check
        self.offset = 0
        self.execution: Execution | None = None

    @classmethod
    async def _open(
        cls, sandbox: AsyncSandboxBase, operation: Operation[Execution], *, check: bool = False
    ) -> AsyncExecutionStream:
        running: Running[Execution] = Running(sandbox._client._driver, operation)
        started = await running.__anext__()  # so that what is refused is refused here
        return cls(sandbox, running, started, check)

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        try:
            chunk: Chunk = await self._running.__anext__()
        except StopAsyncIteration:
            if self.execution is None and hasattr(self._running, "value"):
                self.execution = self._running.value
                if self._check:
                    operations.checked(self.execution)
            raise
        self.offset = chunk.offset
        return chunk

    async def wait(self, timeout: float | None = None) -> Execution:
        if timeout is not None:
            return await super().wait(timeout)
        return await self._drain(Callbacks())

    async def _drain(self, callbacks: Callbacks) -> Execution:
        async for chunk in self:
            answer = callbacks(chunk)
            if inspect.isawaitable(answer):
                await answer
        if self.execution is None:
            raise ValueError("the stream was closed before its end")
        return self.execution

    async def close(self) -> None:
        await self._running.close()

    async def __aenter__(self) -> AsyncExecutionStream:
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self.close()


@documented_by(_Executions)
class AsyncExecutions:
    def __init__(self, sandbox: AsyncSandboxBase) -> None:
        self._sandbox = sandbox

    async def list(self, *, status: str | None = None) -> List[ExecutionInfo]:
        return await self._sandbox._run(
            operations.list_all(self._sandbox._wire, self._sandbox.id, status)
        )

    async def get(self, execution: str) -> ExecutionInfo:
        return await self._sandbox._run(
            operations.get(self._sandbox._wire, self._sandbox.id, execution)
        )

    async def attach(self, execution: str) -> AsyncProcess:
        found = await self.get(execution)
        return AsyncProcess(self._sandbox, found.id, found.pid)
