"""A sandbox as a pool has it: made by a real sandbox-node, and driven over its link, without agent-api.
Who makes pools seals it, lends it out, and resets it."""
import array
import contextlib
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import uuid

from . import server as servers
from .fake_node import CREATE, CREATED, CREDIT, DATA, DESTROY, DESTROYED, DONE, END, HELLO, NOTE, OPEN, PING, PONG, PROFILE, \
    field, fields, frame, hello

# core/link/methods.h
EXEC, USAGE, CLOCK, SETUP, SEAL, RESET = 1, 20, 40, 50, 51, 52
ARGV, ENV, TIMEOUT_MS, FILTER, CONTROL, TEMPLATE, IMPORT = 2, 3, 6, 8, 13, 14, 15
STATUS, EXIT_CODE = 30, 31
FINGERPRINT, KILLED, REMOVED, LOOKED = 2, 3, 4, 5
COMMON = ("@io @files @xattr @memory @process @ids @signals @time @timers @sync @sched @poll @net @inotify "
          "@numa @pkeys @aio @sysv @mqueue @self").split()
FOLDERS = ("/workspace", "/tmp", "/home/user", "/dev/shm")
PROFILE_ID = "0123456789abcdef"
PATIENCE_S = 120


class Refused(Exception):
    """An END or a reply that is an error."""

    def __init__(self, body):
        parts = dict(fields(body))
        self.code = struct.unpack("<q", parts[1])[0]
        self.message, self.path = parts.get(2, b"").decode(), parts.get(3, b"").decode()
        super().__init__(f"{self.path}: {self.message}")


def number(value):
    return struct.unpack("<q", value)[0]


def profile():
    """As permissive as rules can be: what is stopped here is stopped by what no rule switches off."""
    body = field(50, PROFILE_ID) + b"".join(field(tag, value) for tag, value in
                                            ((51, 1000), (52, 1000), (53, 31), (54, 0), (55, 65536), (56, 0), (57, 0)))
    body += b"".join(field(tag, path) for tag in (59, 60) for path in FOLDERS)
    body += b"".join(field(61, name) for name in "null zero full random urandom tty".split())
    for language in ("base", "default", "python"):
        body += field(62, field(1, language) + b"".join(field(2, name) for name in COMMON))
    return body


class Node:
    """A sandbox-node of our own."""

    def __init__(self, user=None, binaries=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="secureagent-test-"))
        self.folder.chmod(0o711)
        binaries = pathlib.Path(binaries or servers.BIN)
        path = self.folder / "node.sock"
        state = self.folder / "state"
        state.mkdir(mode=0o700)
        if user:
            os.chown(state, *user)
        self.calls, self.ids = 0, 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(path))
            listener.listen()
            command = [binaries / "sandbox-node", "--listen-fd", str(listener.fileno()), "--peer-uid", str(os.geteuid()),
                       "--runtime", binaries / "execution-runtime", "--state-dir", state,
                       "--state", "test-" + uuid.uuid4().hex[:12]]
            more = {"user": user[0], "group": user[1], "extra_groups": []} if user else {}
            self.log = open(self.folder / "stderr", "w+b")
            self.process = subprocess.Popen(command, pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL,
                                            stderr=self.log, **more)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(str(path))
        self.sock.settimeout(PATIENCE_S)
        self.call(PROFILE, profile(), DONE)

    def call(self, kind, body, answer):
        """The descriptors of the answer."""
        self.calls += 1
        self.sock.send(struct.pack("<HHI", kind, 0, self.calls) + body)
        while True:
            packet, more, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(16))
            if not packet:
                self.log.seek(0)
                raise AssertionError(f"the node ended: {self.log.read().decode(errors='replace')}")
            got, _, call = struct.unpack_from("<HHI", packet)
            if call != self.calls:
                continue  # an event
            if got != answer:
                raise Refused(dict(fields(packet[8:]))[2])
            fds = array.array("i")
            for _, _, data in more:
                fds.frombytes(data)
            return list(fds)

    def create(self, memory=256 << 20, storage=64 << 20, inodes=200_000, pids=128):
        self.ids += 1
        pod = f"wp-{self.ids:020d}"
        body = field(1, pod) + field(10, "python") + field(17, "box") + field(50, PROFILE_ID)
        body += field(11, memory) + field(12, 1000) + field(13, pids) + field(14, storage) + field(15, inodes)
        body += field(16, "PATH=/usr/local/bin:/usr/bin:/bin") + field(16, "HOME=/home/user")
        [fd] = self.call(CREATE, body, CREATED)
        return Pod(self, pod, socket.socket(fileno=fd))

    def first_process(self, pod):
        """On the host: its PID 1, told by the name that a spare does not have yet."""
        marker = pod.sh("cat /proc/sys/kernel/random/uuid > /tmp/marker; cat /tmp/marker")
        for pid, _ in servers.descendants(self.process.pid).items():
            with contextlib.suppress(OSError):
                path = pathlib.Path(f"/proc/{pid}/root/tmp/marker")
                if path.exists() and path.read_text().strip() == marker:
                    return pid
        raise AssertionError("its PID 1 is not below the node")

    def stop(self):
        self.sock.close()
        self.process.terminate()
        status = self.process.wait(PATIENCE_S)
        self.log.close()
        shutil.rmtree(self.folder)
        return status


