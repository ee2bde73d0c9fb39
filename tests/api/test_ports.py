"""Servers inside sandboxes, reached through this one: what passes, what does not, and what a hostile
server can do (nothing)."""
import base64
import concurrent.futures
import contextlib
import hashlib
import json
import os
import socket
import urllib.parse

import pytest
import requests

from tests.helpers.client import read_all, wait_until

BOX = "/api/v1/sandboxes/{}"

# A server of many talents, on the standard library.
SERVER = r'''
import base64, hashlib, http.server, json, socketserver, struct, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, data, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def echo(self):
        body = self.body()
        told = {"method": self.command, "path": self.path, "headers": self.headers.items(),
                "length": len(body), "sha": hashlib.sha256(body).hexdigest(),
                "client": self.client_address[1]}
        self.answer(200, json.dumps(told).encode(), Content_Type="application/json", X_App="yes",
                    Clear_Site_Data='"cookies"', Strict_Transport_Security="max-age=1", Server="inside")

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        proof = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        if self.path.startswith("/ws-wrong"):
            proof = "A" * 28
        self.wfile.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: " + proof + "\r\n\r\n").encode())
        self.close_connection = True
        while data := self.rfile.read1(65536):
            self.wfile.write(data)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/told":
            self.echo()
        elif self.headers.get("Upgrade") == "websocket":
            self.websocket()
        elif path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for i in range(5):
                self.wfile.write(b"6\r\nhello%d\r\n" % i)
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        elif path == "/sse":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for i in range(3):
                self.wfile.write(b"data: %d\n\n" % i)
                self.wfile.flush()
                open("/tmp/sent", "a").write("x")
                while i + 1 > int(open("/tmp/go").read() or 0):
                    time.sleep(0.02)
            self.close_connection = True
        elif path == "/big":
            size = int(self.path.split("?")[1])
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            block = bytes(range(256)) * 4096
            while size:
                n = min(size, len(block))
                self.wfile.write(block[:n])
                size -= n
        elif path == "/cookies":
            self.send_response(200)
            self.send_header("Set-Cookie", "mine=1; Domain=localhost; Path=/")
            self.send_header("Set-Cookie", "secureagent_port=stolen; Path=/")
            self.send_header("Set-Cookie", "other=2; HttpOnly")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == "/304":
            self.send_response(304)
            self.send_header("ETag", '"x"')
            self.end_headers()
        elif path == "/early":
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            self.answer(200, b"late")
        elif path == "/status":
            self.answer(int(self.path.split("?")[1]), b"x")
        else:
            self.echo()
    do_HEAD = do_GET
    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = echo

class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
'''

# Says what it is told to, to whoever comes, and closes (or does not).
RUDE = r'''
import base64, socket, sys, threading
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
def serve(s):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = s.recv(65536)
        if not piece:
            return
        head += piece
    wish = head.split(b" ")[1].split(b"?")[1]
    s.sendall(base64.urlsafe_b64decode(wish))
    s.close()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
'''


def start(api, sandbox, program, name, *args):
    api.put(sandbox, f"tmp/{name}.py", program)
    api.sh(sandbox, f"setsid python3 /tmp/{name}.py {' '.join(map(str, args))} > /tmp/{name}.log 2>&1 &")
    port = args[-1]
    wait_until(f"port {port} to listen", lambda: any(
        p["port"] == port for p in api.get(BOX.format(sandbox) + "/ports").json()["items"]))


@pytest.fixture(scope="module")
def box(api):
    with api.sandbox("python", timeout=1800, resources={"memory": "512Mi"}) as sandbox:
        start(api, sandbox, SERVER, "server", "127.0.0.1", 3000)
        start(api, sandbox, SERVER, "six", "127.0.0.1", 3002)
        start(api, sandbox, RUDE, "rude", 3001)
        yield sandbox


def path(sandbox, port=3000, rest="/"):
    return BOX.format(sandbox) + f"/ports/{port}{rest}"


def ask(api, sandbox, method="GET", rest="/", port=3000, **more):
    more.setdefault("timeout", 60)
    return api.session.request(method, api.url + path(sandbox, port, rest), **more)


def host_ask(api, sandbox, method="GET", rest="/", port=3000, headers=None, key=True, **more):
    """The host form, without a resolver: the name goes into the Host header."""
    headers = {"Host": f"{port}-{sandbox}.localhost:{api.port}", **(headers or {})}
    if key:
        headers["X-API-Key"] = api.key
    more.setdefault("timeout", 60)
    return requests.request(method, api.url + rest, headers=headers, allow_redirects=False, **more)


