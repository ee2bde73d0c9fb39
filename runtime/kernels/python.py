"""The Python kernel: a live interpreter that runs one piece of code after the other.

Descriptor 3 is a stream socket to the control plane. Towards us: u32 length (little-endian) and
that much JSON. From us: u32 length, the token that came with the first message, JSON; so bytes
that user code writes to the socket by accident or guess are no frames. What Python code prints
goes as frames, in the order in which it was printed; what child processes and C code print goes
through the real descriptors 1 and 2.

One thread (the main one) runs the code. A second one sends what was printed while the first is
busy: it wakes when output begins to wait, but gets the interpreter only once the main thread
blocks, or after a few milliseconds. What is printed by short code therefore leaves in one write
together with its result.

Nothing but the standard library is needed. Where IPython is installed its shell is there: magics,
`!commands`, `get_ipython()`, and its formatters for results.

The template (template.py) may have run this file, and made the kernel, before anybody asked for one:
then a context begins with start() in a process that was forked.
"""
import ast
import asyncio
import atexit
import base64
import builtins
import fcntl
import getpass
import io
import json
import linecache
import os
import re
import resource
import select
import signal
import site
import socket
import struct
import sys
import threading
import time
import traceback
import types

FRAME_MAX = 16 * 1024 * 1024
PIECE_CHARS = 64 * 1024          # of output in one frame
WAITING_MAX = 256 * 1024         # characters of output that may wait before a print blocks
TEXT_MAX = 1024 * 1024           # of a text/plain, a traceback
BUNDLE_MAX = 3500000             # characters of one result
JSON_MAX = 100000                # characters of an application/json
MIMES_MAX = 24
MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,127}")
JSON_DEPTH_MAX = 50
SOURCES_MAX = 4 * 1024 * 1024    # bytes of code kept for tracebacks
SIOCOUTQ = 0x5411                # bytes that the other side has not read yet (unix(7))

OWN_FILE = __file__
quote = json.encoder.encode_basestring
MAIN_THREAD = threading.get_ident()

METHODS = (("text/html", "_repr_html_"), ("text/markdown", "_repr_markdown_"),
           ("image/svg+xml", "_repr_svg_"), ("image/png", "_repr_png_"),
           ("image/jpeg", "_repr_jpeg_"), ("text/latex", "_repr_latex_"),
           ("application/json", "_repr_json_"))
CONTAINERS = frozenset((list, tuple, dict, set, frozenset))
SIMPLE = frozenset((int, float, bool, complex, bytes, str, type(None)))


def clean(text, most=TEXT_MAX):
    """Text that JSON on the other side takes: no lone surrogates, no NUL, not too long."""
    if len(text) > most:
        text = text[:most] + f"… ({len(text) - most} more characters)"
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode()
    return text


