"""Resources over REST: pools, runtimes and profiles are written and read, as in Kubernetes."""
import concurrent.futures

import pytest

from tests.helpers.client import Api, wait_until
from tests.helpers.policies import Rules
from tests.helpers.server import start_server

KINDS = {
    "warmpools": {"kind": "WarmPool", "spec": {"runtime": "python", "minSize": 0, "maxSize": 0},
                  "change": {"maxSize": 3}},
    "runtimes": {"kind": "RuntimeEnvironment", "spec": {"language": "python"}, "change": {"version": "3.12"}},
    "profiles": {"kind": "SandboxProfile", "spec": {"securityLevel": "high"}, "change": {"description": "hard"}},
}
RESERVED = "secureagent.dev/thing"


def body(area, name, **more):
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": "secureagent.dev/v1", "kind": KINDS[area]["kind"], "metadata": metadata,
            "spec": {**KINDS[area]["spec"], **more}}


def said(found):
    """What its writers said of it: controllers write its status meanwhile."""
    metadata = {k: v for k, v in found["metadata"].items() if k != "resourceVersion"}
    return {**found, "metadata": metadata, "status": None}


def at_newest(api, path, act):
    """`act` with what is there, until no controller is faster."""
    def tried():
        answer = act(api.get(path).json())
        return answer if answer.status_code != 409 else None
    return wait_until("a write of the newest version", tried)


@pytest.fixture(params=sorted(KINDS))
def area(request):
    return request.param


@pytest.fixture
def made(api, area):
    """A fresh one: its path and how it was answered."""
    answer = api.post(f"/api/v1/{area}", {"metadata": {"generateName": "t-"}, "spec": KINDS[area]["spec"]},
                      status=201)
    name = answer.json()["metadata"]["name"]
    yield f"/api/v1/{area}/{name}", answer.json()
    api.request("DELETE", f"/api/v1/{area}/{name}", (200, 404))


# ---- one life ----

def test_create_read_change_delete(api, area):
    path = f"/api/v1/{area}/whole-life"
    answer = api.post(f"/api/v1/{area}", body(area, "whole-life"), status=201)
    assert answer.headers["Location"] == path
    first = answer.json()
    assert first["apiVersion"] == "secureagent.dev/v1" and first["kind"] == KINDS[area]["kind"]
    assert first["metadata"]["generation"] == 1 and first["metadata"]["uid"] and first["status"] == {}
    assert first["metadata"].get("namespace") == ("default" if area == "warmpools" else None)
    assert said(api.get(path).json()) == said(first) == said(api.get(path + "/status").json())
    assert api.get(path + "/events").json()["kind"] == "EventList"
    assert said(first) in map(said, api.get(f"/api/v1/{area}?limit=500").json()["items"])

    patched = api.request("PATCH", path, 200, json={"spec": KINDS[area]["change"]}).json()
    assert patched["spec"] == {**first["spec"], **KINDS[area]["change"]}
    assert patched["metadata"]["generation"] == 2
    assert patched["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    same = api.request("PATCH", path, 200, json={"spec": KINDS[area]["change"]},
                       headers={"Content-Type": "application/merge-patch+json"}).json()
    assert said(same) == said(patched), "what changes nothing is no new version"

    replaced = api.request("PUT", path, 200, json=body(area, "whole-life")).json()
    assert replaced["spec"] == first["spec"] and replaced["metadata"]["generation"] == 3
    unnamed = {"metadata": {"labels": {"a": "b"}}, "spec": KINDS[area]["spec"]}
    assert api.request("PUT", path, 200, json=unnamed).json()["metadata"]["labels"] == {"a": "b"}

    assert api.request("DELETE", path, 200).json()["metadata"]["uid"] == first["metadata"]["uid"]
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        api.error(method, path, 404, "not_found", json=body(area, "whole-life") if method == "PUT" else {})
    api.error("GET", path + "/status", 404, "not_found")


