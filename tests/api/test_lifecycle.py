"""PATCH, timeout, pause, resume, idle: the life of a sandbox as its user steers it."""
import concurrent.futures
import time

import pytest

from tests.api.test_sandboxes import when
from tests.helpers.client import wait_until

BOX = "/api/v1/sandboxes/{}"
# Counts in a file, often; what it says later shows whether it ran meanwhile.
COUNTER = "n=0; while :; do n=$((n+1)); echo $n > /tmp/count; sleep 0.01; done"


@pytest.fixture(scope="module")
def freezer(api):
    """Where a node has no freezer, pausing must be refused by name: that is the test then."""
    with api.sandbox("bash") as sandbox:
        return "cgroup.freezer" in api.describe(sandbox)["controls"]


def pause(api, sandbox, status=200):
    return api.post(BOX.format(sandbox) + "/pause", status=status).json()


def resume(api, sandbox, status=200):
    return api.post(BOX.format(sandbox) + "/resume", status=status).json()


def patch(api, sandbox, body, status=200, **more):
    return api.request("PATCH", BOX.format(sandbox), status, json=body, **more).json()


def reasons(api, sandbox):
    return [e["reason"] for e in api.events(sandbox)]


def frozen_count(api, sandbox):
    """Start the counter, pause, and let time pass; the count is looked at after the resume."""
    api.sh(sandbox, f"setsid sh -c '{COUNTER}' > /dev/null 2>&1 &")
    wait_until("it counts", lambda: api.sh(sandbox, "cat /tmp/count 2>/dev/null || true").strip())


def test_no_freezer_is_said(api, freezer):
    if freezer:
        return
    with api.sandbox("bash") as sandbox:
        error = pause(api, sandbox, 503)["error"]
        assert error["code"] == "unavailable" and "cgroup.freezer" in error["message"]
    error = api.error("POST", "/api/v1/sandboxes", 503, "unavailable",
                      json={"runtime": "bash", "lifecycle": {"onTimeout": "pause"}})
    assert "cgroup.freezer" in error["message"]


def test_nothing_runs_while_paused(api, freezer):
    if not freezer:
        return
    with api.sandbox("bash", timeout=600) as sandbox:
        frozen_count(api, sandbox)
        box = pause(api, sandbox)
        assert box["phase"] == "Paused" and "expiresAt" not in box and "idleSince" not in box
        assert [c["status"] for c in box["conditions"] if c["type"] == "Ready"] == ["False"]
        assert when(box["pausedAt"]) >= when(box["createdAt"])
        assert pause(api, sandbox)["phase"] == "Paused"  # once more is no error
        error = api.error("POST", BOX.format(sandbox) + "/execute", 409, "conflict", json={"command": "true"})
        assert "Paused" in error["message"] and "/resume" in error["message"]
        api.error("GET", api.file(sandbox, "tmp/count"), 409, "conflict")
        time.sleep(1.5)
        box = resume(api, sandbox)
        assert box["phase"] == "Running" and "pausedAt" not in box and "expiresAt" in box
        first = int(api.sh(sandbox, "cat /tmp/count"))
        # A hundred a second otherwise; what it counted since is what it took to look.
        wait_until("it counts on", lambda: int(api.sh(sandbox, "cat /tmp/count")) > first)
        assert resume(api, sandbox)["phase"] == "Running"
        assert [r for r in reasons(api, sandbox) if r in ("Paused", "Resumed")] == ["Paused", "Resumed"]


def test_no_tick_while_paused(api, freezer):
    """The count at the pause is the count at the resume: the program writes the time as well."""
    if not freezer:
        return
    with api.sandbox("python") as sandbox:
        ticker = ("import time\nlast = time.monotonic(); gap = 0\nwhile True:\n"
                  "    now = time.monotonic(); gap = max(gap, now - last); last = now\n"
                  "    open('/tmp/gap', 'w').write(str(gap)); time.sleep(0.02)\n")
        api.put(sandbox, "tmp/ticker.py", ticker)
        api.sh(sandbox, "setsid python3 /tmp/ticker.py > /dev/null 2>&1 & until [ -s /tmp/gap ]; do sleep 0.1; done")
        pause(api, sandbox)
        time.sleep(3)
        resume(api, sandbox)

        def gap():
            text = api.sh(sandbox, "cat /tmp/gap")
            return text and float(text) >= 2.9
        wait_until("its longest gap to show", gap)


