"""apply, get, delete and describe: manifests as they are read, and sandboxes."""
import json
import re
import signal
import subprocess

import pytest

from tests.helpers import server as servers
from tests.helpers.cli import run_cli
from tests.helpers.client import wait_until
from tests.helpers.server import ROOT

BOX = """apiVersion: secureagent.dev/v1
kind: Sandbox
metadata:
  name: from-file
  labels: {team: blue}
spec:
  runtime: bash
  timeout: 600
  resources: {memory: 128Mi}
  env: {GREETING: hello}
"""
POOL = "apiVersion: secureagent.dev/v1\nkind: WarmPool\nmetadata: {name: p}\nspec:\n  runtime: python\n"


@pytest.fixture
def apply(cli, tmp_path):
    def run(text, *args, name="m.yaml"):
        (tmp_path / name).write_text(text)
        return cli("apply", "-f", tmp_path / name, *args)
    return run


@pytest.fixture
def box(apply, api):
    made = apply(BOX)
    assert made.returncode == 0 and made.stdout == b"sandbox/from-file created\n", made
    yield next(one for one in api.get("/api/v1/sandboxes").json()["items"] if one["name"] == "from-file")
    for one in api.get("/api/v1/sandboxes").json()["items"]:
        api.delete(one["id"], status=(204, 404))


# ---- what is wrong with manifests ----

@pytest.mark.parametrize("text, line, document, said", [
    (POOL + "  minSize: -1\n", 6, 1, "spec.minSize: expected integer in 0..10000"),
    (POOL + "---\n" + POOL + "  scaling:\n    rule: x\n    parms: {}\n", 14, 2,
     'spec.scaling.parms: unknown field "parms", did you mean "params"?'),
    (POOL.replace("WarmPool", "WarmPol"), 2, 1, 'kind: unknown "WarmPol", did you mean "WarmPool"?'),
    (POOL.replace("WarmPool", "Deployment"), 2, 1, "kind: expected Sandbox, WarmPool"),
    (POOL.replace("dev/v1", "dev/v2"), 1, 1, 'apiVersion: expected "secureagent.dev/v1"'),
    (POOL.split("\n", 1)[1], 1, 1, 'apiVersion: missing, expected "secureagent.dev/v1"'),
    (POOL.replace("kind: WarmPool\n", ""), 1, 1, "kind: missing"),
    (POOL.replace("kind: WarmPool", "kind: WarmPod"), 2, 1, "kind: a WarmPod is made by the server only"),
    (POOL.replace("{name: p}", "{}"), 3, 1, "metadata.name: missing"),
    (POOL.replace("{name: p}", "{name: P_}"), 3, 1, "metadata.name: "),
    (POOL + "  minSize: 9\n  maxSize: 3\n", 6, 1, "spec.minSize: 9 is more than maxSize"),
    (POOL + "  runtime: bash\n", 6, None, '"runtime" is there twice, first in line 5'),
    (POOL + " x: [\n", 6, None, "this is no YAML"),
    ("- a\n", 1, None, "expected an object"),
    (POOL + "  x: !!binary aGk=\n", 6, None, "tags"),
])
def test_a_mistake_is_told_with_its_place(apply, tmp_path, text, line, document, said):
    result = apply(text)
    assert result.returncode == 64 and result.stdout == b""
    first = result.stderr.decode().splitlines()[0]
    place = f"m.yaml:{line}, document {document}: " if document else f"m.yaml: line {line}: "
    assert place in first and said in first, first
    assert b"nothing was done" in result.stderr


def test_nothing_is_written_when_one_of_all_is_wrong(cli, api, tmp_path):
    (tmp_path / "good.yaml").write_text(BOX)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.json").write_text(json.dumps({"kind": "Sandbox"}))
    (tmp_path / "sub" / "b.yml").write_text(POOL + "  ttl: 1\n")
    (tmp_path / "sub" / "notes.txt").write_text("no manifest")
    result = cli("apply", "-f", tmp_path / "good.yaml", "-f", tmp_path / "sub", "-f", tmp_path / "none.yaml")
    assert result.returncode == 64 and result.stdout == b""
    told = result.stderr.decode()
    assert "a.json:1, document 1: apiVersion" in told and "b.yml:6, document 1: spec.ttl" in told
    assert "none.yaml" in told and "notes.txt" not in told
    assert "from-file" not in {one["name"] for one in api.get("/api/v1/sandboxes").json()["items"]}


@pytest.mark.parametrize("args, said", [
    ((), b"which manifests?"), (("x.yaml",), b"one argument too many"),
    (("-f", "/dev/null"), b"there is no manifest"),
])
def test_apply_mistakes(cli, args, said):
    result = cli("apply", *args)
    assert result.returncode == 64 and said in result.stderr, result


# ---- sandboxes ----

