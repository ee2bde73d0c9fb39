"""Calls: how rules of a point combine, and what comes back."""
import pytest

from tests.helpers.policy import DONE, FAIL, Failed, rule


def test_no_rule_is_the_first_verdict(worker):
    assert worker({}).call("execute") == {"verdict": "allow", "ran": []}


def test_the_first_denial_decides(worker):
    w = worker({
        "policies/1.lua": rule("", name="one"),
        "policies/2.lua": rule('if input.program == "xmrig" then return deny("miner", "no") end', name="two"),
        "policies/3.lua": rule('return deny("all", "nothing")', name="three"),
    })
    assert w.call("execute", {"program": "xmrig"}) == {
        "verdict": "deny", "rule": "two/miner", "reason": "no", "ran": ["one", "two"]}
    assert w.call("execute", {"program": "ls"})["rule"] == "three/all"


def test_changes_add_up_and_later_rules_see_them(worker):
    w = worker({
        "policies/1.lua": rule('return allow({ timeoutMs = 5, env = { A = "1" } })', name="one"),
        "policies/2.lua": rule('return allow({ timeoutMs = input.run.timeoutMs + 1, env = { B = "2" } })', name="two"),
    })
    answer = w.call("execute", {"run": {"timeoutMs": 1, "label": "a", "env": {"C": "3"}}})
    assert answer["changes"] == {"timeoutMs": 6, "env": {"A": "1", "B": "2"}}
    assert answer["result"] == {
        "timeoutMs": 6, "label": "a", "env": {"A": "1", "B": "2", "C": "3"}}


def test_a_list_replaces_a_list(worker):
    w = worker({"policies/1.lua": rule('return allow({ names = { "b" } })')})
    assert w.call("execute", {"run": {"names": ["a", "c"]}})["result"] == {"names": ["b"]}


def test_changes_of_anything(worker):
    w = worker({"policies/1.lua": rule('return allow({ spec = { limits = { cpu = "1" } } })', "admission")})
    answer = w.call("admission", {"object": {"metadata": {"labels": {}}, "spec": {"image": "x", "args": []}}})
    assert answer["result"] == {
        "metadata": {"labels": {}}, "spec": {"image": "x", "args": [], "limits": {"cpu": "1"}}}


def test_the_named_rule_alone_is_asked(worker):
    w = worker({
        "scaling/a.lua": rule("return { size = params.n, reason = 'so' }", "scaling", "a",
                              params='{ n = { type = "integer", default = 2, max = 9 } }'),
        "scaling/b.lua": rule("return { size = 7 }", "scaling", "b"),
    })
    assert w.call("scaling", {"rule": "a"}) == {
        "verdict": "sized", "rule": "a", "reason": "so", "size": 2, "ran": ["a"]}
    assert w.call("scaling", {"rule": "a", "params": {"n": 5}})["size"] == 5
    assert w.call("scaling", {"rule": "b"})["size"] == 7
    with pytest.raises(Failed, match='no rule "c"'):
        w.call("scaling", {"rule": "c"})
    for params, message in (({"n": 10}, "n: 10 is more than 9"), ({"m": 1}, 'no parameter "m"'),
                            ({"n": "x"}, "n: expected integer"), ("x", "expected a table")):
        with pytest.raises(Failed, match=message) as failed:
            w.call("scaling", {"rule": "a", "params": params})
        assert failed.value.kind == "type" and failed.value.rule == "a"


def test_the_highest_score_is_the_answer(worker):
    w = worker({
        "policies/1.lua": rule('return { score = 10, action = "alert" }', "anomaly", "one"),
        "policies/2.lua": rule('return { score = input.n, action = "kill", rule = "x", reason = "y" }', "anomaly", "two"),
        "policies/3.lua": rule("return nil", "anomaly", "three"),
    })
    assert w.call("anomaly", {"n": 20}) == {
        "verdict": "scored", "rule": "two/x", "reason": "y", "score": 20, "action": "kill",
        "ran": ["one", "two", "three"]}
    assert w.call("anomaly", {"n": 5})["rule"] == "one"
    none = worker({"policies/3.lua": rule("return nil", "anomaly", "three")})
    assert none.call("anomaly") == {"verdict": "scored", "score": 0, "action": "none", "ran": ["three"]}


