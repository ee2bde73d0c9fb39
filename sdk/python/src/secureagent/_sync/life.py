"""The life of a sandbox."""

from __future__ import annotations

from typing import List, Mapping

from .._core import sandboxes as operations
from .._core.effects import Operation
from ..models import Event, Lifecycle, Metrics, SandboxInfo
from .base import SandboxBase


class SandboxLife(SandboxBase):
    """What happens to a sandbox as a whole."""

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
