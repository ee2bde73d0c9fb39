"""Folders as archives, both ways: faithful, bounded, and nothing that an archive can do to get out."""
import contextlib
import gzip
import hashlib
import io
import os
import random
import socket
import struct
import tarfile
import threading
import time
import zipfile

import pytest

from tests.helpers import server as servers
from tests.helpers.client import wait_until

FORMATS = ["tar", "tar.gz", "zip"]


def url(sandbox, query=""):
    return f"/api/v1/sandboxes/{sandbox}/files/archive" + (f"?{query}" if query else "")


def tar(entries, mode="w", **more):
    """entries: (name, data) or a TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, **more) as t:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                t.addfile(entry)
                continue
            info = tarfile.TarInfo(entry[0])
            info.size = len(entry[1])
            t.addfile(info, io.BytesIO(entry[1]))
    return out.getvalue()


def info(name, type_, link="", mode=0o644):
    i = tarfile.TarInfo(name)
    i.type, i.linkname, i.mode = type_, link, mode
    return i


def zipped(entries, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in entries:
            z.writestr(name, data)
    return out.getvalue()


def unpack(api, sandbox, data, path="/workspace", format="tar", status=200):
    return api.post(url(sandbox, f"path={path}&format={format}"), status=status, data=data).json()


def refused(api, sandbox, data, status, code, entry, **more):
    error = unpack(api, sandbox, data, status=status, **more)["error"]
    assert error["code"] == code, error
    if entry is not None:
        assert error["details"][0]["path"] == entry, error
    assert "put in place before" in error["message"], error
    return error["message"]


def contents(data, format):
    """{name: (type, mode, bytes or target)} of an archive."""
    found = {}
    if format == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as z:
            assert z.testzip() is None
            for i in z.infolist():
                mode = i.external_attr >> 16
                kind = {0o12: "link", 0o04: "dir", 0o10: "file"}[mode >> 12]
                found[i.filename.rstrip("/")] = (kind, mode & 0o7777, z.read(i) if kind != "dir" else b"")
        return found
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz" if format == "tar.gz" else "r:") as t:
        for i in t:
            if i.issym():
                found[i.name] = ("link", i.mode, i.linkname.encode())
            elif i.isdir():
                found[i.name] = ("dir", i.mode, b"")
            else:
                found[i.name] = ("file", i.mode, t.extractfile(i).read())
    return found


TREE = ("mkdir -p t/a/b t/empty; printf one > t/one; head -c 300000 /dev/urandom > t/a/big; ln -s ../one t/a/link; "
        "printf '#!/bin/sh' > t/a/b/run; chmod 750 t/a/b/run; chmod 700 t/empty; printf x > t/ü; printf y > 't/new\nline'; : > t/zero")


# ---- out ----

@pytest.mark.parametrize("format", FORMATS)
def test_out(api, sandbox, format):
    api.sh(sandbox, TREE)
    answer = api.get(url(sandbox, f"path=/workspace/t&format={format}"))
    assert answer.headers["Content-Type"] == {"tar": "application/x-tar", "tar.gz": "application/gzip",
                                              "zip": "application/zip"}[format]
    found = contents(answer.content, format)
    assert set(found) == {"one", "a", "a/b", "a/b/run", "a/big", "a/link", "empty", "ü", "new\nline", "zero"}
    assert found["one"] == ("file", 0o644, b"one") and found["zero"][2] == b""
    assert found["a/b/run"] == ("file", 0o750, b"#!/bin/sh") and found["empty"][:2] == ("dir", 0o700)
    assert found["a/link"][0] == "link" and found["a/link"][2] == b"../one"
    digest = api.sh(sandbox, "sha256sum < t/a/big").split()[0]
    assert hashlib.sha256(found["a/big"][2]).hexdigest() == digest


@pytest.mark.parametrize("format", FORMATS)
def test_there_and_back(api, sandbox, format):
    api.sh(sandbox, TREE)
    data = api.get(url(sandbox, f"path=t&format={format}")).content
    assert unpack(api, sandbox, data, "/tmp/u", format)["entries"] == 10
    # A zip that is read as it comes does not tell modes and links.
    listing = "find . -mindepth 1 -printf '%P %y %m %l %s %T@\\n' | sed 's/[.]0*$//' | sort" if format != "zip" else \
        "find . -mindepth 1 -type f -printf '%P %s\\n' | sort"
    if format == "zip":
        api.sh(sandbox, "rm t/a/link /tmp/u/a/link")
    else:
        api.sh(sandbox, "find t /tmp/u -exec touch -h -d @5 {} +")
    assert api.sh(sandbox, f"cd /tmp/u; {listing}") == api.sh(sandbox, f"cd t; {listing}")
    assert api.sh(sandbox, "cmp t/a/big /tmp/u/a/big && echo same") == "same\n"


def test_out_by_accept_and_of_a_file(api, sandbox):
    api.sh(sandbox, "printf 1 > f; mkdir d")
    assert zipfile.is_zipfile(io.BytesIO(api.get(url(sandbox), headers={"Accept": "application/zip"}).content))
    assert contents(api.get(url(sandbox, "path=f")).content, "tar") == {"f": ("file", 0o644, b"1")}
    assert contents(api.get(url(sandbox, "path=d")).content, "tar") == {}


def test_what_is_left_out(api, sandbox):
    api.sh(sandbox, "mkdir d; printf 1 > d/f; mkfifo d/fifo; ln -s /etc/passwd d/abs; ln -s ../../x d/up; ln -s f d/in; "
                    "python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('/workspace/d/s'); open(b'/workspace/d/\\xff', 'w').write('no')\"; "
                    "chmod 4755 d/f")
    found = contents(api.get(url(sandbox, "path=d"), timeout=90).content, "tar")
    assert found == {"f": ("file", 0o755, b"1"), "in": ("link", 0o777, b"f")}


def test_errors(api, sandbox):
    api.sh(sandbox, "mkfifo p; echo > f")
    api.error("GET", url(sandbox, "path=nope"), 404, "not_found")
    api.error("GET", url(sandbox, "path=p"), 400, "invalid_request")
    api.error("GET", url(sandbox, "path=/proc/1"), 403, "forbidden")
    api.error("GET", url(sandbox, "path=../x"), 400, "invalid_request")
    api.error("GET", url(sandbox, "format=rar"), 400, "invalid_request", "format")
    api.error("POST", url(sandbox, "format=rar"), 400, "invalid_request", "format", data=b"x")
    api.error("POST", url(sandbox), 400, "invalid_request", "format", data=b"x")
    api.error("POST", url(sandbox, "format=tar&path=/usr/x"), 403, "forbidden", data=tar([("a", b"1")]))
    api.error("POST", url(sandbox, "format=tar&path=f"), 409, "conflict", data=tar([("a", b"1")]))


def test_a_file_that_shrinks(api, sandbox):
    """What cannot be completed must not look complete."""
    api.sh(sandbox, "mkdir d; head -c 50000000 /dev/zero > d/f")
    with api.connect() as s:
        s.sendall(api.head("GET", url(sandbox, "path=d"), "Connection: close"))
        first = s.recv(1000)
        assert b" 200 " in first[:20]
        api.sh(sandbox, ": > d/f")
        rest = b""
        with contextlib.suppress(OSError):
            while piece := s.recv(1 << 20):
                rest += piece
        assert not rest.endswith(b"0\r\n\r\n")


# ---- in ----

@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("format", ["tar", "tar.gz"])
def test_in(api, sandbox, form, format):
    run = info("bin/run", tarfile.REGTYPE, mode=0o6755)
    long = "/".join(["n" * 60] * 4) + "/ü"
    entries = [info("./", tarfile.DIRTYPE, mode=0o755), ("./a", b"1"), ("d//e/f", b"2"), run, info("d/e", tarfile.DIRTYPE, mode=0o700),
               info("d/l", tarfile.SYMTYPE, "e/f"), info("d/m", tarfile.SYMTYPE, "../a")]
    if form != tarfile.USTAR_FORMAT:
        entries.append((long, b"3"))
    data = tar(entries, "w:gz" if format == "tar.gz" else "w", format=form)
    type_ = "application/gzip" if format == "tar.gz" else "application/x-tar"
    assert api.post(url(sandbox, "path=/workspace/in"), data=data, headers={"Content-Type": type_}).json()["entries"] == len(entries) - 1
    assert api.sh(sandbox, "cd in; cat a d/e/f d/l d/m; stat -c %a bin/run; readlink d/l") == "1221755\ne/f\n"
    if form != tarfile.USTAR_FORMAT:
        assert api.read(sandbox, "/workspace/in/" + long) == b"3"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_in_zip(api, sandbox, method):
    data = zipped([("a.txt", b"1" * 1000), ("d/", b""), ("d/ü", b"2")], method)
    assert api.post(url(sandbox), data=data, headers={"Content-Type": "application/zip"}).json() == {"entries": 3}
    assert api.read(sandbox, "/workspace/a.txt") == b"1" * 1000 and api.read(sandbox, "/workspace/d/ü") == b"2"


def test_replaces_and_merges(api, sandbox):
    api.sh(sandbox, "mkdir -p d/kept; printf old > d/f; printf k > d/kept/k; ln -s nowhere d/l")
    unpack(api, sandbox, tar([("d/f", b"new"), ("d/n", b"n"), info("d/l", tarfile.SYMTYPE, "f")]))
    assert api.sh(sandbox, "cat d/f d/n d/kept/k; readlink d/l; ls -A d") == "newnkf\nf\nkept\nl\nn\n"


def test_in_pieces_and_with_a_tail(api, sandbox):
    data = tar([(f"f{i}", os.urandom(5000)) for i in range(50)]) + b"\0" * 300000

    def drip():
        for i in range(0, len(data), 7777):
            yield data[i:i + 7777]
    assert unpack(api, sandbox, drip())["entries"] == 50


HOSTILE = [
    ([("/etc/x", b"1")], 400, "invalid_request", "/etc/x"), ([("../x", b"1")], 400, "invalid_request", "../x"),
    ([("a/../../x", b"1")], 400, "invalid_request", "a/../../x"), ([("a/..", b"1")], 400, "invalid_request", "a/.."),
    ([info("l", tarfile.SYMTYPE, "/etc/passwd")], 403, "forbidden", "l"), ([info("l", tarfile.SYMTYPE, "../x")], 403, "forbidden", "l"),
    ([info("d/l", tarfile.SYMTYPE, "../../x")], 403, "forbidden", "d/l"), ([info("l", tarfile.SYMTYPE, "a/../../x")], 403, "forbidden", "l"),
    ([("a", b"1"), info("h", tarfile.LNKTYPE, "a")], 400, "invalid_request", "h"),
    ([info("h", tarfile.LNKTYPE, "/etc/passwd")], 400, "invalid_request", "h"),
    ([info("dev", tarfile.CHRTYPE)], 400, "invalid_request", "dev"), ([info("blk", tarfile.BLKTYPE)], 400, "invalid_request", "blk"),
    ([info("fifo", tarfile.FIFOTYPE)], 400, "invalid_request", "fifo"),
    ([("a", b"1"), ("a", b"2")], 400, "invalid_request", "a"), ([("a", b"1"), ("./a", b"2")], 400, "invalid_request", "a"),
    ([("d/a", b"1"), ("d//a", b"2")], 400, "invalid_request", "d/a"),
    ([("a", b"1"), ("a/b", b"2")], 404, "not_found", "a/b"),
    ([info("l", tarfile.SYMTYPE, "d"), info("d", tarfile.DIRTYPE, mode=0o755), ("l/x", b"2")], 403, "forbidden", "l/x"),
    ([("/".join("d" * 70), b"1")], 400, "invalid_request", None), ([("n" * 300, b"1")], 400, "invalid_request", None),
]


@pytest.mark.parametrize("entries, status, code, entry", HOSTILE)
def test_hostile_entries(api, sandbox, entries, status, code, entry):
    """Refused by name; what came before it is in place, what comes behind it is not."""
    data = tar([("first", b"1"), *entries, ("last", b"1")])
    api.sh(sandbox, "echo secret > /tmp/x")
    refused(api, sandbox, data, status, code, entry, path="/workspace/in")
    names = api.sh(sandbox, "cd in; find . -mindepth 1 | sort").split()
    assert "./first" in names and "./last" not in names
    assert not [n for n in names if ".sa-" in n]
    assert api.sh(sandbox, "cat /tmp/x; ls -A /workspace") == "secret\nin\n"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x"])
def test_hostile_zip(api, sandbox, name):
    refused(api, sandbox, zipped([("ok", b"1"), (name, b"1")]), 400, "invalid_request", name, format="zip")


def test_names_that_are_not_utf8(api, sandbox):
    data = tar([("a\udcff", b"1")], format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape")
    error = unpack(api, sandbox, data, status=400)["error"]
    assert "UTF-8" in error["message"]


def test_bombs(api):
    with api.sandbox(resources={"memory": "1Gi", "ephemeralStorage": "500Mi"}) as sandbox:
        zeros = b"\0" * (1 << 20)
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6) as g:
            head = tarfile.TarInfo("bomb")
            head.size = 96 << 20
            g.write(head.tobuf())
            for _ in range(96):
                g.write(zeros)
        message = refused(api, sandbox, out.getvalue(), 413, "payload_too_large", "bomb", format="tar.gz")
        assert "200 times" in message
        zip_bomb = io.BytesIO()
        with zipfile.ZipFile(zip_bomb, "w", zipfile.ZIP_DEFLATED) as z, z.open("bomb", "w") as f:
            for _ in range(96):
                f.write(zeros)
        refused(api, sandbox, zip_bomb.getvalue(), 413, "payload_too_large", "bomb", format="zip")
        assert api.sh(sandbox, "ls -A") == ""


def test_bomb_of_entries(api, sandbox):
    """More entries than there may be: either that or the inodes end it, and the sandbox lives."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as g:
        for i in range(200100):
            g.write(tarfile.TarInfo(f"{i:09}").tobuf(tarfile.USTAR_FORMAT))
    answer = api.request("POST", url(sandbox, "format=tar.gz&path=many"), data=out.getvalue())
    assert answer.status_code in (413, 507), answer.text
    assert api.sh(sandbox, "echo alive") == "alive\n"


