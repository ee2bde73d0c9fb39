"""`secureagent exec` and `shell`: programs in a sandbox that runs, as if they ran here."""
import hashlib
import os
import random
import re
import signal
import subprocess
import time

import pytest

from tests.helpers import server as servers
from tests.helpers.cli import environment, run_cli
from tests.helpers.client import Api, wait_until
from tests.helpers.cutter import Cutter
from tests.helpers.terminal import Terminal

PROGRAM = servers.BIN / "secureagent"


@pytest.fixture(scope="module")
def box(server):
    api = Api(server.url, server.key)
    with api.sandbox("python", timeout=3600, name="exec-box") as sandbox:
        yield sandbox
    api.close()


def start(server, *args, stdin=subprocess.DEVNULL, env=None):
    return subprocess.Popen([PROGRAM, *map(str, args)], env=environment(server, **(env or {})), stdin=stdin,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def terminal(server, *args, **more):
    return Terminal([PROGRAM, *args], environment(server), **more)


# ---- outcomes ----

@pytest.mark.parametrize("code", [0, 1, 42, 126, 255])
def test_the_exit_code_is_the_programs(cli, box, code):
    result = cli("exec", box, "sh", "-c", f"exit {code}")
    assert (result.returncode, result.stdout, result.stderr) == (code, b"", b"")


def test_a_signal_is_128_and_its_number(cli, box):
    result = cli("exec", box, "sh", "-c", "kill -SEGV $$")
    assert result.returncode == 128 + signal.SIGSEGV and b"signal 11" in result.stderr


def test_the_timeout_is_124(cli, box):
    result = cli("exec", "--timeout", "1s", box, "sh", "-c", "echo on; sleep 60")
    assert (result.returncode, result.stdout) == (124, b"on\n") and b"--timeout" in result.stderr


def test_memory_is_137(cli, api):
    with api.sandbox("python", resources={"memory": "64Mi"}) as sandbox:
        result = cli("exec", sandbox, "python3", "-c", "x = []\nwhile True: x.append(bytearray(1 << 20))")
    assert result.returncode == (137 if os.geteuid() == 0 else 1)


def test_what_cannot_be_started_is_told(cli, box):
    result = cli("exec", box, "/no/such/program")
    assert result.returncode == 127 and b"/no/such/program" in result.stderr, result


# ---- what is passed on ----

def test_arguments_variables_and_folders(cli, box):
    result = cli("exec", "-e", "A=1=2", "-e", "B", "-w", "/tmp", box, "sh", "-c",
                 'echo "$A|$B|$PWD|$1|$2"', "x", "a b", "--env", env={"B": "from here"})
    assert (result.returncode, result.stdout) == (0, b"1=2|from here|/tmp|a b|--env\n"), result.stderr
    result = cli("exec", "-e", "NOT_SET_HERE", box, "true")
    assert result.returncode == 64 and b"NOT_SET_HERE" in result.stderr


def test_flags_behind_the_sandbox_are_the_programs(cli, box):
    assert cli("exec", box, "echo", "-t", "--help", "--", "-i").stdout == b"-t --help -- -i\n"
    assert cli("exec", "--", box, "echo", "-n", "x").stdout == b"x"


def test_output_is_exact_and_apart(cli, box):
    data = bytes(range(256)) * 4000 + random.Random(3).randbytes(2_000_000) + "é🦀".encode()[:-1]
    result = cli("exec", "-i", box, "sh", "-c", "tee /tmp/in; cat /tmp/in >&2", stdin=data)
    assert result.returncode == 0
    assert result.stdout == data and result.stderr == data


@pytest.mark.parametrize("data", [b"", b"a line\n", b"\0\1\xff", random.Random(4).randbytes(300_000)],
                         ids=["nothing", "a line", "bytes", "300 kB"])
def test_input_from_a_pipe_and_a_file(cli, box, tmp_path, data):
    assert cli("exec", "-i", box, "cat", stdin=data).stdout == data
    (tmp_path / "in").write_bytes(data)
    with (tmp_path / "in").open("rb") as source:
        done = subprocess.run([PROGRAM, "exec", "-i", box, "cat"], stdin=source, capture_output=True,
                              env=cli.environment, timeout=60)
    assert (done.returncode, done.stdout) == (0, data)


def test_input_comes_as_it_is_written(server, box):
    process = start(server, "exec", "-i", box, "cat", stdin=subprocess.PIPE)
    for i in range(20):
        process.stdin.write(b"line %d\n" % i)
        process.stdin.flush()
        assert process.stdout.readline() == b"line %d\n" % i
    process.stdin.close()
    assert process.wait(90) == 0
    process.stdout.close(), process.stderr.close()


def test_a_program_that_reads_late_gets_all(cli, box):
    data = random.Random(5).randbytes(3_000_000)
    result = cli("exec", "-i", box, "sh", "-c", "sleep 1.5; md5sum", stdin=data)
    assert result.stdout.split()[0].decode() == hashlib.md5(data).hexdigest(), result.stderr


def test_a_program_that_reads_nothing_ends(cli, box):
    assert cli("exec", "-i", box, "true", stdin=b"x" * 2_000_000).returncode == 0
    result = cli("exec", "-i", box, "head", "-c", "3", stdin=b"x" * 2_000_000)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"xxx", b"")


