"""What the cases of tests/escape share: the table of cases, and a sandbox to try them in.

A case is a function with a section, a title, and the safe outcome it must meet:

    E  the call fails                A  what it looks for is not there
    D  denied, and told as a security event
    K  a limit ends only this, with a typed status; neighbours do not notice
    C  clean afterwards

It returns when exactly that was seen, and raises otherwise. What a mode of the node does not
promise is raised as NotPromised by box.needs(), with the reason that the sandbox itself gives;
without such a reason the case has failed.
"""
import contextlib
import pathlib
import subprocess
import tempfile
import threading
import time

from tests.helpers.client import wait_until

CASES = []
PROGRAMS = pathlib.Path(__file__).parent / "programs"


class NotPromised(Exception):
    pass


class Case:
    def __init__(self, section, title, outcome, function, spec, fresh):
        self.section, self.title, self.outcome = section, title, outcome
        self.function, self.spec, self.fresh = function, spec, fresh


def case(section, title, outcome, fresh=False, **spec):
    """Register a case. `fresh`: in a sandbox of its own; so also when `spec` asks for one."""
    def register(function):
        CASES.append(Case(section, title, outcome, function, spec, fresh or bool(spec)))
        return function
    return register


def compile_program(name, folder):
    """A static binary of programs/NAME.c."""
    target = pathlib.Path(folder) / name
    subprocess.run(["gcc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-O1", "-static", "-o", target,
                    PROGRAMS / f"{name}.c"], check=True)
    return target.read_bytes()


class World:
    """A running server, seen from the host."""

    def __init__(self, mode, server, api, programs, make_node=None):
        self.mode, self.server, self.api, self.programs = mode, server, api, programs
        self._make_node, self._node = make_node, None

    def pods(self):
        """A node without a server, for sandboxes as pools have them."""
        if not self._node:
            self._node = self._make_node()
        return self._node

    def close(self):
        if self._node:
            assert self._node.stop() == 0

    def box(self, **spec):
        spec.setdefault("timeout", 3600)
        return Box(self, self.api.create(**spec))


class Box:
    """A sandbox and what is tried in it."""

    def __init__(self, world, described):
        self.world, self.api = world, world.api
        self.id, self.controls = described["id"], set(described["controls"])
        self.weaker = dict(w.split(": ", 1) for w in described["weaker"])
        self._uploaded = set()

    def delete(self):
        self.api.delete(self.id, status=(204, 404))

    def needs(self, control):
        if control in self.controls:
            return
        assert control in self.weaker, f"{control} is neither in force nor said to be missing"
        raise NotPromised(f"{control}: {self.weaker[control]}")

    # ---- programs ----

    def run(self, command, **more):
        return self.api.execute(self.id, command=command, **more)

    def sh(self, command, **more):
        """Output of a shell command, whatever its exit status."""
        result = self.run(command, **more)
        assert result["status"] == "exited", result
        return result["stdout"]

    def python(self, code, **more):
        """Run Python that must work; its output."""
        result = self.api.execute(self.id, language="python", code=code, **more)
        assert result["status"] == "exited" and result["exitCode"] == 0, result
        return result["stdout"].strip()

    def errors_of(self, expressions):
        """For each Python expression the errno name with which it fails, or "" when it works."""
        code = ("import errno, os, socket, stat, fcntl, signal, ctypes\n"
                "def put(path, text): os.write(os.open(path, os.O_WRONLY), text)\n"
                f"for one in {list(expressions)!r}:\n"
                "    try: exec(one, globals()); print()\n"
                "    except OSError as e: print(errno.errorcode[e.errno])\n")
        result = self.api.execute(self.id, language="python", code=code)
        assert result["status"] == "exited" and result["exitCode"] == 0, result
        return result["stdout"].split("\n")[:-1]

    def error_of(self, expression):
        return self.errors_of([expression])[0]

    def fails(self, expressions, *errors):
        """One expression or several: all fail, with one of these."""
        expressions = [expressions] if isinstance(expressions, str) else list(expressions)
        got = self.errors_of(expressions)
        assert len(got) == len(expressions)
        for expression, error in zip(expressions, got):
            assert error in errors, f"{expression}: {error or 'it worked'}, expected {' or '.join(errors)}"

    def program(self, name):
        """Path of a compiled program in the sandbox."""
        path = f"/home/user/{name}"
        if name not in self._uploaded:
            self.api.put(self.id, path, self.world.programs[name], query="?mode=755")
            self._uploaded.add(name)
        return path

    def attempt(self, *names):
        """{name: "RESULT ERRNO"} of programs/attempt.c."""
        result = self.run([self.program("attempt"), *names])
        assert result["status"] == "exited" and result["exitCode"] == 0 and not result["stderr"], result
        lines = [line.split(" ", 1) for line in result["stdout"].splitlines()]
        return dict(lines)

    def refused(self, *names, error="EPERM"):
        for name, outcome in self.attempt(*names).items():
            assert outcome == f"-1 {error}", f"{name}: {outcome}, expected {error}"

    # ---- what is told about it ----

    def denials(self, syscall):
        return sum(e["count"] for e in self.api.events(self.id)
                   if e["type"] == "Security" and f" tried {syscall}," in e["message"])

    @contextlib.contextmanager
    def told(self, *syscalls, times=1):
        """What is done inside becomes security events for these calls."""
        before = {s: self.denials(s) for s in syscalls}
        yield
        for syscall in syscalls:
            wait_until(f"a security event for {syscall}",
                       lambda s=syscall: self.denials(s) >= before[s] + times)

    def lives(self):
        assert self.sh("echo lives") == "lives\n"

    def processes_on_host(self):
        return len(self.world.server.processes())


