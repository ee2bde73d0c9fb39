"""COMPILE and TEST: all that is wrong is said, with file and line; tests beside the rules run."""
import pytest

from tests.helpers.policy import Failed, rule

PARAMS = """{
  names = { type = "list", items = "string", default = { "xmrig" }, description = "programs" },
  max = { type = "integer", default = 3, min = 0, max = 10 }, ratio = { type = "number" },
  level = { type = "string", values = { "a", "b" }, default = "a" }, on = { type = "boolean", default = false },
  memory = { type = "quantity", default = "512Mi", max = "1Gi" }, wait = { type = "duration", default = "1h30m" },
  weights = { type = "map", values = "number", default = { x = 1.5 } },
}"""
SHOW = """
  local seen = {}
  for _, name in ipairs(keys(params)) do
    local v = params[name]
    seen[#seen + 1] = name .. "=" .. (type(v) == "table" and "{" .. (v[1] or v.x or "") .. "}" or tostring(v))
  end
  return deny("x", table.concat(seen, " "))"""


def errors(worker, files):
    return [(e["file"], e.get("line"), e["message"]) for e in worker().compile(files)["errors"]]


def test_all_errors_of_all_files_are_told(worker):
    found = errors(worker, {
        "policies/a.lua": "return {\n  name = 'a' version = 1 }",
        "policies/a_test.lua": "return { { name = 'n', input = {}, expect = {} } }",
        "policies/b.lua": rule("x = 1 y = 2"),
        "policies/c.lua": "error('c is broken')",
        "policies/d.lua": rule("", point="nowhere"),
        "policies/e.lua": rule("", name="ok"),
        "policies/e_test.lua": "return { { name = 'n', input = {} } }",
        "policies/g_test.lua": "return {}",
        "params.lua": "return { rules = { ok = { x = 1 }, other = {} } }",
    })
    assert found[:7] == [
        ("policies/a.lua", 2, "'}' expected (to close '{' at line 1) near 'version'"), # and nothing of its test
        ("policies/b.lua", 3, 'cannot set the global "x": declare it with `local`'),
        ("policies/b.lua", 3, 'cannot set the global "y": declare it with `local`'),
        ("policies/c.lua", 1, "c is broken"),
        ("policies/d.lua", 2, 'point: there is no decision point "nowhere"'),
        ("policies/e_test.lua", 1, 'test "n": it has either `expect` or `expect_error`'),
        ("policies/g_test.lua", None, "there is no rule file of that name without _test"),
    ]
    assert sorted(found[7:]) == [("params.lua", 1, 'rules.ok: there is no parameter "x"'),
                                 ("params.lua", 1, 'rules: there is no rule "other"')]


