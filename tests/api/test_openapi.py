"""api/openapi/ against the router, and against what is served."""
import re
import subprocess

import pytest
import requests

from tests.helpers import schema
from tests.helpers.server import BIN


def test_router_and_description_agree():
    text = subprocess.run([BIN / "agent-api", "--routes"], check=True, capture_output=True, text=True).stdout
    router = {}
    for line in text.splitlines():
        method, pattern, permission, _ = line.split()
        router[method, pattern.replace("...}", "}")] = permission
    described = {}
    for method, path, operation in schema.operations():
        open_to_all = operation.get("security") == []
        assert open_to_all != ("x-permission" in operation), f"{method} {path}: security or x-permission"
        described[method, path] = "none" if open_to_all else operation["x-permission"]
    assert router == described


def test_served_document_is_the_file(api):
    assert api.get("/openapi.json").json() == schema.DOCUMENT


def test_document_is_sound():
    """Ids are unique, parameters of a path are described, every reference leads somewhere, and
    no schema uses a word that the validator here does not check."""
    ids = [o["operationId"] for _, _, o in schema.operations()]
    assert len(ids) == len(set(ids))
    for path, entry in schema.DOCUMENT["paths"].items():
        for method in (m for m in schema.METHODS if m in entry):
            parameters = [schema.resolve(p) for p in
                          entry.get("parameters", []) + entry[method].get("parameters", [])]
            named = {p["name"] for p in parameters if p["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path)), path
            for parameter in parameters:
                assert not set(parameter["schema"]) - schema._KNOWN - {"$ref"}
    for one in schema.DOCUMENT["components"]["schemas"].values():
        for sample in ({}, [], "", 0, None):
            try:
                schema.check(one, sample)
            except schema.Mismatch:
                pass


@pytest.mark.parametrize("schema_part, value, fits", [
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"a": 1}, True),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"a": True}, False),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"b": 1}, False),
    ({"type": "object", "required": ["a"]}, {}, False),
    ({"type": "object", "additionalProperties": {"type": "string"}}, {"a": 1}, False),
    ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00.000Z", True),
    ({"type": "string", "format": "date-time"}, "2026-01-01 00:00:00", False),
    ({"type": ["integer", "null"]}, None, True),
    ({"type": "array", "items": {"enum": ["a"]}}, ["b"], False),
    ({"oneOf": [{"type": "string"}, {"type": "array"}]}, 1, False),
    ({"type": "string", "const": "base64"}, "hex", False),
])
def test_the_validator_itself(schema_part, value, fits):
    """A validator that lets everything through would make every other test here worthless."""
    if fits:
        schema.check(schema_part, value)
    else:
        with pytest.raises(schema.Mismatch):
            schema.check(schema_part, value)


# (method, path) of every operation with something that stands for its parameters.
def _concrete(path):
    return (path.replace("{id}", "sb-" + "a" * 20).replace("{eid}", "ex-" + "a" * 20)
            .replace("{path}", "workspace/a").replace("{name}", "some"))


@pytest.mark.parametrize("method, path", [(m, p) for m, p, o in schema.operations() if "x-permission" in o])
def test_every_protected_route_asks_for_a_key(api, method, path):
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"X-API-Key": "sa_aaaaaaaa_" + "a" * 32},
                    {"Authorization": "Basic " + "a" * 20}, {"Authorization": "Bearer " + api.key[:-1]},
                    {"Authorization": ""}):
        answer = requests.request(method, api.url + _concrete(path), headers=headers, timeout=90)
        assert answer.status_code == 401, (headers, answer.text)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        if method != "HEAD":
            assert answer.json()["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("path", sorted(schema.DOCUMENT["paths"]))
def test_other_methods_are_refused(api, path):
    allowed = {m for m in schema.METHODS if m in schema.DOCUMENT["paths"][path]}
    for method in {"get", "put", "post", "delete", "patch"} - allowed:
        answer = requests.request(method, api.url + _concrete(path), timeout=30,
                                  headers={"Authorization": "Bearer " + api.key})
        assert answer.status_code == 405, f"{method} {path}: {answer.status_code}"
        said = {m.strip().lower() for m in answer.headers["Allow"].split(",")}
        assert allowed <= said, f"{method} {path}: Allow: {said}"


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/api/v1/", "/api/v1/sandboxes/", "/api/v1/Sandboxes",
                                  "/api/v1/sandboxes/x/y", "/healthz/", "/metrics/x", "/openapi.yaml"])
def test_unknown_paths(api, path):
    api.error("GET", path, 404, "not_found")


def test_health(api):
    assert requests.get(api.url + "/healthz", timeout=60).json()["status"] == "ok"
    ready = requests.get(api.url + "/readyz", timeout=60)
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "node": "ok", "store": "ok", "policies": "ok", "draining": False}


def _limits():
    for method, path, operation in schema.operations():
        for parameter in map(schema.resolve, operation.get("parameters", [])):
            if parameter["in"] == "query" and schema.resolve(parameter["schema"])["type"] == "integer":
                yield method, path, parameter["name"], parameter["schema"]


@pytest.mark.parametrize("method, path, name, limits", list(_limits()))
def test_described_limits_are_the_real_ones(api, shared, method, path, name, limits):
    target = path.replace("{id}", shared) + f"?{name}="
    if "{eid}" in target:
        target = target.replace("{eid}", api.execute(shared, command="true")["id"])
    for limit, beyond in (("minimum", -1), ("maximum", 1)):
        if limit in limits:
            websocket = "101" in schema.find_operation(method, path)["responses"]
            expected = 426 if websocket else 200  # good, but no opening
            assert api.request(method, target + str(limits[limit])).status_code == expected
            api.error(method, target + str(limits[limit] + beyond), 400, "invalid_request", name)


@pytest.mark.parametrize("path", ["/api/v1/sandboxes?label=a=b", "/api/v1/sandboxes?limit=1&Limit=2",
                                  "/api/v1/sandboxes?limit%20cursor=1", "/api/v1/user/apikeys?x", "/api/v1/sandboxes?=1"])
def test_unknown_query_parameters_are_refused(api, path):
    error = api.get(path, status=400).json()["error"]
    assert error["code"] == "invalid_request" and "no such query parameter" in error["message"]
