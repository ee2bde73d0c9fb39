"""Sandboxes, blocking."""

from __future__ import annotations

import threading
from typing import Any, Iterator, List, Literal, Mapping, Sequence, TypeVar, overload

from .._core import contexts as context_operations
from .._core import executions as execution_operations
from .._core import ports as port_operations
from .._core import sandboxes as operations
from .._core import terminal as terminal_protocol
from .._core.callbacks import Callbacks, OnError, OnResult, OnText
from .._core.effects import Operation
from .._core.executions import Command, Job, checked
from ..errors import CommandError, NotFoundError
from ..models import Context, Event, InstalledPackage, Lifecycle, Limits, Metrics, SandboxInfo
from ..results import Execution
from .client import Client
from .contexts import Contexts, context_id
from .driver import Running
from .executions import Executions, ExecutionStream, Process
from .files import Files
from .ports import Ports
from .terminal import Terminal

T = TypeVar("T")


class Sandbox:
    """A sandbox: a place of its own to run code that nobody has reviewed.

    Get one with `Sandbox.create()` or `Sandbox.connect()`. As a context manager, a sandbox that was
    created is ended at the end of the block, and one that was connected to is left as it is.

    Attributes:
        id: Its id.
        runtime: The language it is for.
        info: What the server said when it was created or connected to; `get_info()` asks again.
        files: Its files.
        contexts: Its warm interpreters.
        executions: What runs and ran in it.
        ports: Servers inside it.

    Example:
        >>> with Sandbox.create(runtime="python") as sb:
        ...     print(sb.run_code("6 * 7").text)
        42
    """

    def __init__(self, info: SandboxInfo, client: Client, *, created: bool, own: bool) -> None:
        self.info = info
        self.id = info.id
        self.runtime = info.runtime
        self._client, self._wire = client, client._wire
        self._created, self._own = created, own
        self._defaults = context_operations.Defaults(adopt=not created)
        self._lock = threading.Lock()
        self.files = Files(self)
        self.contexts = Contexts(self)
        self.executions = Executions(self)
        self.ports = Ports(self)

    def _run(self, operation: Operation[T]) -> T:
        return self._client._driver.run(operation)

    # ---- getting one ----

    @classmethod
    def create(
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
        client: Client | None = None,
        url: str | None = None,
        api_key: str | None = None,
        **more: Any,
    ) -> Sandbox:
        """Make a sandbox and wait until it runs, which takes milliseconds.

        Args:
            runtime: The language it is for: `python`, `node`, `bash` or `go`.
            timeout: Seconds until it ends by itself; by default 300.
            env: Environment variables of all that runs in it.
            labels: To find it again with `Sandbox.list(labels=…)`.
            annotations: Notes of your own; the server does not read them.
            name: Its host name inside.
            resources: `cpu`, `memory`, `ephemeralStorage` as Kubernetes writes them
                (`{"cpu": "500m", "memory": "1Gi"}`), and `pids`.
            lifecycle: What happens when it is idle or its time is over.
            imports: Python modules that stateless runs have imported already.
            client: Connections to share; by default it has its own.
            url: The server; see `Client`.
            api_key: The key; see `Client`.
            **more: Other members of the request, as the API names them.

        Raises:
            AuthenticationError: The key is not valid.
            QuotaExceededError: There are too many sandboxes.
            PolicyDeniedError: A policy of the operator is against it.
            InvalidRequestError: A member is wrong; `details` says which.

        Example:
            >>> sb = Sandbox.create(timeout=60, env={"STAGE": "test"}, labels={"job": "7"})
            >>> sb.kill()
            True
        """
        with _client(client, url, api_key) as shared:
            info = shared._driver.run(
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
    def connect(
        cls,
        sandbox: str,
        *,
        client: Client | None = None,
        url: str | None = None,
        api_key: str | None = None,
    ) -> Sandbox:
        """Use a sandbox that is there.

        Args:
            sandbox: Its id.
            client: Connections to share; by default it has its own.
            url: The server; see `Client`.
            api_key: The key; see `Client`.

        Raises:
            NotFoundError: There is no such sandbox.

        Example:
            >>> Sandbox.connect(sb.id).run_code("x").text   # what run_code left there
        """
        with _client(client, url, api_key) as shared:
            info = shared._driver.run(operations.get(shared._wire, sandbox))
            return cls(info, shared, created=False, own=client is None)

    @classmethod
    def list(
        cls,
        *,
        labels: Mapping[str, str] | str | None = None,
        phase: str | None = None,
        ended: bool = False,
        client: Client | None = None,
        url: str | None = None,
        api_key: str | None = None,
    ) -> Iterator[SandboxInfo]:
        """Sandboxes, the newest first; more are fetched as the iteration goes on.

        Args:
            labels: Only those with these labels, or a selector as Kubernetes writes it
                (`"team=red,stage!=test"`).
            phase: Only those in this phase, e.g. `Running`.
            ended: Also those that have ended.
            client: Connections to share.
            url: The server; see `Client`.
            api_key: The key; see `Client`.

        Raises:
            InvalidRequestError: The selector is wrong.

        Example:
            >>> for info in Sandbox.list(labels={"job": "7"}):
            ...     Sandbox.connect(info.id).kill()
        """
        shared = client or Client(url, api_key)
        try:
            yield from Running(
                shared._driver,
                operations.list_all(shared._wire, labels=labels, phase=phase, ended=ended),
            )
        finally:
            if client is None:
                shared.close()

    # ---- running code ----

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

    # ---- its life ----

    def get_info(self) -> SandboxInfo:
        """How it stands now.

        Raises:
            NotFoundError: The server does not know it any more.

        Example:
            >>> sb.get_info().phase
            'Running'
        """
        self.info = self._run(operations.get(self._wire, self.id))
        return self.info

    def kill(self) -> bool:
        """End it and everything in it. False when it had ended already.

        Example:
            >>> sb.kill()
            True
        """
        return self._run(operations.kill(self._wire, self.id))

    def pause(self) -> SandboxInfo:
        """Freeze it: nothing runs, memory stays, its timeout does not count.

        Raises:
            ConflictError: It does not run.

        Example:
            >>> sb.pause().phase
            'Paused'
        """
        return self._changed(operations.pause(self._wire, self.id))

    def resume(self) -> SandboxInfo:
        """Let it run on.

        Raises:
            ConflictError: It is not paused.

        Example:
            >>> sb.resume().phase
            'Running'
        """
        return self._changed(operations.resume(self._wire, self.id))

    def set_timeout(self, seconds: int) -> SandboxInfo:
        """Say anew when it ends.

        Args:
            seconds: From now.

        Raises:
            NotFoundError: It has ended.

        Example:
            >>> sb.set_timeout(600).expires_at
        """
        return self._changed(operations.set_timeout(self._wire, self.id, seconds))

    def update(
        self,
        *,
        labels: Mapping[str, str | None] | None = None,
        annotations: Mapping[str, str | None] | None = None,
        timeout: int | None = None,
        lifecycle: Lifecycle | None = None,
    ) -> SandboxInfo:
        """Change what is said about it. What is not given stays.

        Args:
            labels: To set; None as a value removes one.
            annotations: To set; None as a value removes one.
            timeout: Seconds from now until it ends.
            lifecycle: What happens when it is idle or its time is over.

        Raises:
            InvalidRequestError: A value is not allowed.

        Example:
            >>> sb.update(labels={"stage": "done"}).labels["stage"]
            'done'
        """
        return self._changed(
            operations.update(
                self._wire,
                self.id,
                labels=labels,
                annotations=annotations,
                timeout=timeout,
                lifecycle=lifecycle,
            )
        )

    def _changed(self, operation: Operation[SandboxInfo]) -> SandboxInfo:
        self.info = self._run(operation)
        return self.info

    def wait(self, phase: str = "Running", *, timeout: float = 60.0) -> SandboxInfo:
        """Wait until it is in a phase.

        Args:
            phase: E.g. `Running`, `Paused`, `Terminated`.
            timeout: Most seconds to wait.

        Raises:
            RequestTimeoutError: It was not, in that time.
            ConflictError: It cannot come there any more.

        Example:
            >>> sb.wait("Terminated", timeout=600)
        """
        return self._changed(operations.wait(self._wire, self.id, phase, timeout))

    def metrics(self) -> Metrics:
        """What it uses now.

        Raises:
            NotFoundError: It has ended.

        Example:
            >>> sb.metrics().memory_bytes < sb.metrics().memory_limit_bytes
            True
        """
        return self._run(operations.metrics(self._wire, self.id))

    def events(self, *, after: int = 0, limit: int = 500) -> List[Event]:
        """What happened to it, the oldest first; what it tried and was refused, too.

        Args:
            after: Only events with a higher `seq`.
            limit: Most events, up to 500.

        Raises:
            NotFoundError: The server does not know it any more.

        Example:
            >>> [event.message for event in sb.events() if event.type == "Security"]
            []
        """
        return self._run(operations.events(self._wire, self.id, after, limit))

    def close(self) -> None:
        """Close the connections to it, if they are its own. The sandbox runs on.

        Example:
            >>> sb.close()
        """
        if self._own:
            self._client.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *failure: Any) -> None:
        try:
            if self._created:
                self.kill()
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"Sandbox({self.id!r}, runtime={self.runtime!r}, phase={self.info.phase!r})"


class _client:  # noqa: N801
    """The client given, or one of its own that is closed again if the block fails."""

    def __init__(self, given: Client | None, url: str | None, api_key: str | None) -> None:
        self._given = given
        self._client = given or Client(url, api_key)

    def __enter__(self) -> Client:
        return self._client

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None and self._given is None:
            self._client.close()
