"""The section Resources. Each attack has a sandbox of its own and a neighbour that watches."""
import threading
import time

from tests.helpers import server as servers
from tests.helpers.client import wait_until

from .harness import Neighbour, case

LIMITS = "Resources"
SMALL = {"memory": "96Mi", "ephemeralStorage": "16Mi", "pids": 64, "cpu": "500m"}


def attack(title, outcome, resources=None):
    def register(function):
        def run(box):
            with Neighbour(box.world):
                function(box)
        case(LIMITS, title, outcome, resources=resources or SMALL)(run)
        return function
    return register


@attack("fork bomb: EAGAIN", "E K")
def fork_bomb(box):
    error, count = box.sh([box.program("forks")]).split()
    assert error == "EAGAIN" and 10 < int(count) < 64, (error, count)
    before = box.processes_on_host()
    result = box.run("bomb() { bomb | bomb & }; bomb; sleep 1; exit 3", timeoutMs=4000)
    assert result["status"] in ("exited", "timeout", "signaled") and result["exitCode"] != 0, result
    wait_until("the limit on the host", lambda: box.processes_on_host() <= before + 64 + 8)
    # Whatever still forks in there, it can be ended, at once.
    box.delete()
    wait_until("the bomb to be gone", lambda: box.processes_on_host() <= before)


@attack("memory bomb: out of memory, and said so", "K")
def memory_bomb(box):
    result = box.api.execute(box.id, language="python", code="a = []\nwhile True: a.append(bytearray(1 << 20))")
    if "cgroup.memory" in box.controls:
        assert result["status"] == "oom", result
        assert "OutOfMemory" in [e["reason"] for e in box.api.events(box.id)]
    else:
        # A limit on the process comes first: the program is told.
        assert result["status"] == "oom" or "MemoryError" in result["stderr"], result
    box.lives()


@attack("memory bomb of many processes", "K")
def memory_bombs(box):
    """Each is below what one process may have; together they are beyond the sandbox's limit."""
    code = ("import os, signal, time\nsignal.alarm(60)\n"
            "for i in range(8):\n"
            "    if os.fork() == 0:\n"
            "        a = bytearray(40 << 20)\n"
            "        for k in range(0, len(a), 4096): a[k] = 1\n"
            "        time.sleep(100)\n"
            "        os._exit(0)\n"
            "print(os.wait()[1] & 127, flush=True)\n"
            "os.kill(-1, 9)\n")
    result = box.api.execute(box.id, language="python", code=code, timeoutMs=90000)
    assert "9" in result["stdout"].split() or result["status"] in ("oom", "failed"), result
    wait_until("the memory to be back", lambda: resident_kib(box) < 120 << 10)
    bounded(box)


@attack("memory that forks share is counted once", "C")
def shared_memory(box):
    """No attack: who forks must not be ended for memory that is there once."""
    code = ("import os, time\na = b'x' * (40 << 20)\n"
            "for i in range(6):\n"
            "    if os.fork() == 0:\n"
            "        time.sleep(1)\n"
            "        os._exit(0)\n"
            "print([os.wait()[1] for i in range(6)])\n")
    assert box.python(code, timeoutMs=90000) == str([0] * 6)
    box.lives()


def resident_kib(box):
    total = 0
    for pid in box.world.server.processes():
        try:
            if servers.is_alive(pid) and box.world.server.pid_of("agent-api") != pid:
                total += servers.status_kib(pid, "RssAnon")
        except (OSError, AttributeError):
            pass
    return total


@attack("fill every writable place: ENOSPC", "E")
def fill(box):
    written = box.python(
        "import errno, os\ntotal = 0\n"
        "for folder in ('/workspace', '/tmp', '/home/user', '/dev/shm'):\n"
        "    f = open(folder + '/fill', 'wb', buffering=0)\n"
        "    try:\n"
        "        while True: total += f.write(b'x' * 65536)\n"
        "    except OSError as e: print(errno.errorcode[e.errno])\n"
        "print(total)\n").split()
    assert written[:4] == ["ENOSPC"] * 4 and 14 << 20 <= int(written[4]) <= 16 << 20, written
    assert box.api.request("PUT", box.api.file(box.id, "/tmp/more"), data=b"x" * 100000).status_code == 507
    box.sh("rm -f /workspace/fill /tmp/fill /home/user/fill /dev/shm/fill")
    box.lives()