def told(answer):
    assert answer.status_code == 200, answer.text
    body = answer.json()
    body["headers"] = {k.lower(): v for k, v in body["headers"]}
    return body


# ---- what passes ----

def test_ports_are_listed(api, box):
    items = api.get(BOX.format(box) + "/ports").json()["items"]
    assert {3000, 3001, 3002} <= {i["port"] for i in items}
    assert [i["port"] for i in items] == sorted(i["port"] for i in items)
    assert all(i["address"] for i in items)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_and_paths(api, box, method):
    body = told(ask(api, box, method, "/a/b%20c//d/?x=1&y=%2F", data=b"abc" if method != "GET" else None))
    assert body["method"] == method and body["path"] == "/a/b%20c//d/?x=1&y=%2F"
    assert body["length"] == (3 if method != "GET" else 0)


def test_head(api, box):
    answer = ask(api, box, "HEAD", "/")
    assert answer.status_code == 200 and answer.content == b"" and int(answer.headers["Content-Length"]) > 0


def test_what_goes_in(api, box):
    headers = {"X-API-Key": "sa_secret", "Cookie": "console=1", "Connection": "keep-alive, X-Hop", "X-Hop": "1",
               "X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6", "X-Mine": "yes", "TE": "trailers",
               "Proxy-Authorization": "x"}
    got = told(ask(api, box, headers=headers))["headers"]
    assert not {"authorization", "x-api-key", "cookie", "connection", "x-hop", "forwarded", "te",
                "proxy-authorization"} & set(got), got
    assert got["x-mine"] == "yes" and got["host"] == "localhost:3000"
    assert got["x-forwarded-for"] == "127.0.0.1" and got["x-forwarded-proto"] == "http"
    assert got["x-forwarded-prefix"] == BOX.format(box) + "/ports/3000"


def test_what_comes_out(api, box):
    answer = ask(api, box)
    assert answer.headers["X-App"] == "yes" and answer.headers["Server"] == "secureagent"
    assert not {"clear-site-data", "strict-transport-security"} & {h.lower() for h in answer.headers}
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ") and "allow-same-origin" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in ask(api, box, rest="/cookies").headers


def test_framings(api, box):
    assert ask(api, box, rest="/chunks").content == b"hello0hello1hello2hello3hello4"
    assert ask(api, box, rest="/304").status_code == 304
    assert ask(api, box, rest="/early").content == b"late"
    for status in (201, 301, 404, 500, 503):
        answer = ask(api, box, rest=f"/status?{status}", allow_redirects=False)
        assert answer.status_code == status and answer.content == b"x"


def test_sse_comes_as_it_is_sent(api, box):
    api.put(box, "tmp/go", b"0")
    with ask(api, box, rest="/sse", stream=True) as answer:
        lines = answer.iter_lines(chunk_size=1)
        for i in range(3):
            assert next(lines) == b"data: %d" % i and next(lines) == b""
            api.put(box, "tmp/go", str(i + 1).encode())
        assert list(lines) == []


def test_bare_port_redirects(api, box):
    answer = ask(api, box, rest="?a=1", allow_redirects=False)
    assert answer.status_code == 308 and answer.headers["Location"] == path(box) + "?a=1"


@pytest.mark.parametrize("chunked", [False, True])
def test_big_bodies(api, box, chunked):
    size = 20 << 20
    block = os.urandom(1 << 20)

    def pieces():
        for _ in range(20):
            yield block
    body = told(ask(api, box, "POST", data=pieces() if chunked else block * 20))
    assert body["length"] == size and body["sha"] == hashlib.sha256(block * 20).hexdigest()
    got = ask(api, box, rest=f"/big?{size}").content
    assert len(got) == size and got == bytes(range(256)) * (size // 256)


def test_connections_are_kept(api, box):
    clients = {told(ask(api, box))["client"] for _ in range(20)}
    assert len(clients) < 5


def test_a_kept_connection_that_died(api):
    """The server is gone and another is there: a GET finds it."""
    with api.sandbox("python") as sandbox:
        for turn in range(2):
            start(api, sandbox, SERVER, "server", "127.0.0.1", 3000)
            assert told(ask(api, sandbox))["method"] == "GET"
            api.sh(sandbox, "pkill -f [s]erver.py; while pgrep -f [s]erver.py > /dev/null; do sleep 0.02; done")
        error = ask(api, sandbox)
        assert error.status_code == 502


# ---- WebSocket ----

def open_websocket(api, box, rest="/ws", extra=(), host=None):
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
             *extra]
    s = api.connect()
    if host:
        s.sendall(("\r\n".join([f"GET {rest} HTTP/1.1", f"Host: {host}", *lines]) + "\r\n\r\n").encode())
    else:
        s.sendall(api.head("GET", path(box, rest=rest), *lines))
    head = b""
    while b"\r\n\r\n" not in head:
        piece = s.recv(65536)
        if not piece:
            break
        head += piece
    return s, head


