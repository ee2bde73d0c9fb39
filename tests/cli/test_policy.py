"""`secureagent policy` without a server: test, lint, explain, diff, new, schema."""
import json
import re
import subprocess
import xml.etree.ElementTree

import pytest
import yaml

from tests.helpers.cli import run_cli
from tests.helpers.server import ROOT

POINTS = ["profile", "seccomp", "admission", "execute", "files", "egress", "packages", "recycle", "scaling", "anomaly",
          "lifecycle"]
RULE = """return {
  name = "no-scanners", version = 1, point = "execute", description = "Scanners do not run.",
  params = { names = { type = "list", items = "string", default = { "nmap" } } },
  decide = function(input, params)
    if has(params.names, input.program) then
      return deny("scanner", input.program .. " does not run here")
    end
    if input.kind == "terminal" then
      return allow({ timeoutMs = 1000 })
    end
  end,
}
"""
TEST = """return {
  { name = "a scanner", input = { kind = "command", program = "nmap" }, expect = { verdict = "deny", rule = "scanner" } },
  { name = "others", input = { kind = "command", program = "ls" }, expect = { verdict = "allow" } },
}
"""


def policy(*args, **more):
    return run_cli("policy", *args, **more)


def text(result):
    return (result.stdout + result.stderr).decode()


@pytest.fixture
def rules(tmp_path):
    """A folder of rules; `rules(name=text)` writes files of policies/."""
    folder = tmp_path / "rules"
    (folder / "policies").mkdir(parents=True)

    def write(**files):
        for name, content in files.items():
            (folder / "policies" / f"{name.replace('__', '-')}.lua").write_text(content)
        return folder
    write(no__scanners=RULE, no__scanners_test=TEST)
    return write


# ---- new ----

@pytest.mark.parametrize("point", POINTS)
def test_a_new_rule_passes_and_is_clean_at_once(tmp_path, point):
    folder = tmp_path / "rules"
    made = policy("new", f"my-{point}", "--point", point, "--dir", folder)
    assert made.returncode == 0, text(made)
    inside = folder / ("scaling" if point == "scaling" else "policies")
    assert made.stdout.decode().split() == [f"{inside}/my-{point}.lua", f"{inside}/my-{point}_test.lua"]
    tested = policy("test", folder)
    assert tested.returncode == 0, text(tested)
    assert re.search(rf"^ok .*my-{point}.lua: [23] tests; 100% of \d+ lines$", tested.stdout.decode(), re.M)
    linted = policy("lint", folder)
    assert linted.returncode == 0 and not text(linted), text(linted)


def test_new_overwrites_nothing(tmp_path):
    assert policy("new", "mine", "--point", "files", "--dir", tmp_path).returncode == 0
    rule, settings = tmp_path / "policies/mine.lua", tmp_path / ".luarc.json"
    rule.write_text("-- mine\n")
    settings.write_text("{}\n")
    again = policy("new", "mine", "--point", "files", "--dir", tmp_path)
    assert again.returncode == 75 and b"there already" in again.stderr
    assert policy("new", "other", "--point", "files", "--dir", tmp_path).returncode == 0
    assert rule.read_text() == "-- mine\n" and settings.read_text() == "{}\n"


