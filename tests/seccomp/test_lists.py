"""The lists of lua/policies/seccomp-*.lua against what was measured (measure.py, measured/): what programs call is
allowed, nothing telling is, and what is allowed beyond has its reason in beyond.txt."""
import json
import pathlib
import subprocess

import pytest

from tests.helpers import policy

HERE = pathlib.Path(__file__).resolve().parent
RULES = HERE.parents[1] / "lua" / "policies"
LANGUAGES = ["default", "python", "node", "bash", "go"]
BIN = policy.binary().parent
POINT = policy.point("seccomp", target="filter", changes={"allow": {"type": "strings", "required": True},
                                                          "telling": {"type": "strings", "required": True}})


def read(path):
    return [line.split(None, 1) for line in path.read_text().splitlines() if line and not line.startswith("#")]


def measured(name):
    """({calls that worked or may}, {calls that were refused each time})"""
    lines = read(HERE / "measured" / f"{name}.txt")
    return {line[0] for line in lines if len(line) == 1}, {line[0] for line in lines if len(line) == 2}


@pytest.fixture(scope="module")
def calls():
    return json.loads(subprocess.check_output([BIN / "sandbox-node", "--calls"]))


@pytest.fixture(scope="module")
def rules():
    files = {f"policies/{p.name}": p.read_text() for p in sorted(RULES.glob("seccomp-*.lua")) if "_test" not in p.name}
    with policy.Worker(policy.binary(), [POINT]) as worker:
        worker.load(files)
        yield lambda language, level: worker.call("seccomp", {"language": language, "level": level, "filter": {}})["result"]


@pytest.fixture(scope="module")
def allowed(calls, rules):
    def names(language, level):
        found = set()
        for name in rules(language, level)["allow"]:
            found.update(calls["sets"][name[1:]] if name.startswith("@") else [name])
        return found
    return names


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_programs_call_is_allowed(allowed, language):
    worked, _ = measured(language)
    assert len(worked) > 80
    assert worked - allowed(language, "standard") == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_was_refused_is_known(allowed, calls, language):
    """Of the calls that programs tried in vain none is refused by oversight."""
    _, refused = measured(language)
    known = {name: why for name, why in read(HERE / "refused.txt")}
    assert refused - allowed(language, "standard") <= set(known)


@pytest.mark.parametrize("level", ["standard", "high", "custom"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_telling_is_allowed(allowed, calls, rules, language, level):
    got = allowed(language, level)
    assert got and not got & set(calls["never"]) and not got & set(rules(language, level)["telling"])
    assert got <= {name for names in calls["sets"].values() for name in names}


def test_what_is_beyond_has_a_reason(allowed):
    anywhere = set().union(*(measured(language)[0] for language in LANGUAGES))
    beyond = set().union(*(allowed(language, "standard") for language in LANGUAGES)) - anywhere
    reasons = dict(read(HERE / "beyond.txt"))
    assert beyond - set(reasons) == set(), "allowed, never seen, and nobody says why"
    assert set(reasons) - beyond == set(), "a reason for what needs none"
    assert all(len(reason) > 10 for reason in reasons.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_high_is_less_than_standard(allowed, language):
    assert allowed(language, "high") < allowed(language, "standard")


def test_what_the_runtime_calls_is_always_allowed(calls):
    worked, _ = measured("runtime")
    names = set()
    for name in calls["runtime"]:
        names.update(calls["sets"][name[1:]] if name.startswith("@") else [name])
    assert worked - names == set()


def test_every_set_is_used(rules):
    used = set().union(*(rules(language, "standard")["allow"] for language in LANGUAGES))
    assert {name[1:] for name in used} == set(json.loads(subprocess.check_output([BIN / "sandbox-node", "--calls"]))["sets"])


def test_a_level_that_nobody_knows_has_no_list(rules):
    with pytest.raises(KeyError):
        rules("python", "none")
