"""What came of running something: output, rich results, errors; and how notebooks show them."""

from __future__ import annotations

import base64
import binascii
import html
from dataclasses import dataclass, field
from typing import Any, Collection, Iterator, Mapping

from ._core.answers import Fields


@dataclass(frozen=True)
class Result:
    """One rich result: the same thing in several formats, a "mime bundle" as Jupyter has it.

    Notebooks show it by themselves.

    Attributes:
        data: The formats by MIME type; images and PDF are base64 here.
        is_main: It is the value of the last expression.

    Example:
        >>> result = sb.run_code("import pandas as pd; pd.DataFrame({'a': [1]})").results[0]
        >>> result.html.startswith("<div>")
        True
    """

    data: Mapping[str, Any]
    is_main: bool = False

    def _text(self, mime: str) -> str | None:
        value = self.data.get(mime)
        return None if value is None else str(value)

    def _bytes(self, mime: str) -> bytes | None:
        value = self.data.get(mime)
        if not isinstance(value, str):
            return None
        try:
            return base64.b64decode(value)
        except (binascii.Error, ValueError):
            return None

    @property
    def formats(self) -> tuple[str, ...]:
        """The MIME types that there are."""
        return tuple(self.data)

    @property
    def text(self) -> str | None:
        """As plain text, e.g. what `repr()` gave."""
        return self._text("text/plain")

    @property
    def html(self) -> str | None:
        """As HTML. It was made by the code that ran: show it where that can do no harm."""
        return self._text("text/html")

    @property
    def markdown(self) -> str | None:
        """As Markdown."""
        return self._text("text/markdown")

    @property
    def latex(self) -> str | None:
        """As LaTeX."""
        return self._text("text/latex")

    @property
    def svg(self) -> str | None:
        """As SVG, an XML text."""
        return self._text("image/svg+xml")

    @property
    def javascript(self) -> str | None:
        """As JavaScript."""
        return self._text("application/javascript")

    @property
    def json(self) -> Any:
        """As what JSON decodes to; None when there is none."""
        return self.data.get("application/json")

    @property
    def png(self) -> bytes | None:
        """The bytes of a PNG image."""
        return self._bytes("image/png")

    @property
    def jpeg(self) -> bytes | None:
        """The bytes of a JPEG image."""
        return self._bytes("image/jpeg")

    @property
    def pdf(self) -> bytes | None:
        """The bytes of a PDF document."""
        return self._bytes("application/pdf")

    def __str__(self) -> str:
        return self.text if self.text is not None else f"<{', '.join(self.data)}>"

    def _repr_html_(self) -> str | None:
        return self.html

    def _repr_markdown_(self) -> str | None:
        return self.markdown

    def _repr_latex_(self) -> str | None:
        return self.latex

    def _repr_svg_(self) -> str | None:
        return self.svg

    def _repr_png_(self) -> bytes | None:
        return self.png

    def _repr_jpeg_(self) -> bytes | None:
        return self.jpeg

    def _repr_json_(self) -> Any:
        return self.json

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, Any]:
        return {
            mime: value
            for mime, value in self.data.items()
            if (not include or mime in include) and (not exclude or mime not in exclude)
        }


@dataclass(frozen=True)
class ExecutionError:
    """An exception that the code did not catch, or why a program could not be run.

    Attributes:
        name: Its type, e.g. `ZeroDivisionError`.
        value: Its message.
        traceback: Where it came from; points into the code that was sent.
    """

    name: str
    value: str
    traceback: str = ""

    def __str__(self) -> str:
        return self.traceback or f"{self.name}: {self.value}"

    @classmethod
    def _of(cls, f: Fields) -> ExecutionError:
        return cls(f.opt_text("name"), f.opt_text("value"), f.opt_text("traceback"))


@dataclass(frozen=True)
class Usage:
    """What an execution used.

    Attributes:
        cpu_seconds: Processor time, in seconds.
        memory_peak_bytes: Most memory at any time.
    """

    cpu_seconds: float = 0.0
    memory_peak_bytes: int = 0

    @classmethod
    def _of(cls, f: Fields) -> Usage:
        return cls(f.number("cpuMs") / 1000, f.integer("memoryPeakBytes"))


