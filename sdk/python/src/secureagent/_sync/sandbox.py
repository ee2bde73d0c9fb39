"""Sandboxes, blocking."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Sequence, TypeVar

from .._core import sandboxes as operations
from ..models import Lifecycle, SandboxInfo
from .client import Client
from .contexts import Contexts
from .driver import Running
from .executions import Executions
from .files import Files
from .life import SandboxLife
from .ports import Ports
from .running import SandboxRuns

T = TypeVar("T")


class Sandbox(SandboxRuns, SandboxLife):
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
        super().__init__(info, client, created=created)
        self._own = own
        self.files = Files(self)
        self.contexts = Contexts(self)
        self.executions = Executions(self)
        self.ports = Ports(self)

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
        security_level: str | None = None,
        profile: str | None = None,
        warm: str | None = None,
        warm_pool: str | None = None,
        client: Client | None = None,
        url: str | None = None,
        api_key: str | None = None,
        **more: Any,
    ) -> Sandbox:
        """Make a sandbox and wait until it runs, which takes milliseconds.

        Args:
            runtime: What it has inside: `python`, `node`, `bash`, `go`, `base`, or a
                RuntimeEnvironment of your own.
            timeout: Seconds until it ends by itself; by default 300.
            env: Environment variables of all that runs in it.
            labels: To find it again with `Sandbox.list(labels=…)`.
            annotations: Notes of your own; the server does not read them.
            name: Its host name inside.
            resources: `cpu`, `memory`, `ephemeralStorage` as Kubernetes writes them
                (`{"cpu": "500m", "memory": "1Gi"}`), and `pids`.
            lifecycle: What happens when it is idle or its time is over.
            imports: Python modules that stateless runs have imported already.
            security_level: `standard` (default), `high` or `custom`.
            profile: A SandboxProfile; its demands are added to what is asked for here.
            warm: `prefer` (default) takes a warm pod of a pool where one fits, else starts cold;
                `require` fails where there is none; `never` starts cold. `info.start` tells.
            warm_pool: The warm pool that it should come from; with `warm="require"` it must.
            client: Connections to share; by default it has its own.
            url: The server; see `Client`.
            api_key: The key; see `Client`.
            **more: Other members of the request, as the API names them:
                `networkAccess={"ingress": {"ports": [8000]}}`.

        Raises:
            AuthenticationError: The key is not valid.
            QuotaExceededError: There are too many sandboxes.
            UnavailableError: There is no warm pod that fits, with `warm="require"`, or the node
                has no control for something that was asked for.
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
                    security_level=security_level,
                    profile=profile,
                    warm=warm,
                    warm_pool=warm_pool,
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
