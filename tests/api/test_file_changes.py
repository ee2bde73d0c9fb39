"""Move, copy, chmod, mkdir; listing with glob and pages."""
import contextlib
import threading

import pytest

from tests.helpers.client import wait_until


def do(api, sandbox, what, status=(200, 201), **body):
    return api.post(f"/api/v1/sandboxes/{sandbox}/files/{what}", body, status)


def refused(api, sandbox, what, status, code, where=None, **body):
    return api.error("POST", f"/api/v1/sandboxes/{sandbox}/files/{what}", status, code, where, json=body)


def everything(api, sandbox, folder):
    return api.sh(sandbox, f"cd {folder} && find . -mindepth 1 -printf '%P %y %m %l %s\\n' | sort")


TREE = ("mkdir -p t/a/b t/empty; echo one > t/one; head -c 3000000 /dev/urandom > t/a/big; ln -s ../one t/a/link; "
        "ln -s /etc/passwd t/out; ln -s nowhere t/dead; printf '#!/bin/sh' > t/a/b/run; chmod 750 t/a/b/run; chmod 700 t/empty; "
        "truncate -s 50M t/a/sparse; chmod 400 t/one; touch -d @1000000000 t/one t/a")


# ---- move ----

def test_move(api, sandbox):
    api.put(sandbox, "/workspace/a", b"1")
    moved = do(api, sandbox, "move", 201, path="/workspace/a", to="/workspace/deep/er/b").json()
    assert moved["path"] == "/workspace/deep/er/b" and moved["size"] == 1
    assert api.read(sandbox, "/workspace/deep/er/b") == b"1"
    api.put(sandbox, "/workspace/c", b"2")
    do(api, sandbox, "move", 200, path="c", to="deep/er/b")
    assert api.read(sandbox, "/workspace/deep/er/b") == b"2"
    do(api, sandbox, "move", 201, path="deep", to="shallow")
    assert api.sh(sandbox, "find . | sort") == ".\n./shallow\n./shallow/er\n./shallow/er/b\n"


def test_overwrite_false(api, sandbox):
    api.put(sandbox, "/workspace/a", b"a")
    api.put(sandbox, "/workspace/b", b"b")
    for what in ("move", "copy"):
        refused(api, sandbox, what, 409, "conflict", "path", path="a", to="b", overwrite=False)
        refused(api, sandbox, what, 409, "conflict", "path", path="a", to="/workspace/b", overwrite=False)
    api.put(sandbox, "/tmp/b", b"b")
    refused(api, sandbox, "move", 409, "conflict", path="a", to="/tmp/b", overwrite=False)
    assert api.read(sandbox, "/workspace/a") == b"a" and api.read(sandbox, "/tmp/b") == b"b"


@pytest.mark.parametrize("what", ["move", "copy"])
@pytest.mark.parametrize("to", ["/workspace/u", "/tmp/deep/u", "/home/user/u"])
def test_whole_folders(api, sandbox, what, to):
    api.sh(sandbox, TREE)
    before = everything(api, sandbox, "t")
    assert do(api, sandbox, what, 201, path="/workspace/t", to=to).json()["type"] == "directory"
    assert everything(api, sandbox, to) == before
    assert api.sh(sandbox, f"stat -c %Y {to}/one {to}/a") == "1000000000\n1000000000\n"
    assert int(api.sh(sandbox, f"stat -c %b {to}/a/sparse")) < 1000
    left = api.sh(sandbox, "ls -A /workspace").split()
    assert left == (["t"] if what == "copy" else []) + (["u"] if to == "/workspace/u" else [])
    if what == "copy":
        assert everything(api, sandbox, "t") == before
        assert api.sh(sandbox, f"cmp t/a/big {to}/a/big && echo same") == "same\n"