def test_a_trace_says_what_each_rule_did(worker):
    w = worker({
        "policies/1.lua": rule('return allow({ timeoutMs = 5 })', name="one",
                               params='{ n = { type = "integer", default = 3 } }'),
        "policies/2.lua": rule("", name="two"),
        "policies/3.lua": rule('return deny("x", "y")', name="three"),
    })
    answer = w.call("execute", {}, trace=True)
    assert [{k: v for k, v in step.items() if k != "micros"} for step in answer["trace"]] == [
        {"rule": "one", "verdict": "allow", "changes": {"timeoutMs": 5}},
        {"rule": "two"},
        {"rule": "three", "verdict": "deny", "id": "x", "reason": "y"}]
    assert all(step["micros"] >= 0 for step in answer["trace"])
    assert answer["params"] == {"one": {"n": 3}, "two": {}, "three": {}}


def test_a_packet_of_questions_is_answered_in_one(worker):
    w = worker({"policies/1.lua": rule(
        'if input.n % 3 == 0 then error("three") end return deny("n", tostring(input.n))')})
    answers, packets = w.call_many("execute", [{"n": n} for n in range(500)])
    assert packets == 1
    for n, (kind, body) in enumerate(answers):
        assert kind == (FAIL if n % 3 == 0 else DONE)
        assert body["message" if n % 3 == 0 else "reason"] == ("three" if n % 3 == 0 else str(n))


def test_large_answers_come_in_more_packets(worker):
    w = worker({"policies/1.lua": rule("return allow({ x = input.x })", "admission")})
    bodies = [{"x": str(n) * 10000, "object": {}} for n in range(10)]
    answers, packets = w.call_many("admission", bodies)
    assert packets > 1
    assert [body["result"]["x"] for _, body in answers] == [body["x"] for body in bodies]


READS = {
    "one": "local v = input.m07 return v .. tostring(input.none)",
    "many": "local t = {} for i = 0, 19 do t[#t + 1] = input[string.format('m%02d', i)] end return table.concat(t, ',') .. tostring(input.none)",
    "all": "local n = 0 for k, v in pairs(input) do n = n + 1 end return n .. input.m03",
    "then all": "local a, m = input.inner, input.m05 local n = 0 for k, v in pairs(input) do n = n + 1 if k == 'inner' and v ~= a then n = 1000 end end return n .. m .. a.x",
    "same": "return tostring(input.inner == input.inner and input.list == input.list)",
    "lists": "local s = 0 for _, v in ipairs(input.list) do s = s + v end return s .. '/' .. #input.list .. input.list[70]",
    "nested": "return input.inner.deep.er[2].z .. tostring(input.inner.deep.none) .. tostring(input.list.none) .. tostring(input.inner[1])",
    "maps": "local s = 0 for i = 1, #input.maps do s = s + input.maps[i].i end return s .. keys(input.maps[200])[1]",
    "copied": "local c = copy(input) c.inner.x = 'y' return c.inner.x .. input.inner.x .. merge(input.inner, { x = 1 }).deep.er[1].z",
    "large": "return #keys(input.large) .. input.large.k099",
}


def test_inputs_are_as_given_however_they_are_read(worker):
    body = "".join(f"if input.how == '{how}' then return deny('x', (function() {text} end)()) end\n" for how, text in READS.items())
    w = worker({"policies/a.lua": rule(body + "return allow({ timeoutMs = 7 })")})
    given = {f"m{i:02}": f"v{i}" for i in range(20)} | {
        "list": list(range(1, 71)), "inner": {"x": "i", "deep": {"er": [{"z": "a"}, {"z": "b"}]}},
        "maps": [{"i": i} for i in range(1, 201)], "large": {f"k{i:03}": f"l{i}" for i in range(100)}}
    expected = {
        "one": "v7nil", "many": ",".join(f"v{i}" for i in range(20)) + "nil", "all": "25v3", "then all": "25v5i", "same": "true",
        "lists": "2485/7070", "nested": "bnilnilnil", "maps": "20100i", "copied": "yia", "large": "100l99"}
    for _ in range(2):
        for how, result in expected.items():
            assert w.call("execute", given | {"how": how})["reason"] == result, how
            # Nothing of it is left for the next one, nor what a change has set.
            assert w.call("execute", {"how": how[:0]})["result"] == {"timeoutMs": 7}
    w = worker({"policies/a.lua": rule("if input.set then return allow({ timeoutMs = 7 }) end return deny('x', tostring(input.run))")})
    assert w.call("execute", {"set": True})["verdict"] == "allow"
    assert w.call("execute", {})["reason"] == "nil"


def test_of_a_name_that_comes_twice_the_first_counts(worker):
    for read in ("input.a", "(function() for k, v in pairs(input) do return v end end)()", "(function() local v = input.a return copy(input).a .. v end)()"):
        w = worker({"policies/a.lua": rule(f"return deny('x', {read})")})
        assert set(w.call("execute", {"a": "1", b"a": "2"})["reason"]) == {"1"}