class Stopwatch:
    """Does something over and over on a thread of its own; `slowest` is how long it took at most."""

    def __init__(self, what, pause):
        self.what, self.pause, self.slowest, self.times = what, pause, 0.0, 0
        self.stop, self.thread = threading.Event(), threading.Thread(target=self._run)

    def _run(self):
        while not self.stop.is_set():
            began = time.monotonic()
            self.what()
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.times += 1
            self.stop.wait(self.pause)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        self.thread.join()


class Neighbour:
    """Another sandbox, used all the time while an attack runs: it must not notice. Its slowest
    answer may take SECONDS, and longer on a machine where programs of the host are slow, too."""

    SECONDS = 8.0
    TIMES_HOST = 20  # an answer takes turns in four processes

    def __init__(self, world):
        self.box, self.wrong = world.box(resources={"memory": "128Mi"}), []
        self.api = world.api.with_key(world.api.key)
        self.answers = Stopwatch(self._ask, 0.05)
        self.host = Stopwatch(lambda: subprocess.run(["/bin/true"], check=True), 0.2)

    def _ask(self):
        try:
            result = self.api.execute(self.box.id, command=["echo", "neighbour"])
            if result["stdout"] != "neighbour\n":
                self.wrong.append(result)
        except Exception as e:  # noqa: BLE001 - whatever it was, it is reported
            self.wrong.append(repr(e))

    def __enter__(self):
        self.host.__enter__()
        self.answers.__enter__()
        return self

    def __exit__(self, kind, value, trace):
        self.answers.__exit__()
        self.host.__exit__()
        self.box.delete()
        if kind is None:
            assert not self.wrong, f"the neighbour noticed: {self.wrong[0]}"
            allowed = self.SECONDS + self.TIMES_HOST * self.host.slowest
            assert self.answers.times and self.answers.slowest < allowed, \
                f"the neighbour waited {self.answers.slowest:.1f} s for an answer, {allowed:.1f} s were allowed"


def build_programs():
    with tempfile.TemporaryDirectory() as folder:
        return {p.stem: compile_program(p.stem, folder) for p in PROGRAMS.glob("*.c")}
