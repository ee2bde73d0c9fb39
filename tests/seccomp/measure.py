#!/usr/bin/python3
"""Which system calls the programs of corpus/ make in sandboxes: run as root, from the root of the tree, with a
build in build/bin (docs/seccomp.md says how to read the lists).

    tests/seccomp/measure.py [LANGUAGE ...]      writes tests/seccomp/measured/LANGUAGE.txt

For each language a server of its own runs under strace, and everything that a sandbox's programs call from
their first exec on is counted; what PID 1 itself calls goes to runtime.txt. A call is listed as `name`, or as
`name !ERRNO` when it never succeeded and was refused with EPERM or ENOSYS each time.
"""
import collections
import contextlib
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from tests.api.test_packages import tarball, wheel  # noqa: E402
from tests.helpers import terminal  # noqa: E402, F401
from tests.helpers.client import Api  # noqa: E402

BIN = pathlib.Path(os.environ.get("SECUREAGENT_BIN", ROOT / "build" / "bin"))
LANGUAGES = ["default", "python", "node", "bash", "go"]
MINUTES = 5 * 60 * 1000

LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed>)")
RESULT = re.compile(r"= (-?\d+|0x[0-9a-f]+|\?)(?: (E[A-Z0-9]+))?.*?(?:/\* (\d+) in strace's PID NS \*/)?$")


class Trace:
    """Reads strace's output: who is whose child, and what each calls."""

    def __init__(self):
        self.role = {}      # pid -> "server", "runtime", "program"
        self.early = {}     # pid -> lines seen before its parent's clone returned
        self.outcomes = {"runtime": collections.defaultdict(set), "program": collections.defaultdict(set)}

    def feed(self, line):
        match = LINE.match(line)
        if not match or line.endswith("<unfinished ...>\n"):
            return
        pid, name = int(match[1]), match[2]
        result = RESULT.search(line.rstrip("\n"))
        if not self.role:
            self.role[pid] = "server"
        if pid not in self.role:
            self.early.setdefault(pid, []).append(line)
            return
        self.call(pid, name, result)

    def call(self, pid, name, result):
        role = self.role[pid]
        value, error, child = (result[1], result[2], result[3]) if result else ("?", None, None)
        if role != "server":
            self.outcomes[role][name].add(error or "ok")
        if name in ("clone", "clone3", "fork", "vfork") and value.isdigit() and int(value):
            self.born(int(child or value), role)
        if name == "execveat" and value == "0":
            self.role[pid] = "runtime"
        if name == "execve" and value == "0" and role == "runtime":
            self.role[pid] = "program"
            self.outcomes["program"]["execve"].add("ok")

    def born(self, pid, role):
        self.role[pid] = role
        for line in self.early.pop(pid, []):
            self.feed(line)


def corpus(language):
    return sorted((HERE / "corpus" / language).iterdir())


def mirror(folder):
    folder.mkdir(mode=0o755)
    wheel(folder, "sa_first", "1.0")
    wheel(folder, "sa_second", "0.1", ["sa_first"])
    tarball(folder, "sa-first", "1.5.0")
    tarball(folder, "sa-second", "0.1.0", {"sa-first": "^1.0.0"})
    for path in folder.iterdir():
        path.chmod(0o644)


def say(what, result):
    tail = "" if result["status"] == "exited" and result["exitCode"] == 0 else result["stderr"][-1500:]
    print(f"  {what}: {result['status']} {result.get('exitCode')}", tail, flush=True)


def use(api, language):
    """Run everything there is of a language."""
    runtime = "bash" if language == "default" else language
    box = api.create(runtime=runtime, timeout=3600, resources={"memory": "2Gi", "pids": 512})["id"]
    for path in corpus(language):
        code = path.read_text()
        what = {"command": code} if language == "default" else {"language": language, "code": code}
        say(path.name, api.execute(box, timeoutMs=MINUTES, **what))
        if language in ("python", "node", "bash"):
            context = api.post(f"/api/v1/sandboxes/{box}/contexts", status=201, json={"language": language}).json()["id"]
            say(f"{path.name} in a context", api.execute(box, timeoutMs=MINUTES, code=code, context=context))
    if language in ("python", "node"):
        packages = {"manager": "pip" if language == "python" else "npm", "packages": ["sa_second" if language == "python" else "sa-second"],
                    "timeoutMs": MINUTES}
        print("  packages:", api.post(f"/api/v1/sandboxes/{box}/packages", json=packages).status_code, flush=True)
    if language == "default":
        say("a terminal", api.execute(box, command=["script", "-qc", "stty size; tput lines; vim -c q; true", "/dev/null"],
                                      timeoutMs=MINUTES))
    api.delete(box)


@contextlib.contextmanager
def traced_server(folder):
    trace = folder / "trace"
    mirror(folder / "mirror")
    environment = dict(os.environ, SECUREAGENT_CACHE_DIR=str(BIN.parent / "cache"))
    process = subprocess.Popen(
        ["strace", "-f", "-qq", "-e", "signal=none", "-s", "0", "--decode-pids=pidns", "-o", trace,
         BIN / "secureagent", "up", "--listen", "127.0.0.1:0", "--data-dir", folder / "data", "--package-mirror",
         folder / "mirror", "--no-default-pool", "--log-level", "warn", "-o", "json"],
        stdout=subprocess.PIPE, text=True, env=environment)
    try:
        if not select.select([process.stdout], [], [], 120)[0]:
            raise SystemExit("the server did not start")
        ready = json.loads(process.stdout.readline())
        yield Api(ready["url"], ready["apiKey"]), trace
    finally:
        for pid in subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split():
            os.kill(int(pid), signal.SIGTERM)
        process.wait(120)


def write(name, outcomes):
    lines = []
    for call, results in sorted(outcomes.items()):
        refused = results and results <= {"EPERM", "ENOSYS"}
        lines.append(f"{call} !{','.join(sorted(results))}\n" if refused else f"{call}\n")
    (HERE / "measured" / f"{name}.txt").write_text("".join(lines))
    print(f"{name}: {len(lines)} calls", flush=True)


def main():
    runtime = collections.defaultdict(set)
    for language in sys.argv[1:] or LANGUAGES:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="secureagent-seccomp-") as name:
            folder = pathlib.Path(name)
            folder.chmod(0o755)
            with traced_server(folder) as (api, path):
                use(api, language)
            trace = Trace()
            with open(path, errors="replace") as lines:
                for line in lines:
                    trace.feed(line)
        write(language, trace.outcomes["program"])
        for call, results in trace.outcomes["runtime"].items():
            runtime[call] |= results
        print(f"{language}: {time.monotonic() - began:.0f} s", flush=True)
    write("runtime", runtime)


if __name__ == "__main__":
    main()