@pytest.mark.parametrize("text, message", [
    ("return 1", "returns a table, not number"), ("", "returns a table, not nil"),
    ("return { name = 'A B', version = 1, point = 'files', decide = type }", "name: expected"),
    ("return { name = 'a', version = '1', point = 'files', decide = type }", "version: expected"),
    ("return { name = 'a', version = 0/0, point = 'files', decide = type }", "version: expected"),
    ("return { name = 'a', version = 1, point = 5, decide = type }", "point: expected"),
    ("return { name = 'a', version = 1, point = 'files', decide = 5 }", "decide: expected a function"),
    ("return { name = 'a', version = 1, point = 'files' }", "decide: expected a function"),
    ("return { name = 'a', version = 1, point = 'files', decide = type, other = 1 }", 'no member "other"'),
    ("return { name = 'a', version = 1, point = 'files', decide = type, description = {} }", "description"),
    ("return { name = ('a'):upper():lower() .. '" + "a" * 70 + "', version = 1, point = 'files', decide = type }", "name"),
    (rule("", params="5"), "params: expected a table"), (rule("", params="{ 1 }"), "a name is a letter"),
    (rule("", params="{ a = 1 }"), "params.a: expected a table"), (rule("", params="{ a = {} }"), "its type is none of"),
    (rule("", params="{ a = { type = 'x' } }"), "its type is none of"), (rule("", params="{ a = { type = {} } }"), "its type"),
    (rule("", params="{ a = { type = 'integer', default = 1.5 } }"), "whole number"),
    (rule("", params="{ a = { type = 'integer', default = 'x' } }"), 'got "x"'),
    (rule("", params="{ a = { type = 'integer', default = 5, max = 4 } }"), "5 is more than 4"),
    (rule("", params="{ a = { type = 'integer', min = 'x' } }"), "min: expected integer"),
    (rule("", params="{ a = { type = 'string', default = 1 } }"), "expected string"),
    (rule("", params="{ a = { type = 'string', values = 5 } }"), "values: expected a list"),
    (rule("", params="{ a = { type = 'string', values = { 'x' }, default = 'y' } }"), "none of its values"),
    (rule("", params="{ a = { type = 'string', maxLength = 1, default = 'yy' } }"), "longer than 1"),
    (rule("", params="{ a = { type = 'string', maxLength = {} } }"), "maxLength"),
    (rule("", params="{ a = { type = 'list', items = 'list' } }"), "no scalar type"),
    (rule("", params="{ a = { type = 'list', items = 'string', default = { 1 } } }"), "1: expected string, got number"),
    (rule("", params="{ a = { type = 'list', default = { x = 1 } } }"), "expected list"),
    (rule("", params="{ a = { type = 'map', values = 'number', default = { x = 'y' } } }"), "x: expected number, got string"),
    (rule("", params="{ a = { type = 'map', default = { 1 } } }"), "expected map"),
    (rule("", params="{ a = { type = 'quantity', default = 'many' } }"), "expected quantity"),
    (rule("", params="{ a = { type = 'quantity', default = '2Gi', max = '1Gi' } }"), "more than 1Gi"),
    (rule("", params="{ a = { type = 'duration', default = '5x' } }"), "expected duration"),
    (rule("", params="{ a = { type = 'boolean', default = 1, other = 2 } }"), 'no member "other" of a boolean'),
    (rule("", params="{ a = { type = 'number', default = 1/0 } }"), "expected number"),
    (rule("", head="local t = {} t[t] = 1 local function f() return t end"), None),
    (rule("return t", head="local t = {} t[t] = 1"), "a table of the file has a table as a key"),
    (rule("return t", head="local t = {} for i = 1, 100 do t = { t } end"), "nested deeper than 64"),
])
def test_a_declaration(worker, text, message):
    found = errors(worker, {"policies/x.lua": text})
    if message is None:
        assert not found
    else:
        assert found and message in found[0][2], found


@pytest.mark.parametrize("name", ["policies/" + "x" * 80 + ".lua", "policies/a b.lua", "policies/.x.lua", "other/x.lua",
                                  "policies/x.txt", "../x.lua", "policies/x/y.lua", "x.lua", "policies/.lua", "policies/x\0.lua"])
def test_a_file_name(worker, name):
    assert "its name" in errors(worker, {name: rule("")})[0][2]


def test_names_are_unique(worker):
    found = errors(worker, {"policies/a.lua": rule("", name="same"), "policies/b.lua": rule("", name="same")})
    assert found == [("policies/b.lua", 2, 'name: "same" is the name of the rule in policies/a.lua, too')]


def test_rules_are_listed(worker):
    rules = worker().load({"policies/b.lua": rule("", name="two", params=PARAMS), "policies/a.lua": rule("", name="one"),
                           "scaling/c.lua": rule("", "scaling", "three")})
    assert [(r["name"], r["point"], r["file"], r["order"]) for r in rules] == [
        ("one", "execute", "policies/a.lua", 0), ("two", "execute", "policies/b.lua", 1),
        ("three", "scaling", "scaling/c.lua", 0)]
    assert rules[1]["params"]["max"] == {"type": "integer", "default": 3, "min": 0, "max": 10}


def test_parameters_have_their_defaults(worker):
    w = worker({"policies/a.lua": rule(SHOW, params=PARAMS)})
    assert w.call("execute")["reason"] == (
        "level=a max=3 memory=536870912 names={xmrig} on=false wait=5400 weights={1.5}")


