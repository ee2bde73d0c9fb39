"""What is sent again, after how long, and what a refusal becomes."""

from __future__ import annotations

import email.utils
import io
import json

import pytest
from script import CUT, REFUSED, Answer, Script, wire

import secureagent as sa
from secureagent._core import files, retry, sandboxes
from secureagent._core.answers import error_of
from secureagent._core.effects import Reply, Request, TransportError
from secureagent._core.retry import RetryPolicy, retry_after, send

INFO = {"id": "sb-1", "runtime": "python", "phase": "Running", "timeout": 300,
        "createdAt": "2026-01-01T00:00:00.000Z"}  # fmt: skip


def test_reads_are_repeated() -> None:
    script = Script(CUT, REFUSED, Answer.json({}, 503), Answer.json(INFO))
    assert script.run(sandboxes.get(wire(), "sb-1")).id == "sb-1"
    assert len(script.slept) == 3


def test_a_creation_is_repeated_with_its_key() -> None:
    script = Script(CUT, Answer.json({}, 502), Answer.json(INFO, 201))
    script.run(sandboxes.create(wire(), runtime="python"))
    assert [r.headers["Idempotency-Key"] for r in script.requests] == ["key-1"] * 3


def test_what_may_do_harm_twice_is_sent_once() -> None:
    script = Script(CUT)
    with pytest.raises(sa.ConnectionFailedError):
        script.run(send(Request("POST", "/x"), RetryPolicy()))
    script = Script(Answer.json({}, 503))
    with pytest.raises(sa.UnavailableError):
        script.run(send(Request("POST", "/x"), RetryPolicy()))


def test_what_never_arrived_is_sent_again() -> None:
    script = Script(REFUSED, Answer.json({}, 429), Answer.json({}))
    assert script.run(send(Request("POST", "/x"), RetryPolicy())).status == 200


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 500])
def test_answers_that_stand(status: int) -> None:
    script = Script(Answer.json({}, status))
    with pytest.raises(sa.SecureAgentError) as caught:
        script.run(sandboxes.get(wire(), "sb-1"))
    assert caught.value.status == status
    assert script.slept == []


def test_patience_ends() -> None:
    script = Script(*[Answer.json({}, 429, retry_after="0")] * 3)
    with pytest.raises(sa.RateLimitError):
        script.run(sandboxes.get(wire(attempts=3), "sb-1"))
    assert len(script.slept) == 2


def test_the_server_says_when() -> None:
    script = Script(Answer.json({}, 503, retry_after="4"), Answer.json(INFO))
    script.run(sandboxes.get(wire(), "sb-1"))
    assert 4.0 <= script.slept[0] <= 4.1


def test_too_long_a_wait_is_left_to_the_caller() -> None:
    script = Script(Answer.json({}, 429, retry_after="3600"))
    with pytest.raises(sa.RateLimitError) as caught:
        script.run(sandboxes.get(wire(), "sb-1"))
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize("value, seconds", [("0", 0.0), ("12", 12.0), ("", None), ("soon", None),
                                            ("-3", None), ("1.5", None), ("٣", None)])  # fmt: skip
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}) == seconds


def test_retry_after_as_a_date() -> None:
    when = email.utils.formatdate(1000, usegmt=True)
    assert retry_after({"retry-after": when}, now=lambda: 990.0) == 10.0
    assert retry_after({"retry-after": when}, now=lambda: 2000.0) == 0.0


def test_waits_grow_up_to_a_bound_and_differ() -> None:
    policy = RetryPolicy(first=0.1, longest=1.0)
    assert [policy.backoff(n, lambda: 1.0) for n in (1, 2, 3, 9)] == [0.1, 0.2, 0.4, 1.0]
    assert policy.backoff(3, lambda: 0.25) == 0.1


def test_a_timeout_is_told_from_a_refusal() -> None:
    silent = TransportError("silence", sent=True, timed_out=True)
    assert isinstance(retry.failed(silent), sa.RequestTimeoutError)
    assert isinstance(retry.failed(silent), TimeoutError)
    assert isinstance(retry.failed(REFUSED), ConnectionError)


def test_bodies_are_sent_from_their_beginning_again() -> None:
    file = io.BytesIO(b"..data")
    file.seek(2)
    entry = {"name": "a", "path": "/workspace/a", "type": "file", "size": 4, "mode": "0644",
             "modifiedAt": "2026-01-01T00:00:00Z"}  # fmt: skip

    class Reading(Script):
        def _perform(self, effect):  # type: ignore[no-untyped-def]
            request = getattr(effect, "request", None)
            if request is not None:
                assert request.body.read() == b"data"
                assert request.headers["Content-Length"] == "4"
            return super()._perform(effect)

    Reading(CUT, Answer.json(entry)).run(files.write_file(wire(), "sb-1", "a", file, None))


