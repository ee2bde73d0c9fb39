"""Hostile rules: each is stopped within its deadline, answered with a failure of a kind, and the
next call is as good as the first. No rule here may end the worker."""
import os
import time

import pytest

from tests.helpers.policy import CALL, COMPILE, DONE, SETUP, TEST, Failed, Gone, rule

GOOD = rule('if input.bad then return nil end return deny("ok", "fine")', name="good")


def hostile(worker, body, head="", **limits):
    """A worker with a hostile rule, run when input.bad, beside a good one."""
    return worker({"policies/1.lua": rule(f"if not input.bad then return nil end\n{body}", name="bad", head=head),
                   "policies/2.lua": GOOD}, **limits)


def fails(w, kind, match=None, input_=None):
    began = time.monotonic()
    with pytest.raises(Failed, match=match) as failed:
        w.call("execute", {"bad": True} | (input_ or {}))
    assert time.monotonic() - began < 20
    assert failed.value.kind == kind, failed.value.message
    assert failed.value.rule == "bad"
    assert w.call("execute", {"x": 1})["rule"] == "good/ok"
    return failed.value


# ---- what is not there ----

ABSENT = """ffi io os debug load loadstring loadfile dofile require package jit pcall xpcall coroutine newproxy
collectgarbage getmetatable setmetatable rawset rawget rawequal rawlen getfenv setfenv module _G _VERSION print gcinfo
bit""".split()


@pytest.mark.parametrize("name", ABSENT)
def test_there_is_no(worker, name):
    w = worker()
    answer = w.compile({"policies/x.lua": rule(f"return {name}")})
    assert answer["errors"] == [{"file": "policies/x.lua", "line": 3,
                                 "message": f'there is no global "{name}" in rules'}]


@pytest.mark.parametrize("name", "string.dump string.rep string.gsub string.gmatch string.match table.sort table.maxn "
                         "table.foreach table.foreachi table.getn table.move math.random math.randomseed".split())
def test_there_is_no_member(worker, name):
    fails(hostile(worker, f"{name}('x')"), "error", "attempt to call field")


@pytest.mark.parametrize("method", ["dump", "rep", "gsub", "gmatch", "match"])
def test_strings_have_no_method(worker, method):
    fails(hostile(worker, f"return ('x'):{method}('x')"), "error", f"attempt to call method '{method}'")


def test_bytecode_is_not_loaded(worker, tmp_path):
    for text in (b"\x1bLJ\x02\x02\x00", b"\x1bLuaQ\x00\x01\x04"):
        errors = worker().compile({"policies/x.lua": text})["errors"]
        assert len(errors) == 1 and "attempt to load chunk with wrong mode" in errors[0]["message"]


# ---- time ----

