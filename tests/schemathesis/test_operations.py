"""The interface description against a real server, with requests made up from it: valid ones and
invalid ones. Whatever comes, the server answers, as described, and never with its own failure.

Every operation has a sandbox of its own, so that what one does to it is no other's matter.
"""
import contextlib
import pathlib
import sys

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (content_type_conformance, negative_data_rejection,
                                               response_headers_conformance, response_schema_conformance,
                                               status_code_conformance)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.helpers import schema as description  # noqa: E402
from tests.helpers.server import start_server  # noqa: E402

EXAMPLES = 15
RESOURCES = {"warmpools": {"runtime": "python", "minSize": 0}, "runtimes": {"language": "python"}, "profiles": {}}
SECONDS = 30  # that an answer may take
CONFORMS = [status_code_conformance, content_type_conformance, response_headers_conformance,
            response_schema_conformance]
API = schemathesis.openapi.from_dict(description.DOCUMENT)
OPERATIONS = [found.ok() for found in API.get_all_operations()]


@schemathesis.serializer("application/x-tar", "application/gzip", "application/zip")
def as_bytes(_, value):
    """Archives are made up as any bytes."""
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else str(data).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="session")
def server():
    running = start_server()
    yield running
    status = running.stop()
    log = running.log()
    running.discard()
    assert status == 0, log[-3000:]


class Client:
    def __init__(self, server):
        self.url = server.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["X-API-Key"] = server.key

    def create(self):
        answer = self.session.post(self.url + "/api/v1/sandboxes", timeout=SECONDS,
                                   json={"runtime": "python", "timeout": 600})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def delete(self, sandbox):
        answer = self.session.delete(f"{self.url}/api/v1/sandboxes/{sandbox}", timeout=60)
        assert answer.status_code in (204, 404), answer.text


    def ensure(self, area):
        """A resource that is there, by its name."""
        body = {"metadata": {"name": "made-up"}, "spec": RESOURCES[area]}
        answer = self.session.post(f"{self.url}/api/v1/{area}", json=body, timeout=SECONDS)
        assert answer.status_code in (201, 409), answer.text
        return "made-up"


@pytest.fixture(scope="session")
def client(server):
    return Client(server)


@pytest.fixture
def sandbox(client):
    made = client.create()
    yield made
    client.delete(made)


def is_sandboxes(operation):
    return operation.path.startswith("/api/v1/sandboxes/{id}")


def area_of(operation):
    """What kind of resource it is about, if about one that can be made."""
    part = operation.path.split("/")[3:4]
    return part[0] if part and part[0] in RESOURCES and "{name}" in operation.path else None


def returns(operation, *kinds):
    """Does a success of this operation have one of these content types?"""
    answers = operation.definition.raw["responses"]
    return any(kind in description.resolve(answer).get("content", {})
               for status, answer in answers.items() if status[0] in "12" for kind in kinds)


def without_waiting(case):
    """What is valid may also be long: nothing here follows, sleeps, or reads without end."""
    query = dict(case.query or {})
    for name in ("follow", "watch"):
        if query.get(name) not in (None, False, "false"):
            query[name] = False
    query.pop("lenient", None)  # what is wrong would be dropped
    if case.path.endswith("/wait") and str(query.get("timeout", "")).isdigit():
        query["timeout"] = min(int(query["timeout"]), 1)
    elif case.path.endswith("/wait"):
        query.setdefault("timeout", 1)
    case.query = query
    if isinstance(case.body, dict) and case.path.endswith("/execute"):
        if case.body.get("stdin") is True:
            case.body["stdin"] = ""
        case.body["timeoutMs"] = 500 if not case.body.get("timeoutMs") else case.body["timeoutMs"]
        if isinstance(case.body["timeoutMs"], int):
            case.body["timeoutMs"] = min(case.body["timeoutMs"], 500)


