"""Warm pools by what a client sees of them: sandboxes that start warm, and pods that are used again."""
import concurrent.futures
import time

import pytest

from tests.helpers.client import Api, wait_until

POOLS = "/api/v1/warmpools"
SPEC = {"runtime": "bash", "resources": {"memory": "64Mi"}}  # fits no sandbox of other tests


@pytest.fixture
def pool(api):
    """Makes one, and waits until it is full."""
    made = []

    def make(**spec):
        body = {"metadata": {"generateName": "t-"}, "spec": {**SPEC, "maxSize": 6, **spec}}
        made.append(POOLS + "/" + api.post(POOLS, body, status=201).json()["metadata"]["name"])
        wait(made[-1], lambda s: s.get("available", 0) >= body["spec"].get("minSize", 1))
        return made[-1]

    def wait(path, condition):
        return wait_until(f"{path} to become so", lambda: condition(status(path)))

    def status(path):
        return api.get(path).json()["status"]

    make.status, make.wait = status, wait
    yield make
    for path in made:
        api.request("DELETE", path)
        name = path.rsplit("/", 1)[1]
        wait_until("its pods to go", lambda: not pods(api, name))


def pods(api, pool):
    return {pod["metadata"]["name"]: pod for pod in api.get("/api/v1/warmpods?limit=500").json()["items"]
            if pod["spec"]["pool"] == pool}


def create(api, **more):
    return api.post("/api/v1/sandboxes", {**SPEC, **more}, status=201).json()


def run(api, sandbox, command):
    answer = api.post(f"/api/v1/sandboxes/{sandbox['id']}/execute", {"command": command}, status=200).json()
    assert answer["exitCode"] == 0, answer
    return answer["stdout"]


def delete(api, sandbox):
    api.request("DELETE", f"/api/v1/sandboxes/{sandbox['id']}", 204)


def test_sandboxes_start_warm_and_are_counted(api, pool):
    path = pool(minSize=2)
    sandbox = create(api, warm="require")
    assert sandbox["start"] == "warm"
    assert run(api, sandbox, "echo warm") == "warm\n"
    pool.wait(path, lambda s: s.get("hits") == 1 and s.get("assigned") == 1 and s.get("available", 0) == 2)
    other = create(api, warm="never")
    assert other["start"] == "cold"
    for each in (sandbox, other):
        delete(api, each)
    pool.wait(path, lambda s: not s.get("assigned") and s.get("available", 0) == 2)
    assert pool.status(path)["hits"] == 1 and not pool.status(path).get("misses")
    assert pool.status(path)["hitRatio"] == 1


def test_a_used_pod_is_replaced(api, pool):
    path = pool()
    name = path.rsplit("/", 1)[1]
    before = set(pods(api, name))
    sandbox = create(api, warm="require")
    delete(api, sandbox)
    pool.wait(path, lambda s: not s.get("assigned") and s.get("available", 0) == 1)
    wait_until("the used one to go", lambda: not before & set(pods(api, name)))


def test_a_used_pod_is_cleaned_and_used_again_by_the_same_tenant(api, pool):
    path = pool(recycle={"enabled": True, "maxUses": 3})
    name = path.rsplit("/", 1)[1]
    first = create(api, warm="require", env={"SECRET": "1"})
    assert run(api, first, "echo $SECRET; echo x > /workspace/left; (sleep 1000 &) ; echo y > /tmp/.left") == "1\n"
    delete(api, first)

    def used():
        return [pod for pod in pods(api, name).values() if pod["status"].get("uses") == 1
                and pod["status"]["phase"] == "Ready"]
    pod = wait_until("it to be clean", used)[0]
    assert pod["status"]["lastTenant"] and pod["status"]["fingerprint"]
    second = create(api, warm="require")
    again = pods(api, name)[pod["metadata"]["name"]]
    assert again["spec"]["claim"]["sandbox"] == second["id"], "whoever had it before gets it first"
    assert run(api, second, "echo $SECRET; ls -A /workspace /tmp; pgrep sleep || true").split() == ["/tmp:", "/workspace:"]
    delete(api, second)
    wait_until("it to have been used twice",
               lambda: pods(api, name)[pod["metadata"]["name"]]["status"].get("uses") == 2)
    pool.wait(path, lambda s: s.get("available", 0) >= 1)
    wait_until("it to be ready", lambda: pods(api, name)[pod["metadata"]["name"]]["status"]["phase"] == "Ready")
    third = create(api, warm="require")
    delete(api, third)  # three uses are all it has
    wait_until("it to be replaced", lambda: pod["metadata"]["name"] not in pods(api, name))
    reasons = [event["message"] for event in api.get(path + "/events").json()["items"]]
    assert any("MaxUses" in reason for reason in reasons), reasons