def recv_exactly(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(65536)
        assert piece
        data += piece
    return data


def test_websocket(api, box):
    s, head = open_websocket(api, box)
    with s:
        assert head.startswith(b"HTTP/1.1 101 ") and b"Sec-WebSocket-Accept" in head
        s.sendall(b"\x81\x85abcdhello")
        assert recv_exactly(s, 11) == b"\x81\x85abcdhello"
        data = os.urandom(3 << 20)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            sent = pool.submit(s.sendall, data)
            assert recv_exactly(s, len(data)) == data
            sent.result()
        s.shutdown(socket.SHUT_WR)
        assert s.recv(10) == b""


@pytest.mark.parametrize("form", ["path", "host", "cookie"])
def test_the_key_of_a_subprotocol_stays_out(api, box, form):
    """A browser sends its key as a subprotocol, and the server inside gets the others."""
    cookie = signed(api, box)["url"].split("sa_signature=")[1]
    host = None if form == "path" else f"3000-{box}.localhost:{api.port}"
    extra = [f"Sec-WebSocket-Protocol: one, bearer.{api.key},bearer.own , two"]
    if form == "cookie":
        extra.append("Cookie: secureagent_port=" + cookie)
    bare = api.with_key(None)
    s, head = open_websocket(bare, box, "/told", extra, host)
    with s:
        assert head.startswith(b"HTTP/1.1 200 "), head
        head, _, body = head.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        inside = json.loads(body + recv_exactly(s, length - len(body)))
    bare.close()
    assert api.key not in json.dumps(inside)
    assert {n: v for n, v in inside["headers"]}["Sec-WebSocket-Protocol"] == \
        ("one, bearer.own, two" if form == "cookie" else "one, two")


def test_websocket_with_the_wrong_proof(api, box):
    s, head = open_websocket(api, box, "/ws-wrong")
    with s:
        assert head.startswith(b"HTTP/1.1 502 "), head


def test_websocket_that_is_no_websocket(api, box):
    s, head = open_websocket(api, box, "/status?404")
    with s:
        assert head.startswith((b"HTTP/1.1 101 ", b"HTTP/1.1 404 "))


# ---- errors ----

def test_nobody_listens(api, box):
    error = ask(api, box, port=9)
    assert error.status_code == 502
    body = error.json()["error"]
    assert body["code"] == "unavailable" and body["details"][0]["rule"] == "nobody_listens" and "9" in body["message"]


@pytest.mark.parametrize("port", ["0", "65536", "x", "03000", "-1", "99999999999"])
def test_bad_ports(api, box, port):
    error = ask(api, box, port=port)
    assert error.status_code == 400 and error.json()["error"]["details"][0]["path"] == "port"


def test_who_may(api, box):
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer sa_aaaaaaaa_" + "a" * 32}):
        assert ask(api, box, headers=headers).status_code == 401
    assert ask(api, "sb-" + "a" * 20).status_code == 404
    key = api.post("/api/v1/user/apikeys", {"name": "other", "role": "developer"}, status=201).json()
    other = api.with_key(key["key"])
    assert ask(other, box).status_code == 404
    assert host_ask(other, box).status_code == 404


HOSTILE = [
    b"", b"hello", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", b"\x00" * 1000,
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", b"HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", b"HTTP/1.1 999 What\r\n\r\n", b"HTTP/1.1 101 Switch\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70000 + b"\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 30,
    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"HTTP/3.0 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"]


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
def test_bad_answers(api, box, said):
    if len(said) > 4000:
        return run_long(api, said)
    answer = ask(api, box, port=3001, rest="/?" + base64.urlsafe_b64encode(said).decode())
    assert answer.status_code == 502, answer.text
    error = answer.json()["error"]
    assert error["code"] == "unavailable" and error["details"][0]["rule"] in ("bad_answer", "nobody_listens")


def run_long(api, said):
    """What is too long for a URL: a server that says only this."""
    with api.sandbox("python") as sandbox:
        api.put(sandbox, "tmp/said", said)
        program = ("import socket, sys\nl = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nwhile True:\n"
                   "    s = l.accept()[0]\n    s.recv(65536)\n    s.sendall(open('/tmp/said', 'rb').read())\n    s.close()\n")
        start(api, sandbox, program, "long", 4000)
        assert ask(api, sandbox, port=4000).status_code == 502


@pytest.mark.parametrize("said", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n"])
def test_half_answers_do_not_look_complete(api, box, said):
    text = api.raw(api.head("GET", path(box, 3001, "/?" + base64.urlsafe_b64encode(said).decode())))
    head, _, body = text.partition(b"\r\n\r\n")
    if text:  # nothing at all is no complete answer either
        assert b"502 " in head.split(b"\r\n")[0] or not body.endswith(b"0\r\n\r\n")
        assert b"502 " in head.split(b"\r\n")[0] or b"Content-Length: 10" in head or b"chunked" in head
        assert len(body) < 10 or b"Content-Length: 10" not in head


def test_one_answer_to_one_request(api, box):
    """A second answer behind the first reaches nobody: neither this client nor the next."""
    said = (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
            b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
    with api.connect() as s:
        s.sendall(api.head("GET", path(box, 3001, "/?" + base64.urlsafe_b64encode(said).decode())))
        s.sendall(api.head("GET", path(box, 3000, "/status?404"), "Connection: close"))
        text = read_all(s)
    assert text.count(b"HTTP/1.1 ") == 2 and b"first" in text and b"second" not in text and b" 404 " in text


def test_requests_are_not_smuggled(api, box):
    """Whatever is strange about the framing of a request is refused here, not passed on."""
    for lines in (["Content-Length: 4", "Transfer-Encoding: chunked"], ["Content-Length: 4", "Content-Length: 5"],
                  ["Transfer-Encoding: chunked, gzip"]):
        answer = api.raw(api.head("POST", path(box), *lines) + b"0\r\n\r\nGET /x HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1


# ---- slow and vanishing clients ----

def rss(server):
    pid = next(p for p, name in server.processes().items() if name == "agent-api")
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


def descriptors(server):
    pid = next(p for p, name in server.processes().items() if name == "agent-api")
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_slow_clients_hold_little(api, server, box):
    before = rss(server)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            s = stack.enter_context(api.connect())
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(api.head("GET", path(box, rest=f"/big?{64 << 20}")))
            assert s.recv(1)
        assert told(ask(api, box))["method"] == "GET"  # others are served
        assert rss(server) - before < 20 * 1024 + 4096  # KiB: one MiB each


def test_vanishing_clients_leave_nothing(api, server, box):
    told(ask(api, box))
    before = descriptors(server)

    def vanish(i):
        with api.connect() as s:
            if i % 4 == 0:
                s.sendall(api.head("GET", path(box, rest=f"/big?{64 << 20}")))
                s.recv(1000)
            elif i % 4 == 1:
                s.sendall(api.head("POST", path(box), "Content-Length: 1000000") + b"x" * 1000)
            elif i % 4 == 2:
                s.sendall(api.head("GET", path(box)))
            else:
                s.sendall(api.head("GET", path(box, rest="/ws"), "Upgrade: websocket", "Connection: Upgrade",
                                   "Sec-WebSocket-Key: " + "A" * 22 + "==", "Sec-WebSocket-Version: 13"))
                s.recv(1000)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(vanish, range(1000)))
    wait_until("their descriptors to go", lambda: descriptors(server) <= before + 2, timeout=60)
    wait_until("the connections inside to go", lambda: int(api.sh(
        box, "python3 -c \"print(sum(l.split()[3] == '01' for l in open('/proc/net/tcp').readlines()[1:]))\"")) <= 80,
        timeout=60)
    assert told(ask(api, box))["method"] == "GET"


# ---- the host form ----

def signed(api, sandbox, port=3000, **body):
    return api.post(BOX.format(sandbox) + f"/ports/{port}/signed-url", body).json()


def test_host_form(api, box):
    body = told(host_ask(api, box, rest="/a%2Fb?x=1"))
    assert body["path"] == "/a%2Fb?x=1" and "x-forwarded-prefix" not in body["headers"]
    assert body["headers"]["x-forwarded-host"] == f"3000-{box}.localhost:{api.port}"
    assert "Content-Security-Policy" not in host_ask(api, box).headers
    assert host_ask(api, box, key=False).status_code == 401
    assert host_ask(api, "sb-" + "a" * 20).status_code == 404
    # Not of that form: the API itself.
    for host in (f"3000-{box}.example.com", f"0-{box}.localhost", f"3000{box}.localhost", f"x-{box}.localhost"):
        assert requests.get(api.url + "/healthz", headers={"Host": host}, timeout=90).status_code == 200
    # In the host form the API is not there.
    assert told(host_ask(api, box, rest="/healthz"))["path"] == "/healthz"


def test_signed_url_and_cookie(api, box):
    url = signed(api, box)["url"]
    parts = urllib.parse.urlsplit(url)
    assert parts.netloc == f"3000-{box}.localhost:{api.port}"
    first = host_ask(api, box, rest=f"{parts.path}?{parts.query}&keep=1", key=False)
    assert first.status_code == 302 and first.headers["Location"] == "/?keep=1"
    cookie = first.headers["Set-Cookie"]
    assert cookie.startswith("secureagent_port=") and "HttpOnly" in cookie and "SameSite=Lax" in cookie
    value = cookie.split(";")[0]
    # The page and what belongs to it; the server inside sees its own cookies alone.
    got = told(host_ask(api, box, rest="/?keep=1", key=False, headers={"Cookie": f"a=1; {value}; b=2",
                                                                      "Authorization": "Basic abc"}))
    assert got["headers"]["cookie"] == "a=1; b=2" and got["headers"]["authorization"] == "Basic abc"
    assert value.split("=", 1)[1] not in json.dumps(got)
    # It is good for this port of this sandbox, from its own pages, and for nothing else.
    for more in ({"port": 3002}, {"rest": "/"}):
        wrong = host_ask(api, box, key=False, headers={"Cookie": value if "port" in more else value[:-1] + "x"}, **more)
        assert wrong.status_code == 401
    own = f"http://3000-{box}.localhost:{api.port}"
    for origin, status in ((own, 200), (None, 200), ("http://3002-" + box + ".localhost", 403), ("null", 403),
                           ("http://evil.example", 403)):
        headers = {"Cookie": value, **({"Origin": origin} if origin else {})}
        assert host_ask(api, box, "POST", key=False, headers=headers).status_code == status, origin
    assert host_ask(api, box, "POST", key=False,
                    headers={"Cookie": value, "Sec-Fetch-Site": "same-site"}).status_code == 403
    for origin, status in ((own, b"101"), ("http://evil.example", b"403")):
        s, head = open_websocket(api, box, "/ws", [f"Cookie: {value}", f"Origin: {origin}"],
                                 host=f"3000-{box}.localhost:{api.port}")
        with s:
            assert head.split(b" ")[1] == status
    assert api.session.get(api.url + path(box) + "x?" + parts.query, headers={"Authorization": None},
                           timeout=90).status_code == 200  # the path form takes it, too
    # And is no key of the API.
    answer = requests.get(api.url + BOX.format(box) + "?" + parts.query, timeout=90)
    assert answer.status_code == 401


def test_cookies_from_inside(api, box):
    cookies = host_ask(api, box, rest="/cookies").raw.headers.getlist("Set-Cookie")
    assert cookies == ["mine=1; Path=/", "other=2; HttpOnly"]


def test_signed_urls_end(api, box):
    short = signed(api, box, expiresIn=1)["url"].split("?")[1]
    wait_until("it to expire", lambda: host_ask(api, box, rest="/?" + short, key=False).status_code == 401)
    for body in ({"expiresIn": 0}, {"expiresIn": 604801}, {"more": 1}):
        api.request("POST", BOX.format(box) + "/ports/3000/signed-url", 400, json=body)


def test_resumed_by_its_port(api):
    with api.sandbox("python", lifecycle={"resumeOnUse": True}) as sandbox:
        if "cgroup.freezer" not in api.describe(sandbox)["controls"]:
            return
        start(api, sandbox, SERVER, "server", "127.0.0.1", 3000)
        told(ask(api, sandbox))
        api.post(BOX.format(sandbox) + "/pause")
        assert told(ask(api, sandbox))["method"] == "GET"


def test_no_service_worker(api, box):
    assert ask(api, box, headers={"Service-Worker": "script"}).status_code == 403
