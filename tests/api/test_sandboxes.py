"""Create, get, list, delete, time out."""
import concurrent.futures
import datetime
import threading
import time

import pytest

from tests.helpers.client import wait_until
from tests.helpers import server as servers

# What every native sandbox must be under, root or not.
CORE_CONTROLS = {"userns", "mountns", "pidns", "netns", "ipcns", "utsns", "rootfs.readonly", "proc.masked",
                 "tmpfs.size", "tmpfs.inodes", "capabilities", "no_new_privs", "seccomp", "seccomp.notify"}


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_create(api):
    answer = api.post("/api/v1/sandboxes", {"runtime": "python"}, status=201)
    box = answer.json()
    try:
        assert answer.headers["Location"] == f"/api/v1/sandboxes/{box['id']}"
        assert box["phase"] == "Running" and box["start"] == "cold"
        assert box["runtime"] == "python" and box["securityLevel"] == "standard"
        assert box["name"] == box["id"] and box["labels"] == {} and box["timeout"] == 300
        assert box["resources"] == {"cpu": "1", "memory": "512Mi", "ephemeralStorage": "256Mi", "pids": 256}
        assert CORE_CONTROLS <= set(box["controls"])
        assert all(": " in weaker for weaker in box["weaker"])
        assert [c["status"] for c in box["conditions"] if c["type"] == "Ready"] == ["True"]
        left = (when(box["expiresAt"]) - when(box["createdAt"])).total_seconds()
        assert 300 <= left < 330
        assert api.describe(box["id"]) == box
    finally:
        api.delete(box["id"])


def test_create_with_everything(api):
    with api.sandbox("bash", name="lab-1", timeout=60, labels={"team": "blue", "x": ""},
                     resources={"cpu": "500m", "memory": "128Mi", "ephemeralStorage": "16Mi", "pids": 32},
                     env={"GREETING": "hello world", "EMPTY": ""}, warm="never",
                     requiredControls=["seccomp", "no_new_privs"]) as sandbox:
        box = api.describe(sandbox)
        assert box["name"] == "lab-1" and box["labels"] == {"team": "blue", "x": ""}
        assert box["resources"] == {"cpu": "500m", "memory": "128Mi", "ephemeralStorage": "16Mi", "pids": 32}
        assert api.sh(sandbox, "hostname; echo $GREETING; echo ${EMPTY-unset}.") == "lab-1\nhello world\n.\n"
        usage = api.usage(sandbox)
        assert usage["cpuLimitMillicores"] == 500
        assert 15 << 20 <= usage["diskLimitBytes"] <= 16 << 20
        if "cgroup.memory" in box["controls"]:
            assert usage["memoryLimitBytes"] == 128 << 20
        if "cgroup.pids" in box["controls"]:
            assert usage["processesLimit"] == 32


def test_create_without_waiting(api):
    box = api.post("/api/v1/sandboxes?wait=false", {"runtime": "bash"}, status=201).json()
    assert box["phase"] in ("Pending", "Creating")
    wait_until("it runs", lambda: api.describe(box["id"])["phase"] == "Running")
    assert api.sh(box["id"], "echo hi") == "hi\n"
    api.delete(box["id"])


def test_package_managers_do_not_wait_for_a_network(api):
    with api.sandbox("bash", env={"PIP_RETRIES": "3"}) as sandbox:
        assert api.sh(sandbox, "echo $npm_config_fetch_retries $PIP_RETRIES") == "0 3\n"


