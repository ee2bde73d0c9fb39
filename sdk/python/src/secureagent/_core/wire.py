"""Building requests: paths, queries, JSON bodies, idempotency keys."""

from __future__ import annotations

import json
import urllib.parse
import uuid
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Union

from .answers import Fields, decode
from .config import Config
from .effects import Body, Operation, Request
from .retry import send

Query = Mapping[str, Union[str, int, bool, None]]

API = "/api/v1"
SANDBOXES = f"{API}/sandboxes"
_NEVER_WORSE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


def _new_key() -> str:
    return uuid.uuid4().hex


def quote(part: str) -> str:
    """One segment of a path."""
    return urllib.parse.quote(part, safe="")


def sandbox_path(sandbox: str, *parts: str) -> str:
    """The path of something of a sandbox; each part is one segment."""
    return "/".join((SANDBOXES, quote(sandbox), *map(quote, parts)))


def _pairs(query: Query) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in query.items()
        if value is not None
    )


def without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object of the members that have a value."""
    return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True)
class Wire:
    """What all operations need to know."""

    config: Config
    new_key: Callable[[], str] = field(default=_new_key)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json_body: Any = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        once: bool = False,
        safe: bool | None = None,
        timeout: float | None = -1.0,
    ) -> Request:
        """A request.

        `once` gives it an idempotency key, so that it may be sent twice. `safe` says whether that
        is harmless anyway; by default that depends on the method. `timeout` is in seconds, None is
        for ever, and by default it is what is configured.
        """
        all_headers = {"Accept": "application/json", **(headers or {})}
        if json_body is not None:
            body = json.dumps(json_body, ensure_ascii=False, separators=(",", ":")).encode(
                "utf-8", "surrogatepass"
            )
            all_headers.setdefault("Content-Type", "application/json")
        if once:
            all_headers["Idempotency-Key"] = self.new_key()
        return Request(
            method,
            path,
            _pairs(query or {}),
            all_headers,
            body,
            timeout=self.config.timeout if timeout is not None and timeout < 0 else timeout,
            safe=(once or method in _NEVER_WORSE) if safe is None else safe,
        )

    def ask(self, what: str, method: str, path: str, **more: Any) -> Operation[Fields]:
        """Send a request and decode the JSON object it is answered with."""
        reply = yield from send(self.request(method, path, **more), self.config.retry)
        return decode(reply, what)

    def tell(self, method: str, path: str, **more: Any) -> Operation[None]:
        """Send a request whose answer says nothing more."""
        yield from send(self.request(method, path, **more), self.config.retry)

    def pages(self, what: str, path: str, query: Query) -> Operation[list[Fields]]:
        """All items of a list, page after page."""
        found: list[Fields] = []
        cursor: str | None = None
        while True:
            page = yield from self.ask(what, "GET", path, query={**query, "cursor": cursor})
            found += [Fields(one, what) for one in page.items("items")]
            cursor = page.opt_text("cursor") or None
            if cursor is None:
                return found