ENDLESS = {
    "loop": "while true do end",
    "goto": "::again:: goto again",
    "repeat": "repeat until false",
    "for": "for i = 1, math.huge do end",
    "calls": "local function f() end while true do f() end",
    "mutual recursion": "local a local function b() return a() end a = function() return b() end a()",
    "string building": "local s = '' while true do s = ('x'):upper() end",
    "garbage": "while true do local t = {} end",
    "sort that never decides": "while true do sort({ 3, 1, 2 }, function() return true end) end",
    "sort with a loop inside": "sort({ 3, 1, 2 }, function() while true do end end)",
    "nested sort": "local function f(n) sort({ 2, 1 }, function(a, b) if n > 0 then f(n - 1) end return a < b end) end while true do f(6) end",
    "iteration without end": "for _ in function() return 1 end do end",
    "finding": "while true do (input.text):find('b') end",
    "plain find, huge": "local s = input.text while true do s:contains(s .. 'b') end",
    "globbing": "while true do glob('*a*a*a*a*a*a*a*a*b', input.text) end",
    "splitting": "while true do split(input.text, 'a') end",
    "words": "while true do words('a b c d') end",
    "has": "local t = {} for i = 1, 100000 do t[i] = i end while true do has(t, 0) end",
    "copying": "local t = {} for i = 1, 1000 do t[i] = { i } end while true do copy(t) end",
    "inserting in front": "local t = {} while true do table.insert(t, 1, #t) if #t > 20000 then t = {} end end",
    "concat": "local t = {} for i = 1, 1000 do t[i] = 'x' end while true do table.concat(t) end",
    "formatting": "while true do string.format('%99.99f%s', 1e300, input.text) end",
    "dates": "while true do utc(0) end",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless(worker, name):
    w = hostile(worker, ENDLESS[name], cpuMs=20)
    failed = fails(w, "deadline", "20 ms of processor time", {"text": "a" * 60000})
    assert failed.file == "policies/1.lua"


def test_a_deadline_is_of_one_call(worker):
    """Many short calls use more time together than one may."""
    w = worker({"policies/1.lua": rule("for i = 1, 20000 do end return deny('x', 'y')")}, cpuMs=20)
    answers = []
    for _ in range(4):
        answers += w.call_many("execute", [{}] * 250)[0]
    assert all(body.get("rule") == "r/x" for _, body in answers)


def test_an_endless_file(worker):
    for text in ("while true do end", "return { name = 'x', version = 1, point = 'files', decide = (function() while true do end end)() }"):
        errors = worker(testCpuMs=50).compile({"policies/x.lua": text, "policies/y.lua": "return 1"})["errors"]
        assert [e["file"] for e in errors] == ["policies/x.lua", "policies/y.lua"]
        assert "50 ms of processor time" in errors[0]["message"]


# ---- memory ----

BOMBS = {
    "tables": "local t = {} while true do t[#t + 1] = { t } end",
    "doubling": "local s = 'xxxxxxxx' while true do s = s .. s end",
    "concat": "local t = {} for i = 1, 100 do t[i] = input.text end local s = {} while true do s[#s + 1] = table.concat(t, '', 1, 15) .. #s end",
    "format": "local t = {} while true do t[#t + 1] = string.format('%s%d', (input.text):sub(1, 60000), #t) end",
    "upper": "local t = {} for i = 1, 100000 do t[i] = (input.text .. i):upper() end",
    "closures": "local t = {} while true do t[#t + 1] = function() return t end end",
    "splitting": "local t = {} while true do t[#t + 1] = split(input.text, 'a') end",
    "copies": "local t = {} while true do t[#t + 1] = copy(input) end",
    "keys": "local t = {} local i = 0 while true do i = i + 1 t['k' .. i] = i end",
    "widening": "local t = {} for i = 1, 1e9 do t[i] = true end",
    "buffers": "local t = {} for i = 1, 1e6 do t[i] = (input.text):reverse() .. i end",
    "changes": "local t = {} for i = 1, 1e6 do t[i] = {} end return allow({ names = t })",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_memory_bomb(worker, name):
    w = hostile(worker, BOMBS[name], memoryBytes=8 << 20, cpuMs=30000)
    for _ in range(3):
        fails(w, "memory", "bytes of memory", {"text": "a" * 60000})
    assert w.memory_kb()[0] < 40 * 1024


def test_the_heap_is_what_is_capped(worker):
    """A third more than the cap does not fit; half of it does."""
    body = "local t = {} for i = 1, input.n do t[i] = ('%d'):format(i) .. input.text end return deny('x', tostring(#t))"
    w = worker({"policies/1.lua": rule(body)}, memoryBytes=8 << 20, cpuMs=30000)
    assert w.call("execute", {"n": 400, "text": "a" * 10000})["reason"] == "400"
    with pytest.raises(Failed, match="memory"):
        w.call("execute", {"n": 1100, "text": "a" * 10000})


# ---- stacks ----

DEEP = {
    "recursion": "local function f() return 1 + f() end f()",
    "recursion with many values": "local function f(...) return f(1, 2, 3, ...) + 1 end f()",
    "recursion through sort": "local function f() sort({ 2, 1 }, f) return 1 end f()",
    "unpack": "unpack({}, 1, 1e8)",
    "bytes": "return (input.text):byte(1, -1)",
    "char": "local t = {} for i = 1, 249 do t[i] = 65 end return string.char(unpack(t)).x.y",
    "self-containing table, copied": "local t = {} t.t = t copy(t)",
    "self-containing table, merged": "local t = {} t.t = t merge(t, t)",
    "a deep table, copied": "local t = {} for i = 1, 10000 do t = { t } end copy(t)",
    "a deep table, merged": "local t = {} for i = 1, 10000 do t = { x = t } end merge(t, t)",
    "a wide and deep table, copied": "local t = {} for i = 1, 200 do t = { t, t } end copy(t)",
}


@pytest.mark.parametrize("name", DEEP)
def test_deep(worker, name):
    fails(hostile(worker, DEEP[name], cpuMs=2000), "error", None, {"text": "a" * 100000})


def test_wide_sharing_is_stopped_by_time_or_memory(worker):
    w = hostile(worker, "local t = { 1 } for i = 1, 14 do t = { t, t, t, t, t, t, t, t } end copy(t)", cpuMs=30)
    with pytest.raises(Failed) as failed:
        w.call("execute", {"bad": True})
    assert failed.value.kind in ("deadline", "memory")
    assert w.call("execute")["rule"] == "good/ok"


def test_deep_source(worker):
    for text in ("return " + "(" * 40000 + "1" + ")" * 40000, "return " + "{" * 40000 + "}" * 40000,
                 "return " + "-" * 3 + " -" * 30000 + "1", "local x = " + "function() return " * 5000 + "1" + " end" * 5000,
                 "do " * 12000 + "end " * 12000, "return " + ".." .join(["'a'"] * 15000),
                 "x = 1 " * 15000, "local a = 1 " * 300, "goto a " * 10000, "return 1" + "^1" * 30000,
                 "return '" + "x" * 90000, "--[[" + "x" * 90000, "return " + "a." * 30000 + "a"):
        answer = worker().compile({"policies/x.lua": text, "policies/y.lua": rule("", name="y")})
        assert {e["file"] for e in answer["errors"]} == {"policies/x.lua"}
        assert len(answer["errors"]) <= 100


# ---- errors that are odd ----

@pytest.mark.parametrize("body, kind, match", [
    ("error({ 1 })", "error", "no text but a table"), ("error()", "error", "no text but a nil"),
    ("error(nil)", "error", "no text but a nil"), ("error(error)", "error", "no text but a function"),
    ("error(input)", "error", "no text but a table"), ("error(true)", "error", "no text but a boolean"),
    ("error(12)", "error", "12|number"), ("error('a\\0b\\n\\27[31m')", "error", r"a b  \[31m"),
    ("error(('x'):upper() .. input.text)", "error", "^Xa{100}"), ("error('x', 2)", "error", "x"),
    ("error('x', 0)", "error", "x"), ("error('x', -5)", "error", "x"), ("assert(false)", "error", "assertion failed"),
    ("assert(nil, 'why')", "error", "why"), ("assert(false, {})", "error", "a table"), ("assert()", "error", "argument"),
    ("input.x.y = 1", "error", "x"), ("return input + 1", "error", "arithmetic"), ("return input < input", "error", "compare"),
    ("return input .. 'x'", "error", "concatenate"), ("input()", "error", "call"), ("return #5", "error", "length"),
    ("error('policies/2.lua:999999999999: forged')", "error", "forged"),
])
def test_an_error(worker, body, kind, match):
    failed = fails(hostile(worker, body), kind, match, {"text": "a" * 100000})
    assert len(failed.message) < 512
    assert not any(ord(c) < 32 for c in failed.message)


def test_an_error_says_where(worker):
    w = worker({"policies/1.lua": rule("\n\nlocal x = nil\nreturn x.y", name="bad")})
    with pytest.raises(Failed) as failed:
        w.call("execute")
    assert (failed.value.file, failed.value.line, failed.value.rule) == ("policies/1.lua", 6, "bad")


# ---- state ----

@pytest.mark.parametrize("text, line, message", [
    (rule("n = 1"), 3, 'cannot set the global "n"'),
    (rule("function f() end"), 3, 'cannot set the global "f"'),
    ("x = 1 " + rule(""), 1, 'cannot set the global "x"'),
    (rule("n = n + 1", head="local n = 0"), 3, "nothing may survive"),
    (rule("local function f() return function() n = {} end end f()()", head="local n"), 3, "nothing may survive"),
    (rule("return swap(1)", head="local function make() local n return function(v) local o = n n = v return o end end local swap = make()"),
     1, "nothing may survive"),
    (rule("t.f(1)", head="local t = { f = (function() local n return function(v) return (function() n = v end)() end end)() }"),
     1, "nothing may survive"),
    (rule("has = nil"), 3, 'cannot set the global "has"'),
    (rule("string = {}"), 3, 'cannot set the global "string"'),
    (rule("local x = nothere"), 3, 'no global "nothere"'),
])
def test_state_is_refused_when_compiled(worker, text, line, message):
    errors = worker().compile({"policies/x.lua": text})["errors"]
    assert errors and errors[0]["line"] == line and message in errors[0]["message"]


def test_locals_of_a_function_may_change(worker):
    w = worker({"policies/1.lua": rule(
        "local n = 0 local function add() n = n + 1 end add() add() return deny('x', tostring(n))")})
    assert [w.call("execute")["reason"] for _ in range(3)] == ["2"] * 3


def test_functions_that_are_made_while_a_file_is_loaded(worker):
    """They may have variables of their own, and of what made them, as long as those stay."""
    w = worker({"policies/1.lua": rule("return deny('x', tostring(sum(3)))", head=(
        "local function make(by) return function(n) local s = 0 local function add(i) s = s + i * by end "
        "for i = 1, n do add(i) end return s end end local sum = make(2)"))})
    assert [w.call("execute")["reason"] for _ in range(3)] == ["12"] * 3


@pytest.mark.parametrize("body, head, name", [
    ("kept.n = 1", "local kept = {}", "n"), ("kept.a.b = 1", "local kept = { a = { } }", "b"),
    ("kept[1] = 1", "local kept = { 5 }", "1"), ("kept[2] = 1", "local kept = { 5 }", "2"),
    ("keep(1)", "local t = {} local function keep(v) t.v = v end", "v"),
    ("keep(1)", "local t = { 1, x = {} } local function keep(v) t.x.v = v end", "v"),
    ("get().v = 1", "local function get() end do local t = {} get = function() return t end end", "v"),
    ("table.insert(kept, 1)", "local kept = { 1 }", "frozen"), ("table.remove(kept)", "local kept = { 1 }", "frozen"),
    ("params.n = 1", "", "n"), ("params.list[1] = 2", "", "1"), ("params.list[3] = 2", "", "3"), ("params.map.k = 1", "", "k"),
    ("input.program = 1", "", "program"), ("input.fresh = 1", "", "fresh"), ("input.argv[1] = 1", "", "1"),
    ("input.argv[9] = 1", "", "9"), ("input.run.timeoutMs = 1", "", "timeoutMs"), ("input.run.deep.x = 1", "", "x"),
    ("for k, v in pairs(input.run) do input.run[k] = 1 end", "", "deep|timeoutMs"),
    ("local f, s = pairs(input) s.x = 1", "", "x"), ("local f, s = ipairs(input.argv) s[1] = 1", "", "1"),
    ("string.len = 1", "", "len"), ("math.pi = 3", "", "pi"), ("table.insert = 1", "", "insert"), ("math.x = 3", "", "x"),
    ("table.insert(input.argv, 'x')", "", "frozen"), ("table.insert(string, 1)", "", "frozen"),
    ("local s = 'x' s.len = 1", "", "index"), ("('x').y = 1", "", "index"),
])
def test_frozen(worker, body, head, name):
    text = rule(f"if not input.bad then return nil end\n{body}", name="bad", head=head, params=(
        '{ list = { type = "list", default = { 1, 2 } }, map = { type = "map", default = { a = 1 } } }'))
    w = worker({"policies/1.lua": text, "policies/2.lua": GOOD})
    value = {"program": "p", "argv": ["a", "b"], "run": {"timeoutMs": 1, "deep": {}}}
    fails(w, "error", name, value)


def test_frozen_things_read_like_tables(worker):
    w = worker({"policies/1.lua": rule("""
        local seen = {}
        for i, v in ipairs(input.list) do seen[#seen + 1] = i .. v end
        for k, v in pairs(input.map) do seen[#seen + 1] = k .. v end
        for i, v in ipairs(list) do seen[#seen + 1] = i .. v end
        for k, v in pairs(map) do seen[#seen + 1] = k .. tostring(v) end
        local k, v = next(input.map)
        seen[#seen + 1] = k .. v .. type(input) .. type(input.list) .. type(list) .. type(input.none) .. #input.list .. #list .. #input.empty
        seen[#seen + 1] = tostring(next(input.empty)) .. tostring(next(input.nothing)) .. select("#", unpack(input.list))
        seen[#seen + 1] = table.concat(input.list, "+") .. tostring(input.list[3]) .. tostring(input.list.x) .. tostring(input.list == input.list)
        seen[#seen + 1] = tostring(input) .. tostring(input.list) .. tostring(print_) .. tostring(type)
        return deny("x", table.concat(seen, " "))""", head='local list, map, print_ = { "p", "q" }, { r = true }, nil')})
    assert w.call("execute", {"list": ["a", "b"], "map": {"k": 5}, "empty": [], "nothing": {}})["reason"] == (
        "1a 2b k5 1p 2q rtrue k5tabletabletablenil220 nilnil2 a+bnilniltrue tabletablenilfunction")


def test_names_that_look_like_metamethods_are_data(worker):
    names = ["__index", "__newindex", "__gc", "__mode", "__len", "__call", "__metatable", "__eq", "__tostring"]
    w = worker({"policies/1.lua": rule("""
        local seen = {}
        for _, name in ipairs(keys(input.labels)) do seen[#seen + 1] = name .. input.labels[name] end
        return deny("x", table.concat(seen, " ") .. tostring(input.__index) .. tostring(input.labels.none))""")})
    for _ in range(2):
        assert w.call("execute", {"labels": {name: "v" for name in names}})["reason"] == (
            " ".join(name + "v" for name in sorted(names)) + "nilnil")
    w = hostile(worker, "input.labels.x = 1")
    fails(w, "error", "frozen", {"labels": {"__newindex": "x", "__index": "y"}})


def test_nothing_of_a_call_is_seen_by_the_next(worker):
    body = """
        local seen = {}
        local function look(t, depth) for k, v in pairs(t) do
          seen[#seen + 1] = tostring(k)
          if type(v) == "table" and depth < 5 then look(v, depth + 1) end end end
        look(input, 0)
        return deny("x", ("saw " .. table.concat(sort(seen), " ")):sub(1, 900))"""
    w = worker({"policies/1.lua": rule(body)})
    secret = {"secret": {"deep": ["x", {"hidden": 1}], "more": {}}, "list": [[], [1, 2], {"a": {}}]}
    assert "hidden" in w.call("execute", secret)["reason"]
    assert w.call("execute", {"a": {"b": []}})["reason"] == "saw a b"
    assert w.call("execute", {})["reason"] == "saw "
    w.call("execute", {"many": [{"x": i} for i in range(700)], "wide": {f"k{i}": i for i in range(700)}})
    assert w.call("execute", {"a": {"b": [[]]}})["reason"] == "saw 1 a b"


def test_rules_do_not_see_each_other(worker):
    w = worker({
        "policies/1.lua": rule("local t = copy(input) t.program = 'changed' return nil", name="one"),
        "policies/2.lua": rule("return deny('x', input.program .. tostring(params.secret))", name="two"),
        "policies/3.lua": rule("", name="three", params='{ secret = { type = "string", default = "s" } }'),
    })
    assert w.call("execute", {"program": "p"})["reason"] == "pnil"


def test_a_rule_keeps_nothing_of_its_changes(worker):
    """The table a rule returned is copied; what it refers to cannot be changed by a later one."""
    w = worker({
        "policies/1.lua": rule("return allow({ names = names, env = { A = 'x' } })", name="one", head='local names = { "n" }'),
        "policies/2.lua": rule("input.run.names[1] = 'y'", name="two"),
    })
    for _ in range(2):
        with pytest.raises(Failed, match="frozen"):
            w.call("execute", {"run": {}})


# ---- what is returned ----

@pytest.mark.parametrize("returned, match", [
    ("1", "a table or nil, not a number"), ("'deny'", "not a string"), ("true", "not a boolean"), ("type", "not a function"),
    ("{}", "verdict is missing"), ("{ verdict = 1 }", "expected a string"), ("{ verdict = 'maybe' }", "none of the point"),
    ("{ verdict = 'ALLOW' }", "none"), ("{ verdict = 'deny' }", "rule is missing"), ("deny('x')", "reason is missing"),
    ("deny(nil, 'x')", "rule is missing"), ("deny('', 'x')", "1 to 63"), ("deny('a b', 'x')", "an id is"),
    ("deny('x', '')", "1 to 1000"), ("deny('x', {})", "expected a string"), ("deny('x', 1)", "expected a string"),
    ("deny('x', input.text)", "1 to 1000"), ("deny('x', 'a\\0b')", "NUL"), ("{ verdict = 'allow', extra = 1 }", 'no member "extra"'),
    ("{ 'allow' }", "named by a number"), ("allow(1)", "expected a map"), ("allow({ 1 })", "expected a map|no member"),
    ("allow({ nothere = 1 })", 'no member "nothere"'), ("allow({ timeoutMs = '1' })", "timeoutMs: expected a whole number"),
    ("allow({ timeoutMs = 1.5 })", "whole number"), ("allow({ timeoutMs = -1 })", "less than 0"),
    ("allow({ timeoutMs = 1e6 })", "more than 100000"), ("allow({ timeoutMs = 0/0 })", "not finite"),
    ("allow({ timeoutMs = 1/0 })", "not finite"), ("allow({ ratio = -1/0 })", "not finite"), ("allow({ label = 'c' })", "none of its values"),
    ("allow({ names = 'x' })", "list of strings"), ("allow({ names = { 1 } })", "names"), ("allow({ names = { a = 'x' } })", "list of strings"),
    ("allow({ env = { 'x' } })", "map of strings"), ("allow({ env = { a = 1 } })", "env"), ("allow({ on = 1 })", "a boolean"),
    ("allow({ inner = { m = 1 } })", 'no member "m"'), ("allow({ inner = 1 })", "inner"), ("allow({ rows = { { n = 'x' } } })", "rows"),
    ("allow({ rows = { 1 } })", "expected a map"), ("allow({ [true] = 1 })", "no member"), ("allow({ timeoutMs = function() end })", "whole number"),
    ("allow(input.run)", None), ("input", "no member|verdict"), ("{ verdict = 'allow', changes = false }", "expected a map"),
])
def test_a_wrong_return(worker, returned, match):
    w = hostile(worker, f"return {returned}")
    if match:
        fails(w, "type", match, {"text": "a" * 2000, "run": {}})
    else:
        assert w.call("execute", {"bad": True, "run": {"timeoutMs": 3}})["result"] == {"timeoutMs": 3}


@pytest.mark.parametrize("changes, match", [
    ("{ x = 0/0 }", "not a number"), ("{ x = 1/0 }", "infinite"), ("{ x = type }", "function"), ("{ x = { 1, y = 2 } }", "neither"),
    ("{ [1] = 2 }", "map"), ("{ x = { [2] = 1 } }", "number|hole"), ("{ x = { [true] = 1 } }", "boolean"),
    ("{ x = deep }", "levels"), ("{ x = input.text .. input.text }", "bytes"), ("{ [input.text .. input.text] = 1 }", "bytes"),
    ("{ x = many }", "bytes"), ("{ x = cyclic }", "levels"), ("{ x = { 1, nil, 3 } }", None),
])
def test_a_wrong_value(worker, changes, match):
    head = ("local function many_() local t = {} for i = 1, 9000 do t[i] = 'aaaaaaaaaaaaaaaaaaaa' end return t end\n"
            "local many = many_()")
    body = "local deep = {} for i = 1, 20 do deep = { deep } end local cyclic = {} cyclic.c = cyclic\nreturn allow(" + changes + ")"
    w = worker({"policies/1.lua": rule(f"if not input.bad then return nil end {body}", "admission", "bad", head)})
    with pytest.raises(Failed, match=match) as failed:
        w.call("admission", {"bad": True, "text": "a" * 60100, "object": {}})
    assert failed.value.kind == "type" and failed.value.rule in ("bad", None)
    assert w.call("admission", {"object": {"a": 1}}) == {"verdict": "allow", "ran": ["bad"]}


@pytest.mark.parametrize("point, returned, match", [
    ("files", "allow({})", "nothing can be changed"), ("scaling", "nil", "a table or nil, not a nil"),
    ("scaling", "{}", "size is missing"), ("scaling", "{ size = 'x' }", "size"), ("scaling", "{ size = 1001 }", "more than"),
    ("scaling", "{ size = 0/0 }", "finite"), ("anomaly", "{ score = 1 }", "action is missing"),
    ("anomaly", "{ score = 1, action = 'x' }", "none of its values"), ("anomaly", "{ score = 101, action = 'kill' }", "more than"),
])
def test_a_wrong_return_at(worker, point, returned, match):
    w = worker({"policies/1.lua": rule(f"return {returned}", point, "bad")})
    with pytest.raises(Failed, match=match) as failed:
        w.call(point, {"rule": "bad"})
    assert failed.value.kind == "type" and failed.value.rule == "bad"


# ---- odd inputs ----

def test_odd_inputs(worker):
    w = worker({"policies/1.lua": rule("return deny('x', tostring(#keys(input)))")})
    deep = {}
    for _ in range(14):
        deep = {"d": deep}
    for value, count in (({"d": deep}, 1), ({"a" * 1000: 1, "\0": 2, "": 3}, 3), ({"n": 2 ** 62, "f": 1e308}, 2),
                         ({"l": list(range(20000))}, 1), ({"l": [[]] * 4000}, 1), ({"b": b"\xff\xfe\0"}, 1)):
        assert w.call("execute", value)["reason"] == str(count)
    assert w.call("execute", {"l": [None, 1]})["reason"] == "1"


def test_strings_that_collide_cost_no_more_than_the_deadline(worker):
    """Equal where a sparse hash looks."""
    w = worker({"policies/1.lua": rule("return deny('x', tostring(#input.l))")}, cpuMs=100)
    texts = ["aaaa" + f"{i:08d}" + "b" * 8 for i in range(4000)]
    assert w.call("execute", {"l": texts})["reason"] == "4000"


# ---- the process ----

def test_a_broken_packet_ends_the_worker(worker):
    for packet in (b"\0", b"\xff" * 100, b"\1\0\0\0\1\0\0\0\0\0\0\0\x63", b"\0" * 12):
        w = worker({"policies/1.lua": GOOD})
        w.send(packet)
        with pytest.raises(Gone) as gone:
            w.receive()
        assert gone.value.status == 1


def test_questions_out_of_order_are_failures(worker):
    w = worker()
    for kind in (CALL, TEST, SETUP, DONE):
        with pytest.raises(Failed) as failed:
            w.ask(kind)
        assert failed.value.kind == "protocol"
    w.load({"policies/1.lua": GOOD})
    with pytest.raises(Failed):
        w.ask(COMPILE)
    with pytest.raises(Failed):
        w.ask(CALL, {}, point=99)
    with pytest.raises(Failed):
        w.ask(CALL, 5)
    assert w.call("execute")["rule"] == "good/ok"


def test_the_worker_ends_with_its_parent(worker):
    w = worker({"policies/1.lua": GOOD})
    assert w.close() == 0


def test_the_process_holds_nothing(worker):
    w = worker({"policies/1.lua": GOOD})
    status = dict(line.split(":\t", 1) for line in open(f"/proc/{w.process.pid}/status").read().splitlines() if ":\t" in line)
    assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1"
    links = {fd: os.readlink(f"/proc/{w.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{w.process.pid}/fd")}
    assert links.pop("3").startswith("socket:")
    del links["2"]  # kept for this test's sake (--stderr)
    assert set(links.values()) == {"/dev/null"}
    limits = open(f"/proc/{w.process.pid}/limits").read()
    for name, value in (("Max core file size", "0"), ("Max open files", "4"), ("Max file size", "0"), ("Max processes", "0"),
                        ("Max stack size", "8388608")):
        line = next(line for line in limits.splitlines() if line.startswith(name))
        assert line[len(name):].split()[:2] == [value, value]
    maps = open(f"/proc/{w.process.pid}/maps").read()
    assert not any("w" in line.split()[1] and "x" in line.split()[1] for line in maps.splitlines())