def test_move_a_link_and_a_fifo(api, sandbox):
    api.sh(sandbox, "echo 1 > f; ln -s f l; mkfifo p")
    do(api, sandbox, "move", 201, path="l", to="/tmp/l")
    assert api.sh(sandbox, "readlink /tmp/l; cat f") == "f\n1\n"
    do(api, sandbox, "move", 201, path="p", to="q")
    for what, source, to in (("copy", "q", "r"), ("move", "q", "/tmp/r")):
        error = refused(api, sandbox, what, 400, "invalid_request", "path", path=source, to=to)
        assert "fifo" in error["message"]
    api.sh(sandbox, "mkdir d; mv q d/q; echo > d/a")
    error = refused(api, sandbox, "copy", 400, "invalid_request", path="d", to="e")
    assert "/workspace/d/q" in error["message"]
    assert api.sh(sandbox, "ls -A . /tmp") == ".:\nd\nf\n\n/tmp:\nl\n"


@pytest.mark.parametrize("what", ["move", "copy"])
def test_what_cannot_be(api, sandbox, what):
    api.sh(sandbox, "mkdir -p d/e full/x; echo 1 > f")
    refused(api, sandbox, what, 404, "not_found", path="nope", to="x")
    refused(api, sandbox, what, 400, "invalid_request", path="d", to="d/e/f")
    assert do(api, sandbox, what, (200, 201, 400, 409), path="f", to="d/e").status_code in (400, 409)
    assert do(api, sandbox, what, (200, 201, 400, 409), path="d", to="full").status_code == 409
    assert do(api, sandbox, what, (200, 201, 400, 404, 409), path="d", to="f").status_code != 201
    for to in ("/etc/x", "/usr/x", "/proc/x", "/workspace", "/x"):
        refused(api, sandbox, what, 403, "forbidden", path="f", to=to)
    refused(api, sandbox, what, 400, "invalid_request", "path", path="../f", to="x")
    refused(api, sandbox, what, 400, "invalid_request", path="f", to="a/../x")
    for body, where in (({"path": "f"}, "to"), ({"to": "f"}, "path"), ({"path": 1, "to": "f"}, "path"),
                        ({"path": "f", "to": "g", "overwrite": "no"}, "overwrite"), ({"path": "f", "to": "g", "x": 1}, "x")):
        refused(api, sandbox, what, 400, "invalid_request", where, **body)
    assert api.sh(sandbox, "find . | sort") == ".\n./d\n./d/e\n./f\n./full\n./full/x\n"


def test_what_may_only_be_read_is_copied_not_moved(api, sandbox):
    do(api, sandbox, "copy", 201, path="/usr/bin/env", to="bin/env")
    assert api.sh(sandbox, "bin/env echo ran; stat -c %a bin/env") == "ran\n755\n"
    refused(api, sandbox, "move", 403, "forbidden", path="/usr/bin/env", to="env2")


def test_move_and_copy_without_room(api):
    """Nothing is left of what does not fit, and what was there stays."""
    with api.sandbox(resources={"memory": "64Mi", "ephemeralStorage": "4Mi"}) as sandbox:
        api.sh(sandbox, "mkdir d; head -c 1000000 /dev/zero | tr '\\0' x > d/a; cp d/a d/b; cp d/a d/c")
        for what, to in (("copy", "/workspace/e"), ("copy", "/tmp/e"), ("move", "/tmp/e")):
            answer = do(api, sandbox, what, 507, path="d", to=to)
            assert answer.json()["error"]["code"] == "quota_exceeded"
            assert api.sh(sandbox, "ls -A . d /tmp") == ".:\nd\n\n/tmp:\n\nd:\na\nb\nc\n"


def test_a_copy_that_nobody_waits_for(api, sandbox):
    api.sh(sandbox, "mkdir d; for i in 1 2 3 4 5 6 7 8; do head -c 10000000 /dev/zero > d/$i; done")
    body = b'{"path": "d", "to": "e"}'
    for _ in range(10):
        with api.connect() as s:
            s.sendall(api.head("POST", f"/api/v1/sandboxes/{sandbox}/files/copy", f"Content-Length: {len(body)}") + body)
    wait_until("no hidden copy is left", lambda: not set(api.sh(sandbox, "ls -A").split()) - {"d", "e"})


