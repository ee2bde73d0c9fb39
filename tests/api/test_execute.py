"""Programs and their ends, when the client waits for the whole answer."""
import base64
import concurrent.futures
import hashlib

import pytest

COLLECT_MAX = 4 << 20  # of each output, in an answer that is not streamed


def output(api, sandbox, **body):
    result = api.execute(sandbox, **body)
    assert result["status"] == "exited", result
    return result["exitCode"], result["stdout"], result["stderr"]


@pytest.mark.parametrize("language, code, out", [
    ("python", "import sys\nprint('hi', sys.argv)\nprint('err', file=sys.stderr)", "hi ['<code>']\n"),
    ("node", "console.log('hi', 1 + 1); console.error('err')", "hi 2\n"),
    ("bash", "echo hi $((1+1)); echo err >&2", "hi 2\n"),
])
def test_languages(api, shared, language, code, out):
    assert output(api, shared, language=language, code=code) == (0, out, "err\n")


def test_python_goes_by_its_short_name_too(api, shared):
    """Models write `python`; Debian has only `python3`."""
    assert output(api, shared, command="python -c 'print(1)'") == (0, "1\n", "")
    assert output(api, shared, command=["python", "-c", "print(2)"]) == (0, "2\n", "")


@pytest.mark.parametrize("language, code, status, word", [
    ("python", "raise SystemExit(7)", 7, ""),
    ("python", "x = 1\nraise ValueError('no good')", 1, "line 2"),
    ("python", "def f(:", 1, "SyntaxError"),
    ("node", "process.exit(8)", 8, ""),
    ("node", "null.x", 1, "TypeError"),
    ("bash", "exit 9", 9, ""),
    ("bash", "set -e; false; echo no", 1, ""),
    ("bash", "if", 2, "syntax error"),
])
def test_exit_codes(api, shared, language, code, status, word):
    got, out, err = output(api, shared, language=language, code=code)
    assert got == status and out == "" and word in err
    assert "/dev/fd/3:" not in err or language == "bash"


def test_traceback_shows_only_the_users_lines(api, shared):
    _, _, err = output(api, shared, language="python", code="def f():\n    return 1 / 0\nf()\n")
    assert '"<code>", line 3' in err and "return 1 / 0" in err and "exec(" not in err


def test_commands(api, shared):
    assert output(api, shared, command="echo a | tr a b; exit 3") == (3, "b\n", "")
    assert output(api, shared, command=["printf", "%s|", "a b", "$(id)", "; rm", "-n", "--", ""])[1] == \
        "a b|$(id)|; rm|-n|--||"
    assert output(api, shared, command=["sh", "-c", "exit 255"])[0] == 255


@pytest.mark.parametrize("command", [["no-such-program"], ["/workspace"], ["/etc/passwd"], ["./missing"]])
def test_program_that_cannot_be_started(api, shared, command):
    """Either an error that names it, or the shell's well-known exit codes; never a success."""
    answer = api.request("POST", f"/api/v1/sandboxes/{shared}/execute", json={"command": command})
    if answer.status_code == 200:
        result = answer.json()
        assert result["status"] == "failed" and result["exitCode"] is None and command[0] in result["error"]["value"] \
            or result["status"] == "exited" and result["exitCode"] in (126, 127), result
    else:
        assert answer.status_code == 400 and command[0] in answer.json()["error"]["message"]
    assert api.sh(shared, "echo still") == "still\n"


def test_stdin(api, shared):
    text = "zwölf\n" * 200000
    result = api.execute(shared, command="sha256sum", stdin=text)
    assert result["stdout"].split()[0] == hashlib.sha256(text.encode()).hexdigest()
    assert api.sh(shared, "cat; echo end", stdin="") == "end\n"
    assert api.sh(shared, "cat; echo end") == "end\n"  # none given: /dev/null
    assert api.sh(shared, "read a; echo $a", stdin="first\nsecond\n") == "first\n"  # the rest is unread
    assert api.sh(shared, "exec <&-; echo closed", stdin="x" * (1 << 20)) == "closed\n"
    assert output(api, shared, language="python", code="print(input())", stdin="typed")[1] == "typed\n"


def test_environment(api):
    with api.sandbox(env={"BOTH": "sandbox", "ONE": "1"}) as sandbox:
        out = api.sh(sandbox, "echo $BOTH $ONE $MINE $HOME $USER; pwd", env={"BOTH": "execution", "MINE": "a b"})
        assert out == "execution 1 a b /home/user user\n/workspace\n"
        assert api.sh(sandbox, "echo $MINE") == "\n"  # only for the one execution
        names = {line.split("=")[0] for line in api.sh(sandbox, ["env"]).splitlines()}
        assert not {n for n in names if n.startswith(("SECUREAGENT", "SUDO", "SSH", "ASAN"))}, names


