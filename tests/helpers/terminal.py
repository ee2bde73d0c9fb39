"""A command on a pseudo terminal, looked at through a terminal emulator."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pyte


class Terminal:
    def __init__(self, command, env, rows=24, cols=100, **more):
        self.master, slave = pty.openpty()
        self.screen = pyte.Screen(cols, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._size(rows, cols)
        self.before = termios.tcgetattr(slave)

        def own():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.process = subprocess.Popen([*map(str, command)], stdin=slave, stdout=slave, stderr=slave,
                                        env={"TERM": "xterm", **env}, preexec_fn=own, **more)
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def _size(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def resize(self, rows, cols):
        self._size(rows, cols)
        self.screen.resize(rows, cols)

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self, seconds):
        """What comes within that time; False: the other end is closed."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def until(self, condition, timeout=90):
        """Until a text is on the screen, or a function of it is true."""
        if isinstance(condition, str):
            wanted = condition
            condition = lambda text: wanted in text  # noqa: E731
        deadline = time.monotonic() + timeout
        while not condition(self.text):
            left = deadline - time.monotonic()
            assert left > 0, f"waited in vain:\n{self.text}"
            assert self.read(min(left, 1)) or condition(self.text), f"ended:\n{self.text}"
        return self.text

    def wait(self, timeout=90):
        """The exit status, once everything was read."""
        deadline = time.monotonic() + timeout
        while self.read(0.2):
            assert time.monotonic() < deadline, f"does not end:\n{self.text}"
        return self.process.wait(max(1, deadline - time.monotonic()))

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def is_restored(self):
        """The modes are as they were."""
        return termios.tcgetattr(self.master)[:4] == self.before[:4]
