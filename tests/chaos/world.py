"""A control plane and a simulated node under test: their processes, and talking to them."""
import asyncio
import json
import os
import pathlib
import re
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_S = 60


class Gone(Exception):
    """The plane died before it answered: nobody knows what it did."""


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


def fail_points(folders=("core", "controller", "node/agent")):
    """The names of all fail points that the plane's program has."""
    found = set()
    for folder in folders:
        for file in (ROOT / folder).rglob("*.c"):
            found |= set(re.findall(r'sa_failpoint\("([^"]+)"\)', file.read_text()))
    return sorted(found)


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
    def __init__(self, folder, binaries, seed, dirty_one_in=50):
        self.folder, self.bin, self.seed, self.dirty_one_in = pathlib.Path(folder), pathlib.Path(binaries), seed, dirty_one_in
        self.door, self.plane, self.node = None, None, None
        self.up = asyncio.Event()
        self.plane_starts = self.node_starts = 0
        self.violations = []  # of simulated nodes that are no more
        self.log = open(self.folder / "log", "wb")

    # ---- processes ----

    async def _started(self, process):
        """Its first line: `ready`."""
        with process.stdout as stdout:
            line = await asyncio.wait_for(asyncio.to_thread(stdout.readline), START_S)
        if line != b"ready\n":
            await self.ended(process)
            if process.returncode != -signal.SIGKILL:
                raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        return line == b"ready\n"

    async def start_node(self):
        self.node_starts += 1
        self.node = subprocess.Popen(
            [self.bin / "simnode", self.folder / "node.sock", self.folder / "sim.sock", str(self.seed + self.node_starts), str(self.dirty_one_in)],
            stdout=subprocess.PIPE, stderr=self.log)
        if not await self._started(self.node):
            raise RuntimeError("simnode did not start")

    async def start_plane(self, fail_point=None, seed=None):
        """False: it died at the fail point before it could be talked to."""
        self.plane_starts += 1
        env = dict(os.environ)
        env.pop("SA_FAILPOINT", None)
        if fail_point:
            env["SA_FAILPOINT"] = fail_point
        seed = self.seed * 1000 + self.plane_starts if seed is None else seed
        self.plane = subprocess.Popen(
            [self.bin / "chaos-plane", self.folder / "data", self.folder / "node.sock", self.folder / "plane.sock", str(seed)],
            stdout=subprocess.PIPE, stderr=self.log, env=env)
        if not await self._started(self.plane):
            return False
        loop = asyncio.get_running_loop()
        try:
            _, self.door = await loop.create_unix_connection(Door, str(self.folder / "plane.sock"))
        except OSError:
            return False
        self.up.set()
        return True

    async def ended(self, process):
        return await asyncio.to_thread(process.wait)

    async def kill_plane(self):
        self.up.clear()
        self.plane.send_signal(signal.SIGKILL)
        await self.ended(self.plane)

    async def kill_node(self):
        state = await self.node_state()
        self.violations += state["violations"]
        self.node.send_signal(signal.SIGKILL)
        await self.ended(self.node)

    def end(self):
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
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "sim.sock"), limit=1 << 26)
        writer.write(line.encode() + b"\n")
        answer = json.loads(await reader.readline())
        writer.close()
        return answer

    async def node_state(self):
        return await self.ask_node("state")