def test_what_is_kept_is_for_one_key_and_not_for_its_name(api, server, pool):
    path = pool(recycle={"enabled": True, "maxUses": 9})
    name = path.rsplit("/", 1)[1]
    keys = [api.post("/api/v1/user/apikeys", {"name": "twin", "role": "developer"}, status=201).json() for _ in range(2)]
    one, other = (Api(server.url, key["key"]) for key in keys)

    def kept():
        return [pod for pod in pods(api, name).values() if pod["status"].get("lastTenant") == keys[0]["id"]
                and pod["status"]["phase"] == "Ready"]
    delete(one, create(one, warm="require"))
    [pod] = wait_until("it to be kept", kept)
    wait_until("another to be ready", lambda: sum(p["status"]["phase"] == "Ready" for p in pods(api, name).values()) >= 2)
    theirs, own = create(other, warm="require"), create(one, warm="require")
    assert pods(api, name)[pod["metadata"]["name"]]["spec"]["claim"]["sandbox"] == own["id"]
    delete(other, theirs)
    delete(one, own)
    for key in keys:
        api.request("DELETE", f"/api/v1/user/apikeys/{key['id']}", (200, 204))
    one.close()
    other.close()


def test_a_preload_that_fails_is_told(api, pool):
    body = {"metadata": {"name": "broken"}, "spec": {**SPEC, "preloadScripts": ["echo no such luck >&2; exit 3"]}}
    api.post(POOLS, body, status=201)
    try:
        def degraded():
            conditions = pool.status(POOLS + "/broken").get("conditions", [])
            return [c for c in conditions if c["type"] == "Degraded" and c["status"] == "True"]
        condition = wait_until("it to be told", degraded)[0]
        assert condition["reason"] == "ScriptFailed" and "no such luck" in condition["message"]
        wait_until("an event", lambda: api.get(POOLS + "/broken/events").json()["items"])
    finally:
        api.request("DELETE", POOLS + "/broken")
    wait_until("its pods to go", lambda: not pods(api, "broken"))


@pytest.mark.parametrize("runtime", ["python", "node"])
def test_packages_of_a_server_that_offers_none(api, pool, runtime):
    path = f"{POOLS}/no-mirror-{runtime}"
    api.post(POOLS, {"metadata": {"name": path.rsplit("/", 1)[1]}, "spec": {
        "runtime": runtime, "resources": {"memory": "192Mi"}, "preloadPackages": ["six"]}}, status=201)
    try:
        def degraded():
            conditions = pool.status(path).get("conditions", [])
            return [c for c in conditions if c["type"] == "Degraded" and c["status"] == "True"]
        condition = wait_until("it to be told", degraded)[0]
        assert condition["reason"] == "InstallFailed" and "--package-mirror DIR" in condition["message"], condition
    finally:
        api.request("DELETE", path)
    wait_until("its pods to go", lambda: not pods(api, path.rsplit("/", 1)[1]))


def test_a_pool_that_cleaned_pods_can_be_deleted(api, pool):
    path = pool(minSize=2, recycle={"enabled": True})
    name = path.rsplit("/", 1)[1]
    sandbox = create(api, warm="require")
    delete(api, sandbox)
    wait_until("one to be clean", lambda: any(pod["status"].get("uses") == 1 for pod in pods(api, name).values()))
    api.request("DELETE", path, 200)
    wait_until("its pods to go", lambda: not pods(api, name))
    assert api.get("/readyz").json()["ready"]


def usage(api, sandbox):
    return api.get(f"/api/v1/sandboxes/{sandbox['id']}/metrics").json()


def test_each_use_of_a_pod_is_counted_by_itself(api, pool):
    """And what the last one took decides about the next."""
    path = pool(recycle={"enabled": True}, resources={"memory": "128Mi"})
    name = path.rsplit("/", 1)[1]
    first = create(api, warm="require", resources={"memory": "128Mi"})
    run(api, first, "head -c 60M /dev/zero | tail | wc -c; i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done")
    used = usage(api, first)
    assert used["memoryPeakBytes"] > 50 << 20 and used["cpuMs"] > 100, used
    delete(api, first)
    [kept] = wait_until("it to be ready again", lambda: [
        pod for pod in pods(api, name).values() if pod["status"].get("uses") == 1 and pod["status"]["phase"] == "Ready"])
    second = create(api, warm="require", resources={"memory": "128Mi"})
    pod = kept["metadata"]["name"]
    assert pods(api, name)[pod]["spec"]["claim"]["sandbox"] == second["id"]
    now = usage(api, second)
    assert now["memoryPeakBytes"] < 40 << 20 and now["cpuMs"] < used["cpuMs"] / 2 and now["oomKills"] == 0, now
    run(api, second, "head -c 55M /dev/zero > /tmp/much; head -c 60M /dev/zero | tail | wc -c")
    delete(api, second)
    wait_until("the pod that was nearly full to be replaced", lambda: pod not in pods(api, name))
    events = api.get(f"{path}/events").json()["items"]
    assert any("memory" in e["message"] for e in events if e["reason"] == "PodReplaced"), events