def test_apply_makes_a_sandbox_once(apply, api, cli, box):
    assert box["labels"] == {"team": "blue"} and box["timeout"] == 600
    assert box["resources"]["memory"] == "128Mi"
    assert cli("exec", "from-file", "printenv", "GREETING").stdout == b"hello\n"
    assert apply(BOX).stdout == b"sandbox/from-file unchanged\n"
    more = BOX.replace("team: blue", "team: red").replace("timeout: 600", "timeout: 700")
    assert apply(more, "--dry-run").stdout == b"sandbox/from-file configured (dry run)\n"
    assert api.describe(box["id"])["timeout"] == 600
    assert apply(more).stdout == b"sandbox/from-file configured\n"
    now = api.describe(box["id"])
    assert now["timeout"] == 700 and now["labels"] == {"team": "red"}
    idle = more + "  lifecycle: {idleTimeout: 90, onTimeout: pause}\n"
    assert apply(idle).stdout == b"sandbox/from-file configured\n"
    assert api.describe(box["id"])["lifecycle"]["idleTimeout"] == 90
    assert apply(more).stdout == b"sandbox/from-file configured\n"
    now = api.describe(box["id"])
    assert "idleTimeout" not in now["lifecycle"] and now["lifecycle"]["onTimeout"] == "delete"
    assert apply(more).stdout == b"sandbox/from-file unchanged\n"


def test_what_cannot_change_is_refused(apply, box):
    result = apply(BOX.replace("runtime: bash", "runtime: python"))
    assert result.returncode == 64 and result.stdout == b""
    assert re.search(rb"m.yaml:7, document 1: spec.runtime: ", result.stderr), result


def test_apply_reads_json_from_a_pipe(cli, api):
    manifest = {"apiVersion": "secureagent.dev/v1", "kind": "Sandbox", "metadata": {"name": "piped"},
                "spec": {"runtime": "bash", "env": {"FACE": "\U0001F600"}}}
    text = json.dumps({"kind": "List", "items": [manifest]}).encode()
    assert b"\\ud83d" in text
    assert cli("apply", "-f", "-", "--dry-run", stdin=text).stdout == b"sandbox/piped created (dry run)\n"
    assert "piped" not in {one["name"] for one in api.get("/api/v1/sandboxes").json()["items"]}
    assert cli("apply", "-f", "-", stdin=text).stdout == b"sandbox/piped created\n"
    assert cli("exec", "piped", "printenv", "FACE").stdout.decode() == "\U0001F600\n"
    assert cli("delete", "-f", "-", stdin=text).stdout == b"sandbox/piped deleted\n"
    gone = cli("delete", "-f", "-", stdin=text)
    assert gone.returncode == 69 and b"piped" in gone.stderr


def test_unknown_fields_with_lenient(apply, cli):
    text = BOX.replace("timeout: 600", "timout: 600").replace("from-file", "lenient-box")
    assert apply(text).returncode == 64
    assert apply(text, "--lenient").stdout == b"sandbox/lenient-box created\n"
    assert cli("delete", "sb/lenient-box").returncode == 0


def test_what_the_server_refuses_has_its_place(apply, cli):
    text = BOX.replace("from-file", "cannot-be") + "  requiredControls: [moon-phase]\n"
    result = apply(text + "---\n" + BOX.replace("from-file", "after"))
    assert result.returncode == 64 and result.stdout == b"sandbox/after created\n", result
    assert b"m.yaml:11, document 1: spec.requiredControls[0]" in result.stderr, result
    assert cli("delete", "sandbox", "after").returncode == 0


def test_all_that_the_server_refuses_has_its_place(apply):
    result = apply(BOX + "  storage: {persistent: true}\n  secretsRef: [a]\n")
    assert result.returncode == 69 and result.stdout == b"", result
    told = [line.split(": ")[1:3] for line in result.stderr.decode().splitlines()]
    assert [place.split(":")[-1] + " " + path for place, path in told] == [
        "11, document 1 spec.storage.persistent", "12, document 1 spec.secretsRef"], told


# ---- get ----

def test_get_shows_sandboxes(cli, box):
    heading, *rows = cli("get", "sandboxes").stdout.decode().splitlines()
    assert heading.split() == ["NAME", "PHASE", "RUNTIME", "LEVEL", "START", "AGE"]
    [row] = [row.split() for row in rows if row.startswith("from-file ")]
    assert row[1:4] == ["Running", "bash", "standard"] and re.fullmatch(r"\d+[smhd]", row[5])
    wide = cli("get", "sb", "from-file", "-o", "wide").stdout.decode().splitlines()[0].split()
    assert {"EXPIRES", "NODE", "REASON"} <= set(wide)
    assert cli("get", "sandbox/from-file", "-o", "name").stdout == b"sandbox/from-file\n"
    assert json.loads(cli("get", "Sandbox", "from-file", "-o", "json").stdout)["id"] == box["id"]
    listed = json.loads(cli("get", "sandboxes", "-l", "team=blue", "-o", "json").stdout)["items"]
    assert box["id"] in [one["id"] for one in listed] and {one["labels"]["team"] for one in listed} == {"blue"}
    yaml = cli("get", "sandboxes", "-o", "yaml").stdout.decode()
    assert "items:\n" in yaml and f"id: {box['id']}" in yaml


