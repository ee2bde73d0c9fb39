"""`secureagent cp`: files and folders between here and a sandbox."""
import hashlib
import http.server
import io
import os
import random
import stat
import tarfile
import threading

import pytest

from tests.helpers import server as servers
from tests.helpers.cli import environment, run_cli
from tests.helpers.client import Api
from tests.helpers.terminal import Terminal


@pytest.fixture(scope="module")
def box(server):
    api = Api(server.url, server.key)
    with api.sandbox("bash", timeout=3600, name="cp-box") as sandbox:
        yield sandbox
    api.close()


@pytest.fixture
def copy(cli, box):
    """Copy and expect success, in silence."""
    def run(*args, **more):
        result = cli("cp", *args, **more)
        assert (result.returncode, result.stderr) == (0, b""), result
        return result.stdout
    return run


# ---- files ----

@pytest.mark.parametrize("data", [b"", b"x", random.Random(1).randbytes(100_001)], ids=len)
def test_a_file_there_and_back(copy, box, tmp_path, data):
    (tmp_path / "a.bin").write_bytes(data)
    copy(tmp_path / "a.bin", f"{box}:sub/b.bin")
    copy("cp-box:/workspace/sub/b.bin", tmp_path / "c.bin")
    assert (tmp_path / "c.bin").read_bytes() == data


def test_where_it_goes(copy, box, api, tmp_path):
    (tmp_path / "a b#?é").write_text("1")
    for target, path in ((f"{box}:", "/workspace/a b#?é"), (f"{box}:/tmp", "/tmp/a b#?é"),
                         (f"{box}:new/", "/workspace/new/a b#?é"), (f"{box}:/tmp/other", "/tmp/other")):
        copy(tmp_path / "a b#?é", target)
        assert api.sh(box, f"cat '{path}'") == "1"
    folder = tmp_path / "here"
    folder.mkdir()
    copy(f"{box}:/tmp/other", folder)
    copy(f"{box}:/tmp/other", folder / "named")
    assert sorted(os.listdir(folder)) == ["named", "other"]


