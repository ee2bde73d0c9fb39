"""Programs that try to get out or to do harm, and what must have become of each. A case runs in a
sandbox of its own and returns the evidence, in the words of the API's own answers."""
import threading
import time

from client import Failed

SYSCALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, *args):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*args)
    error = ctypes.get_errno()
    print(name, 'worked' if result == 0 else os.strerror(error), flush=True)
"""


def must(condition, what, answer=None):
    if not condition:
        raise Failed(what + (f": {answer}" if answer is not None else ""))


def line_of(answer, start):
    """The line of the output that begins so, without its beginning."""
    for line in answer["stdout"].splitlines():
        if line.startswith(start):
            return line[len(start):].strip()
    raise Failed(f"no line {start!r} in {answer['stdout']!r} {answer['stderr']!r}")


def security_event(client, sandbox, syscall):
    """The security event about a system call; the node tells it a moment later."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for event in client.events(sandbox):
            if event["type"] == "Security" and syscall in event["message"]:
                return f"security event: {event['message']}"
        time.sleep(0.02)
    raise Failed(f"no security event about {syscall}: {client.events(sandbox)}")


def still_works(client, sandbox):
    answer = client.execute(sandbox, command=["echo", "alive"])
    must(answer["stdout"] == "alive\n", "the sandbox does not work any more", answer)
    must(client.describe(sandbox)["phase"] == "Running", "the sandbox is not Running")


def end_of(client, sandbox, control):
    """None while the sandbox runs. Without control groups a limit may end it as a whole: then
    the reason that the API gives."""
    now = client.describe(sandbox)
    if now["phase"] == "Running":
        return None
    must(control not in sandbox["controls"], "the whole sandbox ended", now)
    return f"phase {now['phase']}: {now.get('message') or now.get('reason')}"


def fork_bomb(server, client, sandbox, neighbour):
    """Meanwhile another sandbox must answer."""
    other, slowest, most = server.client(), 0.0, 0
    result = {}
    code = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"

    def bomb():
        mine = server.client()
        try:
            result["answer"] = mine.execute(sandbox, language="python", code=code, timeoutMs=2500)
        except Exception as error:
            result["error"] = error
        finally:
            mine.close()

    thread = threading.Thread(target=bomb)
    thread.start()
    while thread.is_alive():
        start = time.monotonic()
        must(other.execute(neighbour, command=["true"])["exitCode"] == 0, "the neighbour failed")
        slowest = max(slowest, time.monotonic() - start)
        if end_of(other, sandbox, "cgroup.pids") is None:
            most = max(most, other.metrics(sandbox, gone={}).get("processes", 0))
        time.sleep(0.1)
    thread.join()
    other.close()
    must("answer" in result, f"the bomb had no answer: {result.get('error')}")
    answer, limit = result["answer"], sandbox["resources"]["pids"]
    must(most <= limit, f"{most} processes, more than the limit {limit}")
    end = end_of(client, sandbox, "cgroup.pids")
    if end is None:
        must(answer["status"] == "timeout", "unexpected status", answer)
        still_works(client, sandbox)
    return (f"status {answer['status']}; never more than {most} processes (limit {limit}); "
            f"a neighbour answered within {slowest * 1000:.0f} ms all the while"
            + (f"; {end}" if end else ""))


def memory_bomb(server, client, sandbox, neighbour):
    answer = client.execute(sandbox, language="python", timeoutMs=20000,
                            code="x = []\nwhile True: x.append(bytearray(1 << 20))")
    peak, end = answer["usage"]["memoryPeakBytes"] >> 20, end_of(client, sandbox, "cgroup.memory")
    must(peak < 192, "it got more than its memory", answer)
    if end is not None:
        return f"status {answer['status']}; {end}"
    still_works(client, sandbox)
    if "cgroup.memory" not in sandbox["controls"]:  # a limit for each process stands in
        must("MemoryError" in answer["stderr"], "the memory limit did not stop it", answer)
        return f"MemoryError at {peak} MiB; the sandbox goes on"
    must(answer["status"] == "oom", "the memory limit did not end it", answer)
    return f"status oom at {peak} MiB; the sandbox goes on"


def read_shadow(server, client, sandbox, neighbour):
    code = """
import os
def look(what, path):
    try: print(what, repr(open(path).read(60)))
    except OSError as e: print(what, e.strerror)
look('shadow', '/etc/shadow'); look('environ', '/proc/1/environ')
print('root', os.listdir('/root') if os.path.isdir('/root') and os.access('/root', os.R_OK) else 'closed')
print('pids', max(int(p) for p in os.listdir('/proc') if p.isdigit()))
"""
    answer = client.execute(sandbox, language="python", code=code)
    shadow, environ = line_of(answer, "shadow"), line_of(answer, "environ")
    must(shadow in ("No such file or directory", "Permission denied"), "it read", shadow)
    must(environ == "Permission denied", "it read the environment of PID 1", environ)
    must(line_of(answer, "root") in ("closed", "[]"), "it saw /root", answer)
    return f"/etc/shadow: {shadow}; PID 1's environment: {environ}"


