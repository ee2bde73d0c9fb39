"""Operations on resources: warm pools, runtimes, profiles."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence, TypeVar

from ..errors import NotFoundError
from ..resources import PoolEvent, PoolStatus, WarmPool
from .answers import Fields, error_for
from .effects import Emit, Operation, Sleep, TransportError, read
from .output import LineDecoder
from .retry import begin, failed
from .sandboxes import selector
from .wire import API, Wire, quote, without_none

T = TypeVar("T")

POOLS, RUNTIMES, PROFILES = f"{API}/warmpools", f"{API}/runtimes", f"{API}/profiles"
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
SILENCE = 60.0  # a watch says something every 15 seconds
GONE = 410


def get(wire: Wire, path: str, name: str, decode: Callable[[Fields], T]) -> Operation[T]:
    return decode((yield from wire.ask("resource", "GET", f"{path}/{quote(name)}")))


def list_all(
    wire: Wire, path: str, labels: Mapping[str, str] | str | None, decode: Callable[[Fields], T]
) -> Operation[list[T]]:
    """All of them, page after page of one listing."""
    found: list[T] = []
    query: dict[str, str | int | bool | None] = {"labelSelector": selector(labels), "limit": 500}
    while True:
        page = yield from wire.ask("resources", "GET", path, query=query)
        found += [decode(Fields(item, "resource")) for item in page.items("items")]
        query["continue"] = page.part("metadata").opt_text("continue") or None
        if query["continue"] is None:
            return found


# ---- warm pools ----


def spec_of(
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
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """What was given, as the API names it; what `more` says may be None, which takes it away."""
    given = {
        "runtime": runtime,
        "minSize": min_size,
        "maxSize": max_size,
        "ttl": ttl,
        "securityLevel": security_level,
        "profile": profile,
        "resources": None if resources is None else dict(resources),
        "preloadPackages": None if packages is None else list(packages),
        "preloadScripts": None if scripts is None else list(scripts),
        "imports": None if imports is None else list(imports),
        "scaling": None if scaling is None else dict(scaling),
        "recycle": None if recycle is None else dict(recycle),
    }
    return {**without_none(given), **more}


def create_pool(
    wire: Wire,
    name: str,
    spec: Mapping[str, Any],
    labels: Mapping[str, str] | None,
    annotations: Mapping[str, str] | None,
) -> Operation[WarmPool]:
    body = {
        "apiVersion": "secureagent.dev/v1",
        "kind": "WarmPool",
        "metadata": without_none(
            {
                "name": name,
                "labels": dict(labels) if labels else None,
                "annotations": dict(annotations) if annotations else None,
            }
        ),
        "spec": spec,
    }
    return WarmPool._of((yield from wire.ask("pool", "POST", POOLS, json_body=body)))


def update_pool(
    wire: Wire,
    name: str,
    spec: Mapping[str, Any],
    labels: Mapping[str, str | None] | None,
    annotations: Mapping[str, str | None] | None,
    resource_version: str | None,
) -> Operation[WarmPool]:
    metadata = without_none(
        {
            "labels": None if labels is None else dict(labels),
            "annotations": None if annotations is None else dict(annotations),
            "resourceVersion": resource_version,
        }
    )
    found = yield from wire.ask(
        "pool",
        "PATCH",
        f"{POOLS}/{quote(name)}",
        json_body={"metadata": metadata, "spec": spec},
        headers=MERGE_PATCH,
        safe=resource_version is None,  # the second would find a newer version, that of the first
    )
    return WarmPool._of(found)


def delete_pool(wire: Wire, name: str, resource_version: str | None) -> Operation[bool]:
    """False when there was none."""
    try:
        yield from wire.tell(
            "DELETE", f"{POOLS}/{quote(name)}", query={"resourceVersion": resource_version}
        )
    except NotFoundError:
        return False
    return True


def pool_status(wire: Wire, name: str) -> Operation[PoolStatus]:
    found = yield from wire.ask("pool", "GET", f"{POOLS}/{quote(name)}/status")
    return WarmPool._of(found).status


def watch_pools(
    wire: Wire, name: str | None, labels: Mapping[str, str] | str | None
) -> Operation[None]:
    """Emits None once it watches, then each `PoolEvent`; goes on after a break where it was."""
    policy, tried, begun = wire.config.retry, 0, False
    version: str | None = None
    while True:
        request = wire.request(
            "GET",
            POOLS,
            query={
                "watch": True,
                "labelSelector": selector(labels),
                "fieldSelector": None if name is None else f"metadata.name={name}",
                "resourceVersion": version,
            },
            headers={"Accept": "application/x-ndjson"},
            timeout=SILENCE,
        )
        try:
            reply = yield from begin(request, policy)
            decoder = LineDecoder()
            if not begun:
                begun = True
                yield Emit(None)
            while True:
                data = yield from read(reply.handle)
                if data is None:
                    raise TransportError("the stream of events ended", sent=True)
                for item in decoder.feed(data):
                    tried = 0
                    event, version = _event(Fields(item, "event"), version)
                    if event is not None:
                        yield Emit(event)
        except _Expired:
            version = None  # what is there comes anew
        except TransportError as error:
            tried += 1
            if tried >= policy.attempts:
                raise failed(error) from error
            yield Sleep(policy.backoff(tried))


class _Expired(Exception):
    """What has happened since is not known any more."""


def _event(f: Fields, version: str | None) -> tuple[PoolEvent | None, str | None]:
    """The event, and from where to go on. While what is there is told, that is the beginning."""
    kind, thing = f.text("type"), f.part("object")
    if kind == "ERROR" and thing.integer("code") == GONE:
        raise _Expired
    if kind == "ERROR":
        raise error_for("unavailable", thing.opt_text("message"))
    seen = thing.part("metadata").text("resourceVersion")
    if kind == "BOOKMARK":
        return None, seen
    return PoolEvent(kind.lower(), WarmPool._of(thing)), None if version is None else seen
