"""Files: streamed both ways, replaced atomically, never outside."""
import concurrent.futures
import email.utils
import hashlib
import os
import threading

import pytest

from tests.helpers import server as servers
from tests.helpers.client import read_all, wait_until


def entries(api, sandbox, query=""):
    return api.get(f"/api/v1/sandboxes/{sandbox}/files{query}").json()["items"]


def names(api, sandbox, path):
    return [e["name"] for e in entries(api, sandbox, "?path=" + path)]


def test_put_get_head_delete(api, sandbox):
    made = api.put(sandbox, "/workspace/a.txt", b"hello", status=201).json()
    assert made["path"] == "/workspace/a.txt" and made["name"] == "a.txt"
    assert (made["type"], made["size"], made["mode"]) == ("file", 5, "0644")
    assert api.read(sandbox, "/workspace/a.txt") == b"hello"
    head = api.request("HEAD", api.file(sandbox, "/workspace/a.txt"), 200)
    got = api.get(api.file(sandbox, "/workspace/a.txt"))
    for answer in (head, got):
        assert answer.headers["Content-Length"] == "5" and answer.headers["ETag"] == made["etag"]
        assert email.utils.parsedate_to_datetime(answer.headers["Last-Modified"])
        assert answer.headers["Content-Type"] == "text/plain"
    assert head.content == b""
    replaced = api.put(sandbox, "/workspace/a.txt", b"hello2", status=200).json()
    assert replaced["size"] == 6 and replaced["etag"] != made["etag"]
    assert api.sh(sandbox, "cat /workspace/a.txt; stat -c '%a %U' /workspace/a.txt; ls -A /workspace") == \
        "hello2644 user\na.txt\n"
    assert api.request("DELETE", api.file(sandbox, "/workspace/a.txt"), 204).content == b""
    api.error("GET", api.file(sandbox, "/workspace/a.txt"), 404, "not_found")
    api.error("DELETE", api.file(sandbox, "/workspace/a.txt"), 404, "not_found")
    assert api.request("HEAD", api.file(sandbox, "/workspace/a.txt"), 404).content == b""


def test_empty_file(api, shared):
    assert api.put(shared, "/tmp/empty", b"", status=201).json()["size"] == 0
    assert api.read(shared, "/tmp/empty") == b""
    assert api.request("HEAD", api.file(shared, "/tmp/empty")).headers["Content-Length"] == "0"


@pytest.mark.parametrize("mode, shown", [("644", "0644"), ("0700", "0700"), ("0444", "0444"), ("777", "0777")])
def test_mode(api, shared, mode, shown):
    assert api.put(shared, "/tmp/m" + mode, b"#!/bin/sh\necho ran\n", query="?mode=" + mode).json()["mode"] == shown
    assert api.sh(shared, f"stat -c %a /tmp/m{mode}") == shown.lstrip("0") + "\n"


def test_mode_of_a_replaced_file_is_kept(api, shared):
    api.put(shared, "/tmp/script", b"#!/bin/sh\necho one\n", query="?mode=755")
    assert api.put(shared, "/tmp/script", b"#!/bin/sh\necho two\n").json()["mode"] == "0755"
    assert api.sh(shared, "/tmp/script") == "two\n"


@pytest.mark.parametrize("query", ["mode=9", "mode=99999", "mode=0x1", "mode=-1", "mode=", "mode=7 7"])
def test_bad_mode(api, shared, query):
    api.error("PUT", api.file(shared, "/tmp/bad") + "?" + query, 400, "invalid_request", "mode", data=b"x")
    assert api.request("HEAD", api.file(shared, "/tmp/bad")).status_code == 404


def test_set_uid_bits_cannot_be_asked_for(api, shared):
    answer = api.request("PUT", api.file(shared, "/tmp/suid") + "?mode=4755", data=b"x")
    assert answer.status_code == 400 or answer.json()["mode"] == "0755"


def test_missing_folders_are_made(api, shared):
    api.put(shared, "/workspace/deep/er/still/f", b"1", status=201)
    assert api.read(shared, "/workspace/deep/er/still/f") == b"1"


@pytest.mark.parametrize("name", ["ü ñ.txt", "a%b", "a+b", "a?b#c", "-rf", "$(id)", ";ls", "a\\b", "'\"", "x" * 255,
                                  "...", ".hidden", "new\nline", "\x7f"])