def mount(server, client, sandbox, neighbour):
    code = SYSCALL + "attempt('mount', b'none', b'/tmp', b'tmpfs', 0, None)"
    answer = client.execute(sandbox, language="python", code=code)
    outcome = line_of(answer, "mount")
    must(outcome == "Operation not permitted", "mount was not refused", outcome)
    return f"{outcome}; {security_event(client, sandbox, 'mount')}"


def connect_out(server, client, sandbox, neighbour):
    """The API answers on the host's loopback (this very client uses it), not to the sandbox."""
    code = """
import socket
for name, address in (('internet', ('192.0.2.1', 443)), ('dns', ('9.9.9.9', 53)),
                      ('metadata', ('169.254.169.254', 80)), ('host', ('127.0.0.1', %d))):
    try:
        socket.create_connection(address, timeout=2); print(name, 'CONNECTED')
    except OSError as e: print(name, e.strerror or e)
""" % client.port
    answer = client.execute(sandbox, language="python", code=code, timeoutMs=20000)
    outcomes = {name: line_of(answer, name) for name in ("internet", "dns", "metadata", "host")}
    for name in ("internet", "dns", "metadata"):
        must(outcomes[name] in ("Network is unreachable", "Operation not permitted"),
             f"{name} was not refused", outcomes)
    must(outcomes["host"] in ("Connection refused", "Operation not permitted"),
         "the host's port was reached", outcomes)
    return (f"internet and metadata service: {outcomes['internet']}; the API's own port on the "
            f"host: {outcomes['host']}")


def kill_init(server, client, sandbox, neighbour):
    code = """
import os, signal
for target in (1, -1):
    try: os.kill(target, signal.SIGKILL); print(target, 'worked', flush=True)
    except OSError as e: print(target, e.strerror, flush=True)
"""
    answer = client.execute(sandbox, language="python", code=code)
    outcome = line_of(answer, "1 ")
    must(outcome == "Operation not permitted", "PID 1 could be signalled", answer)
    still_works(client, sandbox)
    return f"kill(1): {outcome}; phase Running, the next command works"


def new_namespace(server, client, sandbox, neighbour):
    code = SYSCALL + "attempt('unshare', 0x10000000 | 0x00020000)"
    outcome = line_of(client.execute(sandbox, language="python", code=code), "unshare")
    must(outcome == "Operation not permitted", "unshare was not refused", outcome)
    return f"{outcome}; {security_event(client, sandbox, 'unshare')}"


def trace(server, client, sandbox, neighbour):
    code = SYSCALL + "attempt('ptrace', 16, 1, 0, 0)"
    outcome = line_of(client.execute(sandbox, language="python", code=code), "ptrace")
    must(outcome == "Operation not permitted", "ptrace was not refused", outcome)
    return f"{outcome}; {security_event(client, sandbox, 'ptrace')}"


def fill_disk(server, client, sandbox, neighbour):
    code = """
import os
total, where = 0, open('/workspace/big', 'wb', 0)
try:
    while total < 1 << 36: total += where.write(bytes(1 << 20))
except OSError as e: print('filled', e.strerror, total >> 20, flush=True)
"""
    answer = client.execute(sandbox, language="python", code=code, timeoutMs=30000)
    outcome = line_of(answer, "filled")
    must(outcome.startswith("No space left on device"), "the disk had no end", answer)
    limit = client.describe(sandbox)["resources"].get("ephemeralStorage")
    return f"No space left on device after {outcome.split()[-1]} MiB (limit {limit})"


def endless_output(server, client, sandbox, neighbour):
    answer = client.execute(sandbox, command=["yes", "all work and no play"], timeoutMs=1500)
    must(answer["truncated"]["stdout"], "the output was not capped", answer["status"])
    must(answer["status"] in ("timeout", "signaled"), "it went on", answer["status"])
    return (f"status {answer['status']}; {len(answer['stdout']) >> 20} MiB kept and "
            f"truncated.stdout is true")


# What it tries, how, and with which limits of the sandbox.
CASES = [
    ("fork bomb", fork_bomb, {"resources": {"pids": 128}}),
    ("memory bomb", memory_bomb, {"resources": {"memory": "128Mi"}}),
    ("read /etc/shadow and the secrets of PID 1", read_shadow, {}),
    ("mount a file system", mount, {}),
    ("connect to the internet and to the host", connect_out, {}),
    ("kill PID 1", kill_init, {}),
    ("become root in a new user namespace", new_namespace, {}),
    ("take PID 1 over with ptrace", trace, {}),
    ("fill the disk", fill_disk, {"resources": {"memory": "256Mi"}}),
    ("write output without end", endless_output, {}),
]
