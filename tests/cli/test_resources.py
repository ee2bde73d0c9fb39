"""apply, get, delete and describe: pools, profiles and runtimes, as the server keeps them."""
import json
import re
import signal
import subprocess

import pytest

from tests.helpers import server as servers
from tests.helpers.cli import environment, run_cli
from tests.helpers.client import wait_until
from tests.helpers.server import ROOT

POOL = """apiVersion: secureagent.dev/v1
kind: WarmPool
metadata:
  name: {name}
  labels: {{team: blue}}
  annotations: {{note: mine}}
spec:
  runtime: python
  minSize: 0
  maxSize: {most}
"""
PROFILE = """apiVersion: secureagent.dev/v1
kind: SandboxProfile
metadata: {name: tests-strict}
spec: {securityLevel: high, maxTimeout: 60}
"""


def pool(name="tests", most=0):
    return POOL.format(name=name, most=most)


@pytest.fixture
def apply(cli, tmp_path):
    def run(text, *args):
        (tmp_path / "m.yaml").write_text(text)
        return cli("apply", "-f", tmp_path / "m.yaml", *args)
    return run


@pytest.fixture
def made(apply, cli):
    assert apply(pool()).stdout == b"warmpool/tests created\n"
    yield
    cli("delete", "pool", "tests", "--wait")


def read(cli, *args):
    return json.loads(cli("get", *args, "-o", "json").stdout)


# ---- apply ----

def test_apply_creates_changes_and_leaves(apply, cli, made):
    assert apply(pool()).stdout == b"warmpool/tests unchanged\n"
    before = read(cli, "pool", "tests")
    assert before["spec"]["maxSize"] == 0 and before["metadata"]["generation"] == 1
    assert apply(pool(most=7), "--dry-run").stdout == b"warmpool/tests configured (dry run)\n"
    assert read(cli, "pool", "tests")["metadata"]["generation"] == 1
    assert apply(pool(most=7)).stdout == b"warmpool/tests configured\n"
    after = read(cli, "pool", "tests")
    assert after["spec"]["maxSize"] == 7 and after["metadata"]["generation"] == 2
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_what_a_manifest_leaves_out_has_its_default_and_labels_stay(apply, cli, made):
    assert apply(pool(most=7) + "  ttl: 60\n").returncode == 0
    assert read(cli, "pool", "tests")["spec"]["ttl"] == 60
    text = pool(most=7).replace("team: blue", "tier: one").replace("annotations: {note: mine}", "")
    assert apply(text).stdout == b"warmpool/tests configured\n"
    now = read(cli, "pool", "tests")
    assert now["spec"]["ttl"] == 3600
    assert now["metadata"]["labels"] == {"team": "blue", "tier": "one"}
    assert now["metadata"]["annotations"]["note"] == "mine"
    assert apply(text).stdout == b"warmpool/tests unchanged\n"


MISTAKEN = """apiVersion: secureagent.dev/v1
kind: WarmPool
metadata: {name: tests-bad}
spec:
  runtime: bash
  minSize: -1
  resources:
    cpu: lots
    memory: 1Mi
  typo: 1
---
apiVersion: secureagent.dev/v1
kind: SandboxProfile
metadata: {name: tests-bad}
spec: {maxTimeout: soon}
"""


def test_all_mistakes_of_all_documents_are_told(apply):
    done = apply(MISTAKEN)
    lines = [line.partition("m.yaml:")[2] for line in done.stderr.decode().splitlines()[:-1]]
    assert done.returncode == 64 and done.stdout == b"", done
    assert [line.split(": ")[:2] for line in lines] == [
        ["6, document 1", "spec.minSize"], ["8, document 1", "spec.resources.cpu"], ["9, document 1", "spec.resources.memory"],
        ["10, document 1", "spec.typo"], ["15, document 2", "spec.maxTimeout"]], done


def test_delete_looks_at_names_only(apply, cli, made):
    gone = cli("delete", "-f", "-", "--wait", stdin=MISTAKEN.split("---")[0].replace("tests-bad", "tests").encode())
    assert gone.returncode == 0 and gone.stdout == b"warmpool/tests deleted\n", gone
    nameless = cli("delete", "-f", "-", stdin=MISTAKEN.replace("name: tests-bad", "").encode())
    assert nameless.returncode == 64 and nameless.stderr.count(b"metadata.name: missing") == 2, nameless