def test_names(api, shared, name):
    import urllib.parse
    path = "/workspace/names/" + urllib.parse.quote(name, safe="")
    assert api.put(shared, path, b"n", status=201).json()["name"] == name
    assert api.read(shared, path) == b"n"
    assert name in names(api, shared, "/workspace/names")
    api.request("DELETE", api.file(shared, path), 204)
    assert name not in names(api, shared, "/workspace/names")


def test_names_that_are_not_utf8(api, sandbox):
    api.execute(sandbox, language="python", code="open(b'/workspace/\\xff\\xfe', 'w').close()")
    assert names(api, sandbox, "/workspace") == ["\ufffd\ufffd"]  # listed, with replacements
    api.error("GET", api.file(sandbox, "/workspace/%ff%fe"), 400, "invalid_request", "path")


def test_list(api, sandbox):
    assert entries(api, sandbox) == []
    api.sh(sandbox, "mkdir -p d/e; echo 1 > b; echo 2 > d/e/f; ln -s /etc/passwd link; mkfifo pipe; chmod 600 b")
    listed = entries(api, sandbox)
    assert [(e["name"], e["type"]) for e in listed] == \
        [("b", "file"), ("d", "directory"), ("link", "symlink"), ("pipe", "fifo")]
    assert listed[0]["mode"] == "0600" and listed[0]["size"] == 2 and listed[0]["path"] == "/workspace/b"
    assert listed[2]["symlinkTarget"] == "/etc/passwd"
    everything = [e["path"] for e in entries(api, sandbox, "?recursive=true")]
    assert sorted(everything) == ["/workspace/" + n for n in ("b", "d", "d/e", "d/e/f", "link", "pipe")]
    assert [e["path"] for e in entries(api, sandbox, "?path=d")] == ["/workspace/d/e"]
    api.error("GET", f"/api/v1/sandboxes/{sandbox}/files?path=/workspace/nope", 404, "not_found")
    for query, where in (("recursive=maybe", "recursive"),):
        api.error("GET", f"/api/v1/sandboxes/{sandbox}/files?{query}", 400, "invalid_request", where)
    answer = api.request("GET", f"/api/v1/sandboxes/{sandbox}/files?path=/workspace/b")
    assert answer.status_code in (400, 404, 409) and "folder" in answer.json()["error"]["message"]


def test_list_a_large_folder(api, sandbox):
    api.sh(sandbox, "mkdir many; cd many; seq -f 'file-%05g' 5000 | xargs touch")
    listed = names(api, sandbox, "/workspace/many")
    assert listed == sorted(listed) and len(listed) == 5000


def test_delete_folders(api, sandbox):
    api.sh(sandbox, "mkdir -p d/e empty; echo 1 > d/e/f; ln -s /usr d/e/usr")
    assert api.request("DELETE", api.file(sandbox, "/workspace/d")).status_code == 409
    api.request("DELETE", api.file(sandbox, "/workspace/empty"), 204)
    api.request("DELETE", api.file(sandbox, "/workspace/d?recursive=true"), 204)
    assert entries(api, sandbox) == [] and api.sh(sandbox, "ls -d /usr/bin") == "/usr/bin\n"
    for root in ("workspace", "tmp", "", "usr", "etc/passwd"):
        assert api.request("DELETE", api.file(sandbox, root) + "?recursive=true").status_code in (400, 403, 404, 405, 409)
    assert api.sh(sandbox, "ls -d /workspace /tmp") == "/tmp\n/workspace\n"


# ---- paths that must not lead out ----

TRAVERSALS = ["../etc/passwd", "workspace/../../etc/shadow", "%2e%2e/etc/shadow", "workspace/%2e%2e/%2E%2e/etc/shadow",
              "workspace/..%2f..%2fetc/shadow", "workspace/%2e/a", "workspace/./a", "workspace/a%00b", "%00", "workspace/..",
              "workspace/%2e%2e%00"]