def test_forged_status_is_ignored(api, area):
    path = f"/api/v1/{area}/forged"
    forged = {"conditions": [{"type": "Ready", "status": "True"}], "available": 99, "nonsense": {"deep": 1}}
    try:
        assert api.post(f"/api/v1/{area}", {**body(area, "forged"), "status": forged}, status=201) \
            .json()["status"] == {}
        for method in ("PUT", "PATCH"):
            status = api.request(method, path, 200, json={**body(area, "forged"), "status": forged}).json()["status"]
            assert "nonsense" not in status and status.get("available", 0) == 0
        api.error("POST", f"/api/v1/{area}", 400, "invalid_request", "status", json={**body(area, "f2"), "status": 5})
    finally:
        api.request("DELETE", path, (200, 404))


def test_unknown_fields(api, area):
    path = f"/api/v1/{area}/lenient"
    typo = body(area, "lenient", typo=1)
    api.error("POST", f"/api/v1/{area}", 400, "invalid_request", "spec.typo", json=typo)
    answer = api.post(f"/api/v1/{area}?lenient=true", typo, status=201)
    created = answer.json()
    assert "typo" not in created["spec"]
    assert answer.headers["Warning"].startswith('299 - "spec.typo: unknown field \\"typo\\"')
    api.error("PUT", path, 400, "invalid_request", "spec.typo", json=typo)
    api.error("PATCH", path, 400, "invalid_request", "spec.typo", json={"spec": {"typo": 1}})
    assert api.request("PUT", path + "?lenient=true", 200, json=typo).json()["spec"] == created["spec"]
    assert api.request("PATCH", path + "?lenient=true", 200, json={"spec": {"typo": 1}}).json()["spec"] == created["spec"]
    api.request("DELETE", path, 200)


def test_all_mistakes_are_told(api):
    spec = {"runtime": "No", "minSize": -1, "resources": {"cpu": "lots", "memory": "1Mi", "disk": 1}, "typo": 1, "wrong": 2}
    answer = api.request("POST", "/api/v1/warmpools", 400, json={"metadata": {"name": "bad"}, "spec": spec})
    error = answer.json()["error"]
    paths = ["spec.runtime", "spec.resources.cpu", "spec.resources.memory", "spec.resources.disk", "spec.minSize", "spec.typo", "spec.wrong"]
    assert sorted(d["path"] for d in error["details"]) == sorted(paths)
    assert all(d["reason"].startswith(d["path"] + ": ") for d in error["details"])
    assert error["message"] == error["details"][0]["reason"] + " (and 6 more: see details)"
    many = {"runtime": "bash", **{f"typo{n}": n for n in range(100)}}
    answer = api.request("POST", "/api/v1/warmpools", 400, json={"metadata": {"name": "bad"}, "spec": many})
    assert len(answer.json()["error"]["details"]) == 32
    answer = api.request("POST", "/api/v1/warmpools?lenient=true", 201, json={
        "metadata": {"name": "bad", "l\"\u00e9": 1}, "spec": {**many, "maxSize": 0, "minSize": 0}})
    try:
        assert len(answer.raw.headers.getlist("Warning")) == 32
    finally:
        api.request("DELETE", "/api/v1/warmpools/bad", 200)


