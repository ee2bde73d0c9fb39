"""What no honest client sends: JSON that is broken in every way, and HTTP that two servers would
read differently. Each gets a clear refusal; the server goes on."""
import json
import time

import pytest

from tests.helpers.client import read_all

CREATE = "/api/v1/sandboxes"


def post(api, body, *lines, path=CREATE, keep=False):
    """(status, error object) for raw bytes as body."""
    head = api.head("POST", path, "Content-Type: application/json", f"Content-Length: {len(body)}",
                    *([] if keep else ["Connection: close"]), *lines)
    answer = api.raw(head + body)
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split(b" ")[1]), json.loads(rest)["error"]


@pytest.fixture(autouse=True)
def still_serves(api):
    yield
    assert api.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("body, words", [
    (b"", ""), (b"{", "line 1"), (b"}", "line 1"), (b"nul", ""), (b"[]", "object"), (b"5", "object"), (b'"x"', "object"),
    (b'{"runtime":"python"', "line 1"), (b'{"runtime":"python",}', "line 1"), (b"{'runtime':'python'}", "line 1"),
    (b'{"runtime":"python"} x', "line 1"), (b'{"runtime":"python"}{}', "line 1"), (b"\xef\xbb\xbf{}", ""),
    (b'{"runtime":"pyth\xff"}', "UTF-8"), (b'{"runtime":"\xed\xa0\x80"}', "UTF-8"), (b'{"runtime":"\\ud800"}', ""),
    (b'{"runtime":"a\\u0000"}', ""), (b'{"runtime":"a\nb"}', ""), (b'{"runtime":"\\x"}', ""), (b'{"timeout":01}', ""),
    (b'{"timeout":1e999}', ""), (b'{"timeout":NaN}', ""), (b'{"timeout":+1}', ""), (b'{"timeout":.5}', ""),
    (b'{"a":1,/*x*/"b":2}', ""), (b"\x00", ""), (b'{"runtime":"python"}\x00', ""),
])
def test_broken_json(api, body, words):
    status, error = post(api, body)
    assert status == 400 and error["code"] == "invalid_request"
    assert words in error["message"] and len(error["message"]) > 10, error


@pytest.mark.parametrize("body, where, words", [
    (b'{"runtime":"python","timout":5}', "timout", 'did you mean "timeout"'),
    (b'{"runtime":"python","resources":{"mem":1}}', "resources.mem", "unknown field"),
    (b'{"runtme":"python"}', "runtime", ""),
    (b'{"runtime":"python","xyzzy":5}', "xyzzy", "unknown field"),
    (b'{"runtime":"python","runtime":"node"}', "runtime", ""),
    (b'{"runtime":"python","env":{"A":"1","A":"2"}}', "env.A", ""),
    (b'{"runtime":"python","__proto__":{}}', "__proto__", "unknown field"),
])
def test_the_field_is_named(api, body, where, words):
    status, error = post(api, body)
    assert status == 400 and error["details"][0]["path"] == where, error
    assert words in error["message"]


def test_depth(api):
    for body in (b"[" * 100000, b'{"a":' * 20000, b'{"runtime":' + b"[" * 200 + b"]" * 200 + b"}"):
        status, error = post(api, body)
        assert status == 400 and "deep" in error["message"], error


def test_sizes(api, shared):
    status, error = post(api, b'{"runtime":"python","name":"' + b"x" * (300 << 10) + b'"}')
    assert status == 413 and error["code"] == "payload_too_large" and "262144" in error["message"]
    api.error("POST", f"{CREATE}/{shared}/execute", 413, "payload_too_large", data=b" " * (21 << 20))
    # Announced too large: refused before it is sent.
    head = api.head("POST", CREATE, "Content-Length: 99999999999", "Expect: 100-continue")
    assert api.raw(head).startswith(b"HTTP/1.1 413 ")
    # In chunks, so that only counting tells.
    chunks = b"".join(b"10000\r\n" + b"x" * 65536 + b"\r\n" for _ in range(8))
    assert api.raw(api.head("POST", CREATE, "Transfer-Encoding: chunked") + chunks).startswith(b"HTTP/1.1 413 ")


def test_long_heads(api):
    assert b" 414 " in api.raw(api.head("GET", "/" + "a" * 9000))[:20]
    assert b" 414 " in api.raw(api.head("GET", "/healthz?" + "a" * 9000))[:20]
    assert b" 431 " in api.raw(api.head("GET", "/healthz", *[f"X-{i}: 1" for i in range(200)]))[:20]
    assert b" 431 " in api.raw(api.head("GET", "/healthz", "X-Long: " + "a" * 40000))[:20]
    assert b" 400 " in api.raw(api.head("GET", "/healthz?" + "&".join(f"a{i}=1" for i in range(200))))[:20]
    endless = api.raw(b"GET /" + b"a" * (1 << 20))
    assert b" 414 " in endless[:20] or b" 431 " in endless[:20] or endless == b""