def test_timeouts_stop(api, freezer):
    if not freezer:
        return
    with api.sandbox("bash", timeout=600) as sandbox:
        before = when(api.describe(sandbox)["expiresAt"])
        with api.open_stream(sandbox, command="sleep 1; echo over", timeoutMs=8000) as answer:
            lines = answer.iter_lines(chunk_size=1)
            assert b"started" in next(lines)
            pause(api, sandbox)
            time.sleep(9)  # longer than the execution may take
            resume(api, sandbox)
            rest = b"\n".join(lines)
        assert b"over" in rest and b'"exited"' in rest and b"timeout" not in rest, rest
        assert (when(api.describe(sandbox)["expiresAt"]) - before).total_seconds() >= 8.9


def test_deleted_while_paused(api, freezer):
    if not freezer:
        return
    sandbox = api.create("bash")["id"]
    pause(api, sandbox)
    api.delete(sandbox)
    assert api.describe(sandbox)["phase"] == "Terminated"


def test_executions_end_when_a_paused_one_is_deleted(api, freezer):
    if not freezer:
        return
    sandbox = api.create("bash")["id"]
    with api.open_stream(sandbox, command="sleep 100") as answer:
        lines = answer.iter_lines(chunk_size=1)
        assert b"started" in next(lines)
        pause(api, sandbox)
        api.delete(sandbox)
        assert b"failed" in b"".join(lines)


def test_resume_on_use(api, freezer):
    if not freezer:
        return
    with api.sandbox("bash", lifecycle={"resumeOnUse": True}) as sandbox:
        pause(api, sandbox)
        assert api.sh(sandbox, "echo back") == "back\n"
        # Its answer may be here before the node's word that it runs.
        wait_until("the phase", lambda: api.describe(sandbox)["phase"] == "Running")
        pause(api, sandbox)
        api.put(sandbox, "tmp/x", b"1")
        pause(api, sandbox)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:  # all at once: one resume
            assert set(pool.map(lambda i: api.with_key(api.key).sh(sandbox, "echo $((1+1))"), range(8))) == {"2\n"}
        # To look at it is no use.
        pause(api, sandbox)
        api.describe(sandbox)
        api.events(sandbox)
        assert api.describe(sandbox)["phase"] == "Paused"


def test_pause_and_resume_at_once(api, freezer):
    """Whatever comes first: everybody is answered, and it ends as the last one said."""
    if not freezer:
        return
    with api.sandbox("bash") as sandbox:
        def ask(i):
            mine = api.with_key(api.key)
            return mine.post(BOX.format(sandbox) + ("/pause" if i % 2 else "/resume"), status=(200, 409)).status_code
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(40)))
        resume(api, sandbox)
        assert api.sh(sandbox, "echo alive") == "alive\n"
        pause(api, sandbox)
        assert api.describe(sandbox)["phase"] == "Paused"


def test_idle(api, freezer):
    end = "pause" if freezer else "delete"
    with api.sandbox("bash", lifecycle={"idleTimeout": 4, "onIdle": end, "resumeOnUse": True}) as sandbox:
        assert "idleSince" in api.describe(sandbox)
        # A running execution is use, a process in the background is none.
        api.sh(sandbox, "sleep 6; setsid sleep 1000 > /dev/null 2>&1 &")
        phase = "Paused" if freezer else "Terminated"
        with api.open_stream(sandbox, command="sleep 6") as answer:
            assert "idleSince" not in api.describe(sandbox)
            assert b'"exited"' in answer.content
        box = wait_until("it is idle", lambda: (b := api.describe(sandbox))["phase"] == phase and b, timeout=60)
        assert "Idle" in reasons(api, sandbox)
        if freezer:
            assert "pausedAt" in box
            assert api.sh(sandbox, "echo $((2*3))") == "6\n"


def test_idle_delete(api):
    sandbox = api.create("bash", lifecycle={"idleTimeout": 1, "onIdle": "delete"})["id"]
    box = wait_until("it is gone", lambda: (b := api.describe(sandbox))["phase"] == "Terminated" and b)
    assert box["reason"] == "Idle" and "1 s" in box["message"]
    assert box["lifecycle"]["onIdle"] == "delete"  # as recorded


