"""Each decision point from request to answer, over rules that the labels of a sandbox steer."""
import concurrent.futures
import json
import re
import subprocess

import pytest
import requests

from tests.helpers import schema
from tests.helpers import server as servers
from tests.helpers.client import Api, wait_until
from tests.helpers.policies import Rules
from tests.helpers.websocket import WebSocket

POLICIES = "/api/v1/policies"


@pytest.fixture(scope="module")
def rules():
    with Rules() as folder:
        yield folder


@pytest.fixture(scope="module")
def ruled(rules):
    """A server with them, and packages to be asked for."""
    (rules.folder / "mirror").mkdir()
    running = servers.start_server(args=["--policy-dir", str(rules.folder),
                                         "--package-mirror", str(rules.folder / "mirror")])
    client = Api(running.url, running.key)
    try:
        yield client
        assert running.stop() == 0, running.log()[-3000:]
    finally:
        client.close()
        running.discard()


@pytest.fixture
def box(ruled):
    made = []

    def make(**labels):
        made.append(ruled.create("python", labels=labels)["id"])
        return made[-1]
    yield make
    for one in made:
        ruled.request("DELETE", f"/api/v1/sandboxes/{one}", (204, 404))


def denied(answer, rule, reason):
    """It is a denial by that rule; the id of the decision."""
    assert answer.status_code == 403, answer.text
    error = answer.json()["error"]
    assert error["code"] == "policy_denied", error
    (detail,) = error["details"]
    assert detail["rule"] == rule and detail["reason"] == reason, detail
    assert rule in error["message"] and reason in error["message"]
    assert re.fullmatch(r"dec-[a-z2-7]{20}", detail["decision"]), detail
    return detail["decision"]


def path(sandbox, rest=""):
    return f"/api/v1/sandboxes/{sandbox}" + rest


# ---- no route forgets its gate ----

def routes():
    text = subprocess.run([servers.BIN / "agent-api", "--routes"], check=True, capture_output=True,
                          text=True).stdout
    return [line.split() for line in text.splitlines()]


def test_every_route_of_a_sandbox_says_what_it_asks():
    for method, pattern, _, gate in routes():
        of_sandbox = pattern.startswith("/api/v1/sandboxes/{id}")
        written = method != "GET" and pattern.startswith(tuple(RESOURCES))
        assert (gate != "none") == (of_sandbox or pattern == "/api/v1/sandboxes" or written), (method, pattern, gate)


RESOURCES = {"/api/v1/warmpools": {"runtime": "bash"}, "/api/v1/runtimes": {"language": "bash"}, "/api/v1/profiles": {}}
BODIES = {
    "/execute": {"command": "true"}, "/contexts": {"language": "bash"}, "/timeout": {"timeout": 60},
    "/files/move": {"path": "a", "to": "b"}, "/files/copy": {"path": "a", "to": "b"},
    "/files/chmod": {"path": "a", "mode": "0600"}, "/files/mkdir": {"path": "a"},
    "/files/signed-url": {"path": "/workspace/a"}, "/packages": {"manager": "pip", "packages": ["a"]},
}
KNOCKS = [(m, p, g) for m, p, _, g in routes() if g in ("admission", "execute", "files", "packages")
          and p.startswith("/api/v1/sandboxes")]


@pytest.fixture(scope="module")
def closed(ruled):
    """A sandbox in which everything is denied."""
    labels = {"execute": "all", "files": "all", "packages": "all"}
    return {"UPDATE": ruled.create("python", labels={**labels, "admission": "UPDATE"})["id"],
            "DELETE": ruled.create("python", labels={"admission": "DELETE"})["id"]}