def test_what_is_the_servers_is_not_deleted(cli):
    for kind, hint in (("warmpod", b"delete their pool"), ("pod", b"delete the sandbox or the pool")):
        refused = cli("delete", kind, "wp-any")
        assert refused.returncode == 64 and hint in refused.stderr, refused


def test_wide_rows_of_sandboxes_have_their_node(cli):
    assert cli("create", "placed", "--runtime", "bash").returncode == 0
    heading, *rows = cli("get", "sandboxes", "-o", "wide").stdout.decode().splitlines()
    [row] = [row.split() for row in rows if row.startswith("placed ")]
    assert row[heading.split().index("NODE")] == "local"
    assert cli("rm", "placed").returncode == 0


def test_what_is_read_leniently_is_told(apply, cli):
    text = pool("tests-lenient").replace("  minSize: 0\n", "  minSize: 0\n  typo: 1\n  resources: {disk: 1}\n")
    done = apply(text, "--lenient")
    assert done.returncode == 0 and done.stdout == b"warmpool/tests-lenient created\n", done
    lines = done.stderr.decode().splitlines()
    assert ["spec.resources.disk" in lines[0], "spec.typo" in lines[1], len(lines)] == [True, True, 2], done
    assert all("left out: " in line and "m.yaml:" in line for line in lines)
    assert cli("delete", "pool", "tests-lenient", "--wait").returncode == 0


def test_what_get_prints_can_be_applied(cli, made):
    for form in "yaml", "json":
        text = cli("get", "pools", "-o", form).stdout
        again = cli("apply", "-f", "-", stdin=text)
        assert again.returncode == 0 and b"warmpool/tests unchanged\n" in again.stdout, again
    text = cli("get", "pool", "tests", "-o", "yaml").stdout.replace(b"maxSize: 0", b"maxSize: 3")
    assert cli("apply", "-f", "-", stdin=text).stdout == b"warmpool/tests configured\n"
    assert read(cli, "pool", "tests")["spec"]["maxSize"] == 3


def test_what_others_refer_to_comes_first(apply, cli):
    both = pool("tests-both").replace("runtime: python", "runtime: python\n  profile: tests-strict\n"
                                                         "  securityLevel: high")
    done = apply(both + "---\n" + PROFILE)
    assert done.stdout == b"sandboxprofile/tests-strict created\nwarmpool/tests-both created\n", done
    assert apply(both + "---\n" + PROFILE).stdout.count(b"unchanged") == 2
    gone = cli("delete", "-f", "-", "--wait", stdin=(both + "---\n" + PROFILE).encode())
    assert gone.stdout == b"warmpool/tests-both deleted\nsandboxprofile/tests-strict deleted\n", gone


def test_two_at_once_lose_nothing(cli, tmp_path, made):
    """Who comes second looks again."""
    files = []
    for i in range(6):
        files.append(tmp_path / f"{i}.yaml")
        files[-1].write_text(pool().replace("{team: blue}", f"{{key-{i}: x}}"))
    running = [subprocess.Popen([servers.BIN / "secureagent", "apply", "-f", file], env=cli.environment,
                                stdout=subprocess.PIPE) for file in files]
    assert [process.communicate(timeout=120)[0] for process in running] == [b"warmpool/tests configured\n"] * 6
    assert {f"key-{i}" for i in range(6)} < set(read(cli, "pool", "tests")["metadata"]["labels"])


def test_the_examples_apply(cli):
    names = ["pool.yaml", "profile.yaml", "runtime.yaml"]
    args = [arg for name in names for arg in ("-f", ROOT / "examples" / name)]
    assert cli("apply", *args, "--dry-run").returncode == 0
    done = cli("apply", *args)
    assert done.returncode == 0 and done.stdout.count(b"created") == 3, done
    assert cli("apply", *args).stdout.count(b"unchanged") == 3
    for named in (("--runtime", "python-data"), ("--profile", "strict")):
        made = cli("create", *named)
        assert made.returncode == 0, made
        assert cli("rm", made.stdout.decode().split()[-1]).returncode == 0
    assert cli("delete", *args, "--wait").returncode == 0


