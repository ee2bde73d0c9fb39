"""Signed URLs: one file, one method, for a while, and only as long as the key lives."""
import time
import urllib.parse

import pytest
import requests

from tests.helpers.client import wait_until


def sign(api, sandbox, path, status=200, **more):
    return api.post(f"/api/v1/sandboxes/{sandbox}/files/signed-url", {"path": path, **more}, status).json()


def bare(method, url, **more):
    """Without a key, and without the environment's proxies."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=60, **more)


@pytest.mark.parametrize("name", ["a.txt", "ü ñ %41 ?#&+", "deep/er/b", "new\nline", "'\""])
def test_get_and_put(api, shared, name):
    path = "/workspace/signed/" + name
    put = sign(api, shared, path, method="PUT", expiresIn=60)["url"]
    assert put.startswith(api.url)
    assert bare("PUT", put, data=b"up").status_code == 201
    assert bare("PUT", put + "&mode=600", data=b"up2").json()["mode"] == "0600"
    get = sign(api, shared, path)["url"]
    assert bare("GET", get).content == b"up2"
    assert bare("HEAD", get).headers["Content-Length"] == "3"
    # Each is for what it was signed for.
    assert bare("GET", put).status_code == bare("PUT", get, data=b"x").status_code == 401
    assert bare("DELETE", get).status_code == 401
    assert bare("GET", get.replace("/signed/", "/signed//")).content == b"up2"


def test_nothing_else_opens(api, shared):
    api.put(shared, "/workspace/one", b"1")
    url = sign(api, shared, "/workspace/one")["url"]
    query = url[url.index("?"):]
    for path in (f"/api/v1/sandboxes/{shared}/files/workspace/two", f"/api/v1/sandboxes/{shared}/files",
                 f"/api/v1/sandboxes/{shared}", "/api/v1/user/apikeys", "/api/v1/sandboxes"):
        answer = bare("GET", api.url + path + query)
        assert answer.status_code == 401, path
        assert answer.json()["error"]["code"] == "unauthorized" and answer.headers["WWW-Authenticate"]
    with api.sandbox() as other:
        api.put(other, "/workspace/one", b"other")
        assert bare("GET", url.replace(shared, other)).status_code == 401
    for bad in ("x", "", "1.9999999999.key-aaaaaaaaaaaaaaaaaaaa." + "0" * 64):
        assert bare("GET", url[:url.index("?")] + "?sa_signature=" + bad).status_code == 401


def test_expiry(api, shared):
    api.put(shared, "/workspace/soon", b"1")
    signed = sign(api, shared, "/workspace/soon", expiresIn=1)
    assert signed["expiresAt"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    wait_until("it to expire", lambda: bare("GET", signed["url"]).status_code == 401)
    error = bare("GET", signed["url"]).json()["error"]
    assert "expired at 20" in error["message"] and error["code"] == "unauthorized"


@pytest.mark.parametrize("body, where", [
    ({}, "path"), ({"path": "rel"}, "path"), ({"path": "/a/../b"}, "path"), ({"path": "/a/./b"}, "path"),
    ({"path": "/a", "method": "DELETE"}, "method"), ({"path": "/a", "expiresIn": 0}, "expiresIn"),
    ({"path": "/a", "expiresIn": 604801}, "expiresIn"), ({"path": "/a", "x": 1}, "x")])
def test_bad_requests(api, shared, body, where):
    api.error("POST", f"/api/v1/sandboxes/{shared}/files/signed-url", 400, "invalid_request", where, json=body)


def test_of_a_key_that_is_revoked(api):
    made = api.post("/api/v1/user/apikeys", {"name": "signer", "role": "developer"}, status=201).json()
    other = api.with_key(made["key"])
    sandbox = other.create()["id"]
    other.put(sandbox, "/workspace/f", b"f")
    url = sign(other, sandbox, "/workspace/f")["url"]
    assert bare("GET", url).content == b"f"
    api.request("DELETE", f"/api/v1/user/apikeys/{made['id']}", 204)
    answer = bare("GET", url)
    assert answer.status_code == 401 and "revoked" in answer.json()["error"]["message"]
    api.delete(sandbox)


def test_of_a_sandbox_that_is_gone(api):
    with api.sandbox() as sandbox:
        api.put(sandbox, "/workspace/f", b"f")
        url = sign(api, sandbox, "/workspace/f")["url"]
    assert bare("GET", url).status_code == 404


def test_nobody_signs_for_what_is_not_theirs(api, shared):
    keys = [api.post("/api/v1/user/apikeys", {"name": role, "role": role}, status=201).json()
            for role in ("developer", "viewer")]
    path = f"/api/v1/sandboxes/{shared}/files/signed-url"
    api.with_key(keys[0]["key"]).error("POST", path, 404, "not_found", json={"path": "/a"})
    api.with_key(keys[1]["key"]).error("POST", path, 403, "forbidden", json={"path": "/a"})
    for key in keys:
        api.request("DELETE", f"/api/v1/user/apikeys/{key['id']}", 204)


def test_a_key_counts_before_a_signature(api, shared):
    """A key that is sent along counts, not the signature."""
    api.put(shared, "/workspace/both", b"1")
    url = sign(api, shared, "/workspace/both")["url"]
    parts = urllib.parse.urlsplit(url)
    assert api.get(f"{parts.path}?sa_signature=nonsense").content == b"1"
    assert bare("GET", url, headers={"X-API-Key": "sa_wrong"}).status_code == 401