@pytest.mark.parametrize("method, pattern, gate", KNOCKS, ids=lambda v: v.replace("/api/v1/", ""))
def test_every_gate_is_closed(ruled, closed, method, pattern, gate):
    sandbox = closed["DELETE" if (method, gate) == ("DELETE", "admission") else "UPDATE"]
    target = pattern.replace("{id}", sandbox).replace("{port}", "3000").replace("{path...}", "workspace/a")
    rest = pattern.removeprefix("/api/v1/sandboxes").removeprefix("/{id}")
    if rest in ("/terminal", "/tunnel"):
        with WebSocket(ruled.url, target + ("?port=3000" if rest == "/tunnel" else ""), key=ruled.key) as ws:
            message, end = ws.receive_json(), ws.receive()
            assert message["type"] == "error" and message["code"] == "policy_denied", message
            assert message["details"][0]["rule"] == "t-execute/kind", message
            assert end[0] == 1008 and "t-execute/kind" in str(end[1]), end
    elif rest == "/stream":
        with WebSocket(ruled.url, target, key=ruled.key) as ws:
            ws.send_json(type="execute", id="1", command="true")
            ws.send_json(type="watch", id="2", path="/workspace")
            ws.send_json(type="ping", id="3")
            for number, rule in (("1", "t-execute/kind"), ("2", "t-files/operation")):
                message = ws.receive_json()
                assert message["id"] == number and message["code"] == "policy_denied", message
                assert message["details"][0]["rule"] == rule, message
            assert ws.receive_json()["type"] == "pong"
    else:
        more = {}
        if method == "POST" and not rest.startswith("/ports") and rest != "/files/archive":
            more["json"] = BODIES[rest] if rest else {"runtime": "bash", "labels": {"admission": "CREATE"}}
        if rest == "/files/archive":
            target += "?format=tar"
        if method == "PATCH" and not rest.startswith("/ports"):
            more["json"] = {"annotations": {"a": "b"}}
        answer = ruled.request(method, target, 403, **more)
        if method != "HEAD":
            rules = {"execute": "t-execute/kind", "files": "t-files/operation", "packages": "t-packages/name",
                     "admission": "t-admission/operation"}
            assert answer.json()["error"]["details"][0]["rule"] == rules[gate], answer.text


@pytest.mark.parametrize("method, pattern", [(m, p) for m, p, _, _ in routes()
                                             if m != "GET" and p.startswith(tuple(RESOURCES))])
def test_every_gate_of_resources_is_closed(ruled, method, pattern):
    collection = pattern.removesuffix("/{name}")
    name = f"gate-{method.lower()}"

    def body(operation):
        return {"metadata": {"name": name, "labels": {"admission": operation}}, "spec": RESOURCES[collection]}
    operation = {"POST": "CREATE", "DELETE": "DELETE"}.get(method, "UPDATE")
    if method != "POST":
        ruled.post(collection, body(operation), status=201)
    sent = {"POST": body("CREATE"), "PUT": body("none"), "PATCH": {"metadata": {"labels": None}}}.get(method)
    answer = ruled.request(method, pattern.replace("{name}", name), json=sent)
    denied(answer, "t-admission/operation", f"no {operation} here")
    if method != "POST":
        assert ruled.get(f"{collection}/{name}").json()["metadata"]["labels"] == {"admission": operation}
        assert ruled.get(f"{collection}/{name}").json()["metadata"]["generation"] == 1


# ---- execute ----

def test_execute(ruled, box):
    sandbox = box()
    assert ruled.sh(sandbox, "echo yes") == "yes\n"
    for body in ({"command": "forbidden -x"}, {"command": ["/usr/bin/forbidden"]}, {"code": "# forbidden"}):
        answer = ruled.request("POST", path(sandbox, "/execute"), json=body)
        denied(answer, "t-execute/word", "that word again")
    assert ruled.executions(sandbox)[0]["status"] == "exited" and len(ruled.executions(sandbox)) == 1


def test_limits_that_a_rule_sets(ruled, box):
    sandbox = box(execute="limits")
    assert ruled.sh(sandbox, "ulimit -n") == "33\n"
    assert ruled.execute(sandbox, command="sleep 30")["status"] == "timeout"


