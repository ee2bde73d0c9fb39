"""Sandboxes, on asyncio."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator, List, Literal, Mapping, Sequence, TypeVar, overload

from .._core import contexts as context_operations
from .._core import executions as execution_operations
from .._core import ports as port_operations
from .._core import sandboxes as operations
from .._core import terminal as terminal_protocol
from .._core.callbacks import Callbacks, OnError, OnResult, OnText
from .._core.effects import Operation
from .._core.executions import Command, Job, checked
from .._docs import documented_by
from .._sync.contexts import context_id
from .._sync.sandbox import Sandbox as _Sandbox
from ..errors import CommandError, NotFoundError
from ..models import Context, Event, InstalledPackage, Lifecycle, Limits, Metrics, SandboxInfo
from ..results import Execution
from .client import AsyncClient
from .contexts import AsyncContexts
from .driver import Running
from .executions import AsyncExecutions, AsyncExecutionStream, AsyncProcess
from .files import AsyncFiles
from .ports import AsyncPorts
from .terminal import AsyncTerminal

T = TypeVar("T")


@documented_by(_Sandbox)
class AsyncSandbox:
    def __init__(self, info: SandboxInfo, client: AsyncClient, *, created: bool, own: bool) -> None:
        self.info = info
        self.id = info.id
        self.runtime = info.runtime
        self._client, self._wire = client, client._wire
        self._created, self._own = created, own
        self._defaults = context_operations.Defaults(adopt=not created)
        self._lock = asyncio.Lock()
        self.files = AsyncFiles(self)
        self.contexts = AsyncContexts(self)
        self.executions = AsyncExecutions(self)
        self.ports = AsyncPorts(self)

    async def _run(self, operation: Operation[T]) -> T:
        return await self._client._driver.run(operation)

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

    # ---- running code ----

    @overload
    async def run_code(
        self,
        code: str,
        language: str | None = ...,
        context: Context | str | None = ...,
        *,
        isolated: bool = ...,
        env: Mapping[str, str] | None = ...,
        cwd: str | None = ...,
        stdin: str | bool | None = ...,
        timeout: float | None = ...,
        limits: Limits | None = ...,
        check: bool = ...,
        stream: Literal[False] = ...,
        on_stdout: OnText | None = ...,
        on_stderr: OnText | None = ...,
        on_result: OnResult | None = ...,
        on_error: OnError | None = ...,
    ) -> Execution: ...

    @overload
    async def run_code(
        self,
        code: str,
        language: str | None = ...,
        context: Context | str | None = ...,
        *,
        isolated: bool = ...,
        env: Mapping[str, str] | None = ...,
        cwd: str | None = ...,
        stdin: str | bool | None = ...,
        timeout: float | None = ...,
        limits: Limits | None = ...,
        check: bool = ...,
        stream: Literal[True],
    ) -> AsyncExecutionStream: ...

    async def run_code(
        self,
        code: str,
        language: str | None = None,
        context: Context | str | None = None,
        *,
        isolated: bool = False,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: str | bool | None = None,
        timeout: float | None = None,
        limits: Limits | None = None,
        check: bool = False,
        stream: bool = False,
        on_stdout: OnText | None = None,
        on_stderr: OnText | None = None,
        on_result: OnResult | None = None,
        on_error: OnError | None = None,
    ) -> Execution | AsyncExecutionStream:
        job = Job(
            code=code, language=language, env=env, cwd=cwd, stdin=stdin, timeout=timeout,
            limits=limits,
        )  # fmt: skip
        callbacks = Callbacks(on_stdout, on_stderr, on_result, on_error)
        language = language or self.runtime
        if context is not None:
            return await self._execute(job.within(context_id(context)), check, stream, callbacks)
        if isolated or language not in context_operations.STATEFUL:
            return await self._execute(job.stateless(language), check, stream, callbacks)
        default = await self._default_context(language)
        try:
            return await self._execute(job.within(default), check, stream, callbacks)
        except NotFoundError:
            # The context is gone, or the sandbox: then making another one says so.
            self._defaults.forget(default)
            default = await self._default_context(language)
            return await self._execute(job.within(default), check, stream, callbacks)

    async def _default_context(self, language: str) -> str:
        async with self._lock:  # two tasks shall not make two of them
            known = self._defaults.known(language)
            if known is not None:
                return known
            return await self._run(self._defaults.find(self._wire, self.id, language))

    async def _execute(
        self, job: Job, check: bool, stream: bool, callbacks: Callbacks
    ) -> Execution | AsyncExecutionStream:
        if stream or callbacks:
            running = await AsyncExecutionStream._open(
                self, execution_operations.stream(self._wire, self.id, job), check=check
            )
            if stream:
                return running
            async with running:
                return await running._drain(callbacks)
        found = await self._run(execution_operations.run(self._wire, self.id, job))
        return checked(found) if check else found

    @overload
    async def run_command(
        self,
        command: Command,
        *,
        env: Mapping[str, str] | None = ...,
        cwd: str | None = ...,
        stdin: str | bool | None = ...,
        timeout: float | None = ...,
        limits: Limits | None = ...,
        tty: tuple[int, int] | None = ...,
        check: bool = ...,
        background: Literal[False] = ...,
        stream: Literal[False] = ...,
        on_stdout: OnText | None = ...,
        on_stderr: OnText | None = ...,
    ) -> Execution: ...

    @overload
    async def run_command(
        self,
        command: Command,
        *,
        env: Mapping[str, str] | None = ...,
        cwd: str | None = ...,
        stdin: str | bool | None = ...,
        timeout: float | None = ...,
        limits: Limits | None = ...,
        tty: tuple[int, int] | None = ...,
        check: bool = ...,
        stream: Literal[True],
    ) -> AsyncExecutionStream: ...

    @overload
    async def run_command(
        self,
        command: Command,
        *,
        env: Mapping[str, str] | None = ...,
        cwd: str | None = ...,
        stdin: str | bool | None = ...,
        timeout: float | None = ...,
        limits: Limits | None = ...,
        tty: tuple[int, int] | None = ...,
        background: Literal[True],
    ) -> AsyncProcess: ...

    async def run_command(
        self,
        command: Command,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: str | bool | None = None,
        timeout: float | None = None,
        limits: Limits | None = None,
        tty: tuple[int, int] | None = None,
        check: bool = False,
        background: bool = False,
        stream: bool = False,
        on_stdout: OnText | None = None,
        on_stderr: OnText | None = None,
    ) -> Execution | AsyncExecutionStream | AsyncProcess:
        job = Job(
            command=command, env=env, cwd=cwd, stdin=stdin, timeout=timeout, limits=limits, tty=tty
        )
        if background:
            started = await self._run(execution_operations.start(self._wire, self.id, job))
            return AsyncProcess(self, started.id, started.pid)
        return await self._execute(job, check, stream, Callbacks(on_stdout, on_stderr))

    async def terminal(
        self,
        *,
        rows: int = 24,
        cols: int = 80,
        command: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        timeout: float | None = None,
        attach: str | None = None,
        offset: int = 0,
    ) -> AsyncTerminal:
        url = terminal_protocol.address(
            self._wire.config,
            self.id,
            rows=rows,
            cols=cols,
            command=command,
            env=env,
            cwd=cwd,
            timeout=timeout,
            attach=attach,
            offset=offset,
        )
        return await AsyncTerminal._open(self._wire.config, url, attach, offset)

    async def install(
        self,
        *packages: str,
        manager: str = "pip",
        timeout: float | None = None,
        check: bool = True,
    ) -> List[InstalledPackage]:
        execution, installed = await self._run(
            port_operations.install(self._wire, self.id, packages, manager, timeout)
        )
        if check and not execution.ok:
            raise CommandError(execution)
        return [*installed]

    # ---- its life ----

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
