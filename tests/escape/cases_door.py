"""The section Door: PID 1 takes links that come through its door, a socket of which nothing inside has the
other end (runtime/door.h). Who got a link of his own in would have the sandbox in the control plane's place,
and with it what the control plane sends next."""
from tests.helpers import server as servers
from tests.helpers.contexts import Context
from tests.helpers.pods import CLOCK, TEMPLATE, TIMEOUT_MS, field

from .harness import case

DOOR = "Door"
CONTROL = 13  # SA_EXEC_CONTROL: descriptor 3 is a socket that leads to PID 1

# Over each socket that this process has, one end of a new connection; in /tmp/taken what came out of the other.
OFFER = """
import array, os, select, socket, stat
def sockets():
    for name in os.listdir('/proc/self/fd'):
        try:
            if stat.S_ISSOCK(os.stat(int(name)).st_mode):
                yield int(name)
        except OSError:
            pass
def offer(fd):
    taken = b''
    with socket.socket(fileno=os.dup(fd)) as way:
        for data, kind in ((b'\\0', socket.SOCK_STREAM), (b'x', socket.SOCK_STREAM), (b'\\0', socket.SOCK_SEQPACKET)):
            ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
            try:
                way.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [theirs.fileno()] * 3))])
            except OSError:
                pass
            theirs.close()
            if select.select([ours], [], [], 0.5)[0]:
                try:
                    taken += ours.recv(4096)
                except OSError:
                    pass
    return taken
ways = list(sockets())
with open('/tmp/taken', 'w') as out:
    out.write(f'{len(ways)} ways\\n')
    out.flush()
    for fd in ways:
        out.write(f'{fd}: {offer(fd)!r}\\n')
        out.flush()
"""


def offered(text, ways):
    """It tried so many, and nobody took what it offered."""
    lines = text.splitlines()
    assert lines[0] == f"{ways} ways", text
    assert all(line.endswith(": b''") for line in lines[1:]), text


@case(DOOR, "no name inside leads to it", "A E")
def nameless(box):
    assert box.sh("find / -xdev -type s 2>/dev/null; find /dev /tmp /workspace /home /var /run -type s 2>/dev/null") == ""
    assert box.sh("awk 'NR > 1 && NF > 7' /proc/net/unix") == "", "a socket with a name"
    connect = "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect({!r})"
    names = [f"/proc/1/fd/{fd}" for fd in range(3, 8)] + [f"{box.id}:door", f"\0{box.id}:door", "\0door"]
    box.fails([connect.format(name) for name in names], "EACCES", "EPERM", "ENOENT", "ECONNREFUSED")


@case(DOOR, "its descriptor cannot be had from PID 1", "E D", fresh=True)
def descriptor(box):
    box.fails(["os.open('/proc/1/fd/3', os.O_RDWR)", "os.listdir('/proc/1/fd')", "os.readlink('/proc/1/fd/3')"],
              "EACCES", "EPERM", "ENOENT")
    with box.told("pidfd_getfd"):
        box.refused("pidfd_getfd-init")
    box.lives()


@case(DOOR, "a connection that a program sends on its sockets is nobody's link", "E", fresh=True)
def from_programs(box):
    node = box.world.pods()
    pod = node.create()
    ways = {"a program": ([], 0), "with a channel to PID 1": ([field(CONTROL, 1)], 1), "forked": ([field(TEMPLATE, "python")], 0)}
    pid = node.first_process(pod)
    for what, (more, count) in ways.items():
        if more and what == "forked":
            pod.run(["python3", "-c", "pass"], *more)  # starts the template, for the next one
        before = servers.descriptors(pid)
        stream = pod.start(["python3", "-c", OFFER], field(TIMEOUT_MS, 60_000), *more)
        pod.wait(stream)
        offered(pod.sh("cat /tmp/taken; rm /tmp/taken"), count)
        assert servers.descriptors(pid) <= before + (what == "forked"), f"{what}: PID 1 keeps what it was sent"
        pod.ask(CLOCK, field(2, 0))  # whose link it was has it
    pod.delete()


@case(DOOR, "nor one that the code of a context sends on its kernel's channel", "E", fresh=True)
def from_contexts(box):
    context = Context(box.api, box.id)
    context.run(OFFER)  # what it wrote there is no frame: that ends this kernel, and nothing else
    offered(box.sh("cat /tmp/taken"), 1)
    box.lives()
    assert Context(box.api, box.id).text("1 + 1") == "2"


@case(DOOR, "nor one that a program sends which the API forks or hands its code", "E")
def from_code(box):
    for _ in range(3):  # the first one starts the template
        box.python(OFFER)
        offered(box.sh("cat /tmp/taken; rm /tmp/taken"), 0)
    box.lives()