def test_who_may_only_look_cannot_apply(cli, server, apply, made):
    key = cli("keys", "create", "looker", "--role", "viewer").stdout.decode().strip()
    with_key = ("--url", server.url, "--api-key", key)
    assert run_cli("get", "pools", *with_key).returncode == 0
    result = apply(pool(most=9), *with_key)
    assert result.returncode == 77 and b"m.yaml:" in result.stderr, result
    assert run_cli("delete", "pool", "tests", *with_key).returncode == 77


# ---- get ----

def test_get_shows_columns_of_the_kind(cli, made):
    heading, *rows = cli("get", "warmpools").stdout.decode().splitlines()
    assert heading.split() == ["NAME", "RUNTIME", "SIZE", "AVAILABLE", "ASSIGNED", "PENDING", "HIT", "RATIO", "AGE"]
    [row] = [row.split() for row in rows if row.startswith("tests ")]
    assert row[:7] == ["tests", "python", "0", "0", "0", "0", "-"] and re.fullmatch(r"\d+s", row[7])
    wide = cli("get", "pool", "tests", "-o", "wide").stdout.decode().splitlines()
    assert {"MIN", "MAX", "WHY", "RECYCLING"} <= set(wide[0].split()) and len(wide) == 2
    assert cli("get", "warmpool/tests", "-o", "name").stdout == b"warmpool/tests\n"
    assert "kind: WarmPool\n" in cli("get", "pool", "tests", "-o", "yaml").stdout.decode()
    missing = cli("get", "pool", "no-such")
    assert missing.returncode == 69 and b"no-such" in missing.stderr and missing.stdout == b""


@pytest.mark.parametrize("kind", ["warmpods", "wpod", "pods", "profiles", "runtimes", "rte", "sbp", "WarmPod"])
def test_get_knows_every_kind(cli, kind):
    result = cli("get", kind)
    assert result.returncode == 0 and (result.stdout or b"there are no" in result.stderr), result


def test_get_walks_all_pages_and_selects(apply, cli):
    many = "---\n".join(pool(f"many-{i}").replace("blue", "red" if i % 2 else "green") for i in range(30))
    assert apply(many).stdout.count(b"created") == 30
    try:
        def names(*args):
            return [line for line in cli("get", "pools", "-o", "name", *args).stdout.decode().split() if "many" in line]
        assert len(names()) == 30 and len(names("-l", "team=red")) == 15
        assert names("--field-selector", "metadata.name=many-3") == ["warmpool/many-3"]
        bad = cli("get", "pools", "--field-selector", "spec.nothing=1")
        assert bad.returncode == 64, bad
    finally:
        assert cli("delete", "-f", "-", stdin=many.encode()).returncode == 0


# ---- get -w ----

class Following:
    def __init__(self, path, *args, env):
        self.path = path
        with open(path, "wb") as out:
            self.process = subprocess.Popen([servers.BIN / "secureagent", "get", *args, "-w"], stdout=out,
                                            stderr=open(str(path) + ".err", "wb"), env=env)

    def text(self):
        return self.path.read_text()

    def errors(self):
        return self.path.with_name(self.path.name + ".err").read_text()

    def wait(self, pattern):
        return wait_until(f"{pattern} in what it prints", lambda: re.search(pattern, self.text(), re.M))

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


@pytest.fixture
def follow(tmp_path):
    started = []

    def run(*args, env):
        started.append(Following(tmp_path / f"out-{len(started)}", *args, env=env))
        return started[-1]
    yield run
    for one in started:
        if one.process.poll() is None:
            one.stop()


def test_watch_prints_what_changes(apply, cli, follow, made):
    watch = follow("pools", env=cli.environment)
    named = follow("pool", "tests", "-o", "json", env=cli.environment)
    wide = follow("pools", "-o", "wide", env=cli.environment)
    for one in (watch, named, wide):
        one.wait("tests")
    assert apply(pool(most=7)).returncode == 0  # no column of the narrow table tells it
    assert apply(pool("tests-other")).returncode == 0
    watch.wait("^tests-other ")
    wide.wait(r"^tests .* 7 ")
    assert cli("delete", "pool", "tests-other").returncode == 0
    assert apply(pool(most=8)).returncode == 0
    named.wait('"maxSize":8')
    heading = watch.text().splitlines()[0]
    assert heading.startswith("NAME") and watch.text().count("NAME") == 1
    seen = [json.loads(line) for line in named.text().splitlines()]
    assert {one["metadata"]["name"] for one in seen} == {"tests"}
    spec = [one["spec"]["maxSize"] for one in seen]
    assert spec == sorted(spec) and {0, 7, 8} <= set(spec)