@pytest.mark.parametrize("body, status, code, where", [
    ({"runtime": "cobol"}, 400, "invalid_request", "runtime"),
    ({"runtime": "python", "timeout": 0}, 400, "invalid_request", "timeout"),
    ({"runtime": "python", "resources": {"memory": "1Mi"}}, 400, "invalid_request", "resources.memory"),
    ({"runtime": "python", "env": {"A": 1}}, 400, "invalid_request", "env.A"),
    ({"runtime": "python", "env": {f"K{i}": "v" * 4000 for i in range(9)}}, 400, "invalid_request", "env"),
    ({"runtime": "python", "status": {"phase": "Running"}}, 400, "invalid_request", "status"),
    ({"runtime": "python", "securityLevel": "high"}, 503, "unavailable", "securityLevel"),
    ({"runtime": "python", "securityLevel": "custom", "securityContext": {"runtimeClass": "gvisor"}}, 503, "unavailable",
     "securityLevel"),
    ({"runtime": "python", "securityContext": {"uid": 4242}}, 400, "invalid_request", "securityContext"),
    ({"runtime": "python", "securityLevel": "custom", "securityContext": []}, 400, "invalid_request", "securityContext"),
    ({"runtime": "python", "securityLevel": "custom", "securityContext": {"a": "x" * 17000}}, 400, "invalid_request",
     "securityContext"),
    ({"runtime": "python", "warm": "require"}, 503, "unavailable", "warm"),
])
def test_refused(api, body, status, code, where):
    before = len(api.get("/api/v1/sandboxes?limit=500").json()["items"])
    api.error("POST", "/api/v1/sandboxes", status, code, where, json=body)
    assert len(api.get("/api/v1/sandboxes?limit=500").json()["items"]) == before


def test_control_that_cannot_be_had(api):
    with api.sandbox("bash") as sandbox:
        in_force = api.describe(sandbox)["controls"]
    # Each is for nodes without the other: no node has both.
    missing = next(c for c in ("cgroup.memory", "watchdog.memory") if c not in in_force)
    error = api.error("POST", "/api/v1/sandboxes", 503, "unavailable",
                      json={"runtime": "python", "requiredControls": ["seccomp", missing]})
    assert missing in error["message"]
    ended = api.get("/api/v1/sandboxes?phase=Failed&limit=1").json()["items"][0]
    assert ended["reason"] == "ControlUnavailable" and missing in ended["message"]
    assert ended["conditions"][0]["status"] == "False"
    assert ended["conditions"][0]["reason"] == "ControlUnavailable"


@pytest.mark.parametrize("name", ["sb-" + "a" * 20, "sb-", "x", "%2e%2e", "sb-" + "A" * 20, "a" * 300, "'\"<>"])
def test_unknown_sandbox(api, name):
    base = f"/api/v1/sandboxes/{name}"
    status = 400 if name == "%2e%2e" else 404
    for method, path in (("GET", base), ("DELETE", base), ("GET", base + "/metrics"), ("GET", base + "/events"),
                         ("GET", base + "/files"), ("GET", base + "/files/workspace/a")):
        assert api.request(method, path).status_code == status, (method, path)
    assert api.request("POST", base + "/execute", json={"command": "true"}).status_code == status


def test_delete_leaves_nothing(api, server):
    sandbox = api.create()["id"]
    api.sh(sandbox, "sleep 600 & (sleep 601 &) ; setsid sleep 602 & sleep 0.1")
    before = server.processes()
    assert list(before.values()).count("sleep") == 3
    pids = [pid for pid, comm in before.items() if comm == "sleep"]
    groups = [f for f in servers.cgroup_folders(server.state) if sandbox in f]
    api.delete(sandbox)
    # All of it is gone by the time that the answer is there.
    after = server.processes()
    assert "sleep" not in after.values()
    assert [f for f in servers.cgroup_folders(server.state) if sandbox in f] == []
    assert groups or "cgroup.pids" not in api.describe(sandbox)["controls"]
    assert not any(map(servers.is_alive, pids))
    box = api.describe(sandbox)
    assert box["phase"] == "Terminated" and box["reason"] == "Deleted"
    assert when(box["endedAt"]) >= when(box["createdAt"])
    api.error("DELETE", f"/api/v1/sandboxes/{sandbox}", 404, "not_found")
    error = api.error("POST", f"/api/v1/sandboxes/{sandbox}/execute", 404, "not_found",
                      json={"command": "true"})
    assert "has ended: Deleted" in error["message"]
    error = api.error("PUT", f"/api/v1/sandboxes/{sandbox}/files/workspace/a", 404, "not_found",
                      data=bytes(8 << 20))
    assert "has ended: Deleted" in error["message"]
    assert [e["reason"] for e in api.events(sandbox)] == ["Started", "Deleted"]


