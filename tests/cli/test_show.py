"""What commands show of sandboxes: tables, JSON and YAML, colours, logs; wait, pause and resume."""
import json
import os
import re
import signal
import subprocess
import time

import pytest
import yaml

from tests.helpers import server as servers
from tests.helpers.cli import environment, run_cli
from tests.helpers.client import Api, wait_until
from tests.helpers.cutter import Cutter
from tests.helpers.terminal import Terminal

PROGRAM = servers.BIN / "secureagent"
# Texts that YAML would take for something else, if it were let.
AWKWARD = {"a": "yes", "b": "1.0", "c": "null", "d": "2001-01-01", "e": "0x10", "f": "~", "g": "", "h": "1e3",
           "i": "No", "j": "0o17", "k": "1_000", "l": "0b1", "n": "true"}


@pytest.fixture(scope="module")
def box(server):
    api = Api(server.url, server.key)
    with api.sandbox("python", timeout=3600, name="show-box", labels={k: v for k, v in AWKWARD.items() if v != "~"},
                     annotations={"text": 'a: b # c\n- "d"\\ \t é 🦀', "tilde": "~", "dash": "-", "long": "word " * 60,
                                  "colon": "12:30:45"}) as sandbox:
        api.sh(sandbox, "echo hello")
        api.execute(sandbox, command="exit 3")
        yield sandbox
    api.close()


# ---- formats ----

@pytest.mark.parametrize("command", [["ps"], ["ps", "-a"], ["describe", "show-box"]])
def test_yaml_is_the_same_as_json(cli, box, command):
    as_json, as_yaml = (cli(*command, "-o", form) for form in ("json", "yaml"))
    assert as_json.returncode == as_yaml.returncode == 0, as_yaml.stderr
    data = json.loads(as_json.stdout)
    found = yaml.safe_load(as_yaml.stdout)

    def steady(value):  # what moves between two requests
        if isinstance(value, dict):
            return {k: steady(v) for k, v in value.items() if k not in ("usage", "metrics", "lastUsedAt")}
        return [steady(v) for v in value] if isinstance(value, list) else value
    assert steady(found) == steady(data)
    assert b"{" not in as_yaml.stdout.replace(b"{}", b"").split(b"\n")[0]


def test_describe_as_a_table(cli, box):
    text = cli("describe", "show-box").stdout.decode()
    for word in (box, "show-box", "Running", "python", "echo hello", "exit 3"):
        assert word in text, text
    data = json.loads(cli("describe", box, "-o", "json").stdout)
    assert box in json.dumps(data)


def test_selectors(cli, api, box):
    with api.sandbox("bash", labels={"team": "a", "env": "test"}) as one, \
            api.sandbox("bash", labels={"team": "b"}) as two:
        def listed(selector):
            result = cli("ps", "-l", selector, "-o", "json")
            assert result.returncode == 0, result.stderr
            return {item["id"] for item in json.loads(result.stdout)["items"]} & {one, two, box}
        assert listed("team") == {one, two}
        assert listed("team=a,env!=prod") == {one}
        assert listed("team in (a, b),!env") == {two}
        result = cli("ps", "-l", "a==b==c")
        assert result.returncode == 64 and result.stderr


# ---- colours ----

@pytest.mark.parametrize("env, painted", [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False),
                                          ({"NO_COLOR": ""}, True)])
def test_colours_on_a_terminal_only(server, box, env, painted):
    with Terminal([PROGRAM, "ps"], environment(server, **env)) as tty:
        assert tty.wait() == 0
        assert (b"\x1b[32m" in tty.raw) == painted
        assert box in tty.text
    assert b"\x1b" not in run_cli("ps", server=server).stdout


def test_a_program_cannot_paint_a_table(cli, api, box):
    api.execute(box, command=["printf", "%s", "\x1b[31mred\x07\n\x9b31m"])
    shown = cli("describe", box).stdout
    assert b"\x1b" not in shown and b"\x07" not in shown and b"\xc2\x9b" not in shown


# ---- pause, resume, wait ----

def test_pause_and_resume(cli, api):
    with api.sandbox("bash", name="sleeper") as sandbox, api.sandbox("bash") as other:
        result = cli("pause", "sleeper", other)
        assert (result.returncode, result.stdout.decode().split()) == (0, [sandbox, other])
        assert api.describe(sandbox)["phase"] == "Paused"
        assert cli("wait", sandbox, "--for", "Paused").returncode == 0
        result = cli("resume", "nobody-here", sandbox, other)
        assert result.returncode == 69 and result.stdout.decode().split() == [sandbox, other]
        assert api.describe(other)["phase"] == "Running"


def test_wait(server, cli, api):
    with api.sandbox("bash", name="short") as sandbox:
        assert cli("wait", "short").returncode == 0
        result = cli("wait", "short", "--for", "Paused", "--timeout", "1s")
        assert result.returncode == 124 and result.stderr
        process = subprocess.Popen([PROGRAM, "wait", sandbox, "--for", "Terminated"], env=environment(server))
        api.delete(sandbox)
        assert process.wait(90) == 0
        result = cli("wait", sandbox, "--for", "Running", "--timeout", "20s")
        assert result.returncode not in (0, 124) and result.stderr
        assert cli("wait", sandbox, "--for", "Sideways").returncode == 64


