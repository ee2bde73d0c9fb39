"""A policy-worker over its own socket: the values and messages of core/lua/value.h and wire.h.

    worker = Worker(binary); worker.setup(POINTS); worker.load({"policies/x.lua": text})
    worker.call("execute", {"program": "xmrig"})   # the verdict, or raises Failed
"""
import os
import pathlib
import re
import select
import socket
import struct
import subprocess

SETUP, FILE, COMPILE, TEST, CALL = 1, 2, 3, 4, 5
DONE, PART, FAIL = 16, 17, 18
TRACE = 1
PACKET_MAX = 128 * 1024


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(value):
    if value is None:
        return b"\x01"
    if value is False:
        return b"\x02"
    if value is True:
        return b"\x03"
    if isinstance(value, int):
        return b"\x04" + varint(value * 2 if value >= 0 else -value * 2 - 1)
    if isinstance(value, float):
        return b"\x05" + struct.pack("<d", value)
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"\x06" + varint(len(value)) + value
    if isinstance(value, (list, tuple)):
        return b"\x07" + b"".join(encode(item) for item in value) + b"\x00"
    members = b""
    for key, member in value.items():
        if member is not None:
            key = key if isinstance(key, bytes) else key.encode()
            members += varint(len(key) + 1) + key + encode(member)
    return b"\x08" + members + b"\x00"


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise ValueError("cut off")
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def text(self, length):
        return self.take(length).decode("utf-8", "surrogateescape")

    def map(self):
        members = {}
        while key := self.varint():
            name = self.text(key - 1)
            assert name not in members
            members[name] = self.value()
        return members

    def list(self):
        items = []
        while self.data[self.at]:
            items.append(self.value())
        self.at += 1
        return items

    def value(self):
        tag = self.take(1)[0]
        if tag in (1, 2, 3):
            return {1: None, 2: False, 3: True}[tag]
        if tag == 4:
            zigzag = self.varint()
            return zigzag >> 1 ^ -(zigzag & 1)
        if tag == 5:
            return struct.unpack("<d", self.take(8))[0]
        if tag == 6:
            return self.text(self.varint())
        return {7: self.list, 8: self.map}[tag]()


def decode(data):
    reader = Reader(data)
    value = reader.value()
    assert reader.at == len(data), "bytes behind a value"
    return value


def message(kind, body=None, call=0, point=0, flags=0):
    body = encode({} if body is None else body)
    return struct.pack("<IBBHI", len(body), kind, flags, point, call) + body


def messages(packet):
    """(type, call, body) of each message of a packet."""
    at = 0
    while at < len(packet):
        length, kind, _, _, call = struct.unpack_from("<IBBHI", packet, at)
        at += 12
        yield kind, call, decode(packet[at : at + length])
        at += length


class Failed(Exception):
    def __init__(self, body):
        super().__init__(body.get("message"))
        self.kind, self.rule = body.get("kind"), body.get("rule")
        self.file, self.line, self.message = body.get("file"), body.get("line"), body.get("message")


class Gone(Exception):
    """The worker ended; `status` is as subprocess has it."""

    def __init__(self, status):
        super().__init__(f"the worker ended: {status}")
        self.status = status


def point(name, verdicts=("allow", "deny"), final=("deny",), combine="firstFinal", **more):
    return {"name": name, "verdicts": list(verdicts), "final": list(final), "combine": combine,
            "input": {}, "returns": {}} | more


# Enough to try all that a point can say.
POINTS = [
    point("execute", target="run", changes={
        "timeoutMs": {"type": "integer", "low": 0, "high": 100000},
        "label": {"type": "string", "values": ["a", "b"]},
        "names": {"type": "strings"}, "env": {"type": "map"}, "on": {"type": "boolean"},
        "ratio": {"type": "number"}, "inner": {"type": "object", "fields": {"n": {"type": "integer"}}},
        "rows": {"type": "objects", "fields": {"n": {"type": "integer"}}}}),
    point("admission", target="object"),
    point("files"),
    point("scaling", ["sized"], [], "named", returns={
        "size": {"type": "integer", "required": True, "low": 0, "high": 1000}}),
    point("anomaly", ["scored"], [], "maxScore", returns={
        "score": {"type": "number", "required": True, "low": 0, "high": 100},
        "action": {"type": "string", "required": True, "values": ["none", "alert", "kill"]}}),
]


