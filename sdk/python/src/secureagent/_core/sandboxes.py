"""Operations on sandboxes themselves."""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping, Sequence

from ..errors import NotFoundError, RequestTimeoutError
from ..models import Event, Lifecycle, Metrics, SandboxInfo, members_of
from .answers import Fields, decode
from .effects import Emit, Operation
from .retry import send
from .wire import SANDBOXES, Wire, sandbox_path, without_none

WAIT_STEP = 20.0  # seconds that one request waits at most
CREATE_GRACE = 60.0  # a busy node takes its time


def create(
    wire: Wire,
    *,
    runtime: str,
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
    more: Mapping[str, Any] | None = None,
) -> Operation[SandboxInfo]:
    body = without_none(
        {
            "runtime": runtime,
            "timeout": timeout,
            "env": dict(env) if env else None,
            "labels": dict(labels) if labels else None,
            "annotations": dict(annotations) if annotations else None,
            "name": name,
            "resources": dict(resources) if resources else None,
            "lifecycle": members_of("lifecycle", lifecycle, Lifecycle),
            "imports": list(imports) if imports else None,
            "securityLevel": security_level,
            "profileRef": profile,
            "warm": warm,
            "warmPool": warm_pool,
            **(more or {}),
        }
    )
    found = yield from wire.ask(
        "sandbox",
        "POST",
        SANDBOXES,
        json_body=body,
        once=True,
        timeout=wire.config.timeout + CREATE_GRACE,
    )
    return SandboxInfo._of(found)


def get(wire: Wire, sandbox: str) -> Operation[SandboxInfo]:
    found = yield from wire.ask("sandbox", "GET", sandbox_path(sandbox))
    return SandboxInfo._of(found)


def selector(labels: Mapping[str, str] | str | None) -> str | None:
    """A label selector, from a mapping or as given."""
    if labels is None or isinstance(labels, str):
        return labels or None
    return ",".join(f"{name}={value}" for name, value in labels.items()) or None


def list_all(
    wire: Wire,
    *,
    labels: Mapping[str, str] | str | None = None,
    phase: str | None = None,
    ended: bool = False,
) -> Operation[None]:
    """Emits one `SandboxInfo` after the other; a page is fetched when it is needed."""
    cursor: str | None = None
    while True:
        query = {"labelSelector": selector(labels), "phase": phase, "cursor": cursor}
        query["all"] = "true" if ended else None
        page = yield from wire.ask("sandboxes", "GET", SANDBOXES, query=query)
        for item in page.items("items"):
            yield Emit(SandboxInfo._of(Fields(item, "sandbox")))
        cursor = page.opt_text("cursor") or None
        if cursor is None:
            return


def kill(wire: Wire, sandbox: str) -> Operation[bool]:
    """False when there was nothing to end any more."""
    try:
        yield from wire.tell("DELETE", sandbox_path(sandbox), timeout=wire.config.timeout + 60)
    except NotFoundError:
        return False
    return True


def _changed(wire: Wire, method: str, path: str, **more: Any) -> Operation[SandboxInfo]:
    found = yield from wire.ask("sandbox", method, path, **more)
    return SandboxInfo._of(found)


def update(
    wire: Wire,
    sandbox: str,
    *,
    labels: Mapping[str, str | None] | None,
    annotations: Mapping[str, str | None] | None,
    timeout: int | None,
    lifecycle: Lifecycle | None,
) -> Operation[SandboxInfo]:
    body = without_none(
        {
            "labels": labels,
            "annotations": annotations,
            "timeout": timeout,
            "lifecycle": members_of("lifecycle", lifecycle, Lifecycle),
        }
    )
    # A merge patch says what shall be: twice is as good as once.
    return (yield from _changed(wire, "PATCH", sandbox_path(sandbox), json_body=body, safe=True))


def set_timeout(wire: Wire, sandbox: str, seconds: int) -> Operation[SandboxInfo]:
    path = sandbox_path(sandbox, "timeout")
    return (yield from _changed(wire, "POST", path, json_body={"timeout": seconds}, safe=True))


def pause(wire: Wire, sandbox: str) -> Operation[SandboxInfo]:
    return (yield from _changed(wire, "POST", sandbox_path(sandbox, "pause"), safe=True))


def resume(wire: Wire, sandbox: str) -> Operation[SandboxInfo]:
    return (yield from _changed(wire, "POST", sandbox_path(sandbox, "resume"), safe=True))


def wait(
    wire: Wire,
    sandbox: str,
    phase: str,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
) -> Operation[SandboxInfo]:
    """Ask again and again, each time for as long as one request may wait."""
    deadline = clock() + timeout
    while True:
        left = deadline - clock()
        step = max(1, round(min(left, WAIT_STEP)))
        request = wire.request(
            "GET",
            sandbox_path(sandbox, "wait"),
            query={"phase": phase, "timeout": step},
            timeout=wire.config.timeout + step,
        )
        try:
            reply = yield from send(request, wire.config.retry)
        except RequestTimeoutError as error:
            if deadline - clock() <= 0:
                raise RequestTimeoutError(
                    f"{sandbox} was not {phase} within {timeout:g} s",
                    code=error.code,
                    status=error.status,
                    request_id=error.request_id,
                ) from None
            continue
        return SandboxInfo._of(decode(reply, "sandbox"))


def metrics(wire: Wire, sandbox: str) -> Operation[Metrics]:
    found = yield from wire.ask("metrics", "GET", sandbox_path(sandbox, "metrics"))
    return Metrics._of(found)


def events(wire: Wire, sandbox: str, after: int, limit: int) -> Operation[list[Event]]:
    query = {"after": after, "limit": limit}
    found = yield from wire.ask("events", "GET", sandbox_path(sandbox, "events"), query=query)
    return [Event._of(Fields(one, "event")) for one in found.items("items")]
