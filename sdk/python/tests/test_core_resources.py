"""Watches that break, expire and end; lists of several pages."""

from __future__ import annotations

from typing import Any

import pytest
from script import Answer, Script, wire

from secureagent import ConnectionFailedError, PoolEvent, UnavailableError, WarmPool
from secureagent._core import resources


def pool(name: str, version: int, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "secureagent.dev/v1",
        "kind": "WarmPool",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "generation": 1,
            "creationTimestamp": "2026-01-02T03:04:05.678Z",
        },
        "spec": {"runtime": "python", "minSize": 1, "maxSize": 10},
        "status": status,
    }


def event(kind: str, name: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": pool(name, version)}


def bookmark(version: int) -> dict[str, Any]:
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}


def error(code: int) -> dict[str, Any]:
    return {"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "list anew"}}


def watched(script: Script, attempts: int = 3) -> list[tuple[str, str]]:
    """What a watch told until it failed."""
    with pytest.raises((ConnectionFailedError, UnavailableError)):
        script.run(resources.watch_pools(wire(attempts=attempts), None, {"a": "b"}))
    assert script.emitted[0] is None
    return [(e.type, e.pool.name) for e in script.emitted[1:] if isinstance(e, PoolEvent)]


def asked(script: Script) -> list[str | None]:
    """The version that each request went on from."""
    return [dict(request.query).get("resourceVersion") for request in script.requests]


def test_a_watch_goes_on_where_it_broke() -> None:
    script = Script(
        Answer.lines(event("ADDED", "a", 3), bookmark(7), event("MODIFIED", "a", 8), cut=True),
        Answer.lines(event("DELETED", "a", 9), bookmark(12)),
        Answer.lines(),
        Answer.lines(),
        Answer.lines(),
    )
    assert watched(script) == [("added", "a"), ("modified", "a"), ("deleted", "a")]
    assert asked(script) == [None, "8", "12", "12"]
    assert dict(script.requests[0].query)["labelSelector"] == "a=b"


def test_a_listing_that_broke_begins_anew() -> None:
    """The version of an object that is listed says nothing of those that were not listed yet."""
    script = Script(
        Answer.lines(event("ADDED", "a", 30), cut=True),
        Answer.lines(event("ADDED", "a", 30), event("ADDED", "b", 4), bookmark(31), cut=True),
        Answer.lines(),
        Answer.lines(),
    )
    assert watched(script) == [("added", "a"), ("added", "a"), ("added", "b")]
    assert asked(script)[:3] == [None, None, "31"]


def test_what_is_too_old_begins_anew() -> None:
    script = Script(
        Answer.lines(bookmark(5), cut=True),
        Answer.lines(error(410)),
        Answer.lines(event("ADDED", "c", 90), bookmark(91), cut=True),
        Answer.lines(),
        Answer.lines(),
    )
    assert watched(script) == [("added", "c")]
    assert asked(script)[:4] == [None, "5", None, "91"]


def test_another_error_is_raised() -> None:
    script = Script(Answer.lines(bookmark(5), error(503)))
    assert watched(script) == []


def test_pages_are_one_listing() -> None:
    script = Script(
        Answer.json({"metadata": {"continue": "x.y"}, "items": [pool("a", 1)]}),
        Answer.json({"metadata": {}, "items": [pool("b", 2)]}),
    )
    found = script.run(resources.list_all(wire(), resources.POOLS, None, WarmPool._of))
    assert [one.name for one in found] == ["a", "b"]
    assert [dict(r.query).get("continue") for r in script.requests] == [None, "x.y"]


def test_a_status() -> None:
    scale = {"at": "2026-01-02T03:04:05Z", "from": 2, "to": 5, "rule": "r", "reason": "busy"}
    condition = {"type": "Ready", "status": "True", "reason": "Enough", "message": "4 of 5"}
    full = pool(
        "a", 1, size=5, available=4, hits=19, misses=1, hitRatio=0.95, refillP50Ms=120,
        lastScale=scale, conditions=[condition], observedGeneration=1,
    )  # fmt: skip
    status = script_status(full)
    assert (status.size, status.available, status.hit_ratio, status.refill_p50) == (
        5,
        4,
        0.95,
        0.12,
    )
    assert status.last_scale is not None
    assert (status.last_scale.before, status.last_scale.after) == (2, 5)
    assert status.conditions[0].type == "Ready"
    assert status.current
    empty = script_status(pool("a", 1))
    assert (empty.size, empty.hit_ratio, empty.last_scale) == (0, 0.0, None)
    assert not empty.current


def script_status(answer: dict[str, Any]) -> Any:
    return Script(Answer.json(answer)).run(resources.pool_status(wire(), "a"))


def test_a_patch_with_a_version_is_sent_once() -> None:
    for version, safe in ((None, True), ("7", False)):
        script = Script(Answer.json(pool("a", 8)))
        script.run(resources.update_pool(wire(), "a", {"ttl": None}, None, None, version))
        assert script.requests[0].safe == safe
        assert script.requests[0].headers["Content-Type"] == "application/merge-patch+json"