def test_contexts(ruled, box):
    sandbox = box()
    context = ruled.post(path(sandbox, "/contexts"), {"language": "python"}, 201).json()["id"]
    assert ruled.execute(sandbox, context=context, code="print(1)")["stdout"] == "1\n"
    answer = ruled.request("POST", path(sandbox, "/execute"), json={"context": context, "code": "'forbidden'"})
    denied(answer, "t-execute/word", "that word again")
    answer = ruled.request("POST", path(box(execute="context"), "/contexts"), json={"language": "python"})
    denied(answer, "t-execute/kind", "no context here")


def test_a_context_takes_no_limit_that_it_cannot_keep(ruled, box):
    sandbox = box()
    context = ruled.post(path(sandbox, "/contexts"), {"language": "python"}, 201).json()["id"]
    ruled.request("PATCH", path(sandbox), 200, json={"labels": {"execute": "limits"}})
    error = ruled.error("POST", path(sandbox, "/execute"), 503, "unavailable",
                        json={"context": context, "code": "1"})
    assert "context" in error["message"]


def test_a_key_is_decided_once(ruled, box):
    sandbox = box()
    headers = {"Idempotency-Key": "k1"}
    body = {"command": "echo once"}
    first = ruled.request("POST", path(sandbox, "/execute"), 200, json=body, headers=headers).json()
    ruled.request("PATCH", path(sandbox), 200, json={"labels": {"execute": "all"}})
    again = ruled.request("POST", path(sandbox, "/execute"), 200, json=body, headers=headers).json()
    assert again["id"] == first["id"] and again["stdout"] == "once\n"
    for _ in range(2):  # a denial is no answer that a key leads to
        answer = ruled.request("POST", path(sandbox, "/execute"), json=body, headers={"Idempotency-Key": "k2"})
        denied(answer, "t-execute/kind", "no command here")
    ruled.request("PATCH", path(sandbox), 200, json={"labels": {"execute": None}})
    ruled.request("POST", path(sandbox, "/execute"), 200, json=body, headers={"Idempotency-Key": "k2"})


def test_streamed_execution_is_denied_whole(ruled, box):
    answer = ruled.request("POST", path(box(execute="command"), "/execute"), json={"command": "true"},
                           headers={"Accept": "application/x-ndjson"})
    denied(answer, "t-execute/kind", "no command here")


def test_stream_goes_on_after_a_denial(ruled, box):
    with WebSocket(ruled.url, path(box(), "/stream"), key=ruled.key) as ws:
        ws.send_json(type="execute", id="1", command="forbidden")
        ws.send_json(type="execute", id="2", command="cat", stdin=True)
        ws.send_json(type="stdin", id="2", data="hello\n", eof=True)
        message = ws.receive_json()
        schema.check_component("StreamMessage", message)
        assert (message["id"], message["code"]) == ("1", "policy_denied")
        assert message["details"][0]["rule"] == "t-execute/word"
        seen = []
        while not seen or seen[-1]["type"] != "exited":
            seen.append(ws.receive_json())
        assert "".join(m["data"] for m in seen if m["type"] == "stdout") == "hello\n", seen


# ---- files ----

def test_files(ruled, box):
    sandbox = box()
    ruled.put(sandbox, "/workspace/open", b"x")
    for name in ("/workspace/secret", "/workspace//secret//a", "/workspace/%73ecret/a"):
        answer = ruled.request("PUT", path(sandbox, "/files/") + name, data=b"x")
        denied(answer, "t-files/secret", "that is secret")
    for body in ({"path": "open", "to": "secret/x"}, {"path": "secret/x", "to": "open"},
                 {"path": "./secret//x", "to": "open"}, {"path": "/workspace/open", "to": "/workspace/secret"}):
        denied(ruled.request("POST", path(sandbox, "/files/move"), json=body), "t-files/secret", "that is secret")
    for query in ("path=secret", "path=/workspace/secret/", "path=.//secret"):
        denied(ruled.request("GET", path(sandbox, "/files?" + query)), "t-files/secret", "that is secret")
    assert [e["name"] for e in ruled.get(path(sandbox, "/files")).json()["items"]] == ["open"]