def test_no_room(api):
    with api.sandbox(resources={"memory": "64Mi", "ephemeralStorage": "4Mi"}) as sandbox:
        data = tar([("a", b"1"), ("big", os.urandom(8 << 20)), ("z", b"1")])
        refused(api, sandbox, data, 507, "quota_exceeded", "big")
        assert api.sh(sandbox, "ls -A") == "a\n"


@pytest.mark.parametrize("format", FORMATS)
def test_damaged(api, sandbox, format):
    entries = [(f"f{i}", os.urandom(3000)) for i in range(20)]
    good = zipped(entries) if format == "zip" else tar(entries, "w:gz" if format == "tar.gz" else "w")
    for data in (b"", b"x", b"x" * 5000, os.urandom(3000), good[:len(good) // 2], b"\0" * 100 + good):
        answer = api.request("POST", url(sandbox, f"format={format}&path=d"), data=data)
        assert answer.status_code == 400 or format.startswith("tar") and answer.status_code == 200, (len(data), answer.text)
    rng = random.Random(5)
    for _ in range(40):
        data = bytearray(good)
        for _ in range(5):
            data[rng.randrange(len(data))] = rng.randrange(256)
        answer = api.request("POST", url(sandbox, f"format={format}&path=e"), data=bytes(data))
        assert answer.status_code in (200, 400, 403, 404, 409, 413), answer.text
    assert ".sa-" not in api.sh(sandbox, "find .")


def test_cut_off(api, server, sandbox):
    """Clients that go away in the middle, both ways: nothing leaks and nothing half stays."""
    api.sh(sandbox, "mkdir src; for i in 1 2 3 4; do head -c 3000000 /dev/urandom > src/$i; done")
    data = tar([(f"f{i}", os.urandom(100000)) for i in range(30)])
    pid = server.pid_of("agent-api")
    api.get(url(sandbox, "path=src"))
    before = servers.descriptors(pid), len(os.listdir(f"/proc/{pid}/task"))
    for i in range(25):
        with contextlib.suppress(OSError), api.connect() as s:
            s.sendall(api.head("POST", url(sandbox, "format=tar&path=dst"), f"Content-Length: {len(data)}") + data[:i * 90000])
        with contextlib.suppress(OSError), api.connect() as s:
            s.sendall(api.head("GET", url(sandbox, f"path=src&format={FORMATS[i % 3]}")))
            s.recv(1000)
    wait_until("threads and descriptors are given back",
               lambda: servers.descriptors(pid) <= before[0] + 2 and len(os.listdir(f"/proc/{pid}/task")) <= before[1])
    assert ".sa-" not in api.sh(sandbox, "find dst")
    for name in api.sh(sandbox, "cd dst; ls").split():
        assert len(api.read(sandbox, "/workspace/dst/" + name)) == 100000


def test_too_many_at_once(api, sandbox):
    """Beyond the bound of a key's workers: refused for the moment, and the others go on; so do other keys."""
    other = api.with_key(api.post("/api/v1/user/apikeys", {"name": "o", "role": "operator"}, status=201).json()["key"])
    data = tar([("f", b"x" * 100000)])
    open_ones = []
    try:
        for _ in range(4):
            s = api.connect()
            open_ones.append(s)
            s.sendall(api.head("POST", url(sandbox, "format=tar"), f"Content-Length: {len(data)}", "Expect: 100-continue"))
            assert b" 100 " in s.recv(100)[:20]  # it has begun
        error = api.error("POST", url(sandbox, "format=tar&path=x"), 503, "unavailable", data=data)
        assert error["message"].startswith("4 archives of yours")
        other.request("POST", url(sandbox, "format=tar"), 200, data=data)
        for s in open_ones:
            s.sendall(data)
            assert b" 200 " in s.recv(100)[:20]
    finally:
        for s in open_ones:
            s.close()
        other.close()
    wait_until("a free worker", lambda: api.request("POST", url(sandbox, "format=tar"), data=data).status_code == 200)


def test_slow_reader_holds_up_only_itself(api, server):
    with api.sandbox(resources={"memory": "512Mi", "ephemeralStorage": "250Mi"}) as sandbox:
        api.sh(sandbox, "mkdir d; head -c 100000000 /dev/urandom > d/f")
        pid = server.pid_of("agent-api")
        before = servers.status_kib(pid, "VmRSS")
        with api.connect() as s:
            s.sendall(api.head("GET", url(sandbox, "path=d"), "Connection: close"))
            first = s.recv(1000)
            for _ in range(20):
                api.sh(sandbox, "true")
            allowed = (200 if servers.SANITIZED else 16) * 1024
            assert servers.status_kib(pid, "VmRSS") - before < allowed
            total = len(first)
            while piece := s.recv(1 << 20):
                total += len(piece)
            assert total > 100000000


@pytest.mark.parametrize("format", FORMATS)
def test_readers_that_leave_cost_nothing(api, server, format):
    """Not even where they leave within an entry of which (nearly) endless zeroes are still to come."""
    def leave():
        with api.connect() as s:
            s.sendall(api.head("GET", url(sandbox, f"path=d&format={format}")))
            head = s.recv(3000)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return head.startswith(b"HTTP/1.1 200 ")

    pid = server.pid_of("agent-api")
    with api.sandbox() as sandbox:
        api.sh(sandbox, "mkdir d; head -c 3000000 /dev/urandom > d/f; cp d/f d/g; truncate -s 900G d/g")
        before = 0
        for times in (50, 200):
            before = servers.status_kib(pid, "VmRSS")
            for _ in range(times):
                wait_until("a free worker", leave)
        if not servers.SANITIZED:  # LeakSanitizer sees it at the end
            assert servers.status_kib(pid, "VmRSS") - before < 8 * 1024


@pytest.mark.parametrize("way", ["in", "out"])
def test_links_that_are_swapped_all_the_time(api, sandbox, way):
    """A folder that is now and then a link: nothing is read or written where it points."""
    api.sh(sandbox, "mkdir -p /tmp/away && printf away > /tmp/away/f")
    with api.swapping(sandbox, "f", "/tmp/away") as other:
        data = tar([("x/new", b"n"), ("x/more", b"m")])
        for _ in range(100):
            if way == "in":
                status = other.request("POST", url(sandbox, "path=d&format=tar"), data=data).status_code
                assert status in (200, 403, 404, 409)
                continue
            got = other.request("GET", url(sandbox, "path=d"))
            if got.status_code == 200:
                found = contents(got.content, "tar")
                assert all(v[2] != b"away" for v in found.values()), found
    assert api.sh(sandbox, "ls -A /tmp/away") == "f\n"


def test_many_small_files_are_quick(api):
    """Pipelined: 20,000 files go up and down without a round trip each."""
    with api.sandbox(resources={"memory": "512Mi", "ephemeralStorage": "200Mi"}) as sandbox:
        data = tar([(f"d{i % 100}/f{i}", b"x" * 100) for i in range(10000)])
        started = time.monotonic()
        assert unpack(api, sandbox, data)["entries"] == 10000
        up = time.monotonic() - started
        started = time.monotonic()
        got = contents(api.get(url(sandbox)).content, "tar")
        assert len(got) == 10100
        print(f"10000 files: in {up:.2f} s, out {time.monotonic() - started:.2f} s")