def test_the_pool_that_is_named_is_preferred(api, pool):
    """Of two pools with the same pods the named one gives; one that has none is helped out."""
    full, other, empty = (path.rsplit("/", 1)[1] for path in (pool(), pool(), pool(minSize=0)))

    def taken_from(**more):
        sandbox = create(api, **more)
        try:
            assert sandbox["start"] == "warm"
            (claimed,) = [p for n in (full, other, empty) for p in pods(api, n).values()
                          if p["spec"].get("claim", {}).get("sandbox") == sandbox["id"]]
            return claimed["spec"]["pool"]
        finally:
            delete(api, sandbox)
    assert taken_from(warmPool=empty) in (full, other)
    for name in (full, other):
        pool.wait(POOLS + "/" + name, lambda s: s.get("available", 0) >= 1)
        assert taken_from(warmPool=name, warm="require") == name


def test_two_pools_with_the_same_pods_share_what_is_missed(api, pool):
    """Each claim counts for one of them, so that they do not both grow for it."""
    paths = [pool(minSize=0, maxSize=1) for _ in range(2)]
    for path in paths:
        pool.wait(path, lambda s: s.get("key"))
    sandboxes = [create(api) for _ in range(24)]

    def counted():
        return [(s.get("hits", 0), s.get("misses", 0)) for s in map(pool.status, paths)]
    wait_until("all to be counted", lambda: sum(map(sum, counted())) == len(sandboxes))
    assert sum(hits for hits, _ in counted()) == sum(s["start"] == "warm" for s in sandboxes)
    assert all(map(sum, counted())), "one had them all, which happens once in eight million times"
    for sandbox in sandboxes:
        delete(api, sandbox)


def test_a_pool_that_does_not_fit(api, pool):
    name = pool().rsplit("/", 1)[1]
    for more, what in [({"resources": {"memory": "65Mi"}}, "resources.memory 64Mi, and 65Mi"),
                       ({"resources": {"memory": "64Mi", "cpu": "500m"}}, "resources.cpu 1, and 500m"),
                       ({"resources": {"memory": "64Mi", "pids": 9}}, "resources.pids 256, and 9"),
                       ({"resources": {"memory": "64Mi", "ephemeralStorage": "1Mi"}}, "resources.ephemeralStorage 32Mi, and 1Mi"),
                       ({"runtime": "python"}, "runtime bash, and python"),
                       ({"securityLevel": "high"}, "securityLevel standard, and high")]:
        error = api.error("POST", "/api/v1/sandboxes", 400, "invalid_request", "warmPool", json={**SPEC, "warmPool": name, **more})
        assert f'the pods of "{name}" have {what} is asked for' in error["message"]
    api.error("POST", "/api/v1/sandboxes", 400, "invalid_request", "warmPool", json={**SPEC, "warmPool": "nowhere"})
    api.error("POST", "/api/v1/sandboxes", 400, "invalid_request", "warmPool", json={**SPEC, "warmPool": name, "warm": "never"})


def test_what_must_be_warm_is_tried_again_with_the_same_key(api, pool):
    """A refusal that trying again may cure is not what the key leads to; a sandbox is."""
    body = {"runtime": "bash", "resources": {"memory": "77Mi"}, "warm": "require"}
    key = {"Idempotency-Key": "warm-or-not"}
    for _ in range(3):
        answer = api.request("POST", "/api/v1/sandboxes", 503, json=body, headers=key)
        error = answer.json()["error"]
        assert error["details"][0]["path"] == "warm" and "no warm pod that fits is ready" in error["message"]
        assert answer.headers["Retry-After"] == "1"
    pool(resources=body["resources"])
    with concurrent.futures.ThreadPoolExecutor(4) as many:
        made = list(many.map(lambda _: Api(api.url, api.key).post("/api/v1/sandboxes", body, 201, headers=key).json(), range(4)))
    assert {m["start"] for m in made} == {"warm"} and len({m["id"] for m in made}) == 1
    delete(api, made[0])
    again = api.post("/api/v1/sandboxes", body, 201, headers=key).json()
    assert (again["id"], again["phase"]) == (made[0]["id"], "Terminated")


def test_deleted_while_it_is_paused(api, pool):
    """A pod that is cleaned must not be frozen, however pause and deletion fall together."""
    pool(minSize=2, recycle={"enabled": True, "maxUses": 0})
    for n in range(40):
        sandbox = create(api)
        with concurrent.futures.ThreadPoolExecutor() as pause:
            paused = pause.submit(lambda: Api(api.url, api.key).request("POST", f"/api/v1/sandboxes/{sandbox['id']}/pause"))
            time.sleep(n % 10 * 0.0005)
            began = time.monotonic()
            delete(api, sandbox)
            assert time.monotonic() - began < 15, "it waited for a pod that was frozen"
            assert paused.result().status_code in (200, 404, 409, 503)
