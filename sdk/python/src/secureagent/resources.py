"""Resources as dataclasses: pools, runtimes, profiles. Durations are in seconds, times in UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Mapping

from ._core.answers import Fields

__all__ = ["Condition", "PoolEvent", "PoolScale", "PoolStatus", "Profile", "Runtime", "WarmPool"]


@dataclass(frozen=True)
class Condition:
    """Something that is true of a resource, or not.

    Attributes:
        type: What, as a word: `Ready`.
        status: `True`, `False` or `Unknown`, as a text.
        reason: Why, as a word; may be empty.
        message: The same for a person.
    """

    type: str
    status: str
    reason: str
    message: str

    @classmethod
    def _of(cls, f: Fields) -> Condition:
        return cls(f.text("type"), f.text("status"), f.opt_text("reason"), f.opt_text("message"))


@dataclass(frozen=True)
class PoolScale:
    """A change of a pool's size.

    Attributes:
        at: When.
        before: Pods wanted before.
        after: Pods wanted after.
        rule: The scaling rule that said so.
        reason: Why, in its words.
    """

    at: datetime
    before: int
    after: int
    rule: str
    reason: str

    @classmethod
    def _of(cls, f: Fields) -> PoolScale:
        return cls(
            f.time("at"),
            f.integer("from"),
            f.integer("to"),
            f.opt_text("rule"),
            f.opt_text("reason"),
        )


@dataclass(frozen=True)
class PoolStatus:
    """How a warm pool is.

    Attributes:
        size: Pods wanted, warm and free.
        available: Pods that are.
        assigned: Pods in use.
        pending: Pods on their way.
        recycling: Pods being cleaned.
        terminating: Pods on their way out.
        hits: Sandboxes that found a warm pod.
        misses: Sandboxes that did not, and were started cold.
        hit_ratio: Share of hits, 0 to 1; 0 before the first.
        refill_p50: Seconds that making a pod takes, in the middle.
        refill_p95: And of the slowest twentieth.
        last_scale: The last change of the size; None: there was none.
        conditions: What is true of the pool.
        current: It is about the pool as it is now, not as it was before a change.
    """

    size: int
    available: int
    assigned: int
    pending: int
    recycling: int
    terminating: int
    hits: int
    misses: int
    hit_ratio: float
    refill_p50: float
    refill_p95: float
    last_scale: PoolScale | None
    conditions: tuple[Condition, ...]
    current: bool

    @classmethod
    def _of(cls, f: Fields, generation: int) -> PoolStatus:
        scale = f.part("lastScale")
        return cls(
            size=f.integer("size"),
            available=f.integer("available"),
            assigned=f.integer("assigned"),
            pending=f.integer("pending"),
            recycling=f.integer("recycling"),
            terminating=f.integer("terminating"),
            hits=f.integer("hits"),
            misses=f.integer("misses"),
            hit_ratio=f.number("hitRatio"),
            refill_p50=f.integer("refillP50Ms") / 1000,
            refill_p95=f.integer("refillP95Ms") / 1000,
            last_scale=PoolScale._of(scale) if "at" in scale.all else None,
            conditions=tuple(Condition._of(Fields(c, "condition")) for c in f.items("conditions")),
            current=f.integer("observedGeneration") == generation,
        )


@dataclass(frozen=True)
class WarmPool:
    """Pods that are made before anybody asks.

    Attributes:
        runtime: What its pods run.
        min_size: Fewest pods that are warm and free.
        max_size: Most of them.
        spec: All that is wanted, as the API names it.
        status: How it is.
        resource_version: Names this state of it; an `update` with it fails when there is a newer.
        deleting: It is on its way out.
        raw: All that the server said.
    """

    name: str
    runtime: str
    min_size: int
    max_size: int
    spec: Mapping[str, Any]
    status: PoolStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    uid: str
    resource_version: str
    created_at: datetime
    deleting: bool
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def _of(cls, f: Fields) -> WarmPool:
        meta, spec = f.part("metadata"), f.part("spec")
        return cls(
            name=meta.text("name"),
            runtime=spec.text("runtime"),
            min_size=spec.integer("minSize"),
            max_size=spec.integer("maxSize"),
            spec=spec.all,
            status=PoolStatus._of(f.part("status"), meta.integer("generation")),
            labels=meta.texts("labels"),
            annotations=meta.texts("annotations"),
            uid=meta.text("uid"),
            resource_version=meta.text("resourceVersion"),
            created_at=meta.time("creationTimestamp"),
            deleting="deletionTimestamp" in meta.all,
            raw=f.all,
        )


@dataclass(frozen=True)
class PoolEvent:
    """Something happened to a pool.

    Attributes:
        type: `added` (also each that is there at the beginning), `modified` or `deleted`.
        pool: As it is now; of a deletion, as it was last.
    """

    type: str
    pool: WarmPool


@dataclass(frozen=True)
class Runtime:
    """What a sandbox has inside.

    Attributes:
        language: What code is written in.
        version: Of the language; may be empty.
        packages: Packages that are there.
        package_manager: What installs more: `pip`, `npm` or `none`.
        conditions: Whether it can be had here, and why not.
        raw: All that the server said.
    """

    name: str
    language: str
    version: str
    description: str
    image: str
    tags: tuple[str, ...]
    packages: tuple[str, ...]
    package_manager: str
    conditions: tuple[Condition, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def _of(cls, f: Fields) -> Runtime:
        spec, status = f.part("spec"), f.part("status")
        return cls(
            name=f.part("metadata").text("name"),
            language=spec.text("language"),
            version=spec.opt_text("version"),
            description=spec.opt_text("description"),
            image=spec.opt_text("image"),
            tags=tuple(map(str, spec.items("tags"))),
            packages=tuple(map(str, spec.items("preInstalledPackages"))),
            package_manager=spec.opt_text("packageManager", "none"),
            conditions=tuple(
                Condition._of(Fields(c, "condition")) for c in status.items("conditions")
            ),
            raw=f.all,
        )


@dataclass(frozen=True)
class Profile:
    """A named security posture.

    Attributes:
        security_level: `standard`, `high` or `custom`.
        spec: All of it, as the API names it.
        raw: All that the server said.
    """

    name: str
    security_level: str
    description: str
    spec: Mapping[str, Any]
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def _of(cls, f: Fields) -> Profile:
        spec = f.part("spec")
        return cls(
            name=f.part("metadata").text("name"),
            security_level=spec.opt_text("securityLevel"),
            description=spec.opt_text("description"),
            spec=spec.all,
            raw=f.all,
        )