def test_paused_by_its_timeout(api, freezer):
    if not freezer:
        return
    with api.sandbox("bash", timeout=2, lifecycle={"onTimeout": "pause"}) as sandbox:
        wait_until("it is paused", lambda: api.describe(sandbox)["phase"] == "Paused")
        assert {"TimedOut", "Paused"} <= set(reasons(api, sandbox))
        api.post(BOX.format(sandbox) + "/timeout", {"timeout": 300})
        box = resume(api, sandbox)
        assert 250 < (when(box["expiresAt"]) - when(box["createdAt"])).total_seconds() < 400


def test_new_timeout(api):
    with api.sandbox("bash", timeout=600) as sandbox:
        box = api.post(BOX.format(sandbox) + "/timeout", {"timeout": 3000}).json()
        assert box["timeout"] == 3000
        assert (when(box["expiresAt"]) - when(box["createdAt"])).total_seconds() >= 3000
        for body in ({}, {"timeout": 0}, {"timeout": 86401}, {"timeout": "5"}, {"timeout": 1.5}, {"timeout": None}):
            api.error("POST", BOX.format(sandbox) + "/timeout", 400, "invalid_request", "timeout", json=body)
        api.error("POST", BOX.format(sandbox) + "/timeout", 400, "invalid_request", "more", json={"timeout": 1, "more": 1})
    sandbox = api.create("bash", timeout=3000)["id"]
    api.post(BOX.format(sandbox) + "/timeout", {"timeout": 1})
    wait_until("it ends", lambda: api.describe(sandbox)["phase"] == "Terminated")
    assert api.describe(sandbox)["reason"] == "TimedOut"


def test_patch(api):
    with api.sandbox("bash", labels={"a": "1", "b": "2"}, annotations={"note": "x" * 4096}) as sandbox:
        box = patch(api, sandbox, {"labels": {"a": None, "c": "3", "none": None},
                                   "annotations": {"note": None, "more": "free text, äöü"},
                                   "lifecycle": {"resumeOnUse": True, "idleTimeout": 500, "onIdle": "delete"}},
                    headers={"Content-Type": "application/merge-patch+json"})
        assert box["labels"] == {"b": "2", "c": "3"} and box["annotations"] == {"more": "free text, äöü"}
        assert box["lifecycle"] == {"onTimeout": "delete", "idleTimeout": 500, "onIdle": "delete", "resumeOnUse": True}
        assert box == {**api.describe(sandbox), "idleSince": box["idleSince"]}
        box = patch(api, sandbox, {"labels": None, "timeout": 1234, "lifecycle": {"idleTimeout": None}})
        assert box["labels"] == {} and box["timeout"] == 1234
        assert box["lifecycle"] == {"onTimeout": "delete", "onIdle": "delete", "resumeOnUse": True}
        assert patch(api, sandbox, {})["labels"] == {}
        assert patch(api, sandbox, {"lifecycle": None})["lifecycle"] == {
            "onTimeout": "delete", "onIdle": "pause", "resumeOnUse": False}
        assert "Updated" in reasons(api, sandbox) and "TimeoutSet" in reasons(api, sandbox)
    assert api.describe(sandbox)["timeout"] == 1234  # as recorded


@pytest.mark.parametrize("body, where", [
    ({"name": "other"}, "name"), ({"runtime": "node"}, "runtime"), ({"resources": None}, "resources"),
    ({"labels": {"a=b": "1"}}, "labels"), ({"labels": {"a": 1}}, "labels.a"), ({"labels": []}, "labels"),
    ({"annotations": {"a": "x" * 4097}}, "annotations.a"), ({"annotations": {"": "x"}}, "annotations."),
    ({"annotations": {str(i): "x" * 4000 for i in range(9)}}, "annotations"),
    ({"annotations": {str(i): "x" for i in range(65)}}, "annotations"),
    ({"timeout": 0}, "timeout"), ({"lifecycle": {"onTimeout": "stop"}}, "lifecycle.onTimeout"),
    ({"lifecycle": {"idleTimeout": 0}}, "lifecycle.idleTimeout"), ({"lifecycle": {"x": 1}}, "lifecycle.x"),
    ({"lable": {}}, "lable")])
def test_bad_patches_change_nothing(api, shared, body, where):
    before = api.describe(shared)
    error = api.error("PATCH", BOX.format(shared), 400, "invalid_request", where, json={"labels": {"n": "1"}, **body})
    assert error["message"]
    after = api.describe(shared)
    assert {**after, "idleSince": 0} == {**before, "idleSince": 0}


