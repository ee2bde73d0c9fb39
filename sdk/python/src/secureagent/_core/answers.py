"""Reading answers: JSON with checks, and errors as exceptions."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any, Mapping

from .. import errors
from .effects import Reply

_BY_CODE: Mapping[str, type[errors.SecureAgentError]] = {
    "invalid_request": errors.InvalidRequestError,
    "unauthorized": errors.AuthenticationError,
    "forbidden": errors.PermissionDeniedError,
    "policy_denied": errors.PolicyDeniedError,
    "not_found": errors.NotFoundError,
    "conflict": errors.ConflictError,
    "rate_limited": errors.RateLimitError,
    "quota_exceeded": errors.QuotaExceededError,
    "payload_too_large": errors.PayloadTooLargeError,
    "timeout": errors.RequestTimeoutError,
    "unavailable": errors.UnavailableError,
    "internal": errors.ServerError,
}

_BY_STATUS: Mapping[int, type[errors.SecureAgentError]] = {
    400: errors.InvalidRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    408: errors.RequestTimeoutError,
    409: errors.ConflictError,
    412: errors.ConflictError,
    413: errors.PayloadTooLargeError,
    422: errors.InvalidRequestError,
    429: errors.RateLimitError,
    502: errors.UnavailableError,
    503: errors.UnavailableError,
    504: errors.RequestTimeoutError,
    507: errors.QuotaExceededError,
}


def raise_for_status(reply: Reply) -> None:
    """Raise what an answer with an error status means; do nothing otherwise."""
    if reply.status >= 400:
        raise error_of(reply)


def error_of(reply: Reply) -> errors.SecureAgentError:
    """The exception for an answer that is an error."""
    try:
        said = json.loads(reply.body)["error"]
        code, message = str(said["code"]), str(said["message"])
    except (ValueError, KeyError, TypeError):
        said, code = {}, ""
        message = f"the server answered with status {reply.status}"
    kind = (
        _BY_CODE.get(code)
        or _BY_STATUS.get(reply.status)
        or (errors.ServerError if reply.status >= 500 else errors.SecureAgentError)
    )
    found = kind(
        message,
        code=code,
        status=reply.status,
        request_id=said.get("requestId") or reply.headers.get("x-request-id"),
        details=_details(said.get("details")),
    )
    if isinstance(found, errors.RateLimitError):
        value = reply.headers.get("retry-after", "")
        found.retry_after = float(value) if value.isascii() and value.isdigit() else None
    return found


def error_for(code: str, message: str) -> errors.SecureAgentError:
    """The exception for an error within a stream."""
    return _BY_CODE.get(code, errors.SecureAgentError)(message, code=code)


def _details(found: Any) -> list[errors.ErrorDetail]:
    names = ("path", "reason", "rule", "decision")
    return [
        errors.ErrorDetail(*(str(one.get(name, "")) for name in names))
        for one in found or ()
        if isinstance(one, dict)
    ]


class Fields:
    """A JSON object whose members are taken out with their type checked.

    Members that are not known here are left alone: a newer server may send more.
    """

    def __init__(self, value: Any, what: str) -> None:
        if not isinstance(value, dict):
            raise errors.ProtocolError(f"{what}: an object was expected")
        self.all: dict[str, Any] = value
        self._what = what

    def _get(self, name: str, kinds: tuple[type, ...], default: Any, required: bool) -> Any:
        value = self.all.get(name)
        if value is None and not required:
            return default
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise errors.ProtocolError(f"{self._what}.{name}: {kinds[0].__name__} was expected")
        return value

    def text(self, name: str) -> str:
        return str(self._get(name, (str,), "", True))

    def opt_text(self, name: str, default: str = "") -> str:
        return str(self._get(name, (str,), default, False))

    def integer(self, name: str, default: int = 0) -> int:
        return int(self._get(name, (int,), default, False))

    def opt_integer(self, name: str) -> int | None:
        value = self._get(name, (int,), None, False)
        return None if value is None else int(value)

    def number(self, name: str, default: float = 0.0) -> float:
        return float(self._get(name, (float, int), default, False))

    def flag(self, name: str) -> bool:
        return bool(self._get(name, (bool,), False, False))

    def items(self, name: str) -> list[Any]:
        return list(self._get(name, (list,), [], False))

    def part(self, name: str) -> Fields:
        return Fields(self._get(name, (dict,), {}, False), f"{self._what}.{name}")

    def texts(self, name: str) -> dict[str, str]:
        return {key: str(value) for key, value in self.part(name).all.items()}

    def time(self, name: str) -> datetime:
        return _time(self.text(name), f"{self._what}.{name}")

    def opt_time(self, name: str) -> datetime | None:
        return self.time(name) if self.all.get(name) is not None else None


def _time(value: str, what: str) -> datetime:
    text = value[:-1] if value.endswith("Z") else value
    whole, _, fraction = text.partition(".")
    try:
        found = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S")
        micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
    except ValueError:
        raise errors.ProtocolError(f"{what}: {value!r} is no time") from None
    return found.replace(microsecond=micros, tzinfo=timezone.utc)


def decode(reply: Reply, what: str) -> Fields:
    """The JSON object of an answer."""
    try:
        value = json.loads(reply.body)
    except ValueError:
        raise errors.ProtocolError(f"{what}: the answer is not JSON") from None
    return Fields(value, what)