@dataclass(frozen=True, repr=False)
class Execution:
    """What came of running code or a command.

    Attributes:
        id: Its id at the server.
        status: `exited`, `signaled`, `timeout`, `oom`, `canceled` or `failed`.
        exit_code: 0 for success; None when it did not exit by itself.
        signal: The signal that ended it, e.g. `SIGKILL`, or None.
        stdout: What it printed; bytes that are not UTF-8 appear as U+FFFD (see `stdout_bytes`).
        stderr: What it printed to its standard error.
        results: Rich results in the order in which they came.
        error: The exception that the code did not catch, or None.
        duration: Seconds that it took.
        stdout_truncated: `stdout` is not all of it.
        stderr_truncated: `stderr` is not all of it.

    Example:
        >>> execution = sb.run_code("6 * 7")
        >>> execution.text, execution.ok
        ('42', True)
    """

    id: str
    status: str
    exit_code: int | None = None
    signal: str | None = None
    stdout_bytes: bytes = field(default=b"", repr=False)
    stderr_bytes: bytes = field(default=b"", repr=False)
    results: tuple[Result, ...] = ()
    error: ExecutionError | None = None
    duration: float = 0.0
    usage: Usage = field(default_factory=Usage)
    stdout_truncated: bool = False
    stderr_truncated: bool = False

    @property
    def stdout(self) -> str:
        """What it printed, as text."""
        return self.stdout_bytes.decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """What it printed to its standard error, as text."""
        return self.stderr_bytes.decode("utf-8", "replace")

    @property
    def ok(self) -> bool:
        """Did it end by itself, with exit code 0 and no error?"""
        return self.status == "exited" and self.exit_code in (0, None) and self.error is None

    @property
    def result(self) -> Result | None:
        """The value of the last expression, or None."""
        return next((one for one in self.results if one.is_main), None)

    @property
    def text(self) -> str | None:
        """The value of the last expression as text, or None when there is none."""
        return self.result.text if self.result else None

    def __repr__(self) -> str:
        parts = [f"status={self.status!r}", f"exit_code={self.exit_code}"]
        for name in ("text", "stdout", "stderr", "error"):
            value = getattr(self, name)
            if value:
                shown = repr(value) if len(str(value)) <= 200 else f"{str(value)[:200]!r}…"
                parts.append(f"{name}={shown}")
        return f"Execution({', '.join(parts)})"

    def _repr_html_(self) -> str:
        return "".join(_html_parts(self))


def _html_parts(execution: Execution) -> Iterator[str]:
    if execution.stdout_bytes:
        yield f"<pre>{html.escape(execution.stdout)}</pre>"
    if execution.stderr_bytes:
        yield f'<pre style="color:#b00020">{html.escape(execution.stderr)}</pre>'
    for result in execution.results:
        png = result.data.get("image/png")
        if result.png is not None:
            yield f'<img src="data:image/png;base64,{html.escape(str(png))}"/>'
        elif result.html is not None:
            # A frame that may run nothing and belongs to no origin: the HTML is the sandbox's.
            yield f'<iframe sandbox srcdoc="{html.escape(result.html)}" width="100%"></iframe>'
        else:
            yield f"<pre>{html.escape(str(result))}</pre>"
    if execution.error is not None:
        yield f'<pre style="color:#b00020">{html.escape(str(execution.error))}</pre>'
    elif not execution.ok:
        yield f"<p>{html.escape(execution.status)}, exit code {execution.exit_code}</p>"


@dataclass(frozen=True)
class Chunk:
    """A piece of what a running execution puts out.

    Attributes:
        type: `stdout`, `stderr`, `result`, `error`, `input` (it waits for its standard input) or
            `overflow` (output was lost, because nobody read it for too long).
        data: Output as text, never split within a character; empty for the other types.
        raw: Output as bytes.
        offset: Where the execution's output goes on after this chunk. Following it again from
            there gives all that comes later, and nothing twice.
        result: What a `result` chunk brings.
        error: What an `error` chunk brings.
        prompt: What an `input` chunk asks for.
        dropped: How many bytes an `overflow` chunk stands for.

    Example:
        >>> for chunk in sb.run_command("make", stream=True):
        ...     print(chunk.data, end="")
    """

    type: str
    data: str = ""
    raw: bytes = b""
    offset: int = 0
    result: Result | None = None
    error: ExecutionError | None = None
    prompt: str = ""
    dropped: int = 0