def test_delete_by_many_at_once(api):
    sandbox = api.create()["id"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.with_key(api.key).request(
            "DELETE", f"/api/v1/sandboxes/{sandbox}").status_code, range(8)))
    assert set(answers) <= {204, 404} and 204 in answers


def test_delete_ends_a_running_execution(api):
    sandbox = api.create()["id"]
    with api.open_stream(sandbox, command="echo begun; sleep 600") as answer:
        lines = answer.iter_lines()
        next(lines), next(lines)
        api.delete(sandbox)
        rest = [line for line in lines if line]
    assert len(rest) >= 1 and b'"exited"' in rest[-1]


def test_many_at_once(api):
    """Created, used and deleted by several clients at the same time, each sees only its own."""
    def one(i):
        mine = api.with_key(api.key)
        with mine.sandbox("bash", env={"N": str(i)}) as sandbox:
            mine.sh(sandbox, "echo $N > /workspace/n")
            return mine.sh(sandbox, "cat /workspace/n; ls /workspace | wc -l")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(24))) == [f"{i}\n1\n" for i in range(24)]


# ---- lists ----

def pages(api, query, limit):
    items, cursor = [], None
    for _ in range(100):
        page = api.get(f"/api/v1/sandboxes?{query}&limit={limit}" + (f"&cursor={cursor}" if cursor else "")).json()
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page.get("cursor")
        if not cursor:
            return items
        assert len(page["items"]) == limit
    raise AssertionError("the pages do not end")


def test_list_and_page(api):
    made = [api.create("bash", labels={"page": "test", "even": str(i % 2 == 0)})["id"] for i in range(5)]
    try:
        for limit in (1, 2, 5, 100):
            assert [b["id"] for b in pages(api, "labelSelector=page=test", limit)] == made[::-1]
        assert [b["id"] for b in pages(api, "labelSelector=even=True&phase=Running", 2)] == [made[4], made[2], made[0]]
        assert pages(api, "labelSelector=page=other", 10) == []
        assert pages(api, "labelSelector=page=test&phase=Paused", 10) == []
        api.delete(made[1])
        live = [b["id"] for b in pages(api, "labelSelector=page=test", 2)]
        assert live == [made[4], made[3], made[2], made[0]]
        # The ended one is in the record.
        for limit in (1, 2, 100):
            assert [b["id"] for b in pages(api, "labelSelector=page=test&all=true", limit)] == made[::-1]
        assert [b["id"] for b in pages(api, "labelSelector=page=test&phase=Terminated", 10)] == [made[1]]
    finally:
        for sandbox in made:
            api.delete(sandbox, status=(204, 404))


def test_paging_while_things_change(api):
    """What lives throughout is seen exactly once, whatever is made and deleted between pages."""
    stable = [api.create("bash", labels={"t": "stable"})["id"] for _ in range(4)]
    extra = []
    try:
        seen, cursor = [], None
        while True:
            page = api.get("/api/v1/sandboxes?limit=1" + (f"&cursor={cursor}" if cursor else "")).json()
            seen += [b["id"] for b in page["items"]]
            extra.append(api.create("bash")["id"])
            if len(extra) > 1:
                api.delete(extra[-2])
            cursor = page.get("cursor")
            if not cursor:
                break
        assert [s for s in seen if s in stable] == stable[::-1]
        assert len(seen) == len(set(seen))
    finally:
        for sandbox in stable + extra:
            api.delete(sandbox, status=(204, 404))


