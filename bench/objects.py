"""The object store: writes, latency, lists and memory at 100, 1,000 and 10,000 objects.

    bench/objects.py [--quick]
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("SECUREAGENT_BIN", ROOT / "build" / "bin"))
COUNTS = (100, 1000, 10000)


def load(count: int, rounds: int) -> dict:
    with tempfile.TemporaryDirectory(prefix="secureagent-bench-") as folder:
        done = subprocess.run([BIN / "sa-objectload", f"{folder}/data", str(count), str(rounds)],
                              capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        sys.exit(f"bench: sa-objectload: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(quick: bool) -> dict:
    return {str(count): load(count, 1000 if quick else 10000) for count in COUNTS}


def rows(r: dict) -> list[tuple[str, str, str]]:
    def curve(step: str, figure: str, form: str = "{:.0f}") -> str:
        return " / ".join(form.format(r[str(count)][step][figure]) for count in COUNTS)

    most = r[str(COUNTS[-1])]
    return [
        ("object store on SQLite, status patches by one writer, with 100 / 1,000 / 10,000 objects",
         curve("patchOne", "perSecond") + " per second",
         f"p50 {curve('patchOne', 'p50')} µs, p99 {curve('patchOne', 'p99')} µs"),
        ("- by 32 writers, committed in groups", curve("patch32", "perSecond") + " per second",
         f"p50 {curve('patch32', 'p50')} µs, p99 {curve('patch32', 'p99')} µs"),
        ("- creates, 256 in flight", curve("create", "perSecond") + " per second", ""),
        ("- get", f"p50 {curve('get', 'p50')} µs", "a turn of the loop"),
        ("- list of all", f"p50 {curve('list', 'p50')} µs", "goal ≤ 20 ms with 10,000"),
        ("- list, a page of 100", f"p50 {curve('page', 'p50')} µs", ""),
        ("- memory of 10,000 objects of 700 bytes", f"{most['residentKB'] / 1024:.1f} MB",
         f"{most['residentKB'] * 1024 / most['objects']:.0f} bytes each"),
        ("- opening with 10,000 objects", f"{most['openMs']:.0f} ms", "goal ≤ 1 s"),
    ]


if __name__ == "__main__":
    for row in rows(measure("--quick" in sys.argv[1:])):
        print(" | ".join(row))
