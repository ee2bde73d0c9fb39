"""What can go wrong, as types.

Every error is a `SecureAgentError`. What the server refused has its `code`, HTTP `status` and
`request_id`; the last finds the request in the server's log.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    from .models import Execution


@dataclass(frozen=True)
class ErrorDetail:
    """One reason of a refusal.

    Attributes:
        path: The member of the request that was wrong, e.g. `resources.memory`.
        reason: Why, for a person.
        rule: The policy rule that decided, if one did.
        decision: Id of its decision, by which an operator has it explained.
    """

    path: str = ""
    reason: str = ""
    rule: str = ""
    decision: str = ""


def _line(detail: ErrorDetail) -> str:
    if not detail.path:
        return detail.reason
    named = detail.reason.startswith(f"{detail.path}: ")
    return f"  {detail.reason}" if named else f"  {detail.path}: {detail.reason}"


class SecureAgentError(Exception):
    """The base of all errors of this package.

    Attributes:
        message: What was wrong.
        code: The server's word for it, e.g. `not_found`; empty when it is not from the server.
        status: The HTTP status, or None.
        request_id: The id under which the server logged the request, or None.
        details: Which parts of the request were wrong, and why.
        hint: What to do about it; may be empty.

    Example:
        >>> try:
        ...     Sandbox.connect("sb-aaaaaaaaaaaaaaaaaaaa")
        ... except SecureAgentError as error:
        ...     print(error.code, error.request_id, error.hint)
    """

    default_hint = ""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int | None = None,
        request_id: str | None = None,
        details: Sequence[ErrorDetail] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id
        self.details = tuple(details)
        self.hint = self.default_hint if hint is None else hint

    def __str__(self) -> str:
        parts = [self.message]
        if len(self.details) > 1 and self.message.startswith(self.details[0].reason or "\n"):
            parts = [self.details[0].reason]  # and not that there are more, which follow
        parts += [
            _line(detail)
            for detail in self.details
            if detail.reason and detail.reason not in parts[0]
        ]
        if self.hint:
            parts.append(f"hint: {self.hint}")
        if self.request_id:
            parts.append(f"request id: {self.request_id}")
        return "\n".join(parts)


class ConfigurationError(SecureAgentError):
    """It is not known which server to talk to, or with which key."""


class ConnectionFailedError(SecureAgentError, builtins.ConnectionError):
    """The server could not be reached, or the connection broke too often."""

    default_hint = "is the server running? `secureagent up` starts one; SECUREAGENT_URL names it"


class RequestTimeoutError(SecureAgentError, builtins.TimeoutError):
    """The server did not answer in time, or what was waited for did not happen in time."""


class ProtocolError(SecureAgentError):
    """The server's answer is not one that this version of the package understands."""

    default_hint = "does SECUREAGENT_URL lead to a SecureAgent server of a matching version?"


class InvalidRequestError(SecureAgentError, ValueError):
    """The request is wrong (400); `details` name all members that are, and why."""


class AuthenticationError(SecureAgentError):
    """The API key is missing, wrong, expired or revoked (401)."""

    default_hint = "check SECUREAGENT_API_KEY; `secureagent keys create` makes a key"


class PermissionDeniedError(SecureAgentError):
    """The key's role, or the sandbox's isolation, does not allow this (403)."""


class PolicyDeniedError(PermissionDeniedError):
    """A policy of the operator decided against it.

    Example:
        >>> try:
        ...     sb.run_command("xmrig")
        ... except PolicyDeniedError as error:
        ...     print(error.rule, error.reason, error.decision)
    """

    @property
    def rule(self) -> str:
        """The rule that decided, e.g. `deny-miners/miner`; empty when none could be asked."""
        return self.details[0].rule if self.details else ""

    @property
    def reason(self) -> str:
        """Why, in the rule's words."""
        return self.details[0].reason if self.details else ""

    @property
    def decision(self) -> str:
        """Id of the decision: `secureagent policy explain` tells an operator how it came about."""
        return self.details[0].decision if self.details else ""


class NotFoundError(SecureAgentError, LookupError):
    """There is no such sandbox, file, context or execution (404), or it has ended."""


class ConflictError(SecureAgentError):
    """The state of things does not allow this now (409)."""


class RateLimitError(SecureAgentError):
    """Too many requests (429), even after waiting as told.

    Attributes:
        retry_after: Seconds after which the server would take the request, or None.
    """

    retry_after: float | None = None


class QuotaExceededError(SecureAgentError):
    """A quota is used up: sandboxes, executions, storage."""


class PayloadTooLargeError(SecureAgentError):
    """What was sent is larger than the server takes (413)."""


class UnavailableError(SecureAgentError):
    """The server cannot serve this now (502, 503), even after several tries."""


class ServerError(SecureAgentError):
    """The server failed (500). This is a bug of the server: report it with the request id."""


class CommandError(SecureAgentError):
    """A program did not succeed, and `check=True` asked to be told so.

    Attributes:
        execution: All that is known about it: output, exit code, error.

    Example:
        >>> try:
        ...     sb.run_command("make", check=True)
        ... except CommandError as error:
        ...     print(error.execution.stderr)
    """

    def __init__(self, execution: Execution) -> None:
        super().__init__(_outcome(execution))
        self.execution = execution


class ExecutionTimeoutError(CommandError, builtins.TimeoutError):
    """A program ran out of its time, and `check=True` asked to be told so."""

    default_hint = "give it more with timeout=SECONDS"


def _outcome(execution: Execution) -> str:
    if execution.status == "exited" and execution.error is None:
        text = f"the program ended with exit code {execution.exit_code}"
    elif execution.error is not None:
        text = f"{execution.error.name}: {execution.error.value}"
    elif execution.signal:
        text = f"the program was ended by {execution.signal}"
    else:
        text = f"the program ended: {execution.status}"
    last = execution.stderr.strip()[-500:]
    return f"{text}\n{last}" if last else text