def test_cwd(api, shared):
    api.sh(shared, "mkdir -p /tmp/there")
    assert api.sh(shared, "pwd", cwd="/tmp/there") == "/tmp/there\n"
    assert api.sh(shared, ["pwd"], cwd="/") == "/\n"
    for bad in ("/no/such/folder", "/etc/passwd"):
        answer = api.request("POST", f"/api/v1/sandboxes/{shared}/execute", json={"command": "pwd", "cwd": bad})
        if answer.status_code == 200:
            assert answer.json()["status"] == "failed" and bad in answer.json()["error"]["value"]
        else:
            assert answer.status_code in (400, 404) and bad in answer.json()["error"]["message"]


@pytest.mark.parametrize("command", [
    "sleep 600", "trap '' TERM INT HUP; while :; do sleep 1; done", "while :; do :; done", "kill -STOP $$"])
def test_timeout(api, shared, command):
    result = api.execute(shared, command=command, timeoutMs=300)
    assert result["status"] == "timeout", result
    assert 300 <= result["durationMs"] < 60000
    assert api.sh(shared, "pgrep -x sleep || echo none") == "none\n"


def test_output_before_a_timeout_is_kept(api, shared):
    result = api.execute(shared, command="echo before; sleep 600", timeoutMs=5000)
    assert result["status"] == "timeout" and result["stdout"] == "before\n"


@pytest.mark.parametrize("name", ["SEGV", "KILL", "TERM", "ABRT", "PIPE"])
def test_signals(api, shared, name):
    result = api.execute(shared, command=["sh", "-c", f"kill -{name} $$"])
    assert result["status"] == "signaled" and result["signal"] == "SIG" + name and result["exitCode"] is None


def test_out_of_memory(api):
    with api.sandbox(resources={"memory": "64Mi"}) as sandbox:
        controls = api.describe(sandbox)["controls"]
        code = "a = []\nwhile True: a.append(bytearray(1 << 20))"
        result = api.execute(sandbox, language="python", code=code)
        if "cgroup.memory" in controls:
            assert result["status"] == "oom" and result["signal"] == "SIGKILL", result
            assert "OutOfMemory" in [e["reason"] for e in api.events(sandbox)]
            assert api.usage(sandbox)["oomKills"] >= 1
        else:
            assert result["status"] in ("oom", "exited", "signaled") and result["exitCode"] != 0
        assert api.sh(sandbox, "echo alive") == "alive\n"


def test_a_kill_is_not_taken_for_out_of_memory(api):
    with api.sandbox(resources={"memory": "64Mi"}) as sandbox:
        code = "a = []\nwhile True: a.append(bytearray(1 << 20))"
        api.execute(sandbox, language="python", code=code)
        assert api.execute(sandbox, command=["sh", "-c", "kill -9 $$"])["status"] == "signaled"


# ---- output ----

@pytest.mark.parametrize("size", [0, 1, 4095, 65536, 65537, 1 << 20, COLLECT_MAX - 1, COLLECT_MAX])
def test_output_sizes(api, shared, size):
    result = api.execute(shared, command=f"head -c {size} /dev/zero | tr '\\0' x; printf e >&2")
    assert len(result["stdout"]) == size and set(result["stdout"]) <= {"x"}
    assert result["truncated"] == {"stdout": False, "stderr": False} and result["stderr"] == "e"


def test_output_beyond_the_cap_is_flagged(api, shared):
    result = api.execute(shared, command=f"head -c {COLLECT_MAX + 1} /dev/zero | tr '\\0' x; echo e >&2")
    assert len(result["stdout"]) == COLLECT_MAX
    assert result["truncated"] == {"stdout": True, "stderr": False}
    result = api.execute(shared, command="yes >&2 & a=$!; yes & b=$!; sleep 0.3; kill $a $b; exit 5")
    assert result["status"] == "exited" and result["exitCode"] == 5


def test_cap_inside_a_character(api, shared):
    """The cut does not make text look binary."""
    code = f"import sys; sys.stdout.write('x' + '€' * {COLLECT_MAX // 3 + 10})"
    result = api.execute(shared, language="python", code=code)
    assert result["truncated"]["stdout"] and "encoding" not in result
    assert result["stdout"].startswith("x€") and result["stdout"].endswith("€")
    assert COLLECT_MAX - 4 <= len(result["stdout"].encode()) <= COLLECT_MAX


