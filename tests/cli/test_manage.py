"""ps, rm, keys, doctor, and the help of everything."""
import json
import re
import shutil
import socket
import subprocess

import pytest

from tests.helpers import server as servers
from tests.helpers.cli import run_cli
from tests.helpers.client import Api, wait_until

COMMANDS = ["up", "run", "ps", "rm", "keys", "doctor"]


@pytest.fixture
def sandboxes(api):
    made = [api.create("bash", name=f"box-{i}") for i in range(3)]
    yield made
    for one in made:
        api.delete(one["id"], status=(204, 404))


# ---- ps ----

def test_ps_shows_a_table(cli, sandboxes):
    lines = cli("ps").stdout.decode().splitlines()
    assert lines[0].split() == ["ID", "NAME", "RUNTIME", "PHASE", "AGE", "LEFT", "REASON"]
    rows = {line.split()[0]: line.split() for line in lines[1:]}
    for one in sandboxes:
        assert rows[one["id"]][1:4] == [one["name"], "bash", "Running"]
        assert re.fullmatch(r"\d+[smhd]", rows[one["id"]][4])
    assert len({line.index("bash") for line in lines[1:]}) == 1  # columns are aligned


def test_ps_as_json_and_with_those_that_ended(cli, api, sandboxes):
    gone = sandboxes[0]["id"]
    api.delete(gone)
    living = json.loads(cli("ps", "-o", "json").stdout)["items"]
    assert {one["id"] for one in living} >= {one["id"] for one in sandboxes[1:]}
    assert gone not in {one["id"] for one in living}
    every = json.loads(cli("ps", "--all", "--output=json").stdout)["items"]
    assert {one["id"]: one["phase"] for one in every}[gone] == "Terminated"


def test_ps_walks_all_pages(new_server):
    one = new_server(args=["--max-sandboxes", "2000"])
    api = Api(one.url, one.key)
    ids = set()
    for _ in range(1010):
        made = api.session.post(one.url + "/api/v1/sandboxes?wait=false", json={"runtime": "bash"})
        ids.add(made.json()["id"])
        api.session.delete(f"{one.url}/api/v1/sandboxes/{made.json()['id']}")
    listed = json.loads(run_cli("ps", "-a", "-o", "json", server=one).stdout)["items"]
    assert len(listed) == 1010 and {item["id"] for item in listed} == ids
    assert len(run_cli("ps", "-a", server=one).stdout.splitlines()) == 1011
    api.close()


def test_ps_refuses_other_formats(cli):
    result = cli("ps", "-o", "xml")
    assert result.returncode == 64 and b"table, json or yaml" in result.stderr


# ---- rm ----

def test_rm_ends_what_it_is_told(cli, api, sandboxes):
    first, second, third = (one["id"] for one in sandboxes)
    result = cli("rm", first, second)
    assert result.returncode == 0 and result.stdout.decode().split() == [first, second]
    assert api.describe(first)["phase"] == "Terminated"
    assert api.describe(third)["phase"] == "Running"


def test_rm_goes_on_after_an_unknown_id(cli, api, sandboxes):
    result = cli("rm", "sb-" + "a" * 20, "../../../metrics", sandboxes[0]["id"])
    assert result.returncode == 69
    assert result.stdout.decode().split() == [sandboxes[0]["id"]]
    assert len(result.stderr.splitlines()) == 2


def test_rm_twice_says_that_it_has_ended(cli, sandboxes):
    gone = sandboxes[0]["id"]
    assert cli("rm", gone).returncode == 0
    again = cli("rm", gone)
    assert again.returncode == 69 and b"has ended: Deleted" in again.stderr


def test_rm_all(new_server):
    one = new_server()
    api = Api(one.url, one.key)
    ids = {api.create("bash")["id"] for _ in range(4)}
    result = run_cli("rm", "--all", server=one)
    assert result.returncode == 0 and set(result.stdout.decode().split()) == ids
    assert api.get("/api/v1/sandboxes").json()["items"] == []
    assert run_cli("rm", "--all", server=one).stdout == b""
    api.close()


def test_rm_wants_ids_or_all(cli):
    assert cli("rm").returncode == 64
    assert cli("rm", "--all", "sb-x").returncode == 64


# ---- keys ----

def test_keys_are_made_shown_once_and_revoked(cli, server, api):
    made = cli("keys", "create", "ci")
    assert made.returncode == 0
    key = made.stdout.decode().strip()
    assert re.fullmatch(r"sa_[a-z2-7]{8}_[a-z2-7]{32,}", key)
    [identity] = re.findall(r"key-[a-z2-7]{20}", made.stderr.decode())
    assert Api(server.url, key).create("bash")["phase"] == "Running"
    listing = cli("keys", "list").stdout.decode()
    [row] = [line.split() for line in listing.splitlines() if line.startswith(identity)]
    assert row[1:5] == ["ci", "developer", key[:11], "valid"]
    assert key not in listing
    assert cli("keys", "revoke", identity).stdout.decode().strip() == identity
    assert Api(server.url, key).request("GET", "/api/v1/sandboxes").status_code == 401
    [row] = [line for line in cli("keys", "list").stdout.decode().splitlines()
             if line.startswith(identity)]
    assert "revoked" in row
    cli("rm", "--all")


def test_a_viewer_may_only_look(cli, server):
    key = cli("keys", "create", "eyes", "--role", "viewer").stdout.decode().strip()
    with_key = ("--url", server.url, "--api-key", key)
    assert run_cli("ps", *with_key).returncode == 0
    result = run_cli("run", "-", "-r", "bash", *with_key, stdin=b"true")
    assert result.returncode == 77 and b"viewer" in result.stderr