def test_copy_of_what_is_swapped_all_the_time(api, sandbox):
    """Whatever the moment: a link is copied as a link, and nothing from outside comes along."""
    with api.swapping(sandbox, "environ", "/proc/1") as other:
        for i in range(60):
            do(other, sandbox, "copy", (200, 201, 403, 404, 409), path="d", to=f"/tmp/c{i}")
            for path in (f"/tmp/c{i}/x", f"/tmp/c{i}/t", f"/tmp/c{i}/l"):
                got = other.request("GET", api.file(sandbox, path + "/environ"))
                assert got.status_code != 200 or got.content == b"mine"


# ---- chmod, mkdir ----

def test_chmod(api, sandbox):
    api.sh(sandbox, "echo > f; mkdir d; ln -s f l; ln -s /usr/bin/env out")
    for path, mode, shown in (("f", "755", "755"), ("d", "0700", "700"), ("l", "600", "600")):
        assert do(api, sandbox, "chmod", 200, path=path, mode=mode).json()["mode"] == mode.zfill(4)
        assert api.sh(sandbox, f"stat -Lc %a {path}") == shown + "\n"
    refused(api, sandbox, "chmod", 403, "forbidden", path="out", mode="777")
    refused(api, sandbox, "chmod", 403, "forbidden", path="/usr/bin/env", mode="777")
    refused(api, sandbox, "chmod", 404, "not_found", path="nope", mode="777")
    for mode in ("4755", "8", "abc", "", "0x1ff", "77777"):
        answer = api.request("POST", f"/api/v1/sandboxes/{sandbox}/files/chmod", json={"path": "f", "mode": mode})
        assert answer.status_code == 400, mode
    assert api.sh(sandbox, "stat -c %a f") == "600\n"


def test_mkdir(api, sandbox):
    assert do(api, sandbox, "mkdir", 201, path="/workspace/a/b/c").json()["type"] == "directory"
    assert do(api, sandbox, "mkdir", 200, path="/workspace/a/b/c").json()["path"] == "/workspace/a/b/c"
    assert do(api, sandbox, "mkdir", 201, path="p", mode="700").json()["mode"] == "0700"
    api.put(sandbox, "/workspace/f", b"")
    refused(api, sandbox, "mkdir", 409, "conflict", path="f")
    refused(api, sandbox, "mkdir", 403, "forbidden", path="/etc/x")
    do(api, sandbox, "mkdir", 200, path="/workspace")


# ---- listing ----

@pytest.fixture(scope="module")
def tree(api):
    with api.sandbox() as sandbox:
        api.sh(sandbox, "mkdir -p src/lib/deep docs .git; touch a.py b.txt src/main.py src/lib/x.py src/lib/deep/y.py "
                        "src/lib/data.json docs/ü.md .git/config .hidden 'sp ace' 'we[ird' docs/1.md docs/22.md; ln -s /usr src/usr")
        yield sandbox


def paths(api, sandbox, query):
    answer = api.get(f"/api/v1/sandboxes/{sandbox}/files?{query}").json()
    return [e["path"].removeprefix("/workspace/") for e in answer["items"]], answer.get("cursor")


@pytest.mark.parametrize("glob, found", [
    ("*.py", ["a.py"]), ("**/*.py", ["a.py", "src/lib/deep/y.py", "src/lib/x.py", "src/main.py"]),
    ("src/*", ["src/lib", "src/main.py", "src/usr"]), ("src/**", ["src/lib", "src/lib/data.json", "src/lib/deep",
                                                               "src/lib/deep/y.py", "src/lib/x.py", "src/main.py", "src/usr"]),
    ("**/deep/*", ["src/lib/deep/y.py"]), ("docs/?.md", ["docs/1.md", "docs/ü.md"]), ("docs/[0-9]*.md", ["docs/1.md", "docs/22.md"]),
    ("docs/[!0-9]*", ["docs/ü.md"]), (".*", [".git", ".hidden"]), ("sp ace", ["sp ace"]), ("we\\[ird", ["we[ird"]),
    ("we[ird", ["we[ird"]), ("nothing*", []), ("src/usr/**", []), ("**/**/x.py", ["src/lib/x.py"]),
    ("src/**/lib/*.json", ["src/lib/data.json"])])
