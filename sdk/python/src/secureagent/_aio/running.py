"""Running code, commands and terminals in a sandbox, on asyncio."""

from __future__ import annotations

from typing import List, Literal, Mapping, overload

from .._core import contexts as context_operations
from .._core import executions as execution_operations
from .._core import ports as port_operations
from .._core import terminal as terminal_protocol
from .._core.callbacks import Callbacks, OnError, OnResult, OnText
from .._core.executions import Command, Job, checked
from .._docs import documented_by
from .._sync.contexts import context_id
from .._sync.running import SandboxRuns
from ..errors import CommandError, NotFoundError
from ..models import Context, InstalledPackage, Limits
from ..results import Execution
from .base import AsyncSandboxBase
from .executions import AsyncExecutionStream, AsyncProcess
from .terminal import AsyncTerminal


@documented_by(SandboxRuns)
class AsyncSandboxRuns(AsyncSandboxBase):
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
