"""The WebSocket `.../terminal`, seen through a terminal emulator."""
import json
import time
import urllib.parse

import pyte
import pytest

from tests.helpers import schema
from tests.helpers.websocket import WebSocket

WAIT_S = 30


class Screen(pyte.Screen):
    """pyte stumbles over `CSI > ... m`, with which programs ask about keys."""

    def select_graphic_rendition(self, *attributes, private=False):
        if not private:
            super().select_graphic_rendition(*attributes)


class Terminal:
    """A screen, and what was typed at it."""

    def __init__(self, api, sandbox, rows=24, cols=80, **query):
        path = f"/api/v1/sandboxes/{sandbox}/terminal?" + urllib.parse.urlencode(
            {"rows": rows, "cols": cols, **query})
        self.ws = WebSocket(api.url, path, key=api.key, timeout=WAIT_S)
        self.screen = Screen(cols, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw, self.texts, self.closed = b"", [], None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.ws.sock.close()

    def read(self):
        """One message; False at the end."""
        got = self.ws.receive()
        if isinstance(got, bytes):
            self.raw += got
            self.stream.feed(got)
        elif isinstance(got, str):
            self.texts.append(json.loads(got))
            schema.check_component("StreamMessage", self.texts[-1])
        else:
            self.closed = got
            return False
        return True

    def wait(self, condition, what=""):
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline and self.read(), \
                f"{what}: {self.closed} {self.texts}\n" + "\n".join(self.screen.display)

    def shows(self, text):
        return any(text in line for line in self.screen.display)

    def wait_shown(self, text):
        self.wait(lambda: self.shows(text), f"waiting for {text!r}")

    def type(self, data):
        self.ws.send(data.encode() if isinstance(data, str) else data)

    def run(self, command, shown):
        self.type(command + "\n")
        self.wait_shown(shown)

    def resize(self, rows, cols):
        self.ws.send_json(type="resize", rows=rows, cols=cols)
        self.screen.resize(rows, cols)

    def ready(self):
        """A prompt that is told apart."""
        self.type("PS1='$(echo rea)dy> '; clear\n")
        self.wait_shown("ready>")

    def prompted(self):
        """The shell waits for a command. (What is typed before goes to who reads then.)"""
        self.wait(lambda: self.screen.display[self.screen.cursor.y].rstrip() == "ready>", "a prompt")

    def end(self):
        while self.closed is None and self.read():
            pass
        exited = self.texts[-1]
        assert exited["type"] == "exited", self.texts
        assert self.closed[0] == 1000
        return exited


@pytest.fixture
def terminal(api, shared):
    with Terminal(api, shared) as one:
        one.ready()
        yield one


def test_shell(terminal):
    assert terminal.texts[0]["type"] == "started" and terminal.texts[0]["id"].startswith("ex-")
    terminal.run("echo $((6 * 7)); tty", "/dev/pts/")
    assert terminal.shows("42")
    terminal.run("echo $TERM; stty size", "24 80")
    assert terminal.shows("xterm-256color")
    terminal.type("exit 5\n")
    assert terminal.end()["exitCode"] == 5


def test_utf8(terminal):
    terminal.run("printf '%s\\n' 'gr\u00fc\u00df \u20ac \u6f22\u5b57'", "gr\u00fc\u00df \u20ac \u6f22")
    terminal.type("\u00e4\u00f6".encode() + b"\xe2")
    terminal.type(b"\x82\xac")
    terminal.wait_shown("\u00e4\u00f6\u20ac")


def test_control_c(terminal):
    terminal.run("sh -c 'echo be''gun; exec sleep 1000'", "begun")
    terminal.type("\x03")
    terminal.prompted()
    terminal.run("echo status $?", "status 130")


def test_job_control(terminal):
    terminal.type("cat\n")
    terminal.run("hello", "hello")
    terminal.type("\x1a")
    terminal.wait_shown("Stopped")
    terminal.run("jobs", "[1]+")
    terminal.type("fg\n")
    terminal.wait(lambda: any(line.rstrip() == "cat" for line in terminal.screen.display), "fg")
    terminal.type("again\n")
    terminal.wait(lambda: sum("again" in line for line in terminal.screen.display) >= 2, "cat to go on")
    terminal.type("\x04")
    terminal.run("echo over", "over")


def test_resize(terminal):
    terminal.run("trap 'stty size' WINCH; stty size", "24 80")
    terminal.resize(30, 100)
    terminal.run("stty size", "30 100")


def test_vim(terminal):
    terminal.type("cd /tmp && vim -u NONE -N file.txt\n")
    terminal.wait_shown("~")
    terminal.type("ifirst line\nsecond \u20ac line\x1b")
    terminal.wait_shown("second \u20ac line")
    terminal.type("ggdd:set number\n")
    terminal.wait(lambda: any(line.lstrip().startswith("1 second") for line in terminal.screen.display), "dd")
    terminal.type(":wq\n")
    terminal.prompted()
    terminal.run("cat file.txt | tr a-z A-Z", "SECOND \u20ac LINE")


def test_top(terminal):
    terminal.type("top -d 1\n")
    terminal.wait_shown("PID")
    assert terminal.shows("load average") and terminal.shows("%Cpu")
    terminal.type("q")
    terminal.prompted()
    terminal.run("echo left", "left")


def test_large_output(terminal):
    terminal.type("seq 1 20000; echo do''ne\n")
    terminal.wait_shown("done")
    assert b"\r\n19999\r\n20000\r\n" in terminal.raw


def test_paste(terminal):
    """More at once than a terminal takes: nothing is lost."""
    terminal.run("stty -echo -icanon; echo be''gun; head -c 300000 | wc -c; stty sane", "begun")
    terminal.type("x" * 300000)
    terminal.wait_shown("300000")
    terminal.prompted()
    terminal.run("echo back", "back")


def test_command(api, shared):
    with Terminal(api, shared, command="read x; echo got $x; exit 3", env="A=b", cwd="/tmp") as t:
        t.type("abc\n")
        t.wait_shown("got abc")
        assert t.end()["exitCode"] == 3
    with Terminal(api, shared, command="echo $A $PWD $TERM", env="A=b c", cwd="/tmp") as t:
        t.end()
        assert t.shows("b c /tmp xterm-256color")


def test_attach_again(api, shared):
    with Terminal(api, shared) as first:
        first.ready()
        first.run("X=kept; echo $X", "kept")
        execution = first.texts[0]["id"]
    with Terminal(api, shared, execution=execution) as again:
        again.wait_shown("kept")  # the screen comes back
        again.run("echo $X-$X", "kept-kept")
        with Terminal(api, shared, execution=execution) as both:
            both.run("echo for two", "for two")
            again.wait_shown("for two")
            both.type("exit\n")
            assert both.end()["exitCode"] == 0
        again.end()


def test_texts_that_are_wrong(terminal):
    for text in ({"type": "resize", "rows": 0, "cols": 1}, {"type": "resize"}, {"type": "nope"}, {}, []):
        terminal.ws.send(json.dumps(text))
        terminal.wait(lambda: terminal.texts[-1]["type"] == "error", "an error")
        assert terminal.texts.pop()["code"] == "invalid_request"
    terminal.ws.send_json(type="ping")
    terminal.wait(lambda: terminal.texts[-1]["type"] == "pong", "pong")
    terminal.ws.send("{")
    while terminal.read():
        pass
    assert terminal.closed[0] == 1007


@pytest.mark.parametrize("query, where", [("rows=0", "rows"), ("cols=x", "cols"), ("env=novalue", "env"),
                                          ("offset=-1", "offset"), ("timeoutMs=0", "timeoutMs"),
                                          ("execution=ex-nope", "execution")])
def test_bad_queries(api, shared, query, where):
    from tests.helpers.websocket import Refused
    with pytest.raises(Refused) as info:
        WebSocket(api.url, f"/api/v1/sandboxes/{shared}/terminal?{query}", key=api.key)
    assert info.value.status in (400, 404)
    assert info.value.error()["details"][0]["path"] == where