def test_what_looks_into_folders_says_so(ruled, box):
    sandbox = box()
    for query in ("?recursive=true", "?glob=**", "?glob=secret/*", "/watch?recursive=true"):
        denied(ruled.request("GET", path(sandbox, "/files" + query)), "t-files/below", "there is a secret below")
    with WebSocket(ruled.url, path(sandbox, "/stream"), key=ruled.key) as ws:
        ws.send_json(type="watch", id="1", recursive=True)
        ws.send_json(type="watch", id="2")
        assert ws.receive_json()["details"][0]["rule"] == "t-files/below"
        assert ws.receive_json()["type"] != "error"
    assert ruled.get(path(sandbox, "/files?glob=*&recursive=false")).json()["items"] == []


def test_the_way_around_by_dots_is_no_path(ruled, box):
    for name in ("/workspace/a/../secret", ".."):
        error = ruled.error("POST", path(box(), "/files/mkdir"), 400, "invalid_request", "path", json={"path": name})
        assert ".." in error["message"]


def test_a_signed_url_is_decided_again(ruled, box):
    sandbox = box()
    ruled.put(sandbox, "/workspace/a", b"content")
    url = ruled.post(path(sandbox, "/files/signed-url"), {"path": "/workspace/a"}).json()["url"]
    assert requests.get(url, timeout=30).content == b"content"
    ruled.request("PATCH", path(sandbox), 200, json={"labels": {"files": "read"}})
    denied(requests.get(url, timeout=30), "t-files/operation", "no read here")


# ---- packages ----

def test_packages(ruled, box):
    sandbox = box()
    names = {"pip": ["fine", "Evil_.Thing[extra] >= 2"], "npm": ["fine", "evil-thing@^1.0"]}
    versions = {"pip": ">= 2", "npm": "^1.0"}
    for manager, wanted in names.items():
        answer = ruled.request("POST", path(sandbox, "/packages"), json={"manager": manager, "packages": wanted})
        denied(answer, "t-packages/name", f"{manager} evil-thing {versions[manager]}")
    assert ruled.executions(sandbox) == []


# ---- admission ----

def test_admission_changes_what_is_made(ruled):
    made = ruled.create("bash", labels={"admission": "change", "mine": "1"}, env={"SECRET": "s3cret"})
    try:
        assert made["timeout"] == 77 and made["resources"]["memory"] == "64Mi"
        assert made["labels"] == {"admission": "change", "mine": "1", "added": "yes"}
        assert made["phase"] == "Running"
        assert ruled.sh(made["id"], "echo $SECRET $GIVEN") == "s3cret by a rule\n"
        decisions = ruled.get(POLICIES + "/decisions?point=admission&limit=1").json()["items"]
        whole = ruled.get(f"{POLICIES}/decisions/{decisions[0]['id']}").text
        assert "s3cret" not in whole and "SECRET" in whole
    finally:
        ruled.delete(made["id"])


def test_admission_denies(ruled, box):
    body = {"runtime": "bash", "labels": {"admission": "CREATE"}}
    before = len(ruled.get("/api/v1/sandboxes?limit=500").json()["items"])
    for headers in ({}, {"Idempotency-Key": "create-1"}):
        answer = ruled.request("POST", "/api/v1/sandboxes", json=body, headers=headers)
        denied(answer, "t-admission/operation", "no CREATE here")
    assert len(ruled.get("/api/v1/sandboxes?limit=500").json()["items"]) == before
    sandbox = box(admission="UPDATE")
    for method, rest, change in (("PATCH", "", {"labels": {"admission": None}}), ("POST", "/timeout", {"timeout": 9})):
        answer = ruled.request(method, path(sandbox, rest), json=change)
        denied(answer, "t-admission/operation", "no UPDATE here")
    assert ruled.describe(sandbox)["timeout"] == 300


