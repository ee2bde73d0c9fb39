"""`secureagent up`: start, stop, restart, and what it refuses."""
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

from tests.helpers import server as servers
from tests.helpers.cli import check_gone, environment, run_cli
from tests.helpers.client import Api, wait_until
from tests.helpers.policies import Rules

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
API_UID = 0x5FFFFFFF


def up(data_dir, *args, timeout=30, **more):
    """An `up` that is expected to end by itself."""
    return run_cli("up", "--listen", "127.0.0.1:0", "--data-dir", data_dir, *args,
                   timeout=timeout, **more)


def copy_programs(folder, leave_out=()):
    for name in ("secureagent", "sandbox-node", "agent-api", "execution-runtime"):
        if name not in leave_out:
            shutil.copy2(servers.BIN / name, folder / name)
    return folder


def works(server, key=None):
    api = Api(server.url, key or server.key)
    sandbox = api.create("bash")
    assert api.execute(sandbox["id"], command=["echo", "hi"])["stdout"] == "hi\n"
    api.close()
    return sandbox


# ---- start ----

def test_one_json_line_once_it_is_ready(tmp_path):
    process = subprocess.Popen([servers.BIN / "secureagent", "up", "--listen", "127.0.0.1:0",
                                "--data-dir", tmp_path / "d", "-o", "json"], env=environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        first = json.loads(process.stdout.readline())
        assert set(first) == {"url", "apiKey"}
        api = Api(first["url"], first["apiKey"])
        assert api.get("/readyz").json()["ready"] is True
        api.close()
    finally:
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(servers.STOP_S) == 0
        process.stdout.close()
    assert rest == b""


def test_text_for_people(tmp_path):
    process = subprocess.Popen([servers.BIN / "secureagent", "up", "--listen", "127.0.0.1:0",
                                "--data-dir", tmp_path / "d"], env=environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        lines = [process.stdout.readline() for _ in range(4)]
    finally:
        process.send_signal(signal.SIGTERM)
        text = "".join(lines) + process.stdout.read()
        assert process.wait(servers.STOP_S) == 0
        process.stdout.close()
    found = json.loads((tmp_path / "d" / "cli.json").read_text())
    assert found["url"] in text and found["apiKey"] in text and "curl" in text
    assert f"{servers.BIN}/secureagent run" in text  # it can be typed: the PATH does not lead to it


def test_a_reader_that_has_gone_is_no_failure(tmp_path):
    out, into = os.pipe()
    os.close(out)
    process = subprocess.Popen([servers.BIN / "secureagent", "up", "--listen", "127.0.0.1:0",
                                "--data-dir", tmp_path / "d"], env=environment(), stdout=into,
                               stderr=subprocess.DEVNULL)
    os.close(into)
    wait_until("it to serve", (tmp_path / "d" / "cli.json").exists)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(servers.STOP_S) == 0


def test_files_are_private_and_the_key_is_kept(new_server, tmp_path):
    one = new_server(data_dir=tmp_path / "d")
    for path, mode in ((one.data_dir / "cli.json", 0o600), (one.data_dir / "lock", 0o600),
                       (one.data_dir / "api", 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
    assert not (one.data_dir.stat().st_mode & 0o066)
    assert one.stop() == 0
    two = new_server(data_dir=tmp_path / "d")
    assert two.key == one.key
    works(two)


def test_a_restart_tells_of_the_pods_of_before_in_one_line(new_server, tmp_path):
    (tmp_path / "pool.yaml").write_text("apiVersion: secureagent.dev/v1\nkind: WarmPool\nmetadata: {name: three}\n"
                                        "spec: {runtime: bash, minSize: 3}\n")

    def full(server):
        status = json.loads(run_cli("get", "pool", "three", "-o", "json", server=server).stdout)["status"]
        return status.get("available") == 3
    one = new_server(data_dir=tmp_path / "d")
    assert run_cli("apply", "-f", tmp_path / "pool.yaml", server=one).returncode == 0
    wait_until("it to be full", lambda: full(one))
    assert one.stop() == 0
    two = new_server(data_dir=tmp_path / "d")
    wait_until("it to be full again", lambda: full(two))
    lines = [line for line in two.log().splitlines() if "pod" in line]
    assert len([line for line in lines if "pods ended with the last run" in line and "count=3" in line]) == 1, lines
    assert not [line for line in lines if "pod failed" in line], lines


@ROOT_ONLY
def test_the_api_holds_no_privilege(server):
    pid = server.pid_of("agent-api")
    status = dict(line.split(":\t", 1) for line in
                  pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    assert status["Uid"].split() == [str(API_UID)] * 4
    assert status["Gid"].split() == [str(API_UID)] * 4
    assert status["Groups"].split() == []
    assert status["NoNewPrivs"] == "1"
    for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert (server.data_dir / "api").stat().st_uid == API_UID


@ROOT_ONLY
def test_a_closed_parent_folder_is_no_obstacle(new_server, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    works(new_server(data_dir=closed / "made" / "on the way"))
    assert (closed / "made" / "on the way" / "api" / "secureagent.db").exists()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@ROOT_ONLY
def test_as_an_unprivileged_user(new_server):
    one = new_server(user=(54321, 54321))
    sandbox = works(one)
    assert any(text.startswith("userns.range") for text in sandbox["weaker"])
    for pid in one.processes():
        assert os.stat(f"/proc/{pid}").st_uid in (54321, 0)  # 0: not dumpable
    assert one.stop() == 0


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=sa.test", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, capture_output=True)
    os.chmod(folder / "key.pem", 0o600)
    return folder / "cert.pem", folder / "key.pem"


def test_https_with_a_key_that_only_its_owner_reads(new_server, tmp_path):
    cert, key = make_certificate(tmp_path)
    one = new_server(args=["--tls-cert", str(cert), "--tls-key", str(key)])
    assert one.url.startswith("https://")
    assert run_cli("ps", server=one).returncode == 0  # found, and trusted, by its certificate
    elsewhere = ("--url", one.url, "--api-key", one.key)
    stranger = run_cli("ps", *elsewhere)
    assert stranger.returncode == 69 and b"certificate" in stranger.stderr.lower()
    assert run_cli("ps", *elsewhere, "--cacert", cert).returncode == 0


def test_options_from_file_and_environment(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"maxSandboxes": 7, "logLevel": "warn"}))
    shown = run_cli("up", "--config", tmp_path / "c.json", "--log-level=error", "--print-config",
                    env={"SECUREAGENT_LISTEN": "127.0.0.1:1"}).stdout.decode()
    lines = {line.split(" = ")[0].strip(): line for line in shown.splitlines()}
    assert "7 " in lines["max-sandboxes"] and "# file" in lines["max-sandboxes"]
    assert "error" in lines["log-level"] and "# flag" in lines["log-level"]
    assert "127.0.0.1:1 " in lines["listen"] and "# environment" in lines["listen"]
    assert "# default" in lines["retention"]


# ---- refusals ----

@pytest.mark.parametrize("args, word", [
    (["--lissten", "x"], b"did you mean --listen?"),
    (["--max-sandboxes", "0"], b"1..100000"),
    (["--tls-cert", "/nothing"], b"belong together"),
    (["--log-level", "loud"], b"loud"),
    (["-o", "yaml"], b"text or json"),
    (["extra"], b"extra"),
    (["--listen", "not-an-address"], b"not-an-address"),
    (["--tls-cert", "/nothing", "--tls-key", "/nothing"], b"/nothing: No such file"),
])
def test_mistakes_are_named(tmp_path, args, word):
    result = up(tmp_path / "d", *args)
    assert result.returncode == 64, result.stderr
    assert word in result.stderr and result.stdout == b""


def test_an_unknown_key_in_the_file_is_refused(tmp_path):
    (tmp_path / "c.json").write_text('{"maxSandbox": 7}')
    result = up(tmp_path / "d", "--config", tmp_path / "c.json")
    assert result.returncode == 64 and b'did you mean "maxSandboxes"?' in result.stderr


def test_a_second_server_on_the_same_folder_is_refused(server):
    result = up(server.data_dir)
    assert result.returncode == 75
    assert b"running already" in result.stderr and str(server.pid).encode() in result.stderr
    works(server)


def test_a_port_in_use_is_told(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        result = run_cli("up", "--listen", address, "--data-dir", tmp_path / "d")
    assert result.returncode == 75
    assert address.encode() in result.stderr and b"in use" in result.stderr
    assert b"--listen" in result.stderr and b"unexpectedly" not in result.stderr
    assert result.stdout == b""


def test_a_folder_that_others_may_write_in_is_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    os.chmod(folder, 0o777)
    result = up(folder)
    assert result.returncode == 64 and b"others may write" in result.stderr


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    user = {"user": 54321, "group": 54321} if os.geteuid() == 0 else {}  # root may write anywhere
    result = subprocess.run([servers.BIN / "secureagent", "up", "--listen", "127.0.0.1:0",
                             "--data-dir", tmp_path / "d"], env=environment(), timeout=60,
                            capture_output=True, **user)
    tmp_path.chmod(0o700)
    assert result.returncode == 64 and b"--data-dir" in result.stderr


def test_a_damaged_key_file_is_told(tmp_path):
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "d" / "cli.json").write_text("{")
    result = up(tmp_path / "d")
    assert result.returncode == 64 and b"cli.json" in result.stderr


def test_a_missing_program_is_told(tmp_path):
    programs = copy_programs(tmp_path, leave_out=["sandbox-node"])
    result = up(tmp_path / "d", binaries=programs)
    assert result.returncode == 69 and b"sandbox-node is missing" in result.stderr


def test_a_node_that_cannot_isolate_ends_it(tmp_path):
    programs = copy_programs(tmp_path, leave_out=["sandbox-node"])
    (programs / "sandbox-node").write_text("#!/bin/sh\necho this kernel has no namespaces >&2\n"
                                           "exit 1\n")
    os.chmod(programs / "sandbox-node", 0o755)
    result = up(tmp_path / "d", "-o", "json", binaries=programs)
    assert result.returncode == 69
    assert b"this kernel has no namespaces" in result.stderr
    assert result.stdout == b""  # never said to be ready


# ---- stop ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything(new_server, number):
    one = new_server()
    api = Api(one.url, one.key)
    sandbox = api.create("bash")["id"]
    api.execute(sandbox, command="sleep 1000 & echo started")
    pids, state = one.processes(), one.state
    assert "sleep" in pids.values()
    start = time.monotonic()
    assert one.stop(number) == 0
    assert time.monotonic() - start < 60
    check_gone(pids, state)
    api.close()


def test_a_second_signal_hurries(new_server):
    one = new_server()
    node = one.pid_of("sandbox-node")
    pids, state = one.processes(), one.state
    os.kill(node, signal.SIGSTOP)  # it will not end by itself
    one.process.send_signal(signal.SIGTERM)
    time.sleep(0.7)
    assert one.process.poll() is None
    start = time.monotonic()
    assert one.stop(signal.SIGTERM) == 0
    assert time.monotonic() - start < 9  # it is given ten otherwise
    check_gone(pids, state)  # also what the node, which had to be killed, could not remove


# ---- deaths ----

def test_kill_9_of_the_supervisor_and_a_restart_finds_what_ran(new_server, tmp_path):
    one = new_server(data_dir=tmp_path / "d")
    api = Api(one.url, one.key)
    sandbox = api.create("bash")["id"]
    api.put(sandbox, "/workspace/a", b"kept")
    programs, state = [one.pid_of("agent-api"), one.pid_of("sandbox-node")], one.state
    one.process.send_signal(signal.SIGKILL)
    one.process.wait(90)
    two = new_server(data_dir=tmp_path / "d")  # at once: it waits for what is still ending
    assert not any(map(servers.is_alive, programs))
    assert two.key == one.key and two.state == state
    again = Api(two.url, two.key)
    wait_until("the sandbox to be reached", lambda: again.request("GET", again.file(sandbox, "/workspace/a")).content == b"kept")
    pids = two.processes()
    works(two)
    assert two.stop() == 0
    check_gone(pids, state)
    again.close()
    api.close()


@pytest.mark.parametrize("name", ["sandbox-node", "agent-api"])
def test_a_dead_part_is_replaced_at_the_same_address(new_server, name):
    one = new_server()
    api = Api(one.url, one.key)
    sandbox = api.create("bash")["id"]
    killed, state = one.pid_of(name), one.state
    os.kill(killed, signal.SIGKILL)
    wait_until("its end", lambda: not servers.is_alive(killed))
    wait_until("a new one", lambda: serves(one))
    assert one.state == state
    assert api.describe(sandbox)["phase"] == "Running"
    works(one)
    assert one.process.poll() is None
    api.close()


def serves(server):
    api = Api(server.url, server.key)
    try:
        return api.request("GET", "/readyz", timeout=60).status_code == 200
    except OSError:
        return False
    finally:
        api.close()


SLOW_TESTS = """
local cases = {}
for i = 1, 40 do
  cases[i] = { name = "case " .. i, input = { program = "slow" }, expect = { verdict = "allow" } }
end
return cases
"""
SLOW_RULE = """
return {
  name = "slow", version = 1, point = "execute",
  decide = function(input)
    local sum = 0
    for i = 1, 200000 do sum = sum + i end
  end,
}
"""


def test_it_is_ready_when_the_rules_are_in_force(new_server):
    """Their tests take a second; nothing that asks /readyz first is turned away."""
    with Rules({"slow": SLOW_RULE, "slow_test": SLOW_TESTS}) as rules:
        one = new_server(args=["--policy-dir", str(rules.folder)])
        killed, waited = one.pid_of("agent-api"), set()
        os.kill(killed, signal.SIGKILL)
        wait_until("its end", lambda: not servers.is_alive(killed))
        api = Api(one.url, one.key)

        def ready():
            try:
                answer = api.request("GET", "/readyz", timeout=60)
            except OSError:
                return False
            waited.add(answer.json()["policies"])
            return answer.status_code == 200
        wait_until("it to be ready", ready)
        assert api.get("/api/v1/policies").json()["generation"]
        assert waited <= {"ok", "being loaded"}
        api.close()


def test_it_gives_up_after_five_deaths_in_a_minute(new_server):
    one = new_server()
    pids, state, deaths = {}, one.state, 0
    while one.process.poll() is None and deaths < 20:  # a slow machine does not get five into a minute at once
        wait_until("it to serve", lambda: serves(one) or one.process.poll() is not None)
        if one.process.poll() is not None:
            break
        pids.update(one.processes())
        node = one.pid_of("sandbox-node")
        os.kill(node, signal.SIGKILL)
        deaths += 1
        wait_until("its end", lambda pid=node: not servers.is_alive(pid))
    assert deaths >= 5
    assert one.process.wait(90) != 0
    assert "giving up" in one.log()
    check_gone(pids, state)