@attack("use up the inodes: ENOSPC", "E")
def inodes(box):
    out = box.python("import errno\nn = 0\ntry:\n"
                     "    while True: open(f'/tmp/{n}', 'w').close(); n += 1\n"
                     "except OSError as e: print(errno.errorcode[e.errno], n)\n").split()
    assert out[0] == "ENOSPC" and int(out[1]) <= 2048, out
    box.sh("find /tmp -type f -delete")
    box.lives()


@attack("use up the descriptors: EMFILE", "E")
def descriptors(box):
    out = box.python("import errno, os\nfds = []\ntry:\n"
                     "    while True: fds.append(os.open('/dev/null', 0))\n"
                     "except OSError as e: print(errno.errorcode[e.errno], len(fds))\n").split()
    assert out[0] == "EMFILE" and int(out[1]) <= 65536, out
    code = ("import errno, os, resource\nhard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))\nfds = []\ntry:\n"
            "    while True: fds += os.pipe()\nexcept OSError as e: print(errno.errorcode[e.errno])\n")
    result = box.api.execute(box.id, language="python", code=code)
    assert result["stdout"].strip() in ("EMFILE", "ENFILE", "ENOMEM") or result["status"] == "oom", result
    code = "import resource\ntry: resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))\nexcept ValueError: print('no')"
    assert box.python(code) == "no"
    box.lives()


@attack("sparse files and fallocate: ENOSPC", "E")
def sparse(box):
    box.fails("os.posix_fallocate(os.open('/workspace/a', os.O_CREAT | os.O_RDWR), 0, 1 << 40)", "ENOSPC")
    box.sh("rm -f /workspace/a")
    # A sparse file takes no room until it is written to, and then no more than there is.
    out = box.python("import errno, os\nfd = os.open('/workspace/s', os.O_CREAT | os.O_RDWR)\nos.ftruncate(fd, 1 << 40)\n"
                     "print(os.stat('/workspace/s').st_blocks)\nat = 0\ntry:\n"
                     "    while True: os.pwrite(fd, b'x' * 4096, at); at += 1 << 21\n"
                     "except OSError as e: print(errno.errorcode[e.errno])\n").split()
    assert out == ["0", "ENOSPC"], out
    # By mapping: beyond the room there is a signal, not memory.
    code = ("import mmap, os\nfd = os.open('/tmp/m', os.O_CREAT | os.O_RDWR)\nos.ftruncate(fd, 1 << 30)\n"
            "m = mmap.mmap(fd, 1 << 30)\nfor i in range(0, 1 << 30, 4096): m[i] = 1\n")
    result = box.api.execute(box.id, language="python", code=code)
    assert result.get("signal") == "SIGBUS" or result["status"] == "oom", result
    box.sh("rm -f /workspace/s /tmp/m")
    box.lives()


@attack("output flood: capped and flagged", "K")
def flood(box):
    pid = box.world.server.pid_of("agent-api")
    before = servers.status_kib(pid, "VmRSS")
    result = box.run("yes out & yes err >&2", timeoutMs=3000)
    assert result["status"] == "timeout" or result["status"] == "exited", result
    result = box.run("head -c 64M /dev/zero | tr '\\0' x", timeoutMs=90000)
    assert result["status"] == "exited" and result["truncated"]["stdout"], result["truncated"]
    assert len(result["stdout"]) <= 4 << 20 and set(result["stdout"][-100:]) == {"x"}  # a line that never ends
    allowed = (200 if servers.SANITIZED else 48) * 1024
    wait_until("the API's memory", lambda: servers.status_kib(pid, "VmRSS") - before < allowed)
    box.lives()


@attack("zombies and double forks: reaped", "C")
def zombies(box):
    code = ("import os\nfor i in range(15):\n    if os.fork() == 0:\n        if os.fork() == 0: os._exit(0)\n        os._exit(0)\n")
    for _ in range(10):
        box.python(code)
    wait_until("none to be left", lambda: box.sh(
        "n=0; for s in /proc/[0-9]*/stat; do n=$((n + 1)); done; echo $n") in ("2\n", "3\n", "4\n", "5\n"))  # with the template of Python and its spare
    wait_until("none to be dead and there", lambda: box.sh("grep -l 'State:.Z' /proc/[0-9]*/status 2>/dev/null") == "")
    assert box.python("import os\nn = 0\ntry:\n"
                      "    for n in range(40):\n        if os.fork() == 0: os._exit(0)\nexcept OSError: pass\nprint(n)") == "39"


