"""A control plane and a simulated node under test: their processes, and talking to them."""
import asyncio
import json
import os
import pathlib
import signal
import subprocess
import time

import failpoints

START_S = 120


class Gone(Exception):
    """The plane died before it answered: nobody knows what it did."""


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class Door(asyncio.Protocol):
    """One connection to the plane's control socket."""

    def __init__(self):
        self.calls, self.number, self.rest, self.open = {}, 0, b"", False

    def connection_made(self, transport):
        self.transport, self.open = transport, True

    def data_received(self, data):
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            number, outcome, *rest = line.decode().split(" ", 2)
            future = self.calls.pop(int(number), None)
            if not future or future.done():
                continue
            text = rest[0] if rest else ""
            if outcome == "ok":
                future.set_result(text)
            else:
                future.set_exception(Refused(*text.split(" ", 1)))

    def connection_lost(self, error):
        self.open = False
        calls, self.calls = self.calls, {}
        for future in calls.values():
            if not future.done():
                future.set_exception(Gone())

    def call(self, line):
        future = asyncio.get_running_loop().create_future()
        if not self.open or self.transport.is_closing():
            future.set_exception(Gone())
            return future
        self.number += 1
        self.calls[self.number] = future
        self.transport.write(f"{self.number} {line}\n".encode())
        return future


class World:
    """Both programs are started again whenever they end, until `over`."""

    def __init__(self, folder, binaries, seed, dirty_one_in=50):
        self.folder, self.bin, self.seed, self.dirty_one_in = pathlib.Path(folder), pathlib.Path(binaries), seed, dirty_one_in
        self.page = failpoints.Page(self.folder / "failpoint")
        self.door, self.plane, self.node = None, None, None
        self.up = asyncio.Event()
        self.over = False
        self.on_death = lambda: None  # of a plane
        self.plane_starts = self.node_starts = 0
        self.log = open(self.folder / "log", "wb")

    # ---- processes ----

    def _start(self, program, *arguments):
        return subprocess.Popen([self.bin / program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=self.log,
                                env={**os.environ, **self.page.environment()})

    async def _started(self, process):
        """Its first line: `ready`. False: it was killed before."""
        with process.stdout as stdout:
            line = await asyncio.wait_for(asyncio.to_thread(stdout.readline), START_S)
        if line != b"ready\n" and await self.ended(process) != -signal.SIGKILL:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        return line == b"ready\n"

    async def start_node(self):
        self.node_starts += 1
        self.node = self._start("simnode", self.folder / "node.sock", self.folder / "sim.sock", self.seed + self.node_starts, self.dirty_one_in)
        return await self._started(self.node)

    async def start_plane(self):
        self.plane_starts += 1
        self.plane = self._start("chaos-plane", self.folder / "data", self.folder / "node.sock", self.folder / "plane.sock",
                                 self.seed * 1000 + self.plane_starts)
        if not await self._started(self.plane):
            return False
        try:
            _, self.door = await asyncio.get_running_loop().create_unix_connection(Door, str(self.folder / "plane.sock"))
        except OSError:
            return False
        self.up.set()
        return True

    async def ended(self, process):
        return await asyncio.to_thread(process.wait)

    async def keep_plane(self):
        while not self.over:
            if await self.ended(self.plane) != -signal.SIGKILL and not self.over:
                raise RuntimeError(f"the plane ended with {self.plane.returncode}")
            self.up.clear()
            self.on_death()
            if not self.over:
                await self.start_plane()

    async def keep_node(self):
        while not self.over:
            if await self.ended(self.node) != -signal.SIGKILL and not self.over:
                raise RuntimeError(f"the node ended with {self.node.returncode}")
            if not self.over:
                await self.start_node()

    def end(self):
        self.over = True
        for process in (self.plane, self.node):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        self.log.close()

    # ---- talking to them ----

    async def call(self, line):
        """Gone: the plane died meanwhile."""
        await self.up.wait()
        return await self.door.call(line)

    async def sure(self, line):
        """Again until somebody answers."""
        while True:
            try:
                return await self.call(line)
            except Gone:
                await asyncio.sleep(0.01)

    async def list(self, kind):
        return json.loads(await self.sure(f"list {kind}"))

    async def metrics(self):
        return json.loads(await self.sure("metrics _"))

    async def ready(self, seconds=60):
        """Until the plane leads and its node answers."""
        until = time.monotonic() + seconds
        while await self.sure("state _") != "ready":
            if time.monotonic() > until:
                raise RuntimeError("the plane is not ready in time")
            await asyncio.sleep(0.02)

    async def ask_node(self, line):
        """None: it is not there."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.folder / "sim.sock"), limit=1 << 26)
            writer.write(line.encode() + b"\n")
            answer = await reader.readline()
            writer.close()
            return json.loads(answer)
        except (OSError, ValueError):
            return None

    async def node_state(self):
        return await self.ask_node("state")

    def violations(self):
        """Of all nodes so far."""
        return [line for line in (self.folder / "log").read_text(errors="replace").splitlines() if "VIOLATION" in line]