def test_what_rules_make_nonsense_of_is_not_made(ruled):
    error = ruled.error("POST", "/api/v1/sandboxes", 503, "unavailable",
                        json={"runtime": "bash", "labels": {"admission": "nonsense"}})
    assert "timeout" in error["message"]


def test_changes_at_once_do_not_undo_each_other(ruled, box):
    sandbox = box()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        def change(i):
            return Api(ruled.url, ruled.key).request("PATCH", path(sandbox), json={"labels": {f"n{i}": str(i)}}).status_code
        statuses = list(pool.map(change, range(24)))
    labels = ruled.describe(sandbox)["labels"]
    made = {f"n{i}": str(i) for i, status in enumerate(statuses) if status == 200}
    assert set(statuses) <= {200, 409} and made and labels == made


# ---- lifecycle ----

def test_a_timeout_that_rules_extend(ruled):
    sandbox = ruled.create("bash", timeout=1, labels={"lifecycle": "extend"})["id"]
    wait_until("it to end", lambda: ruled.describe(sandbox)["phase"] == "Terminated", timeout=60)
    events = [e for e in ruled.events(sandbox) if e["reason"] in ("TimeoutExtended", "TimedOut")]
    assert sum(e["count"] for e in events if e["reason"] == "TimeoutExtended") == 2, events
    assert ruled.describe(sandbox)["reason"] == "TimedOut"


# ---- what is left of a denial ----

def test_denials_are_events_that_count(ruled, box):
    sandbox = box(execute="all")
    for _ in range(50):
        ruled.execute(sandbox, 403, command="true")
    ruled.request("PUT", ruled.file(sandbox, "/workspace/secret"), 403, data=b"x")

    def told():
        return [e for e in ruled.events(sandbox) if e["reason"] == "PolicyDenied"]
    wait_until("all to be counted", lambda: sum(e["count"] for e in told() if "t-execute" in e["message"]) == 50,
               timeout=60)
    assert len(told()) <= 4, told()
    assert any("t-files/secret" in e["message"] and "that is secret" in e["message"] for e in told())
    metrics = ruled.get("/metrics").text
    assert re.search(r'secureagent_policy_denials_total{[^}]*rule="t-execute/kind"[^}]*} [0-9]+', metrics), metrics


def test_decisions(ruled, box):
    sandbox = box()
    ruled.execute(sandbox, command="echo allowed")
    decision = denied(ruled.request("POST", path(sandbox, "/execute"), json={"code": "forbidden"}),
                      "t-execute/word", "that word again")
    items = ruled.get(f"{POLICIES}/decisions?sandbox={sandbox}&point=execute").json()["items"]
    assert [i["denied"] for i in items] == [False, True] and items[1]["id"] == decision
    assert items[1]["rule"] == "t-execute/word" and "input" not in items[1]
    for query in ("verdict=deny", "rule=t-execute", "rule=t-execute/word"):
        found = ruled.get(f"{POLICIES}/decisions?sandbox={sandbox}&{query}").json()["items"]
        assert [i["id"] for i in found] == [decision], query
    whole = ruled.get(f"{POLICIES}/decisions/{decision}").json()
    assert whole["input"]["code"] == "forbidden" and whole["input"]["sandbox"]["id"] == sandbox
    assert whole["answer"]["reason"] == "that word again"
    explained = ruled.post(f"{POLICIES}/execute/explain", {"decision": decision}).json()
    assert explained["verdict"] == "deny" and explained["rule"] == "t-execute/word"
    assert explained["decision"]["id"] == decision
    assert "t-execute" in json.dumps(explained["trace"])


