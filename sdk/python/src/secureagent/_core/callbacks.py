"""Functions that are called with output as it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from ..results import Chunk, ExecutionError, Result

OnText = Callable[[str], Any]
OnResult = Callable[[Result], Any]
OnError = Callable[[ExecutionError], Any]


@dataclass(frozen=True)
class Callbacks:
    """What is called for which chunk."""

    on_stdout: OnText | None = None
    on_stderr: OnText | None = None
    on_result: OnResult | None = None
    on_error: OnError | None = None

    def __bool__(self) -> bool:
        return any((self.on_stdout, self.on_stderr, self.on_result, self.on_error))

    def __call__(self, chunk: Chunk) -> Any:
        """What the function for this chunk returned; None if there is none."""
        if chunk.type == "stdout" and self.on_stdout:
            return self.on_stdout(chunk.data)
        if chunk.type == "stderr" and self.on_stderr:
            return self.on_stderr(chunk.data)
        if chunk.result is not None and self.on_result:
            return self.on_result(chunk.result)
        if chunk.error is not None and self.on_error:
            return self.on_error(chunk.error)
        return None