def test_new_gives_editors_what_they_need(tmp_path):
    assert policy("new", "mine", "--point", "files", "--dir", tmp_path).returncode == 0
    for name in (".luacheckrc", ".luarc.json", "library/secureagent.lua", "library/helpers.lua"):
        assert (tmp_path / name).read_text() == (ROOT / "lua" / name).read_text()
    assert json.loads((tmp_path / ".luarc.json").read_text())["workspace.library"] == ["library"]
    checked = subprocess.run(["luacheck", "policies"], cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("args, said", [
    ([], "name of the rule"), (["a"], "--point"), (["a", "--point", "execut"], "no decision point"),
    (["A b", "--point", "files"], "small letters"), (["../x", "--point", "files"], "small letters"),
])
def test_new_refuses_what_it_cannot_make(tmp_path, args, said):
    result = policy("new", *args, "--dir", tmp_path)
    assert result.returncode == 64 and said in result.stderr.decode()
    assert list(tmp_path.iterdir()) == []


# ---- test ----

def test_tests_run_and_coverage_is_told(rules):
    result = policy("test", rules())
    assert result.returncode == 0, text(result)
    out = result.stdout.decode()
    assert re.search(r"^ok      .*policies/no-scanners.lua: 2 tests; 80% of 5 lines, not reached: 9$", out, re.M)
    assert re.search(r"^\d+ passed, 0 failed \(\d+ of them of the shipped rules\)$", out, re.M)
    assert "10-defaults" not in out  # what is shipped is not what this is about


def test_the_shipped_rules_pass():
    result = policy("test")
    assert result.returncode == 0 and b" 0 failed" in result.stdout and b"10-defaults.lua" in result.stdout


def test_the_rules_to_copy_from_pass_and_are_covered():
    result = policy("test", ROOT / "examples/policies")
    assert result.returncode == 0, text(result)
    shown = [line for line in result.stdout.decode().splitlines() if line.startswith(("ok", "-", "FAILED"))]
    assert len(shown) >= 10 and all("100%" in line for line in shown), text(result)
    linted = policy("lint", ROOT / "examples/policies")
    assert linted.returncode == 0 and not text(linted), text(linted)


FAILING = TEST.replace('"scanner" }', '"scan<&>ner" }')


def test_a_failing_test_is_named(rules):
    result = policy("test", rules(no__scanners_test=FAILING))
    assert result.returncode == 1
    out = result.stdout.decode()
    assert re.search(r"^FAILED .*no-scanners_test.lua.*: a scanner\n +.*scan<&>ner", out, re.M), out
    assert " 1 failed" in out


def test_tap(rules):
    out = policy("test", rules(no__scanners_test=FAILING), "-o", "tap").stdout.decode().splitlines()
    assert out[0] == "TAP version 14"
    count = int(re.fullmatch(r"1\.\.(\d+)", out[1])[1])
    points = [line for line in out if re.match(r"(not )?ok \d+ - ", line)]
    assert len(points) == count and [int(re.search(r"\d+", p)[0]) for p in points] == list(range(1, count + 1))
    (failed,) = [i for i, line in enumerate(out) if line.startswith("not ok")]
    assert out[failed].endswith("policies/no-scanners_test.lua: a scanner")
    details = yaml.safe_load("\n".join(out[failed + 2:out.index("  ...", failed)]))
    assert "scan<&>ner" in details["message"] and details["file"].endswith("no-scanners_test.lua")


@pytest.mark.parametrize("output, said", [("tap", "Bail out!"), ("junit", "<error message=")])
def test_rules_that_cannot_be_loaded_are_no_empty_success(rules, output, said):
    result = policy("test", rules(no__scanners="return {"), "-o", output)
    assert result.returncode == 1 and said in result.stdout.decode()
    assert b"no-scanners.lua:1:" in result.stderr and b"_test.lua" not in result.stderr


def test_junit(rules):
    result = policy("test", rules(no__scanners_test=FAILING), "--output=junit")
    assert result.returncode == 1
    root = xml.etree.ElementTree.fromstring(result.stdout)
    suites = {suite.get("name"): suite for suite in root}
    assert int(root.get("tests")) == sum(int(suite.get("tests")) for suite in root) and root.get("failures") == "1"
    (case, _) = suites["policies/no-scanners_test.lua"]
    assert case.get("name") == "a scanner" and "scan<&>ner" in case.find("failure").get("message")


def test_files_that_do_not_compile_are_told_by_line(rules):
    result = policy("test", rules(broken="return {\n  name = = 1\n}\n"))
    assert result.returncode == 1
    assert re.search(r"policies/broken\.lua:2: ", result.stderr.decode()), text(result)


@pytest.mark.parametrize("args, status, said", [
    (["/etc/no-such-folder"], 69, "/etc/no-such-folder"), (["/usr"], 64, "neither policies/ nor scaling/"),
    (["/etc/hostname"], 64, "is a file"), (["-o", "xml"], 64, "text, tap or junit"),
])
def test_a_wrong_folder_is_not_taken_for_good_rules(args, status, said):
    result = policy("test", *args)
    assert result.returncode == status and said in result.stderr.decode(), text(result)


def test_parameters_are_checked_with_their_names(rules):
    folder = rules()
    params = folder / "params.lua"
    for given, said in [('["no-scanner"] = {}', "no-scanner"), ('["no-scanners"] = { name = {} }', "name"),
                        ('["no-scanners"] = { names = "nmap" }', "names")]:
        params.write_text(f"return {{ rules = {{\n {given}\n}} }}\n")
        result = policy("test", folder)
        assert result.returncode == 1 and re.search(rf"params\.lua(:\d+)?: .*{said}", result.stderr.decode()), given
    params.write_text('return { rules = { ["no-scanners"] = { names = { "zmap" } } } }\n')
    assert policy("test", folder).returncode == 0
    said = policy("explain", "execute", "--dir", folder, "--set", "program=zmap").stdout.decode()
    assert "deny by no-scanners/scanner" in said


# ---- lint ----

LINTED = [
    ('return { verdict = "denny", rule = "a", reason = "b" }', 'no verdict "denny", did you mean "deny"'),
    ('return { verdict = "deny", rule = "a" }', "without a reason"),
    ('return deny("a")', "needs both"),
    ('return deny("a", "")', "needs both"),
    ("return allow({ timeoutMS = 5 })", 'changes.timeoutMS: there is no such member, did you mean "timeoutMs"'),
    ('return { verdict = "allow", changes = { timeoutMs = "5" } }', "changes.timeoutMs: expected a number"),
    ("return { verdict = 'allow', changes = { openFiles = -1 } }", "changes.openFiles: -1 is not in 0 to"),
    ("return { verdict = 'allow', more = 1 }", 'no member "more"'),
    ('return input.tty and "deny" or nil', "decide returns a string"),
    ("return os.time()", 'global "os"'),
    ("x = 1", 'global "x"'),
    ("local unused = 1", "unused"),
]


@pytest.mark.parametrize("line, said", LINTED)
def test_lint_sees(rules, line, said):
    rule = RULE.replace("    if input.kind", f"    do {line} end\n    if input.kind")
    result = policy("lint", rules(no__scanners=rule))
    assert result.returncode == 1
    assert re.search(rf"no-scanners\.lua:8(:\d+)?: .*{re.escape(said)}", result.stdout.decode()), text(result)


def test_lint_sees_rules_without_tests(rules):
    folder = rules(untested=RULE.replace("no-scanners", "untested"))
    result = policy("lint", folder)
    assert result.returncode == 1 and "untested.lua:1: the rule has no tests" in result.stdout.decode()


def test_lint_knows_what_inputs_have(rules):
    result = policy("lint", rules(no__scanners_test=TEST.replace('program = "nmap"', 'progam = "nmap"')))
    assert result.returncode == 1
    assert 'no-scanners_test.lua:2: input.progam: there is no such member, did you mean "program"' in text(result)


def test_lint_is_content_with_good_rules(rules):
    for result in (policy("lint", rules()), policy("lint")):
        assert result.returncode == 0 and not text(result), text(result)


def test_the_linters_and_editors_names_are_those_of_rules(rules):
    """.luacheckrc and helpers.lua name what a worker has, and the same."""
    names = re.findall(r'"(\w+)"', (ROOT / "lua/.luacheckrc").read_text())
    uses = " ".join(f"local _{name} = {name}" for name in names)
    folder = rules(no__scanners=RULE.replace("    if input.kind", f"    do {uses} end\n    if input.kind"))
    assert policy("test", folder).returncode == 0, text(policy("test", folder))
    helpers = set(re.findall(r"^function (\w+)\(", (ROOT / "lua/library/helpers.lua").read_text(), re.M))
    of_lua = {"type", "tostring", "tonumber", "pairs", "ipairs", "next", "select", "unpack", "assert", "error", "math",
              "table", "string"}
    assert set(names) == helpers | of_lua


# ---- explain ----

def test_explain_tells_which_rules_ran_and_why(rules):
    result = policy("explain", "execute", "--dir", rules(), "--set", "kind=command", "--set", "program=nmap")
    assert result.returncode == 0, text(result)
    out = result.stdout.decode()
    assert out.startswith("execute: deny by no-scanners/scanner\n  nmap does not run here\n")
    assert re.search(r"^  \d+\. no-scanners: deny \(scanner\): nmap does not run here", out, re.M)
    assert '  no-scanners: {"names":["nmap"]}' in out


def test_explain_takes_json_and_gives_json(rules):
    asked = json.dumps({"kind": "terminal", "sandbox": {"labels": {"team": "a"}}}).encode()
    result = policy("explain", "execute", "-", "--dir", rules(), "-o", "json", stdin=asked)
    assert result.returncode == 0, text(result)
    verdict = json.loads(result.stdout)
    assert verdict["verdict"] == "allow" and verdict["result"]["timeoutMs"] == 1000
    (step,) = [step for step in verdict["trace"] if step["rule"] == "no-scanners"]
    assert step["changes"] == {"timeoutMs": 1000}


def test_explain_says_what_was_changed(rules):
    out = policy("explain", "execute", "--dir", rules(), "--set", "kind=terminal").stdout.decode()
    assert "run.timeoutMs = 1000" in out and "run after all changes:" in out


@pytest.mark.parametrize("args, said", [
    (["execute", "--set", "progam=x"], 'did you mean "program"'), (["execute", "--set", "program"], "MEMBER=VALUE"),
    (["execute", "--set", "run.timeoutMs=x"], "not an integer"), (["execute", "--set", "kind.x=1"], "no members"),
    (["execute", "--set", "kind=nothing"], "input.kind"), (["nothing"], "no decision point"),
    ([], "expected a decision point"), (["execute", "a", "b"], "expected a decision point"),
])
def test_explain_refuses_what_no_point_takes(rules, args, said):
    result = policy("explain", *args, "--dir", rules())
    assert result.returncode == 64 and said in result.stderr.decode(), text(result)


def test_explain_of_a_rule_that_fails_says_where(rules):
    folder = rules(no__scanners=RULE.replace('input.kind == "terminal"', "input.nothing.here"))
    result = policy("explain", "execute", "--dir", folder, "--set", "program=ls")
    assert result.returncode != 0 and "no-scanners.lua:8" in result.stderr.decode(), text(result)


# ---- diff ----

def test_diff_shows_what_is_decided_otherwise(rules, tmp_path):
    inputs = tmp_path / "inputs"
    inputs.write_text("".join(json.dumps({"point": "execute", "input": {"kind": "command", "program": name}}) + "\n"
                              for name in ("ls", "nmap", "xmrig")))
    result = policy("diff", "shipped", rules(), "--inputs", inputs)
    assert result.returncode == 1, text(result)
    out = result.stdout.decode()
    assert out.endswith("1 of 3 inputs are decided differently\n")
    assert re.search(r"^execute .*\n  - verdict=allow.*\n  \+ verdict=deny rule=no-scanners/scanner", out, re.M)
    same = policy("diff", rules(), rules(), "--inputs", inputs)
    assert same.returncode == 0 and same.stdout == b"0 of 3 inputs are decided differently\n"


def test_diff_refuses_inputs_by_line(rules, tmp_path):
    inputs = tmp_path / "inputs"
    inputs.write_text('{"point":"execute","input":{}}\n\n{"point":"execute","input":{"progam":"x"}}\n')
    result = policy("diff", "shipped", rules(), "--inputs", inputs)
    assert result.returncode == 64 and "inputs:3: " in result.stderr.decode(), text(result)


# ---- schema, help ----

def test_schema_is_what_is_shipped():
    assert policy("schema").stdout.decode() == (ROOT / "docs/policy-reference.md").read_text()
    luals = policy("schema", "--format", "luals").stdout.decode()
    assert luals == (ROOT / "lua/library/secureagent.lua").read_text()
    tables = json.loads(policy("schema", "--format", "json").stdout)
    assert [point["name"] for point in tables["points"]] == POINTS
    assert policy("schema", "--format", "xml").returncode == 64


def test_help_of_everything():
    verbs = re.findall(r"^  (\w+) {2,}\w", policy("--help").stdout.decode().split("examples")[0], re.M)
    assert {"list", "test", "lint", "explain", "diff", "trace", "new", "schema", "reload", "rollback"} == set(verbs)
    for verb in verbs:
        shown = run_cli("help", "policy", verb)
        assert shown.returncode == 0 and shown.stdout == policy(verb, "--help").stdout
        assert f"secureagent policy {verb}".encode() in shown.stdout and b"examples:" in shown.stdout
    assert b'did you mean "lint"' in policy("lin").stderr
    assert policy().returncode == 64
