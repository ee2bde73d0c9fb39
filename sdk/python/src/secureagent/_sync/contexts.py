"""Warm interpreters of a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Mapping, Sequence

from .._core import contexts as operations
from ..models import Context

if TYPE_CHECKING:
    from .base import SandboxBase


class Contexts:
    """The contexts of a sandbox. Reached as `sandbox.contexts`.

    A context is an interpreter that stays: variables, imports and functions last from one
    `run_code` to the next. `run_code` has one of its own; make others to keep things apart.
    """

    def __init__(self, sandbox: SandboxBase) -> None:
        self._sandbox = sandbox

    def create(
        self,
        language: str | None = None,
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        imports: Sequence[str] | None = None,
    ) -> Context:
        """Make a context.

        Args:
            language: `python`, `node` or `bash`; by default the sandbox's.
            cwd: Its working folder; by default `/workspace`.
            env: Environment variables, beside the sandbox's.
            imports: Modules to import at once.

        Raises:
            QuotaExceededError: The sandbox has too many contexts.

        Example:
            >>> other = sb.contexts.create("python")
            >>> sb.run_code("x = 1", context=other).ok
            True
        """
        made = self._sandbox._run(
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

    def list(self) -> List[Context]:
        """All contexts, also the one that `run_code` uses.

        Raises:
            NotFoundError: The sandbox has ended.

        Example:
            >>> [context.state for context in sb.contexts.list()]
            ['idle']
        """
        return self._sandbox._run(operations.list_all(self._sandbox._wire, self._sandbox.id))

    def get(self, context: Context | str) -> Context:
        """How a context stands now.

        Raises:
            NotFoundError: There is no such context.

        Example:
            >>> sb.contexts.get(other).execution_count
            1
        """
        return self._sandbox._run(
            operations.get(self._sandbox._wire, self._sandbox.id, context_id(context))
        )

    def delete(self, context: Context | str) -> bool:
        """End a context. False when it was gone already.

        Example:
            >>> sb.contexts.delete(other)
            True
        """
        self._sandbox._defaults.forget(context_id(context))
        return self._sandbox._run(
            operations.delete(self._sandbox._wire, self._sandbox.id, context_id(context))
        )

    def restart(self, context: Context | str) -> None:
        """Start a context anew: its variables are gone, what runs in it is ended.

        Raises:
            NotFoundError: There is no such context.

        Example:
            >>> sb.contexts.restart(other)
        """
        self._sandbox._run(
            operations.restart(self._sandbox._wire, self._sandbox.id, context_id(context))
        )

    def interrupt(self, context: Context | str) -> None:
        """Interrupt what runs in a context (Python raises KeyboardInterrupt); its state stays.

        Raises:
            NotFoundError: There is no such context.

        Example:
            >>> sb.contexts.interrupt(other)
        """
        self._sandbox._run(
            operations.interrupt(self._sandbox._wire, self._sandbox.id, context_id(context))
        )


def context_id(context: Context | str) -> str:
    """The id of a context, given as such or by its id."""
    return context if isinstance(context, str) else context.id
