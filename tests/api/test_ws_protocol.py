"""The WebSocket protocol itself (RFC 6455), frame by frame, against a server that echoes: what the
Autobahn suite's cases look at, and what a hostile client would try. Plain and under TLS."""
import contextlib
import os
import random
import socket
import struct
import subprocess
import time

import pytest

from tests.helpers import server as servers
from tests.helpers import websocket
from tests.helpers.client import wait_until
from tests.helpers.websocket import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, WebSocket,
                                     close_frame, frame)

ECHO = servers.BIN.parent / "tests" / "ws_echo"


class Echo:
    def __init__(self, *options):
        environment = {"ASAN_OPTIONS": "detect_leaks=1", **os.environ}
        self.process = subprocess.Popen([ECHO, *options], stdin=subprocess.PIPE, env=environment,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.url = self.process.stdout.readline().decode().strip()

    @property
    def pid(self):
        return self.process.pid

    def open(self, **more):
        return WebSocket(self.url, **more)

    def state(self):
        """(connections other than this one, its queued bytes)"""
        with self.open() as ws:
            ws.send("!state")
            connections, queued = map(int, ws.receive().split())
            ws.close()
            return connections - 1, queued

    def stop(self):
        self.process.stdin.close()
        status = self.process.wait(90)
        log = self.process.stderr.read().decode(errors="replace")
        assert status == 0, log[-5000:]
        return log


@contextlib.contextmanager
def running(*options):
    echo = Echo(*options)
    try:
        yield echo
    except BaseException:
        echo.process.kill()
        raise
    else:
        echo.stop()
    finally:
        echo.process.kill()
        echo.process.wait()


@pytest.fixture(scope="module", params=["plain", "tls"])
def echo(request, tmp_path_factory):
    options = []
    if request.param == "tls":
        folder = tmp_path_factory.mktemp("tls")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", folder / "key",
                        "-out", folder / "cert"], check=True, capture_output=True)
        options = [f"cert={folder}/cert", f"key={folder}/key"]
    with running(*options) as server:
        yield server


def outcome(echo, data, pieces=None):
    """Everything that comes back for these bytes, up to the end: echoes, pongs, then the close."""
    with echo.open() as ws:
        sizes = [pieces] * (len(data) // pieces + 1) if pieces else [len(data)]
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for size in sizes:
                ws.send_bytes(data[:size])
                data = data[size:]
        got = []
        with contextlib.suppress(ConnectionResetError):
            while (one := ws.receive_frame()) is not None:
                assert one[1], "fragmented"
                got.append((one[0], one[2]))
        return got


def closed_with(echo, data, code, before=(), pieces=None):
    got = outcome(echo, data, pieces)
    assert got[:-1] == list(before)
    opcode, payload = got[-1]
    assert opcode == CLOSE and struct.unpack(">H", payload[:2])[0] == code, got[-1]


# ---- 1: messages ----

@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 4095, 4096, 4097, 65535, 65536, 1 << 20])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_echo(echo, opcode, size):
    payload = b"*" * size if opcode == TEXT else random.Random(size).randbytes(size)
    data = frame(opcode, payload) + close_frame()
    assert outcome(echo, data) == [(opcode, payload), (CLOSE, struct.pack(">H", 1000))]


@pytest.mark.parametrize("pieces", [1, 997])
def test_echo_in_pieces(echo, pieces):
    data = frame(TEXT, "x" * 300) + frame(BINARY, b"y" * 5000) + close_frame()
    assert outcome(echo, data, pieces)[:2] == [(TEXT, b"x" * 300), (BINARY, b"y" * 5000)]


def test_frames_with_the_opening(echo):
    with echo.open(early=frame(TEXT, "early") + frame(PING, "p")) as ws:
        assert {ws.receive_frame()[2], ws.receive_frame()[2]} == {b"early", b"p"}
        assert ws.close() == 1000


# ---- 2: pings and pongs ----

@pytest.mark.parametrize("payload", [b"", b"hello", b"\x00\xff\xfe", b"p" * 125])
def test_ping(echo, payload):
    assert outcome(echo, frame(PING, payload) + close_frame())[0] == (PONG, payload)


def test_ping_too_long(echo):
    closed_with(echo, frame(PING, b"p" * 126), 1002)


def test_pong_unasked(echo):
    data = frame(PONG) + frame(PONG, "x") + frame(PING, "p") + close_frame()
    assert outcome(echo, data)[0] == (PONG, b"p")


@pytest.mark.parametrize("pieces", [None, 1])
def test_ten_pings(echo, pieces):
    data = b"".join(frame(PING, f"p{i}") for i in range(10)) + close_frame()
    assert outcome(echo, data, pieces)[:10] == [(PONG, f"p{i}".encode()) for i in range(10)]