def test_watch_goes_on_after_the_server_came_back(new_server, follow, tmp_path):
    first = new_server(data_dir=tmp_path / "data", args=["--listen", "127.0.0.1:0"])
    port = first.url.rsplit(":", 1)[1]
    env = environment(first)
    run_cli("apply", "-f", "-", server=first, stdin=pool("one").encode())
    watch = follow("pools", env=env)
    watch.wait("^one ")
    assert first.stop() == 0
    wait_until("it to notice", lambda: "trying again" in watch.errors())
    second = new_server(data_dir=tmp_path / "data", args=["--listen", f"127.0.0.1:{port}"])
    assert run_cli("apply", "-f", "-", server=second, stdin=pool("two").encode()).returncode == 0
    watch.wait("^two ")
    assert watch.text().count("one ") == 1 and watch.process.poll() is None


def test_watch_of_what_is_not_there(cli):
    result = cli("get", "pool", "no-such", "-w")
    assert result.returncode == 69 and b"no-such" in result.stderr


# ---- describe, delete ----

def test_describe_shows_spec_status_conditions_and_events(cli, made):
    text = cli("describe", "pool", "tests").stdout.decode()
    assert "kind: WarmPool\n" in text and "\nspec:\n" in text and "\nstatus:" in text
    answer = json.loads(cli("describe", "warmpool/tests", "-o", "json").stdout)
    assert answer["warmpool"]["metadata"]["name"] == "tests" and answer["events"]["items"] is not None
    if answer["warmpool"]["status"].get("conditions"):
        assert re.search(r"^conditions:\nTYPE +STATUS", text, re.M)
    assert cli("describe", "pool", "no-such").returncode == 69
    assert cli("describe", "pool", "a", "b").returncode == 64


def events_in(text):
    _, _, table = text.partition("\nevents:\n")
    return [row.split()[2] for row in table.splitlines()[1:]]


def test_events_are_in_order_and_about_this_object(cli, apply):
    reasons = {"RuntimeNotFound": "runtime: no-such", "ProfileNotFound": "runtime: bash, profile: no-such",
               "ControlUnavailable": "runtime: bash, securityLevel: high"}

    def manifest(spec):
        return ("apiVersion: secureagent.dev/v1\nkind: WarmPool\nmetadata: {name: eventful}\n"
                f"spec: {{{spec}, minSize: 1}}\n")

    def described():
        return cli("describe", "pool", "eventful").stdout.decode()
    for count, (reason, spec) in enumerate(reasons.items(), 1):
        apply(manifest(spec))
        wait_until(f"the event {reason}", lambda: reason in events_in(described()))
        assert events_in(described()) == list(reasons)[:count]
    assert cli("delete", "pool", "eventful", "--wait").returncode == 0
    apply(manifest("runtime: bash, securityLevel: high"))
    wait_until("an event", lambda: events_in(described()))
    assert events_in(described()) == ["ControlUnavailable"]
    assert cli("delete", "pool", "eventful", "--wait").returncode == 0


def test_a_pool_without_claims_has_no_hit_ratio(cli, apply):
    apply("apiVersion: secureagent.dev/v1\nkind: WarmPool\nmetadata: {name: unclaimed}\n"
          "spec: {runtime: bash, minSize: 0, maxSize: 0, resources: {memory: 123Mi}}\n")

    def ratio():
        heading, row = cli("get", "pool", "unclaimed").stdout.decode().splitlines()
        return row[heading.index("HIT RATIO"):].split()[0]
    assert ratio() == "-"
    box = cli("create", "--runtime", "bash", "--memory", "123Mi", "--pool", "unclaimed").stdout.decode().strip()
    wait_until("the miss to be counted", lambda: ratio() == "0")
    assert cli("rm", box).returncode == 0
    assert cli("delete", "pool", "unclaimed", "--wait").returncode == 0


def test_delete_waits_and_tells(cli, made):
    result = cli("delete", "pool", "tests", "no-such", "--wait")
    assert result.returncode == 69 and result.stdout == b"warmpool/tests deleted\n"
    assert cli("get", "pool", "tests").returncode == 69
