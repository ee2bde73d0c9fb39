"""Running code, commands and terminals in a sandbox."""

from __future__ import annotations

from typing import List, Literal, Mapping, overload

from .._core import contexts as context_operations
from .._core import executions as execution_operations
from .._core import ports as port_operations
from .._core import terminal as terminal_protocol
from .._core.callbacks import Callbacks, OnError, OnResult, OnText
from .._core.executions import Command, Job, checked
from ..errors import CommandError, NotFoundError
from ..models import Context, InstalledPackage, Limits
from ..results import Execution
from .base import SandboxBase
from .contexts import context_id
from .executions import ExecutionStream, Process
from .terminal import Terminal


class SandboxRuns(SandboxBase):
    """What runs in a sandbox."""

    @overload
    def run_code(
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
    def run_code(
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
    ) -> ExecutionStream: ...

    def run_code(
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
    ) -> Execution | ExecutionStream:
        """Run code as a notebook does: variables stay from one call to the next.

        Each language has a default context in the sandbox, made with the first code. Give
        `context` to use another, or `isolated=True` for a process of its own that leaves nothing
        behind but files. Go always runs isolated. Who connects to a sandbox that is there takes the
        oldest context of the language for the default one.

        Where the default context is gone, as after a crash of the server, a new one takes its
        place: files are still there, variables are not.

        Args:
            code: The code. The value of its last expression is the `text` of what is returned.
            language: `python`, `node`, `bash` or `go`; by default the sandbox's.
            context: Where to run it, instead of the default context.
            isolated: Run it in a process of its own.
            env: Environment variables, for this execution.
            cwd: The working folder; only with `isolated`.
            stdin: What it reads from its standard input; True leaves it open for `send_stdin`.
            timeout: Seconds after which it is ended; by default 60.
            limits: Limits of its own; only with `isolated`.
            check: Raise if it does not succeed.
            stream: Return at once, with the output as an iterator.
            on_stdout: Called with text as it is printed.
            on_stderr: Called with text as it is printed to standard error.
            on_result: Called with each `Result`.
            on_error: Called with an exception that the code did not catch.

        Returns:
            What came of it; with `stream=True` an `ExecutionStream`. Without `stream` and
            callbacks, the first 4 MiB of each output.

        Raises:
            CommandError: It did not succeed, and `check` was given.
            NotFoundError: The sandbox has ended.

        Example:
            >>> sb.run_code("x = 41")
            >>> sb.run_code("x + 1").text
            '42'
        """
        job = Job(
            code=code, language=language, env=env, cwd=cwd, stdin=stdin, timeout=timeout,
            limits=limits,
        )  # fmt: skip
        callbacks = Callbacks(on_stdout, on_stderr, on_result, on_error)
        language = language or self.runtime
        if context is not None:
            return self._execute(job.within(context_id(context)), check, stream, callbacks)
        if isolated or language not in context_operations.STATEFUL:
            return self._execute(job.stateless(language), check, stream, callbacks)
        default = self._default_context(language)
        try:
            return self._execute(job.within(default), check, stream, callbacks)
        except NotFoundError:
            # The context is gone, or the sandbox: then making another one says so.
            self._defaults.forget(default)
            default = self._default_context(language)
            return self._execute(job.within(default), check, stream, callbacks)

    def _default_context(self, language: str) -> str:
        with self._lock:  # two threads shall not make two of them
            known = self._defaults.known(language)
            if known is not None:
                return known
            return self._run(self._defaults.find(self._wire, self.id, language))

    def _execute(
        self, job: Job, check: bool, stream: bool, callbacks: Callbacks
    ) -> Execution | ExecutionStream:
        if stream or callbacks:
            running = ExecutionStream(
                self, execution_operations.stream(self._wire, self.id, job), check=check
            )
            if stream:
                return running
            with running:
                return running._drain(callbacks)
        found = self._run(execution_operations.run(self._wire, self.id, job))
        return checked(found) if check else found

    @overload
    def run_command(
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
    def run_command(
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
    ) -> ExecutionStream: ...

    @overload
    def run_command(
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
    ) -> Process: ...

    def run_command(
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
    ) -> Execution | ExecutionStream | Process:
        r"""Run a program.

        Args:
            command: A string for `/bin/sh -c`, or a program and its arguments.
            env: Environment variables, beside the sandbox's.
            cwd: The working folder; by default `/workspace`.
            stdin: What it reads from its standard input; True leaves it open for `send_stdin`.
            timeout: Seconds after which it is ended; by default 60.
            limits: Limits of its own.
            tty: Give it a terminal of so many rows and columns; all output is then `stdout`.
            check: Raise if its exit code is not 0.
            background: Return a `Process` at once and let it run.
            stream: Return at once, with the output as an iterator.
            on_stdout: Called with text as it is printed.
            on_stderr: Called with text as it is printed to standard error.

        Returns:
            What came of it; with `stream=True` an `ExecutionStream`, with `background=True` a
            `Process`. Without any, the first 4 MiB of each output.

        Raises:
            CommandError: It did not succeed, and `check` was given.
            NotFoundError: The sandbox has ended.

        Example:
            >>> sb.run_command("ls | wc -l").stdout
            '0\n'
            >>> for chunk in sb.run_command(["ls", "-la"], stream=True):
            ...     print(chunk.data, end="")
        """
        job = Job(
            command=command, env=env, cwd=cwd, stdin=stdin, timeout=timeout, limits=limits, tty=tty
        )
        if background:
            started = self._run(execution_operations.start(self._wire, self.id, job))
            return Process(self, started.id, started.pid)
        return self._execute(job, check, stream, Callbacks(on_stdout, on_stderr))

    def terminal(
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
    ) -> Terminal:
        r"""Open a terminal, as a person would: with job control, colours, full-screen programs.

        Args:
            rows: Its height.
            cols: Its width.
            command: What runs on it; by default a shell.
            env: Environment variables, beside the sandbox's.
            cwd: The working folder.
            timeout: Seconds after which it is ended; by default a day.
            attach: The `id` of a terminal that was opened before: take it up again.
            offset: With `attach`, where: the `offset` of that terminal.

        Raises:
            NotFoundError: The sandbox has ended.
            ConnectionFailedError: The server could not be reached.

        Example:
            >>> with sb.terminal(rows=30, cols=100) as terminal:
            ...     terminal.write("exit\n")
        """
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
        return Terminal(self._wire.config, url, attach, offset)

    def install(
        self,
        *packages: str,
        manager: str = "pip",
        timeout: float | None = None,
        check: bool = True,
    ) -> List[InstalledPackage]:
        """Install packages with pip or npm, from where the operator of the server offers them.

        Args:
            *packages: Names, with versions if need be: `"pandas"`, `"rich==13.7.1"`.
            manager: `pip` or `npm`.
            timeout: Seconds after which it is given up; by default 300.
            check: Raise if it does not succeed; otherwise the list is then empty.

        Raises:
            CommandError: The manager failed; its output is in `execution`.
            ConflictError: The server offers no packages.

        Example:
            >>> sb.install("pandas")
        """
        execution, installed = self._run(
            port_operations.install(self._wire, self.id, packages, manager, timeout)
        )
        if check and not execution.ok:
            raise CommandError(execution)
        return [*installed]