@pytest.mark.parametrize("where, metadata, spec, paths", [
    ("warmpools", {"name": "A b", "labels": {"a b": "", "c": "?"}, "annotations": {"-": ""}, "finalizers": ["x y"], "x": 1},
     {"runtime": "bash", "minSize": 5, "maxSize": 1},
     ["metadata.name", "metadata.labels", "metadata.labels", "metadata.annotations", "metadata.finalizers", "metadata.x", "spec.minSize"]),
    ("warmpools", {"name": "a", "labels": {"a": 1, "b": 2}}, {"runtime": "bash", "minSize": 5, "maxSize": "few", "imports": ["a-b", "-"]},
     ["metadata.labels.a", "metadata.labels.b", "spec.maxSize", "spec.imports[0]", "spec.imports[1]"]),
    ("runtimes", {"name": "a"}, {"language": "cobol", "image": "a", "rootfs": "/a"}, ["spec.language", "spec.rootfs"]),
    ("profiles", {"name": "a"}, {"maxTimeout": 0, "securityContext": {"a": 1}}, ["spec.maxTimeout", "spec.securityContext"]),
    ("profiles", {"name": "a"}, {"maxTimeout": 0, "securityLevel": "hard", "securityContext": {"a": 1}},
     ["spec.maxTimeout", "spec.securityLevel"]),
])
def test_all_mistakes_of_metadata_and_of_what_goes_together(api, where, metadata, spec, paths):
    error = api.request("POST", f"/api/v1/{where}", 400, json={"metadata": metadata, "spec": spec}).json()["error"]
    assert sorted(d["path"] for d in error["details"]) == sorted(paths), error


def test_finalizers_hold_it(api, made):
    path, _ = made
    api.request("PATCH", path, 200, json={"metadata": {"finalizers": ["example.com/mine"]}})
    held = api.request("DELETE", path, 200).json()
    assert held["metadata"]["deletionTimestamp"]
    assert said(api.get(path).json()) == said(held)
    api.request("PATCH", path, 200, json={"metadata": {"finalizers": None}})
    api.get(path, status=404)


# ---- what is the server's ----

@pytest.mark.parametrize("where, value", [("labels", {RESERVED: "a"}), ("annotations", {RESERVED: "a"}),
                                          ("finalizers", [RESERVED])])
def test_reserved_names_are_refused(api, made, area, where, value):
    path, first = made
    more = {"metadata": {where: value}}
    for method, target, sent in (("POST", f"/api/v1/{area}", body(area, "reserved", **more)),
                                 ("PUT", path, {**body(area, first["metadata"]["name"]), "metadata": more["metadata"]}),
                                 ("PATCH", path, more)):
        error = api.error(method, target, 400, "invalid_request", f"metadata.{where}", json=sent)
        assert RESERVED in error["message"]
    assert said(api.get(path).json()) == said(first)


@pytest.mark.parametrize("where", ["labels", "annotations"])
def test_reserved_names_are_refused_of_sandboxes(api, sandbox, where):
    api.error("POST", "/api/v1/sandboxes", 400, "invalid_request", where,
              json={"runtime": "python", where: {RESERVED: "a"}})
    api.error("PATCH", f"/api/v1/sandboxes/{sandbox}", 400, "invalid_request", where, json={where: {RESERVED: "a"}})


def test_nothing_is_anywhere_else(api, made, area):
    path, first = made
    api.error("POST", f"/api/v1/{area}", 400, "invalid_request", "metadata.namespace",
              json=body(area, "elsewhere", metadata={"namespace": "kube-system"}))
    for method in ("PUT", "PATCH"):
        api.error(method, path, 400, "invalid_request", "metadata.name", json=body(area, "another"))
    api.error("PATCH", path, 400, "invalid_request", "kind", json={"kind": "Sandbox"})
    api.error("PATCH", path, 400, "invalid_request", "apiVersion", json={"apiVersion": "v1"})
    assert said(api.get(path).json()) == said(first)


# ---- versions ----

def test_writes_hold_for_the_version_that_was_read(api, made):
    path, first = made
    changed = api.request("PATCH", path, 200, json={"metadata": {"labels": {"n": "1"}}}).json()
    stale = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"], "labels": {"n": "2"}}}
    for method, sent in (("PATCH", stale), ("PUT", {**first, "metadata": {**first["metadata"], "labels": {"n": "2"}}})):
        error = api.error(method, path, 409, "conflict", "metadata.resourceVersion", json=sent)
        assert "read it again" in error["message"] and first["metadata"]["resourceVersion"] in error["message"]
    assert said(api.get(path).json()) == said(changed)

    def put(now):
        now["metadata"]["labels"]["n"] = "3"
        return api.request("PUT", path, json=now)
    assert at_newest(api, path, put).json()["metadata"]["labels"] == {"n": "3"}