def test_create_with_settings(api):
    with api.sandbox("python", imports=["json", "os.path"], annotations={"why": "test"}) as sandbox:
        box = api.describe(sandbox)
        assert box["imports"] == ["json", "os.path"] and box["annotations"] == {"why": "test"}
        assert box["lifecycle"] == {"onTimeout": "delete", "onIdle": "pause", "resumeOnUse": False}
    for bad in (["a b"], ["a..b"], [".a"], ["1a"], [""], ["a;import os"], ["x"] * 65, [1]):
        error = api.request("POST", "/api/v1/sandboxes", 400, json={"runtime": "python", "imports": bad}).json()["error"]
        assert error["details"][0]["path"].startswith("imports"), bad


def test_unknown_controls(api):
    error = api.error("POST", "/api/v1/sandboxes", 400, "invalid_request", "requiredControls[1]",
                      json={"runtime": "bash", "requiredControls": ["seccomp", "sekkomp"]})
    assert "sekkomp" in error["message"] and "landlock" in error["message"]


# ---- selectors ----

SELECTED = [
    ("sel=x", "abc"), ("sel==x,tier=one", "a"), ("sel=x,tier!=one", "bc"), ("sel=x,tier", "ab"), ("sel=x,!tier", "c"),
    ("sel=x,tier in (one, two)", "ab"), ("sel=x,tier in (three)", ""), ("sel=x,tier notin (one)", "bc"),
    ("sel=x, tier notin (one,two)", "c"), ("sel in (x),tier=two", "b"), ("tier in (one,two),sel=x", "ab")]


def test_selectors(api):
    names = {}
    for name, labels in (("a", {"tier": "one"}), ("b", {"tier": "two"}), ("c", {})):
        names[api.create("bash", labels={"sel": "x", **labels})["id"]] = name
    try:
        for selector, found in SELECTED:
            for more in ({}, {"all": "true"}, {"phase": "Running"}):  # from memory, and from the store
                items = api.get("/api/v1/sandboxes", params={"labelSelector": selector, **more}).json()["items"]
                assert "".join(sorted(names[i["id"]] for i in items)) == found, (selector, more)
        sandbox = next(s for s in names if names[s] == "c")
        patch(api, sandbox, {"labels": {"tier": "one"}})
        for more in ({}, {"all": "true"}):
            items = api.get("/api/v1/sandboxes", params={"labelSelector": "sel=x,tier=one", **more}).json()["items"]
            assert len(items) == 2
    finally:
        for sandbox in names:
            api.delete(sandbox)


@pytest.mark.parametrize("selector", ["a b", "=", "a in", "a in (", "a in (b", ",", "a,", "!!a", "a>1", "a=b=c", "a\nb",
                                      "x" * 254, ",".join("a" for _ in range(17)), "a in (" + "," * 64 + ")", "a\x01=',--"])
def test_bad_selectors(api, selector):
    for more in ({}, {"all": "true"}):
        answer = api.get("/api/v1/sandboxes", params={"labelSelector": selector, **more}, status=(200, 400))
        if selector in ("a\nb", "a\x01=',--"):
            continue  # words, odd ones
        error = answer.json()["error"]
        assert error["code"] == "invalid_request" and error["details"][0]["path"] == "labelSelector"


# ---- wait ----

def waiting(api, sandbox, phase, timeout=30, status=200):
    return api.get(BOX.format(sandbox) + f"/wait?phase={phase}&timeout={timeout}", status=status).json()