def test_parameters_are_overridden_by_scope(worker):
    w = worker({"policies/a.lua": rule(SHOW, params='{ a = { type = "integer", default = 0 }, b = { type = "integer", default = 0 }, '
                                                    'c = { type = "quantity", default = "1Ki" } }'),
                "policies/b.lua": rule("", name="other"),
                "params.lua": """return { rules = { r = { a = 1 } }, overrides = {
                    { tenant = "acme", rules = { r = { b = 2, c = "2Ki" } } },
                    { tenant = "acme", pool = "p", rules = { r = { a = 3 } } },
                    { namespace = "n", rules = { r = { b = 4 } } },
                    { rules = { other = {} } } } }"""})
    for _ in range(2):
        for scope, expected in (({}, "a=1 b=0 c=1024"), ({"tenant": "acme"}, "a=1 b=2 c=2048"),
                                ({"tenant": "acme", "pool": "p"}, "a=3 b=2 c=2048"), ({"pool": "p"}, "a=1 b=0 c=1024"),
                                ({"tenant": "acme", "pool": "p", "namespace": "n"}, "a=3 b=4 c=2048"),
                                ({"namespace": "n"}, "a=1 b=4 c=1024"), ({"tenant": 5}, "a=1 b=0 c=1024")):
            assert w.call("execute", {"scope": scope})["reason"] == expected
    assert w.call("execute", {"scope": "odd"})["reason"] == "a=1 b=0 c=1024"
    assert w.call("execute")["reason"] == "a=1 b=0 c=1024"


@pytest.mark.parametrize("text, message", [
    ("return 1", "returns a table"), ("return { rules = 1 }", "rules: expected a table"), ("return { x = 1 }", 'no member "x"'),
    ("return { rules = { r = 1 } }", "rules.r: expected a table"), ("return { rules = { r = { max = 11 } } }", "rules.r.max: 11 is more than 10"),
    ("return { rules = { r = { max = 'x' } } }", "max: expected integer"), ("return { overrides = 1 }", "overrides: expected"),
    ("return { overrides = { 1 } }", "overrides[1]: expected a table"), ("return { overrides = { { x = 1 } } }", 'no member "x"'),
    ("return { overrides = { { tenant = 1 } } }", "tenant: expected a text"),
    ("return { overrides = { { rules = { r = { nope = 1 } } } } }", 'no parameter "nope"'),
    ("while true do end", "processor time"), ("x = 1", "cannot set the global"), ("return io", 'no global "io"'),
])
def test_params_lua_is_checked(worker, text, message):
    found = errors(worker, {"policies/a.lua": rule("", params=PARAMS), "params.lua": text})
    assert [f[0] for f in found] == ["params.lua"] and message in found[0][2]


# ---- TEST ----

TESTED = """local function help(x)
  return x == "xmrig"
end
return { name = "r", version = 1, point = "execute", params = { max = { type = "integer", default = 3 } },
  decide = function(input, params)
    if help(input.program) then
      return deny("miner", "no mining")
    end
    if input.never then
      return deny("never",
        "x")
    end
    return allow({ timeoutMs = params.max })
  end,
}
"""


def test_tests_run(worker):
    w = worker({"policies/a.lua": TESTED, "policies/b.lua": rule('return deny("b", "always")', name="b"),
                "params.lua": "return { rules = { r = { max = 9 } } }",
                "policies/a_test.lua": """return {
        { name = "denies", input = { program = "xmrig" }, expect = { verdict = "deny", rule = "miner" } },
        { name = "full id", input = { program = "xmrig" }, expect = { rule = "r/miner", reason = "no mining" } },
        { name = "allows", input = { run = {} }, expect = { verdict = "allow", result = { timeoutMs = 3 }, changes = { timeoutMs = 3 } } },
        { name = "params", input = {}, params = { max = 5 }, expect = { result = { timeoutMs = 5 } } },
        { name = "all", input = {}, with = "all", expect = { verdict = "deny", rule = "b/b", result = { timeoutMs = 9 } } },
        { name = "wrong", input = {}, expect = { verdict = "deny" } },
        { name = "raises", input = { run = 5 }, expect_error = "x" },
        { name = "missing", input = {}, expect = { result = { timeoutMs = 3, label = "a" } } },
      }"""})
    results, summary = w.test()
    assert [(r["name"], r["ok"], r.get("message")) for r in results] == [
        ("denies", True, None), ("full id", True, None), ("allows", True, None), ("params", True, None), ("all", True, None),
        ("wrong", False, 'verdict.verdict: expected "deny", got "allow"'),
        ("raises", False, 'expected the error "x", got none'),
        ("missing", False, 'verdict.result.label: expected "a", got nil')]
    assert (summary["passed"], summary["failed"]) == (5, 3)
    assert summary["coverage"]["policies/a.lua"] == {"lines": 6, "hit": 4, "missed": [10, 11]} or (
        summary["coverage"]["policies/a.lua"]["missed"] and not set(summary["coverage"]["policies/a.lua"]["missed"]) - {10, 11})
    assert w.call("execute", {})["rule"] == "b/b"


