"""What all parts of a sandbox need."""

from __future__ import annotations

import threading
from typing import TypeVar

from .._core.contexts import Defaults
from .._core.effects import Operation
from ..models import SandboxInfo
from .client import Client

T = TypeVar("T")


class SandboxBase:
    """Which sandbox it is, and how to reach it."""

    def __init__(self, info: SandboxInfo, client: Client, *, created: bool) -> None:
        self.info = info
        self.id = info.id
        self.runtime = info.runtime
        self._client, self._wire = client, client._wire
        self._created = created
        self._defaults = Defaults(adopt=not created)
        self._lock = threading.Lock()

    def _run(self, operation: Operation[T]) -> T:
        return self._client._driver.run(operation)