# Two servers may not read a request differently: each of these is refused, and the connection
# closed, so that what follows is never taken for a second request.
SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Smuggled: yes\r\n\r\n"
FORMS = {
    "length and chunked": (["Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    "chunked and length": (["Transfer-Encoding: chunked", "Content-Length: 4"], b"0\r\n\r\n"),
    "two lengths": (["Content-Length: 2", "Content-Length: 5"], b"{}"),
    "two equal lengths": (["Content-Length: 2", "Content-Length: 2"], b"{}"),
    "list of lengths": (["Content-Length: 2, 2"], b"{}"),
    "negative length": (["Content-Length: -1"], b""),
    "plus length": (["Content-Length: +2"], b"{}"),
    "hex length": (["Content-Length: 0x2"], b"{}"),
    "huge length": (["Content-Length: 18446744073709551618"], b"{}"),
    "length with a blank": (["Content-Length: 2 2"], b"{}"),
    "empty length": (["Content-Length:"], b"{}"),
    "blank before the colon": (["Content-Length : 2"], b"{}"),
    "unknown coding": (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
    "chunked not last": (["Transfer-Encoding: chunked, gzip"], b"0\r\n\r\n"),
    "chunked twice": (["Transfer-Encoding: chunked, chunked"], b"0\r\n\r\n"),
    "chunked twice, two lines": (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    "coding with a tab": (["Transfer-Encoding:\x0bchunked"], b"0\r\n\r\n"),
    "folded line": (["X-Folded: a\r\n b"], b""),
    "folded length": (["Content-Length:\r\n 2"], b"{}"),
    "no colon": (["Nonsense"], b""),
    "blank name": ([" X: 1"], b""),
    "NUL in a value": (["X-Nul: a\x00b"], b""),
    "bare CR": (["X-Cr: a\rb"], b""),
    "bad name": (["X(Y): 1"], b""),
    "two hosts": (["Host: other"], b""),
    "chunk size not hex": (["Transfer-Encoding: chunked"], b"zz\r\n\r\n"),
    "chunk size negative": (["Transfer-Encoding: chunked"], b"-1\r\n\r\n"),
    "chunk size huge": (["Transfer-Encoding: chunked"], b"fffffffffffffffff\r\n"),
    "chunk without end": (["Transfer-Encoding: chunked"], b"2\r\n{}XX0\r\n\r\n"),
    "chunk with bare LF": (["Transfer-Encoding: chunked"], b"2\n{}\n0\n\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_request_smuggling(api, form):
    lines, body = FORMS[form]
    answer = api.raw(api.head("POST", CREATE, "Content-Type: application/json", *lines) + body + SMUGGLED, timeout=40)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")), answer[:300]
    assert answer.count(b"HTTP/1.1 ") == 1, "what followed was read as a request"
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("head", [
    b"GET /healthz HTTP/1.1\n\n", b"GET /healthz HTTP/1.1\nHost: x\n\n", b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /healthz\r\n\r\n", b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n", b"GET /healthz HTTP/1.1\r\n\r\n",
    b"GET /hea lthz HTTP/1.1\r\nHost: x\r\n\r\n", b"get /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00" * 64,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n",
])
def test_heads_that_are_no_http(api, head):
    answer = api.raw(head + b"\r\n", timeout=40)
    status = int(answer.split(b" ")[1])
    assert 400 <= status < 600 and status != 500, answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1


def test_pipelined_requests_are_answered_in_order(api):
    with api.connect() as s:
        s.sendall(b"".join(api.head("GET", f"/api/v1/sandboxes/n{i}") for i in range(20)) +
                  api.head("GET", "/healthz", "Connection: close"))
        answers = read_all(s)
    order = [answers.index(b'no sandbox \\"n%d\\"' % i) for i in range(20)]
    assert order == sorted(order) and answers.endswith(b'{"status":"ok"}')


def test_a_body_nobody_wants_is_not_the_next_request(api):
    """GET with a body, and errors that come before the body was read."""
    answer = api.raw(api.head("GET", "/healthz", f"Content-Length: {len(SMUGGLED)}") + SMUGGLED +
                     api.head("GET", "/healthz", "Connection: close"))
    assert answer.count(b"HTTP/1.1 ") <= 2
    answer = api.with_key("sa_nope").raw(
        api.with_key("sa_nope").head("POST", CREATE, f"Content-Length: {len(SMUGGLED)}") + SMUGGLED +
        api.head("GET", "/healthz", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 401 ") and answer.count(b"HTTP/1.1 ") <= 2


def test_strings_reach_the_log_escaped(api, server):
    """A client cannot forge a line of the log."""
    api.with_key(api.key).request("GET", "/x%0alevel=error%20msg=forged")
    with api.sandbox(name="logged", annotations={"l": "a\nlevel=error msg=forged"}):
        pass
    assert not [line for line in server.log().splitlines() if line.startswith("level=error msg=forged")]


def test_header_injection(api, shared):
    """What a client chose never splits an answer's head."""
    api.put(shared, "/workspace/a%0d%0aX-Injected:%201", b"x")
    answer = api.raw(api.head("GET", api.file(shared, "/workspace/a%0d%0aX-Injected:%201"), "Connection: close"))
    assert b"\r\nX-Injected" not in answer.partition(b"\r\n\r\n")[0]
    request_id = api.request("GET", "/healthz", headers={"X-Request-Id": "mine-1"}).headers["X-Request-Id"]
    assert request_id


def test_slow_clients_are_ended(slow_clients):
    """Started with the suite: a head a byte at a time, a body that does not come, and silence."""
    for thread in slow_clients.threads:
        thread.join(120)
        assert not thread.is_alive()
    assert slow_clients.answers["head"].startswith(b"HTTP/1.1 408 ") or slow_clients.answers["head"] == b""
    assert slow_clients.answers["body"].startswith(b"HTTP/1.1 408 ")
    assert slow_clients.answers["silent"] == b""
    assert 10 <= slow_clients.seconds["head"] < 90
    assert 20 <= slow_clients.seconds["body"] < 150
    assert 30 <= slow_clients.seconds["silent"] < 150


def test_many_idle_connections(api):
    """They cost little, and others are served."""
    sockets = [api.connect() for _ in range(500)]
    try:
        began = time.monotonic()
        assert api.with_key(api.key).get("/healthz").status_code == 200
        assert time.monotonic() - began < 60
    finally:
        for s in sockets:
            s.close()