def test_rm_takes_names(cli, api):
    sandbox = api.create("bash", name="away")["id"]
    result = cli("rm", "away")
    assert (result.returncode, result.stdout.decode()) == (0, sandbox + "\n")


# ---- logs ----

def begin(api, sandbox, command):
    return api.post(f"/api/v1/sandboxes/{sandbox}/execute", {"command": command, "background": True},
                    status=202).json()["id"]


def test_logs(cli, api, box):
    execution = api.execute(box, command=r"printf 'a\0\377'; echo b >&2; exit 4")["id"]
    for args in ([box], ["show-box", execution]):
        result = cli("logs", *args)
        assert (result.returncode, result.stdout, result.stderr) == (0, b"a\0\xff", b"b\n")
    assert cli("logs", box, execution, "--offset", "1").stdout == b"\0\xff"
    assert cli("logs", "-f", box, execution).returncode == 4


def test_logs_of_nothing(cli, api):
    with api.sandbox("bash") as sandbox:
        result = cli("logs", sandbox)
        assert result.returncode == 69 and b"nothing was executed" in result.stderr
        for args in ([sandbox, "ex-" + "a" * 20], ["-f", sandbox, "ex-" + "a" * 20]):
            result = cli("logs", *args)
            assert result.returncode == 69 and b"ex-aaaa" in result.stderr


def test_logs_follow_over_connections_that_break(server, api, box):
    execution = begin(api, box, "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo $i; "
                                "[ $((i % 100)) = 0 ] && sleep 0.05; done; echo bad >&2; exit 6")
    with Cutter(server.url) as cutter:
        process = subprocess.Popen([PROGRAM, "logs", "-f", box, execution, "--url", cutter.url, "--api-key",
                                    server.key], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=environment())
        lines = []
        while line := process.stdout.readline():
            lines.append(int(line))
            if lines[-1] in (1, 500, 501, 1500):
                cutter.cut()
        assert process.stderr.read() == b"bad\n"
        assert process.wait(90) == 6 and lines == list(range(1, 2001))
        process.stdout.close(), process.stderr.close()


def test_leaving_logs_leaves_the_program(server, api, box):
    execution = begin(api, box, "echo on; exec sleep 60")
    process = subprocess.Popen([PROGRAM, "logs", "-f", box, execution], env=environment(server),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"on\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 130
    process.stdout.close(), process.stderr.close()
    assert api.execution(box, execution)["status"] == "running"
    api.cancel(box, execution)


# ---- repl ----

def repl(server, *args):
    return Terminal([PROGRAM, "repl", *args], environment(server, HOME="/nonexistent"), rows=40)


def test_repl_python(server, api):
    with repl(server) as tty:
        tty.until("python>")
        tty.type("x = 6\n")
        tty.type("x * 7\n")
        tty.until("\n42\n")
        tty.type("def f(n):\n  return n + 1\n\nf(99)\n")
        tty.until("\n100\n")
        tty.type("{'a':\n 1}['a'] + 200\n")
        tty.until("\n201\n")
        tty.type("1/0\n")
        text = tty.until("ZeroDivisionError: division by zero")
        assert text.count("ZeroDivisionError") == 1
        tty.type("'<' + input('name? ') + '>'\n")
        tty.until("name?")
        tty.type("Ada\n")
        tty.until("'<Ada>'")
        tty.type("import time; print('on'); time.sleep(60)\n")
        tty.until("\non")
        tty.interrupt()
        tty.until("KeyboardInterrupt")
        tty.type("x + 1000\n")
        tty.until("1006")
        tty.until(lambda text: text.endswith("python>"))
        tty.type("\x04")
        assert tty.wait() == 0
    assert not [one for one in api.get("/api/v1/sandboxes").json()["items"] if one["timeout"] == 86400]


def test_repl_node_in_a_sandbox(server, api, box):
    with repl(server, "show-box", "-l", "node") as tty:
        tty.until("node>")
        tty.type("let x = [1, 2].map(n => n * 2)\n")
        tty.type("x\n")
        tty.until(lambda text: re.search(r"\[ ?2, 4 ?\]", text))
        tty.type("await Promise.resolve(77)\n")
        tty.until("\n77")
        tty.until(lambda text: text.endswith("node>"))
        tty.type("\x04")
        assert tty.wait() == 0
    assert api.get(f"/api/v1/sandboxes/{box}/contexts").json()["items"] == []


def test_repl_from_a_pipe(cli, box):
    result = cli("repl", box, stdin=b"x = 20\nx + 2\nfor i in range(2):\n  print(i)\n\ninput()\nyes\n")
    assert (result.returncode, result.stderr) == (0, b""), result
    assert [line for line in result.stdout.decode().split() if line in ("22", "0", "1", "'yes'")] == \
        ["22", "0", "1", "'yes'"]


def test_repl_in_bash(cli, box):
    result = cli("repl", box, "-l", "bash", stdin=b"x=5\necho $((x + 1))\ncd /tmp\npwd\n")
    assert result.returncode == 0 and b"6\n" in result.stdout and b"/tmp\n" in result.stdout
    assert cli("repl", box, "-l", "perl").returncode == 64