def test_following_decisions(ruled, box):
    sandbox = box()
    for accept, prefix in (("application/x-ndjson", b""), ("text/event-stream", b"data: ")):
        with ruled.request("GET", f"{POLICIES}/decisions?follow=true&sandbox={sandbox}&verdict=deny", 200,
                           headers={"Accept": accept}, stream=True) as answer:
            ruled.execute(sandbox, command="true")
            ruled.execute(sandbox, 403, command="forbidden")
            line = next(one for one in answer.iter_lines(1) if one.startswith(prefix) and b"{" in one)
            item = json.loads(line[len(prefix):])
            schema.check_component("PolicyDecision", item)
            assert item["rule"] == "t-execute/word" and item["sandbox"] == sandbox


def test_explain(ruled):
    got = ruled.post(f"{POLICIES}/execute/explain",
                     {"input": {"kind": "code", "code": "forbidden", "sandbox": {"id": "x", "labels": {}}}}).json()
    assert (got["verdict"], got["rule"], got["point"]) == ("deny", "t-execute/word", "execute")
    ruled.error("POST", f"{POLICIES}/execute/explain", 400, "invalid_request", json={})
    ruled.error("POST", f"{POLICIES}/nowhere/explain", 404, "not_found", json={"input": {}})
    ruled.error("POST", f"{POLICIES}/files/explain", 404, "not_found", "decision", json={"decision": "dec-x"})
    ruled.error("POST", f"{POLICIES}/files/explain", 400, "invalid_request", json={"input": {"nonsense": 1}})


def test_one_rule(ruled):
    rule = ruled.get(POLICIES + "/t-execute").json()
    assert rule["point"] == "execute" and "that word again" in rule["text"] and rule["path"].endswith("t-execute.lua")
    shipped = ruled.get(POLICIES + "/deny-miners").json()
    assert shipped["params"]["names"]["default"] and "expect" in shipped["testText"]
    ruled.error("GET", POLICIES + "/nothing", 404, "not_found")


def test_who_may(ruled):
    keys = {role: ruled.post("/api/v1/user/apikeys", {"name": role, "role": role}, 201).json()["key"]
            for role in ("viewer", "developer", "operator")}
    for role, key in keys.items():
        client = ruled.with_key(key)
        reads = 200 if role == "operator" else 403
        client.get(POLICIES, reads)
        client.get(POLICIES + "/decisions", reads)
        client.request("POST", POLICIES + "/execute/explain", reads, json={"input": {"kind": "code"}})
        client.request("POST", POLICIES + "/reload", 403)
        client.request("POST", POLICIES + "/rollback", 403)


def test_a_denial_is_shown_to_whose_sandbox_it_is(ruled):
    """And to operators; to nobody else, as inputs have code, paths and names."""
    owner, other, viewer, operator = (
        ruled.with_key(ruled.post("/api/v1/user/apikeys", {"name": "same name", "role": role}, 201).json()["key"])
        for role in ("developer", "developer", "viewer", "operator"))
    with owner.sandbox("bash") as sandbox:
        path = f"/api/v1/sandboxes/{sandbox}/execute"
        denial = owner.error("POST", path, 403, "policy_denied", json={"code": "echo forbidden; echo my secret"})
        decision = f"{POLICIES}/decisions/{denial['details'][0]['decision']}"
        mine, theirs = owner.get(decision).json(), operator.get(decision).json()
        assert mine["denied"] and mine["reason"] == "that word again" and "my secret" in mine["input"]["code"]
        assert "answer" not in mine and "answer" in theirs
        assert {k: v for k, v in theirs.items() if k != "answer"} == mine
        other.error("GET", decision, 404, "not_found")
        viewer.error("GET", decision, 403, "forbidden")
        # What was allowed is nobody's question.
        owner.post(path, {"command": ["true"]})
        allowed = operator.get(f"{POLICIES}/decisions?sandbox={sandbox}&verdict=allow").json()["items"][-1]
        owner.error("GET", f"{POLICIES}/decisions/{allowed['id']}", 404, "not_found")
    owner.error("GET", decision, 404, "not_found")  # there is nobody any more whose it is
    assert operator.get(decision).json() == theirs