def test_ping_flood(echo):
    """At most some are answered, the newest always, and others are served meanwhile."""
    with echo.open() as ws, echo.open() as other:
        ws.send_bytes(b"".join(frame(PING, f"p{i}") for i in range(20000)) + frame(TEXT, "end"))
        other.send("alive")
        assert other.receive() == "alive"
        pongs = []
        while (got := ws.receive_frame())[0] == PONG:
            pongs.append(int(got[2][1:]))
        assert got == (TEXT, True, b"end") and pongs == sorted(pongs)
        ws.send_bytes(frame(PING, "p20000"))
        while pongs[-1:] != [20000]:
            pongs.append(int(ws.receive_frame()[2][1:]))
        assert pongs == sorted(pongs)
        assert ws.close() == 1000


# ---- 3, 4: reserved bits and opcodes ----

@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_reserved_bits(echo, opcode, rsv):
    data = frame(TEXT, "before") + frame(opcode, "", rsv=rsv)
    closed_with(echo, data, 1002, before=[(TEXT, b"before")])


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"x" * 50])
def test_reserved_opcodes(echo, opcode, payload):
    data = frame(TEXT, "before") + frame(opcode, payload) + frame(PING)
    closed_with(echo, data, 1002, before=[(TEXT, b"before")])


def test_unmasked(echo):
    closed_with(echo, frame(TEXT, "x", mask=False), 1002)
    closed_with(echo, frame(PING, "x", mask=False), 1002)
    closed_with(echo, frame(TEXT, "ok") + frame(CLOSE, b"\x03\xe8", mask=False), 1002,
                before=[(TEXT, b"ok")])


# ---- 5: fragmentation ----

def test_fragments(echo):
    data = (frame(TEXT, "one ", fin=False) + frame(CONTINUATION, "", fin=False) +
            frame(PING, "between") + frame(CONTINUATION, "two ", fin=False) +
            frame(CONTINUATION, "three") + close_frame())
    for pieces in (None, 1):
        assert outcome(echo, data, pieces)[:2] == [(PONG, b"between"), (TEXT, b"one two three")]


def test_fragmented_binary_of_many_parts(echo):
    parts = [bytes([i & 255]) * 100 for i in range(1000)]
    data = frame(BINARY, parts[0], fin=False)
    data += b"".join(frame(CONTINUATION, p, fin=False) for p in parts[1:])
    data += frame(CONTINUATION) + close_frame()
    assert outcome(echo, data)[0] == (BINARY, b"".join(parts))


@pytest.mark.parametrize("name, data", {
    "fragmented ping": frame(PING, "x", fin=False) + frame(CONTINUATION, "y"),
    "fragmented pong": frame(PONG, "x", fin=False) + frame(CONTINUATION, "y"),
    "fragmented close": frame(CLOSE, b"\x03\xe8", fin=False),
    "continuation of nothing": frame(CONTINUATION, "x"),
    "unended continuation of nothing": frame(CONTINUATION, "x", fin=False),
    "continuation after the end": frame(TEXT, "x", fin=False) + frame(CONTINUATION, "y") +
                                  frame(CONTINUATION, "z"),
    "text within a message": frame(TEXT, "x", fin=False) + frame(TEXT, "y"),
    "binary within a message": frame(TEXT, "x", fin=False) + frame(BINARY, "y"),
}.items())
def test_bad_fragments(echo, name, data):
    before = [(TEXT, b"xy")] if name == "continuation after the end" else []
    closed_with(echo, data, 1002, before=before)
    closed_with(echo, data, 1002, before=before, pieces=1)


# ---- 6: UTF-8 ----

GOOD_TEXT = ["Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!", "\u03ba\u1f79\u03c3\u03bc\u03b5",
             "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000",
             "\U0010ffff", "\ufffd", "\u20ac" * 5000]
BAD_TEXT = [b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", b"\x80", b"\xbf", b"\xc0\xaf",
            b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80",
            b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xfe", b"\xff", b"\xc2", b"\xe2\x82",
            b"\xf0\x9f\x98", b"x" * 5000 + b"\xc3(" + b"y" * 5000]


@pytest.mark.parametrize("text", GOOD_TEXT)
def test_good_text(echo, text):
    data = text.encode()
    assert outcome(echo, frame(TEXT, data) + close_frame())[0] == (TEXT, data)
    fragments = [frame(CONTINUATION, data[i:i + 1], fin=False) for i in range(1, min(len(data), 500))]
    fragments = (frame(TEXT, data[:1], fin=False) + b"".join(fragments) + frame(CONTINUATION, data[500:]) +
                 close_frame())
    assert outcome(echo, fragments)[0] == (TEXT, data)