def test_an_executable_stays_one(copy, box, api, tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    copy(program, f"{box}:")
    assert api.sh(box, "/workspace/program") == "ran\n"


def test_standard_input_and_output(copy, box):
    data = random.Random(2).randbytes(300_000)
    copy("-", f"{box}:in", stdin=data)
    assert copy(f"{box}:in", "-") == data


def test_a_big_file(copy, api, tmp_path):
    data = random.Random(3).randbytes(24 << 20)
    (tmp_path / "big").write_bytes(data)
    with api.sandbox("bash", resources={"memory": "512Mi"}) as sandbox:
        copy(tmp_path / "big", f"{sandbox}:big")
        assert api.sh(sandbox, "sha256sum big").split()[0] == hashlib.sha256(data).hexdigest()
        copy(f"{sandbox}:big", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    assert not (tmp_path / "back.part").exists()


def test_what_was_there_stays_when_it_fails(cli, box, tmp_path):
    (tmp_path / "mine").write_text("mine")
    result = cli("cp", f"{box}:/tmp/no/file", tmp_path / "mine")
    assert result.returncode == 69 and b"/tmp/no/file" in result.stderr
    assert os.listdir(tmp_path) == ["mine"] and (tmp_path / "mine").read_text() == "mine"


# ---- folders ----

@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "sub/deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "a").write_bytes(b"a" * 10)
    (root / "sub/deep/ż b").write_bytes(random.Random(4).randbytes(70_000))
    (root / "sub/run").write_text("#!/bin/sh\necho ran\n")
    (root / "sub/run").chmod(0o755)
    (root / "private").write_text("p")
    (root / "private").chmod(0o600)
    (root / "link").symlink_to("sub/run")
    return root


def listing(root):
    found = {}
    for folder, names, files in os.walk(root):
        for name in names + files:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            what = (os.readlink(path) if stat.S_ISLNK(info.st_mode) else
                    open(path, "rb").read() if stat.S_ISREG(info.st_mode) else None)
            mode = stat.S_IMODE(info.st_mode) if stat.S_ISREG(info.st_mode) else None
            found[os.path.relpath(path, root)] = (what, mode)
    return found


def test_a_folder_there_and_back(copy, box, api, tree, tmp_path):
    copy(tree, f"{box}:copied")
    assert api.sh(box, "copied/link; stat -c %a copied/private; readlink copied/link; ls -A copied") == \
        "ran\n600\nsub/run\na\nempty\nlink\nprivate\nsub\n"
    copy(f"{box}:copied", tmp_path / "back")
    assert listing(tmp_path / "back") == listing(tree)


def test_into_a_folder_it_keeps_its_name(copy, box, api, tree, tmp_path):
    copy(tree, f"{box}:/tmp/")
    assert api.sh(box, "cat /tmp/tree/a") == "a" * 10
    copy(f"{tree}/", f"{box}:/tmp")  # again, over it
    (tmp_path / "in").mkdir()
    copy(f"{box}:/tmp/tree", tmp_path / "in")
    assert listing(tmp_path / "in/tree") == listing(tree)


def test_links_on_the_way_to_the_target_stay(copy, box, api, tree, tmp_path):
    """They are the user's own; only those in the archive are not followed."""
    copy(str(tree), "cp-box:linked")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    copy("cp-box:linked", str(tmp_path / "link" / "out"))
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "out").is_dir()
    assert any((tmp_path / "real" / "out").iterdir())


def test_a_folder_is_no_file(cli, box):
    result = cli("cp", f"{box}:/tmp", "-")
    assert result.returncode == 64 and b"folder" in result.stderr
    result = cli("cp", "-", f"{box}:/tmp", stdin=b"x")
    assert result.returncode == 64 and b"folder" in result.stderr


# ---- archives of a hostile sandbox ----

class Hostile(http.server.BaseHTTPRequestHandler):
    """A server that answers a request for a folder with an archive of its own making."""
    archive = b""

    def log_message(self, *args):
        pass

    def do_GET(self):
        body = self.archive if "/archive" in self.path else b'{"items":[]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def entry(name, kind=tarfile.REGTYPE, target="", data=b"evil"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, 0o644
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    return info, io.BytesIO(data)


HOSTILE = {
    "absolute": [entry("/{outside}/evil")],
    "dots": [entry("../evil")],
    "dots within": [entry("a/../../evil")],
    "dots at the end": [entry("a/..")],
    "through a link": [entry("l", tarfile.SYMTYPE, "{outside}"), entry("l/evil")],
    "through a link of dots": [entry("l", tarfile.SYMTYPE, ".."), entry("l/evil")],
    "over a link": [entry("l", tarfile.SYMTYPE, "{outside}/evil"), entry("l")],
    "hard link out": [entry("h", tarfile.LNKTYPE, "{outside}/secret"), entry("h")],
    "hard link to a link": [entry("l", tarfile.SYMTYPE, "{outside}/evil"), entry("h", tarfile.LNKTYPE, "l"),
                            entry("h")],
    "device": [entry("d", tarfile.CHRTYPE)],
    "pipe": [entry("p", tarfile.FIFOTYPE)],
    "cut": None,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_writes_nothing_outside(tmp_path, name):
    outside, target = tmp_path / "outside", tmp_path / "parent/target"
    outside.mkdir()
    target.parent.mkdir()
    (outside / "secret").write_text("secret")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in HOSTILE[name] or [entry("big", data=b"x" * 100_000)]:
            info.name = info.name.replace("/{outside}", str(outside)).replace("{outside}", str(outside))
            info.linkname = info.linkname.replace("{outside}", str(outside))
            tar.addfile(info, data)
    handler = type("Handler", (Hostile,), {"archive": packed.getvalue()[:None if HOSTILE[name] else 50_000]})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as hostile:
        threading.Thread(target=hostile.serve_forever, daemon=True).start()
        result = run_cli("cp", f"sb-{'a' * 20}:evil", target, "--url",
                         f"http://127.0.0.1:{hostile.server_address[1]}", "--api-key", "sa_x")
        hostile.shutdown()
    assert os.listdir(outside) == ["secret"] and (outside / "secret").read_text() == "secret"
    assert os.listdir(target.parent) == ["target"]
    if name not in ("over a link", "through a link", "through a link of dots"):  # there it is replaced
        assert result.returncode != 0 and result.stderr
    for folder, names, files in os.walk(target):
        for one in names + files:
            info = os.lstat(os.path.join(folder, one))
            assert stat.S_IFMT(info.st_mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
            assert info.st_nlink == 1 or stat.S_ISDIR(info.st_mode)


def test_modes_of_a_hostile_archive_are_tame(tmp_path):
    info, data = entry("s")
    info.mode = 0o6777
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(info, data)
    handler = type("Handler", (Hostile,), {"archive": packed.getvalue()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as hostile:
        threading.Thread(target=hostile.serve_forever, daemon=True).start()
        result = run_cli("cp", f"sb-{'a' * 20}:evil", tmp_path / "t", "--url",
                         f"http://127.0.0.1:{hostile.server_address[1]}", "--api-key", "sa_x")
        hostile.shutdown()
    assert result.returncode == 0, result.stderr
    assert not (tmp_path / "t/s").stat().st_mode & 0o7000


# ---- mistakes, progress ----

@pytest.mark.parametrize("args, word", [
    (["a", "b"], b"SANDBOX:PATH"), (["x:a", "y:b"], b"SANDBOX:PATH"), (["./x:a", "b"], b"SANDBOX:PATH"),
    (["a"], b"too few"), (["a", "b:c", "d"], b"too many"),
])
def test_mistakes(cli, args, word):
    result = cli("cp", *args)
    assert result.returncode == 64 and word in result.stderr


def test_progress_on_a_terminal_only(server, box, tmp_path):
    class Slow(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_PUT(self):
            left = int(self.headers["Content-Length"])
            self.send_response(200)
            while left:
                left -= len(self.rfile.read(min(left, 1 << 20)))
                threading.Event().wait(0.1)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def do_GET(self):
            self.send_error(404)
    (tmp_path / "big").write_bytes(b"x" * (20 << 20))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as slow:
        threading.Thread(target=slow.serve_forever, daemon=True).start()
        command = [servers.BIN / "secureagent", "cp", tmp_path / "big", f"sb-{'a' * 20}:big", "--url",
                   f"http://127.0.0.1:{slow.server_address[1]}", "--api-key", "sa_x"]
        with Terminal(command, environment()) as tty:
            assert tty.wait(60) == 0
            assert "100 %" in tty.text and "20.0 MiB" in tty.text and b"##" in tty.raw
        with Terminal([*command, "-q"], environment()) as tty:
            assert tty.wait(60) == 0
            assert tty.raw == b""
        slow.shutdown()


def test_errors_do_not_paint_the_terminal(cli, box):
    """What a message quotes may have been named by code in the sandbox."""
    result = cli("cp", box + ":/workspace/\x1b]0;x\x07\x9b1m", "/tmp/nowhere")
    assert result.returncode != 0 and b"]0;x" in result.stderr, result
    assert not set(result.stderr) & {0x1b, 0x07} and b"\xc2\x9b" not in result.stderr
