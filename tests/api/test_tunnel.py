"""The WebSocket `.../tunnel`: one TCP connection to a server inside."""
import contextlib
import hashlib
import random
import socket
import struct
import time

import pytest
import requests

from tests.helpers import server as servers
from tests.helpers.client import wait_until
from tests.helpers.websocket import BINARY, Refused, WebSocket, frame

EOF = '{"type":"eof"}'

# Ports: 7001 echoes, 7002 reads to the end and then answers with what it got, 7003 sends for ever, 7004
# reads nothing, 7005 says hello and is silent, 7006 breaks the connection.
SERVERS = r"""
import hashlib, os, socket, socketserver, struct, threading, time

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128

def echo(s):
    while data := s.recv(65536):
        s.sendall(data)

def digest(s):
    sha, count = hashlib.sha256(), 0
    while data := s.recv(65536):
        sha.update(data)
        count += len(data)
    s.sendall(f"{count} {sha.hexdigest()}".encode())

def flood(s):
    sent = 0
    while True:
        s.sendall(b"x" * 65536)
        sent += 65536
        with open("/tmp/sent", "w") as f:
            f.write(str(sent))

def deaf(s):
    time.sleep(1000)

def hello(s):
    s.sendall(b"hello")
    s.recv(1)
    s.sendall(b"bye")

def broken(s):
    s.recv(1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()

def serve(port, function):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                function(self.request)
            except OSError:
                pass
    threading.Thread(target=Server(("127.0.0.1", port), Handler).serve_forever).start()

for port, function in enumerate((echo, digest, flood, deaf, hello, broken), 7001):
    serve(port, function)
open("/tmp/ready", "w").close()
"""


@pytest.fixture(scope="module")
def box(api):
    with api.sandbox(timeout=3600) as sandbox:
        api.put(sandbox, "/tmp/servers.py", SERVERS)
        api.post(f"/api/v1/sandboxes/{sandbox}/execute", {
            "command": ["python3", "/tmp/servers.py"], "background": True, "timeoutMs": 3600000}, status=202)
        wait_until("the servers", lambda: api.request(
            "GET", api.file(sandbox, "/tmp/ready"), stream=True).status_code == 200)
        yield sandbox


@pytest.fixture
def dial(api, box):
    with contextlib.ExitStack() as stack:
        def connect(port, sandbox=box, **more):
            more.setdefault("key", api.key)
            path = f"/api/v1/sandboxes/{sandbox}/tunnel?port={port}"
            return stack.enter_context(WebSocket(api.url, path, **more))
        yield connect


def read(ws, count):
    data = b""
    while len(data) < count:
        piece = ws.receive()
        assert isinstance(piece, bytes), piece
        data += piece
    return data


def test_bytes_come_back(dial):
    ws = dial(7001)
    for size in (1, 5, 126, 65536, 300_000):
        data = random.Random(size).randbytes(size)
        ws.send(data)
        assert read(ws, size) == data


def test_half_close_from_the_client(dial):
    ws = dial(7002)
    data = random.Random(1).randbytes(3_000_000)
    for at in range(0, len(data), 500_000):
        ws.send(data[at:at + 500_000])
    ws.send(EOF)

    expected = f"{len(data)} {hashlib.sha256(data).hexdigest()}".encode()
    assert read(ws, len(expected)) == expected
    assert ws.receive() == EOF
    assert ws.receive()[0] == 1000


def test_half_close_from_the_server(dial):
    ws = dial(7005)
    assert read(ws, 5) == b"hello"
    ws.send(b"?")
    assert read(ws, 3) == b"bye"
    assert ws.receive() == EOF
    ws.send(EOF)
    assert ws.receive()[0] == 1000


def test_a_connection_that_breaks(dial):
    ws = dial(7006)
    ws.send(b"x")
    code, reason = ws.receive()
    assert code == 1011 and "broke" in reason


def test_nobody_listens(dial):
    code, reason = dial(7999).receive()
    assert code == 1011 and "7999" in reason and "nobody" in reason


def test_who_does_not_read_holds_the_server_back(api, box, dial):
    ws = dial(7003, receive_buffer=8192)

    def sent():
        try:  # the file is written anew now and then, also while it is read
            answer = api.request("GET", api.file(box, "/tmp/sent"), stream=True)
            return int(answer.content or 0) if answer.status_code == 200 else 0
        except requests.exceptions.ConnectionError:
            return 0
    last = -1
    while (now := sent()) != last or not now:  # until it stands still
        last = now
        time.sleep(0.7)
    assert now < 64 << 20
    other = dial(7001)  # others are not held back
    other.send(b"ping")
    assert read(other, 4) == b"ping"
    read(ws, 8 << 20)
    wait_until("it to go on", lambda: sent() > now)


