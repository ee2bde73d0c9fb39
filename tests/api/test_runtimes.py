"""RuntimeEnvironments of one's own: those that the node has are as good as its own, and of the others it is said everywhere
why they cannot be had."""
import contextlib
import os
import signal

import pytest

from tests.helpers import server as servers
from tests.helpers.client import Api, wait_until

RUNTIMES, POOLS, SANDBOXES = "/api/v1/runtimes", "/api/v1/warmpools", "/api/v1/sandboxes"


@pytest.fixture
def make(api):
    """Makes a runtime or a pool, which goes after the test."""
    made = []

    def make(collection, name, **spec):
        made.append(f"{collection}/{name}")
        api.post(collection, {"metadata": {"name": name}, "spec": spec}, status=201)
        return made[-1]
    yield make
    for path in reversed(made):
        api.request("DELETE", path)


def condition(api, path, kind, status):
    """Once it has that status."""
    def now():
        found = [c for c in api.get(path).json()["status"].get("conditions", []) if c["type"] == kind]
        return found and found[0]["status"] == status and found[0]
    return wait_until(f"{kind} of {path} to be {status}", now)


def told(api, path, reason):
    """The message of its event, once there is one."""
    def now():
        return [e["message"] for e in api.get(path + "/events").json()["items"] if e["reason"] == reason and e["type"] == "Warning"]
    return wait_until(f"{path} to be told of {reason}", now)[0]


def test_one_that_the_node_has(api, make):
    """It has the language of its own; and a pool of it serves it."""
    path = make(RUNTIMES, "t-mine", language="bash", description="Ours", tags=["lts"], requirements={"memory": "64Mi"})
    assert condition(api, path, "Available", "True")["reason"] == "Installed"
    body = {"runtime": "t-mine", "resources": {"memory": "96Mi"}}
    for start in ("cold", "warm"):
        sandbox = api.post(SANDBOXES, body, 201).json()
        assert (sandbox["runtime"], sandbox["start"]) == ("t-mine", start)
        answer = api.post(f"{SANDBOXES}/{sandbox['id']}/execute", {"code": "echo $((6 * 7))"}, 200).json()
        assert answer["stdout"] == "42\n"
        context = api.post(f"{SANDBOXES}/{sandbox['id']}/contexts", {}, 201).json()
        assert context["language"] == "bash"
        api.delete(sandbox["id"])
        if start == "cold":
            pool = make(POOLS, "t-mine", maxSize=2, **body)
            wait_until("a pod", lambda: api.get(pool).json()["status"].get("available"))
    error = api.error("POST", SANDBOXES, 400, "invalid_request", "resources.memory", json={**body, "resources": {"memory": "32Mi"}})
    assert 'the RuntimeEnvironment "t-mine" requires at least 64Mi' in error["message"]


UNAVAILABLE = {
    "ImagesNotSupported": {"language": "python", "image": "python:3.12-slim"},
    "RootsNotSupported": {"language": "python", "rootfs": "/srv/root"},
    "ArchitectureMismatch": {"language": "bash", "requirements": {"architectures": ["riscv64"]}},
    "VersionMismatch": {"language": "python", "version": "2.7"},
    "PackagesNotInstalled": {"language": "python", "packageManager": "pip", "preInstalledPackages": ["no-such-thing-here==1.0"]},
}


@pytest.mark.parametrize("reason", UNAVAILABLE)
def test_one_that_it_has_not(api, make, reason):
    name = "t-" + reason.lower()
    path = make(RUNTIMES, name, **UNAVAILABLE[reason])
    is_ = condition(api, path, "Available", "False")
    assert is_["reason"] == reason and is_["message"].startswith(("spec.", "the node"))
    assert told(api, path, reason) == is_["message"]
    error = api.error("POST", SANDBOXES, 503, "unavailable", "runtime", json={"runtime": name})
    assert error["message"] == f'runtime: "{name}" cannot be had here, {reason}: {is_["message"]}'
    answer = api.request("POST", SANDBOXES, json={"runtime": name})
    assert answer.headers["Retry-After"] == "3600", "asking again at once is of no use"
    pool = make(POOLS, name, runtime=name)
    degraded = condition(api, pool, "Degraded", "True")
    assert degraded["reason"] == "RuntimeUnavailable" and degraded["message"] == "spec." + error["message"]
    assert condition(api, pool, "Progressing", "False")["reason"] == "CannotMake"
    assert told(api, pool, "RuntimeUnavailable") == degraded["message"]


def test_one_that_is_not_there(api, make):
    error = api.error("POST", SANDBOXES, 400, "invalid_request", "runtime", json={"runtime": "t-late"})
    assert 'there is no RuntimeEnvironment "t-late"' in error["message"]
    pool = make(POOLS, "t-late", runtime="t-late", minSize=1, resources={"memory": "64Mi"})
    assert condition(api, pool, "Degraded", "True")["reason"] == "RuntimeNotFound"
    assert condition(api, pool, "Progressing", "False")["reason"] == "CannotMake"
    assert 'there is no RuntimeEnvironment "t-late"' in told(api, pool, "RuntimeNotFound")
    make(RUNTIMES, "t-late", language="bash")
    condition(api, pool, "Degraded", "False")
    wait_until("a pod", lambda: api.get(pool).json()["status"].get("available"))


def test_a_level_that_it_has_not(api, make):
    pool = make(POOLS, "t-high", runtime="bash", securityLevel="high")
    degraded = condition(api, pool, "Degraded", "True")
    assert degraded["reason"] == "ControlUnavailable" and "gVisor" in degraded["message"]
    assert condition(api, pool, "Progressing", "False")["reason"] == "CannotMake"
    assert told(api, pool, "ControlUnavailable") == degraded["message"]


def test_its_language_outlives_the_server():
    server = servers.start_server()
    try:
        with contextlib.closing(Api(server.url, server.key)) as api:
            api.post(RUNTIMES, {"metadata": {"name": "mine"}, "spec": {"language": "bash"}}, status=201)
            box = api.post(SANDBOXES, {"runtime": "mine"}, 201).json()["id"]
            plane = server.pid_of("agent-api")
            os.kill(plane, signal.SIGKILL)
            wait_until("it to be gone", lambda: not servers.is_alive(plane))

            def answered():
                answer = Api(server.url, server.key).request("POST", f"{SANDBOXES}/{box}/execute", json={"code": "echo $((6 * 7))"})
                return answer.status_code == 200 and answer.json()["stdout"]
            assert wait_until("it to answer", answered) == "42\n"
    finally:
        server.stop()
        server.discard()
