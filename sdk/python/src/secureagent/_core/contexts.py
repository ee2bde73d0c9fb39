"""Operations on contexts, and the default context that `run_code` uses."""

from __future__ import annotations

from typing import Mapping, Sequence

from ..errors import NotFoundError
from ..models import Context
from .effects import Operation
from .wire import Wire, sandbox_path, without_none

# Languages whose state can last; code in others runs in a process of its own.
STATEFUL = frozenset({"python", "node", "bash"})
START_GRACE = 30.0


def create(
    wire: Wire,
    sandbox: str,
    language: str,
    *,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    imports: Sequence[str] | None = None,
) -> Operation[Context]:
    members = {
        "language": language,
        "cwd": cwd,
        "env": dict(env) if env else None,
        "imports": list(imports) if imports else None,
    }
    found = yield from wire.ask(
        "context",
        "POST",
        sandbox_path(sandbox, "contexts"),
        json_body=without_none(members),
        timeout=wire.config.timeout + START_GRACE,
    )
    return Context._of(found)


def get(wire: Wire, sandbox: str, context: str) -> Operation[Context]:
    path = sandbox_path(sandbox, "contexts", context)
    return Context._of((yield from wire.ask("context", "GET", path)))


def list_all(wire: Wire, sandbox: str) -> Operation[list[Context]]:
    found = yield from wire.pages("contexts", sandbox_path(sandbox, "contexts"), {})
    return [Context._of(one) for one in found]


def delete(wire: Wire, sandbox: str, context: str) -> Operation[bool]:
    try:
        yield from wire.tell("DELETE", sandbox_path(sandbox, "contexts", context))
    except NotFoundError:
        return False
    return True


def restart(wire: Wire, sandbox: str, context: str) -> Operation[None]:
    yield from wire.tell("POST", sandbox_path(sandbox, "contexts", context, "restart"))


def interrupt(wire: Wire, sandbox: str, context: str) -> Operation[None]:
    yield from wire.tell("POST", sandbox_path(sandbox, "contexts", context, "interrupt"))


class Defaults:
    """Which context is the default one, by language.

    Whoever made the sandbox makes its default context with the first code. Whoever connected to it
    takes the oldest context of the language that there is, so that state is found again.
    """

    def __init__(self, *, adopt: bool) -> None:
        self._adopt = adopt
        self._ids: dict[str, str] = {}
        self._others: set[str] = set()

    def not_default(self, context: str) -> None:
        """A context that was made by hand stays out of it."""
        self._others.add(context)

    def forget(self, context: str) -> None:
        """That context is gone."""
        self._ids = {name: one for name, one in self._ids.items() if one != context}

    def known(self, language: str) -> str | None:
        """The id, if it is known already."""
        return self._ids.get(language)

    def find(self, wire: Wire, sandbox: str, language: str) -> Operation[str]:
        """The id; the context is made if there is none."""
        found: list[Context] = []
        if self._adopt:
            found = yield from list_all(wire, sandbox)
            found = [c for c in found if c.language == language and c.id not in self._others]
            found.sort(key=lambda c: (c.created_at.timestamp() if c.created_at else 0.0, c.id))
        one = found[0] if found else (yield from create(wire, sandbox, language))
        self._ids[language] = one.id
        return one.id
