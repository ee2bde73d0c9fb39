"""`secureagent forward`: ports of a sandbox on this machine."""
import random
import signal
import socket
import subprocess
import threading

import pytest
import requests

from tests.helpers import server as servers
from tests.helpers.cli import environment
from tests.helpers.client import Api, wait_until

SERVERS = r"""
import http.server, socketserver, threading

class Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 64

class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)

class Reversed(socketserver.BaseRequestHandler):
    def handle(self):
        parts = []
        while data := self.request.recv(65536):
            parts.append(data)
        self.request.sendall(b"".join(parts)[::-1])

class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args):
        pass
    def do_GET(self):
        body = b"path " + self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

for port, handler in ((8000, Web), (7001, Echo), (7002, Reversed)):
    threading.Thread(target=Tcp(("127.0.0.1", port), handler).serve_forever).start()
open("/tmp/ready", "w").close()
"""


@pytest.fixture(scope="module")
def box(server):
    api = Api(server.url, server.key)
    with api.sandbox("python", timeout=3600, name="forward-box") as sandbox:
        api.put(sandbox, "/tmp/servers.py", SERVERS)
        api.post(f"/api/v1/sandboxes/{sandbox}/execute", {
            "command": ["python3", "/tmp/servers.py"], "background": True, "timeoutMs": 3600000}, status=202)
        wait_until("the servers", lambda: api.request(
            "GET", api.file(sandbox, "/tmp/ready"), stream=True).status_code == 200)
        yield sandbox
    api.close()


@pytest.fixture
def forward(server, box):
    """Forward ports; returns the process and where they are."""
    running = []

    def start(*ports, **env):
        process = subprocess.Popen([servers.BIN / "secureagent", "forward", "forward-box",
                                    *(f"0:{port}" for port in ports)], env=environment(server, **env),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        running.append(process)
        local = []
        for port in ports:
            address, inside = process.stdout.readline().decode().split(" -> ")
            assert int(inside) == port
            local.append(("127.0.0.1", int(address.rsplit(":", 1)[1])))
        return process, local
    yield start
    for process in running:
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0
        process.stdout.close(), process.stderr.close()


def read_all(s):
    parts = []
    while data := s.recv(65536):
        parts.append(data)
    return b"".join(parts)


def test_http(forward):
    _, [(host, port)] = forward(8000)
    with requests.Session() as session:
        session.trust_env = False
        for i in range(5):
            assert session.get(f"http://{host}:{port}/x{i}").text == f"path /x{i}"


def test_tcp_both_ways_and_half_closed(forward):
    _, [echo, reverse] = forward(7001, 7002)
    data = random.Random(1).randbytes(5_000_000)
    with socket.create_connection(reverse, 30) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == data[::-1]
    with socket.create_connection(echo, 30) as s:
        writer = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
        writer.start()
        assert read_all(s) == data
        writer.join()


def test_many_at_once_and_those_who_vanish(forward):
    process, [echo] = forward(7001)
    with socket.create_connection(echo, 30) as first:
        first.sendall(b"1")
        assert first.recv(1) == b"1"
        count = servers.descriptors(process.pid)
        sockets = [socket.create_connection(echo, 30) for _ in range(40)]
        for i, s in enumerate(sockets):
            s.sendall(b"%d\n" % i)
        for i, s in enumerate(sockets):
            assert s.recv(10) == b"%d\n" % i
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.close()
        wait_until("connections to end", lambda: servers.descriptors(process.pid) <= count)
        first.sendall(b"2")
        assert first.recv(1) == b"2"


def test_nobody_listens(forward):
    process, [nobody] = forward(7999)
    with socket.create_connection(nobody, 30) as s:
        assert s.recv(1) == b""
    assert b"7999" in process.stderr.readline()


@pytest.mark.parametrize("port", ["x", "0", "65536", "1:", ":", "1:2:3", "-1"])
def test_ports_are_checked(cli, box, port):
    result = cli("forward", "--", "forward-box", port)
    assert result.returncode == 64 and b"PORT" in result.stderr


def test_a_port_that_is_taken(cli, box):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = cli("forward", "forward-box", f"{taken.getsockname()[1]}:80")
    assert result.returncode != 0 and b"in use" in result.stderr