def test_wait(api, freezer):
    box = api.post("/api/v1/sandboxes?wait=false", {"runtime": "bash"}, status=201).json()
    sandbox = box["id"]
    assert waiting(api, sandbox, "Running")["phase"] == "Running"
    assert waiting(api, sandbox, "Running", 0)["expiresAt"]
    assert waiting(api, sandbox, "Terminated", 0, 408)["error"]["code"] == "timeout"
    assert waiting(api, sandbox, "Paused", 1, 408)["error"]["code"] == "timeout"
    error = waiting(api, sandbox, "Creating", 30, 409)["error"]
    assert error["code"] == "conflict" and "Running" in error["message"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        others = [api.with_key(api.key) for _ in range(4)]
        if freezer:
            paused = pool.submit(waiting, others[0], sandbox, "Paused")
            pause(api, sandbox)
            assert paused.result()["pausedAt"]
            running = pool.submit(waiting, others[0], sandbox, "Running")
            resume(api, sandbox)
            assert running.result()["expiresAt"]
        # Ends early when it can never be reached, and at the end of a sandbox.
        never = pool.submit(waiting, others[1], sandbox, "Failed", 300, 409)
        ended = pool.submit(waiting, others[2], sandbox, "Terminated", 300)
        time.sleep(0.3)
        api.delete(sandbox)
        assert "Terminat" in never.result(120)["error"]["message"]
        assert ended.result(120)["reason"] == "Deleted"
    assert waiting(api, sandbox, "Terminated")["reason"] == "Deleted"
    assert waiting(api, sandbox, "Running", 30, 409)["error"]["code"] == "conflict"
    api.error("GET", BOX.format(sandbox) + "/wait?phase=running", 400, "invalid_request", "phase")
    api.error("GET", BOX.format(sandbox) + "/wait?timeout=601", 400, "invalid_request", "timeout")
    api.error("GET", BOX.format("sb-" + "a" * 20) + "/wait", 404, "not_found")


def test_waiters_that_vanish(api, sandbox):
    for _ in range(50):
        with api.connect() as s:
            s.sendall(api.head("GET", BOX.format(sandbox) + "/wait?phase=Paused&timeout=600"))
            s.sendall(api.head("GET", BOX.format(sandbox) + "/events?follow=true"))
    assert api.sh(sandbox, "echo fine") == "fine\n"


# ---- events ----

def test_events_follow(api):
    sandbox = api.create("bash")["id"]
    path = BOX.format(sandbox) + "/events?follow=true"
    with api.get(path, stream=True) as lines, \
            api.get(path, stream=True, headers={"Accept": "text/event-stream"}) as sse:
        assert lines.headers["Content-Type"].startswith("application/x-ndjson")
        assert sse.headers["Content-Type"].startswith("text/event-stream")
        each = lines.iter_lines(chunk_size=1)
        assert b'"Started"' in next(each)
        patch(api, sandbox, {"labels": {"a": "b"}})
        assert b'"Updated"' in next(each)
        api.delete(sandbox)
        assert b'"Deleted"' in next(each) and list(each) == []
        texts = [t for t in sse.content.split(b"\n\n") if t]
        assert [t.split(b"\n")[0] for t in texts] == [b"id: 1", b"id: 2", b"id: 3"]
        assert all(t.split(b"\n")[1].startswith(b"data: {") for t in texts)
    # Afterwards, from the record; and from where one was cut off.
    assert len(api.get(path, stream=True).content.splitlines()) == 3
    again = api.get(path, stream=True, headers={"Accept": "text/event-stream", "Last-Event-ID": "2"}).content
    assert again.count(b"data: ") == 1 and b"Deleted" in again
    assert len(api.get(path + "&after=1", stream=True).content.splitlines()) == 2


# ---- the same create twice ----

def test_idempotent_create(api):
    body, key = {"runtime": "bash", "labels": {"once": "only"}}, {"Idempotency-Key": "create-once-1"}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: api.with_key(api.key).post("/api/v1/sandboxes", body, status=201,
                                                                   headers=key).json(), range(6)))
    sandbox = made[0]["id"]
    try:
        assert {m["id"] for m in made} == {sandbox} and {m["phase"] for m in made} == {"Running"}
        assert len(api.get("/api/v1/sandboxes?labelSelector=once=only&all=true").json()["items"]) == 1
        error = api.error("POST", "/api/v1/sandboxes", 409, "conflict", headers=key, json={"runtime": "python"})
        assert "Idempotency-Key" in error["message"] or "another" in error["message"]
    finally:
        api.delete(sandbox)
    again = api.post("/api/v1/sandboxes", body, status=201, headers=key).json()
    assert again["id"] == sandbox and again["phase"] == "Terminated"
    api.error("POST", "/api/v1/sandboxes", 400, "invalid_request", headers={"Idempotency-Key": "x" * 256}, json=body)


def test_background_executions_are_use(api):
    """One that nobody reads from counts as long as it runs."""
    sandbox = api.create("bash", lifecycle={"idleTimeout": 2, "onIdle": "delete"})["id"]
    api.execute(sandbox, status=202, command="sleep 5", background=True)
    assert "idleSince" not in api.describe(sandbox)
    box = wait_until("it is gone", lambda: (b := api.describe(sandbox))["phase"] == "Terminated" and b, timeout=60)
    assert box["reason"] == "Idle"
    assert (when(box["endedAt"]) - when(box["createdAt"])).total_seconds() >= 6.9
