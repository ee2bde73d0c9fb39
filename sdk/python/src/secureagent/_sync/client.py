"""The blocking client: connections, configuration, API keys."""

from __future__ import annotations

from typing import Any, List

from .._core import config as configuration
from .._core import ports as operations
from .._core.retry import RetryPolicy
from .._core.wire import Wire
from ..models import ApiKey
from .driver import Driver
from .resources import Profiles, Runtimes, WarmPools


class Client:
    """Connections to one server, which sandboxes may share. Threads may share it, too.

    What is not given comes from the environment variables `SECUREAGENT_URL` and
    `SECUREAGENT_API_KEY`, then from the server that this user runs on this machine
    (`secureagent up` leaves its address and key in its data directory).

    Args:
        url: The server's address, e.g. `http://127.0.0.1:8080`.
        api_key: An API key.
        timeout: Seconds of silence after which a request has failed. Executions and streams may be
            silent for as long as they run.
        retry: How often failed requests are sent again, and how patiently.
        ca_file: A PEM file with the certificates to trust instead of the system's.

    Raises:
        ConfigurationError: It is not known where the server is, or the key is missing.

    Example:
        >>> with Client() as client:
        ...     for info in Sandbox.list(client=client):
        ...         print(info.id, info.phase)
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        retry: RetryPolicy | None = None,
        ca_file: str | None = None,
    ) -> None:
        config = configuration.load(url, api_key, timeout=timeout, retry=retry, ca_file=ca_file)
        self._driver, self._wire = Driver(config), Wire(config)
        self._keys = Keys(self)
        self._warm_pools = WarmPools(self)
        self._runtimes, self._profiles = Runtimes(self), Profiles(self)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._wire.config.url

    @property
    def keys(self) -> Keys:
        """The API keys of the server."""
        return self._keys

    @property
    def warm_pools(self) -> WarmPools:
        """The pools of warm pods."""
        return self._warm_pools

    @property
    def runtimes(self) -> Runtimes:
        """What sandboxes can have inside."""
        return self._runtimes

    @property
    def profiles(self) -> Profiles:
        """Named security postures."""
        return self._profiles

    def close(self) -> None:
        """Close the connections. Sandboxes and what runs in them stay."""
        self._driver.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *failure: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"


class Keys:
    """API keys; needs a key that may manage keys. Reached as `client.keys`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> List[ApiKey]:
        """All keys, without their secrets.

        Raises:
            PermissionDeniedError: This key's role does not allow it.

        Example:
            >>> [key.name for key in client.keys.list()]
        """
        return self._client._driver.run(operations.list_keys(self._client._wire))

    def create(
        self, name: str, *, role: str | None = None, expires_in: int | None = None
    ) -> ApiKey:
        """Make a key. Its `key` is shown this once.

        Args:
            name: What it is for.
            role: `admin`, `operator`, `developer` (default) or `viewer`.
            expires_in: Seconds until it expires; None: never.

        Raises:
            PermissionDeniedError: This key's role does not allow it.

        Example:
            >>> secret = client.keys.create("ci", expires_in=3600).key
        """
        return self._client._driver.run(
            operations.create_key(self._client._wire, name, role, expires_in)
        )

    def revoke(self, key_id: str) -> None:
        """Make a key worthless, at once.

        Raises:
            NotFoundError: There is no such key.

        Example:
            >>> client.keys.revoke(key.id)
        """
        self._client._driver.run(operations.revoke_key(self._client._wire, key_id))