class Worker:
    def __init__(self, program, points=None, **limits):
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket, self.calls, self.points = here, 0, points or POINTS
        for end in (here, there):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * PACKET_MAX)
        # A descriptor 3 of the child's own, whatever number it has here.
        fd = there.fileno()
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", f'exec "$0" --stderr 3<&{fd}', str(program)],
            pass_fds=[fd], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        there.close()
        self.limits = {"cpuMs": 50, "testCpuMs": 500, "memoryBytes": 16 << 20} | limits
        self.ask(SETUP, {"limits": self.limits, "points": self.points})

    def close(self):
        self.socket.close()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, packet):
        try:
            self.socket.send(packet)
        except OSError:
            raise Gone(self.process.wait(30)) from None

    def receive(self, seconds=60):
        """One packet."""
        if not select.select([self.socket], [], [], seconds)[0]:
            raise TimeoutError("no answer")
        try:
            packet = self.socket.recv(2 * PACKET_MAX)
        except ConnectionResetError:
            packet = b""
        if not packet:
            raise Gone(self.process.wait(30))
        return packet

    def ask(self, kind, body=None, point=0, flags=0, parts=None):
        self.calls += 1
        self.send(message(kind, body, self.calls, point, flags))
        while True:
            for got, call, answer in messages(self.receive()):
                assert call == self.calls
                if got == PART:
                    parts.append(answer)
                elif got == FAIL:
                    raise Failed(answer)
                else:
                    assert got == DONE
                    return answer

    def files(self, files):
        for name, text in files.items():
            self.send(message(FILE, {"name": name, "text": text}))

    def compile(self, files):
        self.files(files)
        return self.ask(COMPILE)

    def load(self, files):
        answer = self.compile(files)
        assert answer["errors"] == [], answer["errors"]
        return answer["rules"]

    def test(self):
        """(results, summary)"""
        parts = []
        summary = self.ask(TEST, parts=parts)
        return [result for part in parts for result in part["tests"]], summary

    def index(self, name):
        return [p["name"] for p in self.points].index(name)

    def call(self, name, body=None, trace=False):
        return self.ask(CALL, {} if body is None else body, self.index(name), TRACE if trace else 0)

    def call_many(self, name, bodies):
        """Pipelined: (type, body) of each answer, in order, and how many packets they came in."""
        index, first = self.index(name), self.calls + 1
        packet = b"".join(message(CALL, body, first + i, index) for i, body in enumerate(bodies))
        self.calls += len(bodies)
        self.send(packet)
        answers, packets = [], 0
        while len(answers) < len(bodies):
            packets += 1
            answers += messages(self.receive())
        assert [call for _, call, _ in answers] == list(range(first, self.calls + 1))
        return [(kind, body) for kind, _, body in answers], packets

    def memory_kb(self):
        """Rss and Pss: /proc of a process that is not dumpable is root's alone."""
        text = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return tuple(int(re.search(rf"^{name}: +(\d+)", text, re.M)[1]) for name in ("Rss", "Pss"))


def rule(body, point="execute", name="r", head="", params="{}"):
    """The text of a rule file: `body` is that of decide(input, params)."""
    return (f'{head}\nreturn {{ name = "{name}", version = 1, point = "{point}", params = {params},\n'
            f"  decide = function(input, params) {body} end }}\n")


def binary():
    folder = os.environ.get("SECUREAGENT_BIN")
    return pathlib.Path(folder or pathlib.Path(__file__).parents[2] / "build/bin") / "policy-worker"