class Stream:
    def __init__(self):
        self.out, self.ended, self.noted, self.result = {1: b"", 2: b"", 3: b""}, False, False, None
        self.unread = False  # give no credit back


class Pod:
    def __init__(self, node, name, link):
        self.node, self.name, self.link = node, name, link
        self.unread, self.streams, self.last = b"", {}, -1
        link.settimeout(PATIENCE_S)
        link.sendall(hello())

    def delete(self):
        self.link.close()
        self.node.call(DESTROY, field(1, self.name), DESTROYED)

    # ---- the link ----

    def frame(self):
        while True:
            if len(self.unread) >= 12:
                length, stream, kind, channel, _ = struct.unpack_from("<IIBBH", self.unread)
                if len(self.unread) >= 12 + length:
                    payload, self.unread = self.unread[12:12 + length], self.unread[12 + length:]
                    return kind, stream, channel, payload
            piece = self.link.recv(1 << 20)
            assert piece, "PID 1 ended"
            self.unread += piece

    def move(self):
        kind, stream, channel, payload = self.frame()
        if kind == PING:
            self.link.sendall(frame(PONG, 0, payload))
        s = self.streams.get(stream)
        if kind in (DATA, NOTE) and not s.unread:
            self.link.sendall(frame(CREDIT, stream, struct.pack("<I", len(payload))))
        if kind == DATA:
            s.out[channel] += payload
        elif kind == NOTE:
            s.noted = True
        elif kind == END:
            s.ended, s.result = True, payload

    def open(self, method, body=b""):
        self.last += 2
        stream = self.streams[self.last] = Stream()
        self.link.sendall(frame(OPEN, self.last, field(1, method) + body))
        return stream

    def wait(self, stream):
        while not stream.ended:
            self.move()
        result = dict(fields(stream.result))
        if 1 in result:
            raise Refused(result[1])
        return result

    def ask(self, method, body=b""):
        return self.wait(self.open(method, body))

    # ---- what is asked ----

    def start(self, command, *more):
        """Begin a program, and wait until it runs."""
        stream = self.open(EXEC, b"".join(field(ARGV, word) for word in command) + b"".join(more))
        while not stream.noted and not stream.ended:
            self.move()
        return stream

    def run(self, command, *more):
        """(exit code, output) of a program."""
        stream = self.start(command, *more)
        result = self.wait(stream)
        assert result[STATUS] == b"exited", (command, result, stream.out)
        return number(result[EXIT_CODE]), stream.out[1].decode(errors="surrogateescape"), \
            stream.out[2].decode(errors="replace")

    def sh(self, script, *more):
        code, out, errors = self.run(["bash", "-c", script], *more)
        assert code == 0, f"{script}: {code}: {out}{errors}"
        return out.strip()

    def python(self, code, *more):
        status, out, errors = self.run(["python3", "-c", code], *more)
        assert status == 0, f"{code}: {out}{errors}"
        return out.strip()

    def seal(self):
        self.fingerprint = self.ask(SEAL)[FINGERPRINT]

    def setup(self, *entries):
        self.ask(SETUP, b"".join(field(2, entry) for entry in entries))

    def reset(self):
        """As a pool does before it lends it out again; raises Refused when it is not clean."""
        result = self.ask(RESET)
        assert result[FINGERPRINT] == self.fingerprint
        return {"killed": number(result[KILLED]), "removed": number(result[REMOVED]), "looked": number(result[LOOKED])}

    def unclean(self):
        """RESET must say that this one has to go; the error."""
        try:
            result = self.reset()
        except Refused as refused:
            return refused
        raise AssertionError(f"it was said to be clean: {result}")
