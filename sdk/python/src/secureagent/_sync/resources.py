"""Warm pools, runtimes and profiles, blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Generic, Iterator, List, Mapping, Sequence, TypeVar

from .._core import resources as operations
from .._core.answers import Fields
from ..resources import PoolEvent, PoolStatus, Profile, Runtime, WarmPool
from .driver import Running

if TYPE_CHECKING:
    from .client import Client


T = TypeVar("T")


class Catalogue(Generic[T]):
    """Resources of one kind, to be read."""

    def __init__(self, client: Client, path: str, decode: Callable[[Fields], T]) -> None:
        self._client = client
        self._path = path
        self._decode = decode

    def get(self, name: str) -> T:
        """The one of that name.

        Raises:
            NotFoundError: There is none of that name.

        Example:
            >>> client.warm_pools.get("notebooks").max_size, client.runtimes.get("go").language
            (20, 'go')
        """
        return self._client._driver.run(
            operations.get(self._client._wire, self._path, name, self._decode)
        )

    def list(self, *, labels: Mapping[str, str] | str | None = None) -> List[T]:
        """All of them.

        Args:
            labels: Only those with these labels, as a mapping or a selector.

        Example:
            >>> [profile.name for profile in client.profiles.list()]
        """
        return self._client._driver.run(
            operations.list_all(self._client._wire, self._path, labels, self._decode)
        )


class WarmPools(Catalogue[WarmPool]):
    """Pools of pods that are made before anybody asks. Reached as `client.warm_pools`.

    Reading them needs any key; making, changing and deleting them that of an operator.
    """

    def __init__(self, client: Client) -> None:
        super().__init__(client, operations.POOLS, WarmPool._of)

    def create(
        self,
        name: str,
        runtime: str = "python",
        *,
        min_size: int | None = None,
        max_size: int | None = None,
        ttl: int | None = None,
        security_level: str | None = None,
        profile: str | None = None,
        resources: Mapping[str, Any] | None = None,
        packages: Sequence[str] | None = None,
        scripts: Sequence[str] | None = None,
        imports: Sequence[str] | None = None,
        scaling: Mapping[str, Any] | None = None,
        recycle: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        **more: Any,
    ) -> WarmPool:
        """Make a pool. Sandboxes that fit find its pods as soon as there are some.

        Args:
            name: What it is called.
            runtime: What its pods run: `python`, `node`, `bash`, `go`, or another runtime's name.
            min_size: Fewest pods that are warm and free; by default 1.
            max_size: Most of them; by default 10.
            ttl: Seconds after which an unused pod is replaced; by default 3600.
            security_level: `standard` (default), `high` or `custom`.
            profile: Name of a security profile.
            resources: Of each pod: `cpu`, `memory`, `ephemeralStorage`, `pids`. A sandbox finds a
                pod only where it asks for the same.
            packages: What is installed before a pod is ready.
            scripts: Code that is run before a pod is ready.
            imports: Modules that are imported before a pod is ready.
            scaling: `rule` and `params` of the rule that says how many there shall be.
            recycle: `enabled`, `maxUses`, `criteria`: whether used pods are used again.
            labels: To find it again.
            annotations: Notes of your own.
            **more: Other members of the spec, as the API names them.

        Raises:
            ConflictError: There is a pool of that name.
            InvalidRequestError: A member is wrong; `details` says which.
            PermissionDeniedError: This key's role does not allow it.
            PolicyDeniedError: A policy of the operator is against it.

        Example:
            >>> pool = client.warm_pools.create(
            ...     "notebooks", max_size=20, packages=["numpy"], imports=["numpy"],
            ...     scaling={"rule": "target-hit-ratio", "params": {"hitRatio": 0.95}})
            >>> pool.min_size
            1
        """
        spec = operations.spec_of(
            runtime=runtime,
            min_size=min_size,
            max_size=max_size,
            ttl=ttl,
            security_level=security_level,
            profile=profile,
            resources=resources,
            packages=packages,
            scripts=scripts,
            imports=imports,
            scaling=scaling,
            recycle=recycle,
            more=more,
        )
        return self._client._driver.run(
            operations.create_pool(self._client._wire, name, spec, labels, annotations)
        )

    def update(
        self,
        name: str,
        *,
        runtime: str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        ttl: int | None = None,
        security_level: str | None = None,
        profile: str | None = None,
        resources: Mapping[str, Any] | None = None,
        packages: Sequence[str] | None = None,
        scripts: Sequence[str] | None = None,
        imports: Sequence[str] | None = None,
        scaling: Mapping[str, Any] | None = None,
        recycle: Mapping[str, Any] | None = None,
        labels: Mapping[str, str | None] | None = None,
        annotations: Mapping[str, str | None] | None = None,
        resource_version: str | None = None,
        **more: Any,
    ) -> WarmPool:
        """Change a pool: what is given, and nothing else.

        Args:
            name: Which.
            runtime: This and the following as in `create`. Within a mapping, too, only what it
                names is changed; lists are replaced.
            min_size: See `create`.
            max_size: See `create`.
            ttl: See `create`.
            security_level: See `create`.
            profile: See `create`.
            resources: See `create`.
            packages: See `create`.
            scripts: See `create`.
            imports: See `create`.
            scaling: See `create`.
            recycle: See `create`.
            labels: New values; None removes one.
            annotations: New values; None removes one.
            resource_version: Only if this is still its version.
            **more: Other members of the spec, as the API names them; None gives one its default.

        Raises:
            ConflictError: It is at another version.
            InvalidRequestError: A member is wrong; `details` says which.
            NotFoundError: There is none of that name.
            PolicyDeniedError: A policy of the operator is against it.

        Example:
            >>> client.warm_pools.update("notebooks", max_size=40, labels={"team": "blue"})
        """
        spec = operations.spec_of(
            runtime=runtime,
            min_size=min_size,
            max_size=max_size,
            ttl=ttl,
            security_level=security_level,
            profile=profile,
            resources=resources,
            packages=packages,
            scripts=scripts,
            imports=imports,
            scaling=scaling,
            recycle=recycle,
            more=more,
        )
        return self._client._driver.run(
            operations.update_pool(
                self._client._wire, name, spec, labels, annotations, resource_version
            )
        )

    def delete(self, name: str, *, resource_version: str | None = None) -> bool:
        """Delete a pool, and its pods that nobody uses. False when there was none.

        Args:
            name: Which.
            resource_version: Only if this is still its version.

        Raises:
            ConflictError: It is at another version.

        Example:
            >>> client.warm_pools.delete("notebooks")
            True
        """
        return self._client._driver.run(
            operations.delete_pool(self._client._wire, name, resource_version)
        )

    def status(self, name: str) -> PoolStatus:
        """How a pool is: how many pods are ready, and how often one was found.

        Raises:
            NotFoundError: There is none of that name.

        Example:
            >>> status = client.warm_pools.status("notebooks")
            >>> print(status.available, "of", status.size, "ready;", status.hit_ratio)
        """
        return self._client._driver.run(operations.pool_status(self._client._wire, name))

    def watch(
        self, name: str | None = None, *, labels: Mapping[str, str] | str | None = None
    ) -> PoolWatcher:
        """Follow what happens to pools, beginning with all that are there.

        A connection that breaks is made anew, and nothing is missed. Where more has happened
        meanwhile than the server remembers, all that are there come anew as `added`.

        Args:
            name: Only this one.
            labels: Only those with these labels, as for `list`.

        Example:
            >>> with client.warm_pools.watch("notebooks") as events:
            ...     for event in events:
            ...         print(event.type, event.pool.status.available)
        """
        operation = operations.watch_pools(self._client._wire, name, labels)
        return PoolWatcher(Running(self._client._driver, operation))


class PoolWatcher(Iterator[PoolEvent]):
    """What happens to pools: iterate over it, and close it."""

    def __init__(self, running: Running[None]) -> None:
        self._running = running
        next(running)  # so that what is refused is refused here

    def __next__(self) -> PoolEvent:
        event: PoolEvent = next(self._running)
        return event

    def close(self) -> None:
        """Stop watching.

        Example:
            >>> watcher.close()
        """
        self._running.close()

    def __enter__(self) -> PoolWatcher:
        return self

    def __exit__(self, *failure: Any) -> None:
        self.close()


class Runtimes(Catalogue[Runtime]):
    """What sandboxes can have inside. Reached as `client.runtimes`."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, operations.RUNTIMES, Runtime._of)


class Profiles(Catalogue[Profile]):
    """Named security postures. Reached as `client.profiles`."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, operations.PROFILES, Profile._of)