def check(case, response, *checks):
    """It conforms; the only failure of the server's own is one that says why it cannot serve."""
    error = response.json()["error"] if response.status_code >= 400 and response.content else {}
    if response.status_code == 503:
        assert error.get("code", "unavailable") == "unavailable"
    elif response.status_code in (502, 504) and "/ports/" in case.path:
        rules = [detail.get("rule") for detail in error.get("details", [])]
        assert case.method == "HEAD" or rules[0] in ("nobody_listens", "bad_answer", "timeout"), error
    else:
        checks = (not_a_server_error, *checks)
    case.validate_response(response, checks=[*CONFORMS, *checks])


@contextlib.contextmanager
def opened(case, client):
    """The answer's head: for what streams without end."""
    arguments = case.as_transport_kwargs(base_url=client.url)
    with client.session.request(**arguments, timeout=SECONDS, stream=True) as answer:
        yield answer


def bounded(test):
    return settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
                    phases=[Phase.explicit, Phase.generate],
                    suppress_health_check=list(HealthCheck))(test)


def label(operation):
    return operation.label.replace("/api/v1/", "")


@pytest.mark.parametrize("operation", OPERATIONS, ids=label)
def test_valid_requests(client, sandbox, operation):
    fixed = {"id": sandbox} if is_sandboxes(operation) else {"name": "made-up"} if area_of(operation) else {}
    ends_it = operation.method == "delete" and operation.path.endswith("/sandboxes/{id}")

    @bounded
    @given(case=operation.as_strategy(path_parameters=fixed))
    def run(case):
        without_waiting(case)
        if ends_it:
            case.path_parameters = {"id": client.create()}
        if area_of(operation):
            client.ensure(area_of(operation))
        if is_endless(operation):
            with opened(case, client) as answer:
                assert answer.status_code < 500 or answer.status_code == 503, answer.text
            return
        response = case.call(base_url=client.url, session=client.session, timeout=SECONDS)
        if operation.path == "/api/v1/sandboxes" and response.status_code == 201:
            client.delete(response.json()["id"])
        check(case, response)
        if operation.path.endswith("/pause"):
            client.session.post(f"{client.url}/api/v1/sandboxes/{sandbox}/resume", timeout=SECONDS)

    run()


def is_endless(operation):
    """A stream that only its reader ends, or a connection that becomes a WebSocket."""
    return returns(operation, "text/event-stream") and not returns(operation, "application/json") \
        or "101" in operation.definition.raw["responses"]


def can_be_wrong(operation):
    """Is there anything in a request of this operation that the description restricts?"""
    raw = operation.definition.raw
    return bool(raw.get("requestBody") or raw.get("parameters") or operation.path_parameters)


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if can_be_wrong(o)], ids=label)
def test_invalid_requests(client, sandbox, operation):
    fixed = {"id": sandbox} if is_sandboxes(operation) else {"name": "made-up"} if area_of(operation) else {}

    @bounded
    @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def run(case):
        if fixed and operation.definition.raw.get("requestBody"):
            case.path_parameters = {**case.path_parameters, **fixed}
        if area_of(operation):
            client.ensure(area_of(operation))
        if is_endless(operation):
            with opened(case, client) as answer:
                assert answer.status_code < 500 or answer.status_code == 503, answer.text
            return
        without_waiting(case)
        response = case.call(base_url=client.url, session=client.session, timeout=SECONDS)
        if response.status_code < 400:
            check(case, response, negative_data_rejection)
        else:
            check(case, response)

    run()


@pytest.mark.parametrize("operation", OPERATIONS, ids=label)
def test_wrong_keys(client, operation):
    if operation.definition.raw.get("security") == []:
        return

    @settings(max_examples=3, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def run(case):
        for headers in ({}, {"X-API-Key": "sa_" + "a" * 8 + "_" + "b" * 32}, {"Authorization": "Bearer x"}):
            arguments = case.as_transport_kwargs(base_url=client.url)
            arguments["headers"] = {**arguments.get("headers", {}), **headers}
            answer = requests.request(**arguments, timeout=SECONDS)
            assert answer.status_code == 401, answer.text

    run()