@pytest.mark.parametrize("path", TRAVERSALS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_traversal_is_refused(api, shared, method, path):
    """Sent as it is: no client library tidies it up first."""
    target = f"/api/v1/sandboxes/{shared}/files/{path}"
    lines = ["Content-Length: 1"] if method == "PUT" else []
    answer = api.raw(api.head(method, target, "Connection: close", *lines) + (b"x" if method == "PUT" else b""))
    assert answer.split(b" ", 2)[1] == b"400", answer[:300]


@pytest.mark.parametrize("path", ["../etc", "/workspace/../etc", "/workspace/%2e%2e/etc", "..", "a%00b", "/workspace/./x/.."])
def test_traversal_in_the_listing(api, shared, path):
    answer = api.raw(api.head("GET", f"/api/v1/sandboxes/{shared}/files?path={path}", "Connection: close"))
    assert answer.split(b" ", 2)[1] in (b"400", b"403", b"404"), answer[:300]


@pytest.mark.parametrize("path", ["/etc/passwd", "/usr/bin/env", "/proc/1/environ", "/proc/self/mem", "/dev/zero", "/new",
                                  "/usr/new", "/dev/shm/../../etc/x", "/proc/sys/kernel/core_pattern"])
def test_writes_outside_the_roots(api, shared, path):
    answer = api.request("PUT", api.file(shared, path), data=b"x")
    assert answer.status_code in (400, 403, 404), answer.text
    answer = api.request("DELETE", api.file(shared, path))
    assert answer.status_code in (400, 403, 404), answer.text


@pytest.mark.parametrize("path", ["/proc/1/environ", "/proc/self/mem", "/proc/kcore", "/dev/zero", "/dev/random", "/etc/shadow",
                                  "/root", "/"])
def test_reads_outside_the_roots(api, shared, path):
    answer = api.request("GET", api.file(shared, path))
    assert answer.status_code in (400, 403, 404, 409), answer.text


def test_symlinks_that_lead_out(api, shared):
    api.sh(shared, "cd /workspace; ln -sfn / root; ln -sf /etc/passwd passwd; ln -sf ../etc up; ln -sf /proc/self/root magic;"
                   "ln -sf loop loop; ln -sfn /proc/1 one; ln -sf /dev/zero zero")
    # What may not be read by its own path may not be read through a link either.
    for path in ("root/etc/shadow", "up/shadow", "magic/etc/shadow", "loop", "one/environ", "zero", "root/proc/1/mem"):
        for method in ("GET", "HEAD"):
            assert api.request(method, api.file(shared, "/workspace/" + path)).status_code in (400, 403, 404, 409), path
    for path in ("root/tmp2", "up/x", "magic/x", "loop", "one/x"):
        assert api.request("PUT", api.file(shared, "/workspace/" + path), data=b"x").status_code in (400, 403, 404, 409), path
    # Writing to a link replaces the link or refuses; the target is untouched either way.
    api.request("PUT", api.file(shared, "/workspace/passwd"), data=b"x")
    assert "root:" in api.sh(shared, "cat /etc/passwd")
    api.request("DELETE", api.file(shared, "/workspace/root") + "?recursive=true", 204)
    assert api.sh(shared, "ls -d /usr/bin /workspace") == "/usr/bin\n/workspace\n"


def test_symlinks_within(api, shared):
    api.sh(shared, "cd /workspace; mkdir -p real; echo in > real/f; ln -sfn real near; ln -sf real/f file")
    for path in ("near/f", "file"):
        answer = api.get(api.file(shared, "/workspace/" + path))
        head = api.request("HEAD", api.file(shared, "/workspace/" + path), 200)
        assert answer.content == b"in\n"
        for name in ("Content-Length", "ETag", "Last-Modified", "X-File-Type", "X-File-Mode"):
            assert head.headers[name] == answer.headers[name], name


def test_a_link_that_is_swapped_all_the_time(api, sandbox):
    """Whatever the moment, nothing outside is read or written."""
    code = ("import os\nos.makedirs('/workspace/d', exist_ok=True)\nopen('/workspace/d/environ', 'w').write('mine')\n"
            "os.symlink('/proc/1', '/workspace/l')\n"
            "while True:\n"
            "    os.rename('/workspace/d', '/workspace/t'); os.rename('/workspace/l', '/workspace/d')\n"
            "    os.rename('/workspace/d', '/workspace/l'); os.rename('/workspace/t', '/workspace/d')\n")
    with api.open_stream(sandbox, language="python", code=code) as answer:
        lines = answer.iter_lines()  # kept: without it the answer is closed
        next(lines)
        other, seen = api.with_key(api.key), set()
        for i in range(300):
            answer_ = other.request("GET", api.file(sandbox, "/workspace/d/environ"))
            seen.add((answer_.status_code, answer_.content[:4]))
            put = other.request("PUT", api.file(sandbox, f"/workspace/d/new{i % 3}"), data=b"x")
            assert put.status_code < 500
    assert {s for s in seen if s[0] == 200} <= {(200, b"mine")}, seen
    assert all(s[0] in (200, 400, 403, 404, 409) for s in seen), seen


def test_what_is_no_file(api, shared):
    api.sh(shared, "cd /workspace; mkdir -p folder; mkfifo -m 666 fifo2 || true; "
                   "python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('/workspace/sock')\"")
    for path in ("folder", "fifo2", "sock"):
        for method in ("GET", "HEAD"):
            answer = api.request(method, api.file(shared, "/workspace/" + path), timeout=90)
            assert answer.status_code in (400, 409), (path, answer.text)
    assert api.request("PUT", api.file(shared, "/workspace/folder"), data=b"x").status_code in (400, 409)
    assert api.request("PUT", api.file(shared, "/workspace/a.txt/b"), data=b"x").status_code in (201, 400, 404, 409)
    api.put(shared, "/workspace/plain", b"x")
    assert api.request("GET", api.file(shared, "/workspace/plain/below")).status_code in (400, 404, 409)
    for path in ("x" * 256, "/".join(["y" * 200] * 25)):
        assert api.request("PUT", api.file(shared, "/workspace/" + path), data=b"x").status_code in (400, 414), len(path)


def test_files_of_the_home_and_tmp(api, shared):
    for folder in ("/home/user", "/tmp", "/workspace"):
        api.put(shared, folder + "/place", b"p")
        assert api.sh(shared, f"cat {folder}/place") == "p"


# ---- atomicity ----

def test_readers_see_old_or_new(api, sandbox):
    size = 1 << 20
    api.put(sandbox, "/workspace/f", b"0" * size)
    code = ("bad = 0\nn = 0\nimport os\n"
            "while not os.path.exists('/tmp/stop'):\n"
            "    d = open('/workspace/f', 'rb').read(); n += 1\n"
            f"    bad += len(d) != {size} or len(set(d)) != 1\n"
            "print(bad, n > 0)\n")
    api.sh(sandbox, "rm -f /tmp/stop")
    result = {}
    reader = threading.Thread(target=lambda: result.update(
        api.with_key(api.key).execute(sandbox, language="python", code=code)))
    reader.start()
    for i in range(40):
        api.put(sandbox, "/workspace/f", bytes([48 + i % 10]) * size)
    api.sh(sandbox, "touch /tmp/stop")
    reader.join()
    assert result["stdout"] == "0 True\n"
    assert api.sh(sandbox, "ls -A /workspace") == "f\n"  # no temporary file


def test_writers_at_the_same_time(api, sandbox):
    def put(i):
        return api.with_key(api.key).put(sandbox, "/workspace/f", bytes([48 + i]) * 500000).status_code
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(put, range(8)))
    assert set(statuses) <= {200, 201}
    content = api.read(sandbox, "/workspace/f")
    assert len(content) == 500000 and len(set(content)) == 1
    assert api.sh(sandbox, "ls -A /workspace") == "f\n"


