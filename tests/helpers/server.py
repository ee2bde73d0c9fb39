"""Starting `secureagent up` for a test, and finding what it leaves behind."""
import contextlib
import glob
import json
import os
import pathlib
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SECUREAGENT_BIN", ROOT / "build" / "bin")).resolve()
# Sanitizers keep freed memory for a while: allowances for growth are wider then.
SANITIZED = b"__asan_init" in (BIN / "agent-api").read_bytes() if (BIN / "agent-api").exists() else False
START_S = 120
STOP_S = 90


def _stat(pid):
    """(comm, state, ppid) of a process, or None when it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    comm = text[text.index("(") + 1:text.rindex(")")]
    state, ppid = text[text.rindex(")") + 2:].split()[:2]
    return comm, state, int(ppid)


def is_alive(pid):
    """A process that has ended and only waits to be reaped is not alive."""
    stat = _stat(pid)
    return stat is not None and stat[1] not in "ZX"


def descendants(root):
    """{pid: comm} of all living processes below `root`, without it."""
    children, found = {}, {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := _stat(name)) and stat[1] not in "ZX":
            children.setdefault(stat[2], []).append((int(name), stat[0]))
    queue = [root]
    while queue:
        for pid, comm in children.get(queue.pop(), []):
            if comm == "go-cache":
                continue  # makes a build cache in the background, whenever it likes
            found[pid] = comm
            queue.append(pid)
    return found


def status_kib(pid, key):
    """A figure of /proc/PID/status in KiB, e.g. VmRSS."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{key}:\s+(\d+) kB", text, re.M).group(1))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Server:
    def __init__(self, process, folder, data_dir, first_line, stderr_path, own_folder):
        self.process, self.folder, self.data_dir = process, folder, data_dir
        self.stderr_path, self._own_folder = stderr_path, own_folder
        self.url, self.key = first_line["url"], first_line["apiKey"]

    @property
    def pid(self):
        return self.process.pid

    def processes(self):
        return descendants(self.pid)

    def pid_of(self, program):
        """The one process of that name (not its half-made sandboxes, which still have it)."""
        named = {pid for pid, comm in self.processes().items() if comm == program[:15]}
        pids = [pid for pid in named if (stat := _stat(pid)) and stat[2] not in named]
        assert len(pids) == 1, f"{program}: {pids} in {self.processes()}"
        return pids[0]

    @property
    def state(self):
        """What names the node's control groups."""
        words = pathlib.Path(f"/proc/{self.pid_of('sandbox-node')}/cmdline").read_bytes().split(b"\0")
        return words[words.index(b"--state") + 1].decode() if b"--state" in words else "default"

    def log(self):
        return pathlib.Path(self.stderr_path).read_text(errors="replace")

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Stop as an operator would; the exit status. Its files stay until discard()."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not stop within {STOP_S} s:\n{self.log()[-3000:]}") from None

    def kill(self):
        """Make sure that nothing of it runs any more, whatever state it is in."""
        pids = [self.pid, *self.processes()]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_S)
        deadline = time.monotonic() + STOP_S
        while any(map(is_alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.02)

    def journal(self):
        """What agent-api has not committed yet; a server that was killed leaves it for the next one."""
        for database in self.data_dir.rglob("secureagent.db"):
            with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database.as_uri() + "?mode=ro", uri=True)) as db:
                return pathlib.Path("/dev/shm/secureagent-" + db.execute("SELECT name FROM journal").fetchone()[0])
        return None

    def discard(self):
        if self.process.poll() is None:
            self.kill()
        if (journal := self.journal()):
            journal.unlink(missing_ok=True)
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def cgroup_folders(state):
    """The control groups of a node, in whatever hierarchy."""
    return [f for pattern in (f"/sys/fs/cgroup/**/secureagent-{state}",
                              f"/sys/fs/cgroup/**/secureagent-{state}/*/")
            for f in glob.glob(pattern, recursive=True)]


def _first_line(process, stderr_path):
    deadline, line = time.monotonic() + START_S, b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        ready = select.select([process.stdout], [], [], max(left, 0))[0]
        piece = os.read(process.stdout.fileno(), 4096) if ready else b""
        if not piece:
            process.kill()
            status = process.wait()
            text = pathlib.Path(stderr_path).read_text(errors="replace")
            raise StartFailed(status, text)
        line += piece
    return json.loads(line)


class StartFailed(Exception):
    def __init__(self, status, text):
        super().__init__(f"exit status {status}\n{text}")
        self.status, self.text = status, text


def start_server(data_dir=None, args=(), env=None, user=None, binaries=None, default_pool=False):
    """Start `secureagent up` on a free port and wait until it serves. `user` is (uid, gid) to run
    as. Without `data_dir` it gets a folder of its own, which discard() removes. Most tests want no pods
    but those that they make: the default pool is made only when asked for."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="secureagent-test-"))
    data_dir = pathlib.Path(data_dir) if data_dir else folder / "data"
    folder.chmod(0o711)  # the API runs as another user and must get to its folder
    stderr_path = folder / "stderr"
    if user:
        os.chown(folder, *user)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SECUREAGENT_")}
    # One for all servers, so that it is made once.
    environment["SECUREAGENT_CACHE_DIR"] = str(BIN.parent / "cache")
    environment.update({"ASAN_OPTIONS": "quarantine_size_mb=16:detect_leaks=1", **(env or {})})
    command = [str((binaries or BIN) / "secureagent"), "up", "--listen", "127.0.0.1:0",
               "--data-dir", str(data_dir), "-o", "json", *args]
    if not default_pool:
        command.append("--no-default-pool")
    identity = {"user": user[0], "group": user[1], "extra_groups": []} if user else {}
    if user:
        environment.update({"HOME": str(folder), "USER": "sandbox-test", "TMPDIR": str(folder)})
        environment.pop("XDG_RUNTIME_DIR", None)
    with open(stderr_path, "wb") as stderr:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=stderr, env=environment, start_new_session=True,
                                   cwd=folder, **identity)
    try:
        first = _first_line(process, stderr_path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Server(process, folder, data_dir, first, stderr_path, own_folder=True)
