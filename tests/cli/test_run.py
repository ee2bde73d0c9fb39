"""`secureagent run`: a program in a sandbox, as if it ran here."""
import json
import os
import random
import signal
import subprocess
import time

import pytest

from tests.helpers import server as servers
from tests.helpers.cli import environment, run_cli
from tests.helpers.client import wait_until


def script(folder, text, name="program.py"):
    path = folder / name
    path.write_text(text)
    return path


def start(server, *args, **more):
    return subprocess.Popen([servers.BIN / "secureagent", "run", *map(str, args)],
                            env=environment(server), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def running(api):
    return api.get("/api/v1/sandboxes?labelSelector=made-by%3Dsecureagent-run").json()["items"]


@pytest.fixture(autouse=True)
def nothing_is_left(api):
    yield
    assert running(api) == []


# ---- exit codes ----

@pytest.mark.parametrize("code", [0, 1, 7, 126, 255])
def test_the_exit_code_is_the_programs(cli, tmp_path, code):
    result = cli("run", script(tmp_path, f"import sys; sys.exit({code})"))
    assert (result.returncode, result.stdout, result.stderr) == (code, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_is_128_and_its_number(cli, tmp_path, number):
    program = script(tmp_path, f"import os; os.kill(os.getpid(), {int(number)})")
    result = cli("run", program)
    assert result.returncode == 128 + number
    assert b"signal %d" % number in result.stderr and b"memory" not in result.stderr


def test_the_timeout_is_124(cli, tmp_path):
    start_s = time.monotonic()
    result = cli("run", script(tmp_path, "print('on'); import time; time.sleep(60)"),
                 "--timeout", "5s")
    assert result.returncode == 124 and b"--timeout" in result.stderr
    assert result.stdout == b"on\n"
    assert time.monotonic() - start_s < 50


def test_too_much_memory_is_137_and_says_so(cli, server, tmp_path):
    program = script(tmp_path, "x = []\nwhile True: x.append(bytearray(1 << 20))")
    result = cli("run", program, "--memory", "64Mi")
    if os.geteuid() == 0:
        assert result.returncode == 137 and b"--memory" in result.stderr
    else:
        assert result.returncode != 0


def test_an_uncaught_error_is_the_programs_own(cli, tmp_path):
    result = cli("run", script(tmp_path, "raise KeyError('no')"))
    assert result.returncode == 1
    assert b"KeyError: 'no'" in result.stderr and b"program.py" in result.stderr


# ---- output ----

AWKWARD = {
    "every byte": bytes(range(256)) * 40,
    "nul and one": b"\0\1\0\0\1\1" + b"text" + b"\0",
    "looks escaped": rb'\u0000 \u0001 \\u0000 \"',
    "nul among escapes": b'\\u0000\0\\\0\\\\u0001\1"\n',
    "utf-8": "żółć 漢字 🦀\n".encode() * 3000,
    "cut utf-8": "🦀".encode()[:3],
    "no newline": b"x" * 200000,
    "nothing": b"",
    "random": random.Random(7).randbytes(3_000_000),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_output_is_exact(cli, tmp_path, name):
    data = AWKWARD[name]
    (tmp_path / "data").write_bytes(data)
    program = script(tmp_path, "import sys\nd = open('in/data', 'rb').read()\n"
                               "sys.stdout.buffer.write(d); sys.stdout.flush()\n"
                               "sys.stderr.buffer.write(d[::-1])")
    result = cli("run", program, "--file", f"{tmp_path}/data:in/data")
    assert result.returncode == 0
    assert result.stdout == data
    assert result.stderr == data[::-1]


def test_output_comes_as_it_is_written(server, tmp_path):
    program = script(tmp_path, "import time\nprint('first')\ntime.sleep(30)")
    process = start(server, program)
    assert process.stdout.readline() == b"first\n"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=90)
    assert process.returncode == 130


# ---- what it runs ----

def test_the_runtime_is_guessed(cli, tmp_path):
    for name, text, output in (
            ("a.py", "import sys; print(sys.version_info[0])", b"3\n"),
            ("a.js", "console.log(6 * 7)", b"42\n"),
            ("a.mjs", "import os from 'os'; console.log(os.userInfo().uid)", b"1000\n"),
            ("a.sh", "echo $BASH_VERSION | cut -c1", b"5\n"),
            ("plain", "#!/usr/bin/env node\nconsole.log(1)", b"1\n"),
            ("plain2", "#!/usr/bin/python3\nprint(2)", b"2\n"),
            ("plain3", "#! /bin/sh\necho 3", b"3\n")):
        result = cli("run", script(tmp_path, text, name))
        assert (result.returncode, result.stdout) == (0, output), (name, result.stderr)
    result = cli("run", script(tmp_path, "print(1)", "mystery"))
    assert result.returncode == 64 and b"--runtime" in result.stderr


def test_go(cli, tmp_path):
    program = script(tmp_path, '''package main
import ("bufio"; "fmt"; "os")
func main() {
    line, _ := bufio.NewReader(os.Stdin).ReadString('\\n')
    fmt.Println(os.Args[1:], len(line))
    os.Exit(7)
}''', "prog.go")
    result = cli("run", program, "-i", "-t", "5m", "-m", "1Gi", "--", "a", "b c", stdin=b"four\n", timeout=300)
    assert (result.returncode, result.stdout) == (7, b"[a b c] 5\n"), result.stderr
    result = cli("run", "-", "-r", "go", "-t", "5m", "-m", "1Gi", stdin=b"package main\nfunc main() { x }",
                 timeout=300)
    assert result.returncode == 1 and b"program.go:2:15: undefined: x" in result.stderr


def test_a_program_on_standard_input(cli):
    result = cli("run", "-", "-r", "bash", "--", "a", "b c", stdin=b'echo "$# $2"; exit 4')
    assert (result.returncode, result.stdout) == (4, b"2 b c\n")
    result = cli("run", "-", stdin=b"#!/usr/bin/env python3\nprint('by its first line')")
    assert result.stdout == b"by its first line\n"
    assert cli("run", "-", stdin=b"?").returncode == 64


def test_arguments_variables_and_files(cli, tmp_path):
    (tmp_path / "one.txt").write_text("one")
    program = script(tmp_path, "import json, os, sys\nprint(json.dumps([sys.argv[1:], "
                               "os.environ['A'], os.environ['B'], os.environ['C'], "
                               "open('one.txt').read(), open('/tmp/x/2').read(), os.getcwd()]))")
    result = cli("run", program, "-e", "A=1=2", "--env=B=", "--env", "C", "-f",
                 tmp_path / "one.txt", "--file", f"{tmp_path}/one.txt:/tmp/x/2", "word", "--",
                 "--flag", env={"C": "from here"})
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == [["word", "--flag"], "1=2", "", "from here", "one", "one",
                                         "/workspace"]


def test_names_that_need_care(cli, tmp_path):
    program = script(tmp_path, "import sys; print(sys.argv[0])", "a b#?%2e+&é'.py")
    assert cli("run", program).stdout.decode() == "/workspace/a b#?%2e+&é'.py\n"
    program = script(tmp_path, "print(1)", "-c.py")
    assert cli("run", program).stdout == b"1\n"


def test_keep_leaves_the_sandbox(cli, api, tmp_path):
    result = cli("run", script(tmp_path, "open('kept', 'w').write('yes')"), "--keep")
    assert result.returncode == 0
    [sandbox] = running(api)
    assert sandbox["id"].encode() in result.stderr
    assert api.request("GET", f"/api/v1/sandboxes/{sandbox['id']}/files/workspace/kept",
                       stream=True).content == b"yes"
    assert cli("rm", sandbox["id"]).stdout.decode() == sandbox["id"] + "\n"


def test_standard_input_is_given_on_request(cli, tmp_path):
    data = random.Random(5).randbytes(300_000) + b"\0\xff"
    program = script(tmp_path, "import os, sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())\n"
                               "assert os.listdir('/tmp') == [] and sys.argv[1:] == ['a b']")
    result = cli("run", program, "--stdin", "--", "a b", stdin=data)
    assert (result.returncode, result.stdout) == (0, data), result.stderr
    result = cli("run", script(tmp_path, "import sys; print(sys.stdin.read())"), stdin=b"unasked")
    assert result.stdout == b"\n"
    result = cli("run", "-", "-i", "-r", "python", stdin=b"print(1)")
    assert result.returncode == 64 and b"--stdin" in result.stderr


# ---- mistakes ----

@pytest.mark.parametrize("args, status, word", [
    ([], 64, b"which file?"),
    (["/does/not/exist.py"], 69, b"/does/not/exist.py"),
    (["/tmp"], 64, b"folder"),
    (["/etc/hostname", "-r", "perl"], 64, b"perl"),
    (["/etc/hostname", "-r", "bash", "--timeout", "soon"], 64, b"--timeout"),
    (["/etc/hostname", "-r", "bash", "--timeout", "0"], 64, b"--timeout"),
    (["/etc/hostname", "-r", "bash", "--env", "NOT_SET_HERE"], 64, b"NOT_SET_HERE"),
    (["/etc/hostname", "-r", "bash", "--memory", "much"], 64, b"memory"),
    (["/etc/hostname", "-r", "bash", "--file", "/does/not/exist"], 69, b"/does/not/exist"),
    (["/etc/hostname", "-r", "bash", "--file", "/etc/hostname:../../x"], 64, b".."),
])
def test_mistakes_are_named(cli, args, status, word):
    result = cli("run", *args)
    assert result.returncode == status, result.stderr
    assert word in result.stderr and result.stdout == b""


@pytest.mark.parametrize("command, places", [
    (["run", "/etc/hostname", "-r", "bash"], ["run: creating a sandbox: "] * 2),
    (["create", "-r", "bash"], ["create: "] * 2),
])
def test_all_mistakes_are_told(cli, command, places):
    result = cli(*command, "--memory", "much", "--level", "iron")
    lines = result.stderr.decode().splitlines()
    assert result.returncode == 64 and result.stdout == b""
    for line, place, path in zip(lines, places, ["securityLevel", "resources.memory"], strict=True):
        assert line.startswith(f"secureagent {place}{path}: expected ") and "details" not in line, lines


def test_without_a_server_it_says_how_to_start_one(tmp_path):
    result = run_cli("run", script(tmp_path, "1"), "--data-dir", tmp_path / "none")
    assert result.returncode == 69 and b"secureagent up" in result.stderr


def test_a_server_that_has_stopped(new_server, tmp_path):
    one = new_server(data_dir=tmp_path / "d")
    assert one.stop() == 0
    result = run_cli("run", script(tmp_path, "1"), server=one)
    assert result.returncode == 69 and b"secureagent up" in result.stderr


def test_wrong_and_missing_keys(server, tmp_path):
    program = script(tmp_path, "1")
    wrong = run_cli("run", program, "--url", server.url, "--api-key", "sa_aaaaaaaa_" + "a" * 32)
    assert wrong.returncode == 77
    missing = run_cli("run", program, "--url", server.url)
    assert missing.returncode == 77 and b"--api-key" in missing.stderr
    assert run_cli("run", program, "--url", "ftp://x").returncode == 64


# ---- interruptions ----

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_removes_the_sandbox(server, api, tmp_path, number):
    process = start(server, script(tmp_path, "print('on')\nimport time\ntime.sleep(99)"))
    assert process.stdout.readline() == b"on\n"
    assert len(running(api)) == 1
    begin = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=90)
    assert process.returncode == 128 + number
    assert time.monotonic() - begin < 60
    assert running(api) == []
    assert "sleep" not in server.processes().values()


def test_a_reader_that_leaves_ends_the_program(server, api, tmp_path):
    process = start(server, script(tmp_path, "while True: print('line')"))
    assert process.stdout.readline() == b"line\n"
    process.stdout.close()
    process.stderr.read()
    assert process.wait(90) == 128 + signal.SIGPIPE
    process.stderr.close()
    assert running(api) == []


def test_a_server_that_dies_meanwhile_is_told(new_server, tmp_path):
    one = new_server()
    process = start(one, script(tmp_path, "print('on')\nimport time\ntime.sleep(99)"))
    assert process.stdout.readline() == b"on\n"
    os.kill(one.pid_of("agent-api"), signal.SIGKILL)
    _, stderr = process.communicate(timeout=90)
    assert process.returncode == 69 and stderr
    wait_until("a new API", lambda: run_cli("ps", server=one).returncode == 0)