def test_keys_for_e2b_and_keys_that_expire(cli, server):
    made = json.loads(cli("keys", "create", "short", "--e2b", "--expires", "8s", "-o",
                          "json").stdout)
    assert re.fullmatch(r"e2b_[0-9a-f]{40}", made["key"]) and made["expiresAt"]
    assert run_cli("ps", "--url", server.url, "--api-key", made["key"]).returncode == 0
    wait_until("its end", lambda: run_cli("ps", "--url", server.url, "--api-key", made["key"]).returncode == 77)


@pytest.mark.parametrize("args, status", [
    ([], 64), (["make"], 64), (["create"], 64), (["revoke"], 64), (["list", "x"], 64),
    (["create", "x", "--role", "king"], 64), (["create", ""], 64),
    (["create", "x", "--expires", "1ms"], 64), (["revoke", "key-" + "a" * 20], 69),
])
def test_keys_mistakes(cli, args, status):
    result = cli("keys", *args)
    assert result.returncode == status, result.stderr
    assert result.stdout == b"" and result.stderr


# ---- doctor ----

def test_doctor_says_that_it_can_run_here(tmp_path):
    result = run_cli("doctor", "--data-dir", tmp_path / "d", "--listen", "127.0.0.1:0")
    assert result.returncode == 0, result.stdout.decode()
    text = result.stdout.decode()
    assert "SecureAgent can run here." in text
    for name in ("sandbox-node", "execution-runtime", "data directory", "seccomp", "namespaces"):
        assert re.search(rf"^ok +{name}\b", text, re.M), name
    assert not (tmp_path / "d").exists()  # looking changes nothing


def test_doctor_in_json_names_what_is_missing(tmp_path):
    for name in ("secureagent", "sandbox-node", "agent-api"):
        shutil.copy2(servers.BIN / name, tmp_path / name)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run_cli("doctor", "-o", "json", "--data-dir", tmp_path / "d", "--listen",
                         "127.0.0.1:%d" % taken.getsockname()[1], binaries=tmp_path)
    answer = json.loads(result.stdout)
    checks = {check["name"]: check for check in answer["checks"]}
    assert result.returncode == 1 and answer["ok"] is False
    assert not checks["execution-runtime"]["ok"] and checks["execution-runtime"]["hint"]
    assert not checks["port"]["ok"] and "--listen" in checks["port"]["hint"]
    assert checks["sandbox-node"]["ok"] and not checks["sandbox-node"]["hint"]


def test_doctor_and_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    result = run_cli("doctor", "--data-dir", tmp_path / "file" / "d", "--listen", "127.0.0.1:0")
    assert result.returncode == 1 and b"--data-dir" in result.stdout


# ---- help ----

@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command):
    shown = run_cli(command, "--help")
    assert shown.returncode == 0 and shown.stderr == b""
    text = shown.stdout.decode()
    assert text.startswith(f"usage: secureagent {command}")
    assert f"\nexamples:\n  secureagent {command}" in text and "--help" in text
    assert run_cli("help", command).stdout == shown.stdout
    assert run_cli(command, "-h").stdout == shown.stdout


def test_the_general_help_lists_every_command():
    text = run_cli("help").stdout.decode()
    for command in [*COMMANDS, "version", "help"]:
        assert re.search(rf"^  {command}\b", text, re.M), command
    assert run_cli("--help").stdout.decode() == text
    nothing = run_cli()
    assert nothing.returncode == 64 and nothing.stdout == b"" and nothing.stderr.decode() == text


@pytest.mark.parametrize("word, near", [("pss", "ps"), ("rnu", "run"), ("docter", "doctor"),
                                        ("key", "keys"), ("versoin", "version")])
def test_unknown_commands_get_a_suggestion(word, near):
    result = run_cli(word)
    assert result.returncode == 64 and f'did you mean "{near}"?'.encode() in result.stderr


def test_an_unknown_command_that_is_near_nothing():
    result = run_cli("frobnicate")
    assert result.returncode == 64 and b"secureagent help" in result.stderr


def test_version():
    assert re.fullmatch(rb"secureagent \d+\.\d+\.\d+\n", run_cli("version").stdout)


def test_output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "wb") as full:
        result = subprocess.run([servers.BIN / "secureagent", "help"], stdout=full,
                                stderr=subprocess.PIPE)
    assert result.returncode == 74 and result.stderr


def test_create(cli):
    made = cli("create", "named-box", "-r", "bash", "-t", "1m", "-l", "a=b", "-e", "GREETING=hi", "-m", "64Mi")
    assert made.returncode == 0, made
    box = made.stdout.decode().strip()
    described = json.loads(cli("describe", "named-box", "-o", "json").stdout)["sandbox"]
    assert (described["id"], described["runtime"], described["timeout"]) == (box, "bash", 60)
    assert described["labels"] == {"a": "b"} and described["resources"]["memory"] == "64Mi"
    assert cli("exec", "named-box", "printenv", "GREETING").stdout == b"hi\n"
    assert cli("rm", "named-box").returncode == 0
    assert json.loads(cli("create", "-o", "json").stdout)["phase"] == "Running"
    for arguments, word in ((["-l", "a"], b"NAME=VALUE"), (["Bad_Name"], b"name"), (["-r", "cobol"], b"runtime"),
                            (["a", "b"], b"one argument too many"), (["--profile", "nowhere"], b"SandboxProfile"),
                            (["--pool", "nowhere"], b"WarmPool"), (["--level", "iron"], b"securityLevel")):
        bad = cli("create", *arguments)
        assert bad.returncode == 64 and word in bad.stderr, bad
    assert cli("rm", "--all").returncode == 0