def test_tests_that_are_generated_and_fail_with_their_place(worker):
    w = worker({"policies/a.lua": rule("\nif input.n > 2 then return input.x.y end\nreturn deny('x', 'y')"),
                "policies/a_test.lua": """return function()
        local tests = {}
        for i = 1, 300 do tests[i] = { name = "n" .. i, input = { n = i % 4 }, expect = { verdict = "deny" } } end
        tests[301] = { name = "e", input = { n = 3 }, expect_error = "attempt to index" }
        tests[302] = { name = "endless", input = { n = "x" }, expect = {} }
        return tests end"""})
    results, summary = w.test()
    assert (summary["passed"], summary["failed"]) == (226, 76)
    assert "policies/a.lua:4: attempt to index field 'x'" in results[2]["message"]


def test_a_hostile_test_is_stopped(worker):
    w = worker({"policies/a.lua": rule("while input.bad do end return deny('x', 'y')"),
                "policies/a_test.lua": """return {
        { name = "1", input = { bad = true }, expect = { verdict = "deny" } },
        { name = "2", input = {}, expect = { verdict = "deny" } } }"""}, testCpuMs=50)
    results, _ = w.test()
    assert [r["ok"] for r in results] == [False, True] and "processor time" in results[0]["message"]


@pytest.mark.parametrize("text, message", [
    ("return 1", "returns a list"), ("return { x = 1 }", "returns a list"), ("return { 1 }", "test 1: expected a table"),
    ("return { { name = 1, input = {}, expect = {} } }", "name: expected"), ("return { { name = 'a', expect = {} } }", "input: expected"),
    ("return { { name = 'a', input = {}, expect = 1 } }", "expect: expected"), ("return { { name = 'a', input = {}, expect = {}, x = 1 } }", 'no member "x"'),
    ("return { { name = 'a', input = {}, expect_error = 1 } }", "expect_error: expected"),
    ("return { { name = 'a', input = {}, expect = {}, with = 'x' } }", "with: only"),
    ("return { { name = 'a', input = {}, expect = {}, params = { no = 1 } } }", 'no parameter "no"'),
    ("return function() while true do end end", "processor time"), ("return function() return 5 end", "returns a list"),
])
def test_a_test_file_is_checked(worker, text, message):
    found = errors(worker, {"policies/a.lua": rule(""), "policies/a_test.lua": text})
    assert found and found[0][0] == "policies/a_test.lua" and message in found[0][2], found


def test_a_generation_with_errors_answers_nothing(worker):
    w = worker()
    assert w.compile({"policies/a.lua": rule(""), "policies/b.lua": "x"})["errors"]
    with pytest.raises(Failed) as failed:
        w.call("execute")
    assert failed.value.kind == "protocol"


def test_fifty_files_are_small(worker):
    files = {}
    for i in range(50):
        files[f"policies/{i:02}.lua"] = rule(
            'if has(params.names, input.program) and input.user.name ~= "root" then return deny("miner", "no") end',
            name=f"rule-{i}", params=PARAMS, head="-- " + "x" * 70 + "\nlocal allowed = { 'a', 'b', 'c' }")
        files[f"policies/{i:02}_test.lua"] = (
            "return { { name = 'x', input = { program = 'xmrig', user = {} }, expect = { verdict = 'deny' } } }")
    w = worker(files)
    assert w.test()[1]["passed"] == 50
    for _ in range(500):
        w.call("execute", {"program": "ls", "user": {"name": "u"}, "argv": ["ls", "-l"]})
    rss, pss = w.memory_kb()
    assert rss <= 4096, (rss, pss)
