"""Servers inside a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List

from .._core import ports as operations
from ..models import Port, SignedUrl

if TYPE_CHECKING:
    from .base import SandboxBase


class Ports:
    """The ports on which servers inside a sandbox listen. Reached as `sandbox.ports`."""

    def __init__(self, sandbox: SandboxBase) -> None:
        self._sandbox = sandbox

    def list(self) -> List[Port]:
        """The ports on which something listens now.

        Raises:
            NotFoundError: The sandbox has ended.

        Example:
            >>> [port.port for port in sb.ports.list()]
            [8000]
        """
        return self._sandbox._run(operations.list_all(self._sandbox._wire, self._sandbox.id))

    def url(self, port: int, path: str = "/") -> str:
        """Where a server inside is reached, with the API key as for every other request.

        Args:
            port: The port inside the sandbox.
            path: A path of that server.

        Example:
            >>> httpx.get(sb.ports.url(8000), headers=sb.ports.headers()).status_code
            200
        """
        return operations.url(self._sandbox._wire, self._sandbox.id, port, path)

    def headers(self) -> Dict[str, str]:
        """What requests to `url()` carry: the API key, wherever it was configured.

        Send it there only; a server inside does not see it.

        Example:
            >>> sb.ports.headers()
            {'Authorization': 'Bearer sa_...'}
        """
        return operations.headers(self._sandbox._wire)

    def signed_url(self, port: int, *, expires_in: int = 3600) -> SignedUrl:
        """A URL that reaches a server inside without a key, e.g. for a browser.

        Args:
            port: The port inside the sandbox.
            expires_in: Seconds for which it works.

        Raises:
            NotFoundError: The sandbox has ended.

        Example:
            >>> print(sb.ports.signed_url(8000).url)
        """
        return self._sandbox._run(
            operations.signed_url(self._sandbox._wire, self._sandbox.id, port, expires_in)
        )