@pytest.mark.parametrize("text", BAD_TEXT)
def test_bad_text(echo, text):
    closed_with(echo, frame(TEXT, text), 1007)
    closed_with(echo, frame(TEXT, text), 1007, pieces=1000 if len(text) > 1000 else 1)
    fragments = frame(TEXT, text[:1], fin=False) + frame(CONTINUATION, text[1:], fin=False)
    closed_with(echo, fragments + frame(CONTINUATION), 1007)


def test_bad_text_at_once(echo):
    """At the first wrong byte, though neither frame nor message is complete."""
    closed_with(echo, frame(TEXT, b"ok \xf4\x90\x80\x80" + b"x" * 500, fin=False)[:-490], 1007)
    closed_with(echo, frame(TEXT, b"ok \xf4", fin=False) + frame(CONTINUATION, b"\x90\x80\x80", fin=False),
                1007)


def test_binary_is_not_text(echo):
    assert outcome(echo, frame(BINARY, b"\xff\xfe") + close_frame())[0] == (BINARY, b"\xff\xfe")


# ---- 7: closing ----

@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999,
                                  4000, 4999])
def test_close_codes(echo, code):
    assert outcome(echo, close_frame(code, b"why")) == [(CLOSE, struct.pack(">H", code))]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1012, 1014, 1015, 1016, 1100, 2000, 2999,
                                  5000, 65535])
def test_bad_close_codes(echo, code):
    closed_with(echo, close_frame(code), 1002)


def test_close_without_code(echo):
    assert outcome(echo, frame(CLOSE)) == [(CLOSE, b"")]


def test_bad_closes(echo):
    closed_with(echo, frame(CLOSE, b"\x03"), 1002)
    closed_with(echo, frame(CLOSE, b"\x03\xe8\xff"), 1007)
    closed_with(echo, frame(CLOSE, b"\x03\xe8" + b"r" * 124), 1002)
    assert outcome(echo, close_frame(1000, b"r" * 123)) == [(CLOSE, b"\x03\xe8")]


def test_nothing_after_close(echo):
    data = frame(TEXT, "a") + close_frame() + frame(TEXT, "b") + frame(PING, "c") + close_frame(1001)
    assert outcome(echo, data) == [(TEXT, b"a"), (CLOSE, struct.pack(">H", 1000))]


def test_close_in_the_middle_of_a_message(echo):
    assert outcome(echo, frame(TEXT, "a", fin=False) + close_frame()) == [(CLOSE, b"\x03\xe8")]


def test_close_while_much_is_under_way(echo):
    with echo.open() as ws:
        ws.send("!flood 400 65536")
        ws.receive_frame()
        assert ws.close(4001) == 4001


def test_server_closes(echo):
    with echo.open() as ws:
        ws.send("!close 4123 so long")
        assert ws.receive() == (4123, "so long")
        ws.send_bytes(frame(TEXT, "ignored") + close_frame(4123))
        ws.expect_end()
    with echo.open() as ws:  # a client that never answers
        ws.send("!close 1001 x")
        assert ws.receive() == (1001, "x")
        ws.expect_end()


# ---- 9: limits ----

def test_message_too_big(echo):
    closed_with(echo, frame(BINARY, b"x" * ((1 << 20) + 1))[:20], 1009)
    closed_with(echo, frame(TEXT, b"", length=1 << 40), 1009)
    part = frame(CONTINUATION, b"x" * (1 << 19), fin=False)
    closed_with(echo, frame(BINARY, b"x", fin=False) + part + part, 1009)
    closed_with(echo, frame(BINARY, b"", length=(1 << 63) + 5), 1002)


def test_fragment_flood(echo):
    data = frame(TEXT, "", fin=False) + frame(CONTINUATION, "", fin=False) * 40000
    closed_with(echo, data, 1009)


def test_many_messages(echo):
    with echo.open() as ws:
        for round_ in range(20):
            ws.send_bytes(b"".join(frame(TEXT, f"{round_}-{i}") for i in range(500)))
            assert [ws.receive() for _ in range(500)] == [f"{round_}-{i}" for i in range(500)]
        assert ws.close() == 1000


# ---- flow control ----

def test_slow_reader_is_waited_for(echo):
    """64 MiB for a client that reads in its own time: nothing lost, little held."""
    with echo.open(receive_buffer=65536) as ws:
        before = servers.status_kib(echo.pid, "VmRSS")
        ws.send("!flood 1000 65536")
        time.sleep(0.5)
        assert servers.status_kib(echo.pid, "VmRSS") - before < (20000 if servers.SANITIZED else 3000)
        for _ in range(1000):
            assert len(ws.receive()) == 65536
        assert ws.close() == 1000


def test_overrun_is_cut(echo):
    with echo.open(receive_buffer=65536) as ws:
        ws.send("!overrun")
        with contextlib.suppress(ConnectionResetError, EOFError):
            while ws.receive_frame() is not None:
                pass
    wait_until("the connection to be gone", lambda: echo.state()[0] == 0)


