"""agent-api over a node and runtimes that a test plays itself, byte by byte: what a sandbox's PID 1
could send if the code in the sandbox had taken it over."""
import array
import contextlib
import os
import pathlib
import socket
import struct
import subprocess
import tempfile

from . import server as servers

# core/nodelink/nodelink.h, core/link/link.h
CREATE, CREATED, DESTROY, DESTROYED, STATS, STATS_REPLY, DONE, INFO, INFO_REPLY, PROFILE = 1, 2, 4, 5, 6, 7, 10, 11, 12, 13
LIST, LIST_REPLY, ATTACH, FACTS, FACTS_REPLY, RECOUNT, READY = 14, 15, 16, 17, 18, 19, 35
HELLO, OPEN, DATA, CREDIT, EOF, NOTE, END, CANCEL, PING, PONG, GOAWAY = range(1, 12)
PAYLOAD_MAX = 128 * 1024


def field(tag, value):
    if isinstance(value, int):
        value = struct.pack("<q", value)
    elif isinstance(value, str):
        value = value.encode()
    return struct.pack("<HI", tag, len(value)) + value


def fields(body):
    """(tag, value) of each."""
    at = 0
    while at < len(body):
        tag, length = struct.unpack_from("<HI", body, at)
        at += 6
        yield tag, body[at:at + length]
        at += length


def frame(kind, stream, payload=b"", channel=0):
    return struct.pack("<IIBBH", len(payload), stream, kind, channel, 0) + payload


def hello():
    return frame(HELLO, 0, field(1, "secureagent-link") + field(2, 1) + field(3, 1) +
                 field(4, 512 * 1024) + field(5, 256) + field(6, "hostile"))


class Runtime:
    """Our end of one sandbox's link."""

    def __init__(self, sock):
        self.sock, self.unread = sock, b""
        sock.settimeout(90)
        self.send(hello())

    def send(self, data):
        self.sock.sendall(data)

    def next(self):
        """(type, stream, channel, payload) of the next frame, None at the end."""
        while True:
            if len(self.unread) >= 12:
                length, stream, kind, channel, _ = struct.unpack_from("<IIBBH", self.unread)
                if len(self.unread) >= 12 + length:
                    payload = self.unread[12:12 + length]
                    self.unread = self.unread[12 + length:]
                    return kind, stream, channel, payload
            piece = self.sock.recv(1 << 20)
            if not piece:
                return None
            self.unread += piece

    def opened(self):
        """The stream of the next OPEN."""
        while (got := self.next()) is not None:
            if got[0] == OPEN:
                return got[1]
        raise AssertionError("the link closed instead of an OPEN")

    def close(self):
        self.sock.close()


class FakeNode:
    """Answers the API's requests; take() is the runtime's end of the sandbox created last."""

    def __init__(self, args=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="secureagent-test-"))
        self.folder.chmod(0o711)
        data = self.folder / "data"
        data.mkdir(mode=0o700)
        uid = os.getuid() or 65533
        os.chown(data, uid, uid)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = self.folder / "node.sock"
        listener.bind(str(path))
        os.chown(path, uid, uid)
        listener.listen()
        listener.settimeout(90)
        ready, ready_out = os.pipe()
        key, key_out = os.pipe()
        self.key = "sa_aaaaaaaa_" + "b" * 32
        os.write(key_out, self.key.encode() + b"\n")
        os.close(key_out)
        fds = [ready_out, key]
        self.stderr = self.folder / "stderr"
        with open(self.stderr, "wb") as stderr:
            self.process = subprocess.Popen(
                [servers.BIN / "agent-api", "--data-dir", data, "--listen", "127.0.0.1:0", "--node-socket", path,
                 "--ready-fd", str(fds[0]), "--key-fd", str(fds[1]), "--run-as", str(uid), *args],
                pass_fds=fds, stdin=subprocess.DEVNULL, stderr=stderr)
        os.close(ready_out)
        os.close(key)
        self.links = []
        with listener:
            self.sock = listener.accept()[0]
        self.reply(READY, 0)
        self.serve_until(LIST)
        self.url = os.read(ready, 4096).decode().strip()
        os.close(ready)

    def reply(self, kind, call, fields=b"", fd=None):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
        self.sock.sendmsg([struct.pack("<HHI", kind, 0, call) + fields], rights)

    def serve_one(self):
        packet = self.sock.recv(65536)
        if not packet:
            return None
        kind, _, call = struct.unpack_from("<HHI", packet)
        if kind == INFO:
            self.reply(INFO_REPLY, call)
        elif kind == PROFILE:
            self.on_profile(packet[8:])
            self.reply(DONE, call)
        elif kind == CREATE:
            self.on_create(packet[8:])
            ours, theirs = socket.socketpair()
            self.reply(CREATED, call, fd=theirs.fileno())
            theirs.close()
            self.links.append(Runtime(ours))
        elif kind == DESTROY:
            self.reply(DESTROYED, call)
        elif kind == LIST:
            self.reply(LIST_REPLY, call)
        elif kind in (STATS, RECOUNT):
            self.reply(STATS_REPLY, call)
        return kind

    def on_profile(self, body):
        pass

    def on_create(self, body):
        pass

    def serve_until(self, kind):
        self.sock.settimeout(90)
        while (got := self.serve_one()) != kind:
            assert got is not None, self.log()

    def take(self):
        return self.links.pop()

    def log(self):
        return self.stderr.read_text(errors="replace")

    def stop(self):
        """As the supervisor does; the exit status."""
        self.process.terminate()
        self.sock.settimeout(1)
        with contextlib.suppress(OSError):
            while self.serve_one() is not None:
                pass
        self.sock.close()
        return self.process.wait(90)