@attack("SIGTERM ignored: killed", "K")
def ignores_term(box):
    code = ("import os, signal, time\nfor s in range(1, 65):\n"
            "    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
            "os.setsid() if os.fork() == 0 else None\n"
            "if os.fork() == 0: os.setsid()\n"
            "while True: time.sleep(1)\n")
    result = box.api.execute(box.id, language="python", code=code, timeoutMs=500)
    assert result["status"] == "timeout", result
    # Nobody ignores it any more (bit 14); an interpreter for later may wait. Killed is not gone yet.
    wait_until("their end", lambda: box.sh(
        "grep -lE '^SigIgn:.*[4-7c-f][0-9a-f]{3}$' /proc/[0-9]*/status 2>/dev/null || true") == "")


@attack("SIGSTOP on itself: wall timeout", "K")
def stops_itself(box):
    result = box.run("kill -STOP $$", timeoutMs=500)
    assert result["status"] == "timeout" and result["durationMs"] >= 500, result
    wait_until("its end", lambda: box.sh("cat /proc/[0-9]*/stat | awk '$3 == \"T\"' | wc -l") == "0\n")


@attack("unread and endless stdin: back-pressure", "K")
def stdin(box):
    before = int(box.sh("awk '/VmRSS/{print $2}' /proc/1/status"))
    peak, stop = [0], threading.Event()

    def watch():
        api = box.api.with_key(box.api.key)
        while not stop.wait(0.1):
            peak[0] = max(peak[0], int(api.sh(box.id, "awk '/VmRSS/{print $2}' /proc/1/status")))
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = box.run(["sleep", "600"], stdin="x" * (8 << 20), timeoutMs=2000)
    finally:
        stop.set()
        watcher.join()
    assert result["status"] == "timeout", result
    assert peak[0] - before < 3 << 10, f"the runtime grew by {peak[0] - before} KiB"
    box.lives()


@attack("shared memory is counted: System V", "K")
def system_v(box):
    box.api.execute(box.id, language="python", code=(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.shmat.restype = ctypes.c_void_p\n"
        "for i in range(64):\n"
        "    n = libc.shmget(0, 16 << 20, 0o1600)\n"
        "    if n < 0: break\n"
        "    p = libc.shmat(n, None, 0)\n"
        "    if p and p != 2**64 - 1: ctypes.memset(p, 1, 16 << 20)\n"), timeoutMs=90000)
    bounded(box)


@attack("shared memory is counted: memfd", "K")
def memfds(box):
    box.api.execute(box.id, language="python", code=(
        "import os\nfds = []\nfor i in range(64):\n    fd = os.memfd_create('m'); fds.append(fd)\n"
        "    for _ in range(16): os.write(fd, b'x' * (1 << 20))\nimport time; time.sleep(3)\n"), timeoutMs=90000)
    bounded(box)


def bounded(box):
    """What was taken is limited or has been taken back; the sandbox lives or has failed for memory."""
    def settled():
        described = box.api.describe(box.id)
        if described["phase"] == "Failed":
            return described
        usage = box.api.request("GET", f"/api/v1/sandboxes/{box.id}/metrics")
        if usage.status_code != 200 or usage.json()["memoryBytes"] > 96 << 20:
            return None
        # Where memory is only watched, it may have been seen, and the sandbox be ended, since then.
        answer = box.api.post(f"/api/v1/sandboxes/{box.id}/execute", {"command": "echo lives"}, status=None)
        return answer.status_code == 200 and answer.json()["stdout"] == "lives\n" and described
    described = wait_until("no more memory than allowed", settled)
    assert described["phase"] == "Running" or "emory" in described["message"], described


@attack("the clock", "E D")
def clock(box):
    before = time.time()
    with box.told("clock_settime", "settimeofday", "adjtimex", "clock_adjtime"):
        box.refused("clock_settime", "settimeofday", "adjtimex", "clock_adjtime")
    assert abs(time.time() - before) < 60


@attack("processor burn: throttled", "K", resources={"memory": "96Mi", "pids": 64, "cpu": "100m"})
def burn(box):
    usage, began = box.api.usage(box.id), time.monotonic()
    for _ in range(10):  # on a busy machine even a tenth may not be had at once
        result = box.run("for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; wait", timeoutMs=3000)
        assert result["status"] == "timeout", result
        box.needs("cgroup.cpu")
        before, usage = usage, box.api.usage(box.id)
        # Eight loops could have used every processor, all the time.
        allowed = 0.1 * (time.monotonic() - began) * 1000 + 500
        assert usage["cpuMs"] - before["cpuMs"] < allowed, (before, usage, allowed)
        began = time.monotonic()
        if usage["throttledMs"] > 0:
            return
    raise AssertionError(usage)
