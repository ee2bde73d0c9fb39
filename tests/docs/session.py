"""Runs the blocks of one page in order, as a reader who copies one after the other: what a block sets
is there for the next of its language, and all of them share a folder and a server."""
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import time

SECONDS = 180  # that a block may take

# Executes each file it is told of in one namespace; says on descriptor 3 how it went.
_PYTHON = r"""
import sys, traceback
names, report = {"__name__": "__main__"}, open(3, "w", buffering=1)
for line in sys.stdin:
    path, label = line.rstrip("\n").split("\t")
    try:
        exec(compile(open(path).read(), label, "exec"), names)
        ok = True
    except SystemExit as end:
        ok = not end.code
    except BaseException:
        traceback.print_exc()
        ok = False
    sys.stdout.flush()
    report.write("ok\n" if ok else "failed\n")
"""


class Failed(AssertionError):
    pass


class Session:
    def __init__(self, folder, environment):
        self.folder = pathlib.Path(folder)
        self.work = self.folder / "work"
        self.work.mkdir(exist_ok=True)
        self.environment = environment
        self.output = self.folder / "output"
        self.state = self.folder / "state.sh"
        self.state.write_text(f"cd {self.work}\n")
        self._python = None

    def run(self, page, block):
        source = self.folder / "source"
        source.write_text(block.source)
        run = self._run_python if block.kind == "python" else self._run_bash
        with self.output.open("wb") as output:
            problem = run(source, f"{page}:{block.line}", output)
        if problem:
            raise Failed(self._explain(page, block, problem))
        return self.output.read_text(errors="replace")

    def _explain(self, page, block, problem):
        numbered = "\n".join(f"{block.line + i:5} | {line}" for i, line in enumerate(block.text.splitlines()))
        output = self.output.read_text(errors="replace").strip()[-4000:] or "(nothing)"
        return (f"\n{page}, line {block.line}: this {block.word} block {problem}.\n\n{numbered}\n\n"
                f"What it printed:\n{output}\n\nIf it must not run here, put "
                "`<!-- no-run: why -->` on the line before it.")

    # ---- bash ----

    def _run_bash(self, source, _, output):
        # A failed request must fail the block, as it would fail the reader.
        text = re.sub(r"\bcurl (-sS?N?|-s)\b", r"curl --fail-with-body \1", source.read_text())
        script = (f"set -eu -o pipefail\n. {self.state}\n{text}\n"
                  f"{{ declare -p | grep -vE '^declare -[a-zA-Z]*r'; declare -f; "
                  f"printf 'cd %q\\n' \"$PWD\"; }} >{self.state}.new 2>/dev/null\n"
                  f"mv {self.state}.new {self.state}\n")
        process = subprocess.Popen(["bash", "-c", script], cwd=self.work, env=self.environment,
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   start_new_session=True)
        try:
            status = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            return f"did not end within {SECONDS} s"
        finally:
            _end(process)
        return f"failed with exit status {status}" if status else None

    # ---- python ----

    def _run_python(self, source, label, output):
        if self._python is None:
            self._start_python()
        # What it prints goes to a file of its own from now on.
        size = self._printed.stat().st_size
        self._python.stdin.write(f"{source}\t{label}\n".encode())
        self._python.stdin.flush()
        said = self._answer()
        with self._printed.open("rb") as printed:
            printed.seek(size)
            output.write(printed.read())
        return None if said == b"ok\n" else said.decode()

    def _answer(self):
        deadline, said = time.monotonic() + SECONDS, b""
        while not said.endswith(b"\n"):
            if not select.select([self._report], [], [], max(0, deadline - time.monotonic()))[0]:
                self.close()
                return f"did not end within {SECONDS} s".encode()
            piece = os.read(self._report, 100)
            if not piece:
                return b"ended the interpreter"
            said += piece
        return said if said == b"ok\n" else b"failed"

    def _start_python(self):
        self._report, theirs = os.pipe()
        self._printed = self.folder / "printed"
        with self._printed.open("wb") as printed:
            self._python = subprocess.Popen(
                ["bash", "-c", f'exec "$0" -c "$1" 3>&{theirs} {theirs}>&-', sys.executable, _PYTHON],
                cwd=self.work, env=self.environment, stdin=subprocess.PIPE, stdout=printed,
                stderr=printed, pass_fds=[theirs], start_new_session=True)
        os.close(theirs)

    def close(self):
        if self._python is not None:
            self._python.stdin.close()
            _end(self._python)
            os.close(self._report)
            self._python = None


def _end(process):
    """End a block and all that it left running."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