def test_pause(echo):
    """Reading stops and goes on; the sender is held back and nothing is lost."""
    with echo.open() as ws:
        began = time.monotonic()
        ws.send("!pause 300")
        for i in range(20):
            ws.send(bytes([i]) * 100000)
        for i in range(20):
            assert ws.receive() == bytes([i]) * 100000
        assert time.monotonic() - began > 0.25
        ws.send("!pause 300")
        ws.send("after")
        assert ws.close() == 1000


# ---- handshake ----

def test_subprotocol(echo):
    with echo.open(protocols=["secureagent.v1"]) as ws:
        assert ws.headers["sec-websocket-protocol"] == "secureagent.v1"
    with echo.open() as ws:
        assert "sec-websocket-protocol" not in ws.headers


def test_extensions_are_not_taken_up(echo):
    with echo.open(headers=["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"]) as ws:
        ws.send("plain")
        assert ws.receive() == "plain"
        ws.send_bytes(frame(TEXT, "compressed", rsv=4))
        assert ws.receive()[0] == 1002


# ---- peers that vanish ----

def test_keep_alive():
    with running("ping_ms=100", "pong_ms=300") as echo:
        with echo.open() as alive, echo.open() as silent:
            for _ in range(5):  # answers, and lives
                assert alive.receive_frame()[0] == PING
                alive.send_bytes(frame(PONG))
            assert alive.close() == 1000
            assert silent.receive_frame()[0] == PING
            while silent.receive_frame() is not None:
                pass
        wait_until("both to be gone", lambda: echo.state()[0] == 0)


def test_pause_outlasts_keep_alive():
    with running("ping_ms=50", "pong_ms=50") as echo, echo.open() as ws:
        ws.send("!pause 1000")
        ws.send("late")
        assert ws.receive() == "late"


def test_stop_says_why():
    with running() as echo:
        sockets = [echo.open() for _ in range(20)]
        for ws in sockets:
            ws.send("there?")
            assert ws.receive() == "there?"
        echo.process.stdin.close()
        for ws in sockets:
            assert ws.receive() == (1001, "the server stops")
            ws.send_bytes(close_frame(1001))
            ws.expect_end()


def test_stop_does_not_wait_for_ever():
    with running("deadline=300") as echo:
        with echo.open(receive_buffer=65536) as ws:
            ws.send("!flood 1000 65536")
            time.sleep(0.1)
            began = time.monotonic()
            echo.stop()
            assert time.monotonic() - began < 60


def vanish(echo, dice):
    """Disconnect at some moment of a connection's life, in some way."""
    hard = struct.pack("ii", 1, 0)
    moment = dice.randrange(8)
    if moment == 0:  # within the opening
        s = socket.create_connection(("127.0.0.1", int(echo.url.rsplit(":", 1)[1])), timeout=90)
        s.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n")
    else:
        ws = echo.open()
        s = ws.sock
        data = {1: b"", 2: frame(TEXT, "x" * 100)[:50], 3: frame(BINARY, b"x" * 100000)[:70000],
                4: frame(TEXT, "!flood 100 65536"), 5: frame(TEXT, "!pause 100") + frame(TEXT, "y") * 100,
                6: frame(TEXT, "!close 1000 x"), 7: close_frame()}[moment]
        with contextlib.suppress(OSError):
            s.sendall(data)
            if dice.random() < 0.3:
                s.settimeout(0.01)
                s.recv(100)
    if dice.random() < 0.5:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
    s.close()


def test_a_thousand_vanish(echo):
    dice = random.Random(7)
    for _ in range(50):
        vanish(echo, dice)
    wait_until("connections to be gone", lambda: echo.state()[0] == 0)
    descriptors, memory = servers.descriptors(echo.pid), servers.status_kib(echo.pid, "VmRSS")
    for _ in range(1000):
        vanish(echo, dice)
    wait_until("connections to be gone", lambda: echo.state()[0] == 0)
    wait_until("descriptors to be closed", lambda: servers.descriptors(echo.pid) <= descriptors)
    assert servers.status_kib(echo.pid, "VmRSS") - memory < (40000 if servers.SANITIZED else 2000)


def test_idle_connections_are_small():
    with running() as echo:
        warm = [echo.open() for _ in range(100)]
        before = servers.status_kib(echo.pid, "VmRSS")
        idle = [echo.open() for _ in range(1000)]
        for ws in idle:
            ws.send("x" * 200)
            assert ws.receive() == "x" * 200
        each = (servers.status_kib(echo.pid, "VmRSS") - before) / 1000
        for ws in warm + idle:
            ws.sock.close()
        assert each < (64 if servers.SANITIZED else 20), f"{each} KiB"