def test_without_i_there_is_no_input(cli, box):
    assert cli("exec", box, "cat", stdin=b"unasked").stdout == b""


def test_a_reader_that_leaves(server, box, api):
    process = start(server, "exec", box, "yes")
    process.stdout.read(100)
    process.stdout.close()
    assert process.wait(90) == 128 + signal.SIGPIPE
    process.stderr.close()
    wait_until("the program to end", lambda: not api.executions(box, "&status=running"))


# ---- interruptions ----

TRAP = "trap 'echo got it; n=$((n+1))' INT; echo ready; while :; do sleep 0.05; done"


def test_ctrl_c_reaches_the_program_once_and_cancels_twice(server, box, api):
    process = start(server, "exec", box, "sh", "-c", TRAP)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == b"got it\n"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)  # soon enough? else it is the program's again
    begin = time.monotonic()
    while process.poll() is None and time.monotonic() - begin < 120:
        time.sleep(0.3)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    assert process.wait(90) == 130
    process.stdout.close(), process.stderr.close()
    wait_until("the program to end", lambda: not api.executions(box, "&status=running"))


def test_ctrl_c_ends_what_does_not_mind(server, box):
    process = start(server, "exec", box, "sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 128 + signal.SIGINT
    process.stdout.close(), process.stderr.close()


def test_sigterm_cancels(server, box, api):
    process = start(server, "exec", box, "sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(90) == 128 + signal.SIGTERM
    process.stdout.close(), process.stderr.close()
    wait_until("the program to end", lambda: not api.executions(box, "&status=running"))


# ---- connections that break ----

COUNT = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; [ $((i % 100)) -eq 0 ] && sleep 0.05; done; exit 5"


def test_a_connection_that_breaks_is_made_again(server, box):
    with Cutter(server.url) as cutter:
        process = start(server, "exec", box, "sh", "-c", COUNT,
                        env={"SECUREAGENT_URL": cutter.url, "SECUREAGENT_API_KEY": server.key})
        lines = []
        while line := process.stdout.readline():
            lines.append(int(line))
            if lines[-1] in (200, 1200):
                cutter.cut()
        stderr = process.stderr.read()
        assert process.wait(90) == 5, stderr
        assert lines == list(range(1, 3001))
        assert cutter.accepted >= 3
        process.stdout.close(), process.stderr.close()


def test_a_sandbox_that_ends_meanwhile(server, api):
    with api.sandbox("bash") as sandbox:
        process = start(server, "exec", sandbox, "sh", "-c", "echo ready; exec sleep 60")
        assert process.stdout.readline() == b"ready\n"
        api.delete(sandbox)
        assert process.wait(90) not in (0, None)
        assert process.stderr.read()
        process.stdout.close(), process.stderr.close()


# ---- terminals ----

def test_a_terminal_of_its_own(server, box):
    with terminal(server, "exec", "-t", box, "bash", "--norc", rows=30, cols=90) as tty:
        tty.until("$")
        tty.type("stty size; tty; echo $TERM; echo cats\ba\n")
        tty.until(lambda text: "30 90" in text and "/dev/pts/" in text and "xterm" in text)
        tty.resize(40, 101)
        tty.type("stty size\n")
        tty.until("40 101")
        tty.type("sleep 100\n")
        tty.until("sleep 100")
        tty.type("\x03")
        tty.until("^C")
        tty.type("echo alive $?\n")
        tty.until("alive 130")
        tty.type("exit 7\n")
        assert tty.wait() == 7
        assert tty.is_restored()


def test_full_screen_programs(server, box):
    with terminal(server, "exec", "-it", box, "sh", "-c", r"printf '\033[2J\033[5;10Hhere\033[1;1H'; "
                  r"stty raw; head -c1 | od -An -tx1; stty sane") as tty:
        tty.until("here")
        assert tty.screen.display[4][9:13] == "here"
        tty.type("\x1b")
        tty.until("1b")
        assert tty.wait() == 0


def test_a_terminal_needs_one_here(cli, box):
    result = cli("exec", "-t", box, "true")
    assert result.returncode == 64 and b"terminal" in result.stderr


def test_shell(server, box):
    with terminal(server, "shell", "exec-box") as tty:
        tty.type("echo $((6*7)) $0 $-\n")
        tty.until(lambda text: re.search(r"42 .*bash \S*i", text))
        tty.type("exit 3\n")
        assert tty.wait() == 3
        assert tty.is_restored()


def test_the_terminal_is_restored_when_the_server_dies(new_server):
    one = new_server()
    made = subprocess.run([PROGRAM, "run", "-", "-r", "bash", "--keep"], input=b"true", env=environment(one),
                          capture_output=True)
    sandbox = re.search(rb"sb-\w+", made.stderr).group().decode()
    with terminal(one, "shell", sandbox) as tty:
        tty.type("echo $((40+2))\n")
        tty.until("42")
        os.kill(one.pid_of("agent-api"), signal.SIGKILL)
        assert tty.wait(60) == 69
        assert tty.is_restored()


# ---- names ----

def test_names_and_beginnings_will_do(cli, box):
    assert cli("exec", "exec-box", "true").returncode == 0
    assert cli("exec", "exec-b", "true").returncode == 0
    assert cli("exec", box[:12], "true").returncode == 0


@pytest.mark.parametrize("name, status, words", [
    ("nobody", 69, [b'"nobody"', b"secureagent ps"]),
    ("sb-" + "a" * 20, 69, [b"sb-aaaa"]),
    ("", 64, [b"empty"]),
    ("../x", 69, [b"../x"]),
])
def test_unknown_names(cli, name, status, words):
    for command in (["exec", name, "true"], ["logs", name], ["cp", "-", f"{name}:x"], ["pause", name],
                    ["describe", name], ["wait", name], ["rm", name], ["forward", name, "0:80"]):
        if command[0] == "cp" and name in ("", "../x"):
            continue  # those are no names of sandboxes for cp
        result = cli(*command)
        assert result.returncode == status, (command, result.stderr)
        assert all(word in result.stderr for word in words), (command, result.stderr)
        assert result.stdout == b""


def test_ambiguous_names(cli, api):
    with api.sandbox("bash", name="twin-a") as a, api.sandbox("bash", name="twin-b") as b:
        result = cli("exec", "twin", "true")
        assert result.returncode == 75 or result.returncode == 65 or result.returncode == 73, result
        assert a.encode() in result.stderr and b.encode() in result.stderr
        with api.sandbox("bash", name="twin"):
            assert cli("exec", "twin", "true").returncode == 0  # the whole name wins


def test_the_help_tells_exit_statuses():
    for command in ("exec", "run", "logs", "wait", "shell"):
        text = run_cli(command, "--help").stdout.decode()
        assert "124" in text or command == "shell", command
        assert "examples:" in text
