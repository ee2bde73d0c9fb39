"""What the server tells, as dataclasses. Durations are in seconds, sizes in bytes, times in UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Mapping

from ._core.answers import Fields
from .results import Chunk, Execution, ExecutionError, Result, Usage

__all__ = [
    "ApiKey", "Chunk", "Context", "Event", "Execution", "ExecutionError", "ExecutionInfo",
    "FileEntry", "FileEvent", "InstalledPackage", "Lifecycle", "Limits", "Metrics", "Port",
    "Result", "SandboxInfo", "SignedUrl", "Usage",
]  # fmt: skip


@dataclass(frozen=True)
class SandboxInfo:
    """A sandbox as the server describes it.

    Attributes:
        phase: `Pending`, `Creating`, `Running`, `Paused`, `Terminating`, `Terminated` or `Failed`.
        timeout: Seconds that it may run.
        expires_at: When its time is over; None while it is paused.
        controls: The isolation controls in force.
        weaker: What this node cannot promise, and why.
        reason: Why it is in this phase, as a word; may be empty.
        message: The same for a person.
        raw: All that the server said.
    """

    id: str
    name: str
    runtime: str
    phase: str
    timeout: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    security_level: str
    start: str
    controls: tuple[str, ...]
    weaker: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    reason: str
    message: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def _of(cls, f: Fields) -> SandboxInfo:
        return cls(
            id=f.text("id"),
            name=f.opt_text("name"),
            runtime=f.text("runtime"),
            phase=f.text("phase"),
            timeout=f.integer("timeout"),
            labels=f.texts("labels"),
            annotations=f.texts("annotations"),
            security_level=f.opt_text("securityLevel"),
            start=f.opt_text("start"),
            controls=tuple(map(str, f.items("controls"))),
            weaker=tuple(map(str, f.items("weaker"))),
            created_at=f.time("createdAt"),
            expires_at=f.opt_time("expiresAt"),
            ended_at=f.opt_time("endedAt"),
            reason=f.opt_text("reason"),
            message=f.opt_text("message"),
            raw=f.all,
        )


@dataclass(frozen=True)
class Lifecycle:
    """What happens to a sandbox that is not used or whose time is over.

    Attributes:
        on_timeout: `delete` (the default) or `pause` it when its timeout is over.
        idle_timeout: Seconds without use after which `on_idle` happens; None: never.
        on_idle: `pause` (the default) or `delete` it when it is idle.
        resume_on_use: A request to a paused sandbox resumes it.

    Example:
        >>> Sandbox.create(lifecycle=Lifecycle(idle_timeout=60, on_idle="pause"))
    """

    on_timeout: str | None = None
    idle_timeout: int | None = None
    on_idle: str | None = None
    resume_on_use: bool | None = None

    def _json(self) -> dict[str, Any]:
        members = {
            "onTimeout": self.on_timeout,
            "idleTimeout": self.idle_timeout,
            "onIdle": self.on_idle,
            "resumeOnUse": self.resume_on_use,
        }
        return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True)
class Limits:
    """Limits of one execution, within those of its sandbox.

    Attributes:
        memory: Address space, as bytes or a quantity such as `"256Mi"`.
        cpu_seconds: Processor time, in seconds.
        file_size: Largest file it may write, as bytes or a quantity.
        open_files: Most descriptors.
    """

    memory: int | str | None = None
    cpu_seconds: int | None = None
    file_size: int | str | None = None
    open_files: int | None = None

    def _json(self) -> dict[str, Any]:
        members = {
            "memory": self.memory,
            "cpuSeconds": self.cpu_seconds,
            "fileSize": self.file_size,
            "openFiles": self.open_files,
        }
        return {name: value for name, value in members.items() if value is not None}


def members_of(
    argument: str, value: object, kind: type[Lifecycle] | type[Limits]
) -> dict[str, Any] | None:
    """What is sent of an argument. One of another type is refused before anything is sent."""
    if value is None:
        return None
    if not isinstance(value, kind):
        got = type(value).__name__
        raise TypeError(
            f"{argument}: expected a {kind.__name__}, got {got}: see help({kind.__name__})"
        )
    return value._json()


@dataclass(frozen=True)
class ExecutionInfo:
    """An execution as the server describes it, without its output.

    Attributes:
        kind: The language, or `command`.
        command: What runs, cut to a length that fits a list.
        status: `running`, or how it ended (see `Execution.status`).
        offsets: The first offset of its output that is still kept, and the one after the last.
        raw: All that the server said.
    """

    id: str
    kind: str
    command: str
    status: str
    context: str | None
    pid: int | None
    exit_code: int | None
    signal: str | None
    started_at: datetime | None
    ended_at: datetime | None
    offsets: tuple[int, int]
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def running(self) -> bool:
        """Has it not ended yet?"""
        return self.status == "running"

    @classmethod
    def _of(cls, f: Fields) -> ExecutionInfo:
        output = f.part("output")
        return cls(
            id=f.text("id"),
            kind=f.opt_text("kind"),
            command=f.opt_text("command"),
            status=f.text("status"),
            context=f.opt_text("context") or None,
            pid=f.opt_integer("pid"),
            exit_code=f.opt_integer("exitCode"),
            signal=f.opt_text("signal") or None,
            started_at=f.opt_time("startedAt"),
            ended_at=f.opt_time("endedAt"),
            offsets=(output.integer("from"), output.integer("to")),
            raw=f.all,
        )


@dataclass(frozen=True)
class Context:
    """A warm interpreter whose variables last from one execution to the next.

    Attributes:
        state: `starting`, `idle`, `busy` or `restarting`.
        execution_count: How often code ran in it.
    """

    id: str
    language: str
    cwd: str
    state: str
    execution_count: int
    created_at: datetime | None

    @classmethod
    def _of(cls, f: Fields) -> Context:
        return cls(
            id=f.text("id"),
            language=f.text("language"),
            cwd=f.opt_text("cwd"),
            state=f.opt_text("state"),
            execution_count=f.integer("executionCount"),
            created_at=f.opt_time("createdAt"),
        )


@dataclass(frozen=True)
class FileEntry:
    """A file or folder inside a sandbox.

    Attributes:
        type: `file`, `directory`, `symlink`, `fifo`, `socket` or `device`.
        size: In bytes.
        mode: Permission bits, e.g. `0o644`.
        symlink_target: Where a symlink points, or None.
    """

    name: str
    path: str
    type: str
    size: int
    mode: int
    modified_at: datetime
    etag: str | None = None
    symlink_target: str | None = None

    @property
    def is_dir(self) -> bool:
        """Is it a folder?"""
        return self.type == "directory"

    @property
    def is_file(self) -> bool:
        """Is it a regular file?"""
        return self.type == "file"

    @classmethod
    def _of(cls, f: Fields) -> FileEntry:
        mode = f.text("mode")
        return cls(
            name=f.text("name"),
            path=f.text("path"),
            type=f.text("type"),
            size=f.integer("size"),
            mode=int(mode, 8) if mode.isascii() and mode.isdigit() else 0,
            modified_at=f.time("modifiedAt"),
            etag=f.opt_text("etag") or None,
            symlink_target=f.opt_text("symlinkTarget") or None,
        )


@dataclass(frozen=True)
class FileEvent:
    """Something that happened to a watched file.

    Attributes:
        type: The server's word for it, e.g. `create`, `write`, `remove`, `rename`, `chmod`;
            `overflow` when events were lost, because they came too fast or the connection broke:
            look anew.
        path: What it happened to.
        source: Of a `rename`: where it was, if that is known.
        raw: All that the server said.
    """

    type: str
    path: str
    source: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class SignedUrl:
    """A URL that works without a key until it expires."""

    url: str
    expires_at: datetime

    def __str__(self) -> str:
        return self.url

    @classmethod
    def _of(cls, f: Fields) -> SignedUrl:
        return cls(f.text("url"), f.time("expiresAt"))


@dataclass(frozen=True)
class Port:
    """A port on which something inside a sandbox listens.

    Attributes:
        address: That it listens on, inside.
        pid: Of the program inside, or None if that is not known.
        program: Its name; may be empty.
        raw: All that the server said.
    """

    port: int
    address: str = ""
    pid: int | None = None
    program: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def _of(cls, f: Fields) -> Port:
        return cls(
            port=f.integer("port"),
            address=f.opt_text("address"),
            pid=f.opt_integer("pid"),
            program=f.opt_text("program"),
            raw=f.all,
        )


@dataclass(frozen=True)
class InstalledPackage:
    """A package that is there after an installation."""

    name: str
    version: str


@dataclass(frozen=True)
class Event:
    """Something that happened to a sandbox.

    Attributes:
        seq: Grows with every event of a sandbox.
        type: `Normal`, `Warning` or `Security`.
        count: How often the same happened.
    """

    seq: int
    time: datetime
    type: str
    reason: str
    message: str
    count: int

    @classmethod
    def _of(cls, f: Fields) -> Event:
        return cls(
            seq=f.integer("seq"),
            time=f.time("time"),
            type=f.text("type"),
            reason=f.text("reason"),
            message=f.text("message"),
            count=f.integer("count", 1),
        )


@dataclass(frozen=True)
class Metrics:
    """What a sandbox uses now; a figure that the node cannot tell is 0.

    Attributes:
        cpu_seconds: Processor time used so far, in seconds.
        cpu_limit: Processors it may use.
        raw: All that the server said.
    """

    timestamp: datetime
    cpu_seconds: float
    cpu_limit: float
    memory_bytes: int
    memory_peak_bytes: int
    memory_limit_bytes: int
    processes: int
    processes_limit: int
    disk_bytes: int
    disk_limit_bytes: int
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def _of(cls, f: Fields) -> Metrics:
        return cls(
            timestamp=f.time("timestamp"),
            cpu_seconds=f.integer("cpuMs") / 1000,
            cpu_limit=f.integer("cpuLimitMillicores") / 1000,
            memory_bytes=f.integer("memoryBytes"),
            memory_peak_bytes=f.integer("memoryPeakBytes"),
            memory_limit_bytes=f.integer("memoryLimitBytes"),
            processes=f.integer("processes"),
            processes_limit=f.integer("processesLimit"),
            disk_bytes=f.integer("diskBytes"),
            disk_limit_bytes=f.integer("diskLimitBytes"),
            raw=f.all,
        )


@dataclass(frozen=True)
class ApiKey:
    """An API key.

    Attributes:
        prefix: Its first characters, by which to recognise it.
        key: The key itself, only in the answer to its creation; else None.
    """

    id: str
    name: str
    role: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked: bool
    key: str | None = field(default=None, repr=False)

    @classmethod
    def _of(cls, f: Fields) -> ApiKey:
        return cls(
            id=f.text("id"),
            name=f.text("name"),
            role=f.text("role"),
            prefix=f.text("prefix"),
            created_at=f.time("createdAt"),
            expires_at=f.opt_time("expiresAt"),
            revoked=f.flag("revoked"),
            key=f.opt_text("key") or None,
        )
