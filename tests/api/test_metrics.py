"""What can be observed: metrics of the server and of a sandbox, events."""
import prometheus_client.parser
import pytest

from tests.helpers.client import wait_until


def families(api):
    answer = api.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {f.name: f for f in prometheus_client.parser.text_string_to_metric_families(answer.text)}


def value(all_families, family, name=None, **labels):
    return sum(s.value for s in all_families[family].samples
               if s.name == (name or family) and labels.items() <= s.labels.items())


def test_prometheus(api, shared):
    api.execute(shared, command="true")
    before = families(api)
    for family in before.values():
        assert family.documentation and family.type in ("counter", "gauge", "histogram"), family
    api.execute(shared, command="true")
    api.request("GET", "/nowhere", 404)
    after = families(api)
    executed = "secureagent_executions"
    assert value(after, executed, executed + "_total", status="exited") == \
        value(before, executed, executed + "_total", status="exited") + 1
    requests = "secureagent_http_requests"
    route = "/api/v1/sandboxes/{id}/execute"
    assert value(after, requests, requests + "_total", route=route, method="POST", status="200") == \
        value(before, requests, requests + "_total", route=route, method="POST", status="200") + 1
    assert value(after, "secureagent_sandboxes") >= 1
    assert value(after, "secureagent_http_connections") >= 1
    assert value(after, "process_resident_memory_bytes") > 1 << 20
    assert value(after, "secureagent_sandbox_create_seconds", "secureagent_sandbox_create_seconds_count") >= 1


def test_clients_cannot_make_series(api):
    """Paths and methods that a client invents do not become labels."""
    before = sum(len(f.samples) for f in families(api).values())
    for i in range(50):
        api.request("GET", f"/invented-{i}")
        api.request("GET", f"/api/v1/sandboxes/sb-{i:020d}")
    after = sum(len(f.samples) for f in families(api).values())
    assert after - before < 30


def test_histograms_add_up(api, shared):
    for family in families(api).values():
        if family.type != "histogram":
            continue
        for count in (s for s in family.samples if s.name.endswith("_count")):
            buckets = [s for s in family.samples if s.name.endswith("_bucket") and
                       {k: v for k, v in s.labels.items() if k != "le"} == count.labels]
            values = [s.value for s in sorted(buckets, key=lambda s: float(s.labels["le"]))]
            assert values == sorted(values) and values[-1] == count.value and buckets


def test_sandbox_figures(api, sandbox):
    shared = sandbox
    first = wait_until("only the runtime", lambda: (u := api.usage(shared))["processes"] <= 1 and u)
    assert first["processes"] >= 1 and first["oomKills"] == 0 and first["cpuLimitMillicores"] == 1000
    api.execute(shared, language="python", code="for i in range(10000000): pass")
    api.put(shared, "/workspace/ten", b"x" * (10 << 20))
    with api.open_stream(shared, command="sleep 30 & sleep 31") as answer:
        lines = answer.iter_lines()  # kept: without it the answer is closed
        next(lines)
        during = wait_until("both to be counted",
                            lambda: (u := api.with_key(api.key).usage(shared))["processes"] > first["processes"] and u)
    assert during["cpuMs"] > first["cpuMs"]
    assert 10 << 20 <= during["diskBytes"] - first["diskBytes"] < 11 << 20
    assert during["inodes"] > first["inodes"] and during["inodes"] < during["inodesLimit"]


def test_events(api):
    with api.sandbox() as sandbox:
        assert [(e["seq"], e["type"], e["reason"]) for e in api.events(sandbox)] == [(1, "Normal", "Started")]
        assert api.execute(sandbox, command="mount -t tmpfs none /tmp")["exitCode"] != 0
        events = wait_until("the event", lambda: api.events(sandbox, after=1))
        assert events[0]["type"] == "Security" and events[0]["reason"] == "DeniedSystemCall"
        assert "mount" in events[0]["message"] and events[0]["count"] >= 1 and events[0]["seq"] > 1
        metric = families(api)["secureagent_security_events"]
        assert any(s.labels.get("syscall") == "mount" and s.value >= 1 for s in metric.samples)
        for query, where in (("after=-1", "after"), ("after=x", "after"), ("limit=0", "limit")):
            api.error("GET", f"/api/v1/sandboxes/{sandbox}/events?{query}", 400, "invalid_request", where)
        assert len(api.get(f"/api/v1/sandboxes/{sandbox}/events?limit=1").json()["items"]) == 1
    # From the record, after its end.
    recorded = api.events(sandbox)
    assert [e["reason"] for e in recorded][0] == "Started" and recorded[-1]["reason"] == "Deleted"
    assert "DeniedSystemCall" in [e["reason"] for e in recorded]


def test_a_flood_of_denials_is_counted_not_repeated(api):
    with api.sandbox() as sandbox:
        code = ("import ctypes\nlibc = ctypes.CDLL(None)\n"
                "for i in range(1000): libc.mount(b'a', b'/tmp', b'tmpfs', 0, None)\n")
        result = api.execute(sandbox, language="python", code=code)
        assert result["exitCode"] == 0
        events = wait_until("the events", lambda: (e := [e for e in api.events(sandbox) if e["type"] == "Security"])
                            and sum(x["count"] for x in e) >= 1000 and e)
        assert len(events) < 30 and sum(e["count"] for e in events) == 1000


@pytest.mark.parametrize("name", ["a b", "é", "x" * 15, "\x01\x02", "a\nlevel=error"])
def test_program_names_are_made_printable(api, sandbox, name):
    code = (f"import ctypes\nlibc = ctypes.CDLL(None)\nlibc.prctl(15, {name.encode()!r}, 0, 0, 0)\n"
            "libc.mount(b'a', b'/tmp', b'tmpfs', 0, None)\n")
    api.execute(sandbox, language="python", code=code)
    events = wait_until("the event", lambda: [e for e in api.events(sandbox) if e["type"] == "Security"])
    assert "mount" in events[-1]["message"] and events[-1]["message"].isprintable()
