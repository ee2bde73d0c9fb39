"""The operator's path of docs/policies.md, exactly: a rule is edited while sandboxes run, its test fails
and the old one stays in force, it is mended and in force within a second, and a denial is explained. And
what else `secureagent policy` shows of a server."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from tests.helpers import server as servers
from tests.helpers.cli import environment, run_cli
from tests.helpers.client import wait_until


@pytest.fixture
def folder():
    """For rules: the server's API, a user of its own, must get there."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="secureagent-rules-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


class Operator:
    """Somebody with a folder of rules, a server on them, and a sandbox that runs."""

    def __init__(self, server, rules):
        self.server, self.rules = server, rules
        self.rule = rules / "policies/no-scanners.lua"
        self.test = rules / "policies/no-scanners_test.lua"
        assert self("create", "web", "--runtime", "bash", "--timeout", "1h").returncode == 0

    def __call__(self, *args, **more):
        return run_cli(*args, server=self.server, **more)

    def state(self):
        return json.loads(self("policy", "list", "-o", "json").stdout)

    def edit(self, path, old, new):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def run(self, program):
        """What running a program comes to: None, or the denial."""
        done = self("exec", "web", program)
        return done.stderr.decode() if done.returncode == 77 else None


@pytest.fixture
def operator(new_server, folder):
    made = run_cli("policy", "new", "no-scanners", "--point", "execute", "--dir", folder)
    assert made.returncode == 0, made.stderr
    for name in ("no-scanners.lua", "no-scanners_test.lua"):
        path = folder / "policies" / name
        path.write_text(path.read_text().replace("xmrig", "nmap"))
    tested = run_cli("policy", "test", folder)
    assert tested.returncode == 0, tested.stdout
    return Operator(new_server(args=["--policy-dir", folder]), folder)


def test_the_operators_path(operator):
    # In force.
    first = operator.state()
    denial = operator.run("nmap")
    assert re.search(r"no-scanners/program: nmap must not run here \(decision dec-[a-z2-7]{20}\)", denial)
    assert operator.run("zmap") is None

    # Edited while the sandbox runs; the test is forgotten: refused by itself, the old one stays.
    operator.edit(operator.rule, "nmap", "zmap")
    wait_until("the edit to be refused", lambda: operator.state()["lastReload"]["ok"] is False)
    refused = operator.state()
    assert refused["generation"] == first["generation"]
    (error,) = refused["lastReload"]["errors"]
    assert error["path"].endswith("policies/no-scanners_test.lua") and error["test"] == "what is listed does not run"
    assert operator.run("nmap") and operator.run("zmap") is None
    shown = operator("policy", "list").stdout.decode()
    assert "was refused:\n" in shown and "what is listed does not run" in shown
    told = operator("policy", "reload")
    assert told.returncode == 1 and b"refused, what was in force stays" in told.stderr
    assert b'no-scanners_test.lua: test "what is listed does not run" failed' in told.stderr
    assert "no-scanners_test.lua" in operator.server.log()

    # Mended: in force by itself.
    operator.edit(operator.test, "nmap", "zmap")
    wait_until("the rule to be in force", lambda: operator.state()["generation"] > first["generation"])
    denial = operator.run("zmap")
    assert "zmap must not run here" in denial and operator.run("nmap") is None

    # A denial explained, by its number.
    decision = re.search(r"dec-[a-z2-7]{20}", denial)[0]
    explained = operator("policy", "explain", "--decision", decision).stdout.decode()
    assert "execute: deny by no-scanners/program\n  zmap must not run here" in explained
    assert re.search(r"^  \d+\. deny-miners: nothing to say", explained, re.M)
    assert re.search(r"^  \d+\. no-scanners: deny \(program\): zmap must not run here", explained, re.M)
    assert '  no-scanners: {"programs":["zmap"]}' in explained

    # And in the sandbox's events.
    assert "PolicyDenied" in operator("describe", "web").stdout.decode()


def test_an_edit_is_in_force_within_a_second(operator):
    """Of several: the machine that tests run on may be busy for a moment."""
    best = None
    for n in range(20):
        name = f"tool{n}"
        before = operator.state()["generation"]
        operator.rule.with_name("no-scanners_test.lua").write_text("return {}\n")
        text = re.sub(r"default = \{[^}]*\}", f'default = {{ "{name}" }}', operator.rule.read_text())
        operator.rule.write_text(text)
        began = time.monotonic()
        wait_until("the edit to be in force", lambda: name in json.dumps(operator.state()["rules"]))
        took = time.monotonic() - began
        assert operator.state()["generation"] > before
        best = min(took, best or took)
        if best < 1:
            return
    pytest.fail(f"at best after {best:.2f} s")