def test_upload_that_breaks_off(api, sandbox):
    api.put(sandbox, "/workspace/kept", b"old")
    for path in ("/workspace/kept", "/workspace/new"):
        with api.connect() as s:
            s.sendall(api.head("PUT", api.file(sandbox, path), "Content-Length: 1000000") + b"half" * 1000)
    wait_until("nothing is left of it", lambda: api.sh(sandbox, "ls -A /workspace") == "kept\n")
    assert api.read(sandbox, "/workspace/kept") == b"old"


def test_upload_in_chunks(api, shared):
    pieces = [os.urandom(n) for n in (1, 70000, 3, 1 << 20)]
    api.put(shared, "/workspace/chunked", iter(pieces))
    assert api.read(shared, "/workspace/chunked") == b"".join(pieces)


def test_expect_continue(api, shared):
    with api.connect() as s:
        s.sendall(api.head("PUT", api.file(shared, "/workspace/expected"), "Content-Length: 5",
                           "Expect: 100-continue", "Connection: close"))
        assert s.recv(1000).startswith(b"HTTP/1.1 100 ")
        s.sendall(b"hello")
        assert b" 201 " in read_all(s)[:20]
    assert api.read(shared, "/workspace/expected") == b"hello"


# ---- size ----

def test_large_up_and_down(api, server):
    """300 MB both ways, unharmed, while neither API nor runtime grows."""
    size, block = 300_000_000, os.urandom(1 << 20)

    def content():
        left = size
        while left:
            yield block[:min(left, len(block))]
            left -= min(left, len(block))
    expected = hashlib.sha256()
    for piece in content():
        expected.update(piece)
    with api.sandbox(resources={"memory": "1Gi", "ephemeralStorage": "400Mi"}, timeout=3600) as sandbox:
        pids = {"api": server.pid_of("agent-api"), "node": server.pid_of("sandbox-node")}
        before = {k: servers.status_kib(p, "VmRSS") for k, p in pids.items()}
        peak = dict(before)
        stop = threading.Event()

        def watch():
            while not stop.wait(0.02):
                for k, p in pids.items():
                    peak[k] = max(peak[k], servers.status_kib(p, "VmRSS"))
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            entry = api.put(sandbox, "/workspace/big", content(), status=201).json()
            assert entry["size"] == size
            assert api.sh(sandbox, "sha256sum < /workspace/big").split()[0] == expected.hexdigest()
            digest = hashlib.sha256()
            with api.request("GET", api.file(sandbox, "/workspace/big"), 200, stream=True) as answer:
                assert answer.headers["Content-Length"] == str(size)
                for piece in answer.iter_content(1 << 20):
                    digest.update(piece)
            assert digest.digest() == expected.digest()
        finally:
            stop.set()
            watcher.join()
        allowed = (120 if servers.SANITIZED else 16) * 1024
        assert all(peak[k] - before[k] < allowed for k in pids), f"KiB before {before}, at most {peak}"
        rss = int(api.sh(sandbox, "awk '/VmRSS/{print $2}' /proc/1/status"))
        assert rss < 4096, f"the runtime holds {rss} KiB"


