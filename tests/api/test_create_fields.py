"""What a create may ask for beyond the usual: a profile, a pool, folders, ports; and what no node of
this kind can give, which is refused by name."""
import contextlib

import pytest

from tests.helpers.client import wait_until

SMALL = {"runtime": "bash", "resources": {"memory": "64Mi"}}


@pytest.fixture
def profile(api):
    made = []

    def make(name, **spec):
        api.post("/api/v1/profiles", {"metadata": {"name": name}, "spec": spec}, status=201)
        made.append(name)
        return name
    yield make
    for name in made:
        api.request("DELETE", f"/api/v1/profiles/{name}", status=200)


@contextlib.contextmanager
def created(api, **more):
    sandbox = api.post("/api/v1/sandboxes", {**SMALL, **more}, status=201).json()
    try:
        yield sandbox
    finally:
        api.delete(sandbox["id"])


def refused(api, status, where, **more):
    code = {400: "invalid_request", 503: "unavailable"}[status]
    before = {b["id"] for b in api.get("/api/v1/sandboxes").json()["items"]}
    error = api.error("POST", "/api/v1/sandboxes", status, code, where, json={**SMALL, **more})
    assert error["message"].startswith(where + ": "), error
    assert {b["id"] for b in api.get("/api/v1/sandboxes").json()["items"]} <= before
    return error["message"]


@pytest.mark.parametrize("where, control, field", [
    ("networkAccess.egress", "egress.gateway", {"networkAccess": {"egress": [{"domain": "pypi.org"}]}}),
    ("filesystem.readOnlyRoot", "filesystem.root", {"filesystem": {"readOnlyRoot": False}}),
    ("filesystem.writablePaths", "writablePaths", {"filesystem": {"writablePaths": ["/workspace"]}}),
    ("storage.persistent", "storage.volumes", {"storage": {"persistent": True, "name": "data"}}),
    ("secretsRef", "secrets.store", {"secretsRef": ["db"]}),
    ("resources.cpuPinning", "cpu.pinning", {"resources": {"cpu": 1, "memory": "64Mi", "cpuPinning": True}}),
])
def test_what_this_node_has_not_got(api, where, control, field):
    message = refused(api, 503, where, **field)
    assert f"the control {control} is not available on this node" in message


# ---- several mistakes at once ----

EGRESS = {"networkAccess": {"egress": [{"domain": "pypi.org"}]}}


@pytest.mark.parametrize("status, body, paths", [
    (400, {"timeout": 0, "resources": {"cpu": "lots", "memory": "1Mi", "disk": 1}, "env": {"A": 1, "B": 2}, "typo": 1},
     ["timeout", "resources.cpu", "resources.memory", "resources.disk", "env.A", "env.B", "runtime", "typo"]),
    (400, {"runtime": "bash", "name": "A", "labels": {"a b": "", "c d": ""}, "imports": ["a-b", 1]},
     ["name", "labels", "labels", "imports[1]"]),
    # what cannot be together
    (400, {"runtime": "bash", "timeout": 0, "warm": "never", "warmPool": "p", "securityContext": {"a": 1}},
     ["timeout", "warmPool", "securityContext"]),
    (400, {"runtime": "bash", "timeout": 0, "resources": {"ephemeralStorage": "1Gi", "cpu": "1500m", "cpuPinning": True}},
     ["timeout", "resources.ephemeralStorage", "resources.cpu", "resources.cpuPinning"]),
    # what this node has not got, beside mistakes and by itself
    (400, {"runtime": "bash", "timeout": 0, "storage": {"persistent": True}, **EGRESS},
     ["timeout", "networkAccess.egress", "storage.persistent"]),
    (503, {"runtime": "bash", "filesystem": {"readOnlyRoot": False}, "secretsRef": ["a"], **EGRESS},
     ["networkAccess.egress", "filesystem.readOnlyRoot", "secretsRef"]),
    (503, {"runtime": "cobol", "profileRef": "nowhere", "warmPool": "none", **EGRESS},
     ["networkAccess.egress", "profileRef", "runtime", "warmPool"]),
    (400, {"runtime": "cobol", "profileRef": "nowhere", "warmPool": "none"}, ["profileRef", "runtime", "warmPool"]),
])
def test_all_mistakes_are_told(api, status, body, paths):
    headers = {"Idempotency-Key": "wrong-" + "-".join(paths)[:40]}
    for sent in ({}, headers):
        error = api.request("POST", "/api/v1/sandboxes", status, json=body, headers=sent).json()["error"]
        assert sorted(d["path"] for d in error["details"]) == sorted(paths), error
        assert all(d["reason"].startswith(d["path"] + ": ") for d in error["details"])
        assert error["message"] == f"{error['details'][0]['reason']} (and {len(paths) - 1} more: see details)"


def test_mistakes_are_told_to_a_limit(api):
    error = api.request("POST", "/api/v1/sandboxes", 400, json={**SMALL, **{f"typo{n}": n for n in range(100)}}).json()["error"]
    assert len(error["details"]) == 32 and "(and 31 more" in error["message"]