def test_a_server_that_does_not_read_holds_the_client_back(server, dial):
    ws = dial(7004)
    before = servers.status_kib(server.pid_of("agent-api"), "VmRSS")
    ws.sock.settimeout(1)
    piece = frame(BINARY, b"x" * 500_000)
    with pytest.raises(TimeoutError):
        for _ in range(200):
            ws.sock.sendall(piece)
    grown = servers.status_kib(server.pid_of("agent-api"), "VmRSS") - before
    assert grown < (64 if servers.SANITIZED else 16) << 10


@pytest.mark.parametrize("message", ['{"type":"resize"}', "{}", "x", '{"type":"eof","x":1}', "[]"])
def test_other_texts_are_refused(dial, message):
    ws = dial(7001)
    ws.send(message)
    code, reason = ws.receive()
    assert code == 1003 and reason


def test_bytes_after_the_end(dial):
    ws = dial(7004)
    ws.send(EOF)
    ws.send(EOF)  # says nothing new
    ws.send(b"more")
    assert ws.receive()[0] == 1003


@pytest.mark.parametrize("query", ["", "?port=0", "?port=65536", "?port=x", "?port=", "?port=-1"])
def test_ports_are_checked(api, box, query):
    with pytest.raises(Refused) as refused:
        WebSocket(api.url, f"/api/v1/sandboxes/{box}/tunnel{query}", key=api.key)
    assert refused.value.status == 400 and refused.value.error()["details"][0]["path"] == "port"


def test_who_may(api, box):
    for key, status in ((None, 401), ("sa_aaaaaaaa_" + "a" * 32, 401)):
        with pytest.raises(Refused) as refused:
            WebSocket(api.url, f"/api/v1/sandboxes/{box}/tunnel?port=7001", key=key)
        assert refused.value.status == status
    with pytest.raises(Refused) as refused:
        WebSocket(api.url, f"/api/v1/sandboxes/{box}/tunnel?port=7001", key=api.key,
                  headers=["Origin: https://evil.example"])
    assert refused.value.status == 403
    with pytest.raises(Refused) as refused:
        WebSocket(api.url, f"/api/v1/sandboxes/sb-{'a' * 20}/tunnel?port=7001", key=api.key)
    assert refused.value.status == 404
    api.error("GET", f"/api/v1/sandboxes/{box}/tunnel?port=7001", 426, "invalid_request")


def test_a_key_that_is_revoked(api, dial):
    made = api.post("/api/v1/user/apikeys", {"name": "leaver", "role": "operator"}, status=201).json()
    ws = dial(7001, key=made["key"])
    ws.send(b"one")
    assert read(ws, 3) == b"one"
    api.request("DELETE", f"/api/v1/user/apikeys/{made['id']}", 204)
    ws.send(b"two")
    assert ws.receive() == (1008, "the key was revoked")


def test_the_end_of_the_sandbox_ends_it(api, dial):
    with api.sandbox() as sandbox:
        api.put(sandbox, "/tmp/servers.py", SERVERS)
        api.post(f"/api/v1/sandboxes/{sandbox}/execute", {
            "command": ["python3", "/tmp/servers.py"], "background": True}, status=202)
        wait_until("the servers", lambda: api.request(
            "GET", api.file(sandbox, "/tmp/ready"), stream=True).status_code == 200)
        ws = dial(7005, sandbox)
        assert read(ws, 5) == b"hello"
        api.delete(sandbox)
        assert ws.receive()[0] == 1011


def test_those_who_vanish_leave_nothing(api, server, box, dial):
    pid = server.pid_of("agent-api")
    ws = dial(7001)
    ws.send(b"warm")
    read(ws, 4)
    count = servers.descriptors(pid)
    linger = struct.pack("ii", 1, 0)
    for i in range(300):
        with WebSocket(api.url, f"/api/v1/sandboxes/{box}/tunnel?port={7001 + i % 5}", key=api.key) as one:
            if i % 3:
                one.send(b"x" * 1000)
            if i % 2:

                one.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    wait_until("descriptors to be closed", lambda: servers.descriptors(pid) <= count + 2)
    inside = "ss=$(cat /proc/net/tcp | awk '$2 ~ /:1B5[9D]$/ && $4 == \"01\"' | wc -l); echo $ss"
    wait_until("connections inside to end", lambda: int(api.sh(box, inside)) <= 1)
    ws.send(b"still")
    assert read(ws, 5) == b"still"