def test_disk_full(api):
    with api.sandbox(resources={"memory": "64Mi", "ephemeralStorage": "4Mi"}) as sandbox:
        api.put(sandbox, "/workspace/old", b"old")
        for path, data in (("/workspace/big", b"x" * (8 << 20)), ("/workspace/old", b"y" * (8 << 20)),
                           ("/tmp/chunked", iter([b"z" * 65536] * 128))):
            answer = api.request("PUT", api.file(sandbox, path), data=data)
            assert answer.status_code == 507, answer.text
            assert answer.json()["error"]["code"] == "quota_exceeded", answer.text
        # What was there is still there, and there is room again.
        assert api.read(sandbox, "/workspace/old") == b"old"
        assert api.sh(sandbox, "ls -A /workspace /tmp") == "/tmp:\n\n/workspace:\nold\n"
        api.put(sandbox, "/workspace/fits", b"x" * (2 << 20), status=201)
        usage = api.usage(sandbox)
        assert 2 << 20 <= usage["diskBytes"] <= 4 << 20 and usage["diskLimitBytes"] <= 4 << 20


def test_no_inodes_left(api):
    with api.sandbox(resources={"memory": "64Mi", "ephemeralStorage": "4Mi"}) as sandbox:
        api.execute(sandbox, language="python", code="import itertools\ntry:\n"
                    "    for i in itertools.count(): open(f'/workspace/{i}', 'w').close()\nexcept OSError: pass")
        assert api.request("PUT", api.file(sandbox, "/tmp/one-more"), data=b"").status_code == 507
        api.sh(sandbox, "find /workspace -type f -delete")
        api.put(sandbox, "/tmp/one-more", b"", status=201)


def test_file_that_changes_while_it_is_read(api, shared):
    """Truncated in the middle of a download: the answer must not look complete."""
    api.sh(shared, "head -c 50000000 /dev/zero > /workspace/shrinking")
    with api.connect() as s:
        s.sendall(api.head("GET", api.file(shared, "/workspace/shrinking"), "Connection: close"))
        first = s.recv(1000)
        assert b"Content-Length: 50000000" in first
        api.sh(shared, ": > /workspace/shrinking")
        assert len(first) + len(read_all(s)) < 50000000
    api.sh(shared, "rm /workspace/shrinking")