def test_what_is_so_anyway(api):
    """Who writes down the defaults gets them."""
    with created(api, filesystem={"readOnlyRoot": True, "writablePaths": ["/workspace", "/tmp"]}, storage={"persistent": False},
                 networkAccess={"egress": [], "ingress": {"enabled": True}}, secretsRef=[]) as box:
        assert "networkAccess" not in box and "profileRef" not in box
        assert api.sh(box["id"], "touch /workspace/a /tmp/a && echo so") == "so\n"


def test_folders_of_a_custom_context(api):
    with created(api, securityLevel="custom", filesystem={"writablePaths": ["/workspace"]}) as box:
        assert api.sh(box["id"], "touch /workspace/a && ! touch /tmp/a 2>/dev/null && echo so") == "so\n"
    assert "not in both" in refused(api, 400, "filesystem.writablePaths", securityLevel="custom",
                                    filesystem={"writablePaths": ["/workspace"]}, securityContext={"writablePaths": ["/workspace"]})


# ---- ingress ----

SERVE = "import http.server as h; h.ThreadingHTTPServer(('127.0.0.1', {}), h.SimpleHTTPRequestHandler).serve_forever()"


@pytest.mark.parametrize("ingress, through", [({"enabled": False}, []), ({"ports": [8001]}, [8001]), ({}, [8001, 8002])])
def test_ports_that_are_let_through(api, ingress, through):
    with created(api, networkAccess={"ingress": ingress}) as box:
        assert box.get("networkAccess", {"ingress": {"enabled": True}})["ingress"] == {"enabled": True, **ingress}
        for port in (8001, 8002):
            api.execute(box["id"], command=["python3", "-c", SERVE.format(port)], background=True, status=202)
        for port in (8001, 8002):
            url = f"/api/v1/sandboxes/{box['id']}/ports/{port}/"
            if port in through:
                wait_until("it to serve", lambda: api.session.get(api.url + url, timeout=60).status_code == 200)
            else:
                assert f"port {port}" in api.error("GET", url, 403, "forbidden")["message"]


# ---- profiles ----

def test_a_profile_adds_to_what_is_asked_for(api, profile):
    name = profile("strict-ports", securityLevel="custom", securityContext={"limits": {"openFiles": 100}}, requiredControls=["seccomp"],
                   maxTimeout=600, networkAccess={"ingress": {"ports": [8001, 8002]}})
    with created(api, profileRef=name) as box:
        assert box["profileRef"] == name
        assert box["networkAccess"]["ingress"]["ports"] == [8001, 8002]
        assert api.describe(box["id"])["profileRef"] == name
        with created(api, securityLevel="custom", securityContext={"limits": {"openFiles": 100}}) as same:
            assert same["securityProfile"]["digest"] == box["securityProfile"]["digest"]
        with created(api) as standard:
            assert standard["securityProfile"]["digest"] != box["securityProfile"]["digest"]
    with created(api, profileRef=name, networkAccess={"ingress": {"ports": [8002]}}, timeout=600) as box:
        assert box["networkAccess"]["ingress"]["ports"] == [8002]
    refused(api, 400, "timeout", profileRef=name, timeout=601)
    refused(api, 400, "networkAccess.ingress.ports", profileRef=name, networkAccess={"ingress": {"ports": [9]}})
    refused(api, 400, "securityLevel", profileRef=name, securityLevel="high")
    refused(api, 400, "securityContext", profileRef=name, securityLevel="custom", securityContext={"limits": {"openFiles": 90}})


def test_a_profile_with_a_context(api, profile):
    name = profile("own-folders", securityLevel="custom", filesystem={"writablePaths": ["/workspace"]})
    with created(api, profileRef=name) as box:
        assert api.sh(box["id"], "touch /workspace/a && ! touch /tmp/a 2>/dev/null && echo so") == "so\n"
    # Folders may be left out, but none added.
    more = {"writablePaths": ["/workspace", "/home/user", "/dev/shm"]}
    assert "profile" in refused(api, 400, "filesystem.writablePaths", profileRef=name, filesystem=more)
    assert "profile" in refused(api, 400, "filesystem.writablePaths", profileRef=name, securityLevel="custom", filesystem=more)
    three = profile("three-folders", securityLevel="custom", filesystem=more)
    with created(api, profileRef=three, filesystem={"writablePaths": ["/workspace"]}) as box:
        assert api.sh(box["id"], "touch /workspace/a && ! touch /dev/shm/a 2>/dev/null && echo so") == "so\n"


def test_profiles_that_cannot_be(api, profile):
    refused(api, 400, "profileRef", profileRef="nowhere")
    refused(api, 503, "profileRef", profileRef=profile("in-gvisor", runtimeClass="gvisor"))
    refused(api, 503, "profileRef", profileRef=profile("goes-out", networkAccess={"egress": [{"domain": "a.org"}]}))
    refused(api, 503, "profileRef", profileRef=profile("writes-root", filesystem={"readOnlyRoot": False}))
    assert "no control" in refused(api, 400, "requiredControls[0]", profileRef=profile("unknown-control", requiredControls=["x"]))
    refused(api, 503, "filesystem.writablePaths", profileRef=profile("folders", filesystem={"writablePaths": ["/workspace"]}))
