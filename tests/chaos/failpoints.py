"""The fail points of a build with SA_FAILPOINTS, and the page by which one of them is armed (core/base/failpoint.h)."""
import mmap
import pathlib
import re
import struct

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE_BYTES, NAME_BYTES = 64, 56
NONE, ARMED, REACHED = range(3)


def names(*folders):
    """Those in the sources below the folders."""
    found = set()
    for folder in folders:
        for file in (ROOT / folder).rglob("*.c"):
            found |= set(re.findall(r'sa_failpoint(?:_reached)?\("([^"]+)"\)', file.read_text()))
    return sorted(found)


class Page:
    """What all programs under test map; their environment names the file."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.write_bytes(bytes(PAGE_BYTES))
        self.path.chmod(0o666)
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), PAGE_BYTES)

    def environment(self):
        return {"SA_FAILPOINT_PAGE": str(self.path)}

    def arm(self, name, nth):
        self.map[0:4] = struct.pack("=I", NONE)
        self.map[4:] = struct.pack(f"=i{NAME_BYTES}s", nth, name.encode())
        self.map[0:4] = struct.pack("=I", ARMED)

    def reached(self):
        return struct.unpack("=I", self.map[0:4])[0] == REACHED

    def disarm(self):
        """Whether somebody got there."""
        got_there = self.reached()
        if not got_there:
            self.map[0:4] = struct.pack("=I", NONE)
        return got_there