def test_glob(api, tree, glob, found):
    from urllib.parse import quote
    assert sorted(paths(api, tree, "glob=" + quote(glob))[0]) == sorted(found)


def test_glob_that_takes_long_elsewhere(api, tree):
    name = "a" * 200
    api.put(tree, "/workspace/slow/" + name, b"")
    assert paths(api, tree, "glob=slow/" + "*a" * 60 + "*b")[0] == []
    assert paths(api, tree, "glob=" + "**/" * 100 + "nothing")[0] == []
    for query in ("glob=", "glob=" + "x" * 1025):
        api.error("GET", f"/api/v1/sandboxes/{tree}/files?{query}", 400, "invalid_request", "glob")
    api.request("DELETE", api.file(tree, "/workspace/slow") + "?recursive=true", 204)


@pytest.mark.parametrize("query", ["recursive=true", "", "glob=**/*.py", "path=src&recursive=true", "path=/usr/lib/python3/dist-packages"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_pages_are_the_whole(api, tree, query, limit):
    whole, cursor = paths(api, tree, query)
    assert cursor is None
    pages, cursor = [], ""
    while cursor is not None:
        page, cursor = paths(api, tree, f"{query}&limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        assert len(page) <= limit
        pages += page
    assert pages == whole


def test_pages_while_files_come_and_go(api, sandbox):
    api.sh(sandbox, "mkdir d; cd d; seq -f f%03g 0 99 | xargs touch; mkdir f050d; touch f050d/x")
    got, cursor, turn = [], "", 0
    while cursor is not None:
        page, cursor = paths(api, sandbox, f"path=d&recursive=true&limit=10&cursor={cursor}")
        got += page
        # What was listed last goes, and something appears before and behind.
        api.sh(sandbox, f"cd d; rm -rf {got[-1].removeprefix('d/')}; touch a{turn} z{turn:02}")
        turn += 1
    assert len(got) == len(set(got))
    assert {f"d/f{i:03}" for i in range(100)} <= set(got) and "d/f050d/x" in got


@pytest.mark.parametrize("query, where", [("limit=0", "limit"), ("limit=10001", "limit"), ("limit=x", "limit"), ("cursor=zz", "cursor"),
                                          ("cursor=abc", "cursor"), ("cursor=00", "cursor")])
def test_bad_pages(api, tree, query, where):
    api.error("GET", f"/api/v1/sandboxes/{tree}/files?{query}", 400, "invalid_request", where)


def test_a_cursor_leads_nowhere_else(api, tree):
    for text in ("../../etc", "/etc/passwd", "src/usr/bin"):
        found, _ = paths(api, tree, f"path=src&recursive=true&cursor={text.encode().hex()}")
        assert all(p.startswith("src/") for p in found)


def test_names_that_are_no_text(api, sandbox):
    api.sh(sandbox, "python3 -c \"import os; [open(b'/workspace/' + bytes([0xff, 65 + i]), 'w') for i in range(10)]\"")
    got, cursor = [], ""
    while cursor is not None:
        page, cursor = paths(api, sandbox, f"limit=3&cursor={cursor}")
        got += page
    assert len(got) == 10


def test_listing_is_dropped_midway(api, sandbox):
    """Clients that go away in the middle leave nothing running."""
    api.sh(sandbox, "mkdir many; cd many; for i in $(seq 100); do mkdir $i; (cd $i; seq 100 | xargs touch); done")
    threads = []
    for _ in range(8):
        def run():
            with contextlib.suppress(OSError), api.connect() as s:
                s.sendall(api.head("GET", f"/api/v1/sandboxes/{sandbox}/files?recursive=true"))
                s.recv(100)
        threads.append(threading.Thread(target=run))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(paths(api, sandbox, "recursive=true")[0]) == 10101
