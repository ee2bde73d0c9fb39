"""API keys and roles."""
import re

import pytest
import requests

from tests.helpers import schema
from tests.helpers.client import wait_until

KEYS = "/api/v1/user/apikeys"
ORDER = ["viewer", "developer", "operator", "admin"]
LEAST = {"sandboxes.read": "viewer", "sandboxes.write": "developer", "sandboxes.execute": "developer",
         "sandboxes.files": "developer", "sandboxes.ports": "developer", "keys.read": "admin", "keys.write": "admin", "operations.read": "operator",
         "policies.denials": "developer",
         "policies.read": "operator", "policies.write": "admin", "resources.read": "viewer", "resources.write": "operator"}


def make(api, **body):
    body.setdefault("name", "test")
    return api.post(KEYS, body, status=201).json()


@pytest.fixture(scope="module")
def roles(api):
    made = {role: make(api, name=role, role=role) for role in ORDER}
    yield {role: api.with_key(key["key"]) for role, key in made.items()}
    for key in made.values():
        api.request("DELETE", f"{KEYS}/{key['id']}", 204)


def test_life_of_a_key(api):
    key = make(api, name="ci")
    assert re.fullmatch(r"sa_[a-z2-7]{8}_[a-z2-7]{32}", key["key"]) and key["role"] == "developer"
    assert key["key"].startswith(key["prefix"]) and not key["revoked"] and "expiresAt" not in key
    assert api.with_key(key["key"]).get("/api/v1/sandboxes").json() == {"items": []}
    listed = [k for k in api.get(KEYS).json()["items"] if k["id"] == key["id"]]
    assert len(listed) == 1 and "key" not in listed[0]
    assert key["key"] not in api.get(KEYS).text
    api.request("DELETE", f"{KEYS}/{key['id']}", 204)
    api.with_key(key["key"]).error("GET", "/api/v1/sandboxes", 401, "unauthorized")
    listed = [k for k in api.get(KEYS).json()["items"] if k["id"] == key["id"]]
    assert not listed or listed[0]["revoked"]
    api.error("DELETE", f"{KEYS}/key-{'a' * 20}", 404, "not_found")
    api.error("DELETE", f"{KEYS}/nonsense", 404, "not_found")


def test_e2b_format(api):
    key = make(api, format="e2b")
    assert re.fullmatch(r"e2b_[0-9a-f]{40}", key["key"])
    for headers in ({"X-API-Key": key["key"]}, {"Authorization": "Bearer " + key["key"]},
                    {"Authorization": "bearer  " + key["key"]}):
        assert requests.get(api.url + "/api/v1/sandboxes", headers=headers, timeout=90).status_code == 200
    api.request("DELETE", f"{KEYS}/{key['id']}", 204)


def test_expiry(api):
    key = make(api, expiresIn=1)
    mine = api.with_key(key["key"])
    wait_until("it expires", lambda: mine.request("GET", "/api/v1/sandboxes").status_code == 401)


@pytest.mark.parametrize("body, where", [
    ({}, "name"), ({"name": ""}, "name"), ({"name": "x" * 64}, "name"), ({"name": 5}, "name"),
    ({"name": "a\nb"}, "name"), ({"name": "a", "role": "root"}, "role"), ({"name": "a", "format": "jwt"}, "format"),
    ({"name": "a", "expiresIn": 0}, "expiresIn"), ({"name": "a", "expiresIn": 1e9}, "expiresIn"),
    ({"name": "a", "rolle": "admin"}, "rolle"),
])
def test_refused(api, body, where):
    api.error("POST", KEYS, 400, "invalid_request", where, json=body)


def _concrete(path, sandbox):
    return path.replace("{id}", sandbox if "sandboxes" in path else "key-" + "b" * 20).replace("{path}", "tmp/none") \
        .replace("{name}", "none")