def test_bodies_that_cannot_be_sent_twice_are_not() -> None:
    script = Script(CUT)
    with pytest.raises(sa.ConnectionFailedError):
        script.run(files.write_file(wire(), "sb-1", "a", iter([b"x"]), None))


# ---- refusals ----


def error(status: int, code: str, **more: object) -> sa.SecureAgentError:
    body = {"error": {"code": code, "message": "no", "requestId": "req-1", **more}}
    return error_of(Reply(status, {}, json.dumps(body).encode()))


@pytest.mark.parametrize("status, code, kind", [
    (400, "invalid_request", sa.InvalidRequestError), (401, "unauthorized", sa.AuthenticationError),
    (403, "forbidden", sa.PermissionDeniedError), (403, "policy_denied", sa.PolicyDeniedError),
    (404, "not_found", sa.NotFoundError), (409, "conflict", sa.ConflictError),
    (413, "payload_too_large", sa.PayloadTooLargeError), (429, "rate_limited", sa.RateLimitError),
    (429, "quota_exceeded", sa.QuotaExceededError), (504, "timeout", sa.RequestTimeoutError),
    (503, "unavailable", sa.UnavailableError), (500, "internal", sa.ServerError),
    (418, "teapot", sa.SecureAgentError),
])  # fmt: skip
def test_every_code_has_a_type(status: int, code: str, kind: type) -> None:
    found = error(status, code)
    assert type(found) is kind
    assert (found.code, found.status, found.request_id) == (code, status, "req-1")


def test_what_an_error_says() -> None:
    found = error(401, "unauthorized", details=[{"path": "a.b", "reason": "wrong", "rule": "r"}])
    assert found.details == (sa.ErrorDetail("a.b", "wrong", "r"),)
    for part in ("no", "a.b: wrong", "SECUREAGENT_API_KEY", "req-1"):
        assert part in str(found)


def test_all_mistakes_are_shown() -> None:
    reasons = ["a.b: expected an integer", "c: is required", "f.yaml:3: no"]
    details = [{"path": path, "reason": r} for path, r in zip(["a.b", "c", "d"], reasons)]
    message = f"{reasons[0]} (and 2 more: see details)"
    found = error(400, "invalid_request", message=message, details=details)
    assert found.message == message
    lines = str(found).splitlines()
    assert lines[:4] == [reasons[0], "  c: is required", "  d: f.yaml:3: no", "request id: req-1"]


def test_a_denial_names_rule_reason_and_decision() -> None:
    detail = {"rule": "a/b", "reason": "no", "decision": "dec-x"}
    found = error(403, "policy_denied", details=[detail])
    assert isinstance(found, sa.PolicyDeniedError)
    assert (found.rule, found.reason, found.decision) == ("a/b", "no", "dec-x")
    bare = error(403, "policy_denied")
    assert isinstance(bare, sa.PolicyDeniedError)
    assert (bare.rule, bare.reason, bare.decision) == ("", "", "")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error": 1}', b'{"error": {}}', b"\xff"]
)
def test_answers_that_are_not_ours(body: bytes) -> None:
    found = error_of(Reply(502, {"x-request-id": "req-2"}, body))
    assert isinstance(found, sa.UnavailableError)
    assert found.request_id == "req-2"


@pytest.mark.parametrize("said", [[], {"id": 1}, {**INFO, "createdAt": "yesterday"},
                                  {**INFO, "timeout": "x"}, {**INFO, "labels": []}])  # fmt: skip
def test_answers_of_a_wrong_shape(said: object) -> None:
    with pytest.raises(sa.ProtocolError):
        Script(Answer.json(said)).run(sandboxes.get(wire(), "sb-1"))


# ---- lists, waiting ----


def test_pages_are_fetched_when_needed() -> None:
    script = Script(Answer.json({"items": [INFO], "cursor": "c"}), Answer.json({"items": [INFO]}))
    script.run(sandboxes.list_all(wire(), labels={"a": "b", "c": "d"}))
    assert len(script.emitted) == 2
    assert dict(script.requests[0].query) == {"labelSelector": "a=b,c=d"}
    assert dict(script.requests[1].query)["cursor"] == "c"


def test_waiting_asks_again_until_its_time_is_over() -> None:
    times = iter([0.0, 0.0, 10.0, 20.0, 31.0])
    said = {"error": {"code": "timeout", "message": "not yet", "requestId": "r"}}
    script = Script(Answer.json(said, 408), Answer.json(said, 408))
    with pytest.raises(sa.RequestTimeoutError, match="not Running within 30 s"):
        script.run(sandboxes.wait(wire(), "sb-1", "Running", 30.0, lambda: next(times)))