def test_delete_with_preconditions(api, made):
    path, first = made
    api.request("PATCH", path, 200, json={"metadata": {"labels": {"n": "1"}}})
    api.error("DELETE", path + "?resourceVersion=" + first["metadata"]["resourceVersion"], 409, "conflict", "resourceVersion")
    api.error("DELETE", path + "?uid=other", 409, "conflict", "uid")
    api.error("DELETE", path + "?resourceVersion=x", 400, "invalid_request", "resourceVersion")
    answer = at_newest(api, path, lambda now: api.request(
        "DELETE", f"{path}?uid={first['metadata']['uid']}&resourceVersion={now['metadata']['resourceVersion']}"))
    assert answer.status_code == 200


def test_of_many_writers_none_is_lost(api, server, made):
    """Patches without a version all happen; of those that name one, one."""
    path, _ = made

    def write(i, **more):
        with_own = Api(server.url, server.key)
        try:
            return with_own.request("PATCH", path, json={"metadata": {"labels": {f"w{i}": "1"}, **more}}).status_code
        finally:
            with_own.close()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write, range(24))) == {200}
    now = api.get(path).json()["metadata"]
    assert set(now["labels"]) == {f"w{i}" for i in range(24)}

    def one_of_many():
        """None when a controller was faster than all of them."""
        version = api.get(path).json()["metadata"]["resourceVersion"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = sorted(pool.map(lambda i: write(i, annotations={"by": str(i)}, resourceVersion=version), range(12)))
        assert answers[1:] == 11 * [409], answers
        return answers[0] == 200
    wait_until("one of many to write", one_of_many)


def test_reading_at_least_a_version(api, made, area):
    path, first = made
    version = first["metadata"]["resourceVersion"]
    for known in (version, "1", "0", ""):
        assert said(api.get(f"{path}?resourceVersion={known}").json()) == said(first)
        page = api.get(f"/api/v1/{area}?limit=500&resourceVersion={known}").json()
        assert said(first) in map(said, page["items"])
    for target in (path, f"/api/v1/{area}"):
        api.error("GET", target + "?resourceVersion=" + "9" * 18, 410, "conflict", "resourceVersion")
        api.error("GET", target + "?resourceVersion=soon", 400, "invalid_request", "resourceVersion")


def test_a_name_is_there_once(api, made, area):
    _, first = made
    error = api.error("POST", f"/api/v1/{area}", 409, "conflict", "metadata.name",
                      json=body(area, first["metadata"]["name"]))
    assert "PUT" in error["message"]
    api.error("POST", f"/api/v1/{area}", 400, "invalid_request", "metadata.resourceVersion",
              json=body(area, "n", metadata={"resourceVersion": "1"}))
    api.error("POST", f"/api/v1/{area}", 400, "invalid_request", "metadata.name", json={"spec": KINDS[area]["spec"]})


# ---- lists ----

def test_pages_and_selectors(api, area):
    names = [f"page-{i}" for i in range(5)]
    for i, name in enumerate(names):
        api.post(f"/api/v1/{area}", body(area, name, metadata={"labels": {"page": "yes", "odd": str(i % 2)}}), status=201)
    try:
        query, found, pages = "?labelSelector=page%3Dyes&limit=2", [], 0
        continued = ""
        while True:
            page = api.get(f"/api/v1/{area}{query}{continued}").json()
            assert page["kind"] == KINDS[area]["kind"] + "List"
            found += [item["metadata"]["name"] for item in page["items"]]
            pages += 1
            if "continue" not in page["metadata"]:
                break
            if pages == 1:  # all pages are one listing
                api.request("DELETE", f"/api/v1/{area}/page-3", 200)
            continued = "&continue=" + page["metadata"]["continue"]
        assert (found, pages) == (names, 3)
        names.remove("page-3")

        def listed(query):
            return [i["metadata"]["name"] for i in api.get(f"/api/v1/{area}?{query}").json()["items"]]
        assert listed("labelSelector=page,odd in (0)") == ["page-0", "page-2", "page-4"]
        assert listed("labelSelector=page&fieldSelector=metadata.name!=page-0") == ["page-1", "page-2", "page-4"]
        assert listed("fieldSelector=metadata.name%3Dpage-4") == ["page-4"]
        api.error("GET", f"/api/v1/{area}?labelSelector=a in", 400, "invalid_request", "labelSelector")
        api.error("GET", f"/api/v1/{area}?fieldSelector=spec.nothing%3D1", 400, "invalid_request", "fieldSelector")
        api.error("GET", f"/api/v1/{area}?continue=x", 400, "invalid_request", "continue")
        api.error("GET", f"/api/v1/{area}?continue=1.x&watch=true", 400, "invalid_request", "continue")
    finally:
        for name in names:
            api.request("DELETE", f"/api/v1/{area}/{name}", (200, 404))


def test_a_page_ends_by_its_size(api):
    """So many pools with 45 KiB of scripts each are more than an answer holds."""
    scripts = ["#" * 15000] * 3
    for i in range(120):
        api.post("/api/v1/warmpools", body("warmpools", f"large-{i:03}", preloadScripts=scripts), status=201)
    try:
        page = api.get("/api/v1/warmpools?limit=500").json()
        assert 1 < len(page["items"]) < 120
        found, token = page["items"], page["metadata"]["continue"]
        while token:
            page = api.get(f"/api/v1/warmpools?limit=500&continue={token}").json()
            found, token = found + page["items"], page["metadata"].get("continue")
        assert len({i["metadata"]["name"] for i in found if i["metadata"]["name"].startswith("large-")}) == 120
    finally:
        for i in range(120):
            api.request("DELETE", f"/api/v1/warmpools/large-{i:03}", (200, 404))


def test_too_large(api):
    api.request("POST", "/api/v1/warmpools", 413, data=b" " * (300 * 1024))
    scripts = ["#" * 16000] * 4
    error = api.error("POST", "/api/v1/warmpools", 413, "payload_too_large",
                      json=body("warmpools", "much", preloadScripts=scripts))
    assert "admission" in error["message"]


# ---- who may ----

@pytest.fixture(scope="module")
def roles(api):
    made = {role: api.post("/api/v1/user/apikeys", {"name": role, "role": role}, status=201).json()
            for role in ("viewer", "developer", "operator")}
    yield {role: api.with_key(key["key"]) for role, key in made.items()}
    for key in made.values():
        api.request("DELETE", f"/api/v1/user/apikeys/{key['id']}", 204)


def test_roles(roles, area, made):
    path, first = made
    for role in ("viewer", "developer"):
        assert said(roles[role].get(path).json()) == said(first)
        assert roles[role].get(f"/api/v1/{area}").json()["items"]
        for method, target in (("POST", f"/api/v1/{area}"), ("PUT", path), ("PATCH", path), ("DELETE", path)):
            error = roles[role].error(method, target, 403, "forbidden", json={})
            assert "resources.write" in error["message"]
        for others in ("/api/v1/pods", "/api/v1/warmpods", "/api/v1/pods/x", "/api/v1/warmpods/x/events"):
            roles[role].error("GET", others, 403, "forbidden")
    roles["operator"].request("PATCH", path, 200, json={"metadata": {"labels": {"by": "operator"}}})
    assert roles["operator"].get("/api/v1/pods").json()["kind"] == "PodList"
    assert roles["operator"].get("/api/v1/warmpods").json()["kind"] == "WarmPodList"
    roles["operator"].request("DELETE", path, 200)


# ---- rules ----

ADMISSION = """
return {
  name = "r-admission", version = 1, point = "admission",
  decide = function(input)
    if input.kind == "WarmPool" and input.operation ~= "DELETE" then
      local spec, labels = input.object.spec, input.object.metadata.labels or {}
      if (spec.maxSize or 10) > 50 then
        return { verdict = "deny", rule = "size", reason = "at most 50 here, " .. input.user.role }
      end
      if labels.rule == "nonsense" then
        return { verdict = "allow", changes = { spec = { ttl = "long" } } }
      elseif labels.rule == "reserved" then
        return { verdict = "allow", changes = { metadata = { annotations = { ["secureagent.dev/x"] = "1" } } } }
      elseif input.operation == "UPDATE" and input.old.spec.runtime ~= spec.runtime then
        return { verdict = "deny", rule = "runtime", reason = "was " .. input.old.spec.runtime }
      elseif spec.ttl == nil then
        return { verdict = "allow", changes = { spec = { ttl = 77 }, metadata = { labels = { filled = "in" } } } }
      end
    elseif input.kind == "SandboxProfile" and input.operation == "DELETE" and input.old.metadata.labels then
      return { verdict = "deny", rule = "kept", reason = input.old.metadata.labels.why or "" }
    end
  end,
}
"""


@pytest.fixture(scope="module")
def ruled():
    with Rules({"r-admission": ADMISSION}) as rules:
        running = start_server(args=["--policy-dir", str(rules.folder)])
        client = Api(running.url, running.key)
        try:
            yield client
            assert running.stop() == 0, running.log()[-3000:]
        finally:
            client.close()
            running.discard()


def test_rules_deny(ruled):
    error = ruled.error("POST", "/api/v1/warmpools", 403, "policy_denied",
                        json=body("warmpools", "huge", maxSize=51))
    (detail,) = error["details"]
    assert detail["rule"] == "r-admission/size" and detail["reason"] == "at most 50 here, admin"
    decision = ruled.get("/api/v1/policies/decisions/" + detail["decision"]).json()
    assert decision["input"]["kind"] == "WarmPool" and decision["input"]["object"]["spec"]["maxSize"] == 51
    ruled.get("/api/v1/warmpools/huge", status=404)
    ruled.post("/api/v1/warmpools", body("warmpools", "grows"), status=201)
    for method, sent in (("PATCH", {"spec": {"maxSize": 60}}), ("PUT", body("warmpools", "grows", maxSize=60))):
        ruled.request(method, "/api/v1/warmpools/grows", 403, json=sent)
    error = ruled.error("PATCH", "/api/v1/warmpools/grows", 403, "policy_denied", json={"spec": {"runtime": "node"}})
    assert error["details"][0]["reason"] == "was python"
    assert ruled.get("/api/v1/warmpools/grows").json()["metadata"]["generation"] == 1


def test_rules_fill_in(ruled):
    filled = ruled.post("/api/v1/warmpools", body("warmpools", "open", preloadPackages=[], scaling={"params": {}},
                                                  metadata={"labels": {"a": "b"}}), status=201).json()
    assert filled["spec"]["ttl"] == 77 and filled["metadata"]["labels"] == {"a": "b", "filled": "in"}
    given = ruled.post("/api/v1/warmpools", body("warmpools", "given", ttl=99), status=201).json()
    assert given["spec"]["ttl"] == 99 and "labels" not in given["metadata"]


@pytest.mark.parametrize("what", ["nonsense", "reserved"])
def test_rules_that_make_what_cannot_be(ruled, what):
    error = ruled.error("POST", "/api/v1/warmpools", 503, "unavailable",
                        json=body("warmpools", what, metadata={"labels": {"rule": what}}))
    assert "admission rules made of this what cannot be" in error["message"]
    ruled.get(f"/api/v1/warmpools/{what}", status=404)


def test_rules_are_asked_of_deletes(ruled):
    ruled.post("/api/v1/profiles", body("profiles", "kept", metadata={"labels": {"why": "audited"}}), status=201)
    error = ruled.error("DELETE", "/api/v1/profiles/kept", 403, "policy_denied")
    assert error["details"][0]["reason"] == "audited"
    ruled.get("/api/v1/profiles/kept")


# ---- scaling rules ----

@pytest.mark.parametrize("scaling, where", [
    ({"rule": "guess"}, "rule"), ({"params": {"typo": 1}}, "params"),
    ({"params": {"targetUtilization": 100}}, "params.targetUtilization"),
    ({"params": {"scaleDownDelay": "soon"}}, "params.scaleDownDelay"),
    ({"rule": "target-hit-ratio", "params": {"targetUtilization": 70}}, "params"),
])
def test_scaling_rules_must_fit(api, scaling, where):
    api.post("/api/v1/warmpools", body("warmpools", "scaled"), status=201)
    try:
        error = api.error("POST", "/api/v1/warmpools", 400, "invalid_request", "spec.scaling." + where,
                          json=body("warmpools", "bad-scaling", scaling=scaling))
        assert error["message"].startswith("spec.scaling." + where + ":")
        api.error("PATCH", "/api/v1/warmpools/scaled", 400, "invalid_request", "spec.scaling." + where,
                  json={"spec": {"scaling": scaling}})
    finally:
        api.request("DELETE", "/api/v1/warmpools/scaled", 200)


def test_scaling_rules_that_fit(api):
    for i, scaling in enumerate(({}, {"rule": "target-hit-ratio", "params": {"hitRatio": 0.9, "window": "60s"}},
                                 {"rule": "schedule"}, {"params": {"targetUtilization": 99}})):
        api.post("/api/v1/warmpools", body("warmpools", f"fits-{i}", scaling=scaling), status=201)
        api.request("DELETE", f"/api/v1/warmpools/fits-{i}", 200)


# ---- with controllers ----

def test_a_pool_and_its_pods(api):
    """What controllers make of a pool can be read, and goes with it."""
    api.post("/api/v1/warmpools", {"metadata": {"name": "shown"}, "spec": {"runtime": "bash", "minSize": 1, "maxSize": 1}},
             status=201)
    try:
        wait_until("a warm pod", lambda: api.get("/api/v1/warmpools/shown/status").json()["status"].get("available"))
        (pod,) = [p for p in api.get("/api/v1/warmpods").json()["items"] if p["spec"]["pool"] == "shown"]
        name = pod["metadata"]["name"]
        assert said(api.get(f"/api/v1/warmpods/{name}").json()) == said(pod)
        assert api.get(f"/api/v1/pods/{name}").json()["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["uid"]
        for area in ("pods", "warmpods"):
            for method in ("PUT", "PATCH", "DELETE", "POST"):
                api.request(method, f"/api/v1/{area}/{name}", 405, json={})
    finally:
        api.request("DELETE", "/api/v1/warmpools/shown", 200)
    for path in ("warmpools/shown", f"warmpods/{name}", f"pods/{name}"):
        wait_until(path + " to go", lambda at=path: api.request("GET", "/api/v1/" + at).status_code == 404)


def test_events_say_why_a_pool_has_no_pods(api):
    api.post("/api/v1/warmpools", {"metadata": {"name": "broken"}, "spec": {
        "runtime": "bash", "minSize": 1, "maxSize": 1, "preloadScripts": ["exit 1"]}}, status=201)
    try:
        found = wait_until("an event", lambda: api.get("/api/v1/warmpools/broken/events").json()["items"])
        assert {"kind": "WarmPool", "name": "broken"}.items() <= found[0]["involvedObject"].items()
        assert found[0]["type"] == "Warning" and found[0]["reason"] and found[0]["message"], found
        assert api.get("/api/v1/warmpools/another/events").json()["items"] == []
    finally:
        api.request("DELETE", "/api/v1/warmpools/broken", 200)
