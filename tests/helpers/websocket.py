"""A WebSocket client for tests: sends whatever frames it is told to, sound or not."""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import urllib.parse

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN = 0x80


class Refused(Exception):
    """The opening was answered with something else than 101."""

    def __init__(self, status, headers, body):
        super().__init__(f"{status} {body[:500]!r}")
        self.status, self.headers, self.body = status, headers, body

    def error(self):
        return json.loads(self.body)["error"]


def frame(opcode, payload=b"", fin=True, rsv=0, mask=True, length=None):
    """The bytes of a frame; `length` lies about its payload."""
    if isinstance(payload, str):
        payload = payload.encode()
    size = len(payload) if length is None else length
    head = bytes([(FIN if fin else 0) | rsv << 4 | opcode])
    flag = 0x80 if mask else 0
    if size < 126:
        head += bytes([flag | size])
    elif size < 65536:
        head += bytes([flag | 126]) + struct.pack(">H", size)
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    whole = int.from_bytes((key * (len(payload) // 4 + 1))[:len(payload)], "little")
    masked = (int.from_bytes(payload, "little") ^ whole).to_bytes(len(payload), "little")
    return head + key + masked


def close_frame(code=1000, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


class WebSocket:
    def __init__(self, url, path="/", headers=(), key=None, protocols=None, timeout=120,
                 receive_buffer=None, early=b""):
        parts = urllib.parse.urlsplit(url)
        self.sock = socket.socket(socket.AF_INET)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect((parts.hostname, parts.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme in ("https", "wss"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
        self.unread = b""
        try:
            self._open(parts, path, headers, key, protocols, early)
        except BaseException:
            self.sock.close()
            raise

    def _open(self, parts, path, headers, key, protocols, early):
        nonce = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {parts.hostname}:{parts.port}", "Upgrade: websocket",
                 "Connection: Upgrade", f"Sec-WebSocket-Key: {nonce}", "Sec-WebSocket-Version: 13"]
        if key:
            lines.append(f"Authorization: Bearer {key}")
        if protocols:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(protocols))
        self.sock.sendall("\r\n".join([*lines, *headers, "", ""]).encode() + early)
        while b"\r\n\r\n" not in self.unread:
            if not self._more():
                raise EOFError("closed during the opening handshake")
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        first, *rest = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {n.lower(): v.strip() for n, v in (line.split(":", 1) for line in rest)}
        if self.status != 101:
            length = int(self.headers.get("content-length", 0))
            while len(self.unread) < length and self._more():
                pass
            raise Refused(self.status, self.headers, self.unread[:length])
        expected = hashlib.sha1((nonce + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert self.headers["sec-websocket-accept"] == base64.b64encode(expected).decode()
        assert self.headers["upgrade"].lower() == "websocket"
        assert "sec-websocket-extensions" not in self.headers

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def _more(self):
        piece = self.sock.recv(1 << 18)
        self.unread += piece
        return bool(piece)

    def send_bytes(self, data):
        self.sock.sendall(data)

    def send(self, payload, opcode=None):
        if opcode is None:
            opcode = TEXT if isinstance(payload, str) else BINARY
        self.sock.sendall(frame(opcode, payload))

    def send_json(self, **message):
        self.send(json.dumps(message))

    def _take(self, count):
        while len(self.unread) < count:
            if not self._more():
                raise EOFError("the connection ended within a frame")
        data, self.unread = self.unread[:count], self.unread[count:]
        return data

    def receive_frame(self):
        """(opcode, fin, payload) of the next frame, None at the end of the connection."""
        if not self.unread and not self._more():
            return None
        first, second = self._take(2)
        assert not first & 0x70 and not second & 0x80, "reserved bits, or masked by the server"
        length = second & 0x7f
        if length == 126:
            length = struct.unpack(">H", self._take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self._take(8))[0]
        return first & 0x0f, bool(first & FIN), self._take(length)

    def receive(self):
        """The next message: str or bytes. Answers pings. A close is (code, reason); None: end."""
        parts, kind = [], None
        while (got := self.receive_frame()) is not None:
            opcode, fin, payload = got
            if opcode == PING:
                self.sock.sendall(frame(PONG, payload))
            elif opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                return code, payload[2:].decode()
            elif opcode != PONG:
                kind = kind if opcode == CONTINUATION else opcode
                parts.append(payload)
                if fin:
                    whole = b"".join(parts)
                    return whole.decode() if kind == TEXT else whole
        return None

    def receive_json(self):
        message = self.receive()
        assert isinstance(message, str), message
        return json.loads(message)

    def close(self, code=1000, reason=b""):
        """The closing handshake as a client does it; the code that came back."""
        self.sock.sendall(close_frame(code, reason))
        while not isinstance(got := self.receive(), (tuple, type(None))):
            pass
        self.expect_end()
        return got[0] if got else None

    def expect_end(self):
        """The server closes, after nothing else."""
        try:
            assert self.receive_frame() is None
        except ConnectionResetError:
            pass
        self.sock.close()