def test_get_selects(cli, box):
    def names(*args):
        return cli("get", "sandboxes", "-o", "name", *args).stdout.decode().split()
    assert names("-l", "team=blue") == ["sandbox/from-file"]
    assert names("--field-selector", "status.phase=Running", "-l", "team=blue") == ["sandbox/from-file"]
    assert names("--field-selector", "status.phase=Paused", "-l", "team=blue") == []
    nothing = cli("get", "sandboxes", "-l", "team=green")
    assert nothing.returncode == 0 and nothing.stdout == b"" and b"there are no sandboxes that match" in nothing.stderr


@pytest.mark.parametrize("args, status, said", [
    ((), 64, b"too few"), (("warmpols",), 64, b'did you mean "warmpools"?'), (("frobnicators",), 64, b"there are "),
    (("sb", "a", "-l", "x=y"), 64, b"either names or selectors"), (("sb", "-o", "xml"), 64, b"or name"),
    (("sb", "no-such-box"), 69, b"no-such-box"), (("sb/a", "pool/b"), 64, b"one kind at a time"),
    (("sb/a", "b"), 64, b"KIND/NAME"), (("sb", "a/b"), 64, b"is no name"), (("sb", "a", "b", "-w"), 64, b"one name"),
    (("sb", "--field-selector", "spec.x=1"), 64, b"status.phase"), (("sb", "-l", "a=="), 0, b""),
])
def test_get_mistakes(cli, args, status, said):
    result = cli("get", *args)
    assert result.returncode == status and said in result.stderr, result


def watching(cli, path, *args):
    with open(path, "wb") as out:
        return subprocess.Popen([servers.BIN / "secureagent", "get", *args], stdout=out, stderr=subprocess.STDOUT,
                                env=cli.environment)


def test_get_follows_sandboxes(cli, box, tmp_path):
    out = tmp_path / "out"
    process = watching(cli, out, "sandboxes", "-w", "-l", "team=blue")
    try:
        wait_until("the first row", lambda: "Running" in out.read_text())
        assert cli("pause", "from-file").returncode == 0
        wait_until("its pause", lambda: "Paused" in out.read_text())
        assert cli("rm", "from-file").returncode == 0
        wait_until("its end", lambda: "Terminated" in out.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    lines = out.read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["PHASE", "Running", "Paused", "Terminated"]
    assert len({line.index(line.split()[2]) for line in lines}) <= 2  # columns only grow wider


# ---- delete, describe ----

def test_delete_and_describe_a_sandbox(cli, api, box):
    plain = cli("describe", "from-file").stdout
    assert b"id: " + box["id"].encode() in plain
    assert cli("describe", "sandbox", "from-file").returncode == 0
    assert cli("describe", "sb/from-file", "-o", "json").returncode == 0
    result = cli("delete", "sandbox", "from-file", "no-such-box", "--wait")
    assert result.returncode == 69 and result.stdout == b"sandbox/from-file deleted\n"
    assert b"no-such-box" in result.stderr and b"ps -a" in result.stderr
    assert api.describe(box["id"])["phase"] == "Terminated"


@pytest.mark.parametrize("args, said", [
    ((), b"what?"), (("sandbox",), b"which sandboxes?"), (("-f", "x", "sb", "y"), b"either names or -f"),
    (("thing", "x"), b"no kind"),
])
def test_delete_mistakes(cli, args, said):
    result = cli("delete", *args)
    assert result.returncode == 64 and said in result.stderr, result


@pytest.mark.parametrize("command", ["apply", "get", "delete", "describe"])
def test_help_has_examples(command):
    shown = run_cli(command, "--help").stdout.decode()
    assert shown.startswith(f"usage: secureagent {command}") and f"examples:\n  secureagent {command}" in shown


def test_the_example_is_taken(cli):
    example = ROOT / "examples" / "sandbox.yaml"
    assert cli("apply", "-f", example, "--dry-run").stdout == b"sandbox/notebook created (dry run)\n"
    assert cli("apply", "-f", example).stdout == b"sandbox/notebook created\n"
    assert cli("apply", "-f", example).stdout == b"sandbox/notebook unchanged\n"
    assert cli("delete", "-f", example, "--wait").stdout == b"sandbox/notebook deleted\n"