@pytest.mark.parametrize("query, where", [
    ("limit=0", "limit"), ("limit=501", "limit"), ("limit=x", "limit"), ("limit=", "limit"),
    ("limit=99999999999999999999", "limit"), ("phase=running", "phase"), ("phase=", "phase"),
    ("labelSelector=a,", "labelSelector"), ("labelSelector==a", "labelSelector"), ("all=1", "all"), ("all=TRUE", "all"),
    ("cursor=garbage", "cursor"), ("cursor=Lgarbage", "cursor"), ("all=true&cursor=garbage", "cursor"),
])
def test_bad_queries(api, query, where):
    api.error("GET", "/api/v1/sandboxes?" + query, 400, "invalid_request", where)


# ---- time ----

def test_timeout_ends_it(api, server):
    sandbox = api.create(timeout=5)["id"]
    with api.open_stream(sandbox, command="echo begun; sleep 600") as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert b'"error"' in lines[-2] and b"its timeout of 5 s is over" in lines[-2]
    assert b'"exited"' in lines[-1] and sum(b'"type":"exited"' in line for line in lines) == 1
    box = wait_until("it has ended", lambda: (b := api.describe(sandbox))["phase"] == "Terminated" and b)
    assert box["reason"] == "TimedOut" and "5 s" in box["message"]
    assert (when(box["endedAt"]) - when(box["createdAt"])).total_seconds() >= 5
    assert "sleep" not in server.processes().values()


# ---- limits ----

def test_most_sandboxes(new_server):
    from tests.helpers.client import Api
    server = new_server(args=["--max-sandboxes", "2"])
    api = Api(server.url, server.key)
    made = [api.create("bash")["id"] for _ in range(2)]
    error = api.error("POST", "/api/v1/sandboxes", 429, "quota_exceeded", json={"runtime": "bash"})
    assert "2 sandboxes" in error["message"]
    api.delete(made[0])
    api.create("bash")


def test_creator_that_goes_away(api):
    """Nobody knows the id of what it asked for, so nothing may be left of it. (Where the answer was
    out before the end of the connection came in, it is the timeout that ends it.)"""
    body = b'{"runtime":"bash","timeout":10,"labels":{"orphan":"yes"}}'
    orphans = "/api/v1/sandboxes?labelSelector=orphan=yes"

    def leave(after):
        with api.connect() as s:
            s.sendall(api.head("POST", "/api/v1/sandboxes", "Content-Type: application/json",
                               f"Content-Length: {len(body)}") + body)
            time.sleep(after)

    def ended():
        return not api.get(orphans).json()["items"]

    def reasons():
        return {item.get("reason") for item in api.get(orphans + "&all=true&limit=500").json()["items"]}
    # At once: before the policies have answered, nothing is made. Later: while it is being made.
    for i in range(300):
        leave(i % 10 * 0.0005)
        if i >= 20 and i % 10 == 0 and "ClientGone" in reasons():
            break
    wait_until("what they asked for is gone", ended)
    assert "ClientGone" in reasons()


def test_requests_during_creation(api):
    """Everything that can be asked of a sandbox that does not run yet has an answer."""
    box = api.post("/api/v1/sandboxes?wait=false", {"runtime": "bash"}, status=201).json()
    path = f"/api/v1/sandboxes/{box['id']}"
    results = []

    def ask(method, suffix, **more):
        results.append(api.with_key(api.key).request(method, path + suffix, **more).status_code)
    threads = [threading.Thread(target=ask, args=a, kwargs=k) for a, k in (
        (("POST", "/execute"), {"json": {"command": "true"}}), (("GET", "/files"), {}), (("GET", "/metrics"), {}),
        (("GET", "/events"), {}), (("DELETE", ""), {}))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 503: it was deleted while it answered.
    assert set(results) <= {200, 204, 404, 409, 503}, results
    wait_until("it is gone", lambda: api.describe(box["id"])["phase"] in ("Terminated", "Failed"))
