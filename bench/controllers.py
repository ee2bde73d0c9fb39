"""The sandbox controller: what a cold sandbox costs it, a full resync, and its memory, beside 100,
1,000 and 10,000 other sandboxes. The node is played, so that only the control plane is measured.

    bench/controllers.py [--quick]
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
        done = subprocess.run([BIN / "sa-controllerload", f"{folder}/data", str(count), str(rounds)],
                              capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        sys.exit(f"bench: sa-controllerload: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(quick: bool) -> dict:
    return {str(count): load(count, 200 if quick else 2000) for count in COUNTS}


def rows(r: dict) -> list[tuple[str, str, str]]:
    def curve(form: str, *path: str) -> str:
        def figure(count: int) -> float:
            value = r[str(count)]
            for key in path:
                value = value[key]
            return value
        return " / ".join(form.format(figure(count)) for count in COUNTS)

    most = r[str(COUNTS[-1])]
    return [
        ("sandbox controller, created until Running, beside 100 / 1,000 / 10,000 sandboxes",
         f"p50 {curve('{:.0f}', 'startUs', 'p50')} µs", "a played node; SQLite, group commit"),
        ("- deleted until gone", f"p50 {curve('{:.0f}', 'endUs', 'p50')} µs", ""),
        ("- 256 at once until Running", f"{curve('{:.0f}', 'cold', 'perSecond')} per second", ""),
        ("- full resync", f"{curve('{:.1f}', 'resyncMs')} ms", "goal ≤ 1 s with 10,000"),
        ("- memory of everything with 10,000", f"{most['residentKB'] / 1024:.1f} MiB",
         f"goal ≤ 64 MiB; {most['objects']} objects (each sandbox has its pod), caches, the last 4096 changes; "
         f"{most['allocatedKB'] / 1024:.1f} MiB by malloc, of which the controller {most['controllerKB'] / 1024:.1f}"),
    ]


if __name__ == "__main__":
    for row in rows(measure("--quick" in sys.argv[1:])):
        print(" | ".join(row))