@pytest.mark.parametrize("role", ORDER)
def test_what_each_role_may(api, roles, shared, role):
    """Every operation: refused with 403 when the role is too low, and not with 403 otherwise."""
    for method, path, operation in schema.operations():
        needed = operation.get("x-permission")
        if not needed or operation["operationId"] == "deleteSandbox":
            continue
        # What streams without an end is not read to its end.
        answer = roles[role].request(method, _concrete(path, shared), stream=True,
                                     **({"json": {}} if method == "POST" else {}))
        allowed = ORDER.index(role) >= ORDER.index(LEAST[needed])
        assert (answer.status_code != 403) == allowed, f"{role}: {method} {path}: {answer.status_code}"
        assert answer.status_code != 401
        if not allowed and method != "HEAD":
            assert needed in answer.json()["error"]["message"]
        answer.close()


def test_what_belongs_to_someone_else(api, roles):
    """A developer does not see what another made, in no way; operators do."""
    other = make(api, name="other", role="developer")
    mine, theirs = roles["developer"], api.with_key(other["key"])
    with mine.sandbox(labels={"whose": "mine"}) as sandbox:
        path = f"/api/v1/sandboxes/{sandbox}"
        for method, suffix in (("GET", ""), ("DELETE", ""), ("GET", "/files"), ("GET", "/files/workspace/a"),
                               ("PUT", "/files/workspace/a"), ("DELETE", "/files/workspace/a"), ("GET", "/metrics"),
                               ("GET", "/events")):
            theirs.error(method, path + suffix, 404, "not_found", **({"data": b"x"} if method == "PUT" else {}))
        theirs.error("POST", path + "/execute", 404, "not_found", json={"command": "true"})
        # Word for word the answer for one that never was.
        never = theirs.request("GET", "/api/v1/sandboxes/sb-" + "a" * 20).json()["error"]["message"]
        real = theirs.request("GET", path).json()["error"]["message"]
        assert real.replace(sandbox, "ID") == never.replace("sb-" + "a" * 20, "ID")
        assert theirs.get("/api/v1/sandboxes").json()["items"] == []
        assert theirs.get("/api/v1/sandboxes?all=true").json()["items"] == []
        assert mine.get("/api/v1/sandboxes").json()["items"][0]["id"] == sandbox
        for role in ("viewer", "operator", "admin"):
            assert roles[role].get("/api/v1/sandboxes?labelSelector=whose=mine").json()["items"][0]["id"] == sandbox
    # Ended ones are hidden as well.
    theirs.error("GET", path, 404, "not_found")
    theirs.error("GET", path + "/events", 404, "not_found")
    assert theirs.get("/api/v1/sandboxes?all=true").json()["items"] == []
    assert mine.describe(sandbox)["phase"] == "Terminated"
    api.request("DELETE", f"{KEYS}/{other['id']}", 204)


@pytest.mark.parametrize("key", ["", " ", "sa_", "e2b_", "sa_aaaaaaaa_", "sa_" + "a" * 10000, "sa_aaaaaaaa_" + "A" * 32,
                                 "' OR 1=1 --", "%00", "é".encode().decode("latin-1")])
def test_malformed_keys(api, key):
    for lines in ([f"X-API-Key: {key}"], [f"Authorization: Bearer {key}"]):
        answer = api.with_key(None).raw(api.with_key(None).head("GET", "/api/v1/sandboxes", "Connection: close", *lines))
        assert answer.split(b" ", 2)[1] in (b"401", b"400", b"431"), answer[:200]


def test_no_default_keys_and_none_in_the_log(api, server):
    items = api.get(KEYS).json()["items"]
    assert "local" in [k["name"] for k in items]
    log = server.log()
    assert api.key not in log and api.key.split("_")[-1] not in log
    stored = b"".join(p.read_bytes() for p in server.data_dir.rglob("*") if p.is_file() and "api" in p.parts)
    assert stored and api.key.encode() not in stored  # only its hash