def test_binary_output(api, shared):
    result = api.execute(shared, language="python", code="import sys\n"
                         "sys.stdout.buffer.write(bytes(range(256)))\nprint('text', file=sys.stderr)")
    assert result["encoding"] == "base64"
    assert base64.b64decode(result["stdout"]) == bytes(range(256))
    assert base64.b64decode(result["stderr"]) == b"text\n"


def test_every_text_survives(api, shared):
    text = "".join(map(chr, [*range(1, 0x300), 0x2028, 0x2029, 0xfeff, 0x1f600, 0x10ffff]))
    assert api.sh(shared, "cat", stdin=text) == text
    assert output(api, shared, language="python", code=f"import sys; sys.stdout.write({text!r})")[1] == text


def test_nul_in_output(api, shared):
    assert api.sh(shared, "printf 'a\\0b'") == "a\0b"


# ---- the rest ----

def test_long_code(api, shared):
    code = "x = 0\n" + "x += 1\n" * 150000 + "print(x)\n"
    assert len(code) > 1 << 20
    assert output(api, shared, language="python", code=code)[1] == "150000\n"


def test_imports_from_the_workspace(api, shared):
    api.put(shared, "/workspace/helper.py", b"def f(): return 'from helper'")
    assert output(api, shared, language="python", code="import helper; print(helper.f())")[1] == "from helper\n"
    api.put(shared, "/workspace/mod.js", b"module.exports = () => 'from mod'")
    assert output(api, shared, language="node", code="console.log(require('./mod.js')())")[1] == "from mod\n"


def test_state_is_kept_in_files_not_in_programs(api, shared):
    api.execute(shared, language="python", code="x = 1; open('/tmp/x', 'w').write('kept')")
    assert output(api, shared, language="python", code="print('x' in globals(), open('/tmp/x').read())")[1] == \
        "False kept\n"


def test_usage(api, shared):
    result = api.execute(shared, language="python", code="a = bytearray(50 << 20)\nfor i in range(3000000): pass")
    assert result["usage"]["cpuMs"] > 5 and result["durationMs"] >= result["usage"]["cpuMs"] * 0.5
    assert result["usage"]["memoryPeakBytes"] > 50 << 20


def test_several_at_once(api, shared):
    def one(i):
        mine = api.with_key(api.key)
        return mine.sh(shared, f"sleep 0.05; seq {i * 1000} | tail -1; cat", stdin=f"in {i}")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(1, 33))) == [f"{i * 1000}\nin {i}" for i in range(1, 33)]


def test_more_at_once_than_a_sandbox_may_have(api):
    """Beyond what it can carry, an execution is refused or fails; nothing hangs, nothing is lost."""
    with api.sandbox(resources={"pids": 16}) as sandbox:
        def one(_):
            answer = api.with_key(api.key).request("POST", f"/api/v1/sandboxes/{sandbox}/execute",
                                                   json={"command": ["sleep", "1"]})
            return answer.status_code, answer.json().get("status"), answer.json().get("exitCode")
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            results = list(pool.map(one, range(32)))
        assert (200, "exited", 0) in results
        for status, outcome, code in results:
            assert status in (429, 503) or status == 200 and (outcome == "failed" or code is not None), results
        assert api.sh(sandbox, ["echo", "again"]) == "again\n"


def test_background_processes_do_not_hold_the_answer(api, shared):
    result = api.execute(shared, command="(sleep 30; echo late) >/dev/null 2>&1 & echo now")
    assert result["stdout"] == "now\n" and result["durationMs"] < 20000
    api.sh(shared, "pkill -x sleep")


def test_background_processes_that_keep_the_output_open(api, shared):
    result = api.execute(shared, command="sleep 30 & echo now")
    assert result["stdout"] == "now\n" and result["status"] == "exited" and result["durationMs"] < 20000
    api.sh(shared, "pkill -x sleep || true")


def test_orphans_are_reaped(api, shared):
    api.sh(shared, "for i in $(seq 50); do (true & true &) ; done; sleep 0.2")
    assert api.sh(shared, "cat /proc/[0-9]*/stat | awk '$3 == \"Z\"' | wc -l") == "0\n"


def test_not_running(api):
    sandbox = api.create()["id"]
    api.delete(sandbox)
    api.error("POST", f"/api/v1/sandboxes/{sandbox}/execute", 404, "not_found", json={"command": "true"})
