"""What runs, or ran: streams, handles, lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, List

from .._core import executions as operations
from .._core.callbacks import Callbacks
from .._core.effects import Operation
from ..models import ExecutionInfo
from ..results import Chunk, Execution
from .driver import Running

if TYPE_CHECKING:
    from .base import SandboxBase


class Process:
    """Something that runs in a sandbox, whether anybody listens or not.

    Made by `run_command(..., background=True)` and `executions.attach()`.

    Attributes:
        id: Its id at the server.
        pid: Its process id inside the sandbox, or None if that is not known.

    Example:
        >>> server = sb.run_command("python3 -m http.server 8000", background=True)
        >>> server.cancel()
    """

    def __init__(self, sandbox: SandboxBase, execution: str, pid: int | None = None) -> None:
        self._sandbox = sandbox
        self.id = execution
        self.pid = pid

    def _run(self, operation: Operation[Any]) -> Any:
        return self._sandbox._client._driver.run(operation)

    def info(self) -> ExecutionInfo:
        """How it stands now.

        Raises:
            NotFoundError: The server does not know it any more.

        Example:
            >>> process.info().running
            True
        """
        found: ExecutionInfo = self._run(
            operations.get(self._sandbox._wire, self._sandbox.id, self.id)
        )
        return found

    def stream(self, offset: int = 0) -> ExecutionStream:
        """Follow its output, from the beginning or from where an earlier reader left off.

        Args:
            offset: Where to begin: the `offset` of the last chunk that was dealt with.

        Raises:
            NotFoundError: The server does not know it any more.

        Example:
            >>> for chunk in process.stream(offset=last.offset):
            ...     print(chunk.data, end="")
        """
        wire = self._sandbox._wire
        operation = operations.follow(wire, self._sandbox.id, self.id, offset)
        return ExecutionStream(self._sandbox, operation)

    def wait(self, timeout: float | None = None) -> Execution:
        """Wait for its end; all of its output that is still kept.

        Args:
            timeout: Most seconds to wait; None: for ever. It runs on when they are over.

        Raises:
            RequestTimeoutError: It still runs.
            NotFoundError: The server does not know it any more.

        Example:
            >>> process.wait(timeout=30).exit_code
            0
        """
        wire = self._sandbox._wire
        found: Execution = self._run(operations.follow(wire, self._sandbox.id, self.id, 0, timeout))
        return found

    def send_stdin(self, data: str | bytes, *, eof: bool = False) -> None:
        r"""Write to its standard input, which must have been opened with `stdin=True`.

        Args:
            data: What to write.
            eof: Close it then.

        Raises:
            ConflictError: Its input is not open.

        Example:
            >>> process.send_stdin("yes\n")
        """
        self._run(operations.stdin(self._sandbox._wire, self._sandbox.id, self.id, data, eof=eof))

    def close_stdin(self) -> None:
        """Close its standard input.

        Raises:
            ConflictError: It is not open.

        Example:
            >>> process.close_stdin()
        """
        self.send_stdin(b"", eof=True)

    def signal(self, name: str) -> None:
        """Send it a signal.

        Args:
            name: E.g. `SIGINT`.

        Raises:
            ConflictError: It has ended.
            InvalidRequestError: There is no such signal.

        Example:
            >>> process.signal("SIGTERM")
        """
        self._run(operations.signal(self._sandbox._wire, self._sandbox.id, self.id, name))

    def cancel(self) -> None:
        """End it and everything it started. Nothing happens when it has ended already.

        Raises:
            NotFoundError: The server does not know it any more.

        Example:
            >>> process.cancel()
        """
        self._run(operations.cancel(self._sandbox._wire, self._sandbox.id, self.id))

    def resize(self, rows: int, cols: int) -> None:
        """Change the size of its terminal, if it was started with one.

        Raises:
            ConflictError: It has no terminal.

        Example:
            >>> process.resize(rows=50, cols=120)
        """
        self._run(operations.resize(self._sandbox._wire, self._sandbox.id, self.id, rows, cols))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"


class ExecutionStream(Process):
    """The output of something that runs, as it comes: iterate over it.

    When the connection breaks, it is made anew and goes on where it was: no byte is lost or comes
    twice. Closing the stream does not end the program; `cancel()` does.

    Attributes:
        offset: Where the output goes on; `process.stream(offset)` continues there.
        execution: The whole, once the program has ended and all was read; None before.

    Example:
        >>> stream = sb.run_command("ping -c 3 localhost", stream=True)
        >>> for chunk in stream:
        ...     print(chunk.data, end="")
        >>> stream.execution.exit_code
        0
    """

    def __init__(
        self, sandbox: SandboxBase, operation: Operation[Execution], *, check: bool = False
    ) -> None:
        self._running: Running[Execution] = Running(sandbox._client._driver, operation)
        self._check = check
        self.offset = 0
        self.execution: Execution | None = None
        started = next(self._running)  # so that what is refused is refused here
        super().__init__(sandbox, started.id, started.pid)

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        try:
            chunk: Chunk = next(self._running)
        except StopIteration:
            if self.execution is None and hasattr(self._running, "value"):
                self.execution = self._running.value
                if self._check:
                    operations.checked(self.execution)
            raise
        self.offset = chunk.offset
        return chunk

    def wait(self, timeout: float | None = None) -> Execution:
        """Read the rest; the whole with all that was read.

        Args:
            timeout: Most seconds to wait; None: for ever.

        Raises:
            RequestTimeoutError: It still runs.
            CommandError: It did not succeed, and `check=True` was given.

        Example:
            >>> sb.run_command("make", stream=True).wait().ok
            True
        """
        if timeout is not None:
            return super().wait(timeout)
        return self._drain(Callbacks())

    def _drain(self, callbacks: Callbacks) -> Execution:
        for chunk in self:
            callbacks(chunk)
        if self.execution is None:
            raise ValueError("the stream was closed before its end")
        return self.execution

    def close(self) -> None:
        """Stop following. The program runs on.

        Example:
            >>> stream.close()
        """
        self._running.close()

    def __enter__(self) -> ExecutionStream:
        return self

    def __exit__(self, *failure: Any) -> None:
        self.close()


class Executions:
    """What runs and ran in a sandbox. Reached as `sandbox.executions`."""

    def __init__(self, sandbox: SandboxBase) -> None:
        self._sandbox = sandbox

    def list(self, *, status: str | None = None) -> List[ExecutionInfo]:
        """Executions that the server still knows.

        Args:
            status: Only those with it, e.g. `running`.

        Raises:
            NotFoundError: The sandbox has ended.

        Example:
            >>> [one.command for one in sb.executions.list(status="running")]
        """
        return self._sandbox._run(
            operations.list_all(self._sandbox._wire, self._sandbox.id, status)
        )

    def get(self, execution: str) -> ExecutionInfo:
        """One execution.

        Raises:
            NotFoundError: The server does not know it.

        Example:
            >>> sb.executions.get(process.id).status
            'running'
        """
        return self._sandbox._run(operations.get(self._sandbox._wire, self._sandbox.id, execution))

    def attach(self, execution: str) -> Process:
        """A handle for something that was started elsewhere or earlier.

        Raises:
            NotFoundError: The server does not know it.

        Example:
            >>> sb.executions.attach(saved_id).wait().stdout
        """
        found = self.get(execution)
        return Process(self._sandbox, found.id, found.pid)