def text_bytes(text):
    """What was decoded with surrogateescape as it was; other lone surrogates as escapes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def safe_text(function, value):
    """str() or repr() of something whose methods may do anything."""
    try:
        return str(function(value))
    except Exception as error:  # noqa: BLE001
        return f"<{type(value).__name__}: {function.__name__}() failed: {type(error).__name__}>"


class Channel:
    """The control socket: frames out, frames in. Safe against KeyboardInterrupt at any point."""

    def __init__(self, sock):
        self.sock = sock
        self.readable, self.writable = select.poll(), select.poll()
        self.readable.register(sock, select.POLLIN)
        self.writable.register(sock, select.POLLOUT)
        self.token = b""
        self.lock = threading.RLock()  # signal handlers of the user may print, too
        self.draining = False
        self.waiting = []            # what to send: frames (bytes) and [stream name, texts]
        self.waiting_chars = 0
        self.out = bytearray()       # frames on their way
        self.inbox = bytearray()
        self.busy = None             # the thread that must not be interrupted now
        self.interrupt = False       # came while it was busy
        self.running = False         # user code runs: an interrupt is raised
        self.sent = False            # since the other side was last known to have read all
        self.forked = False
        self.bell = threading.Lock()
        self.bell.acquire()
        self.rung = False

    # ---- signals ----

    def on_sigint(self, _number, _frame):
        if self.busy == MAIN_THREAD:
            self.interrupt = True
        elif self.running:
            raise KeyboardInterrupt

    def _calm(self):
        """After a part that must not be interrupted."""
        self.busy = None
        if self.interrupt and threading.get_ident() == MAIN_THREAD:
            self.interrupt = False
            if self.running:
                raise KeyboardInterrupt

    # ---- out ----

    def _frame(self, body):
        return struct.pack("<I", len(self.token) + len(body)) + self.token + body

    def _output_frames(self, name, texts):
        text = "".join(texts)
        for at in range(0, len(text), PIECE_CHARS):
            piece = text[at:at + PIECE_CHARS]
            try:
                if "\0" in piece:
                    raise ValueError
                body = f'{{"type":"{name}","data":{quote(piece)}}}'.encode()
            except ValueError:  # bytes that are no text, or NUL
                data = text_bytes(piece)
                body = (f'{{"type":"{name}","encoding":"base64","data":"'
                        f'{base64.b64encode(data).decode()}"}}').encode()
            yield self._frame(body)

    def _gather(self):
        if not self.waiting:
            return
        waiting, self.waiting = self.waiting, []
        self.waiting_chars = 0
        for item in waiting:
            if isinstance(item, bytes):
                self.out += self._frame(item)
            else:
                for frame in self._output_frames(*item):
                    self.out += frame

    def _drain(self):
        """Write what there is; the caller holds the lock. An interrupt may come only while it
        waits for the other side; what is left is written by the next."""
        while self.out:
            self.busy = threading.get_ident()
            try:
                self.sent = True
                del self.out[:self.sock.send(self.out, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)]
            except BlockingIOError:
                pass
            except OSError:
                os._exit(0)  # nobody is there any more
            self._calm()
            if self.out:
                self.writable.poll()

    def flush(self):
        if self.forked:
            return
        with self.lock:
            if self.draining:
                return
            self.draining = True
            try:
                self.busy = threading.get_ident()
                self._gather()
                self._calm()
                self._drain()
            finally:
                self.draining = False

    def write(self, name, text):
        if self.forked:
            self.raw_write(1 if name == "stdout" else 2, text_bytes(text))
            return
        with self.lock:
            waiting = self.waiting
            if waiting and type(waiting[-1]) is list and waiting[-1][0] == name:
                waiting[-1][1].append(text)
            else:
                waiting.append([name, [text]])
            self.waiting_chars += len(text)
        if self.waiting_chars > WAITING_MAX:
            self.flush()
        elif not self.rung:
            self._ring()

    def put(self, message, soon=True):
        """Queue a frame; it leaves soon, or with what follows at once."""
        if self.forked:
            return
        body = json.dumps(message, ensure_ascii=False).encode()
        with self.lock:
            self.waiting.append(body)
            self.waiting_chars += len(body)
        if self.waiting_chars > WAITING_MAX:
            self.flush()
        elif soon and not self.rung:
            self._ring()

    def _ring(self):
        self.rung = True
        try:
            self.bell.release()
        except RuntimeError:
            pass  # two threads rang at once

    def flusher(self):
        while True:
            self.bell.acquire()
            self.rung = False
            self.flush()

    raw_write = staticmethod(os.write)

    def flush_before_child(self):
        """All that was printed has left the socket before a child may print: so it stays in order.
        Bounded: a slow client does not stop the child from starting."""
        if self.forked:
            return
        self.flush()
        if not self.sent:
            return
        for _ in range(200):
            left = fcntl.ioctl(self.sock, SIOCOUTQ, b"\0\0\0\0")
            if left == b"\0\0\0\0":
                self.sent = False
                return
            time.sleep(0.00025)

    # ---- in ----

    def _take(self):
        if len(self.inbox) < 4:
            return None
        length = int.from_bytes(self.inbox[:4], "little")
        if len(self.inbox) < 4 + length:
            return None
        body = bytes(self.inbox[4:4 + length])
        del self.inbox[:4 + length]
        return json.loads(body)

    def receive(self):
        """The next frame; waits for it, and while it waits it may be interrupted."""
        while True:
            self.busy = threading.get_ident()
            message = self._take()
            if message is not None:
                self._calm()
                return message
            try:
                data = self.sock.recv(262144, socket.MSG_DONTWAIT)
                if not data:
                    os._exit(0)
                self.inbox += data
            except BlockingIOError:
                data = None
            except OSError:
                os._exit(0)
            self._calm()
            if data is None:
                self.wait()

    def wait(self):
        self.readable.poll()

    def after_fork(self):
        """In a child: what it prints goes through its own descriptors, and it is no kernel."""
        self.forked = True
        self.sock.close()
        self.waiting, self.out, self.busy = [], bytearray(), None
        self.lock, self.draining = threading.RLock(), False


class Output(io.TextIOBase):
    """sys.stdout and sys.stderr."""
    encoding, errors, newlines, line_buffering = "utf-8", "surrogateescape", None, True

    def __init__(self, channel, name, number):
        self._write, self._flush = channel.write, channel.flush
        self._channel, self._name, self._number = channel, name, number
        self.buffer = OutputBytes(self)

    name = property(lambda self: f"<{self._name}>")
    mode = "w"

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self._write(self._name, text)
        return len(text)

    def writable(self):
        return True

    def fileno(self):
        return self._number

    def isatty(self):
        return False

    def flush(self):
        if not self._channel.forked and not self._channel.rung:
            self._channel._ring()

    def reconfigure(self, **_):
        pass

    def close(self):
        pass


class OutputBytes(io.BufferedIOBase):
    def __init__(self, text):
        self._text = text
        self.raw = self

    def write(self, data):
        data = bytes(data)
        self._text.write(data.decode("utf-8", "surrogateescape"))
        return len(data)

    def writable(self):
        return True

    def fileno(self):
        return self._text.fileno()

    def flush(self):
        self._text.flush()

    def close(self):
        pass


class RawInput(io.RawIOBase):
    """The bytes of stdin, asked for when they are wanted."""

    def __init__(self, kernel):
        self.kernel, self.rest = kernel, b""

    def readable(self):
        return True

    def fileno(self):
        return 0

    def readinto(self, buffer):
        if not self.rest:
            self.rest = self.kernel.ask()
        size = min(len(buffer), len(self.rest))
        buffer[:size] = self.rest[:size]
        self.rest = self.rest[size:]
        return size


class Figures:
    """matplotlib: figures become results, without a window and without a call to show."""
    MODULE = "secureagent_figures"

    def __init__(self, kernel):
        self.kernel, self.shown = kernel, set()
        sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        if name == self.MODULE:
            import importlib.machinery
            return importlib.machinery.ModuleSpec(name, self)
        if name != "matplotlib":
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec and spec.loader:
                self._wrap(spec.loader)
                return spec
        return None

    def _wrap(self, loader):
        run = loader.exec_module

        def exec_module(module):
            run(module)
            self._choose(module)
        loader.exec_module = exec_module

    def _choose(self, module):
        if not os.environ.get("MPLBACKEND"):
            try:
                module.rcParams["backend"] = "module://" + self.MODULE
            except Exception:  # noqa: BLE001  another matplotlib than we know: it chooses itself
                pass

    def choose_again(self):
        """The template may have imported it, and chosen a backend."""
        if "matplotlib" in sys.modules:
            self._choose(sys.modules["matplotlib"])
        plots = sys.modules.get("matplotlib.pyplot")
        if getattr(plots, "_backend_mod", None) and not os.environ.get("MPLBACKEND"):
            plots.switch_backend("module://" + self.MODULE)

    # The backend, made when matplotlib asks for it.

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        from matplotlib.backend_bases import FigureManagerBase
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        module.FigureCanvas = type("FigureCanvas", (FigureCanvasAgg,), {})
        module.FigureManager = FigureManagerBase
        module.show = lambda *_, **__: self.collect()

    def bundle(self, figure):
        """The mime bundle of a matplotlib figure, or None when it is none."""
        library = sys.modules.get("matplotlib.figure")
        if library is None or not isinstance(figure, library.Figure):
            return None
        return {"text/plain": repr(figure), "image/png": self.png(figure)}

    def png(self, figure):
        self.shown.add(id(figure))
        data = io.BytesIO()
        figure.savefig(data, format="png", bbox_inches="tight")
        return base64.b64encode(data.getvalue()).decode()

    def collect(self):
        """Figures that are open become results and are closed."""
        helpers = sys.modules.get("matplotlib._pylab_helpers")
        if helpers is None:
            return
        managers = list(helpers.Gcf.get_all_fig_managers())
        shown, self.shown = self.shown, set()
        for manager in managers:
            figure = manager.canvas.figure
            if id(figure) not in shown:
                self.kernel.put_result(self.bundle(figure), False)
        if managers:
            sys.modules["matplotlib.pyplot"].close("all")


class Surroundings:
    """What a shell changes in the interpreter that it is made in, to be taken back and put again."""
    SPACES = builtins.__dict__, sys.__dict__

    def __init__(self):
        self.main = sys.modules["__main__"]
        self.before = [dict(space) for space in self.SPACES]

    def take_back(self):
        self.changes = [{name: value for name, value in space.items()
                         if name not in before or before[name] is not value}
                        for space, before in zip(self.SPACES, self.before)]
        for space, before, changes in zip(self.SPACES, self.before, self.changes):
            for name in changes:
                if name in before:
                    space[name] = before[name]
                else:
                    del space[name]
        sys.modules["__main__"] = self.main

    def put_again(self):
        for space, changes in zip(self.SPACES, self.changes):
            space.update(changes)


class Kernel:
    def __init__(self):
        self.channel = None
        self.main = types.ModuleType("__main__")
        self.names = self.main.__dict__
        self.names["__builtins__"] = builtins
        self.shell = None
        self.waiting_shell = None    # was made in the template, with its surroundings
        self.loop = None
        self.count = 0
        self.sources, self.sources_size = [], 0
        self.prompt = ""
        self.input_open = False
        self.execution = None
        self.stdin_used = False
        self.pid = None
        self.figures = None
        self.user_site = None

    # ---- setting up ----

    def prepare(self):
        """In the template: what costs most, with nothing of it to be seen by programs that are
        forked from it, too."""
        around = Surroundings()
        self.start_ipython()
        if self.shell:
            atexit.unregister(self.shell.atexit_operations)
            type(self.shell).clear_instance()
        around.take_back()
        self.waiting_shell = self.shell, around

    def take_shell(self):
        """Of this process, as if it had been made here."""
        self.shell, around = self.waiting_shell
        around.put_again()
        if not self.shell:
            return
        for kind in type(self.shell)._walk_mro():
            kind._instance = self.shell
        atexit.register(self.shell.atexit_operations)
        self.shell.starting_dir = os.getcwd()

    def start(self, channel):
        self.channel, self.pid = channel, os.getpid()
        init = channel.receive()
        channel.token = init["token"].encode()
        sys.stdout = sys.__stdout__ = Output(channel, "stdout", 1)
        sys.stderr = sys.__stderr__ = Output(channel, "stderr", 2)
        self.fresh_stdin()
        self.builtin_input = builtins.input
        builtins.input = self.input
        builtins.display = self.display
        getpass.getpass = self.getpass
        sys.displayhook = self.displayhook
        sys.modules["secureagent_kernel"] = sys.modules["__main__"]
        sys.modules["__main__"] = self.main
        sys.argv = [""]
        self.figures = Figures(self)
        # With IPython before the working directory is on the path: its modules must not be found
        # among the user's files.
        if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(OWN_FILE)):
            del sys.path[0]
        if self.waiting_shell:
            self.take_shell()
            self.figures.choose_again()
        else:
            self.start_ipython()
        if self.shell:
            self.show_shell()
        sys.path.insert(0, "")
        if site.ENABLE_USER_SITE and site.USER_SITE not in sys.path:
            self.user_site = site.USER_SITE  # nothing was installed yet
        os.write = self.os_write
        os.register_at_fork(before=channel.flush, after_in_child=channel.after_fork)
        sys.addaudithook(self.audit)
        threading.Thread(target=channel.flusher, daemon=True, name="secureagent-output").start()
        failed = self.import_first(init.get("imports") or ())
        channel.put(failed or {"type": "ready", "pid": self.pid, "version": sys.version.split()[0]})
        channel.flush()

    def import_first(self, names):
        for name in names:
            try:
                self.names[name.split(".")[0]] = __import__(name)
            except BaseException as error:  # noqa: BLE001
                return {"type": "failed", "name": type(error).__name__,
                        "value": clean(safe_text(str, error), 400), "import": name}
        return None

    def start_ipython(self):
        try:
            from IPython.core.displaypub import DisplayPublisher
            from IPython.core.interactiveshell import InteractiveShell
            from traitlets.config import Config
        except Exception:  # noqa: BLE001  not there, or broken: ours does
            return
        kernel = self

        class Publisher(DisplayPublisher):
            def publish(self, data, metadata=None, source=None, **_):
                kernel.put_result(data, False)

            def clear_output(self, wait=False):
                pass

        class Shell(InteractiveShell):
            def system_piped(self, command):
                self.system_raw(command)  # not through a terminal

            system = system_piped

            def enable_gui(self, gui=None):
                pass

            def showtraceback(self, *_, **__):
                kind, value, trace = sys.exc_info()
                if value is not None:
                    sys.stderr.write(kernel.traceback_text(kind, value, trace))

        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "NoColor"
        config.InteractiveShell.display_pub_class = Publisher
        try:
            shell = Shell.instance(config=config, user_module=self.main, user_ns=self.names)
        except Exception:  # noqa: BLE001
            return
        self.shell = shell
        shell.display_pub = Publisher(parent=shell, shell=shell)

    def show_shell(self):
        """To the user's code."""
        self.shell.display_formatter.formatters["image/png"].for_type_by_name(
            "matplotlib.figure", "Figure", self.figures.png)
        sys.displayhook = self.displayhook
        for name in ("In", "Out", "_ih", "_oh", "_dh", "_i", "_ii", "_iii", "_exit_code"):
            self.names.pop(name, None)
        self.names["_dh"] = [os.getcwd()]
        builtins.get_ipython = self.shell.get_ipython

    CHILDREN = frozenset(("subprocess.Popen", "os.system", "os.posix_spawn", "os.fork",
                          "os.forkpty", "os.exec", "os.spawn", "pty.spawn"))

    def audit(self, event, _arguments):
        if event in self.CHILDREN and self.channel.running:
            self.channel.flush_before_child()

    def os_write(self, descriptor, data, /, real=os.write):
        if descriptor in (1, 2) and self.channel.running:
            self.channel.flush_before_child()  # what was printed before comes before it
        return real(descriptor, data)

    # ---- stdin ----

    def fresh_stdin(self):
        self.raw_input = RawInput(self)
        self.stdin = io.TextIOWrapper(io.BufferedReader(self.raw_input), encoding="utf-8",
                                      errors="surrogateescape", newline=None)
        sys.stdin = sys.__stdin__ = self.stdin
        self.stdin_used = False

    def ask(self):
        """Some bytes of stdin; none at its end."""
        self.stdin_used = True
        if not self.input_open or self.channel.forked or threading.get_ident() != MAIN_THREAD:
            return b""
        self.channel.put({"type": "input", "prompt": clean(self.prompt, 4096),
                          "password": self.password})
        self.channel.flush()
        while True:
            message = self.channel.receive()
            if message["type"] == "input" and message["id"] == self.execution:
                self.input_open = not message.get("eof")
                return base64.b64decode(message["data"])

    password = False

    def input(self, prompt="", /):
        if sys.stdin is not self.stdin:
            return self.builtin_input(prompt)
        self.prompt = safe_text(str, prompt)
        if self.prompt:
            sys.stdout.write(self.prompt)
        try:
            line = self.stdin.readline()
        finally:
            self.prompt = ""
        if not line:
            raise EOFError("there is no more stdin for input() to read")
        return line[:-1] if line.endswith("\n") else line

    def getpass(self, prompt="Password: ", stream=None):
        self.password = True
        try:
            return self.input(prompt)
        finally:
            self.password = False

    # ---- results ----

    def put_result(self, data, main):
        texts, values, size = {}, [], 0
        for mime, value in list(data.items())[:MIMES_MAX]:
            mime = str(mime)
            if value is None or not MIME.fullmatch(mime):
                continue
            if mime == "application/json" or mime.endswith("+json"):
                value = self.json_value(value)
                if value is not None:
                    values.append({"mime": mime, "value": value})
                continue
            value = self.mime_text(mime, value)
            size += len(value)
            if size > BUNDLE_MAX:
                texts.setdefault("text/plain", "<a result that is too large to be sent>")
                break
            texts[mime] = value
        if texts or values:
            self.channel.put({"type": "result", "data": texts, "json": values, "main": main},
                             soon=not main)

    @staticmethod
    def json_value(value):
        """As it is sent; None when it cannot be."""
        try:
            text = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            return None
        deep = most = 0
        if len(text) > JSON_MAX or "\\u0000" in text or re.search(r"\\u[dD][89a-fA-F]", text):
            return None
        for c in text:
            if c in "[{":
                deep += 1
                most = max(most, deep)
            elif c in "]}":
                deep -= 1
        return json.loads(text) if most < JSON_DEPTH_MAX else None

    @staticmethod
    def mime_text(mime, value):
        if isinstance(value, (bytes, bytearray)):
            return base64.b64encode(value).decode()
        return clean(str(value), BUNDLE_MAX if mime != "text/plain" else TEXT_MAX)

    def bundle(self, value):
        if type(value) in SIMPLE:
            return {"text/plain": repr(value)}
        try:
            figure = self.figures.bundle(value)
            if figure:
                return figure
            if type(value) in CONTAINERS and not self.has_formatter(type(value)):
                text = repr(value)
                if len(text) < 80 or not self.shell:
                    return {"text/plain": text}
            if self.shell:
                data = self.shell.display_formatter.format(value)[0]
                if data or hasattr(type(value), "_ipython_display_"):  # it showed itself then
                    return data
        except Exception:  # noqa: BLE001
            pass
        return self.own_bundle(value)

    def has_formatter(self, kind):
        """Somebody (sympy, say) registered a way to show this type."""
        if not self.shell:
            return False
        formatters = self.shell.display_formatter.formatters
        return any(kind in formatters[mime].type_printers for mime, _ in METHODS
                   if mime in formatters)

    def own_bundle(self, value):
        data, kind = {}, type(value)
        own = getattr(kind, "_ipython_display_", None)
        if own:
            try:
                own(value)
                return {}
            except Exception:  # noqa: BLE001
                pass
        method = getattr(kind, "_repr_mimebundle_", None)
        if method and not isinstance(value, type):
            try:
                found = method(value)
                data.update(found[0] if isinstance(found, tuple) else found)
            except Exception:  # noqa: BLE001
                pass
        for mime, name in METHODS:
            method = getattr(kind, name, None)
            if method and mime not in data and not isinstance(value, type):
                try:
                    found = method(value)
                    data[mime] = found[0] if isinstance(found, tuple) else found
                except Exception:  # noqa: BLE001
                    pass
        if "text/plain" not in data:
            data["text/plain"] = safe_text(repr, value)
        return data

    def display(self, *values, **_):
        for value in values:
            self.put_result(self.bundle(value), False)

    def displayhook(self, value):
        if value is not None:
            self.remember(value)
            self.put_result(self.bundle(value), False)

    def remember(self, value):
        names = self.names
        names["___"], names["__"], names["_"] = names.get("__"), names.get("_"), value

    # ---- errors ----

    def traceback_text(self, kind, value, trace):
        """As Python prints it, from the first line of the user's on."""
        seen = trace
        while seen and not seen.tb_frame.f_code.co_filename.startswith("<cell "):
            seen = seen.tb_next
        told = traceback.TracebackException(kind, value, seen, limit=-200 if seen else None)
        self.cut_own(told)
        return clean("".join(told.format()))

    def cut_own(self, told):
        """Frames of this file out, in the causes too."""
        todo, done = [told], set()
        while todo:
            one = todo.pop()
            if one is None or id(one) in done:
                continue
            done.add(id(one))
            one.stack[:] = [frame for frame in one.stack if frame.filename != OWN_FILE]
            todo += [one.__cause__, one.__context__]

    def put_error(self, error):
        try:
            text = self.traceback_text(type(error), error, error.__traceback__)
        except BaseException as why:  # noqa: BLE001  __str__ of an exception may do anything
            text = f"{type(error).__name__} (its traceback failed: {type(why).__name__})\n"
        self.channel.put({"type": "error", "name": clean(type(error).__name__, 200),
                          "value": clean(safe_text(str, error), 65536), "traceback": text}, soon=False)

    # ---- running ----

    def keep_source(self, name, code):
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        self.sources.append((name, len(code)))
        self.sources_size += len(code)
        while self.sources_size > SOURCES_MAX and len(self.sources) > 1:
            old, size = self.sources.pop(0)
            self.sources_size -= size
            linecache.cache.pop(old, None)

    def compile(self, code, name):
        """The module's code, and that of its last expression or None."""
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree = None
        if self.shell:
            try:
                tree = compile(code, name, "exec", flags | ast.PyCF_ONLY_AST, True)
            except (SyntaxError, ValueError):  # IPython's additions are no valid Python
                code = self.shell.transform_cell(code)
        if tree is None:
            tree = compile(code, name, "exec", flags | ast.PyCF_ONLY_AST, True)
        if self.shell and self.shell.ast_transformers:
            tree = self.shell.transform_ast(tree)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr) and not self.is_quiet(code):
            last = compile(ast.Expression(tree.body.pop().value), name, "eval", flags, True)
        return (compile(tree, name, "exec", flags, True) if tree.body else None), last

    @staticmethod
    def is_quiet(code):
        """A semicolon at the end: the value is not wanted."""
        return code.rstrip().endswith(";")

    def evaluate(self, code):
        value = eval(code, self.names)  # noqa: S307  that is what a kernel is for
        if code.co_flags & 0x80:  # CO_COROUTINE: it awaits
            value = self.await_it(value)
        return value

    def await_it(self, coroutine):
        if self.loop is None or self.loop.is_closed():
            self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self.loop)
        task = self.loop.create_task(coroutine)
        try:
            return self.loop.run_until_complete(task)
        except KeyboardInterrupt:
            self.channel.running = False
            task.cancel()
            try:
                self.loop.run_until_complete(asyncio.wait([task], timeout=1))
            except BaseException:  # noqa: BLE001
                pass
            raise

    def trigger(self, name, *arguments):
        if self.shell and self.shell.events.callbacks.get(name):
            self.shell.events.trigger(name, *arguments)

    def run(self, code):
        """Run it and send what comes of it; the exit code."""
        name = f"<cell {self.count}>"
        self.keep_source(name, code)
        try:
            self.channel.running = True
            body, last = self.compile(code, name)
            self.trigger("pre_execute")
            self.trigger("pre_run_cell", types.SimpleNamespace(raw_cell=code, cell_id=None))
            if body:
                self.evaluate(body)
            if last:
                value = self.evaluate(last)
                if value is not None:
                    self.remember(value)
                    self.put_result(self.bundle(value), True)
            self.trigger("post_execute")
            self.figures.collect()
            return 0
        except SystemExit as error:
            self.channel.running = False
            if error.code is None or isinstance(error.code, int):
                code = (error.code or 0) & 255
            else:
                sys.stderr.write(safe_text(str, error.code) + "\n")
                code = 1
            if code:
                self.put_error(error)
            return code
        except KeyboardInterrupt as error:
            self.channel.running = False
            self.put_error(error)
            return 130
        except BaseException as error:  # noqa: BLE001
            self.channel.running = False
            self.put_error(error)
            return 1
        finally:
            self.channel.running = False

    def change_env(self, env):
        before = {name: os.environ.get(name) for name in env}
        os.environ.update(env)
        return before

    @staticmethod
    def restore_env(before):
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def find_installed(self):
        """The folder of the user's packages is there since the first was installed."""
        if self.user_site and os.path.isdir(self.user_site):
            site.addsitedir(self.user_site)
            self.user_site = None

    def execute(self, message):
        self.count += 1
        self.find_installed()
        self.execution, self.input_open = message["id"], bool(message.get("input"))
        before = self.change_env(message["env"]) if message.get("env") else None
        used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        signal.signal(signal.SIGINT, self.channel.on_sigint)
        try:
            status = self.run(message["code"])
        except KeyboardInterrupt as error:  # at the very end
            self.put_error(error)
            status = 130
        if self.channel.forked or os.getpid() != self.pid:
            self.leave_fork(status)
        signal.signal(signal.SIGINT, self.channel.on_sigint)
        if before is not None:
            self.restore_env(before)
        if self.stdin_used or sys.stdin is not self.stdin:
            self.fresh_stdin()
        if "_ctypes" in sys.modules:
            sys.modules["ctypes"].CDLL(None).fflush(None)  # what C code printed
        self.put_done(message["id"], status, used)

    @staticmethod
    def leave_fork(status):
        """A child that user code forked came to the end of the code."""
        try:
            sys.stdout.flush()
        finally:
            os._exit(status)

    def put_done(self, number, status, used):
        cpu = 0.0
        for who, before in zip((resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN), used):
            now = resource.getrusage(who)
            cpu += now.ru_utime + now.ru_stime - before.ru_utime - before.ru_stime
        self.execution, self.input_open = None, False
        self.channel.waiting.append(
            b'{"type":"done","id":%d,"exitCode":%d,"cpuUs":%d,"memoryBytes":%d}'
            % (number, status, cpu * 1e6, now_peak() * 1024))
        self.channel.flush()

    def serve(self):
        """Between executions tasks of the event loop go on, once there is one."""
        while True:
            message = self.next_message()
            if message["type"] == "execute":
                self.execute(message)

    def next_message(self):
        channel = self.channel
        if self.loop is not None and not self.loop.is_closed():
            if not channel.inbox and not channel.readable.poll(0):
                self.idle_in_loop()
        return channel.receive()

    def idle_in_loop(self):
        loop, number = self.loop, self.channel.sock.fileno()
        try:
            loop.add_reader(number, loop.stop)
            loop.run_forever()
        except (KeyboardInterrupt, SystemExit):
            pass
        finally:
            loop.remove_reader(number)


def now_peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def control_socket():
    """Descriptor 3 moves to where no loop over the usual numbers meets it, and is not inherited."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = soft if 0 < soft < 32768 else 32768
    try:
        number = fcntl.fcntl(3, fcntl.F_DUPFD_CLOEXEC, most - 1)
        if most == soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most - 1, hard))
    except (OSError, ValueError):
        number = fcntl.fcntl(3, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(3)
    return socket.socket(fileno=number)


def main(kernel):
    channel = Channel(control_socket())
    signal.signal(signal.SIGINT, channel.on_sigint)
    kernel.start(channel)
    kernel.serve()


if __name__ == "__main__":
    main(Kernel())