def test_explaining_what_has_not_happened(operator):
    asked = ["policy", "explain", "execute", "--sandbox", "web", "--set", "kind=command", "--set", "program=nmap"]
    shown = operator(*asked).stdout.decode()
    assert "deny by no-scanners/program" in shown
    verdict = json.loads(operator(*asked, "-o", "json").stdout)
    assert verdict["verdict"] == "deny" and verdict["generation"] == operator.state()["generation"]
    # With rules that are not in force.
    operator.edit(operator.rule, "nmap", "zmap")
    elsewhere = operator(*asked, "--dir", operator.rules)
    assert elsewhere.stdout.startswith(b"execute: allow\n"), elsewhere
    unknown = operator("policy", "explain", "--decision", "dec-" + "a" * 20)
    assert unknown.returncode == 69


def test_rollback(operator):
    first = operator.state()["generation"]
    operator.edit(operator.rule, "nmap", "zmap")
    operator.edit(operator.test, "nmap", "zmap")
    wait_until("both edits to be in force", lambda: operator.run("zmap"))
    back = operator("policy", "rollback")
    assert back.returncode == 0 and re.match(rb"generation \d+ is in force, after \d+ ms\n", back.stdout)
    assert operator.state()["source"] == "rollback" and operator.run("nmap") and not operator.run("zmap")
    again = operator("policy", "reload")
    assert re.match(rb"generation \d+ is in force, after \d+ ms and \d+ tests\n", again.stdout), again
    assert operator("policy", "rollback", str(first)).returncode == 0 and operator.run("nmap")
    assert operator("policy", "rollback", "4711").returncode == 69
    assert operator("policy", "rollback", "x").returncode == 64


def test_diff_of_what_is_recorded(operator):
    operator.run("nmap")
    shown = operator("policy", "diff", "shipped", operator.rules)
    assert shown.returncode == 1, shown
    assert re.search(rb"^execute dec-\w+\n  - verdict=allow.*\n  \+ verdict=deny rule=no-scanners/program", shown.stdout,
                     re.M)
    assert operator("policy", "diff", operator.rules, operator.rules).returncode == 0


def test_trace(operator):
    operator.run("nmap")
    operator.run("true")
    denied = operator("policy", "trace", "--verdict", "deny", "--sandbox", "web", "--point", "execute").stdout.decode()
    (line,) = denied.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d  dec-\w+  execute +sb-\w+  deny by no-scanners/program: nmap must .*", line)
    objects = [json.loads(line) for line in operator("policy", "trace", "-o", "json").stdout.splitlines()]
    assert {one["verdict"] for one in objects if one["point"] == "execute"} == {"deny", "allow"}
    assert operator("policy", "trace", "--rule", "no-scanners", "-n", "1").stdout.decode() == denied


def test_trace_follows(operator):
    follower = subprocess.Popen([servers.BIN / "secureagent", "policy", "trace", "-f", "--verdict", "deny"],
                                env=environment(operator.server), stdout=subprocess.PIPE)
    try:
        os.set_blocking(follower.stdout.fileno(), False)
        seen = b""

        def told():
            nonlocal seen
            operator.run("nmap")
            with contextlib.suppress(BlockingIOError):
                seen += os.read(follower.stdout.fileno(), 65536)
            return b"no-scanners/program" in seen
        wait_until("the denial to be told", told)
        assert b"allow" not in seen
    finally:
        follower.send_signal(signal.SIGINT)
        follower.wait(30)


def test_a_reload_of_the_same_rules_says_so(operator):
    assert operator("policy", "reload").stdout == b"generation 1 stays in force: the rules are the same\n"


def test_a_file_that_is_too_large_is_refused_like_any_other_mistake(operator):
    operator.rule.with_name("large.lua").write_text(" " * 100_000)
    result = operator("policy", "reload")
    assert result.returncode == 1 and result.stderr.startswith(b"secureagent policy reload: refused"), result
    assert b"large.lua: " in result.stderr


def test_list_shows_rules_by_point(operator):
    operator.run("nmap")
    lines = operator("policy", "list").stdout.decode().splitlines()
    assert re.fullmatch(r"generation 1, from files, since \d+s \([0-9a-f]{12}\)", lines[0])
    rows = [line.split() for line in lines[3:]]
    assert ["execute", "no-scanners", "1", "2", "1", "1", str(operator.rule)] in rows
    points = [row[0] for row in rows]
    assert points == sorted(points, key=points.index)  # each point's are together


def test_who_may_not_see_rules_is_told(operator):
    made = operator("keys", "create", "dev", "--role", "developer")
    key = made.stdout.decode().strip()
    result = run_cli("policy", "list", "--url", operator.server.url, "--api-key", key)
    assert result.returncode == 77
